/* SPDX-License-Identifier: MIT */
/*
 * pack: see pack.h.
 *
 * Theory of operation
 *
 * Whoever joins must get exactly what the command of the sandbox has, and never more. So it
 * goes through the same steps, in the same order, by the same code: those that PID 1 takes
 * for the command behind pivot_root, and the command's own. A step kind is written only
 * if the table here says that it is to be taken again; one that the table does not know is
 * not passed over in silence but refuses the join.
 *
 * A filter that came through a descriptor cannot be read again by the monitor, so a
 * sandbox with such a filter cannot be joined.
 *
 * The file is a head and then words of fixed form: numbers of 64 bits, and strings as a
 * number and that many bytes. It comes from a monitor of the caller's, yet it is read with
 * limits like any file from outside; it may have been written by another build.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/sink.h"
#include "sbx/base/str.h"
#include "sbx/run/pack.h"
#include "sbx/seccomp/program.h"
#include "sbx/spec/filter.h"
#include "sbx/spec/steps.h"

enum {
	PACK_VERSION = 1,
	PACK_MAX_BYTES = 8 << 20,
	PACK_MAX_ITEMS = 65536, /* steps, variables, directories */
	PACK_INSN_BYTES = sizeof(struct sock_filter),
};

/* "sbxpack" and the version, so that nothing else is taken for one. */
#define PACK_MAGIC (UINT64_C(0x7362787061636b00) | PACK_VERSION)

/* What becomes of a step behind pivot_root. Those before it have made what is joined. */
enum pack_use { PACK_REFUSE, PACK_TAKE, PACK_LEAVE };

static const enum pack_use pack_uses[PLAN_STEP_COUNT_] = {
	[PLAN_STEP_CONFINE] = PACK_TAKE,
	[PLAN_STEP_KEYRING] = PACK_TAKE,
	[PLAN_STEP_FILTER] = PACK_TAKE,
	[PLAN_STEP_IDS] = PACK_TAKE,
	[PLAN_STEP_PRIVILEGES] = PACK_TAKE,
	[PLAN_STEP_NICE] = PACK_TAKE,
	[PLAN_STEP_RLIMIT] = PACK_TAKE,
	[PLAN_STEP_LANDLOCK] = PACK_TAKE,
	[PLAN_STEP_CHDIR] = PACK_TAKE,
	[PLAN_STEP_DESCRIPTORS] = PACK_TAKE,
	[PLAN_STEP_LOOKUP] = PACK_TAKE,
	[PLAN_STEP_OWN_FILTER] = PACK_TAKE,
	[PLAN_STEP_EXEC] = PACK_TAKE,
	/* Of the one command, or done for all already. */
	[PLAN_STEP_CGROUP_COVER] = PACK_LEAVE,
	[PLAN_STEP_LOCK] = PACK_LEAVE,
	[PLAN_STEP_STDIO] = PACK_LEAVE,
	[PLAN_STEP_SESSION] = PACK_LEAVE,
	[PLAN_STEP_ASSERT_NO_USERNS] = PACK_LEAVE,
	[PLAN_STEP_BLOCK] = PACK_LEAVE,
};

static bool pack_is_behind_pivot(const struct plan_step *step)
{
	enum plan_phase phase = step_kinds[step->kind].phase;

	return phase == PLAN_INIT || phase == PLAN_PAYLOAD;
}

/* ---- writing ---- */

static void pack_put_number(struct sink *out, uint64_t number)
{
	sink_write(out, (const char *)&number, sizeof(number));
}

static void pack_put_bytes(struct sink *out, const void *data, size_t len)
{
	pack_put_number(out, len);
	if (len)
		sink_write(out, data, len);
}

static void pack_put_string(struct sink *out, const char *text)
{
	pack_put_bytes(out, text, strlen(text));
}

static void pack_put_list(struct sink *out, const char *const *strings)
{
	uint64_t n = 0;

	while (strings[n])
		n++;
	pack_put_number(out, n);
	for (uint64_t i = 0; i < n; i++)
		pack_put_string(out, strings[i]);
}

static void pack_put_step(struct sink *out, const struct plan_step *step)
{
	pack_put_string(out, step_kinds[step->kind].name);
	pack_put_string(out, step->cause);
	pack_put_string(out, step->text ? step->text : "");
	pack_put_number(out, step->flags);
	pack_put_number(out, step->uid);
	pack_put_number(out, step->gid);
	pack_put_number(out, step->keep);
	pack_put_bytes(out, step->program ? step->program->insns : NULL,
		       step->program ? step->program->n_insns * PACK_INSN_BYTES : 0);
}

