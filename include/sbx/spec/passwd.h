/* SPDX-License-Identifier: MIT */
/*
 * passwd: find an entry in the text of /etc/passwd or /etc/group.
 *
 * The launch reads these files itself: the C library's way through NSS cannot
 * be linked statically, and costs more than a whole launch where a network
 * service is asked. What is not in the files is asked of getent(1), see probe.
 * Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sbx/base/arena.h"

struct passwd_entry {
	const char *name;
	uint32_t id;	   /* uid, or gid in a group file */
	uint32_t gid;	   /* passwd only */
	const char *home;  /* passwd only, NULL: the line is short */
	const char *shell; /* likewise */
};

enum passwd_file { PASSWD_USERS, PASSWD_GROUPS };

int passwd_find_id(const char *text, enum passwd_file file, uint32_t id, struct arena *arena,
		   struct passwd_entry *ret_entry);
int passwd_find_name(const char *text, enum passwd_file file, const char *name, struct arena *arena,
		     struct passwd_entry *ret_entry);
