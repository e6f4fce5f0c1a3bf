/* SPDX-License-Identifier: MIT */
/* attack mounts: read-only stays read-only, hidden stays hidden, whatever is tried inside. */
#include <stdio.h>
#include <sys/stat.h>

#include "attack.h"

Test(mounts, read_only_reaches_submounts)
{
	_autoclose_ int tree = tmp_tree("d/sub/deep/");
	_autofree_ char *path = tree_path(tree, "d");
	_autorun_ struct run_result r = run_host(
		"set -e; mount -t tmpfs t $2/sub; mkdir $2/sub/deep; mount -t tmpfs t $2/sub/deep\n"
		"for how in --bind --ro-bind; do\n"
		"  $1 --map=single --ro-bind /usr /usr $how $2 /d -- sh -c \\\n"
		"    'for d in /d /d/sub /d/sub/deep; do touch $d/x 2>/dev/null && echo wrote $d; "
		"done; echo end'\n"
		"done",
		path);

	expect_out(r, "wrote /d\nwrote /d/sub\nwrote /d/sub/deep\nend\nend\n");
}

/* Of two mounts on one place the lower one gets the flags too, should the upper one ever go. */
Test(mounts, covered_mounts_get_the_flags)
{
	_autoclose_ int tree = tmp_tree("d/sub/");
	_autofree_ char *path = tree_path(tree, "d");
	_autorun_ struct run_result r = run_host(
		"set -e; mount -t tmpfs -o suid,dev t $2/sub; cd $2; mount -t tmpfs -o suid,dev u "
		"sub\n"
		"for how in --bind --ro-bind; do\n"
		"  $1 --map=single --ro-bind /usr /usr $how $2 /d -- grep ' /d/sub ' "
		"/proc/self/mountinfo | cut -d' ' -f6 | cut -d, -f1-3\n"
		"done",
		path);

	expect_out(r, "rw,nosuid,nodev\nrw,nosuid,nodev\nro,nosuid,nodev\nro,nosuid,nodev\n");
}

/* In namespaces of its own, the command could do anything to mounts of its own. */
#define NESTED(script) "--", "unshare", "-Urm", "sh", "-c", (script)

Test(mounts, read_only_is_locked_for_nested_namespaces)
{
	_autoclose_ int tree = tmp_tree("d/file=kept\n");
	_autofree_ char *path = tree_path(tree, "d");
	_autorun_ struct run_result own = in_usr(
		"--allow-userns", NESTED("mount -t tmpfs t /tmp && mount -o "
					 "remount,bind,ro /tmp && mount -o "
					 "remount,bind,rw /tmp && touch /tmp/x && echo own"));
	_autorun_ struct run_result r = in_usr(
		"--allow-userns", "--ro-bind", path, "/d",
		NESTED("for o in rw rw,suid rw,dev rw,exec suid; do mount -o remount,bind,$o "
		       "/d && echo remounted; done; mount -o remount,rw /d && echo changed;"
		       "umount /d || umount -l /d && echo gone; echo x > /d/file && echo wrote;"
		       "mount --bind /d /tmp && mount -o remount,bind,rw /tmp && echo copied;"
		       "cat /tmp/file"));
	_autofree_ char *file = tree_read(tree, "d/file");

	expect_out(own, "own\n");
	expect_out(r, "kept\n");
	cr_expect_str_eq(file, "kept\n");
}

static const char unmask[] = "for f in /d/secret /d/keys; do umount $f; umount -l $f;"
			     " mount --move $f /tmp; done 2>/dev/null;"
			     " cat /d/secret /d/keys/id 2>/dev/null; echo end";

Test(mounts, masks_are_locked_for_nested_namespaces)
{
	_autoclose_ int tree = tmp_tree("d/secret=token\n", "d/keys/id=key\n");
	_autofree_ char *path = tree_path(tree, "d");
	_autorun_ struct run_result seen = in_usr("--bind", path, "/d", SH(unmask));
	_autorun_ struct run_result own =
		in_usr("--allow-userns", "--bind", path, "/d",
		       NESTED("mount -t tmpfs t /d/keys && umount /d/keys && cat /d/keys/id"));
	_autorun_ struct run_result mask = in_usr("--allow-userns", "--bind", path, "/d", "--mask",
						  "/d/secret", "--mask", "/d/keys", NESTED(unmask));
	_autorun_ struct run_result tmpfs =
		in_usr("--allow-userns", "--bind", path, "/d", "--mask", "/d/secret", "--tmpfs",
		       "/d/keys", NESTED(unmask));

	expect_out(seen, "token\nkey\nend\n");
	expect_out(own, "key\n");
	expect_out(mask, "end\n");
	expect_out(tmpfs, "end\n");
}

