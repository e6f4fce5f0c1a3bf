#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_memory.py SBX ENTRIES: what `sbx diff` holds does not grow with what there is to tell.

ENTRIES new files, a hundred in a directory or all in one, and a thousand: the verbs that stream hold no
more of the former than what they read together, which is less than each entry would take. Prints TAP.
"""
import os
import subprocess
import sys
import tempfile

from place import fastest

WAIT_SECONDS = 300
FEW = 1000
TRIES = 20
MORE_KIB = 1536
WITH_SANITIZER = 8  # times as much: each allocation has a zone around it
VERBS = [["diff"], ["diff", "--json"], ["diff", "--stat"], ["diff", "--name-only"], ["diff", "--patch"],
         ["apply", "--dry-run"]]

MAKE = r'''
import os, sys
n, per_dir = int(sys.argv[1]), int(sys.argv[2])
for i in range(n):
    if i % per_dir == 0:
        above = f"d{i // per_dir}"
        os.mkdir(above)
    os.close(os.open(f"{above}/a-file-with-a-name-{i}", os.O_CREAT | os.O_WRONLY))
'''


def high_water(pid, program):
    """KiB; 0 before execve(2), when it is this process's memory that is told. None: it has ended."""
    try:
        if os.readlink(f"/proc/{pid}/exe") != program:
            return 0
    except FileNotFoundError:
        return None
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return None


class Site:
    def __init__(self, sbx, work, entries, per_dir):
        self.sbx, tree = sbx, os.path.join(work, "tree")
        self.env = {"PATH": "/usr/bin:/bin", "HOME": work, "LC_ALL": "C.UTF-8",
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
        os.mkdir(tree)
        subprocess.run([sbx, "--ro-bind", "/usr", "/usr", "--cow", tree, "--session", "s", "--chdir",
                        tree, "--", "/usr/bin/python3", "-c", MAKE, str(entries), str(per_dir)],
                       env=self.env, check=True, stderr=subprocess.DEVNULL, timeout=WAIT_SECONDS)

    def peak(self, verb):
        """KiB; 0 where it was quicker than the first look, each time."""
        peak = 0
        for _ in range(TRIES):
            with subprocess.Popen([self.sbx, *verb, "s"], env=self.env,
                                  stdout=subprocess.DEVNULL) as process:
                while (now := high_water(process.pid, self.sbx)) is not None:
                    peak = max(peak, now)
                    try:
                        process.wait(0.002)
                        break
                    except subprocess.TimeoutExpired:
                        pass
            if process.returncode != 0:
                raise SystemExit(f"{verb} has failed")
            if peak:
                break
        return peak


def main():
    sbx, entries = os.path.realpath(sys.argv[1]), int(sys.argv[2])
    with open(sbx, "rb") as f:
        limit = MORE_KIB * (WITH_SANITIZER if b"__asan_" in f.read() else 1)
    failed = False
    print(f"1..{2 * len(VERBS)}")
    for per_dir, shape in ((100, "a hundred in a directory"), (entries, "all in one directory")):
        with tempfile.TemporaryDirectory(dir=fastest()) as few, \
             tempfile.TemporaryDirectory(dir=fastest()) as many:
            sites = Site(sbx, few, FEW, per_dir), Site(sbx, many, entries, per_dir)
            for verb in VERBS:
                of_few, of_many = (site.peak(verb) for site in sites)
                good = 0 < of_few and 0 < of_many <= of_few + limit
                failed |= not good
                print(f"{'ok' if good else 'not ok'} - {' '.join(verb)}, {entries} files, {shape}: "
                      f"{of_many} KiB, {of_few} KiB of {FEW}", flush=True)
    return failed


sys.exit(main())
