/* SPDX-License-Identifier: MIT */
/* env: the environment of the command. Runs in: the caller's process. */
#pragma once

#include "sbx/spec/probe.h"
#include "sbx/spec/spec.h"

int env_build(const struct sbx_spec *spec, const struct probe_host *host, struct arena *arena,
	      char ***ret_envp, size_t *ret_pwd_at, struct sbx_err *err);
const char *env_get(char *const *envp, const char *name);