Test(mounts, masks_and_read_only_hold_with_all_capabilities)
{
	_autoclose_ int tree = tmp_tree("d/secret=token\n", "d/keys/id=key\n", "ro/file=kept\n");
	_autofree_ char *path = tree_path(tree, "d");
	_autofree_ char *ro = tree_path(tree, "ro");
	_autorun_ struct run_result own = in_usr(
		"--root", "--cap-add", "ALL", "--bind", path, "/d",
		SH("mount -t tmpfs t /d/keys && umount /d/keys && cat /d/keys/id && mount -t tmpfs "
		   "-o ro t /tmp && mount -o remount,rw /tmp && touch /tmp/x && echo own"));
	_autorun_ struct run_result mask =
		in_usr("--cap-add", "ALL", "--bind", path, "/d", "--mask", "/d/secret", "--mask",
		       "/d/keys", SH(unmask));
	_autorun_ struct run_result write = in_usr(
		"--cap-add", "ALL", "--root", "--ro-bind", ro, "/r",
		SH("mount -o remount,bind,rw /r && echo remounted; umount -l /r && echo gone;"
		   "echo x > /r/file && echo wrote; mount --bind /r /tmp; mount -o "
		   "remount,bind,rw /tmp && echo copied; echo x > /tmp/file && echo wrote;"
		   "nsenter -t 1 -m true && echo entered; nsenter -t 1 -U true && echo entered;"
		   "cat /r/file"));
	_autofree_ char *file = tree_read(tree, "ro/file");

	expect_out(own, "key\nown\n");
	expect_out(mask, "end\n");
	expect_out(write, "kept\n");
	cr_expect_str_eq(file, "kept\n");
}

/* ---- what later happens on either side ---- */

/* The host, which waits until the sandbox is there: a pipe each way. */
#define HOST_WITH_SANDBOX                                                                          \
	"set -e; cd $2; mount -t tmpfs t d; mkdir d/sub; mount --make-shared d; mkfifo go said\n"  \
	"box() { local inside=$1; shift; \"$sbx\" --map=single --ro-bind /usr /usr \"$@\" -- sh "  \
	"-c "                                                                                      \
	"\"echo ready; read x; $inside\" <go >said 2>&1 & exec 3>go 4<said; read line <&4; }\n"    \
	"sbx=$1\n"

Test(mounts, sandbox_mounts_never_reach_the_host)
{
	_autoclose_ int tree = tmp_tree("d/");
	_autofree_ char *path = tree_path(tree, "");
	_autorun_ struct run_result r = run_host(
		HOST_WITH_SANDBOX "touch d/sub/here\n"
				  "box 'ls -A /d/sub' --bind d /d --tmpfs /d/sub\n"
				  "ls d/sub; grep -c \" $2/d/sub \" /proc/self/mountinfo || true\n"
				  "echo go >&3; cat <&4; wait",
		path);

	expect_out(r, "here\n0\n");
}

/* Not promised, and said so in SECURITY.md. This test keeps that sentence true. */
Test(mounts, later_host_mounts_arrive_with_their_own_flags)
{
	_autoclose_ int tree = tmp_tree("d/");
	_autofree_ char *path = tree_path(tree, "");
	_autorun_ struct run_result r =
		run_host(HOST_WITH_SANDBOX
			 "box 'touch /d/x 2>/dev/null || echo read-only; touch /d/sub/x && echo "
			 "wrote' --ro-bind d /d\n"
			 "mount -t tmpfs t d/sub\n"
			 "echo go >&3; cat <&4; wait",
			 path);

	expect_out(r, "read-only\nwrote\n");
}

