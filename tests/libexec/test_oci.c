/* SPDX-License-Identifier: MIT */
/*
 * oci: profiles are read, their conditions decided, and filters made of them.
 *
 * The filters are made by libseccomp, so they are compared with something else: the
 * JSON itself, evaluated here rule by rule, with names from sbx's own table. No rules
 * of the profiles below contradict each other, and the evaluation checks that: what a
 * contradiction means is libseccomp's affair.
 */
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
#include "sbx/libexec/oci.h"
#include "sbx/seccomp/table.h"

/* Allow little, by capabilities and processors, as the files of container engines do. */
static const char allow_some[] =
	"{'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': 38,"
	" 'archMap': [{'architecture': 'SCMP_ARCH_X86_64',"
	"   'subArchitectures': ['SCMP_ARCH_X86', 'SCMP_ARCH_X32']},"
	"  {'architecture': 'SCMP_ARCH_AARCH64', 'subArchitectures': ['SCMP_ARCH_ARM']}],"
	" 'syscalls': ["
	"  {'names': ['read', 'write', 'openat', 'close', 'mmap', 'execve', 'exit_group',"
	"    'futex', 'no_such_call'], 'action': 'SCMP_ACT_ALLOW', 'args': [], 'comment': '',"
	"    'includes': {}, 'excludes': {}},"
	"  {'names': ['mount', 'umount2', 'setns'], 'action': 'SCMP_ACT_ALLOW',"
	"    'includes': {'caps': ['CAP_SYS_ADMIN']}},"
	"  {'names': ['mount', 'umount2', 'setns'], 'action': 'SCMP_ACT_ERRNO',"
	"    'errnoRet': 1, 'errno': 'EPERM', 'excludes': {'caps': ['CAP_SYS_ADMIN']}},"
	"  {'names': ['clone'], 'action': 'SCMP_ACT_ALLOW', 'args': [{'index': 0,"
	"    'value': 2114060288, 'valueTwo': 0, 'op': 'SCMP_CMP_MASKED_EQ'}],"
	"    'excludes': {'caps': ['CAP_SYS_ADMIN'], 'arches': ['s390x']}},"
	"  {'names': ['clone'], 'action': 'SCMP_ACT_ALLOW',"
	"    'includes': {'caps': ['CAP_SYS_ADMIN']}},"
	"  {'names': ['sync'], 'action': 'SCMP_ACT_ALLOW',"
	"    'includes': {'caps': ['CAP_SYS_ADMIN', 'CAP_SYS_CHROOT']}},"
	"  {'names': ['getuid'], 'action': 'SCMP_ACT_ALLOW',"
	"    'excludes': {'caps': ['CAP_SYS_ADMIN']}},"
	"  {'names': ['getgid'], 'action': 'SCMP_ACT_ALLOW',"
	"    'excludes': {'arches': ['amd64', 'arm64']}},"
	"  {'names': ['ptrace'], 'action': 'SCMP_ACT_ALLOW', 'includes': {'minKernel': '4.8'}},"
	"  {'names': ['kcmp'], 'action': 'SCMP_ACT_ALLOW', 'excludes': {'minKernel': '5.0'}},"
	"  {'names': ['syslog'], 'action': 'SCMP_ACT_ALLOW',"
	"    'includes': {'caps': ['CAP_FROM_TOMORROW']}},"
	"  {'names': ['fchdir'], 'action': 'SCMP_ACT_ALLOW',"
	"    'includes': {'arches': ['amd64', 'arm64']}},"
	"  {'names': ['chdir'], 'action': 'SCMP_ACT_ALLOW', 'includes': {'arches': ['s390x']}},"
	"  {'name': 'getpid', 'action': 'SCMP_ACT_ALLOW', 'includes': null},"
	"  {'names': ['personality'], 'action': 'SCMP_ACT_ALLOW',"
	"    'args': [{'index': 0, 'value': 0, 'op': 'SCMP_CMP_EQ'}]},"
	"  {'names': ['personality'], 'action': 'SCMP_ACT_ALLOW',"
	"    'args': [{'index': 0, 'value': 4294967295, 'op': 'SCMP_CMP_EQ'}]},"
	"  {'names': ['socket'], 'action': 'SCMP_ACT_ALLOW',"
	"    'args': [{'index': 0, 'value': 16, 'op': 'SCMP_CMP_NE'}]},"
	"  {'names': ['socket'], 'action': 'SCMP_ACT_ALLOW',"
	"    'args': [{'index': 2, 'value': 9, 'op': 'SCMP_CMP_NE'}]},"
	"  {'names': ['socket'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 22,"
	"    'args': [{'index': 0, 'value': 16, 'op': 'SCMP_CMP_EQ'},"
	"     {'index': 2, 'value': 9, 'op': 'SCMP_CMP_EQ'}]}]}";

