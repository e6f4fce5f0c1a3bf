/* SPDX-License-Identifier: MIT */
/*
 * main: pick the run form or a verb, call it, print its error once.
 */

#include <stdint.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sbx/base/err.h"
#include "sbx/base/fd.h"
#include "sbx/base/prefault.h"
#include "sbx/cmd/cmd.h"

enum { MAIN_STACK_BYTES = 128 * 1024 }; /* what a launch uses, and some more */

/* sbx needs no privilege and would be dangerous with one: it does what its caller says. */
static int main_refuse_privilege(struct sbx_err *err)
{
	int r;

	if (!getauxval(AT_SECURE))
		return 0;
	r = err_refuse(err, EPERM, NULL,
		       "refusing to run: the program has a set-user-ID bit or file capabilities");
	err_hint(err, "sbx works without; as root: chmod u-s,g-s and setcap -r on it");
	return r;
}

/*
 * What is left of the stack below the caller's frame, in bytes; RLIMIT_STACK counts from the
 * top, where the arguments and the environment lie, the program's name last (execve(2)).
 */
static size_t main_stack_room(void)
{
	uintptr_t top = (uintptr_t)getauxval(AT_EXECFN),
		  here = (uintptr_t)__builtin_frame_address(0);
	struct rlimit limit;

	if (top < here || getrlimit(RLIMIT_STACK, &limit) < 0)
		return SIZE_MAX;
	return limit.rlim_cur > top - here ? limit.rlim_cur - (top - here) : 0;
}

/* There is no room for an error as all others are. */
static int main_refuse_stack(void)
{
	static const char text[] = "sbx: the limit on the stack is too low\n"
				   "     hint:  raise it: ulimit -s 8192\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	return ERR_EXIT_FAILED;
}

__attribute__((noinline)) static int main_with_stack(int argc, char **argv)
{
	struct sbx_err err;
	int exit_code = 0, r;

	prefault_program();
	if (fd_open_standard() < 0)
		return ERR_EXIT_FAILED;
	r = main_refuse_privilege(&err);
	if (r == 0 && argc < 1)
		r = err_usage(&err, NULL, "called without even a program name");
	if (r == 0)
		r = cmd_dispatch(argc, argv, &exit_code, &err);
	return r == 0 ? exit_code : cmd_fail(argc > 0 ? argv[0] : "", &err);
}

int main(int argc, char **argv)
{
	/* Before anything touches more than the first page. */
	return main_stack_room() < MAIN_STACK_BYTES ? main_refuse_stack()
						    : main_with_stack(argc, argv);
}
