/* SPDX-License-Identifier: MIT */
/*
 * prefault: madvise(MADV_POPULATE_READ, MADV_POPULATE_WRITE), see madvise(2).
 *
 * A page fault costs half a microsecond on bare hardware, and twenty and more in a
 * virtual machine whose host is one itself, where one call for a hundred pages costs
 * no more than one fault. A new process begins without any of the program's pages
 * (fork(2) leaves out what the file can give), and each page of its stack is to be
 * copied.
 *
 * Only speed is lost where it fails: kernels before 5.14 do not know it.
 */

#include <stdint.h>
#include <sys/mman.h>

#include "sbx/base/prefault.h"

enum { PREFAULT_READ = 22, PREFAULT_WRITE = 23, PREFAULT_PAGE = 4096 };

/* From the linker: the program's first byte, and the first behind its text and constants. */
extern const char __executable_start[], __init_array_start[];

static void prefault(uintptr_t start, uintptr_t end, int advice)
{
	start &= ~(uintptr_t)(PREFAULT_PAGE - 1);
	end &= ~(uintptr_t)(PREFAULT_PAGE - 1);
	(void)madvise((void *)start, end - start, advice); // NOLINT(performance-no-int-to-ptr)
}

/* The text and the constants of this program. */
void prefault_program(void)
{
	prefault((uintptr_t)__executable_start, (uintptr_t)__init_array_start, PREFAULT_READ);
}

/* The stack around the caller's frame: what the process is going to use of it. */
void prefault_stack(size_t below, size_t above)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	prefault(here - below, here + above, PREFAULT_WRITE);
}
