/* SPDX-License-Identifier: MIT */
/* What `sbx diff` prints, in each of its forms, and what other programs make of it. */

#include <stdio.h>
#include <sys/xattr.h>

#include "cow.h"

#define TREE                                                                                       \
	"text=a\nb\nc\n", "nonl=no newline", "d/f=f\n", "gone/z=z\n", "gone/sub/y=y\n",            \
		"gone/l -> z", "exec=x\n", "sp ace/f g=s p\n", "link -> text", "tolink=t\n",       \
		"empty", "quote\"\\\033=q\n", "\303\274=u\n", "mode=m\n"

/* All that a patch has words for. */
static const char change[] =
	"printf 'a\\nB\\nc\\nd' >text; printf 'now\\n' >nonl; rm -r gone; chmod 755 exec; "
	"echo more >>'sp ace/f g'; echo n >'sp ace/n w'; ln -sfn exec link; rm tolink; "
	"ln -s text tolink; : >empty2; rm empty; for f in quote*; do echo changed >\"$f\"; done; "
	"n=$(printf 'n\\001\\n\\302\\233w'); echo new >\"$n\"; echo uu >$(printf '\\303\\274'); "
	"printf '#!/bin/sh\\n' >run; chmod 755 run; mkdir -p new/deep; echo 1 >new/deep/f; "
	"ln -s \"$n\" nl; seq 1 3000 >many; rm mode; echo m2 >mode; chmod 755 mode";

/* What git and patch(1) make of --patch is what apply does. */
static void expect_patch_is_taken(struct cow_site *site, const char *script)
{
	static const char *const programs[] = {"git apply --whitespace=nowarn",
					       "git apply --check --whitespace=nowarn --numstat",
					       "patch -s -p1 --no-backup-if-mismatch -i"};
	_autorun_ struct run_result run = cow_run(site, script);
	_autorun_ struct run_result patch = cow_verb(site, "diff", "--patch", "s");
	_autorun_ struct run_result stat = cow_verb(site, "diff", "--stat", "s");

	expect_success(run);
	expect_success(patch);
	expect_success(stat);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		char take[512];

		snprintf(take, sizeof(take),
			 "cp -a \"$1\" \"$1-%zu\"; cat >\"$1-p\"; cd \"$1-%zu\"; %s \"$1-p\" >&2",
			 i, i, programs[i]);
		_autorun_ struct run_result taken = run_argv(
			&(struct run_options){.input = patch.out},
			(const char *const[]){"/bin/sh", "-ec", take, "sh", site->path, NULL});

		expect_success(taken);
	}
	_autorun_ struct run_result apply = cow_verb(site, "apply", "s");

	expect_success(apply);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i += 2) {
		char compare[256];

		snprintf(compare, sizeof(compare),
			 "list() { find . -type f -perm -100 | sort; }; "
			 "diff -r --no-dereference \"$1\" \"$1-%zu\"; cd \"$1\"; list >\"$1-x\"; "
			 "cd \"$1-%zu\"; list | cmp \"$1-x\" -; test -s \"$1-x\"",
			 i, i);
		_autorun_ struct run_result same =
			run_program("/bin/sh", "-ec", compare, "sh", site->path);

		expect_out(same, "");
	}
	_autorun_ struct run_result clean =
		run_program("/bin/sh", "-ec", "rm -rf \"$1\"-?", "sh", site->path);
}

Test(cow_diff, a_patch_can_be_applied)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, TREE);
		expect_patch_is_taken(&site, change);
		cow_finish(&site);
	}
}

/*
 * Where there is no text the first line alone has the name: only the permissions change, or a file
 * without content comes or goes.
 */
Test(cow_diff, a_patch_with_blanks_in_names_can_be_applied)
{
#define BLANKS(name) name "/gone", name "/mode=m\n", name "/text=t\n", name "/was=w\n"
	static const char script[] =
		"for d in 'end ' 'a b' ' lead' 'a b/a b' 'a  b/ ' 'end /b/end ' 'q\"\\ t' plain; "
		"do "
		"rm \"$d/gone\" \"$d/was\"; : >\"$d/new\"; : >\"$d/c d\"; : >\"$d/last \"; "
		"chmod 755 \"$d/mode\"; echo 2 >>\"$d/text\"; echo 3 >\"$d/f g\"; done";
	struct cow_site site;

	cow_start(&site, "kernel", BLANKS("end "), BLANKS("a b"), BLANKS(" lead"),
		  BLANKS("a b/a b"), BLANKS("a  b/ "), BLANKS("end /b/end "), BLANKS("q\"\\ t"),
		  BLANKS("plain"));
	expect_patch_is_taken(&site, script);
	cow_finish(&site);
#undef BLANKS
}

