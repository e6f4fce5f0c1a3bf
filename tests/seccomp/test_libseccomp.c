/* SPDX-License-Identifier: MIT */
/*
 * Our filters against libseccomp's: the same profile, told to libseccomp in its own
 * way, exported, and both programs run over every number, processor and edge of an
 * argument. Calls without arguments that matter come from the profile's rules; what is
 * judged is written down here a second time.
 *
 * Built by foreign.sh it is about the filters of another processor, which this one computes
 * as well as its own. libseccomp then has numbers and calls by its own tables, so that our
 * numbers are compared too.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/seccomp/builtin.h"

enum { NUMBERS = 620 };

#define INT_IS(arg, value) SCMP_CMP64((arg), SCMP_CMP_MASKED_EQ, 0xffffffff, (value))
#define ADD(ctx, action, nr, ...)                                                                  \
	do {                                                                                       \
		const struct scmp_arg_cmp list_[] = {__VA_ARGS__};                                 \
		int r_ = seccomp_rule_add_array((ctx), (action), (nr), ARRAY_SIZE(list_), list_);  \
                                                                                                   \
		cr_assert_eq(r_, 0, "rule of %d: %s", (nr), strerror(-r_));                        \
	} while (0)

/* With this capability, or --allow-userns: everything about namespaces. */
static bool has_cap(const struct seccomp_wanted *wanted, int cap)
{
	return wanted->caps >> cap & 1;
}

static void tell_namespaces(scmp_filter_ctx ctx, const struct seccomp_wanted *wanted, int nr,
			    uint64_t bits)
{
	if (wanted->userns || has_cap(wanted, 21)) {
		cr_assert_eq(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0), 0);
		return;
	}
	ADD(ctx, SCMP_ACT_ALLOW, nr, SCMP_A0_64(SCMP_CMP_MASKED_EQ, bits, 0));
	for (int bit = 0; bit < 64; bit++)
		if (bits >> bit & 1)
			ADD(ctx, SCMP_ACT_ERRNO(EPERM), nr,
			    SCMP_A0_64(SCMP_CMP_MASKED_EQ, UINT64_C(1) << bit, UINT64_C(1) << bit));
}

/* What the internet's two families have that is another one in truth: SMC, packet sockets. */
static void tell_internet(scmp_filter_ctx ctx, const struct seccomp_wanted *wanted, int nr,
			  int family)
{
	bool packets = family == AF_INET6 || has_cap(wanted, 13);

	ADD(ctx, SCMP_ACT_ERRNO(EPROTONOSUPPORT), nr, INT_IS(0, family),
	    SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, 256, 256));
	for (unsigned int type = 0; type < 16; type++)
		ADD(ctx, type != 10 || packets ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EAFNOSUPPORT), nr,
		    INT_IS(0, family), SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, 0xf, type),
		    SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, 256, 0));
}

/* Families up to 64 are told one by one; the others are left to the caller's eye. */
static void tell_sockets(scmp_filter_ctx ctx, const struct seccomp_wanted *wanted, int nr)
{
	bool strict = wanted->base == SECCOMP_BASE_STRICT;

	for (int family = 0; family < 64; family++) {
		bool allowed = family == AF_UNIX ||
			       (!strict && (family == AF_INET || family == AF_INET6)) ||
			       (family == AF_PACKET && has_cap(wanted, 13)) ||
			       (family == AF_NETLINK && has_cap(wanted, 12));

		if (family == AF_NETLINK && !allowed && !strict) {
			for (int protocol = 0; protocol < 64; protocol++)
				ADD(ctx,
				    protocol == 0 || protocol == 15
					    ? SCMP_ACT_ALLOW
					    : SCMP_ACT_ERRNO(EPROTONOSUPPORT),
				    nr, INT_IS(0, family), INT_IS(2, protocol));
			continue;
		}
		if (allowed && (family == AF_INET || family == AF_INET6)) {
			tell_internet(ctx, wanted, nr, family);
			continue;
		}
		ADD(ctx, allowed ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EAFNOSUPPORT), nr,
		    INT_IS(0, family));
	}
}

