/* SPDX-License-Identifier: MIT */
/*
 * hints: the remedies that sbx knows, as a table.
 *
 * A row applies where its place, its errno and its probe all agree; the first
 * that does wins, so rows with a probe stand before those without. An errno is the
 * kernel's: where sbx itself has refused with it the remedy is mostly another one, so
 * a row that is for such a refusal says so (HINT_REFUSAL). A probe reads
 * one file and is only ever run when something has failed already. In a text %P stands for
 * what the failure is about: the error's object, where the caller says nothing else.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "sbx/base/arena.h"
#include "sbx/base/io.h"
#include "sbx/base/mountinfo.h"
#include "sbx/base/netlink.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/spec/hints.h"
#include "sbx/spec/plan.h"

enum { HINT_MOUNTINFO_MAX_BYTES = 16 << 20 };

/* The first line of a small file, without its newline; "" where there is none. */
static void hint_read_line(const char *path, char *line, size_t size)
{
	_autoclose_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, size - 1);

	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

static bool hint_file_says(const char *path, const char *value)
{
	char line[64];

	hint_read_line(path, line, sizeof(line));
	return strcmp(line, value) == 0;
}

static bool probe_kernel_too_old(void)
{
	struct utsname uts;
	unsigned major = 0, minor = 0;

	if (uname(&uts) < 0 || sscanf(uts.release, "%u.%u", &major, &minor) != 2)
		return false;
	return major < 5 || (major == 5 && minor < 15);
}

static bool probe_apparmor_restricts(void)
{
	return hint_file_says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1");
}

/* Does AppArmor hold sbx to a profile, as in a container? One marked "(unconfined)" holds
 * it to nothing. */
static bool probe_apparmor_confines(void)
{
	char label[256];

	hint_read_line("/proc/self/attr/apparmor/current", label, sizeof(label));
	return label[0] && !str_equal(label, "unconfined") && !strstr(label, "(unconfined)");
}

static bool probe_clone_switch_off(void)
{
	return hint_file_says("/proc/sys/kernel/unprivileged_userns_clone", "0");
}

static bool probe_no_userns_allowed(void)
{
	return hint_file_says("/proc/sys/user/max_user_namespaces", "0");
}

static bool probe_seccomp(void)
{
	return prctl(PR_GET_SECCOMP) == 2;
}

/* Is the root a plain directory? In a namespace of its own it is the root of a mount. */
static bool probe_chroot(void)
{
	struct sys_mount root;

	return sys_statx_mount(AT_FDCWD, "/", &root) == 0 && !root.is_root;
}

/* Does a filter of system calls, as an outer sandbox has, keep the caller from netfilter's sockets?
 */
static bool probe_netfilter_refused(void)
{
	_autoclose_ int fd = -1;

	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER)
		return false;
	fd = netlink_open(NETLINK_NETFILTER);
	return fd < 0;
}

/* Whose process 1 is sbx's: what is missing here, that sandbox can be given. */
static bool probe_in_sandbox(void)
{
	return hint_file_says("/proc/1/comm", "sbx");
}

/* Is something mounted inside the caller's /proc? Then the kernel refuses a new one. */
static bool probe_proc_covered(void)
{
	_autoarena_ struct arena arena = {.chunks = NULL};
	char *text, *point;
	bool covered = false;
	size_t len;

	if (io_read_file("/proc/self/mountinfo", HINT_MOUNTINFO_MAX_BYTES, &arena, &text, &len) < 0)
		return true;
	while (!covered && (point = mountinfo_next(&text)))
		covered = str_starts_with(point, "/proc/") &&
			  !str_starts_with(point, "/proc/sys/fs/binfmt_misc");
	return covered;
}

enum {
	HINT_NUMBERS = -1,
	HINT_REFUSAL = 1 << 16, /* and an errno: that of an err_refuse(), not the kernel's */
};

struct hint {
	int place;  /* a step kind or enum hint_place */
	int number; /* errno; 0: of none, so any refusal; HINT_REFUSAL + errno; HINT_NUMBERS: any */
	bool (*probe)(void); /* NULL: always */
	const char *text;
};

static const char hint_processes[] =
	"the limit on processes is reached; see \"ulimit -u\" and the cgroup's pids.max";