/* For what a patch cannot say there is a comment, and the rest can be applied. */
Test(cow_diff, what_is_no_text_is_named)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n", "bin=b\n", "d/f=f\n", "m=m\n", "file=f\n", "none/",
		  "some/f=f\n", "some/none/");
	_autorun_ struct run_result run =
		cow_run(&site, "printf 'b\\0' >bin; mkfifo ff; chmod 700 d; chmod 600 m; "
			       "head -c 9000000 /dev/zero | tr '\\0' x >large; mkdir e; "
			       "rm file; mkdir file; rm -r none some; echo 2 >a");
	_autorun_ struct run_result patch = cow_verb(&site, "diff", "--patch", "s");
	char expected[4096];
	const char *p = site.path;

	expect_success(run);
	snprintf(expected, sizeof(expected),
		 "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-a\n+2\n"
		 "# M  %s/bin (content)  binary, not shown\n"
		 "# M  %s/d/ (mode 755 -> 700)\n# A  %s/e/\n# A  %s/ff\n"
		 "diff --git a/file b/file\ndeleted file mode 100644\n--- a/file\n+++ /dev/null\n"
		 "@@ -1 +0,0 @@\n-f\n# T  %s/file/ (file -> directory)\n"
		 "# A  %s/large  too large to be shown\n# M  %s/m (mode 644 -> 600)\n"
		 "# D  %s/none/\n"
		 "diff --git a/some/f b/some/f\ndeleted file mode 100644\n--- a/some/f\n"
		 "+++ /dev/null\n@@ -1 +0,0 @@\n-f\n# D  %s/some/\n",
		 p, p, p, p, p, p, p, p, p);
	expect_out(patch, expected);
	cow_finish(&site);
}

Test(cow_diff, each_kind_of_change_is_told)
{
	EACH_DRIVER(driver)
	{
		char expected[4096];
		struct cow_site site;

		cow_start(&site, driver, "content=1\n", "mode=1\n", "attribute=1\n", "time=1\n",
			  "type=1\n", "link -> a", "gone=1\n", "same=1\n");
		const char *p = site.path;
		_autorun_ struct run_result run = cow_run(
			&site,
			"echo 2 >content; chmod 600 mode; touch -d @1000000000 time; rm type; "
			"mkdir type; ln -sfn b link; rm gone; mv same t; mv t same; "
			"python3 -c 'import os; os.setxattr(\"attribute\", \"user.x\", "
			"b\"1\")'; : >new");
		_autorun_ struct run_result list = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result json = cow_verb(&site, "diff", "--json", "s");

		expect_success(run);
		snprintf(expected, sizeof(expected),
			 "M  %s/attribute (attributes)\nM  %s/content (content)\nD  %s/gone\n"
			 "M  %s/link (target)\nM  %s/mode (mode 644 -> 600)\nA  %s/new\n"
			 "M  %s/time (time)\nT  %s/type/ (file -> directory)\n",
			 p, p, p, p, p, p, p, p);
		if (strcmp(driver, "kernel") == 0)
			expect_out(list, expected);
		else /* in another order: what was removed comes where its mark lies */
			expect_success(list);
		for (const char *line = expected; *line; line = strchr(line, '\n') + 1) {
			char one[512];

			snprintf(one, sizeof(one), "%.*s", (int)(strchr(line, '\n') - line + 1),
				 line);
			cr_expect(strstr(list.out, one), "%s: %s", one, list.out);
		}
		cr_expect(strstr(json.out, "\"target\": \"a\"") &&
				  strstr(json.out, "\"target\": \"b\""),
			  "%s", json.out);
		cow_finish(&site);
	}
}

/* What is made of a tree for the tests of directories' times; none of them is of now. */
#define TIMES                                                                                      \
	"for d in d/e d o .; do touch -d @1500000000 \"$1/$d\"; done; "                            \
	"python3 -c 'import os, sys; os.setxattr(sys.argv[1], \"user.a\", b\"1\")' \"$1\""

