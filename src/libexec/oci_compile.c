/* SPDX-License-Identifier: MIT */
/*
 * oci_compile: a filter from the rules of a profile, by libseccomp.
 *
 * The library is what runc, crun and podman use, so that the same file means the
 * same here, also where rules for one system call contradict each other. What its
 * callers add is copied from their behaviour: a rule with the default's action is
 * left out; comparisons of one rule that are about the same argument are rules of
 * their own, any of which suffices; names that are not known are passed over.
 *
 * Programs of another kind are killed, as with every filter of sbx.
 */

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#include <seccomp.h>

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/libexec/oci.h"

enum { OCI_INSNS_MAX_BYTES = 4096 * sizeof(struct sock_filter) };

struct compile {
	struct oci_profile *profile;
	scmp_filter_ctx ctx;
	struct sbx_err *err;
	struct str_buf unknown; /* names that were passed over */
	size_t n_unknown;
};

static bool compile_has_twin(const struct oci_rule *rule)
{
	unsigned seen = 0;

	for (size_t i = 0; i < rule->n_args; i++) {
		if (seen & 1U << rule->args[i].index)
			return true;
		seen |= 1U << rule->args[i].index;
	}
	return false;
}

static struct scmp_arg_cmp compile_arg(const struct oci_arg *arg)
{
	return (struct scmp_arg_cmp){arg->index, (enum scmp_compare)arg->op, arg->value,
				     arg->value_two};
}

static int compile_add(struct compile *compile, const struct oci_rule *rule, const char *name,
		       int number, size_t first, size_t n)
{
	struct scmp_arg_cmp cmps[OCI_MAX_ARGS];
	int r;

	assert(n <= OCI_MAX_ARGS);
	for (size_t i = 0; i < n; i++)
		cmps[i] = compile_arg(&rule->args[first + i]);
	r = seccomp_rule_add_array(compile->ctx, rule->action, number, (unsigned)n, cmps);
	if (r == 0)
		return 0;
	if (r == -EEXIST)
		return err_refuse(compile->err, EEXIST, name,
				  "has two rules with the same comparisons and other actions");
	return err_refuse(compile->err, -r, name, "libseccomp does not take the rule (%s)",
			  strerror(-r));
}

static int compile_name(struct compile *compile, const struct oci_rule *rule, const char *name)
{
	int number = seccomp_syscall_resolve_name(name);
	int r = 0;

	if (number == __NR_SCMP_ERROR) {
		str_buf_printf(&compile->unknown, "%s%s", compile->n_unknown++ ? ", " : "", name);
		return 0;
	}
	if (!compile_has_twin(rule))
		return compile_add(compile, rule, name, number, 0, rule->n_args);
	for (size_t i = 0; i < rule->n_args && r == 0; i++)
		r = compile_add(compile, rule, name, number, i, 1);
	return r;
}

static int compile_rules(struct compile *compile)
{
	const struct oci_profile *profile = compile->profile;
	int r = 0;

	for (size_t i = 0; i < profile->n_rules && r == 0; i++) {
		const struct oci_rule *rule = &profile->rules[i];

		if (rule->action == profile->default_action)
			continue;
		for (size_t n = 0; n < rule->n_names && r == 0; n++)
			r = compile_name(compile, rule, rule->names[n]);
	}
	return r;
}

static int compile_set_up(struct compile *compile)
{
	int r = seccomp_attr_set(compile->ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (r == 0) /* a tree of numbers instead of a chain; since libseccomp 2.5 */
		r = seccomp_attr_set(compile->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0 && compile->profile->compat)
		r = seccomp_arch_add(compile->ctx, compile->profile->compat);
	return r < 0 ? err_refuse(compile->err, -r, NULL, "libseccomp cannot be set up (%s)",
				  strerror(-r))
		     : 0;
}

/* libseccomp writes to a descriptor only, and one in memory needs no other place. */
static int compile_export(struct compile *compile, struct arena *arena, struct oci_filter *ret)
{
	_autoclose_ int fd = memfd_create("filter", MFD_CLOEXEC);
	char *data = NULL;
	size_t len = 0;
	int r;

	if (fd < 0)
		return err_system(compile->err, errno, NULL, "cannot make room for the filter");
	r = seccomp_export_bpf(compile->ctx, fd);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		r = io_read_all(fd, OCI_INSNS_MAX_BYTES, arena, &data, &len);
	if (r == -EFBIG)
		return err_refuse(compile->err, EFBIG, NULL,
				  "makes a filter longer than the 4096 instructions that the "
				  "kernel takes");
	if (r < 0)
		return err_refuse(compile->err, -r, NULL, "cannot be made a filter of (%s)",
				  strerror(-r));
	*ret = (struct oci_filter){(const struct sock_filter *)(const void *)data,
				   len / sizeof(struct sock_filter)};
	return 0;
}

static void compile_tell_unknown(struct compile *compile, struct arena *arena)
{
	if (compile->n_unknown)
		oci_remark(compile->profile,
			   arena_printf(arena,
					"passed over, for libseccomp does not know them: %s%s",
					compile->unknown.data, compile->unknown.cut ? " ..." : ""));
}

/**
 * Make a filter of a profile.
 * @profile: gets remarks
 * @arena: owns the filter
 *
 * Return: 0, or -errno with *err filled.
 */
int oci_compile(struct oci_profile *profile, struct arena *arena, struct oci_filter *ret,
		struct sbx_err *err)
{
	char room[256];
	struct compile compile = {
		.profile = profile, .err = err, .unknown = STR_BUF_ON_STACK(room)};
	int r;

	compile.ctx = seccomp_init(profile->default_action);
	if (!compile.ctx)
		return err_refuse(err, EINVAL, "defaultAction", "libseccomp does not take it");
	r = compile_set_up(&compile);
	if (r == 0)
		r = compile_rules(&compile);
	if (r == 0)
		r = compile_export(&compile, arena, ret);
	seccomp_release(compile.ctx);
	if (r == 0)
		compile_tell_unknown(&compile, arena);
	return r;
}
