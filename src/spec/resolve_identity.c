/* SPDX-License-Identifier: MIT */
/*
 * resolve_identity: who the command is, the id maps that this takes, and its capabilities; see
 * resolve_parts.h.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sbx/base/caps.h"
#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/spec/defaults.h"
#include "sbx/spec/idmap.h"
#include "sbx/spec/net.h"
#include "sbx/spec/passwd.h"
#include "sbx/spec/resolve_parts.h"

/* ---- identity ---- */

enum {
	RESOLVE_UID_MAP_MAX = 32768, /* 340 lines, user_namespaces(7) */
	RESOLVE_SUBID_LEAST = 100000,
	RESOLVE_SUBID_COUNT = 65536,
};

/* Why ranges cannot be mapped: an object and what is wrong with it, and what to do. */
struct resolve_obstacle {
	const char *object;
	const char *what;
	const char *hint;
};

static bool resolve_helper_is_privileged(const char *path)
{
	struct stat st;

	if (geteuid() == 0 || stat(path, &st) < 0 || (st.st_mode & S_ISUID))
		return true;
	return getxattr(path, "security.capability", NULL, 0) > 0;
}

/* Is there no id but one in the user namespace that the caller is in? */
static bool resolve_is_alone(struct resolve *r)
{
	unsigned long long inside, outside, count = 0;
	size_t len;
	char *text;

	/* A second line is a second id. */
	return io_read_file("/proc/self/uid_map", RESOLVE_UID_MAP_MAX, r->arena, &text, &len) ==
		       0 &&
	       sscanf(text, "%llu %llu %llu", &inside, &outside, &count) == 3 && count == 1 &&
	       strchr(text, '\n') == text + len - 1;
}

/* The first id that is in nobody's range, in neither file: that of another user is not given away.
 */
static uint32_t resolve_find_free_ids(struct resolve *r)
{
	static const char *const files[] = {"/etc/subuid", "/etc/subgid"};
	uint32_t first = RESOLVE_SUBID_LEAST;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		const char *text = probe_text(r->host, files[i]);

		if (text)
			first = idmap_find_free(text, strlen(text), first);
	}
	return first;
}

static const char *resolve_no_range_remedy(struct resolve *r)
{
	uint32_t first, last;

	if (resolve_is_alone(r))
		return "the user namespace that you are in (as by \"unshare -r\") has no other ids "
		       "to "
		       "give;\nrun sbx outside it, or make it with more: unshare --map-root-user "
		       "--map-auto";
	/* A line with its number would do for sbx, and not for newuidmap. */
	if (!r->host->user)
		return arena_printf(r->arena,
				    "newuidmap does nothing for a user without a name; as root: "
				    "useradd --uid %u NAME,\nand see again: sbx doctor id-ranges",
				    r->host->uid);
	first = resolve_find_free_ids(r);
	last = first + (RESOLVE_SUBID_COUNT - 1);
	if (last < first || last == UINT32_MAX)
		return "no 65536 ids are free behind the last range of the file; as root, make "
		       "room there:\nsee subuid(5)";
	return arena_printf(r->arena, "as root: usermod --add-subuids %u-%u --add-subgids %u-%u %s",
			    first, last, first, last, r->host->user);
}

/* One of the two maps: the ranges of its file, through its helper. */
static int resolve_one_range(struct resolve *r, const char *file, const char *helper,
			     uint32_t own_inside, uint32_t own_outside, struct plan_map *map,
			     struct resolve_obstacle *obstacle)
{
	const char *user =
		r->host->user ? r->host->user : arena_printf(r->arena, "uid %u", r->host->uid);
	struct probe_range *ranges = NULL;
	size_t n_ranges = 0;
	bool replaced = false;
	int e;