/* A directory's time is told where nothing else tells why it is another. */
Test(cow_diff, the_time_of_a_directory_is_told)
{
	static const struct {
		const char *script;
		char letter;
		const char *rest; /* what diff prints behind the directory */
	} cases[] = {
		{"touch -d @1000000000 d", 'M', "/d/ (time)\n"},
		{"touch -d @1000000000 .", 'M', "/ (time)\n"},
		{"echo 1 >d/t; rm d/t", 'M', "/d/ (time)\n"},
		{"rmdir d/e; mkdir d/e", 'M', "/d/e/ (time)\n"},
		{"chmod 600 d/f", 'M', "/d/f (mode 644 -> 600)\n"},
		{"chmod 700 d/e", 'M', "/d/e/ (mode 755 -> 700)\n"},
		{"echo 2 >>d/f", 'M', "/d/f (content)\n"},
		{"touch -d @1000000000 d/f", 'M', "/d/f (time)\n"},
		{"echo 2 >d/new", 'A', "/d/new\n"},
		{"rm d/f", 'D', "/d/f\n"},
		{"echo 2 >d/t; mv d/t d/f", 'M', "/d/f (content)\n"},
		{"chmod 700 .", 'M', "/ (mode 755 -> 700)\n"},
		{"ls -R . >/dev/null; cat d/f o/g >/dev/null", 0, NULL},
	};

	EACH_DRIVER(driver)
	{
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			char expected[512];
			struct cow_site site;

			cow_start(&site, driver, "d/e/", "d/f=1\n", "o/g=1\n");
			_autorun_ struct run_result made =
				run_program("/bin/sh", "-ec", TIMES, "sh", site.path);
			_autorun_ struct run_result run = cow_run(&site, cases[i].script);
			_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
			_autorun_ struct run_result stat = cow_verb(&site, "diff", "--stat", "s");

			expect_success(made);
			expect_success(run);
			if (cases[i].rest) {
				snprintf(expected, sizeof(expected), "%c  %s%s", cases[i].letter,
					 site.path, cases[i].rest);
				expect_out(diff, expected);
				cr_expect_eq(stat.out[0], cases[i].letter, "%s", stat.out);
			} else {
				expect_failure(diff, 1, "there is no such session");
			}
			cow_finish(&site);
		}
	}
}

/* The host's own changes are none of the command's. */
Test(cow_diff, what_the_host_changes_of_a_directory_is_not_told)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "d/e/", "d/f=1\n", "o/g=1\n");
		_autorun_ struct run_result made =
			run_program("/bin/sh", "-ec", TIMES, "sh", site.path);
		_autorun_ struct run_result run = cow_run(&site, "chmod 600 d/f");
		_autorun_ struct run_result host = run_program(
			"/bin/sh", "-ec",
			"touch -d @1400000000 \"$1\" \"$1\"/d; python3 -c 'import os, sys; "
			"os.setxattr(sys.argv[1], \"user.b\", b\"1\")' \"$1\"",
			"sh", site.path);
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "--name-only", "s");
		char expected[512], value[8];

		expect_success(made);
		expect_success(run);
		expect_success(host);
		snprintf(expected, sizeof(expected), "%s/d/f\n", site.path);
		expect_out(diff, expected);
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		expect_success(apply);
		cr_expect_eq(getxattr(site.path, "user.b", value, sizeof(value)), 1);
		cow_finish(&site);
	}
}

/* For programs: whatever is in a name. */
Test(cow_diff, names_end_with_nul)
{
	struct cow_site site;
	char expected[2048];

	cow_start(&site, "kernel", "a=a\n");
	const char *p = site.path;
	_autorun_ struct run_result run =
		cow_run(&site, "mkdir d; echo > \"$(printf 'n\\nl\\\\\\033x\\377')\"; echo > a");
	_autorun_ struct run_result names = cow_verb(&site, "diff", "--name-only", "-z", "s");
	_autorun_ struct run_result lines = cow_verb(&site, "diff", "--name-only", "s");
	_autorun_ struct run_result null = cow_verb(&site, "diff", "--null", "--name-only", "s");
	int len = snprintf(expected, sizeof(expected), "%s/a%c%s/d/%c%s/n\nl\\\033x\377%c", p, 0, p,
			   0, p, 0);

	expect_success(run);
	expect_success(names);
	cr_expect_eq(names.out_len, (size_t)len, "%zu", names.out_len);
	cr_expect_eq(memcmp(names.out, expected, (size_t)len), 0);
	cr_expect_eq(null.out_len, names.out_len);
	snprintf(expected, sizeof(expected), "%s/a\n%s/d/\n%s/n\\nl", p, p, p);
	cr_expect_eq(strncmp(lines.out, expected, strlen(expected)), 0, "%s", lines.out);
	/* But what is in them does not command a terminal. */
	const char *env[] = {site.place.env[0], site.place.env[1], site.place.env[2],
			     "TERM=xterm",	"SBX_PAGER=",	   NULL};
	struct session session;

	session_sbx(&session, &((struct run_options){.env = env, .pty = true}), "diff",
		    "--name-only", "-z", "s");
	_autorun_ struct run_result seen = session_finish(&session);

	expect_success(seen);
	cr_expect_eq(memchr(seen.out, '\033', seen.out_len), NULL);
	cr_expect(memmem(seen.out, seen.out_len, "\\x1bx\\xff", strlen("\\x1bx\\xff")));
	cow_finish(&site);
}

