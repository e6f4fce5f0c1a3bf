/* SPDX-License-Identifier: MIT */
/*
 * table: the system calls by name and group, and the profiles that sbx has of its
 * own, as rules for the compiler. Runs in: the caller's process, the programs of
 * libexec, and src/gen at build time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sbx/seccomp/profile.h"

/* systemd's groups: X(name, what is in it). */
// clang-format off
#define SECCOMP_GROUPS(X)                 \
	X(DEFAULT, "default")             \
	X(AIO, "aio")                     \
	X(BASIC_IO, "basic-io")           \
	X(CHOWN, "chown")                 \
	X(CLOCK, "clock")                 \
	X(CPU_EMULATION, "cpu-emulation") \
	X(DEBUG, "debug")                 \
	X(FILE_SYSTEM, "file-system")     \
	X(IO_EVENT, "io-event")           \
	X(IPC, "ipc")                     \
	X(KEYRING, "keyring")             \
	X(MEMLOCK, "memlock")             \
	X(MODULE, "module")               \
	X(MOUNT, "mount")                 \
	X(NETWORK_IO, "network-io")       \
	X(OBSOLETE, "obsolete")           \
	X(PKEY, "pkey")                   \
	X(PRIVILEGED, "privileged")       \
	X(PROCESS, "process")             \
	X(RAW_IO, "raw-io")               \
	X(REBOOT, "reboot")               \
	X(RESOURCES, "resources")         \
	X(SETUID, "setuid")               \
	X(SIGNAL, "signal")               \
	X(SWAP, "swap")                   \
	X(SYNC, "sync")                   \
	X(SYSTEM_SERVICE, "system-service") \
	X(TIMER, "timer")
// clang-format on

enum seccomp_base {
	SECCOMP_BASE_DEFAULT,
	SECCOMP_BASE_STRICT,
	SECCOMP_BASE_NONE, /* everything is allowed but for the changes */
};

/* What of the table a word means: one call or a group. */
struct seccomp_word {
	int call;	 /* its row; -1: a group */
	uint32_t groups; /* bit of the group; UINT32_MAX: @known, all there are */
};

/* --seccomp-allow, --seccomp-deny: the later counts. */
struct seccomp_change {
	struct seccomp_word word;
	bool allow;
};

/* Everything that one of our own filters hangs on. */
struct seccomp_wanted {
	enum seccomp_base base;
	bool userns;	/* further user namespaces, and what is done in them */
	bool multiarch; /* 32-bit programs too */
	uint64_t caps;	/* that the command keeps, bit n is capability n */
	const struct seccomp_change *changes;
	size_t n_changes;
};

/* AUDIT_ARCH_* of the processor, and of its 32-bit programs (0: there are none). */
extern const uint32_t seccomp_native_arch, seccomp_compat_arch;

size_t seccomp_n_calls(void);
const char *seccomp_call_name(size_t call);
int seccomp_call_number(size_t call, uint32_t arch);
int seccomp_find_call(const char *name, size_t len);
const char *seccomp_number_name(int number, uint32_t arch);
uint32_t seccomp_n_known(uint32_t arch);
int seccomp_find_word(const char *text, size_t len, struct seccomp_word *ret);
const char *seccomp_find_similar(const char *text, size_t len, char *room, size_t size);
int seccomp_build(const struct seccomp_wanted *wanted, struct arena *arena,
		  struct seccomp_profile *ret, struct sbx_err *err);
