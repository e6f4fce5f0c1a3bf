/* SPDX-License-Identifier: MIT */
/*
 * explain: print a plan.
 *
 * The text is a page of sections. A section has rows, a label and words behind
 * it, and is wrapped between words; only the steps are lines of their own, as
 * each names its cause at the right. Whatever came from outside is escaped.
 *
 * The values of the environment are never shown: what people paste into a bug
 * report must not hold their tokens.
 */

#include <assert.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "sbx/base/caps.h"
#include "sbx/base/json.h"
#include "sbx/base/sink.h"
#include "sbx/base/str.h"
#include "sbx/spec/explain.h"
#include "sbx/spec/settings.h"
#include "sbx/spec/steps.h"

enum {
	EXPLAIN_COLUMNS = 100,
	EXPLAIN_INDENT = 18,	    /* where the words of a row begin */
	EXPLAIN_CAUSE_COLUMN = 72,  /* where a step's cause begins, if it can */
	EXPLAIN_WORD_BYTES = 8192,  /* longer words are cut in the text, never in JSON */
	EXPLAIN_ROOM_BYTES = 32768, /* written out whenever it is full */
};

/* A bit and its name. Tables of these end with a NULL name. */
struct explain_bit {
	uint64_t bit;
	const char *name;
};

static const struct explain_bit explain_namespaces[] = {
	{CLONE_NEWUSER, "user"}, {CLONE_NEWNS, "mount"},
	{CLONE_NEWPID, "pid"},	 {CLONE_NEWIPC, "ipc"},
	{CLONE_NEWUTS, "uts"},	 {CLONE_NEWCGROUP, "cgroup"},
	{CLONE_NEWNET, "net"},	 {0, NULL},
};

static const struct explain_bit explain_attrs[] = {
	{MOUNT_ATTR_RDONLY, "ro"},
	{MOUNT_ATTR_NOSUID, "nosuid"},
	{MOUNT_ATTR_NODEV, "nodev"},
	{MOUNT_ATTR_NOEXEC, "noexec"},
	{MOUNT_ATTR_NOATIME, "noatime"},
	{MOUNT_ATTR_STRICTATIME, "strictatime"},
	{MOUNT_ATTR_NODIRATIME, "nodiratime"},
	{MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"},
	{0, NULL},
};

static const struct explain_bit explain_step_flags[] = {
	{PLAN_STEP_TRY, "try"},
	{PLAN_STEP_HOST, "host"},
	{PLAN_STEP_GROUPS, "groups"},
	{PLAN_STEP_SCOPE_SOCKETS, "scope-sockets"},
	{PLAN_STEP_SCOPE_SIGNALS, "scope-signals"},
	{PLAN_STEP_DIRECTORY, "directory"},
	{PLAN_STEP_NO_PARENTS, "no-parents"},
	{PLAN_STEP_OVERLAY, "overlay"},
	{PLAN_STEP_DOT, "dot"},
	{PLAN_STEP_IF_IN_REACH, "if-in-reach"},
	{0, NULL},
};

/* What the command keeps: the last step of PID 1 or of its own that says so. */
static uint64_t explain_payload_caps(const struct sbx_plan *plan)
{
	uint64_t keep = 0;

	for (size_t i = 0; i < plan->n_steps; i++)
		if (plan->steps[i].kind == PLAN_STEP_CONFINE ||
		    plan->steps[i].kind == PLAN_STEP_PRIVILEGES)
			keep = plan->steps[i].keep;
	return keep;
}

/* A capability's name; its number where a newer kernel has more than we know of. */
static const char *explain_cap_name(int cap, char *room, size_t size)
{
	const char *name = caps_to_name(cap);

	if (name)
		return name;
	(void)snprintf(room, size, "%d", cap);
	return room;
}

/* The name in an environment entry. An empty entry is the room for PWD, see struct sbx_plan. */
static const char *explain_env_name(const char *entry, size_t *ret_len)
{
	const char *name = *entry ? entry : "PWD";

	*ret_len = strcspn(name, "=");
	return name;
}

/*
 * The text
 */

struct explain_page {
	struct sink *sink;
	size_t column; /* how much of the current line is used */
	size_t indent; /* where the row goes on when it is wrapped */
	bool words;    /* the row has a word already */
};

/* Columns that UTF-8 text takes, taking every character for one column wide. */
static size_t explain_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void explain_put(struct explain_page *page, const char *text)
{
	sink_puts(page->sink, text);
	page->column += explain_width(text);
}

static void explain_pad(struct explain_page *page, size_t column)
{
	while (page->column < column)
		explain_put(page, " ");
}

static void explain_end_line(struct explain_page *page)
{
	sink_puts(page->sink, "\n");
	page->column = 0;
}

/* A section's title; an empty line stands before all but the first. */
static void explain_section(struct explain_page *page, const char *title)
{
	explain_put(page, title);
	explain_end_line(page);
}

static void explain_row(struct explain_page *page, const char *label)
{
	explain_put(page, "  ");
	explain_put(page, label);
	explain_pad(page, EXPLAIN_INDENT - 1);
	explain_put(page, " ");
	page->indent = EXPLAIN_INDENT;
	page->words = false;
}

/* Put a word behind the row, on a new line where this one has no room left. */
static void explain_word_n(struct explain_page *page, const char *text, size_t len)
{
	char room[EXPLAIN_WORD_BYTES];
	struct str_buf word = STR_BUF_ON_STACK(room);

	str_buf_escape(&word, text, len);
	if (page->words && page->column + 1 + explain_width(room) > EXPLAIN_COLUMNS) {
		explain_end_line(page);
		explain_pad(page, page->indent);
	} else if (page->words) {
		explain_put(page, " ");
	}
	explain_put(page, room);
	if (word.cut)
		explain_put(page, "...");
	page->words = true;
}

static void explain_word(struct explain_page *page, const char *text)
{
	explain_word_n(page, text, strlen(text));
}

/* Put the words of a sentence behind the row. Two blanks stay two: they may be in a path. */
static void explain_sentence(struct explain_page *page, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, " ");

		explain_word_n(page, text, len);
		text += len + (text[len] == ' ');
	}
}

