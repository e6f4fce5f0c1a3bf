/* SPDX-License-Identifier: MIT */
/* What a failure looks like when it is printed, to the letter. */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "sbx/base/err.h"

/* Fail unless printing gives exactly this. */
static void expect_printed(const struct sbx_err *err, const char *expected)
{
	_autoclose_ int fd = memfd_create("printed", MFD_CLOEXEC);
	char text[8192];
	ssize_t len;

	cr_assert_geq(fd, 0);
	err_print(err, "sbx", fd);
	len = pread(fd, text, sizeof(text) - 1, 0);
	cr_assert_geq(len, 0);
	text[len] = '\0';
	cr_expect_str_eq(text, expected, "printed:\n%s", text);
}

Test(err, a_system_failure_has_option_object_action_and_cause)
{
	struct sbx_err err;

	cr_expect_eq(err_system(&err, EACCES, "/srv/data", "cannot open source"), -EACCES);
	err_set_option(&err, "--ro-bind /srv/data /data");
	err_annotate(&err, "step %d of %d, bind /srv/data at /data", 4, 11);
	err_hint(&err, "/srv is readable by uid %d only; run \"ls -ld /srv\"", 0);
	cr_expect_eq(err.exit_code, 125);
	expect_printed(&err,
		       "sbx: --ro-bind /srv/data /data: cannot open source: Permission denied\n"
		       "     while: step 4 of 11, bind /srv/data at /data\n"
		       "     hint:  /srv is readable by uid 0 only; run \"ls -ld /srv\"\n");
}

Test(err, the_path_is_printed_where_the_option_does_not_hold_it)
{
	struct sbx_err err;

	cr_expect_eq(err_system(&err, ENOENT, "/etc/subuid", "cannot open"), -ENOENT);
	expect_printed(&err, "sbx: /etc/subuid: cannot open: No such file or directory\n");
	err_set_option(&err, "--map=range");
	expect_printed(&err,
		       "sbx: --map=range: /etc/subuid: cannot open: No such file or directory\n");
}

Test(err, a_refusal_has_its_cause_in_its_own_words)
{
	struct sbx_err err;

	cr_expect_eq(err_refuse(&err, ELOOP, "/a", "is a symbolic link"), -ELOOP);
	expect_printed(&err, "sbx: /a: is a symbolic link\n");
	cr_expect_eq(err.number, 0);
	cr_expect_eq(err.refused, ELOOP, "for the hints");
}

Test(err, a_usage_error_names_the_word_at_fault)
{
	struct sbx_err err;

	cr_expect_eq(err_usage(&err, "--tmpsf", "unknown option, did you mean %s?", "--tmpfs"),
		     -EINVAL);
	cr_expect(err.usage);
	cr_expect_eq(err.exit_code, 125);
	expect_printed(&err, "sbx: --tmpsf: unknown option, did you mean --tmpfs?\n");
	cr_expect_eq(err_usage(&err, NULL, "no command"), -EINVAL);
	expect_printed(&err, "sbx: no command\n");
}

Test(err, the_first_option_and_the_first_hint_stay)
{
	struct sbx_err err;

	(void)err_system(&err, EPERM, NULL, "cannot mount");
	err_set_option(&err, "--tmpfs /a");
	err_set_option(&err, "--tmpfs /b");
	err_hint(&err, "closest to the cause");
	err_hint(&err, "further away");
	expect_printed(&err, "sbx: --tmpfs /a: cannot mount: Operation not permitted\n"
			     "     hint:  closest to the cause\n");
}

Test(err, every_annotation_is_a_line_innermost_first)
{
	struct sbx_err err;

	(void)err_system(&err, EIO, "x", "cannot read");
	err_annotate(&err, "inner");
	err_annotate(&err, "outer");
	expect_printed(&err, "sbx: x: cannot read: Input/output error\n"
			     "     while: inner\n"
			     "     while: outer\n");
}

Test(err, control_characters_do_not_reach_the_terminal)
{
	struct sbx_err err;

	(void)err_system(&err, ENOENT, "/tmp/\x1b]0;x\a", "cannot open \x1b[31m");
	expect_printed(&err, "sbx: /tmp/\\x1b]0;x\\x07: cannot open \\x1b[31m: "
			     "No such file or directory\n");
}

Test(err, filling_again_forgets_what_was_there)
{
	struct sbx_err err;

	(void)err_refuse(&err, EBUSY, NULL, "none");
	(void)err_usage(&err, "--x", "one");
	cr_expect_eq(err.refused, 0);
	err_annotate(&err, "line");
	err_hint(&err, "hint");
	(void)err_system(&err, ENOMEM, NULL, "two");
	cr_expect_not(err.usage);
	expect_printed(&err, "sbx: two: Cannot allocate memory\n");
}

Test(err, texts_of_any_length_are_cut_and_the_error_stays_whole)
{
	struct sbx_err err;
	char text[5000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)err_system(&err, EIO, text, "%s", text);
	err_set_option(&err, text);
	for (int i = 0; i < 20; i++)
		err_annotate(&err, "%s", text);
	err_hint(&err, "%s", text);
	cr_expect_eq(strlen(err.path), sizeof(err.path) - 1);
	cr_expect_eq(strlen(err.what), sizeof(err.what) - 1);
	cr_expect_eq(strlen(err.option), sizeof(err.option) - 1);
	cr_expect_eq(strlen(err.trail), sizeof(err.trail) - 1);
	cr_expect_eq(strlen(err.hint), sizeof(err.hint) - 1);
}

Test(err, out_of_memory_is_an_error_like_any_other)
{
	struct sbx_err err;

	cr_expect_eq(err_oom(&err), -ENOMEM);
	cr_expect_eq(err.exit_code, 125);
}
