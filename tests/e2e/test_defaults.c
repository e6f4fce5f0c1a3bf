/* SPDX-License-Identifier: MIT */
/* e2e defaults: what is there when nothing was asked for but /usr. */
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

#include "e2e.h"

#define SH(script) "--", "sh", "-c", (script)

/* Each of the words must be a line of the text. */
static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *p = text; (p = strstr(p, line)); p++)
		if ((p == text || p[-1] == '\n') && (p[len] == '\n' || p[len] == '\0'))
			return true;
	return false;
}

Test(defaults, the_root_holds_the_base_and_nothing_of_the_host)
{
	_autorun_ struct run_result r = in_usr("--", "ls", "-A", "/");
	const char *const there[] = {"dev", "etc", "proc", "run", "tmp", "usr", "var"};
	const char *const gone[] = {"boot", "root", "srv", "mnt", "opt", "media", "sys", "work"};

	expect_success(r);
	for (size_t i = 0; i < ARRAY_SIZE(there); i++)
		cr_expect(has_line(r.out, there[i]), "%s is missing", there[i]);
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		cr_expect_not(has_line(r.out, gone[i]), "%s is there", gone[i]);
}

Test(defaults, the_root_is_read_only_unless_asked)
{
	_autorun_ struct run_result ro = in_usr(SH("echo x > /file"));
	_autorun_ struct run_result rw = in_usr("--rw-root", SH("echo x > /file && cat /file"));

	cr_expect_neq(ro.status, 0);
	cr_expect(strstr(ro.err, "Read-only"), "%s", ro.err);
	expect_out(rw, "x\n");
}

Test(defaults, tmp_run_and_home_are_empty_and_writable)
{
	_autorun_ struct run_result r =
		in_usr(SH("for d in /tmp /var/tmp /run \"$HOME\"; do"
			  " ls -A $d; echo x > $d/file && cat $d/file; done"));

	expect_out(r, "x\nx\nx\nx\n");
}

Test(defaults, what_is_written_to_tmp_is_not_on_the_host)
{
	_autoclose_ int tree = tmp_tree("file=host");
	_autofree_ char *path = tree_path(tree, "");
	char script[PATH_MAX + 64];

	snprintf(script, sizeof(script), "mkdir -p %s && echo inside > %s/file", path, path);
	{
		_autorun_ struct run_result r = in_usr(SH(script));
		_autofree_ char *text = tree_read(tree, "file");

		expect_success(r);
		cr_expect_str_eq(text, "host");
	}
}

Test(defaults, dev_has_what_programs_need_and_no_more)
{
	_autorun_ struct run_result list = in_usr("--", "ls", "-A", "/dev");
	_autorun_ struct run_result use =
		in_usr(SH("echo lost > /dev/null; head -c 4 /dev/zero | od -An -tx1;"
			  "head -c 8 /dev/urandom | wc -c; echo x > /dev/shm/file;"
			  "readlink /dev/fd /dev/stdin /dev/ptmx;"
			  "echo full > /dev/full || echo refused"));

	expect_out(list, "core\nfd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\n"
			 "tty\nurandom\nzero\n");
	cr_expect(strstr(use.out, " 00 00 00 00\n8\n"), "%s%s", use.out, use.err);
	cr_expect(strstr(use.out, "/proc/self/fd\n/proc/self/fd/0\npts/ptmx\nrefused\n"), "%s%s",
		  use.out, use.err);
}

Test(defaults, proc_is_of_the_sandbox)
{
	_autorun_ struct run_result r =
		in_usr("--", "sh", "-c", "cd /proc; echo [0-9]*; readlink self/exe");

	cr_expect_eq(strncmp(r.out, "1 2\n", 4), 0, "%s%s", r.out, r.err);
}

Test(defaults, a_merged_usr_has_its_links)
{
	struct stat st;

	skip_unless(lstat("/bin", &st) == 0 && S_ISLNK(st.st_mode),
		    "the host's /usr is not merged");
	{
		_autorun_ struct run_result r = in_usr("--", "readlink", "/bin", "/sbin", "/lib");

		expect_out(r, "usr/bin\nusr/sbin\nusr/lib\n");
	}
}

Test(defaults, the_users_own_link_takes_the_place_of_the_hosts)
{
	_autorun_ struct run_result r =
		in_usr("--symlink", "usr/sbin", "/bin", "--", "/usr/bin/readlink", "/bin");

	expect_out(r, "usr/sbin\n");
}

Test(defaults, etc_knows_the_caller_and_keeps_the_hosts_accounts_out)
{
	const struct passwd *self = getpwuid(getuid());
	_autorun_ struct run_result name = in_usr("--", "id", "-un");
	_autorun_ struct run_result group = in_usr("--", "id", "-gn");
	_autorun_ struct run_result lines = in_usr(SH("wc -l < /etc/passwd"));
	char expected[64];

	cr_assert(self);
	snprintf(expected, sizeof(expected), "%s\n", self->pw_name);
	expect_out(name, expected);
	expect_success(group);
	cr_expect_leq(atoi(lines.out), 3, "%s", lines.out);
}

