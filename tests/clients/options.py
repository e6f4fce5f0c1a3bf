#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""options SBX [--root] [PATTERN]: the link named bwrap against bubblewrap, line by line.

Each line of options.cases is a shell command that calls `bwrap`. It is run twice as an
ordinary user, in the same fresh directory: once with Debian's bubblewrap first in PATH,
once with the link. Exit status, stdout and the first line of stderr must agree, and the
status must be the one in front of the line: so a line that fails for the wrong reason,
in both in the same way, is noticed.

    0 bwrap ...         the two must agree, and end with 0
    ~0 bwrap ...        the same, but stderr is not compared
    @NAME: REASON       a difference that is wanted: the next line must differ
    new 0 bwrap ... => TEXT   bubblewrap 0.11 can, Debian's may not: only the link, whose
                        output must contain TEXT
    root 0 bwrap ...    run by real root, with --root, and only then; goes in front of the
                        others

Prints TAP. SBX_BWRAP names another program to test than a link to SBX made here;
SBX_BWRAP=/usr/bin/bwrap tests the cases themselves.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

REAL = "/usr/bin/bwrap"
LIMIT_S = 20
CAP_SYS_ADMIN = 21
LINE = re.compile(r"(?P<root>root )?(?P<new>new )?(?P<quiet>~)?(?P<status>\d+) (?P<script>.*)")


class Case:
    """One line of the file."""

    def __init__(self, text, wanted):
        match = LINE.fullmatch(text)
        assert match, text
        self.script = match["script"]
        self.status = int(match["status"])
        self.compares_stderr = not match["quiet"]
        self.for_root = bool(match["root"])
        self.wanted = wanted
        self.expect = None
        if match["new"]:
            self.script, self.expect = self.script.rsplit(" => ", 1)

    def run(self, program, top, prelude):
        """The status, what was printed, and the first line of stderr."""
        bin_dir, work = top / "bin", top / "work"
        for path in (bin_dir, work):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        (bin_dir / "bwrap").symlink_to(program)
        for name, text in FILES.items():
            (work / name).write_text(text, encoding="utf-8")
        result = subprocess.run(
            ["/bin/bash", "-c", prelude + self.script], cwd=work, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT_S, check=False,
            env={"PATH": f"{bin_dir}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(work), "LANG": "C",
                 "KEPT": "kept", "PROGRAM": str(program)})
        for path in [work, *work.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
        return (result.returncode, result.stdout.decode(errors="replace"),
                result.stderr.decode(errors="replace"))


FILES = {"data": "data\n", "other": "other\n", "empty": ""}


def read_cases(path):
    """The prelude, which is everything up to the line of dashes, and the cases."""
    prelude, lines = path.read_text(encoding="utf-8").split("\n----\n", 1)
    cases, wanted = [], None
    for line in lines.splitlines():
        if line.startswith("@"):
            wanted = line[1:]
        elif line and not line.startswith("#"):
            cases.append(Case(line, wanted))
            wanted = None
    return prelude + "\n", cases


def first_line(text):
    return text.split("\n", 1)[0]


def compare(case, real, ours):
    """What is wrong, as lines; none where nothing is."""
    wrong = []
    if real[0] != case.status:
        wrong.append(f"bubblewrap ends with {real[0]}, the line says {case.status}")
    if real[0] != ours[0]:
        wrong.append(f"status: bubblewrap {real[0]}, link {ours[0]}")
    if real[1] != ours[1]:
        theirs, mine = real[1].splitlines(), ours[1].splitlines()
        wrong += [f"stdout: bubblewrap: {line}" for line in theirs if line not in mine]
        wrong += [f"stdout: link:       {line}" for line in mine if line not in theirs]
        if len(wrong) == 0:
            wrong.append(f"stdout: bubblewrap: {real[1]!r}, link: {ours[1]!r}")
    if case.compares_stderr and first_line(real[2]) != first_line(ours[2]):
        wrong += [f"stderr: bubblewrap: {first_line(real[2])}",
                  f"stderr: link:       {first_line(ours[2])}"]
    if wrong:
        wrong += [f"stderr of bubblewrap: {real[2]!r}", f"stderr of link: {ours[2]!r}"]
    return wrong


def check_new(case, ours):
    wrong = []
    if ours[0] != case.status:
        wrong.append(f"status {ours[0]}, wanted {case.status}")
    if case.expect.replace("\\n", "\n") not in ours[1] + ours[2]:
        wrong.append(f"wanted {case.expect!r} in {ours[1] + ours[2]!r}")
    return wrong


def check(case, program, top, prelude):
    try:
        ours = case.run(program, top, prelude)
        if case.expect is not None:
            return check_new(case, ours)
        wrong = compare(case, case.run(REAL, top, prelude), ours)
    except subprocess.TimeoutExpired as error:
        wrong = [f"no end within {LIMIT_S} s: {error.stdout} {error.stderr}"]
    if case.wanted:
        return [] if wrong else [f"this difference has vanished: {case.wanted}"]
    return wrong


def is_root():
    """Root with its powers: in many a container it may not mount anything."""
    status = pathlib.Path("/proc/self/status").read_text(encoding="utf-8")
    caps = int(re.search(r"CapEff:\s*(\w+)", status)[1], 16)
    return os.geteuid() == 0 and bool(caps & 1 << CAP_SYS_ADMIN)


def main():
    args = [arg for arg in sys.argv[1:] if arg != "--root"]
    for_root = len(args) < len(sys.argv) - 1
    if for_root and not is_root():
        print("1..1\nok 1 - not started by root, or by one that may mount nothing: its cases were not run")
        return 0
    program = pathlib.Path(os.environ.get("SBX_BWRAP") or os.environ.get("SBX") or args[0])
    prelude, cases = read_cases(pathlib.Path(__file__).with_name("options.cases"))
    cases = [c for c in cases if c.for_root == for_root and (len(args) < 2 or args[1] in c.script)]
    if program == pathlib.Path(REAL):
        cases = [c for c in cases if c.expect is None and not c.wanted]
    failed = 0
    print(f"1..{len(cases)}", flush=True)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        os.chmod(name, 0o755)
        for number, case in enumerate(cases, 1):
            wrong = check(case, program.absolute(), pathlib.Path(name), prelude)
            failed += bool(wrong)
            told = case.script.replace("#", "\\#")
            print(f"{'not ok' if wrong else 'ok'} {number} - {told}", flush=True)
            for line in wrong:
                print(f"# {line}", flush=True)
    return 1 if failed else 0


sys.exit(main())