static void tell_ioctl(scmp_filter_ctx ctx, int nr)
{
	ADD(ctx, SCMP_ACT_ERRNO(EPERM), nr, INT_IS(1, 0x5412));
	ADD(ctx, SCMP_ACT_ERRNO(EPERM), nr, INT_IS(1, 0x541c));
	/* Everything else, bit by bit: each that differs from both. */
	ADD(ctx, SCMP_ACT_ALLOW, nr, SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xffffffff, 0x5413));
	ADD(ctx, SCMP_ACT_ALLOW, nr, SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xffffffff, 0x5411));
	ADD(ctx, SCMP_ACT_ALLOW, nr, SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xffffffff, 0x5401));
	ADD(ctx, SCMP_ACT_ALLOW, nr, SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xffffffff, 0x541d));
	ADD(ctx, SCMP_ACT_ALLOW, nr, SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xffffffff, 0));
}

static void tell_personality(scmp_filter_ctx ctx, int nr)
{
	static const uint32_t harmless[] = {0,	     8,	      0x20000, 0x20008,	  0x40000,
					    0x40008, 0x60000, 0x60008, 0xffffffff};
	static const uint32_t refused[] = {1, 4, 0x400000, 0x100000, 0x40001, 0x10, 0x80000000};

	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		ADD(ctx, SCMP_ACT_ALLOW, nr, INT_IS(0, harmless[i]));
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		ADD(ctx, SCMP_ACT_ERRNO(EPERM), nr, INT_IS(0, refused[i]));
}

/* Return: false where the rule has to come from the profile. */
static bool tell_judged(scmp_filter_ctx ctx, const struct seccomp_wanted *wanted, const char *name,
			int nr)
{
	if (strcmp(name, "clone") == 0)
		tell_namespaces(ctx, wanted, nr, 0x7e020000);
	else if (strcmp(name, "unshare") == 0)
		tell_namespaces(ctx, wanted, nr, 0x7e020080);
	else if (strcmp(name, "socket") == 0 || strcmp(name, "socketpair") == 0)
		tell_sockets(ctx, wanted, nr);
	else if (strcmp(name, "ioctl") == 0)
		tell_ioctl(ctx, nr);
	else if (strcmp(name, "personality") == 0)
		tell_personality(ctx, nr);
	else
		return false;
	return true;
}

static bool is_foreign(void)
{
	return seccomp_native_arch != seccomp_arch_native();
}

/* What libseccomp calls a number of ours: that of this processor, or one of its own below 0. */
static int libseccomp_number(const char *name, int nr)
{
	return is_foreign() ? seccomp_syscall_resolve_name(name) : nr;
}

/* Calls that are newer than libseccomp it can only be told by their number, if that is of here. */
static bool libseccomp_knows(const char *name)
{
	return !is_foreign() || (seccomp_syscall_resolve_name(name) != __NR_SCMP_ERROR &&
				 seccomp_syscall_resolve_name_arch(seccomp_native_arch, name) >= 0);
}

static uint32_t libseccomp_action(uint32_t action)
{
	return (action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO
		       ? SCMP_ACT_ERRNO(action & SECCOMP_RET_DATA)
		       : SCMP_ACT_ALLOW;
}

/* Tell libseccomp the native part of a profile. */
static scmp_filter_ctx tell(const struct seccomp_wanted *wanted,
			    const struct seccomp_profile *profile)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	const struct seccomp_arch *arch = &profile->archs[0];

	cr_assert_not_null(ctx);
	cr_assert_eq(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), 0);
	if (is_foreign()) {
		cr_assert_eq(seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE), 0);
		cr_assert_eq(seccomp_arch_add(ctx, seccomp_native_arch), 0);
	}
	for (size_t i = 0; i < arch->n_rules; i++) {
		const struct seccomp_rule *rule = &arch->rules[i];
		const char *name = seccomp_number_name((int)rule->number, arch->arch);
		int nr = libseccomp_number(name, (int)rule->number);
		int r;

		if (i > 0 && rule[-1].number == rule->number)
			continue; /* told with the first */
		if (!libseccomp_knows(name))
			continue; /* see compare_numbers() */
		if (rule->n_cmps > 0 && tell_judged(ctx, wanted, name, nr))
			continue;
		/* The default need not, and cannot, be told. */
		if (rule->action == SECCOMP_ERRNO(ENOSYS))
			continue;
		r = seccomp_rule_add(ctx, libseccomp_action(rule->action), nr, 0);
		cr_assert_eq(r, 0, "%s: %s", name, strerror(-r));
	}
	return ctx;
}

