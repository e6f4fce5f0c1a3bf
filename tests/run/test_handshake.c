/* SPDX-License-Identifier: MIT */
/* Messages between monitor and PID 1: which may come when, whole or not at all. */

#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "testlib.h"

#include "sbx/run/handshake.h"

struct pair {
	int fds[2];
};

static void pair_open(struct pair *pair)
{
	cr_assert_eq(handshake_open(pair->fds), 0);
	cr_expect_eq(fcntl(pair->fds[0], F_GETFD), FD_CLOEXEC);
	cr_expect_eq(fcntl(pair->fds[1], F_GETFD), FD_CLOEXEC);
}

static void pair_close(struct pair *pair)
{
	close(pair->fds[0]);
	close(pair->fds[1]);
}

#define _autopair_ __attribute__((cleanup(pair_close)))

static bool has_fd(enum handshake_type type)
{
	return type == HANDSHAKE_LISTENER || type == HANDSHAKE_PTY || type == HANDSHAKE_BUS ||
	       type == HANDSHAKE_NET || type == HANDSHAKE_NET_RULES || type == HANDSHAKE_PAYLOAD ||
	       type == HANDSHAKE_LAYERS_READY || type == HANDSHAKE_FUSE_HELPER ||
	       type == HANDSHAKE_FUSE_MOUNT;
}

static int send_type(int fd, enum handshake_type type)
{
	struct sbx_err err;

	if (has_fd(type))
		return handshake_send_fd(fd, type, STDIN_FILENO);
	if (type != HANDSHAKE_FAILED)
		return handshake_send(fd, type, 15);
	(void)err_system(&err, EACCES, "/path", "cannot");
	return handshake_send_err(fd, &err);
}

Test(handshake, each_side_takes_only_what_may_come_now)
{
	static const bool allowed[HANDSHAKE_STATE_COUNT_][HANDSHAKE_TYPE_COUNT_] = {
		[HANDSHAKE_INIT_UNMAPPED] = {[HANDSHAKE_MAPPED] = true},
		[HANDSHAKE_INIT_HELLO] = {[HANDSHAKE_HELLO_KNOWN] = true,
					  [HANDSHAKE_SIGNAL] = true,
					  [HANDSHAKE_FOREGROUND] = true},
		[HANDSHAKE_INIT_BUS] = {[HANDSHAKE_BUS_READY] = true,
					[HANDSHAKE_SIGNAL] = true,
					[HANDSHAKE_FOREGROUND] = true},
		[HANDSHAKE_INIT_LAYERS] = {[HANDSHAKE_LAYERS_READY] = true,
					   [HANDSHAKE_SIGNAL] = true,
					   [HANDSHAKE_FOREGROUND] = true},
		[HANDSHAKE_INIT_NET] = {[HANDSHAKE_NET_READY] = true,
					[HANDSHAKE_SIGNAL] = true,
					[HANDSHAKE_FOREGROUND] = true},
		[HANDSHAKE_FUSE_MAKER] = {[HANDSHAKE_FAILED] = true,
					  [HANDSHAKE_FUSE_HELPER] = true,
					  [HANDSHAKE_FUSE_MOUNT] = true,
					  [HANDSHAKE_FUSE_LOOKS] = true},
		[HANDSHAKE_INIT_RUNNING] = {[HANDSHAKE_SIGNAL] = true,
					    [HANDSHAKE_STOP_KNOWN] = true,
					    [HANDSHAKE_WHO] = true,
					    [HANDSHAKE_FOREGROUND] = true},
		[HANDSHAKE_MONITOR] = {[HANDSHAKE_FAILED] = true,
				       [HANDSHAKE_STOPPED] = true,
				       [HANDSHAKE_CONTINUED] = true,
				       [HANDSHAKE_EXITED] = true,
				       [HANDSHAKE_HELLO] = true,
				       [HANDSHAKE_LISTENER] = true,
				       [HANDSHAKE_PTY] = true,
				       [HANDSHAKE_PAYLOAD] = true,
				       [HANDSHAKE_LAYERS] = true,
				       [HANDSHAKE_LAYERS_ALONE] = true,
				       [HANDSHAKE_LAYERS_DONE] = true,
				       [HANDSHAKE_NET] = true,
				       [HANDSHAKE_NET_RULES] = true,
				       [HANDSHAKE_BUS] = true},
	};

	for (int state = 0; state < HANDSHAKE_STATE_COUNT_; state++) {
		for (int type = 0; type < HANDSHAKE_TYPE_COUNT_; type++) {
			_autopair_ struct pair pair;
			struct handshake_msg msg;

			pair_open(&pair);
			cr_assert_eq(send_type(pair.fds[0], (enum handshake_type)type), 0);
			cr_expect_eq(handshake_receive(pair.fds[1], (enum handshake_state)state,
						       true, &msg),
				     allowed[state][type] ? 1 : -EPROTO, "%d in state %d", type,
				     state);
			if (allowed[state][type])
				cr_expect_eq(msg.type, (uint32_t)type);
			if (allowed[state][type] && has_fd((enum handshake_type)type)) {
				cr_expect_geq(msg.fd, 0);
				cr_expect_eq(fcntl(msg.fd, F_GETFD), FD_CLOEXEC);
				close(msg.fd);
			} else if (allowed[state][type] && type != HANDSHAKE_FAILED) {
				cr_expect_eq(msg.number, 15);
				cr_expect_eq(msg.fd, -1);
			}
		}
	}
}

