/* SPDX-License-Identifier: MIT */
/*
 * doctor: what works on this host, and what to do about what does not, one probe for each
 * thing that sbx or one of its options needs. A probe does what a launch would do, with the
 * same functions, in a child that goes with what it made; so its words are the launch's.
 * Runs in: the caller's process, and children of it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"
#include "sbx/spec/plan.h"
#include "sbx/spec/probe.h"
#include "sbx/spec/spec.h"

enum doctor_status {
	DOCTOR_WORKS,
	DOCTOR_LIMITED, /* it works, but not all of it, or not for long */
	DOCTOR_FAILS,
	DOCTOR_FACT, /* neither good nor bad by itself */
	DOCTOR_STATUS_COUNT_,
};

/* Who suffers where a probe fails. */
enum doctor_need { DOCTOR_FOR_LAUNCH, DOCTOR_FOR_OPTIONS, DOCTOR_FOR_NOTHING, DOCTOR_NEED_COUNT_ };

struct doctor_finding {
	enum doctor_status status;
	char detail[1536]; /* what was found, as part of a sentence */
	char remedy[1024]; /* the command that mends it; "": none is known, or needed */
};

/* What the probes share. */
struct doctor {
	struct arena arena;
	struct probe_host host;
	struct sbx_spec spec;	  /* of a plain launch */
	bool no_userns;		  /* tried, and said, already */
	char userns_remedy[1024]; /* then: what was said to mend it */
	bool has_cgroup;	  /* a delegated one */
};

struct doctor_probe {
	const char *name;
	const char *title;
	enum doctor_need need;
	const char *options; /* that need it, separated by spaces; those to come too */
	const char *why;
	void (*run)(struct doctor *d, const struct doctor_probe *probe, struct doctor_finding *ret);
	int arg; /* for a function of several rows */
};

extern const struct doctor_probe doctor_probes[];
extern const size_t doctor_n_probes;
extern const char *const doctor_status_names[DOCTOR_STATUS_COUNT_];
extern const char *const doctor_need_names[DOCTOR_NEED_COUNT_];

int doctor_init(struct doctor *d, char *const *environ_, struct sbx_err *err);
void doctor_finish(struct doctor *d);
const struct doctor_probe *doctor_find(const char *name);
