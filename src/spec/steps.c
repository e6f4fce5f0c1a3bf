/* SPDX-License-Identifier: MIT */
/*
 * steps: a sentence for every step kind. They begin with a verb in the
 * imperative, so that they read well behind "step 4 of 11, " and in a list.
 */

#include <stdio.h>
#include <string.h>

#include "sbx/base/caps.h"
#include "sbx/base/sys.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/layers.h"
#include "sbx/spec/steps.h"
#include "sbx/spec/words.h"

const char *const step_phase_names[PLAN_PHASE_COUNT_] = {
	[PLAN_EARLY] = "early",	    [PLAN_SETUP] = "setup",   [PLAN_INIT] = "init",
	[PLAN_PAYLOAD] = "payload", [PLAN_REAPER] = "reaper",
};

static void describe_path(struct str_buf *out, const char *path)
{
	str_buf_escape(out, path, strlen(path));
}

/* " (read-only, noexec)", leaving out what every mount has. */
static void describe_attrs(struct str_buf *out, uint64_t attrs)
{
	static const struct {
		uint64_t attr;
		const char *name;
	} names[] = {
		{MOUNT_ATTR_RDONLY, "read-only"},	 {MOUNT_ATTR_NOEXEC, "noexec"},
		{MOUNT_ATTR_NOATIME, "noatime"},	 {MOUNT_ATTR_NODIRATIME, "nodiratime"},
		{MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"},
	};
	const char *between = " (";

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!(attrs & names[i].attr))
			continue;
		str_buf_printf(out, "%s%s", between, names[i].name);
		between = ", ";
	}
	if (*between == ',')
		str_buf_puts(out, ")");
}

static void describe_mount(struct str_buf *out, const char *what, const struct plan_step *step)
{
	str_buf_printf(out, "mount %s at ", what);
	describe_path(out, step->dest);
	describe_attrs(out, step->attrs);
}

static void describe_caps(struct str_buf *out, uint64_t keep)
{
	if (keep == 0)
		str_buf_puts(out, "drop all capabilities");
	else
		str_buf_puts(out, "keep capabilities");
	for (int cap = 0; cap < 64; cap++) {
		const char *name = caps_to_name(cap);

		if (!(keep & (UINT64_C(1) << cap)))
			continue;
		if (name)
			str_buf_printf(out, " %s", name);
		else /* newer than the headers of the build */
			str_buf_printf(out, " %d", cap);
	}
	str_buf_puts(out, ", set no_new_privs");
}

static void step_describe_loopback(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "bring up the loopback interface");
}

static void step_describe_hostname(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "set the host name to ");
	describe_path(out, step->text);
}

static void step_describe_port_start(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "let everybody inside bind ports below 1024");
}

static void step_describe_proc_view(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "open a view of the processes for PID 1");
}

static void step_describe_oom_score(const struct plan_step *step, struct str_buf *out)
{
	str_buf_printf(out, "set oom_score_adj to %s", step->text);
}

static void step_describe_data_store(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "mount a hidden tmpfs for data read from descriptors");
}

static void step_describe_root_tmpfs(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "mount an empty tmpfs as the new root");
}

static void step_describe_bind(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "bind ");
	if (step->source)
		describe_path(out, step->source);
	else
		str_buf_printf(out, "descriptor %d", step->fd);
	str_buf_puts(out, " at ");
	describe_path(out, step->dest);
	describe_attrs(out, step->attrs);
	if (!(step->attrs & MOUNT_ATTR_NODEV))
		str_buf_puts(out, ", with device nodes");
	if (step->flags & PLAN_STEP_TRY)
		str_buf_puts(out, ", if it exists");
}

static void step_describe_tmpfs(const struct plan_step *step, struct str_buf *out)
{
	describe_mount(out, "tmpfs", step);
	if (step->mode >= 0)
		str_buf_printf(out, ", mode %04o", (unsigned)step->mode);
	if (step->size_bytes)
		str_buf_printf(out, ", %llu bytes", (unsigned long long)step->size_bytes);
	if (step->nr_inodes)
		str_buf_printf(out, ", %llu inodes", (unsigned long long)step->nr_inodes);
}

static void step_describe_proc(const struct plan_step *step, struct str_buf *out)
{
	describe_mount(out, step->flags & PLAN_STEP_HOST ? "the host's /proc" : "a new procfs",
		       step);
}

static void step_describe_proc_cover(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "cover what is dangerous in ");
	describe_path(out, step->dest);
}

static void step_describe_dev(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "make a minimal /dev at ");
	describe_path(out, step->dest);
	if (step->source) {
		str_buf_puts(out, ", console is ");
		describe_path(out, step->source);
	}
	if (step->flags & PLAN_STEP_HAS_PTY)
		str_buf_puts(out, ", console is the sandbox's terminal");
}

static void step_describe_sys(const struct plan_step *step, struct str_buf *out)
{
	describe_mount(out, step->flags & PLAN_STEP_HOST ? "the host's /sys" : "a new sysfs", step);
}

static void step_describe_cgroup(const struct plan_step *step, struct str_buf *out)
{
	describe_mount(out, "the cgroup hierarchy", step);
}