static void explain_row_sentence(struct explain_page *page, const char *label, const char *text)
{
	explain_row(page, label);
	explain_sentence(page, text);
	explain_end_line(page);
}

/* A row with the names of those bits of `bits` that are `set`, or "none". */
static void explain_row_bits(struct explain_page *page, const char *label,
			     const struct explain_bit *bits, uint64_t flags, bool set)
{
	explain_row(page, label);
	for (; bits->name; bits++)
		if (((flags & bits->bit) != 0) == set)
			explain_word(page, bits->name);
	if (!page->words)
		explain_word(page, "none");
	explain_end_line(page);
}

static void explain_text_namespaces(struct explain_page *page, const struct sbx_plan *plan)
{
	char text[64];

	explain_row_bits(page, "new", explain_namespaces, plan->namespaces, true);
	explain_row_bits(page, "shared", explain_namespaces, plan->namespaces, false);
	if (plan->parent_userns_fd >= 0) {
		(void)snprintf(text, sizeof(text), "the user namespace of descriptor %d",
			       plan->parent_userns_fd);
		explain_row_sentence(page, "parent", text);
	}
	if (plan->nested_userns)
		explain_row_sentence(page, "nested",
				     "user mount, for the command alone: locks the mounts above");
}

static void explain_text_map(struct explain_page *page, const struct plan_map *map,
			     const char *label, bool may_fall_back)
{
	char text[96];

	if (map->n_lines == 0)
		return;
	explain_row(page, label);
	explain_word(page, "written");
	explain_word(page, map->helper ? "by" : "directly");
	if (map->helper)
		explain_word(page, map->helper);
	if (map->helper && may_fall_back) {
		(void)snprintf(text, sizeof(text), "(if it fails: only %" PRIu32 " -> %" PRIu32 ")",
			       map->own_inside, map->own_outside);
		explain_sentence(page, text);
	}
	explain_end_line(page);

	for (size_t i = 0; i < map->n_lines; i++) {
		const struct plan_map_line *line = &map->lines[i];

		(void)snprintf(text, sizeof(text),
			       "inside %10" PRIu32 "  outside %10" PRIu32 "  count %10" PRIu32,
			       line->inside, line->outside, line->count);
		explain_pad(page, EXPLAIN_INDENT);
		explain_put(page, text);
		explain_end_line(page);
	}
}

