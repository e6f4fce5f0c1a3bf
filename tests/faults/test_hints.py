#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_hints.py SBX INJECT: what the kernel refuses is told with what to do about it.

For rows of src/spec/hints.c that no other test comes to: a system call fails as it would on another
kernel, or in another state of this one, or the options alone bring it about. That the rest is
found for its error, tests/spec/test_hints.c says; these are not brought about anywhere else:

  apparmor_restricts, clone_switch_off, kernel_too_old, chroot, apparmor_confines: a switch, a name,
    a root and a profile of the host's, which that test makes up
  PLAN_STEP_NICE EPERM: setpriority(2) has it for processes of other users, and sbx sets its own
  PLAN_STEP_FILTER_COVER: it takes a /run/user/UID that is a mount
  HINT_CGROUP of a refusal: it takes a manager of systemd's that refuses to move a process
  HINT_TERMINAL, HINT_ENTER: a terminal that fails, a program inside that may not be read

Prints TAP.
"""
import ctypes
import errno
import os
import re
import sys

import faults

USR = ["--map=single", "--ro-bind", "/usr", "/usr"]
PROTECT = USR + ["--bind", "%(p)s", "/p", "--protect", "/p/name"]
LAYERS = USR + ["--overlay-driver=kernel", "--overlay-src", "%(p)s", "--tmp-overlay", "/x"]
PIN = USR + ["--no-base", "--bind", "%(p)s", "%(p)s", "--cow", "/usr/share", "--session", "%(p)s/s/x"]
USERNS = USR + ["--userns", "%(fd)d"]
LIMIT = "/proc/sys/user/max_user_namespaces"
NO_FILTERS = "built without filters (CONFIG_SECCOMP_FILTER)"

# role, call, which (the N-th, each for 0, or the last with that word in the report), errno, options,
# what the hint says. Without a call: the options alone do it.
ROWS = [
    ("monitor", "clone3", 1, "EPERM", USR, "security module or an outer sandbox forbids"),
    ("monitor", "clone3", 1, "EACCES", USR, "ausearch -m avc"),
    ("monitor", "clone3", 1, "ENOSPC", USR, "the limit on namespaces is reached"),
    ("monitor", "clone3", 1, "EUSERS", USR, "nested 32 deep"),
    ("monitor", "clone3", 1, "ENOSYS", USR, "refuses clone3"),
    ("monitor", "clone3", 1, "EINVAL", USR, "(CONFIG_USER_NS and its like)"),
    ("monitor", "clone3", 1, "EAGAIN", USR, "the limit on processes is reached"),
    ("init", "clone", 1, "EAGAIN", USR, "the limit on processes is reached"),
    ("init", "move_mount", 1, "ENOSPC", USR, "of mounts (/proc/sys/fs/mount-max)"),
    ("init", "move_mount", 1, "ENFILE", USR, "sysctl fs.file-max"),
    ("init", "move_mount", 1, "ENOMEM", USR, "memory is short"),
    ("init", "move_mount", 1, "EFBIG", USR, "(ulimit -f)"),
    ("init", "seccomp", 1, "EINVAL", USR, NO_FILTERS),
    ("init", "seccomp", 1, "ENOSYS", USR, NO_FILTERS),
    ("payload", "seccomp", 1, "EINVAL", USR + ["--cap-add", "NET_ADMIN"], NO_FILTERS),
    ("payload", "seccomp", 1, "ENOSYS", USR + ["--cap-add", "NET_ADMIN"], NO_FILTERS),
    ("init", "seccomp", 1, "EBUSY", USR + ["--seccomp-log"], "leave --seccomp-log out"),
    ("init", "keyctl", 1, "EDQUOT", USR + ["--seccomp=none"], "the quota of keys is used up"),
    ("payload", "landlock_restrict_self", 1, "E2BIG", USR + ["--share-net"], "use --landlock=off"),
    ("init", "openat", LIMIT, "EROFS", USR, "/proc/sys is read-only"),
    ("init", "openat", LIMIT, "ENOENT", USR, "the caller has no /proc"),
    ("init", "fsopen", "sysfs", "EPERM", USR + ["--sys", "/sys"], "--ro-bind /sys /sys"),
    ("init", "renameat2", 1, "EINVAL", PROTECT, "make the protected path before"),
    ("init", "fsopen", "overlay", "ENODEV", PROTECT + ["--protect-by=overlay"], "has no overlayfs; leave"),
    ("init", "fsopen", "overlay", "EINVAL", PROTECT + ["--protect-by=overlay"], "not every filesystem"),
    ("init", "flock", 0, "EWOULDBLOCK", PROTECT, "holds the lock"),
    ("init", "open_tree", 3, "EPERM", PIN, "above the sessions read-only"),
    ("init", "fsopen", "overlay", "ENODEV", LAYERS, "--overlay-driver=fuse does without"),
    ("init", "fsopen", "overlay", "EBUSY", LAYERS, "another sandbox uses RWSRC or WORKDIR"),
    ("init", "fsopen", "overlay", "EPERM", LAYERS, "--overlay-driver=fuse, or fewer"),
    ("joiner", "setns", 1, "EPERM", USERNS, "the caller must own the user namespace"),
    ("joiner", "setns", 1, "EINVAL", USERNS, "another than the caller's own"),
    ("monitor", "openat", "/dev/fuse", "ENOENT", ["doctor", "fuse"], "modprobe fuse; in a container: "),
    ("monitor", "openat", "/dev/fuse", "ENXIO", ["doctor", "fuse"], "as root: modprobe fuse"),
    ("monitor", "openat", "/dev/fuse", "ENODEV", ["doctor", "fuse"], "as root: modprobe fuse"),
    ("monitor", "openat", "/dev/fuse", "EACCES", ["doctor", "fuse"], "chmod 0666 /dev/fuse"),
    ("monitor", "openat", "/dev/fuse", "EPERM", ["doctor", "fuse"], "--device /dev/fuse"),
    ("monitor", "openat", "/dev/net/tun", "ENOENT", ["doctor", "tun"], "modprobe tun; in a container: "),
    ("monitor", "openat", "/dev/net/tun", "ENXIO", ["doctor", "tun"], "as root: modprobe tun"),
    ("monitor", "openat", "/dev/net/tun", "ENODEV", ["doctor", "tun"], "as root: modprobe tun"),
    ("monitor", "openat", "/dev/net/tun", "EACCES", ["doctor", "tun"], "chmod 0666 /dev/net/tun"),
    ("monitor", "openat", "/dev/net/tun", "EPERM", ["doctor", "tun"], "--device /dev/net/tun"),
    (None, None, 0, "EROFS", ["--map=single", "--ro-bind", "%(p)s", "/"], "make it in the source"),
    (None, None, 0, "EPERM", USR + ["--share-cgroup", "--cgroup", "/cgroup"], "leave\n            --share-cgroup out"),
]


LANDLOCK_CREATE_RULESET, LANDLOCK_VERSION, LANDLOCK_SCOPES = 444, 1, 6


def can_scope():
    """Older kernels have nothing to do for that row."""
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_VERSION) >= LANDLOCK_SCOPES


def switch_is_on():
    """What comes first where AppArmor has its switch on."""
    try:
        with open("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", encoding="ascii") as f:
            return f.read().strip() == "1"
    except FileNotFoundError:
        return False


def find(report, role, call, word):
    """The number of the last such call with that word."""
    number = None
    with open(report, encoding="utf-8", errors="replace") as f:
        for line in f:
            words = line.split()
            if words[:3] == ["call", role, call] and words[-1] == word:
                number = int(words[3])
    return number


def check(tap, sbx, inject, row):
    role, call, which, name, options, says = row
    if call == "clone3" and name in ("EPERM", "EACCES") and switch_is_on():
        says = "AppArmor keeps ordinary users from user namespaces"
    with faults.Scratch() as scratch, open("/proc/self/ns/user", "rb") as own:
        os.mkdir(os.path.join(scratch.path, "p"))
        values = {"p": os.path.join(scratch.path, "p"), "fd": own.fileno()}
        verb = options[0] == "doctor"
        command = [sbx, *(option % values for option in options), *([] if verb else ["--", "true"])]
        report = os.path.join(scratch.path, "report")

        def traced(*words):
            return faults.run([inject, "--report", report, "--timeout", "30", *words, *command],
                              env=scratch.env(), timeout=40, pass_fds=[own.fileno()])

        if isinstance(which, str):
            traced()
            which = find(report, role, call, which)
        done = traced("--fail", "%s:%s:%s:%d" % (role, call, which, getattr(errno, name))) if call else traced()
        with open(report, encoding="utf-8", errors="replace") as f:
            ended = "exit %d\n" % (1 if verb else 125) in f.read()
        said = done.out if verb else done.err
        hint = re.search(r" (?:hint:|mend) +(.*)", said, re.S)
        tap.ok(ended and hint and says in hint.group(1) and os.strerror(getattr(errno, name)) in said,
               "%s %s: %s" % (call or "options", name, says.split("\n")[0]), [which, done, done.out])


def main():
    sbx, inject = map(os.path.abspath, sys.argv[1:3])
    tap = faults.Tap()
    for row in ROWS:
        if row[1] != "landlock_restrict_self" or can_scope():
            check(tap, sbx, inject, row)
    return tap.end()


sys.exit(main())
