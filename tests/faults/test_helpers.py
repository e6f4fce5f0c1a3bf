#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_helpers.py SBX [slow]: helpers that are missing, fail, die or hang.

With --map=range each of these of newuidmap and newgidmap is an error that can be told from the
others; with --map=auto the command runs with its one id. Whichever helper it is that hangs: a
signal and --timeout end the launch at once. "slow" waits for the end of sbx's patience.
"""
import os
import shutil
import signal
import subprocess
import sys

import faults

HELPERS = ("newuidmap", "newgidmap")
USR = ["--ro-bind", "/usr", "/usr"]

# name, content of the helper (None: there is none), its mode, what the error says
BROKEN = [
    ("missing", None, 0,
     "cannot be executed: No such file or directory"),
    ("not executable", "#!/bin/sh\n", 0o644, "cannot be executed: Permission denied"),
    ("failing with text", "#!/bin/sh\necho no luck today >&2\nexit 1\n", 0o755,
     "failed with exit status 1: no luck today"),
    ("failing in silence", "#!/bin/sh\nexit 3\n", 0o755, "failed with exit status 3"),
    ("killed", "#!/bin/sh\nkill -KILL $$\n", 0o755, "was killed by signal 9"),
    ("without its interpreter", "#!/no/such/shell\n", 0o755, "cannot be executed"),
]

SLOW = """#!%s
import os, sys, time
go, real = "%s", "%s"
open(go + ".waits", "w").close()
while not os.path.exists(go):
    time.sleep(0.01)
