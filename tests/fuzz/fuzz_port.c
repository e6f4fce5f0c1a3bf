/* SPDX-License-Identifier: MIT */
/*
 * Fuzz the words of --publish and sbx port rm, and slirp4netns's answers: a port that is read is
 * one, its text reads as the same again, and an answer is never read beyond its end.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "sbx/run/publish.h"
#include "sbx/spec/publish.h"

static void check_port(const struct plan_port *port)
{
	assert(port->count >= 1 && port->count <= PLAN_PORTS_MAX);
	assert(port->host == 0 || port->host + port->count - 1 <= 65535);
	assert(port->guest == 0 || port->guest + port->count - 1 <= 65535);
}

/* "A:H->G/tcp" as the words that mean it. */
static void check_again(const struct plan_port *port)
{
	char room[PUBLISH_TEXT_BYTES], words[PUBLISH_TEXT_BYTES];
	struct str_buf text = STR_BUF_ON_STACK(room);
	struct plan_port again;
	struct sbx_err err;
	const char *arrow;

	publish_put(&text, port);
	assert(!text.cut);
	arrow = strstr(text.data, "->");
	assert(arrow);
	snprintf(words, sizeof(words), "%.*s:%s",
		 (int)(port->host ? arrow - text.data : strcspn(text.data, ":") + 1), text.data,
		 arrow + 2);
	assert(publish_read(words, NULL, &again, &err) == 0);
	assert(memcmp(&again, port, sizeof(again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *exact = malloc(size ? size : 1), *text = malloc(size + 1);
	struct plan_port port;
	struct sbx_err err;
	int id = -2, r;

	assert(exact && text);
	memcpy(exact, data, size);
	r = publish_read_answer(exact, size, &id);
	assert(r == 0 ? id >= -1 : id == -2);
	memcpy(text, data, size);
	text[size] = '\0';
	if (publish_read(text, NULL, &port, &err) == 0) {
		assert(port.guest != 0 && !port.any_addr);
		check_port(&port);
		check_again(&port);
	}
	if (publish_read_host(text, NULL, &port, &err) == 0) {
		assert(port.host != 0);
		check_port(&port);
	}
	free(exact);
	free(text);
	return 0;
}
