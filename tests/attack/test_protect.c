/* SPDX-License-Identifier: MIT */
/* attack protect: what is protected in a writable bind can neither be changed, replaced nor made.
 */
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attack.h"

/* A project, and a directory for the records of placeholders. */
struct project {
	int tree; /* owned */
	char *path, *runtime;
	const char *env[4];
	struct run_options options;
};

static void project_make(struct project *p)
{
	p->tree = tmp_tree("p/.git/hooks/pre-commit=kept\n", "p/.git/config=kept\n",
			   "p/.git/sub/keep=\n", "p/src/file=free\n", "p/real/rc=kept\n",
			   "p/dir -> real", "p/rc -> dir/rc", "run/");
	p->path = tree_path(p->tree, "p");
	p->runtime = tree_path(p->tree, "run");
	cr_assert(asprintf((char **)&p->env[0], "XDG_RUNTIME_DIR=%s", p->runtime) > 0);
	cr_assert(asprintf((char **)&p->env[1], "HOME=%s", p->path) > 0);
	p->env[2] = "PATH=/usr/bin:/bin";
	p->env[3] = NULL;
	p->options = (struct run_options){.env = p->env};
}

static void project_finish(struct project *p)
{
	close(p->tree);
	free(p->path);
	free(p->runtime);
	free((char *)p->env[0]);
	free((char *)p->env[1]);
}

#define _autoproject_ __attribute__((cleanup(project_finish)))

#define in_project(p, ...) in_usr_with(&(p)->options, "--bind", (p)->path, "/p", __VA_ARGS__)

/* Each way that works says so; what it needs for the next one it puts back. */
static const char change[] =
	"exec 2>/dev/null; f=$1; g=/p/new; try() { n=$1; shift; \"$@\" && echo $n; }\n"
	"put() { echo x >> $1; }; echo x > $g\n"
	"try write put $f; try truncate truncate -s 0 $f; try chmod chmod 777 $f\n"
	"try touch touch -d 2000-01-01 $f; try replace mv -T $g $f; echo x > $g\n"
	"try exchange python3 -c 'import ctypes,sys; sys.exit(ctypes.CDLL(None, use_errno=True)"
	".renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2) != 0)' $g $f\n"
	"try link ln $f /p/hardlink; try rename mv -T $f $f.old; try restore mv -T $f.old $f\n"
	"try remove rm -f $f; try directory mkdir $f; rm -f $g; echo end\n";
static const char change_works[] =
	"write\ntruncate\nchmod\ntouch\nreplace\nexchange\nlink\nrename\n"
	"restore\nremove\ndirectory\nend\n";

Test(protect, a_file_cannot_be_changed_or_replaced)
{
	_autoproject_ struct project p, q;
	_autofree_ char *kept = NULL;

	project_make(&p);
	project_make(&q);
	{
		_autorun_ struct run_result open =
			in_project(&q, "--", "bash", "-c", change, "bash", "/p/.git/config");
		_autorun_ struct run_result r =
			in_project(&p, "--protect", "/p/.git/config", "--", "bash", "-c", change,
				   "bash", "/p/.git/config");

		expect_out(open, change_works);
		expect_out(r, "end\n");
	}
	kept = tree_read(p.tree, "p/.git/config");
	cr_expect_str_eq(kept, "kept\n");
}

/* Rename or replace what is above: case 49. */
static const char replace_above[] =
	"exec 2>/dev/null; cd /p\n"
	"mv .git old && mkdir -p .git/hooks && echo x > .git/hooks/pre-commit && echo renamed\n"
	"mv -T src .git && echo replaced; rm -rf .git; mkdir -p .git/hooks && "
	"echo x > .git/hooks/new && echo removed\n"
	"ln -sfT src .git && echo linked; echo end";

Test(protect, renaming_a_directory_above_is_no_way_round)
{
	_autoproject_ struct project p, q;
	_autofree_ char *kept = NULL;

	project_make(&p);
	project_make(&q);
	{
		_autorun_ struct run_result open = in_project(&q, SH(replace_above));
		_autorun_ struct run_result r =
			in_project(&p, "--protect", "/p/.git/hooks", SH(replace_above));
		_autorun_ struct run_result overlay = in_project(
			&p, "--protect-by=overlay", "--protect", "/p/.git/hooks", "--protect",
			"/p/.git/new/x", "--protect", "/p/none", SH(replace_above));

		expect_said(open, "renamed\n");
		expect_said(open, "removed\n");
		expect_out(r, "end\n");
		if (overlay.status != 125)
			expect_out(overlay, "end\n");
	}
	kept = tree_read(p.tree, "p/.git/hooks/pre-commit");
	cr_expect_str_eq(kept, "kept\n");
	cr_expect_not(tree_exists(p.tree, "p/.git/hooks/new"));
	cr_expect_not(tree_exists(p.tree, "p/old"));
}

