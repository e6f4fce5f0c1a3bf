#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_kill.py SBX [INJECT all|eighth]: SIGKILL for each process of a sandbox, at any moment.

Whoever it is, and whenever: no process and no mount is left, and sbx's exit code tells. The
moments are random ones of a launch and of a running sandbox. With INJECT it is instead every
system call of a launch, one after the other, or an eighth of them, chosen as test_inject.py does.
"""
import os
import random
import signal
import subprocess
import sys
import time

import faults

ROUNDS = 100
BUS_ROUNDS = 30
RUNNING_ROUNDS = 10
LAUNCH_S = 0.008
USR = ["--ro-bind", "/usr", "/usr"]
# What helpers are started for, and the error when one is lost before the command has begun.
RANGE = ["--map=range", *USR]
BUS = ["--map=single", "--dbus-session", *USR]
FUSE = ["--map=single", "--overlay-driver=fuse", "--overlay-src", faults.LAYER, "--tmp-overlay", "/x", *USR]
NET = ["--net=user", "--map=single", "-p", "0:80", *USR]
# A network that sandboxes share, in which this one is alone.
SHARED = ["--net=faults,user", "--map=single", *USR]
# The same without the internet, so that there are processes of sbx's own only.
MEMBER = ["--net=faults", "--map=single", *USR]
# A command with a child that would like to stay.
COMMAND = ["--", "/usr/bin/sh", "-c", "sleep 1000 & echo up; exec sleep 1000"]
VICTIMS = ("monitor", "init", "payload", "helper")
# Of a shared network: who holds it is nobody's child, and so ours (become_subreaper()).
HOLDERS = ("sbx-net", "slirp4netns")


def is_init(pid):
    """The first process of a pid namespace of its own; for everybody to see."""
    try:
        with open("/proc/%d/status" % pid) as f:
            for line in f:
                if line.startswith("NSpid:"):
                    return len(line.split()) == 3 and line.split()[2] == "1"
    except (FileNotFoundError, ProcessLookupError):
        pass
    return False


def find_holder(victim):
    for pid in faults.children(os.getpid()):
        if faults.name_of(pid) != HOLDERS[0]:
            continue
        if victim == HOLDERS[0]:
            return pid
        for child in faults.children(pid):
            if faults.name_of(child) == victim:
                return child
    return None


def find(victim, monitor):
    """The process that plays this part now, or None."""
    if victim in HOLDERS:
        return find_holder(victim)
    if victim == "monitor":
        return monitor
    for pid in faults.children(monitor):
        if is_init(pid) == (victim == "helper"):
            continue
        if victim != "payload":
            return pid
        for child in faults.children(pid):
            return child
    return None


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


class Round:
    """One launch, one kill, and what came of it."""

    def __init__(self, sbx, scratch, options, victim, delay, running):
        self.victim, self.delay = victim, delay
        # PID 1's first child is nft where there are rules to be set.
        self.is_helper = victim == "helper" or (
            victim == "payload" and not running and (options is NET or options is SHARED))
        self.hit = False
        self.errors = []
        self.child = subprocess.Popen([sbx, *options, *COMMAND], env=scratch.env(),
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE)
        if running:
            self.child.stdout.readline()
        else:
            time.sleep(delay)
        pid = self.wait_for_victim(running)
        self.hit = pid is not None and kill(pid)
        if not self.hit:
            kill(self.child.pid)
        self.collect()

    def wait_for_victim(self, running):
        """Who is not there yet is waited for, and hit a random moment later. A helper may be past."""
        pid = find(self.victim, self.child.pid)
        if pid is not None or running:
            return pid
        end = time.monotonic() + (0.02 if self.victim == "helper" else 1)
        while pid is None and time.monotonic() < end:
            pid = find(self.victim, self.child.pid)
        time.sleep(self.delay / 8)
        return pid

    def collect(self):
        # A helper that had done its work already is no loss: then the sandbox runs.
        if self.hit and self.is_helper:
            self.hit = self.ends_by_itself()
        left, statuses = faults.reap_all()
        if left:
            self.errors.append("processes are left: %s" % left)
        if self.child.returncode is None and self.child.pid in statuses:
            self.child.returncode = os.waitstatus_to_exitcode(statuses[self.child.pid])
        code = faults.shell_code(self.child.returncode)
        text = self.child.stderr.read().decode(errors="replace")
        self.child.stdout.close()
        self.child.stderr.close()
        if self.hit:
            self.judge(code, text)

    def ends_by_itself(self):
        """Does sbx end, or has the command begun?"""
        if self.child.stdout.readline() == b"":
            return True
        kill(self.child.pid)
        return False

    def judge(self, code, text):
        wanted = {"monitor": 137, "init": 125, "payload": 137}.get(self.victim, 125)
        # A payload that PID 1 was still preparing is missed by it.
        if self.victim == "payload" and code == 125:
            wanted = 125
        if code != wanted:
            self.errors.append("exit code %s, not %s: %s" % (code, wanted, text))
        if wanted == 125 and not text.startswith("sbx: "):
            self.errors.append("no error text: %r" % text)
        if self.errors:
            self.errors.append("killed %s after %.6f s" % (self.victim, self.delay))


def check_random(tap, sbx, scratch, options, victim, rng):
    bad, hits, tries = [], 0, 0
    rounds = ROUNDS if options is RANGE else BUS_ROUNDS
    while hits < rounds and tries < rounds * 4:
        one = Round(sbx, scratch, options, victim, rng.uniform(0, LAUNCH_S), False)
        bad += one.errors
        hits += one.hit
        tries += 1
    # How many are hit is up to the machine's speed; a few are, or this tests nothing.
    tap.ok(not bad and hits >= rounds // 10,
           "%s of %s killed while starting, at %d random moments" % (victim, " ".join(options[:2]), hits),
           bad or [hits, tries])


def check_running(tap, sbx, scratch, options, victim):
    bad = []
    for _ in range(RUNNING_ROUNDS):
        one = Round(sbx, scratch, options, victim, 0, True)
        bad += one.errors
        if not one.hit:
            bad.append("no %s was found" % victim)
    tap.ok(not bad, "%s of %s killed while the command runs" % (victim, " ".join(options[:2])), bad)


class Injector:
    """The program, and which of the system calls that it reports are tried."""

    def __init__(self, program, share, rng):
        self.program, self.share, self.rng = program, share, rng

    def run(self, scratch, *words):
        report = os.path.join(scratch.path, "report")
        faults.run([self.program, "--report", report, *words], env=scratch.env(), timeout=60)
        with open(report) as f:
            return f.read().splitlines()

    def calls(self, scratch, launch, role=""):
        """ROLE:CALL:N of each that is to be tried, and how many there are."""
        found = [":".join(line.split()[1:4]) for line in self.run(scratch, *launch)
                 if line.startswith("call " + role)]
        return faults.choose(found, self.share, self.rng), len(found)


def check_every_call(tap, sbx, injector, scratch, options, victim):
    launch = [sbx, *options, "--", "/usr/bin/true"]
    calls, n_calls = injector.calls(scratch, launch)
    bad = []
    for call in calls:
        where = "%s:%s" % (victim, call)
        events = injector.run(scratch, "--kill", where, *launch)
        if "gone" not in events or "timeout" in events or \
                any(event.startswith("left") for event in events):
            bad.append("%s: %s" % (where, events))
    tap.ok(not bad and calls, "%s of %s killed at %d of %d system calls" %
           (victim, options[0], len(calls), n_calls), bad)


def check_victim(tap, sbx, injector, scratch, options, victim, rng):
    if injector:
        check_every_call(tap, sbx, injector, scratch, options, victim)
        return
    check_random(tap, sbx, scratch, options, victim, rng)
    # A newuidmap has done its work by then. What becomes of the bus, tests/e2e shows.
    if victim != "helper":
        check_running(tap, sbx, scratch, options, victim)


def check_placeholders(tap, sbx, injector, scratch, victim, how):
    """Whenever it is killed: the next sbx, whatever it is for, leaves nothing of --protect."""
    project = os.path.dirname(scratch.file("project/rc", "kept\n"))
    launch = [sbx, "--map=single", "--ro-bind", "/usr", "/usr", "--bind", project, "/p",
              "--protect-by", how, "--protect", "/p/new", "--protect", "/p/dir/deep/", "--protect", "/p/rc",
              "--", "/usr/bin/true"]
    calls, n_calls = injector.calls(scratch, launch)
    before = faults.snapshot(project) + faults.snapshot(scratch.runtime)
    bad = []
    for call in calls:
        where = "%s:%s" % (victim, call)
        injector.run(scratch, "--kill", where, *launch)
        faults.run([sbx, "--map=single", "--ro-bind", "/usr", "/usr", "--", "/usr/bin/true"],
                   env=scratch.env())
        after = faults.snapshot(project) + faults.snapshot(scratch.runtime)
        if after != before:
            bad.append("%s: left %s" % (where, sorted(set(after) ^ set(before))))
            before = after
    tap.ok(not bad and calls, "%s killed at %d of %d system calls: no %s is left" %
           (victim, len(calls), n_calls, how), bad)


def check_sessions(tap, sbx, injector, scratch, number):
    """
    Whenever sbx is asked to end, nothing is left of a session in which nothing was changed. Where
    it is killed the next sbx leaves none that has no record.
    """
    project = os.path.dirname(scratch.file("view/rc", "kept\n"))
    sessions = os.path.join(scratch.state, "sbx/sessions")
    launch = [sbx, "--map=single", "--overlay-driver=kernel", *USR, "--cow", project, "--",
              "/usr/bin/true"]
    calls, n_calls = injector.calls(scratch, launch, "monitor ")
    bad = []
    for call in calls:
        where = "monitor:" + call
        injector.run(scratch, "--signal", str(int(number)), "--kill", where, *launch)
        if number == signal.SIGKILL:
            faults.run([sbx, "version"], env=scratch.env())
        left = os.listdir(sessions)
        records = [os.path.join(sessions, one, "meta") for one in left]
        if number != signal.SIGKILL and left or not all(map(os.path.exists, records)):
            bad.append("%s: %s" % (where, faults.snapshot(sessions)))
        faults.run([sbx, "prune", "--older-than", "0s"], env=scratch.env())
    tap.ok(not bad and calls, "signal %d at %d of %d system calls: no session is left" %
           (number, len(calls), n_calls), bad)


def check_with_net(tap, sbx, injector, rng):
    """The same with slirp4netns, which ends with the sandbox."""
    if not faults.can_have_network():
        tap.skip("kill with a network", "needs /dev/net/tun, " + ", ".join(faults.NET_PROGRAMS))
        return
    with faults.Scratch() as scratch:
        before = faults.snapshot(scratch.path)
        for victim in VICTIMS:
            check_victim(tap, sbx, injector, scratch, NET, victim, rng)
        if not injector:
            check_running(tap, sbx, scratch, NET, "helper")
        faults.run([sbx, "version"], env=scratch.env())
        left = {entry for entry in faults.snapshot(scratch.path) if entry[0] != "report"}
        tap.ok(left == set(before), "with a network: no file is left", left ^ set(before))


def check_with_shared_network(tap, sbx, rng):
    """The same with a process that nobody of the sandbox is the parent of; it ends with the last."""
    if not faults.can_have_network():
        tap.skip("kill with a shared network", "needs " + ", ".join(faults.NET_PROGRAMS))
        return
    with faults.Scratch() as scratch:
        before = faults.snapshot(scratch.path)
        for victim in VICTIMS[:3] + HOLDERS:
            check_random(tap, sbx, scratch, SHARED, victim, rng)
            check_running(tap, sbx, scratch, SHARED, victim)
        faults.run([sbx, "version"], env=scratch.env())
        left = set(faults.snapshot(scratch.path))
        tap.ok(left == set(before), "with a shared network: no file is left", left ^ set(before))


def check_members_everywhere(tap, sbx, injector, scratch, rng):
    """At every system call: a member, and who holds its network."""
    before = faults.snapshot(scratch.path)
    for victim in ("monitor", "holder"):
        check_victim(tap, sbx, injector, scratch, MEMBER, victim, rng)
        faults.run([sbx, "version"], env=scratch.env())
        left = {entry for entry in faults.snapshot(scratch.path) if entry[0] != "report"}
        tap.ok(left == set(before), "%s of a shared network: no file is left" % victim,
               left ^ set(before))


def check_other_member(tap, sbx, scratch, rng):
    """A member that is killed takes nothing from another one, whenever it is."""
    bad = []
    with subprocess.Popen([sbx, *MEMBER, *COMMAND], env=scratch.env(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as other:
        other.stdout.readline()
        for number in range(BUS_ROUNDS):
            one = subprocess.Popen([sbx, *MEMBER, *COMMAND], env=scratch.env(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
            if number % 3 == 0:
                one.stdout.readline()
            time.sleep(rng.uniform(0, LAUNCH_S))
            kill(one.pid)
            one.stdout.read()
            one.wait()
            one.stdout.close()
            if other.poll() is not None:
                bad.append("after %d" % number)
                break

        def members():
            return faults.run([sbx, "net", "ls", "--json"], env=scratch.env()).out.count('"address"')

        # The end of a killed one is heard when its last process is gone.
        if not faults.wait_until(lambda: members() == 1):
            bad.append("%d members" % members())
        kill(other.pid)
        left, _ = faults.reap_all()
    tap.ok(not bad and not left, "a member goes on while others are killed", [bad, left])


def check_with_bus(tap, sbx, injector, bus, rng):
    """The same with the proxy of a session bus, which leaves no socket either."""
    if not bus:
        tap.skip("kill with a session bus", "needs " + ", ".join(faults.BUS_PROGRAMS))
        return
    with faults.Scratch() as scratch:
        scratch.extra_env = bus
        before = faults.snapshot(scratch.path)
        for victim in VICTIMS:
            check_victim(tap, sbx, injector, scratch, BUS, victim, rng)
        # Where there was no helper left to kill, it was the monitor: its record goes now.
        faults.run([sbx, "ps"], env=scratch.env())
        report = {entry for entry in faults.snapshot(scratch.path) if entry[0] != "report"}
        tap.ok(report == set(before), "no socket of a session bus is left", report ^ set(before))


def check_with_fuse(tap, sbx, injector, scratch, rng):
    """The same with layers; a helper is fuse-overlayfs, or who makes it."""
    if not faults.can_use_fuse():
        tap.skip("kill with fuse-overlayfs", "needs fuse-overlayfs and an open /dev/fuse")
        return
    for victim in VICTIMS:
        check_victim(tap, sbx, injector, scratch, FUSE, victim, rng)


def main():
    sbx = os.path.abspath(sys.argv[1])
    tap = faults.Tap()
    seed = os.environ.get("SBX_TEST_SEED", str(random.randrange(1 << 32)))
    rng = random.Random(seed)
    injector = Injector(sys.argv[2], faults.SHARES[sys.argv[3]], rng) if len(sys.argv) > 2 else None
    print("# SBX_TEST_SEED=%s" % seed)
    with faults.Scratch() as scratch, faults.Scratch() as place, faults.SessionBus(place) as bus:
        faults.become_subreaper()
        if not faults.can_map_range(sbx):
            tap.skip("kill", "no range of ids for this user")
            return tap.end()
        mounts = faults.host_mounts(scratch.path)
        for victim in VICTIMS:
            check_victim(tap, sbx, injector, scratch, RANGE, victim, rng)
            if injector and victim in ("monitor", "init"):
                for how in ("placeholder", "overlay"):
                    check_placeholders(tap, sbx, injector, scratch, victim, how)
        if injector:
            for number in (signal.SIGTERM, signal.SIGKILL):
                check_sessions(tap, sbx, injector, scratch, number)
        check_with_bus(tap, sbx, injector, bus, rng)
        check_with_fuse(tap, sbx, injector, scratch, rng)
        check_with_net(tap, sbx, injector, rng)
        with faults.Scratch() as members:
            if injector:
                check_members_everywhere(tap, sbx, injector, members, rng)
            else:
                check_with_shared_network(tap, sbx, rng)
                check_other_member(tap, sbx, members, rng)
        tap.ok(faults.host_mounts(scratch.path) == mounts, "the host's mounts are as before")
        tap.ok(os.listdir(scratch.tmp) == [], "no file is left", [os.listdir(scratch.tmp)])
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