static void explain_text_identity(struct explain_page *page, const struct sbx_plan *plan)
{
	uint64_t keep = explain_payload_caps(plan);
	char text[64];

	(void)snprintf(text, sizeof(text), "uid %" PRIu32 ", gid %" PRIu32,
		       (uint32_t)plan->payload_uid, (uint32_t)plan->payload_gid);
	explain_row_sentence(page, "command runs as", text);
	explain_text_map(page, &plan->uid_map, "uid map", plan->map_may_fall_back);
	explain_text_map(page, &plan->gid_map, "gid map", plan->map_may_fall_back);

	explain_row(page, "capabilities");
	for (int cap = 0; cap < 64; cap++)
		if (keep >> cap & 1)
			explain_word(page, explain_cap_name(cap, text, sizeof(text)));
	if (!page->words)
		explain_word(page, "none");
	explain_end_line(page);
}

static void explain_text_filter(struct explain_page *page, const struct sbx_plan *plan)
{
	const struct plan_filter *filter = &plan->filter;
	char text[512];

	if (!filter->program.n_insns)
		(void)snprintf(text, sizeof(text), "none of sbx's own");
	else
		(void)snprintf(text, sizeof(text), "%s, %zu instructions%s", filter->profile,
			       filter->program.n_insns,
			       filter->log ? "; refusals are told at the end" : "");
	explain_row_sentence(page, "filter", text);
	for (size_t i = 0; i < filter->n_changes; i++)
		explain_row_sentence(page, spec_seccomp_names[filter->changes[i].kind],
				     filter->changes[i].words);
	for (size_t i = 0; i < filter->n_raw; i++) {
		(void)snprintf(text, sizeof(text), "descriptor %d", filter->raw[i].fd);
		explain_row_sentence(page, "filter", text);
	}
}

/* "  [--ro-bind (build:3)]", at the right, or on a line of its own. */
static void explain_cause(struct explain_page *page, const char *cause, const char *origin)
{
	size_t width = strlen(cause) + strlen("  []") + (origin ? strlen(origin) + 3 : 0);

	if (page->column + width > EXPLAIN_COLUMNS)
		explain_end_line(page);
	explain_pad(page, EXPLAIN_CAUSE_COLUMN);
	explain_put(page, "  [");
	explain_put(page, cause);
	if (origin) {
		explain_put(page, " (");
		explain_put(page, origin);
		explain_put(page, ")");
	}
	explain_put(page, "]");
	explain_end_line(page);
}

/* "    4. bind /usr at /usr (read-only)                         [--ro-bind]" */
static void explain_text_step(struct explain_page *page, const struct plan_step *step,
			      size_t number)
{
	char room[EXPLAIN_WORD_BYTES], label[32];
	struct str_buf text = STR_BUF_ON_STACK(room);

	(void)snprintf(label, sizeof(label), "%5zu. ", number);
	explain_put(page, label);
	page->indent = page->column;
	page->words = false;
	step_describe(step, &text);
	explain_sentence(page, text.data);
	if (text.cut)
		explain_put(page, "...");
	explain_cause(page, step->cause, step->origin);
}

static void explain_text_steps(struct explain_page *page, const struct sbx_plan *plan)
{
	enum plan_phase phase = PLAN_PHASE_COUNT_;

	for (size_t i = 0; i < plan->n_steps; i++) {
		const struct plan_step *step = &plan->steps[i];

		if (step_kinds[step->kind].phase != phase) {
			phase = step_kinds[step->kind].phase;
			explain_put(page, "  ");
			explain_put(page, step_phase_names[phase]);
			explain_end_line(page);
		}
		explain_text_step(page, step, i + 1);
	}
}

