/* SPDX-License-Identifier: MIT */
/*
 * filter: choose the system call filters.
 *
 * Theory of operation
 *
 * There is one filter of sbx's own, made of a profile and what options change in it, or
 * of a file (spec/filter_file.c),
 * and any number of raw ones, which come through descriptors. A filter cannot be
 * taken off, and of several the strictest answer counts.
 *
 * Usually PID 1 loads its own filter behind the drop of privileges, and the command
 * inherits it: one system call for both. That cannot be where the command has still
 * to do what the filter refuses (become another user, enter a nested namespace), nor
 * where options refuse what PID 1 lives by. Then the command loads the filter as the
 * last thing before it executes, and PID 1 gets one too, when it has done its part:
 * the same where it can live with it, else the default one.
 *
 * Raw filters are loaded by the command last of all, in the order given. PID 1 loads
 * each that it can live with, which is found out by running it. (steps: raw_filter,
 * reaper_raw_filter; what they hold is read by PID 1, early.)
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sbx/base/str.h"
#include "sbx/seccomp/builtin.h"
#include "sbx/spec/filter.h"
#include "sbx/spec/filter_file.h"

static const char opt_seccomp[] = "--seccomp";

enum { FILTER_KEYCTLS = 64 }; /* Linux 6.18 has 33 */

/* ---- the profile ---- */

static int filter_refuse(struct sbx_err *err, const char *option, int number, const char *what,
			 const char *hint)
{
	(void)err_refuse(err, number, NULL, "%s", what);
	err_set_option(err, option);
	err_hint(err, "%s", hint);
	return -number;
}

/* --seccomp FILE: of what changes a filter of sbx's own, rules for single calls. */
static int filter_check_file(const struct sbx_spec *spec, struct sbx_err *err)
{
	if (!spec->n_seccomp_changes)
		return 0;
	(void)err_usage(err,
			spec->seccomp_changes[0].kind == SPEC_SECCOMP_ALLOW ? "--seccomp-allow"
									    : "--seccomp-deny",
			"changes a filter of sbx's own, not the one of --seccomp FILE");
	err_hint(err, "write it into the profile, which may be a copy of the file");
	return -EINVAL;
}

/* --seccomp FD, and everything that only goes with a filter of sbx's own. */
static int filter_check_raw(const struct sbx_spec *spec, struct sbx_err *err)
{
	if (spec->n_seccomp_fds)
		return err_usage(err, opt_seccomp, "cannot be combined with --add-seccomp-fd");
	if (spec->n_seccomp_changes)
		return err_usage(err,
				 spec->seccomp_changes[0].kind == SPEC_SECCOMP_ALLOW
					 ? "--seccomp-allow"
					 : "--seccomp-deny",
				 "changes a filter of sbx's own, not the one of --seccomp FD");
	if (spec->multiarch)
		return err_usage(err, "--multiarch",
				 "changes a filter of sbx's own, not the one of --seccomp FD");
	if (spec->seccomp_log)
		return err_usage(err, "--seccomp-log",
				 "tells of a filter of sbx's own, not the one of --seccomp FD");
	return 0;
}

enum filter_source {
	FILTER_OWN, /* of sbx's own, in *ret_base */
	FILTER_FD,  /* raw, in *ret_fd */
	FILTER_FILE,
};

/* What --seccomp means. A word is never looked up as a file; ./default is one. */
static enum filter_source filter_parse(const struct sbx_spec *spec, enum seccomp_base *ret_base,
				       int *ret_fd)
{
	static const struct {
		const char *word;
		enum seccomp_base base;
	} words[] = {
		{"default", SECCOMP_BASE_DEFAULT},
		{"strict", SECCOMP_BASE_STRICT},
		{"none", SECCOMP_BASE_NONE},
	};
	uint64_t fd;

	*ret_base = SECCOMP_BASE_DEFAULT;
	if (!spec->seccomp)
		return FILTER_OWN;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(spec->seccomp, words[i].word) != 0)
			continue;
		*ret_base = words[i].base;
		return FILTER_OWN;
	}
	if (str_parse_u64(spec->seccomp, 10, INT_MAX, &fd) == 0) {
		*ret_fd = (int)fd;
		return FILTER_FD;
	}
	return FILTER_FILE;
}