/* Grandparents too, in a bind of the directory above and where the root itself was bound. */
Test(protect, renaming_far_above_is_no_way_round)
{
	static const char script[] =
		"exec 2>/dev/null; cd $1/.. && mv p q && mkdir -p p/.git/hooks && echo renamed; "
		"cd /; mv $1 $1.old && echo moved; echo end";
	_autoproject_ struct project p, q;

	project_make(&p);
	project_make(&q);
	for (int root = 0; root < 2; root++) {
		_autofree_ char *hooks = NULL, *above = tree_path(p.tree, "");
		_autofree_ char *other = tree_path(q.tree, "");
		const char *const binds[2][2] = {{above, above}, {"/", "/"}};

		cr_assert(asprintf(&hooks, "%s/.git/hooks", p.path) > 0);
		{
			_autorun_ struct run_result r = in_usr_with(
				&p.options, "--bind", binds[root][0], binds[root][1], "--protect",
				hooks, "--", "bash", "-c", script, "bash", p.path);

			expect_out(r, "end\n");
		}
		if (root == 0) {
			_autorun_ struct run_result open =
				in_usr_with(&q.options, "--bind", other, other, "--", "bash", "-c",
					    script, "bash", q.path);

			expect_out(open, "renamed\nmoved\nend\n");
		}
	}
	cr_expect(tree_exists(p.tree, "p/.git/hooks/pre-commit"));
}

static const char make[] =
	"exec 2>/dev/null; f=$1; echo x > $f && echo file; rm -rf $f; mkdir $f && echo directory;"
	"rm -rf $f; ln -s /p/src $f && echo link; rm -rf $f; mv /p/src/file $f && echo rename;"
	"d=${f%/*}; rm -rf $f; [ $d = /p ] || { mv $d $d.old && mkdir -p $d && echo x > $f && "
	"echo remade; }; echo end";

Test(protect, what_does_not_exist_cannot_be_made)
{
	const char *const paths[] = {"/p/.npmrc", "/p/none/deep/rc"};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		_autoproject_ struct project p, q;

		project_make(&p);
		project_make(&q);
		{
			_autorun_ struct run_result open = in_project(
				&q, "--", "bash", "-c",
				"mkdir -p ${0%/*}; cp -r /p/src /p/src2; exec bash -c \"$1\" bash "
				"$0",
				paths[i], make);
			_autorun_ struct run_result r =
				in_project(&p, "--protect", paths[i], "--", "bash", "-c", make,
					   "bash", paths[i]);
			_autorun_ struct run_result overlay =
				in_project(&p, "--protect-by=overlay", "--protect", paths[i], "--",
					   "bash", "-c", make, "bash", paths[i]);

			expect_said(open, "file\ndirectory\nlink\nrename\n");
			expect_out(r, "end\n");
			/* 125: a filesystem that takes no overlay. */
			if (overlay.status != 125)
				expect_out(overlay, "end\n");
		}
		/* And nothing is left of what held the name. */
		cr_expect_not(tree_exists(p.tree, "p/.npmrc"));
		cr_expect_not(tree_exists(p.tree, "p/none"));
		cr_expect(tree_exists(p.tree, "p/src/file"));
		cr_expect_not(tree_exists(p.tree, "run/sbx/placeholders"));
	}
}

/* Neither the links on the way nor what they lead to. */
Test(protect, links_on_the_way_cannot_be_turned)
{
	static const char script[] =
		"exec 2>/dev/null; cd /p; echo x >> rc && echo through; ln -sf src/file rc && echo "
		"link; ln -sfn src dir && echo above; echo x >> real/rc && echo target; mv real "
		"real2 && echo renamed; echo end";
	_autoproject_ struct project p, q;
	_autofree_ char *kept = NULL;

	project_make(&p);
	project_make(&q);
	{
		_autorun_ struct run_result open = in_project(&q, SH(script));
		_autorun_ struct run_result r = in_project(&p, "--protect", "/p/rc", SH(script));

		expect_out(open, "through\nlink\nabove\ntarget\nrenamed\nend\n");
		expect_out(r, "end\n");
	}
	kept = tree_read(p.tree, "p/real/rc");
	cr_expect_str_eq(kept, "kept\n");
}

