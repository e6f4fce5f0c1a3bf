/* SPDX-License-Identifier: MIT */
/*
 * Fuzz the reader of --env-file: whatever the file says, the environment is one
 * that a program can be given, every name in it once.
 */

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/spec/env.h"

/* [0] is the room for PWD, see struct sbx_plan. */
static void check_environment(char **envp)
{
	assert(envp[0] && envp[0][0] == '\0');
	for (size_t i = 1; envp[i]; i++) {
		size_t len = strcspn(envp[i], "=");

		assert(len > 0 && envp[i][len] == '=');
		assert(!strchr(envp[i], '\n'));
		assert(!str_starts_with(envp[i], "PWD="));
		for (size_t k = 1; k < i; k++)
			assert(strncmp(envp[k], envp[i], len + 1) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const caller[] = {"LANG=C", "TOKEN=x", "PWD=/", "HOME=/h", NULL};
	_autoarena_ struct arena arena = {.chunks = NULL};
	_autoclose_ int fd = memfd_create("env", MFD_CLOEXEC);
	struct probe_host host = {
		.arena = &arena,
		.environ_ = (char *const *)(uintptr_t)caller,
	};
	char path[64], **envp = NULL;
	size_t pwd_at = 0;
	struct spec_env file = {.kind = SPEC_ENV_FILE, .value = path};
	struct sbx_spec spec;
	struct sbx_err err;

	assert(fd >= 0);
	assert(io_write_all(fd, (const char *)data, size) == 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);

	spec_init(&spec);
	assert(spec_add_env(&spec, &file, &err) == 0);
	if (env_build(&spec, &host, &arena, &envp, &pwd_at, &err) == 0)
		check_environment(envp);
	spec_finish(&spec);
	return 0;
}
