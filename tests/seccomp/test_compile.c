/* SPDX-License-Identifier: MIT */
/*
 * The compiler against the meaning of its rules, told a second time here in the
 * plainest way: go through the rules in order, the first that matches counts.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/audit.h>
#include <string.h>

#include "sbx/base/defs.h"
#include "sbx/seccomp/profile.h"

enum { ROUNDS = 300, RULES_MAX = 400, NUMBERS = 200 };

static uint32_t state;

static uint32_t pick(uint32_t below)
{
	state = state * 1664525U + 1013904223U;
	return (uint32_t)(((uint64_t)(state >> 8) * below) >> 24);
}

static bool cmp_holds(const struct seccomp_cmp *cmp, uint64_t arg)
{
	arg &= cmp->mask;
	switch ((enum seccomp_op)cmp->op) {
	case SECCOMP_OP_EQ:
		return arg == cmp->value;
	case SECCOMP_OP_NE:
		return arg != cmp->value;
	case SECCOMP_OP_LT:
		return arg < cmp->value;
	case SECCOMP_OP_LE:
		return arg <= cmp->value;
	case SECCOMP_OP_GT:
		return arg > cmp->value;
	case SECCOMP_OP_GE:
		return arg >= cmp->value;
	}
	return false;
}

static uint32_t meaning(const struct seccomp_profile *profile, const struct seccomp_data *data)
{
	for (size_t i = 0; i < profile->n_archs; i++) {
		const struct seccomp_arch *arch = &profile->archs[i];

		if (arch->arch != data->arch)
			continue;
		if (arch->arch == AUDIT_ARCH_X86_64 && data->nr == -1)
			return SECCOMP_RET_ALLOW;
		if (arch->arch == AUDIT_ARCH_X86_64 && (uint32_t)data->nr >= SECCOMP_X32_BIT)
			return profile->foreign_action;
		if ((uint32_t)data->nr >= arch->n_known)
			return profile->unknown_action;
		for (size_t j = 0; j < arch->n_rules; j++) {
			const struct seccomp_rule *rule = &arch->rules[j];
			bool holds = rule->number == (uint32_t)data->nr;

			for (size_t k = 0; k < rule->n_cmps && holds; k++)
				holds = cmp_holds(&rule->cmps[k], data->args[rule->cmps[k].arg]);
			if (holds)
				return rule->action;
		}
		return profile->default_action;
	}
	return profile->foreign_action;
}

static uint64_t pick_value(void)
{
	static const uint64_t values[] = {
		0,
		1,
		2,
		0x7fffffff,
		0x80000000,
		0xfffffffe,
		0xffffffff,
		0x100000000,
		0x100000001,
		0x7fffffffffffffff,
		0x8000000000000000,
		0xfffffffffffffffe,
		0xffffffffffffffff,
		0x5412,
		0x100005412,
	};

	return values[pick(ARRAY_SIZE(values))] + (pick(4) == 0 ? pick(3) : 0);
}

static void fill_cmps(struct seccomp_cmp *cmps, size_t n)
{
	static const uint64_t masks[] = {UINT64_MAX, UINT32_MAX, 0xffffffff00000000, 0x7e020080, 0};

	for (size_t i = 0; i < n; i++)
		cmps[i] = (struct seccomp_cmp){
			.arg = (uint8_t)pick(6),
			.op = (uint8_t)pick(6),
			.mask = masks[pick(ARRAY_SIZE(masks))],
			.value = pick_value(),
		};
}

/* Numbers around every edge, with arguments that are often the ones compared with. */
static void compare(const struct seccomp_profile *profile, const struct seccomp_program *program)
{
	static const uint32_t far[] = {1023,	   0x3fffffff, 0x40000000, 0x40000001,
				       0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
	static const uint32_t archs[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, 0};

	for (uint32_t nr = 0; nr < NUMBERS + 20 + ARRAY_SIZE(far); nr++) {
		for (int variant = 0; variant < 12; variant++) {
			struct seccomp_data data = {
				.nr = (int)(nr < NUMBERS + 20 ? nr : far[nr - NUMBERS - 20]),
				.arch = archs[pick(ARRAY_SIZE(archs))],
			};

			for (int i = 0; i < 6; i++)
				data.args[i] = pick_value();
			cr_assert_eq(seccomp_run(program, &data), meaning(profile, &data),
				     "number %#x arch %#x", (unsigned)data.nr, data.arch);
		}
	}
}

static void one_round(size_t n_rules)
{
	static struct seccomp_cmp cmps[RULES_MAX][6];
	static struct seccomp_rule rules[RULES_MAX];
	static const uint32_t actions[] = {SECCOMP_RET_ALLOW, SECCOMP_ERRNO(EPERM),
					   SECCOMP_ERRNO(ENOSYS), SECCOMP_RET_KILL_PROCESS};
	struct seccomp_profile profile = {
		.default_action = actions[pick(4)],
		.unknown_action = SECCOMP_ERRNO(ENOSYS),
		.foreign_action = SECCOMP_RET_KILL_PROCESS,
		.n_archs = 1 + pick(3),
	};
	struct seccomp_program program;
	struct arena arena;
	struct sbx_err err;

	for (size_t i = 0; i < n_rules; i++) {
		size_t n_cmps = pick(3) ? 0 : pick(7);

		fill_cmps(cmps[i], n_cmps);
		rules[i] = (struct seccomp_rule){pick(NUMBERS), actions[pick(4)], cmps[i], n_cmps};
	}
	profile.archs[0] = (struct seccomp_arch){AUDIT_ARCH_X86_64, rules, n_rules, NUMBERS};
	profile.archs[1] = (struct seccomp_arch){AUDIT_ARCH_I386, rules, n_rules / 2, NUMBERS};
	profile.archs[2] = (struct seccomp_arch){AUDIT_ARCH_AARCH64, rules, 0, 0};
	arena_init(&arena);
	cr_assert_eq(seccomp_compile(&profile, &arena, &program, &err), 0, "%s", err.what);
	compare(&profile, &program);
	arena_finish(&arena);
}

Test(compile, means_what_the_rules_say)
{
	state = 1;
	for (int i = 0; i < ROUNDS; i++)
		one_round(pick(RULES_MAX / 8));
}

/* Programs so long that jumps do not reach. */
Test(compile, long_programs_mean_it_too)
{
	state = 2;
	for (int i = 0; i < ROUNDS / 20; i++)
		one_round(RULES_MAX / 2 + pick(RULES_MAX / 2));
}

static int compile_alone(const struct seccomp_rule *rules, size_t n, struct sbx_err *err)
{
	const struct seccomp_profile profile = {
		.archs = {{AUDIT_ARCH_X86_64, rules, n, NUMBERS}},
		.n_archs = 1,
	};
	struct seccomp_program program = {.n_insns = 0};
	struct arena arena;
	int r;

	arena_init(&arena);
	r = seccomp_compile(&profile, &arena, &program, err);
	cr_expect(r < 0 || program.n_insns <= SECCOMP_PROGRAM_MAX);
	arena_finish(&arena);
	return r;
}

Test(compile, refuses_what_the_kernel_would)
{
	static struct seccomp_rule rules[3000];
	static struct seccomp_cmp cmps[3000];
	struct sbx_err err;

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		cmps[i] = (struct seccomp_cmp){0, SECCOMP_OP_EQ, UINT64_MAX, i};
		rules[i] = (struct seccomp_rule){(uint32_t)(i % NUMBERS), SECCOMP_RET_ALLOW,
						 &cmps[i], 1};
	}
	cr_expect_eq(compile_alone(rules, 500, &err), 0);
	cr_expect_eq(compile_alone(rules, ARRAY_SIZE(rules), &err), -E2BIG);
	rules[0].number = NUMBERS;
	cr_expect_eq(compile_alone(rules, 1, &err), -EINVAL);
}