Test(cow_diff, only_names_can_end_with_nul)
{
	static const char *const forms[] = {"--json", "--patch", "--stat", "s"};
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result run = cow_run(&site, "echo > a");

	expect_success(run);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		_autorun_ struct run_result r = cow_verb(&site, "diff", "-z", forms[i]);

		expect_failure(r, 2, "--null: goes with --name-only alone");
		cr_expect_str_empty(r.out);
	}
	cow_finish(&site);
}

/* Few lines of a file, and all of another. */
Test(cow_diff, few_lines_and_many)
{
	struct cow_site site;

	skip_unless(access("/usr/bin/git", X_OK) == 0, "there is no git");
	cow_start(&site, "kernel", "a=a\n");
	_autofree_ char *copy = NULL;

	cr_assert(asprintf(&copy, "%s/copy", site.place.home + strlen("HOME=")) > 0);
	_autorun_ struct run_result before =
		run_program("/bin/sh", "-ec",
			    "cd \"$1\"; seq 1 2000 >'m \"any'; seq 1 2000 >few; cp -r . \"$2\"",
			    "sh", site.path, copy);
	_autorun_ struct run_result run = cow_run(
		&site, "seq 5000 7000 >'m \"any'; sed -i '7d;1500s/5/x/' few; printf z >>few");
	_autorun_ struct run_result patch = cow_verb(&site, "diff", "--patch", "s");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
	_autofree_ char *file = NULL;

	expect_success(before);
	expect_success(run);
	expect_success(apply);
	cr_assert(asprintf(&file, "%s/p", site.place.home + strlen("HOME=")) > 0);
	_autoclose_ int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	cr_assert_eq(write(fd, patch.out, strlen(patch.out)), (ssize_t)strlen(patch.out));
	_autorun_ struct run_result same =
		run_program("/bin/sh", "-ec", "cd \"$2\"; git apply \"$3\"; diff -r . \"$1\"", "sh",
			    site.path, copy, file);

	expect_out(same, "");
	cow_finish(&site);
}

/* What diff(1) would compare for minutes is shown whole, and what comes behind it too. */
Test(cow_diff, long_texts_that_have_nothing_in_common)
{
	static const char digits[] = "python3 -c 'import random, sys\n"
				     "random.seed(int(sys.argv[1]))\n"
				     "for _ in range(600000): print(random.randrange(10))\n"
				     "print(end=sys.argv[2])' ";
	struct cow_site site;
	_autofree_ char *copy = NULL, *make = NULL, *edit = NULL;

	skip_unless(access("/usr/bin/git", X_OK) == 0, "there is no git");
	cow_start(&site, "kernel", "z=z\n");
	cr_assert(asprintf(&copy, "%s/copy", site.place.home + strlen("HOME=")) > 0);
	cr_assert(asprintf(&make, "cd \"$1\"; %s 1 end >digits; cp -r . \"$2\"", digits) > 0);
	cr_assert(asprintf(&edit, "%s 2 '' >digits; echo 2 >z", digits) > 0);
	_autorun_ struct run_result before =
		run_program("/bin/sh", "-ec", make, "sh", site.path, copy);
	_autorun_ struct run_result run = cow_run(&site, edit);

	expect_success(before);
	expect_success(run);
	_autorun_ struct run_result patch =
		run_argv(&((struct run_options){.env = site.place.env}),
			 (const char *const[]){"sh", "-ec",
					       "$0 diff --patch s >\"$1.p\"; grep -c ^@@ \"$1.p\"",
					       sbx_program(), copy, NULL});
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
	_autorun_ struct run_result same =
		run_program("/bin/sh", "-ec",
			    "cd \"$2\"; git apply --whitespace=nowarn \"$2.p\"; diff -r . \"$1\"",
			    "sh", site.path, copy);

	expect_out(patch, "2\n");
	expect_success(apply);
	expect_out(same, "");
	cow_finish(&site);
}

