/* SPDX-License-Identifier: MIT */
/*
 * layers: what an overlay is made of, and who puts it together: the kernel or
 * fuse-overlayfs(1). Runs in: the caller's process.
 */
#pragma once

#include "sbx/spec/defaults.h"
#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"

struct layers_wanted {
	const struct sbx_spec *spec;
	const struct probe_host *host;
	const struct spec_defaults *defaults;
	size_t op; /* of the spec: the overlay; its layers stand in front of it */
	/* Of a session, whose layers no operation names; else NULL. Paths of the host. */
	const char *lower, *upper, *work;
	int64_t driver;	     /* enum spec_overlay_driver: the one asked for, or the session's */
	const char **covers; /* see struct plan_layers */
	size_t n_covers;
	bool holds_session;
};

bool layers_is_overlay(const struct spec_op *op);
int layers_choose(const struct layers_wanted *wanted, struct sbx_plan *plan, struct plan_step *step,
		  struct sbx_err *err);
