#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_helpers.py SBX [slow]: newuidmap and newgidmap that are missing, fail, die or hang.

With --map=range each of these is an error that can be told from the others; with --map=auto the
command runs with its one id. "slow" waits for the end of sbx's patience with one that hangs.
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


def check_interrupted(tap, sbx, scratch, helper, mapping, sig, code):
    name = "%s hangs with --map=%s: %s" % (helper, mapping, sig.name)
    child, hangs = start_hanging(sbx, scratch, helper, mapping)
    child.send_signal(sig)
    left, statuses = faults.reap_all()
    status = statuses.get(child.pid)
    ended = None if status is None else os.waitstatus_to_exitcode(status)
    text = child.stderr.read()
    child.returncode = ended
    child.stderr.close()
    tap.ok(hangs and ended == code, "%s ends the launch with %d" % (name, code), [hangs, ended, text])
    tap.ok(not left, name + " leaves nothing", [left])


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
    faults.become_subreaper()
    with faults.Scratch() as scratch:
        if not faults.can_map_range(sbx):
            tap.skip("helpers", "no range of ids for this user")
            return tap.end()
        if "slow" in sys.argv[2:]:
            for helper in HELPERS:
                check_patience(tap, sbx, scratch, helper, "range")
            return tap.end()
        for helper in HELPERS:
            for case in BROKEN:
                check_broken(tap, sbx, scratch, helper, case)
            for mapping in ("range", "auto"):
                check_interrupted(tap, sbx, scratch, helper, mapping, signal.SIGINT, 130)
                check_interrupted(tap, sbx, scratch, helper, mapping, signal.SIGTERM, 143)
        for mapping in ("range", "auto"):
            check_signal_meanwhile(tap, sbx, scratch, mapping)
        check_no_map(tap, sbx, scratch)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
