/* SPDX-License-Identifier: MIT */
/* The spec's tables agree with its enums, and its lists keep what was added, in order. */

#include <string.h>

#include <criterion/criterion.h>

#include "sbx/base/str.h"
#include "sbx/spec/spec.h"

/* How many names there are before the NULL. */
static size_t count_names(const char *const *names)
{
	size_t n = 0;

	while (names[n])
		n++;
	return n;
}

Test(spec, every_enum_value_has_a_name)
{
	cr_expect_eq(count_names(spec_op_names), SPEC_OP_COUNT_);
	cr_expect_eq(count_names(spec_env_names), SPEC_ENV_COUNT_);
	cr_expect_eq(count_names(spec_cap_names), SPEC_CAP_COUNT_);
}

Test(spec, every_field_has_a_name_of_its_own)
{
	for (size_t i = 0; i < SPEC_FIELD_COUNT_; i++) {
		cr_assert_not_null(spec_fields[i].name);
		cr_expect_eq(spec_fields[i].type == SPEC_TYPE_ENUM, spec_fields[i].names != NULL,
			     "%s", spec_fields[i].name);
		for (size_t n = 0; n < i; n++)
			cr_expect_str_neq(spec_fields[i].name, spec_fields[n].name);
	}
}

Test(spec, a_field_that_is_set_changes_no_other)
{
	for (size_t i = 0; i < SPEC_FIELD_COUNT_; i++) {
		struct sbx_spec spec, fresh;

		spec_init(&spec);
		spec_init(&fresh);
		if (spec_fields[i].type == SPEC_TYPE_STRING)
			spec_set_string(&spec, (enum spec_field_id)i, "x");
		else
			spec_set_number(&spec, (enum spec_field_id)i, 1);
		for (size_t n = 0; n < SPEC_FIELD_COUNT_; n++) {
			enum spec_field_id id = (enum spec_field_id)n;
			bool is_string = spec_fields[n].type == SPEC_TYPE_STRING;
			bool same = is_string ? str_equal(spec_get_string(&spec, id),
							  spec_get_string(&fresh, id))
					      : spec_get_number(&spec, id) ==
							spec_get_number(&fresh, id);

			cr_expect_eq(same, n != i, "setting %s: %s", spec_fields[i].name,
				     spec_fields[n].name);
		}
		spec_finish(&spec);
		spec_finish(&fresh);
	}
}

Test(spec, an_empty_one_asks_for_nothing)
{
	struct sbx_spec spec;

	spec_init(&spec);
	cr_expect_eq(spec.uid, -1);
	cr_expect_eq(spec.gid, -1);
	cr_expect_eq(spec.map, SPEC_MAP_AUTO);
	for (size_t i = 0; i < SPEC_NS_COUNT_; i++)
		cr_expect_eq(spec.ns[i], SPEC_NS_DEFAULT);
	cr_expect_eq(spec.n_ops + spec.n_env + spec.n_caps + spec.n_argv, 0);
	spec_finish(&spec);
}

Test(spec, lists_keep_the_order_in_which_they_were_made)
{
	static const char *const words[] = {"a", "b", "c", "d", "e"};
	struct sbx_spec spec;
	struct sbx_err err;

	spec_init(&spec);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct spec_op op = {.kind = SPEC_OP_DIR, .fd = -1, .dest = words[i]};

		cr_assert_eq(spec_add_op(&spec, &op, &err), 0);
		cr_assert_eq(spec_add_arg(&spec, words[i], &err), 0);
		cr_assert_eq(spec_add_pass_fd(&spec, (int64_t)i + 3, &err), 0);
	}
	cr_assert_eq(spec.n_ops, ARRAY_SIZE(words));
	cr_assert_eq(spec.n_argv, ARRAY_SIZE(words));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		cr_expect_str_eq(spec.ops[i].dest, words[i]);
		cr_expect_str_eq(spec.argv[i], words[i]);
		cr_expect_eq(spec.pass_fds[i], (int64_t)i + 3);
	}
	spec_finish(&spec);
}
