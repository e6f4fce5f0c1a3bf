/* SPDX-License-Identifier: MIT */
/* Fuzz the reader of a session's record: what it accepts is a place on the host and a time. */

#include <assert.h>
#include <string.h>

#include "fuzz.h"
#include "sbx/cow/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	char *text = arena_alloc(&arena, size + 1);
	struct cow_session session;
	struct sbx_err err;

	/* As io_read_all() gives it: the bytes, and a NUL that is not one of them. */
	assert(text);
	memcpy(text, data, size);
	text[size] = '\0';
	cow_session_init(&session);
	session.dir = "s";
	if (cow_session_parse(text, size, &arena, &session, &err) < 0)
		return 0;
	assert(session.n_roots > 0 && session.n_roots <= COW_ROOTS_MAX);
	for (size_t i = 0; i < session.n_roots; i++) {
		const struct cow_root *root = &session.roots[i];

		assert(root->path[0] == '/');
		assert(root->born.tv_sec >= 0);
		assert(root->born.tv_nsec >= 0 && root->born.tv_nsec < 1000000000);
		assert(root->has_birth || (root->born.tv_sec == 0 && root->born.tv_nsec == 0));
	}
	assert(session.began.tv_sec >= 0);
	assert(session.began.tv_nsec >= 0 && session.began.tv_nsec < 1000000000);
	assert(session.command);
	return 0;
}