static struct seccomp_program export_program(scmp_filter_ctx ctx, struct arena *arena)
{
	int fd = memfd_create("bpf", 0);
	struct sock_filter *insns = arena_alloc(arena, 1 << 20);
	ssize_t n;

	cr_assert_geq(fd, 0);
	cr_assert_eq(seccomp_export_bpf(ctx, fd), 0);
	n = pread(fd, insns, 1 << 20, 0);
	close(fd);
	cr_assert_gt(n, 0);
	return (struct seccomp_program){insns, (size_t)n / sizeof(*insns)};
}

static void expect_same(const struct seccomp_program *ours, const struct seccomp_program *theirs,
			const struct seccomp_data *data)
{
	cr_expect_eq(seccomp_run(ours, data), seccomp_run(theirs, data),
		     "number %d arch %#x args %#llx %#llx %#llx: we %#x, libseccomp %#x", data->nr,
		     data->arch, (unsigned long long)data->args[0],
		     (unsigned long long)data->args[1], (unsigned long long)data->args[2],
		     seccomp_run(ours, data), seccomp_run(theirs, data));
}

static void compare_arguments(const struct seccomp_program *ours,
			      const struct seccomp_program *theirs, int nr, int arg,
			      const uint64_t *values, size_t n)
{
	static const uint64_t above[] = {0, 1ULL << 32, 1ULL << 63, 0xffffffffULL << 32};

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(above); j++) {
			for (uint64_t protocol = 0; protocol < 64; protocol += arg == 0 ? 1 : 64) {
				struct seccomp_data data = {.nr = nr, .arch = seccomp_native_arch};

				data.args[arg] = values[i] | above[j];
				data.args[2] = protocol | above[j];
				expect_same(ours, theirs, &data);
			}
		}
	}
}

/* Every type, with flags and without, of a few protocols. */
static void compare_internet(const struct seccomp_program *ours,
			     const struct seccomp_program *theirs, int nr, uint64_t family)
{
	static const uint64_t flags[] = {0, 0x80000, 0x800, 1ULL << 32, 1ULL << 63};
	static const uint64_t protocols[] = {0, 6, 255, 256, 256 | 1ULL << 32};

	for (uint64_t type = 0; type < 16; type++)
		for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
			for (size_t j = 0; j < ARRAY_SIZE(protocols); j++)
				expect_same(ours, theirs,
					    &(struct seccomp_data){
						    .nr = nr,
						    .arch = seccomp_native_arch,
						    .args = {family, type | flags[i], protocols[j]},
					    });
}

static int number_of(const char *name)
{
	return seccomp_call_number((size_t)seccomp_find_call(name, strlen(name)),
				   seccomp_native_arch);
}

/* The edges of every rule about arguments. */
static void compare_judged(const struct seccomp_program *ours, const struct seccomp_program *theirs)
{
	static const uint64_t personalities[] = {
		0, 8, 0x20000, 0x20008,	 0x40000,  0x40008, 0x60000,	0x60008,
		1, 4, 0x10,    0x400000, 0x100000, 0x40001, 0x80000000, 0xffffffff};
	static const uint64_t requests[] = {0, 0x5401, 0x5411, 0x5412, 0x5413, 0x541c, 0x541d};
	uint64_t families[64], bits[64];

	for (size_t i = 0; i < 64; i++) {
		families[i] = i;
		bits[i] = i < 32 ? 1ULL << i : 0x11 | 1ULL << (i - 32);
	}
	compare_arguments(ours, theirs, number_of("clone"), 0, bits, 64);
	compare_arguments(ours, theirs, number_of("unshare"), 0, bits, 64);
	compare_arguments(ours, theirs, number_of("socket"), 0, families, 64);
	compare_arguments(ours, theirs, number_of("socketpair"), 0, families, 64);
	compare_internet(ours, theirs, number_of("socket"), AF_INET);
	compare_internet(ours, theirs, number_of("socketpair"), AF_INET6 | 1ULL << 32);
	compare_arguments(ours, theirs, number_of("ioctl"), 1, requests, ARRAY_SIZE(requests));
	compare_arguments(ours, theirs, number_of("personality"), 0, personalities,
			  ARRAY_SIZE(personalities));
}

