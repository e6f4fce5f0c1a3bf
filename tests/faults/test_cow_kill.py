#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_cow_kill.py SBX: SIGKILL for each process of a sandbox with a copy-on-write view.

Whoever it is, and whenever: no process and no mount is left, the host's directory is as it was,
and the session can be shown, gone on with and discarded, or is not there at all.
"""
import os
import random
import signal
import subprocess
import sys
import time

import faults
import test_kill

ROUNDS = 12
LAUNCH_S = 0.05
START_ROUNDS, START_S = 20, 0.015
WRITES = ("i=0; echo up; while :; do i=$((i+1)); mkdir -p d$((i%7)); echo $i >d$((i%7))/f; "
          "rm -rf d$(((i+3)%7)) low; mkdir low; echo $i >>old; mv d$((i%7))/f e$((i%5)); done")


class View:
    """A directory and the home with the sessions; `inside` has the one in the other."""

    def __init__(self, scratch, sbx, driver, inside, name="home"):
        self.env = scratch.env()
        self.sbx, self.driver = sbx, driver
        self.home = os.path.join(scratch.path, "%s-%s-%d" % (name, driver, inside))
        self.path = self.home if inside else os.path.join(self.home, "tree")
        self.env["HOME"] = self.home
        self.env.pop("XDG_STATE_HOME", None)
        os.makedirs(os.path.join(self.path, "low"))
        for name in ("old", "low/x"):
            with open(os.path.join(self.path, name), "w") as f:
                f.write("as it was\n")

    def options(self):
        return ["--map=single", "--overlay-driver=" + self.driver, "--ro-bind", "/usr", "/usr",
                "--cow", self.path, "--session", "s", "--chdir", self.path]

    def verb(self, *words):
        return faults.run([self.sbx, *words], env=self.env)

    def is_untouched(self):
        names = sorted(name for name in os.listdir(self.path) if name != ".local")
        return names == ["low", "old"] and all(
            open(os.path.join(self.path, name)).read() == "as it was\n"
            for name in ("old", "low/x"))


def kill_one(view, victim, delay, running):
    """Return: what is wrong."""
    child = subprocess.Popen([view.sbx, *view.options(), "--", "/usr/bin/sh", "-c", WRITES],
                             env=view.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
    if running:
        child.stdout.readline()
    time.sleep(delay)
    pid = test_kill.find(victim, child.pid)
    if pid is None or not test_kill.kill(pid):
        test_kill.kill(child.pid)
    # A sandbox whose helper had been done with already goes on.
    if victim == "helper" and not faults.wait_until(lambda: not faults.children(child.pid), 2):
        test_kill.kill(child.pid)
    left, _ = faults.reap_all()
    child.stdout.close()
    return ["processes are left: %s" % left] if left else []


def check_session(view):
    """Return: what is wrong with what is left of it."""
    diff = view.verb("diff", "s")
    if diff.code != 0:
        gone = "no such session" in diff.err or "is no session" in diff.err
        return [] if gone else ["diff: %s" % diff]
    on = faults.run([view.sbx, *view.options(), "--", "/usr/bin/sh", "-c",
                     "ls -lR >/dev/null && echo on >went-on"], env=view.env)
    names = view.verb("diff", "--name-only", "s")
    gone = view.verb("discard", "s")
    bad = [] if on.code == 0 else ["is not gone on with: %s" % on]
    if "/went-on\n" not in names.out:
        bad.append("what was written then is not kept: %s" % names)
    return bad if gone.code == 0 else bad + ["discard: %s" % gone]


def check(tap, view, victim, inside, rng):
    bad = []
    for number in range(ROUNDS):
        running = number % 3 != 0
        delay = rng.uniform(0, LAUNCH_S)
        errors = kill_one(view, victim, delay, running) + check_session(view)
        if not view.is_untouched():
            errors.append("the host's directory has changed")
        if errors:
            bad.append("%s after %.6f s, running: %s: %s" % (victim, delay, running, errors))
    tap.ok(not bad, "%s killed, %s%s" % (victim, view.driver, ", session inside" * inside), bad)


def check_start(tap, view, number, rng):
    """What is asked to end while it begins leaves no session; of a killed one there is a record."""
    sessions = os.path.join(view.home, ".local/state/sbx/sessions")
    options = [word for word in view.options() if word not in ("--session", "s")]
    bad = []
    for _ in range(START_ROUNDS):
        child = subprocess.Popen([view.sbx, *options, "--", "/usr/bin/true"], env=view.env,
                                 stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        delay = rng.uniform(0, START_S)
        time.sleep(delay)
        child.send_signal(number)
        child.wait()
        if number == signal.SIGKILL:
            view.verb("version")
        left = os.listdir(sessions) if os.path.exists(sessions) else []
        records = [os.path.join(sessions, one, "meta") for one in left]
        if number != signal.SIGKILL and left or not all(map(os.path.exists, records)):
            bad.append("after %.6f s: %s" % (delay, faults.snapshot(sessions)))
        for one in left:
            view.verb("discard", one)
    tap.ok(not bad, "signal %d while a session begins" % number, bad)


def main():
    sbx = os.path.abspath(sys.argv[1])
    tap = faults.Tap()
    seed = os.environ.get("SBX_TEST_SEED", str(random.randrange(1 << 32)))
    rng = random.Random(seed)
    print("# SBX_TEST_SEED=%s" % seed)
    with faults.Scratch() as scratch:
        faults.become_subreaper()
        mounts = faults.host_mounts(scratch.path)
        for driver in ("kernel", "fuse"):
            if driver == "fuse" and not faults.can_use_fuse():
                tap.skip("kill with fuse-overlayfs", "needs fuse-overlayfs and an open /dev/fuse")
                continue
            for inside in (False, True):
                view = View(scratch, sbx, driver, inside)
                for victim in test_kill.VICTIMS:
                    check(tap, view, victim, inside, rng)
        view = View(scratch, sbx, "kernel", False, "start")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL):
            check_start(tap, view, number, rng)
        tap.ok(faults.host_mounts(scratch.path) == mounts, "the host's mounts are as before")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
