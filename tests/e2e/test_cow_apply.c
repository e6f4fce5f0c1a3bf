/* SPDX-License-Identifier: MIT */
/* What `sbx apply` keeps, what it leaves, and what it stops before. */

#include <stdio.h>
#include <sys/xattr.h>

#include "cow.h"

static struct stat look(const struct cow_site *site, const char *name)
{
	struct stat st = {0};

	cr_expect_eq(fstatat(site->tree, name, &st, AT_SYMLINK_NOFOLLOW), 0, "%s: %m", name);
	return st;
}

static void on_host(const struct cow_site *site, const char *script)
{
	_autorun_ struct run_result run = run_program("/bin/sh", "-ec", script, "sh", site->path);

	expect_success(run);
}

/* What is put in place together leaves descriptors for who goes through the layer. */
Test(cow_apply, few_descriptors_do)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "a=a\n");
		_autorun_ struct run_result run = cow_run(
			&site, "for d in 1 2; do mkdir -p $d/z/z/z; for i in $(seq 100); do "
			       "echo $i >$d/$i; echo $i >$d/z/z/z/$i; done; done");
		const struct run_options options = {.env = site.place.env};
		_autorun_ struct run_result apply = run_argv(
			&options,
			(const char *const[]){"/bin/sh", "-c", "ulimit -n 100; exec \"$1\" apply s",
					      "sh", sbx_program(), NULL});

		expect_success(run);
		expect_out(apply, "applied: 408 added, 0 changed, 0 deleted\n");
		cow_finish(&site);
	}
}

/* As one is told to: what was left out is given to files that nobody but an apply has made. */
Test(cow_apply, bits_that_were_left_out_can_be_given_later)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "a=a\n");
		_autorun_ struct run_result run =
			cow_run(&site, "echo s >s; chmod 4755 s; echo b >>a; chmod 2755 a");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
		_autorun_ struct run_result again = cow_verb(&site, "apply", "s");
		_autorun_ struct run_result given = cow_verb(&site, "apply", "--allow-setid", "s");

		expect_success(run);
		expect_success(apply);
		cr_expect(strstr(apply.err, "see --allow-setid"), "%s", apply.err);
		expect_out(again, "applied: 0 added, 0 changed, 0 deleted\n");
		expect_out(given, "applied: 0 added, 2 changed, 0 deleted\n");
		cr_expect_eq(look(&site, "s").st_mode & 07777, 04755);
		cr_expect_eq(look(&site, "a").st_mode & 07777, 02755);
		on_host(&site, "echo host >>\"$1/s\"");
		_autorun_ struct run_result stopped = cow_verb(&site, "apply", "s");
		expect_failure(stopped, 1, "has changed on the host since the session began");
		cow_finish(&site);
	}
}

/* What a file of the host's is not given is said, each time, though nothing else is done to it. */
Test(cow_apply, a_bit_alone_that_is_left_out_is_told)
{
	static const char says[] = "/a: its set-user-ID or set-group-ID bit is left out: see "
				   "--allow-setid\n";

	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "a=a\n");
		_autorun_ struct run_result run = cow_run(&site, "chmod u+s a");
		_autorun_ struct run_result dry = cow_verb(&site, "apply", "--dry-run", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
		_autorun_ struct run_result again = cow_verb(&site, "apply", "s");

		expect_success(run);
		expect_out(dry, "would be applied: 0 added, 0 changed, 0 deleted\n");
		expect_out(apply, "applied: 0 added, 0 changed, 0 deleted\n");
		expect_success(again);
		cr_expect(strstr(dry.err, says), "%s", dry.err);
		cr_expect(strstr(apply.err, says), "%s", apply.err);
		cr_expect(strstr(again.err, says), "%s", again.err);
		cr_expect_eq(look(&site, "a").st_mode & 07000, 0U);
		cow_finish(&site);
	}
}

/* Names of one file, with a path that is longer than the kernel takes at a time. */
Test(cow_apply, links_are_kept_however_deep)
{
	static const char deep[] = "python3 -c 'import os\nfor i in range(42): os.mkdir(\"d\" * "
				   "200); os.chdir(\"d\" * 200)\n"
				   "open(\"f\", \"w\").close(); os.link(\"f\", \"g\")'";
	static const char check[] =
		"cd \"$1\"; python3 -c 'import os\nfor i in range(42): os.chdir(\"d\" * 200)\n"
		"assert os.path.samefile(\"f\", \"g\")'";

	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "a=a\n");
		_autorun_ struct run_result run = cow_run(&site, deep);
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		expect_success(run);
		expect_success(apply);
		on_host(&site, check);
		cow_finish(&site);
	}
}

Test(cow_apply, all_that_a_file_has_is_kept)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;
		char value[8] = "";

		cow_start(&site, driver, "old=old\n", "x/one=1\n");
		on_host(&site, "ln \"$1\"/x/one \"$1\"/x/two");
		_autorun_ struct run_result run = cow_run(
			&site, "echo t >n; python3 -c 'import os; os.setxattr(\"n\", \"user.x\", "
			       "b\"abc\"); os.setxattr(\"old\", \"user.y\", b\"def\")'; ln n n2; "
			       "mkdir d; ln n d/n3; truncate -s 100M hole; echo end >>hole; "
			       "chmod 4711 n; chmod 640 old; touch -d @1234567890.123456789 n; "
			       "chmod 1777 d; touch -d @1111111111 d; ln x/one x/three; "
			       "ln -s n l; touch -h -d @1222222222 l; mkfifo f; chmod 622 f");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
		struct stat n = look(&site, "n"), hole = look(&site, "hole");

		expect_success(run);
		expect_success(apply);
		cr_expect_eq(n.st_mtim.tv_sec, 1234567890);
		cr_expect_eq(n.st_mtim.tv_nsec, 123456789);
		cr_expect_eq(n.st_mode & 07777, 0711);
		cr_expect_eq(n.st_nlink, 3);
		cr_expect_eq(look(&site, "n2").st_ino, n.st_ino);
		cr_expect_eq(look(&site, "d/n3").st_ino, n.st_ino);
		cr_expect_eq(look(&site, "d").st_mode & 07777, 01777);
		cr_expect_eq(look(&site, "d").st_mtim.tv_sec, 1111111111);
		cr_expect_eq(look(&site, "l").st_mtim.tv_sec, 1222222222, "%s", driver);
		cr_expect_eq(look(&site, "f").st_mode, (mode_t)(S_IFIFO | 0622));
		cr_expect_eq(look(&site, "old").st_mode & 07777, 0640);
		cr_expect(hole.st_size == (100 << 20) + 4 && hole.st_blocks < 1000, "%lld",
			  (long long)hole.st_blocks);
		cr_expect_eq(look(&site, "x/three").st_ino, look(&site, "x/one").st_ino);
		_autofree_ char *path = tree_path(site.tree, "d/n3"),
				*old = tree_path(site.tree, "old");
		cr_expect_eq(getxattr(path, "user.x", value, sizeof(value)), 3);
		cr_expect_eq(getxattr(old, "user.y", value, sizeof(value)), 3);
		cow_finish(&site);
	}
}

