/* SPDX-License-Identifier: MIT */
/*
 * defs: the handful of macros every file may use. Clean-up attributes, array
 * sizes, taking a value out of a variable. Any process.
 */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

static inline void defs_cleanup_fd(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		close(*fd);
		errno = saved;
	}
}

static inline void defs_cleanup_free(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}

#define _autoclose_ __attribute__((cleanup(defs_cleanup_fd)))
#define _autofree_ __attribute__((cleanup(defs_cleanup_free)))

/* Hand a descriptor over: the variable forgets it, its clean-up does nothing. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define take_ptr(p)                                                                                \
	__extension__({                                                                            \
		__typeof__(p) _t = (p);                                                            \
		(p) = NULL;                                                                        \
		_t;                                                                                \
	})