/* Refuse little, with every action and every comparison. */
static const char refuse_some[] =
	"{'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_X86_64',"
	"  'SCMP_ARCH_X86', 'SCMP_ARCH_AARCH64', 'SCMP_ARCH_OF_TOMORROW'],"
	" 'flags': ['SECCOMP_FILTER_FLAG_LOG'], 'syscalls': ["
	"  {'names': ['mkdirat'], 'action': 'SCMP_ACT_ERRNO'},"
	"  {'names': ['symlinkat'], 'action': 'SCMP_ACT_ERRNO', 'errno': 'EDOM'},"
	"  {'names': ['ptrace'], 'action': 'SCMP_ACT_KILL'},"
	"  {'names': ['kcmp'], 'action': 'SCMP_ACT_KILL_THREAD'},"
	"  {'names': ['bpf'], 'action': 'SCMP_ACT_KILL_PROCESS'},"
	"  {'names': ['sync'], 'action': 'SCMP_ACT_TRAP'},"
	"  {'names': ['syncfs'], 'action': 'SCMP_ACT_TRACE', 'errnoRet': 7},"
	"  {'names': ['fsync'], 'action': 'SCMP_ACT_LOG'},"
	"  {'names': ['read'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 2,"
	"    'args': [{'index': 0, 'value': 5, 'op': 'SCMP_CMP_LT'}]},"
	"  {'names': ['write'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 3,"
	"    'args': [{'index': 2, 'value': 4294967296, 'op': 'SCMP_CMP_LE'}]},"
	"  {'names': ['lseek'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 4,"
	"    'args': [{'index': 1, 'value': 4294967295, 'op': 'SCMP_CMP_GT'}]},"
	"  {'names': ['ioctl'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 5,"
	"    'args': [{'index': 1, 'value': 65535, 'valueTwo': 21522,"
	"     'op': 'SCMP_CMP_MASKED_EQ'}]},"
	"  {'names': ['fcntl'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 6,"
	"    'args': [{'index': 1, 'value': 1024, 'op': 'SCMP_CMP_GE'},"
	"     {'index': 2, 'value': 0, 'op': 'SCMP_CMP_NE'},"
	"     {'index': 5, 'value': 77, 'op': 'SCMP_CMP_EQ'}]},"
	"  {'names': ['dup3'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 8,"
	"    'args': [{'index': 1, 'value': 3, 'op': 'SCMP_CMP_EQ'},"
	"     {'index': 1, 'value': 9, 'op': 'SCMP_CMP_EQ'}]}]}";

/* ---- the JSON, evaluated ---- */