/* The words of all changes, one behind the other. They were checked when they were read. */
static int filter_changes(const struct sbx_spec *spec, struct arena *arena,
			  struct seccomp_wanted *wanted, struct sbx_err *err)
{
	struct seccomp_change *changes = NULL;
	size_t n = 0;

	for (size_t i = 0; i < spec->n_seccomp_changes; i++) {
		const struct spec_seccomp *said = &spec->seccomp_changes[i];
		const char *text = said->words;

		for (size_t len;; text += len + 1) {
			len = strcspn(text, ",");
			changes = arena_grow(arena, changes, n, sizeof(*changes));
			if (!changes)
				return err_oom(err);
			changes[n].allow = said->kind == SPEC_SECCOMP_ALLOW;
			if (seccomp_find_word(text, len, &changes[n++].word) < 0)
				return err_usage(err, opt_seccomp,
						 "no system call is called \"%.*s\"", (int)len,
						 text);
			if (text[len] == '\0')
				break;
		}
	}
	wanted->changes = changes;
	wanted->n_changes = n;
	return 0;
}

/* ---- what PID 1 needs ---- */

/* From the filter on: PID 1's own calls, those that start the command, and the command's. */
static const char *const filter_needs_of_init[] = {
	"clone",   "close",	   "close_range",     "exit",		"exit_group",	"fcntl",
	"getpid",  "kill",	   "openat",	      "ppoll",		"prctl",	"read",
	"recvmsg", "rt_sigaction", "rt_sigpending",   "rt_sigprocmask", "rt_sigreturn", "sendto",
	"waitid",  "wait4",	   "restart_syscall", "seccomp",	"write",	"capset",
	"poll",	   "ioctl",	   "getpgrp",	      "pipe2",		"sendmsg",
};
static const char *const filter_needs_of_payload[] = {
	"access",
	"chdir",
	"execve",
	"faccessat",
	"fstat",
	"getcwd",
	"getrlimit",
	"gettid",
	"mmap",
	"munmap",
	"newfstatat",
	"openat2",
	"pread64",
	"open",
	"openat",
	"prlimit64",
	"setrlimit",
	"setsid",
	"sendmsg",
	"umask",
	"landlock_create_ruleset",
	"landlock_restrict_self",
	"set_tid_address",
	"stat",
	"ioctl",
	"setpgid",
	"dup2",
};

static bool filter_lets(const struct seccomp_program *program, const char *name)
{
	int call = seccomp_find_call(name, strlen(name));
	int number = call < 0 ? -1 : seccomp_call_number((size_t)call, seccomp_native_arch);

	return number < 0 || seccomp_allows(program, number, 0, 0);
}

static bool filter_lets_all(const struct seccomp_program *program, const char *const *names,
			    size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!filter_lets(program, names[i]))
			return false;
	return true;
}

/*
 * Does the filter keep the command from typing into a terminal that it shares? The kernel
 * does not look at the upper half of a request; a filter of somebody else's may.
 */
bool filter_guards_terminal(const struct sbx_plan *plan)
{
	static const uint64_t requests[] = {
		TIOCSTI,
		TIOCLINUX,
		TIOCSTI | UINT64_C(1) << 32,
		TIOCLINUX | UINT64_C(1) << 32,
		TIOCSTI | UINT64_C(0xffffffff) << 32,
		TIOCLINUX | UINT64_C(0xffffffff) << 32,
	};
	const struct seccomp_program *program = &plan->filter.program;
	int call = seccomp_find_call("ioctl", strlen("ioctl"));
	int number = seccomp_call_number((size_t)call, seccomp_native_arch);

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		if (program->n_insns == 0 || seccomp_allows(program, number, 0, requests[i]))
			return false;
	return true;
}

