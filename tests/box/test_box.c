/* SPDX-License-Identifier: MIT */
/* box: what runs is found by name, id, or how the id alone begins; what is dead is removed. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sbx/box/box.h"
#include "sbx/box/procs.h"
#include "sbx/run/control.h"
#include "testlib.h"

struct site {
	int tree;  /* owned */
	char *dir; /* owned */
	struct sbx_plan plan;
	const char *argv[2];
	const char *dirs[BOX_DIRS];
};

static void site_start(struct site *s)
{
	memset(s, 0, sizeof(*s));
	s->tree = tmp_tree("boxes/");
	s->dir = tree_path(s->tree, "boxes");
	cr_assert_eq(fchmodat(s->tree, "boxes", 0700, 0), 0);
	plan_init(&s->plan);
	s->argv[0] = "true";
	s->plan.argv = s->argv;
	s->plan.box_dirs[0] = s->dirs[0] = s->dir;
}

static void site_end(struct site *s)
{
	plan_finish(&s->plan);
	free(s->dir);
	close(s->tree);
}

static void make(const struct site *s, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "boxes/%s", name);
	close(openat(s->tree, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

/* Look from another process: one does not see its own locks. */
static int look(void *arg)
{
	const struct site *s = arg;
	_autoarena_ struct arena arena;
	struct box_list list;
	struct sbx_err err;

	arena_init(&arena);
	return box_list(s->dirs, BOX_RUNNING, &arena, &list, &err) == 0 ? (int)list.n_boxes : -1;
}

Test(box, what_a_dead_monitor_left_is_removed_by_who_looks)
{
	struct register_entry alive;
	struct sbx_err err;
	struct site s;

	site_start(&s);
	make(&s, "0123456789ab=web");
	make(&s, "0123456789ab.sock");
	make(&s, ".aaaaaaaaaaaa");
	make(&s, "aaaaaaaaaaaa.sock");
	make(&s, "notes.txt");
	register_init(&alive);
	cr_assert_eq(register_claim(&alive, &s.plan, &err), 0);
	cr_assert_eq(register_publish(&alive, 1, &err), 0);
	cr_expect_eq(in_child(look, &s), 1);
	cr_expect(!tree_exists(s.tree, "boxes/0123456789ab=web"));
	cr_expect(!tree_exists(s.tree, "boxes/0123456789ab.sock"));
	cr_expect(!tree_exists(s.tree, "boxes/.aaaaaaaaaaaa"), "a claim");
	cr_expect(!tree_exists(s.tree, "boxes/aaaaaaaaaaaa.sock"));
	cr_expect(tree_exists(s.tree, "boxes/notes.txt"), "not ours");
	register_finish(&alive);
	cr_expect_eq(in_child(look, &s), 0);
	site_end(&s);
}

Test(box, what_is_no_file_of_ours_is_no_record)
{
	struct site s;

	site_start(&s);
	cr_assert_eq(mkdirat(s.tree, "boxes/0123456789ab", 0700), 0);
	cr_assert_eq(symlinkat("/dev/null", s.tree, "boxes/aaaaaaaaaaaa"), 0);
	cr_assert_eq(mkfifoat(s.tree, "boxes/bbbbbbbbbbbb", 0600), 0);
	cr_expect_eq(in_child(look, &s), 0);
	cr_expect(tree_exists(s.tree, "boxes/0123456789ab"));
	site_end(&s);
}

enum { N_ENTRIES = 3 };

struct finding {
	struct site site;
	struct register_entry entries[N_ENTRIES];
	const char *word;
	int result;
	size_t entry; /* which it must be, where the result is 0 */
};

static int find(void *arg)
{
	const struct finding *f = arg;
	_autoarena_ struct arena arena;
	struct sbx_err err;
	struct box box;
	int r;

	arena_init(&arena);
	r = box_find(f->site.dirs, BOX_RUNNING, &arena, f->word, &box, &err);
	if (r != f->result)
		return 1;
	if (r == 0 && strcmp(box.label.id, f->entries[f->entry].label.id) != 0)
		return 2;
	return r == 0 && box.monitor != getppid() ? 3 : 0;
}

/* Give an entry an id that the test knows. */
static void rename_entry(struct finding *f, size_t i, const char *id)
{
	char from[128], to[128];

	snprintf(from, sizeof(from), "boxes/%s", f->entries[i].file);
	memcpy(f->entries[i].label.id, id, LABEL_ID_LEN);
	memcpy(f->entries[i].file, id, LABEL_ID_LEN);
	snprintf(to, sizeof(to), "boxes/%s", f->entries[i].file);
	cr_assert_eq(renameat(f->site.tree, from, f->site.tree, to), 0);
}

Test(box, a_word_means_a_name_an_id_or_a_prefix_that_is_alone)
{
	static const char *const ids[] = {"abc000000001", "abc000000002", "0f0000000003"};
	static const char *const names[] = {NULL, "web", "abc"};
	static const struct {
		const char *word;
		int result;
		size_t entry;
	} cases[] = {
		{"web", 0, 1},
		{"abc", 0, 2}, /* a name goes before a prefix */
		{"abc000000001", 0, 0},
		{"0f", 0, 2},
		{"ab", -EINVAL, 0},
		{"abc00000000", -EINVAL, 0},
		{"we", -ESRCH, 0},
		{"", -ESRCH, 0},
		{"abc0000000010", -ESRCH, 0},
	};
	struct finding f;
	struct sbx_err err;

	site_start(&f.site);
	for (size_t i = 0; i < N_ENTRIES; i++) {
		f.site.plan.name = names[i];
		register_init(&f.entries[i]);
		cr_assert_eq(register_claim(&f.entries[i], &f.site.plan, &err), 0);
		cr_assert_eq(register_publish(&f.entries[i], 1, &err), 0);
		rename_entry(&f, i, ids[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		f.word = cases[i].word;
		f.result = cases[i].result;
		f.entry = cases[i].entry;
		cr_expect_eq(in_child(find, &f), 0, "%s", f.word);
	}
	for (size_t i = 0; i < N_ENTRIES; i++)
		register_finish(&f.entries[i]);
	site_end(&f.site);
}

Test(box, start_times_are_read_behind_any_name)
{
	char state = 0;

	cr_expect_gt(procs_start_ticks(getpid(), &state), 0);
	cr_expect(state == 'R' || state == 'S', "%c", state);
	cr_expect_eq(procs_start_ticks(1 << 30, NULL), 0);
}
