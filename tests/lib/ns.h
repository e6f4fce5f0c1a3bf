/* SPDX-License-Identifier: MIT */
/*
 * ns: user and mount namespaces for tests of what happens inside one. To be
 * used in a child of in_child() only, where Criterion's assertions are of no use.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NS_UNAVAILABLE = 77 }; /* exit status: the test cannot be made here */

/* Leave the child's function, saying what did not hold. */
#define child_check(condition)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			dprintf(STDERR_FILENO, "%s:%d: does not hold: %s (errno: %s)\n", __FILE__, \
				__LINE__, #condition, strerror(errno));                            \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

/* Run fn in a child; what it checks must hold. Skips where namespaces are not to be had. */
#define expect_in_child(fn, arg)                                                                   \
	do {                                                                                       \
		int status_ = in_child((fn), (arg));                                               \
                                                                                                   \
		skip_unless(status_ != NS_UNAVAILABLE, "user namespaces cannot be created here");  \
		cr_expect_eq(status_, 0, "%s() ended with %d", #fn, status_);                      \
	} while (0)

/* Enter a new user namespace, as uid and gid 0 there, and a new mount namespace. */
int ns_enter(void);
int ns_mount_tmpfs(const char *path);
int ns_bind(const char *source, const char *dest);
