/* SPDX-License-Identifier: MIT */
/*
 * resolve_parts: what the files that make a plan share; for no one else.
 * Runs in: the caller's process.
 */
#pragma once

#include "sbx/spec/defaults.h"
#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"
#include "sbx/spec/sockets.h"
#include "sbx/spec/sockets_walk.h"
#include "sbx/spec/spec.h"

struct resolve {
	const struct sbx_spec *spec;
	const struct spec_defaults *defaults;
	const struct probe_host *host;
	struct sbx_plan *plan;
	struct arena *arena; /* the plan's */
	struct sbx_err *err;

	const char **dests; /* per operation: normalised destination */
	const char **taken; /* destinations that operations make something at */
	size_t n_taken;
	size_t first_op; /* operations before it are covered by one that provides the root */
	bool op_is_root; /* ops[first_op] provides the root */
	uint64_t keep;	 /* capabilities for the command */
	bool keeps_callers_caps;      /* all that the caller has, and nothing is done about them */
	bool nests_late;	      /* a step enters a user namespace below */
	struct sockets sockets;	      /* the host's, for --mask-sockets=listed */
	struct sockets_budget budget; /* of all walks, for --mask-sockets */
	bool limit_userns;
	const char *pty_cause;
	const struct spec_op *preset; /* --protect=dev; NULL: not given */
};

/* ---- resolve.c: namespaces, steps, the order ---- */

bool resolve_has(const struct resolve *r, enum spec_ns ns);
bool resolve_sees_host(const struct resolve *r);
const char *resolve_console(const struct resolve *r);
struct plan_step *resolve_add(struct resolve *r, enum plan_step_kind kind, const char *cause);
bool resolve_changes_ids(const struct resolve *r);
int resolve_locks(struct resolve *r);
int resolve_payload_privileges(struct resolve *r);

/* ---- resolve_identity.c: who, and with which capabilities ---- */

int resolve_identity(struct resolve *r);
int resolve_caps(struct resolve *r);

/* ---- resolve_files.c: what is mounted ---- */

int resolve_dests(struct resolve *r);
int resolve_check_fd(struct resolve *r, int64_t fd, const char *option);
int resolve_filesystem(struct resolve *r);

/* ---- resolve_command.c: around the command ---- */

int resolve_payload(struct resolve *r);
int resolve_pass_fds(struct resolve *r);
int resolve_command(struct resolve *r);
int resolve_records(struct resolve *r);