static const char hint_old_kernel[] =
	"this kernel is older than Linux 5.15, which sbx needs; see \"uname -r\"";
static const char hint_apparmor[] =
	"AppArmor keeps ordinary users from user namespaces here. As root, give sbx a profile:\n"
	"  echo \"abi <abi/4.0>, profile sbx $(command -v sbx) flags=(unconfined) { userns, }\" "
	">/etc/apparmor.d/sbx\n"
	"  apparmor_parser -r /etc/apparmor.d/sbx\n"
	"or, for all programs: sysctl kernel.apparmor_restrict_unprivileged_userns=0";
static const char hint_confined[] =
	"an AppArmor profile confines sbx here, and may forbid this; its name is in\n"
	"/proc/self/attr/apparmor/current, what it refused tells as root: dmesg | grep DENIED";
static const char hint_no_userns[] =
	"no user namespaces are allowed here. In a sandbox: it has to be started so that it "
	"allows\n"
	"them (sbx --allow-userns). On the host, as root: sysctl user.max_user_namespaces=10000";
static const char hint_proc[] =
	"parts of the caller's /proc are mounted over (as in a container), so the kernel refuses "
	"a\n"
	"new one; run sbx outside, or make /proc whole (podman: --security-opt unmask=ALL;\n"
	"docker: --security-opt systempaths=unconfined), or use --share-pid";

static const char hint_nice[] =
	"only root, and whom RLIMIT_NICE allows it (see limits.conf(5)), can go below the caller's "
	"own\n"
	"nice value";

static const char hint_no_filters[] =
	"this kernel was built without filters (CONFIG_SECCOMP_FILTER), or an outer sandbox "
	"refuses\n"
	"seccomp(2); --seccomp=none does without, and leaves every system call to the command";

static const char hint_bus[] =
	"see that xdg-dbus-proxy is installed and works, and that the bus at\n"
	"DBUS_SESSION_BUS_ADDRESS answers; --no-dbus-session does without";

static const char hint_fuse[] =
	"see that fuse-overlayfs works: it needs /dev/fuse, and a WORKDIR on the filesystem of "
	"RWSRC;\n"
	"--overlay-driver=kernel does without";
static const char hint_fuse_inside[] =
	"in a sandbox of sbx: start that with --dev-bind /dev/fuse /dev/fuse";
static const char hint_tun_inside[] =
	"in a sandbox of sbx: start that with --dev-bind /dev/net/tun /dev/net/tun";
static const char hint_overlay[] =
	"the kernel takes no layer with mounts below it, no RWSRC on an overlay or on some other\n"
	"filesystems, and WORKDIR only on the same mount as RWSRC; --overlay-driver=fuse, or fewer "
	"layers,\n"
	"may do";

static const char hint_cgroup[] =
	"you must own both cgroups, and one that both are in (cgroups(7), delegation); from a "
	"login\nsession: systemd-run --user --scope sbx exec ...";
static const char hint_net[] =
	"see that slirp4netns works here (\"sbx doctor slirp4netns tun\"): it needs /dev/net/tun, "
	"and\n"
	"/etc/resolv.conf to be, or lead to, a file below /etc or /run";
static const char hint_nft_refused[] =
	"sbx itself is under a system call filter that refuses what nft needs, as in another "
	"sandbox;\n"
	"start that so that it allows it (sbx --allow-userns --cap-add NET_ADMIN)";
static const char hint_nft[] =
	"see that nftables works here (\"sbx doctor nft\"); as root: modprobe -a nf_tables "
	"nft_chain_nat\n"
	"nf_conntrack. --net=user,unfiltered without --allow-net and --deny-net does without, and "
	"leaves\nthe host and its network within reach";

static const char hint_ipv6[] = "see that the kernel has IPv6 and it is not off: sysctl "
				"net.ipv6.conf.default.disable_ipv6; "
				"or\nleave the word ipv6 out";

static const char hint_join[] =
	"the descriptor must be a namespace's of that kind, and another than the caller's own";
static const char hint_join_right[] =
	"the caller must own the user namespace, and a pid namespace must belong to the\n"
	"user namespace of --userns";
static const char hint_netns[] =
	"to enter it takes CAP_SYS_ADMIN in the user namespace that owns it: be root there, or the "
	"one who\nmade that user namespace. What root has made (ip netns) only root can enter; one "
	"of "
	"your own makes\n\"unshare --user --map-current-user --net\"";
