/* SPDX-License-Identifier: MIT */
/* oci_compare: see oci_compare.h. */

#include <errno.h>
#include <linux/audit.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <seccomp.h>

#include "oci_compare.h"
#include "testlib.h"

#include "sbx/base/caps.h"
#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/seccomp/table.h"

enum { NUMBERS = 620, VALUES_MAX = 512 };

static uint32_t action_of(const json_t *rule, const char *key, const char *number)
{
	const char *word = json_string_value(json_object_get(rule, key));
	const json_t *given = json_object_get(rule, number);
	uint32_t data = given ? (uint32_t)json_integer_value(given) : EPERM;
	const char *name = json_string_value(json_object_get(rule, "errno"));

	if (name && strcmp(name, "EDOM") == 0)
		data = EDOM;
	if (strcmp(word, "SCMP_ACT_ERRNO") == 0)
		return SECCOMP_RET_ERRNO | data;
	if (strcmp(word, "SCMP_ACT_TRACE") == 0)
		return SECCOMP_RET_TRACE | data;
	if (strcmp(word, "SCMP_ACT_TRAP") == 0)
		return SECCOMP_RET_TRAP;
	if (strcmp(word, "SCMP_ACT_LOG") == 0)
		return SECCOMP_RET_LOG;
	if (strcmp(word, "SCMP_ACT_KILL_PROCESS") == 0)
		return SECCOMP_RET_KILL_PROCESS;
	if (strncmp(word, "SCMP_ACT_KILL", 13) == 0)
		return SECCOMP_RET_KILL_THREAD;
	cr_assert_str_eq(word, "SCMP_ACT_ALLOW");
	return SECCOMP_RET_ALLOW;
}

static bool arg_holds(const json_t *arg, const struct seccomp_data *data)
{
	uint64_t value = (uint64_t)json_integer_value(json_object_get(arg, "value"));
	uint64_t two = (uint64_t)json_integer_value(json_object_get(arg, "valueTwo"));
	uint64_t is = data->args[json_integer_value(json_object_get(arg, "index"))];
	const char *op = json_string_value(json_object_get(arg, "op")) + strlen("SCMP_CMP_");

	return strcmp(op, "EQ") == 0   ? is == value
	       : strcmp(op, "NE") == 0 ? is != value
	       : strcmp(op, "LT") == 0 ? is < value
	       : strcmp(op, "LE") == 0 ? is <= value
	       : strcmp(op, "GT") == 0 ? is > value
	       : strcmp(op, "GE") == 0 ? is >= value
				       : (is & value) == two;
}

/* All of them; any of them, where two are about the same argument. */
static bool args_hold(const json_t *args, const struct seccomp_data *data)
{
	size_t n = json_array_size(args), n_hold = 0;
	bool twin = false;

	for (size_t i = 0; i < n; i++) {
		n_hold += arg_holds(json_array_get(args, i), data);
		for (size_t j = 0; j < i; j++)
			twin |= json_equal(json_object_get(json_array_get(args, i), "index"),
					   json_object_get(json_array_get(args, j), "index"));
	}
	return twin ? n_hold > 0 : n_hold == n;
}

static bool has_word(const json_t *list, const char *word)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)), word) == 0)
			return true;
	return false;
}

static bool has_cap(const struct oci_host *host, const json_t *name)
{
	int cap = caps_from_name(json_string_value(name));

	return cap >= 0 && host->caps >> cap & 1;
}

static bool is_kernel(const struct oci_host *host, const json_t *version)
{
	const char *text = json_string_value(version);

	return host->kernel[0] * 1000 + host->kernel[1] >=
	       strtoul(text, NULL, 10) * 1000 + strtoul(strchr(text, '.') + 1, NULL, 10);
}

static bool condition_holds(const json_t *rule, const struct oci_host *host)
{
	const char *native = seccomp_native_arch == AUDIT_ARCH_X86_64 ? "amd64" : "arm64";
	const json_t *in = json_object_get(rule, "includes");
	const json_t *out = json_object_get(rule, "excludes");
	const json_t *caps = json_object_get(in, "caps");

	for (size_t i = 0; i < json_array_size(caps); i++)
		if (!has_cap(host, json_array_get(caps, i)))
			return false;
	caps = json_object_get(out, "caps");
	for (size_t i = 0; i < json_array_size(caps); i++)
		if (has_cap(host, json_array_get(caps, i)))
			return false;
	if (json_object_get(in, "arches") && !has_word(json_object_get(in, "arches"), native))
		return false;
	if (json_object_get(in, "minKernel") && !is_kernel(host, json_object_get(in, "minKernel")))
		return false;
	if (json_object_get(out, "minKernel") && is_kernel(host, json_object_get(out, "minKernel")))
		return false;
	return !has_word(json_object_get(out, "arches"), native);
}