Test(handshake, a_failure_arrives_whole)
{
	_autopair_ struct pair pair;
	struct handshake_msg msg;
	struct sbx_err err;

	pair_open(&pair);
	(void)err_system(&err, EACCES, "/path", "cannot open source");
	err_set_option(&err, "--bind /a /b");
	err_annotate(&err, "step %d of 2", 1);
	err_hint(&err, "do this");
	err.exit_code = 126;
	cr_assert_eq(handshake_send_err(pair.fds[0], &err), 0);
	cr_assert_eq(handshake_receive(pair.fds[1], HANDSHAKE_MONITOR, true, &msg), 1);
	cr_expect_eq(msg.err.number, EACCES);
	cr_expect_eq(msg.err.exit_code, 126);
	cr_expect_str_eq(msg.err.option, "--bind /a /b");
	cr_expect_str_eq(msg.err.path, "/path");
	cr_expect_str_eq(msg.err.what, "cannot open source");
	cr_expect_str_eq(msg.err.trail, "step 1 of 2");
	cr_expect_str_eq(msg.err.hint, "do this");
}

Test(handshake, messages_keep_their_order_and_borders)
{
	_autopair_ struct pair pair;
	struct handshake_msg msg;

	pair_open(&pair);
	for (int i = 1; i <= 5; i++)
		cr_assert_eq(handshake_send(pair.fds[0], HANDSHAKE_SIGNAL, i), 0);
	for (int i = 1; i <= 5; i++) {
		cr_assert_eq(handshake_receive(pair.fds[1], HANDSHAKE_INIT_RUNNING, false, &msg),
			     1);
		cr_expect_eq(msg.number, i);
	}
	cr_expect_eq(handshake_receive(pair.fds[1], HANDSHAKE_INIT_RUNNING, false, &msg), -EAGAIN);
}

static int lowest_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

Test(handshake, a_descriptor_comes_with_its_types_and_with_no_other)
{
	_autopair_ struct pair pair;
	struct handshake_msg msg;
	int free_fd;

	pair_open(&pair);
	free_fd = lowest_free_fd();
	cr_assert_eq(handshake_send_fd(pair.fds[0], HANDSHAKE_STOPPED, STDIN_FILENO), 0);
	cr_assert_eq(handshake_send(pair.fds[0], HANDSHAKE_PTY, 0), 0);
	for (int i = 0; i < 2; i++)
		cr_expect_eq(handshake_receive(pair.fds[1], HANDSHAKE_MONITOR, true, &msg),
			     -EPROTO);
	cr_expect_eq(lowest_free_fd(), free_fd, "nothing that was refused stays open");
}

