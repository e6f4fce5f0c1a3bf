/* SPDX-License-Identifier: MIT */
/*
 * version: `sbx version` and `sbx --version`. The first line is for scripts and
 * stays as it is; the second says how this binary was built.
 */

#include <limits.h> /* any header of the C library: it says which one this is */
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/cmd/cmd.h"
#include "sbx_config.h"

#ifdef __GLIBC__
#define VERSION_LIBC "glibc"
#else
#define VERSION_LIBC "musl" /* it defines no macro of its own, on purpose */
#endif

#ifdef __has_feature
#define VERSION_HAS_FEATURE(x) __has_feature(x)
#else
#define VERSION_HAS_FEATURE(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || VERSION_HAS_FEATURE(address_sanitizer)
#define VERSION_ASAN true
#else
#define VERSION_ASAN false
#endif

static const struct version_feature {
	const char *name;
	bool present;
} version_features[] = {
	{"STATIC", SBX_STATIC},
	{"ASAN", VERSION_ASAN},
};

int cmd_version(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	char room[512];
	struct str_buf out = STR_BUF_ON_STACK(room);
	int r;

	if (argc > 1)
		return err_usage(err, argv[1], "sbx version takes no arguments");
	str_buf_puts(&out, "sbx " SBX_VERSION "\n");
	for (size_t i = 0; i < ARRAY_SIZE(version_features); i++)
		str_buf_printf(&out, "%c%s ", version_features[i].present ? '+' : '-',
			       version_features[i].name);
	str_buf_puts(&out, "libc:" VERSION_LIBC "\n");

	r = io_write_all(STDOUT_FILENO, out.data, out.len);
	if (r < 0)
		return err_system(err, -r, "stdout", "cannot write");
	*ret_exit_code = 0;
	return 0;
}