	map->helper = probe_helper(r->host, r->spec, helper);
	for (size_t i = 0; i < r->spec->n_helpers; i++)
		replaced |= strcmp(r->spec->helpers[i].name, helper) == 0;
	*obstacle = (struct resolve_obstacle){0};
	e = probe_subids(r->host, file, &ranges, &n_ranges, r->err);
	if (e < 0)
		return e;
	if (n_ranges == 0)
		*obstacle = (struct resolve_obstacle){
			file, arena_printf(r->arena, "has no range for %s", user),
			resolve_no_range_remedy(r)};
	else if (!map->helper)
		*obstacle = (struct resolve_obstacle){helper, "is not installed",
						      probe_helper_remedy(r->host, helper)};
	else if (access(map->helper, X_OK) < 0)
		*obstacle = (struct resolve_obstacle){
			map->helper,
			arena_printf(r->arena, "cannot be executed: %s", strerror(errno)),
			"check the path and its permissions"};
	else if (!replaced && !resolve_helper_is_privileged(map->helper))
		*obstacle = (struct resolve_obstacle){
			map->helper, "has neither the set-user-ID bit nor file capabilities",
			arena_printf(r->arena, "as root: chmod u+s %s", map->helper)};
	else if (r->host->no_new_privs && r->host->uid != 0)
		*obstacle = (struct resolve_obstacle){
			map->helper, "cannot gain its privilege: sbx was started with no_new_privs",
			"start sbx outside of that sandbox or service, or use --map=single"};
	if (obstacle->object) {
		map->helper = NULL;
		return idmap_lay_out(NULL, 0, own_inside, own_outside, r->arena, map, r->err);
	}
	return idmap_lay_out(ranges, n_ranges, own_inside, own_outside, r->arena, map, r->err);
}

static int resolve_map_refuse(struct resolve *r, const struct resolve_obstacle *o)
{
	int e = err_refuse(r->err, ENOENT, o->object, "%s", o->what);

	err_set_option(r->err, "--map=range");
	if (o->hint)
		err_hint(r->err, "%s", o->hint);
	return e;
}

static int resolve_maps(struct resolve *r, uint32_t uid, uint32_t gid)
{
	const char *why = r->spec->userns_fd >= 0	    ? "--userns"
			  : r->spec->userns_block_fd >= 0   ? "--userns-block-fd"
			  : r->spec->map == SPEC_MAP_SINGLE ? "--map=single"
							    : NULL;
	struct resolve_obstacle no_uids = {0}, no_gids = {0};
	struct sbx_plan *plan = r->plan;
	int e = 0;

	if (!why) {
		e = resolve_one_range(r, "/etc/subuid", "newuidmap", uid, r->host->uid,
				      &plan->uid_map, &no_uids);
		if (e == 0)
			e = resolve_one_range(r, "/etc/subgid", "newgidmap", gid, r->host->gid,
					      &plan->gid_map, &no_gids);
		if (e < 0)
			return e;
		if (no_uids.object || no_gids.object) {
			const struct resolve_obstacle *o = no_uids.object ? &no_uids : &no_gids;

			if (r->spec->map == SPEC_MAP_RANGE)
				return resolve_map_refuse(r, o);
			why = arena_printf(r->arena, "%s %s", o->object, o->what);
		}
	}
	if (why) {
		/* Ids of one kind without the other would be half an identity. */
		plan->uid_map.helper = NULL;
		plan->gid_map.helper = NULL;
		e = idmap_lay_out(NULL, 0, uid, r->host->uid, r->arena, &plan->uid_map, r->err);
		if (e == 0)
			e = idmap_lay_out(NULL, 0, gid, r->host->gid, r->arena, &plan->gid_map,
					  r->err);
		if (e < 0)
			return e;
	}
	plan->map_may_fall_back = r->spec->map == SPEC_MAP_AUTO && plan->uid_map.helper;
	if (r->spec->userns_block_fd >= 0)
		return plan_add_remark(plan, "map",
				       "written by the caller, behind --info-fd and before "
				       "--userns-block-fd is written to") < 0
			       ? err_oom(r->err)
			       : 0;
	if (r->spec->map == SPEC_MAP_AUTO &&
	    plan_add_remark(plan, "map", why ? "only the caller's own ids: %s" : "%s",
			    why ? why
				: "the caller's subordinate ids, by newuidmap and newgidmap") < 0)
		return err_oom(r->err);
	return 0;
}

