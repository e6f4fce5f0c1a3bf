#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_boxes.py SBX [N]: records of running sandboxes, when something dies and when there are many.

SIGKILL for each process of a named sandbox at random moments: then `sbx ps` lists it no more, its
name is free, and nothing of it is in the directory of records. With N it is instead that many
sandboxes at once: started, listed, entered, followed by a name and an id, and ended. The times are
printed, and judged by nobody.
"""
import os
import random
import signal
import subprocess
import sys
import time

import faults

ROUNDS = 25
LAUNCH_S = 0.02
USR = ["--ro-bind", "/usr", "/usr"]
VICTIMS = ("monitor", "init", "payload")


def sbx_run(sbx, scratch, *argv, timeout=300):
    return faults.run([sbx, *argv], env=scratch.env(), timeout=timeout)


def find(victim, monitor):
    """The process that plays this part now, or None."""
    if victim == "monitor":
        return monitor
    for pid in faults.children(monitor):
        if victim == "init":
            return pid
        for child in faults.children(pid):
            return child
    return None


def wait_for(condition):
    end = time.monotonic() + faults.DEADLINE_S
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def records(scratch):
    """What is in the directory of records."""
    try:
        return sorted(os.listdir(os.path.join(scratch.runtime, "sbx", "boxes")))
    except FileNotFoundError:
        return []


def kill_once(sbx, scratch, victim, delay):
    """One sandbox, one kill. Return: what was wrong."""
    child = subprocess.Popen([sbx, *USR, "--name", "web", "--", "sleep", "1000"],
                             env=scratch.env(), stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(delay)
    pid = None
    wait_for(lambda: child.poll() is not None or find(victim, child.pid) is not None)
    pid = find(victim, child.pid)
    try:
        os.kill(pid, signal.SIGKILL)
    except (TypeError, ProcessLookupError):
        child.kill()
    child.wait()
    ps = sbx_run(sbx, scratch, "ps", "-q")
    errors = []
    if ps.code != 0 or ps.out:
        errors.append("ps says: %s%s" % (ps.out, ps))
    if records(scratch):
        errors.append("left: %s" % records(scratch))
    again = sbx_run(sbx, scratch, *USR, "--name", "web", "--", "true")
    if again.code != 0:
        errors.append("the name is not free: %s" % again)
    return ["%s after %.6f s: %s" % (victim, delay, error) for error in errors]


def check_kills(tap, sbx, scratch, rng):
    for victim in VICTIMS:
        bad = []
        for _ in range(ROUNDS):
            bad += kill_once(sbx, scratch, victim, rng.uniform(0, LAUNCH_S))
        tap.ok(not bad, "%s killed at %d random moments: nothing is listed or left"
               % (victim, ROUNDS), bad)


class Clock:
    """Says how long each part of the run took."""

    def __init__(self, count):
        self.count, self.start = count, time.monotonic()

    def lap(self, what):
        now = time.monotonic()
        print("# %d sandboxes, %s: %.2f s" % (self.count, what, now - self.start))
        sys.stdout.flush()
        self.start = time.monotonic()


def check_many(tap, sbx, scratch, count):
    clock = Clock(count)
    bad = []
    for i in range(count):
        r = sbx_run(sbx, scratch, *USR, "--map=single", "--detach", "--name", "box-%d" % i,
                    "--", "sleep", "100000")
        if r.code != 0 or len(r.out) != 13:
            bad.append(r)
    tap.ok(not bad, "%d are started" % count, bad[:5])
    clock.lap("started one by one")

    r = sbx_run(sbx, scratch, "ps", "--format", "{{.Name}} {{.Status}} {{.Processes}}")
    names = sorted(r.out.splitlines())
    tap.ok(names == sorted("box-%d running 1" % i for i in range(count)), "all are listed", [r])
    clock.lap("ps")
    r = sbx_run(sbx, scratch, *USR, "--name", "box-%d" % (count // 2), "--", "true")
    tap.ok(r.code == 125 and "is the name of a running sandbox" in r.err,
           "a name among many is taken", [r])
    clock.lap("a name refused")

    bad = []
    for i in range(0, count, max(1, count // 20)):
        r = sbx_run(sbx, scratch, "exec", "box-%d" % i, "sh", "-c", "echo $((6 * 7))")
        if r.out != "42\n":
            bad.append(r)
    tap.ok(not bad, "some are entered", bad)
    clock.lap("about 20 entered")

    r = sbx_run(sbx, scratch, "kill", "-s", "KILL", "--all")
    tap.ok(r.code == 0, "all are killed", [r])
    clock.lap("killed")
    gone = wait_for(lambda: not sbx_run(sbx, scratch, "ps", "-q").out)
    left, _ = faults.reap_all()
    tap.ok(gone and not records(scratch) and not left, "nothing is left",
           [records(scratch)[:5], left])


def main():
    tap = faults.Tap()
    sbx = os.path.abspath(sys.argv[1])
    rng = random.Random(int.from_bytes(os.urandom(4), "little"))
    faults.become_subreaper()
    with faults.Scratch() as scratch:
        for place in (scratch.runtime, scratch.state):
            os.chmod(place, 0o700)
        if len(sys.argv) > 2:
            check_many(tap, sbx, scratch, int(sys.argv[2]))
        else:
            check_kills(tap, sbx, scratch, rng)
    return tap.end()


sys.exit(main())