Test(defaults, etc_has_what_programs_look_up)
{
	_autorun_ struct run_result names = in_usr(
		SH("[ \"$(cat /etc/hostname)\" = \"$(uname -n)\" ] && grep -c localhost /etc/hosts;"
		   "grep -c ^passwd: /etc/nsswitch.conf; ls /etc/resolv.conf /etc/shadow"));
	_autorun_ struct run_result awk = in_usr("--", "awk", "BEGIN { print 6 * 7 }");

	cr_expect_eq(strncmp(names.out, "2\n1\n", 4), 0, "%s%s", names.out, names.err);
	cr_expect(strstr(names.err, "/etc/resolv.conf"), "there is no network to resolve with");
	cr_expect(strstr(names.err, "/etc/shadow"));
	expect_out(awk, "42\n");
}

Test(defaults, an_operation_on_etc_replaces_all_of_it)
{
	_autoclose_ int tree = tmp_tree("mine=");
	_autofree_ char *path = tree_path(tree, "");
	_autorun_ struct run_result tmpfs = in_usr("--tmpfs", "/etc", "--", "ls", "-A", "/etc");
	_autorun_ struct run_result bind =
		in_usr("--ro-bind", path, "/etc", "--", "ls", "-A", "/etc");

	expect_out(tmpfs, "");
	expect_out(bind, "mine\n");
}

Test(defaults, no_base_leaves_only_what_was_asked_for)
{
	_autorun_ struct run_result r =
		in_usr("--no-base", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64",
		       "/lib64", "--", "/usr/bin/ls", "-A", "/");

	expect_out(r, "lib\nlib64\nusr\n");
}

Test(defaults, a_root_of_the_users_own_keeps_only_proc_and_dev_of_the_base)
{
	_autorun_ struct run_result r = run_sbx(
		"--ro-bind", "/", "/", "--", "sh", "-c",
		"cmp /etc/passwd /etc/passwd && cd /proc && echo [0-9]* && ls /dev | wc -l");
	_autorun_ struct run_result same =
		run_sbx("--ro-bind", "/", "/", "--", "cat", "/etc/hostname");
	_autorun_ struct run_result host = run_program("cat", "/etc/hostname");
	_autorun_ struct run_result ro =
		run_sbx("--ro-bind", "/", "/", "--", "sh", "-c", "echo x > /tmp/sbx-test-file");

	expect_success(r);
	cr_expect_eq(strncmp(r.out, "1 2\n", 4), 0, "%s%s", r.out, r.err);
	expect_out(same, host.out);
	cr_expect(strstr(ro.err, "Read-only"), "%s", ro.err);
}

#define CALLER_ENV                                                                                 \
	(const char *const[])                                                                      \
	{                                                                                          \
		"PATH=/usr/bin:/bin", "HOME=/home/caller", "TERM=xterm", "LANG=C", "LC_ALL=C",     \
			"SECRET=token", "FD=3", NULL                                               \
	}

Test(defaults, the_environment_is_cleared_but_for_a_few_names)
{
	const struct run_options options = {.env = CALLER_ENV, .cwd = "/"};
	_autorun_ struct run_result r = in_usr_with(&options, SH("env | sort"));

	expect_out(r, "HOME=/home/caller\nLANG=C\nLC_ALL=C\nPATH=/usr/bin:/bin\nPWD=/\n"
		      "TERM=xterm\n");
}

Test(defaults, the_environment_is_what_the_options_say_in_order)
{
	_autoclose_ int tree = tmp_tree("env=# comment\nFROM_FILE=a b\n");
	_autofree_ char *file = tree_path(tree, "env");
	const struct run_options options = {.env = CALLER_ENV, .cwd = "/"};
	_autorun_ struct run_result r = in_usr_with(
		&options, "--clearenv", "--env", "SECRET", "--setenv", "A", "1", "--env", "B=2=3",
		"--setenv", "C", "", "--unsetenv", "A", "--env-file", file, "--", "/usr/bin/env");
	_autorun_ struct run_result kept =
		in_usr_with(&options, "--keep-env", "--unsetenv", "FD", "--", "/usr/bin/env");

	cr_expect(has_line(r.out, "SECRET=token"), "%s%s", r.out, r.err);
	cr_expect(has_line(r.out, "B=2=3"));
	cr_expect(has_line(r.out, "C="));
	cr_expect(has_line(r.out, "FROM_FILE=a b"));
	cr_expect(has_line(r.out, "PWD=/"));
	cr_expect_not(strstr(r.out, "A=1"));
	cr_expect_not(strstr(r.out, "HOME="));
	cr_expect(has_line(kept.out, "SECRET=token"));
	cr_expect_not(strstr(kept.out, "FD="));
}