/* A link that leads out leads to the sandbox's own tree; the host's is neither held nor changed. */
Test(protect, links_that_lead_out_stay_inside)
{
	_autoproject_ struct project p;
	_autoclose_ int victim = tmp_tree("v/kept=kept\n");
	_autofree_ char *path = tree_path(victim, "v");

	project_make(&p);
	cr_assert(symlinkat(path, p.tree, "p/out") == 0);
	{
		_autorun_ struct run_result host = run_program(
			"sh", "-c", "touch \"$1/out/new\" && rm \"$1/out/new\" && echo reached",
			"sh", p.path);
		_autorun_ struct run_result r = in_project(
			&p, "--protect", "/p/out/new",
			SH("test -e /p/out/new && echo held; ln -sfn x /p/out 2>/dev/null || echo "
			   "end"));

		expect_out(host, "reached\n");
		expect_out(r, "held\nend\n");
	}
	cr_expect_not(tree_exists(victim, "v/new"));
}

/* What was hidden or read-only before stays so: pins take along what is mounted below. */
Test(protect, masks_and_read_only_binds_below_stay)
{
	static const char script[] = "cat /p/.git/config /p/real/rc 2>/dev/null; echo x >> "
				     "/p/src/file && echo wrote; echo end";
	_autoproject_ struct project p;

	project_make(&p);
	for (int overlay = 0; overlay < 2; overlay++) {
		const char *how = overlay ? "--protect-by=overlay" : "--protect-by=placeholder";
		_autofree_ char *src = tree_path(p.tree, "p/src");
		_autorun_ struct run_result open = in_project(&p, SH("cat /p/.git/config"));
		_autorun_ struct run_result r =
			in_project(&p, how, "--mask", "/p/.git/config", "--mask", "/p/real",
				   "--ro-bind", src, "/p/src", "--protect", "/p/.git/hooks",
				   "--protect", "/p/.git/new", "--protect", "/p/new", SH(script));

		expect_out(open, "kept\n");
		if (!overlay)
			expect_out(r, "end\n");
		else
			cr_expect_eq(r.status, 125, "%s", r.out);
	}
}

/* In namespaces of its own or with every capability: covers and pins are locked. */
static const char unmount[] =
	"exec 2>/dev/null; cd /p; for m in .git/hooks .git; do umount $m && echo gone; umount -l "
	"$m "
	"&& echo gone;  mount --move $m src && echo "
	"moved; done; mount -o remount,bind,rw .git/hooks && echo remounted; mount --bind /p /tmp "
	"&& echo x > /tmp/.git/hooks/pre-commit && "
	"echo copied; umount /tmp; mount --rbind /p /tmp && { umount /tmp/.git/hooks && echo "
	"uncovered; echo x > /tmp/.git/hooks/pre-commit && echo wrote; }; mv .git old && echo "
	"renamed; echo end";

Test(protect, pins_are_locked_for_those_who_can_mount)
{
	static const char *const ways[][2] = {{"--allow-userns", NULL}, {"--cap-add", "ALL"}};
	static const char own[] = "mount -t tmpfs t /p/src && umount /p/src && mount --bind "
				  "/p/real /p/src && echo x > /p/src/rc && echo own";
	_autoproject_ struct project p;
	_autofree_ char *kept = NULL;

	project_make(&p);
	{
		_autorun_ struct run_result open =
			in_project(&p, "--allow-userns", "--", "unshare", "-Urm", "sh", "-c", own);
		_autorun_ struct run_result userns =
			in_project(&p, ways[0][0], "--protect", "/p/.git/hooks", "--", "unshare",
				   "-Urm", "sh", "-c", unmount);
		_autorun_ struct run_result caps =
			in_project(&p, ways[1][0], ways[1][1], "--root", "--protect",
				   "/p/.git/hooks", SH(unmount));

		expect_out(open, "own\n");
		expect_out(userns, "end\n");
		expect_out(caps, "end\n");
	}
	kept = tree_read(p.tree, "p/.git/hooks/pre-commit");
	cr_expect_str_eq(kept, "kept\n");
}

