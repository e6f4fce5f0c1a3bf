/* SPDX-License-Identifier: MIT */
/*
 * sink: output of any length through room of a fixed size. With a descriptor
 * the room is written out whenever it is full; without one it is all there is.
 * Any process.
 */
#pragma once

#include "sbx/base/str.h"

struct sink {
	struct str_buf buf; /* room of the caller's; not yet written */
	int fd;		    /* borrowed; -1: everything stays in buf */
	int failed;	    /* what went wrong first, as -errno; 0: nothing */
};

#define SINK_TO_FD(target, room)                                                                   \
	{                                                                                          \
		.buf = STR_BUF_ON_STACK(room), .fd = (target)                                      \
	}
#define SINK_TO_MEMORY(room)                                                                       \
	{                                                                                          \
		.buf = STR_BUF_ON_STACK(room), .fd = -1                                            \
	}

void sink_write(struct sink *sink, const char *data, size_t len);
void sink_puts(struct sink *sink, const char *text);
int sink_finish(struct sink *sink);
