/* SPDX-License-Identifier: MIT */
/*
 * base: the table of what is there by default.
 *
 * A row is left out when an operation of the user's makes the same path or a
 * directory above it. Rows are in the order in which they are made.
 */

#include <errno.h>
#include <linux/mount.h>
#include <string.h>

#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/spec/base.h"
#include "sbx/spec/passwd.h"

static const char base_cause[] = "default";

/* A name, home or shell that would break the line of a passwd file is replaced. */
static const char *base_field(const char *text, const char *otherwise)
{
	if (!text || *text == '\0')
		return otherwise;
	for (const char *p = text; *p; p++)
		if (*p == ':' || (unsigned char)*p < ' ')
			return otherwise;
	return text;
}

enum { BASE_NOBODY = 65534, BASE_TTY_GROUP = 5 };

/* Lines of a passwd or group file that grows; an id that has one is not given another. */
struct base_lines {
	struct arena *arena;
	const char *text; /* NULL: out of memory */
	uint32_t ids[4];
	size_t n_ids;
};

static bool base_lines_has(const struct base_lines *lines, uint32_t id)
{
	for (size_t i = 0; i < lines->n_ids; i++)
		if (lines->ids[i] == id)
			return true;
	return false;
}

static void base_lines_add(struct base_lines *lines, uint32_t id, const char *line)
{
	if (!lines->text || !line || lines->n_ids == ARRAY_SIZE(lines->ids))
		return;
	lines->text = arena_printf(lines->arena, "%s%s\n", lines->text, line);
	lines->ids[lines->n_ids++] = id;
}

/* The host's name for an id that --user gave the command, or "user". */
static const char *base_host_name(const struct base_wanted *w, struct arena *arena, uint32_t id,
				  enum passwd_file file)
{
	const char *text = probe_text(w->host, file == PASSWD_USERS ? "/etc/passwd" : "/etc/group");
	struct passwd_entry entry;

	if (text && passwd_find_id(text, file, id, arena, &entry) == 0)
		return base_field(entry.name, "user");
	return "user";
}

static const char *base_text_passwd(const struct base_wanted *w, struct arena *arena)
{
	struct base_lines lines = {.arena = arena, .text = ""};
	const char *name = w->uid == 0 ? "root" : base_field(w->host->user, "user");
	const char *home = base_field(w->host->home, "/");
	const char *shell = base_field(w->host->shell, "/bin/sh");

	base_lines_add(&lines, w->uid,
		       arena_printf(arena, "%s:x:%u:%u:%s:%s:%s", name, w->uid, w->gid, name, home,
				    shell));
	if (!base_lines_has(&lines, w->payload_uid))
		base_lines_add(&lines, w->payload_uid,
			       arena_printf(arena, "%s:x:%u:%u::%s:%s",
					    w->payload_uid == 0
						    ? "root"
						    : base_host_name(w, arena, w->payload_uid,
								     PASSWD_USERS),
					    w->payload_uid, w->payload_gid, home, shell));
	if (!base_lines_has(&lines, 0))
		base_lines_add(&lines, 0, "root:x:0:0:root:/root:/bin/sh");
	if (!base_lines_has(&lines, BASE_NOBODY))
		base_lines_add(&lines, BASE_NOBODY,
			       "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin");
	return lines.text;
}

static const char *base_text_group(const struct base_wanted *w, struct arena *arena)
{
	struct base_lines lines = {.arena = arena, .text = ""};

	base_lines_add(
		&lines, w->gid,
		arena_printf(arena, "%s:x:%u:",
			     w->gid == 0 ? "root" : base_field(probe_group(w->host), "users"),
			     w->gid));
	if (!base_lines_has(&lines, w->payload_gid))
		base_lines_add(&lines, w->payload_gid,
			       arena_printf(arena, "%s:x:%u:",
					    w->payload_gid == 0
						    ? "root"
						    : base_host_name(w, arena, w->payload_gid,
								     PASSWD_GROUPS),
					    w->payload_gid));
	if (!base_lines_has(&lines, 0))
		base_lines_add(&lines, 0, "root:x:0:");
	if (!base_lines_has(&lines, BASE_TTY_GROUP))
		base_lines_add(&lines, BASE_TTY_GROUP, "tty:x:5:");
	/* The unmapped groups of the caller are shown by this name. */
	if (lines.text && !base_lines_has(&lines, BASE_NOBODY))
		lines.text = arena_printf(arena, "%snogroup:x:65534:\n", lines.text);
	return lines.text;
}

static const char *base_text_hosts(const struct base_wanted *w, struct arena *arena)
{
	const char *gateway = w->net ? w->net->gateway : NULL;

	return arena_printf(arena,
			    "127.0.0.1 localhost %s\n"
			    "::1 localhost ip6-localhost ip6-loopback %s\n"
			    "%s%s",
			    w->hostname, w->hostname, gateway ? gateway : "",
			    gateway ? " host.internal\n" : "");
}

