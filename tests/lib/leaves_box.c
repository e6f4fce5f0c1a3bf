/* SPDX-License-Identifier: MIT */
/*
 * leaves_box: a test that fails in the middle, with a detached sandbox. test_testlib runs it,
 * and looks whether that has ended. The file $LEAVES_BOX is told the number of its monitor.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "testlib.h"

Test(leaves_box, fails_in_the_middle)
{
	int tree = tmp_tree("run/");
	_autofree_ char *runtime = tree_path(tree, "run"), *env = NULL, *home = NULL;
	const char *told = getenv("LEAVES_BOX");

	cr_assert(told && asprintf(&env, "XDG_RUNTIME_DIR=%s", runtime) > 0 &&
		  asprintf(&home, "HOME=%s", runtime) > 0);
	cr_assert_eq(fchmodat(tree, "run", 0700, 0), 0);
	const struct run_options run = {.env = (const char *const[]){"PATH=/bin", env, home, NULL}};
	_autorun_ struct run_result r =
		run_sbx_with(&run, "--ro-bind", "/usr", "/usr", "-d", "--", "/bin/sleep", "1000");
	_autorun_ struct run_result pid = run_sbx_with(&run, "ps", "--format", "{{.Pid}}");
	_autoclose_ int fd = open(told, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	cr_assert_eq(write(fd, pid.out, pid.out_len), (ssize_t)pid.out_len);
	cr_assert_fail("%s", r.err);
}