static bool is_swapped(void *arg)
{
	const struct project *p = arg;
	struct stat st;

	return fstatat(p->tree, "p/.git", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

/*
 * Somebody outside turns the directory above into a link and back, all the time. Either
 * sbx sees it and refuses, or what the path leads to inside is protected.
 */
Test(protect, a_parent_that_is_swapped_while_starting, .timeout = 120)
{
	static const char swap[] = "import os,sys\n"
				   "os.chdir(sys.argv[1])\n"
				   "print('ready', flush=True)\n"
				   "def do(f, *a):\n"
				   " try: f(*a)\n"
				   " except OSError: pass\n"
				   "while True:\n"
				   " do(os.rename, '.git', '.g'); do(os.symlink, 'src', '.git'); "
				   "do(os.remove, '.git')\n"
				   " do(os.rename, '.g', '.git')\n";
	_autoproject_ struct project p;
	_autosession_ struct session swapper;

	project_make(&p);
	session_start(&swapper, NULL, (const char *const[]){"python3", "-c", swap, p.path, NULL});
	cr_assert(session_expect(&swapper, "ready"));
	cr_assert(wait_until(is_swapped, &p), "nobody swaps");
	for (int i = 0; i < 60; i++) {
		/* What is renamed from outside later is not promised: so only the mount counts. */
		_autorun_ struct run_result r = in_project(
			&p, "--protect", "/p/.git/hooks",
			SH("grep -q ' /p/[.a-z]*/hooks ro,' /proc/self/mountinfo && echo held"));

		if (r.status == 125)
			continue;
		expect_out(r, "held\n");
	}
	session_stop(&swapper);
}

/* A record that a sandbox forged removes nothing but an empty file of the caller's. */
Test(protect, a_forged_record_removes_no_file)
{
	static const char forge[] =
		"cd \"$1\"; mkdir -m 700 -p run/sbx run/sbx/placeholders; "
		"for f in full byte link hard d/; do\n"
		" set -- $(stat -c '%d %i %.9W' p/${f%/}); s=${3%.*} n=${3#*.}; "
		"n=${n#\"${n%%[!0]*}\"}\n"
		" dev=$(( (($1 >> 8) << 32) | ($1 & 255) )); t=f; [ $f = d/ ] && t=d\n"
		" printf '%s %d %d %d %d %d %d %d %s\\0' $t $((k++)) $(( ($(stat -c %d p) >> 8 << "
		"32) "
		"| ($(stat -c %d p) & 255) )) $(stat -c %i p) $dev $2 $s ${n:-0} $PWD/p/${f%/}\n"
		"done > run/sbx/placeholders/forged; chmod 600 run/sbx/placeholders/forged\n"
		"printf 'f 99 1 1 0 0 0 0 relative\\0f 0 0 0' >> run/sbx/placeholders/forged";
	_autoproject_ struct project p;
	_autofree_ char *above = NULL;

	project_make(&p);
	above = tree_path(p.tree, "");
	{
		_autorun_ struct run_result made =
			run_program("sh", "-c",
				    "cd \"$1/p\" && echo x > full && printf x > byte && : > empty "
				    "&& ln -s empty link && : > hard "
				    "&& ln hard hard2 && mkdir d && : > d/x",
				    "sh", above);
		_autorun_ struct run_result forged =
			run_program("bash", "-c", forge, "bash", above);
		_autorun_ struct run_result r = in_usr_with(&p.options, "--", "true");

		cr_expect_eq(made.status, 0, "%s", made.err);
		cr_expect_eq(forged.status, 0, "%s", forged.err);
		cr_expect_eq(r.status, 0, "%s", r.err);
	}
	cr_expect(tree_exists(p.tree, "p/full"));
	cr_expect(tree_exists(p.tree, "p/byte"));
	cr_expect(tree_exists(p.tree, "p/link"));
	cr_expect(tree_exists(p.tree, "p/hard"));
	cr_expect(tree_exists(p.tree, "p/d/x"));
	cr_expect_not(tree_exists(p.tree, "run/sbx/placeholders"), "it was not read at all");
}

/* The preset, against a command that knows all the places. */
Test(protect, the_preset_holds_what_runs_later)
{
	static const char script[] =
		"exec 2>/dev/null; cd /p; put() { case $1 in */*) mkdir -p ${1%/*};; esac; "
		"echo x >> $1 && echo $1; }; for f in .bashrc .zshrc .profile .ssh/authorized_keys "
		".config/autostart/x.desktop .config/systemd/user/x.service .gitconfig .npmrc "
		".git/hooks/pre-commit .git/config .vimrc; do put $f; done; mv .git g && echo git; "
		"mv .config c && echo config; echo end";
	_autoproject_ struct project p, q;

	project_make(&p);
	project_make(&q);
	{
		_autorun_ struct run_result open = in_project(&q, SH(script));
		_autorun_ struct run_result r = in_project(&p, "--protect=dev", SH(script));

		expect_out(open, ".bashrc\n.zshrc\n.profile\n.ssh/authorized_keys\n"
				 ".config/autostart/x.desktop\n.config/systemd/user/x.service\n"
				 ".gitconfig\n.npmrc\n.git/hooks/pre-commit\n.git/config\n.vimrc\n"
				 "git\nconfig\nend\n");
		expect_out(r, "end\n");
	}
	cr_expect_not(tree_exists(p.tree, "p/.bashrc"));
	cr_expect_not(tree_exists(p.tree, "p/.config"));
}

/*
 * The same in a copy-on-write view: what is there stays, what is missing is not made, and what
 * holds its place is no change.
 * @beside: the session lies in another directory than the view, which is the home
 */
static void expect_view_is_held(const char *driver, bool beside)
{
	static const char script[] =
		"exec 2>/dev/null; cd $HOME; put() { case $1 in */*) mkdir -p ${1%/*};; esac; "
		"echo x >> $1 && echo $1; }; for f in .bashrc .ssh/authorized_keys my/own .vimrc "
		".config/autostart/x.desktop .config/systemd/user/x.service "
		".git/hooks/pre-commit .git/hooks/post-commit .git/config .git/commondir "
		"; do put $f; done; mv .git g && echo git; rm -r .git/hooks && echo gone; "
		"mv .config c && echo config; echo x >src/file; cat .git/commondir";
	_autoproject_ struct project p;

	project_make(&p);
	{
		_autofree_ char *state = NULL, *mine = tree_path(p.tree, "p/my");
		const char *env[] = {p.env[0], p.env[1], p.env[2], NULL, NULL};
		const struct run_options options = {.env = env};

		cr_assert(asprintf(&state, "XDG_STATE_HOME=%s", p.runtime) > 0);
		env[3] = beside ? state : NULL;
		for (int again = 0; again < 2; again++) {
			_autorun_ struct run_result run = in_usr_with(
				&options, "--cow", p.path, "--session", "s", "--overlay-driver",
				driver, "--protect=dev", "--protect", mine, SH(script));
			_autorun_ struct run_result names =
				run_sbx_with(&options, "diff", "--name-only", "s");
			_autofree_ char *file = tree_path(p.tree, "p/src/file\n");

			expect_out(run, ".");
			expect_out(names, file);
		}
		_autorun_ struct run_result apply = run_sbx_with(&options, "apply", "s");

		expect_out(apply, "applied: 0 added, 1 changed, 0 deleted\n");
		cr_expect_not(tree_exists(p.tree, "p/.bashrc"));
		cr_expect_not(tree_exists(p.tree, "p/.config"));
		cr_expect_not(tree_exists(p.tree, "p/my"));
		cr_expect_not(tree_exists(p.tree, "p/.git/commondir"));
	}
}

Test(protect, the_preset_holds_views_too)
{
	expect_view_is_held("kernel", true);
	expect_view_is_held("kernel", false);
	if (access("/dev/fuse", R_OK | W_OK) == 0) {
		expect_view_is_held("fuse", true);
		expect_view_is_held("fuse", false);
	}
}

/* An overlay whose upper layer is the host's: what is changed is changed there, at once. */
static void expect_overlay_is_held(const char *driver, bool lower)
{
	static const char script[] =
		"exec 2>/dev/null; cd /p; put() { case $1 in */*) mkdir -p ${1%/*};; esac; "
		"echo x >> $1 && echo $1; }; for f in .bashrc .ssh/authorized_keys "
		".config/git/config "
		".git/hooks/pre-commit .git/hooks/post-commit .git/config .git/commondir "
		".vscode/tasks.json; do put $f; done; mv .git g && echo git; rm -r .git/hooks && "
		"echo "
		"gone; mv .config c && echo config; echo x > src/file; echo end";
	_autoproject_ struct project p;
	_autofree_ char *work = NULL, *other = NULL;

	project_make(&p);
	work = tree_path(p.tree, "work");
	other = tree_path(p.tree, "other");
	cr_assert(mkdirat(p.tree, "work", 0700) == 0 && mkdirat(p.tree, "other", 0700) == 0);
	{
		_autorun_ struct run_result r =
			in_usr_with(&p.options, "--overlay-driver", driver, "--overlay-src",
				    lower ? p.path : other, "--overlay", lower ? other : p.path,
				    work, "/p", "--protect=dev", SH(script));
		_autorun_ struct run_result left = run_program(
			"sh", "-c", "cd \"$1\"; find . ! -type d; find . -type d -empty", "sh",
			other);
		_autofree_ char *kept = tree_read(p.tree, "p/.git/config");

		expect_out(r, "end\n");
		cr_expect_str_eq(kept, "kept\n");
		cr_expect_str_eq(left.out, lower ? "./src/file\n./.git\n" : ".\n");
	}
	cr_expect_not(tree_exists(p.tree, "p/.bashrc"));
	cr_expect_not(tree_exists(p.tree, "p/.config"));
	cr_expect_not(tree_exists(p.tree, "p/.vscode"));
	cr_expect_not(tree_exists(p.tree, "p/.git/hooks/post-commit"));
	cr_expect_not(tree_exists(p.tree, "p/.git/commondir"));
}

Test(protect, the_preset_holds_overlays_too)
{
	for (int lower = 0; lower < 2; lower++) {
		expect_overlay_is_held("kernel", lower);
		if (access("/dev/fuse", R_OK | W_OK) == 0)
			expect_overlay_is_held("fuse", lower);
	}
}

/* Where an overlay is the root of the sandbox, the names in it are the host's: they are pinned too.
 */
Test(protect, an_overlay_that_is_the_root_is_no_way_round)
{
	static const char script[] =
		"exec 2>/dev/null; mv /.git /g && mkdir -p /.git/hooks && echo renamed; "
		"echo end";

	for (int open = 0; open < 2; open++) {
		_autoproject_ struct project p;
		_autofree_ char *work = NULL, *other = NULL;

		project_make(&p);
		work = tree_path(p.tree, "work");
		other = tree_path(p.tree, "other");
		cr_assert(mkdirat(p.tree, "work", 0700) == 0 &&
			  mkdirat(p.tree, "other", 0700) == 0);
		_autorun_ struct run_result r = run_sbx_with(
			&p.options, "--overlay-src", other, "--overlay", p.path, work, "/",
			"--overlay-driver", "kernel", "--ro-bind", "/usr", "/usr", "--symlink",
			"usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64",
			"/lib64", "--protect", open ? "/src/file" : "/.git/hooks", SH(script));

		expect_out(r, open ? "renamed\nend\n" : "end\n");
	}
}

/* A variable has moved what is run later: to where it says, and to where it may be looked for too.
 */
Test(protect, the_preset_follows_variables)
{
	static const char script[] =
		"exec 2>/dev/null; cd /p; put() { mkdir -p ${1%/*}; echo x >> $1 && echo $1; }; "
		"for f in cfg/git/config cfg/fish/config.fish cfg/autostart/x.desktop "
		"cfg/environment.d/x.conf cfg/sbx/profiles/agent data/systemd/user/x.service "
		"zsh/.zshrc .config/fish/config.fish .local/bin/ls bin/ls; do put $f; done; "
		"mv cfg c && echo moved; echo end";
	static const char *const variables[][2] = {
		{"XDG_CONFIG_HOME", "cfg"}, {"XDG_DATA_HOME", "data"}, {"ZDOTDIR", "zsh"}};
	_autoproject_ struct project p, q;

	project_make(&p);
	project_make(&q);
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		_autofree_ char *value = NULL;

		cr_assert(asprintf(&value, "%s/%s", p.path, variables[i][1]) > 0);
		cr_assert_eq(setenv(variables[i][0], value, 1), 0);
	}
	{
		const struct run_options moved = {.env = NULL};
		_autorun_ struct run_result open = in_project(&q, SH(script));

		cr_assert_eq(setenv("XDG_RUNTIME_DIR", p.runtime, 1), 0);
		cr_assert_eq(setenv("HOME", p.path, 1), 0);
		_autorun_ struct run_result r =
			in_usr_with(&moved, "--bind", p.path, "/p", "--protect=dev", SH(script));

		expect_out(open,
			   "cfg/git/config\ncfg/fish/config.fish\ncfg/autostart/x.desktop\n"
			   "cfg/environment.d/x.conf\ncfg/sbx/profiles/agent\n"
			   "data/systemd/user/x.service\nzsh/.zshrc\n.config/fish/config.fish\n"
			   ".local/bin/ls\nbin/ls\nmoved\nend\n");
		expect_out(r, "end\n");
	}
	cr_expect_not(tree_exists(p.tree, "p/cfg"));
	cr_expect_not(tree_exists(p.tree, "p/bin"));
}

/* A submodule: its checkout must not be led to another repository, which has hooks. */
Test(protect, the_preset_holds_submodules_too)
{
	static const char script[] =
		"exec 2>/dev/null; cd /p; echo x > lib/.git && echo file; mv lib/.git lib/g && "
		"echo moved; "
		"mv lib l && echo above; echo x > .git/modules/lib/hooks/pre-commit && echo hook; "
		"echo end";
	_autoproject_ struct project p, q;
	struct project *both[] = {&p, &q};

	project_make(&p);
	project_make(&q);
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		_autofree_ char *path = tree_path(both[i]->tree, "p");
		_autorun_ struct run_result made =
			run_program("sh", "-c",
				    "cd $1; mkdir -p lib .git/modules/lib/hooks; echo x > "
				    ".git/modules/lib/HEAD; "
				    "printf '[core]\\n\\tworktree = ../../../lib\\n' > "
				    ".git/modules/lib/config; "
				    "echo gitdir: ../.git/modules/lib > lib/.git",
				    "sh", path);

		expect_out(made, "");
	}
	{
		_autorun_ struct run_result open = in_project(&q, SH(script));
		_autorun_ struct run_result r = in_project(&p, "--protect=dev", SH(script));

		expect_out(open, "file\nmoved\nabove\nhook\nend\n");
		expect_out(r, "end\n");
	}
}