/* Also attributes and time of the directory that is shown. */
/* What fuse-overlayfs shows has no holes; in a file that had none they are not made. */
Test(cow_apply, holes_of_the_hosts_files_are_kept)
{
	static const char make[] =
		"cd \"$1\"; truncate -s 20M same sparse; printf x | dd of=sparse bs=1 seek=10M "
		"conv=notrunc status=none; head -c 1M /dev/zero >dense; "
		"for f in sparse dense; do { cat $f; echo end; } >$f.want; done";

	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "a=a\n");
		on_host(&site, make);
		_autorun_ struct run_result run =
			cow_run(&site, "echo end >>sparse; echo end >>dense; chmod 600 same");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		expect_success(run);
		expect_out(apply, "applied: 0 added, 3 changed, 0 deleted\n");
		on_host(&site, "cd \"$1\"; cmp sparse sparse.want; cmp dense dense.want");
		cr_expect_lt(look(&site, "sparse").st_blocks, 100, "%s", driver);
		cr_expect_lt(look(&site, "same").st_blocks, 100, "%s", driver);
		cr_expect_gt(look(&site, "dense").st_blocks, 2000, "%s", driver);
		cow_finish(&site);
	}
}

Test(cow_apply, the_directory_itself_is_changed)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;
		char value[8] = "", expected[512];

		cow_start(&site, driver, "f=1\n");
		cr_assert_eq(setxattr(site.path, "user.a", "1", 1, 0), 0);
		cr_assert_eq(setxattr(site.path, "user.c", "1", 1, 0), 0);
		_autorun_ struct run_result run = cow_run(
			&site, "python3 -c 'import os; print(sorted(os.listxattr(\".\"))); "
			       "os.setxattr(\".\", \"user.b\", b\"2\"); "
			       "os.removexattr(\".\", \"user.a\")'; touch -d @1234567890 .");
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
		_autorun_ struct run_result again = cow_verb(&site, "diff", "s");

		expect_success(run);
		cr_expect(strstr(run.out, "['user.a', 'user.c']"), "%s", run.out);
		snprintf(expected, sizeof(expected), "M  %s/ (attributes)\n", site.path);
		expect_out(diff, expected);
		expect_success(apply);
		expect_out(again, "");
		cr_expect_eq(getxattr(site.path, "user.b", value, sizeof(value)), 1);
		cr_expect_eq(value[0], '2');
		cr_expect_eq(getxattr(site.path, "user.c", value, sizeof(value)), 1);
		cr_expect_lt(getxattr(site.path, "user.a", value, sizeof(value)), 0);
		cr_expect_eq(look(&site, ".").st_mtim.tv_sec, 1234567890);
		cow_finish(&site);
	}
}

/* What is made in the directory gets what the directory's default ACL says, as on the host. */
Test(cow_apply, a_default_acl_of_the_directory_is_inherited)
{
	/* Version 2; tag, permissions and id: the owner, the group, the mask, others. */
	static const unsigned char acl[] = {2,	  0,	0,    0, 1, 0,	  7,	0,    0xff,
					    0xff, 0xff, 0xff, 4, 0, 7,	  0,	0xff, 0xff,
					    0xff, 0xff, 16,   0, 7, 0,	  0xff, 0xff, 0xff,
					    0xff, 32,	0,    0, 0, 0xff, 0xff, 0xff, 0xff};

	EACH_DRIVER(driver)
	{
		struct cow_site site;
		unsigned char value[64];

		cow_start(&site, driver, "f=1\n");
		cr_assert_eq(setxattr(site.path, "system.posix_acl_default", acl, sizeof(acl), 0),
			     0);
		_autorun_ struct run_result run =
			cow_run(&site, "umask 022; echo 1 >new; mkdir dir");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
		_autofree_ char *dir = tree_path(site.tree, "dir");

		expect_success(run);
		expect_success(apply);
		cr_expect_eq(look(&site, "new").st_mode & 07777, 0660);
		cr_expect_eq(look(&site, "dir").st_mode & 07777, 0770);
		cr_expect_eq(getxattr(dir, "system.posix_acl_default", value, sizeof(value)),
			     (ssize_t)sizeof(acl));
		cr_expect_eq(getxattr(site.path, "system.posix_acl_default", value, sizeof(value)),
			     (ssize_t)sizeof(acl));
		cow_finish(&site);
	}
}

/* A value counts, not how long it is. */
Test(cow_apply, another_value_of_an_attribute_is_kept)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;
		char expected[512], value[8] = "";

		cow_start(&site, driver, "old=o\n");
		_autofree_ char *old = tree_path(site.tree, "old");
		cr_assert_eq(setxattr(old, "user.y", "abc", 3, 0), 0);
		_autorun_ struct run_result run = cow_run(
			&site,
			"python3 -c 'import os; os.setxattr(\"old\", \"user.y\", b\"abd\")'");
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		expect_success(run);
		snprintf(expected, sizeof(expected), "M  %s (attributes)\n", old);
		expect_out(diff, expected);
		expect_success(apply);
		cr_expect_eq(getxattr(old, "user.y", value, sizeof(value)), 3);
		cr_expect_str_eq(value, "abd");
		cow_finish(&site);
	}
}