static int pack_put_steps(struct sink *out, const struct sbx_plan *plan)
{
	uint64_t n = 0;

	for (size_t i = 0; i < plan->n_steps; i++) {
		if (!pack_is_behind_pivot(&plan->steps[i]))
			continue;
		if (pack_uses[plan->steps[i].kind] == PACK_REFUSE)
			return -EOPNOTSUPP;
		n += pack_uses[plan->steps[i].kind] == PACK_TAKE;
	}
	pack_put_number(out, n);
	for (size_t i = 0; i < plan->n_steps; i++)
		if (pack_is_behind_pivot(&plan->steps[i]) &&
		    pack_uses[plan->steps[i].kind] == PACK_TAKE)
			pack_put_step(out, &plan->steps[i]);
	return 0;
}

static mode_t pack_umask(void)
{
	mode_t mask = umask(0);

	(void)umask(mask);
	return mask;
}

/* Those that are new, and those that were made elsewhere and entered. */
static uint64_t pack_namespaces(const struct sbx_plan *plan)
{
	return plan->namespaces | (plan->parent_userns_fd >= 0 ? CLONE_NEWUSER : 0) |
	       (plan->parent_pidns_fd >= 0 ? CLONE_NEWPID : 0) |
	       (plan->netns_fd >= 0 ? CLONE_NEWNET : 0);
}

/**
 * Write what a process needs that joins a sandbox of this plan.
 * @ret_fd: a file in memory, at its start; owned by the caller
 *
 * Return: 0, or -errno: -EOPNOTSUPP: one of its steps cannot be taken again.
 */