/* A repository of git's own making, a place that the attacks lead it to, and its user. */
struct repository {
	int tree; /* owned */
	char *path, *runtime;
	const char *env[6];
	struct run_options options;
};

static void repository_make(struct repository *r)
{
	r->tree = tmp_tree("p/file=text\n", "run/", "home/");
	r->path = tree_path(r->tree, "p");
	r->runtime = tree_path(r->tree, "run");
	cr_assert(asprintf((char **)&r->env[0], "XDG_RUNTIME_DIR=%s", r->runtime) > 0);
	cr_assert(asprintf((char **)&r->env[1], "HOME=%s/../home", r->path) > 0);
	r->env[2] = "PATH=/usr/bin:/bin";
	r->env[3] = "GIT_CONFIG_NOSYSTEM=1";
	r->env[4] = NULL;
	r->options = (struct run_options){.env = r->env, .cwd = r->path};
	{
		_autorun_ struct run_result made = run_argv(
			&r->options,
			(const char *const[]){"sh", "-c",
					      "git init -q && git config user.email a@b && git "
					      "config user.name me && git add file && git commit "
					      "-qm one",
					      NULL});

		cr_assert_eq(made.status, 0, "%s", made.err);
	}
}

static void repository_finish(struct repository *r)
{
	close(r->tree);
	free(r->path);
	free(r->runtime);
	free((char *)r->env[0]);
	free((char *)r->env[1]);
}

