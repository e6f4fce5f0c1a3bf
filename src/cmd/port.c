/* SPDX-License-Identifier: MIT */
/*
 * port: `sbx port add|rm|list NAME [PORT...]`: ports of the host that lead into a running
 * sandbox. Its monitor does it, which alone can speak to slirp4netns.
 *
 * What is printed is what docker port prints: a line for each, "80/tcp -> 127.0.0.1:8080".
 */

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sbx/base/json.h"
#include "sbx/base/proc.h"
#include "sbx/cmd/boxes.h"
#include "sbx/cmd/cmd.h"
#include "sbx/spec/publish.h"

/*
 * Of many ports each takes its moment, and the monitor has other things to do. It knows for itself
 * when one takes too long (PUBLISH_SILENT_MS), and says so; here is more time than all could take.
 * It changes the ports of one request at a time: who comes meanwhile asks again for a while.
 */
enum { PORT_TIMEOUT_MS = 600 * 1000, PORT_BUSY_MS = 60 * 1000, PORT_PAUSE_MS = 20 };

struct port_words {
	struct boxes boxes;
	struct cmd_words words;
	struct box box;
	char **ports; /* NULL behind the last */
};

/* ---- what is printed ---- */

static void port_put_line(struct str_buf *out, const struct plan_port *run, unsigned index)
{
	struct plan_port one = *run;
	char room[PUBLISH_TEXT_BYTES];
	struct str_buf host = STR_BUF_ON_STACK(room);

	one.count = 1;
	one.host = (uint16_t)(run->host + index);
	publish_put_host(&host, &one);
	host.data[strcspn(host.data, "/")] = '\0';
	str_buf_printf(out, "%u/%s -> %s\n", run->guest + index, run->udp ? "udp" : "tcp",
		       host.data);
}

static int port_print(const struct control_facts *facts, bool as_json, struct sbx_err *err)
{
	char room[4096];
	struct sink sink = SINK_TO_FD(STDOUT_FILENO, room);
	struct json_out json = JSON_OUT(&sink);
	int r;

	if (as_json)
		publish_json(&json, NULL, facts->ports, (size_t)facts->n_ports);
	for (int i = 0; !as_json && i < facts->n_ports; i++) {
		for (unsigned k = 0; k < facts->ports[i].count; k++) {
			char line_room[2 * PUBLISH_TEXT_BYTES];
			struct str_buf line = STR_BUF_ON_STACK(line_room);

			port_put_line(&line, &facts->ports[i], k);
			sink_write(&sink, line.data, line.len);
		}
	}
	r = as_json ? json_finish(&json) : sink_finish(&sink);
	return r < 0 ? err_system(err, -r, "stdout", "cannot write") : 0;
}

/* ---- what is refused ---- */

static const char *port_box_name(const struct box *box)
{
	return box->label.name[0] ? box->label.name : box->label.id;
}

