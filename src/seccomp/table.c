/* SPDX-License-Identifier: MIT */
/*
 * table: the rows of calls.inc, and what becomes of them in a profile.
 *
 * A row is plain data without a pointer, so that it needs no relocation: a launch
 * with one of the filters that were compiled at build time never touches the table.
 *
 * The verdict on a row, for one profile: allowed by the profile; else let through
 * by what the row says lets it through (a kept capability, --allow-userns,
 * --multiarch); else refused with the row's errno. The changes of the command line
 * come last, and take the rules about arguments with them.
 */

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/socket.h>

#include "sbx/base/defs.h"
#include "sbx/base/similar.h"
#include "sbx/base/str.h"
#include "sbx/seccomp/table.h"
#include "syscall_numbers.h"

/* Values newer than some headers, or in ones that cannot be included here. */
enum {
	NEW_TIME = 0x80, /* CLONE_NEWTIME, 5.6 */
	NEW_CGROUP = 0x02000000,
	TERMINAL_STI = 0x5412,	 /* TIOCSTI, on every processor that is known here */
	TERMINAL_LINUX = 0x541C, /* TIOCLINUX */
	NETLINK_OF_ROUTES = 0,
	NETLINK_OF_DEVICES = 15, /* NETLINK_KOBJECT_UEVENT */
	TYPE_BITS = 0xf,	 /* SOCK_TYPE_MASK: what of a type is no flag */
	TYPE_PACKET = 10,	 /* SOCK_PACKET, see packet(7) */
	PROTOCOL_SMC = 256,	 /* IPPROTO_SMC, 6.11 */
};

enum group_number {
#define X(id, name) GROUP_##id,
	SECCOMP_GROUPS(X)
#undef X
		GROUP_COUNT
};

static const char group_names[GROUP_COUNT][16] = {
#define X(id, name) [GROUP_##id] = name,
	SECCOMP_GROUPS(X)
#undef X
};
_Static_assert(GROUP_COUNT < 32, "a bit for every group");

enum group_bit {
#define X(id, name) G_##id = 1 << GROUP_##id,
	SECCOMP_GROUPS(X)
#undef X
};

/* What lets a call through: capabilities, by their number, and two options. */
#define NEVER UINT64_C(0)
#define CAP(name) (UINT64_C(1) << CAP_##name)
#define USERNS (UINT64_C(1) << 62)
#define MULTIARCH (UINT64_C(1) << 63)

enum judge { JUDGE_NONE, JUDGE_CLONE, JUDGE_UNSHARE, JUDGE_SOCKET, JUDGE_IOCTL, JUDGE_PERSONALITY };

struct call {
	uint64_t unless; /* any of these lets it through */
	uint32_t groups; /* G_* */
	int16_t number, compat_number;
	uint8_t number_of_error; /* 0: allowed */
	bool lax;		 /* not in a strict sandbox */
	uint8_t judge;
	char name[29];
};

