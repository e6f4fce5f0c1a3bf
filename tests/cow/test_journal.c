/* SPDX-License-Identifier: MIT */
/* journal: what an apply has changed excuses that, and nothing that comes later. */

#include <fcntl.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "sbx/cow/journal.h"
#include "sbx/cow/times.h"
#include "testlib.h"

enum { BOOT_AT = 8, MANY = 1000 };

static struct stat look(int tree, const char *name)
{
	struct stat st = {0};

	cr_assert_eq(fstatat(tree, name, &st, AT_SYMLINK_NOFOLLOW), 0, "%s: %m", name);
	return st;
}

/* The change time, and nothing else, is later than now by then. */
static void touch(int tree, const char *name)
{
	struct stat st = look(tree, name);
	struct timespec now;

	cr_assert_eq(clock_gettime(CLOCK_REALTIME, &now), 0);
	while (st.st_ctim.tv_sec < now.tv_sec ||
	       (st.st_ctim.tv_sec == now.tv_sec && st.st_ctim.tv_nsec <= now.tv_nsec)) {
		cr_assert_eq(fchmodat(tree, name, st.st_mode & 07777, 0), 0);
		st = look(tree, name);
	}
}

static bool excuses(struct cow_journal *j, int tree, const char *name)
{
	struct stat st = look(tree, name);

	return cow_journal_excuses(j, &st);
}

static void begin_since(struct cow_journal *j, int tree, const struct timespec *began)
{
	cr_assert_eq(cow_journal_open(j, tree, began, NULL, true), 0);
}

/* Whoever changes what is before the session, and so nobody else's. */
static void begin(struct cow_journal *j, int tree)
{
	begin_since(j, tree, &(const struct timespec){.tv_sec = INT32_MAX});
}

static void change(struct cow_journal *j, int tree, const char *name, bool note)
{
	struct stat st = look(tree, name);

	cr_assert_eq(cow_journal_add(j, &st), 0);
	touch(tree, name);
	st = look(tree, name);
	if (note)
		cow_journal_note(j, &st);
}

/* As SIGKILL ends it: nothing more is written. */
static void end_killed(struct cow_journal *j)
{
	j->open = false;
	cr_assert_eq(cow_journal_close(j), 0);
}

Test(journal, what_was_done_is_excused_until_it_is_changed)
{
	_autoclose_ int tree = tmp_tree("d/", "f=1\n");
	struct cow_journal j;

	begin(&j, tree);
	change(&j, tree, "d", true);
	change(&j, tree, "f", true);
	cr_expect(excuses(&j, tree, "d") && excuses(&j, tree, "f") && !excuses(&j, tree, "."));
	touch(tree, "d");
	cr_expect(!excuses(&j, tree, "d"), "also while it is at work");
	change(&j, tree, "d", true);
	cr_assert_eq(cow_journal_close(&j), 0);
	begin(&j, tree);
	cr_expect(excuses(&j, tree, "d") && excuses(&j, tree, "f"));
	touch(tree, "d");
	touch(tree, "f");
	cr_expect(!excuses(&j, tree, "d") && !excuses(&j, tree, "f"));
	cr_assert_eq(cow_journal_close(&j), 0);
}

/* Or what somebody changes at once could have the time of what was done. */
Test(journal, what_is_changed_behind_it_has_a_later_time)
{
	_autoclose_ int tree = tmp_tree("d/");

	for (int i = 0; i < 40; i++) {
		struct cow_journal j;
		struct timespec now;
		struct stat st;

		begin(&j, tree);
		change(&j, tree, "d", true);
		st = look(tree, "d");
		cr_assert_eq(cow_journal_close(&j), 0);
		/* What times of files come from. */
		cr_assert_eq(clock_gettime(CLOCK_REALTIME_COARSE, &now), 0);
		cr_assert(now.tv_sec > st.st_ctim.tv_sec ||
			  (now.tv_sec == st.st_ctim.tv_sec && now.tv_nsec > st.st_ctim.tv_nsec));
	}
}

