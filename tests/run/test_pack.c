/* SPDX-License-Identifier: MIT */
/* pack: the steps behind pivot_root arrive as they were, and nothing else is taken for them. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/run/pack.h"
#include "testlib.h"

static const struct sock_filter insns[] = {{0x06, 0, 0, 0x7fff0000}};
static const struct seccomp_program program = {insns, ARRAY_SIZE(insns)};

static void fill(struct sbx_plan *plan)
{
	static const char *dirs[] = {"/project", "/", NULL};
	static char room[] = "", key[] = "KEY=a b\n", empty[] = "EMPTY=";
	static char *envp[] = {room, key, empty, NULL};
	struct plan_step *step;

	plan_init(plan);
	plan->namespaces = 0x7e020000;
	plan->own_pid_ns = true;
	plan->payload_uid = 1000;
	plan->payload_gid = 100;
	plan->workdirs = dirs;
	plan->envp = envp;
	(void)plan_add_step(plan, PLAN_STEP_PIVOT, "default");
	step = plan_add_step(plan, PLAN_STEP_CONFINE, "--cap-add");
	step->keep = 0xf00;
	step = plan_add_step(plan, PLAN_STEP_FILTER, "default");
	step->program = &program;
	step->text = "default";
	(void)plan_add_step(plan, PLAN_STEP_CHDIR, "default");
	(void)plan_add_step(plan, PLAN_STEP_EXEC, "default");
	(void)plan_add_step(plan, PLAN_STEP_REAPER_PRIVILEGES, "default");
}

Test(pack, what_is_written_is_read)
{
	struct sbx_plan plan, read;
	struct sbx_err err;
	int fd = -1;

	fill(&plan);
	plan_init(&read);
	cr_assert_eq(pack_write(&plan, &fd), 0);
	cr_assert_eq(pack_read(fd, &read, &err), 0, "%s", err.what);
	close(fd);
	cr_expect_eq(read.namespaces, 0, "no new ones are made");
	cr_expect_eq(read.joined_namespaces, plan.namespaces);
	cr_expect_eq(read.payload_uid, 1000);
	cr_expect_eq(read.payload_gid, 100);
	cr_expect(read.init_is_payload && read.own_pid_ns && !read.passes_fds && !read.runs_magic);
	cr_expect_str_eq(read.workdirs[0], "/project");
	cr_expect_null(read.workdirs[2]);
	cr_expect_str_eq(read.envp[0], "", "room for PWD");
	cr_expect_str_eq(read.envp[1], "KEY=a b\n");
	cr_expect_str_eq(read.envp[2], "EMPTY=");
	cr_expect_null(read.envp[3]);
	cr_assert_eq(read.n_steps, 4, "neither what made the mounts nor PID 1's own");
	cr_expect_eq(read.steps[0].kind, PLAN_STEP_CONFINE);
	cr_expect_eq(read.steps[0].keep, 0xf00);
	cr_expect_str_eq(read.steps[0].cause, "--cap-add");
	cr_assert_eq(read.steps[1].program->n_insns, 1);
	cr_expect_eq(read.steps[1].program->insns[0].k, 0x7fff0000);
	plan_finish(&read);
	plan_finish(&plan);
}

Test(pack, a_step_that_cannot_be_taken_again_refuses)
{
	static const enum plan_step_kind kinds[] = {PLAN_STEP_RAW_FILTER, PLAN_STEP_ENTER_USERNS};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct sbx_plan plan;
		int fd = -1;

		fill(&plan);
		cr_assert(plan_add_step(&plan, kinds[i], "default"));
		cr_expect_eq(pack_write(&plan, &fd), -EOPNOTSUPP, "%d", kinds[i]);
		cr_expect_eq(fd, -1);
		plan_finish(&plan);
	}
}

/* Cut anywhere, or with any byte changed, it is refused or read as far as it makes sense. */
Test(pack, what_was_cut_or_changed_is_not_misread)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct sbx_plan plan;
	char *data;
	size_t len;
	int fd = -1;

	fill(&plan);
	cr_assert_eq(pack_write(&plan, &fd), 0);
	cr_assert_eq(io_read_all(fd, 1 << 20, &arena, &data, &len), 0);
	close(fd);
	for (size_t i = 0; i < 2 * len; i++) {
		_autoclose_ int bad = memfd_create("bad", MFD_CLOEXEC);
		size_t size = i < len ? i : len;
		struct sbx_plan read;
		struct sbx_err err;
		int r;

		if (i >= len)
			data[i - len] ^= 0x55;
		cr_assert_eq(write(bad, data, size), (ssize_t)size);
		cr_assert_eq(lseek(bad, 0, SEEK_SET), 0);
		plan_init(&read);
		r = pack_read(bad, &read, &err);
		if (i < len)
			cr_expect_eq(r, -EPROTO, "cut at %zu: %d", i, r);
		/* A filter step is never without its filter, and the last one is the execution. */
		for (size_t s = 0; r == 0 && s < read.n_steps; s++)
			cr_expect(read.steps[s].kind != PLAN_STEP_FILTER || read.steps[s].program);
		if (r == 0)
			cr_expect_eq(read.steps[read.n_steps - 1].kind, PLAN_STEP_EXEC);
		plan_finish(&read);
		if (i >= len)
			data[i - len] ^= 0x55;
	}
	plan_finish(&plan);
}
