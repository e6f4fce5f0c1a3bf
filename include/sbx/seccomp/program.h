/* SPDX-License-Identifier: MIT */
/*
 * program: a filter as the kernel takes it, seccomp(2), and what it answers to one
 * system call, computed as the kernel would. Any process.
 */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Since Linux 5.0; the headers of musl's and older toolchains may lack it. */
#ifndef SECCOMP_RET_USER_NOTIF
#define SECCOMP_RET_USER_NOTIF 0x7fc00000U
#endif

enum {
	SECCOMP_PROGRAM_MAX = 4096, /* instructions: BPF_MAXINSNS */
	SECCOMP_ARGS = 6,
};

struct seccomp_program {
	const struct sock_filter *insns;
	size_t n_insns;
};

#define SECCOMP_ERRNO(number) (SECCOMP_RET_ERRNO | (uint32_t)(number))

uint32_t seccomp_run(const struct seccomp_program *program, const struct seccomp_data *data);
bool seccomp_allows(const struct seccomp_program *program, int number, uint64_t arg0,
		    uint64_t arg1);
void seccomp_make_notifying(struct sock_filter *insns, size_t n_insns);
