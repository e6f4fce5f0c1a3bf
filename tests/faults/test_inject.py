#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_inject.py SBX INJECT [all|eighth]: every system call of a launch, or of a verb, fails once.

A reference launch under tests/faults/inject says which process makes which calls. Then each of
them fails in a launch of its own, and one of these must come of it:

  refused    exit code 125, or a verb's, an error that says what could not be done and why, nothing
             left behind
  unharmed   only where HARMLESS below says why: the command runs, and all that it can tell about
             its surroundings is as in the reference

Nothing else will do: no hang, no silence, no other exit code, nothing left. "all" is every call,
"eighth" an eighth of each kind, and else it is one of each kind; chosen at random, by SBX_TEST_SEED
where that is set. Words that are names of scenarios choose those.
"""
import errno
import itertools
import os
import random
import re
import shutil
import sys

import faults

# What does not return, or knows no failure (brk says no by not moving).
NEVER_FAILS = {
    "brk", "alarm",
    "exit", "exit_group", "rt_sigreturn",
    "getpid", "getppid", "getpgrp", "getuid", "geteuid", "getgid", "getegid", "umask",
}

# What the kernel would say, where "not permitted" would be odd or means something to sbx.
ERRORS = {
    "mmap": errno.ENOMEM, "poll": errno.ENOMEM, "ppoll": errno.ENOMEM,
    "read": errno.EIO, "write": errno.EIO, "clone3": errno.EAGAIN, "vfork": errno.EAGAIN,
    "clone": errno.EAGAIN, "setsid": errno.ENOSYS, "waitid": errno.EINVAL, "wait4": errno.EINVAL,
    "llistxattr": errno.EIO, "listxattr": errno.EIO,
    "kill": errno.EPERM, "recvfrom": errno.EIO, "recvmsg": errno.EIO, "sendto": errno.EIO,
}

# Who is killed as soon as he has said, by this call for the last time, what he was there for: how
# far he comes behind that is up to who is quicker.
KILLED_BEHIND = {"helper": "sendmsg", "anchor": "write"}

# PID 1's, once for each time that it wakes up.
WAKE_UPS = {"poll", "ppoll", "waitid"}
TRIES = 5

# More than sbx itself waits for anything: 10 seconds for a fuse-overlayfs to end by itself, which
# it does not while a mount of it is open somewhere because close(2) has failed.
HANGS_S = 25

# The word that says so to this program where it runs itself in a session; how long that may take.
IN_SESSION = "--in-session"
SESSION_S = 1200

# What differs in the evidence where a range of ids has given way to one id.
MAPS = r"^ +\d+ +\d+ +\d+$|^d.* pts$"

# (role, call, its first two arguments and its path as a pattern, what may then differ in the
# evidence): why the launch may go on.
HARMLESS = [
    (".*", "close", "", None),
    ("helper", "getxattr", "", None),
    # A layer of which it is not known that fuse-overlayfs made it is looked through as any other.
    ("monitor", "mmap", r" 266240 ", None),
    # libc's allocator takes the heap instead of a mapping of its own.
    ("monitor", "llistxattr", "", None),
    # Where a short list does not tell, the whole is asked for, or each by its name.
    # Nothing but a descriptor that stays open a little longer; all go with exec or close_range.
    ("monitor", "mmap", r" 32768 ", r"^$"),
    # The next chunk of an arena for what is told at the end, when all is done.
    ("monitor", "fchmodat", "", None),
    # A directory for overlays, which mkdir(2) has made with these permissions already.
    ("monitor", "utimensat", r"^\d+ 0 $", None),
    # When a session was used last: it then looks as old as it was. (Of its layers it is an error.)
    ("monitor", "munmap", "", None),
    # Memory that the end of the process gives back.
    ("monitor|init", "madvise", "", None),
    # Pages that are then faulted in one by one.
    ("init|monitor", "close_range", "", None),
    # What stays open in them is not seen by the command, which closes its own copies and is
    # refused if it cannot.
    ("monitor", "fcntl", r"^[012] 1 ", None),
    # A standard descriptor taken for closed: /dev/null is opened once more, for sbx alone.
    ("monitor", "getcwd", "", r"^PWD=|^/"),
    # A working directory that cannot be told (it was removed, say) gives way to the next one.
    ("payload|joiner", "chdir", "", r"^PWD=|^/"),
    # The caller's directory is the first of several that will do.
    ("monitor|init|helper", "getrandom", "", None),
    # libc's allocator takes a fixed seed instead.
    ("monitor", "ioctl", r"^\d+ (21505|21519|2147767346) ", None),
    # TCGETS, TIOCGPGRP, TIOCGDEV: no terminal, so none to be given back or to be shown as the console.
    ("monitor", "open|openat|read", "/etc/(passwd|group)|^\d", r"passwd|^\w+:x:"),
    # Whom the file does not name, getent(1) is asked for; without both he is "user".
    ("monitor", "prctl", "^39 ", None),
    # PR_GET_NO_NEW_PRIVS: only chooses the words of a remark.
    ("monitor", "getsockopt", r"^\d+ 1 ", None),
    ("holder", "listen", "", None),
    # SO_PEERCRED, and who it names: which process holds a network is told where it does not answer.
    ("monitor", "landlock_create_ruleset", "", None),
    # --landlock=auto does without it, and says so with -v; the payload's own call is an error.
    ("monitor", "prlimit64", "", None),
    # The limit on open files stays as it is; where it is too low, the step that needs more says so.
    ("monitor", "uname", "", r"hostname|hosts|localhost"),
    # The host's name in /etc/hosts becomes "sandbox".
    ("helper", "dup2|prctl|rt_sigprocmask|set_robust_list", "", None),
    # newuidmap reads and prints nothing but its complaint, and is killed if it has to be.
    ("helper", "execve", "", MAPS),
    ("monitor", "access|open|openat|read", "newuidmap|newgidmap|/etc/sub[ug]id|^\d", MAPS),
    # --map=auto does without the range; with --map=range it is an error, see below.
    ("monitor", "newfstatat", "newuidmap|newgidmap", None),
    # Does it have its set-user-ID bit? Running it will tell.
    ("monitor", "access", "newuidmap|newgidmap", None),
    ("monitor", "setsockopt", r"^\d+ 270 ", None),
    # NETLINK_GET_STRICT_CHK: without it all routes of the host are told, and chosen from here.
    ("monitor", "getrusage", "", None),
    # What is kept of a sandbox does not say then how much time it took of a processor.
    ("monitor", "poll", " 1 $", None),
    # A second look, in case there is more news than poll(2) told; the next turn finds it too.
    ("monitor", "bind|fchmod|listen|socket", "", None),
    ("monitor", "write", r"^\d+ \d+ ", None),
    ("monitor", "fcntl", r"^\d+ 6 ", None),
    ("monitor", "open|openat", r"/sbx/boxes$|(^|[ /])\.?[0-9a-f]{12}$|(^|[ /])\.$", None),
    # The record of a sandbox that nobody has named: it runs without one, and is not listed.
    ("monitor", "open|openat", "/sbx/placeholders$", None),
    ("monitor", "flock|getdents64|lseek|openat2|renameat2|rmdir|statx|unlinkat", "", None),
    ("monitor", "fcntl", r"^\d+ (2|3|8|1024) $", None),
    ("monitor", "newfstatat", r"^\d+ \d+ $", None),
    # The placeholders of --protect are looked for and removed; what fails the next sbx does.
    ("init", "faccessat2", "", None),
    # Asks whether a placeholder is needed; where none can be made, making it says so.
    ("monitor", "readlink", r"/tmp($|/)", None),
    # A layer's name is taken as it was typed; what is mounted below it the kernel refuses, too.
    ("monitor", "getxattr", "", None),
    # Whether the upper layer's filesystem has attributes, which most have.
    ("monitor", "newfstatat", r"/(low|high|source)$", None),
    # Whom a layer belongs to: a remark.
    ("helper", "close_range", "", None),
    # What stays open in the maker of a fuse-overlayfs goes with it, and with its exec.
    ("monitor", "waitid|pidfd_send_signal", "", None),
    # A fuse-overlayfs that has ended, or ends with the mount; the end of PID 1 is told elsewhere.
    ("monitor", "wait4", "", None),
    # A helper that has ended is asked for again in the next turn.
    ("monitor", "kill", r"^\d+ 9 ", None),
    # The proxy of the session bus, which ends by its pipe as well.
    ("monitor", "prctl", "^(36|37) ", None),
    # Who becomes the parent of what slirp4netns may have left: its children end by themselves.
    ("init", "poll", "", None),
    # Asks whether the monitor is gone already; if it is, PID 1 sees that when it listens.
    ("init", "openat|read", r"^\d+ \d+ $", None),
    # --share-pid: the list of what is left to be killed; the manual says that it is no guarantee.
    ("init", "openat", "/ping_group_range$", None),
    ("init", "write", r"^\d+ \d+ $", None),
    # ping(8) without a privilege, which a member of a network may have to do without. Of all else
    # that PID 1 writes the evidence tells.
    ("monitor", "newfstatat", r"^\d+ \d+ faults$", None),
    # Is the lock of the network on what has its name? Where that cannot be told it is tried again.
    ("anchor", "pause", "", None),
    # It is there until it is killed.
    ("joiner", "getrandom|munmap", "", None),
    # As in the monitor.
    ("holder", "openat|dup2|close_range|chdir|set_robust_list", r"/dev/null$|^\d+ |/$", None),
    # What was its starter's stays open in it, or its directory in use, while there is the network.
    ("holder", "prctl", "^(15|1) ", None),
    # Its name in a list of processes; and a signal that it has not asked for.
    ("holder", "read", "", None),
    # What slirp4netns says is read again in the next turn.
    ("monitor", "readlink", "^\d+ \d+ /", None),
    # Does what is mounted show the session? Its name is taken as it was typed.
    ("monitor", "newfstatat", r"/(project|faults|work)$|^\d+ \d+ (upper|work|base|over-fuse|\.wh\S*)$",
     None),
    ("monitor", "newfstatat", r" /(etc/[\w-]+(/\w+)?|usr)$", None),
    # Of which kind is what is mounted in a view? Its step will tell.
    ("monitor", "getxattr|lgetxattr", "", None),
    # By which driver the session was written before: it was not. What has changed: nothing has.
    ("monitor", "faccessat2", r"/meta$", None),
    # Is a session one that was killed while it began? The next sbx asks again.
    ("monitor", "fsync", r"/sessions/\w+$", None),
    # That a session is being removed: a disk that forgets the mark forgets what came behind too.
    ("monitor", "chmod", "", None),
    # A directory that was made with these permissions already.
    ("monitor", "clock_nanosleep", "", None),
    # Waiting for a tick of the clock, until it has come.
    ("holder", "rt_sigprocmask|rt_sigaction", "", None),
    # Signals to it, which nobody sends, do other than they should.
    ("holder", "accept4|poll", "", None),
    # Who waits to be let in is so in the next turn.
    ("holder", "recvmsg", "", None),
    # A client that cannot be heard is dropped: here one that has left.
    ("holder", "newfstatat|pwrite64|ftruncate", "", None),
    # The names of the other members in a member's /etc/hosts, of whom there are none here.
    ("holder", "sendto|recvfrom", "", None),
    # The interface of a member that has left goes with its network namespace as well.
    ("holder", "kill|wait4", "", None),
    # The anchor ends with the holder in any case.
    ("holder", "unlinkat", "", None),
    # The names of a network that has ended; the next sbx removes them.
    ("joiner", "close_range|madvise|poll", "", None),
    # As in the process that executes in a launch.
    ("joiner", "setns", "", None),
    # Refused for a moment while the command has not executed yet; it is tried again.
    ("monitor", "fcntl", r"^\d+ 5 ", None),
    # Is a record that is swept a dead one's?
    ("monitor", "memfd_create", "", None),
    ("monitor", "newfstatat", r"/sbx-seccomp$|/ld\.so\.cache$|/lib\w+\.so\.\d+$", None),
    ("monitor", "mkdirat|linkat", "(^|[ /])(sbx|seccomp)$|^4294967196 ", None),
    # A filter that cannot be kept is made anew by the next launch.
    ("init", "rt_sigpending", "", None),
    # Only repeats a signal that arrived before the command was there.
]

# (role, call, exit code, text): refused, but by what follows from the failure.
CONSEQUENCES = [
    ("init", "close", 125, "Device or resource busy"),
    # A file of the new root that is still open for writing keeps the root from being read-only.
    ("holder", "getsockopt|newfstatat|poll|geteuid", 125, "is a network that is not asked from here"),
    # Who asks cannot be told, so he may not.
    ("holder", "recvmsg|sendmsg", 125, "the process that was to hold the network has ended"),
    ("holder", "recvmsg|sendmsg", 125, "the process that holds the network has ended"),
    # A member that cannot be heard, or answered, has its connection closed.
    ("anchor", "write", 125, "the process in the new network has ended"),
    ("joiner", "write", 125, "the process that makes PID 1 has ended"),
    ("monitor", "read", 125, "the process that makes PID 1 has ended"),
    # What it would have told is lost.
    ("init", "statx", 125, "the host's root could not be detached"),
    # Whether it was, is not known; that is answered as if it were not.
    ("helper|payload", "dup2|execve|prctl", 125, "cannot be executed"),
    # PID 1's nft counts as a payload: it is its first child.
    ("monitor", "access", 125, "cannot be executed"),
    ("monitor", "access", 125, "is not installed"),
    ("monitor", "(open|openat|read)", 125, "has no range for"),
    # With --map=range.
    ("helper", "dup2|prctl", 125, "failed with exit status 127"),
    # Of the reader of profiles: it could not be given what it would say that by.
    ("monitor", "readlink", 125, "is not installed"),
    # Where sbx itself is, its helpers are looked for.
    ("monitor", "newfstatat", 125, "is not in this user namespace"),
    ("monitor", "newfstatat", 1, "is not in this user namespace"),
    # Whose the monitor of another sandbox is cannot be told, so it is not asked.
    ("monitor", "fcntl", 125, "is not open"),
    ("monitor", ".*", 7, "the changes could not be counted"),
    ("monitor", "rmdir|unlinkat|openat", 7, "0 added, 0 changed, 0 deleted"),
    # A session in which nothing was changed is removed, or else shown as what it is.
    ("monitor", "open|openat|fstat|newfstatat|pread64|pwrite64", 7, "how the sandbox ended could not be kept"),
    # The command has ended by then, and the exit code is its own.
]

# What the command tells about its surroundings.
SCRIPT = r"""exec 2>&1
cat /proc/self/status /proc/self/uid_map /proc/self/gid_map /proc/sys/user/max_user_namespaces
echo -- mounts; cut -d' ' -f4- /proc/self/mountinfo | sed 's#/proc/self/fd/[0-9]*#FD#g'
echo -- descriptors; ls /proc/self/fd
echo -- namespaces; readlink /proc/self/ns/*
echo -- environment; env
echo -- limits; umask; ulimit -Sn; ulimit -Hn; pwd; hostname; sort /proc/net/if_inet6
echo -- init; wc -c < /proc/1/cmdline; ls /proc/1/fd; cat /proc/1/environ
echo -- files; ls -lan --time-style=+ -I proc / /dev /etc /tmp /run; cat /etc/passwd /etc/group /etc/hosts
cat /data /file
test -z "$DBUS_SESSION_BUS_ADDRESS" || dbus-send --session --print-reply \
	--dest=org.freedesktop.DBus / org.freedesktop.DBus.GetId | grep -c string
exit 7
"""
# As Docker and podman have it.
PROFILE = """{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    {"names": ["keyctl", "add_key"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}
"""
STATUS_KEPT = ("Umask", "Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Cap", "SigBlk", "SigIgn",
               "SigCgt", "NSsid")


class Scenario:
    harmless, consequences = [], []  # as HARMLESS and CONSEQUENCES, of this one alone
    spared = set()  # calls of the monitor that do not fail
    code = 7  # of what goes well
    refused = 125
    processes = {"monitor", "init", "payload"}
    words = None  # of a verb; None: a launch

    def begin(self, launcher):
        """Before the first of all launches; what was begun ends with end()."""

    def end(self, launcher):
        pass

    def before(self, launcher):
        """Before each launch."""

    def after(self, launcher, result):
        """Behind each launch. Return: (lines of evidence, what is wrong beside: "" for nothing)."""
        return [], ""

    def __init__(self, name, options, fds=None, needs_range=False, leaves_for_next=False, bus=None,
                 keeps_record=False, roles=None, session=None, script=SCRIPT, forgets=False, primed=False):
        self.name, self.options, self.fds = name, options, fds or {}
        self.script = script
        if "--seccomp" in options or name == "cowfuse":
            # Who waits for the end of a pipe waits for ever where its own end stays open, as it
            # does in no kernel: close(2) closes, whatever it says. For mounts "fuse" shows that.
            self.spared = {"close"}
        self.primed = primed  # one launch goes before all others
        self.forgets = forgets  # where filters are kept goes behind each launch
        self.session = session  # of --cow, which is discarded behind each launch
        self.roles = roles  # the processes whose calls fail; None: all
        self.needs_range = needs_range
        self.bus = bus  # the environment of a session bus
        self.keeps_record = keeps_record
        self.leaves_for_next = leaves_for_next  # what cannot be removed, the next sbx removes


class Exec(Scenario):
    """sbx exec in a sandbox that nobody traces."""
    words = ["exec", "faults", "/usr/bin/sh", "-c", SCRIPT]
    launch = ["--map=single", "--ro-bind", "/usr", "/usr", "--dir", "/data", "--dir", "/file"]
    processes = {"monitor"}

    def __init__(self, name):
        super().__init__(name, [])

    def begin(self, launcher):
        done = launcher.run(*self.launch, "--detach", "--name", "faults", "--", "/usr/bin/sleep", "10000")
        assert done.code == 0, done

    def end(self, launcher):
        launcher.run("kill", "-s", "KILL", "faults")


class Port(Exec):
    """sbx port add, to a sandbox that nobody traces."""
    words = ["port", "add", "faults", "0:80"]
    launch = ["--map=single", "--ro-bind", "/usr", "/usr", "--net=user"]
    code, refused = 0, 1

    def after(self, launcher, result):
        listed = launcher.run("port", "list", "faults").out.splitlines()
        for line in listed:
            launcher.run("port", "rm", "faults", line.split(" ")[2])
        left = launcher.run("port", "list", "faults").out
        result.out = re.sub(r":\d+", ":N", result.out)
        return [re.sub(r":\d+", ":N", line) for line in listed], left and "a port stays: " + left


class Diff(Scenario):
    """sbx diff of a session in which there is one of each kind of change."""
    words = ["diff", "--patch", "faults"]
    # A pipe whose end stays open, see below; and of a file in memory this cannot fail.
    spared = {"close", "lseek"}
    harmless = [
        ("monitor", "mmap", r" (266240|270336) ", None),
        # Room for attributes' names and values, or a chunk of an arena: there is another way.
        ("monitor", "pread64", "", None),
        # How a file begins, which tells text from the rest: what cannot be read is told by who
        # reads all of it.
        ("monitor", "rt_sigaction", "", None),
        # A pager that has left is seen by the failing write, too.
        ("monitor", "llistxattr", "", None),
        # The names are asked for one by one.
    ]
    consequences = [
        ("helper|monitor", "dup2|execve|fcntl|prctl|read", 1, "did not compare what it was to"),
        # It is not said which of all that diff(1) needs was missing.
    ]
    code, refused = 0, 1
    processes = {"monitor"}
    old = {"changed": "old\n", "removed": "old\n", "mode": "kept\n", "was/file": "kept\n",
           "gone/one": "old\n", "gone/below/two": "old\n", "instead/file": "old\n"}
    new = {"changed": "new\n", "added": "new\n", "mode": "kept\n", "was/file": "kept\n",
           "dir/file": "new\n", "instead": "new\n"}
    change = ("cd %s && echo new >changed && echo new >added && rm removed && chmod 600 mode && "
              "mkdir dir && echo new >dir/file && ln -s added link && rm -r gone instead && echo new >instead")

    def __init__(self, name, scratch):
        super().__init__(name, [])
        self.project = os.path.join(scratch.path, name)

    def make(self, launcher):
        """The project as it was, and a session with what was changed."""
        launcher.run("discard", "faults")
        shutil.rmtree(self.project, ignore_errors=True)
        for path, text in self.old.items():
            launcher.scratch.file(os.path.join(self.name, path), text)
        done = launcher.run("--map=single", "--ro-bind", "/usr", "/usr", "--cow", self.project,
                            "--session", "faults", "--", "/usr/bin/sh", "-c",
                            self.change % self.project)
        assert done.code == 0, done

    def begin(self, launcher):
        self.make(launcher)

    def end(self, launcher):
        launcher.run("discard", "faults")
        shutil.rmtree(self.project, ignore_errors=True)

    def tree(self):
        """What is there: files with their texts, and the names of all else."""
        found = {}
        for where, dirs, files in os.walk(self.project):
            for name in dirs + files:
                path = os.path.join(where, name)
                kind = os.lstat(path)
                text = "link" if os.path.islink(path) else "directory"
                if name in files and text != "link":
                    with open(path) as f:
                        text = f.read()
                found[os.path.relpath(path, self.project)] = (kind.st_mode, text)
        return found


class Apply(Diff):
    """sbx apply: what fails leaves nothing half-written, and another one does the rest."""
    words = ["apply", "faults"]
    harmless = Diff.harmless + [
        ("monitor", "io_destroy|io_getevents|io_setup|io_submit|sync_file_range", "", None),
        # Then files are synced one after the other.
        ("monitor", "listxattr", "", None),
        # As llistxattr(2): where a short list does not tell, the whole is asked for.
        ("monitor", "faccessat2", "", None),
        # Is a right to be had first? Where there is none, the change itself says so.
        ("monitor", "rt_sigaction|rt_sigpending|rt_sigprocmask|rt_sigtimedwait", "", None),
        # Who interrupts it ends it at another moment; it can be ended at any.
        ("monitor", "newfstatat", r"^\d+ \d+ (one|two|below|file)$", None),
        # Of a directory that goes: it is tried once more, with the ids of the sandbox.
    ]
    consequences = [
        ("monitor", "fcntl|getdents64|newfstatat|openat2|statx", 1, "has changed on the host since the session began"),
        ("monitor", "fcntl|getdents64|newfstatat|openat2|statx", 1, "is being changed on the host just now"),
        # What cannot be looked at is taken for changed, and stays.
    ]

    def begin(self, launcher):
        pass

    def before(self, launcher):
        self.make(launcher)

    def after(self, launcher, result):
        bad = ""
        for path, (_, text) in self.tree().items():
            known = {self.old.get(path), self.new.get(path), "link", "directory"}
            if text not in known and not path.startswith(".") and not os.path.basename(path).startswith("."):
                bad += "half-written: %s: %r\n" % (path, text)
        if result.code != self.code:
            again = launcher.run("apply", "faults")
            if again.code != 0 and "no session" not in again.err:
                bad += "another one does not do the rest: %s\n" % again
        placed = os.path.join(launcher.scratch.path, "state/sbx/sessions/faults/placed")
        if os.path.exists(placed) and os.path.exists(os.path.join(os.path.dirname(placed), "applied")):
            os.unlink(placed)  # goes with the session
        found = self.tree()
        texts = {path: text for path, (_, text) in found.items() if text not in ("link", "directory")}
        if texts != self.new or "link" not in found or found["mode"][0] & 0o777 != 0o600:
            bad += "not all of it was applied: %s\n" % found
        return ["%s %o %s" % (path, mode, text) for path, (mode, text) in sorted(found.items())], bad


def scenarios(scratch, bus):
    usr = ["--ro-bind", "/usr", "/usr"]
    source = scratch.file("source/secret/key", "hidden\n")
    scratch.file("source/shown", "shown\n")
    source = os.path.dirname(os.path.dirname(source))
    data = scratch.file("data", "data of a descriptor\n")
    root = os.path.join(scratch.path, "root")
    for name in ("usr", "proc", "dev", "etc", "tmp", "run"):
        os.makedirs(os.path.join(root, name))
    for name in ("bin", "lib", "lib64"):
        os.symlink("usr/" + name, os.path.join(root, name))
    yield Scenario("single", ["--map=single"] + usr)
    yield Scenario("default", usr, needs_range=True)
    yield Scenario("root", ["--root"] + usr, needs_range=True)
    yield Scenario("user", ["--map=range", "--user", "1"] + usr, needs_range=True)
    data_fds = {number: data for number in (20, 21, 22)}
    yield Scenario("files", ["--map=single"] + usr + [
        "--bind-data", "20", "/data", "--file", "21", "/file", "--ro-bind-data", "22", "/rodata",
        "--symlink", "usr/bin", "/link", "--dir", "/d/e", "--chmod", "0700", "/d",
        "--bind", source, "/src", "--remount-ro", "/src", "--mask", "/src/secret",
        "--mask", "/src/shown", "--tmpfs", "/t", "--mqueue", "/mq", "--dev-bind", "/dev", "/hostdev",
        "--ro-bind", "/", "/host", "--hostname", "inside", "--new-session", "--die-with-parent",
    ], data_fds)
    project = os.path.dirname(scratch.file("project/rc", "kept\n"))
    yield Scenario("protect", ["--map=single"] + usr + [
        "--bind", project, "/p", "--protect", "/p/rc", "--protect", "/p/new",
        "--protect", "/p/dir/deep/", "--dir", "/data", "--dir", "/file"], leaves_for_next=True)
    yield Scenario("overlay", ["--map=single"] + usr + [
        "--bind", project, "/p", "--protect-by=overlay", "--protect", "/p/rc", "--protect", "/p/new",
        "--protect", "/p/dir/deep/", "--dir", "/data", "--dir", "/file"], leaves_for_next=True)
    yield Scenario("limits", ["--map=single"] + usr + [
        "--rlimit", "nofile=64", "--rlimit", "core=0", "--nice", "3", "--oom-score-adj", "300",
        "--timeout", "1h"])
    passes = os.path.join(scratch.path, "filter")
    with open(passes, "wb") as f:
        f.write(bytes((6, 0, 0, 0, 0, 0, 0xff, 0x7f)))
    yield Scenario("filters", ["--map=single"] + usr + [
        "--seccomp-allow", "@keyring", "--seccomp-deny", "ppoll,setsid", "--add-seccomp-fd", "20",
    ], {20: passes})
    yield Scenario("rootfs", ["--map=single", "--rootfs", root] + usr)
    yield Scenario("bus", ["--map=single", "--dbus-session", "--dbus-talk", "org.example.A"] + usr,
                   bus=bus)
    layers = [os.path.join(scratch.path, name) for name in ("low", "high", "up", "work")]
    for name in layers:
        os.makedirs(name)
    low, high, up, work = layers
    yield Scenario("layers", ["--map=single", "--overlay-driver=kernel"] + usr + [
        "--overlay-src", low, "--overlay-src", high, "--ro-overlay", "/l",
        "--overlay-src", source, "--tmp-overlay", "/t", "--dir", "/data", "--dir", "/file"])
    if faults.can_use_fuse():
        yield Scenario("fuse", ["--map=single", "--overlay-driver=fuse"] + usr + [
            "--overlay-src", low, "--overlay", up, work, "/l",
            "--overlay-src", source, "--tmp-overlay", "/t", "--dir", "/data", "--dir", "/file"])
    yield Scenario("cow", ["--map=single", "--overlay-driver=kernel"] + usr + [
        "--cow", project, "--session", "faults", "--dir", "/data", "--dir", "/file"],
                   session="faults")
    if faults.can_use_fuse():
        yield Scenario("cowfuse", ["--map=single", "--overlay-driver=fuse"] + usr + [
            "--cow", project, "--session", "faults", "--dir", "/data", "--dir", "/file"],
                       roles=("monitor", "helper"), session="faults")
    yield Diff("diff", scratch)
    yield Apply("apply", scratch)
    yield Scenario("profile", ["--map=single", "--seccomp", scratch.file("profile.json", PROFILE)] + usr,
                   roles=("monitor", "helper"))
    yield Exec("exec")
    yield Port("port")
    yield Scenario("net", ["--map=single", "--net=user"] + usr)
    yield Scenario("publish", ["--map=single", "--net=user", "-p", "0:80", "-p", "0:53/udp"] + usr)
    yield Scenario("kept", ["--map=single", "--name", "kept", "--keep-record"] + usr,
                   keeps_record=True)
    yield Scenario("member", ["--map=single", "--net=faults"] + usr)
    # What a member does, the one above shows; so does "net" what PID 1 does for its rules.
    yield Scenario("online", ["--map=single", "--net=faults,user"] + usr,
                   roles=("holder", "helper", "anchor"))
    yield Scenario("shared", ["--map=single", "--share-pid", "--share-net", "--on-exit=wait"] + usr)


def session_scenarios(scratch):
    """What is there only where /run/user/UID is a mount of the caller's own: filters that are kept."""
    # A step holds them where the command has what is above; without it a file could be put there.
    script = "touch /x/%d/sbx/seccomp/refused 2>&1\n" % os.getuid() + SCRIPT
    yield Scenario("cover", ["--map=single", "--ro-bind", "/usr", "/usr", "--bind", "/run/user", "/x",
                             "--dir", "/data", "--dir", "/file"], script=script, forgets=True)
    launch = ["--map=single", "--ro-bind", "/usr", "/usr", "--seccomp", scratch.file("profile.json", PROFILE)]
    yield Scenario("cold", launch, roles=("monitor",), forgets=True)
    yield Scenario("warm", launch, roles=("monitor",), primed=True)


class Launcher:
    """One scenario, launched again and again."""

    def __init__(self, sbx, inject, scratch, scenario):
        self.sbx, self.inject, self.scratch, self.scenario = sbx, inject, scratch, scenario
        self.report = os.path.join(scratch.path, "report")
        self.names = {os.readlink("/proc/self/ns/" + n): n for n in os.listdir("/proc/self/ns")}

    def run(self, *words):
        return faults.run([self.sbx, *words], env=self.scratch.env(), timeout=2 * HANGS_S)

    def launch(self, *options):
        self.scenario.before(self)
        for number, path in self.scenario.fds.items():
            fd = os.open(path, os.O_RDONLY)
            os.dup2(fd, number)
            os.close(fd)
        words = self.scenario.words or [*self.scenario.options, "--", "/usr/bin/sh", "-c",
                                        self.scenario.script]
        argv = [self.inject, "--report", self.report, "--timeout", str(HANGS_S), *options, self.sbx,
                *words]
        result = faults.run(argv, env=self.scratch.env() | (self.scenario.bus or {}),
                            pass_fds=tuple(self.scenario.fds), cwd="/usr", timeout=2 * HANGS_S)
        with open(self.report) as f:
            lines = f.read().splitlines()
        if self.scenario.leaves_for_next:
            faults.run([self.sbx, "--map=single", "--ro-bind", "/usr", "/usr", "--",
                        "/usr/bin/true"], env=self.scratch.env())
        if self.scenario.keeps_record:
            faults.run([self.sbx, "rm", "--all"], env=self.scratch.env())
        if self.scenario.session:
            faults.run([self.sbx, "discard", self.scenario.session], env=self.scratch.env())
            # What is no session any more, but could not be removed, goes with the next of its name.
            if os.path.exists(os.path.join(self.scratch.state, "sbx/sessions", self.scenario.session)):
                faults.run([self.sbx, *self.scenario.options, "--", "/usr/bin/true"],
                           env=self.scratch.env())
        if self.scenario.forgets:
            shutil.rmtree(os.path.join(self.scratch.runtime, "sbx/seccomp"), ignore_errors=True)
        result.events = lines
        result.hit = [call for call in parse_calls("hit", lines)]
        result.hung = result.timed_out or "timeout" in lines
        result.left = [line for line in lines if line.startswith("left")] or "gone" not in lines
        codes = [line.split()[1] for line in lines if line.startswith("exit")]
        result.code = int(codes[0]) if codes else None
        more, result.bad = self.scenario.after(self, result)
        result.evidence = self.normalise(result.out) + more
        return result

    def normalise(self, text):
        """What differs between two launches that are alike."""
        lines = []
        for line in text.splitlines():
            key = line.split(":")[0]
            if "\t" in line and ":" in line and not key.startswith(STATUS_KEPT):
                continue
            kind = re.match(r"^([a-z_]+):\[\d+\]$", line)
            if kind:
                line = kind.group(1) + (" shared" if line in self.names else " new")
            # An interface has an address by chance, and may still look whether others have it.
            line = re.sub(r"^fe80\w{28} .*(tap0|eth0)$", r"fe80... \1", line)
            # An overlay shows by which descriptors its layers were given.
            lines.append(re.sub(r"dir=/proc/self/fd/\d+", "dir=", line))
        return lines


def harmless_rules(call, scenario):
    return [may_differ for role, name, pattern, may_differ in HARMLESS + scenario.harmless
            if re.fullmatch(role, call["role"]) and re.fullmatch(name, call["name"])
            and re.search(pattern, call["text"])]


def is_consequence(call, result, scenario):
    return any(re.fullmatch(role, call["role"]) and re.fullmatch(name, call["name"]) and
               code == result.code and text in result.err
               for role, name, code, text in CONSEQUENCES + scenario.consequences)


def judge_unharmed(call, reference, result, scenario):
    rules = harmless_rules(call, scenario)
    changed = [line for line in set(reference.evidence) ^ set(result.evidence)
               if not any(rule and re.search(rule, line) for rule in rules)]
    if changed:
        return "the sandbox is another one\n%s" % changed
    told = is_consequence(call, result, scenario)
    if result.err.strip() not in ("", reference.err.strip()) and not told:
        return "runs, but says: " + result.err
    return "" if rules or told else "goes unnoticed"


def parse_calls(event, events):
    for line in events:
        words = line.split(" ", 6)
        if words[0] == event and words[2] not in NEVER_FAILS:
            yield {"role": words[1], "name": words[2], "n": int(words[3]),
                   "text": " ".join(words[4:])}


def note_late(calls):
    """Mark what is behind the last word of who is killed then."""
    last = {}
    for at, call in enumerate(calls):
        if KILLED_BEHIND.get(call["role"]) == call["name"]:
            last[call["role"]] = at
    for at, call in enumerate(calls):
        call["late"] = at > last.get(call["role"], len(calls))
    return calls


def judge(call, reference, result, number, scenario):
    """What is wrong with this launch? "" for nothing."""
    call = result.hit[0] if result.hit else call
    if not result.hit:
        # How often the monitor wakes up, or who holds a network, depends on who is quicker, as
        # does how many ends of children PID 1 learns of at once.
        wakes_up = call["role"] in ("monitor", "holder") or \
            (call["role"] == "init" and call["name"] in WAKE_UPS)
        return "" if wakes_up or call["late"] else "the call was not made again"
    if result.hung:
        return "hangs"
    if result.left:
        return "leaves processes"
    if result.bad:
        return result.bad
    if result.code == reference.code:
        return judge_unharmed(call, reference, result, scenario)
    if is_consequence(call, result, scenario):
        return ""
    wanted = (125, 126, 127) if call["name"] == "execve" and call["role"] in ("payload", "joiner") else (scenario.refused,)
    if result.code not in wanted:
        return "wrong exit code\n%s" % result
    first = result.err.splitlines()[0] if result.err else ""
    if not re.match(r"^sbx: .+", first):
        return "no error text\n%s" % result
    if os.strerror(number) not in first:
        return "does not name the cause\n%s" % result
    return ""


def look(scratch):
    """All that a launch could leave; the runtime directory is not always below the rest."""
    found = faults.snapshot(scratch.path)
    if not scratch.runtime.startswith(scratch.path):
        found += [("runtime/" + name, mode) for name, mode in faults.snapshot(scratch.runtime)]
    return found


def left_over(before, launcher):
    """
    What is new. A directory that overlays worked in, or its record, can stay in the runtime
    directory where its removal failed once: until any other sbx has run.
    """
    def new():
        now = look(launcher.scratch)
        # What was made in other circumstances is kept under another name.
        return sorted(entry for entry in set(now) ^ set(before)
                      if not (launcher.scenario.primed and entry[0].startswith("runtime/sbx/seccomp/")))

    left = new()
    if left and all(entry[0].startswith("runtime/sbx") for entry in left):
        faults.run([launcher.sbx, "version"], env=launcher.scratch.env())
        left = new()
    return left


def check_scenario(tap, launcher, share, rng):
    launcher.scenario.begin(launcher)
    try:
        check_calls(tap, launcher, share, rng)
    finally:
        launcher.scenario.end(launcher)


def check_calls(tap, launcher, share, rng):
    name = launcher.scenario.name
    if launcher.scenario.primed:
        launcher.launch()
    reference = launcher.launch()
    again = launcher.launch()
    if reference.code != launcher.scenario.code or reference.bad or reference.evidence != again.evidence:
        tap.ok(False, "%s: two launches without a failure are alike" % name,
               [reference, again, set(reference.evidence) ^ set(again.evidence)])
        return
    kinds = {}
    roles = {call["role"] for call in parse_calls("call", reference.events)}
    tap.ok(launcher.scenario.processes <= roles, "%s: calls of every process are seen" % name, roles)
    for call in note_late(list(parse_calls("call", reference.events))):
        if call["name"] in launcher.scenario.spared and call["role"] == "monitor":
            continue
        if not launcher.scenario.roles or call["role"] in launcher.scenario.roles:
            kinds.setdefault((call["role"], call["name"]), []).append(call)
    mounts = faults.host_mounts(launcher.scratch.path)
    before = look(launcher.scratch)
    for (role, kind), calls in sorted(kinds.items()):
        bad = []
        chosen = faults.choose(calls, share, rng)
        number = ERRORS.get(kind, errno.EPERM)
        for call in chosen:
            for _ in range(TRIES):
                result = launcher.launch("--fail", "%s:%s:%d:%d" % (role, kind, call["n"], number))
                if result.hit:
                    break
            what = judge(call, reference, result, number, launcher.scenario)
            if what:
                bad.append("%s %d (%s): %s" % (
                    kind, call["n"], (result.hit or [call])[0]["text"], what))
        if faults.host_mounts(launcher.scratch.path) != mounts:
            bad.append("the host's mounts have changed")
        left = left_over(before, launcher)
        if left:
            bad.append("files were left: %s" % left)
        tap.ok(not bad, "%s: %s: %s fails (%d of %d)" % (name, role, kind, len(chosen), len(calls)),
               bad)


def run_in_session(tap, sbx, inject, words, seed):
    """
    Scenarios that need /run/user/UID to be a mount of the caller's own: in a sandbox that has one,
    as in tests/lib/desk.c. What they say is passed on.
    """
    runtime = "/run/user/%d" % os.getuid()
    shown = {os.path.dirname(path) for path in (sbx, inject, os.path.abspath(__file__))}
    binds = [word for path in sorted(shown) for word in ("--ro-bind", path, path)]
    home = os.path.expanduser("~")
    result = faults.run([sbx, "--map=single", "--allow-userns", "--seccomp=none", "--ro-bind", "/usr",
                         "/usr", *binds, "--perms", "0700", "--tmpfs", runtime, "--env", "TMPDIR=" + home,
                         "--env", "SBX_TEST_SEED=" + seed, "--", sys.executable, "-B",
                         os.path.abspath(__file__), sbx, inject, IN_SESSION, *words],
                        timeout=SESSION_S)
    lines = result.out.splitlines()
    for at, line in enumerate(lines):
        said = re.match(r"(not )?ok \d+ - (.*)$", line)
        if said:
            notes = list(itertools.takewhile(lambda note: note.startswith("#"), lines[at + 1:]))
            tap.ok(not said.group(1), said.group(2), notes)
    if result.code not in (0, 1) or not lines or not lines[-1].startswith("1.."):
        tap.ok(False, "the scenarios in a session come to their end", [result])


def main_in_session(sbx, inject, share, only, rng):
    tap = faults.Tap()
    with faults.Scratch() as scratch:
        scratch.runtime = "/run/user/%d" % os.getuid()
        for scenario in session_scenarios(scratch):
            if not only or scenario.name in only:
                check_scenario(tap, Launcher(sbx, inject, scratch, scenario), share, rng)
    return tap.end()


def main():
    sbx, inject = map(os.path.abspath, sys.argv[1:3])
    share = max(faults.SHARES.get(word, 0) for word in ["", *sys.argv[3:]])
    only = {word for word in sys.argv[3:] if word not in faults.SHARES and word != IN_SESSION}
    seed = os.environ.get("SBX_TEST_SEED", str(random.randrange(1 << 32)))
    rng = random.Random(seed)
    print("# SBX_TEST_SEED=%s" % seed)
    if IN_SESSION in sys.argv[3:]:
        return main_in_session(sbx, inject, share, only, rng)
    tap = faults.Tap()
    with faults.Scratch() as scratch, faults.SessionBus(scratch) as bus:
        range_works = faults.can_map_range(sbx)
        for scenario in scenarios(scratch, bus):
            if only and scenario.name not in only:
                continue
            if scenario.needs_range and not range_works:
                tap.skip(scenario.name, "no range of ids for this user")
                continue
            if scenario.name == "bus" and not bus:
                tap.skip(scenario.name, "needs " + ", ".join(faults.BUS_PROGRAMS))
                continue
            if scenario.name in ("net", "publish", "online", "port") and not faults.can_have_network():
                tap.skip(scenario.name, "needs /dev/net/tun, " + ", ".join(faults.NET_PROGRAMS))
                continue
            check_scenario(tap, Launcher(sbx, inject, scratch, scenario), share, rng)
        if not only or not only.isdisjoint(("cover", "cold", "warm")):
            run_in_session(tap, sbx, inject, sys.argv[3:], seed)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
