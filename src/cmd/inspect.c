/* SPDX-License-Identifier: MIT */
/*
 * inspect: `sbx inspect NAME...`: an array with an object for each: who it is, its
 * processes now, and the plan that it was made by, which its monitor writes out.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/dirs.h"
#include "sbx/base/io.h"
#include "sbx/base/json.h"
#include "sbx/box/freeze.h"
#include "sbx/box/procs.h"
#include "sbx/cmd/boxes.h"
#include "sbx/cmd/cmd.h"
#include "sbx/run/kept.h"
#include "sbx/spec/publish.h"

enum { INSPECT_PLAN_MAX = 16 << 20, INSPECT_COMMAND_MAX = 1 << 17 };

/* What /proc says of a process; one that has gone is left with its number. */
static void inspect_process(struct json_out *json, const char *key, pid_t pid, struct arena *arena)
{
	char path[64], state[2] = "", *text;
	uint64_t ticks = procs_start_ticks(pid, state);
	size_t len;

	json_open_object(json, key);
	json_add_int(json, "pid", pid);
	if (ticks)
		json_add_uint(json, "start-ticks", ticks);
	if (ticks)
		json_add_string(json, "state", state);
	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	if (!key && io_read_file(path, INSPECT_COMMAND_MAX, arena, &text, &len) == 0)
		boxes_json_command(json, text, len);
	json_close(json);
}

/* An object is begun only when nothing of it can fail any more. */
static int inspect_facts(struct json_out *json, const struct control_facts *facts,
			 struct arena *arena, struct sbx_err *err)
{
	struct procs procs = {.count = 0};
	struct freeze_look look;
	const char *cgroup;
	int r = boxes_find_procs(facts, arena, &procs, err);

	if (r < 0)
		return r;
	freeze_look(facts, &procs, arena, &look);
	json_open_object(json, NULL);
	json_add_string(json, "id", facts->id);
	json_add_string(json, "name", facts->name[0] ? facts->name : NULL);
	json_add_string(json, "status",
			facts->starting ? "starting"
			: look.frozen	? "paused"
					: "running");
	json_add_int(json, "created-ms", facts->created_ms);
	json_add_string(json, "network", boxes_network(facts));
	publish_json(json, "ports", facts->ports, (size_t)facts->n_ports);
	(void)freeze_has_own_cgroup(facts, arena, &cgroup);
	json_add_string(json, "cgroup", cgroup);
	if (look.has_memory)
		json_add_uint(json, "memory-bytes", look.memory_bytes);
	boxes_json_command(json, facts->command, facts->command_len);
	json_add_bool(json, "command-is-cut", facts->command_is_cut);
	inspect_process(json, "monitor", facts->monitor_pid, arena);
	inspect_process(json, "init", facts->init_pid, arena);
	json_open_array(json, "processes");
	for (size_t i = 0; i < procs.count; i++)
		inspect_process(json, NULL, procs.pids[i], arena);
	json_close(json);
	return 0;
}

static int inspect_one(const struct box *box, struct json_out *json, struct arena *arena,
		       struct sbx_err *err)
{
	int fds[CONTROL_FDS_MAX] = {-1, -1}, r;
	struct control_reply reply;
	char *plan = NULL;
	size_t len = 0;

	r = ask(box, CONTROL_INSPECT, 0, &reply, fds, err);
	if (r < 0)
		return r;
	/* It stands where its writer left it. */
	r = lseek(fds[0], 0, SEEK_SET) < 0
		    ? -errno
		    : io_read_all(fds[0], INSPECT_PLAN_MAX, arena, &plan, &len);
	control_close_fds(fds);
	if (r < 0 || len == 0)
		return err_system(err, r < 0 ? -r : EPROTO, box->label.id,
				  "cannot read the plan from its monitor");
	r = inspect_facts(json, &reply.facts, arena, err);
	if (r < 0)
		return r;
	json_add_raw(json, "plan", plan, len);
	json_close(json);
	return 0;
}

static const char *const inspect_ends[KEPT_END_COUNT_] = {
	[KEPT_LOST] = "lost",
	[KEPT_EXITED] = "exited",
	[KEPT_KILLED] = "killed",
	[KEPT_FAILED] = "failed",
};

/* One that has ended: as far as it was kept. */
static int inspect_kept(const struct box *box, struct json_out *json, struct arena *arena,
			struct sbx_err *err)
{
	_autoclose_ int dir_fd = dirs_open_own(box->dir);
	struct kept kept;
	char *plan = NULL;
	size_t len = 0;
	int r = box_read_kept(box, &kept, err);

	if (r < 0)
		return r;
	json_open_object(json, NULL);
	json_add_string(json, "id", kept.facts.id);
	json_add_string(json, "name", kept.facts.name[0] ? kept.facts.name : NULL);
	json_add_string(json, "status", inspect_ends[kept.end]);
	json_add_int(json, "created-ms", kept.facts.created_ms);
	if (kept.end != KEPT_LOST) {
		json_add_int(json, "ended-ms", kept.ended_ms);
		json_add_int(json, "exit-code", kept.exit_code);
	}
	json_add_string(json, "reason", kept.reason[0] ? kept.reason : NULL);
	if (kept.end != KEPT_LOST) {
		json_open_object(json, "resources");
		stats_add_json(json, &kept.used, kept.reached);
		json_close(json);
	}
	json_add_string(json, "network", boxes_network(&kept.facts));
	boxes_json_command(json, kept.facts.command, kept.facts.command_len);
	json_add_bool(json, "command-is-cut", kept.facts.command_is_cut);
	if (dir_fd >= 0 && kept_read_plan(dir_fd, &box->label, arena, &plan, &len) == 0)
		json_add_raw(json, "plan", plan, len);
	json_close(json);
	return 0;
}

/* One that has ended since it was found may have left a record. */
static int inspect_box(const struct box *box, struct json_out *json, struct arena *arena,
		       struct sbx_err *err)
{
	struct sbx_err none;
	struct kept kept;
	int r;

	if (box->ended)
		return inspect_kept(box, json, arena, err);
	r = inspect_one(box, json, arena, err);
	if (r == -ESRCH && box_read_kept(box, &kept, &none) == 0)
		return inspect_kept(box, json, arena, err);
	return r;
}

int cmd_inspect(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	char room[16384];
	struct sink sink = SINK_TO_FD(STDOUT_FILENO, room);
	struct json_out json = JSON_OUT(&sink);
	_autoboxes_ struct boxes boxes;
	struct cmd_words words;
	struct box_list list = {.n_boxes = 0};
	int r = boxes_begin(argc, argv, &boxes, &words, err), written;

	if (r == 0)
		r = boxes_choose(&boxes, &words, BOX_ANY, &list, err);
	if (r < 0)
		return r;
	json_open_array(&json, NULL);
	for (size_t i = 0; i < list.n_boxes && r == 0; i++)
		r = inspect_box(&list.boxes[i], &json, boxes.arena, err);
	/* What an error ends is whole JSON all the same. */
	json_close(&json);
	written = json_finish(&json);
	if (r == 0 && written < 0)
		return err_system(err, -written, "stdout", "cannot write");
	if (r == 0)
		*ret_exit_code = 0;
	return r;
}