int pack_write(const struct sbx_plan *plan, int *ret_fd)
{
	_autoclose_ int fd = memfd_create("sbx-join", MFD_CLOEXEC);
	char room[16384];
	struct sink sink = SINK_TO_FD(fd, room);
	int r;

	if (fd < 0)
		return -errno;
	pack_put_number(&sink, PACK_MAGIC);
	pack_put_number(&sink, pack_namespaces(plan));
	pack_put_number(&sink, plan->own_pid_ns);
	pack_put_number(&sink, !filter_guards_terminal(plan));
	pack_put_number(&sink, plan->payload_uid);
	pack_put_number(&sink, plan->payload_gid);
	pack_put_number(&sink, plan->uid_map.own_inside);
	pack_put_number(&sink, plan->gid_map.helper != NULL);
	pack_put_number(&sink, pack_umask());
	pack_put_number(&sink, plan->workdir_required);
	pack_put_list(&sink, plan->workdirs);
	/* The first has room for PWD. */
	pack_put_list(&sink, (const char *const *)plan->envp + 1);
	r = pack_put_steps(&sink, plan);
	if (r < 0)
		return r;
	r = sink_finish(&sink);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

/* ---- reading ---- */

struct pack_reader {
	const char *at, *end;
	struct sbx_plan *plan;
	int failed; /* -errno of the first failure; then all that is read is 0 or "" */
};

static uint64_t pack_get_number(struct pack_reader *r)
{
	uint64_t number = 0;

	if (r->failed || (size_t)(r->end - r->at) < sizeof(number)) {
		r->failed = r->failed ? r->failed : -EPROTO;
		return 0;
	}
	memcpy(&number, r->at, sizeof(number));
	r->at += sizeof(number);
	return number;
}

/* A copy in the plan's arena, with a NUL behind it. Never NULL. */
static const char *pack_get_bytes(struct pack_reader *r, size_t *ret_len)
{
	uint64_t len = pack_get_number(r);
	const char *copy = NULL;

	*ret_len = 0;
	if (!r->failed && len > (uint64_t)(r->end - r->at))
		r->failed = -EPROTO;
	if (!r->failed)
		copy = arena_dup_n(&r->plan->arena, r->at, (size_t)len);
	if (!r->failed && !copy)
		r->failed = -ENOMEM;
	if (r->failed)
		return "";
	r->at += len;
	*ret_len = (size_t)len;
	return copy;
}

static const char *pack_get_string(struct pack_reader *r)
{
	size_t len;
	const char *text = pack_get_bytes(r, &len);

	if (strlen(text) != len)
		r->failed = r->failed ? r->failed : -EPROTO;
	return text;
}

static uint64_t pack_get_count(struct pack_reader *r)
{
	uint64_t n = pack_get_number(r);

	if (n > PACK_MAX_ITEMS)
		r->failed = r->failed ? r->failed : -EPROTO;
	return r->failed ? 0 : n;
}

/* A list that ends with NULL, with `before` empty places in front. */
static const char **pack_get_list(struct pack_reader *r, size_t before)
{
	uint64_t n = pack_get_count(r);
	const char **list = arena_alloc(&r->plan->arena, (before + n + 1) * sizeof(*list));

	if (!list) {
		r->failed = r->failed ? r->failed : -ENOMEM;
		return NULL;
	}
	for (size_t i = 0; i < before; i++)
		list[i] = "";
	for (uint64_t i = 0; i < n; i++)
		list[before + i] = pack_get_string(r);
	list[before + n] = NULL;
	return list;
}

/* The kind of that name, or PLAN_STEP_COUNT_: there is none that may be taken again. */
static enum plan_step_kind pack_find_kind(const char *name)
{
	for (int kind = 0; kind < PLAN_STEP_COUNT_; kind++)
		if (pack_uses[kind] == PACK_TAKE && str_equal(step_kinds[kind].name, name))
			return (enum plan_step_kind)kind;
	return PLAN_STEP_COUNT_;
}

static void pack_get_program(struct pack_reader *r, struct plan_step *step)
{
	size_t len;
	const char *insns = pack_get_bytes(r, &len);
	struct seccomp_program *program;

	if (len == 0)
		return;
	program = arena_alloc(&r->plan->arena, sizeof(*program));
	if (!program || len % PACK_INSN_BYTES != 0 || len / PACK_INSN_BYTES > SECCOMP_PROGRAM_MAX) {
		r->failed = program ? -EPROTO : -ENOMEM;
		return;
	}
	*program = (struct seccomp_program){(const struct sock_filter *)(const void *)insns,
					    len / PACK_INSN_BYTES};
	step->program = program;
}

static void pack_get_step(struct pack_reader *r)
{
	const char *name = pack_get_string(r), *cause = pack_get_string(r);
	enum plan_step_kind kind = pack_find_kind(name);
	struct plan_step *step;

	if (kind == PLAN_STEP_COUNT_) {
		r->failed = r->failed ? r->failed : -EPROTO;
		return;
	}
	step = plan_add_step(r->plan, kind, cause);
	if (!step) {
		r->failed = -ENOMEM;
		return;
	}
	step->text = pack_get_string(r);
	step->flags = (uint32_t)pack_get_number(r);
	step->uid = (uid_t)pack_get_number(r);
	step->gid = (gid_t)pack_get_number(r);
	step->keep = pack_get_number(r);
	pack_get_program(r, step);
	r->plan->looks_first |= kind == PLAN_STEP_LOOKUP;
	/* A filter that is missing would be no filter. */
	if ((kind == PLAN_STEP_FILTER || kind == PLAN_STEP_OWN_FILTER) && !step->program)
		r->failed = r->failed ? r->failed : -EPROTO;
}

static void pack_get_plan(struct pack_reader *r, struct sbx_plan *plan)
{
	if (pack_get_number(r) != PACK_MAGIC)
		r->failed = -EPROTO;
	plan->joined_namespaces = pack_get_number(r);
	plan->own_pid_ns = pack_get_number(r) != 0;
	plan->joined_needs_pty = pack_get_number(r) != 0;
	plan->payload_uid = (uid_t)pack_get_number(r);
	plan->payload_gid = (gid_t)pack_get_number(r);
	plan->uid_map.own_inside = (uint32_t)pack_get_number(r);
	plan->joined_groups_drop = pack_get_number(r) != 0;
	plan->joined_umask = (mode_t)pack_get_number(r);
	plan->workdir_required = pack_get_number(r) != 0;
	plan->workdirs = pack_get_list(r, 0);
	plan->envp = (char **)(uintptr_t)pack_get_list(r, 1);
	for (uint64_t n = pack_get_count(r); n > 0 && !r->failed; n--)
		pack_get_step(r);
	if (!r->failed && (r->at != r->end || plan->n_steps == 0 || !plan->workdirs[0] ||
			   plan->steps[plan->n_steps - 1].kind != PLAN_STEP_EXEC))
		r->failed = -EPROTO;
}

/**
 * Make a plan for joining. The command is still to be set.
 * @fd:   as pack_write() made it; read from where it is
 * @plan: from plan_init()
 *
 * Return: 0, or -errno with *err filled.
 */
int pack_read(int fd, struct sbx_plan *plan, struct sbx_err *err)
{
	struct pack_reader reader = {.plan = plan};
	char *data;
	size_t len;
	int r = io_read_all(fd, PACK_MAX_BYTES, &plan->arena, &data, &len);

	if (r < 0)
		return err_system(err, -r, NULL, "cannot read what the sandbox's monitor sent");
	reader.at = data;
	reader.end = data + len;
	pack_get_plan(&reader, plan);
	if (reader.failed == -ENOMEM)
		return err_oom(err);
	if (reader.failed)
		return err_refuse(err, EPROTO, NULL,
				  "the sandbox was started by another version of sbx, which "
				  "describes it differently");
	plan->init_is_payload = true;
	return 0;
}
