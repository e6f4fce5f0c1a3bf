/* SPDX-License-Identifier: MIT */
/* What a walk finds, where it does not look, and when it is in doubt. */

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "testlib.h"

#include "sbx/base/str.h"
#include "sbx/spec/sockets_walk.h"

struct site {
	int tree;   /* owned */
	char *root; /* owned */
	struct sbx_plan plan;
	struct sockets_budget budget;
	struct sockets_walk walk;
};

#define site_init(s, ...) site_make((s), tmp_tree(__VA_ARGS__))
static void site_make(struct site *s, int tree)
{
	_autofree_ char *path = tree_path(tree, "");

	*s = (struct site){.tree = tree, .root = realpath(path, NULL)};
	cr_assert(s->root);
	plan_init(&s->plan);
	s->plan.uid_map.own_outside = getuid();
	s->budget = sockets_budget_for_mask();
	s->walk = (struct sockets_walk){
		.arena = &s->plan.arena,
		.plan = &s->plan,
		.source = s->root,
		.dest = "/t",
		.budget = &s->budget,
	};
}

static void site_finish(struct site *s)
{
	plan_finish(&s->plan);
	close(s->tree);
	free(s->root);
}

/* A socket that nobody listens on. */
static void site_bind(const struct site *s, const char *dir, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_autoclose_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_autoclose_ int at = openat(s->tree, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(fchdir(at), 0, "%s", dir);
	str_copy(address.sun_path, sizeof(address.sun_path), name);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0, "%s", name);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What was found, sorted, one per line. */
static const char *site_walk(struct site *s)
{
	char *text = arena_dup(&s->plan.arena, "");

	cr_assert_eq(sockets_walk(&s->walk), 0);
	if (s->walk.n_found)
		qsort(s->walk.found, s->walk.n_found, sizeof(*s->walk.found), by_name);
	for (size_t i = 0; i < s->walk.n_found; i++)
		text = arena_printf(&s->plan.arena, "%s%s\n", text, s->walk.found[i]);
	return text;
}

#define _autosite_ __attribute__((cleanup(site_finish)))

Test(sockets_walk, finds_sockets_and_nothing_else)
{
	_autosite_ struct site s;

	site_init(&s, "a/b/c/", "file=x", "a/up -> ..", "a/link -> b/c/s", "a/out -> /");
	site_bind(&s, ".", "top");
	site_bind(&s, "a/b/c", "s");
	site_bind(&s, "a/b", "two words\nand lines");
	cr_assert_eq(mkfifoat(s.tree, "a/fifo", 0600), 0);
	cr_expect_str_eq(site_walk(&s), "a/b/c/s\na/b/two words\nand lines\ntop\n");
	cr_expect_eq(s.walk.doubt, SOCKETS_SURE, "%s", sockets_doubt_text(&s.walk));
}

Test(sockets_walk, a_file_has_none_and_what_is_not_there_neither)
{
	static const char *const names[] = {"file", "none"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_autosite_ struct site s;
		_autofree_ char *path = NULL;

		site_init(&s, "file=x");
		path = tree_path(s.tree, names[i]);
		s.walk.source = path;
		cr_expect_str_eq(site_walk(&s), "");
		cr_expect_eq(s.walk.doubt, SOCKETS_SURE);
	}
}

Test(sockets_walk, hidden_places_are_not_looked_at)
{
	static const char *const hidden[] = {"/t/a", "/t/bb", "/else"};
	_autosite_ struct site s;

	site_init(&s, "a/deep/", "b/", "aa/");
	site_bind(&s, "a/deep", "s");
	site_bind(&s, "b", "s");
	site_bind(&s, "aa", "s");
	cr_assert_eq(fchmodat(s.tree, "a", 0100, 0), 0);
	s.walk.hidden = hidden;
	s.walk.n_hidden = ARRAY_SIZE(hidden);
	cr_expect_str_eq(site_walk(&s), "aa/s\nb/s\n");
	cr_expect_eq(s.walk.doubt, SOCKETS_SURE);
	cr_assert_eq(fchmodat(s.tree, "a", 0700, 0), 0);
}

Test(sockets_walk, of_the_whole_bind_if_something_covers_that)
{
	static const char *const hidden[] = {"/"};
	_autosite_ struct site s;

	site_init(&s, NULL);
	site_bind(&s, ".", "s");
	s.walk.hidden = hidden;
	s.walk.n_hidden = 1;
	cr_expect_str_eq(site_walk(&s), "");
}

Test(sockets_walk, names_that_run_out_are_a_doubt)
{
	_autosite_ struct site s;

	site_init(&s, "a/b/c=x", "d=x", "e=x");
	s.budget.entries = s.budget.all_entries = 8; /* names, with the dots of each directory */
	site_walk(&s);
	cr_expect_eq(s.walk.doubt, SOCKETS_TOO_MANY);
	cr_expect(strstr(sockets_doubt_text(&s.walk), ": 8 names"), "%s",
		  sockets_doubt_text(&s.walk));
	cr_expect_eq(s.budget.entries, 0);
}

Test(sockets_walk, walks_share_what_they_may_use)
{
	_autosite_ struct site s;

	site_init(&s, "a=x");
	s.budget.entries = s.budget.all_entries = 5;
	site_walk(&s);
	cr_expect_eq(s.walk.doubt, SOCKETS_SURE);
	cr_expect_eq(s.budget.entries, 2);
	site_walk(&s);
	cr_expect_eq(s.walk.doubt, SOCKETS_TOO_MANY);
}

Test(sockets_walk, time_that_runs_out_is_a_doubt)
{
	_autosite_ struct site s;

	site_init(&s, "a/");
	s.budget.until_ms = 0;
	site_walk(&s);
	cr_expect_eq(s.walk.doubt, SOCKETS_TOO_SLOW);
	cr_expect(strstr(sockets_doubt_text(&s.walk), "20 seconds"), "%s",
		  sockets_doubt_text(&s.walk));
}

/* Names are masked by their path inside, which has an end. */
Test(sockets_walk, what_lies_too_deep_is_a_doubt)
{
	_autosite_ struct site s;
	int at;

	site_init(&s, NULL);
	at = openat(s.tree, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (int depth = 0; depth < 20; depth++) {
		char name[251];
		int next;

		memset(name, 'd', sizeof(name));
		name[sizeof(name) - 1] = '\0';
		cr_assert_eq(mkdirat(at, name, 0700), 0);
		next = openat(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = next;
	}
	close(at);
	site_walk(&s);
	cr_expect_eq(s.walk.doubt, SOCKETS_TOO_DEEP);
}

Test(sockets_walk, what_cannot_be_read_is_a_doubt_for_its_owner)
{
	static const mode_t modes[] = {0, 0100, 0300, 0400, 0600};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		_autosite_ struct site s;

		site_init(&s, "a/b/", "c/");
		site_bind(&s, "c", "s");
		cr_assert_eq(fchmodat(s.tree, "a", modes[i], 0), 0);
		cr_expect_str_eq(site_walk(&s), "c/s\n");
		cr_assert_eq(fchmodat(s.tree, "a", 0700, 0), 0);
		cr_expect_eq(s.walk.doubt, SOCKETS_UNREADABLE, "%04o", modes[i]);
		cr_expect_str_eq(s.walk.doubtful, "a", "%04o", modes[i]);
	}
}

/* What belongs to somebody else, and can only be passed through with its permission. */
Test(sockets_walk, of_others_only_what_can_be_searched)
{
	static const mode_t modes[] = {0, 0100, 0400, 0500};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		_autosite_ struct site s;

		site_init(&s, "a/");
		/* As if it were another's: the walk knows the caller by the plan. */
		s.plan.uid_map.own_outside = getuid() + 1;
		cr_assert_eq(fchmodat(s.tree, "a", modes[i], 0), 0);
		site_walk(&s);
		cr_assert_eq(fchmodat(s.tree, "a", 0700, 0), 0);
		cr_expect_eq(s.walk.doubt, modes[i] == 0100 ? SOCKETS_UNREADABLE : SOCKETS_SURE,
			     "%04o", modes[i]);
	}
}

/* But where the command can have ids beside the caller's, such an owner may be one of them. */
Test(sockets_walk, of_others_that_the_command_can_become)
{
	static const struct {
		bool nested, any;
		uint32_t first;
		enum sockets_doubt doubt;
	} rows[] = {
		{false, false, 0, SOCKETS_SURE},
		{true, false, 0, SOCKETS_UNREADABLE},
		{true, false, 1, SOCKETS_SURE},
		{false, true, 1, SOCKETS_UNREADABLE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct plan_map_line line = {.outside = getuid() + rows[i].first, .count = 1};
		_autosite_ struct site s;

		site_init(&s, "a/");
		s.plan.uid_map = (struct plan_map){
			.lines = &line, .n_lines = 1, .own_outside = getuid() + 1};
		s.plan.payload_uid = s.plan.uid_map.own_inside;
		s.plan.payload_gid = s.plan.gid_map.own_inside;
		s.plan.nested_userns = rows[i].nested;
		s.walk.any_ids = rows[i].any;
		cr_assert_eq(fchmodat(s.tree, "a", 0, 0), 0);
		site_walk(&s);
		cr_assert_eq(fchmodat(s.tree, "a", 0700, 0), 0);
		cr_expect_eq(s.walk.doubt, rows[i].doubt, "row %zu", i);
	}
}
