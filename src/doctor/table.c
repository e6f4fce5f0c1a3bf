/* SPDX-License-Identifier: MIT */
/* table: see table.h. */

#include <sched.h>

#include "sbx/doctor/probes.h"
#include "sbx/doctor/table.h"
#include "sbx/spec/hints.h"

const char *const doctor_status_names[DOCTOR_STATUS_COUNT_] = {
	[DOCTOR_WORKS] = "works",
	[DOCTOR_LIMITED] = "limited",
	[DOCTOR_FAILS] = "fails",
	[DOCTOR_FACT] = "info",
};

const char *const doctor_need_names[DOCTOR_NEED_COUNT_] = {
	[DOCTOR_FOR_LAUNCH] = "launch",
	[DOCTOR_FOR_OPTIONS] = "options",
	[DOCTOR_FOR_NOTHING] = "nothing",
};

const struct doctor_probe doctor_probes[] = {
#define X(name_, function_, arg_, need_, options_, title_, why_)                                   \
	{.name = (name_),                                                                          \
	 .title = (title_),                                                                        \
	 .need = DOCTOR_FOR_##need_,                                                               \
	 .options = (options_),                                                                    \
	 .why = (why_),                                                                            \
	 .run = doctor_probe_##function_,                                                          \
	 .arg = (arg_)},
	DOCTOR_PROBES(X)
#undef X
};

const size_t doctor_n_probes = ARRAY_SIZE(doctor_probes);

/* By its name; NULL: there is none. */
const struct doctor_probe *doctor_find(const char *name)
{
	for (size_t i = 0; i < doctor_n_probes; i++)
		if (str_equal(doctor_probes[i].name, name))
			return &doctor_probes[i];
	return NULL;
}
