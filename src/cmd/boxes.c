/* SPDX-License-Identifier: MIT */
/*
 * boxes: see boxes.h.
 */

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/json.h"
#include "sbx/base/sys.h"
#include "sbx/cmd/boxes.h"
#include "sbx/run/signals.h"
#include "sbx/spec/probe.h"
#include "sbx/spec/publish.h"
#include "sbx/spec/records.h"

extern char **environ;

enum {
	BOXES_END_MS = 5000,
	BOXES_BATCH = 64, /* monitors that are told at once: two descriptors each */
};

/* Find out where records are. Return: 0, or -errno with *err filled. */
int boxes_init(struct boxes *boxes, struct sbx_err *err)
{
	struct probe_host host;
	int r;

	plan_init(&boxes->plan);
	boxes->arena = &boxes->plan.arena;
	boxes->dirs = boxes->plan.box_dirs;
	r = probe_host(boxes->arena, environ, false, &host, err);
	return r < 0 ? r : records_add_dirs(&host, &boxes->plan, err);
}

/* The same for a verb, with the words of its command line. */
int boxes_begin(int argc, char **argv, struct boxes *boxes, struct cmd_words *words,
		struct sbx_err *err)
{
	int r = boxes_init(boxes, err);

	*words = (struct cmd_words){.n_given = 0};
	return r < 0 ? r : cmd_words_read(argc, argv, words, err);
}

void boxes_finish(struct boxes *boxes)
{
	plan_finish(&boxes->plan);
}

/**
 * The sandboxes that a command line means: those named, or with --all every one. All
 * are found before anything is done to any.
 *
 * Return: 0, or -errno with *err filled.
 */
int boxes_choose(struct boxes *boxes, const struct cmd_words *words, enum box_kind kind,
		 struct box_list *ret_list, struct sbx_err *err)
{
	struct box_list list = {.n_boxes = (size_t)words->n_operands};

	if (words->value[CMD_OPT_ALL] && words->n_operands)
		return err_usage(err, words->operands[0],
				 "takes the place of --all, or the other "
				 "way round");
	if (words->value[CMD_OPT_ALL])
		return box_list(boxes->dirs, kind, boxes->arena, ret_list, err);
	if (words->n_operands == 0)
		return err_usage(err, NULL, "sbx %s needs the name or id of a sandbox, or --all",
				 words->verb->name);
	list.boxes = arena_alloc(boxes->arena, list.n_boxes * sizeof(*list.boxes));
	if (!list.boxes)
		return err_oom(err);
	for (size_t i = 0; i < list.n_boxes; i++) {
		int r = box_find(boxes->dirs, kind, boxes->arena, words->operands[i],
				 &list.boxes[i], err);

		if (r < 0)
			return r;
	}
	*ret_list = list;
	return 0;
}

/* Wait until the monitor has gone, and with it the sandbox. Return: false: not within the time. */
bool boxes_await_end(const struct ask *ask, int timeout_ms)
{
	struct pollfd pfd = {.fd = ask->pidfd, .events = POLLIN};

	return poll(&pfd, 1, timeout_ms) == 1;
}

/*
 * A sandbox that is stopped, as a job of a shell is, would hear of a signal only when it is
 * continued. So it is, but for a signal that is to stop it; a shell's kill does the same.
 */
static int boxes_send_signal(const struct box *box, int sig, struct ask *ask, struct sbx_err *err)
{
	enum control_type type = sig == SIGKILL ? CONTROL_END : CONTROL_SIGNAL;
	int r = ask_send(box, type, sig, ask, err);

	if (r == 0 && !signals_stop_a_process(sig) && sig != SIGSTOP && ask_is_stopped(ask))
		(void)sys_pidfd_send_signal(ask->pidfd, SIGCONT);
	return r;
}

static int boxes_conclude_signal(const struct box *box, int sig, const struct ask *ask,
				 struct sbx_err *err)
{
	int fds[CONTROL_FDS_MAX] = {-1, -1}, r;
	struct control_reply reply;

	r = ask_receive(ask, ASK_TIMEOUT_MS, &reply, fds, err);
	if (r == 0 && sig == SIGKILL && !boxes_await_end(ask, BOXES_END_MS))
		return err_refuse(err, ETIMEDOUT, box->label.id, "has not ended yet");
	return r;
}

/**
 * Send a signal to the command; SIGKILL ends the whole sandbox at once, and is waited for.
 *
 * Return: 0, or -errno with *err filled (-ESRCH: it has ended).
 */
int boxes_signal(const struct box *box, int sig, struct sbx_err *err)
{
	_autoask_ struct ask ask = ASK_NONE;
	int r = boxes_send_signal(box, sig, &ask, err);

	return r < 0 ? r : boxes_conclude_signal(box, sig, &ask, err);
}