#define _autorepository_ __attribute__((cleanup(repository_finish)))

/* What the user runs outside, afterwards; a program of the attacker's says "run". */
static struct run_result repository_use(const struct repository *r)
{
	return run_argv(&r->options,
			(const char *const[]){"sh", "-c",
					      "git status > /dev/null 2>&1; git commit -qm two "
					      "--allow-empty; cat ran 2>/dev/null; git log "
					      "--format=%s",
					      NULL});
}

#define in_repository(r, option, script)                                                           \
	run_argv(&(r)->options, (const char *const[]){sbx_program(), "--ro-bind", "/usr", "/usr",  \
						      "--bind", (r)->path, (r)->path, (option),    \
						      "--", "sh", "-c", (script), NULL})

/* Made anew, it leads git to another config, in which a program is named. */
static const char lead_away[] =
	"exec 2>/dev/null; mkdir -p evil; cp -r .git/. evil/; printf '#!/bin/sh\\necho run >> "
	"ran\\n' > evil/program; chmod +x evil/program; git config -f evil/config core.fsmonitor "
	"$PWD/evil/program; echo ../evil > .git/commondir && echo led; mv .git/commondir x && "
	"echo moved; mv x .git/commondir; rm -f .git/commondir && echo removed && echo ../evil > "
	".git/commondir; git commit -qm inside --allow-empty && echo works";