/* Many files, with lines that look like what diff(1) says of files. One cannot be read. */
Test(cow_diff, many_files_at_once)
{
	static const char make[] =
		"cd \"$1\"; python3 -c '\n"
		"import random\n"
		"random.seed(1)\n"
		"words = [\"a\", \"\", \"-- a/x\", \"++ b\", \"diff -r /fd/101\", \"@@ -1 +1 "
		"@@\"]\n"
		"for i in range(200):\n"
		"    lines = [random.choice(words) + \"\\n\" for _ in "
		"range(random.randrange(40))]\n"
		"    open(f\"f{i:03}\", \"w\").write(\"\".join(lines) + \"end\" * (i % 3 == 0))\n"
		"'; cp -a . \"$2\"";
	static const char edit[] =
		"python3 -c '\n"
		"import os, random\n"
		"random.seed(2)\n"
		"words = [\"z\", \"-- q\", \"++ q\", \"diff -r x/fd/105\", \"@@ -1,2 +1 @@\"]\n"
		"for i in range(200):\n"
		"    lines = open(f\"f{i:03}\").read().split(\"\\n\")\n"
		"    for _ in range(random.randrange(1, 5)):\n"
		"        lines.insert(random.randrange(len(lines) + 1), random.choice(words))\n"
		"    open(f\"f{i:03}\", \"w\").write(\"\\n\".join(lines))\n"
		"    if i % 7 == 0: open(f\"f{i:03}n\", \"w\").write(\"new\\n\")\n"
		"    if i % 50 == 1: os.unlink(f\"f{i:03}\")\n"
		"os.chmod(\"f100\", 0)\n"
		"'";
	struct cow_site site;
	_autofree_ char *copy = NULL, *file = NULL;

	skip_unless(access("/usr/bin/git", X_OK) == 0, "there is no git");
	cow_start(&site, "kernel", "a=a\n");
	cr_assert(asprintf(&copy, "%s/copy", site.place.home + strlen("HOME=")) > 0);
	cr_assert(asprintf(&file, "%s/p", site.place.home + strlen("HOME=")) > 0);
	_autorun_ struct run_result before =
		run_program("/bin/sh", "-ec", make, "sh", site.path, copy);
	_autorun_ struct run_result run = cow_run(&site, edit);
	_autorun_ struct run_result names = cow_verb(&site, "diff", "--name-only", "s");
	_autorun_ struct run_result patch = cow_verb(&site, "diff", "--patch", "s");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

	expect_success(before);
	expect_success(run);
	expect_success(names);
	expect_success(patch);
	expect_success(apply);
	_autoclose_ int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	cr_assert_eq(write(fd, patch.out, strlen(patch.out)), (ssize_t)strlen(patch.out));
	_autorun_ struct run_result same = run_program(
		"/bin/sh", "-ec",
		"cd \"$2\"; git apply --whitespace=nowarn \"$3\"; chmod 644 \"$1\"/f100; "
		"diff -r . \"$1\"",
		"sh", site.path, copy, file);
	expect_out(same, "");
	/* In the order of the walk, each once. */
	const char *at = patch.out;

	for (const char *name = names.out; *name; name += strcspn(name, "\n") + 1) {
		char line[64];
		size_t len = strcspn(name, "\n"), last = len;

		while (last > 0 && name[last - 1] != '/')
			last--;
		if (name[last] != 'f')
			continue;
		snprintf(line, sizeof(line), "diff --git a/%.*s b/", (int)(len - last),
			 name + last);
		at = strstr(at, line);
		cr_assert(at, "%s", line);
	}
	cow_finish(&site);
}