os.execv(real, [real] + sys.argv[1:])
"""

HANGING = "#!/bin/sh\nexec sleep 1000\n"

# It says that it is ready, and then hangs.
READY = """#!/bin/sh
for word; do
	case $word in --ready-fd=*) echo 1 >/proc/self/fd/${word#*=} ;; esac
done
exec sleep 1000
"""

# It takes requests for ports, and answers none.
SILENT = """#!%s -IS
import os, socket, sys
words = dict(word[2:].split("=", 1) for word in sys.argv if word[:2] == "--" and "=" in word)
api = socket.socket(socket.AF_UNIX)
api.bind(words["api-socket"])
api.listen(8)
api.set_inheritable(True)
os.write(int(words["ready-fd"]), b"1")
os.execv("/usr/bin/sleep", ["sleep", "1000"])
""" % sys.executable

# A filesystem that is mounted, says how its root looks, and answers nothing else.
MUTE = """#!%s -IS
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("/dev/fuse", os.O_RDWR)
options = b"fd=%%d,rootmode=40000,user_id=%%d,group_id=%%d,allow_other" %% (fd, os.getuid(), os.getgid())
if libc.mount(b"mute", sys.argv[-1].encode(), b"fuse.mute", 0, options) < 0:
    sys.exit(os.strerror(ctypes.get_errno()))
INIT, GETATTR, OPENDIR = 26, 3, 27
ROOT = struct.pack("=6Q10I", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
ANSWERS = {INIT: struct.pack("=4I2H2I36x", 7, 31, 65536, 0, 12, 9, 65536, 1),
           GETATTR: struct.pack("=Q2I", 0, 0, 0) + ROOT}
while True:
    length, opcode, unique = struct.unpack_from("=2IQ", os.read(fd, 1 << 18))
    if opcode == OPENDIR:
        os.set_inheritable(fd, True)
        os.execv("/usr/bin/sleep", ["sleep", "1000"])
    if opcode in ANSWERS:
        os.write(fd, struct.pack("=IiQ", 16 + len(ANSWERS[opcode]), 0, unique) + ANSWERS[opcode])
""" % sys.executable

# sbx itself waits ten seconds and more for a helper.
AT_ONCE_S = 8
FUSE = ["--map=single", "--overlay-driver=fuse", "--overlay-src", faults.LAYER, "--tmp-overlay", "/x"]
NET = ["--map=single", "--net=user"]
SHARED = ["--map=single", "--net=hangs,user"]

# name, the helpers that take the place of others, options, how many hang, what it takes
HANG = [
    ("newuidmap hangs", {"newuidmap": HANGING}, ["--map=range"], 1, None),
    ("newgidmap hangs", {"newgidmap": HANGING}, ["--map=range"], 1, None),
    ("newuidmap hangs, --map=auto", {"newuidmap": HANGING}, [], 1, None),
    ("newgidmap hangs, --map=auto", {"newgidmap": HANGING}, [], 1, None),
    ("xdg-dbus-proxy hangs", {"xdg-dbus-proxy": HANGING}, ["--map=single", "--dbus-session"], 1,
     "bus"),
    ("fuse-overlayfs hangs", {"fuse-overlayfs": HANGING}, FUSE, 1, "fuse"),
    ("fuse-overlayfs does not answer", {"fuse-overlayfs": MUTE}, FUSE, 1, "fuse"),
    ("slirp4netns hangs", {"slirp4netns": HANGING}, NET, 1, "network"),
    ("slirp4netns answers no request", {"slirp4netns": SILENT}, NET + ["-p", "0:80"], 1, "network"),
    ("nft hangs", {"nft": HANGING, "slirp4netns": READY}, NET, 2, "network"),
    ("nft hangs, --share-pid", {"nft": HANGING, "slirp4netns": READY}, NET + ["--share-pid"], 2,
     "network"),
    ("nft hangs, --cap-add", {"nft": HANGING, "slirp4netns": READY}, NET + ["--cap-add", "CHOWN"],
     2, "network"),
    ("newuidmap of a shared network hangs", {"newuidmap": HANGING}, ["--map=range", "--net=hangs"],
     1, None),
    ("slirp4netns of a shared network hangs", {"slirp4netns": HANGING}, SHARED, 1, "network"),
    ("nft of a member hangs", {"nft": HANGING}, SHARED, 1, "network"),
]


def helper_option(scratch, helper, content, mode):
    path = os.path.join(scratch.path, "helpers", helper)
    if os.path.exists(path):
        os.unlink(path)
    if content is not None:
        scratch.file("helpers/" + helper, content, mode)
    return ["--helper", "%s=%s" % (helper, path)], path


def check_broken(tap, sbx, scratch, helper, case):
    name, content, mode, says = case
    option, path = helper_option(scratch, helper, content, mode)
    result = faults.run([sbx, *option, "--map=range", *USR, "--", "/usr/bin/true"],
                        env=scratch.env())
    first = result.err.splitlines()[0] if result.err else ""
    tap.ok(result.code == 125 and first.startswith("sbx: --map=range: ") and path in first and
           says in first, "%s %s: --map=range says so" % (helper, name), [result])
    left, _ = faults.reap_all()
    tap.ok(not left, "%s %s: nothing is left" % (helper, name), [left])
    result = faults.run([sbx, *option, *USR, "--", "/usr/bin/sh", "-c",
                         "id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map"],
                        env=scratch.env())
    words = result.out.split()
    uid, gid = str(os.getuid()), str(os.getgid())
    good = words[:2] == [uid, gid]
    lines = result.out.splitlines()[2:]
    single = [line.split() for line in lines].count([uid, uid, "1"]) + \
        (gid != uid) * [line.split() for line in lines].count([gid, gid, "1"])
    tap.ok(result.code == 0 and good and single and not result.err,
           "%s %s: --map=auto runs with the one id" % (helper, name), [result, result.out])
    return first.replace(path, "")


def check_no_map(tap, sbx, scratch):
    """Helpers that claim success without having done anything."""
    options = []
    for helper in HELPERS:
        options += helper_option(scratch, helper, "#!/bin/sh\nexit 0\n", 0o755)[0]
    result = faults.run([sbx, *options, "--map=range", *USR, "--", "/usr/bin/true"],
                        env=scratch.env())
    tap.ok(result.code == 125 and result.err.startswith("sbx: "),
           "helpers that do nothing and claim success: refused", [result])


def start_hanging(sbx, scratch, helper, mapping):
    """Start sbx with a helper that hangs, and wait until that one does."""
    option, _ = helper_option(scratch, helper, HANGING, 0o755)
    child = subprocess.Popen([sbx, *option, "--map=" + mapping, *USR, "--", "/usr/bin/true"],
                             env=scratch.env(), stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    hangs = faults.wait_until(
        lambda: "sleep" in [faults.name_of(pid) for pid in faults.children(child.pid)])
    return child, hangs


def descendants(pid):
    found = []
    for child in faults.children(pid):
        found += [child] + descendants(child)
    return found


def count_hanging():
    return [faults.name_of(pid) for pid in descendants(os.getpid())].count("sleep")


def cannot_have(needs, bus):
    """Why a case is left out; None: it is not."""
    if needs == "network" and not faults.can_have_network():
        return "needs /dev/net/tun, " + ", ".join(faults.NET_PROGRAMS)
    if needs == "bus" and not bus:
        return "needs " + ", ".join(faults.BUS_PROGRAMS)
    if needs == "fuse" and not faults.can_use_fuse():
        return "needs fuse-overlayfs and an open /dev/fuse"
    return None


def check_ends_at_once(tap, sbx, scratch, case, how, code):
    """A launch in which a helper hangs does not wait for it when it is to end."""
    name, fakes, options, hanging, _ = case
    words = []
    for helper, content in fakes.items():
        words += helper_option(scratch, helper, content, 0o755)[0]
    if how == "--timeout":
        # Long enough for all that does not hang to be there; see also what follows it.
        words += ["--timeout", "1s", "--kill-after", "1000s"]
    child = subprocess.Popen([sbx, *words, *options, *USR, "--", "/usr/bin/true"],
                             env=scratch.env(), stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    hangs = faults.wait_until(lambda: count_hanging() >= hanging)
    if how != "--timeout":
        child.send_signal(how)
    left, statuses = faults.reap_all(seconds=AT_ONCE_S)
    status = statuses.get(child.pid)
    child.returncode = None if status is None else os.waitstatus_to_exitcode(status)
    text = child.stderr.read()
    child.stderr.close()
    tap.ok(hangs and child.returncode == code and not left,
           "%s: %s ends the launch, and all with it" % (name, getattr(how, "name", how)),
           [hangs, child.returncode, left, text])


def check_all_that_hangs(tap, sbx, scratch, bus):
    shutil.rmtree(os.path.join(scratch.path, "helpers"))
    before = faults.snapshot(scratch.path)
    for case in HANG:
        why = cannot_have(case[4], bus)
        if why:
            tap.skip(case[0], why)
            continue
        for how, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129),
                          ("--timeout", 124)):
            check_ends_at_once(tap, sbx, scratch, case, how, code)
    faults.run([sbx, "version"], env=scratch.env())
    shutil.rmtree(os.path.join(scratch.path, "helpers"))
    left = set(faults.snapshot(scratch.path)) ^ set(before)
    tap.ok(not left, "no file is left by launches with a helper that hangs", [left])


def check_mute_layers(tap, sbx, scratch):
    """The command is stuck in its layers, where SIGKILL does not reach it: the helper goes first."""
    child = subprocess.Popen([sbx, "--timeout", "3s", "--kill-after", "100ms", *FUSE, *USR, "--",
                              "/usr/bin/sh", "-c", "echo up; while :; do ls -l /x >/dev/null; done"],
                             env=scratch.env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    up = child.stdout.readline()
    helpers = [pid for pid in faults.children(child.pid) if faults.name_of(pid) == "helper"]
    for pid in helpers:
        os.kill(pid, signal.SIGSTOP)
    left, statuses = faults.reap_all(seconds=60)
    status = statuses.get(child.pid)
    child.returncode = None if status is None else os.waitstatus_to_exitcode(status)
    text = child.stderr.read()
    child.stdout.close()
    child.stderr.close()
    tap.ok(up == "up\n" and helpers and child.returncode == 124 and not left,
           "a fuse-overlayfs that stops answering does not keep --timeout from ending all",
           [up, helpers, child.returncode, left, text])


def stopped_or_gone(pid):
    try:
        return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return "gone"


def check_signal_meanwhile(tap, sbx, scratch, mapping):
    """What is sent while a helper works reaches the command, and stops no helper."""
    name = "a slow helper with --map=" + mapping
    go = os.path.join(scratch.path, "go")
    options = []
    for helper in HELPERS:
        # Not in sh: some unblock all signals.
        content = SLOW % (sys.executable, go, shutil.which(helper, path="/usr/bin:/usr/sbin"))
        options += helper_option(scratch, helper, content, 0o755)[0]
    child = subprocess.Popen([sbx, *options, "--map=" + mapping, *USR, "--", "/usr/bin/sleep",
                              "300"], env=scratch.env(), stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                             preexec_fn=lambda: os.setpgid(0, 0))
    slow = faults.wait_until(lambda: os.path.exists(go + ".waits"))
    os.killpg(child.pid, signal.SIGTSTP)
    open(go, "w").close()
    stopped = faults.wait_until(lambda: stopped_or_gone(child.pid)) and \
        stopped_or_gone(child.pid) != "gone"
    if stopped:
        os.killpg(child.pid, signal.SIGCONT)
        os.kill(child.pid, signal.SIGUSR1)
    left, statuses = faults.reap_all()
    os.unlink(go)
    os.unlink(go + ".waits")
    status = statuses.get(child.pid)
    child.returncode = None if status is None else os.waitstatus_to_exitcode(status)
    text = child.stderr.read()
    child.stderr.close()
    tap.ok(slow and stopped, name + ": the command is stopped, and sbx with it",
           [slow, stopped, text])
    tap.ok(child.returncode == 128 + signal.SIGUSR1 and not left,
           name + ": signals reach the command", [child.returncode, left, text])


def check_patience(tap, sbx, scratch, helper, mapping):
    name = "%s hangs with --map=%s" % (helper, mapping)
    child, hangs = start_hanging(sbx, scratch, helper, mapping)
    left, statuses = faults.reap_all(seconds=60)
    status = statuses.get(child.pid)
    ended = None if status is None else os.waitstatus_to_exitcode(status)
    text = child.stderr.read()
    child.returncode = ended
    child.stderr.close()
    tap.ok(hangs and ended == 125 and helper in text and "has not finished within" in text,
           name + ": sbx gives up and says so", [hangs, ended, text])
    tap.ok(not left, name + ": nothing is left", [left])


def main():
    sbx = os.path.abspath(sys.argv[1])
    tap = faults.Tap()
    with faults.Scratch() as scratch, faults.Scratch() as place, faults.SessionBus(place) as bus:
        scratch.extra_env = bus or {}
        faults.become_subreaper()
        if not faults.can_map_range(sbx):
            tap.skip("helpers", "no range of ids for this user")
            return tap.end()
        if "slow" in sys.argv[2:]:
            for helper in HELPERS:
                check_patience(tap, sbx, scratch, helper, "range")
            if faults.can_use_fuse():
                check_mute_layers(tap, sbx, scratch)
            else:
                tap.skip("fuse-overlayfs that stops answering", "needs fuse-overlayfs")
            return tap.end()
        for helper in HELPERS:
            for case in BROKEN:
                check_broken(tap, sbx, scratch, helper, case)
        for mapping in ("range", "auto"):
            check_signal_meanwhile(tap, sbx, scratch, mapping)
        check_no_map(tap, sbx, scratch)
        check_all_that_hangs(tap, sbx, scratch, bus)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
