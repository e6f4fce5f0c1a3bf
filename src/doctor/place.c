/* SPDX-License-Identifier: MIT */
/*
 * place: where sbx runs: on a host or inside something, and under which security modules.
 * Neither is good or bad; it explains what other probes find.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/sys.h"
#include "sbx/doctor/probes.h"

enum { PLACE_TEXT_MAX = 4096 };

/* The first line of a small file, "" where there is none. */
static const char *place_read_line(struct doctor *d, const char *path)
{
	char *text;
	size_t len;

	if (io_read_file(path, PLACE_TEXT_MAX, &d->arena, &text, &len) < 0)
		return "";
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static void place_add(struct str_buf *out, const char *what, const char *text)
{
	str_buf_printf(out, "%s%s", out->len ? ", " : "", what);
	str_buf_puts(out, text);
}

static bool place_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

/* One line that maps all ids to themselves: the user namespace of the machine. */
static bool place_is_first_userns(struct doctor *d)
{
	unsigned inside = 1, outside = 1, count = 0;

	return sscanf(place_read_line(d, "/proc/self/uid_map"), "%u %u %u", &inside, &outside,
		      &count) == 3 &&
	       inside == 0 && outside == 0 && count == UINT32_MAX;
}

DOCTOR_PROBE(container)
{
	const char *container = probe_container(&d->host);
	struct str_buf out = {.data = ret->detail, .size = sizeof(ret->detail)};
	struct sys_mount root;

	(void)probe;
	ret->status = DOCTOR_FACT;
	ret->detail[0] = '\0';
	if (container)
		place_add(&out, "in a container of ", container);
	if (probe_is_sandbox(&d->host))
		place_add(&out, "in a sandbox of sbx", "");
	if (!place_is_first_userns(d))
		place_add(&out, "in a user namespace", "");
	if (sys_statx_mount(AT_FDCWD, "/", &root) == 0 && !root.is_root)
		place_add(&out, "in a chroot", "");
	if (prctl(PR_GET_SECCOMP) == 2)
		place_add(&out, "under a seccomp filter", "");
	if (d->host.no_new_privs)
		place_add(&out, "with no_new_privs", "");
	if (out.len == 0)
		str_buf_puts(&out, "on a host");
}

/* ---- security modules ---- */

static void place_add_apparmor(struct doctor *d, struct str_buf *out)
{
	const char *label;

	if (place_read_line(d, "/sys/module/apparmor/parameters/enabled")[0] != 'Y')
		return;
	label = place_read_line(d, "/proc/self/attr/apparmor/current");
	if (!*label)
		label = place_read_line(d, "/proc/self/attr/current");
	place_add(out, "AppArmor, profile ", *label ? label : "unknown");
	if (str_equal(place_read_line(d, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
		      "1"))
		str_buf_puts(out, " (user namespaces need a profile that allows them)");
}

static void place_add_selinux(struct doctor *d, struct str_buf *out)
{
	if (!place_exists("/sys/fs/selinux/enforce"))
		return;
	place_add(out, "SELinux, ",
		  place_read_line(d, "/sys/fs/selinux/enforce")[0] == '1' ? "enforcing, label "
									  : "permissive, label ");
	str_buf_puts(out, place_read_line(d, "/proc/self/attr/current"));
}

DOCTOR_PROBE(lsm)
{
	struct str_buf out = {.data = ret->detail, .size = sizeof(ret->detail)};
	const char *all = place_read_line(d, "/sys/kernel/security/lsm");

	(void)probe;
	ret->status = DOCTOR_FACT;
	ret->detail[0] = '\0';
	place_add_apparmor(d, &out);
	place_add_selinux(d, &out);
	if (out.len == 0)
		place_add(&out, "neither AppArmor nor SELinux is on", "");
	if (*all)
		place_add(&out, "of ", all);
}
