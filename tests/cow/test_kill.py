#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_kill.py SBX KILLS [SEED]: `sbx apply`, ended by SIGKILL or SIGTERM at random moments.

A session changes a tree in all the ways there are. Then, KILLS times for each driver, it is applied
to a fresh copy of that tree and killed at some moment between the first and the last of what it
does. At that moment each file holds what it held or what it is to hold, and nothing else has a
name; the same command, given again, completes it, and the tree is what an apply that was not
interrupted makes of it. Prints TAP.
"""
import hashlib
import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import time

from place import fastest

WAIT_SECONDS = 120
CLOCK_REALTIME_COARSE = 5  # of the kernel; what times of files come from
TICK_SECONDS = 0.01  # of those of some filesystems: see src/cow/session_begin.c

MAKE = r"""
for d in 1 2 3 4 5; do
  mkdir -p dir$d/sub; seq 1 $((d * 4000)) >dir$d/data; echo $d >dir$d/sub/f; ln -s f dir$d/sub/l
  ln dir$d/data dir$d/again
done
mkdir -p gone/a/b; for i in 1 2 3 4 5 6 7 8 9; do echo $i >gone/a/b/$i; echo $i >gone/$i; done
for d in 1 2 3 4 5 6; do mkdir -p many/$d; for i in 1 2 3 4 5 6 7 8 9; do echo $i >many/$d/$i; done; done
mkdir a; for i in 1 2 3 4 5 6 7 8 9; do echo $i >a/$i; ln a/$i z$i; done
mkdir todir_; echo x >todir_/x; echo y >tofile; mkdir opaque; for i in 1 2 3 4; do echo $i >opaque/$i; done
"""
CHANGE = r"""
for d in 1 2 3 4 5; do
  rm dir$d/again; seq 1 $((d * 9000)) >dir$d/data; echo more >>dir$d/sub/f; ln -sfn ../data dir$d/sub/l
  chmod 700 dir$d; mkdir -p new/$d/deep; seq 1 $((d * 3000)) >new/$d/deep/file; ln new/$d/deep/file new/$d/link
