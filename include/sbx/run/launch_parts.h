/* SPDX-License-Identifier: MIT */
/*
 * launch_parts: what the files that make up launch_run() share; for no one else.
 * Runs in: the monitor.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sbx/run/bus.h"
#include "sbx/run/cgroup.h"
#include "sbx/run/context.h"
#include "sbx/run/control.h"
#include "sbx/run/detach.h"
#include "sbx/run/fuse.h"
#include "sbx/run/handshake.h"
#include "sbx/run/idmap.h"
#include "sbx/run/launch.h"
#include "sbx/run/net.h"
#include "sbx/run/net_watch.h"
#include "sbx/run/placeholder.h"
#include "sbx/run/publish.h"
#include "sbx/run/refused.h"
#include "sbx/run/register.h"
#include "sbx/run/relay.h"
#include "sbx/run/share.h"
#include "sbx/run/stats.h"
#include "sbx/run/terminal.h"

struct pollfd;

enum {
	LAUNCH_HELPER_TIMEOUT_MS = 20 * 1000,
	LAUNCH_BUS_TIMEOUT_MS = 10 * 1000,
	LAUNCH_FUSE_TIMEOUT_MS = 20 * 1000,
	LAUNCH_NET_TIMEOUT_MS = 20 * 1000,
};

enum launch_state { LAUNCH_MAPPING, LAUNCH_RUNNING, LAUNCH_HELD };

/* What has been done about a command that has had its time. */
enum launch_overtime { LAUNCH_IN_TIME, LAUNCH_ASKED, LAUNCH_KILLED };

/* What is polled, by index. */
enum launch_source {
	LAUNCH_SIGNALS,
	LAUNCH_SOCKET,
	LAUNCH_PID_1,
	LAUNCH_PARENT,
	LAUNCH_HELPER_0,
	LAUNCH_HELPER_1,
	LAUNCH_LISTENER,
	LAUNCH_BUS,
	LAUNCH_BUS_READY,
	LAUNCH_NET,
	LAUNCH_NET_READY,
	LAUNCH_NET_WATCH,
	LAUNCH_PUBLISH,
	LAUNCH_SHARE,
	LAUNCH_HOLD,
	LAUNCH_CONTROL,
	LAUNCH_TERMINAL,
	LAUNCH_PTY,
	LAUNCH_DETACH, /* the first of DETACH_SOURCES */
	LAUNCH_DETACH_LAST = LAUNCH_DETACH + DETACH_SOURCES - 1,
	LAUNCH_FUSE_MAKER,
	LAUNCH_FUSE, /* the first of PLAN_FUSE_MAX */
	LAUNCH_FUSE_LAST = LAUNCH_FUSE + PLAN_FUSE_MAX - 1,
	LAUNCH_SOURCE_COUNT_,
};

struct monitor {
	const struct sbx_plan *plan;
	const struct launch_caller *caller; /* borrowed */
	char end_note[256];		    /* what the caller says of the end; "": nothing */
	enum launch_state state;
	pid_t child;	     /* PID 1; 0: waited for */
	int pidfd;	     /* owned; of PID 1 */
	int sock_fd;	     /* owned */
	int signal_fd;	     /* owned */
	int listener_fd;     /* owned; of the filter, with --seccomp-log; -1: none (yet) */
	int parent_fd;	     /* owned; -1: the caller's end does not matter */
	int64_t deadline_ms; /* of the helpers, CLOCK_MONOTONIC */
	int64_t end_ms;	     /* of --timeout, likewise; INT64_MAX: none */
	enum launch_overtime overtime;
	struct idmap_job idmap;
	struct bus_job bus;
	struct net_job net;
	struct net_watch net_watch;
	struct publish publish;
	bool publishes; /* the ports of the plan; PID 1 waits for that */
	struct share share;
	struct fuse_jobs fuse;
	struct terminal terminal;
	struct relay *relay; /* owned; NULL without --pty */
	struct placeholder_box placeholders;
	struct register_entry record;
	struct cgroup_job cgroup;
	struct stats stats;
	struct sbx_err
		*no_limits; /* owned; why there are none, with --limits=try; NULL: there are */
	struct control control;
	struct detach detach;
	int exit_code;	    /* of a command that has ended while PID 1 has not; -1: not so */
	bool greeted;	    /* by PID 1, where somebody is to be told of it; else true */
	bool hears_few;	    /* signals: those that end a launch */
	bool helper_failed; /* one of the two has */
	int unkept_errno;   /* why --keep-record could not say how it ended; 0: it did */
	bool init_ended;
	bool child_changed;   /* without a PID 1 between us and the command: it may have stopped */
	bool continuing;      /* it was told to go on, and PID 1 has not answered yet */
	bool command_stopped; /* and the monitor with it; the terminal was given back */
	bool hung_up;	      /* the command was told so: its terminal is of no use any more */
	int interrupted;      /* the signal that ended the launch, 0: none */
	struct handshake_last_word
		*last_word;	/* owned; NULL: no filter keeps anybody from telling */
	struct refused refused; /* what the filter refused */
	siginfo_t end;		/* of PID 1, once waited for */
	int wait_errno;		/* why it could not be */
};

