/* SPDX-License-Identifier: MIT */
/* layers: which driver an overlay gets, why, and what is refused. */
#include <errno.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "planning.h"

/* A host with mounts at /proc and below "/srv/a b". */
static void host_init(struct planning *p)
{
	planning_init(p);
	cr_assert_eq(mkdirat(p->tree, "proc", 0755), 0);
	cr_assert_eq(mkdirat(p->tree, "proc/self", 0755), 0);
	_autofree_ char *path = tree_path(p->tree, "proc/self/mountinfo");
	FILE *f = fopen(path, "we");

	cr_assert(f);
	cr_assert(fputs("22 1 254:0 / / rw - ext4 /dev/vda rw\n"
			"23 22 0:5 / /proc rw - proc proc rw\n"
			"24 22 0:6 / /srv/a\\040b/in rw - tmpfs t rw\n"
			"25 22 0:7 / /srv/only rw - tmpfs t rw\n",
			f) >= 0);
	cr_assert_eq(fclose(f), 0);
}

static const struct plan_layers *layers_of(const struct planning *p)
{
	const struct plan_step *step = planning_find(p, PLAN_STEP_LAYERS, NULL);

	cr_assert(step && step->layers);
	return step->layers;
}

/* `words`: the options, or the text that a remark must begin with. */
static void expect_choice(const char *options, unsigned kernel, int fuse, uint32_t drivers,
			  const char *remark)
{
	_autoplanning_ struct planning p;

	host_init(&p);
	p.host.kernel = kernel;
	p.host.fuse = fuse;
	cr_assert_eq(planning_make(&p, options), 0, "%s: %s", options, planning_error(&p));
	cr_expect_eq(layers_of(&p)->drivers, drivers, "%s: %u", options, layers_of(&p)->drivers);
	cr_expect_eq(p.plan.n_fuse, drivers != PLAN_LAYERS_KERNEL ? 1U : 0U);
	cr_expect(strstr(planning_remarks(&p), remark), "no \"%s\" in: %s", remark,
		  planning_remarks(&p));
}

Test(layers, auto_takes_the_kernel_where_it_can)
{
	const uint32_t ways = PLAN_LAYERS_OVER_FUSE | PLAN_LAYERS_FUSE;

	expect_choice("--overlay-src /a --tmp-overlay /x", 6012, 1, PLAN_LAYERS_KERNEL | ways,
		      "layers: /x by the kernel or else the kernel over fuse-overlayfs or else "
		      "fuse-overlayfs: the kernel can");
	expect_choice("--overlay-src /a --tmp-overlay /x", 6012, -EACCES, PLAN_LAYERS_KERNEL,
		      "layers: /x by the kernel: fuse-overlayfs cannot open /dev/fuse: Permission");
	expect_choice("--overlay-src /a --tmp-overlay /x", 6001, 1, PLAN_LAYERS_FUSE,
		      "layers: /x by fuse-overlayfs: before Linux 6.6");
	expect_choice("--overlay-src /a --overlay-src /b --ro-overlay /x", 6001, 1,
		      PLAN_LAYERS_KERNEL | PLAN_LAYERS_FUSE, "layers: /x");
	expect_choice("--overlay-src /a --overlay-src /b --ro-overlay /x", 5010, 1,
		      PLAN_LAYERS_FUSE, "before Linux 5.11");
	expect_choice("--overlay-src / --tmp-overlay /x", 6012, 1, ways,
		      "the kernel shows no layer with mounts below it: / has /proc");
	/* What is mounted at the very directory is the layer. */
	expect_choice("--overlay-src /srv/only --tmp-overlay /x", 6012, 1,
		      PLAN_LAYERS_KERNEL | ways, "layers: /x");
}

