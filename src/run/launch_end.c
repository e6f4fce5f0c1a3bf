/* SPDX-License-Identifier: MIT */
/*
 * launch_end: how a sandbox ended, for whoever is to know: the caller, by an exit code and on
 * standard error, and who asks later, by what is kept; see launch_parts.h. It ends nothing itself:
 * that is monitor_end() of launch.c.
 */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/str.h"
#include "sbx/run/kept.h"
#include "sbx/run/launch_parts.h"
#include "sbx/spec/hints.h"

/* Is what was used to be told? Which limits were reached always is. */
bool launch_tells_used(const struct sbx_plan *plan)
{
	return plan->stats || plan->json_status_fd >= 0 || plan->keeps_record;
}

/* After a failure: is there to be another try, with the caller's ids alone? */
bool launch_begins_anew(const struct monitor *m)
{
	return !m->interrupted && m->helper_failed && m->plan->map_may_fall_back;
}

static const char *launch_describe_overtime(const struct monitor *m)
{
	return m->overtime == LAUNCH_KILLED
		       ? "the time is up, the sandbox was killed"
		       : "the time is up, the command was asked to end, and did";
}

/* What ended it, where that is not the command alone. @why: the failure; NULL: it is none */
static void launch_describe_end(const struct monitor *m, const struct sbx_err *why,
				const char *reached, struct str_buf *out)
{
	if (why)
		err_describe(why, out);
	else if (m->overtime != LAUNCH_IN_TIME)
		str_buf_puts(out, launch_describe_overtime(m));
	if (reached[0])
		str_buf_printf(out, "%s%s", out->len ? "; " : "", reached);
	if (m->end_note[0])
		str_buf_printf(out, "%s%s", out->len ? "; " : "", m->end_note);
}

/* How it ended; of a try that another follows, nothing stays. */
void launch_finish_kept(struct monitor *m, int r, int exit_code, const struct sbx_err *err)
{
	bool failed = r < 0 && !m->interrupted;
	char reason_room[sizeof(((struct kept *)NULL)->reason)] = "";
	char reached_room[STATS_REACHED_MAX] = "";
	struct str_buf reason = STR_BUF_ON_STACK(reason_room);
	struct str_buf reached = STR_BUF_ON_STACK(reached_room);
	struct kept_how how = {.reason = reason_room, .reached = reached_room, .used = &m->stats};

	if (!m->record.kept)
		return;
	if (r < 0 && launch_begins_anew(m)) {
		(void)kept_remove(m->record.dir_fd, &m->record.label);
		m->record.kept = false;
		return;
	}
	stats_describe_limits(&m->stats, &m->plan->limits, &reached);
	launch_describe_end(m, failed ? err : NULL, reached_room, &reason);
	how.end = r >= 0 ? KEPT_EXITED : failed ? KEPT_FAILED : KEPT_KILLED;
	how.exit_code = r >= 0 ? exit_code : failed ? err->exit_code : 128 + m->interrupted;
	m->unkept_errno = -kept_finish(&m->record, &how);
	m->detach.log.stays = true;
}

/*
 * With --limits=try, at the start, with what to do about it, and again at the end, when it has not
 * scrolled away.
 */
void launch_warn_of_no_limits(const struct monitor *m, bool at_end)
{
	struct sbx_err shown;
	struct str_buf about = {.data = shown.path, .size = sizeof(shown.path)};

	if (!m->no_limits)
		return;
	shown = *m->no_limits;
	str_copy(shown.option, sizeof(shown.option), "no limits are set");
	str_buf_puts(&about, m->no_limits->option);
	if (m->no_limits->path[0])
		str_buf_printf(&about, "%s%s", about.len ? ": " : "", m->no_limits->path);
	if (at_end)
		shown.hint[0] = shown.trail[0] = '\0';
	err_print(&shown, "sbx", STDERR_FILENO);
}

