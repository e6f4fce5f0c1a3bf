/* SPDX-License-Identifier: MIT */
/* e2e files: every filesystem option, what it makes inside and what it leaves alone outside. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "e2e.h"

#define SH(script) "--", "sh", "-c", (script)

/* A descriptor whose content is `text`, to pass to sbx as number 10. */
static int data_fd(const char *text)
{
	_autoclose_ int tree = tmp_tree("data=");
	int fd = openat(tree, "data", O_RDWR | O_CLOEXEC);
	size_t len = strlen(text);

	cr_assert(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	cr_assert(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

Test(files, bind_shows_the_hosts_files_and_writes_them)
{
	_autoclose_ int tree = tmp_tree("d/old=before\n");
	_autofree_ char *path = tree_path(tree, "d");
	_autorun_ struct run_result r =
		in_usr("--bind", path, "/data", SH("cat /data/old; echo after > /data/new"));
	_autofree_ char *new = tree_read(tree, "d/new");

	expect_out(r, "before\n");
	cr_expect_str_eq(new, "after\n");
}

Test(files, ro_bind_refuses_every_write)
{
	_autoclose_ int tree = tmp_tree("d/file=kept\n");
	_autofree_ char *path = tree_path(tree, "d");
	_autorun_ struct run_result r = in_usr(
		"--ro-bind", path, "/data",
		SH("cat /data/file; cd /data; echo x > file || rm file || mkdir sub || echo none"));
	_autofree_ char *text = tree_read(tree, "d/file");

	expect_out(r, "kept\nnone\n");
	cr_expect_str_eq(text, "kept\n");
}

Test(files, a_file_can_be_bound)
{
	_autoclose_ int tree = tmp_tree("file=one\n");
	_autofree_ char *path = tree_path(tree, "file");
	_autorun_ struct run_result r =
		in_usr("--bind", path, "/etc/deep/er/name",
		       SH("cat /etc/deep/er/name; echo two > /etc/deep/er/name"));
	_autofree_ char *text = tree_read(tree, "file");

	expect_out(r, "one\n");
	cr_expect_str_eq(text, "two\n");
}

Test(files, ro_bind_reaches_mounts_below_the_source)
{
	_autorun_ struct run_result r = run_sbx("--ro-bind", "/", "/", "--ro-bind", "/dev", "/mnt",
						SH("echo x > /mnt/shm/sbx-test-file"));

	cr_expect_neq(r.status, 0);
	cr_expect(strstr(r.err, "Read-only"), "%s", r.err);
}

Test(files, operations_act_in_order)
{
	_autoclose_ int tree = tmp_tree("a/name=a\n", "b/name=b\n");
	_autofree_ char *a = tree_path(tree, "a");
	_autofree_ char *b = tree_path(tree, "b");
	_autorun_ struct run_result ab =
		in_usr("--ro-bind", a, "/d", "--ro-bind", b, "/d", "--", "cat", "/d/name");
	_autorun_ struct run_result ba =
		in_usr("--ro-bind", b, "/d", "--ro-bind", a, "/d", "--", "cat", "/d/name");
	_autorun_ struct run_result covered =
		in_usr("--tmpfs", "/d", "--dir", "/d/gone", "--ro-bind", a, "/d", "--", "ls", "/d");

	expect_out(ab, "b\n");
	expect_out(ba, "a\n");
	expect_out(covered, "name\n");
}

Test(files, the_try_forms_forgive_only_a_missing_source)
{
	_autorun_ struct run_result missing =
		in_usr("--bind-try", "/no/1", "/a", "--ro-bind-try", "/no/2", "/b",
		       "--dev-bind-try", "/no/3", "/c", SH("ls -d /a /b /c || echo none"));

	expect_out(missing, "none\n");
	skip_unless(access("/root/x", F_OK) < 0 && errno == EACCES, "root's home is not closed");
	{
		_autorun_ struct run_result closed =
			in_usr("--ro-bind-try", "/root/x", "/a", "--", "true");

		expect_failure(closed, 125, "Permission denied");
	}
}

Test(files, bind_fd_binds_what_is_open)
{
	_autoclose_ int tree = tmp_tree("d/name=open\n");
	_autoclose_ int dir = openat(tree, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct run_options options = {.fds = {{.from = dir, .to = 10}}};
	_autorun_ struct run_result rw =
		in_usr_with(&options, "--bind-fd", "10", "/d", SH("cat /d/name; echo x > /d/new"));
	_autorun_ struct run_result ro = in_usr_with(
		&options, "--ro-bind-fd", "10", "/d",
		SH("cat /d/name; echo x > /d/newer || echo refused; ls /proc/self/fd | wc -l"));
	_autorun_ struct run_result closed = in_usr("--bind-fd", "42", "/d", "--", "true");

	expect_out(rw, "open\n");
	cr_expect(tree_exists(tree, "d/new"));
	expect_out(ro, "open\nrefused\n4\n");
	expect_failure(closed, 125, "--bind-fd");
	expect_failure(closed, 125, "42");
}

Test(files, rw_and_ro_bind_at_the_same_path)
{
	_autoclose_ int tree = tmp_tree("rw/", "ro/name=ro\n");
	_autofree_ char *rw = tree_path(tree, "rw");
	_autofree_ char *ro = tree_path(tree, "ro");
	const struct run_options options = {.cwd = ro};
	_autorun_ struct run_result r =
		in_usr_with(&options, "--rw", rw, "--ro", ".",
			    SH("cat name; echo new > ../rw/new; echo x > name || echo refused"));
	_autofree_ char *text = tree_read(tree, "rw/new");

	expect_out(r, "ro\nrefused\n");
	cr_expect_str_eq(text, "new\n");
}

Test(files, dev_bind_lets_device_nodes_work_and_bind_does_not)
{
	_autorun_ struct run_result with =
		in_usr("--dev-bind", "/dev", "/hostdev", SH("head -c 2 /hostdev/zero | wc -c"));
	_autorun_ struct run_result without =
		in_usr("--bind", "/dev", "/hostdev", SH("head -c 2 /hostdev/zero || echo refused"));

	expect_out(with, "2\n");
	expect_out(without, "refused\n");
}

Test(files, tmpfs_has_permissions_and_size)
{
	_autorun_ struct run_result r = in_usr(
		"--perms", "0711", "--size", "1M", "--tmpfs", "/d", "--tmpfs", "/e",
		SH("stat -c %a /d /e; head -c 2000000 /dev/zero > /d/big || stat -c %s /d/big"));

	expect_out(r, "711\n755\n1048576\n");
}

Test(files, mount_opts_act_on_the_next_mount_only)
{
	_autoclose_ int tree = tmp_tree("run=#!/bin/sh\necho ran\n");
	_autofree_ char *path = tree_path(tree, "");
	_autorun_ struct run_result noexec =
		in_usr("--mount-opt", "noexec", "--ro-bind", path, "/a", "--ro-bind", path, "/b",
		       SH("/b/run; /a/run || echo refused"));
	_autorun_ struct run_result inodes =
		in_usr("--mount-opt", "nr_inodes=8,mode=1777,size=64K", "--tmpfs", "/d",
		       SH("stat -c %a /d; cd /d; touch 1 2 3 4 5 6 7 8 9 || echo full"));

	expect_out(noexec, "ran\nrefused\n");
	expect_out(inodes, "1777\nfull\n");
}

Test(files, modifiers_without_their_operation_are_usage_errors)
{
	_autorun_ struct run_result perms =
		in_usr("--perms", "0700", "--bind", "/usr", "/b", "--", "true");
	_autorun_ struct run_result size = in_usr("--size", "1M", "--dir", "/d", "--", "true");
	_autorun_ struct run_result last = in_usr("--perms", "0700", "--", "true");

	expect_failure(perms, 125, "--perms");
	expect_failure(size, 125, "--size");
	expect_failure(last, 125, "--perms");
}

Test(files, dir_is_made_with_its_parents)
{
	_autorun_ struct run_result r =
		in_usr("--dir", "/a/b/c", "--perms", "0700", "--dir", "/p/q", "--dir", "/usr",
		       SH("stat -c '%a %n' /a /a/b /a/b/c /p /p/q"));

	expect_out(r, "755 /a\n755 /a/b\n755 /a/b/c\n700 /p\n700 /p/q\n");
}

Test(files, file_is_a_copy_with_permissions)
{
	_autoclose_ int fd = data_fd("some data\n");
	const struct run_options options = {.fds = {{.from = fd, .to = 10}}};
	_autorun_ struct run_result r =
		in_usr_with(&options, "--perms", "0640", "--file", "10", "/d/file", "--tmpfs", "/w",
			    SH("cat /d/file; stat -c %a /d/file; [ ! -e /proc/self/fd/10 ]"));

	expect_out(r, "some data\n640\n");
}

Test(files, bind_data_is_private_and_may_be_read_only)
{
	_autoclose_ int rw = data_fd("rw\n");
	_autoclose_ int ro = data_fd("ro\n");
	const struct run_options options = {
		.fds = {{.from = rw, .to = 10}, {.from = ro, .to = 11}},
	};
	_autorun_ struct run_result r = in_usr_with(
		&options, "--bind-data", "10", "/etc/rw", "--perms", "0444", "--ro-bind-data", "11",
		"/etc/ro",
		SH("cat /etc/rw /etc/ro; stat -c %a /etc/rw /etc/ro; echo more >> /etc/rw;"
		   "cat /etc/rw; echo x > /etc/ro || echo refused"));

	expect_out(r, "rw\nro\n600\n444\nrw\nmore\nrefused\n");
}

/* The second would silently be empty. */
Test(files, what_has_been_read_from_a_descriptor_is_gone)
{
	_autoclose_ int tree = tmp_tree("data=one\n");
	_autoclose_ int data = openat(tree, "data", O_RDONLY | O_CLOEXEC);
	const struct run_options options = {.fds = {{.from = data, .to = 10}}};
	_autorun_ struct run_result r = in_usr_with(&options, "--file", "10", "/tmp/a",
						    "--ro-bind-data", "10", "/tmp/b", "--", "true");

	expect_failure(r, 125, "--ro-bind-data: /tmp/b: descriptor 10 has been read by then");
	expect_failure(r, 125, "it is --file's");
}

Test(files, symlink_may_be_there_already_if_it_is_the_same)
{
	_autorun_ struct run_result same = in_usr("--symlink", "usr/share", "/a/b", "--symlink",
						  "usr/share", "/a/b", SH("readlink /a/b"));
	_autorun_ struct run_result other =
		in_usr("--symlink", "usr/share", "/s", "--symlink", "usr/lib", "/s", "--", "true");

	expect_out(same, "usr/share\n");
	expect_failure(other, 125, "usr/share");
}

Test(files, chmod_changes_what_is_there)
{
	_autorun_ struct run_result r =
		in_usr("--dir", "/d", "--chmod", "0710", "/d", SH("stat -c %a /d"));
	_autorun_ struct run_result gone = in_usr("--chmod", "0710", "/gone", "--", "true");

	expect_out(r, "710\n");
	expect_failure(gone, 125, "--chmod 0710 /gone");
}

Test(files, remount_ro_is_that_one_mount)
{
	_autorun_ struct run_result r =
		in_usr("--tmpfs", "/d", "--tmpfs", "/d/sub", "--dir", "/d/dir", "--remount-ro",
		       "/d", SH("touch /d/x || touch /d/dir/x || touch /d/sub/x && echo sub only"));
	_autorun_ struct run_result no_mount =
		in_usr("--dir", "/d", "--remount-ro", "/d", "--", "true");

	expect_out(r, "sub only\n");
	expect_failure(no_mount, 125, "--remount-ro /d");
}

Test(files, kernel_filesystems_can_be_put_anywhere)
{
	_autorun_ struct run_result r = in_usr(
		"--proc", "/p", "--dev", "/d", "--mqueue", "/q", "--sys", "/s", "--cgroup", "/c",
		SH("readlink /p/1/root >/dev/null || echo own; cat /p/self/comm; echo x > /d/null;"
		   "stat -f -c %T /q; ls /s/class/net; echo x > /s/kernel/mm/x; ls /c >/dev/null"));

	cr_expect_eq(strncmp(r.out, "own\ncat\nmqueue\nlo\n", 18), 0, "%s%s", r.out, r.err);
	cr_expect_eq(r.status, 0, "%s", r.err);
}

Test(files, mask_hides_files_and_directories)
{
	_autoclose_ int tree = tmp_tree("d/secret=token\n", "d/keys/id=key\n", "d/open=shown\n");
	_autofree_ char *path = tree_path(tree, "d");
	_autorun_ struct run_result r =
		in_usr("--bind", path, "/d", "--mask", "/d/secret", "--mask", "/d/keys",
		       SH("cat /d/open; cat /d/secret; ls -A /d/keys; echo x > /d/secret; echo x > "
			  "/d/keys/id;"
			  "umount /d/secret; mv /d/secret /d/moved; cat /d/moved"));
	_autorun_ struct run_result gone =
		in_usr("--bind", path, "/d", "--mask", "/d/none", "--", "true");
	_autorun_ struct run_result try_ =
		in_usr("--bind", path, "/d", "--mask-try", "/d/none", "--", "true");
	_autofree_ char *secret = tree_read(tree, "d/secret");
	_autofree_ char *key = tree_read(tree, "d/keys/id");

	cr_expect_str_eq(r.out, "shown\n");
	cr_expect_str_eq(secret, "token\n");
	cr_expect_str_eq(key, "key\n");
	expect_failure(gone, 125, "--mask /d/none");
	expect_success(try_);
}

Test(files, rootfs_makes_a_directory_the_root)
{
	_autoclose_ int tree = tmp_tree("root/usr/", "root/etc/name=image\n", "root/bin -> usr/bin",
					"root/lib -> usr/lib", "root/lib64 -> usr/lib64",
					"root/proc/", "root/dev/");
	_autofree_ char *path = tree_path(tree, "root");
	_autorun_ struct run_result r =
		run_sbx("--rootfs", path, "--ro-bind", "/usr", "/usr",
			SH("cat /etc/name; cd /proc; echo [0-9]*; echo new > /etc/new"));
	_autofree_ char *text = tree_read(tree, "root/etc/new");

	cr_expect_eq(strncmp(r.out, "image\n1 2\n", 10), 0, "%s%s", r.out, r.err);
	cr_expect_str_eq(text, "new\n");
}

Test(files, links_in_destinations_stay_inside)
{
	_autorun_ struct run_result relative =
		in_usr("--symlink", "run", "/var/../link", "--dir", "/link/sub",
		       SH("[ -d /run/sub ] && echo made"));
	_autorun_ struct run_result absolute =
		in_usr("--symlink", "/run", "/var/run", "--tmpfs", "/var/run/user",
		       SH("[ -d /run/user ] && readlink /var/run"));
	_autorun_ struct run_result dots =
		in_usr("--dir", "/usr/../../../b", SH("[ -d /b ] && echo made"));

	expect_out(relative, "made\n");
	expect_out(absolute, "/run\n");
	expect_out(dots, "made\n");
}

Test(files, a_link_in_a_bound_directory_cannot_lead_to_the_host)
{
	_autoclose_ int outside = tmp_tree("victim=kept");
	_autofree_ char *target = tree_path(outside, "");
	_autofree_ char *link = NULL;
	_autoclose_ int data = data_fd("overwritten");
	const struct run_options options = {.fds = {{.from = data, .to = 10}}};

	cr_assert(asprintf(&link, "d/link -> %s", target) > 0);
	{
		_autoclose_ int tree = tmp_tree("d/", link);
		_autofree_ char *path = tree_path(tree, "d");
		_autorun_ struct run_result file =
			in_usr_with(&options, "--bind", path, "/d", "--file", "10",
				    "/d/link/victim", "--", "true");
		_autorun_ struct run_result dir =
			in_usr("--bind", path, "/d", "--dir", "/d/link/made", "--", "true");
		_autorun_ struct run_result mode = in_usr("--bind", path, "/d", "--chmod", "0777",
							  "/d/link/victim", "--", "true");
		_autofree_ char *victim = tree_read(outside, "victim");
		struct stat st;

		cr_expect_str_eq(victim, "kept");
		cr_expect_not(tree_exists(outside, "made"));
		cr_assert_eq(fstatat(outside, "victim", &st, 0), 0);
		cr_expect_eq(st.st_mode & 0777, 0644);
	}
}

Test(files, a_place_that_cannot_be_made_is_an_error)
{
	_autoclose_ int tree = tmp_tree("d/");
	_autofree_ char *path = tree_path(tree, "d");
	_autorun_ struct run_result r = in_usr("--ro-bind", path, "/d", "--ro-bind", "/usr/share",
					       "/d/not/there", "--", "true");

	expect_failure(r, 125, "--ro-bind /usr/share /d/not/there");
	expect_failure(r, 125, "Read-only file system");
}

Test(files, a_directory_on_a_file_and_a_file_on_a_directory_are_errors)
{
	_autoclose_ int tree = tmp_tree("file=x", "d/");
	_autofree_ char *file = tree_path(tree, "file");
	_autofree_ char *dir = tree_path(tree, "d");
	_autorun_ struct run_result r1 =
		in_usr("--bind", file, "/f", "--bind", dir, "/f", "--", "true");
	_autorun_ struct run_result r2 =
		in_usr("--bind", dir, "/f", "--bind", file, "/f", "--", "true");

	cr_expect_eq(r1.status, 125, "%s", r1.err);
	cr_expect_eq(r2.status, 125, "%s", r2.err);
}

Test(files, args_gives_thousands_of_binds_under_a_low_descriptor_limit, .timeout = 120)
{
	enum { BINDS = 5000 };
	_autoclose_ int fd = data_fd("");
	const struct run_options options = {.fds = {{.from = fd, .to = 10}}};

	for (int i = 0; i < BINDS; i++)
		dprintf(fd, "--ro-bind%c/usr/share%c/b/%d%c", 0, 0, i, 0);
	cr_assert(lseek(fd, 0, SEEK_SET) == 0);
	{
		_autorun_ struct run_result r = run_argv(
			&options, (const char *const[]){"sh", "-c", "ulimit -n 1024; exec \"$@\"",
							"sh", sbx_program(), "--ro-bind", "/usr",
							"/usr", "--args", "10", "--", "sh", "-c",
							"ls /b | wc -l; [ -d /b/4999/doc ] && grep "
							"-c ' /b/' /proc/self/mountinfo",
							NULL});

		expect_out(r, "5000\n5000\n");
	}
}

/*
 * Root can look where its sandbox cannot go. What is there needs no mask, and that none
 * can be put there is no reason to fail.
 */
Test(files, sockets_that_the_sandbox_cannot_reach_need_no_mask)
{
	static const char host[] =
		"set -e; cd $2; python3 -c 'import socket, sys\n"
		"for name in sys.argv[1:]: socket.socket(socket.AF_UNIX).bind(name)' closed/s "
		"open/s; chmod 700 closed; chown 5 closed; trap 'chown 0 closed' EXIT; $1 "
		"--map=single --ro-bind /usr /usr $3 --ro-bind . /t -- sh -c 'stat -c %F "
		"/t/open/s; ls /t/closed 2> /dev/null || echo closed'";
	_autoclose_ int tree = tmp_tree("closed/", "open/");
	_autofree_ char *top = tree_path(tree, "");
	_autorun_ struct run_result ranges = in_usr("--map=range", "--", "true");

	skip_unless(ranges.status == 0, "this user has no id ranges");
	{
		_autorun_ struct run_result r =
			run_program("unshare", "-U", "--map-auto", "--map-root-user", "bash", "-c",
				    host, "bash", sbx_program(), top, "--mask-sockets");

		expect_out(r, "character special file\nclosed\n");
	}
}