/* Of `n` sandboxes. Return: the first failure, with *err filled; others are tried all the same. */
static int boxes_signal_batch(const struct box *boxes, size_t n, int sig, bool may_have_ended,
			      struct sbx_err *err)
{
	struct ask asks[BOXES_BATCH];
	int results[BOXES_BATCH], first = 0;
	struct sbx_err later;

	for (size_t i = 0; i < n; i++) {
		asks[i] = ASK_NONE;
		results[i] = boxes[i].ended ? 0
					    : boxes_send_signal(&boxes[i], sig, &asks[i],
								first < 0 ? &later : err);
		if (results[i] == -ESRCH && may_have_ended)
			results[i] = 0;
		first = first < 0 ? first : results[i];
	}
	for (size_t i = 0; i < n; i++) {
		int r = results[i];

		if (asks[i].sock_fd >= 0)
			r = boxes_conclude_signal(&boxes[i], sig, &asks[i],
						  first < 0 ? &later : err);
		if (r == -ESRCH && may_have_ended)
			r = 0;
		first = first < 0 ? first : r;
		ask_finish(&asks[i]);
	}
	return first;
}

/**
 * The same for many: all of a batch are told before any is waited for, and one that cannot
 * be told keeps no other from it.
 * @may_have_ended: then that is no failure
 *
 * Return: 0, or the first failure, -errno with *err filled.
 */
int boxes_signal_all(const struct box_list *list, int sig, bool may_have_ended, struct sbx_err *err)
{
	struct sbx_err later;
	int first = 0;

	for (size_t i = 0; i < list->n_boxes; i += BOXES_BATCH) {
		size_t left = list->n_boxes - i;
		int r = boxes_signal_batch(&list->boxes[i], left < BOXES_BATCH ? left : BOXES_BATCH,
					   sig, may_have_ended, first < 0 ? &later : err);

		first = first < 0 ? first : r;
	}
	return first;
}

/* The processes of one sandbox. Return: 0, or -errno with *err filled. */
int boxes_find_procs(const struct control_facts *facts, struct arena *arena,
		     struct procs *ret_procs, struct sbx_err *err)
{
	struct procs_all all = {.count = 0};
	int r = procs_look(arena, &all);

	if (r == 0)
		r = procs_of(&all, facts->init_pid, facts->own_pids, arena, ret_procs);
	return r < 0 ? err_system(err, -r, "/proc", "cannot look at the processes") : 0;
}

/* Does a word need quotes to be read as one? */
static bool boxes_is_plain(const char *word)
{
	return *word && word[strcspn(word, " \t\n\"'\\$`;&|<>()*?[]#~!{}")] == '\0';
}

/* A command line on one line, with whatever is in it made harmless. */
void boxes_add_command(struct str_buf *out, const char *words, size_t len, bool is_cut)
{
	for (const char *word = words; word < words + len; word += strlen(word) + 1) {
		bool plain = boxes_is_plain(word);

		str_buf_puts(out, word > words ? " " : "");
		str_buf_puts(out, plain ? "" : "'");
		str_buf_escape(out, word, strlen(word));
		str_buf_puts(out, plain ? "" : "'");
	}
	str_buf_puts(out, is_cut ? " ..." : "");
}

/* As --net has it. */
const char *boxes_network(const struct control_facts *facts)
{
	switch ((enum control_network)facts->network) {
	case CONTROL_NETWORK_HOST:
		break;
	case CONTROL_NETWORK_NONE:
		return "none";
	case CONTROL_NETWORK_USER:
		return "user";
	case CONTROL_NETWORK_SHARED:
		return "shared";
	case CONTROL_NETWORK_FD:
		return "fd";
	}
	return "host";
}

/* What is published, as docker ps has it. */
void boxes_add_ports(struct str_buf *out, const struct control_facts *facts)
{
	for (int i = 0; i < facts->n_ports; i++) {
		str_buf_puts(out, i ? ", " : "");
		publish_put(out, &facts->ports[i]);
	}
}

/* The same as an array, whole words only. */
void boxes_json_command(struct json_out *json, const char *words, size_t len)
{
	json_open_array(json, "command");
	for (const char *word = words; word < words + len; word += strlen(word) + 1)
		json_add_string(json, NULL, word);
	json_close(json);
}

int boxes_write(const struct str_buf *text, struct sbx_err *err)
{
	int r = io_write_all(STDOUT_FILENO, text->data, text->len);

	return r < 0 ? err_system(err, -r, "stdout", "cannot write") : 0;
}