Test(oci, filters_do_what_the_profile_says)
{
	const struct oci_host hosts[] = {
		{.kernel = {6, 1}},
		{.kernel = {4, 7}},
		{.kernel = {3, 10}, .caps = oci_bit_of("SYS_ADMIN")},
		{.kernel = {5, 0}, .caps = oci_bit_of("SYS_ADMIN") | oci_bit_of("SYS_CHROOT")},
		{.kernel = {4, 8}, .caps = UINT64_MAX >> 23, .multiarch = true},
		{.kernel = {10, 0}, .multiarch = true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		oci_compare(allow_some, &hosts[i], false);
		oci_compare(refuse_some, &hosts[i], false);
	}
}

/*
 * Debian's golang-github-containers-common has it, which ./bootstrap installs. It refuses
 * setns and some others by one rule and allows them by another.
 */
Test(oci, podmans_profile_does_what_it_says)
{
	oci_compare_file("/usr/share/containers/seccomp.json", true);
}

/*
 * As the newest files of container engines are written: families of sockets one by one, an
 * errno of the default's own, processors without others beside them, calls of tomorrow.
 */
Test(oci, many_rules_for_one_call)
{
	static const unsigned families[] = {13, 14, 16, 17, 18, 21, 24, 26, 29, 33, 36, 39, 41, 45};
	char text[4096];
	size_t n;
	const struct oci_host *hosts = oci_engine_hosts(&n);
	int at = snprintf(
		text, sizeof(text),
		"{'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': 1, 'archMap': ["
		"{'architecture': 'SCMP_ARCH_X86_64', 'subArchitectures': ['SCMP_ARCH_X86']},"
		"{'architecture': 'SCMP_ARCH_RISCV64', 'subArchitectures': null},"
		"{'architecture': 'SCMP_ARCH_LOONGARCH64', 'subArchitectures': null}],"
		"'syscalls': [{'names': ['read', 'write', 'close', 'execve', 'exit_group', 'brk',"
		"'mmap', 'openat', 'dup', 'dup3', 'fcntl', 'call_of_tomorrow'],"
		"'action': 'SCMP_ACT_ALLOW'}, {'names': ['ptrace'], 'action': 'SCMP_ACT_ALLOW',"
		"'includes': {'minKernel': '4.8'}}, {'names': ['clone3'], 'action':"
		"'SCMP_ACT_ERRNO', 'errnoRet': 38, 'excludes': {'caps': ['CAP_SYS_ADMIN']}},"
		"{'names': ['socket'], 'action': 'SCMP_ACT_ALLOW', 'args': [{'index': 0,"
		"'value': 12, 'op': 'SCMP_CMP_LT'}]}");

	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at,
			       ", {'names': ['socket'], 'action': 'SCMP_ACT_ALLOW', 'args': "
			       "[{'index': 0, 'value': %u, 'op': 'SCMP_CMP_EQ'}]}",
			       families[i]);
	cr_assert_lt(at, (int)sizeof(text) - 3);
	(void)snprintf(text + at, sizeof(text) - (size_t)at, "]}");
	for (size_t i = 0; i < n; i++)
		oci_compare(text, &hosts[i], false);
}

/* ---- remarks and mistakes ---- */

static bool has_remark(const struct oci_profile *profile, const char *words)
{
	for (size_t i = 0; i < profile->n_remarks; i++)
		if (strstr(profile->remarks[i], words))
			return true;
	return false;
}

Test(oci, what_is_left_out_is_told)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	const char *json = oci_quoted(allow_some, &arena);
	struct oci_host host = {.kernel = {6, 1}};
	struct oci_profile profile;
	struct oci_filter filter;
	struct sbx_err err;

	cr_assert_eq(oci_read(json, strlen(json), &host, &arena, &profile, &err), 0);
	cr_assert_eq(oci_compile(&profile, &arena, &filter, &err), 0);
	cr_expect(has_remark(&profile, "know them: no_such_call"));
	cr_expect(has_remark(&profile, "--multiarch"));
	json = oci_quoted(refuse_some, &arena);
	host.multiarch = true;
	cr_assert_eq(oci_read(json, strlen(json), &host, &arena, &profile, &err), 0);
	cr_expect(has_remark(&profile, "SECCOMP_FILTER_FLAG_LOG is not used"));
	cr_expect(!has_remark(&profile, "--multiarch"));
}

#define RULE(text) "{'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [" text "]}"
#define ARG(text) RULE("{'names': ['sync'], 'action': 'SCMP_ACT_LOG', 'args': [" text "]}")

