/* SPDX-License-Identifier: MIT */
/*
 * e2e layers: overlays, by both drivers. Each script runs once with either, with $S for sbx,
 * and has to print the same.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "e2e.h"

static const char *const drivers[] = {"kernel", "fuse"};

#define EACH_DRIVER(driver_)                                                                       \
	for (size_t i_ = 0; i_ < ARRAY_SIZE(drivers); i_++)                                        \
		for (const char *driver_ = drivers[i_]; (driver_); (driver_) = NULL)

/* Two layers, an upper one, and a place to work in. */
#define LAYERS                                                                                     \
	"low/only-low=low", "low/both=low", "low/dir/file=file", "low/dir/other=other",            \
		"low/link -> both", "high/both=high", "high/only-high=high", "up/", "work/"

static void skip_without_fuse(void)
{
	skip_unless(access("/usr/bin/fuse-overlayfs", X_OK) == 0, "fuse-overlayfs is needed");
	skip_unless(access("/dev/fuse", R_OK | W_OK) == 0,
		    "/dev/fuse has to be open to everybody, as udev makes it");
}

/* The kernel takes no upper layer on an overlay, which a container's directories are on. */
static void skip_without_upper(int tree)
{
	_autofree_ char *cwd = tree_path(tree, "");
	const struct run_options options = {.cwd = cwd};
	_autorun_ struct run_result r =
		in_usr_with(&options, "--overlay-driver=kernel", "--overlay-src", "low",
			    "--overlay", "up", "work", "/x", "--", "true");

	skip_unless(r.status == 0, "the kernel takes no upper layer in the tests' directory");
}

static struct run_result in_tree(int tree, const char *driver, const char *script)
{
	_autofree_ char *cwd = tree_path(tree, "");
	char sbx[1200];
	const char *const env[] = {"PATH=/usr/bin:/bin", "HOME=/tmp", sbx, NULL};
	const struct run_options options = {.cwd = cwd, .env = env};

	(void)snprintf(sbx, sizeof(sbx), "S=%s --ro-bind /usr /usr%s%s", sbx_program(),
		       driver ? " --overlay-driver=" : "", driver ? driver : "");
	return run_argv(&options, (const char *const[]){"bash", "-c", script, NULL});
}

Test(layers, the_later_layer_wins_and_directories_are_merged)
{
	skip_without_fuse();
	EACH_DRIVER(driver)
	{
		_autoclose_ int tree = tmp_tree(LAYERS);
		_autorun_ struct run_result r =
			in_tree(tree, driver,
				"$S --overlay-src low --overlay-src high --ro-overlay /x -- sh -c "
				"'cd /x; ls | xargs; cat only-low both link only-high dir/file'");

		expect_out(r, "both dir link only-high only-low\nlowhighhighhighfile");
	}
}

Test(layers, a_read_only_overlay_cannot_be_written)
{
	skip_without_fuse();
	EACH_DRIVER(driver)
	{
		_autoclose_ int tree = tmp_tree(LAYERS);
		_autorun_ struct run_result r = in_tree(
			tree, driver,
			"$S --overlay-src low --overlay-src high --ro-overlay /x -- sh -c '"
			"for f in /x/new /x/both /x/dir/new; do echo > $f; done; rm /x/both' 2>&1 "
			"| grep -c 'Read-only file system'; ls low high");

		expect_out(r, "4\nhigh:\nboth\nonly-high\n\nlow:\nboth\ndir\nlink\nonly-low\n");
	}
}

#define CHANGE                                                                                     \
	"'cd /x; echo new > new; echo more >> only-low; rm both; rm -r dir; mkdir dir; "           \
	"echo > dir/mine; mv only-high moved; chmod 600 moved; ls | xargs; ls dir; cat only-low'"

/* Linux 6.6 was the first whose tmpfs keeps the extended attributes of users. */
static bool kernel_is_before_6_6(void)
{
	struct utsname name;
	int major = 0, minor = 0;

	cr_assert(uname(&name) == 0 && sscanf(name.release, "%d.%d", &major, &minor) == 2);
	return major < 6 || (major == 6 && minor < 6);
}

