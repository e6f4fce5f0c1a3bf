/* SPDX-License-Identifier: MIT */
/*
 * Fuzz the reader of seccomp profiles: what it accepts is made a filter, which must
 * be one, and the same again; what it refuses it must say why.
 */

#include <assert.h>
#include <string.h>

#include "fuzz.h"
#include "sbx/libexec/oci.h"
#include "sbx/seccomp/program.h"

static int make(const uint8_t *data, size_t size, const struct oci_host *host, struct arena *arena,
		struct oci_filter *ret)
{
	struct oci_profile profile = {.rules = NULL};
	struct sbx_err err;
	int r = oci_read((const char *)data, size, host, arena, &profile, &err);

	if (r == 0)
		r = oci_compile(&profile, arena, ret, &err);
	assert(r == 0 || err.what[0]);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct oci_host host = {
		.caps = UINT64_C(1) << 18, .multiarch = size % 2, .kernel = {6, 1}};
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct oci_filter first, second;

	if (make(data, size, &host, &arena, &first) < 0)
		return 0;
	assert(first.n_insns > 0 && first.n_insns <= SECCOMP_PROGRAM_MAX);
	assert(BPF_CLASS(first.insns[first.n_insns - 1].code) == BPF_RET);
	assert(make(data, size, &host, &arena, &second) == 0);
	assert(first.n_insns == second.n_insns);
	assert(memcmp(first.insns, second.insns, first.n_insns * sizeof(*first.insns)) == 0);
	return 0;
}
