/* SPDX-License-Identifier: MIT */
/*
 * net: `sbx net create|ls|rm`: networks that sandboxes share, and that outlive them.
 *
 * Each is a process (run/holder.c), which all of this asks; the files tell only where it listens.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/dirs.h"
#include "sbx/base/fd.h"
#include "sbx/base/io.h"
#include "sbx/base/json.h"
#include "sbx/base/str.h"
#include "sbx/cmd/cmd.h"
#include "sbx/cmd/words.h"
#include "sbx/run/idmap.h"
#include "sbx/run/share.h"
#include "sbx/spec/probe.h"
#include "sbx/spec/records.h"
#include "sbx/spec/resolve.h"

extern char **environ;

enum { NET_NETWORKS_MAX = 4096 };

struct net_verb {
	char **argv;
	struct cmd_words words;
	struct arena *arena;
	struct json_out *json; /* NULL: for people */
	struct sbx_err silent; /* of the first network that does not answer */
	int silent_number;     /* 0: all do */
	const char *dirs[PLAN_RECORD_DIRS];
};

/* ---- create ---- */

/* @ret_again: that it fails by what --map=auto can do without */
static int net_create_with(struct net_verb *net, const char *text, enum spec_map map,
			   bool *ret_again, struct sbx_err *err)
{
	/* The verbs get the words behind the program's name, which stays part of the title. */
	const struct launch_caller caller = launch_note_caller(net->argv - 1, environ);
	struct probe_host host;
	struct sbx_plan plan;
	struct sbx_spec spec;
	int r;

	spec_init(&spec);
	plan_init(&plan);
	spec.net = text;
	spec.map = map;
	r = spec_add_arg(&spec, "true", err);
	if (r == 0)
		r = probe_host(&plan.arena, environ, true, &host, err);
	if (r == 0)
		r = resolve_plan(&spec, &host, &plan, err);
	if (r == 0)
		r = share_create(&plan, caller.title, err);
	*ret_again = r < 0 && plan.map_may_fall_back && idmap_is_to_blame(err);
	plan_finish(&plan);
	spec_finish(&spec);
	return r;
}

static int net_create(struct net_verb *net, const char *text, struct sbx_err *err)
{
	bool again;
	int r;

	if (str_equal(text, "none") || str_equal(text, "host") || str_equal(text, "user") ||
	    !net_is_shared(text))
		return err_usage(err, text, "is a word of --net, and no name for a network");
	r = net_create_with(net, text, SPEC_MAP_AUTO, &again, err);
	return again ? net_create_with(net, text, SPEC_MAP_SINGLE, &again, err) : r;
}

/* ---- those that are there ---- */

static int net_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in one directory, sorted. What killed ones have left is removed. */
static int net_list(struct net_verb *net, int dir_fd, const char **ret_names, size_t *ret_n)
{
	DIR *dir = fd_open_dir_again(dir_fd);
	const struct dirent *e;
	size_t n = 0;
	int r = 0;

	if (!dir)
		return -errno;
	while (r == 0 && n < NET_NETWORKS_MAX) {
		errno = 0;
		e = readdir(dir);
		if (!e) {
			r = -errno;
			break;
		}
		if (!share_sweep(dir_fd, e->d_name))
			continue;
		ret_names[n] = arena_dup(net->arena, e->d_name);
		r = ret_names[n++] ? 0 : -ENOMEM;
	}
	(void)closedir(dir);
	if (r == 0 && n > 0)
		qsort(ret_names, n, sizeof(*ret_names), net_compare);
	*ret_n = n;
	return r;
}

/* One that does not answer. @pid: 0: not known */
static void net_put_silent_json(struct json_out *json, const char *name, int pid)
{
	json_open_object(json, NULL);
	json_add_string(json, "name", name);
	if (pid > 0)
		json_add_int(json, "pid", pid);
	else
		json_add_string(json, "pid", NULL);
	json_add_string(json, "internet", NULL);
	json_add_string(json, "created", NULL);
	json_add_string(json, "members", NULL);
	json_close(json);
}

