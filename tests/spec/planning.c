/* SPDX-License-Identifier: MIT */
/* planning: see the header. */

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "planning.h"

#include "sbx/base/io.h"
#include "sbx/spec/resolve.h"
#include "sbx/spec/steps.h"

enum { PLANNING_WORDS_MAX = 64 };

void planning_init(struct planning *p)
{
	memset(p, 0, sizeof(*p));
	arena_init(&p->arena);
	cli_run_init(&p->run);
	plan_init(&p->plan);
	p->tree = tmp_tree("etc/passwd=root:x:0:0:root:/root:/bin/sh\n"
			   "me:x:1000:1000:Me:/home/me:/bin/zsh\nyou:x:1001:1002::/home/you:\n",
			   "etc/group=root:x:0:\nme:x:1000:\nteam:x:2000:me\n",
			   "etc/subuid=me:100000:65536\n", "etc/subgid=me:200000:65536\n",
			   "usr/bin/newuidmap=#!", "usr/bin/newgidmap=#!",
			   "usr/bin/fuse-overlayfs=#!", "bin -> usr/bin", "lib64 -> usr/lib64");
	cr_assert_eq(fchmodat(p->tree, "usr/bin/newuidmap", 04755, 0), 0);
	cr_assert_eq(fchmodat(p->tree, "usr/bin/newgidmap", 04755, 0), 0);
	p->tree_root = tree_path(p->tree, "");
	p->host_env[0] = (char *)(uintptr_t) "PATH=/usr/bin";
	p->host_env[1] = (char *)(uintptr_t) "HOME=/home/me";
	p->host_env[2] = (char *)(uintptr_t) "SECRET=token";
	p->host = (struct probe_host){
		.arena = &p->arena,
		.uid = 1000,
		.gid = 1000,
		.user = "me",
		.group = "me",
		.home = "/home/me",
		.shell = "/bin/zsh",
		.cwd = "/home/me/src",
		.hostname = "castle",
		.root_prefix = p->tree_root,
		.environ_ = p->host_env,
		.landlock = 6,
		.kernel = 6012,
		.fuse = 1,
	};
}

void planning_finish(struct planning *p)
{
	plan_finish(&p->plan);
	cli_run_finish(&p->run);
	arena_finish(&p->arena);
	free(take_ptr(p->tree_root));
	defs_cleanup_fd(&p->tree);
}

int planning_make(struct planning *p, const char *options)
{
	char *text = arena_printf(&p->arena, "sbx%s%s -- true", *options ? " " : "", options);
	char *words[PLANNING_WORDS_MAX + 1];
	int n = 0;

	for (char *word = text; word; n++) {
		cr_assert_lt(n, PLANNING_WORDS_MAX);
		words[n] = word;
		word = strchr(word, ' ');
		if (word)
			*word++ = '\0';
	}
	words[n] = NULL;
	cr_assert_eq(cli_parse_run(n, words, &p->run, &p->err), 0, "%s: %s", options, p->err.what);
	return resolve_plan(&p->run.spec, &p->host, &p->plan, &p->err);
}

void planning_start(struct planning *p, const char *options)
{
	planning_init(p);
	cr_assert_eq(planning_make(p, options), 0, "%s: %s", options, planning_error(p));
}

const char *planning_steps(struct planning *p, bool all)
{
	char *text = arena_dup(&p->arena, "");

	for (size_t i = 0; i < p->plan.n_steps; i++) {
		const struct plan_step *step = &p->plan.steps[i];
		char room[512], cause_room[512];
		struct str_buf what = STR_BUF_ON_STACK(room), cause = STR_BUF_ON_STACK(cause_room);

		if (!all && step->cause[0] != '-')
			continue;
		step_describe(step, &what);
		step_describe_cause(step, &cause);
		text = arena_printf(&p->arena, "%s%s [%s]\n", text, what.data, cause.data);
	}
	return text;
}

const struct plan_step *planning_find(const struct planning *p, enum plan_step_kind kind,
				      const char *dest)
{
	for (size_t i = 0; i < p->plan.n_steps; i++) {
		const struct plan_step *step = &p->plan.steps[i];

		if (step->kind == kind && (!dest || str_equal(step->dest, dest)))
			return step;
	}
	return NULL;
}

/* Take the path of the made-up host out of a text, in place. */
static void planning_hide_tree(const struct planning *p, char *text)
{
	size_t n = strlen(p->tree_root);

	for (char *at = strstr(text, p->tree_root); at; at = strstr(at, p->tree_root))
		memmove(at, at + n, strlen(at + n) + 1);
}

const char *planning_error(struct planning *p)
{
	_autoclose_ int fd = memfd_create("error", MFD_CLOEXEC);
	struct sbx_err shown = p->err;
	char *text = NULL;
	size_t len;

	planning_hide_tree(p, shown.path);
	planning_hide_tree(p, shown.what);
	planning_hide_tree(p, shown.hint);
	err_print(&shown, "sbx", fd);
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	cr_assert_eq(io_read_all(fd, 1 << 16, &p->arena, &text, &len), 0);
	return text;
}

const char *planning_remarks(struct planning *p)
{
	char *text = arena_dup(&p->arena, "");

	for (size_t i = 0; i < p->plan.n_remarks; i++)
		text = arena_printf(&p->arena, "%s%s: %s\n", text, p->plan.remarks[i].topic,
				    p->plan.remarks[i].text);
	planning_hide_tree(p, text);
	return text;
}