/* Can PID 1 live with this filter? Found out by running it. */
bool filter_init_survives(const struct seccomp_program *program)
{
	return filter_lets_all(program, filter_needs_of_init, ARRAY_SIZE(filter_needs_of_init));
}

/*
 * May the command be started behind a raw filter, or its process at least say why it cannot,
 * and end? One that is killed for it needs neither.
 */
bool filter_can_start(const struct seccomp_program *program)
{
	int call = seccomp_find_call("execve", strlen("execve"));
	const struct seccomp_data data = {
		.nr = seccomp_call_number((size_t)call, seccomp_native_arch),
		.arch = seccomp_native_arch,
	};
	uint32_t action = seccomp_run(program, &data) & SECCOMP_RET_ACTION_FULL;

	return (action != SECCOMP_RET_ERRNO && action != SECCOMP_RET_TRAP) ||
	       (filter_lets(program, "sendto") && filter_lets(program, "exit_group"));
}

static bool filter_start_survives(const struct seccomp_program *program)
{
	return filter_init_survives(program) &&
	       filter_lets_all(program, filter_needs_of_payload,
			       ARRAY_SIZE(filter_needs_of_payload));
}

/* ---- the choice ---- */

static const char *filter_profile_name(enum seccomp_base base)
{
	switch (base) {
	case SECCOMP_BASE_DEFAULT:
		return "default";
	case SECCOMP_BASE_STRICT:
		return "strict";
	case SECCOMP_BASE_NONE:
		break;
	}
	return "none";
}

static int filter_choose_own(const struct filter_wanted *wanted, enum seccomp_base base,
			     struct sbx_plan *plan, struct sbx_err *err)
{
	struct plan_filter *filter = &plan->filter;
	struct seccomp_wanted table = {
		.base = base,
		.userns = wanted->spec->allow_userns,
		.multiarch = wanted->spec->multiarch,
		.caps = wanted->caps,
	};
	int r = filter_changes(wanted->spec, &plan->arena, &table, err);

	if (r < 0)
		return r;
	filter->profile = filter_profile_name(base);
	if (base == SECCOMP_BASE_NONE && table.n_changes == 0)
		return 0;
	if (table.multiarch && !seccomp_compat_arch)
		return filter_refuse(err, "--multiarch", ENOSYS,
				     "32-bit programs of this processor are not known to sbx",
				     "--seccomp=none leaves all system calls open, for 32-bit "
				     "programs too");
	r = seccomp_program_for(&table, &plan->arena, &filter->program, err);
	if (r < 0)
		return r;
	if (!filter_lets(&filter->program, "execve"))
		return filter_refuse(err, "--seccomp-deny", EINVAL,
				     "execve cannot be refused: the command could not be started",
				     "name single system calls, or a group without it");
	filter->shared = !wanted->own_privileges &&
			 (table.n_changes == 0 || filter_start_survives(&filter->program));
	if (table.n_changes == 0 || filter_init_survives(&filter->program)) {
		filter->reaper = filter->program;
		return 0;
	}
	table = (struct seccomp_wanted){.base = SECCOMP_BASE_DEFAULT};
	return seccomp_program_for(&table, &plan->arena, &filter->reaper, err);
}

static int filter_refuse_profile(const char *path, struct sbx_err *err)
{
	(void)err_refuse(err, EINVAL, path,
			 "the profile refuses execve: the command could not be started");
	err_set_option(err, opt_seccomp);
	err_hint(err, "let it through there, as Docker's and podman's files do");
	return -EINVAL;
}

/*
 * The filter of a file is the command's: PID 1 does not live by it before the command is
 * started, for whoever wrote it knows nothing of PID 1. Behind that it gets the same,
 * where it survives, as with a raw filter.
 */
static int filter_choose_file(const struct filter_wanted *wanted, struct sbx_plan *plan,
			      struct sbx_err *err)
{
	const struct seccomp_wanted table = {.base = SECCOMP_BASE_DEFAULT};
	struct plan_filter *filter = &plan->filter;
	int r = filter_check_file(wanted->spec, err);

