/* SPDX-License-Identifier: MIT */
/*
 * sink: collect output and write it in large pieces.
 *
 * A failure is remembered, not returned: writers of long texts would otherwise
 * check every word. After the first one nothing more is written, and
 * sink_finish() tells.
 */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "sbx/base/io.h"
#include "sbx/base/sink.h"

static void sink_flush(struct sink *sink)
{
	if (!sink->failed)
		sink->failed = io_write_all(sink->fd, sink->buf.data, sink->buf.len);
	sink->buf.len = 0;
	sink->buf.data[0] = '\0';
}

/* Append `len` bytes. */
void sink_write(struct sink *sink, const char *data, size_t len)
{
	assert(sink->buf.size > 1);

	while (sink->fd >= 0 && len > sink->buf.size - 1 - sink->buf.len) {
		size_t part = sink->buf.size - 1 - sink->buf.len;

		str_buf_write(&sink->buf, data, part);
		sink_flush(sink);
		data += part;
		len -= part;
	}
	str_buf_write(&sink->buf, data, len);
}

/* Append a string. */
void sink_puts(struct sink *sink, const char *text)
{
	sink_write(sink, text, strlen(text));
}

/**
 * Write what is left.
 *
 * Return: 0; the -errno of the first write that failed; without a descriptor
 * -ENOSPC if not everything found room.
 */
int sink_finish(struct sink *sink)
{
	if (sink->fd >= 0)
		sink_flush(sink);
	else if (!sink->failed && sink->buf.cut)
		sink->failed = -ENOSPC;
	return sink->failed;
}