/* On a terminal: colours, unless NO_COLOR or TERM is against it; a pager, as it is chosen. */
Test(cow_diff, colours_and_pager_on_a_terminal)
{
	static const struct {
		const char *env[3];
		bool colour, paged;
	} rows[] = {
		{{"TERM=xterm", "SBX_PAGER=sed s/^/paged:/", "PAGER=false"}, true, true},
		{{"TERM=xterm", "PAGER=sed s/^/paged:/"}, true, true},
		{{"TERM=xterm", "PAGER=cat"}, true, false},
		{{"TERM=xterm", "SBX_PAGER=", "PAGER=false"}, true, false},
		{{"TERM=xterm", "NO_COLOR=1", "PAGER="}, false, false},
		{{"TERM=dumb", "PAGER="}, false, false},
		{{"TERM=xterm", "PAGER=printf '%s:' \"$LESS\" >/dev/tty; cat"}, true, false},
	};
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result run =
		cow_run(&site, "echo 2 >a; printf '\\033[2J\\302\\2332J\\n' >b");

	expect_success(run);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *env[8] = {site.place.env[0], site.place.env[1], site.place.env[2],
				      rows[i].env[0],	 rows[i].env[1],    rows[i].env[2]};
		const struct run_options options = {.env = env, .pty = true};
		struct session session;
		struct run_result r;

		session_sbx(&session, &options, "diff", "--patch", "s");
		r = session_finish(&session);
		expect_success(r);
		cr_expect_eq(strstr(r.out, "\033[32m+2") != NULL, rows[i].colour, "%zu: %s", i,
			     r.out);
		cr_expect_eq(strstr(r.out, "\033[1mdiff --git a/b b/b\033[m\r\n") &&
				     strstr(r.out, "\033[1m+++ b/b\033[m\r\n"),
			     rows[i].colour, "%zu: %s", i, r.out);
		cr_expect(!strstr(r.out, "\n\033[m"), "%zu: %s", i, r.out);
		cr_expect_eq(strstr(r.out, "paged:") != NULL, rows[i].paged, "%zu: %s", i, r.out);
		cr_expect(!strstr(r.out, "\033[2J") && !strstr(r.out, "\302\233") &&
				  strstr(r.out, "+\\x1b[2J\\xc2\\x9b2J"),
			  "%zu: %s", i, r.out);
		cr_expect(i != 6 || strstr(r.out, "FRX:"), "%s", r.out);
		run_result_finish(&r);
	}
	/* One that is not there shows nothing, which is no success. */
	const char *none[] = {site.place.env[0], site.place.env[1],	    site.place.env[2],
			      "TERM=xterm",	 "SBX_PAGER=no-such-pager", NULL};
	struct session session;

	session_sbx(&session, &((struct run_options){.env = none, .pty = true}), "diff", "s");
	struct run_result unseen = session_finish(&session);

	cr_expect_eq(unseen.status, 1, "%s", unseen.out);
	cr_expect(strstr(unseen.out, "sbx: no-such-pager: cannot be run, so nothing was shown"),
		  "%s", unseen.out);
	run_result_finish(&unseen);
	/* Elsewhere neither. */
	const char *env[] = {site.place.env[0], site.place.env[1], site.place.env[2],
			     "TERM=xterm",	"PAGER=false",	   NULL};
	_autorun_ struct run_result plain =
		run_sbx_with(&((struct run_options){.env = env}), "diff", "s");

	expect_success(plain);
	cr_expect(!strchr(plain.out, '\033'));
	cow_finish(&site);
}

/* What git would not give a new file is said, and a name that ends in a space stays one. */
Test(cow_diff, what_a_patch_lacks_of_new_files_is_named)
{
	struct cow_site site;
	char expected[2048];

	cow_start(&site, "kernel", "a=a\n", "to -> a");
	_autorun_ struct run_result run = cow_run(
		&site,
		"umask 022; echo 1 >plain; echo 1 >run; chmod 755 run; echo 1 >secret; "
		"chmod 600 secret; echo 1 >su; chmod 4755 su; echo 1 >x; python3 -c 'import os; "
		"os.setxattr(\"x\", \"user.x\", b\"1\")'; echo 1 >'end '; rm to; echo 1 >to; "
		"chmod 640 to");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result said = run_argv(
		&options,
		(const char *const[]){"/bin/sh", "-c",
				      "umask 022; \"$1\" diff --patch s | grep -E '^# |/end '",
				      "sh", sbx_program(), NULL});
	const char *p = site.path;

	expect_success(run);
	snprintf(expected, sizeof(expected),
		 "diff --git \"a/end \" \"b/end \"\n+++ \"b/end \"\t\n"
		 "# A  %s/secret (mode 600)\n# A  %s/su (mode 4755)\n"
		 "# T  %s/to (link -> file) (mode 640)\n# A  %s/x (mode 644, attributes)\n",
		 p, p, p, p);
	expect_out(said, expected);
	cow_finish(&site);
}

/* Ctrl-C is for the pager, which is waited for. */
Test(cow_diff, a_pager_that_is_interrupted_is_waited_for)
{
	static const char pager[] = "SBX_PAGER=trap 'echo interrupted' INT; cat >/dev/null; "
				    "echo shown; while ! read x </dev/tty; do :; done; echo out:$x";
	struct cow_site site;
	struct session session;
	struct run_result r;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result run = cow_run(&site, "echo 2 >a");
	const char *env[] = {
		site.place.env[0], site.place.env[1], site.place.env[2], "TERM=xterm", pager, NULL};

	expect_success(run);
	session_sbx(&session, &((struct run_options){.env = env, .pty = true}), "diff", "s");
	cr_expect(session_expect(&session, "shown"));
	session_send(&session, "\003");
	cr_expect(session_expect(&session, "interrupted"));
	session_send(&session, "x\n");
	cr_expect(session_expect(&session, "out:x"));
	r = session_finish(&session);
	expect_success(r);
	run_result_finish(&r);
	cow_finish(&site);
}

