/* SPDX-License-Identifier: MIT */
/*
 * spec_json: a spec as JSON, for `--explain=spec` and for tools that keep or
 * compare what was asked for. Reading it back is spec_read_json() in libexec.
 *
 * An object: "sbx-spec" is the version of the format, then the fields of
 * spec_fields[] by name, then the lists below. What has its default is left
 * out, the order is fixed, so equal specs are equal texts. Any process.
 */
#pragma once

#include "sbx/base/err.h"
#include "sbx/spec/spec.h"

enum { SPEC_JSON_VERSION = 1 };

/* Names of members, shared by writer and reader. */
#define SPEC_JSON_KEY_VERSION "sbx-spec"
#define SPEC_JSON_KEY_OPS "ops"
#define SPEC_JSON_KEY_ENV "env"
#define SPEC_JSON_KEY_CAPS "caps"
#define SPEC_JSON_KEY_SECCOMP_CHANGES "seccomp-changes"
#define SPEC_JSON_KEY_SECCOMP_FDS "seccomp-fds"
#define SPEC_JSON_KEY_BUS "dbus-rules"
#define SPEC_JSON_KEY_NET_RULES "net-rules"
#define SPEC_JSON_KEY_RLIMITS "rlimits"
#define SPEC_JSON_KEY_PUBLISHED "published"
#define SPEC_JSON_KEY_IO_MAX "io-max"
#define SPEC_JSON_KEY_HELPERS "helpers"
#define SPEC_JSON_KEY_PASS_FDS "pass-fds"
#define SPEC_JSON_KEY_COMMAND "command"

int spec_write_json(const struct sbx_spec *spec, int fd, struct sbx_err *err);