static const char hint_race[] = "a program outside is changing the same directories; try again";
static const char hint_share[] =
	"the kernel needs bridges and pairs of interfaces; as root: modprobe -a bridge veth "
	"(\"sbx doctor\nshared\" tells what works)";

static const struct hint hints[] = {
	{HINT_CLONE, EPERM, probe_apparmor_restricts, hint_apparmor},
	{HINT_CLONE, EPERM, probe_clone_switch_off,
	 "the switch for user namespaces is off; as root: sysctl "
	 "kernel.unprivileged_userns_clone=1"},
	{HINT_CLONE, EPERM, probe_no_userns_allowed, hint_no_userns},
	{HINT_CLONE, EPERM, probe_seccomp,
	 "a seccomp filter of an outer container or service refuses user namespaces; run sbx "
	 "outside\n"
	 "it, or let it allow clone and unshare (docker: --security-opt seccomp=unconfined)"},
	{HINT_CLONE, EPERM, probe_chroot,
	 "the kernel refuses user namespaces in a chroot; enter the tree with pivot_root or\n"
	 "systemd-nspawn instead"},
	{HINT_CLONE, EPERM, NULL,
	 "a security module or an outer sandbox forbids user namespaces, or this is a chroot; the\n"
	 "kernel's log may tell which (dmesg | tail)"},
	{HINT_CLONE, EACCES, probe_apparmor_restricts, hint_apparmor},
	{HINT_CLONE, EACCES, NULL,
	 "a security module (SELinux, AppArmor) forbids this program user namespaces; which rule "
	 "it\n"
	 "is, tells as root: ausearch -m avc -ts recent, or dmesg | tail"},
	{HINT_CLONE, ENOSPC, probe_no_userns_allowed, hint_no_userns},
	{HINT_CLONE, ENOSPC, NULL,
	 "the limit on namespaces is reached, or this is inside a sandbox that allows none.\n"
	 "On the host, as root: sysctl "
	 "user.max_{user,mnt,pid,ipc,uts,cgroup,net}_namespaces=10000"},
	{HINT_CLONE, EUSERS, NULL, "user namespaces are nested 32 deep, the kernel's limit"},
	{HINT_CLONE, ENOSYS, probe_kernel_too_old, hint_old_kernel},
	{HINT_CLONE, ENOSYS, probe_no_userns_allowed, hint_no_userns},
	{HINT_CLONE, ENOSYS, NULL,
	 "a seccomp filter of an outer container or service refuses clone3; run sbx outside it"},
	{HINT_CLONE, EINVAL, NULL,
	 "this kernel was built without one of the namespaces (CONFIG_USER_NS and its like)"},
	{HINT_CLONE, EAGAIN, NULL, hint_processes},
	{HINT_IDMAP, EAGAIN, NULL, hint_processes},
	{HINT_PAYLOAD, EAGAIN, NULL, hint_processes},
	{HINT_IDMAP, EPERM, probe_apparmor_restricts, hint_apparmor},
	{HINT_IDMAP, EACCES, probe_apparmor_restricts, hint_apparmor},
	{HINT_CGROUP, EACCES, NULL, hint_cgroup},
	{HINT_CGROUP, EPERM, NULL, hint_cgroup},
	{HINT_CGROUP, ENOENT, NULL, hint_cgroup},
	{HINT_CGROUP, HINT_REFUSAL + ECANCELED, NULL, hint_cgroup}, /* systemd has refused it */
	{HINT_BUS, 0, NULL, hint_bus},
	{HINT_FUSE, ENOENT, probe_in_sandbox, hint_fuse_inside},
	{HINT_FUSE, 0, probe_in_sandbox, hint_fuse_inside},
	{HINT_FUSE, EACCES, probe_in_sandbox,
	 "in a sandbox of sbx: start that with --dev-bind /dev/fuse /dev/fuse; and on the host, "
	 "as\n"
	 "root: chmod 0666 /dev/fuse"},
	{HINT_FUSE, ENOENT, NULL,
	 "as root: modprobe fuse; in a container: start that with --device /dev/fuse"},
	{HINT_FUSE, ENXIO, NULL, "as root: modprobe fuse"},
	{HINT_FUSE, ENODEV, NULL, "as root: modprobe fuse"},
	{HINT_FUSE, EACCES, NULL, "as root: chmod 0666 /dev/fuse"},
	{HINT_FUSE, EPERM, NULL, "in a container: start that with --device /dev/fuse"},
	{HINT_FUSE, 0, NULL, "in a container: start that with --device /dev/fuse"},
	{HINT_TUN, ENOENT, probe_in_sandbox, hint_tun_inside},
	{HINT_TUN, 0, probe_in_sandbox, hint_tun_inside},
	{HINT_TUN, EACCES, probe_in_sandbox,
	 "in a sandbox of sbx: start that with --dev-bind /dev/net/tun /dev/net/tun; and on the "
	 "host, as\n"
	 "root: chmod 0666 /dev/net/tun"},
	{HINT_TUN, ENOENT, NULL,
	 "as root: modprobe tun; in a container: start that with --device /dev/net/tun"},
	{HINT_TUN, ENXIO, NULL, "as root: modprobe tun"},
	{HINT_TUN, ENODEV, NULL, "as root: modprobe tun"},
	{HINT_TUN, EACCES, NULL, "as root: chmod 0666 /dev/net/tun"},
	{HINT_TUN, EPERM, NULL, "in a container: start that with --device /dev/net/tun"},
	{HINT_TUN, 0, NULL, "in a container: start that with --device /dev/net/tun"},
	{HINT_NET, 0, NULL, hint_net},
	{HINT_NFT, HINT_NUMBERS, probe_netfilter_refused, hint_nft_refused},
	{HINT_NFT_HERE, HINT_NUMBERS, probe_netfilter_refused, hint_nft_refused},
	{HINT_NFT_HERE, HINT_NUMBERS, NULL,
	 "as root: modprobe -a nf_tables nft_chain_nat nf_conntrack"},
	{HINT_NFT, HINT_NUMBERS, NULL, hint_nft},
	{HINT_IPV6, HINT_NUMBERS, NULL, hint_ipv6},
	{HINT_SHARE_OTHER, HINT_NUMBERS, NULL,
	 "say what the first has said: --net=%P; or give this one another name. sbx net ls shows\n"
	 "which there are"},
	{HINT_SHARE_IN_USE, HINT_NUMBERS, NULL,
	 "end them first (sbx net ls --json names them), or have --force end them"},
	{HINT_SHARE_NAME, HINT_NUMBERS, NULL,
	 "choose another; sbx net ls --json names the members"},
	{HINT_SHARE_HOST, HINT_NUMBERS, NULL,
	 "choose another; sbx net ls --json names the members"},
	{HINT_NO_IDS, HINT_NUMBERS, NULL, "--map=single does with the caller's own id"},
	{HINT_NETNS, 0, NULL, hint_netns},
	{HINT_NETNS, EPERM, NULL, hint_netns},
	{HINT_SHARE, EOPNOTSUPP, NULL, hint_share},
	{HINT_SHARE, ENODEV, NULL, hint_share},
	{HINT_LISTENER, EBUSY, NULL,
	 "an outer container listens to the refused calls of its own; leave --seccomp-log out"},
	{PLAN_STEP_PROC, EPERM, probe_proc_covered, hint_proc},
	{PLAN_STEP_PROC_VIEW, EPERM, probe_proc_covered, hint_proc},
	{PLAN_STEP_CGROUP, EPERM, NULL,
	 "the hierarchy can only be mounted from a cgroup namespace of the sandbox's own; leave\n"
	 "--share-cgroup out"},
	{PLAN_STEP_PROC, EROFS, NULL,
	 "the root that was bound has no such directory and is read-only: make it in the source, "
	 "or\n"
	 "use --no-base"},
	{PLAN_STEP_DEV, EROFS, NULL,
	 "the root that was bound has no such directory and is read-only: make it in the source, "
	 "or\n"
	 "use --no-base"},
	{PLAN_STEP_BIND, EPERM, NULL,
	 "how a mount of the host keeps access times cannot be changed by ordinary users: leave\n"
	 "--mount-opt noatime and nodiratime out"},
	{PLAN_STEP_RLIMIT, EPERM, NULL,
	 "a hard limit can only be lowered, but by root; \"ulimit -H -a\" shows the caller's"},
	{PLAN_STEP_NICE, EPERM, NULL, hint_nice},
	{PLAN_STEP_NICE, EACCES, NULL, hint_nice},
	{PLAN_STEP_OOM_SCORE, EACCES, NULL,
	 "only root can go below the value that was set for the caller; see "
	 "/proc/self/oom_score_adj"},
	{PLAN_STEP_LANDLOCK, E2BIG, NULL,
	 "Landlock domains are nested 16 deep, the kernel's limit; use --landlock=off"},
	{PLAN_STEP_SYS, EPERM, NULL,
	 "parts of the caller's /sys are mounted over, so the kernel refuses a new one; bind what\n"
	 "is needed instead: --ro-bind /sys /sys"},
	{PLAN_STEP_BIND, ENOENT, NULL,
	 "check the path; --bind-try, --ro-bind-try and --dev-bind-try skip a source that does "
	 "not\n"
	 "exist"},
	{PLAN_STEP_BIND, EACCES, NULL,
	 "you may not enter one of the directories on the way; \"namei -l PATH\" shows which"},
	{PLAN_STEP_BIND, EROFS, NULL,
	 "the destination does not exist and its place is read-only; bind to a path that exists, "
	 "or\n"
	 "make its place writable first (--tmpfs DIR)"},
	{PLAN_STEP_PROTECT, EINVAL, NULL,
	 "the filesystem cannot rename a file without replacing another, which a placeholder "
	 "needs;\n"
	 "make the protected path before. With --protect-by=overlay: the kernel takes no "
	 "directory\n"
	 "with mounts below it and not every filesystem"},
	{PLAN_STEP_PROTECT, ENOTDIR, NULL,
	 "a name in front of the last is that of a file; protect the file, or correct the path"},
	{PLAN_STEP_PROTECT, ELOOP, NULL,
	 "the links lead in a circle; protect another path, or remove the link"},
	{PLAN_STEP_PROTECT, HINT_REFUSAL + EXDEV, NULL,
	 "set XDG_STATE_HOME to a directory on the mount that the path is on (\"findmnt -T PATH\" "
	 "tells),\n"
	 "or leave --protect-by=overlay out"},
	{PLAN_STEP_PROTECT, HINT_REFUSAL + EBUSY, NULL,
	 "leave --protect-by=overlay out, or put that mount behind --protect"},
	{PLAN_STEP_PROTECT, ENODEV, NULL,
	 "this kernel has no overlayfs; leave --protect-by=overlay out"},
	{PLAN_STEP_PROTECT, EWOULDBLOCK, NULL,
	 "another sbx, or a program that looks like one, holds the lock; see who has it open "
	 "with\n"
	 "\"fuser\", and try again"},
	{PLAN_STEP_PROTECT, HINT_REFUSAL + ESTALE, NULL, hint_race},
	{PLAN_STEP_PROTECT, HINT_REFUSAL + EAGAIN, NULL, hint_race},
	{PLAN_STEP_PIN, HINT_NUMBERS, NULL,
	 "bind less, or what is above the sessions read-only; or keep them elsewhere, by "
	 "XDG_STATE_HOME"},
	{PLAN_STEP_FILTER_COVER, HINT_NUMBERS, NULL,
	 "sbx keeps filters there, which no sandbox may write: make the directory by hand, or bind "
	 "less"},
	{HINT_FUSE_OVERLAYFS, 0, NULL, hint_fuse},
	{HINT_MARK, HINT_NUMBERS, NULL,
	 "rename the file, or remove the attribute (\"setfattr -x\"), so that it is none"},
	{HINT_MARK_KERNEL, HINT_NUMBERS, NULL,
	 "rename the file, or remove the attribute (\"setfattr -x\"), so that it is none; or use\n"
	 "--overlay-driver=kernel, which does not take it for one"},
	{PLAN_STEP_LAYERS, EINVAL, NULL, hint_overlay},
	{PLAN_STEP_LAYERS, EPERM, NULL, hint_overlay},
	{PLAN_STEP_LAYERS, ENODEV, NULL,
	 "this kernel has no overlayfs; --overlay-driver=fuse does without"},
	{PLAN_STEP_LAYERS, ENOENT, NULL, "check the paths of the layers; none is made by sbx"},
	{PLAN_STEP_LAYERS, EBUSY, NULL, "another sandbox uses RWSRC or WORKDIR"},
	{PLAN_STEP_USERNS_LIMIT, EROFS, NULL,
	 "the caller's /proc/sys is read-only (as in a container); use --allow-userns to do "
	 "without\n"
	 "this limit"},
	{PLAN_STEP_USERNS_LIMIT, ENOENT, NULL,
	 "the caller has no /proc; mount one, or use --allow-userns to do without this limit"},
	{PLAN_STEP_FILTER, EINVAL, NULL, hint_no_filters},
	{PLAN_STEP_FILTER, ENOSYS, NULL, hint_no_filters},
	{PLAN_STEP_OWN_FILTER, EINVAL, NULL, hint_no_filters},
	{PLAN_STEP_OWN_FILTER, ENOSYS, NULL, hint_no_filters},
	{PLAN_STEP_RAW_FILTER, EINVAL, NULL,
	 "what the descriptor holds is no program that the kernel takes as a filter: see "
	 "seccomp(2)"},
	{PLAN_STEP_CHDIR, HINT_NUMBERS, NULL,
	 "the path is one inside the sandbox; bind it, or leave --chdir out"},
	{HINT_MAP_HELPER, 0, NULL,
	 "compare /etc/subuid and /etc/subgid with the map that --explain shows, and see\n"
	 "that %P has its set-user-ID bit or capabilities; --map=single does without"},
	{HINT_MAP_SLOW, 0, NULL,
	 "it may wait for a directory service (see nsswitch.conf(5)); --map=single does\n"
	 "without it"},
	{HINT_TERMINAL, HINT_NUMBERS, NULL, "--no-pty shares it with the command as it is"},
	{HINT_JOIN_USERNS, EINVAL, NULL, hint_join},
	{HINT_JOIN_USERNS, HINT_NUMBERS, NULL, hint_join_right},
	{HINT_JOIN_PIDNS, EINVAL, NULL, hint_join},
	{HINT_JOIN_PIDNS, HINT_NUMBERS, NULL, hint_join_right},
	{HINT_ENTER, EPERM, NULL,
	 "its command has not been executed yet (--block-fd), or is a program that you\n"
	 "may not read"},
	{HINT_NAME, 0, NULL, "choose another name, or end that one: sbx stop %P"},
	{HINT_PID_1, 0, NULL,
	 "something outside killed it, perhaps for want of memory; everything in the\n"
	 "sandbox has ended with it"},
	{HINT_REAPER, 0, NULL,
	 "something outside killed it; with --share-pid, what the command had started may\n"
	 "still run"},
	{HINT_NO_FILE, 0, NULL,
	 "bind the directory that holds it, for example --ro-bind /usr /usr"},
	{HINT_NO_COMMAND, 0, NULL,
	 "PATH is %P; bind what holds the command, for example --ro-bind /usr /usr"},
	{HINT_NO_LOADER, HINT_NUMBERS, NULL, "bring it in: --ro-bind %P %P"},
	{PLAN_STEP_KEYRING, EDQUOT, NULL,
	 "the quota of keys is used up (/proc/key-users, kernel.keys.maxkeys): keyrings of ended\n"
	 "sandboxes are counted until the kernel collects them. Wait, or do without keyrings by\n"
	 "the default filter"},
	{HINT_ANY, ENOSYS, probe_kernel_too_old, hint_old_kernel},
	{HINT_ANY, ENOSYS, probe_seccomp,
	 "a seccomp filter of an outer container or service refuses this system call; run sbx\n"
	 "outside it"},
	{HINT_ANY, EPERM, probe_apparmor_restricts, hint_apparmor},
	{HINT_ANY, EACCES, probe_apparmor_restricts, hint_apparmor},
	{HINT_ANY, EACCES, probe_apparmor_confines, hint_confined},
	{HINT_ANY, EPERM, probe_apparmor_confines, hint_confined},
	{HINT_ANY, ENOSPC, NULL,
	 "a limit is reached: the size of a filesystem, or of mounts (/proc/sys/fs/mount-max)"},
	{HINT_ANY, EOVERFLOW, NULL,
	 "the sandbox's first process has no id inside: newuidmap or newgidmap, or whoever writes\n"
	 "to --userns-block-fd, ended as if the map were written, and it is not"},
	/* When the command is looked up, the limit is its own already. */
	{PLAN_STEP_EXEC, EMFILE, NULL,
	 "the command's limit on open files is too low to start one: give --rlimit nofile= a "
	 "higher\n"
	 "value, or without that raise yours, ulimit -n 1024"},
	{HINT_LIMIT, EMFILE, NULL, "raise the limit on open files: ulimit -n 1024"},
	{HINT_LIMIT, ENFILE, NULL, "the whole system has too many open files: sysctl fs.file-max"},
	{HINT_LIMIT, EFBIG, NULL,
	 "raise the limit on the size of files (ulimit -f), which is in force for those in memory "
	 "too"},
	{HINT_LIMIT, ENOMEM, NULL,
	 "memory is short: of the machine, of the cgroup (memory.max), or by a limit; see\n"
	 "\"ulimit -v\" and \"ulimit -d\""},
};

