/* SPDX-License-Identifier: MIT */
/*
 * sockets: the unix sockets of the host that have a name, and which of them a
 * bind shows inside. Asked by --explain, -v and --mask-sockets=listed only.
 * Runs in: the caller's process.
 */
#pragma once

#include <stddef.h>

#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"

struct sockets {
	const char **paths; /* real paths, no link in them; each once */
	size_t n_paths;
};

int sockets_find(const struct probe_host *host, struct arena *arena, struct sockets *ret,
		 struct sbx_err *err);
int sockets_add(struct sockets *found, const char *real, struct arena *arena);
const char *sockets_source(const struct plan_step *step, struct arena *arena);
const char *sockets_place(const char *socket, const char *source, const char *dest,
			  struct arena *arena);
