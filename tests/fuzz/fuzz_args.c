/* SPDX-License-Identifier: MIT */
/* Fuzz the options that come from a descriptor: the input is what --args reads. */

#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "sbx/base/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("args", MFD_CLOEXEC); /* the parser closes it */
	char number[16];
	const char *argv[] = {"sbx", "--args", number, "--", "true", NULL};
	struct cli_run run;
	struct sbx_err err;

	assert(fd > STDERR_FILENO);
	assert(io_write_all(fd, (const char *)data, size) == 0);
	assert(lseek(fd, 0, SEEK_SET) == 0);
	(void)snprintf(number, sizeof(number), "%d", fd);

	cli_run_init(&run);
	if (cli_parse_run(5, (char *const *)(uintptr_t)argv, &run, &err) == 0 &&
	    run.spec.n_argv > 0)
		fuzz_check_round_trip(&run.spec);
	cli_run_finish(&run);
	assert(close(fd) < 0 && errno == EBADF);
	return 0;
}