done
for d in 1 2 3 4 5 6; do for i in 1 2 3 4 5 6 7 8 9; do echo more >>many/$d/$i; : >many/$d/new$i; done; rm many/$d/[3-5]; done
rm -r a; for i in 1 2 3 4 5 6 7 8 9; do echo more >>z$i; done
rm -r gone todir_ opaque; echo file >todir_; rm tofile; mkdir tofile; echo in >tofile/in
mkdir opaque; echo n >opaque/new; truncate -s 10M hole; echo end >>hole; mkfifo fifo
"""


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def look(root):
    """All names: what they are, and of files what is in them and which other names they have."""
    seen, inodes = {}, {}
    for above, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(above, name)
            st = os.lstat(path)
            rel = os.path.relpath(path, root)
            what = digest(path) if stat.S_ISREG(st.st_mode) else ""
            if stat.S_ISLNK(st.st_mode):
                what = os.readlink(path)
            time_ns = 0 if stat.S_ISLNK(st.st_mode) else st.st_mtime_ns
            seen[rel] = [stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode), time_ns, what]
            if stat.S_ISREG(st.st_mode):
                inodes.setdefault(st.st_ino, []).append(rel)
    for names in inodes.values():
        for rel in names:
            seen[rel].append(sorted(names))
    return seen


class Case:
    def __init__(self, sbx, driver, work, rng):
        self.sbx, self.driver, self.work, self.rng = sbx, driver, work, rng
        self.env = {"PATH": "/usr/bin:/bin", "HOME": work, "LC_ALL": "C.UTF-8"}
        self.tree, self.first = os.path.join(work, "tree"), os.path.join(work, "first")
        self.session = os.path.join(work, ".local/state/sbx/sessions/s")
        self.problems = []
        self.dirty = False

    def run(self, *words):
        return subprocess.run([self.sbx, *words], env=self.env, capture_output=True, text=True,
                              timeout=WAIT_SECONDS, check=False, stdin=subprocess.DEVNULL)

    def must(self, holds, what):
        if not holds:
            self.problems.append(what)
        return holds

    def begin(self):
        os.mkdir(self.first)
        subprocess.run(["/bin/sh", "-ec", MAKE], cwd=self.first, check=True)
        subprocess.run(["cp", "-a", self.first, self.tree], check=True)
        run = self.run("--ro-bind", "/usr", "/usr", "--cow", self.tree, "--session", "s", "--chdir", self.tree,
                       "--overlay-driver", self.driver, "--", "/bin/sh", "-ec", CHANGE)
        if not self.must(run.returncode == 0, f"the command has failed: {run.stderr}"):
            return False
        self.before = look(self.tree)
        self.duration = self.fresh_and_apply()
        self.after = look(self.tree)
        return self.must(self.after != self.before, "nothing was changed") and not self.problems

    def fresh(self):
        """The tree as it was, and a session that began after that."""
        subprocess.run(["rm", "-rf", self.tree], check=True)
        subprocess.run(["cp", "-a", self.first, self.tree], check=True)
        with open(self.session + "/meta", encoding="utf-8") as f:
            # What is said of another tree, and of the beginning that it really had.
            fields = [field for field in f.read().split("\0") if not field.startswith(("born=", "clock="))]
        # Where the clock has no more, they look as on filesystems that have whole seconds, or two.
        whole = time.clock_gettime_ns(CLOCK_REALTIME_COARSE) % 10**6 == 0
        time.sleep(2 if whole else TICK_SECONDS)
        st, now = os.stat(self.tree), time.time_ns()
        while time.clock_gettime_ns(CLOCK_REALTIME_COARSE) <= now:
            pass
        new = {"began": f"{now // 10**9}.{now % 10**9}", "inode": f"{st.st_dev}:{st.st_ino}"}
        fields = [f"{f.split('=')[0]}={new[f.split('=')[0]]}" if f.split("=")[0] in new else f for f in fields]
        with open(self.session + "/meta", "w", encoding="utf-8") as f:
            f.write("\0".join(fields))
        for name in ("journal", "applied"):
            if os.path.exists(os.path.join(self.session, name)):
                os.unlink(os.path.join(self.session, name))

    def fresh_and_apply(self):
        self.fresh()
        began = time.monotonic()
        run = self.run("apply", "s")
        self.must(run.returncode == 0, f"apply has failed: {run.stderr}")
        return time.monotonic() - began

    def check_names(self):
        """Half done, but nothing half made."""
        now = look(self.tree)
        for name in self.before.keys() & self.after.keys():
            self.must(name in now, f"{name} is gone")
        for name, entry in now.items():
            if ".sbx-apply-" in name or entry[0] == stat.S_IFDIR:
                continue
            found = [(e[0], e[3]) for e in (self.before.get(name), self.after.get(name)) if e]
            self.must((entry[0], entry[3]) in found, f"{name} is neither old nor new")

    def kill_once(self):
        """Return: was it still at work? One that is asked to end leaves nothing half done."""
        end = self.rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
        with subprocess.Popen([self.sbx, "apply", "s"], env=self.env, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(self.rng.random() * self.duration)
            except subprocess.TimeoutExpired:
                process.send_signal(end)
        self.check_names()
        if process.returncode != -signal.SIGKILL:
            left = [name for name in look(self.tree) if ".sbx-apply-" in name]
            self.must(not left or self.dirty, f"it has ended by itself and left {left}")
        self.dirty = process.returncode == -signal.SIGKILL
        return process.returncode != 0

    def kill(self):
        self.fresh()
        self.dirty = False
        killed = self.kill_once()
        if self.rng.random() < 0.5:
            self.kill_once()
        run = self.run("apply", "s")
        self.must(run.returncode == 0, f"apply has failed behind a kill: {run.stderr}")
        now = look(self.tree)
        self.must(now == self.after, "not the same as without a kill: " + str(
            [(k, now.get(k), self.after.get(k)) for k in sorted(set(now) | set(self.after))
             if now.get(k) != self.after.get(k)][:3]))
        self.must(self.run("diff", "s").stdout == "", "diff has something to tell")
        return killed


def main():
    sbx, kills = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else None)
    failed = False
    print(f"1..{2 * kills}")
    for driver in ("kernel", "fuse"):
        with tempfile.TemporaryDirectory(dir=fastest()) as work:
            case = Case(sbx, driver, work, rng)
            ready = case.begin()
            done = 0
            while done < kills:
                # One that came too late does not count.
                counts = not ready or case.kill()
                if counts or case.problems:
                    done += 1
                    print(f"{'not ok' if case.problems else 'ok'} - {driver}, kill {done}")
                for problem in case.problems[:5]:
                    print(f"# {problem}")
                    failed = True
                case.problems = case.problems if not ready else []
                sys.stdout.flush()
            case.run("discard", "s")
    return failed


sys.exit(main())
