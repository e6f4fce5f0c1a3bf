/* SPDX-License-Identifier: MIT */
/*
 * refused: answer what the filter put before the monitor, and count it.
 *
 * The answer is the one that the filter itself would have given: the same program is
 * run here, over what the kernel says of the call (seccomp_unotify(2)). Nothing is
 * ever allowed this way, so that memory which the call points to may change meanwhile
 * does not matter; it is not looked at.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sbx/base/sys.h"
#include "sbx/run/refused.h"
#include "sbx/seccomp/table.h"

/* Which argument tells more than the name alone. */
static const struct {
	const char *call;
	int arg;
} refused_details[] = {
	{"ioctl", 1},  /* the request */
	{"socket", 0}, /* the family */
	{"socketpair", 0},
};

/* A row of refused_details for this call, or -1. */
static int refused_find_detail(int number, uint32_t arch)
{
	const char *name = seccomp_number_name(number, arch);

	for (size_t i = 0; i < ARRAY_SIZE(refused_details) && name; i++)
		if (strcmp(refused_details[i].call, name) == 0)
			return (int)i;
	return -1;
}

static void refused_count(struct refused *refused, const struct seccomp_data *data)
{
	int row = refused_find_detail(data->nr, data->arch);
	const struct refused_call call = {
		.number = data->nr,
		.arch = data->arch,
		.detail = row < 0 ? 0 : (uint32_t)data->args[refused_details[row].arg],
		.count = 1,
	};

	for (size_t i = 0; i < refused->n_calls; i++) {
		struct refused_call *known = &refused->calls[i];

		if (known->number == call.number && known->arch == call.arch &&
		    known->detail == call.detail) {
			known->count++;
			return;
		}
	}
	if (refused->n_calls < REFUSED_MAX)
		refused->calls[refused->n_calls++] = call;
	else
		refused->n_others++;
}

/**
 * Take one call from the kernel and refuse it.
 * @program: the filter, as it would be without a listener
 *
 * Return: 0, also where the caller was killed meanwhile; or -errno: nobody is left
 * whom the filter holds, or something is wrong with the descriptor.
 */
int refused_answer(struct refused *refused, int listener_fd, const struct seccomp_program *program)
{
	struct seccomp_notif call;
	struct seccomp_notif_resp answer = {0};
	uint32_t action;

	memset(&call, 0, sizeof(call));
	if (sys_seccomp_receive(listener_fd, &call) < 0)
		return errno == EINTR || errno == ENOENT ? 0 : -errno;
	action = seccomp_run(program, &call.data);
	answer.id = call.id;
	answer.error = (action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO
			       ? -(int)(action & SECCOMP_RET_DATA)
			       : -EPERM;
	refused_count(refused, &call.data);
	if (sys_seccomp_send(listener_fd, &answer) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* "mount", "ioctl 0x5412", "system call 600". */
void refused_call_name(const struct refused_call *call, struct str_buf *out)
{
	const char *name = seccomp_number_name(call->number, call->arch);
	int row = refused_find_detail(call->number, call->arch);

	if (name)
		str_buf_puts(out, name);
	else
		str_buf_printf(out, "system call %d", call->number);
	if (row >= 0 && refused_details[row].arg == 1)
		str_buf_printf(out, " 0x%" PRIx32, call->detail);
	else if (row >= 0)
		str_buf_printf(out, " family %" PRIu32, call->detail);
	if (call->arch != seccomp_native_arch)
		str_buf_puts(out, " (32-bit)");
}

static int refused_compare(const void *a_, const void *b_)
{
	char a_room[64], b_room[64];
	struct str_buf a = STR_BUF_ON_STACK(a_room), b = STR_BUF_ON_STACK(b_room);

	refused_call_name(a_, &a);
	refused_call_name(b_, &b);
	return strcmp(a_room, b_room);
}

/* By name. */
void refused_sort(struct refused *refused)
{
	qsort(refused->calls, refused->n_calls, sizeof(refused->calls[0]), refused_compare);
}

/* "refused keyctl (once), mount (3 times)"; "refused nothing". */
void refused_describe(struct refused *refused, struct str_buf *out)
{
	refused_sort(refused);
	str_buf_puts(out, refused->n_calls ? "refused " : "refused nothing");
	for (size_t i = 0; i < refused->n_calls; i++) {
		const struct refused_call *call = &refused->calls[i];

		str_buf_puts(out, i ? ", " : "");
		refused_call_name(call, out);
		if (call->count == 1)
			str_buf_puts(out, " (once)");
		else
			str_buf_printf(out, " (%" PRIu64 " times)", call->count);
	}
	if (refused->n_others)
		str_buf_printf(out, ", and %" PRIu64 " more of other kinds", refused->n_others);
}
