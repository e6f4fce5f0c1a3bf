/* SPDX-License-Identifier: MIT */
/*
 * borrow: a child in its parent's memory.
 *
 * Theory of operation
 *
 * fork(2) copies every page table and makes each page that was ever written to a
 * fault, in parent and child; where the hardware's memory is itself virtual that is a
 * tenth of a launch, for a child that only sets a few things and executes. vfork(2)
 * copies nothing, but its parent sleeps until the exec, whatever happens: a child that
 * Ctrl-Z stops in that moment would leave PID 1 unable to say so, and the job hanging.
 *
 * So it is clone(CLONE_VM), and the parent waits by its own will, for the end of a pipe
 * that only the child can write to: it closes when the child leaves this memory, by
 * execution or by its end. (CLONE_CHILD_CLEARTID and futex(2) would say so too, but
 * musl's clone() refuses that flag from 1.2.5 on.)
 *
 * Both have one errno. So as long as the child runs here, the parent makes no call that
 * may fail: it blocks all signals, and looks from time to time whether the child has
 * stopped instead of being interrupted by SIGCHLD, which comes when it goes on, too.
 *
 * The child's stack is the parent's own, further down, where earlier calls have been
 * and pages are there already.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "sbx/base/fd.h"
#include "sbx/run/borrow.h"

/* What the parent itself needs below its frame while it waits: a message, and what is below. */
enum { BORROW_GAP_BYTES = 24576 };

/* The child may begin when borrow_start() has returned. */
static struct borrow_entry {
	void (*main)(void *arg);
	void *arg;
	int not_its; /* the parent's end of the pipe; a caller may have few descriptors */
} borrow_entry;

static int borrow_child(void *data)
{
	const struct borrow_entry *entry = data;

	close(entry->not_its);
	entry->main(entry->arg);
	return 0;
}

/**
 * Start a child here.
 * @main:      does not return
 * @ret_fd:    a pipe that comes to its end when the child is out of this memory; until
 *             then all signals have to stay blocked
 * @ret_pidfd: of the child
 *
 * Return: its pid, or -1 and errno; the caller has to end then, for the child may be there.
 */
pid_t borrow_start(void (*main)(void *arg), void *arg, int *ret_fd, int *ret_pidfd)
{
	uintptr_t stack = (uintptr_t)__builtin_frame_address(0) - BORROW_GAP_BYTES;
	int fds[2], number;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	borrow_entry = (struct borrow_entry){main, arg, fds[0]};
	pid = clone(borrow_child, (void *)(stack & ~(uintptr_t)63),
		    CLONE_VM | CLONE_PIDFD | SIGCHLD, &borrow_entry, ret_pidfd);
	number = errno;
	/* Were it open still, the end would never come. */
	if (close(fds[1]) == 0 && pid > 0) {
		*ret_fd = fds[0];
		return pid;
	}
	number = pid < 0 ? number : errno;
	close(fds[0]);
	errno = number;
	return -1;
}