static bool hint_is_for(const struct hint *h, int place)
{
	return h->place == place || h->place == HINT_LIMIT ||
	       (h->place == HINT_ANY && place != HINT_LIMIT);
}

static bool hint_is_of(const struct hint *h, const struct sbx_err *err)
{
	if (h->number >= HINT_REFUSAL)
		return err->number == 0 && h->number - HINT_REFUSAL == err->refused;
	return h->number == HINT_NUMBERS || h->number == err->number;
}

/* Return: the number of the row that applies, or -1. */
int hint_find(const struct sbx_err *err, int place)
{
	for (size_t i = 0; i < ARRAY_SIZE(hints); i++)
		if (hint_is_for(&hints[i], place) && hint_is_of(&hints[i], err) &&
		    (!hints[i].probe || hints[i].probe()))
			return (int)i;
	return -1;
}

/* What a row says. Return: NULL behind the last. */
const char *hint_text(size_t row)
{
	return row < ARRAY_SIZE(hints) ? hints[row].text : NULL;
}

/* What is no step of a plan, and so has no cause in it: the option that asks for it. */
static const struct {
	int place;
	const char *option;
} hint_options[] = {
	{HINT_LISTENER, "--seccomp-log"},
	{HINT_MAP_HELPER, "--map=range"},
	{HINT_TERMINAL, "--pty"},
	{HINT_JOIN_USERNS, "--userns"},
	{HINT_JOIN_PIDNS, "--pidns"},
	{HINT_PARENT, "--die-with-parent"},
	{HINT_USERNS_BLOCK, "--userns-block-fd"},
	{HINT_INFO, "--info-fd"},
	{HINT_JSON_STATUS, "--json-status-fd"},
	{HINT_TIMEOUT, "--timeout"},
	{HINT_NAME, "--name"},
	{HINT_PUBLISH, "--publish"},
	{HINT_KEPT, "--keep-record"},
	{HINT_SHARE_NAME, "--name"},
	{HINT_SHARE_HOST, "--hostname"},
};