static void net_put_json(struct json_out *json, const char *name, const struct share_reply *reply,
			 const struct share_members *members)
{
	json_open_object(json, NULL);
	json_add_string(json, "name", name);
	json_add_int(json, "pid", reply->pid);
	json_add_bool(json, "internet", reply->internet);
	json_add_bool(json, "created", reply->created);
	json_open_array(json, "members");
	for (size_t i = 0; i < NET_MEMBERS_MAX && members->list[i].address; i++) {
		uint32_t a = members->list[i].address;
		char text[16];

		(void)snprintf(text, sizeof(text), "%u.%u.%u.%u", a >> 24, a >> 16 & 255,
			       a >> 8 & 255, a & 255);
		json_open_object(json, NULL);
		json_add_string(json, "name", members->list[i].name);
		json_add_string(json, "address", text);
		json_add_int(json, "pid", members->list[i].pid);
		json_close(json);
	}
	json_close(json);
	json_close(json);
}

static int net_write(const struct str_buf *text, struct sbx_err *err)
{
	int r = io_write_all(STDOUT_FILENO, text->data, text->len);

	return r < 0 ? err_system(err, -r, "stdout", "cannot write") : 0;
}

/* That one does not answer is an error of the verb, once the others are shown. */
static int net_show_silent(struct net_verb *net, const char *name, int pid, struct sbx_err *err)
{
	char room[256];
	struct str_buf line = STR_BUF_ON_STACK(room);

	if (net->silent_number == 0) {
		net->silent = *err;
		net->silent_number = -ETIMEDOUT;
	}
	if (net->json) {
		net_put_silent_json(net->json, name, pid);
		return 0;
	}
	if (net->words.value[CMD_OPT_QUIET])
		str_buf_printf(&line, "%s\n", name);
	else if (pid > 0)
		str_buf_printf(&line, "%-20s %7s  %-8s %-7s %7d\n", name, "?", "?", "?", pid);
	else
		str_buf_printf(&line, "%-20s %7s  %-8s %-7s %7s\n", name, "?", "?", "?", "?");
	return net_write(&line, err);
}

/* One that ends at that moment is not shown. */
static int net_show(struct net_verb *net, int dir_fd, const char *name, struct sbx_err *err)
{
	const struct share_request request = {.version = SHARE_VERSION, .type = SHARE_LOOK};
	char room[256];
	struct str_buf line = STR_BUF_ON_STACK(room);
	struct share_members members = {.list = {{.address = 0}}};
	struct share_reply reply;
	int r = share_ask(dir_fd, name, &request, &reply, &members, err);

	if (r == -ENOENT || r == -ECONNRESET)
		return 0;
	if (r == -ETIMEDOUT)
		return net_show_silent(net, name, reply.pid, err);
	if (r < 0)
		return r;
	if (net->json) {
		members.list[NET_MEMBERS_MAX - 1].name[LABEL_NAME_MAX] = '\0';
		net_put_json(net->json, name, &reply, &members);
		return 0;
	}
	if (net->words.value[CMD_OPT_QUIET])
		str_buf_printf(&line, "%s\n", name);
	else
		str_buf_printf(&line, "%-20s %7u  %-8s %-7s %7d\n", name, reply.n_members,
			       reply.internet ? "yes" : "no", reply.created ? "yes" : "no",
			       reply.pid);
	return net_write(&line, err);
}

static int net_show_dir(struct net_verb *net, const char *path, struct sbx_err *err)
{
	_autoclose_ int dir_fd = dirs_open_own(path);
	const char **names = arena_alloc(net->arena, NET_NETWORKS_MAX * sizeof(*names));
	size_t n = 0;
	int r;

	if (dir_fd == -ENOENT)
		return 0;
	if (dir_fd < 0)
		return err_system(err, -dir_fd, path, "cannot look for networks");
	if (!names)
		return err_oom(err);
	r = net_list(net, dir_fd, names, &n);
	if (r < 0)
		return err_system(err, -r, path, "cannot look for networks");
	for (size_t i = 0; i < n && r == 0; i++)
		r = net_show(net, dir_fd, names[i], err);
	return r;
}