/* Permissions of single users too, which are no part of the mode. */
Test(cow_apply, an_acl_of_a_file_is_kept)
{
	static const char give[] = "python3 -c 'import os, struct\n"
				   "none = 0xffffffff\n"
				   "acl = [(1, 6, none), (2, 6, os.getuid()), (4, 4, none), (16, "
				   "6, none), (32, 4, none)]\n"
				   "text = struct.pack(\"<I\", 2) + "
				   "b\"\".join(struct.pack(\"<HHI\", *e) for e in acl)\n"
				   "for name in \"old\", \"new\":\n"
				   "    open(name, \"a\").close(); os.chmod(name, 0o664)\n"
				   "    os.setxattr(name, \"system.posix_acl_access\", text)'";

	EACH_DRIVER(driver)
	{
		struct cow_site site;
		char value[128], expected[1024];

		cow_start(&site, driver, "old=o\n");
		cr_assert_eq(fchmodat(site.tree, "old", 0664, 0), 0);
		_autorun_ struct run_result run = cow_run(&site, give);
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
		_autofree_ char *old = tree_path(site.tree, "old"),
				*new = tree_path(site.tree, "new");

		expect_success(run);
		snprintf(expected, sizeof(expected), "A  %s/new\nM  %s/old (attributes)\n",
			 site.path, site.path);
		expect_out(diff, expected);
		expect_success(apply);
		cr_expect_eq(getxattr(old, "system.posix_acl_access", value, sizeof(value)), 44);
		cr_expect_eq(getxattr(new, "system.posix_acl_access", value, sizeof(value)), 44);
		cow_finish(&site);
	}
}

/* The time alone stands against nothing, and does not take the host's away. */
Test(cow_apply, the_time_that_the_host_gave_a_directory_stays)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "d/f=f\n");
		_autorun_ struct run_result run =
			cow_run(&site, "touch -d @1111111111 d; echo 2 >n");

		expect_success(run);
		on_host(&site, "touch -d @1222222222 \"$1\"/d");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		expect_out(apply, "applied: 1 added, 0 changed, 0 deleted\n");
		cr_expect_eq(look(&site, "d").st_mtim.tv_sec, 1222222222, "%s", driver);
		_autorun_ struct run_result force = cow_verb(&site, "apply", "--force", "s");

		expect_success(force);
		cr_expect_eq(look(&site, "d").st_mtim.tv_sec, 1111111111, "%s", driver);
		cow_finish(&site);
	}
}

/* A session that does not say what its layer began with tells nothing of that. */
Test(cow_apply, attributes_that_an_older_session_has_not_stay)
{
	struct cow_site site;
	char value[8];

	cow_start(&site, "kernel", "f=1\n");
	cr_assert_eq(setxattr(site.path, "user.a", "1", 1, 0), 0);
	int upper = cow_forge(&site, false);
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

	expect_out(diff, "");
	expect_success(apply);
	cr_expect_eq(getxattr(site.path, "user.a", value, sizeof(value)), 1);
	close(upper);
	cow_finish(&site);
}

/* A directory's own permissions are the host's affair too. */
Test(cow_apply, a_directory_that_was_changed_on_both_sides_stops_it)
{
	struct cow_site site;
	struct stat st;

	cow_start(&site, "kernel", "d/f=f\n", "e/f=f\n");
	_autorun_ struct run_result run = cow_run(&site, "echo 2 >d/f; chmod 711 e");

	expect_success(run);
	on_host(&site, "chmod 700 \"$1\"/d; chmod 750 \"$1\"/e");
	_autorun_ struct run_result stopped = cow_verb(&site, "apply", "s");

	expect_failure(stopped, 1, "2 of the entries have changed on the host");
	st = look(&site, "d");
	cr_expect_eq(st.st_mode & 07777, 0700);
	_autorun_ struct run_result some = cow_verb(&site, "apply", "--include", "d/f", "s");

	expect_success(some);
	_autofree_ char *text = tree_read(site.tree, "d/f");
	cr_expect_str_eq(text, "2\n");
	cr_expect_eq(look(&site, "d").st_mode & 07777, 0700, "it was not chosen");
	_autorun_ struct run_result forced = cow_verb(&site, "apply", "--force", "s");

	expect_success(forced);
	cr_expect_eq(look(&site, "e").st_mode & 07777, 0711);
	cow_finish(&site);
}

Test(cow_apply, what_is_excluded_is_not_removed_with_its_directory)
{
	struct cow_site site;

	cow_start(&site, "kernel", "d/sub/keep=k\n", "d/other=o\n", "e/keep=k\n", "f/x=x\n");
	_autorun_ struct run_result run = cow_run(&site, "rm -r d e f; echo file >e; echo n >n");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "--exclude", "*/keep", "s");

	expect_success(run);
	expect_success(apply);
	cr_expect(strstr(apply.err, "/d: holds what is excluded, and stays"), "%s", apply.err);
	cr_expect(strstr(apply.err, "/e: holds what is excluded, and stays"), "%s", apply.err);
	cr_expect(tree_exists(site.tree, "d/sub/keep") && tree_exists(site.tree, "e/keep") &&
		  tree_exists(site.tree, "n") && !tree_exists(site.tree, "f"));
	_autorun_ struct run_result rest = cow_verb(&site, "apply", "s");

	expect_success(rest);
	cr_expect(!tree_exists(site.tree, "d"));
	cow_finish(&site);
}

/* One that its owner cannot enter is looked into too: it is no change, and one in it is. */
Test(cow_apply, a_closed_directory_goes_with_the_one_above)
{
	for (int changed = 0; changed < 2; changed++) {
		struct cow_site site;

		cow_start(&site, "kernel", "gone/closed/f=f\n", "gone/other=o\n");
		_autoclose_ int file =
			openat(site.tree, "gone/closed/f", O_WRONLY | O_APPEND | O_CLOEXEC);

		on_host(&site, "chmod 0 \"$1\"/gone/closed");
		_autorun_ struct run_result run =
			cow_run(&site, "chmod 700 gone/closed; rm -r gone");

		expect_success(run);
		if (changed) /* which changes nothing of the directory */
			cr_assert_eq(write(file, "mine\n", 5), 5);
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		if (changed)
			expect_failure(apply, 1, "/gone: has changed on the host since");
		else
			expect_out(apply, "applied: 0 added, 0 changed, 1 deleted\n");
		cr_expect_eq(tree_exists(site.tree, "gone"), changed);
		on_host(&site, "chmod -R u+rwx \"$1\"");
		cow_finish(&site);
	}
}

