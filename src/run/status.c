/* SPDX-License-Identifier: MIT */
/*
 * status: see status.h.
 *
 * Theory of operation
 *
 * What is told at the start is known when PID 1 has made its namespaces. It says so
 * (HANDSHAKE_HELLO) and waits: once it has hidden, its /proc entries are shut, and
 * whoever reads the message may want to do something to it before it goes on.
 *
 * The forms are bubblewrap's: --info-fd has one object over several lines and is closed
 * then, --json-status-fd an object a line: the same at the start, the exit code of a
 * command that has been executed at the end. In sbx's own mode there are four more: why no
 * limits are set (--limits=try), the ports that are published, the resources that were used,
 * and an error.
 *
 * A reader that has gone away is none of the command's business: SIGPIPE is ignored, and
 * only what cannot be written at the start is an error.
 */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/json.h"
#include "sbx/run/status.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/publish.h"

/* In the order in which bubblewrap tells them; it does not tell the user namespace. */
static const struct {
	uint64_t flag;
	const char *key, *file;
} status_namespaces[] = {
	{CLONE_NEWCGROUP, "cgroup-namespace", "cgroup"}, {CLONE_NEWIPC, "ipc-namespace", "ipc"},
	{CLONE_NEWNS, "mnt-namespace", "mnt"},		 {CLONE_NEWNET, "net-namespace", "net"},
	{CLONE_NEWPID, "pid-namespace", "pid"},		 {CLONE_NEWUTS, "uts-namespace", "uts"},
};

static int status_write(int fd, const struct str_buf *text)
{
	(void)signal(SIGPIPE, SIG_IGN);
	return io_write_all(fd, text->data, text->len);
}

/* `,` and what stands between two members, then the member. */
static void status_add(struct str_buf *out, const char *between, const char *key, uint64_t value)
{
	str_buf_printf(out, "%s\"%s\": %llu", between, key, (unsigned long long)value);
}

static int status_describe(const struct sbx_plan *plan, pid_t child, bool pretty,
			   struct str_buf *out, struct sbx_err *err)
{
	const char *between = pretty ? ",\n    " : ", ";

	str_buf_puts(out, pretty ? "{\n" : "{");
	status_add(out, pretty ? "    " : " ", "child-pid", (uint64_t)child);
	for (size_t i = 0; i < ARRAY_SIZE(status_namespaces); i++) {
		char path[64];
		struct stat st;

		if (!(plan->namespaces & status_namespaces[i].flag))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)child,
			       status_namespaces[i].file);
		if (stat(path, &st) < 0)
			return err_system(err, errno, path, "cannot tell the namespace");
		status_add(out, between, status_namespaces[i].key, st.st_ino);
	}
	str_buf_puts(out, pretty ? "\n}\n" : " }\n");
	return 0;
}

/**
 * Tell that the sandbox's namespaces are there.
 * @child: process 1 of the sandbox, or the command where there is none, in the caller's
 *         pid namespace; dumpable still, and held up
 *
 * Return: 0, or -errno with *err filled.
 */
int status_write_start(const struct sbx_plan *plan, pid_t child, struct sbx_err *err)
{
	const struct {
		int fd;
		bool pretty;
		enum hint_place place;
	} targets[] = {
		{plan->info_fd, true, HINT_INFO},
		{plan->json_status_fd, false, HINT_JSON_STATUS},
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(targets) && r == 0; i++) {
		char room[1024];
		struct str_buf text = STR_BUF_ON_STACK(room);

		if (targets[i].fd < 0)
			continue;
		r = status_describe(plan, child, targets[i].pretty, &text, err);
		if (r < 0)
			return r;
		r = status_write(targets[i].fd, &text);
		if (r == 0)
			continue;
		(void)err_system(err, -r, NULL, "cannot write to descriptor %d", targets[i].fd);
		hint_add(err, (int)targets[i].place);
	}
	if (plan->info_fd > STDERR_FILENO)
		close(plan->info_fd);
	return r;
}