Test(handshake, the_end_of_the_other_side_is_seen)
{
	_autopair_ struct pair pair;
	struct handshake_msg msg;

	pair_open(&pair);
	cr_assert_eq(handshake_send(pair.fds[0], HANDSHAKE_MAPPED, 0), 0);
	close(take_fd(&pair.fds[0]));
	cr_expect_eq(handshake_receive(pair.fds[1], HANDSHAKE_INIT_UNMAPPED, true, &msg), 1,
		     "what was sent before is not lost");
	cr_expect_eq(handshake_receive(pair.fds[1], HANDSHAKE_INIT_UNMAPPED, true, &msg), 0);
	cr_expect_eq(handshake_receive(pair.fds[1], HANDSHAKE_INIT_UNMAPPED, false, &msg), 0);
	/* And no SIGPIPE, which would end this test. */
	cr_expect_eq(handshake_send(pair.fds[1], HANDSHAKE_MAPPED, 0), -EPIPE);
}

Test(handshake, a_descriptor_comes_only_beside_its_message)
{
	_autopair_ struct pair pair;
	struct handshake_msg msg;
	char byte = 0;
	int ends[2];

	pair_open(&pair);
	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(handshake_send_fd(pair.fds[0], HANDSHAKE_LISTENER, ends[1]), 0);
	cr_assert_eq(handshake_receive(pair.fds[1], HANDSHAKE_MONITOR, true, &msg), 1);
	cr_expect_eq(msg.type, (uint32_t)HANDSHAKE_LISTENER);
	cr_assert_geq(msg.fd, 0);
	cr_expect_eq(fcntl(msg.fd, F_GETFD), FD_CLOEXEC);
	cr_expect_eq(write(msg.fd, "x", 1), 1);
	cr_expect_eq(read(ends[0], &byte, 1), 1);
	close(msg.fd);

	cr_assert_eq(handshake_send_fd(pair.fds[0], HANDSHAKE_STOPPED, ends[1]), 0);
	cr_expect_eq(handshake_receive(pair.fds[1], HANDSHAKE_MONITOR, true, &msg), -EPROTO);
	cr_assert_eq(handshake_send(pair.fds[0], HANDSHAKE_STOPPED, 1), 0);
	cr_expect_eq(handshake_receive(pair.fds[1], HANDSHAKE_MONITOR, true, &msg), 1);
	cr_expect_eq(msg.fd, -1);
	close(ends[0]);
	close(ends[1]);
}

Test(handshake, what_is_no_message_is_refused)
{
	struct handshake_msg whole = {.type = HANDSHAKE_FAILED};
	static const size_t lengths[] = {
		1, 4, 7, 8, 9, offsetof(struct handshake_msg, fd) - 1, sizeof(whole)};
	struct handshake_msg msg;

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		_autopair_ struct pair pair;

		pair_open(&pair);
		cr_assert_eq(send(pair.fds[0], &whole, lengths[i], 0), (ssize_t)lengths[i]);
		cr_expect_eq(handshake_receive(pair.fds[1], HANDSHAKE_MONITOR, true, &msg), -EPROTO,
			     "%zu bytes", lengths[i]);
	}
	for (uint32_t type = HANDSHAKE_TYPE_COUNT_; type; type = type < 1000 ? UINT32_MAX : 0) {
		_autopair_ struct pair pair;

		pair_open(&pair);
		whole.type = type;
		cr_assert_gt(send(pair.fds[0], &whole, offsetof(struct handshake_msg, fd), 0), 0);
		cr_expect_eq(handshake_receive(pair.fds[1], HANDSHAKE_MONITOR, true, &msg),
			     -EPROTO);
	}
}

static int leave_last_word(void *arg)
{
	struct sbx_err err;

	(void)err_system(&err, EACCES, "/path", "cannot");
	handshake_fail(-1, arg, &err);
	return 0;
}

Test(handshake, a_last_word_needs_no_call)
{
	struct handshake_last_word *word = NULL;
	struct sbx_err err;

	cr_assert_eq(handshake_open_last_word(&word), 0);
	cr_expect_not(handshake_hear_last_word(word, &err));
	cr_expect_not(handshake_hear_last_word(NULL, &err));
	cr_assert_eq(in_child(leave_last_word, word), 0);
	cr_assert(handshake_hear_last_word(word, &err));
	cr_expect_str_eq(err.path, "/path");
	cr_expect_eq(err.number, EACCES);
	handshake_close_last_word(word);
	handshake_close_last_word(NULL);
}
