/* SPDX-License-Identifier: MIT */
/*
 * profile: a filter as rules, and the compiler that makes a program of them.
 *
 * Whatever says what a filter shall do (the table of sbx, a profile file) is brought
 * into this form first. Of the rules for one system call the first that matches
 * counts. Runs in: the caller's process, the programs of libexec and of src/gen.
 */
#pragma once

#include <stdint.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"
#include "sbx/seccomp/program.h"

enum {
	SECCOMP_ARCHS_MAX = 4,
	SECCOMP_NUMBER_MAX = 1023,    /* of a system call in a profile */
	SECCOMP_X32_BIT = 0x40000000, /* in the numbers of that ABI of x86_64 */
};

enum seccomp_op {
	SECCOMP_OP_EQ,
	SECCOMP_OP_NE,
	SECCOMP_OP_LT,
	SECCOMP_OP_LE,
	SECCOMP_OP_GT,
	SECCOMP_OP_GE,
};

/* (args[arg] & mask) OP value, without sign. */
struct seccomp_cmp {
	uint8_t arg; /* 0 to 5 */
	uint8_t op;  /* enum seccomp_op */
	uint64_t mask;
	uint64_t value;
};

struct seccomp_rule {
	uint32_t number;		/* at most SECCOMP_NUMBER_MAX */
	uint32_t action;		/* SECCOMP_RET_* with its data */
	const struct seccomp_cmp *cmps; /* all of them must hold; borrowed */
	size_t n_cmps;			/* 0: matches always */
};

/* The rules for one kind of programs. */
struct seccomp_arch {
	uint32_t arch; /* AUDIT_ARCH_* */
	const struct seccomp_rule *rules;
	size_t n_rules;
	uint32_t n_known; /* calls from this number on are newer than whoever wrote the rules */
};

struct seccomp_profile {
	uint32_t default_action; /* a known number for which no rule matches */
	uint32_t unknown_action; /* a number that is not known */
	uint32_t foreign_action; /* programs of any other kind; x32 is always one */
	struct seccomp_arch archs[SECCOMP_ARCHS_MAX]; /* the most likely first */
	size_t n_archs;
};

int seccomp_compile(const struct seccomp_profile *profile, struct arena *arena,
		    struct seccomp_program *ret, struct sbx_err *err);