/* Where --tmp-overlay is beyond the kernel, the error says so, and what can do it. */
static bool is_refused_by_age(const struct run_result *r, const char *driver)
{
	if (strcmp(driver, "kernel") != 0 || !kernel_is_before_6_6())
		return false;
	cr_expect(strstr(r->err, "--overlay-driver: ") && strstr(r->err, "before Linux 6.6") &&
			  strstr(r->err, "--overlay-driver=fuse can"),
		  "%s", r->err);
	return true;
}

Test(layers, what_is_written_over_a_tmpfs_is_forgotten)
{
	skip_without_fuse();
	EACH_DRIVER(driver)
	{
		_autoclose_ int tree = tmp_tree(LAYERS);
		_autorun_ struct run_result r = in_tree(
			tree, driver,
			"tar c low high | sha256sum > before; "
			"$S --overlay-src low --overlay-src high --tmp-overlay /x -- sh -c " CHANGE
			"; tar c low high | sha256sum | cmp - before && ls up work");

		if (!is_refused_by_age(&r, driver))
			expect_out(r, "dir link moved new only-low\nmine\nlowmore\nup:\n\nwork:\n");
	}
}

/* The kernel does not read all that fuse-overlayfs writes, and is not asked to. */
Test(layers, what_is_written_is_there_for_the_next_one)
{
	skip_without_fuse();
	for (int first = 0; first < 4; first++) {
		_autoclose_ int tree = tmp_tree(LAYERS);
		char script[1024];

		skip_without_upper(tree);
		(void)snprintf(
			script, sizeof(script),
			"L='--overlay-src low --overlay-src high --overlay up work /x'; "
			"tar c low high | sha256sum > before; "
			"$S --overlay-driver=%s $L -- sh -c " CHANGE " > /dev/null; "
			"$S --overlay-driver=%s $L -- sh -c 'cd /x; ls | xargs; ls -A dir; cat "
			"only-low new; stat -c %%a moved'; "
			"tar c low high | sha256sum | cmp - before",
			drivers[first / 2], first % 2 ? "fuse" : "auto");
		_autorun_ struct run_result r = in_tree(tree, NULL, script);

		expect_out(r, "dir link moved new only-low\nmine\nlowmore\nnew\n600\n");
	}
}

/* Of three directories in one option, which it is. */
Test(layers, an_error_tells_which_directory_it_is)
{
	static const char *const cases[][2] = {
		{"--overlay-src low --overlay none work /m", "cannot open RWSRC"},
		{"--overlay-src low --overlay up none /m", "cannot open WORKDIR"},
		{"--overlay-src low --overlay up low/file /m",
		 "is not a directory, as WORKDIR is to be"},
		{"--overlay-src none --overlay up work /m", "none: cannot open the layer"},
	};
	_autoclose_ int tree = tmp_tree("low/file=low", "up/", "work/");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char script[256];

		(void)snprintf(script, sizeof(script), "$S %s -- true", cases[i][0]);
		_autorun_ struct run_result r = in_tree(tree, "kernel", script);

		expect_failure(r, 125, cases[i][1]);
	}
}