/* Of a killed one only what it was at work on is as it is found, once. */
Test(journal, what_a_killed_one_was_at_is_excused_as_it_is_found)
{
	_autoclose_ int tree = tmp_tree("d/", "e/", "f=1\n", "g=1\n");
	struct cow_journal j;

	begin(&j, tree);
	change(&j, tree, "e", true);
	cr_assert_eq(cow_journal_settle(&j), 0);
	change(&j, tree, "d", false);
	change(&j, tree, "f", false);
	change(&j, tree, "g", false);
	end_killed(&j);
	touch(tree, "d");
	touch(tree, "f");
	touch(tree, "e");
	cr_assert_eq(utimensat(tree, "g", NULL, 0), 0);
	for (int i = 0; i < 2; i++) {
		begin(&j, tree);
		cr_expect(excuses(&j, tree, "d") && excuses(&j, tree, "f"));
		cr_expect(!excuses(&j, tree, "e"), "it was not at work on that");
		cr_expect(!excuses(&j, tree, "g"), "its data have changed");
		if (i == 0)
			end_killed(&j);
		else
			cr_assert_eq(cow_journal_close(&j), 0);
	}
	touch(tree, "d");
	touch(tree, "f");
	begin(&j, tree);
	cr_expect(!excuses(&j, tree, "d") && !excuses(&j, tree, "f"));
	cr_assert_eq(cow_journal_close(&j), 0);
}

/* Nobody knows which of what was written last has reached the disk. */
Test(journal, what_was_at_work_when_the_machine_stopped_is_excused_as_it_is_found)
{
	_autoclose_ int tree = tmp_tree("d/", "e/", "f=1\n"), file = -1;
	struct cow_journal j;

	begin(&j, tree);
	change(&j, tree, "d", true);
	change(&j, tree, "f", true);
	cr_assert_eq(cow_journal_settle(&j), 0);
	end_killed(&j);
	file = openat(tree, "journal", O_WRONLY | O_CLOEXEC);
	cr_assert_eq(pwrite(file, "another!", 8, BOOT_AT), 8);
	touch(tree, "d");
	touch(tree, "e");
	touch(tree, "f");
	begin(&j, tree);
	cr_expect(excuses(&j, tree, "d") && excuses(&j, tree, "f") && !excuses(&j, tree, "e"));
	cr_assert_eq(cow_journal_close(&j), 0);
	touch(tree, "d");
	begin(&j, tree);
	cr_expect(!excuses(&j, tree, "d") && excuses(&j, tree, "f"));
	cr_assert_eq(cow_journal_close(&j), 0);
}

/* Of what was at work nobody knows when it ended. */
Test(journal, what_changed_long_after_the_machine_stopped_is_not_excused)
{
	_autoclose_ int tree = tmp_tree("d/", "e/"), file = -1;
	const struct timespec long_ago[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000}};
	struct cow_journal j;

	begin(&j, tree);
	change(&j, tree, "d", true);
	cr_assert_eq(cow_journal_settle(&j), 0);
	change(&j, tree, "e", false);
	end_killed(&j);
	file = openat(tree, "journal", O_WRONLY | O_CLOEXEC);
	cr_assert_eq(pwrite(file, "another!", 8, BOOT_AT), 8);
	cr_assert_eq(futimens(file, long_ago), 0);
	begin(&j, tree);
	cr_expect(excuses(&j, tree, "d") && excuses(&j, tree, "e"));
	cr_assert_eq(cow_journal_close(&j), 0);
	cr_assert_eq(pwrite(file, "another!", 8, BOOT_AT), 8);
	cr_assert_eq(pwrite(file, &(uint32_t){1}, 4, 44), 4);
	cr_assert_eq(futimens(file, long_ago), 0);
	touch(tree, "d");
	begin(&j, tree);
	cr_expect(!excuses(&j, tree, "d") && excuses(&j, tree, "e"));
	cr_assert_eq(cow_journal_close(&j), 0);
}

/* What is added to somebody else's change does not excuse that, nor does force: not for ever. */
Test(journal, what_others_had_changed_before_is_never_excused)
{
	_autoclose_ int tree = tmp_tree("own/", "d/", "ahead/", "f=1\n");
	struct stat ahead, f = look(tree, "f"), own = look(tree, "own");
	struct timespec began = own.st_ctim;
	struct cow_journal j;

	touch(tree, "d");
	touch(tree, "ahead");
	touch(tree, "f");
	ahead = look(tree, "ahead");
	begin_since(&j, tree, &began);
	cr_assert_eq(cow_journal_plan(&j, &own), 0);
	cr_assert_eq(cow_journal_plan(&j, &ahead), 0);
	change(&j, tree, "own", true);
	change(&j, tree, "own", true);
	change(&j, tree, "d", true);
	f = look(tree, "f");
	cr_assert_eq(cow_journal_hold(&j, &f), 0);
	touch(tree, "f");
	end_killed(&j);
	for (int round = 0; round < 2; round++) {
		begin_since(&j, tree, &began);
		cr_expect(excuses(&j, tree, "own"));
		cr_expect(!excuses(&j, tree, "d") && !excuses(&j, tree, "f"));
		change(&j, tree, "d", true);
		change(&j, tree, "ahead", true);
		cr_expect(!excuses(&j, tree, "d") && !excuses(&j, tree, "ahead"));
		cr_assert_eq(cow_journal_close(&j), 0);
	}
	/* Another file has got the number: this one's own. */
	f = look(tree, "d");
	begin_since(&j, tree, &began);
	cr_assert_eq(cow_journal_hold_new(&j, &f), 0);
	cow_journal_note(&j, &f);
	cr_assert_eq(cow_journal_close(&j), 0);
	begin_since(&j, tree, &began);
	cr_expect(excuses(&j, tree, "d"));
	cr_assert_eq(cow_journal_close(&j), 0);
}

