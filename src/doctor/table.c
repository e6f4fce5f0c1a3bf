/* SPDX-License-Identifier: MIT */
/*
 * table: the probes, in the order in which they are made and shown. user-namespaces stands
 * before all that need one. An option in a row that this version does not have is not shown.
 */

#include <sched.h>

#include "sbx/doctor/probes.h"
#include "sbx/spec/hints.h"

const char *const doctor_status_names[DOCTOR_STATUS_COUNT_] = {
	[DOCTOR_WORKS] = "works",
	[DOCTOR_LIMITED] = "limited",
	[DOCTOR_FAILS] = "fails",
	[DOCTOR_FACT] = "info",
};

const char *const doctor_need_names[DOCTOR_NEED_COUNT_] = {
	[DOCTOR_FOR_LAUNCH] = "launch",
	[DOCTOR_FOR_OPTIONS] = "options",
	[DOCTOR_FOR_NOTHING] = "nothing",
};

#define LIMITS "--memory --memory-high --swap --cpus --cpu-weight --pids --io-max --io-weight --cpuset"
#define NETWORK "--net=user --publish --allow-net --deny-net"

#define ROW(name_, function_, arg_, need_, options_, title_, why_)                                 \
	{                                                                                          \
		.name = (name_), .title = (title_), .need = DOCTOR_FOR_##need_,                    \
		.options = (options_), .why = (why_), .run = doctor_probe_##function_,             \
		.arg = (arg_)                                                                      \
	}