Test(protect, git_cannot_be_led_to_another_config)
{
	static const char *const ways[] = {"--protect-by=placeholder", "--protect-by=overlay"};
	_autorepository_ struct repository q;

	repository_make(&q);
	{
		_autorun_ struct run_result open = in_repository(&q, "--rw-root", lead_away);
		_autorun_ struct run_result used = repository_use(&q);

		expect_out(open, "led\nmoved\nremoved\nworks\n");
		expect_said(used, "run\n");
	}
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		_autorepository_ struct repository p;

		repository_make(&p);
		{
			_autorun_ struct run_result r = run_argv(
				&p.options,
				(const char *const[]){sbx_program(), "--ro-bind", "/usr", "/usr",
						      "--bind", p.path, p.path, "--protect=dev",
						      ways[i], "--", "sh", "-c", lead_away, NULL});
			_autorun_ struct run_result used = repository_use(&p);

			expect_out(r, "works\n");
			expect_said(used, "two\ninside\none\n");
			expect_not_said(used, "run\n");
		}
		cr_expect_not(tree_exists(p.tree, "p/.git/commondir"));
		cr_expect_not(tree_exists(p.tree, "run/sbx/placeholders"));
	}
}

/* What is bound is the directory of all projects, and the caller stands deep in one of them. */
Test(protect, the_project_that_one_works_in_is_held)
{
	static const char attack[] =
		"exec 2>/dev/null; cd ../..; touch .git/hooks/pre-commit && echo hook; echo >> "
		".git/config && echo config; mv .git g && echo git; mv ../p ../q && echo project; "
		"echo gitdir: /evil > ../linked/.git && echo linked; touch .vscode/tasks.json && "
		"echo tasks; touch ../elsewhere && echo end";
	static const char linked[] =
		"exec 2>/dev/null; cd $1; touch ../p/.git/hooks/pre-commit && echo hook; echo >> "
		"../p/.git/config && echo config; echo gitdir: /evil > .git && echo linked; echo "
		"end";
	_autorepository_ struct repository p;
	_autofree_ char *top = NULL;

	repository_make(&p);
	top = tree_path(p.tree, ".");
	{
		_autofree_ char *deep = NULL, *beside = NULL;
		_autorun_ struct run_result made = run_argv(
			&p.options, (const char *const[]){"sh", "-c",
							  "git worktree add -q ../linked && mkdir "
							  "-p a/b .vscode",
							  NULL});
		struct run_options in_deep = p.options, in_linked = p.options;

		cr_assert_eq(made.status, 0, "%s", made.err);
		in_deep.cwd = deep = tree_path(p.tree, "p/a/b");
		in_linked.cwd = beside = tree_path(p.tree, "linked");
		{
			_autorun_ struct run_result r = in_usr_with(&in_deep, "--bind", top, top,
								    "--protect=dev", SH(attack));
			_autorun_ struct run_result away =
				in_usr_with(&in_linked, "--bind", top, top, "--protect=dev", "--",
					    "sh", "-c", linked, "sh", beside);
			_autorun_ struct run_result open =
				in_usr_with(&in_deep, "--bind", top, top, "--no-pty", SH(attack));

			expect_out(r, "end\n");
			expect_out(away, "end\n");
			/* From there on nothing is where the attack looks for it. */
			expect_out(open, "hook\nconfig\ngit\nproject\nlinked\ntasks\nend\n");
		}
	}
}