/* Who reads a part has had enough: that is no failure. */
Test(cow_diff, a_reader_that_leaves)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result run =
		cow_run(&site, "for i in $(seq 1 3000); do : >long-name-to-fill-a-pipe-$i; done");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result head =
		run_argv(&options,
			 (const char *const[]){"/bin/bash", "-c",
					       "set -o pipefail; \"$1\" diff s | head -n 1 | wc -l",
					       "sh", sbx_program(), NULL});

	expect_success(run);
	expect_out(head, "1\n");
	cow_finish(&site);
}

/* In the view it is a file of its own from then on, and after an apply on the host too. */
Test(cow_diff, a_name_that_is_changed_apart_from_others_is_told)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "a=a\n", "m=m\n", "one=1\n");
		_autorun_ struct run_result made =
			run_program("/bin/sh", "-ec", "cd \"$1\"; ln a b; ln m n", "sh", site.path);
		_autorun_ struct run_result run =
			cow_run(&site, "echo 2 >>a; chmod 600 m; chmod 600 one");
		_autorun_ struct run_result list = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result json = cow_verb(&site, "diff", "--json", "s");

		expect_success(made);
		expect_success(run);
		cr_expect(strstr(list.out, "/a (content, apart from its other names)\n"), "%s",
			  list.out);
		cr_expect(strstr(list.out, "/m (mode 644 -> 600, apart from its other names)\n"),
			  "%s", list.out);
		cr_expect(strstr(list.out, "/one (mode 644 -> 600)\n"), "%s", list.out);
		cr_expect(strstr(json.out, "\"links\": 2"), "%s", json.out);
		cow_finish(&site);
	}
}

/* @make, @edit: scripts, on the host and in a session; @limit: of open files, for the same patch */
static void expect_patch_within(const char *make, const char *edit, const char *limit)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result made = run_program("/bin/sh", "-ec", make, "sh", site.path);
	_autorun_ struct run_result run = cow_run(&site, edit);
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result many = cow_verb(&site, "diff", "--patch", "s");
	_autorun_ struct run_result few =
		run_argv(&options, (const char *const[]){"/bin/sh", "-c",
							 "ulimit -n \"$2\"; \"$1\" diff --patch s",
							 "sh", sbx_program(), limit, NULL});

	expect_success(made);
	expect_success(run);
	expect_success(many);
	expect_success(few);
	cr_expect_str_eq(few.out, many.out);
	cow_finish(&site);
}

/* Pairs that wait for diff(1) leave descriptors for it, and for a directory below. */
Test(cow_diff, a_patch_with_few_descriptors)
{
	expect_patch_within("cd \"$1\"; mkdir -p z/z/z/z; for i in $(seq 100); do "
			    "echo $i >$i; echo $i >z/z/z/z/$i; done",
			    "for i in $(seq 100); do echo more >>$i; echo more >>z/z/z/z/$i; done",
			    "90");
}

/* And for a tree that is deep, with as many as are usual where there are few. */
Test(cow_diff, a_patch_of_a_deep_tree_with_few_descriptors)
{
	expect_patch_within(
		"cd \"$1\"; for i in $(seq 250); do echo $i >$i; done; p=z; "
		"for i in $(seq 200); do p=$p/z; done; mkdir -p $p; echo f >$p/f; echo $p >path",
		"for i in $(seq 250); do echo more >>$i; done; echo g >>$(cat path)/f", "1024");
}

/* Where nobody can read there is a failure. */
Test(cow_diff, a_closed_standard_output)
{
	static const char *const verbs[] = {"diff",	"diff --patch", "diff --json",
					    "apply -n", "sessions",	"prune --older-than 0"};
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result run = cow_run(&site, "echo 2 >a");

	expect_success(run);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		const struct run_options options = {.env = site.place.env};
		const char *const argv[] = {"/bin/sh", "-c", "\"$1\" $2 >&-", "sh", sbx_program(),
					    verbs[i],  NULL};
		_autorun_ struct run_result r = run_argv(&options, argv);

		expect_failure(r, 1, "stdout: cannot write");
	}
	cow_finish(&site);
}

/* The examples of sbx-cow(7). */
Test(cow_diff, json_is_for_jq)
{
	struct cow_site site;

	skip_unless(access("/usr/bin/jq", X_OK) == 0, "there is no jq");
	cow_start(&site, "kernel", "a=a\n", "m=m\n", "gone=g\n", "to -> a");
	_autorun_ struct run_result run = cow_run(
		&site, "echo 123 >a; chmod 755 m; echo 12345 >n; ln -s n l; rm gone; ln -sfn m to");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result jq =
		run_argv(&options,
			 (const char *const[]){
				 "/bin/sh", "-ec",
				 "d() { \"$1\" diff --json s; }\n"
				 "d \"$1\" | jq -r '.changes[] | select(.changes | "
				 "index(\"mode\")) | .path'\n"
				 "d \"$1\" | jq '[.changes[] | select(.after.type == \"file\") | "
				 ".after.size] | add'\n"
				 "d \"$1\" | jq -c '.changes | map(.changes[]) | group_by(.) | "
				 "map({(.[0]): length}) | add'\n"
				 "d \"$1\" | jq -r '.changes[] | select(.after.type == \"link\") | "
				 "\"\\(.path) -> \\(.after.target)\"'\n",
				 "sh", sbx_program(), NULL});

	expect_success(run);
	expect_out(jq, "m\n12\n{\"added\":2,\"content\":1,\"deleted\":1,\"mode\":1,\"target\":1,"
		       "\"time\":2}\nl -> n\nto -> m\n");
	cow_finish(&site);
}