static void step_describe_mqueue(const struct plan_step *step, struct str_buf *out)
{
	describe_mount(out, "mqueue", step);
}

static void step_describe_layers(const struct plan_step *step, struct str_buf *out)
{
	const struct plan_layers *layers = step->layers;

	str_buf_puts(out, "layer ");
	/* What is held needs no telling: each name has a step of its own. */
	for (size_t i = layers->n_held ? 1 : 0; i < layers->n_lower; i++) {
		str_buf_puts(out, i && !layers->n_held ? ", " : "");
		describe_path(out, layers->lower[i]);
	}
	str_buf_puts(out, " at ");
	describe_path(out, step->dest);
	describe_attrs(out, step->attrs);
	if (layers->upper) {
		str_buf_puts(out, ", changes go to ");
		describe_path(out, layers->upper);
	} else if (layers->top == PLAN_LAYERS_TMP) {
		str_buf_puts(out, ", changes are forgotten");
	}
	str_buf_puts(out, ", by ");
	layers_describe_drivers(layers->drivers, out);
}

static void step_describe_dir(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "make directory ");
	describe_path(out, step->dest);
}

static void step_describe_file(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "write file ");
	describe_path(out, step->dest);
	if (step->fd >= 0)
		str_buf_printf(out, " from descriptor %d", step->fd);
}

static void step_describe_bind_data(const struct plan_step *step, struct str_buf *out)
{
	if (step->text)
		str_buf_puts(out, "bind data of sbx's own at ");
	else
		str_buf_printf(out, "bind data of descriptor %d at ", step->fd);
	describe_path(out, step->dest);
	describe_attrs(out, step->attrs);
	if (step->flags & PLAN_STEP_TRY)
		str_buf_puts(out, ", if it exists");
}

static void step_describe_symlink(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "link ");
	describe_path(out, step->dest);
	str_buf_puts(out, " to ");
	describe_path(out, step->source);
}

static void step_describe_chmod(const struct plan_step *step, struct str_buf *out)
{
	str_buf_printf(out, "set mode %04o on ", (unsigned)step->mode);
	describe_path(out, step->dest);
}

static void step_describe_remount(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "make the mount at ");
	describe_path(out, step->dest);
	str_buf_puts(out, " read-only");
}

static void step_describe_mask(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "mask ");
	describe_path(out, step->dest);
	if (step->flags & PLAN_STEP_TRY)
		str_buf_puts(out, ", if it exists");
}

static void step_describe_pin(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "keep ");
	describe_path(out, step->text);
	str_buf_puts(out, " from being renamed in ");
	describe_path(out, step->dest);
}

static void step_describe_protect(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "protect ");
	describe_path(out, step->dest);
	if (step->flags & PLAN_STEP_TRY)
		str_buf_puts(out, ", if it exists");
	else if (step->flags & PLAN_STEP_OVERLAY)
		str_buf_puts(out, ", by an overlay if it does not exist");
	if (step->text)
		str_buf_printf(out, ": %s", step->text);
}

static void step_describe_filter_cover(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "keep ");
	describe_path(out, step->dest);
	str_buf_printf(out, "%s%s, filters for later launches, from being written to",
		       step->text[0] ? "/" : "", step->text);
}

static void step_describe_network(const struct plan_step *step, struct str_buf *out)
{
	str_buf_printf(out, "start the network: %s", step->text);
}

static void step_describe_dbus(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "place a filtered session bus at ");
	describe_path(out, step->dest);
	str_buf_printf(out, ": %s", step->text);
}

static void step_describe_userns_limit(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "allow no further user namespaces");
}

static void step_describe_pty(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "make a session with a terminal of the sandbox's own, for sbx to relay");
	if (!(step->flags & PLAN_STEP_HAS_PTY))
		str_buf_puts(out, "; it has no name inside");
}

static void step_describe_pivot(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "make it the root and detach the host's");
}

static void step_describe_confine(const struct plan_step *step, struct str_buf *out)
{
	describe_caps(out, step->keep);
}

static void step_describe_nest_userns(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "enter a user namespace below, which has no right over the mounts");
}

static void step_describe_enter_userns(const struct plan_step *step, struct str_buf *out)
{
	str_buf_printf(out, "enter the user namespace of descriptor %d", step->fd);
}

static void step_describe_keyring(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "start an empty session keyring");
}

static void describe_filter(struct str_buf *out, const struct plan_step *step)
{
	str_buf_printf(out, "load the system call filter: %s, %zu instructions", step->text,
		       step->program->n_insns);
}

static void step_describe_filter_data(const struct plan_step *step, struct str_buf *out)
{
	str_buf_printf(out, "read a system call filter from descriptor %d", step->fd);
}

static void step_describe_filter(const struct plan_step *step, struct str_buf *out)
{
	describe_filter(out, step);
}

static void step_describe_lookup(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "look at ");
	describe_path(out, step->text);
	str_buf_puts(out, " before there is a filter");
}

static void step_describe_own_filter(const struct plan_step *step, struct str_buf *out)
{
	describe_filter(out, step);
}

