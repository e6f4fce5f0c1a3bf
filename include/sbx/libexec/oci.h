/* SPDX-License-Identifier: MIT */
/*
 * oci: a filter from a profile of the Open Container Initiative's kind: the
 * LinuxSeccomp object of the runtime specification, and the form with conditions
 * that Docker and podman keep in seccomp.json. The text may come from anybody: it
 * has limits, and what is not understood is an error that says where it stands.
 * Runs in: sbx-seccomp, tests, the fuzzer.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"

enum {
	OCI_MAX_BYTES = 1 << 20, /* Docker's own has some 16000 */
	OCI_MAX_DEPTH = 8,
	OCI_MAX_RULES = 4096,
	OCI_MAX_NAMES = 16384, /* of all rules */
	OCI_MAX_ARGS = 6,
	OCI_MAX_REMARKS = 16,
};

/* What conditions of a profile are about. */
struct oci_host {
	uint64_t caps;	/* that the command keeps, bit n is capability n */
	bool multiarch; /* 32-bit programs too, where the profile has them */
	unsigned kernel[2];
};

/* One comparison, as libseccomp has it. */
struct oci_arg {
	unsigned index;
	int op; /* enum scmp_compare */
	uint64_t value, value_two;
};

struct oci_rule {
	const char *const *names;
	size_t n_names;
	uint32_t action; /* SCMP_ACT_* with its data */
	const struct oci_arg *args;
	size_t n_args;
};

/* A profile behind its conditions: what is left holds on this host, for this sandbox. */
struct oci_profile {
	uint32_t default_action;
	uint32_t compat; /* SCMP_ARCH_* of the processor's 32-bit programs; 0: they are killed */
	const struct oci_rule *rules;
	size_t n_rules;
	const char *remarks[OCI_MAX_REMARKS]; /* what was left out, and why */
	size_t n_remarks;
};

struct oci_filter {
	const struct sock_filter *insns;
	size_t n_insns;
};

int oci_read(const char *data, size_t len, const struct oci_host *host, struct arena *arena,
	     struct oci_profile *ret, struct sbx_err *err);
int oci_compile(struct oci_profile *profile, struct arena *arena, struct oci_filter *ret,
		struct sbx_err *err);
void oci_remark(struct oci_profile *profile, const char *text);