/* clang-format off */
const struct doctor_probe doctor_probes[] = {
	ROW("kernel", kernel, 0, LAUNCH, "",
	    "the kernel", "it is made of its system calls"),
	ROW("container", container, 0, NOTHING, "",
	    "where sbx runs", "a container or an outer sandbox explains what fails below"),
	ROW("security-modules", lsm, 0, NOTHING, "",
	    "AppArmor and SELinux", "each can forbid user namespaces to single programs"),
	ROW("user-namespaces", userns, 0, LAUNCH, "",
	    "user namespaces", "the one that lets an ordinary user make all others"),
	ROW("mount-namespaces", namespace, CLONE_NEWNS, LAUNCH, "",
	    "mount namespaces", "a root of its own"),
	ROW("pid-namespaces", namespace, CLONE_NEWPID, LAUNCH, "--share-pid",
	    "pid namespaces", "all processes end with the sandbox; --share-pid does without"),
	ROW("ipc-namespaces", namespace, CLONE_NEWIPC, LAUNCH, "--share-ipc",
	    "ipc namespaces", "System V IPC of its own; --share-ipc does without"),
	ROW("uts-namespaces", namespace, CLONE_NEWUTS, LAUNCH, "--share-uts --hostname",
	    "uts namespaces", "a host name of its own; --share-uts does without"),
	ROW("cgroup-namespaces", namespace, CLONE_NEWCGROUP, LAUNCH, "--share-cgroup",
	    "cgroup namespaces", "the host's cgroup names are hidden; --share-cgroup does without"),
	ROW("net-namespaces", namespace, CLONE_NEWNET, LAUNCH, "--share-net",
	    "network namespaces", "no network but its own; --share-net does without"),
	ROW("mount-calls", mount_api, 0, LAUNCH, "",
	    "mounting by descriptors", "all binds are made so"),
	ROW("proc", filesystem, PLAN_STEP_PROC, LAUNCH, "--proc",
	    "a new /proc", "it shows the sandbox's processes only"),
	ROW("forbid-userns", userns_limit, 0, LAUNCH, "--disable-userns",
	    "a limit on user namespaces", "nothing inside can make more; --allow-userns does without"),
	ROW("devpts", pty, 0, LAUNCH, "--dev --pty",
	    "terminals of its own", "/dev has them, and --pty uses one"),
	ROW("seccomp", seccomp, 0, LAUNCH, "--seccomp",
	    "system call filters", "one is on by default; --seccomp=none does without"),
	ROW("id-ranges", ids, 0, OPTIONS, "--map=range --user",
	    "subordinate ids, newuidmap and newgidmap",
	    "other users than you exist inside: chown, apt, services"),
	ROW("sysfs", filesystem, PLAN_STEP_SYS, OPTIONS, "--sys",
	    "a new /sys", "it shows the sandbox's network devices"),
	ROW("mqueue", filesystem, PLAN_STEP_MQUEUE, OPTIONS, "--mqueue",
	    "a new message queue filesystem", "POSIX message queues can be listed"),
	ROW("overlayfs", overlay, 0, OPTIONS, "--protect-by=overlay --overlay --tmp-overlay --ro-overlay",
	    "the kernel's overlays in user namespaces", "changes can be kept apart from what is below"),
	ROW("fuse", device, HINT_FUSE, OPTIONS, "--overlay --tmp-overlay --ro-overlay",
	    "/dev/fuse", "fuse-overlayfs needs it"),
	ROW("fuse-overlayfs", helper, 0, OPTIONS, "--overlay --tmp-overlay --ro-overlay",
	    "overlays without the kernel's", "layers that the kernel's overlays cannot have"),
	ROW("tun", device, HINT_TUN, OPTIONS, NETWORK,
	    "/dev/net/tun", "slirp4netns needs it"),
	ROW("slirp4netns", helper, 0, OPTIONS, NETWORK,
	    "a network in user mode", "it carries the packets of a network of one's own"),
	ROW("nft", nft, 0, OPTIONS, NETWORK,
	    "nftables", "rules keep the host and its network out of reach"),
	ROW("cgroup", cgroup, 0, OPTIONS, LIMITS,
	    "cgroup v2", "limits are set on a cgroup of one's own"),
	ROW("systemd", systemd, 0, OPTIONS, LIMITS,
	    "systemd's user manager", "it makes a cgroup where none is delegated"),
	ROW("landlock", landlock, 0, OPTIONS, "--landlock=require",
	    "Landlock's scopes", "sockets and processes of the host are out of reach where network or processes are shared"),
	ROW("seccomp-log", listener, 0, OPTIONS, "--seccomp-log",
	    "filters that report", "it tells what was refused"),
	ROW("sbx-seccomp", reader, 0, OPTIONS, "--seccomp",
	    "the reader of seccomp profiles", "--seccomp FILE is read by it"),
	ROW("session-bus", bus, 0, OPTIONS, "--dbus-session",
	    "the session bus and xdg-dbus-proxy", "desktop programs talk through it"),
	ROW("terminal", terminal, 0, OPTIONS, "--pty",
	    "a terminal", "there has to be one to relay"),
	ROW("records", records, 0, OPTIONS, "--name --detach",
	    "the runtime directory", "sbx ps and the other verbs find sandboxes by what is kept there"),
	ROW("processes", processes, 0, LAUNCH, "",
	    "the quota of processes", "a sandbox has three besides those of its command"),
	ROW("namespaces", namespaces, 0, LAUNCH, "",
	    "the quota of namespaces", "a sandbox has one of each kind"),
	ROW("open-files", files, 0, LAUNCH, "",
	    "the limit on open files", "a launch has some dozens"),
	ROW("keys", keys, 0, OPTIONS, "--seccomp --seccomp-allow",
	    "the quota of keys", "where keyrings are allowed, each sandbox has one"),
	ROW("launch", launch, 0, LAUNCH, "",
	    "a plain launch", "all that it needs, together"),
};
/* clang-format on */

const size_t doctor_n_probes = ARRAY_SIZE(doctor_probes);

/* By its name; NULL: there is none. */
const struct doctor_probe *doctor_find(const char *name)
{
	for (size_t i = 0; i < doctor_n_probes; i++)
		if (str_equal(doctor_probes[i].name, name))
			return &doctor_probes[i];
	return NULL;
}
