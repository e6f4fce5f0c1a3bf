/* SPDX-License-Identifier: MIT */
/*
 * loopback: small changes to fresh namespaces: lo up, host name, ports.
 *
 * A new network namespace has a loopback interface that is down. Bringing it up
 * gives it 127.0.0.1 and ::1 by itself (Linux's devinet and addrconf do that),
 * so one ioctl is all; see netdevice(7). Runs in: PID 1.
 */

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/run/steps.h"

int step_run_loopback(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	_autoclose_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK};

	(void)ctx;
	(void)step;
	if (fd < 0)
		return err_system(err, errno, NULL, "cannot open a socket to configure lo");
	if (ioctl(fd, SIOCSIFFLAGS, &req) < 0)
		return err_system(err, errno, "lo", "cannot bring the interface up");
	return 0;
}

int step_run_hostname(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	(void)ctx;
	if (sethostname(step->text, strlen(step->text)) < 0)
		return err_system(err, errno, step->text, "cannot set the host name");
	return 0;
}

/*
 * The command's capabilities belong to its own user namespace and do not reach
 * the network namespace, which is this one's; so CAP_NET_BIND_SERVICE is given
 * as a setting of the network.
 */
int step_run_port_start(struct run_context *ctx, const struct plan_step *step, struct sbx_err *err)
{
	static const char path[] = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
	int r = io_write_file_at(AT_FDCWD, path, "0", 1);

	(void)ctx;
	(void)step;
	return r < 0 ? err_system(err, -r, path, "cannot open ports below 1024") : 0;
}