Test(layers, what_fuse_has_written_is_not_for_the_kernel)
{
	skip_without_fuse();
	_autoclose_ int tree = tmp_tree("low/file=low", "more/", "up/", "work/");
	char script[1024];

	/*
	 * The kernel takes no overlay as the upper layer of another. A tmpfs is the one that can be
	 * below it everywhere, but has no attributes before Linux 6.6.
	 */
	if (kernel_is_before_6_6())
		skip_without_upper(tree);
	(void)snprintf(
		script, sizeof(script),
		"unshare -Urm bash -c '%s; mkdir more/u more/w m; "
		"mount -t overlay -o userxattr,lowerdir=low,upperdir=more/u,workdir=more/w o m && "
		"mkdir m/up m/work; L=\"--map=single --overlay-src low --overlay m/up m/work /x\"; "
		"$S --overlay-driver=fuse $L -- true 2> said; "
		"grep -c \"/x: fuse-overlayfs keeps what is written\" said; "
		"(exec -a bwrap $S --level-prefix --ro-bind / / --overlay-src low "
		"--overlay m/up m/work /mnt true) 2>&1 | "
		"grep -c \"^<4>bwrap: /mnt: fuse-overlayfs keeps what is written\"; "
		"$S --overlay-driver=kernel $L -- echo ran; echo $?; "
		"$S --map=single --overlay-driver=kernel --overlay-src m/up --tmp-overlay /x "
		"-- echo ran'",
		kernel_is_before_6_6() ? ":" : "mount -t tmpfs t more");
	_autorun_ struct run_result r = in_tree(tree, NULL, script);

	cr_expect_str_eq(r.out, "1\n1\n125\n");
	expect_failure(r, 125, "fuse-overlayfs has written to m/up");
}

/* It would hide them and what they stand for, at any depth; for the kernel they are names. */
Test(layers, names_that_fuse_takes_for_marks_are_refused)
{
	static const struct {
		const char *file, *mark;
	} rows[] = {
		{".wh.", ".wh."},
		{".wh..", ".wh.."},
		{".wh.both", ".wh.both"},
		{".wh.none", ".wh.none"},
		{".wh..wh..opq", ".wh..wh..opq"},
		{"dir/.wh.file", "dir/.wh.file"},
		{"dir/.wh.d/x", "dir/.wh.d"},
	};

	skip_without_fuse();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoclose_ int tree = tmp_tree(LAYERS);
		char script[1024], refused[256];

		(void)snprintf(script, sizeof(script),
			       "mkdir -p \"$(dirname low/%s)\"; printf mark > low/%s; "
			       "$S --overlay-src low --overlay-src high --ro-overlay /x -- "
			       "cat /x/%s /x/only-low",
			       rows[i].file, rows[i].file, rows[i].file);
		(void)snprintf(refused, sizeof(refused),
			       "low/%s: fuse-overlayfs takes a name that begins with .wh.",
			       rows[i].mark);
		_autorun_ struct run_result fuse = in_tree(tree, "fuse", script);
		_autorun_ struct run_result kernel = in_tree(tree, "kernel", script);

		expect_failure(fuse, 125, refused);
		cr_expect(strstr(fuse.err, "--overlay-driver=kernel"), "%s", fuse.err);
		expect_out(kernel, "marklow");
	}
}

/* What is mounted below is shown by it, and looked through. */
Test(layers, marks_in_mounts_below_are_refused)
{
	skip_without_fuse();
	_autoclose_ int tree = tmp_tree(LAYERS, "low/mnt/");
	_autorun_ struct run_result r =
		in_tree(tree, NULL,
			"unshare -Urm bash -c 'mount -t tmpfs t low/mnt; mkdir low/mnt/d; > "
			"low/mnt/d/.wh.x; "
			"$S --overlay-src low --overlay-src high --ro-overlay /x -- ls /x/mnt'");

	expect_failure(r, 125, "low/mnt/d/.wh.x: fuse-overlayfs takes");
}

/*
 * An upper layer that fuse-overlayfs alone begins to write to is looked through as well. The kernel
 * takes none that is on an overlay.
 */