/* Hooks in another directory, and a config that another includes, in the project both. */
Test(protect, what_gits_config_leads_to_is_held)
{
	static const char attack[] =
		"exec 2>/dev/null; mkdir -p hooks; printf '#!/bin/sh\\necho run >> ran\\n' > "
		"hooks/pre-commit && chmod +x hooks/pre-commit && echo hook; printf "
		"'[core]\\nfsmonitor = %s/hooks/pre-commit\\n' $PWD > shared && echo shared; "
		"echo end";
	static const char *const options[] = {"--rw-root", "--protect=dev"};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		_autorepository_ struct repository p;

		repository_make(&p);
		{
			_autorun_ struct run_result set = run_argv(
				&p.options,
				(const char *const[]){"sh", "-c",
						      "git config core.hooksPath hooks; git config "
						      "include.path ../shared; : > shared",
						      NULL});
			_autorun_ struct run_result r = in_repository(&p, options[i], attack);
			_autorun_ struct run_result used = repository_use(&p);

			cr_assert_eq(set.status, 0, "%s", set.err);
			expect_out(r, i == 0 ? "hook\nshared\nend\n" : "end\n");
			if (i == 0)
				expect_said(used, "run\n");
			else
				expect_not_said(used, "run\n");
		}
	}
}

/*
 * Not promised, and said so in SECURITY.md: a repository in the repository, which the index
 * takes for a submodule, has a config of its own. Only a use of git that leaves
 * submodules alone does not read it.
 */
Test(protect, a_repository_within_is_not_held)
{
	static const char attack[] =
		"exec 2>/dev/null; mkdir sub; cd sub; git init -q; git config user.email a@b; git "
		"config user.name me; git commit -qm sub --allow-empty; printf '#!/bin/sh\\necho "
		"run >> ran\\n' > .git/program; chmod +x .git/program; git config core.fsmonitor "
		"$PWD/.git/program; id=$(git rev-parse HEAD); cd ..; git update-index --add "
		"--cacheinfo 160000,$id,sub && echo added";
	_autorepository_ struct repository p;

	repository_make(&p);
	{
		_autorun_ struct run_result r = in_repository(&p, "--protect=dev", attack);
		_autorun_ struct run_result careful = run_argv(
			&p.options, (const char *const[]){
					    "sh", "-c",
					    "git status --ignore-submodules=all > /dev/null; find "
					    ". -name ran",
					    NULL});
		_autorun_ struct run_result used = run_argv(
			&p.options, (const char *const[]){"sh", "-c",
							  "git status > /dev/null 2>&1; cat ran "
							  "sub/ran 2>/dev/null",
							  NULL});

		expect_out(r, "added\n");
		expect_out(careful, "");
		expect_said(used, "run\n");
	}
}
