/* SPDX-License-Identifier: MIT */
/*
 * attack layers: the layers of an overlay stay as they are, and the process that puts them
 * together is no way out. Each attack runs against both drivers; where there is an upper layer in
 * "up", also against fuse-overlayfs alone.
 */
#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "attack.h"

static const char *const drivers[] = {"kernel", "fuse"};
static const char *const upper_drivers[] = {"kernel", "fuse", "alone"};

/* What it has written to before it goes on with alone. */
static void leave_to_fuse(const char *dir)
{
	_autofree_ char *up = NULL;

	cr_assert(asprintf(&up, "%s/up", dir) > 0);
	skip_unless(setxattr(up, "user.fuseoverlayfs.sbx", "fuse", 4, 0) == 0,
		    "the filesystem of the tests has no user attributes");
}

/* A script with $S for sbx with that driver, and $D for its throw-away directory. */
static struct run_result in_tree(int tree, const char *driver, const char *script)
{
	_autofree_ char *cwd = tree_path(tree, "");
	char sbx[1200], dir[1024];
	const char *const env[] = {"PATH=/usr/bin:/bin", "HOME=/tmp", sbx, dir, NULL};
	const struct run_options options = {.cwd = cwd, .env = env};

	skip_unless(access("/usr/bin/fuse-overlayfs", X_OK) == 0 &&
			    access("/dev/fuse", R_OK | W_OK) == 0,
		    "fuse-overlayfs and an open /dev/fuse are needed");
	if (strcmp(driver, "alone") == 0) {
		leave_to_fuse(cwd);
		driver = "fuse";
	}
	(void)snprintf(sbx, sizeof(sbx), "S=%s --ro-bind /usr /usr --overlay-driver=%s",
		       sbx_program(), driver);
	(void)snprintf(dir, sizeof(dir), "D=%s", cwd);
	return run_argv(&options, (const char *const[]){"bash", "-c", script, NULL});
}

/* Whatever the command does to its view: content, modes, owners, times, links. */
#define SHAKE                                                                                      \
	"cd /x; echo x >> f; chmod 777 f d; touch -d 2001-01-01 d/g; mv d e; rm -rf e l; "         \
	"ln f h; truncate -s 0 h; setfattr -n user.a -v b f; exec 3<> f; echo y >&3; mkdir d"
#define STATE "find low -printf '%p %m %U %T@ %l %s\\n' | sort; cat low/f low/d/g"

Test(layers, the_layers_stay_as_they_are)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		_autoclose_ int tree = tmp_tree("low/f=file", "low/d/g=other", "low/l -> f");
		_autorun_ struct run_result r =
			in_tree(tree, drivers[i],
				"{ " STATE "; } > before; cp -a low copy; "
				"$S --root --allow-userns --cap-add ALL --overlay-src low "
				"--tmp-overlay /x -- "
				"sh -c '" SHAKE "; mount -o remount,rw /x' 2> /dev/null; "
				"{ " STATE "; } | cmp - before && echo same; "
				/* Bound, the same does change it. */
				"$S --bind low /x -- sh -c '" SHAKE "' 2> /dev/null; "
				"{ " STATE "; } 2> /dev/null | cmp -s - before || echo changed");

		expect_out(r, "same\nchanged\n");
	}
}

Test(layers, links_in_layers_lead_nowhere)
{
	for (size_t i = 0; i < ARRAY_SIZE(upper_drivers); i++) {
		_autoclose_ int tree =
			tmp_tree("secret=secret", "dir/f=secret", "low/", "up/", "work/");
		_autorun_ struct run_result r = in_tree(
			tree, upper_drivers[i],
			"ln -s $D/secret low/abs; ln -s ../secret low/rel; ln -s $D/dir low/d; "
			"ln -s ../dir up/e; cat low/abs low/rel low/d/f up/e/f; echo; "
			"$S --overlay-src low --tmp-overlay /x -- sh -c "
			"'cat /x/abs /x/rel /x/d/f; echo x > /x/abs; echo x > /x/d/g' 2> "
			"/dev/null; "
			"$S --overlay-src low --overlay up work /x -- sh -c "
			"'cat /x/e/f; echo x > /x/e/g' 2> /dev/null; cat secret; ls dir");

		expect_out(r, "secretsecretsecretsecret\nsecretf\n");
	}
}

/* The helper knows a file by its path: a directory on it is replaced by a link to the host. */
Test(layers, links_that_replace_directories_lead_nowhere)
{
	for (size_t i = 0; i < ARRAY_SIZE(upper_drivers); i++) {
		_autoclose_ int tree = tmp_tree("secret/f=secret", "low/", "up/", "work/");
		_autorun_ struct run_result r = in_tree(
			tree, upper_drivers[i],
			"SECRET=$D/secret; cat secret/f; echo; "
			"$S --env SECRET=$SECRET --overlay-src low --overlay up work /x -- bash -c "
			"'"
			"cd /x; mkdir d; echo mine > d/f; exec 3< d/f; cd d; mv ../d ../old; "
			"ln -s $SECRET ../d; cat /proc/self/fd/3 f; echo x > f; echo x > new; "
			"rm -f g; mkdir sub; chmod 777 f; cat /x/d/f' 2> /dev/null; "
			"ls secret; cat secret/f; stat -c %a secret/f");

		expect_out(r, "secret\nmine\nmine\nf\nsecret644\n");
	}
}

