#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_model.py SBX ROUNDS OPERATIONS KILLS [SEED]: sessions against a model.

A round makes a tree and a plain copy of it, and does the same random operations to the copy and,
in a sandbox with --cow, to the tree: by names from the root, and from within directories. Then,
for each driver:

  - the tree is as it was, and what the command has seen at its end is what the copy is;
  - `sbx apply`, killed KILLS times at random moments, makes the tree what the command has seen:
    contents, types, permissions, times, attributes; and as the copy: which names are one file;
  - at each kill every name has what it had or what it is to have;
  - then `sbx diff` has nothing to tell, and after `sbx discard` nothing is left.

In every other round all is done once before, in a session that is discarded: the tree is as it was, to
the change times of what it holds.

A directory of the host cannot be renamed in a layer (EXDEV); it is copied then, as mv(1) does, and in
the copy as well. Writing through one of several names of a file that the tree had at the beginning
is different in layers (sbx-cow(7)) and left out. Prints TAP.
"""
import json
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
NOTHING = '{"ops": [], "moved": []}'

# Runs inside and on the copy: operations from standard input, then what the tree looks like.
AGENT = r'''
import errno, hashlib, json, os, shutil, stat, sys

def attributes(path):
    try:
        names = [n for n in os.listxattr(path, follow_symlinks=False) if n.startswith("user.")
                 and not n.startswith(("user.overlay.", "user.fuseoverlayfs."))]
        return {n: os.getxattr(path, n, follow_symlinks=False).hex() for n in sorted(names)}
    except OSError:
        return {}

def content(path, st):
    if stat.S_ISLNK(st.st_mode):
        return os.readlink(path)
    if stat.S_ISREG(st.st_mode):
        with open(path, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()
    return ""

def look(root):
    seen = {}
    todo = [root]
    while todo:
        path = todo.pop()
        st = os.lstat(path)
        name = os.path.relpath(path, root)
        link = stat.S_ISLNK(st.st_mode)
        seen[os.fsencode(name).hex()] = [stat.S_IFMT(st.st_mode),
                      0 if link else stat.S_IMODE(st.st_mode), st.st_mtime_ns,
                      content(path, st), attributes(path)]
        if stat.S_ISDIR(st.st_mode):
            todo += [os.path.join(path, n) for n in os.listdir(path)]
    return seen

def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)

def stamp(path, when):
    if os.path.lexists(path):
        os.utime(path, ns=(when, when), follow_symlinks=False)

def edit(path, when, text):
    """As an editor does; then it may go. All by one look-up of the directory."""
    os.chdir(os.path.dirname(path))
    new, name = ".new", os.path.basename(path)
    with open(new, "w") as f: f.write(text)
    stamp(new, when)
    try:
        os.rename(new, name)
    except IsADirectoryError:
        os.unlink(new)
        return
    if len(text) % 2: os.unlink(name)

def remake(path):
    """A directory made anew has nothing of what was in it, also while those above are looked at."""
    if os.path.islink(path) or not os.path.isdir(path):
        return
    names = os.listdir(path)
    shutil.rmtree(path); os.mkdir(path); os.chdir(path)
    os.mkdir("../.new"); os.rmdir("../.new")
    os.stat(os.path.dirname(path))
    found.extend(os.path.join(path, n) for n in names if os.path.lexists(n))

def move_dir(n, path, other):
    """As mv(1): where it cannot be renamed it is copied. The copy does what the layer did."""
    if os.path.lexists(other) or (os.path.realpath(other) + "/").startswith(os.path.realpath(path) + "/"):
        return
    try:
        if n in moved_by_copy: raise OSError(errno.EXDEV, "")
        os.rename(path, other)
    except OSError as e:
        if e.errno != errno.EXDEV: raise
        moved_by_copy.add(n)
        shutil.copytree(path, other, symlinks=True, ignore=no_fifo); shutil.rmtree(path)

def top(when, text):
    """Something of the directory itself that is shown."""
    kind = when // 1_000_000_007 % 4
    if kind == 0: os.chmod(root, 0o700 | (len(text) * 7 & 0o77))
    elif kind == 1: os.setxattr(root, "user." + text[:1], text.encode())
    elif kind == 2 and "user.first" in os.listxattr(root): os.removexattr(root, "user.first")
    else: stamp(root, when)

def act(n, op, when, path, other, text):
    # Of what a link points to the time would be the clock's; who opens a fifo waits.
    if op in ("write", "append", "hole") and os.path.lexists(path) and (
            os.path.islink(path) or not os.path.isfile(path)):
        return
    if op == "write":
        with open(path, "w") as f: f.write(text)
    elif op == "append":
        with open(path, "a") as f: f.write(text)
    elif op == "hole":
        with open(path, "w") as f: f.truncate(1 << 20); f.seek(1 << 19); f.write(text)
    elif op == "mkdir":
        os.mkdir(path)
    elif op == "remove":
        remove(path)
        return
    elif op == "again":
        remake(path)
        return
    elif op == "edit":
        edit(path, when, text)
        return
    elif op == "symlink":
        remove(path); os.symlink(text, path)
    elif op == "link":
        if os.path.isfile(path) and not os.path.islink(path): os.link(path, other)
        return
    elif op == "chmod":
        if os.path.islink(path): return
        os.chmod(path, 0o700 | (len(text) * 7 & 0o77))
        return
    elif op == "fifo":
        os.mkfifo(path)
    elif op == "rename":
        if os.path.isdir(path) and not os.path.islink(path):
            move_dir(n, path, other)
        else:
            os.rename(path, other)
        return
    elif op == "xattr":
        if (os.path.isfile(path) or os.path.isdir(path)) and not os.path.islink(path):
            os.setxattr(path, "user." + text[:1], text.encode())
        return
    elif op == "top":
        top(when, text)
        return
    elif op == "touch":
        pass
    stamp(path, when)

def no_fifo(dir, names):
    return [n for n in names if stat.S_ISFIFO(os.lstat(os.path.join(dir, n)).st_mode)]

def names(root):
    """All below, in an order that is the same in the layer and in the copy."""
    seen, todo = [], [""]
    while todo:
        above = todo.pop()
        for name in sorted(os.listdir(os.path.join(root, above))):
            path = os.path.join(above, name)
            seen.append(path)
            if stat.S_ISDIR(os.lstat(os.path.join(root, path)).st_mode): todo.append(path)
    return seen

def choose(root, path, there):
    """A name; [N, ""]: the Nth of those that are there; [N, NAME]: NAME in it, or beside it."""
    if isinstance(path, str): return os.path.join(root, path)
    found = os.path.join(root, there[path[0] % len(there)])
    if not path[1]: return found
    if not stat.S_ISDIR(os.lstat(found).st_mode): found = os.path.dirname(found)
    return os.path.join(found, path[1])

root = sys.argv[1]
moved_by_copy = set()
found = []
os.umask(0o022)
todo = json.load(sys.stdin)
moved_by_copy.update(todo["moved"])
for n, (op, when, path, other, text) in enumerate(todo["ops"]):
    try:
        there = (names(root) if [path, other] != [str(path), str(other)] else []) or ["."]
        act(n, op, when, choose(root, path, there), choose(root, other, there), text)
    except (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError,
            shutil.Error):
        pass
    except OSError as e:
        if e.errno not in (errno.EINVAL, errno.ELOOP, errno.ENAMETOOLONG, errno.EOPNOTSUPP,
                           errno.ENOTEMPTY): raise
print(json.dumps({"tree": look(root), "moved": sorted(moved_by_copy), "found": found}))
'''

OPS = ["write", "append", "write", "mkdir", "remove", "again", "symlink", "link", "chmod", "rename",
       "rename", "xattr", "hole", "fifo", "mkdir", "touch", "edit", "edit",
       "top"]
TWO = ["link", "rename"]
MAKES = ["write", "mkdir", "symlink", "hole", "fifo"]  # what may have a new name
NAMES = ["a", "b", "c", "d", "e", ".wh", "x y", "ü\n", ".hidden", "long" * 20]


def random_path(rng):
    return "/".join(rng.choice(NAMES) for _ in range(rng.randint(1, 4)))


def make_tree(rng, root):
    os.mkdir(root)
    try:
        os.setxattr(root, "user.first", b"1")
    except OSError:
        pass  # a tmpfs before Linux 6.6
    for _ in range(60):
        path = os.path.join(root, random_path(rng))
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            kind = rng.randint(0, 5)
            if kind == 0:
                os.symlink(rng.choice(NAMES), path)
            elif kind == 1:
                os.mkdir(path)
            elif not os.path.lexists(path):
                with open(path, "w", encoding="utf-8") as f:
                    f.write(path * rng.randint(0, 300))
                os.chmod(path, rng.choice([0o644, 0o600, 0o755]))
        except OSError:
            pass


def make_ops(rng, root, count):
    """On names that are there by then, mostly."""
    had = sorted(os.path.relpath(os.path.join(above, name), root)
                 for above, dirs, files in os.walk(root) for name in dirs + files)

    def path(new):
        """Of those that are there then, with one in four another: what has no place changes nothing."""
        kind = rng.randint(0, 7)
        if kind < 2:
            return rng.choice(had) if kind else random_path(rng)
        return [rng.randrange(1000), rng.choice(NAMES) if kind < 3 + 3 * new else ""]

    ops = []
    for i in range(count):
        op = rng.choice(OPS)
        ops.append([op, 1_600_000_000_000_000_000 + i * 1_000_000_007, path(op in MAKES),
                    path(True) if op in TWO else "",
                    rng.choice(NAMES) * rng.randint(1, 30)])
    return ops


def look(root):
    run = subprocess.run([sys.executable, "-c", AGENT, root], input=NOTHING, text=True, check=True,
                         capture_output=True, timeout=WAIT_SECONDS)
    return json.loads(run.stdout)["tree"]


def links(root):
    """The sets of names that are one file."""
    files = {}
    for above, _, names in os.walk(root):
        for name in names:
            path = os.path.join(above, name)
            st = os.lstat(path)
            if stat.S_ISREG(st.st_mode) and st.st_nlink > 1:
                files.setdefault(st.st_ino, []).append(os.path.relpath(path, root))
    return sorted(sorted(names) for names in files.values())


def change_times(root):
    """Whatever touches a file or directory changes its own, and nobody can set it."""
    return {os.fsencode(os.path.relpath(os.path.join(above, name), root)).hex():
            os.lstat(os.path.join(above, name)).st_ctime_ns
            for above, dirs, files in os.walk(root) for name in [".", *dirs, *files]}


def without_times(seen, *types):
    return {k: [v[0], v[1], v[2] if v[0] not in types else 0, *v[3:]] for k, v in seen.items()}


def differences(a, b):
    return [f"{bytes.fromhex(k)!r}: {a.get(k)} {b.get(k)}" for k in sorted(set(a) | set(b))
            if a.get(k) != b.get(k)][:5]


class Round:
    def __init__(self, sbx, driver, seed, count, kills, work):
        self.sbx, self.driver, self.kills, self.work = sbx, driver, kills, work
        self.rng = random.Random(seed)
        self.tree, self.copy = os.path.join(work, "tree"), os.path.join(work, "copy")
        self.env = {"PATH": "/usr/bin:/bin", "HOME": work, "LC_ALL": "C.UTF-8"}
        make_tree(self.rng, self.tree)
        subprocess.run(["cp", "-a", self.tree, self.copy], check=True)
        self.ops = make_ops(self.rng, self.tree, count)
        self.problems = []

    def run(self, *words, **more):
        return subprocess.run([self.sbx, *words], env=self.env, capture_output=True, text=True,
                              timeout=WAIT_SECONDS, check=False, **more)

    def must(self, what, a, b):
        if a != b:
            found = differences(a, b) if isinstance(a, dict) else [f"{a} {b}"]
            self.problems.append(f"{what}: {found}")

    def must_work(self, run):
        if run.returncode != 0:
            self.problems.append(f"{run.args[1:3]} has failed: {run.stderr[-600:]}")

    def kill_apply(self, before, after):
        """One apply that does not come to its end, perhaps."""
        with subprocess.Popen([self.sbx, "apply", "s"], env=self.env, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            time.sleep(self.rng.random() * 0.05)
            process.send_signal(signal.SIGKILL)
        now = look(self.tree)
        for name, entry in now.items():
            if b".sbx-apply-" in bytes.fromhex(name) or entry[0] != stat.S_IFREG:
                continue
            if entry[3] not in (before.get(name, [0] * 5)[3], after.get(name, [0] * 5)[3]):
                self.problems.append(f"half of {bytes.fromhex(name)!r}")

    def work_inside(self, session):
        inside = self.run("--ro-bind", "/usr", "/usr", "--cow", self.tree, "--session", session,
                          "--overlay-driver", self.driver, "--", "/usr/bin/python3", "-c", AGENT,
                          self.tree, input=json.dumps({"ops": self.ops, "moved": []}))
        self.must_work(inside)
        return inside

    def forget(self):
        """A session that is discarded."""
        before = look(self.tree), links(self.tree), change_times(self.tree)
        self.work_inside("forgotten")
        self.must_work(self.run("discard", "forgotten"))
        now = look(self.tree), links(self.tree), change_times(self.tree)
        for what, was, has in zip(("tree", "links", "change times"), before, now):
            self.must(f"the {what} after discard", has, was)

    def check(self):
        before = look(self.tree)
        inside = self.work_inside("s")
        if self.problems:
            return
        told = json.loads(inside.stdout)
        seen = told["tree"]
        self.must("removed names are found again", told["found"], [])
        model = subprocess.run([sys.executable, "-c", AGENT, self.copy],
                               input=json.dumps({"ops": self.ops, "moved": told["moved"]}), text=True,
                               check=True, capture_output=True, timeout=WAIT_SECONDS)
        self.must("the tree was touched", look(self.tree), before)
        self.must("the layers are not as the copy", without_times(seen, stat.S_IFDIR),
                  without_times(json.loads(model.stdout)["tree"], stat.S_IFDIR))
        self.must_work(self.run("diff", "s"))
        for _ in range(self.kills):
            self.kill_apply(before, seen)
        self.must_work(self.run("apply", "s"))
        self.must("after apply", look(self.tree), seen)
        self.must("links", links(self.tree), links(self.copy))
        self.must("diff after apply", self.run("diff", "--name-only", "s").stdout, "")
        self.must_work(self.run("discard", "s"))
        left = os.path.join(self.work, ".local/state/sbx/sessions")
        self.must("left over", os.listdir(left), [])


def main():
    sbx, rounds, count, kills = sys.argv[1], *map(int, sys.argv[2:5])
    seed = int(sys.argv[5]) if len(sys.argv) > 5 else random.SystemRandom().randrange(1 << 32)
    drivers = os.environ.get("SBX_TEST_DRIVERS", "kernel fuse").split()
    failed = False
    print(f"1..{rounds * len(drivers)}")
    for n in range(rounds):
        for driver in drivers:
            with tempfile.TemporaryDirectory(dir=fastest()) as work:
                one = Round(os.path.abspath(sbx), driver, seed + n, count, kills, work)
                if n % 2 == 0:
                    one.forget()
                one.check()
            name = f"{driver}, {count} operations, seed {seed + n}"
            print(f"{'not ok' if one.problems else 'ok'} - {name}")
            for problem in one.problems:
                print(f"# {problem}")
                failed = True
            sys.stdout.flush()
    return failed


sys.exit(main())