#define ROW(call_, groups_, unless_, error_, lax_, judge_)                                         \
	{(unless_), (groups_), SECCOMP_NR_##call_, SECCOMP_COMPAT_NR_##call_,                      \
	 (error_),  (lax_),    (judge_),	   #call_},
#define CALL(name, groups) ROW(name, groups, NEVER, 0, false, JUDGE_NONE)
#define LAX(name, groups, why) ROW(name, groups, NEVER, 0, true, JUDGE_NONE)
#define REFUSE(name, groups, unless, why) ROW(name, groups, unless, EPERM, false, JUDGE_NONE)
#define ABSENT(name, groups, unless, why) ROW(name, groups, unless, ENOSYS, false, JUDGE_NONE)
#define JUDGE(name, groups, rules, why) ROW(name, groups, NEVER, 0, false, JUDGE_##rules)

/* musl calls some functions of old by the names of system calls. */
#undef fstat64
#undef fstatat64
#undef fstatfs64
#undef ftruncate64
#undef getdents64
#undef lstat64
#undef pread64
#undef pwrite64
#undef stat64
#undef statfs64
#undef truncate64

static const struct call calls[] = {
#include "calls.inc"
};

const uint32_t seccomp_native_arch = SECCOMP_NATIVE_ARCH;
const uint32_t seccomp_compat_arch = SECCOMP_COMPAT_ARCH;

/* ---- rules about arguments ---- */

/* The kernel takes these arguments as int or unsigned int: what is above does not count. */
#define INT_ARG UINT64_C(0xffffffff)
#define IS(arg, value)                                                                             \
	{                                                                                          \
		(arg), SECCOMP_OP_EQ, INT_ARG, (value)                                             \
	}
#define HAS_ANY(arg, bits)                                                                         \
	{                                                                                          \
		(arg), SECCOMP_OP_NE, (bits), 0                                                    \
	}

enum {
	NAMESPACES = CLONE_NEWNS | NEW_CGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
		     CLONE_NEWPID | CLONE_NEWNET,
	IN_DEFAULT = 1 << SECCOMP_BASE_DEFAULT,
	IN_STRICT = 1 << SECCOMP_BASE_STRICT,
	IN_BOTH = IN_DEFAULT | IN_STRICT,
};

/* The first that applies and matches counts; the last of a judge has no comparison. */
struct judgement {
	uint8_t judge;
	uint8_t in; /* the profiles that have this rule */
	uint8_t n_cmps;
	uint64_t only; /* the rule is there only with one of these; NEVER: always */
	uint32_t action;
	struct seccomp_cmp cmps[2];
};

static const struct judgement judgements[] = {
	/*
	 * Namespaces. In clone(2) the bit of CLONE_NEWTIME belongs to the signal, in
	 * unshare(2) it does not.
	 */
	{JUDGE_CLONE, IN_BOTH, 0, USERNS | CAP(SYS_ADMIN), SECCOMP_RET_ALLOW, {{0}}},
	{JUDGE_CLONE, IN_BOTH, 1, NEVER, SECCOMP_ERRNO(EPERM), {HAS_ANY(0, NAMESPACES)}},
	{JUDGE_CLONE, IN_BOTH, 0, NEVER, SECCOMP_RET_ALLOW, {{0}}},
	{JUDGE_UNSHARE, IN_BOTH, 0, USERNS | CAP(SYS_ADMIN), SECCOMP_RET_ALLOW, {{0}}},
	{JUDGE_UNSHARE,
	 IN_BOTH,
	 1,
	 NEVER,
	 SECCOMP_ERRNO(EPERM),
	 {HAS_ANY(0, NAMESPACES | NEW_TIME)}},
	{JUDGE_UNSHARE, IN_BOTH, 0, NEVER, SECCOMP_RET_ALLOW, {{0}}},
	/*
	 * Families of sockets. Every other one is a large piece of the kernel, much of it
	 * loaded only when asked for, by anybody: VSOCK reaches the hypervisor, ALG, CAN,
	 * TIPC, RDS and their like have been the way into many a kernel. They are answered
	 * as by a kernel that lacks them, which is what programs can deal with. Routes is the
	 * kind of netlink that getifaddrs(3) and so every browser and JVM uses; devices is
	 * what libudev listens to. The others are for administrators, of the sandbox's own
	 * network too (libaudit, so passwd(1) and useradd(8), take this answer for "no audit
	 * here").
	 */
	{JUDGE_SOCKET, IN_BOTH, 1, NEVER, SECCOMP_RET_ALLOW, {IS(0, AF_UNIX)}},
	/*
	 * Two of the families have a second name among the internet's: packet sockets the type
	 * of Linux 2.0, for which the kernel changes the family itself, and SMC a protocol.
	 */
	{JUDGE_SOCKET,
	 IN_DEFAULT,
	 2,
	 NEVER,
	 SECCOMP_ERRNO(EPROTONOSUPPORT),
	 {IS(0, AF_INET), IS(2, PROTOCOL_SMC)}},
	{JUDGE_SOCKET,
	 IN_DEFAULT,
	 2,
	 NEVER,
	 SECCOMP_ERRNO(EPROTONOSUPPORT),
	 {IS(0, AF_INET6), IS(2, PROTOCOL_SMC)}},
	{JUDGE_SOCKET, IN_DEFAULT, 1, CAP(NET_RAW), SECCOMP_RET_ALLOW, {IS(0, AF_INET)}},
	{JUDGE_SOCKET,
	 IN_DEFAULT,
	 2,
	 NEVER,
	 SECCOMP_ERRNO(EAFNOSUPPORT),
	 {IS(0, AF_INET), {1, SECCOMP_OP_EQ, TYPE_BITS, TYPE_PACKET}}},
	{JUDGE_SOCKET, IN_DEFAULT, 1, NEVER, SECCOMP_RET_ALLOW, {IS(0, AF_INET)}},
	{JUDGE_SOCKET, IN_DEFAULT, 1, NEVER, SECCOMP_RET_ALLOW, {IS(0, AF_INET6)}},
	{JUDGE_SOCKET, IN_BOTH, 1, CAP(NET_ADMIN), SECCOMP_RET_ALLOW, {IS(0, AF_NETLINK)}},
	{JUDGE_SOCKET,
	 IN_DEFAULT,
	 2,
	 NEVER,
	 SECCOMP_RET_ALLOW,
	 {IS(0, AF_NETLINK), IS(2, NETLINK_OF_ROUTES)}},
	{JUDGE_SOCKET,
	 IN_DEFAULT,
	 2,
	 NEVER,
	 SECCOMP_RET_ALLOW,
	 {IS(0, AF_NETLINK), IS(2, NETLINK_OF_DEVICES)}},
	{JUDGE_SOCKET, IN_DEFAULT, 1, NEVER, SECCOMP_ERRNO(EPROTONOSUPPORT), {IS(0, AF_NETLINK)}},
	{JUDGE_SOCKET, IN_BOTH, 1, CAP(NET_RAW), SECCOMP_RET_ALLOW, {IS(0, AF_PACKET)}},
	{JUDGE_SOCKET, IN_BOTH, 0, NEVER, SECCOMP_ERRNO(EAFNOSUPPORT), {{0}}},
	/* Both type into the terminal they are used on, for whoever reads it next. */
	{JUDGE_IOCTL, IN_BOTH, 1, NEVER, SECCOMP_ERRNO(EPERM), {IS(1, TERMINAL_STI)}},
	{JUDGE_IOCTL, IN_BOTH, 1, NEVER, SECCOMP_ERRNO(EPERM), {IS(1, TERMINAL_LINUX)}},
	{JUDGE_IOCTL, IN_BOTH, 0, NEVER, SECCOMP_RET_ALLOW, {{0}}},
	/*
	 * 0xffffffff asks. 8 is what uname -m calls a 32-bit machine (setarch), 0x20000 a
	 * kernel 2.6, 0x40000 no randomisation of addresses (gdb does that to its child).
	 */
	{JUDGE_PERSONALITY, IN_BOTH, 1, NEVER, SECCOMP_RET_ALLOW, {IS(0, 0xffffffff)}},
	{JUDGE_PERSONALITY,
	 IN_BOTH,
	 1,
	 NEVER,
	 SECCOMP_RET_ALLOW,
	 {{0, SECCOMP_OP_EQ, INT_ARG & ~UINT64_C(0x60008), 0}}},
	{JUDGE_PERSONALITY, IN_BOTH, 0, NEVER, SECCOMP_ERRNO(EPERM), {{0}}},
};

/* ---- names ---- */

size_t seccomp_n_calls(void)
{
	return ARRAY_SIZE(calls);
}

const char *seccomp_call_name(size_t call)
{
	return calls[call].name;
}

/* The number of a row's call for programs of that kind; -1: they have none. */
int seccomp_call_number(size_t call, uint32_t arch)
{
	if (arch == seccomp_native_arch)
		return calls[call].number;
	return arch == seccomp_compat_arch && arch ? calls[call].compat_number : -1;
}

/* Return: its row, or -1. */
int seccomp_find_call(const char *name, size_t len)
{
	size_t low = 0, high = ARRAY_SIZE(calls);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strncmp(name, calls[middle].name, len);

		if (order == 0 && calls[middle].name[len] != '\0')
			order = -1;
		if (order == 0)
			return (int)middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -1;
}

/* Return: NULL for a number without a name. */
const char *seccomp_number_name(int number, uint32_t arch)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls) && number >= 0; i++)
		if (seccomp_call_number(i, arch) == number)
			return calls[i].name;
	return NULL;
}