Test(layers, a_destination_is_not_followed_out)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		_autoclose_ int tree = tmp_tree("low/f=low", "more/", "p/", "out/");
		_autorun_ struct run_result r = in_tree(
			tree, drivers[i],
			"ln -s $D/out p/link; ln -s ../../../../../../../$D/out p/rel; "
			"touch p/link/probe && ls out; rm out/probe; "
			"for d in /p/link/new /p/rel/new /p/../../../$D/out/new; do "
			"$S --bind p /p --overlay-src more --overlay-src low --ro-overlay $d -- "
			"cat $d/f; "
			"done 2>&1 | "
			"tr -d '\\n'; ls -A out");

		expect_out(r, "probe\nlowlowlow");
	}
}

/* By the monitor's children: a process inside sees neither number nor name. */
Test(layers, the_helper_is_out_of_reach)
{
	_autoclose_ int tree = tmp_tree("low/f=low", "x/");
	_autorun_ struct run_result r =
		in_tree(tree, "fuse",
			"mkfifo q a; $S --bind . /p --overlay-src low --tmp-overlay /x -- sh -c '"
			"echo > /p/q; read h < /p/a; kill -9 $h || echo not killed; "
			"grep -al allow_othe[r] /proc/[0-9]*/cmdline; cat /proc/$h/status; "
			"grep -c . /x/f' 2> /dev/null & p=$!; read x < q; "
			"h=$(pgrep -P $p -f allow_other); test -n \"$h\" && tr -d '\\0' < "
			"/proc/$h/cmdline | "
			"grep -c allow_other; kill -0 $h && echo here; echo $h > a; wait $p");

	expect_out(r, "1\nhere\nnot killed\n1\n");
}

/* With an upper layer that the kernel keeps it has no place to write to. */
Test(layers, the_helper_sees_the_layers_only)
{
	static const struct {
		const char *driver, *root;
	} rows[] = {
		{"fuse", "0 bin dev helper mount proc sbin usr\n"},
		{"alone", "0 bin dev helper mount proc rw sbin upper usr work\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoclose_ int tree = tmp_tree("low/f=low", "up/", "work/", "secret=s");
		_autorun_ struct run_result r = in_tree(
			tree, rows[i].driver,
			"mkfifo q; $S --bind . /p --overlay-src low --overlay up work /x -- sh -c "
			"'echo > /p/q; sleep 1000' 2> /dev/null & p=$!; read x < q; "
			"h=$(pgrep -P $p -f allow_other); "
			/* What it has is looked at from within its namespaces, with all of its
			 * rights. */
			"nsenter -U -m -n --preserve-credentials -t $h sh -c \"ls / | grep -v lib "
			"| xargs; cat $D/secret; echo x > /0/f; echo x > /usr/x; "
			"grep -c : /proc/net/dev; grep NoNewPrivs /proc/$h/status\" 2> "
			"/dev/null; kill $p");
		char expected[128];

		(void)snprintf(expected, sizeof(expected), "%s1\nNoNewPrivs:\t1\n", rows[i].root);
		expect_out(r, expected);
	}
}

Test(layers, names_with_special_characters_are_names)
{
	static const char *const names[] = {"a:b",  "a,b",   "a\\b", "a\\:b,c:", "low,upperdir=x",
					    "n\nl", "\"q\"", " ",    "\xff\xc3"};

	for (size_t k = 0; k < ARRAY_SIZE(names) * ARRAY_SIZE(drivers); k++) {
		_autoclose_ int tree = tmp_tree("x/");
		_autofree_ char *cwd = tree_path(tree, "");
		const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
		const struct run_options options = {.cwd = cwd, .env = env};
		_autorun_ struct run_result made = run_argv(
			&options, (const char *const[]){
					  "bash", "-c",
					  "mkdir -p \"$1/low\" \"$1/up\" \"$1/work\" && echo low > "
					  "\"$1/low/f\"",
					  "bash", names[k / 2], NULL});
		char low[64], up[64], work[64], driver[32];

		expect_out(made, "");
		(void)snprintf(low, sizeof(low), "%s/low", names[k / 2]);
		(void)snprintf(up, sizeof(up), "%s/up", names[k / 2]);
		(void)snprintf(work, sizeof(work), "%s/work", names[k / 2]);
		(void)snprintf(driver, sizeof(driver), "--overlay-driver=%s", drivers[k % 2]);
		_autorun_ struct run_result r =
			in_usr_with(&options, driver, "--overlay-src", low, "--overlay", up, work,
				    "/x", SH("cat /x/f; echo new > /x/g"));
		_autorun_ struct run_result left =
			run_argv(&options, (const char *const[]){"bash", "-c",
								 "cat \"$1/up/g\"; ls \"$1/low\"",
								 "bash", names[k / 2], NULL});

		expect_out(r, "low\n");
		expect_out(left, "new\nf\n");
	}
}

/* As an archive that somebody has unpacked may bring them: what they would hide is seen. */
Test(layers, names_that_are_marks_are_refused)
{
	static const char *const names[] = {".wh.f", ".wh.", "d/.wh.g", "d/.wh..wh..opq"};

	for (size_t k = 0; k < ARRAY_SIZE(names) * ARRAY_SIZE(drivers); k++) {
		_autoclose_ int tree = tmp_tree("low/f=file", "low/d/g=other", "up/", "work/");
		char script[512];

		(void)snprintf(
			script, sizeof(script),
			">low/%s; $S --overlay-src low --overlay up work /x -- cat /x/f /x/d/g",
			names[k / 2]);
		_autorun_ struct run_result r = in_tree(tree, drivers[k % 2], script);

		if (k % 2 == 0) {
			expect_out(r, "fileother");
			continue;
		}
		cr_expect_str_eq(r.out, "");
		cr_expect(strstr(r.err, names[k / 2]) && strstr(r.err, "fuse-overlayfs takes"),
			  "%s", r.err);
	}
}