/* Likewise: a mask covers the file that is there, not its name. */
Test(mounts, a_file_the_host_replaces_loses_its_mask)
{
	_autoclose_ int tree = tmp_tree("d/secret=old token\n", "d/new=new token\n");
	_autofree_ char *path = tree_path(tree, "d");
	_autosession_ struct session session;
	_autorun_ struct run_result r = {0};

	session_sbx(&session, &(const struct run_options){.open_input = true}, "--ro-bind", "/usr",
		    "/usr", "--bind", path, "/d", "--mask", "/d/secret",
		    SH("cat /d/secret; echo masked; read x; cat /d/secret"));
	cr_assert(session_expect(&session, "masked\n"), "%s", session.result.err);
	cr_assert(renameat(tree, "d/new", tree, "d/secret") == 0);
	session_send(&session, "go\n");
	r = session_finish(&session);
	expect_out(r, "masked\nnew token\n");
}

/* ---- devices, set-user-ID ---- */

Test(mounts, device_nodes_only_where_asked_for)
{
	_autorun_ struct run_result listed = in_usr(
		SH("for f in /dev/*; do [ -L $f ] || [ ! -c $f -a ! -b $f ] || echo $f; done"));
	_autorun_ struct run_result dev_bind =
		in_usr("--dev-bind", "/dev", "/d", SH("echo x > /d/null && echo works"));
	_autorun_ struct run_result bind = in_usr(
		"--bind", "/dev", "/d", SH("echo x > /d/null && echo works; head -c1 /d/zero"));
	_autorun_ struct run_result mknod =
		in_usr("--root", "--cap-add", "ALL",
		       SH("mknod /tmp/p p && echo pipe; mknod /tmp/b b 8 0 && echo block; mknod "
			  "/tmp/c c 1 1 && echo char"));

	expect_out(listed,
		   "/dev/full\n/dev/null\n/dev/random\n/dev/tty\n/dev/urandom\n/dev/zero\n");
	expect_out(dev_bind, "works\n");
	expect_out(bind, "");
	expect_out(mknod, "pipe\n");
}

static bool has_id_ranges(void)
{
	_autorun_ struct run_result r = in_usr("--map=range", SH("true"));

	return r.status == 0;
}

/*
 * A set-user-ID file of another user can be made by way of a mapped id: outside
 * it works, inside it gives nothing.
 */
Test(mounts, set_user_id_files_give_nothing)
{
	_autoclose_ int tree = tmp_tree("d/");
	_autofree_ char *path = tree_path(tree, "d");
	char mine[32];

	skip_unless(has_id_ranges(), "this user has no id ranges");
	{
		_autorun_ struct run_result made =
			in_usr("--root", "--bind", path, "/d",
			       SH("cp /usr/bin/id /d/id; chown 5:6 /d/id; chmod 6755 /d/id"));
		_autorun_ struct run_result outside = run_program(
			"sh", "-c", "[ $(\"$1/id\" -u) = $(stat -c %u \"$1/id\") ] && echo other",
			"sh", path);
		_autorun_ struct run_result inside =
			in_usr("--bind", path, "/d", SH("stat -c %a /d/id; /d/id -u; /d/id -g"));
		_autorun_ struct run_result root = in_usr("--root", "--cap-add", "ALL", "--bind",
							  path, "/d", SH("/d/id -u; /d/id -g"));

		snprintf(mine, sizeof(mine), "6755\n%u\n%u\n", getuid(), getgid());
		cr_assert_eq(made.status, 0, "%s", made.err);
		expect_out(outside, "other\n");
		expect_out(inside, mine);
		expect_out(root, "0\n0\n");
	}
}

Test(mounts, every_mount_is_nosuid)
{
	_autoclose_ int tree = tmp_tree("d/");
	_autofree_ char *path = tree_path(tree, "d");
	_autorun_ struct run_result host =
		run_program("sh", "-c", "cut -d' ' -f6 /proc/self/mountinfo | grep -vc nosuid");
	_autorun_ struct run_result r = in_usr(
		"--bind", path, "/d", "--tmpfs", "/t", "--dev-bind", path, "/e", "--mqueue", "/q",
		"--sys", "/s", "--cgroup", "/c", "--mask", "/d",
		SH("grep -v nosuid /proc/self/mountinfo; grep NoNewPrivs /proc/self/status"));

	cr_assert_neq(atoi(host.out), 0, "the host's own mounts are all nosuid");
	expect_out(r, "NoNewPrivs:\t1\n");
}