/* It differs from the layer for ever, and that is nobody else's work. */
Test(cow_apply, what_cannot_be_given_does_not_stop_the_next)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		skip_unless(access("/usr/sbin/setcap", X_OK) == 0, "there is no setcap");
		cow_start(&site, driver, "a=a\n");
		const struct run_options options = {.env = site.place.env};
		_autorun_ struct run_result run = run_sbx_with(
			&options, "--root", "--ro-bind", "/usr", "/usr", "--cow", site.path,
			"--session", "s", "--chdir", site.path, "--overlay-driver", driver, "--",
			"/bin/sh", "-ec", "cp /bin/true t; /usr/sbin/setcap cap_net_raw+ep t");
		_autorun_ struct run_result first = cow_verb(&site, "apply", "s");
		_autorun_ struct run_result second = cow_verb(&site, "apply", "s");
		_autofree_ char *path = tree_path(site.tree, "t");
		char value[64];

		expect_success(run);
		expect_success(first);
		cr_expect(strstr(first.err, "/t: some of its attributes could not be set"), "%s",
			  first.err);
		expect_success(second);
		cr_expect_lt(getxattr(path, "security.capability", value, sizeof(value)), 0);
		cow_finish(&site);
	}
}

/* Names that the host has got meanwhile are not replaced, whatever they are. */
Test(cow_apply, what_has_come_to_be_stays)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autorun_ struct run_result run = cow_run(&site, "echo 1 >file; mkdir dir; ln -s a link");

	expect_success(run);
	on_host(&site, "cd \"$1\"; echo host >file; ln -s / dir; mkdir link");
	_autorun_ struct run_result stopped = cow_verb(&site, "apply", "s");
	_autorun_ struct run_result dry = cow_verb(&site, "apply", "--dry-run", "s");

	expect_failure(stopped, 1, "have changed on the host since the session began");
	expect_failure(dry, 1, "have changed on the host since the session began");
	_autofree_ char *text = tree_read(site.tree, "file");
	cr_expect_str_eq(text, "host\n");
	cr_expect(S_ISLNK(look(&site, "dir").st_mode) && S_ISDIR(look(&site, "link").st_mode));
	_autorun_ struct run_result forced = cow_verb(&site, "apply", "--force", "s");

	expect_success(forced);
	cr_expect(S_ISDIR(look(&site, "dir").st_mode) && S_ISLNK(look(&site, "link").st_mode));
	cow_finish(&site);
}

static void expect_chosen(const struct cow_site *site, const char *option, const char *pattern,
			  const char *names)
{
	char expected[1024], *to = expected;

	for (const char *name = names; *name; name += *name == ' ') {
		size_t len = strcspn(name, " ");

		to += snprintf(to, 256, "M  %s/", site->path);
		memcpy(to, name, len);
		to += len;
		*to++ = '\n';
		name += len;
	}
	_autorun_ struct run_result run =
		cow_verb(site, "apply", "--dry-run", option, pattern, "s");

	*to = '\0';
	cr_expect(strncmp(run.out, expected, (size_t)(to - expected)) == 0 &&
			  strncmp(run.out + (to - expected), "would be", 8) == 0,
		  "%s %s: %s%s", option, pattern, run.out, run.err);
}

Test(cow_apply, patterns_as_they_are_typed)
{
	struct cow_site site;

	cow_start(&site, "kernel", "src/a.c=1\n", "src/deep/b.c=1\n", "src/deep/b.o=1\n",
		  "top.c=1\n");
	_autorun_ struct run_result run =
		cow_run(&site, "for f in $(find . -type f); do echo 2 >$f; done");

	expect_success(run);
	expect_chosen(&site, "--include", "src/deep/", "src/deep/b.c src/deep/b.o");
	expect_chosen(&site, "--include", "./src/deep", "src/deep/b.c src/deep/b.o");
	expect_chosen(&site, "--include", ".//src/*.c", "src/a.c src/deep/b.c");
	expect_chosen(&site, "--include", "src/**/*.c", "src/a.c src/deep/b.c");
	expect_chosen(&site, "--include", "**/b.?", "src/deep/b.c src/deep/b.o");
	expect_chosen(&site, "--include", "**/deep/**/b.o", "src/deep/b.o");
	expect_chosen(&site, "--include", ".", "src/a.c src/deep/b.c src/deep/b.o top.c");
	expect_chosen(&site, "--exclude", "**/src/", "top.c");
	_autorun_ struct run_result absolute =
		cow_verb(&site, "apply", "--include", site.path, "s");

	expect_failure(absolute, 2, "paths are relative to the directory given to --cow");
	cow_finish(&site);
}

/* Who takes one file does not take the permissions of the directory with it. */
Test(cow_apply, the_directory_itself_is_chosen_too)
{
	static const struct {
		const char *option, *pattern, *left;
	} rows[] = {
		{"--include", "good", "750 - new old\n"},  {"--include", ".*", "750 - old old\n"},
		{"--include", "[!o]*", "750 - new old\n"}, {"--include", ".", "777 b new new\n"},
		{"--include", "*", "777 b new new\n"},	   {"--exclude", "good", "777 b old new\n"},
		{"--exclude", ".", "750 - new new\n"},	   {"--exclude", "./", "750 - new new\n"},
		{"--exclude", "[!g]*", "750 - new old\n"}, {"--exclude", "*", "750 - old old\n"},
	};
	static const char look_script[] =
		"stat -c %a .; python3 -c 'import os; print(os.getxattr(\".\", "
		"\"user.a\").decode() "
		"if \"user.a\" in os.listxattr(\".\") else \"-\")'; cat good other";

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cow_site site;
		char script[1024];

		cow_start(&site, "kernel", "good=old\n", "other=old\n", ".hidden=old\n");
		cr_assert_eq(chmod(site.path, 0750), 0);
		_autorun_ struct run_result run = cow_run(
			&site, "echo new >good; echo new >other; chmod 777 .; echo new >.hidden; "
			       "python3 -c 'import os; os.setxattr(\".\", \"user.a\", b\"b\")'");
		_autorun_ struct run_result apply =
			cow_verb(&site, "apply", rows[i].option, rows[i].pattern, "s");

		snprintf(script, sizeof(script), "cd \"$1\"; echo $(%s)", look_script);
		_autorun_ struct run_result look =
			run_program("/bin/sh", "-ec", script, "sh", site.path);

		expect_success(run);
		expect_success(apply);
		cr_expect_str_eq(look.out, rows[i].left, "%s %s: %s%s%s", rows[i].option,
				 rows[i].pattern, look.out, look.err, apply.err);
		cow_finish(&site);
	}
}

/* As the hint says. */
Test(cow_apply, a_conflict_of_the_directory_itself_is_left_out)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=old\n");
	_autorun_ struct run_result run = cow_run(&site, "chmod 711 .; echo new >a");

	cr_assert_eq(chmod(site.path, 0700), 0);
	_autorun_ struct run_result all = cow_verb(&site, "apply", "s");
	_autorun_ struct run_result rest = cow_verb(&site, "apply", "--exclude", ".", "s");
	_autofree_ char *text = tree_read(site.tree, "a");

	expect_success(run);
	expect_failure(all, 1, ": has changed on the host since the session began");
	expect_success(rest);
	cr_expect_str_eq(rest.err, "");
	cr_expect_str_eq(text, "new\n");
	cr_expect_eq(look(&site, ".").st_mode & 07777, 0700);
	cow_finish(&site);
}