/* The kernel's number is another when the disk was mounted again. */
Test(journal, a_file_is_known_on_a_device_with_another_number)
{
	const struct timespec began = {.tv_sec = INT32_MAX};
	_autoclose_ int tree = tmp_tree("d/", "s/", "f=1\n");
	struct stat d = look(tree, "d"), s = look(tree, "s"), f = look(tree, "f");
	struct cow_devices devices = {0};
	struct cow_journal j;

	s.st_dev = 9; /* no root is on it */
	cow_devices_set(&devices, 0, 7);
	cow_devices_set(&devices, 1, d.st_dev);
	cr_assert_eq(cow_journal_open(&j, tree, &began, &devices, true), 0);
	cr_assert_eq(cow_journal_add(&j, &d), 0);
	cow_journal_note(&j, &d);
	cr_assert_eq(cow_journal_add(&j, &s), 0);
	cow_journal_note(&j, &s);
	cow_journal_note_placed(&j, &f);
	cr_assert_eq(cow_journal_close(&j), 0);
	cow_devices_set(&devices, 0, d.st_dev);
	cow_devices_set(&devices, 1, 77);
	cr_assert_eq(cow_journal_open(&j, tree, &began, &devices, true), 0);
	cr_expect(!cow_journal_excuses(&j, &d) && cow_journal_excuses(&j, &s));
	cr_expect(!cow_journal_excuses(&j, &f));
	d.st_dev = f.st_dev = 77;
	cr_expect(cow_journal_excuses(&j, &d) && cow_journal_excuses(&j, &f));
	d.st_dev = 7;
	cr_expect(!cow_journal_excuses(&j, &d));
	cr_assert_eq(cow_journal_close(&j), 0);
}

/* Exactly as they were left; in the order of thousands they are found too. */
Test(journal, what_was_placed_is_excused_as_it_was_left)
{
	_autoclose_ int tree = tmp_tree("f=1\n", "g=1\n"), file = -1;
	struct stat f = look(tree, "f"), g = look(tree, "g"), other = f;
	struct cow_journal j;

	begin(&j, tree);
	for (ino_t i = 0; i < MANY; i++) {
		other.st_ino = MANY - i;
		other.st_dev = 77;
		cow_journal_note_placed(&j, &other);
	}
	cow_journal_note_placed(&j, &f);
	cr_assert_eq(cow_journal_close(&j), 0);
	file = openat(tree, "placed", O_RDWR | O_CLOEXEC);
	cr_assert_eq(look(tree, "placed").st_size, (MANY + 1) * 32);
	cr_assert_eq(ftruncate(file, look(tree, "placed").st_size + 5), 0);
	begin(&j, tree);
	cr_expect(cow_journal_excuses(&j, &f) && !cow_journal_excuses(&j, &g));
	other.st_ino = 1;
	cr_expect(cow_journal_excuses(&j, &other));
	cow_journal_note_placed(&j, &g);
	touch(tree, "f");
	cr_expect(!excuses(&j, tree, "f"));
	cr_assert_eq(cow_journal_close(&j), 0);
	begin(&j, tree);
	cr_expect(cow_journal_excuses(&j, &g), "behind what was cut");
	cr_assert_eq(cow_journal_close(&j), 0);
}

/* What is no file of records has none, and is not waited for. */
Test(journal, other_things_in_its_place_have_no_records)
{
	_autoclose_ int tree = tmp_tree("f=1\n");
	struct stat f = look(tree, "f");
	struct cow_journal j;

	cr_assert_eq(mkfifoat(tree, "placed", 0600), 0);
	begin(&j, tree);
	cow_journal_note_placed(&j, &f);
	cr_expect(!cow_journal_excuses(&j, &f));
	cr_expect_eq(cow_journal_close(&j), 0, "it is no error");
}