static void step_describe_raw_filter(const struct plan_step *step, struct str_buf *out)
{
	str_buf_printf(out, "load the system call filter of descriptor %d", step->fd);
}

static void step_describe_reaper_filter(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "PID 1: ");
	describe_filter(out, step);
}

static void step_describe_reaper_raw_filter(const struct plan_step *step, struct str_buf *out)
{
	str_buf_printf(
		out, "PID 1: load the system call filter of descriptor %d, if it can live with it",
		step->fd);
}

static void step_describe_stdio(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "put that terminal in the place of the caller's");
}

static void step_describe_init_session(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "PID 1: start a new session");
}

static void step_describe_session(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "start a new session without a controlling terminal");
}

static void step_describe_ids(const struct plan_step *step, struct str_buf *out)
{
	str_buf_printf(out, "become uid %u, gid %u%s", step->uid, step->gid,
		       step->flags & PLAN_STEP_GROUPS ? ", without supplementary groups" : "");
}

static void step_describe_privileges(const struct plan_step *step, struct str_buf *out)
{
	describe_caps(out, step->keep);
}

static void step_describe_cgroup_cover(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "cover the host's cgroups wherever a bind shows them");
}

static void step_describe_nice(const struct plan_step *step, struct str_buf *out)
{
	str_buf_printf(out, "set the nice value to %s", step->text);
}

static void step_describe_rlimit(const struct plan_step *step, struct str_buf *out)
{
	str_buf_printf(out, "set the resource limit %s", step->text);
}

static void step_describe_landlock(const struct plan_step *step, struct str_buf *out)
{
	bool sockets = step->flags & PLAN_STEP_SCOPE_SOCKETS;
	bool signals = step->flags & PLAN_STEP_SCOPE_SIGNALS;

	str_buf_printf(out, "keep %s%s%s within the sandbox by Landlock",
		       sockets ? "abstract sockets" : "", sockets && signals ? " and " : "",
		       signals ? "signals" : "");
}

static void step_describe_lock(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "PID 1: hold a read lock on ");
	describe_path(out, step->dest);
}

static void step_describe_block(const struct plan_step *step, struct str_buf *out)
{
	str_buf_printf(out, "wait for descriptor %d", step->fd);
}

static void step_describe_assert_no_userns(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "make sure that user namespaces cannot be created");
}

static void step_describe_chdir(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "enter the working directory");
}

static void step_describe_descriptors(const struct plan_step *step, struct str_buf *out)
{
	(void)step;
	str_buf_puts(out, "close all descriptors but those that are passed");
}

static void step_describe_exec(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "execute ");
	describe_path(out, step->text);
}

static void step_describe_reaper_privileges(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, "PID 1: ");
	describe_caps(out, step->keep);
}

const struct step_kind step_kinds[PLAN_STEP_COUNT_] = {
#define X(id, fn, when) [PLAN_STEP_##id] = {#fn, PLAN_##when, step_describe_##fn},
	PLAN_STEP_KINDS(X)
#undef X
};

/* What the step does, as a sentence without a full stop. */
void step_describe(const struct plan_step *step, struct str_buf *out)
{
	step_kinds[step->kind].describe(step, out);
}

/* The option that caused the step, with its arguments: "--ro-bind /usr /usr". */
void step_describe_cause(const struct plan_step *step, struct str_buf *out)
{
	str_buf_puts(out, step->cause);
	if (step->cause[0] != '-')
		return;
	if (step->fd >= 0)
		str_buf_printf(out, " %d", step->fd);
	if (step->kind == PLAN_STEP_CHMOD)
		str_buf_printf(out, " %04o", (unsigned)step->mode);
	/* Those of a session nobody has typed. */
	if (step->layers && step->layers->upper && !step->layers->is_session)
		str_buf_printf(out, " %s %s", step->layers->upper, step->layers->work);
	if (step->source && step->kind != PLAN_STEP_DEV)
		str_buf_printf(out, " %s", step->source);
	if (step->dest && strcmp(step->cause, "--rw") != 0 && strcmp(step->cause, "--ro") != 0 &&
	    strcmp(step->cause, "--rootfs") != 0 && !step->within)
		str_buf_printf(out, " %s", step->dest);
}

/* Say which step of the plan failed: number, description, option, and a hint if one is known. */
void err_blame_step(struct sbx_err *err, const struct sbx_plan *plan, size_t index)
{
	const struct plan_step *step = &plan->steps[index];
	char room[512], cause_room[512];
	struct str_buf what = STR_BUF_ON_STACK(room), cause = STR_BUF_ON_STACK(cause_room);

	err->step = (uint32_t)index + 1;
	err->n_steps = (uint32_t)plan->n_steps;
	step_describe(step, &what);
	if (step->cause[0] == '-') {
		step_describe_cause(step, &cause);
		err_set_option(err, cause.data);
	}
	err_annotate(err, "step %u of %u, %s", err->step, err->n_steps, what.data);
	hint_add(err, (int)step->kind);
	if (plan->bwrap_words)
		words_reword_step(err, step);
}
