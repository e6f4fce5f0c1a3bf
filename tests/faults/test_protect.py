#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_protect.py SBX INJECT: what others do to a directory while a path in it is being protected.

The tracer stops PID 1 at one call and lets a script change the host then. The launch is refused,
says that it may be tried again, and leaves nothing. Prints TAP.
"""
import os
import sys

import faults

AGAIN = "a program outside is changing the same directories; try again"

# name, the protected name, when and what, what the error says, what is there then
RACES = [
    ("another file takes the name behind the mount", "old", "init-before:openat2:/p/old",
     "mv '%(p)s/new' '%(p)s/old'", "was replaced while it was being protected", {"old": "new"}),
    ("each placeholder is removed at once", "name", "init-after:renameat2:.sbx-",
     "rm '%(p)s/name'; exit 99", "comes and goes while it is being protected",
     {"new": "new", "old": "old"}),
]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def check(tap, sbx, inject, race):
    name, protected, when, script, says, there = race
    with faults.Scratch() as scratch:
        for file in ("old", "new"):
            scratch.file("p/" + file, file)
        place = os.path.join(scratch.path, "p")
        report = os.path.join(scratch.path, "report")
        done = faults.run([inject, "--report", report, "--act", "%s:%s" % (when, script % {"p": place}),
                           sbx, "--map=single", "--ro-bind", "/usr", "/usr", "--bind", place, "/p",
                           "--protect", "/p/" + protected, "--", "true"], env=scratch.env())
        found = {file: read(os.path.join(place, file)) for file in os.listdir(place)}
        lines = read(report).splitlines()
        tap.ok("exit 125" in lines and "gone" in lines and found == there and says in done.err and
               AGAIN in done.err, name, [done, found])


def main():
    sbx, inject = map(os.path.abspath, sys.argv[1:3])
    tap = faults.Tap()
    for race in RACES:
        check(tap, sbx, inject, race)
    return tap.end()


sys.exit(main())