/* No name that is made or taken away does that. */
Test(journal, a_file_that_was_written_to_meanwhile_excuses_nothing)
{
	_autoclose_ int tree = tmp_tree("f=1\n"), fd = openat(tree, "f", O_WRONLY | O_CLOEXEC);
	struct stat st = look(tree, "f");
	struct cow_journal j;

	begin(&j, tree);
	cr_assert_eq(cow_journal_add(&j, &st), 0);
	while (look(tree, "f").st_mtim.tv_nsec == st.st_mtim.tv_nsec)
		cr_assert_eq(pwrite(fd, "2", 1, 0), 1);
	st = look(tree, "f");
	cow_journal_note(&j, &st);
	cr_expect(!excuses(&j, tree, "f"));
	change(&j, tree, "f", true);
	cr_assert_eq(cow_journal_close(&j), 0);
	begin(&j, tree);
	cr_expect(!excuses(&j, tree, "f"));
	cr_assert_eq(cow_journal_close(&j), 0);
}

Test(journal, a_file_that_is_gone_excuses_nothing)
{
	_autoclose_ int tree = tmp_tree("f=1\n"), fd = openat(tree, "f", O_PATH | O_CLOEXEC);
	struct cow_journal j;
	struct stat st;

	begin(&j, tree);
	change(&j, tree, "f", true);
	cr_assert_eq(unlinkat(tree, "f", 0), 0);
	cr_assert_eq(fstat(fd, &st), 0);
	cow_journal_note(&j, &st);
	cr_expect(!cow_journal_excuses(&j, &st));
	cr_assert_eq(cow_journal_close(&j), 0);
	begin(&j, tree);
	cr_expect(cow_journal_knows(&j, &st) && !cow_journal_excuses(&j, &st));
	cr_assert_eq(cow_journal_close(&j), 0);
}

/* Those that are taken along excuse nothing by that; each has one record, however often. */
Test(journal, many_are_written_together)
{
	_autoclose_ int tree = tmp_tree("d/", "e/");
	struct stat st = look(tree, "e"), d = look(tree, "d");
	struct cow_journal j;

	begin(&j, tree);
	cr_assert_eq(cow_journal_plan(&j, &d), 0);
	cr_assert_eq(cow_journal_plan(&j, &d), 0);
	cr_assert_eq(cow_journal_plan(&j, &st), 0);
	change(&j, tree, "d", true);
	cr_expect_eq(j.n_written, 2);
	touch(tree, "e");
	cr_expect(!excuses(&j, tree, "e"));
	for (int round = 0; round < 2; round++)
		for (ino_t i = 0; i < MANY; i++) {
			const struct stat one = {.st_dev = 77, .st_ino = i + 1, .st_mode = S_IFDIR};

			cr_assert_eq(cow_journal_hold(&j, &one), 0);
			cow_journal_note(&j, &one);
		}
	cr_assert_eq(cow_journal_close(&j), 0);
	cr_expect_eq(look(tree, "journal").st_size, (MANY + 3) * 48);
	begin(&j, tree);
	cr_expect_eq(j.n, MANY + 2);
	cr_expect(excuses(&j, tree, "d") && !excuses(&j, tree, "e"));
	cr_assert_eq(cow_journal_close(&j), 0);
}

/* Nor is half of a record at its end one, and what is none has none. */
Test(journal, a_journal_that_is_cut_is_one)
{
	_autoclose_ int tree = tmp_tree("d/"), file = -1;
	struct cow_journal j;

	begin(&j, tree);
	change(&j, tree, "d", true);
	cr_assert_eq(cow_journal_close(&j), 0);
	file = openat(tree, "journal", O_RDWR | O_CLOEXEC);
	cr_assert_eq(ftruncate(file, look(tree, "journal").st_size + 7), 0);
	begin(&j, tree);
	cr_expect(j.n == 1 && excuses(&j, tree, "d"));
	cr_assert_eq(cow_journal_close(&j), 0);
	cr_assert_eq(pwrite(file, "other", 5, 0), 5);
	begin(&j, tree);
	cr_expect(j.n == 0 && !excuses(&j, tree, "d"));
	change(&j, tree, "d", true);
	cr_assert_eq(cow_journal_close(&j), 0);
	cr_expect_eq(look(tree, "journal").st_size, 2 * 48);
}

/* Will what changes it from now on have a later time, on a filesystem that has these? */
static bool is_behind(const struct stat *st)
{
	const struct timespec last = cow_time_last(&st->st_ctim);
	struct timespec now;

	cr_assert_eq(clock_gettime(CLOCK_REALTIME_COARSE, &now), 0);
	return cow_time_is_after(&now, &last);
}

/* As on a filesystem that has whole seconds. */
static struct stat look_coarsely(int tree, const char *path)
{
	struct stat st = look(tree, path);