#define MAKE_DEEP(name) "p=$(printf '" name "/%.0s' $(seq 390)); mkdir -p $p; echo leaf >$p/leaf; "

/* As far down as there can be changes. */
Test(cow_apply, patterns_reach_to_the_bottom)
{
	static const struct {
		const char *option, *pattern;
		bool good, added, removed;
	} rows[] = {
		{"--exclude", "d", true, false, true},
		{"--include", "good", true, false, false},
		{"--exclude", "*/nothing", true, true, true},
		{"--exclude", "*/leaf", true, true, false},
		{"--include", "d/*/leaf", false, true, false},
		{"--exclude", "[dg]*", false, false, false},
	};
	struct cow_site site;

	cow_start(&site, "kernel", "good=old\n");
	_autorun_ struct run_result before =
		run_program("/bin/bash", "-ec", "cd \"$1\"; " MAKE_DEEP("gone"), "sh", site.path);
	_autorun_ struct run_result run =
		cow_run(&site, "echo new >good; rm -r gone; " MAKE_DEEP("d"));

	expect_success(before);
	expect_success(run);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autorun_ struct run_result apply =
			cow_verb(&site, "apply", "--dry-run", rows[i].option, rows[i].pattern, "s");

		expect_success(apply);
		cr_expect_eq(strstr(apply.out, "/good\n") != NULL, rows[i].good, "%s", apply.out);
		cr_expect_eq(strstr(apply.out, "/d\n") != NULL, rows[i].added, "%s %s: %s",
			     rows[i].option, rows[i].pattern, apply.out);
		cr_expect_eq(strstr(apply.out, "/gone\n") != NULL, rows[i].removed, "%s %s: %s%s",
			     rows[i].option, rows[i].pattern, apply.out, apply.err);
	}
	cow_finish(&site);
}

#define FITS_NOTHING ": fits nothing that is left to be applied\n"

/* A word that was mistyped. */
Test(cow_apply, a_pattern_that_fits_nothing_is_told)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=1\n", "b=1\n", "c=1\n", "gone/x=1\n", "gone/deep/y=1\n");
	_autorun_ struct run_result run =
		cow_run(&site, "for i in a b c; do echo 2 >$i; done; rm -r gone");
	_autorun_ struct run_result none =
		cow_verb(&site, "apply", "--include", "./sorce", "--include", "x\n", "s");
	_autorun_ struct run_result dry =
		cow_verb(&site, "apply", "--dry-run", "--include", "sorce", "s");
	_autofree_ char *before = tree_read(site.tree, "a");

	expect_success(run);
	expect_failure(none, 1,
		       "sbx: --include ./sorce" FITS_NOTHING "sbx: --include x\\n" FITS_NOTHING
		       "sbx: s: no --include fits any of the changes\n");
	expect_failure(dry, 1, "sbx: --include sorce" FITS_NOTHING);
	cr_expect_str_eq(before, "1\n");
	_autorun_ struct run_result part = cow_verb(&site, "apply", "--include", "gone/deep", "s");

	expect_failure(part, 1,
		       "sbx: --include gone/deep: lies in a directory that is removed as a whole, "
		       "and is not removed alone\n");
	_autorun_ struct run_result one = cow_verb(&site, "apply", "--include", "a", "--include",
						   "sorce", "--exclude", "*.o", "s");
	/* The same again, as after an interruption: it is done. */
	_autorun_ struct run_result again = cow_verb(&site, "apply", "--include", "a", "s");

	expect_out(one, "applied: 0 added, 1 changed, 0 deleted\n");
	cr_expect_str_eq(one.err,
			 "sbx: --include sorce" FITS_NOTHING "sbx: --exclude *.o" FITS_NOTHING);
	expect_out(again, "applied: 0 added, 0 changed, 0 deleted\n");
	cr_expect_str_eq(again.err, "sbx: --include a" FITS_NOTHING);
	/* Also what lies in a directory that goes. */
	_autorun_ struct run_result kept = cow_verb(&site, "apply", "--exclude", "gone/x",
						    "--exclude", "**/y", "--exclude", "b", "s");
	_autorun_ struct run_result all =
		cow_verb(&site, "apply", "--include", "b", "--exclude", "b", "s");

	expect_success(kept);
	cr_expect(strstr(kept.err, "/gone: holds what is excluded") && !strstr(kept.err, "fits"),
		  "%s", kept.err);
	expect_success(all);
	cr_expect_str_eq(all.err, "sbx: --exclude leaves out all that fits --include\n");
	on_host(&site, "echo host >\"$1\"/b");
	_autorun_ struct run_result conflict = cow_verb(&site, "apply", "--exclude", "B", "s");

	expect_failure(conflict, 1, "1 of the entries has changed on the host");
	cr_expect(strstr(conflict.err, "sbx: --exclude B" FITS_NOTHING), "%s", conflict.err);
	cow_finish(&site);
}

/* What a verb says, line by line in order, but for the changes of a dry run. */
static struct run_result in_order(const struct cow_site *site, const char *words)
{
	static const char script[] = "\"$1\" $2 2>&1 | sed '/^[ADMT]  /d; s/^would be //' | "
				     "sort; exit ${PIPESTATUS[0]}";
	const struct run_options options = {.env = site->place.env};

	return run_argv(&options, (const char *const[]){"/bin/bash", "-c", script, "sh",
							sbx_program(), words, NULL});
}

