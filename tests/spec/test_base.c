/* SPDX-License-Identifier: MIT */
/* What is there by default, and what gives way to the user's own operations. */

#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "planning.h"

#include "sbx/spec/base.h"

/* Destinations of the default's steps, in order, one per line. */
static const char *made(struct planning *p)
{
	char *text = arena_dup(&p->arena, "");

	for (size_t i = 0; i < p->plan.n_steps; i++) {
		const struct plan_step *step = &p->plan.steps[i];

		if (step->dest && strcmp(step->cause, "default") == 0 &&
		    step->kind != PLAN_STEP_PROC_COVER)
			text = arena_printf(&p->arena, "%s%s\n", text, step->dest);
	}
	return text;
}

#define ETC_OWN "/etc/passwd\n/etc/group\n/etc/hosts\n/etc/hostname\n/etc/nsswitch.conf\n"
#define ETC_HOST                                                                                   \
	"/etc/alternatives\n/etc/ld.so.cache\n/etc/ssl/certs\n/etc/ca-certificates\n/etc/pki\n"    \
	"/etc/crypto-policies\n/etc/localtime\n/etc/terminfo\n"

Test(base, parts_give_way_to_operations_on_them_or_above)
{
	static const struct {
		const char *options, *made;
	} rows[] = {
		{"", "/proc\n/dev\n/tmp\n/var/tmp\n/run\n/home/me\n" ETC_OWN ETC_HOST "/\n"},
		{"--no-base", "/\n"},
		{"--no-base --rw-root", ""},
		{"--tmpfs /tmp", "/proc\n/dev\n/var/tmp\n/run\n/home/me\n" ETC_OWN ETC_HOST "/\n"},
		{"--tmpfs /tmp/./x/..",
		 "/proc\n/dev\n/var/tmp\n/run\n/home/me\n" ETC_OWN ETC_HOST "/\n"},
		{"--dir /tmp/x --dir /tmpfoo",
		 "/proc\n/dev\n/tmp\n/var/tmp\n/run\n/home/me\n" ETC_OWN ETC_HOST "/\n"},
		{"--bind /var /var", "/proc\n/dev\n/tmp\n/run\n/home/me\n" ETC_OWN ETC_HOST "/\n"},
		{"--bind /home /home",
		 "/proc\n/dev\n/tmp\n/var/tmp\n/run\n" ETC_OWN ETC_HOST "/\n"},
		{"--bind /home/me/src /home/me/src",
		 "/proc\n/dev\n/tmp\n/var/tmp\n/run\n/home/me\n" ETC_OWN ETC_HOST "/\n"},
		{"--ro-bind /etc /etc", "/proc\n/dev\n/tmp\n/var/tmp\n/run\n/home/me\n/\n"},
		{"--symlink x /run",
		 "/proc\n/dev\n/tmp\n/var/tmp\n/home/me\n" ETC_OWN ETC_HOST "/\n"},
		{"--proc /proc --dev /dev",
		 "/tmp\n/var/tmp\n/run\n/home/me\n" ETC_OWN ETC_HOST "/\n"},
		{"--file 0 /etc/passwd",
		 "/proc\n/dev\n/tmp\n/var/tmp\n/run\n/home/me\n/etc/group\n/etc/hosts\n"
		 "/etc/hostname\n/etc/nsswitch.conf\n" ETC_HOST "/\n"},
		/* What only changes something takes nobody's place. */
		{"--chmod 700 /tmp --remount-ro /run --mask /etc/hosts",
		 "/proc\n/dev\n/tmp\n/var/tmp\n/run\n/home/me\n" ETC_OWN ETC_HOST "/\n"},
		/* Who brings a root brings the rest. */
		{"--rootfs /img", "/proc\n/dev\n"},
		{"--tmpfs /", "/proc\n/dev\n"},
		{"--rootfs /img --proc /proc", "/dev\n"},
		{"--proc /proc --rootfs /img", "/proc\n/dev\n"},
		{"--rootfs /img --no-base", ""},
		/* Links of a merged /usr, as the host has them. */
		{"--ro-bind /usr /usr",
		 "/proc\n/dev\n/tmp\n/var/tmp\n/run\n/home/me\n" ETC_OWN ETC_HOST
		 "/bin\n/lib64\n/\n"},
		{"--ro-bind /usr/bin /usr/bin --ro-bind /bin /bin",
		 "/proc\n/dev\n/tmp\n/var/tmp\n/run\n/home/me\n" ETC_OWN ETC_HOST "/lib64\n/\n"},
		{"--ro-bind /usr2 /usr2",
		 "/proc\n/dev\n/tmp\n/var/tmp\n/run\n/home/me\n" ETC_OWN ETC_HOST "/\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		planning_start(&p, rows[i].options);
		cr_expect_str_eq(made(&p), rows[i].made, "%s:\n%s", rows[i].options, made(&p));
	}
}

Test(base, links_say_what_the_hosts_say)
{
	_autoplanning_ struct planning p;

	planning_init(&p);
	cr_assert_eq(unlinkat(p.tree, "lib64", 0), 0);
	cr_assert_eq(symlinkat("/usr/lib/../lib64", p.tree, "lib64"), 0);
	cr_assert_eq(mkdirat(p.tree, "sbin", 0755), 0);
	cr_assert_eq(planning_make(&p, "--ro-bind /usr /usr"), 0);
	cr_expect_str_eq(planning_find(&p, PLAN_STEP_SYMLINK, "/bin")->source, "usr/bin");
	cr_expect_str_eq(planning_find(&p, PLAN_STEP_SYMLINK, "/lib64")->source,
			 "/usr/lib/../lib64");
	cr_expect_null(planning_find(&p, PLAN_STEP_SYMLINK, "/sbin"));
}

Test(base, what_is_bound_of_etc_is_read_only_and_may_be_missing)
{
	_autoplanning_ struct planning p;

	planning_start(&p, "--share-net");
	for (size_t i = 0; i < p.plan.n_steps; i++) {
		const struct plan_step *step = &p.plan.steps[i];
		const uint64_t attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

		if (step->kind != PLAN_STEP_BIND)
			continue;
		cr_expect_eq(step->attrs & attrs, attrs, "%s", step->dest);
		cr_expect(step->flags & PLAN_STEP_TRY, "%s", step->dest);
		cr_expect_str_eq(step->source, step->dest);
	}
}

Test(base, tmpfs_modes_are_those_of_a_system)
{
	static const struct {
		const char *dest;
		int64_t mode;
	} rows[] = {{"/tmp", 01777}, {"/var/tmp", 01777}, {"/run", 0755}, {"/home/me", 0700}};
	_autoplanning_ struct planning p;

	planning_start(&p, "");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_eq(planning_find(&p, PLAN_STEP_TMPFS, rows[i].dest)->mode, rows[i].mode,
			     "%s", rows[i].dest);
}

/* ---- home ---- */

Test(base, homes_that_are_no_place_for_a_tmpfs_get_none)
{
	static const struct {
		const char *home;
		bool made;
	} rows[] = {
		{NULL, false},	    {"/", false},	{"/proc", false},     {"/proc/me", false},
		{"/dev/me", false}, {"/etc", false},	{"/etc/me", false},   {"/sys/x", false},
		{"/tmp", false},    {"/run", false},	{"/var/tmp", false},  {"/tmp/me", true},
		{"/root", true},    {"/home/me", true}, {"/processes", true}, {"/developer", true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;
		size_t count = 0;

		planning_init(&p);
		p.host.home = rows[i].home;
		cr_assert_eq(planning_make(&p, ""), 0);
		for (size_t j = 0; j < p.plan.n_steps; j++)
			count += p.plan.steps[j].kind == PLAN_STEP_TMPFS;
		cr_expect_eq(count, rows[i].made ? 4 : 3, "%s",
			     rows[i].home ? rows[i].home : "none");
		if (rows[i].made)
			cr_expect(planning_find(&p, PLAN_STEP_TMPFS, rows[i].home));
	}
}

/* ---- generated files ---- */

static const char *text_of(const struct planning *p, const char *dest)
{
	const struct plan_step *step = planning_find(p, PLAN_STEP_FILE, dest);

	cr_assert(step, "%s", dest);
	cr_expect_eq(step->mode, 0644);
	return step->text;
}

#define NOBODY "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"

Test(base, passwd_and_group_name_who_is_inside)
{
	static const struct {
		const char *options, *passwd, *group;
	} rows[] = {
		{"", "me:x:1000:1000:me:/home/me:/bin/zsh\nroot:x:0:0:root:/root:/bin/sh\n" NOBODY,
		 "me:x:1000:\nroot:x:0:\ntty:x:5:\nnogroup:x:65534:\n"},
		{"--root", "root:x:0:0:root:/home/me:/bin/zsh\n" NOBODY,
		 "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"},
		{"--uid 7 --gid 5",
		 "me:x:7:5:me:/home/me:/bin/zsh\nroot:x:0:0:root:/root:/bin/sh\n" NOBODY,
		 "me:x:5:\nroot:x:0:\nnogroup:x:65534:\n"},
		{"--map=single --uid 65534 --gid 65534",
		 "me:x:65534:65534:me:/home/me:/bin/zsh\nroot:x:0:0:root:/root:/bin/sh\n",
		 "me:x:65534:\nroot:x:0:\ntty:x:5:\n"},
		{"--user you:team",
		 "me:x:1000:1000:me:/home/me:/bin/zsh\nyou:x:1001:2000::/home/me:/bin/zsh\n"
		 "root:x:0:0:root:/root:/bin/sh\n" NOBODY,
		 "me:x:1000:\nteam:x:2000:\nroot:x:0:\ntty:x:5:\nnogroup:x:65534:\n"},
		{"--user 33",
		 "me:x:1000:1000:me:/home/me:/bin/zsh\nuser:x:33:1000::/home/me:/bin/zsh\n"
		 "root:x:0:0:root:/root:/bin/sh\n" NOBODY,
		 "me:x:1000:\nroot:x:0:\ntty:x:5:\nnogroup:x:65534:\n"},
		{"--user root",
		 "me:x:1000:1000:me:/home/me:/bin/zsh\nroot:x:0:0::/home/me:/bin/zsh\n" NOBODY,
		 "me:x:1000:\nroot:x:0:\ntty:x:5:\nnogroup:x:65534:\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		planning_start(&p, rows[i].options);
		cr_expect_str_eq(text_of(&p, "/etc/passwd"), rows[i].passwd, "%s:\n%s",
				 rows[i].options, text_of(&p, "/etc/passwd"));
		cr_expect_str_eq(text_of(&p, "/etc/group"), rows[i].group, "%s:\n%s",
				 rows[i].options, text_of(&p, "/etc/group"));
	}
}

/* Whatever the host says of the caller, there is one good line about them. */
Test(base, odd_names_do_not_break_the_files)
{
	static const char *const odd[] = {NULL,	       "",     "a:b",	   "a\nroot::0:0",
					  "tab\there", "\x01", "x\x1b[31m"};

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		_autoplanning_ struct planning p;

		planning_init(&p);
		p.host.user = p.host.shell = odd[i];
		p.host.group = odd[i] ? odd[i] : ""; /* NULL: look it up */
		p.host.home = odd[i] && *odd[i] ? arena_printf(&p.arena, "/home/%s", odd[i]) : NULL;
		cr_assert_eq(planning_make(&p, "--map=single"), 0);
		cr_expect_str_eq(text_of(&p, "/etc/passwd"),
				 "user:x:1000:1000:user:/:/bin/sh\n"
				 "root:x:0:0:root:/root:/bin/sh\n" NOBODY);
		cr_expect_str_eq(text_of(&p, "/etc/group"),
				 "users:x:1000:\nroot:x:0:\ntty:x:5:\nnogroup:x:65534:\n");
	}
}

Test(base, names_in_other_scripts_stay)
{
	_autoplanning_ struct planning p;

	planning_init(&p);
	p.host.user = "jörg";
	cr_assert_eq(planning_make(&p, ""), 0);
	cr_expect(strstr(text_of(&p, "/etc/passwd"), "jörg:x:1000:1000:jörg:/home/me:/bin/zsh\n"));
}

Test(base, hosts_and_hostname_agree)
{
	_autoplanning_ struct planning own, chosen;

	planning_start(&own, "");
	cr_expect_str_eq(text_of(&own, "/etc/hostname"), "castle\n");
	cr_expect_str_eq(text_of(&own, "/etc/hosts"),
			 "127.0.0.1 localhost castle\n"
			 "::1 localhost ip6-localhost ip6-loopback castle\n");
	planning_start(&chosen, "--hostname keep");
	cr_expect_str_eq(text_of(&chosen, "/etc/hostname"), "keep\n");
	cr_expect(strstr(text_of(&chosen, "/etc/hosts"), "localhost keep\n"));
}

Test(base, proc_is_the_hosts_where_the_processes_are)
{
	_autoplanning_ struct planning own, shared, open_proc;

	planning_start(&own, "");
	planning_start(&shared, "--share-pid");
	planning_start(&open_proc, "--allow-userns");
	cr_expect_not(planning_find(&own, PLAN_STEP_PROC, "/proc")->flags & PLAN_STEP_HOST);
	cr_expect(planning_find(&shared, PLAN_STEP_PROC, "/proc")->flags & PLAN_STEP_HOST);
	cr_expect(planning_find(&own, PLAN_STEP_PROC_COVER, "/proc"));
	cr_expect_null(planning_find(&open_proc, PLAN_STEP_PROC_COVER, NULL));
}
