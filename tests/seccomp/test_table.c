/* SPDX-License-Identifier: MIT */
/* The table of system calls: complete, sorted, and with a reason for every refusal. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "sbx/base/defs.h"
#include "sbx/base/str.h"
#include "sbx/seccomp/builtin.h"

/* The numbers in the headers, with their names. */
static const struct {
	int number;
	const char *name;
} header_calls[] = {
#include "syscall-names.h"
};

static const struct {
	const char *name, *why;
} reasons[] = {
#define CALL(name, groups) {#name, "-"},
#define LAX(name, groups, why) {#name, why},
#define REFUSE(name, groups, unless, why) {#name, why},
#define ABSENT(name, groups, unless, why) {#name, why},
#define JUDGE(name, groups, rules, why) {#name, why},
#include "../../src/seccomp/calls.inc"
};

static struct seccomp_word word(const char *text)
{
	struct seccomp_word found = {-2, 0};

	cr_assert_eq(seccomp_find_word(text, strlen(text), &found), 0, "%s", text);
	return found;
}

Test(table, has_every_call_of_the_headers)
{
	cr_assert_gt(ARRAY_SIZE(header_calls), 200);
	for (size_t i = 0; i < ARRAY_SIZE(header_calls); i++) {
		const char *name = header_calls[i].name;
		int call = seccomp_find_call(name, strlen(name));

		cr_expect_geq(call, 0, "%s is missing in src/seccomp/calls.inc", name);
		if (call >= 0)
			cr_expect_eq(seccomp_call_number((size_t)call, seccomp_native_arch),
				     header_calls[i].number, "%s", name);
	}
}

Test(table, is_sorted_and_every_name_is_found)
{
	for (size_t i = 0; i < seccomp_n_calls(); i++) {
		const char *name = seccomp_call_name(i);

		cr_expect_eq(seccomp_find_call(name, strlen(name)), (int)i, "%s", name);
		if (i > 0)
			cr_expect_lt(strcmp(seccomp_call_name(i - 1), name), 0, "%s", name);
	}
	cr_expect_eq(seccomp_find_call("rea", 3), -1);
	cr_expect_eq(seccomp_find_call("reads", 5), -1);
	cr_expect_eq(seccomp_find_call("", 0), -1);
}

Test(table, numbers_have_one_name_each)
{
	for (size_t i = 0; i < seccomp_n_calls(); i++) {
		int number = seccomp_call_number(i, seccomp_native_arch);

		if (number >= 0)
			cr_expect_str_eq(seccomp_number_name(number, seccomp_native_arch),
					 seccomp_call_name(i));
	}
	cr_expect_null(seccomp_number_name(-1, seccomp_native_arch));
	cr_expect_null(seccomp_number_name(5000, seccomp_native_arch));
}

Test(table, knows_calls_that_headers_may_lack)
{
	int call = seccomp_find_call("file_setattr", strlen("file_setattr"));

	cr_assert_geq(call, 0);
	cr_expect_eq(seccomp_call_number((size_t)call, seccomp_native_arch), 469);
	cr_expect_geq(seccomp_n_known(seccomp_native_arch), 470);
}

Test(table, gives_a_reason_wherever_it_refuses)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		cr_expect_str_eq(reasons[i].name, seccomp_call_name(i));
		cr_expect(str_equal(reasons[i].why, "-") || strlen(reasons[i].why) > 15, "%s: %s",
			  reasons[i].name, reasons[i].why);
	}
}

Test(table, words)
{
	struct seccomp_word found;

	cr_expect_geq(word("mount").call, 0);
	cr_expect_eq(word("@mount").call, -1);
	cr_expect_neq(word("@mount").groups, 0);
	cr_expect_eq(word("@known").groups, UINT32_MAX);
	cr_expect_eq(seccomp_find_word("@", 1, &found), -ENOENT);
	cr_expect_eq(seccomp_find_word("", 0, &found), -ENOENT);
	cr_expect_eq(seccomp_find_word("Mount", 5, &found), -ENOENT);
	cr_expect_eq(seccomp_find_word("@mountx", 7, &found), -ENOENT);
}