/* What a run says its dry run has said. */
Test(cow_apply, a_dry_run_says_what_the_run_says)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		skip_unless(access("/usr/sbin/setcap", X_OK) == 0, "there is no setcap");
		cow_start(&site, driver, "mode=1\n", "shared/f=f\n", "had=h\n");
		on_host(&site, "chmod 2755 \"$1\"/shared; chmod 4755 \"$1\"/had");
		const struct run_options options = {.env = site.place.env};
		_autorun_ struct run_result run = run_sbx_with(
			&options, "--root", "--ro-bind", "/usr", "/usr", "--cow", site.path,
			"--session", "s", "--chdir", site.path, "--overlay-driver", driver, "--",
			"/bin/sh", "-ec",
			"chmod 4755 mode; cp /bin/true setid; chmod 6755 setid; ln setid second; "
			"mkdir -p shared/new/new own; chmod 2700 own; mkfifo fifo; chmod 2622 "
			"fifo; "
			"cp /bin/true caps; chown 2:2 caps; /usr/sbin/setcap cap_net_raw+ep caps; "
			"echo 2 >>had; chmod 4711 had; ln had other; : >shared/f; "
			"python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")'");
		/* A directory is finished some time after what is in it. */
		_autorun_ struct run_result dry = in_order(&site, "apply --dry-run s");
		_autorun_ struct run_result apply = in_order(&site, "apply s");

		skip_unless(run.status == 0 || !strstr(run.err, "subuid"),
			    "there has to be a range");
		expect_success(run);
		expect_out(apply, dry.out);
		cr_expect(strstr(dry.out, "applied: 8 added, 3 changed, 0 deleted\n") &&
				  strstr(dry.out, "1 belong to other ids in the session") &&
				  strstr(dry.out, "/mode: its set-user-ID") &&
				  strstr(dry.out, "/own: its set-user-ID") &&
				  strstr(dry.out, "/caps: some of its attributes") &&
				  !strstr(dry.out, "/shared"),
			  "%s", dry.out);
		cow_finish(&site);
	}
}

/* A directory that is fuse-overlayfs's own copy lacks the bit. */
Test(cow_apply, a_directory_keeps_its_set_group_id_bit)
{
	struct cow_site site;
	char expected[512];

	cow_start(&site, "fuse", "d/e/f=f\n");
	on_host(&site, "chmod 2755 \"$1\"/d; chmod 2711 \"$1\"/d/e");
	_autoclose_ int upper = cow_forge(&site, true);

	cr_assert_eq(mkdirat(upper, "d", 0755), 0);
	cr_assert_eq(mkdirat(upper, "d/e", 0755), 0);
	_autoclose_ int n = openat(upper, "d/e/n", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	cr_assert_eq(write(n, "n\n", 2), 2);
	_autorun_ struct run_result diff = cow_verb(&site, "diff", "s");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

	snprintf(expected, sizeof(expected), "M  %s/d/e/ (mode 2711 -> 2755)\nA  %s/d/e/n\n",
		 site.path, site.path);
	expect_out(diff, expected);
	expect_out(apply, "applied: 1 added, 1 changed, 0 deleted\n");
	cr_expect_str_eq(apply.err, "");
	cr_expect_eq(look(&site, "d").st_mode & 07777, 02755);
	cr_expect_eq(look(&site, "d/e").st_mode & 07777, 02755);
	cow_finish(&site);
}

/* Before anything is changed, not in the middle. */
Test(cow_apply, what_the_caller_cannot_change_stops_it)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n", "z/f=f\n", "z/g=g\n");
	_autorun_ struct run_result run =
		cow_run(&site, "echo 2 >a; echo 2 >z/f; rm z/g; chmod 700 z");

	expect_success(run);
	const char *home = site.place.home + strlen("HOME=");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result stopped = run_sbx_with(
		&options, "--ro-bind", "/usr", "/usr", "--bind", "/tmp", "/tmp", "--bind", home,
		home, "--ro-bind", site.path, site.path, "--ro-bind", sbx_program(), "/run/sbx",
		"--", "/bin/sh", "-c", "/run/sbx apply --dry-run s; /run/sbx apply s");
	_autofree_ char *text = tree_read(site.tree, "a");

	expect_failure(stopped, 1, "4 of the entries cannot be changed by the caller");
	cr_expect(strstr(stopped.err, "/z/f: its directory cannot be written to: Read-only file"),
		  "%s", stopped.err);
	cr_expect_str_eq(text, "a\n");
	_autorun_ struct run_result rest = cow_verb(&site, "apply", "s");

	expect_out(rest, "applied: 0 added, 3 changed, 1 deleted\n");
	cow_finish(&site);
}

/* At a random moment: tests/cow/test_kill.py. Here it has come before anything is done. */
Test(cow_apply, a_signal_ends_it_in_good_order)
{
	static const char *const signals[] = {"SIGTERM", "SIGINT", "SIGHUP"};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct cow_site site;

		cow_start(&site, "kernel", "a=a\n");
		_autorun_ struct run_result run = cow_run(&site, "echo n >a; mkdir new; : >new/f");
		const struct run_options options = {.env = site.place.env};
		_autorun_ struct run_result stopped = run_argv(
			&options,
			(const char *const[]){"/usr/bin/python3", "-c",
					      "import os, signal, sys\n"
					      "number = getattr(signal, sys.argv[1])\n"
					      "signal.signal(number, signal.SIG_DFL)\n"
					      "signal.pthread_sigmask(signal.SIG_BLOCK, [number])\n"
					      "os.kill(os.getpid(), number)\n"
					      "os.execv(sys.argv[2], sys.argv[2:])\n",
					      signals[i], sbx_program(), "apply", "s", NULL});
		_autofree_ char *text = tree_read(site.tree, "a");

		expect_success(run);
		expect_failure(stopped, 1,
			       "sbx: interrupted by a signal\n     hint:  nothing is lost");
		cr_expect(strcmp(text, "a\n") == 0 && !tree_exists(site.tree, "new"), "%s",
			  signals[i]);
		_autorun_ struct run_result rest = cow_verb(&site, "apply", "s");

		expect_out(rest, "applied: 2 added, 1 changed, 0 deleted\n");
		cow_finish(&site);
	}
}

/* In a sandbox that has a disk of one megabyte at /small, and sbx in it. */
static struct run_result with_small_disk(const struct cow_site *site, const char *script)
{
	const struct run_options options = {.env = site->place.env};

	return run_argv(&options, (const char *const[]){sbx_program(),
							"--ro-bind",
							"/usr",
							"/usr",
							"--ro-bind",
							sbx_program(),
							"/run/sbx",
							"--size",
							"1048576",
							"--tmpfs",
							"/small",
							"--allow-userns",
							"--setenv",
							"HOME",
							"/tmp/home",
							"--dev-bind-try",
							"/dev/fuse",
							"/dev/fuse",
							"--",
							"/bin/sh",
							"-ec",
							script,
							"sh",
							"/run/sbx",
							site->sbx_driver,
							NULL});
}

