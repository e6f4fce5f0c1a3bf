/* SPDX-License-Identifier: MIT */
/*
 * scope_library: ask systemd for a scope by libsystemd, see scope.h.
 *
 * The library is loaded only here, so that no other launch pays for it, and nothing of it is
 * needed to build: what is used of its interface is declared below, as sd-bus(3) has it, and has
 * not changed since systemd 221. A program that is linked statically cannot load it, and asks
 * busctl(1) instead (scope.c).
 */

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "sbx/base/str.h"
#include "sbx/run/scope.h"
#include "sbx_config.h"

#if SBX_STATIC

int scope_library_start(const struct scope_wanted *wanted, struct sbx_err *err)
{
	(void)wanted;
	(void)err;
	return -ENOSYS;
}

#else

struct sd_bus;
struct sd_bus_message;

struct scope_bus_error {
	const char *name, *message;
	int need_free;
};

/* What is used of the library, in the order of scope_symbols. */
struct scope_library {
	int (*bus_new)(struct sd_bus **ret);
	int (*bus_set_address)(struct sd_bus *bus, const char *address);
	int (*bus_set_bus_client)(struct sd_bus *bus, int yes);
	int (*bus_start)(struct sd_bus *bus);
	int (*bus_match_signal)(struct sd_bus *bus, void **slot, const char *sender,
				const char *path, const char *interface, const char *member,
				int (*callback)(struct sd_bus_message *m, void *userdata,
						struct scope_bus_error *error),
				void *userdata);
	int (*bus_call_method)(struct sd_bus *bus, const char *destination, const char *path,
			       const char *interface, const char *member,
			       struct scope_bus_error *error, struct sd_bus_message **reply,
			       const char *types, ...);
	int (*bus_process)(struct sd_bus *bus, struct sd_bus_message **message);
	int (*bus_wait)(struct sd_bus *bus, uint64_t timeout_us);
	int (*message_read)(struct sd_bus_message *m, const char *types, ...);
	struct sd_bus_message *(*message_unref)(struct sd_bus_message *m);
	void (*error_free)(struct scope_bus_error *error);
	struct sd_bus *(*bus_flush_close_unref)(struct sd_bus *bus);
};

static const char *const scope_symbols[] = {
	"sd_bus_new",		"sd_bus_set_address",  "sd_bus_set_bus_client",
	"sd_bus_start",		"sd_bus_match_signal", "sd_bus_call_method",
	"sd_bus_process",	"sd_bus_wait",	       "sd_bus_message_read",
	"sd_bus_message_unref", "sd_bus_error_free",   "sd_bus_flush_close_unref",
};

static_assert(sizeof(struct scope_library) == ARRAY_SIZE(scope_symbols) * sizeof(void *),
	      "a symbol for each function");

/* The job that makes the scope, from the call to the signal of its end. */
struct scope_job {
	const struct scope_library *lib;
	char path[256];	 /* of the job; "" before the call was answered */
	char ended[256]; /* the last job that has ended, ... */
	char result[32]; /* ... and how: "done" */
};

static int scope_load(struct scope_library *lib)
{
	void *handle = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
	void **functions = (void **)(void *)lib;

	if (!handle)
		return -ENOSYS;
	for (size_t i = 0; i < ARRAY_SIZE(scope_symbols); i++) {
		functions[i] = dlsym(handle, scope_symbols[i]);
		if (!functions[i])
			return -ENOSYS;
	}
	return 0;
}

/* JobRemoved(u id, o job, s unit, s result): of our unit it is the job that was asked for. */
static int scope_on_job(struct sd_bus_message *m, void *userdata, struct scope_bus_error *error)
{
	struct scope_job *job = userdata;
	const char *path = "", *unit = "", *result = "";
	uint32_t id;

	(void)error;
	if (job->lib->message_read(m, "uoss", &id, &path, &unit, &result) < 0)
		return 0;
	if (job->path[0] && !str_equal(path, job->path))
		return 0;
	str_copy(job->ended, sizeof(job->ended), path);
	str_copy(job->result, sizeof(job->result), result);
	return 0;
}