/* One half of --user: a number, or a name of the host's passwd or group file. */
static int resolve_user_part(struct resolve *r, const char *text, enum passwd_file file,
			     uint32_t *ret_id, uint32_t *ret_gid)
{
	static const char *const paths[] = {"/etc/passwd", "/etc/group"};
	struct passwd_entry entry;
	const char *contents;
	uint64_t number;

	if (str_parse_u64(text, 10, UINT32_MAX - 1, &number) == 0) {
		*ret_id = (uint32_t)number;
		return 0;
	}
	if (strcmp(text, "root") == 0) {
		*ret_id = *ret_gid = 0;
		return 0;
	}
	contents = probe_text(r->host, paths[file]);
	if (!contents || passwd_find_name(contents, file, text, r->arena, &entry) < 0) {
		(void)err_refuse(r->err, ENOENT, text, "no such %s on this host",
				 file == PASSWD_USERS ? "user" : "group");
		err_set_option(r->err, "--user");
		err_hint(r->err, "give a number to use an id that has no name here");
		return -ENOENT;
	}
	*ret_id = entry.id;
	if (file == PASSWD_USERS)
		*ret_gid = entry.gid;
	return 0;
}

/* --user U[:G] */
static int resolve_user(struct resolve *r)
{
	uint32_t uid, gid = r->plan->payload_gid, ignored = 0;
	const char *colon = strchr(r->spec->user, ':');
	char *name = arena_dup_n(r->arena, r->spec->user,
				 colon ? (size_t)(colon - r->spec->user) : strlen(r->spec->user));
	int e;

	if (!name)
		return err_oom(r->err);
	e = resolve_user_part(r, name, PASSWD_USERS, &uid, &gid);
	if (e == 0 && colon)
		e = resolve_user_part(r, colon + 1, PASSWD_GROUPS, &gid, &ignored);
	if (e < 0)
		return e;
	for (int i = 0; i < 2; i++) {
		const struct plan_map *map = i ? &r->plan->gid_map : &r->plan->uid_map;
		uint32_t id = i ? gid : uid;

		if (idmap_has(map, id))
			continue;
		(void)err_refuse(r->err, EINVAL, NULL, "%s %u does not exist inside",
				 i ? "group" : "user", id);
		err_set_option(r->err, "--user");
		if (map->n_lines == 1)
			err_hint(r->err,
				 "only %u is mapped; --map=range maps more, or says why it "
				 "cannot",
				 map->lines[0].inside);
		else
			err_hint(r->err,
				 "see the ids that exist with --explain; a larger range in "
				 "/etc/%s gives more",
				 i ? "subgid" : "subuid");
		return -EINVAL;
	}
	r->plan->payload_uid = uid;
	r->plan->payload_gid = gid;
	return 0;
}

int resolve_identity(struct resolve *r)
{
	const struct sbx_spec *spec = r->spec;
	uint32_t uid = spec->root ? 0 : r->host->uid;
	uint32_t gid = spec->root ? 0 : r->host->gid;
	int e;

	if (spec->root && (spec->uid > 0 || spec->gid > 0))
		return err_usage(r->err, "--root",
				 "makes the caller 0 inside; it cannot be combined "
				 "with another --uid or --gid");
	if (spec->uid >= 0)
		uid = (uint32_t)spec->uid;
	if (spec->gid >= 0)
		gid = (uint32_t)spec->gid;
	if (spec->userns_fd < 0 && !resolve_has(r, SPEC_NS_USER) &&
	    (uid != r->host->uid || gid != r->host->gid))
		return err_usage(r->err, NULL,
				 "Specifying --%s requires --unshare-user or --userns",
				 uid != r->host->uid ? "uid" : "gid");
	e = resolve_maps(r, uid, gid);
	if (e < 0)
		return e;
	r->plan->payload_uid = uid;
	r->plan->payload_gid = gid;
	if (spec->userns_fd >= 0 && spec->uid >= 0)
		r->plan->joined_uid = uid;
	if (spec->userns_fd >= 0 && spec->gid >= 0)
		r->plan->joined_gid = gid;
	return spec->user ? resolve_user(r) : 0;
}