/* What the monitor says that is no port's fault. Return: -errno with *err filled; 0: it is. */
static int port_refuse(const struct box *box, int number, struct sbx_err *err)
{
	static const struct {
		int number;
		const char *what, *hint;
	} reasons[] = {
		{EOPNOTSUPP, "this sandbox has no network that ports can be published from",
		 "start it with --net=user"},
		{ENETDOWN, "the network of this sandbox is gone: its slirp4netns has ended", NULL},
		{EAGAIN, "this sandbox is still being started", "try again"},
		{EBUSY, "ports of this sandbox are being changed by somebody else", "try again"},
		{E2BIG, "so many ports cannot be published of one sandbox",
		 "there is room for 1000 ports, in 64 ranges"},
		{EPROTONOSUPPORT, "this sandbox was started without a published UDP port",
		 "only with one can datagrams be answered; start it with -p HOSTPORT:PORT/udp (0 "
		 "for\nHOSTPORT will do)"},
		{EPROTOTYPE, "a UDP port can be added on the host's loopback only",
		 "start the sandbox with -p ADDR:HOSTPORT:PORT/udp"},
		{ENOTUNIQ, "another UDP port of the host leads to that of the sandbox already",
		 "slirp4netns can answer by one only; remove that first (sbx port rm)"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		int r;

		if (reasons[i].number != number)
			continue;
		r = err_refuse(err, number, port_box_name(box), "%s", reasons[i].what);
		if (reasons[i].hint)
			err_hint(err, "%s", reasons[i].hint);
		return r;
	}
	return 0;
}

static int port_refuse_missing(const struct box *box, const struct plan_port *port,
			       struct sbx_err *err)
{
	char room[PUBLISH_TEXT_BYTES];
	struct str_buf text = STR_BUF_ON_STACK(room);
	int r;

	publish_put_host(&text, port);
	r = err_refuse(err, ENOENT, text.data, "this sandbox has no such port published");
	err_hint(err, "sbx port list %s shows those that it has", port_box_name(box));
	return r;
}

/* @port: the one that is there */
static int port_refuse_own(const struct box *box, const struct plan_port *port, struct sbx_err *err)
{
	char room[PUBLISH_TEXT_BYTES];
	struct str_buf text = STR_BUF_ON_STACK(room);
	int r;

	publish_put_host(&text, port);
	r = err_refuse(err, EEXIST, text.data, "leads to port %u of this sandbox already",
		       port->guest);
	err_hint(err, "choose another HOSTPORT, or remove that first: sbx port rm %s %s",
		 port_box_name(box), text.data);
	return r;
}

/* In time, or to somebody before, so that it has not been asked. */
static int port_refuse_silent(const struct box *box, enum control_type type,
			      const struct control_reply *reply, struct sbx_err *err)
{
	const char *then = reply->result == -EALREADY
				   ? "it still owes an answer to a request before; try again then"
			   : type == CONTROL_PORT_ADD
				   ? "what it publishes too late is removed again at once"
				   : "what was to be removed is removed when it does";
	pid_t helper = reply->port_helper;
	char room[64];
	struct str_buf how = STR_BUF_ON_STACK(room);
	bool stopped = proc_is_stopped(helper);
	int r;

	if (stopped)
		str_buf_puts(&how, "is stopped");
	else
		str_buf_printf(&how, "has not answered within %d seconds",
			       PUBLISH_SILENT_MS / 1000);
	r = err_refuse(err, ETIMEDOUT, port_box_name(box),
		       "slirp4netns, which publishes the ports of this sandbox as process %d, %s",
		       helper, how.data);
	if (stopped)
		err_hint(err, "let it go on: kill -CONT %d; %s", helper, then);
	else
		err_hint(err, "%s", then);
	return r;
}

/* ---- the request ---- */

static int port_ask_once(const struct box *box, enum control_type type,
			 const struct plan_port *port, struct control_reply *ret_reply,
			 struct sbx_err *err)
{
	int fds[CONTROL_FDS_MAX] = {-1, -1}, r;
	_autoask_ struct ask ask = ASK_NONE;

	*ret_reply = (struct control_reply){.result = 0};
	r = ask_send_port(box, type, port, &ask, err);
	return r < 0 ? r : ask_receive(&ask, PORT_TIMEOUT_MS, ret_reply, fds, err);
}

/* While somebody else has ports of the sandbox changed, that is waited for. */
static int port_ask(const struct box *box, enum control_type type, const struct plan_port *port,
		    struct control_reply *ret_reply, struct sbx_err *err)
{
	const struct timespec pause = {.tv_nsec = PORT_PAUSE_MS * 1000000L};
	int r = port_ask_once(box, type, port, ret_reply, err);

	for (int waited_ms = 0; ret_reply->result == -EBUSY && waited_ms < PORT_BUSY_MS;
	     waited_ms += PORT_PAUSE_MS) {
		(void)nanosleep(&pause, NULL);
		r = port_ask_once(box, type, port, ret_reply, err);
	}
	return r;
}

static int port_change(const struct box *box, enum control_type type, const struct plan_port *port,
		       struct control_facts *ret_facts, struct sbx_err *err)
{
	struct control_reply reply;
	int r = port_ask(box, type, port, &reply, err);

	*ret_facts = reply.facts;
	if (r == 0 || reply.result == 0)
		return r;
	if (reply.result == -ETIMEDOUT || reply.result == -EALREADY)
		return port_refuse_silent(box, type, &reply, err);
	if (reply.result == -EEXIST)
		return port_refuse_own(box, &reply.port, err);
	r = port_refuse(box, -reply.result, err);
	if (r < 0)
		return r;
	if (reply.result == -ENOENT)
		return port_refuse_missing(box, &reply.port, err);
	return publish_refuse(&reply.port, reply.result == PUBLISH_UNKNOWN ? 0 : -reply.result,
			      err);
}

/* All are read before one is changed. */
static int port_change_all(const struct port_words *p, enum control_type type, struct sbx_err *err)
{
	bool adds = type == CONTROL_PORT_ADD;
	struct control_facts facts;
	struct plan_port port;
	int r = 0;

	if (!*p->ports)
		return err_usage(err, NULL, "sbx port %s needs ports: %s", adds ? "add" : "rm",
				 adds ? "[ADDR:]HOSTPORT:PORT[/udp]"
				      : "[ADDR:]HOSTPORT[:PORT][/udp]");
	for (int pass = 0; pass < 2; pass++) {
		for (char **at = p->ports; *at && r == 0; at++) {
			r = (adds ? publish_read : publish_read_host)(*at, NULL, &port, err);
			if (r == 0 && pass == 1)
				r = port_change(&p->box, type, &port, &facts, err);
			if (r == 0 && pass == 1 && adds)
				r = port_print(&facts, false, err);
		}
	}
	return r;
}

static int port_add(const struct port_words *p, struct sbx_err *err)
{
	return port_change_all(p, CONTROL_PORT_ADD, err);
}

static int port_remove(const struct port_words *p, struct sbx_err *err)
{
	return port_change_all(p, CONTROL_PORT_REMOVE, err);
}

static int port_list(const struct port_words *p, struct sbx_err *err)
{
	int fds[CONTROL_FDS_MAX] = {-1, -1}, r;
	struct control_reply reply;

	if (*p->ports)
		return err_usage(err, *p->ports, "sbx port list takes no port");
	r = ask(&p->box, CONTROL_FACTS, 0, &reply, fds, err);
	return r < 0 ? r : port_print(&reply.facts, p->words.value[CMD_OPT_JSON] != NULL, err);
}

static const struct {
	const char *name;
	int (*run)(const struct port_words *p, struct sbx_err *err);
} port_verbs[] = {
	{"add", port_add},	 {"rm", port_remove}, {"list", port_list},
	{"remove", port_remove}, {"ls", port_list},
};

int cmd_port(int argc, char **argv, int *ret_exit_code, struct sbx_err *err)
{
	struct port_words p;
	size_t which = 0;
	int r = boxes_begin(argc, argv, &p.boxes, &p.words, err);

	if (r == 0)
		p.ports = p.words.operands + 2;
	while (r == 0 && which < ARRAY_SIZE(port_verbs) &&
	       !str_equal(port_verbs[which].name, p.words.operands[0]))
		which++;
	if (r == 0 && which == ARRAY_SIZE(port_verbs))
		r = err_usage(err, p.words.operands[0], "behind sbx port stands add, rm or list");
	if (r == 0)
		r = box_find(p.boxes.dirs, BOX_RUNNING, p.boxes.arena, p.words.operands[1], &p.box,
			     err);
	if (r == 0)
		r = port_verbs[which].run(&p, err);
	if (r == 0)
		*ret_exit_code = 0;
	boxes_finish(&p.boxes);
	return r;
}