static int64_t scope_now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Until the job has ended. Return: 0 or -errno. */
static int scope_await_job(struct sd_bus *bus, const struct scope_job *job)
{
	const int64_t end_us = scope_now_us() + INT64_C(1000) * SCOPE_WAIT_MS;

	while (!str_equal(job->ended, job->path)) {
		int64_t left_us = end_us - scope_now_us();
		int r = job->lib->bus_process(bus, NULL);

		if (r < 0)
			return r;
		if (r > 0)
			continue;
		if (left_us <= 0)
			return -ETIMEDOUT;
		r = job->lib->bus_wait(bus, (uint64_t)left_us);
		if (r < 0 && r != -EINTR)
			return r;
	}
	return 0;
}

static int scope_open_bus(const struct scope_wanted *wanted, struct scope_job *job,
			  struct sd_bus **ret, struct sbx_err *err)
{
	const struct scope_library *lib = job->lib;
	int r = lib->bus_new(ret);

	if (r >= 0)
		r = lib->bus_set_address(*ret, wanted->address);
	if (r >= 0)
		r = lib->bus_set_bus_client(*ret, 1);
	if (r >= 0)
		r = lib->bus_start(*ret);
	/* Before the call, or a quick job would have ended unheard. */
	if (r >= 0)
		r = lib->bus_match_signal(*ret, NULL, SCOPE_SERVICE, SCOPE_PATH, SCOPE_INTERFACE,
					  "JobRemoved", scope_on_job, job);
	return r < 0 ? err_system(err, -r, wanted->address, "cannot reach systemd's manager") : 0;
}

static int scope_ask(struct sd_bus *bus, const struct scope_wanted *wanted, struct scope_job *job,
		     struct sbx_err *err)
{
	struct scope_bus_error error = {NULL, NULL, 0};
	struct sd_bus_message *reply = NULL;
	const char *path = NULL;
	int r = job->lib->bus_call_method(
		bus, SCOPE_SERVICE, SCOPE_PATH, SCOPE_INTERFACE, "StartTransientUnit", &error,
		&reply, "ssa(sv)a(sa(sv))", wanted->name, "fail", 4, "Description", "s",
		wanted->about, "Delegate", "b", 1, "CollectMode", "s", "inactive-or-failed", "PIDs",
		"au", 1, (uint32_t)wanted->pid, 0);

	if (r >= 0)
		r = job->lib->message_read(reply, "o", &path);
	if (r < 0)
		(void)err_refuse(err, -r, wanted->name, "systemd makes no scope: %s",
				 error.message ? error.message : strerror(-r));
	else
		str_copy(job->path, sizeof(job->path), path);
	job->lib->error_free(&error);
	(void)job->lib->message_unref(reply);
	return r < 0 ? r : 0;
}

/**
 * Have the scope made, and wait for the end of the job that makes it.
 *
 * Return: 0; -ENOSYS with *err untouched where there is no library; or -errno with *err filled.
 */
int scope_library_start(const struct scope_wanted *wanted, struct sbx_err *err)
{
	struct scope_library lib;
	struct scope_job job = {.lib = &lib};
	struct sd_bus *bus = NULL;
	int r = scope_load(&lib);

	if (r < 0)
		return r;
	r = scope_open_bus(wanted, &job, &bus, err);
	if (r == 0)
		r = scope_ask(bus, wanted, &job, err);
	if (r == 0) {
		r = scope_await_job(bus, &job);
		if (r < 0)
			r = err_system(err, -r, wanted->name, "systemd has not made this scope");
		else if (!str_equal(job.result, "done"))
			r = err_refuse(err, ECANCELED, wanted->name,
				       "systemd has not made this scope: its job ended as \"%s\"",
				       job.result);
	}
	(void)lib.bus_flush_close_unref(bus);
	return r;
}

#endif