Test(oci, mistakes_are_errors_that_say_where)
{
	static const struct {
		const char *text, *where, *what;
	} cases[] = {
		{"", "line 1", "not valid JSON"},
		{"{} {}", "line 1", "not valid JSON"},
		{"[]", "the profile", "must be an object"},
		{"{}", "defaultAction", "is missing"},
		{"{'defaultAction': 'ALLOW'}", "defaultAction", "must be one of"},
		{"{'defaultAction': 7}", "defaultAction", "must be a string"},
		{"{'defaultAction': 'SCMP_ACT_ALLOW', 'defaultAction': 'SCMP_ACT_LOG'}", "line 1",
		 "duplicate"},
		{"{'defaultAction': 'SCMP_ACT_ALLOW', 'defaultErrnoRet': 1}", "defaultAction",
		 "takes no errno"},
		{"{'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': 4096}", "defaultAction",
		 "above 4095"},
		{"{'defaultAction': 'SCMP_ACT_ALLOW', 'listenerPath': '/x'}", "listenerPath",
		 "listener"},
		{"{'defaultAction': 'SCMP_ACT_ALLOW', 'flags': ['X']}", "flags", "not known"},
		{"{'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['x86']}", "architectures",
		 "SCMP_ARCH_"},
		{"{'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_ARM'], "
		 "'archMap': []}",
		 "architectures", "does not go with"},
		{"{'defaultAction': 'SCMP_ACT_ALLOW', 'archMap': [{}]}", "archMap", "architecture"},
		{"{'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': {}}", "syscalls", "array"},
		{RULE("1"), "syscalls[0]", "must be an object"},
		{RULE("{'action': 'SCMP_ACT_LOG'}"), "syscalls[0]", "needs either"},
		{RULE("{'names': ['a'], 'name': 'a', 'action': 'SCMP_ACT_LOG'}"), "syscalls[0]",
		 "needs either"},
		{RULE("{'names': ['a']}"), "syscalls[0].action", "is missing"},
		{RULE("{'names': 'a', 'action': 'SCMP_ACT_LOG'}"), "syscalls[0].names", "array"},
		{RULE("{'names': [1], 'action': 'SCMP_ACT_LOG'}"), "syscalls[0].names", "string"},
		{RULE("{'names': ['a'], 'action': 'SCMP_ACT_NOTIFY'}"), "syscalls[0].action",
		 "sbx has none"},
		{RULE("{'names': ['a'], 'action': 'SCMP_ACT_ERRNO', 'errno': 'ENONSENSE'}"),
		 "syscalls[0].action", "does not exist"},
		{RULE("{'names': ['a'], 'action': 'SCMP_ACT_ERRNO', 'errno': 'EPERM', "
		      "'errnoRet': 2}"),
		 "syscalls[0].action", "by number"},
		{RULE("{'names': ['a'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': -1}"),
		 "syscalls[0].errnoRet", "not below 0"},
		{RULE("{'names': ['a'], 'action': 'SCMP_ACT_LOG', 'includes': {'os': 'x'}}"),
		 "syscalls[0].os", "not known"},
		{RULE("{'names': ['a'], 'action': 'SCMP_ACT_LOG', 'includes': {'minKernel': "
		      "'new'}}"),
		 "syscalls[0].minKernel", "version"},
		{ARG("{'index': 6, 'op': 'SCMP_CMP_EQ'}"), "syscalls[0].args", "0 to 5"},
		{ARG("{'op': 'SCMP_CMP_EQ'}"), "syscalls[0].args", "0 to 5"},
		{ARG("{'index': 0, 'op': 'EQ'}"), "syscalls[0].args", "needs an \"op\""},
		{ARG("{'index': 0}"), "syscalls[0].args", "needs an \"op\""},
		{ARG("{'index': 0, 'op': 'SCMP_CMP_EQ', 'value': '1'}"), "syscalls[0].value",
		 "whole number"},
		{"[[[[[[[[[[]]]]]]]]]]", "", "in each other"},
		{"{'ociVersion': '1.0.2', 'linux': {}}", "linux.seccomp", "no filter"},
		{"{'linux': {'seccomp': null}}", "linux.seccomp", "no filter"},
		{"{'linux': {'seccomp': {}}, 'defaultAction': 'SCMP_ACT_LOG'}", "linux",
		 "not known"},
	};
	const struct oci_host host = {.kernel = {6, 1}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autoarena_ struct arena arena = {.chunks = NULL};
		const char *json = oci_quoted(cases[i].text, &arena);
		struct oci_profile profile;
		struct sbx_err err;
		int r = oci_read(json, strlen(json), &host, &arena, &profile, &err);

		cr_expect_lt(r, 0, "taken: %s", json);
		if (r == 0)
			continue;
		cr_expect_eq(strncmp(err.path, cases[i].where, strlen(cases[i].where)), 0,
			     "%s: at %s", json, err.path);
		cr_expect(strstr(err.what, cases[i].what), "%s: %s", json, err.what);
	}
}