/* What libseccomp could not be told is looked at by the rule that it has. */
static bool is_untold(const struct seccomp_arch *arch, int nr, uint32_t *ret_action)
{
	const char *name = seccomp_number_name(nr, arch->arch);

	if (!name || libseccomp_knows(name))
		return false;
	*ret_action = SECCOMP_ERRNO(ENOSYS);
	for (size_t i = 0; i < arch->n_rules; i++) {
		cr_assert(arch->rules[i].number != (uint32_t)nr || arch->rules[i].n_cmps == 0);
		if (arch->rules[i].number == (uint32_t)nr)
			*ret_action = arch->rules[i].action;
	}
	return true;
}

static void compare_numbers(const struct seccomp_program *ours,
			    const struct seccomp_program *theirs, const struct seccomp_arch *arch)
{
	static const uint32_t archs[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386,	AUDIT_ARCH_AARCH64,
					 AUDIT_ARCH_ARM,    AUDIT_ARCH_RISCV64, 0,
					 UINT32_MAX};
	static const int far[] = {0x3fffffff, 0x40000000, 0x40000001, 0x40000200,
				  0x7fffffff, INT32_MIN,  -2};

	for (size_t a = 0; a < ARRAY_SIZE(archs); a++) {
		for (int nr = 0; nr < NUMBERS; nr++) {
			const struct seccomp_data data = {.nr = nr, .arch = archs[a]};
			uint32_t action;

			if (archs[a] != arch->arch || !is_untold(arch, nr, &action))
				expect_same(ours, theirs, &data);
			else
				cr_expect_eq(seccomp_run(ours, &data), action, "number %d", nr);
		}
		for (size_t i = 0; i < ARRAY_SIZE(far); i++)
			expect_same(ours, theirs,
				    &(struct seccomp_data){.nr = far[i], .arch = archs[a]});
	}
	/* The one difference: a call that a tracer has skipped passes ours, so that it can. */
	cr_expect_eq(
		seccomp_run(ours, &(struct seccomp_data){.nr = -1, .arch = seccomp_native_arch}),
		seccomp_native_arch == AUDIT_ARCH_X86_64 ? SECCOMP_RET_ALLOW
							 : SECCOMP_ERRNO(ENOSYS));
}

static void compare(const struct seccomp_wanted *wanted)
{
	struct seccomp_program ours, theirs;
	struct seccomp_profile profile;
	scmp_filter_ctx ctx;
	struct arena arena;
	struct sbx_err err;

	arena_init(&arena);
	cr_assert_eq(seccomp_build(wanted, &arena, &profile, &err), 0);
	cr_assert_eq(seccomp_program_for(wanted, &arena, &ours, &err), 0, "%s", err.what);
	ctx = tell(wanted, &profile);
	theirs = export_program(ctx, &arena);
	if (profile.n_archs == 1)
		compare_numbers(&ours, &theirs, &profile.archs[0]);
	compare_judged(&ours, &theirs);
	seccomp_release(ctx);
	arena_finish(&arena);
}

/* By libseccomp's own tables, where it knows the name. */
Test(libseccomp, numbers)
{
	int n = 0;

	for (size_t call = 0; call < seccomp_n_calls(); call++) {
		const char *name = seccomp_call_name(call);
		int theirs = seccomp_syscall_resolve_name_arch(seccomp_native_arch, name);
		int ours = seccomp_call_number(call, seccomp_native_arch);

		if (theirs == __NR_SCMP_ERROR)
			continue;
		cr_expect_eq(ours, theirs < 0 ? -1 : theirs, "%s: we %d, libseccomp %d", name, ours,
			     theirs);
		n++;
	}
	cr_expect_gt(n, 350);
}

Test(libseccomp, default_)
{
	compare(&(struct seccomp_wanted){.base = SECCOMP_BASE_DEFAULT});
}

Test(libseccomp, default_with_user_namespaces)
{
	compare(&(struct seccomp_wanted){.base = SECCOMP_BASE_DEFAULT, .userns = true});
}

