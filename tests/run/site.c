/* SPDX-License-Identifier: MIT */
/* site: see the header. */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "site.h"

#include "sbx/base/sys.h"

int site_open(struct site *site)
{
	int r = ns_enter();

	if (r != 0)
		return r;
	(void)umask(0);
	plan_init(&site->plan);
	context_init(&site->ctx, &site->plan);
	site->ctx.host_root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	child_check(site->ctx.host_root_fd >= 0);
	return 0;
}

int site_run(struct site *site, struct plan_step step)
{
	static int (*const runs[PLAN_STEP_COUNT_])(
		struct run_context * ctx, const struct plan_step *one, struct sbx_err *err) = {
#define X(id, fn, when) [PLAN_STEP_##id] = step_run_##fn,
		PLAN_STEP_KINDS(X)
#undef X
	};
	int r;

	step.fd = step.fd ? step.fd : -1;
	step.mode = step.mode ? step.mode : -1;
	step.parent_mode = step.parent_mode ? step.parent_mode : 0755;
	step.attrs = step.attrs ? step.attrs : MOUNT_ATTR_NOSUID;
	r = runs[step.kind](&site->ctx, &step, &site->err);
	if (r < 0)
		dprintf(STDERR_FILENO, "# %s: %s: %s\n", site->err.path, site->err.what,
			strerror(site->err.number));
	return r;
}

int site_open_file(const struct site *site, const char *path, int flags)
{
	return sys_openat2(site->ctx.root_fd, path, (uint64_t)(flags | O_CLOEXEC), RESOLVE_IN_ROOT);
}

bool site_reads(const struct site *site, const char *path, const char *text)
{
	_autoclose_ int fd = site_open_file(site, path, O_RDONLY);
	char room[256];
	ssize_t n = fd < 0 ? -1 : read(fd, room, sizeof(room) - 1);

	room[n > 0 ? n : 0] = '\0';
	if (n >= 0 && strcmp(room, text) == 0)
		return true;
	dprintf(STDERR_FILENO, "%s has \"%s\", not \"%s\"\n", path, room, text);
	return false;
}

int site_create_errno(const struct site *site, const char *path)
{
	_autoclose_ int fd =
		openat(site->ctx.root_fd, path, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0644);

	return fd < 0 ? errno : 0;
}