/* One more than the highest number that is known. */
uint32_t seccomp_n_known(uint32_t arch)
{
	uint32_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int number = seccomp_call_number(i, arch);

		if (number >= 0 && (uint32_t)number >= n)
			n = (uint32_t)number + 1;
	}
	return n;
}

/**
 * Look a word of --seccomp-allow or --seccomp-deny up.
 * @text: "mount", "@mount"
 *
 * Return: 0, or -ENOENT.
 */
int seccomp_find_word(const char *text, size_t len, struct seccomp_word *ret)
{
	int call;

	if (len > 0 && text[0] == '@') {
		text++;
		len--;
		if (len == strlen("known") && memcmp(text, "known", len) == 0) {
			*ret = (struct seccomp_word){-1, UINT32_MAX};
			return 0;
		}
		for (int i = 0; i < GROUP_COUNT; i++) {
			if (strlen(group_names[i]) != len || memcmp(group_names[i], text, len) != 0)
				continue;
			*ret = (struct seccomp_word){-1, UINT32_C(1) << i};
			return 0;
		}
		return -ENOENT;
	}
	call = seccomp_find_call(text, len);
	if (call < 0)
		return -ENOENT;
	*ret = (struct seccomp_word){call, 0};
	return 0;
}

/**
 * The word that was meant.
 * @room: for the word; also holds what is returned
 *
 * Return: `room`, or NULL where nothing is near.
 */
const char *seccomp_find_similar(const char *text, size_t len, char *room, size_t size)
{
	struct str_buf out = {.data = room, .size = size};
	bool group = len > 0 && text[0] == '@';
	struct similar similar = SIMILAR(text + group, len - group, len - group);

	for (int i = 0; i < GROUP_COUNT && group; i++)
		similar_offer(&similar, group_names[i]);
	for (size_t i = 0; i < ARRAY_SIZE(calls) && !group; i++)
		similar_offer(&similar, calls[i].name);
	if (!similar.found)
		return NULL;
	str_buf_printf(&out, "%s%s", group ? "@" : "", similar.found);
	return room;
}