/* What PID 1's end means for whoever called sbx. */
int launch_conclude(const struct monitor *m, int *ret_exit_code, struct sbx_err *err)
{
	bool killed = m->end.si_code != CLD_EXITED;

	if (handshake_hear_last_word(m->last_word, err))
		return -ECANCELED;
	if (m->exit_code >= 0) {
		*ret_exit_code = m->exit_code;
		return 0;
	}
	if (m->end.si_pid == 0)
		return err_system(err, m->wait_errno, NULL,
				  "the sandbox has ended, but its exit code cannot be told");
	/* Where PID 1 can be got at, killing it is a way to end the sandbox. */
	if (killed && !m->plan->init_is_payload && !m->plan->init_visible) {
		int r = err_refuse(err, ECANCELED, NULL,
				   "the sandbox's first process was killed by signal %d",
				   m->end.si_status);

		hint_add(err, m->plan->own_pid_ns ? HINT_PID_1 : HINT_REAPER);
		return r;
	}
	*ret_exit_code = killed ? 128 + m->end.si_status : m->end.si_status;
	return 0;
}

/* With --seccomp-log: on standard error, once, when all is over. */
static void launch_tell_refused(struct monitor *m)
{
	char room[REFUSED_MAX * 64];
	struct str_buf text = STR_BUF_ON_STACK(room);

	if (!m->plan->filter.log)
		return;
	str_buf_puts(&text, "sbx: seccomp: ");
	refused_describe(&m->refused, &text);
	str_buf_puts(&text, "\n");
	(void)io_write_all(STDERR_FILENO, text.data, text.len);
}

/* On standard error, once, when all is over. */
static void launch_tell_overtime(const struct monitor *m)
{
	char room[128];
	struct str_buf text = STR_BUF_ON_STACK(room);

	str_buf_printf(&text, "sbx: %s: %s\n", hint_option(HINT_TIMEOUT),
		       launch_describe_overtime(m));
	(void)io_write_all(STDERR_FILENO, text.data, text.len);
}

/* What is to be said of the limits, and with --stats of what was used. */
static void launch_tell_used(const struct monitor *m)
{
	char room[1024];
	struct str_buf text = STR_BUF_ON_STACK(room);
	size_t begin;

	str_buf_puts(&text, "sbx: ");
	begin = text.len;
	stats_describe_limits(&m->stats, &m->plan->limits, &text);
	if (text.len == begin)
		text.len = 0;
	else
		str_buf_puts(&text, "\n");
	if (m->plan->stats) {
		str_buf_puts(&text, "sbx: used: ");
		stats_describe(&m->stats, &text);
		str_buf_puts(&text, "\n");
	}
	if (text.len)
		(void)io_write_all(STDERR_FILENO, text.data, text.len);
	launch_warn_of_no_limits(m, true);
}

/* Likewise: what was asked for is there, but says "lost". */
static void launch_tell_unkept(const struct monitor *m)
{
	struct sbx_err why;

	if (!m->unkept_errno)
		return;
	(void)err_system(&why, m->unkept_errno, m->record.label.id,
			 "how the sandbox ended could not be kept");
	hint_add(&why, HINT_KEPT);
	err_print(&why, "sbx", STDERR_FILENO);
}

/*
 * What there is to say when all is over; of a try that another follows, that says it. A failure is
 * main()'s to print, but who started a sandbox that goes on alone has left.
 */
void launch_tell_end(struct monitor *m, int r, struct sbx_err *err)
{
	if (m->overtime != LAUNCH_IN_TIME && r == 0)
		launch_tell_overtime(m);
	if (r == 0 || !launch_begins_anew(m))
		launch_tell_used(m);
	launch_tell_unkept(m);
	if (r == 0)
		launch_tell_refused(m);
	if (r < 0 && !m->interrupted && m->plan->detach && detach_is_told(&m->detach)) {
		hint_add(err, HINT_LIMIT);
		err_print(err, "sbx", STDERR_FILENO);
	}
}

/* Where nobody is there any more whom the caller could tell it. */
void launch_have_caller_tell(struct monitor *m, int r)
{
	struct str_buf note = STR_BUF_ON_STACK(m->end_note);

	if (m->plan->detach && m->caller->tell_end && (r >= 0 || !launch_begins_anew(m)))
		m->caller->tell_end(m->caller->tell_arg, r < 0 && !m->interrupted, &note);
}

/* What is to be read of a log whose names go: all that comes into it is there. */
void launch_keep_log(struct monitor *m)
{
	int fds[CONTROL_FDS_MAX];

	if (!m->plan->detach || !m->detach.log.name[0])
		return;
	detach_drain_words(&m->detach);
	log_open_readers(&m->detach.log, fds);
	control_keep_log(&m->control, fds);
}