	if (r == 0)
		r = filter_read_file(wanted, plan, &filter->program, err);
	if (r < 0)
		return r;
	if (!filter_lets(&filter->program, "execve"))
		return filter_refuse_profile(wanted->spec->seccomp, err);
	filter->profile = wanted->spec->seccomp;
	filter->of_file = true;
	if (filter_init_survives(&filter->program)) {
		filter->reaper = filter->program;
		return 0;
	}
	return seccomp_program_for(&table, &plan->arena, &filter->reaper, err);
}

static int filter_add_raw(struct sbx_plan *plan, int64_t fd, const char *option,
			  struct sbx_err *err)
{
	struct plan_filter *filter = &plan->filter;
	struct plan_raw_filter *raw =
		arena_grow(&plan->arena, filter->raw, filter->n_raw, sizeof(*raw));

	if (!raw)
		return err_oom(err);
	if (fcntl((int)fd, F_GETFD) < 0) {
		(void)err_refuse(err, EBADF, NULL, "descriptor %lld is not open", (long long)fd);
		err_set_option(err, option);
		err_hint(err, "open it in the calling shell, for example: sbx ... %lld< FILTER.bpf",
			 (long long)fd);
		return -EBADF;
	}
	raw[filter->n_raw++] = (struct plan_raw_filter){(int)fd, option};
	filter->raw = raw;
	return 0;
}

/* --seccomp-log: is there something to be told of, and can it be told? */
static int filter_check_log(const struct sbx_plan *plan, struct sbx_err *err)
{
	const struct plan_filter *filter = &plan->filter;

	if (filter->program.n_insns == 0)
		return err_usage(err, "--seccomp-log",
				 "has nothing to tell of: with --seccomp=none no filter of sbx's "
				 "own is loaded");
	/* Whoever loads the filter hands the listener on by this call, which would wait for it. */
	if (!filter_lets(&filter->program, "sendmsg"))
		return filter_refuse(err, "--seccomp-log", EINVAL,
				     "cannot tell of a filter that refuses sendmsg, by which sbx "
				     "is to hear of it",
				     "let that call through, or leave --seccomp-log out");
	return 0;
}

/**
 * Choose. The steps are added by the functions below, each in its place of the plan.
 *
 * Return: 0, or -errno with *err filled.
 */
int filter_choose(const struct filter_wanted *wanted, struct sbx_plan *plan, struct sbx_err *err)
{
	const struct sbx_spec *spec = wanted->spec;
	enum seccomp_base base;
	int fd = -1;
	enum filter_source source = filter_parse(spec, &base, &fd);
	int r;

	plan->filter.log = spec->seccomp_log;
	plan->filter.changes = spec->seccomp_changes;
	plan->filter.n_changes = spec->n_seccomp_changes;
	if (source == FILTER_FD) {
		r = filter_check_raw(spec, err);
		return r < 0 ? r : filter_add_raw(plan, fd, opt_seccomp, err);
	}
	r = source == FILTER_FILE ? filter_choose_file(wanted, plan, err)
				  : filter_choose_own(wanted, base, plan, err);
	for (size_t i = 0; i < spec->n_seccomp_fds && r == 0; i++)
		r = filter_add_raw(plan, spec->seccomp_fds[i], "--add-seccomp-fd", err);
	return r == 0 && spec->seccomp_log ? filter_check_log(plan, err) : r;
}

/* ---- the steps ---- */

static const char *filter_cause(const struct sbx_plan *plan, bool given)
{
	const struct plan_filter *filter = &plan->filter;

	if (filter->n_changes)
		return filter->changes[filter->n_changes - 1].kind == SPEC_SECCOMP_ALLOW
			       ? "--seccomp-allow"
			       : "--seccomp-deny";
	return given ? opt_seccomp : "default";
}

static int filter_add_step(struct sbx_plan *plan, enum plan_step_kind kind,
			   const struct seccomp_program *program, struct sbx_err *err)
{
	bool given = strcmp(plan->filter.profile, "default") != 0;
	struct plan_step *step = plan_add_step(plan, kind, filter_cause(plan, given));

	if (!step)
		return err_oom(err);
	step->text = plan->filter.profile;
	step->program = program;
	return 0;
}