static bool is_about(const json_t *rule, const char *name)
{
	const char *one = json_string_value(json_object_get(rule, "name"));

	return (one && strcmp(one, name) == 0) || has_word(json_object_get(rule, "names"), name);
}

/* A call that libseccomp does not know has no rules, and a remark says so. */
static const char *known_name(const struct seccomp_data *data)
{
	const char *name = seccomp_number_name(data->nr, data->arch);

	return name && seccomp_syscall_resolve_name(name) != __NR_SCMP_ERROR ? name : NULL;
}

/*
 * @got: what the filter says; where rules contradict, that of one of them is right
 */
static uint32_t evaluate(const json_t *profile, const struct oci_host *host,
			 const struct seccomp_data *data, const uint32_t *got)
{
	const char *name = known_name(data);
	uint32_t verdict = action_of(profile, "defaultAction", "defaultErrnoRet");
	const json_t *rules = json_object_get(profile, "syscalls");
	bool matched = false;

	for (size_t i = 0; i < json_array_size(rules) && name; i++) {
		const json_t *rule = json_array_get(rules, i);
		uint32_t action = action_of(rule, "action", "errnoRet");

		if (!is_about(rule, name) || !condition_holds(rule, host) ||
		    !args_hold(json_object_get(rule, "args"), data))
			continue;
		cr_assert(!matched || action == verdict || got, "rules for %s contradict", name);
		if (!matched || (got && action == *got))
			verdict = action;
		matched = true;
	}
	return verdict;
}

/* ---- comparing ---- */

struct comparison {
	const json_t *profile;
	const struct oci_host *host;
	struct seccomp_program program;
	bool may_contradict;
	size_t n_done, n_matched;
};

static void compare_one(struct comparison *c, const struct seccomp_data *data)
{
	uint32_t got = seccomp_run(&c->program, data);
	uint32_t want = evaluate(c->profile, c->host, data, c->may_contradict ? &got : NULL);

	cr_assert_eq(want, got,
		     "%s (%d, arch %#x) %#llx %#llx %#llx: the profile says %#x, "
		     "the filter %#x",
		     seccomp_number_name(data->nr, data->arch), data->nr, data->arch,
		     (unsigned long long)data->args[0], (unsigned long long)data->args[1],
		     (unsigned long long)data->args[2], want, got);
	c->n_done++;
	c->n_matched += want != action_of(c->profile, "defaultAction", "defaultErrnoRet");
}

static void add_value(uint64_t *values, size_t *n, uint64_t value)
{
	cr_assert_lt(*n, (size_t)VALUES_MAX);
	values[(*n)++] = value;
}

/* The edges of every comparison that rules for this call make with an argument; 0 always. */
static size_t edges(const json_t *profile, const char *name, unsigned index, uint64_t *values)
{
	const json_t *rules = json_object_get(profile, "syscalls");
	size_t n = 0;

	add_value(values, &n, 0);
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *rule = json_array_get(rules, i),
			     *args = json_object_get(rule, "args");

		for (size_t a = 0; a < json_array_size(args) && is_about(rule, name); a++) {
			const json_t *arg = json_array_get(args, a);
			json_int_t value = json_integer_value(json_object_get(arg, "value"));
			json_int_t two = json_integer_value(json_object_get(arg, "valueTwo"));

			if (json_integer_value(json_object_get(arg, "index")) != index)
				continue;
			for (int by = -1; by <= 1; by++) {
				add_value(values, &n, (uint64_t)(value + by));
				add_value(values, &n, (uint64_t)(two + by));
			}
			add_value(values, &n, (uint64_t)value | 1ULL << 32);
			add_value(values, &n, (uint64_t)two | 0xabULL << 48);
			add_value(values, &n, ~(uint64_t)value);
		}
	}
	return n;
}

static void compare_arguments(struct comparison *c, int number)
{
	uint64_t values[SECCOMP_ARGS][VALUES_MAX];
	const char *name = seccomp_number_name(number, seccomp_native_arch);
	size_t n[SECCOMP_ARGS], total = 1;

	for (unsigned i = 0; i < SECCOMP_ARGS; i++) {
		n[i] = name ? edges(c->profile, name, i, values[i]) : 1;
		values[i][0] = 0;
		total *= n[i];
	}
	for (size_t at = 0; at < total; at++) {
		struct seccomp_data data = {.nr = number, .arch = seccomp_native_arch};
		size_t rest = at;

		for (unsigned i = 0; i < SECCOMP_ARGS; i++) {
			data.args[i] = values[i][rest % n[i]];
			rest /= n[i];
		}
		compare_one(c, &data);
	}
}