/* ---- privileges ---- */

/* What podman leaves to root in a container, less the ones that reach devices and the network. */
static const char *const resolve_root_caps[] = {
	"chown",   "dac_override", "fowner", "fsetid",		 "setuid",     "setgid",
	"setpcap", "setfcap",	   "kill",   "net_bind_service", "sys_chroot",
};

static uint64_t resolve_all_caps(void)
{
	uint64_t all = 0;

	for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		all |= UINT64_C(1) << cap;
	return all;
}

/*
 * Does bubblewrap put a command that keeps capabilities out of reach of its mounts, or of
 * the limit that --disable-userns sets? Its reason for the first is a devpts, for which
 * it maps the caller's id to 0 and back again.
 */
static bool resolve_nests_late(const struct resolve *r)
{
	bool is_root = r->plan->payload_uid == 0 && r->plan->payload_gid == 0;

	if (!r->defaults->nests_late || !resolve_has(r, SPEC_NS_USER) ||
	    r->spec->userns_block_fd >= 0)
		return false;
	for (size_t i = 0; i < r->spec->n_ops; i++)
		if (r->spec->ops[i].kind == SPEC_OP_DEV && !is_root)
			return true;
	return r->spec->disable_userns;
}

int resolve_caps(struct resolve *r)
{
	bool callers = r->host->uid == 0 && r->defaults->root_keeps_caps;
	uint64_t keep = callers ? probe_caps() : 0;

	r->keeps_callers_caps = callers && r->spec->n_caps == 0;
	if (r->spec->root || r->spec->map == SPEC_MAP_RANGE)
		for (size_t i = 0; i < ARRAY_SIZE(resolve_root_caps); i++)
			keep |= UINT64_C(1) << caps_from_name(resolve_root_caps[i]);
	for (size_t i = 0; i < r->spec->n_caps; i++) {
		const struct spec_cap *cap = &r->spec->caps[i];
		bool all = strcasecmp(cap->name, "ALL") == 0;
		int number = all ? 0 : caps_from_name(cap->name);
		uint64_t set;

		if (number < 0 && r->defaults->ignores_caps && cap->name[0] >= '0' &&
		    cap->name[0] <= '9')
			continue;
		if (number < 0)
			return err_usage(r->err,
					 cap->kind == SPEC_CAP_ADD ? "--cap-add" : "--cap-drop",
					 "%s is no capability; see capabilities(7)", cap->name);
		set = all ? resolve_all_caps() : UINT64_C(1) << number;
		if (cap->kind == SPEC_CAP_ADD && (set & ~resolve_all_caps())) {
			(void)err_refuse(r->err, EINVAL, cap->name, "this kernel does not have it");
			err_set_option(r->err, "--cap-add");
			return -EINVAL;
		}
		keep = cap->kind == SPEC_CAP_ADD ? keep | set : keep & ~set;
	}
	r->keep = keep;
	r->plan->nested_userns = keep != 0 && r->defaults->nests;
	r->nests_late = keep != 0 && resolve_nests_late(r);
	/* The limit is the user namespace's: one that is not ours keeps its own. */
	r->limit_userns =
		(!r->spec->allow_userns || r->spec->disable_userns) && r->spec->userns_fd < 0;
	return 0;
}
