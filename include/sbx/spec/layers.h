/* SPDX-License-Identifier: MIT */
/*
 * layers: what an overlay is made of, and who puts it together: the kernel or
 * fuse-overlayfs(1). Runs in: the caller's process.
 */
#pragma once

#include <sys/stat.h>

#include "sbx/base/str.h"
#include "sbx/spec/defaults.h"
#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"

struct layers_wanted {
	const struct sbx_spec *spec;
	const struct probe_host *host;
	const struct spec_defaults *defaults;
	size_t op; /* of the spec: the overlay; its layers stand in front of it */
	/* Of a session, whose layers no operation names; else NULL. Paths of the host. */
	const char *lower, *upper, *work, *held;
	int64_t driver;	     /* enum spec_overlay_driver: the one asked for */
	int64_t began;	     /* who has kept what the session has; AUTO: nobody yet */
	const char **covers; /* see struct plan_layers */
	size_t n_covers;
	bool holds_session;
};

void layers_describe_loss(const struct plan_layers *layers, struct str_buf *out);
const char *layers_describe_places(const struct plan_layers *layers);
void layers_describe_drivers(uint32_t drivers, struct str_buf *out);
bool layers_maps(const struct sbx_plan *plan, const struct stat *st);
bool layers_is_overlay(const struct spec_op *op);
int layers_choose(const struct layers_wanted *wanted, struct sbx_plan *plan, struct plan_step *step,
		  struct sbx_err *err);
int layers_hold(struct sbx_plan *plan, const char *dest, uint32_t flags, struct sbx_err *err);
int layers_hold_targets(struct sbx_plan *plan, struct sbx_err *err);