Test(libseccomp, strict)
{
	compare(&(struct seccomp_wanted){.base = SECCOMP_BASE_STRICT});
}

Test(libseccomp, capabilities)
{
	for (int cap = 0; cap < 41; cap++)
		compare(&(struct seccomp_wanted){.caps = UINT64_C(1) << cap});
}

static struct seccomp_change change(const char *text, bool allow)
{
	struct seccomp_change made = {.allow = allow};

	cr_assert_eq(seccomp_find_word(text, strlen(text), &made.word), 0);
	return made;
}

Test(libseccomp, changes)
{
	const struct seccomp_change changes[] = {
		change("@keyring", true), change("keyctl", false), change("@clock", false),
		change("clock_gettime", true), change("read", false)};

	compare(&(struct seccomp_wanted){.changes = changes, .n_changes = ARRAY_SIZE(changes)});
	compare(&(struct seccomp_wanted){
		.base = SECCOMP_BASE_STRICT, .changes = changes, .n_changes = ARRAY_SIZE(changes)});
}

/*
 * 32-bit programs. libseccomp wants numbers of the native processor or of its own for
 * names that only the other has, and tells socketcall(2) and ipc(2) what it was told of
 * the single calls, so those two are looked at by themselves.
 */
Test(libseccomp, multiarch)
{
	const struct seccomp_wanted wanted = {.multiarch = true};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	const struct seccomp_arch *arch;
	struct seccomp_program ours, theirs;
	struct seccomp_profile profile;
	struct arena arena;
	struct sbx_err err;
	int told = 0;

	/* The only processor whose 32-bit programs are known; on others the option is refused. */
	if (seccomp_native_arch != AUDIT_ARCH_X86_64)
		return;
	arena_init(&arena);
	cr_assert_eq(seccomp_build(&wanted, &arena, &profile, &err), 0);
	cr_assert_eq(seccomp_program_for(&wanted, &arena, &ours, &err), 0);
	compare(&wanted);
	cr_assert_eq(profile.n_archs, 2);
	arch = &profile.archs[1];
	cr_assert_eq(seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE), 0);
	cr_assert_eq(seccomp_arch_add(ctx, SCMP_ARCH_X86), 0);
	for (size_t i = 0; i < arch->n_rules; i++) {
		const struct seccomp_rule *rule = &arch->rules[i];
		const char *name = seccomp_number_name((int)rule->number, arch->arch);
		int nr = seccomp_syscall_resolve_name_arch(SCMP_ARCH_NATIVE, name);

		if (rule->n_cmps > 0 || nr == __NR_SCMP_ERROR ||
		    rule->action == SECCOMP_ERRNO(ENOSYS) ||
		    (i > 0 && rule[-1].number == rule->number))
			continue;
		cr_assert_eq(seccomp_rule_add(ctx, libseccomp_action(rule->action), nr, 0), 0, "%s",
			     name);
	}
	theirs = export_program(ctx, &arena);
	for (size_t i = 0; i < arch->n_rules; i++) {
		const struct seccomp_rule *rule = &arch->rules[i];
		const struct seccomp_data data = {.nr = (int)rule->number, .arch = arch->arch};
		const char *name = seccomp_number_name((int)rule->number, arch->arch);

		if (rule->n_cmps > 0 || (i > 0 && rule[-1].number == rule->number) ||
		    strcmp(name, "socketcall") == 0 || strcmp(name, "ipc") == 0 ||
		    seccomp_syscall_resolve_name_arch(SCMP_ARCH_NATIVE, name) == __NR_SCMP_ERROR)
			continue;
		expect_same(&ours, &theirs, &data);
		told++;
	}
	cr_expect_gt(told, 300);
	cr_expect_eq(seccomp_run(&ours, &(struct seccomp_data){.nr = 102, .arch = arch->arch}),
		     SECCOMP_ERRNO(ENOSYS), "socketcall");
	cr_expect_eq(seccomp_run(&ours, &(struct seccomp_data){.nr = 54,
							       .arch = arch->arch,
							       .args = {0, 0x5412}}),
		     SECCOMP_ERRNO(EPERM), "ioctl");
	seccomp_release(ctx);
	arena_finish(&arena);
}