static void explain_text_environment(struct explain_page *page, const struct sbx_plan *plan)
{
	explain_row(page, "names");
	for (char **entry = plan->envp; entry && *entry; entry++) {
		size_t len;
		const char *name = explain_env_name(*entry, &len);

		explain_word_n(page, name, len);
	}
	explain_end_line(page);
}

static void explain_text_descriptors(struct explain_page *page, const struct sbx_plan *plan)
{
	char text[16];

	explain_row(page, "passed");
	explain_sentence(page, "0 1 2");
	for (size_t i = 0; i < plan->n_pass_fds; i++) {
		(void)snprintf(text, sizeof(text), "%d", plan->pass_fds[i]);
		explain_word(page, text);
	}
	explain_end_line(page);
}

static void explain_text_workdir(struct explain_page *page, const struct sbx_plan *plan)
{
	const char *const *dirs = plan->workdirs;

	explain_row(page, plan->workdir_required ? "must be" : "first that works");
	for (; dirs && *dirs; dirs++)
		explain_word(page, *dirs);
	explain_end_line(page);
}

static void explain_text_command(struct explain_page *page, const struct sbx_plan *plan)
{
	explain_row(page, "words");
	for (const char *const *arg = plan->argv; arg && *arg; arg++)
		explain_word(page, **arg ? *arg : "''");
	explain_end_line(page);
	if (!plan->command || !plan->argv || !plan->argv[0] ||
	    strcmp(plan->command, plan->argv[0]) == 0)
		return;
	explain_row(page, "looked up");
	explain_word(page, plan->command);
	explain_end_line(page);
}

/* Who is PID 1 as the command sees it. */
static const char *explain_first_process(const struct sbx_plan *plan)
{
	if (!plan->own_pid_ns)
		return "the host's; sbx waits for the command in an ordinary process";
	return plan->init_is_payload ? "the command itself" : "sbx, which reaps";
}

static void explain_text_life(struct explain_page *page, const struct sbx_plan *plan)
{
	explain_row_sentence(page, "on exit",
			     plan->wait_for_all
				     ? "sbx waits for every process inside"
				     : "when the command ends, every process inside is killed");
	explain_row_sentence(page, "parent",
			     plan->end_with_parent
				     ? "the sandbox ends with the process that started sbx"
				     : "the sandbox ends with sbx, not with its parent");
	explain_row_sentence(page, "PID 1", explain_first_process(plan));
	explain_row_sentence(page, "session",
			     plan->pty		 ? "a new one, with a terminal that sbx relays"
			     : plan->own_session ? "a new one"
						 : "the caller's");
}

static void explain_text_remarks(struct explain_page *page, const struct sbx_plan *plan)
{
	for (size_t i = 0; i < plan->n_remarks; i++)
		explain_row_sentence(page, plan->remarks[i].topic, plan->remarks[i].text);
	if (plan->n_remarks == 0)
		explain_row_sentence(page, "none", "");
}

/* What options have set beside the operations, which are steps. */
static void explain_text_settings(struct explain_page *page, const struct sbx_spec *spec)
{
	struct setting setting = {0};
	bool any = false;

	for (; settings_next(spec, &setting); any = true) {
		explain_row(page, setting.name);
		if (setting.kind)
			explain_word(page, setting.kind);
		if (setting.value)
			explain_sentence(page, *setting.value ? setting.value : "''");
		explain_cause(page, setting.cause.option, setting.cause.origin);
	}
	if (!any)
		explain_row_sentence(page, "none", "");
}

