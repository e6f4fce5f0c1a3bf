/* SPDX-License-Identifier: MIT */
/* register: one record per sandbox, whole or not there, and whose it is the kernel says. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/run/register.h"
#include "testlib.h"

struct site {
	int tree;  /* owned */
	char *dir; /* owned */
	const char *argv[2];
	struct sbx_plan plan;
	struct register_entry entry;
	struct sbx_err err;
};

static void site_start(struct site *s, const char *name)
{
	memset(s, 0, sizeof(*s));
	s->tree = tmp_tree("boxes/");
	s->dir = tree_path(s->tree, "boxes");
	cr_assert_eq(fchmodat(s->tree, "boxes", 0700, 0), 0);
	plan_init(&s->plan);
	s->argv[0] = "sleep";
	s->plan.argv = s->argv;
	s->plan.box_dirs[0] = s->dir;
	s->plan.name = name;
	register_init(&s->entry);
}

static void site_end(struct site *s)
{
	register_finish(&s->entry);
	plan_finish(&s->plan);
	close(s->tree);
	free(s->dir);
}

/* How many names the directory has. */
static unsigned count_names(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	cr_assert(dir);
	for (const struct dirent *e; (e = readdir(dir));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(dir);
	return n;
}

static char *read_record(struct site *s)
{
	char name[128];

	snprintf(name, sizeof(name), "boxes/%s", s->entry.file);
	return tree_read(s->tree, name);
}

Test(register, a_claim_becomes_a_record_and_goes)
{
	struct site s;

	site_start(&s, "web");
	cr_assert_eq(register_claim(&s.entry, &s.plan, &s.err), 0, "%s", s.err.what);
	cr_expect_eq(s.entry.file[0], '.', "%s", s.entry.file);
	cr_assert_eq(register_publish(&s.entry, 4711, &s.err), 0, "%s", s.err.what);
	cr_expect(strstr(s.entry.file, "=web") && s.entry.file[0] != '.', "%s", s.entry.file);
	_autofree_ char *text = read_record(&s);

	cr_expect(strstr(text, "\"name\":\"web\""), "%s", text);
	cr_expect(strstr(text, "\"init-pid\":4711"), "%s", text);
	cr_expect(strstr(text, "\"command\":[\"sleep\"]"), "%s", text);
	cr_expect_eq(count_names(s.dir), 1);
	register_finish(&s.entry);
	cr_expect_eq(count_names(s.dir), 0);
	site_end(&s);
}

/* In a child, since a process does not see its own lock. */
static int see_holder(void *arg)
{
	const struct site *s = arg;
	int fd = openat(s->entry.dir_fd, s->entry.file, O_RDONLY | O_CLOEXEC);
	pid_t pid = 0;

	return fd >= 0 && register_lock_holder(fd, &pid) == 1 && pid == getppid() ? 0 : 1;
}

static int see_nobody(void *arg)
{
	const struct site *s = arg;
	int fd = openat(s->tree, "boxes/0123456789ab", O_RDONLY | O_CLOEXEC);
	pid_t pid = 0;

	return fd >= 0 && register_lock_holder(fd, &pid) == 0 ? 0 : 1;
}

Test(register, the_kernel_says_who_is_behind_a_record)
{
	struct site s;

	site_start(&s, NULL);
	cr_assert_eq(register_claim(&s.entry, &s.plan, &s.err), 0);
	cr_expect_eq(in_child(see_holder, &s), 0, "a claim");
	cr_assert_eq(register_publish(&s.entry, 1, &s.err), 0);
	cr_expect_eq(in_child(see_holder, &s), 0, "a record");
	close(openat(s.tree, "boxes/0123456789ab", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	cr_expect_eq(in_child(see_nobody, &s), 0, "a record that nobody holds");
	site_end(&s);
}

/* In a child: take the name that the parent has. Its own claim must be gone afterwards. */
static int take_same_name(void *arg)
{
	const struct site *s = arg;
	struct register_entry other;
	struct sbx_err err;
	int r;

	register_init(&other);
	r = register_claim(&other, &s->plan, &err);
	register_finish(&other);
	if (r == 0)
		return 1;
	return r == -EEXIST && strcmp(err.path, "web") == 0 &&
			       strstr(err.what, s->entry.label.id) &&
			       strstr(err.hint, "sbx stop web")
		       ? 0
		       : 2;
}

Test(register, a_name_is_had_once_among_the_living)
{
	struct site s;

	site_start(&s, "web");
	close(openat(s.tree, "boxes/0123456789ab=web", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	cr_assert_eq(register_claim(&s.entry, &s.plan, &s.err), 0, "a dead one's name is free");
	cr_expect_eq(in_child(take_same_name, &s), 0, "a claim counts");
	cr_assert_eq(register_publish(&s.entry, 1, &s.err), 0);
	cr_expect_eq(in_child(take_same_name, &s), 0);
	cr_expect_eq(count_names(s.dir), 2, "the claim of the loser has stayed");
	site_end(&s);
}

/* The first place that can be used is. */
Test(register, the_second_place_is_taken_where_the_first_is_none)
{
	struct site s;

	site_start(&s, NULL);
	s.plan.box_dirs[0] = "/proc/sbx/boxes";
	s.plan.box_dirs[1] = s.dir;
	cr_expect_eq(register_claim(&s.entry, &s.plan, &s.err), 0, "%s", s.err.what);
	register_finish(&s.entry);
	s.plan.box_dirs[1] = NULL;
	cr_expect_eq(register_claim(&s.entry, &s.plan, &s.err), -EACCES);
	cr_expect(strstr(s.err.hint, "XDG_RUNTIME_DIR"), "%s", s.err.hint);
	site_end(&s);
}

Test(register, a_long_command_is_cut_and_says_so)
{
	char arg[2048];
	struct site s;

	site_start(&s, NULL);
	memset(arg, '\1', sizeof(arg));
	arg[sizeof(arg) - 1] = '\0';
	s.plan.argv = (const char *[]){"echo", arg, NULL};
	cr_assert_eq(register_claim(&s.entry, &s.plan, &s.err), 0);
	cr_assert_eq(register_publish(&s.entry, 1, &s.err), 0);
	_autofree_ char *text = read_record(&s);

	cr_expect(strstr(text, "\"command\":[\"echo\"],\"command-is-cut\":true}\n"), "%s", text);
	site_end(&s);
}

/* In a child, for the lock of the parent counts there. */
static int sweep(void *arg)
{
	const struct site *s = arg;
	struct register_entry own = s->entry;

	own.dir_fd = openat(s->tree, "boxes", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	memcpy(own.label.id, "ffffffffffff", LABEL_ID_LEN);
	register_sweep(&own);
	return 0;
}

Test(register, a_sweep_removes_what_dead_ones_left)
{
	static const char *const dead[] = {"boxes/0123456789ab=web", "boxes/0123456789ab.sock",
					   "boxes/0123456789ab.log", "boxes/.aaaaaaaaaaaa",
					   "boxes/aaaaaaaaaaaa.sock"};
	struct site s;

	site_start(&s, "web");
	cr_assert_eq(register_claim(&s.entry, &s.plan, &s.err), 0);
	cr_assert_eq(register_publish(&s.entry, 1, &s.err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(dead); i++)
		close(openat(s.tree, dead[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	close(openat(s.tree, "boxes/notes", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	cr_expect_eq(in_child(sweep, &s), 0);
	for (size_t i = 0; i < ARRAY_SIZE(dead); i++)
		cr_expect(!tree_exists(s.tree, dead[i]), "%s", dead[i]);
	cr_expect_eq(count_names(s.dir), 2, "a living one's record, and what is not ours");
	site_end(&s);
}
