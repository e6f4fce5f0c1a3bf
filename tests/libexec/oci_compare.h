/* SPDX-License-Identifier: MIT */
/* oci_compare: what a profile's filter does, beside what the profile says. For tests only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sbx/base/arena.h"
#include "sbx/libexec/oci.h"

const struct oci_host *oci_engine_hosts(size_t *ret_n);
char *oci_quoted(const char *text, struct arena *arena);
uint64_t oci_bit_of(const char *cap);
void oci_compare(const char *text, const struct oci_host *host, bool may_contradict);
void oci_compare_file(const char *path, bool may_contradict);
