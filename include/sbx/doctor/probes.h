/* SPDX-License-Identifier: MIT */
/*
 * probes: what the probes of src/doctor are made of, and the list of them. For the files
 * of that folder only, and their tests.
 */
#pragma once

#include "sbx/base/str.h"
#include "sbx/doctor/doctor.h"

/* How a probe ends. Each fills the finding. */
void doctor_say(struct doctor_finding *ret, enum doctor_status status, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
void doctor_mend(struct doctor_finding *ret, const char *fmt, ...) PRINTF_LIKE(2, 3);
void doctor_blame(struct doctor_finding *ret, const struct sbx_err *err);

/* What a child comes to. Without pointers; in memory that is shared with it. */
struct doctor_answer {
	bool complete; /* the child came to its end */
	int result;    /* 0, or -errno with err filled */
	struct sbx_err err;
	char text[512];	   /* for the finding */
	char program[256]; /* what the child waits for, if it does */
	bool asks;	   /* that is to say something and end, which takes no time */
};

/* In the child. Return: 0, or -errno with *err filled. */
typedef int doctor_fn(struct doctor *d, const struct doctor_probe *probe,
		      struct doctor_answer *answer, struct sbx_err *err);

void doctor_lacks_userns(const struct doctor *d, struct doctor_finding *ret);
bool doctor_try(struct doctor *d, const struct doctor_probe *probe, unsigned long namespaces,
		doctor_fn *fn, struct doctor_answer *ret_answer, struct doctor_finding *ret);
int doctor_plan(struct doctor *d, const struct sbx_spec *spec, struct sbx_plan *plan,
		struct sbx_err *err);
int doctor_capture(struct doctor *d, const char *const *argv, struct doctor_answer *answer,
		   char **ret_text, struct sbx_err *err);
int doctor_open_null(struct sbx_err *err);
pid_t doctor_start_idle(unsigned long namespaces, struct sbx_err *err);
void doctor_end_idle(pid_t pid);

/* What is read from small files of the kernel. */
bool doctor_read_number(const char *path, unsigned long long *ret_number);
bool doctor_parse_version(const char *text, unsigned ret_version[3]);
struct doctor_keys {
	unsigned long long used, max, bytes, max_bytes;
};
bool doctor_parse_key_users(const char *text, unsigned uid, struct doctor_keys *ret_keys);

#define DOCTOR_PROBE(name)                                                                         \
	void doctor_probe_##name(struct doctor *d, const struct doctor_probe *probe,               \
				 struct doctor_finding *ret)

DOCTOR_PROBE(kernel);
DOCTOR_PROBE(userns);
DOCTOR_PROBE(namespace);
DOCTOR_PROBE(mount_api);
DOCTOR_PROBE(filesystem);
DOCTOR_PROBE(userns_limit);
DOCTOR_PROBE(pty);
DOCTOR_PROBE(overlay);
DOCTOR_PROBE(seccomp);
DOCTOR_PROBE(listener);
DOCTOR_PROBE(ids);
DOCTOR_PROBE(landlock);
DOCTOR_PROBE(launch);
DOCTOR_PROBE(bus);
DOCTOR_PROBE(reader);
DOCTOR_PROBE(terminal);
DOCTOR_PROBE(device);
DOCTOR_PROBE(helper);
DOCTOR_PROBE(slirp);
DOCTOR_PROBE(nft);
DOCTOR_PROBE(shared);
DOCTOR_PROBE(cgroup);
DOCTOR_PROBE(systemd);
DOCTOR_PROBE(records);
DOCTOR_PROBE(keys);
DOCTOR_PROBE(processes);
DOCTOR_PROBE(namespaces);
DOCTOR_PROBE(files);
DOCTOR_PROBE(container);
DOCTOR_PROBE(lsm);