/* Where a tmpfs keeps no marks the kernel's driver is refused, and leaves nothing. */
static bool is_refused(const struct cow_site *site, const struct run_result *run)
{
	if (strcmp(site->sbx_driver, "kernel") != 0 || tmpfs_has_attributes())
		return false;
	cr_expect(strstr(run->err, "whose filesystem has no user attributes"), "%s", run->err);
	return true;
}

/*
 * The disk of the sessions is full: the command is told, and what it could write is kept. With
 * fuse-overlayfs there is room again some time after a file was removed, and a write has failed
 * when fsync(2) says so.
 */
Test(cow_apply, a_full_disk_during_the_run)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "x");
		_autorun_ struct run_result run = with_small_disk(
			&site, "mkdir /small/t; cd /small/t; echo a >a; set +e\n"
			       "$1 --ro-bind /usr /usr --cow . --session /small/s "
			       "--overlay-driver=$2 -- /bin/sh -c 'echo 2 >a; "
			       "head -c 3000000 /dev/zero >big; echo $?; rm -f big; "
			       "until echo 3 >n && sync n; do :; done'\n"
			       "echo status $?; $1 diff --name-only /small/s; cat a; "
			       "$1 apply /small/s; cat a n; ls");

		if (!is_refused(&site, &run)) {
			expect_success(run);
			cr_expect(strstr(run.err, "No space left on device"), "%s", run.err);
			cr_expect_str_eq(run.out, "1\nstatus 0\n/small/t/a\n/small/t/n\na\n"
						  "applied: 1 added, 1 changed, 0 deleted\n"
						  "2\n3\na\nn\n");
		}
		cow_finish(&site);
	}
}

/* Nobody reads what is said: all is done nevertheless. */
Test(cow_apply, a_reader_that_leaves_stops_nothing)
{
	static const char script[] =
		"mkfifo \"$2\"; exec 3<>\"$2\" 4>\"$2\" 3>&-; \"$1\" apply s 2>&4 >/dev/null; "
		"echo $?; \"$1\" apply --dry-run s >&4; echo $?; cat \"$3\"/a; "
		"find \"$3\" -name '.sbx*'";
	struct cow_site site;

	cow_start(&site, "kernel", "a=a\n");
	_autofree_ char *fifo = tree_path(site.place.tree, "fifo");
	_autorun_ struct run_result run = cow_run(
		&site, "for i in $(seq 90); do echo $i >f$i; chmod 4755 f$i; done; echo 2 >a");
	const struct run_options options = {.env = site.place.env};
	_autorun_ struct run_result apply =
		run_argv(&options, (const char *const[]){"/bin/bash", "-c", script, "sh",
							 sbx_program(), fifo, site.path, NULL});

	expect_success(run);
	expect_out(apply, "0\n0\n2\n");
	cow_finish(&site);
}

/* It is not the entry that has changed, which is not there, or still as it was. */
Test(cow_apply, a_directory_that_has_changed_is_told_as_one)
{
	struct cow_site site;
	char expected[1024];

	cow_start(&site, "kernel", "d/old=o\n");
	_autorun_ struct run_result run = cow_run(&site, "echo 1 >d/new");
	on_host(&site, "echo 1 >\"$1\"/d/hostnew");
	_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

	expect_success(run);
	cr_expect_eq(apply.status, 1);
	snprintf(expected, sizeof(expected),
		 "sbx: %s/d/new: its directory has changed on the host since the session began\n"
		 "sbx: s: 1 of the entries has changed on the host since the session began; "
		 "nothing was applied\n",
		 site.path);
	cr_expect(strstr(apply.err, expected) == apply.err, "%s", apply.err);
	cow_finish(&site);
}

/* Its own record finds no room: nothing is started, nothing left. */
Test(cow_apply, a_full_disk_before_the_run)
{
	struct cow_site site;

	cow_start(&site, "kernel", "x");
	_autorun_ struct run_result run = with_small_disk(
		&site, "cd /small; mkdir t; cat /dev/zero >fill 2>/dev/null || :; set +e\n"
		       "$1 --ro-bind /usr /usr --cow t --session /small/s "
		       "--overlay-driver=$2 -- /bin/echo started; echo status $?; ls");

	expect_success(run);
	cr_expect_str_eq(run.out, "status 125\nfill\nt\n", "%s", run.err);
	if (!is_refused(&site, &run))
		cr_expect(strstr(run.err, "No space left on device"), "%s", run.err);
	cow_finish(&site);
}

/* The directory's disk is full: what was applied is whole, and more room is all that it takes. */
Test(cow_apply, a_full_disk_during_apply)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "x");
		_autorun_ struct run_result run = with_small_disk(
			&site,
			"mkdir /small/t /small/t/d /small/t/gone; cd /small/t; echo z >gone/z; "
			"letters() { head -c $2 /dev/zero | tr '\\0' $1; }; "
			"for i in 1 2 3 4; do letters o 1000 >d/$i; done\n"
			"$1 --ro-bind /usr /usr --cow . --session s --overlay-driver=$2 -- "
			"/bin/sh -ec 'rm -r gone; for i in 1 2 3 4; do "
			"head -c 100000 /dev/zero | tr \"\\0\" n >d/$i; done'\n"
			"letters f 800000 >/small/fill; if $1 apply s; then exit 9; fi\n"
			"for i in 1 2 3 4; do tr -s no <d/$i; wc -c <d/$i; done | sort | uniq | "
			"tr '\\n' ' '; find . -name '.sbx*'; echo\n"
			"rm /small/fill; $1 apply s; $1 diff s; cat d/? | tr -s n; "
			"cat d/? | wc -c; ls");

		if (is_refused(&site, &run)) {
			cow_finish(&site);
			continue;
		}
		cr_expect_eq(run.status, 0, "%s: %s%s", driver, run.out, run.err);
		cr_expect(strstr(run.err, "No space left on device") &&
				  strstr(run.err, "nothing is lost"),
			  "%s", run.err);
		cr_expect(strstr(run.out, "n100000 o1000 \napplied: "), "%s", run.out);
		cr_expect(strstr(run.out, "deleted\nn400000\nd\n"), "%s", run.out);
		cow_finish(&site);
	}
}

