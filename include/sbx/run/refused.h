/* SPDX-License-Identifier: MIT */
/*
 * refused: system calls that the filter refused, counted by name (--seccomp-log).
 * Runs in: the monitor.
 */
#pragma once

#include "sbx/base/str.h"
#include "sbx/seccomp/program.h"

enum { REFUSED_MAX = 64 };

struct refused_call {
	int number;
	uint32_t arch;	 /* AUDIT_ARCH_* */
	uint32_t detail; /* ioctl: the request; socket, socketpair: the family; else 0 */
	uint64_t count;
};

struct refused {
	struct refused_call calls[REFUSED_MAX];
	size_t n_calls;
	uint64_t n_others; /* of further kinds */
};

int refused_answer(struct refused *refused, int listener_fd, const struct seccomp_program *program);
void refused_sort(struct refused *refused);
void refused_call_name(const struct refused_call *call, struct str_buf *out);
void refused_describe(struct refused *refused, struct str_buf *out);