Test(cow_diff, sizes_are_of_what_has_one)
{
	struct cow_site site;
	char expected[1024];

	cow_start(&site, "kernel", "f=1\n", "l -> abc", "d/f=f\n", "p=p\n");
	const char *p = site.path;
	_autorun_ struct run_result run = cow_run(
		&site,
		"echo 123 >f; ln -sfn longer l; ln -s x n; rm -r d; rm p; mkfifo p; mkdir e");
	_autorun_ struct run_result stat = cow_verb(&site, "diff", "--stat", "s");

	expect_success(run);
	snprintf(expected, sizeof(expected),
		 "D  %s/d/ | directory\nA  %s/e/ | directory\nM  %s/f | 2 -> 4 bytes\n"
		 "M  %s/l | 3 -> 6 bytes\nA  %s/n | 0 -> 1 bytes\nT  %s/p | 2 -> 0 bytes\n"
		 "2 added, 3 changed, 1 deleted\n",
		 p, p, p, p, p, p);
	expect_out(stat, expected);
	cow_finish(&site);
}

Test(cow_diff, the_directory_is_not_what_it_was)
{
	static const char *const rows[][2] = {
		{":", "is not there any more"},
		{"echo f >\"$1\"", "is no directory any more"},
		{"mkdir \"$1\"", "is another directory than when the session began"},
		{"ln -s moved \"$1\"", "is, or lies behind, a symbolic link by now"},
	};
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result run = cow_run(&site, "echo 2 >a");

	expect_success(run);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char there[256];

		snprintf(there, sizeof(there), "mv \"$1\" \"${1%%/*}\"/moved; %s", rows[i][0]);
		_autorun_ struct run_result moved =
			run_program("/bin/sh", "-ec", there, "sh", site.path);
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
		_autorun_ struct run_result back =
			run_program("/bin/sh", "-ec", "rm -rf \"$1\"; mv \"${1%/*}\"/moved \"$1\"",
				    "sh", site.path);

		expect_success(moved);
		expect_failure(diff, 1, rows[i][1]);
		expect_failure(apply, 1, rows[i][1]);
		cr_expect(strstr(diff.err, "or forget the changes: sbx discard s"), "%s", diff.err);
		expect_success(back);
	}
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

	expect_out(apply, "applied: 0 added, 1 changed, 0 deleted\n");
	cow_finish(&site);
}

/* What ends it in the middle is said where the list ends, too. */
Test(cow_diff, an_error_leaves_the_json_whole)
{
	struct cow_site site;

	skip_unless(access("/usr/bin/jq", X_OK) == 0, "there is no jq");
	cow_start(&site, "kernel", "a=a\n");
	_autoclose_ int upper = cow_forge(&site, false);
	_autofree_ char *marked = NULL;

	for (int i = 0; i < 300; i++) { /* more than waits to be written */
		char name[32];

		snprintf(name, sizeof(name), "d%d", i);
		cr_assert_eq(mkdirat(upper, name, 0755), 0);
	}
	marked = tree_path(upper, "d77");
	cr_assert_eq(setxattr(marked, "user.overlay.redirect", "/x", 2, 0), 0);
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result whole = run_argv(
		&options,
		(const char *const[]){"/bin/sh", "-c",
				      "{ \"$1\" diff --json s; echo \"\\\"$?\\\"\"; } | "
				      "jq -c 'if type == \"object\" then (.changes | length), "
				      ".error else . end'",
				      "sh", sbx_program(), NULL});

	cr_expect_eq(whole.status, 0);
	cr_expect_str_eq(whole.out,
			 "275\n{\"path\":\"d77\",\"message\":\"has a mark that sbx does not make: "
			 "user.overlay.redirect\"}\n\"1\"\n");
	cr_expect(strstr(whole.err, "sbx: d77: has a mark that sbx does not make"), "%s",
		  whole.err);
	cow_finish(&site);
}
