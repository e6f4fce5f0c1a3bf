/* SPDX-License-Identifier: MIT */
/* The table of step kinds: all that --explain, -v and error trails print of it. */

#include <linux/mount.h>
#include <string.h>

#include "testlib.h"

#include "sbx/base/str.h"
#include "sbx/spec/steps.h"

/* A step of this kind in which every member says something. */
static struct plan_step full_step(enum plan_step_kind kind)
{
	static const struct seccomp_program program = {.n_insns = 0};

	static const char *lower[] = {"/low", "/high"};
	static const struct plan_layers layers = {
		.lower = lower,
		.n_lower = 2,
		.top = PLAN_LAYERS_HOST,
		.upper = "/upper",
		.work = "/work",
		.drivers = PLAN_LAYERS_KERNEL | PLAN_LAYERS_OVER_FUSE | PLAN_LAYERS_FUSE,
		.why = "why",
	};

	return (struct plan_step){
		.kind = kind,
		.program = &program,
		.flags = PLAN_STEP_TRY | PLAN_STEP_GROUPS,
		.fd = 7,
		.uid = 11,
		.gid = 12,
		.mode = 0750,
		.attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV,
		.size_bytes = 4096,
		.nr_inodes = 9,
		.keep = 1,
		.layers = kind == PLAN_STEP_LAYERS ? &layers : NULL,
		.source = "/source",
		.dest = "/dest",
		.text = "text",
		.cause = "--option",
	};
}

Test(steps, every_kind_has_a_name_a_phase_and_a_sentence)
{
	for (int kind = 0; kind < PLAN_STEP_COUNT_; kind++) {
		const struct plan_step step = full_step((enum plan_step_kind)kind);
		const char *name = step_kinds[kind].name;
		char room[512];
		struct str_buf out = STR_BUF_ON_STACK(room);

		cr_assert_not_null(name, "%d", kind);
		cr_expect_lt((int)step_kinds[kind].phase, PLAN_PHASE_COUNT_, "%s", name);
		cr_assert_not_null(step_kinds[kind].describe, "%s", name);
		for (int other = 0; other < kind; other++)
			cr_expect_str_neq(step_kinds[other].name, name);

		step_describe(&step, &out);
		cr_expect_gt(out.len, 4, "%s", name);
		cr_expect_not(out.cut, "%s", name);
		cr_expect_neq(room[out.len - 1], '.', "%s: a sentence goes on behind it", name);
		cr_expect_neq(room[out.len - 1], ' ', "%s: %s", name, room);
		cr_expect_null(strstr(room, "(null)"), "%s", room);
		cr_expect_null(strchr(room, '\n'), "%s", room);
	}
}

Test(steps, every_phase_has_a_name)
{
	for (int phase = 0; phase < PLAN_PHASE_COUNT_; phase++)
		cr_expect_not_null(step_phase_names[phase]);
}