Test(defaults, only_the_first_three_descriptors_are_inherited)
{
	_autoclose_ int tree = tmp_tree("file=seen\n");
	_autoclose_ int file = openat(tree, "file", O_RDONLY | O_CLOEXEC);
	const struct run_options options = {
		.fds = {{.from = file, .to = 7}, {.from = file, .to = 9}}};
	_autorun_ struct run_result none = in_usr_with(&options, "--", "ls", "/proc/self/fd");
	_autorun_ struct run_result one = in_usr_with(&options, "--pass-fd", "9", "--", "sh", "-c",
						      "cat <&9; [ ! -e /proc/$$/fd/7 ]");
	_autorun_ struct run_result closed = in_usr("--pass-fd", "99", "--", "true");

	expect_out(none, "0\n1\n2\n3\n"); /* 3 is the directory itself */
	expect_out(one, "seen\n");
	expect_failure(closed, 125, "99");
}

Test(defaults, the_working_directory_is_the_callers_where_it_exists)
{
	const struct run_options usr = {.cwd = "/usr/share"};
	const struct run_options other = {.cwd = "/var/lib"};
	_autorun_ struct run_result kept = in_usr_with(&usr, SH("pwd; echo $PWD"));
	_autorun_ struct run_result home = in_usr_with(&other, SH("[ $PWD = $HOME ] && pwd -P"));
	_autorun_ struct run_result root =
		in_usr_with(&other, "--no-base", "--ro-bind", "/lib64", "/lib64", "--ro-bind",
			    "/lib", "/lib", "--", "/usr/bin/pwd");

	expect_out(kept, "/usr/share\n/usr/share\n");
	expect_success(home);
	expect_out(root, "/\n");
}

/* A shell knows it by the links that were followed, and "$PWD" is what its user binds. */
Test(defaults, the_working_directory_keeps_the_callers_name_for_it)
{
	_autoclose_ int tree = tmp_tree("real/file=seen\n", "link -> real");
	_autofree_ char *link = tree_path(tree, "link"), *real = tree_path(tree, "real");
	char pwd[PATH_MAX], out[PATH_MAX], out_real[PATH_MAX];
	const char *const named[] = {pwd, "PATH=/usr/bin:/bin", NULL};
	const char *const lying[] = {"PWD=/usr", "PATH=/usr/bin:/bin", NULL};
	const struct run_options by_link = {.cwd = link, .env = named};
	const struct run_options by_lie = {.cwd = link, .env = lying};
	bool fits = snprintf(pwd, sizeof(pwd), "PWD=%s", link) < PATH_MAX &&
		    snprintf(out, sizeof(out), "%s\nseen\n", link) < PATH_MAX &&
		    snprintf(out_real, sizeof(out_real), "%s\nseen\n", real) < PATH_MAX;
	_autorun_ struct run_result r =
		in_usr_with(&by_link, "--ro-bind", link, link, SH("echo $PWD; cat file"));
	_autorun_ struct run_result physical =
		in_usr_with(&by_link, "--ro-bind", real, real, SH("echo $PWD; cat file"));
	_autorun_ struct run_result lie =
		in_usr_with(&by_lie, "--ro-bind", real, real, SH("echo $PWD; cat file"));

	cr_assert(fits);
	expect_out(r, out);
	expect_out(physical, out_real);
	expect_out(lie, out_real);
}

Test(defaults, chdir_says_where_or_fails)
{
	_autorun_ struct run_result there = in_usr("--chdir", "/usr/bin", SH("pwd; echo $PWD"));
	_autorun_ struct run_result gone = in_usr("--chdir", "/no/such/dir", "--", "true");

	expect_out(there, "/usr/bin\n/usr/bin\n");
	expect_failure(gone, 125, "/no/such/dir");
	expect_failure(gone, 125, "--chdir");
}

Test(defaults, the_mounts_take_no_suid_programs_and_no_devices)
{
	_autorun_ struct run_result r = in_usr(
		SH("while read -r _ _ _ _ dest flags _; do case $dest in"
		   " /dev/pts | /dev/null | /dev/zero | /dev/full | /dev/random | /dev/urandom |"
		   " /dev/tty | /proc/*) ;;"
		   " *) case $flags in *nosuid*nodev* | *nodev*nosuid*) ;;"
		   " *) echo \"$dest $flags\" ;; esac ;; esac; done < /proc/self/mountinfo"));

	expect_out(r, "");
}

Test(defaults, explain_prints_the_plan_and_runs_nothing)
{
	_autoclose_ int tree = tmp_tree("dir/");
	_autofree_ char *path = tree_path(tree, "dir");
	_autorun_ struct run_result r =
		in_usr("--explain", "--bind", path, "/data", "--", "touch", "/data/file");

	expect_success(r);
	cr_expect(strstr(r.out, "[--ro-bind]"), "%s", r.out);
	cr_expect(strstr(r.out, path), "%s", r.out);
	cr_expect_not(tree_exists(tree, "dir/file"));
}
