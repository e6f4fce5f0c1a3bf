/* SPDX-License-Identifier: MIT */
/*
 * table: the list of probes, in the order in which they are made and shown. It makes the
 * table doctor_probes; the completions are made from it too, at build time, where the
 * functions are not there. user-namespaces stands before all that need one, cgroup before
 * systemd. An option that this version does not have is not shown.
 */
#pragma once

#define DOCTOR_LIMITS                                                                              \
	"--memory --memory-high --swap --cpus --cpu-weight --pids --io-max --io-weight --cpuset"
#define DOCTOR_NETWORK "--net=user --publish --allow-net --deny-net"
#define DOCTOR_OVERLAYS "--overlay --tmp-overlay --ro-overlay"

/* clang-format off */
/* X(name, function, its argument, who needs it, options, title, why) */
#define DOCTOR_PROBES(X) \
	X("kernel", kernel, 0, LAUNCH, "", \
	    "the kernel", "it is made of its system calls") \
	X("container", container, 0, NOTHING, "", \
	    "where sbx runs", "a container or an outer sandbox explains what fails below") \
	X("security-modules", lsm, 0, NOTHING, "", \
	    "AppArmor and SELinux", "each can forbid user namespaces to single programs") \
	X("user-namespaces", userns, 0, LAUNCH, "", \
	    "user namespaces", "the one that lets an ordinary user make all others") \
	X("mount-namespaces", namespace, CLONE_NEWNS, LAUNCH, "", \
	    "mount namespaces", "a root of its own") \
	X("pid-namespaces", namespace, CLONE_NEWPID, LAUNCH, "--share-pid", \
	    "pid namespaces", "all processes end with the sandbox; --share-pid does without") \
	X("ipc-namespaces", namespace, CLONE_NEWIPC, LAUNCH, "--share-ipc", \
	    "ipc namespaces", "System V IPC of its own; --share-ipc does without") \
	X("uts-namespaces", namespace, CLONE_NEWUTS, LAUNCH, "--share-uts --hostname", \
	    "uts namespaces", "a host name of its own; --share-uts does without") \
	X("cgroup-namespaces", namespace, CLONE_NEWCGROUP, LAUNCH, "--share-cgroup", \
	    "cgroup namespaces", "the host's cgroup names are hidden; --share-cgroup does without") \
	X("net-namespaces", namespace, CLONE_NEWNET, LAUNCH, "--share-net", \
	    "network namespaces", "no network but its own; --share-net does without") \
	X("mount-calls", mount_api, 0, LAUNCH, "", \
	    "mounting by descriptors", "all binds are made so") \
	X("proc", filesystem, PLAN_STEP_PROC, LAUNCH, "--proc", \
	    "a new /proc", "it shows the sandbox's processes only") \
	X("forbid-userns", userns_limit, 0, LAUNCH, "--disable-userns", \
	    "a limit on user namespaces", "nothing inside can make more; --allow-userns does without") \
	X("devpts", pty, 0, LAUNCH, "--dev --pty", \
	    "terminals of its own", "/dev has them, and --pty uses one") \
	X("seccomp", seccomp, 0, LAUNCH, "--seccomp", \
	    "system call filters", "one is on by default; --seccomp=none does without") \
	X("id-ranges", ids, 0, OPTIONS, "--map=range --user", \
	    "subordinate ids, newuidmap and newgidmap", \
	    "other users than you exist inside: chown, apt, services") \
	X("sysfs", filesystem, PLAN_STEP_SYS, OPTIONS, "--sys", \
	    "a new /sys", "it shows the sandbox's network devices") \
	X("mqueue", filesystem, PLAN_STEP_MQUEUE, OPTIONS, "--mqueue", \
	    "a new message queue filesystem", "POSIX message queues can be listed") \
	X("overlayfs", overlay, 0, OPTIONS, "--protect-by=overlay " DOCTOR_OVERLAYS, \
	    "the kernel's overlays in user namespaces", "changes can be kept apart from what is below") \
	X("fuse", device, HINT_FUSE, OPTIONS, DOCTOR_OVERLAYS, \
	    "/dev/fuse", "fuse-overlayfs needs it") \
	X("fuse-overlayfs", helper, 0, OPTIONS, DOCTOR_OVERLAYS, \
	    "overlays without the kernel's", "layers that the kernel's overlays cannot have") \
	X("tun", device, HINT_TUN, OPTIONS, DOCTOR_NETWORK, \
	    "/dev/net/tun", "slirp4netns needs it") \
	X("slirp4netns", slirp, 0, OPTIONS, DOCTOR_NETWORK, \
	    "a network in user mode", "it carries the packets of a network of one's own") \
	X("nft", nft, 0, OPTIONS, DOCTOR_NETWORK, \
	    "nftables", "rules keep the host and its network out of reach") \
	X("shared", shared, 0, OPTIONS, "--net=NAME", \
	    "bridges and pairs of interfaces", "sandboxes can share a network") \
	X("cgroup", cgroup, 0, OPTIONS, DOCTOR_LIMITS, \
	    "cgroup v2", "limits are set on a cgroup of one's own") \
	X("systemd", systemd, 0, OPTIONS, DOCTOR_LIMITS, \
	    "systemd's user manager", "it makes a cgroup where none is delegated") \
	X("landlock", landlock, 0, OPTIONS, "--landlock=require", \
	    "Landlock's scopes", "sockets and processes of the host are out of reach where network or processes are shared") \
	X("seccomp-log", listener, 0, OPTIONS, "--seccomp-log", \
	    "filters that report", "it tells what was refused") \
	X("sbx-seccomp", reader, 0, OPTIONS, "--seccomp", \
	    "the reader of seccomp profiles", "--seccomp FILE is read by it") \
	X("session-bus", bus, 0, OPTIONS, "--dbus-session", \
	    "the session bus and xdg-dbus-proxy", "desktop programs talk through it") \
	X("terminal", terminal, 0, OPTIONS, "--pty", \
	    "a terminal", "there has to be one to relay") \
	X("records", records, 0, OPTIONS, "--name --detach", \
	    "the runtime directory", "sbx ps and the other verbs find sandboxes by what is kept there") \
	X("processes", processes, 0, LAUNCH, "", \
	    "the quota of processes", "a sandbox has three besides those of its command") \
	X("namespaces", namespaces, 0, LAUNCH, "", \
	    "the quota of namespaces", "a sandbox has one of each kind") \
	X("open-files", files, 0, LAUNCH, "", \
	    "the limit on open files", "a launch has some dozens") \
	X("keys", keys, 0, OPTIONS, "--seccomp --seccomp-allow", \
	    "the quota of keys", "where keyrings are allowed, each sandbox has one") \
	X("launch", launch, 0, LAUNCH, "", \
	    "a plain launch", "all that it needs, together")
/* clang-format on */