/* The session's disk is full, which is another: that is told, and not an entry that has room. */
Test(cow_apply, a_full_disk_of_the_session_during_apply)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "x");
		_autorun_ struct run_result run = with_small_disk(
			&site,
			"mkdir /tmp/t; cd /tmp/t; echo b >b; head -c 99999 /dev/zero >/small/fill\n"
			"$1 --ro-bind /usr /usr --cow . --session /small/s "
			"--overlay-driver=$2 -- /bin/sh -c 'rm b; cat /dev/zero >big || :'\n"
			"if $1 apply /small/s; then exit 9; fi; ls\n"
			"rm /small/fill; $1 apply /small/s; ls");

		if (is_refused(&site, &run)) {
			cow_finish(&site);
			continue;
		}
		expect_success(run);
		cr_expect(strstr(run.err, "sbx: /small/s: cannot write the journal: No space left "
					  "on device\n     hint:  make room where the session is"),
			  "%s", run.err);
		cr_expect_str_eq(run.out, "b\napplied: 1 added, 0 changed, 1 deleted\nbig\n");
		cow_finish(&site);
	}
}

/* So is it where the attributes alone find no room. */
Test(cow_apply, a_disk_that_is_full_for_attributes)
{
	static const char script[] =
		"mkdir /small/m; exec unshare -Urm /bin/sh -ec '\n"
		"mount -t tmpfs -o nr_inodes=48 none /small/m; mkdir /small/m/t; cd /small/m/t\n"
		"echo e >e\n"
		"$0 --ro-bind /usr /usr --cow . --session s --overlay-driver=$1 -- "
		"/usr/bin/python3 -c "
		"\"import os; os.setxattr(\\\"e\\\", \\\"user.big\\\", b\\\"x\\\" * 4000)\" || "
		"exit 125\n"
		"i=0; while (: >/small/m/fill$i) 2>/dev/null; do i=$((i + 1)); done\n"
		"rm /small/m/fill1 /small/m/fill2 /small/m/fill3\n"
		"if $0 apply s; then exit 9; fi; ls -A; rm /small/m/fill*; $0 apply s; $0 diff s\n"
		"python3 -c \"import os; print(len(os.getxattr(\\\"e\\\", \\\"user.big\\\")))\"' "
		"\"$1\" \"$2\"";
	struct cow_site site;

	cow_start(&site, "kernel", "x");
	_autorun_ struct run_result run = with_small_disk(&site, script);

	if (!is_refused(&site, &run)) {
		expect_success(run);
		cr_expect(
			strstr(run.err, "/t/e: its attributes find no room on the disk\n") &&
				strstr(run.err, "/t/e: cannot be applied: No space left on device"),
			"%s", run.err);
		cr_expect_str_eq(run.out, "e\napplied: 0 added, 1 changed, 0 deleted\n4000\n");
	}
	cow_finish(&site);
}

/* All that the host has in such a directory is looked at, and what apply makes there is not it. */
Test(cow_apply, of_its_own_temporary_names_nothing_is_said)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "d/x=x\n", "d/y=y\n");
		_autorun_ struct run_result run = cow_run(
			&site, "rm -r d; mkdir d d/new; echo 2 >d/x; echo n >d/n; echo n >d/new/n");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");

		expect_success(run);
		expect_success(apply);
		cr_expect_str_eq(apply.err, "", "%s", driver);
		cr_expect(tree_exists(site.tree, "d/new/n") && tree_exists(site.tree, "d/n") &&
			  !tree_exists(site.tree, "d/y"));
		cow_finish(&site);
	}
}

/* What was applied is the host's, and is not brought back by going on. */
Test(cow_apply, what_was_applied_is_not_applied_again)
{
	EACH_DRIVER(driver)
	{
		struct cow_site site;

		cow_start(&site, driver, "f=v1\n", "k=keep\n");
		_autorun_ struct run_result first =
			cow_run(&site, "echo layer >f; rm k; mkdir d; echo 1 >d/x; chmod 700 .");
		_autorun_ struct run_result apply = cow_verb(&site, "apply", "s");
		_autorun_ struct run_result host =
			run_program("/bin/sh", "-ec",
				    "cd \"$1\"; echo host >f; echo again >k; rm -r d; chmod 750 .",
				    "sh", site.path);
		_autorun_ struct run_result second =
			cow_run(&site, "cat f; echo *; stat -c %a .; echo g >g");
		_autorun_ struct run_result diff = cow_verb(&site, "diff", "--name-only", "s");
		_autorun_ struct run_result anew = cow_verb(&site, "sessions", "--json");
		_autorun_ struct run_result rest = cow_verb(&site, "apply", "s");
		_autorun_ struct run_result after =
			run_program("/bin/sh", "-ec", "cd \"$1\"; cat f k g; echo *; stat -c %a .",
				    "sh", site.path);

		expect_success(first);
		expect_success(apply);
		expect_success(host);
		expect_out(second, "host\nf k\n750\n");
		cr_expect(strstr(diff.out, "/g\n") && !strstr(diff.out, "/f\n"), "%s", diff.out);
		cr_expect(strstr(anew.out, "\"kept\""), "%s", anew.out);
		expect_out(rest, "applied: 1 added, 0 changed, 0 deleted\n");
		expect_out(after, "host\nagain\ng\nf g k\n750\n");
		cow_finish(&site);
	}
}

/* As README has it: again and again, with no name. Those that were applied are not meant. */
Test(cow_apply, the_one_that_was_not_applied_is_meant)
{
	struct cow_site site;

	cow_start(&site, "kernel", "a=1\n");
	const struct run_options options = {.env = site.place.env, .cwd = site.path};

	for (int i = 0; i < 3; i++) {
		_autorun_ struct run_result run =
			run_sbx_with(&options, "--ro-bind", "/usr", "/usr", "--cow", ".", "--",
				     "/bin/sh", "-c", "echo 1 >>a");
		_autorun_ struct run_result apply = cow_verb(&site, i == 1 ? "discard" : "apply");

		expect_success(run);
		expect_success(apply);
	}
	_autofree_ char *text = tree_read(site.tree, "a");
	cr_expect_str_eq(text, "1\n1\n1\n");
	_autorun_ struct run_result none = cow_verb(&site, "discard");
	expect_failure(none, 2, "there are 2 sessions: which one?");
	/* Of two that were not, neither. */
	for (int i = 0; i < 2; i++) {
		_autorun_ struct run_result run =
			run_sbx_with(&options, "--ro-bind", "/usr", "/usr", "--cow", ".", "--",
				     "/bin/sh", "-c", "echo 2 >>a");

		expect_success(run);
	}
	_autorun_ struct run_result both = cow_verb(&site, "apply");
	_autofree_ char *same = tree_read(site.tree, "a");

	expect_failure(both, 2, "there are 4 sessions: which one?");
	cr_expect_str_eq(same, "1\n1\n1\n");
	cow_finish(&site);
}