	st.st_atim.tv_nsec = st.st_mtim.tv_nsec = st.st_ctim.tv_nsec = 0;
	return st;
}

/* Where the filesystem has whole seconds, the rest of one is not left to others. */
Test(journal, a_second_that_was_begun_is_over_when_it_is_closed)
{
	_autoclose_ int tree = tmp_tree("d/");
	struct stat st = look_coarsely(tree, "d");
	struct timespec now;
	struct cow_journal j;

	for (int killed = 0; killed < 2; killed++) {
		begin(&j, tree);
		cr_assert_eq(cow_journal_add(&j, &st), 0);
		if (killed) {
			end_killed(&j);
			begin(&j, tree);
		}
		cr_assert_eq(clock_gettime(CLOCK_REALTIME_COARSE, &now), 0);
		st.st_ctim = (struct timespec){.tv_sec = killed ? j.files[0].until.tv_sec - 1
								: now.tv_sec};
		if (!killed)
			cow_journal_note(&j, &st);
		cr_expect(cow_journal_excuses(&j, &st));
		if (killed) /* as one is that was not changed yet, and is now */
			st.st_ctim.tv_sec++;
		cr_assert_eq(cow_journal_close(&j), 0);
		cr_expect(is_behind(&st), "%d", killed);
	}
}

/* What is taken as it is found was changed before; a clock may stand still meanwhile. */
Test(journal, what_is_taken_as_it_is_found_is_not_changed_at_that_moment)
{
	_autoclose_ int tree = tmp_tree("d/");
	struct timespec coarse;
	struct cow_journal j;

	begin(&j, tree);
	change(&j, tree, "d", false);
	end_killed(&j);
	begin(&j, tree);
	cr_expect(excuses(&j, tree, "d"));
	const struct timespec until = j.files[0].until;
	cr_assert_eq(cow_journal_close(&j), 0);
	cr_assert_eq(clock_gettime(CLOCK_REALTIME_COARSE, &coarse), 0);
	cr_expect(cow_time_is_after(&coarse, &until));
}

/* So it is of a file that has got its only name. */
Test(journal, a_second_in_which_a_file_was_placed_is_over_too)
{
	_autoclose_ int tree = tmp_tree("d/", "f=1\n");
	struct stat dir = look(tree, "d"), file = look(tree, "f");
	struct timespec now;
	struct cow_journal j;

	begin(&j, tree);
	cr_assert_eq(cow_journal_add(&j, &dir), 0);
	cr_assert_eq(clock_gettime(CLOCK_REALTIME_COARSE, &now), 0);
	file.st_ctim = (struct timespec){.tv_sec = now.tv_sec};
	cow_journal_note_placed(&j, &file);
	cr_assert_eq(cow_journal_close(&j), 0);
	cr_expect(is_behind(&file));
}

/* What somebody else may have changed since the session began is not made an apply's own. */
Test(journal, what_may_be_anothers_stays_that)
{
	static const struct timespec began = {1000, 500000001};
	_autoclose_ int tree = tmp_tree("d/");
	struct stat st = look_coarsely(tree, "d");
	struct cow_journal j;

	for (int before = 0; before < 2; before++) {
		st.st_ino++;
		st.st_ctim = (struct timespec){1000, before};
		begin_since(&j, tree, &began);
		cr_assert_eq(cow_journal_add(&j, &st), 0);
		st.st_ctim = (struct timespec){1001, 1};
		cow_journal_note(&j, &st);
		cr_expect_eq(cow_journal_excuses(&j, &st), before);
		cr_assert_eq(cow_journal_close(&j), 0);
	}
}

/* A new file with several names, on a filesystem that has cut off what it was given as its time. */
Test(journal, a_new_file_whose_time_was_cut_off_is_the_same)
{
	_autoclose_ int tree = tmp_tree("f=1\n");
	struct stat st = look(tree, "f");
	struct cow_journal j;

	for (int another = 0; another < 2; another++) {
		st.st_ino++;
		st.st_mtim = (struct timespec){1000, 500000001};
		begin_since(&j, tree, &(const struct timespec){1000, 0});
		cr_assert_eq(cow_journal_hold_new(&j, &st), 0);
		cr_assert_eq(cow_journal_flush(&j), 0);
		st.st_mtim = (struct timespec){1000 + another, 0};
		st.st_ctim = (struct timespec){1003, 0};
		cow_journal_note(&j, &st);
		cr_expect_eq(cow_journal_excuses(&j, &st), !another);
		cr_assert_eq(cow_journal_close(&j), 0);
	}
}