static const struct explain_part {
	const char *title;
	void (*print)(struct explain_page *page, const struct sbx_plan *plan);
} explain_parts[] = {
	{"Namespaces", explain_text_namespaces},
	{"Identity", explain_text_identity},
	{"System calls", explain_text_filter},
	{"Steps", explain_text_steps},
	{"Environment", explain_text_environment},
	{"Descriptors", explain_text_descriptors},
	{"Working directory", explain_text_workdir},
	{"Command", explain_text_command},
	{"Life", explain_text_life},
	{"Remarks", explain_text_remarks},
};

/**
 * Print a plan for people.
 * @spec: that it was made from
 * @fd:   borrowed
 *
 * Return: 0, or -errno with *err filled.
 */
int explain_print_text(const struct sbx_plan *plan, const struct sbx_spec *spec, int fd,
		       struct sbx_err *err)
{
	char room[EXPLAIN_ROOM_BYTES];
	struct sink sink = SINK_TO_FD(fd, room);
	struct explain_page page = {.sink = &sink};
	int r;

	assert(plan && spec && fd >= 0 && err);

	for (size_t i = 0; i < ARRAY_SIZE(explain_parts); i++) {
		explain_section(&page, explain_parts[i].title);
		explain_parts[i].print(&page, plan);
		explain_end_line(&page);
	}
	explain_section(&page, "Settings");
	explain_text_settings(&page, spec);
	r = sink_finish(&sink);
	return r < 0 ? err_system(err, -r, NULL, "cannot print the plan") : 0;
}

/*
 * The JSON
 */

static void explain_json_bits(struct json_out *json, const char *key,
			      const struct explain_bit *bits, uint64_t flags)
{
	json_open_array(json, key);
	for (; bits->name; bits++)
		if (flags & bits->bit)
			json_add_string(json, NULL, bits->name);
	json_close(json);
}

static void explain_json_filter(struct json_out *json, const struct sbx_plan *plan)
{
	const struct plan_filter *filter = &plan->filter;

	json_open_object(json, "seccomp");
	if (filter->profile)
		json_add_string(json, "profile", filter->profile);
	json_add_uint(json, "instructions", filter->program.n_insns);
	json_open_array(json, "changes");
	for (size_t i = 0; i < filter->n_changes; i++) {
		json_open_object(json, NULL);
		json_add_string(json, "kind", spec_seccomp_names[filter->changes[i].kind]);
		json_add_string(json, "words", filter->changes[i].words);
		json_close(json);
	}
	json_close(json);
	json_open_array(json, "descriptors");
	for (size_t i = 0; i < filter->n_raw; i++)
		json_add_int(json, NULL, filter->raw[i].fd);
	json_close(json);
	json_add_bool(json, "log", filter->log);
	json_close(json);
}

static void explain_json_strings(struct json_out *json, const char *key, const char *const *strings)
{
	json_open_array(json, key);
	for (; strings && *strings; strings++)
		json_add_string(json, NULL, *strings);
	json_close(json);
}

static void explain_json_caps(struct json_out *json, const char *key, uint64_t caps)
{
	char room[16];

	json_open_array(json, key);
	for (int cap = 0; cap < 64; cap++)
		if (caps >> cap & 1)
			json_add_string(json, NULL, explain_cap_name(cap, room, sizeof(room)));
	json_close(json);
}

static void explain_json_map(struct json_out *json, const char *key, const struct plan_map *map)
{
	json_open_object(json, key);
	json_add_string(json, "helper", map->helper);
	json_add_uint(json, "own-inside", map->own_inside);
	json_add_uint(json, "own-outside", map->own_outside);
	json_open_array(json, "lines");
	for (size_t i = 0; i < map->n_lines; i++) {
		json_open_object(json, NULL);
		json_add_uint(json, "inside", map->lines[i].inside);
		json_add_uint(json, "outside", map->lines[i].outside);
		json_add_uint(json, "count", map->lines[i].count);
		json_close(json);
	}
	json_close(json);
	json_close(json);
}

