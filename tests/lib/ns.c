/* SPDX-License-Identifier: MIT */
/* ns: namespaces by the oldest means, so that they do not share a mistake with what is tested. */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "ns.h"
#include "sbx/base/defs.h"

static int ns_write(const char *path, const char *text)
{
	_autoclose_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* Return: 0, or NS_UNAVAILABLE, which the child hands on as its exit status. */
int ns_enter(void)
{
	char uids[64], gids[64];

	(void)snprintf(uids, sizeof(uids), "0 %u 1\n", geteuid());
	(void)snprintf(gids, sizeof(gids), "0 %u 1\n", getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
	    ns_write("/proc/self/setgroups", "deny") < 0 ||
	    ns_write("/proc/self/uid_map", uids) < 0 || ns_write("/proc/self/gid_map", gids) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return NS_UNAVAILABLE;
	return 0;
}

int ns_mount_tmpfs(const char *path)
{
	return mount("tmpfs", path, "tmpfs", 0, NULL) < 0 ? -errno : 0;
}

int ns_bind(const char *source, const char *dest)
{
	return mount(source, dest, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}