static int filter_add_raw_steps(struct sbx_plan *plan, enum plan_step_kind kind,
				struct sbx_err *err)
{
	for (size_t i = 0; i < plan->filter.n_raw; i++) {
		const struct plan_raw_filter *raw = &plan->filter.raw[i];
		struct plan_step *step = plan_add_step(plan, kind, raw->option);

		if (!step)
			return err_oom(err);
		step->fd = raw->fd;
	}
	return 0;
}

/* PID 1 reads the raw filters. */
int filter_add_early(struct sbx_plan *plan, struct sbx_err *err)
{
	return filter_add_raw_steps(plan, PLAN_STEP_FILTER_DATA, err);
}

/*
 * Can the command do anything with keyrings? Of another session's keys one can be given
 * another content by add_key(2) alone. What a file says of keyctl(2) can differ from
 * operation to operation, and operations are few; the table's filters do not judge it.
 */
static bool filter_leaves_keys(const struct sbx_plan *plan)
{
	static const char *const calls[] = {"keyctl", "add_key", "request_key"};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (filter_leaves_open(plan, calls[i], 0, 0))
			return true;
	for (uint64_t operation = 1; plan->filter.of_file && operation < FILTER_KEYCTLS;
	     operation++)
		if (filter_leaves_open(plan, calls[0], operation, 0))
			return true;
	return false;
}

/*
 * Behind the drop of privileges. A keyring of its own for every sandbox would run the
 * caller into the quota of keys after some two hundred, so there is one only where the
 * filter does not refuse keyrings.
 */
int filter_add_init(struct sbx_plan *plan, bool keyring, struct sbx_err *err)
{
	if (keyring && filter_leaves_keys(plan) &&
	    !plan_add_step(plan, PLAN_STEP_KEYRING, filter_cause(plan, plan->filter.profile)))
		return err_oom(err);
	if (!plan->filter.shared || !plan->filter.program.n_insns)
		return 0;
	return filter_add_step(plan, PLAN_STEP_FILTER, &plan->filter.program, err);
}

/*
 * In front of the execution. The command is looked at before: a filter that is not sbx's
 * own may let it be executed and yet not opened.
 */
int filter_add_payload(struct sbx_plan *plan, struct sbx_err *err)
{
	bool own = !plan->filter.shared && plan->filter.program.n_insns;
	struct plan_step *step;
	int r = 0;

	if ((own || plan->filter.n_raw) && !plan->runs_magic) {
		plan->looks_first = true;
		step = plan_add_step(plan, PLAN_STEP_LOOKUP, "default");
		if (!step)
			return err_oom(err);
		step->text = plan->command;
	}
	if (!plan->filter.shared && plan->filter.program.n_insns)
		r = filter_add_step(plan, PLAN_STEP_OWN_FILTER, &plan->filter.program, err);
	return r < 0 ? r : filter_add_raw_steps(plan, PLAN_STEP_RAW_FILTER, err);
}

/* Behind PID 1's last drop of privileges. */
int filter_add_reaper(struct sbx_plan *plan, struct sbx_err *err)
{
	int r = 0;

	if (plan->init_is_payload)
		return 0;
	if (!plan->filter.shared && plan->filter.program.n_insns)
		r = filter_add_step(plan, PLAN_STEP_REAPER_FILTER, &plan->filter.reaper, err);
	return r < 0 ? r : filter_add_raw_steps(plan, PLAN_STEP_REAPER_RAW_FILTER, err);
}

/* Does a call with these arguments pass the filter of sbx's own, or is there none? */
bool filter_leaves_open(const struct sbx_plan *plan, const char *call, uint64_t arg0, uint64_t arg1)
{
	int row = seccomp_find_call(call, strlen(call));
	int number = row < 0 ? -1 : seccomp_call_number((size_t)row, seccomp_native_arch);

	return !plan->filter.program.n_insns ||
	       (number >= 0 && seccomp_allows(&plan->filter.program, number, arg0, arg1));
}
