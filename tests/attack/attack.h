/* SPDX-License-Identifier: MIT */
/*
 * attack: what the tests of the promises share. SECURITY.md names them all.
 *
 * Each test first shows that the attack works where the promise does not hold:
 * outside, or with the option that gives the promise up. Only then is its
 * failure in a sandbox worth something.
 */
#pragma once

#include <fcntl.h>
#include <string.h>

#include "testlib.h"

#define SH(script) "--", "sh", "-c", (script)
#define BASH(script) "--", "bash", "-c", (script)
#define PYTHON(script) "--", "python3", "-c", (script)

/* sbx with /usr, so that there are programs inside. */
#define in_usr(...) run_sbx("--ro-bind", "/usr", "/usr", __VA_ARGS__)
#define in_usr_with(options, ...) run_sbx_with((options), "--ro-bind", "/usr", "/usr", __VA_ARGS__)

/*
 * A shell with mounts of its own, which stand for the host's: an ordinary user
 * cannot make any elsewhere. $1 is sbx, $2 what is given here.
 */
#define run_host(script, argument)                                                                 \
	run_program("unshare", "-Urm", "--propagation", "private", "bash", "-c", (script), "bash", \
		    sbx_program(), (argument))

#define expect_out(result, text)                                                                   \
	cr_expect_str_eq((result).out, (text), "status %d, said: %s%s", (result).status,           \
			 (result).out, (result).err)

#define expect_said(result, text)                                                                  \
	cr_expect(memmem((result).out, (result).out_len, (text), strlen(text)),                    \
		  "no \"%s\" in: %s%s", (text), (result).out, (result).err)

#define expect_not_said(result, text)                                                              \
	cr_expect_not(memmem((result).out, (result).out_len, (text), strlen(text)), "%s%s",        \
		      (result).out, (result).err)

/* sbx refused, with these words. */
#define expect_refused(result, words)                                                              \
	do {                                                                                       \
		cr_expect_eq((result).status, 125, "status %d: %s%s", (result).status,             \
			     (result).out, (result).err);                                          \
		cr_expect(strstr((result).err, (words)), "no \"%s\" in: %s", (words),              \
			  (result).err);                                                           \
	} while (0)

int attack_data_fd(const char *text);