/* ---- profiles ---- */

/* What is true of a profile, in the terms of a row's `unless`. */
static uint64_t wanted_facts(const struct seccomp_wanted *wanted)
{
	return wanted->caps | (wanted->userns ? USERNS : 0) | (wanted->multiarch ? MULTIARCH : 0);
}

/* What the last change that is about this row says: 1 allow, 0 deny, -1 nothing. */
static int change_of(const struct seccomp_wanted *wanted, size_t call)
{
	for (size_t i = wanted->n_changes; i-- > 0;) {
		const struct seccomp_change *change = &wanted->changes[i];

		if (change->word.call == (int)call || change->word.groups == UINT32_MAX ||
		    (change->word.groups & calls[call].groups))
			return change->allow;
	}
	return -1;
}

/* The action for a row that is not judged by its arguments. */
static uint32_t verdict_of(const struct seccomp_wanted *wanted, size_t call)
{
	const struct call *row = &calls[call];
	int change = change_of(wanted, call);

	if (change >= 0)
		return change ? SECCOMP_RET_ALLOW : SECCOMP_ERRNO(EPERM);
	if (wanted->base == SECCOMP_BASE_NONE || (row->unless & wanted_facts(wanted)))
		return SECCOMP_RET_ALLOW;
	if (row->number_of_error)
		return SECCOMP_ERRNO(row->number_of_error);
	return row->lax && wanted->base == SECCOMP_BASE_STRICT ? SECCOMP_ERRNO(EPERM)
							       : SECCOMP_RET_ALLOW;
}

static bool is_judged(const struct seccomp_wanted *wanted, size_t call)
{
	return calls[call].judge != JUDGE_NONE && wanted->base != SECCOMP_BASE_NONE &&
	       change_of(wanted, call) < 0;
}

/* The rules of a judged row; `n` of them in all. */
static size_t add_judgements(const struct seccomp_wanted *wanted, size_t call, uint32_t number,
			     struct seccomp_rule *rules, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(judgements); i++) {
		const struct judgement *j = &judgements[i];

		if (j->judge != calls[call].judge || !(j->in & (1 << wanted->base)) ||
		    (j->only != NEVER && !(j->only & wanted_facts(wanted))))
			continue;
		rules[n++] = (struct seccomp_rule){number, j->action, j->cmps, j->n_cmps};
		if (j->n_cmps == 0)
			break;
	}
	return n;
}

static int build_arch(const struct seccomp_wanted *wanted, uint32_t arch, struct arena *arena,
		      struct seccomp_arch *ret, struct sbx_err *err)
{
	/* A judged row has a few rules; hardly any is judged. */
	struct seccomp_rule *rules = arena_alloc(
		arena, (ARRAY_SIZE(calls) + 2 * ARRAY_SIZE(judgements)) * sizeof(*rules));
	size_t n = 0;

	if (!rules)
		return err_oom(err);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int number = seccomp_call_number(i, arch);

		if (number < 0)
			continue;
		if (is_judged(wanted, i))
			n = add_judgements(wanted, i, (uint32_t)number, rules, n);
		else
			rules[n++] = (struct seccomp_rule){.number = (uint32_t)number,
							   .action = verdict_of(wanted, i)};
	}
	*ret = (struct seccomp_arch){arch, rules, n, seccomp_n_known(arch)};
	return 0;
}

/**
 * The rules of one of sbx's own profiles.
 *
 * Programs of another kind are killed, not refused: one that expects its exit to
 * succeed would try for ever.
 *
 * Return: 0, or -errno with *err filled.
 */
int seccomp_build(const struct seccomp_wanted *wanted, struct arena *arena,
		  struct seccomp_profile *ret, struct sbx_err *err)
{
	bool none = wanted->base == SECCOMP_BASE_NONE;
	int r;

	*ret = (struct seccomp_profile){
		.default_action = none ? SECCOMP_RET_ALLOW : SECCOMP_ERRNO(ENOSYS),
		.unknown_action = none ? SECCOMP_RET_ALLOW : SECCOMP_ERRNO(ENOSYS),
		.foreign_action = SECCOMP_RET_KILL_PROCESS,
		.n_archs = 1,
	};
	r = build_arch(wanted, seccomp_native_arch, arena, &ret->archs[0], err);
	if (r < 0 || !seccomp_compat_arch || (!wanted->multiarch && !none))
		return r;
	ret->n_archs = 2;
	return build_arch(wanted, seccomp_compat_arch, arena, &ret->archs[1], err);
}