/* The path through the search is what loading costs. */
Test(compile, searches_in_few_steps)
{
	static struct seccomp_rule rules[NUMBERS];
	const struct seccomp_profile profile = {
		.default_action = SECCOMP_ERRNO(EPERM),
		.archs = {{AUDIT_ARCH_X86_64, rules, NUMBERS, NUMBERS}},
		.n_archs = 1,
	};
	struct seccomp_program program;
	struct arena arena;
	struct sbx_err err;

	for (uint32_t i = 0; i < NUMBERS; i++)
		rules[i] = (struct seccomp_rule){i, i % 2 ? SECCOMP_RET_ALLOW : SECCOMP_RET_LOG,
						 NULL, 0};
	arena_init(&arena);
	cr_assert_eq(seccomp_compile(&profile, &arena, &program, &err), 0);
	/* Two numbers to a segment, an exception in each: about 70 segments, 2 insns each. */
	cr_expect_lt(program.n_insns, 230, "%zu", program.n_insns);
	arena_finish(&arena);
}

Test(compile, notifying_keeps_the_rest)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SECCOMP_ERRNO(EPERM), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_ERRNO(EPERM)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	seccomp_make_notifying(insns, ARRAY_SIZE(insns));
	cr_expect_eq(insns[1].k, SECCOMP_ERRNO(EPERM));
	cr_expect_eq(insns[2].k, SECCOMP_RET_USER_NOTIF);
	cr_expect_eq(insns[3].k, SECCOMP_RET_ALLOW);
}