static const char *base_text_resolv_conf(const struct base_wanted *w, struct arena *arena)
{
	(void)arena;
	return w->net->resolv_conf;
}

static const char *base_text_hostname(const struct base_wanted *w, struct arena *arena)
{
	return arena_printf(arena, "%s\n", w->hostname);
}

static const char *base_text_nsswitch(const struct base_wanted *w, struct arena *arena)
{
	(void)w;
	return arena_dup(arena, "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
				"networks: files\nprotocols: files\nservices: files\n");
}

enum base_when {
	BASE_ALWAYS = 1 << 0,  /* also where an operation provides the root */
	BASE_NETWORK = 1 << 1, /* only with the host's network */
	BASE_NET = 1 << 2,     /* only with one of --net=user */
	BASE_ROOT = 1 << 3,    /* only where an operation provides the root */
	BASE_SHARE = 1 << 4,   /* only with a network that is shared */
	BASE_NO_SHARE = 1 << 5,
};

struct base_part {
	enum plan_step_kind kind;
	const char *dest; /* NULL: the home directory */
	int64_t mode;
	const char *source;
	const char *(*text)(const struct base_wanted *w, struct arena *arena);
	uint32_t when;
};

#define HOST_ETC(name)                                                                             \
	{                                                                                          \
		.kind = PLAN_STEP_BIND, .dest = "/etc/" name, .source = "/etc/" name, .mode = -1   \
	}
#define OWN_ETC(name, make)                                                                        \
	{                                                                                          \
		.kind = PLAN_STEP_FILE, .dest = "/etc/" name, .text = (make), .mode = 0644         \
	}

static const struct base_part base_parts[] = {
	{.kind = PLAN_STEP_PROC, .dest = "/proc", .mode = -1, .when = BASE_ALWAYS},
	{.kind = PLAN_STEP_DEV, .dest = "/dev", .mode = -1, .when = BASE_ALWAYS},
	{.kind = PLAN_STEP_TMPFS, .dest = "/tmp", .mode = 01777},
	{.kind = PLAN_STEP_TMPFS, .dest = "/var/tmp", .mode = 01777},
	{.kind = PLAN_STEP_TMPFS, .dest = "/run", .mode = 0755},
	{.kind = PLAN_STEP_TMPFS, .dest = NULL, .mode = 0700},
	OWN_ETC("passwd", base_text_passwd),
	OWN_ETC("group", base_text_group),
	{.kind = PLAN_STEP_FILE,
	 .dest = "/etc/hosts",
	 .text = base_text_hosts,
	 .mode = 0644,
	 .when = BASE_NO_SHARE},
	/* Others come and go: the file is one that can be written to from outside. */
	{.kind = PLAN_STEP_BIND_DATA,
	 .dest = "/etc/hosts",
	 .text = base_text_hosts,
	 .mode = 0444,
	 .when = BASE_SHARE},
	{.kind = PLAN_STEP_BIND_DATA,
	 .dest = "/etc/hosts",
	 .text = base_text_hosts,
	 .mode = 0444,
	 .when = BASE_SHARE | BASE_ROOT},
	OWN_ETC("hostname", base_text_hostname),
	OWN_ETC("nsswitch.conf", base_text_nsswitch),
	{.kind = PLAN_STEP_BIND,
	 .dest = "/etc/resolv.conf",
	 .source = "/etc/resolv.conf",
	 .mode = -1,
	 .when = BASE_NETWORK},
	{.kind = PLAN_STEP_FILE,
	 .dest = "/etc/resolv.conf",
	 .text = base_text_resolv_conf,
	 .mode = 0644,
	 .when = BASE_NET},
	/* The root may be the host's, whose file is not to be written to but covered. */
	{.kind = PLAN_STEP_BIND_DATA,
	 .dest = "/etc/resolv.conf",
	 .text = base_text_resolv_conf,
	 .mode = 0444,
	 .when = BASE_NET | BASE_ROOT},
	HOST_ETC("alternatives"),
	HOST_ETC("ld.so.cache"),
	HOST_ETC("ssl/certs"),
	HOST_ETC("ca-certificates"),
	HOST_ETC("pki"),
	HOST_ETC("crypto-policies"),
	HOST_ETC("localtime"),
	HOST_ETC("terminfo"),
};

/* Links of a merged /usr (file-hierarchy(7)); each is made as the host has it. */
static const char *const base_usr_links[] = {"/bin",   "/sbin",	 "/lib",
					     "/lib32", "/lib64", "/libx32"};

static bool base_is_taken(const struct base_wanted *w, const char *dest)
{
	for (size_t i = 0; i < w->n_taken; i++)
		if (path_is_below(dest, w->taken[i]))
			return true;
	return false;
}