static void explain_json_identity(struct json_out *json, const struct sbx_plan *plan)
{
	json_open_object(json, "identity");
	json_add_uint(json, "uid", plan->payload_uid);
	json_add_uint(json, "gid", plan->payload_gid);
	explain_json_map(json, "uid-map", &plan->uid_map);
	explain_json_map(json, "gid-map", &plan->gid_map);
	json_add_bool(json, "map-may-fall-back", plan->map_may_fall_back);
	explain_json_caps(json, "capabilities", explain_payload_caps(plan));
	json_close(json);
}

/* Kinds to which an empty set of capabilities means something. */
static bool explain_uses_caps(enum plan_step_kind kind)
{
	return kind == PLAN_STEP_CONFINE || kind == PLAN_STEP_PRIVILEGES ||
	       kind == PLAN_STEP_REAPER_PRIVILEGES;
}

static void explain_json_layers(struct json_out *json, const struct plan_layers *layers)
{
	static const struct explain_bit drivers[] = {{PLAN_LAYERS_KERNEL, "kernel"},
						     {PLAN_LAYERS_OVER_FUSE, "kernel-over-fuse"},
						     {PLAN_LAYERS_FUSE, "fuse"},
						     {0, NULL}};

	json_open_object(json, "layers");
	json_open_array(json, "lower");
	for (size_t i = 0; i < layers->n_lower; i++)
		json_add_string(json, NULL, layers->lower[i]);
	json_close(json);
	if (layers->upper) {
		json_add_string(json, "upper", layers->upper);
		json_add_string(json, "work", layers->work);
	}
	json_add_bool(json, "writable", layers->top != PLAN_LAYERS_RO);
	explain_json_bits(json, "drivers", drivers, layers->drivers);
	json_add_string(json, "why", layers->why);
	json_close(json);
}

/* The arguments of a step, without those that its kind does not use or that were not given. */
static void explain_json_arguments(struct json_out *json, const struct plan_step *step)
{
	char mode[16];

	if (step->source)
		json_add_string(json, "source", step->source);
	if (step->fd >= 0)
		json_add_int(json, "fd", step->fd);
	if (step->dest)
		json_add_string(json, "dest", step->dest);
	if (step->text)
		json_add_string(json, "text", step->text);
	if (step->layers)
		explain_json_layers(json, step->layers);
	if (step->program)
		json_add_uint(json, "instructions", step->program->n_insns);
	if (step->flags)
		explain_json_bits(json, "flags", explain_step_flags, step->flags);
	if (step->attrs)
		explain_json_bits(json, "attributes", explain_attrs, step->attrs);
	if (step->mode >= 0) {
		(void)snprintf(mode, sizeof(mode), "%04o", (unsigned)step->mode & 07777U);
		json_add_string(json, "mode", mode);
	}
	if (step->size_bytes)
		json_add_uint(json, "size", step->size_bytes);
	if (step->nr_inodes)
		json_add_uint(json, "nr-inodes", step->nr_inodes);
	if (step->uid != (uid_t)-1)
		json_add_uint(json, "uid", step->uid);
	if (step->gid != (gid_t)-1)
		json_add_uint(json, "gid", step->gid);
	if (explain_uses_caps(step->kind))
		explain_json_caps(json, "capabilities", step->keep);
}

/* An option that no profile has was typed. @cause: "default" is nobody's. */
static void explain_json_cause(struct json_out *json, const char *cause, const char *origin)
{
	json_add_string(json, "cause", cause);
	if (cause[0] == '-')
		json_add_string(json, "origin", origin ? origin : "command line");
}

static void explain_json_steps(struct json_out *json, const struct sbx_plan *plan)
{
	char room[EXPLAIN_WORD_BYTES];

	json_open_array(json, "steps");
	for (size_t i = 0; i < plan->n_steps; i++) {
		const struct plan_step *step = &plan->steps[i];
		struct str_buf text = STR_BUF_ON_STACK(room);

		json_open_object(json, NULL);
		json_add_uint(json, "number", i + 1);
		json_add_string(json, "kind", step_kinds[step->kind].name);
		json_add_string(json, "phase", step_phase_names[step_kinds[step->kind].phase]);
		explain_json_arguments(json, step);
		step_describe(step, &text);
		json_add_text(json, "description", text.data, text.len);
		explain_json_cause(json, step->cause, step->origin);
		json_close(json);
	}
	json_close(json);
}

