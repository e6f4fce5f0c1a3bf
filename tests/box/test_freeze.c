/* SPDX-License-Identifier: MIT */
/* freeze: who is in a cgroup, and when it is frozen, on a directory that looks like one. */

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sbx/box/freeze.h"
#include "testlib.h"

/* Is there a stranger to 10, 11 and 12? Return: its number, 0: none, or -errno. */
static int stranger_in(int tree)
{
	static const pid_t pids[] = {10, 11, 12};
	_autoclose_ int fd = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_autoarena_ struct arena arena;
	pid_t pid = -1;
	int r;

	arena_init(&arena);
	cr_assert_geq(fd, 0);
	r = freeze_find_stranger(fd, pids, ARRAY_SIZE(pids), &arena, &pid);
	return r == 1 ? pid : r;
}

Test(freeze, its_own_processes_are_no_strangers)
{
	int tree = tmp_tree("cgroup.procs=10\n12\n", "below/cgroup.procs=11\n",
			    "below/deep/cgroup.procs=");

	cr_expect_eq(stranger_in(tree), 0);
	close(tree);
}

Test(freeze, a_stranger_is_found_wherever_it_is)
{
	int here = tmp_tree("cgroup.procs=10\n99\n12\n");
	int below = tmp_tree("cgroup.procs=10\n",
			     "below/cgroup.procs=", "below/deep/cgroup.procs=11\n98\n");

	cr_expect_eq(stranger_in(here), 99);
	cr_expect_eq(stranger_in(below), 98);
	close(here);
	close(below);
}

/* What cannot be looked at is not frozen. */
Test(freeze, what_is_no_cgroup_is_an_error)
{
	int none = tmp_tree("other=10\n");
	int below = tmp_tree("cgroup.procs=10\n", "below/other=");

	cr_expect_eq(stranger_in(none), -ENOENT);
	cr_expect_eq(stranger_in(below), -ENOENT);
	close(none);
	close(below);
}

Test(freeze, is_waited_for)
{
	int tree = tmp_tree("cgroup.freeze=0", "cgroup.events=populated 1\nfrozen 1\n");
	struct sbx_err err;
	_autofree_ char *text = NULL;

	cr_expect_eq(freeze_set(tree, true, &err), 0);
	text = tree_read(tree, "cgroup.freeze");
	cr_expect_str_eq(text, "1");
	close(tree);
}

Test(freeze, without_a_freezer_it_fails)
{
	int tree = tmp_tree("cgroup.events=populated 1\nfrozen 1\n");
	struct sbx_err err;

	cr_expect_eq(freeze_set(tree, true, &err), -ENOENT);
	close(tree);
}

Test(freeze, memory_is_what_the_cgroup_counts)
{
	int tree = tmp_tree("memory.current=18446744073709551615\n");
	int none = tmp_tree("cgroup.procs=10\n"), odd = tmp_tree("memory.current=many\n");
	uint64_t bytes = 0;

	cr_expect_eq(freeze_read_memory(tree, &bytes), 0);
	cr_expect_eq(bytes, UINT64_MAX);
	cr_expect_eq(freeze_read_memory(none, &bytes), -ENOENT);
	cr_expect_lt(freeze_read_memory(odd, &bytes), 0);
	close(tree);
	close(none);
	close(odd);
}