static int net_ls(struct net_verb *net, struct sbx_err *err)
{
	char room[4096], line_room[128];
	struct sink sink = SINK_TO_FD(STDOUT_FILENO, room);
	struct str_buf head = STR_BUF_ON_STACK(line_room);
	struct json_out json = JSON_OUT(&sink);
	int r = 0, written;

	if (net->words.value[CMD_OPT_JSON]) {
		net->json = &json;
		json_open_array(&json, NULL);
	} else if (!net->words.value[CMD_OPT_QUIET]) {
		str_buf_printf(&head, "%-20s %7s  %-8s %-7s %7s\n", "NAME", "MEMBERS", "INTERNET",
			       "CREATED", "PID");
		r = net_write(&head, err);
	}
	for (size_t i = 0; i < PLAN_RECORD_DIRS && r == 0; i++)
		if (net->dirs[i])
			r = net_show_dir(net, net->dirs[i], err);
	if (r == 0 && net->silent_number < 0) {
		*err = net->silent;
		r = net->silent_number;
	}
	if (!net->json)
		return r;
	/* What an error ends is whole JSON all the same. */
	net->json = NULL;
	json_close(&json);
	written = json_finish(&json);
	return r == 0 && written < 0 ? err_system(err, -written, "stdout", "cannot write") : r;
}

/* ---- rm ---- */

static int net_rm(struct net_verb *net, const char *name, struct sbx_err *err)
{
	const struct share_request request = {.version = SHARE_VERSION,
					      .type = SHARE_REMOVE,
					      .number = net->words.value[CMD_OPT_FORCE] != NULL};
	struct share_reply reply;
	int r = -ENOENT;

	if (!label_name_is_good(name))
		return err_usage(err, name, "cannot be the name of a network");
	for (size_t i = 0; i < PLAN_RECORD_DIRS && r == -ENOENT; i++) {
		_autoclose_ int dir_fd = net->dirs[i] ? dirs_open_own(net->dirs[i]) : -1;

		if (dir_fd >= 0)
			r = share_ask(dir_fd, name, &request, &reply, NULL, err);
	}
	if (r == -ENOENT) {
		(void)err_refuse(err, ENOENT, name, "no network has this name");
		err_hint(err, "sbx net ls shows which there are");
	}
	return r;
}

/* ---- all of them ---- */

static int net_act(struct net_verb *net, struct sbx_err *err)
{
	const char *what = net->words.operands[0];
	int n = net->words.n_operands, r = 0;
	bool create = str_equal(what, "create");

	if (str_equal(what, "ls") && n == 1)
		return net_ls(net, err);
	if (!create && !str_equal(what, "rm"))
		return err_usage(err, what,
				 "sbx net takes create, ls or rm, and the networks behind it");
	if (n == 1)
		return err_usage(err, NULL, "sbx net %s needs the name of a network", what);
	for (int i = 1; i < n && r == 0; i++)
		r = create ? net_create(net, net->words.operands[i], err)
			   : net_rm(net, net->words.operands[i], err);
	return r;
}

int cmd_net(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	struct net_verb net = {.argv = argv};
	struct probe_host host;
	struct sbx_plan plan; /* no plan, but its arena */
	int r;

	plan_init(&plan);
	net.arena = &plan.arena;
	r = probe_host(net.arena, environ, false, &host, err);
	if (r == 0 && records_add_networks(&host, &plan, net.dirs) < 0)
		r = err_oom(err);
	if (r == 0)
		r = cmd_words_read(argc, argv, &net.words, err);
	if (r == 0)
		r = net_act(&net, err);
	if (r == 0)
		*ret_exit_code = 0;
	plan_finish(&plan);
	return r;
}