/* 32-bit programs: the calls without conditions. libseccomp adds rules for socketcall(2). */
static void compare_compat(struct comparison *c)
{
	for (int number = 0; number < NUMBERS; number++) {
		const char *name = seccomp_number_name(number, seccomp_compat_arch);
		const struct seccomp_data data = {.nr = number, .arch = seccomp_compat_arch};

		if (!name || str_equal(name, "socketcall") || str_equal(name, "ipc"))
			continue;
		if (c->host->multiarch)
			compare_one(c, &data);
		else
			cr_assert_eq(seccomp_run(&c->program, &data), SECCOMP_RET_KILL_PROCESS);
	}
}

static void compare_strangers(struct comparison *c)
{
	static const struct seccomp_data strangers[] = {
		{.nr = 0, .arch = AUDIT_ARCH_S390X},
		{.nr = 0, .arch = 0},
		{.nr = 0x40000000, .arch = AUDIT_ARCH_X86_64}, /* x32 */
		{.nr = 0x40000001, .arch = AUDIT_ARCH_X86_64},
	};

	for (size_t i = 0; i < ARRAY_SIZE(strangers); i++)
		if (strangers[i].arch != seccomp_native_arch ||
		    seccomp_native_arch == AUDIT_ARCH_X86_64)
			cr_expect_eq(seccomp_run(&c->program, &strangers[i]),
				     SECCOMP_RET_KILL_PROCESS, "stranger %zu", i);
}

/* JSON with " for '. */
char *oci_quoted(const char *text, struct arena *arena)
{
	char *copy = arena_dup(arena, text);

	cr_assert_not_null(copy);
	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	return copy;
}

void oci_compare(const char *text, const struct oci_host *host, bool may_contradict)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	const char *json = oci_quoted(text, &arena);
	struct oci_profile profile;
	struct oci_filter filter;
	struct comparison c = {.host = host, .may_contradict = may_contradict};
	json_t *root = json_loads(json, 0, NULL);
	struct sbx_err err;

	cr_assert_not_null(root);
	cr_assert_eq(oci_read(json, strlen(json), host, &arena, &profile, &err), 0, "%s: %s",
		     err.path, err.what);
	cr_assert_eq(oci_compile(&profile, &arena, &filter, &err), 0, "%s: %s", err.path, err.what);
	c.profile = root;
	c.program = (struct seccomp_program){filter.insns, filter.n_insns};
	for (int number = 0; number < NUMBERS; number++)
		compare_arguments(&c, number);
	if (seccomp_compat_arch)
		compare_compat(&c);
	compare_strangers(&c);
	cr_expect_gt(c.n_done, (size_t)NUMBERS);
	cr_expect_gt(c.n_matched, 10U);
	json_decref(root);
}

uint64_t oci_bit_of(const char *cap)
{
	return UINT64_C(1) << caps_from_name(cap);
}

/* Processors and capabilities that the rules of container engines are about. */
const struct oci_host *oci_engine_hosts(size_t *ret_n)
{
	static struct oci_host hosts[] = {
		{.kernel = {6, 1}},  {.kernel = {6, 1}, .multiarch = true},
		{.kernel = {4, 7}},  {.kernel = {4, 8}, .caps = UINT64_MAX >> 23},
		{.kernel = {6, 12}}, {.kernel = {6, 12}},
		{.kernel = {6, 12}}, {.kernel = {6, 12}},
	};

	hosts[4].caps = oci_bit_of("SYS_ADMIN");
	hosts[5].caps = oci_bit_of("SYS_CHROOT") | oci_bit_of("NET_ADMIN");
	hosts[6].caps = oci_bit_of("SYS_PTRACE") | oci_bit_of("SYSLOG");
	hosts[7].caps = oci_bit_of("SYS_NICE") | oci_bit_of("SYS_TIME");
	*ret_n = ARRAY_SIZE(hosts);
	return hosts;
}

void oci_compare_file(const char *path, bool may_contradict)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	char *text;
	size_t len, n;
	const struct oci_host *hosts = oci_engine_hosts(&n);

	skip_unless(access(path, R_OK) == 0, "the profile is not there");
	cr_assert_eq(io_read_file(path, OCI_MAX_BYTES, &arena, &text, &len), 0);
	for (size_t i = 0; i < n; i++)
		oci_compare(text, &hosts[i], may_contradict);
}