/* What stays on the host is not left to fuse-overlayfs alone where nobody has said so. */
Test(layers, a_loss_that_would_be_kept_is_asked_for)
{
	const char *const options = "--overlay-src /a --overlay /srv/only /w /x";

	expect_choice("--overlay-src /a --overlay /u /w /x", 6012, 1,
		      PLAN_LAYERS_KERNEL | PLAN_LAYERS_OVER_FUSE, "layers: /x by the kernel");
	expect_choice("--overlay-src / --overlay /u /w /x", 6012, 1, PLAN_LAYERS_OVER_FUSE,
		      "layers: /x by the kernel over fuse-overlayfs: the kernel shows no layer");
	expect_choice("--overlay-driver=fuse --overlay-src /a --overlay /u /w /x", 5010, 1,
		      PLAN_LAYERS_FUSE, "layers: /x by fuse-overlayfs: --overlay-driver");
	for (int fuse = -EACCES; fuse <= 1; fuse += 1 + EACCES) {
		_autoplanning_ struct planning p;

		host_init(&p);
		p.host.kernel = 5010;
		p.host.fuse = fuse;
		cr_expect(planning_make(&p, options) < 0);
		cr_expect_str_eq(
			planning_error(&p),
			"sbx: --overlay: /x: before Linux 5.11 the kernel lets no ordinary "
			"user make overlays; fuse-overlayfs could keep what is written, "
			"but may lose a removal\n"
			"     hint:  --overlay-driver=fuse, where a removal may be lost "
			"(see sbx-cow(7))\n");
	}
}

Test(layers, what_was_asked_for_is_taken)
{
	expect_choice("--overlay-driver=kernel --overlay-src /a --tmp-overlay /x", 6012, 1,
		      PLAN_LAYERS_KERNEL, "layers: /x by the kernel: --overlay-driver");
	expect_choice("--overlay-driver=fuse --overlay-src / --tmp-overlay /x", 5010, 1,
		      PLAN_LAYERS_FUSE, "layers: /x by fuse-overlayfs: --overlay-driver");
	expect_choice("--overlay-driver=fuse --overlay-src / --tmp-overlay /x", 6012, 1,
		      PLAN_LAYERS_OVER_FUSE | PLAN_LAYERS_FUSE,
		      "layers: /x by the kernel over fuse-overlayfs or else fuse-overlayfs: "
		      "--overlay-driver");
}

/* Nothing is written then, and there is nothing to lose. */
Test(layers, only_what_fuse_keeps_is_warned_of)
{
	const char *const lost = "loses a removal now and then";
	_autoplanning_ struct planning p, ro;

	expect_choice("--overlay-src /a --tmp-overlay /x", 6001, 1, PLAN_LAYERS_FUSE, lost);
	host_init(&p);
	host_init(&ro);
	ro.host.kernel = 5010;
	cr_assert_eq(planning_make(&p, "--overlay-driver=fuse --overlay-src /a --tmp-overlay /x"),
		     0);
	cr_assert_eq(planning_make(&ro, "--overlay-src /a --overlay-src /b --ro-overlay /x"), 0);
	cr_expect_null(strstr(planning_remarks(&p), lost), "%s", planning_remarks(&p));
	cr_expect_null(strstr(planning_remarks(&ro), lost), "%s", planning_remarks(&ro));
}

