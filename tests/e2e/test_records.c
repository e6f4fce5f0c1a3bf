/* SPDX-License-Identifier: MIT */
/* Which sandboxes are recorded, under which names, and what is left of one that was killed. */

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boxes.h"

/* How many records there are; those of a name, with `name`. */
static unsigned count_records(const struct place *p, const char *name)
{
	int fd = openat(p->tree, "run/sbx/boxes", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	unsigned n = 0;

	if (!dir)
		return 0;
	for (const struct dirent *e; (e = readdir(dir));) {
		if (e->d_name[0] == '.' || strchr(e->d_name, '.'))
			continue;
		n += !name ||
		     (strchr(e->d_name, '=') && strcmp(strchr(e->d_name, '=') + 1, name) == 0);
	}
	closedir(dir);
	return n;
}

Test(records, each_sandbox_has_one_as_long_as_it_runs)
{
	_autosession_ struct session named, plain;
	struct place p;

	place_start(&p);
	start_in(&p, &named, "--name", "web", "--");
	start_in(&p, &plain, "--");
	cr_assert(session_expect(&named, "up"));
	cr_assert(session_expect(&plain, "up"));
	cr_expect_eq(count_records(&p, NULL), 2);
	cr_expect_eq(count_records(&p, "web"), 1);
	session_send(&named, "\n");
	session_send(&plain, "\n");
	struct run_result one = session_finish(&named), two = session_finish(&plain);

	expect_success(one);
	expect_success(two);
	cr_expect_eq(count_records(&p, NULL), 0);
	run_result_finish(&one);
	run_result_finish(&two);
	close(p.tree);
}

/* Nothing of the second may have begun. */
Test(records, a_name_that_is_taken_starts_nothing)
{
	_autosession_ struct session first;
	struct place p;

	place_start(&p);
	start_in(&p, &first, "--name", "web", "--");
	cr_assert(session_expect(&first, "up"));
	const struct run_options options = {.env = p.env};
	_autorun_ struct run_result second = in_usr_with(&options, "--name", "web", SH("echo ran"));
	_autorun_ struct run_result other = in_usr_with(&options, "--name", "web2", SH("echo ran"));
	_autorun_ struct run_result ids =
		run_argv(&options, (const char *const[]){sbx_program(), "ps", "-q", NULL});
	char longer[64];

	ids.out[strcspn(ids.out, "\n")] = '\0';
	(void)snprintf(longer, sizeof(longer), "%s0", ids.out);
	/* A verb would not know whom it is to mean. */
	_autorun_ struct run_result third =
		in_usr_with(&options, "--name", ids.out, SH("echo ran"));
	_autorun_ struct run_result fourth =
		in_usr_with(&options, "--name", longer, SH("echo ran"));

	expect_failure(second, 125, "--name: web: is the name of a running sandbox");
	cr_expect_str_eq(second.out, "");
	expect_out(other, "ran\n");
	expect_failure(third, 125, ": is the id of a running sandbox");
	cr_expect_str_eq(third.out, "");
	expect_out(fourth, "ran\n");
	cr_expect_eq(count_records(&p, NULL), 1);
	close(p.tree);
}

enum { RACERS = 8 };

Test(records, of_many_that_want_one_name_one_gets_it)
{
	struct session racers[RACERS];
	unsigned winners = 0;
	struct place p;

	place_start(&p);
	for (size_t i = 0; i < RACERS; i++)
		start_in(&p, &racers[i], "--name", "one", "--");
	for (size_t i = 0; i < RACERS; i++) {
		bool up = session_expect(&racers[i], "up");

		winners += up;
		if (up)
			cr_expect_eq(count_records(&p, "one"), 1);
		cr_expect(up || strstr(racers[i].result.err, "is the name of a running sandbox"),
			  "%s", racers[i].result.err);
	}
	cr_expect_eq(winners, 1);
	for (size_t i = 0; i < RACERS; i++)
		session_stop(&racers[i]);
	close(p.tree);
}

Test(records, the_name_of_one_that_was_killed_is_free)
{
	_autosession_ struct session first;
	struct place p;

	place_start(&p);
	start_in(&p, &first, "--name", "web", "--");
	cr_assert(session_expect(&first, "up"));
	cr_assert_eq(kill(first.pid, SIGKILL), 0);
	struct run_result killed = session_finish(&first);
	const struct run_options options = {.env = p.env};
	_autorun_ struct run_result next = in_usr_with(&options, "--name", "web", SH("echo ran"));

	cr_expect_eq(killed.status, -SIGKILL);
	expect_out(next, "ran\n");
	run_result_finish(&killed);
	close(p.tree);
}

/* A record protects nobody: without a name it is not missed. */
Test(records, where_none_can_be_written_only_a_name_matters)
{
	struct place p;

	place_start(&p);
	cr_assert_eq(fchmodat(p.tree, "run", 0500, 0), 0);
	cr_assert_eq(fchmodat(p.tree, "home", 0500, 0), 0);
	const struct run_options options = {.env = p.env};
	_autorun_ struct run_result plain = in_usr_with(&options, SH("echo ran"));
	_autorun_ struct run_result told = in_usr_with(&options, "-v", SH("echo ran"));
	_autorun_ struct run_result named = in_usr_with(&options, "--name", "web", SH("echo ran"));

	expect_out(plain, "ran\n");
	cr_expect_str_eq(plain.err, "");
	expect_out(told, "ran\n");
	cr_expect(strstr(told.err, "cannot record the sandbox"), "%s", told.err);
	expect_failure(named, 125, "cannot record the sandbox: Permission denied");
	cr_expect_str_eq(named.out, "");
	close(p.tree);
}

/* Without XDG_RUNTIME_DIR it is the home directory; others cannot enter there either. */
Test(records, without_a_runtime_directory_the_home_has_them)
{
	struct place p;
	struct stat st;

	place_start(&p);
	p.env[2] = NULL;
	const struct run_options options = {.env = p.env};
	_autorun_ struct run_result r = in_usr_with(&options, "--name", "web", SH("echo ran"));

	expect_out(r, "ran\n");
	cr_assert_eq(fstatat(p.tree, "home/.local/state/sbx/boxes", &st, 0), 0);
	cr_expect_eq(st.st_mode & 07777, 0700);
	close(p.tree);
}

Test(records, bubblewrap_records_nothing)
{
	_autoclose_ int links = tmp_tree(NULL);
	_autofree_ char *bwrap = tree_path(links, "bwrap");
	struct place p;

	place_start(&p);
	cr_assert_eq(symlink(sbx_program(), bwrap), 0);
	const struct run_options options = {.env = p.env};
	_autorun_ struct run_result r = run_argv(
		&options, (const char *const[]){bwrap, "--ro-bind", "/", "/", "true", NULL});

	expect_success(r);
	cr_expect(!tree_exists(p.tree, "run/sbx"));
	cr_expect(!tree_exists(p.tree, "home/.local"));
	close(p.tree);
}