static bool base_has_usr(const struct base_wanted *w)
{
	for (size_t i = 0; i < w->n_taken; i++)
		if (path_is_below(w->taken[i], "/usr"))
			return true;
	return false;
}

/* Home, unless it is no place for a tmpfs, or would cover another row. */
static const char *base_home(const struct base_wanted *w)
{
	static const char *const not_below[] = {"/proc", "/dev", "/sys", "/etc"};
	const char *home = w->host->home;

	if (!home || path_is_root(home))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(not_below); i++)
		if (path_is_below(home, not_below[i]))
			return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(base_parts); i++)
		if (base_parts[i].dest && path_is_below(base_parts[i].dest, home))
			return NULL;
	return home;
}

static int base_add_part(const struct base_wanted *w, const struct base_part *part,
			 const char *dest, struct sbx_plan *plan)
{
	struct plan_step *step = plan_add_step(plan, part->kind, base_cause);

	if (!step)
		return -ENOMEM;
	step->dest = dest;
	step->mode = part->mode;
	step->source = part->source;
	if (part->kind == PLAN_STEP_BIND) {
		step->flags = PLAN_STEP_TRY;
		step->attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	} else if (part->kind == PLAN_STEP_TMPFS) {
		step->attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	} else if (part->kind == PLAN_STEP_BIND_DATA) {
		/* Nothing is to be made in a root of the user's. */
		step->flags = (part->when & BASE_ROOT ? PLAN_STEP_TRY : 0) |
			      (part->when & BASE_SHARE ? PLAN_STEP_NAMES : 0);
		step->attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	} else if (part->kind == PLAN_STEP_DEV) {
		step->source = w->tty;
		step->attrs = MOUNT_ATTR_NOEXEC;
	} else if (part->kind == PLAN_STEP_PROC) {
		step->attrs = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
		step->flags = w->host_proc ? PLAN_STEP_HOST : 0;
	}
	if (part->text) {
		step->text = part->text(w, &plan->arena);
		if (!step->text)
			return -ENOMEM;
	}
	if (part->kind == PLAN_STEP_PROC && w->cover_proc) {
		step = plan_add_step(plan, PLAN_STEP_PROC_COVER, base_cause);
		if (!step)
			return -ENOMEM;
		step->dest = dest;
	}
	return 0;
}

static int base_add_usr_links(const struct base_wanted *w, struct sbx_plan *plan,
			      struct sbx_err *err)
{
	if (!base_has_usr(w))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(base_usr_links); i++) {
		const char *target = NULL;
		struct plan_step *step;
		int r = 0;

		if (!base_is_taken(w, base_usr_links[i]))
			r = probe_link(w->host, base_usr_links[i], &target, err);
		if (r < 0)
			return r;
		if (!target)
			continue;
		step = plan_add_step(plan, PLAN_STEP_SYMLINK, base_cause);
		if (!step)
			return err_oom(err);
		step->source = target;
		step->dest = base_usr_links[i];
	}
	return 0;
}

static bool base_is_wanted(const struct base_wanted *w, uint32_t when)
{
	if ((when & BASE_NETWORK) && !w->has_network)
		return false;
	if ((when & BASE_NET) && !(w->net && w->net->resolv_conf))
		return false;
	if ((when & BASE_SHARE) && !(w->net && w->net->share))
		return false;
	if ((when & BASE_NO_SHARE) && w->net && w->net->share)
		return false;
	return w->only_kernel ? when & (BASE_ALWAYS | BASE_ROOT) : !(when & BASE_ROOT);
}

/**
 * Add the steps of all parts that nothing replaces.
 *
 * Return: 0, or -errno with *err filled.
 */
int base_add_steps(const struct base_wanted *w, struct sbx_plan *plan, struct sbx_err *err)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(base_parts) && r == 0; i++) {
		const struct base_part *part = &base_parts[i];
		const char *dest = part->dest ? part->dest : base_home(w);

		if (!dest || base_is_taken(w, dest))
			continue;
		if (!base_is_wanted(w, part->when))
			continue;
		r = base_add_part(w, part, dest, plan);
	}
	if (r < 0)
		return err_oom(err);
	return w->only_kernel ? 0 : base_add_usr_links(w, plan, err);
}

/**
 * Cover the /etc/resolv.conf of an /etc that an operation brings: it names resolvers of the host's,
 * which the sandbox does not reach.
 *
 * Return: 0, or -errno with *err filled.
 */
int base_cover_resolver(const struct base_wanted *w, struct sbx_plan *plan, struct sbx_err *err)
{
	const uint32_t when = BASE_NET | BASE_ROOT;

	for (size_t i = 0; i < ARRAY_SIZE(base_parts); i++)
		if (base_parts[i].when == when &&
		    base_add_part(w, &base_parts[i], base_parts[i].dest, plan) < 0)
			return err_oom(err);
	return 0;
}
