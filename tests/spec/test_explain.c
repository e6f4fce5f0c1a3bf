/* SPDX-License-Identifier: MIT */
/* What --explain prints of a plan that was put together by hand. */

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "sbx/base/io.h"
#include "sbx/spec/explain.h"
#include "sbx/spec/steps.h"

static struct plan_map_line map_lines[] = {{0, 100000, 1000}, {1000, 1000, 1}};
static const char *command[] = {"bash", "-c", "echo \x1b[1m", "", NULL};
static char *environment[] = {(char *)(uintptr_t) "", /* room for PWD */
			      (char *)(uintptr_t) "TOKEN=very-secret",
			      (char *)(uintptr_t) "LANG=C.UTF-8", NULL};
static const char *workdirs[] = {"/home/me", "/", NULL};
static const int pass_fds[] = {5, 9};

struct fixture {
	struct sbx_plan plan;
	struct sbx_spec spec;
	struct arena arena;
};

static struct plan_step *add_step(struct fixture *f, enum plan_step_kind kind, const char *cause)
{
	struct plan_step *step = plan_add_step(&f->plan, kind, cause);

	cr_assert_not_null(step);
	return step;
}

static void fixture_init(struct fixture *f)
{
	struct plan_step *step;

	arena_init(&f->arena);
	plan_init(&f->plan);
	spec_init(&f->spec);
	f->plan.namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID;
	f->plan.uid_map = (struct plan_map){map_lines, 2, "/usr/bin/newuidmap", 1000, 1000};
	f->plan.gid_map = (struct plan_map){map_lines + 1, 1, NULL, 1000, 1000};
	f->plan.map_may_fall_back = true;
	f->plan.own_pid_ns = true;
	f->plan.payload_uid = 1000;
	f->plan.payload_gid = 1000;

	step = add_step(f, PLAN_STEP_BIND, "--ro-bind");
	step->source = "/usr";
	step->dest = "/usr";
	step->attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	step = add_step(f, PLAN_STEP_TMPFS, "default");
	step->dest = "/tmp";
	step->mode = 01777;
	step->size_bytes = 4096;
	step = add_step(f, PLAN_STEP_PRIVILEGES, "--cap-add");
	step->keep = 1; /* CAP_CHOWN */

	f->plan.argv = command;
	f->plan.envp = environment;
	f->plan.workdirs = workdirs;
	f->plan.pass_fds = pass_fds;
	f->plan.n_pass_fds = 2;
	cr_assert_eq(plan_add_remark(&f->plan, "exposed", "%s", "/home/me is writable"), 0);
}

static void fixture_finish(struct fixture *f)
{
	plan_finish(&f->plan);
	spec_finish(&f->spec);
	arena_finish(&f->arena);
}

static char *printed(struct fixture *f,
		     int (*print)(const struct sbx_plan *plan, const struct sbx_spec *spec, int fd,
				  struct sbx_err *err))
{
	_autoclose_ int fd = memfd_create("plan", MFD_CLOEXEC);
	struct sbx_err err;
	char *text = NULL;
	size_t len = 0;

	cr_assert_geq(fd, 0);
	cr_assert_eq(print(&f->plan, &f->spec, fd, &err), 0);
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	cr_assert_eq(io_read_all(fd, 1 << 24, &f->arena, &text, &len), 0);
	cr_assert_eq(strlen(text), len);
	return text;
}

static void expect_line(const char *text, const char *line)
{
	cr_expect_not_null(strstr(text, line), "no \"%s\" in:\n%s", line, text);
}

Test(explain, text_has_everything_that_will_be_done)
{
	static const char *const lines[] = {
		"Namespaces\n  new             user mount pid\n"
		"  shared          ipc uts cgroup net\n",
		"\nIdentity\n  command runs as uid 1000, gid 1000\n",
		"  uid map         written by /usr/bin/newuidmap (if it fails: only 1000 -> "
		"1000)\n",
		"inside          0  outside     100000  count       1000\n",
		"  gid map         written directly\n",
		"  capabilities    CAP_CHOWN\n",
		"\nSteps\n  setup\n    1. ",
		"  [--ro-bind]\n",
		"    2. ",
		"  [default]\n",
		"  payload\n    3. ",
		"  [--cap-add]\n",
		"\nEnvironment\n  names           PWD TOKEN LANG\n",
		"\nDescriptors\n  passed          0 1 2 5 9\n",
		"\nWorking directory\n  first that works /home/me /\n",
		"\nCommand\n  words           bash -c echo \\x1b[1m ''\n",
		"\nLife\n  on exit         when the command ends, every process inside is killed\n",
		"  PID 1           sbx, which reaps\n",
		"\nRemarks\n  exposed         /home/me is writable\n",
	};
	struct fixture f;
	char *text;

	fixture_init(&f);
	text = printed(&f, explain_print_text);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		expect_line(text, lines[i]);
	fixture_finish(&f);
}

Test(explain, values_of_the_environment_are_never_printed)
{
	struct fixture f;

	fixture_init(&f);
	cr_expect_null(strstr(printed(&f, explain_print_text), "very-secret"));
	cr_expect_null(strstr(printed(&f, explain_print_json), "very-secret"));
	fixture_finish(&f);
}