Test(layers, marks_in_an_upper_layer_are_refused_or_its_own)
{
	skip_without_fuse();
	_autoclose_ int tree = tmp_tree(LAYERS, "more/");
	char script[1024];

	if (kernel_is_before_6_6()) /* a tmpfs keeps no attributes */
		skip_without_upper(tree);
	(void)snprintf(
		script, sizeof(script),
		"unshare -Urm bash -c '%s; mkdir more/a more/u more/w m; mount -t overlay o -o "
		"userxattr,lowerdir=more/a,upperdir=more/u,workdir=more/w m || exit 9; "
		"mkdir m/up m/work; > m/up/.wh.both; "
		"L=\"--overlay-src low --overlay m/up m/work /x\"; $S $L -- ls /x; "
		"rm m/up/.wh.both; $S $L -- rm /x/both; $S $L -- ls /x' 2> said; "
		"grep -c \"m/up/.wh.both: fuse-overlayfs takes\" said",
		kernel_is_before_6_6() ? ":" : "mount -t tmpfs t more");
	_autorun_ struct run_result r = in_tree(tree, "fuse", script);

	expect_out(r, "dir\nlink\nonly-low\n1\n");
}

/* No other view of them is right for being asked for in bubblewrap's words. */
Test(layers, bwrap_refuses_names_that_fuse_takes_for_marks)
{
	skip_without_fuse();
	_autoclose_ int tree = tmp_tree(LAYERS, "high/.wh.both=mark");
	_autoclose_ int low = openat(tree, "low", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* What fuse-overlayfs has written to the kernel is not given. */
	skip_unless(fsetxattr(low, "user.fuseoverlayfs.sbx", "fuse", 4, 0) == 0,
		    "user attributes are needed in the tests' directory");
	_autorun_ struct run_result r =
		in_tree(tree, NULL,
			"ln -s ${S%% *} bwrap; ./bwrap --ro-bind /usr /usr --symlink usr/bin /bin "
			"--symlink usr/lib /lib --symlink usr/lib64 /lib64 --overlay-src low "
			"--overlay-src high --tmp-overlay /x -- cat /x/both");

	cr_expect_neq(r.status, 0);
	cr_expect(strstr(r.err, "high/.wh.both: fuse-overlayfs takes a name"), "%s", r.err);
	cr_expect(!strstr(r.err, "--overlay-driver"), "it has no such option: %s", r.err);
}

/* A device 0/0 is not shown, and of several layers it says what is not there. */
Test(layers, devices_that_are_marks)
{
	skip_without_fuse();
	EACH_DRIVER(driver)
	{
		_autoclose_ int tree = tmp_tree(LAYERS);

		cr_assert_eq(mknodat(tree, "high/dir", S_IFCHR, makedev(0, 0)), 0, "%m");
		_autorun_ struct run_result r = in_tree(
			tree, driver,
			"$S --overlay-src low --overlay-src high --ro-overlay /x -- ls -A /x");

		expect_out(r, "both\nlink\nonly-high\nonly-low\n");
	}
}

/* An attribute that fuse-overlayfs alone believes hides what is below, of several layers. */
Test(layers, attributes_that_fuse_takes_for_marks_are_refused)
{
	skip_without_fuse();
	_autoclose_ int tree = tmp_tree(LAYERS, "high/dir/mine=m");
	_autoclose_ int dir = openat(tree, "high/dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	static const char script[] =
		"$S --overlay-src low --overlay-src high --ro-overlay /x -- ls /x/dir";

	skip_unless(fsetxattr(dir, "user.fuseoverlayfs.opaque", "y", 1, 0) == 0,
		    "user attributes are needed in the tests' directory");
	_autorun_ struct run_result fuse = in_tree(tree, "fuse", script);
	_autorun_ struct run_result kernel = in_tree(tree, "kernel", script);
	_autorun_ struct run_result one =
		in_tree(tree, "fuse", "$S --overlay-src high --overlay up work /x -- ls /x/dir");

	expect_failure(fuse, 125, "high/dir: has the attribute user.fuseoverlayfs.opaque");
	expect_out(kernel, "file\nmine\nother\n");
	expect_out(one, "mine\n");
}

Test(layers, one_can_be_the_root)
{
	skip_without_fuse();
	EACH_DRIVER(driver)
	{
		_autoclose_ int tree = tmp_tree("root/etc/", "root/proc/", "root/dev/", "root/usr/",
						"root/bin -> usr/bin", "root/lib -> usr/lib",
						"root/lib64 -> usr/lib64", "root/file=here");
		_autorun_ struct run_result r =
			in_tree(tree, driver,
				"${S/--ro-bind/--overlay-src root --tmp-overlay \\/ --ro-bind} -- "
				"sh -c 'cat "
				"/file; echo more > /etc/x; ls /etc /'; ls -A root/etc");

		if (is_refused_by_age(&r, driver))
			continue;
		expect_out(r, "here/:\nbin\ndev\netc\nfile\nlib\nlib64\nproc\nusr\n\n/etc:\nx\n");
	}
}

/* Before Linux 6.6 fuse-overlayfs is left alone with a tmpfs, and says so: that is put aside. */
Test(layers, mounts_below_a_layer_are_shown_or_refused)
{
	skip_without_fuse();
	_autoclose_ int tree = tmp_tree("low/mnt/", "low/file=low");
	_autorun_ struct run_result r = in_tree(
		tree, NULL,
		"unshare -Urm bash -c 'mount -t tmpfs t low/mnt; echo mounted > low/mnt/file; "
		"L=\"--overlay-src low --tmp-overlay /x -- cat /x/file /x/mnt/file\"; "
		"$S --map=single $L; $S --map=single --overlay-driver=kernel $L; echo $?; "
		"$S --map=single --explain=json $L | jq -r \".remarks[].text\" | grep ^/x' 2>&1 | "
		"sed -e \"s#$PWD##\" -e \"/keeps what is written/d; s/ or else fuse-overlayfs:/:/; "
		"s/by the kernel over/by/\"");

	expect_out(r, "lowmounted\n"
		      "sbx: --overlay-driver: /x: the kernel shows no layer with mounts below it: "
		      "low has /low/mnt\n"
		      "     hint:  --overlay-driver=fuse can\n"
		      "125\n"
		      "/x by fuse-overlayfs: the kernel shows "
		      "no layer with mounts below it: low has /low/mnt\n");
}

/*
 * Where what is written stays, and fuse-overlayfs would lose some of it, it has to be asked for.
 * Who calls sbx bubblewrap cannot.
 */
Test(layers, what_the_kernel_refuses_when_it_mounts_is_done_by_fuse)
{
	skip_without_fuse();
	_autoclose_ int tree = tmp_tree("low/file=low", "more/other=more");
	/* An overlay cannot be the upper layer of another; before Linux 6.6 this one has no
	 * attributes either, which is told without trying. */
	_autorun_ struct run_result r = in_tree(
		tree, NULL,
		"unshare -Urm bash -c 'mount -t tmpfs t more; mkdir more/u more/w m; "
		"mount -t overlay -o userxattr,lowerdir=low,upperdir=more/u,workdir=more/w o m && "
		"mkdir m/up m/work m/new; ln -s ${S%% *} bwrap; S=\"$S --map=single\"; "
		"O=\"--overlay-src low --overlay m/up m/work /x\"; "
		"for d in auto kernel; do $S --overlay-driver=$d $O -- true 2>&1 | grep -c "
		"\"m/up for what is written\\|no user attributes\\|--overlay-driver=fuse, where\"; "
		"done; ls m/up; "
		"$S --overlay-driver=fuse $O -- sh -c \"echo new > /x/new; cat /x/file\"; "
		"./bwrap --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib64 /lib64 "
		"--symlink usr/lib /lib ${O/up/new} sh -c \"echo bw > /x/new\"; "
		"cat m/up/new m/new/new'");

	expect_out(r, "2\n2\nlownew\nbw\n");
}

/* ---- ids ---- */

Test(layers, every_map_works)
{
	static const char *const maps[] = {"--map=auto", "--map=single", "--root", "--user 5",
					   "--uid 7 --gid 8"};

	skip_without_fuse();
	for (size_t k = 0; k < ARRAY_SIZE(maps) * 2; k++) {
		_autoclose_ int tree = tmp_tree(LAYERS);
		char script[512];

		(void)snprintf(script, sizeof(script),
			       "chmod 777 . low; $S %s --overlay-src low --tmp-overlay /x -- sh -c "
			       "'cat /x/both; stat -c %%u /x/both; id -u'",
			       maps[k / 2]);
		_autorun_ struct run_result r = in_tree(tree, drivers[k % 2], script);

		if (is_refused_by_age(&r, drivers[k % 2]))
			continue;
		cr_expect_eq(r.status, 0, "%s %s: %s", maps[k / 2], drivers[k % 2], r.err);
		cr_expect(strncmp(r.out, "low", 3) == 0, "%s", r.out);
	}
}

Test(layers, a_user_namespace_inside_can_use_them)
{
	skip_without_fuse();
	EACH_DRIVER(driver)
	{
		_autoclose_ int tree = tmp_tree(LAYERS);
		_autorun_ struct run_result r =
			in_tree(tree, driver,
				"$S --allow-userns --overlay-src low --tmp-overlay /x -- unshare "
				"-Urm sh -c 'echo k > /x/k; cat /x/k /x/both; umount /x 2>&1 | "
				"grep -c umount'");

		if (!is_refused_by_age(&r, driver))
			expect_out(r, "k\nlow1\n");
	}
}

/* ---- what is wrong ---- */

Test(layers, what_cannot_be_is_refused_by_name)
{
	static const struct {
		const char *options, *words;
	} cases[] = {
		{"--overlay-src none --tmp-overlay /x", "none"},
		{"--overlay-src low/both --tmp-overlay /x", "low/both"},
		{"--overlay-src low --overlay none work /x", "none"},
		{"--overlay-src low --overlay up none /x", "none"},
		{"--overlay-src low --overlay low/dir work /x", "overlap"},
		{"--overlay-src low --overlay up up /x", "overlap"},
		{"--overlay-src low --overlay up /dev/shm /x", "/dev/shm"},
	};

	skip_without_fuse();
	EACH_DRIVER(driver)
	{
		_autoclose_ int tree = tmp_tree(LAYERS);

		skip_without_upper(tree);
		for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
			char script[256];

			(void)snprintf(script, sizeof(script), "$S %s -- echo ran",
				       cases[k].options);
			_autorun_ struct run_result r = in_tree(tree, driver, script);

			cr_expect_eq(r.status, 125, "%s %s: %s", driver, cases[k].options, r.err);
			cr_expect_str_eq(r.out, "", "%s", cases[k].options);
			cr_expect(strstr(r.err, "overlay"), "%s", r.err);
			if (strcmp(driver, "fuse") == 0)
				cr_expect(strstr(r.err, cases[k].words), "no %s in: %s",
					  cases[k].words, r.err);
		}
	}
}

/* The kernel says "Invalid argument" to that, as to a filesystem that it does not take. */
Test(layers, a_directory_to_work_in_on_another_mount_is_refused)
{
	char other[] = "/dev/shm/sbx-test-XXXXXX", script[256];

	skip_without_fuse();
	skip_unless(mkdtemp(other), "no /dev/shm");
	(void)snprintf(script, sizeof(script),
		       "$S --overlay-src low --overlay up %s /x -- echo ran", other);
	for (size_t i = 0; i < 3; i++) {
		_autoclose_ int tree = tmp_tree(LAYERS);
		const char *driver = (const char *const[]){NULL, "kernel", "fuse"}[i];

		skip_without_upper(tree);
		_autorun_ struct run_result r = in_tree(tree, driver, script);

		expect_failure(r, 125, "WORKDIR is not on the same mount as up\n");
		expect_failure(r, 125, "hint:  give an empty directory beside it\n");
	}
	cr_expect_eq(rmdir(other), 0, "%m");
}

/* ---- the helper ---- */

/* sbx with this as fuse-overlayfs, in the shell's words. */
#define HELPER(path) "--helper fuse-overlayfs=" path " "
#define SHOWN "--overlay-src low --tmp-overlay /x "
/* The helper of the sandbox whose monitor this is. */
#define HELPER_OF(pid) "pgrep -P " pid " -f -- -f.-o.allow_other"

Test(layers, a_helper_that_is_missing_or_fails_is_named)
{
	skip_without_fuse();
	_autoclose_ int tree =
		tmp_tree(LAYERS, "fails=#!/bin/sh\necho warned >&2\necho no way >&2\nexit 3\n",
			 "killed=#!/bin/sh\nkill -9 $$\n", "text=no program");
	_autorun_ struct run_result r = in_tree(
		tree, "fuse",
		"for h in none fails killed text; do $S " HELPER("$PWD/$h") SHOWN
		"-- echo ran; echo $?; done 2>&1 | sed \"s#$PWD##\" | grep -v -e keeps -e hint -e "
		"while -e does");

	expect_out(
		r,
		"sbx: --overlay-driver: /x: /none cannot be executed: No such file or directory\n"
		"125\n"
		"sbx: --tmp-overlay /x: /fails: has ended with exit status 3: no way\n125\n"
		"sbx: --tmp-overlay /x: /killed: was killed by signal 9\n125\n"
		"sbx: --overlay-driver: /x: /text cannot be executed: Permission denied\n125\n");
}

Test(layers, a_helper_that_never_mounts_does_not_outlive_the_launch)
{
	skip_without_fuse();
	_autoclose_ int tree =
		tmp_tree(LAYERS, "hangs=#!/bin/sh\necho > up/began\nexec sleep 1000\n");
	_autorun_ struct run_result r =
		in_tree(tree, "fuse",
			"$S " HELPER("$PWD/hangs") SHOWN
			"-- echo ran & p=$!; "
			"until h=$(" HELPER_OF(
				"$p") " || pgrep -P $p sleep); do sleep 0.01; done; kill $p; "
				      "wait $p; echo $?; while kill -0 $h 2> /dev/null; do sleep "
				      "0.01; done; echo gone");

	expect_out(r, "143\ngone\n");
}

Test(layers, the_end_of_the_helper_ends_the_sandbox)
{
	skip_without_fuse();
	_autoclose_ int tree = tmp_tree(LAYERS);
	_autorun_ struct run_result r = in_tree(
		tree, "fuse",
		"mkfifo q; $S --bind . /p " SHOWN
		"-- sh -c 'echo > /p/q; sleep 1000' 2> said & p=$!; "
		"read x < q; kill -9 $(" HELPER_OF(
			"$p") "); wait $p; echo $?; "
			      "grep -c 'killed by signal 9; the sandbox cannot go on' said");

	expect_out(r, "125\n1\n");
}

Test(layers, nothing_is_left_whoever_is_killed)
{
	static const char *const victims[] = {"$p", "$h", "$i"};

	skip_without_fuse();
	for (size_t k = 0; k < ARRAY_SIZE(victims); k++) {
		_autoclose_ int tree = tmp_tree(LAYERS);
		char script[1024];

		(void)snprintf(script, sizeof(script),
			       "mkfifo q; $S --bind . /p " SHOWN
			       "-- sh -c 'echo > /p/q; exec sleep 1000' 2> /dev/null & p=$!; "
			       "read x < q; h=$(" HELPER_OF(
				       "$p") "); i=$(pgrep -P $p | grep -vx $h); "
					     "kill -9 %s; wait $p; "
					     "while kill -0 $h || kill -0 $i; do sleep 0.01; done "
					     "2> /dev/null; "
					     "grep -c fuse-overlayfs /proc/self/mountinfo; true",
			       victims[k]);
		_autorun_ struct run_result r = in_tree(tree, "fuse", script);

		expect_out(r, "0\n");
	}
}

/* Called as bwrap a sandbox outlives the program, but not where that owns its layers. */
Test(layers, bwrap_ends_with_its_helper)
{
	skip_without_fuse();
	_autoclose_ int tree = tmp_tree(LAYERS, "low/mnt/");
	_autorun_ struct run_result r = in_tree(
		tree, NULL,
		"ln -s ${S%% *} bwrap; mkfifo q; export PATH=$PWD:$PATH; "
		"unshare -Urm bash -c 'mount -t tmpfs t low/mnt; bwrap --ro-bind / / "
		"--unshare-user --unshare-pid "
		"--bind $PWD /tmp --overlay-src low --tmp-overlay /mnt sh -c \"sleep 0.3 & echo > "
		"/tmp/q; exec sleep 1000\" 2> /dev/null & p=$!; read x < q; i=$(pgrep -P $p); "
		"kill -9 $p; wait $p; echo $?; for j in $i; do while kill -0 $j; do sleep 0.01; "
		"done; "
		"done 2> /dev/null; echo gone'");

	expect_out(r, "137\ngone\n");
}

/* What was written is in the upper layer when sbx has ended, also without a close. */
Test(layers, nothing_that_was_written_is_lost)
{
	skip_without_fuse();
	EACH_DRIVER(driver)
	{
		_autoclose_ int tree = tmp_tree(LAYERS);

		skip_without_upper(tree);
		_autorun_ struct run_result r = in_tree(
			tree, driver,
			"$S --overlay-src low --overlay up work /x -- sh -c 'exec 3> /x/big; "
			"head -c 3000000 /dev/zero >&3; kill -9 $$'; echo $?; stat -c %s up/big");

		expect_out(r, "137\n3000000\n");
	}
}

Test(layers, several_helpers_and_no_more)
{
	skip_without_fuse();
	_autoclose_ int tree = tmp_tree(LAYERS);
	_autorun_ struct run_result r = in_tree(
		tree, "fuse",
		"L=; for i in 1 2 3; do L=\"$L --overlay-src low --tmp-overlay /x$i\"; done; "
		"$S $L -- sh -c 'echo > /x1/a; ls /x1/a /x2/a /x3/a 2>&1 | grep -c cannot'; "
		"L=; for i in $(seq 17); do L=\"$L --overlay-src low --tmp-overlay /x$i\"; done; "
		"$S $L -- true 2>&1 | grep -c 'there are 16 processes'");

	expect_out(r, "2\n1\n");
}

Test(layers, signals_reach_a_command_that_began_behind_a_helper)
{
	skip_without_fuse();
	_autoclose_ int tree = tmp_tree(LAYERS);
	_autorun_ struct run_result r = in_tree(tree, "fuse",
						"mkfifo q; $S --bind . /p " SHOWN
						"-- sh -c 'trap \"exit 7\" TERM; echo > /p/q; "
						"while :; do sleep 0.05; done' & p=$!; "
						"read x < q; kill $p; wait $p; echo $?");

	expect_out(r, "7\n");
}

/* ---- what is told ---- */

Test(layers, explain_says_who_does_it_and_why)
{
	skip_without_fuse();
	_autoclose_ int tree = tmp_tree(LAYERS);
	_autorun_ struct run_result r = in_tree(
		tree, NULL,
		"$S --overlay-src low --overlay-src high --overlay up work /x --explain -- true | "
		"grep -o -e 'layer low.*fuse-overlayfs' -e '^  layers .*fuse-overlayfs:'; "
		"$S --overlay-driver=fuse --overlay-src low --tmp-overlay /x --explain=json -- "
		"true "
		"| jq -c '.steps[] | select(.kind == \"layers\") | .layers'");

	const char *const over = kernel_is_before_6_6() ? "" : "\"kernel-over-fuse\",";
	char expected[512];

	(void)snprintf(
		expected, sizeof(expected),
		"layer low, high at /x, changes go to up, by the kernel or else the kernel "
		"over fuse-overlayfs\n"
		"  layers          /x by the kernel or else the kernel over fuse-overlayfs:\n"
		"{\"lower\":[\"low\"],\"writable\":true,\"drivers\":[%s\"fuse\"],"
		"\"why\":\"--overlay-driver\"}\n",
		over);
	expect_out(r, expected);
}