/* ---- launch_start.c: until PID 1 is at work ---- */

int launch_start(struct monitor *m, struct run_context *ctx, const struct launch_caller *caller,
		 struct sbx_err *err);
void launch_give_back(const struct run_context *ctx, const struct launch_caller *caller);
void launch_close_others(const struct monitor *m);

/* ---- launch_signals.c: what is sent to the command, and that it has stopped ---- */

bool launch_is_starting(const struct monitor *m);
int launch_choose_signals(struct monitor *m, struct sbx_err *err);
void launch_forward(const struct monitor *m, int sig);
void launch_hang_up(struct monitor *m);
int launch_on_signal(struct monitor *m);
void launch_stop(int sig, bool group);
void launch_on_relayed_stop(struct monitor *m, int sig);
void launch_on_detached_stop(const struct monitor *m, int sig);
void launch_on_child(struct monitor *m);
int launch_on_control(struct monitor *m);

/* ---- launch_messages.c: what PID 1 says, and is answered ---- */

int launch_check_sent(int r, struct sbx_err *err);
int launch_answer(const struct monitor *m, enum handshake_type type, struct sbx_err *err);
bool launch_pid_1_is_dead(const struct monitor *m);
bool launch_has_message(const struct monitor *m);
bool launch_init_has_ended(const struct monitor *m);
int launch_on_release(struct monitor *m, struct sbx_err *err);
int launch_on_message(struct monitor *m, struct sbx_err *err);
int launch_on_refusal(struct monitor *m, short events, struct sbx_err *err);

/* ---- launch_helpers.c: the programs that the sandbox needs outside ---- */

int launch_on_helper_message(struct monitor *m, struct handshake_msg *msg, struct sbx_err *err);
int launch_on_helper(struct monitor *m, struct sbx_err *err);
int launch_on_helpers(struct monitor *m, const struct pollfd pfds[LAUNCH_SOURCE_COUNT_],
		      struct sbx_err *err);
bool launch_awaits_helper(const struct monitor *m);
int launch_on_timeout(const struct monitor *m, struct sbx_err *err);
int64_t launch_port_deadline_ms(const struct monitor *m);
void launch_on_port_timeout(struct monitor *m);

/* ---- launch_end.c: how it ended, and who is told ---- */

bool launch_tells_used(const struct sbx_plan *plan);
bool launch_begins_anew(const struct monitor *m);
void launch_warn_of_no_limits(const struct monitor *m, bool at_end);
void launch_finish_kept(struct monitor *m, int r, int exit_code, const struct sbx_err *err);
int launch_conclude(const struct monitor *m, int *ret_exit_code, struct sbx_err *err);
void launch_have_caller_tell(struct monitor *m, int r);
void launch_tell_end(struct monitor *m, int r, struct sbx_err *err);
void launch_keep_log(struct monitor *m);