Test(explain, long_rows_are_wrapped_between_words)
{
	static char words[200][8];
	static char *many[201];
	struct fixture f;
	char *line;

	fixture_init(&f);
	for (size_t i = 0; i < 200; i++) {
		memcpy(words[i], "NAME=1", 7);
		many[i] = words[i];
	}
	f.plan.envp = many;
	line = strstr(printed(&f, explain_print_text), "Environment\n");
	cr_assert_not_null(line);
	for (size_t names = 0; names < 200;) {
		line = strchr(line, '\n') + 1;
		cr_assert_leq(strcspn(line, "\n"), 100);
		for (char *p = line; (p = strstr(p, "NAME")) && p < strchr(line, '\n'); p++)
			names++;
	}
	fixture_finish(&f);
}

Test(explain, json_has_the_arguments_of_each_step)
{
	static const char *const lines[] = {
		"\"sbx-plan\": 1,",
		"\"helper\": \"/usr/bin/newuidmap\",",
		"\"map-may-fall-back\": true,",
		"      \"number\": 1,\n"
		"      \"kind\": \"bind\",\n"
		"      \"phase\": \"setup\",\n"
		"      \"source\": \"/usr\",\n"
		"      \"dest\": \"/usr\",\n"
		"      \"attributes\": [\n"
		"        \"ro\",\n"
		"        \"nosuid\",\n"
		"        \"nodev\"\n"
		"      ],\n",
		"      \"mode\": \"1777\",\n"
		"      \"size\": 4096,\n",
		"      \"cause\": \"--ro-bind\",\n      \"origin\": \"command line\"\n",
		"      \"cause\": \"default\"\n",
		"      \"capabilities\": [\n"
		"        \"CAP_CHOWN\"\n"
		"      ],\n",
		"    \"echo \\u001b[1m\",\n    \"\"\n",
		"    \"on-exit\": \"kill\",\n",
		"      \"topic\": \"exposed\",\n",
	};
	struct fixture f;
	char *text;

	fixture_init(&f);
	text = printed(&f, explain_print_json);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		expect_line(text, lines[i]);
	fixture_finish(&f);
}

Test(explain, every_kind_of_step_can_be_printed)
{
	static const struct seccomp_program program = {.n_insns = 0};
	static const char *lower[] = {"/low"};
	static const struct plan_layers layers = {
		.lower = lower, .n_lower = 1, .drivers = PLAN_LAYERS_FUSE, .why = "why"};
	struct fixture f;

	fixture_init(&f);
	for (unsigned kind = 0; kind < PLAN_STEP_COUNT_; kind++) {
		struct plan_step *step = add_step(&f, (enum plan_step_kind)kind, "default");

		step->source = step->dest = step->text = "/x";
		step->program = &program;
		step->layers = kind == PLAN_STEP_LAYERS ? &layers : NULL;
	}
	(void)printed(&f, explain_print_text);
	(void)printed(&f, explain_print_json);
	fixture_finish(&f);
}

Test(explain, an_empty_plan_can_be_printed)
{
	struct fixture f = {.plan.n_steps = 0};

	arena_init(&f.arena);
	plan_init(&f.plan);
	spec_init(&f.spec);
	expect_line(printed(&f, explain_print_text), "capabilities    none\n");
	expect_line(printed(&f, explain_print_json), "\"steps\": [],");
	fixture_finish(&f);
}

Test(explain, settings_name_their_option_and_line)
{
	static const struct spec_cause typed = {"--env", NULL}, line = {"--setenv", "mine:7"};
	struct fixture f;
	struct sbx_err err;
	char *text, *json;

	fixture_init(&f);
	spec_set_string(&f.spec, SPEC_FIELD_HOSTNAME, "castle");
	f.spec.causes[SPEC_FIELD_HOSTNAME] = (struct spec_cause){"--hostname", "mine:3"};
	cr_assert_eq(spec_add_env(&f.spec,
				  &(struct spec_env){SPEC_ENV_SET, "TOKEN", "very-secret", line},
				  &err),
		     0);
	cr_assert_eq(
		spec_add_env(&f.spec, &(struct spec_env){SPEC_ENV_PASS, "TERM", NULL, typed}, &err),
		0);
	text = printed(&f, explain_print_text);
	json = printed(&f, explain_print_json);

	text = strstr(text, "\nSettings\n  hostname        castle ");
	cr_assert_not_null(text);
	expect_line(text, " [--hostname (mine:3)]\n  env             set TOKEN ");
	expect_line(text, " [--setenv (mine:7)]\n  env             pass TERM ");
	expect_line(text, " [--env]\n");
	expect_line(json, "      \"name\": \"env\",\n"
			  "      \"kind\": \"set\",\n"
			  "      \"value\": \"TOKEN\",\n"
			  "      \"cause\": \"--setenv\",\n"
			  "      \"origin\": \"mine:7\"\n");
	expect_line(json, "      \"cause\": \"--env\",\n      \"origin\": \"command line\"\n");
	cr_expect_null(strstr(text, "secret"));
	cr_expect_null(strstr(json, "secret"));
	fixture_finish(&f);
}

Test(explain, a_failed_write_is_an_error)
{
	_autoclose_ int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct fixture f;
	struct sbx_err err;

	fixture_init(&f);
	cr_expect_eq(explain_print_text(&f.plan, &f.spec, full, &err), -ENOSPC);
	cr_expect_str_eq(err.what, "cannot print the plan");
	cr_expect_eq(explain_print_json(&f.plan, &f.spec, full, &err), -ENOSPC);
	fixture_finish(&f);
}
