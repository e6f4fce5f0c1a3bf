/* SPDX-License-Identifier: MIT */
/*
 * scope_library: ask systemd for a scope by libsystemd, see scope.h.
 *
 * The library is loaded only here, so that no other launch pays for it, and nothing of it is
 * needed to build: what is used of its interface is declared below, as sd-bus(3) has it, and has
 * not changed since systemd 237. A program that is linked statically cannot load it, and asks
 * busctl(1) instead (scope.c).
 *
 * No call waits by itself: those of sd-bus that do cannot be told to stop when sbx is to end. So
 * the question is sent behind the wish to hear of jobs, which the bus takes in this order, and
 * one loop waits for all answers.
 */

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

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

typedef int scope_callback(struct sd_bus_message *m, void *userdata, struct scope_bus_error *error);

/* What is used of the library, in the order of scope_symbols. */
struct scope_library {
	int (*bus_new)(struct sd_bus **ret);
	int (*bus_set_address)(struct sd_bus *bus, const char *address);
	int (*bus_set_bus_client)(struct sd_bus *bus, int yes);
	int (*bus_start)(struct sd_bus *bus);
	int (*bus_match_signal_async)(struct sd_bus *bus, void **slot, const char *sender,
				      const char *path, const char *interface, const char *member,
				      scope_callback *callback, scope_callback *installed,
				      void *userdata);
	int (*bus_call_method_async)(struct sd_bus *bus, void **slot, const char *destination,
				     const char *path, const char *interface, const char *member,
				     scope_callback *callback, void *userdata, const char *types,
				     ...);
	int (*bus_process)(struct sd_bus *bus, struct sd_bus_message **message);
	int (*bus_wait)(struct sd_bus *bus, uint64_t timeout_us);
	int (*message_read)(struct sd_bus_message *m, const char *types, ...);
	const struct scope_bus_error *(*message_get_error)(struct sd_bus_message *m);
	int (*message_get_errno)(struct sd_bus_message *m);
	void (*bus_close)(struct sd_bus *bus);
	struct sd_bus *(*bus_unref)(struct sd_bus *bus);
};

static const char *const scope_symbols[] = {
	"sd_bus_new",
	"sd_bus_set_address",
	"sd_bus_set_bus_client",
	"sd_bus_start",
	"sd_bus_match_signal_async",
	"sd_bus_call_method_async",
	"sd_bus_process",
	"sd_bus_wait",
	"sd_bus_message_read",
	"sd_bus_message_get_error",
	"sd_bus_message_get_errno",
	"sd_bus_close",
	"sd_bus_unref",
};

static_assert(sizeof(struct scope_library) == ARRAY_SIZE(scope_symbols) * sizeof(void *),
	      "a symbol for each function");

/* The job that makes the scope, from the call to the signal of its end. */
struct scope_job {
	const struct scope_library *lib;
	bool refused;	 /* there is no job: */
	int why_errno;	 /* ... why, ... */
	char why[200];	 /* ... in systemd's words */
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

/* The answer to StartTransientUnit(): the job. */
static int scope_on_answer(struct sd_bus_message *m, void *userdata, struct scope_bus_error *error)
{
	struct scope_job *job = userdata;
	const struct scope_bus_error *why = job->lib->message_get_error(m);
	const char *path = "";
	int r = why ? -job->lib->message_get_errno(m) : job->lib->message_read(m, "o", &path);

	(void)error;
	str_copy(job->path, sizeof(job->path), path);
	if (!why && r >= 0)
		return 0;
	job->refused = true;
	job->why_errno = r < 0 ? -r : EIO;
	str_copy(job->why, sizeof(job->why),
		 why && why->message ? why->message : strerror(job->why_errno));
	return 0;
}

static bool scope_has_ended(const struct scope_job *job)
{
	return job->refused || (job->path[0] && str_equal(job->ended, job->path));
}

/* Until the job has ended, or there is none. */
static int scope_await_job(struct sd_bus *bus, const struct scope_wanted *wanted,
			   const struct scope_job *job, struct sbx_err *err)
{
	while (!scope_has_ended(job)) {
		int r = scope_may_wait(wanted, err);

		if (r < 0)
			return r;
		r = job->lib->bus_process(bus, NULL);
		if (r == 0)
			r = job->lib->bus_wait(bus, UINT64_C(1000) * SCOPE_PAUSE_MS);
		if (r < 0 && r != -EINTR)
			return err_system(err, -r, wanted->name, "systemd has not made this scope");
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
		r = lib->bus_match_signal_async(*ret, NULL, SCOPE_SERVICE, SCOPE_PATH,
						SCOPE_INTERFACE, "JobRemoved", scope_on_job, NULL,
						job);
	return r < 0 ? err_system(err, -r, wanted->address, "cannot reach systemd's manager") : 0;
}

static int scope_ask(struct sd_bus *bus, const struct scope_wanted *wanted, struct scope_job *job,
		     struct sbx_err *err)
{
	int r = job->lib->bus_call_method_async(
		bus, NULL, SCOPE_SERVICE, SCOPE_PATH, SCOPE_INTERFACE, "StartTransientUnit",
		scope_on_answer, job, "ssa(sv)a(sa(sv))", wanted->name, "fail", 4, "Description",
		"s", wanted->about, "Delegate", "b", 1, "CollectMode", "s", "inactive-or-failed",
		"PIDs", "au", 1, (uint32_t)wanted->pid, 0);

	return r < 0 ? err_system(err, -r, wanted->name, "cannot ask systemd for this scope") : 0;
}

/* What has come of it. */
static int scope_judge(const struct scope_wanted *wanted, const struct scope_job *job,
		       struct sbx_err *err)
{
	if (job->refused)
		return err_refuse(err, job->why_errno, wanted->name, "systemd makes no scope: %s",
				  job->why);
	if (!str_equal(job->result, "done"))
		return err_refuse(err, ECANCELED, wanted->name,
				  "systemd has not made this scope: its job ended as \"%s\"",
				  job->result);
	return 0;
}

/**
 * Have the scope made, and wait for the end of the job that makes it.
 *
 * Return: 0; -ENOSYS with *err untouched where there is no library; or -errno, as
 * scope_may_wait() for one, with *err filled.
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
	if (r == 0)
		r = scope_await_job(bus, wanted, &job, err);
	if (r == 0)
		r = scope_judge(wanted, &job, err);
	lib.bus_close(bus);
	(void)lib.bus_unref(bus);
	return r;
}

#endif
