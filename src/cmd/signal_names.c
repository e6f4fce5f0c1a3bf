/* SPDX-License-Identifier: MIT */
/* signal_names: TERM, SIGTERM, term and 15 are the same; see signal(7). */

#include "sbx/cmd/signal_names.h"

#include <errno.h>
#include <signal.h>
#include <strings.h>

#include "sbx/base/str.h"

static const struct {
	const char *name;
	int number;
} signal_names[] = {
	{"HUP", SIGHUP},       {"INT", SIGINT},	  {"QUIT", SIGQUIT},   {"ILL", SIGILL},
	{"TRAP", SIGTRAP},     {"ABRT", SIGABRT}, {"BUS", SIGBUS},     {"FPE", SIGFPE},
	{"KILL", SIGKILL},     {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},   {"USR2", SIGUSR2},
	{"PIPE", SIGPIPE},     {"ALRM", SIGALRM}, {"TERM", SIGTERM},   {"CHLD", SIGCHLD},
	{"CONT", SIGCONT},     {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},   {"TTIN", SIGTTIN},
	{"TTOU", SIGTTOU},     {"URG", SIGURG},	  {"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ},
	{"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},
	{"PWR", SIGPWR},       {"SYS", SIGSYS},
};

/* The names in the order of the table; NULL behind the last. */
const char *signal_name_at(size_t index)
{
	return index < ARRAY_SIZE(signal_names) ? signal_names[index].name : NULL;
}

/* Return: the number, or -EINVAL. */
int signal_from_name(const char *name)
{
	const char *bare = strncasecmp(name, "SIG", 3) == 0 ? name + 3 : name;
	uint64_t number;

	if (str_parse_u64(name, 10, (uint64_t)SIGRTMAX, &number) == 0)
		return number > 0 ? (int)number : -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(signal_names); i++)
		if (strcasecmp(signal_names[i].name, bare) == 0)
			return signal_names[i].number;
	return -EINVAL;
}