static void explain_json_environment(struct json_out *json, const struct sbx_plan *plan)
{
	json_open_array(json, "environment");
	for (char **entry = plan->envp; entry && *entry; entry++) {
		size_t len;
		const char *name = explain_env_name(*entry, &len);

		json_add_text(json, NULL, name, len);
	}
	json_close(json);
}

static void explain_json_descriptors(struct json_out *json, const struct sbx_plan *plan)
{
	json_open_array(json, "descriptors");
	for (int fd = 0; fd <= 2; fd++)
		json_add_int(json, NULL, fd);
	for (size_t i = 0; i < plan->n_pass_fds; i++)
		json_add_int(json, NULL, plan->pass_fds[i]);
	json_close(json);
}

static void explain_json_life(struct json_out *json, const struct sbx_plan *plan)
{
	json_open_object(json, "life");
	json_add_string(json, "on-exit", plan->wait_for_all ? "wait" : "kill");
	json_add_bool(json, "die-with-parent", plan->end_with_parent);
	json_add_bool(json, "as-pid-1", plan->init_is_payload);
	json_add_bool(json, "new-session", plan->own_session);
	json_add_bool(json, "pty", plan->pty);
	json_close(json);
}

static void explain_json_remarks(struct json_out *json, const struct sbx_plan *plan)
{
	json_open_array(json, "remarks");
	for (size_t i = 0; i < plan->n_remarks; i++) {
		json_open_object(json, NULL);
		json_add_string(json, "topic", plan->remarks[i].topic);
		json_add_string(json, "text", plan->remarks[i].text);
		json_close(json);
	}
	json_close(json);
}

static void explain_json_settings(struct json_out *json, const struct sbx_spec *spec)
{
	struct setting setting = {0};

	json_open_array(json, "settings");
	while (settings_next(spec, &setting)) {
		json_open_object(json, NULL);
		json_add_string(json, "name", setting.name);
		if (setting.kind)
			json_add_string(json, "kind", setting.kind);
		if (setting.value)
			json_add_string(json, "value", setting.value);
		explain_json_cause(json, setting.cause.option, setting.cause.origin);
		json_close(json);
	}
	json_close(json);
}

/**
 * Print a plan for programs: one JSON object.
 * @spec: that it was made from
 * @fd:   borrowed
 *
 * Return: 0, or -errno with *err filled.
 */
int explain_print_json(const struct sbx_plan *plan, const struct sbx_spec *spec, int fd,
		       struct sbx_err *err)
{
	char room[EXPLAIN_ROOM_BYTES];
	struct sink sink = SINK_TO_FD(fd, room);
	struct json_out json = JSON_OUT(&sink);
	int r;

	assert(plan && spec && fd >= 0 && err);

	json_open_object(&json, NULL);
	json_add_int(&json, "sbx-plan", EXPLAIN_JSON_VERSION);
	explain_json_bits(&json, "namespaces", explain_namespaces, plan->namespaces);
	json_add_bool(&json, "nested-userns", plan->nested_userns);
	if (plan->parent_userns_fd >= 0)
		json_add_int(&json, "parent-userns-fd", plan->parent_userns_fd);
	explain_json_identity(&json, plan);
	explain_json_filter(&json, plan);
	explain_json_steps(&json, plan);
	explain_json_environment(&json, plan);
	explain_json_descriptors(&json, plan);
	explain_json_strings(&json, "working-directories", plan->workdirs);
	json_add_bool(&json, "working-directory-required", plan->workdir_required);
	explain_json_strings(&json, "command", plan->argv);
	explain_json_life(&json, plan);
	explain_json_remarks(&json, plan);
	explain_json_settings(&json, spec);
	json_close(&json);

	r = json_finish(&json);
	return r < 0 ? err_system(err, -r, NULL, "cannot print the plan") : 0;
}