Test(layers, what_no_driver_can_do_is_refused_with_the_reason)
{
	static const struct {
		const char *options;
		unsigned kernel;
		int fuse;
		const char *error;
	} rows[] = {
		{"--overlay-driver=kernel --overlay-src / --tmp-overlay /x", 6012, 1,
		 "sbx: --overlay-driver: /x: the kernel shows no layer with mounts below it: / has "
		 "/proc\n     hint:  --overlay-driver=fuse can\n"},
		{"--overlay-driver=kernel --overlay-src /a --tmp-overlay /x", 6001, 1,
		 "before Linux 6.6 the kernel cannot keep its marks on a tmpfs"},
		{"--overlay-driver=fuse --overlay-src /a --tmp-overlay /x", 6012, -ENOENT,
		 "sbx: --overlay-driver: /x: fuse-overlayfs cannot open /dev/fuse: No such file"},
		{"--overlay-src / --tmp-overlay /x", 6012, -EACCES,
		 "sbx: --tmp-overlay: /x: the kernel shows no layer with mounts below it: / has "
		 "/proc; and fuse-overlayfs cannot open /dev/fuse: Permission denied\n"},
		{"--overlay-src /a --overlay /srv /w /x", 6012, 1,
		 "sbx: --overlay: /x: what is written cannot go to /srv, below which"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		host_init(&p);
		p.host.kernel = rows[i].kernel;
		p.host.fuse = rows[i].fuse;
		cr_expect(planning_make(&p, rows[i].options) < 0, "%s", rows[i].options);
		cr_expect(strstr(planning_error(&p), rows[i].error), "no \"%s\" in: %s",
			  rows[i].error, planning_error(&p));
	}
}

Test(layers, a_helper_that_is_not_installed_is_named)
{
	_autoplanning_ struct planning p;

	host_init(&p);
	cr_assert_eq(unlinkat(p.tree, "usr/bin/fuse-overlayfs", 0), 0);
	cr_expect(planning_make(&p, "--overlay-driver=fuse --overlay-src /a --tmp-overlay /x") < 0);
	cr_expect(
		strstr(planning_error(&p), "fuse-overlayfs is not installed\n     hint:  install"),
		"%s", planning_error(&p));
}

Test(layers, each_overlay_has_its_own)
{
	_autoplanning_ struct planning p;
	const struct plan_step *x, *y;

	host_init(&p);
	cr_assert_eq(planning_make(&p, "--overlay-src /a --overlay-src b --overlay u w /x "
				       "--overlay-src /c --mount-opt noexec --tmp-overlay /y"),
		     0, "%s", planning_error(&p));
	x = planning_find(&p, PLAN_STEP_LAYERS, "/x");
	y = planning_find(&p, PLAN_STEP_LAYERS, "/y");
	cr_assert(x && y);
	cr_expect_eq(x->layers->n_lower, 2);
	cr_expect_str_eq(x->layers->lower[0], "/a");
	cr_expect_str_eq(x->layers->lower[1], "b");
	cr_expect_eq(x->layers->top, PLAN_LAYERS_HOST);
	cr_expect_str_eq(x->layers->upper, "u");
	cr_expect_str_eq(x->layers->work, "w");
	cr_expect_null(x->source);
	cr_expect_eq(y->layers->n_lower, 1);
	cr_expect_str_eq(y->layers->lower[0], "/c");
	cr_expect_eq(y->layers->top, PLAN_LAYERS_TMP);
	cr_expect_null(y->layers->upper);
	cr_expect(y->attrs & MOUNT_ATTR_NOEXEC);
	cr_expect(planning_find(&p, PLAN_STEP_DATA_STORE, NULL));
	cr_expect(strstr(planning_steps(&p, false),
			 "layer /a, b at /x, changes go to u, by the kernel or else the kernel "
			 "over fuse-overlayfs [--overlay u w /x]\n"),
		  "%s", planning_steps(&p, false));
}

Test(layers, an_owner_without_an_id_inside_is_said)
{
	_autoplanning_ struct planning p;

	host_init(&p);
	cr_assert_eq(planning_make(&p, "--overlay-src /usr --tmp-overlay /x"), 0);
	cr_expect(strstr(planning_remarks(&p), "layers: /usr belongs to user 0, who has no id "
					       "inside: what is theirs in it can"),
		  "%s", planning_remarks(&p));
}

Test(layers, what_fuse_has_marked_is_not_for_the_kernel)
{
	_autoplanning_ struct planning p, asked;
	char options[512];

	host_init(&p);
	host_init(&asked);
	cr_assert_eq(mkdirat(p.tree, "up", 0755), 0);
	_autofree_ char *up = tree_path(p.tree, "up");
	skip_unless(setxattr(up, PLAN_LAYERS_FUSE_MARK, "fuse", 4, 0) == 0,
		    "the filesystem of the tests has no user attributes");
	(void)snprintf(options, sizeof(options), "--overlay-src /a --overlay %s /w /x", up);
	/* A command can give its view that attribute: it is not to choose what may lose something.
	 */
	cr_expect(planning_make(&p, options) < 0);
	cr_expect(strstr(planning_error(&p), "/up, and the kernel does not read all of its marks; "
					     "fuse-overlayfs could keep what is written, but may "
					     "lose a removal\n     hint:  --overlay-driver=fuse, "),
		  "%s", planning_error(&p));
	(void)snprintf(options, sizeof(options),
		       "--overlay-driver=fuse --overlay-src /a --overlay %s /w /x", up);
	cr_assert_eq(planning_make(&asked, options), 0, "%s", planning_error(&asked));
	cr_expect_eq(layers_of(&asked)->drivers, (uint32_t)PLAN_LAYERS_FUSE);
}

Test(layers, one_is_the_root_instead_of_the_tmpfs)
{
	_autoplanning_ struct planning p;

	host_init(&p);
	cr_assert_eq(planning_make(&p, "--overlay-src /a --tmp-overlay /"), 0, "%s",
		     planning_error(&p));
	cr_expect_null(planning_find(&p, PLAN_STEP_ROOT_TMPFS, NULL));
	cr_expect(planning_find(&p, PLAN_STEP_LAYERS, "/"));
}