Test(steps, members_that_say_nothing_are_left_out)
{
	static const struct {
		enum plan_step_kind kind;
		const char *text;
	} rows[] = {
		{PLAN_STEP_TMPFS, "mount tmpfs at /dest"},
		{PLAN_STEP_BIND, "bind /source at /dest"},
		{PLAN_STEP_PROC, "mount a new procfs at /dest"},
		{PLAN_STEP_DEV, "make a minimal /dev at /dest"},
		{PLAN_STEP_FILE, "write file /dest"},
		{PLAN_STEP_MASK, "mask /dest"},
		{PLAN_STEP_IDS, "become uid 0, gid 0"},
		{PLAN_STEP_CONFINE, "drop all capabilities, set no_new_privs"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct plan_step step = {.kind = rows[i].kind,
					 .fd = -1,
					 .mode = -1,
					 .dest = "/dest",
					 .cause = "default"};
		char room[256];
		struct str_buf out = STR_BUF_ON_STACK(room);

		if (rows[i].kind == PLAN_STEP_BIND) {
			step.source = "/source";
			step.attrs = MOUNT_ATTR_NODEV;
		}
		step_describe(&step, &out);
		cr_expect_str_eq(room, rows[i].text);
	}
}

Test(steps, names_of_files_cannot_steer_the_terminal)
{
	static const enum plan_step_kind kinds[] = {
		PLAN_STEP_BIND,	   PLAN_STEP_TMPFS, PLAN_STEP_DIR,	PLAN_STEP_FILE,
		PLAN_STEP_SYMLINK, PLAN_STEP_MASK,  PLAN_STEP_CHMOD,	PLAN_STEP_REMOUNT,
		PLAN_STEP_DEV,	   PLAN_STEP_EXEC,  PLAN_STEP_HOSTNAME,
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct plan_step step = full_step(kinds[i]);
		char room[512];
		struct str_buf out = STR_BUF_ON_STACK(room);

		step.source = step.dest = step.text = "/a\x1b[2J\nb";
		step_describe(&step, &out);
		cr_expect_null(strchr(room, '\x1b'), "%s", step_kinds[kinds[i]].name);
		cr_expect_null(strchr(room, '\n'), "%s", step_kinds[kinds[i]].name);
	}
}

Test(steps, a_capability_without_a_name_has_a_number)
{
	const struct plan_step step = {
		.kind = PLAN_STEP_PRIVILEGES, .keep = UINT64_C(1) << 62 | 1, .cause = "--cap-add"};
	char room[256];
	struct str_buf out = STR_BUF_ON_STACK(room);

	step_describe(&step, &out);
	cr_expect(strstr(room, "CAP_CHOWN"), "%s", room);
	cr_expect(strstr(room, "62"), "%s", room);
}

Test(steps, all_capabilities_fit_into_a_description)
{
	const struct plan_step step = {
		.kind = PLAN_STEP_PRIVILEGES, .keep = UINT64_MAX, .cause = "--cap-add"};
	char room[4096];
	struct str_buf out = STR_BUF_ON_STACK(room);

	step_describe(&step, &out);
	cr_expect_not(out.cut);
	cr_expect(strstr(room, "CAP_SYS_ADMIN"));
}

Test(steps, the_cause_is_the_option_as_typed)
{
	static const struct {
		struct plan_step step;
		const char *cause;
	} rows[] = {
		{{.kind = PLAN_STEP_BIND,
		  .fd = -1,
		  .source = "/a",
		  .dest = "/b",
		  .cause = "--bind"},
		 "--bind /a /b"},
		{{.kind = PLAN_STEP_BIND, .fd = 5, .dest = "/b", .cause = "--bind-fd"},
		 "--bind-fd 5 /b"},
		{{.kind = PLAN_STEP_BIND,
		  .fd = -1,
		  .source = "a",
		  .dest = "/cwd/a",
		  .cause = "--ro"},
		 "--ro a"},
		{{.kind = PLAN_STEP_BIND,
		  .fd = -1,
		  .source = "/a",
		  .dest = "/",
		  .cause = "--rootfs"},
		 "--rootfs /a"},
		{{.kind = PLAN_STEP_CHMOD,
		  .fd = -1,
		  .mode = 0700,
		  .dest = "/b",
		  .cause = "--chmod"},
		 "--chmod 0700 /b"},
		{{.kind = PLAN_STEP_DEV,
		  .fd = -1,
		  .source = "/dev/pts/0",
		  .dest = "/b",
		  .cause = "--dev"},
		 "--dev /b"},
		{{.kind = PLAN_STEP_SYMLINK,
		  .fd = -1,
		  .source = "t",
		  .dest = "/b",
		  .cause = "--symlink"},
		 "--symlink t /b"},
		{{.kind = PLAN_STEP_TMPFS, .fd = -1, .dest = "/b", .cause = "default"}, "default"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char room[256];
		struct str_buf out = STR_BUF_ON_STACK(room);

		step_describe_cause(&rows[i].step, &out);
		cr_expect_str_eq(room, rows[i].cause);
	}
}

Test(steps, blame_names_number_sentence_option_and_remedy)
{
	struct sbx_plan plan;
	struct plan_step *step;
	struct sbx_err err;

	plan_init(&plan);
	(void)plan_add_step(&plan, PLAN_STEP_LOOPBACK, "default");
	step = plan_add_step(&plan, PLAN_STEP_BIND, "--ro-bind");
	step->source = "/gone";
	step->dest = "/x";
	step->attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV;
	(void)plan_add_step(&plan, PLAN_STEP_PIVOT, "default");

	(void)err_system(&err, ENOENT, "/gone", "cannot open source");
	err_blame_step(&err, &plan, 1);
	cr_expect_eq(err.step, 2);
	cr_expect_eq(err.n_steps, 3);
	cr_expect_str_eq(err.option, "--ro-bind /gone /x");
	cr_expect_str_eq(err.trail, "step 2 of 3, bind /gone at /x (read-only)");
	cr_expect(strstr(err.hint, "-try"), "%s", err.hint);

	(void)err_system(&err, EINVAL, NULL, "cannot");
	err_blame_step(&err, &plan, 0);
	cr_expect_str_eq(err.option, "");
	cr_expect_str_eq(err.trail, "step 1 of 3, bring up the loopback interface");
	plan_finish(&plan);
}

Test(steps, blame_survives_the_longest_paths)
{
	char path[4096];
	struct sbx_plan plan;
	struct plan_step *step;
	struct sbx_err err;

	memset(path, '\x1b', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	plan_init(&plan);
	step = plan_add_step(&plan, PLAN_STEP_BIND, "--bind");
	step->source = step->dest = path;
	(void)err_system(&err, EACCES, path, "cannot open source");
	err_blame_step(&err, &plan, 0);
	cr_expect_eq(err.step, 1);
	cr_expect(strstr(err.option, "--bind"));
	cr_expect_null(strchr(err.trail, '\x1b'));
	plan_finish(&plan);
}