/* The whole of a container's configuration: the filter in it is the same. */
Test(oci, a_containers_configuration_has_a_profile_in_it)
{
	const struct oci_host host = {.kernel = {6, 1}};
	_autoarena_ struct arena arena = {.chunks = NULL};
	const char *alone = oci_quoted(refuse_some, &arena);
	const char *whole = arena_printf(
		&arena,
		"{\"ociVersion\": \"1.0.2\", \"process\": {\"args\": [\"sh\"]}, \"mounts\": [{}], "
		"\"linux\": {\"namespaces\": [{\"type\": \"pid\"}], \"seccomp\": %s}}",
		alone);
	struct oci_profile profiles[2];
	struct oci_filter filters[2];
	struct sbx_err err;

	cr_assert_eq(oci_read(alone, strlen(alone), &host, &arena, &profiles[0], &err), 0);
	cr_assert_eq(oci_read(whole, strlen(whole), &host, &arena, &profiles[1], &err), 0, "%s: %s",
		     err.path, err.what);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(oci_compile(&profiles[i], &arena, &filters[i], &err), 0);
	cr_assert_eq(filters[0].n_insns, filters[1].n_insns);
	cr_expect_eq(memcmp(filters[0].insns, filters[1].insns,
			    filters[0].n_insns * sizeof(*filters[0].insns)),
		     0);
}

/* libseccomp would take the first of them, and nobody would know. */
Test(oci, a_contradiction_is_an_error)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	const char *json = oci_quoted(
		RULE("{'names': ['sync'], 'action': 'SCMP_ACT_LOG', 'args': [{'index': 0, "
		     "'op': 'SCMP_CMP_EQ'}]}, {'names': ['sync'], 'action': 'SCMP_ACT_TRAP', "
		     "'args': [{'index': 0, 'op': 'SCMP_CMP_EQ'}]}"),
		&arena);
	const struct oci_host host = {.kernel = {6, 1}};
	struct oci_profile profile;
	struct oci_filter filter;
	struct sbx_err err;

	cr_assert_eq(oci_read(json, strlen(json), &host, &arena, &profile, &err), 0);
	cr_assert_eq(oci_compile(&profile, &arena, &filter, &err), -EEXIST);
	cr_expect_str_eq(err.path, "sync");
}

Test(oci, limits_are_kept)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	const struct oci_host host = {.kernel = {6, 1}};
	struct oci_profile profile;
	struct sbx_err err;
	char *large = arena_alloc(&arena, OCI_MAX_BYTES + 1);

	cr_assert_not_null(large);
	memset(large, ' ', OCI_MAX_BYTES + 1);
	cr_expect_eq(oci_read(large, OCI_MAX_BYTES + 1, &host, &arena, &profile, &err), -EFBIG);
	cr_expect_eq(oci_read(large, OCI_MAX_BYTES, &host, &arena, &profile, &err), -EINVAL);
}