Test(table, every_group_has_calls)
{
#define X(id, name)                                                                                \
	do {                                                                                       \
		const struct seccomp_change only = {word("@" name), false};                        \
		const struct seccomp_wanted wanted = {                                             \
			.base = SECCOMP_BASE_NONE, .changes = &only, .n_changes = 1};              \
		struct seccomp_profile profile;                                                    \
		struct arena arena;                                                                \
		struct sbx_err err;                                                                \
		size_t denied = 0;                                                                 \
                                                                                                   \
		arena_init(&arena);                                                                \
		cr_assert_eq(seccomp_build(&wanted, &arena, &profile, &err), 0);                   \
		for (size_t a = 0; a < profile.n_archs; a++)                                       \
			for (size_t i = 0; i < profile.archs[a].n_rules; i++)                      \
				denied += profile.archs[a].rules[i].action != SECCOMP_RET_ALLOW;   \
		cr_expect_gt(denied, 0, "@" name);                                                 \
		arena_finish(&arena);                                                              \
	} while (0);
	SECCOMP_GROUPS(X)
#undef X
}

Test(table, says_what_was_meant)
{
	char room[40];

	cr_expect_str_eq(seccomp_find_similar("keyctrl", 7, room, sizeof(room)), "keyctl");
	cr_expect_str_eq(seccomp_find_similar("@mounts", 7, room, sizeof(room)), "@mount");
	cr_expect_null(seccomp_find_similar("nonsense-word", 13, room, sizeof(room)));
}

static uint32_t answer(const struct seccomp_wanted *wanted, const char *name, uint64_t arg0,
		       uint64_t arg1)
{
	int call = seccomp_find_call(name, strlen(name));
	struct seccomp_data data = {.arch = seccomp_native_arch, .args = {arg0, arg1}};
	struct seccomp_program program;
	struct arena arena;
	struct sbx_err err;
	uint32_t action;

	cr_assert_geq(call, 0, "%s", name);
	data.nr = seccomp_call_number((size_t)call, seccomp_native_arch);
	arena_init(&arena);
	cr_assert_eq(seccomp_program_for(wanted, &arena, &program, &err), 0, "%s", err.what);
	action = seccomp_run(&program, &data);
	arena_finish(&arena);
	return action;
}

Test(table, later_changes_win)
{
	const struct seccomp_change changes[] = {
		{word("@mount"), true}, {word("mount"), false}, {word("ioctl"), true}};
	const struct seccomp_wanted wanted = {.changes = changes, .n_changes = 3};

	cr_expect_eq(answer(&wanted, "umount2", 0, 0), SECCOMP_RET_ALLOW);
	cr_expect_eq(answer(&wanted, "mount", 0, 0), SECCOMP_ERRNO(EPERM));
	cr_expect_eq(answer(&wanted, "ioctl", 0, 0x5412), SECCOMP_RET_ALLOW);
}

Test(table, capabilities_let_through_what_they_are_for)
{
	const struct seccomp_wanted chroot = {.caps = UINT64_C(1) << 18};
	const struct seccomp_wanted admin = {.caps = UINT64_C(1) << 21};
	const struct seccomp_wanted nothing = {.caps = 0};

	cr_expect_eq(answer(&nothing, "chroot", 0, 0), SECCOMP_ERRNO(EPERM));
	cr_expect_eq(answer(&chroot, "chroot", 0, 0), SECCOMP_RET_ALLOW);
	cr_expect_eq(answer(&chroot, "mount", 0, 0), SECCOMP_ERRNO(EPERM));
	cr_expect_eq(answer(&admin, "mount", 0, 0), SECCOMP_RET_ALLOW);
	cr_expect_eq(answer(&admin, "unshare", 0x10000000, 0), SECCOMP_RET_ALLOW);
	cr_expect_eq(answer(&admin, "bpf", 0, 0), SECCOMP_ERRNO(EPERM));
	cr_expect_eq(answer(&admin, "keyctl", 0, 0), SECCOMP_ERRNO(EPERM));
}
