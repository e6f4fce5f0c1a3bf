/* SPDX-License-Identifier: MIT */
/* user: the ordinary user who runs what is measured. */
#pragma once

#include <pwd.h>
#include <stdbool.h>

struct bench_user {
	struct passwd *passwd; /* libc's; nobody else here looks users up */
	bool is_other;	       /* root started the benchmark: become the user first */
	unsigned long range_start, range_count; /* the first of the sub-ids; count 0: none */
};

void user_find(struct bench_user *user);
int user_become(const struct bench_user *user);
void user_begin_session(const struct bench_user *user);
void user_end_session(void);