/* Return: "" where no single option stands for the place. */
const char *hint_option(int place)
{
	for (size_t i = 0; i < ARRAY_SIZE(hint_options); i++)
		if (hint_options[i].place == place)
			return hint_options[i].option;
	return "";
}

static void hint_fill_in(struct sbx_err *err, const char *text, const char *about)
{
	char room[sizeof(err->hint)];
	struct str_buf out = STR_BUF_ON_STACK(room);
	const char *mark;

	while ((mark = strstr(text, "%P"))) {
		str_buf_printf(&out, "%.*s", (int)(mark - text), text);
		str_buf_puts(&out, about);
		text = mark + 2;
	}
	str_buf_puts(&out, text);
	err_hint(err, "%s", out.data);
}

/**
 * Add the hint that the table has for this failure, if it has one, and the option that
 * stands for the place; each only where the failure has none yet.
 * @place: a step kind, or one of enum hint_place
 * @about: what the hint is about
 */
void hint_add_about(struct sbx_err *err, int place, const char *about)
{
	int row;

	err_set_option(err, hint_option(place));
	row = err->hint[0] ? -1 : hint_find(err, place);
	if (row >= 0)
		hint_fill_in(err, hints[row].text, about);
}

/* The same, about the object of the error. */
void hint_add(struct sbx_err *err, int place)
{
	char path[sizeof(err->path)];

	str_copy(path, sizeof(path), err->path);
	hint_add_about(err, place, path);
}
