/* SPDX-License-Identifier: MIT */
/*
 * sync: see sync.h.
 *
 * A file is on disk when fsync(2) says so, and most of the time that takes is the disk's flushing
 * of its own cache, for each file anew. Flushes that are asked for at the same time become one. So
 * the kernel is asked for all files, then waited for (io_submit(2), IOCB_CMD_FSYNC, Linux 4.18);
 * where it does that not, or not for a file, fsync(2) is called.
 */

#include <errno.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sbx/cow/sync.h"

static bool sync_is_ready(struct cow_sync *sync)
{
	aio_context_t context = 0;

	if (!sync->context && !sync->refused) {
		sync->refused = syscall(SYS_io_setup, COW_SYNC_MAX, &context) < 0;
		sync->context = sync->refused ? 0 : context;
	}
	return sync->context != 0;
}

void cow_sync_close(struct cow_sync *sync)
{
	if (sync->context)
		(void)syscall(SYS_io_destroy, sync->context);
	*sync = (struct cow_sync){0};
}

static int sync_one(int fd)
{
	return fsync(fd) < 0 ? -errno : 0;
}

/* Return: how many the kernel has begun with; the others are done. */
static size_t sync_begin(struct cow_sync *sync, struct iocb **calls, size_t n, int *ret_results)
{
	size_t begun = 0, at = 0;

	while (at < n) {
		long r = syscall(SYS_io_submit, sync->context, (long)(n - at), calls + at);

		if (r > 0) {
			begun += (size_t)r;
			at += (size_t)r;
		} else {
			ret_results[at] = sync_one((int)calls[at]->aio_fildes);
			at++;
		}
	}
	return begun;
}

/* Return: false where the kernel does not say what became of them. */
static bool sync_wait(struct cow_sync *sync, size_t begun, int *ret_results)
{
	struct io_event events[COW_SYNC_MAX];

	while (begun > 0) {
		long r = syscall(SYS_io_getevents, sync->context, 1L, (long)begun, events, NULL);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		for (long i = 0; i < r; i++)
			ret_results[events[i].data] = (int)events[i].res;
		begun -= (size_t)r;
	}
	return true;
}

/**
 * Write files to disk, with all that is known of them.
 * @n:           at most COW_SYNC_MAX
 * @ret_results: for each 0 or -errno
 */
void cow_sync_files(struct cow_sync *sync, const int *fds, size_t n, int *ret_results)
{
	struct iocb calls[COW_SYNC_MAX] = {0}, *pointers[COW_SYNC_MAX];

	for (size_t i = 0; i < n; i++) {
		calls[i].aio_data = i;
		calls[i].aio_lio_opcode = IOCB_CMD_FSYNC;
		calls[i].aio_fildes = (uint32_t)fds[i];
		pointers[i] = &calls[i];
	}
	if (n > 1 && sync_is_ready(sync)) {
		if (sync_wait(sync, sync_begin(sync, pointers, n, ret_results), ret_results))
			return;
		/* What was not told would be told of the next ones. */
		cow_sync_close(sync);
	}
	for (size_t i = 0; i < n; i++)
		ret_results[i] = sync_one(fds[i]);
}
