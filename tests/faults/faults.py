# SPDX-License-Identifier: MIT
"""What the fault tests share: TAP, running programs, and telling that nothing is left behind."""
import ctypes
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

MUST_RUN = os.environ.get("SBX_TEST_MUST_RUN") == "1"
DEADLINE_S = 20
PR_SET_CHILD_SUBREAPER = 36
# A layer of a few files. fuse-overlayfs's layers are looked through before it starts: of a large
# one every launch would take seconds, and no test of a moment would hit any other.
LAYER = os.path.dirname(os.path.abspath(__file__))


# How much of what could be tried is.
SHARES = {"all": 1, "eighth": 0.125}


def choose(things, share, rng):
    """As many of them as that is, at least one; in their order."""
    n = max(1, math.ceil(len(things) * share)) if things else 0
    return [things[at] for at in sorted(rng.sample(range(len(things)), n))]


class Tap:
    """Test Anything Protocol: one line per test, the plan at the end."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, good, name, notes=()):
        self.count += 1
        self.failed += not good
        print("%sok %d - %s" % ("" if good else "not ", self.count, name))
        if not good:
            for note in notes:
                print("\n".join("#   " + line for line in str(note).splitlines()))
        sys.stdout.flush()

    def skip(self, name, why):
        if MUST_RUN:
            self.ok(False, name, ["may not be skipped: " + why])
            return
        self.count += 1
        print("ok %d - %s # SKIP %s" % (self.count, name, why))

    def end(self):
        print("1..%d" % self.count)
        sys.stdout.flush()
        return 1 if self.failed else 0


class Scratch:
    """A directory that is removed at the end, and is TMPDIR for what runs meanwhile."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="sbx-faults-")
        self.tmp = os.path.join(self.path, "tmp")
        os.mkdir(self.tmp)
        self.extra_env = {}
        self.runtime = os.path.join(self.path, "runtime")
        self.state = os.path.join(self.path, "state")
        for place in (self.runtime, self.state):
            for kind in ("boxes", "networks"):
                os.makedirs(os.path.join(place, "sbx", kind), 0o700)
        return self

    def __exit__(self, *exc):
        shutil.rmtree(self.path, ignore_errors=True)

    def file(self, name, content="", mode=0o644):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(content)
        os.chmod(path, mode)
        return path

    def env(self):
        """No PWD: it would be that of whoever started the tests, and only sometimes true."""
        inherited = {name: value for name, value in os.environ.items() if name != "PWD"}
        return dict(inherited, TMPDIR=self.tmp, LC_ALL="C", XDG_RUNTIME_DIR=self.runtime,
                    XDG_STATE_HOME=self.state, **self.extra_env)


def snapshot(path):
    """Names, kinds and modes below a directory."""
    found = []
    for where, dirs, files in os.walk(path):
        for name in dirs + files:
            full = os.path.join(where, name)
            found.append((os.path.relpath(full, path), os.lstat(full).st_mode))
    return sorted(found)


def host_mounts(scratch):
    """What is mounted where a sandbox mounts, on the host; others may mount elsewhere meanwhile."""
    places = ("/", "/proc", "/sys", "/dev", "/tmp", "/var/tmp", "/run", "/usr", "/etc", "/data",
              "/file", os.path.expanduser("~"))
    with open("/proc/self/mountinfo") as f:
        points = [line.split()[4] for line in f]
    return sorted(point for point in points if point in places or point.startswith(scratch))


class Result:
    def __init__(self, code, out, err, timed_out):
        self.code, self.out, self.err, self.timed_out = code, out, err, timed_out

    def __str__(self):
        return "exit code %s%s\n%s" % (self.code, ", timed out" if self.timed_out else "",
                                       self.err.strip())


def shell_code(returncode):
    return 128 - returncode if returncode < 0 else returncode


def run(argv, env=None, timeout=DEADLINE_S, pass_fds=(), cwd=None, preexec_fn=None, stdin=""):
    """Run a program to its end."""
    child = subprocess.Popen(argv, env=env, cwd=cwd, pass_fds=pass_fds, preexec_fn=preexec_fn,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, errors="replace")
    timed_out = False
    try:
        out, err = child.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        child.kill()
        out, err = child.communicate()
    return Result(shell_code(child.returncode), out, err, timed_out)


def become_subreaper():
    """From now on what a child leaves behind becomes our child, so it can be waited for."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


def children(pid):
    """The children of a process; none where it is gone."""
    found = []
    try:
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, task)) as f:
                found += [int(word) for word in f.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def name_of(pid):
    try:
        with open("/proc/%d/comm" % pid) as f:
            return f.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def wait_until(condition, seconds=DEADLINE_S):
    """Wait for a condition, not for a time: the deadline is for the failure."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


def reap_all(seconds=DEADLINE_S):
    """Wait until nothing that we started is left. Return: the numbers of what stays, killed."""
    statuses = {}

    def none_left():
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return False
                statuses[pid] = status
        except ChildProcessError:
            return True

    if wait_until(none_left, seconds):
        return [], statuses
    left = children(os.getpid())
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    wait_until(none_left, seconds)
    return left, statuses


BUS_PROGRAMS = ("dbus-daemon", "dbus-send", "xdg-dbus-proxy")


NET_PROGRAMS = ("slirp4netns", "nft")


def can_have_network():
    """Is there what --net=user takes?"""
    return (all(shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") for program in NET_PROGRAMS)
            and os.access("/dev/net/tun", os.R_OK | os.W_OK))


class SessionBus:
    """
    A session bus for the time of the block; its environment, or None where it cannot be had.
    To be begun before become_subreaper(): the daemon is to be nobody's child here.
    """

    def __init__(self, scratch):
        self.scratch = scratch
        self.pid = None

    def __enter__(self):
        if not all(shutil.which(program) for program in BUS_PROGRAMS):
            return None
        address = "unix:path=" + os.path.join(self.scratch.path, "bus")
        said = run(["dbus-daemon", "--session", "--fork", "--print-address=1", "--print-pid=1",
                    "--address=" + address], env=self.scratch.env()).out.split()
        self.pid = int(said[1])
        return {"DBUS_SESSION_BUS_ADDRESS": said[0]}

    def __exit__(self, *exc):
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)


def can_use_fuse():
    """Is fuse-overlayfs there, and what it needs?"""
    return bool(shutil.which("fuse-overlayfs")) and os.access("/dev/fuse", os.R_OK | os.W_OK)


def can_map_range(sbx):
    """Can the caller have a range of ids here?"""
    return run([sbx, "--map=range", "--ro-bind", "/usr", "/usr", "--", "/usr/bin/true"]).code == 0
