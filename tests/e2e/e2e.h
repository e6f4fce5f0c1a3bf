/* SPDX-License-Identifier: MIT */
/*
 * e2e: what the tests of the built program share. They run it as a user would
 * and look at exit status, output and files, never at how it got there.
 */
#pragma once

#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#include "testlib.h"

/* sbx with /usr, so that there are programs inside. */
#define in_usr(...) run_sbx("--ro-bind", "/usr", "/usr", __VA_ARGS__)
#define in_usr_with(options, ...) run_sbx_with((options), "--ro-bind", "/usr", "/usr", __VA_ARGS__)

/* It worked and printed exactly this. */
#define expect_out(result, text)                                                                   \
	do {                                                                                       \
		cr_expect_eq((result).status, 0, "status %d: %s", (result).status, (result).err);  \
		cr_expect_str_eq((result).out, (text), "%s: %s", (result).out, (result).err);      \
	} while (0)

/* It worked, whatever it printed. */
#define expect_success(result)                                                                     \
	cr_expect_eq((result).status, 0, "status %d: %s%s", (result).status, (result).out,         \
		     (result).err)

/* It ended with this status and said these words, in any case, on standard error. */
#define expect_failure(result, code, words)                                                        \
	do {                                                                                       \
		cr_expect_eq((result).status, (code), "status %d: %s", (result).status,            \
			     (result).err);                                                        \
		cr_expect(strcasestr((result).err, (words)), "no \"%s\" in: %s", (words),          \
			  (result).err);                                                           \
	} while (0)

/* A tmpfs keeps attributes of users since Linux 6.6; the kernel's overlays need them. */
static inline bool tmpfs_has_attributes(void)
{
	_autoclose_ int fd = memfd_create("attributes", MFD_CLOEXEC);

	return fsetxattr(fd, "user.test", "t", 1, 0) == 0;
}
