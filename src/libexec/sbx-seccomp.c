/* SPDX-License-Identifier: MIT */
/*
 * sbx-seccomp: a filter from a seccomp profile in JSON. sbx starts it for
 * --seccomp FILE, with the file as standard input, and reads the filter from its
 * standard output; by hand it makes one for `sbx --seccomp FD`:
 *
 *     sbx-seccomp <profile.json >filter.bpf
 *     sbx --seccomp 3 3<filter.bpf ... -- COMMAND
 *
 * A program of its own because the text may come from anybody, and the launch binary
 * parses no JSON. Once the text is in memory nothing else is needed, so before it is
 * looked at a filter of system calls leaves only memory, and writing what comes of it.
 *
 * Standard error: on success a remark per line, behind that of --libraries, by which sbx
 * knows whether what it has kept would come out the same; else what is wrong, and where.
 * Exit status: 0, 1 failed, 2 usage.
 */

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <jansson.h>
#include <seccomp.h>

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/libexec/oci.h"

static const char usage[] =
	"usage: sbx-seccomp [--caps HEX] [--multiarch] [--libraries] <PROFILE >FILTER\n"
	"\n"
	"Make a filter of system calls, as the kernel takes it, of a seccomp profile in JSON:\n"
	"that of the OCI's runtime specification, or Docker's and podman's seccomp.json.\n"
	"\n"
	"  --caps HEX   the capabilities that are kept, as in /proc/PID/status (none)\n"
	"  --multiarch  32-bit programs too, where the profile has them\n"
	"  --libraries  say, before all remarks, which libraries decided\n";

enum { MEMORY_MAX_BYTES = 256 << 20 };

/* Forget every way to do anything but compute. A sanitizer cannot live so. */
static int confine(struct sbx_err *err)
{
#ifndef SBX_SECCOMP_UNCONFINED
	static const int calls[] = {
		SCMP_SYS(read),	 SCMP_SYS(write),      SCMP_SYS(lseek),	     SCMP_SYS(close),
		SCMP_SYS(brk),	 SCMP_SYS(munmap),     SCMP_SYS(mremap),     SCMP_SYS(madvise),
		SCMP_SYS(futex), SCMP_SYS(exit_group), SCMP_SYS(getrandom),  SCMP_SYS(memfd_create),
		SCMP_SYS(mmap),	 SCMP_SYS(fstat),      SCMP_SYS(newfstatat),
	};
	const struct rlimit memory = {MEMORY_MAX_BYTES, MEMORY_MAX_BYTES};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_SIZE(calls) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	if (r == 0 && setrlimit(RLIMIT_AS, &memory) < 0)
		r = -errno;
	if (r == 0)
		r = seccomp_load(ctx); /* sets no_new_privs first */
	seccomp_release(ctx);
	if (r < 0)
		return err_refuse(err, -r, NULL, "cannot confine itself (%s)", strerror(-r));
#else
	(void)err;
#endif
	return 0;
}

static int read_kernel(struct oci_host *host, struct sbx_err *err)
{
	struct utsname name;

	if (uname(&name) < 0 ||
	    sscanf(name.release, "%5u.%5u", &host->kernel[0], &host->kernel[1]) != 2)
		return err_refuse(err, ENOSYS, NULL, "the kernel does not say its version");
	return 0;
}

static int convert(struct oci_host *host, struct arena *arena, struct oci_profile *profile,
		   struct sbx_err *err)
{
	struct oci_filter filter = {.insns = NULL};
	char *data = NULL;
	size_t len = 0;
	int r = io_read_all(STDIN_FILENO, OCI_MAX_BYTES, arena, &data, &len);

	if (r == -EFBIG)
		return err_refuse(err, EFBIG, NULL, "is larger than the 1 MiB of a profile");
	if (r < 0)
		return err_system(err, -r, NULL, "cannot be read");
	r = read_kernel(host, err);
	if (r == 0)
		r = confine(err);
	if (r == 0)
		r = oci_read(data, len, host, arena, profile, err);
	if (r == 0)
		r = oci_compile(profile, arena, &filter, err);
	if (r < 0)
		return r;
	r = io_write_all(STDOUT_FILENO, (const char *)filter.insns,
			 filter.n_insns * sizeof(*filter.insns));
	return r < 0 ? err_system(err, -r, NULL, "cannot write the filter") : 0;
}

/* Return: false where the words are none that there are. */
static bool parse(int argc, char **argv, struct oci_host *host, bool *ret_libraries)
{
	for (int i = 1; i < argc; i++) {
		if (str_equal(argv[i], "--multiarch"))
			host->multiarch = true;
		else if (str_equal(argv[i], "--libraries"))
			*ret_libraries = true;
		else if (!str_equal(argv[i], "--caps") || i + 1 == argc ||
			 str_parse_u64(argv[++i], 16, UINT64_MAX, &host->caps) < 0)
			return false;
	}
	return true;
}

/* One line: where, and what. */
static void tell(const char *where, const char *what)
{
	char room[2048];
	struct str_buf line = STR_BUF_ON_STACK(room);

	str_buf_escape(&line, where, strlen(where));
	str_buf_puts(&line, where[0] ? ": " : "");
	str_buf_escape(&line, what, strlen(what));
	str_buf_puts(&line, "\n");
	(void)io_write_all(STDERR_FILENO, line.data, line.len);
}

/*
 * The files that the libraries were loaded from: with others the filter may be another. A
 * program that is linked statically has none to name. Asked before the text is looked at.
 */
static void find_libraries(struct str_buf *line)
{
	void *const functions[] = {(void *)(uintptr_t)seccomp_init, (void *)(uintptr_t)json_loadb};

	str_buf_puts(line, "libraries:");
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		Dl_info info;

		if (dladdr(functions[i], &info) && info.dli_fname && info.dli_fname[0] == '/')
			str_buf_printf(line, " %s", info.dli_fname);
	}
	str_buf_puts(line, "\n");
}

int main(int argc, char **argv)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	struct oci_host host = {.caps = 0};
	struct oci_profile profile = {.rules = NULL};
	bool tells_libraries = false;
	char room[2048];
	struct str_buf libraries = STR_BUF_ON_STACK(room);
	struct sbx_err err;

	if (!parse(argc, argv, &host, &tells_libraries)) {
		(void)io_write_all(STDERR_FILENO, usage, strlen(usage));
		return 2;
	}
	find_libraries(&libraries);
	json_object_seed(0); /* chosen from /dev/urandom, which cannot be opened later */
	if (convert(&host, &arena, &profile, &err) < 0) {
		tell(err.path, err.what);
		return 1;
	}
	if (tells_libraries && !libraries.cut)
		(void)io_write_all(STDERR_FILENO, libraries.data, libraries.len);
	for (size_t i = 0; i < profile.n_remarks; i++)
		tell("", profile.remarks[i]);
	return 0;
}
