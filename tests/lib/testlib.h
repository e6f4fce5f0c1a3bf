/* SPDX-License-Identifier: MIT */
/*
 * testlib: what every test may need. Children, throw-away directory trees,
 * programs that are run to their end, and programs that are talked to.
 *
 * A Criterion test body runs in a process with two threads, so it cannot enter
 * a user namespace; in_child() forks one that can. Nothing else here forks:
 * programs are started by posix_spawn().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/types.h>

#include <criterion/criterion.h>

#include "sbx/base/defs.h"

enum {
	TEST_TIMEOUT_MS = 30000, /* of every wait here, unless another is said */
	TEST_MAX_FDS = 4,
};

/* Children: fn's return value is the exit status. Returns it, or -n when signal n ended it. */
int in_child(int (*fn)(void *arg), void *arg);

/* Skip the test, with a reason; a failure where SBX_TEST_MUST_RUN is set. */
#define skip_unless(condition, why)                                                                \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			if (test_must_run())                                                       \
				cr_assert_fail("may not be skipped: %s", why);                     \
			cr_skip_test("%s", why);                                                   \
		}                                                                                  \
	} while (0)
bool test_must_run(void);

/* A deadline, in any unit, times $SBX_TEST_SLOW: for virtual machines, valgrind and the like. */
int test_deadline(int usual);

/*
 * A directory tree of its own, below $TMPDIR; removed when the test program
 * ends. Entries: "dir/", "link -> target", "file=content", "empty". Parents
 * are made; content that begins with "#!" makes the file executable. For an
 * empty tree say tmp_tree(NULL). Returns an O_PATH descriptor.
 */
#define tmp_tree(...) tree_make((const char *const[]){__VA_ARGS__, NULL})
int tree_make(const char *const *entries);
char *tree_path(int tree_fd, const char *name);
char *tree_read(int tree_fd, const char *name);
bool tree_exists(int tree_fd, const char *name);

/* Programs that run to their end. */
struct run_fd {
	int from; /* ours; borrowed */
	int to;	  /* the program's number for it; 0: end of the list */
};

struct run_options {
	const char *input;	/* its standard input, less than 64 KiB; NULL: empty */
	const char *cwd;	/* NULL: ours */
	const char *const *env; /* all of its environment, NULL-terminated; NULL: ours */
	struct run_fd fds[TEST_MAX_FDS + 1];
	int timeout_ms;		      /* 0: TEST_TIMEOUT_MS */
	bool open_input;	      /* session: standard input stays open for session_send() */
	bool pty;		      /* session: a terminal of its own, which controls it */
	unsigned short rows, columns; /* of that terminal; 0: 24 by 80 */
};

struct run_result {
	int status; /* the exit status; -n: ended by signal n */
	bool timed_out;
	char *out; /* owned, NUL-terminated */
	char *err; /* likewise; always empty with a pty */
	size_t out_len, err_len;
};

#define run_program(...) run_argv(NULL, (const char *const[]){__VA_ARGS__, NULL})
#define run_sbx(...) run_argv(NULL, (const char *const[]){sbx_program(), __VA_ARGS__, NULL})
#define run_sbx_with(options, ...)                                                                 \
	run_argv((options), (const char *const[]){sbx_program(), __VA_ARGS__, NULL})

struct run_result run_argv(const struct run_options *options, const char *const *argv);
void run_result_finish(struct run_result *result);
const char *sbx_program(void);

#define _autorun_ __attribute__((cleanup(run_result_finish), unused))

/* Programs that are talked to. */
struct session {
	pid_t pid;
	int pidfd;	  /* owned */
	int in, out, err; /* owned, or -1; with a pty `in` and `out` are its other end */
	int timeout_ms;
	size_t matched; /* how much of the output session_expect() has consumed */
	struct run_result result;
};

#define session_sbx(session, options, ...)                                                         \
	session_start((session), (options), (const char *const[]){sbx_program(), __VA_ARGS__, NULL})
void session_start(struct session *session, const struct run_options *options,
		   const char *const *argv);
void session_send(struct session *session, const char *text);
bool session_expect(struct session *session, const char *text);
void session_resize(struct session *session, unsigned short rows, unsigned short columns);
struct run_result session_finish(struct session *session);
void session_stop(struct session *session);

#define _autosession_ __attribute__((cleanup(session_stop)))

/* Wait until a condition holds; false: it did not within TEST_TIMEOUT_MS. */
bool wait_until(bool (*condition)(void *arg), void *arg);
