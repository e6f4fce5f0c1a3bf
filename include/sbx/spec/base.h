/* SPDX-License-Identifier: MIT */
/*
 * base: what every sandbox has unless it is replaced: /proc, /dev, /tmp, a
 * home, the files of /etc without which ordinary programs fail.
 * Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>

#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"

/* In every /etc/hosts that it makes, and the name of the machine; see base_text_hosts(). */
#define BASE_HOSTS_NAMES "localhost", "ip6-localhost", "ip6-loopback", "host.internal"

/* What the base depends on, besides the host. */
struct base_wanted {
	const struct sbx_spec *spec;
	const struct probe_host *host;
	const char *const *taken; /* normalised destinations of operations that make something */
	size_t n_taken;
	const char *tty;		   /* of the host, to become /dev/console; NULL: none */
	const char *hostname;		   /* inside */
	uint32_t uid, gid;		   /* of the caller, inside */
	uint32_t payload_uid, payload_gid; /* of the command, inside */
	bool has_network;		   /* the host's */
	const struct plan_net *net;	   /* its own; NULL: none */
	bool only_kernel;		   /* an operation provides the root: /proc and /dev only */
	bool host_proc;			   /* no pid namespace of its own */
	bool cover_proc;
};

int base_add_steps(const struct base_wanted *wanted, struct sbx_plan *plan, struct sbx_err *err);
int base_cover_resolver(const struct base_wanted *wanted, struct sbx_plan *plan,
			struct sbx_err *err);