/* One object on a line of its own. */
static void status_write_object(int fd, const char *key,
				void (*add)(struct json_out *json, const void *what),
				const void *what)
{
	char room[8192];
	struct sink sink = SINK_TO_FD(fd, room);
	struct json_out json = JSON_OUT(&sink);

	json.compact = true;
	(void)signal(SIGPIPE, SIG_IGN);
	json_open_object(&json, NULL);
	json_open_object(&json, key);
	add(&json, what);
	json_close(&json);
	json_close(&json);
	(void)json_finish(&json);
}

struct status_used {
	const struct stats *stats;
	const struct plan_limits *limits;
};

static void status_add_resources(struct json_out *json, const void *what)
{
	const struct status_used *used = what;
	char room[STATS_REACHED_MAX] = "";
	struct str_buf reached = STR_BUF_ON_STACK(room);

	stats_describe_limits(used->stats, used->limits, &reached);
	stats_add_json(json, used->stats, room);
}

/* A hint is broken into lines for a terminal, which is nothing to a program. */
static void status_add_hint(struct json_out *json, const char *hint)
{
	char text[sizeof(((struct sbx_err *)NULL)->hint)];
	size_t len = strnlen(hint, sizeof(text) - 1);

	memcpy(text, hint, len);
	text[len] = '\0';
	for (char *end = strchr(text, '\n'); end; end = strchr(end, '\n'))
		*end = ' ';
	json_add_string(json, "hint", text);
}

/* What went wrong: the members of an object that is open. */
void status_add_error(struct json_out *json, const struct sbx_err *failed)
{
	char room[sizeof(failed->what) + 128];
	struct str_buf message = STR_BUF_ON_STACK(room);

	err_describe(failed, &message);
	if (failed->option[0])
		json_add_string(json, "option", failed->option);
	if (failed->path[0])
		json_add_string(json, "path", failed->path);
	json_add_string(json, "message", message.data);
	if (failed->step) {
		json_add_uint(json, "step", failed->step);
		json_add_uint(json, "steps", failed->n_steps);
	}
	if (failed->trail[0])
		json_add_string(json, "while", failed->trail);
	if (failed->hint[0])
		status_add_hint(json, failed->hint);
}

static void status_add_failure(struct json_out *json, const void *what)
{
	const struct sbx_err *failed = what;

	status_add_error(json, failed);
	json_add_int(json, "exit-code", failed->exit_code);
}

/* Tell which ports lead into the sandbox, before the command begins. */
void status_write_ports(const struct sbx_plan *plan, const struct plan_port *ports, size_t n)
{
	char room[8192];
	struct sink sink = SINK_TO_FD(plan->json_status_fd, room);
	struct json_out json = JSON_OUT(&sink);

	if (plan->json_status_fd < 0 || plan->bwrap_words)
		return;
	json.compact = true;
	(void)signal(SIGPIPE, SIG_IGN);
	json_open_object(&json, NULL);
	publish_json(&json, "ports", ports, n);
	json_close(&json);
	(void)json_finish(&json);
}

static void status_add_no_limits(struct json_out *json, const void *what)
{
	status_add_error(json, what);
}

/* Tell that there are none of the limits that were asked for. @why: NULL: there are */
void status_write_no_limits(const struct sbx_plan *plan, const struct sbx_err *why)
{
	if (why && plan->json_status_fd >= 0)
		status_write_object(plan->json_status_fd, "no-limits", status_add_no_limits, why);
}

/* Tell with what the command has ended; in sbx's own mode, what all that ran has used. */
void status_write_exit(const struct sbx_plan *plan, const struct stats *stats, int exit_code)
{
	char room[64];
	struct str_buf text = STR_BUF_ON_STACK(room);
	const struct status_used used = {stats, &plan->limits};

	if (plan->json_status_fd < 0)
		return;
	if (!plan->bwrap_words)
		status_write_object(plan->json_status_fd, "resources", status_add_resources, &used);
	str_buf_printf(&text, "{ \"exit-code\": %d }\n", exit_code);
	(void)status_write(plan->json_status_fd, &text);
}

/* Tell what went wrong. */
void status_write_error(int fd, const struct sbx_err *failed)
{
	status_write_object(fd, "error", status_add_failure, failed);
}
