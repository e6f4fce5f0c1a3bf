/* SPDX-License-Identifier: MIT */
/* shared: the probe of what a network that sandboxes share is made of. */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "sbx/doctor/probes.h"
#include "sbx/run/rtnl.h"
#include "sbx/spec/hints.h"

enum { SHARED_MTU = 1500 };

/* In a network namespace of the child's own, both ends there. */
static int shared_make(struct doctor *d, const struct doctor_probe *probe,
		       struct doctor_answer *answer, struct sbx_err *err)
{
	_autoclose_ int fd = rtnl_open();
	_autoclose_ int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct rtnl_veth veth = {
		.name = "m1", .mtu = SHARED_MTU, .peer = "eth0", .peer_netns_fd = netns};
	const char *what = "br0";
	int r = fd < 0 ? fd : rtnl_add_bridge(fd, what);

	(void)d;
	(void)probe;
	(void)answer;
	if (r == 0) {
		veth.master = rtnl_find(fd, what);
		what = veth.name;
		r = rtnl_add_veth(fd, &veth);
	}
	if (r == 0)
		return 0;
	(void)err_system(err, -r, what, "cannot make an interface");
	hint_add(err, HINT_SHARE);
	return r;
}

DOCTOR_PROBE(shared)
{
	struct doctor_answer answer;

	if (doctor_try(d, probe, CLONE_NEWUSER | CLONE_NEWNET, shared_make, &answer, ret))
		doctor_say(ret, DOCTOR_WORKS,
			   "a bridge and a pair of interfaces were made in a network of its own");
}
