#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_hostile.py SBX SEEDS RACES [SEED]: sessions whose layers somebody made up.

For each seed a directory and a layer over it are made at random, of all that a command could
leave there and more: marks of both drivers at right and wrong places, links that lead out,
set-id bits, names that command terminals, closed directories, giants, deep trees, whiteouts.
Whatever sbx says to it:

  - nothing outside of the directory is touched, not even a time, and by diff or --dry-run nothing
    inside either;
  - no set-id bit is given, no mark of a layer is copied, nothing half-made is left by what succeeds;
  - what is printed commands no terminal, JSON is JSON, and each form tells of as many changes;
  - discard removes it.

RACES times more, `sbx apply` runs while directories of the host are exchanged with links that lead
out and back. Prints TAP.
"""
import ctypes
import errno
import json
import os
import random
import re
import stat
import subprocess
import sys
import tempfile
import threading

from place import fastest

WAIT_SECONDS = 120
BEGAN = 1_700_000_000
TEMPORARY = f".sbx-apply-{BEGAN:x}-0"
NAMES = [b"a", b"b", b"c", b"d", b"e", b"x y", b"long" * 60, "ü".encode(), b".wh.a", b".wh.b", b".wh.",
         b".wh..", b".wh...", b".wh..wh..opq", b".wh..wh.a", b"\x1b]0;title\x07", b"new\nline", b"\xff\xfe",
         b"\xc2\x9b31m", b"tab\there", b'quote"\\', b".sbx-deep-0", b".sbx-deep-1", TEMPORARY.encode(),
         b"-rf", b"*"]
PLAIN = NAMES[:8]
MARKS = [("user.overlay.opaque", b"y"), ("user.overlay.opaque", b"x"), ("user.overlay.opaque", b"n"),
         ("user.fuseoverlayfs.opaque", b"y"), ("user.overlay.origin", b"o"),
         ("user.overlay.redirect", b"/../../outside"), ("user.overlay.metacopy", b""),
         ("user.overlay.whiteout", b""), ("user.overlay.whiteout", b"y"), ("user.test", b"t" * 999),
         ("user.overlay.overlay.opaque", b"y"), ("user.fuseoverlayfs.override_stat", b"0:0:4755")]
# Whichever of them is met is refused, and so is all of the layer: seldom, or nothing else is seen.
REFUSED = ("user.overlay.redirect", "user.overlay.metacopy")
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")


def look(seen, dir_fd, path, name):
    """One entry and all below, which may lie deeper than a path can say."""
    st = os.lstat(name, dir_fd=dir_fd)
    here = b"/proc/self/fd/%d/%s" % (dir_fd, name)
    link = stat.S_ISLNK(st.st_mode)
    try:
        marks = tuple(n for n in os.listxattr(here, follow_symlinks=False) if n.startswith("user."))
    except OSError:
        marks = ()
    seen[path] = (st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino,
                  os.readlink(name, dir_fd=dir_fd) if link else b"", marks)
    if not stat.S_ISDIR(st.st_mode):
        return
    try:
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NOATIME, dir_fd=dir_fd)
    except PermissionError:
        return
    for below in os.listdir(fd):
        look(seen, fd, path + b"/" + os.fsencode(below), os.fsencode(below))
    os.close(fd)


def snapshot(root):
    """All that can be seen of a tree without changing it."""
    seen = {}
    fd = os.open(os.path.dirname(root), os.O_PATH)
    look(seen, fd, os.fsencode(root), os.fsencode(os.path.basename(root)))
    os.close(fd)
    return seen


class Maker:
    """Random entries below a directory. What cannot be made is not made."""

    def __init__(self, rng, work):
        self.rng, self.work = rng, os.fsencode(work)
        self.targets = [b"a", b".", b"..", b"/", b"../../outside/f", b"/proc/self/fd/3", b"t" * 4000,
                        self.work + b"/outside", self.work + b"/outside/f", b"\x1b[31m\n", b"d/e"]
        self.files = []

    def path(self, root, names):
        rng = self.rng
        return os.path.join(root, *(rng.choice(names) for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))))

    def make(self, root, path, kinds):
        try:
            self.make_above(root, os.path.dirname(path))
            getattr(self, self.rng.choice(kinds))(path)
        except OSError as e:
            if e.errno not in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOENT,
                               errno.EACCES, errno.EPERM, errno.EFBIG, errno.EXDEV, errno.ENOTSUP,
                               errno.ELOOP):
                raise

    def make_above(self, root, path):
        """No link is followed here either."""
        if path != root and not os.path.lexists(path):
            self.make_above(root, os.path.dirname(path))
            os.mkdir(path)
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "above", path)

    def file(self, path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb") as f:
            f.write(self.rng.choice([b"", b"text\n", b"text\nmore\n", b"\0binary", b"\x1b[31m\xc2\x9b\n" * 9,
                                     b"no newline", b"line\n" * 20000]))
        os.chmod(path, self.rng.choice([0o644, 0o755, 0o600, 0, 0o4755, 0o2755, 0o6711, 0o1777]))
        self.files.append(path)

    def giant(self, path):
        self.file(path)
        os.chmod(path, 0o600)
        os.truncate(path, self.rng.choice([1 << 40, (1 << 40) + 1, 1 << 33]))

    def dir(self, path):
        os.mkdir(path)
        self.mark(path)
        os.chmod(path, self.rng.choice([0o755] * 6 + [0, 0o500, 0o2775, 0o4755, 0o1777]))

    def plain_dir(self, path):
        os.mkdir(path)

    def symlink(self, path):
        os.symlink(self.rng.choice(self.targets), path)

    def hard_link(self, path):
        if self.files:
            os.link(self.rng.choice(self.files), path, follow_symlinks=False)

    def fifo(self, path):
        os.mkfifo(path)

    def socket(self, path):
        os.mknod(path, stat.S_IFSOCK | 0o600)

    def whiteout(self, path):
        os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))

    def mark(self, path):
        name, value = self.rng.choice(MARKS)
        if name in REFUSED and self.rng.random() < 0.9:
            return
        mode = stat.S_IMODE(os.lstat(path).st_mode)
        os.chmod(path, mode | 0o600)
        try:
            os.setxattr(path, name, value, follow_symlinks=False)
        finally:
            os.chmod(path, mode)

    def marked_file(self, path):
        self.file(path)
        self.mark(path)

    def deep(self, path):
        """Longer than any path may be, several times; now and then deeper than diff goes."""
        name = self.rng.choice([b"d", b"n" * 200])
        here = os.getcwd()
        os.mkdir(path)
        os.chdir(path)
        try:
            for _ in range(self.rng.choice([60, 90, 420 if self.rng.random() < 0.2 else 100])):
                os.mkdir(name)
                os.chdir(name)
        finally:
            os.chdir(here)


HOST_KINDS = ["file"] * 8 + ["plain_dir"] * 6 + ["symlink", "symlink", "hard_link", "fifo", "giant"]
LAYER_KINDS = (["file"] * 8 + ["dir"] * 6 + ["symlink"] * 4 + ["whiteout"] * 4 + ["marked_file"] * 3 +
               ["hard_link"] * 3 + ["plain_dir"] * 3 + ["fifo", "socket", "giant"])


class Case:
    def __init__(self, sbx, seed, work):
        self.sbx, self.work = sbx, work
        self.rng = random.Random(seed)
        self.env = {"PATH": "/usr/bin:/bin", "HOME": os.path.join(work, "home"), "LC_ALL": "C.UTF-8",
                    **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}
        self.tree = os.path.join(work, "site", "tree")
        self.session = os.path.join(work, "home/.local/state/sbx/sessions/s")
        self.problems = []
        os.makedirs(os.path.join(work, "outside", "d"))
        os.makedirs(self.tree)
        for name in ("outside/f", "outside/d/f", "site/beside"):
            with open(os.path.join(work, name), "w", encoding="ascii") as f:
                f.write("theirs\n")

    def make_session(self):
        os.makedirs(self.session + "/0/upper")
        os.makedirs(self.session + "/0/work")
        for above in (".local", ".local/state", ".local/state/sbx", ".local/state/sbx/sessions",
                      ".local/state/sbx/sessions/s"):
            os.chmod(os.path.join(self.work, "home", above), 0o700)
        st = os.stat(self.tree)
        fields = ["sbx-session=1", f"began={BEGAN}.0", "command=hostile", f"root={self.tree}",
                  f"inode={st.st_dev}:{st.st_ino}"]
        with open(self.session + "/meta", "w", encoding="utf-8") as f:
            f.write("".join(field + "\0" for field in fields))
        if self.rng.random() < 0.5:
            os.mkdir(self.session + "/0/work/fuse-overlayfs")

    def make(self):
        maker = Maker(self.rng, self.work)
        root = os.fsencode(self.tree)
        for _ in range(self.rng.randint(0, 25)):
            maker.make(root, maker.path(root, PLAIN), HOST_KINDS)
        self.make_session()
        upper = os.fsencode(self.session + "/0/upper")
        maker.files = []
        for _ in range(self.rng.randint(1, 40)):
            maker.make(upper, maker.path(upper, PLAIN if self.rng.random() < 0.7 else NAMES), LAYER_KINDS)
        if self.rng.random() < 0.15:
            maker.make(upper, maker.path(upper, PLAIN), ["deep"])

    def must(self, holds, what):
        if not holds:
            self.problems.append(what)

    def run(self, *words):
        run = subprocess.run([self.sbx, *words], env=self.env, capture_output=True, timeout=WAIT_SECONDS,
                             check=False, stdin=subprocess.DEVNULL)
        self.must(run.returncode in (0, 1), f"{words}: status {run.returncode}: {run.stderr[-3000:]!r}")
        self.must(not CONTROL.search(run.stderr) and b"\t" not in run.stderr, f"{words}: {run.stderr!r}")
        return run

    def outside(self):
        seen = snapshot(os.path.join(self.work, "outside"))
        seen.update({k: v for k, v in snapshot(os.path.join(self.work, "site")).items()
                     if not (k + b"/").startswith(os.fsencode(self.tree) + b"/")})
        return seen

    def check_forms(self):
        names, listed = self.run("diff", "--name-only", "s"), self.run("diff", "s")
        sizes, doc, patch = (self.run("diff", form, "s") for form in ("--stat", "--json", "--patch"))
        for run in (names, listed, sizes, doc):
            self.must(not CONTROL.search(run.stdout) and b"\t" not in run.stdout, f"{run.args[1:]}: {run.stdout!r}")
        for line in patch.stdout.split(b"\n"):
            self.must(line[:1] in (b"+", b"-", b" ") or not CONTROL.search(line), f"patch: {line!r}")
        count = names.stdout.count(b"\n")
        self.must(listed.stdout.count(b"\n") == count, "the list has other lines than --name-only")
        if names.returncode:
            return
        self.must(sizes.stdout.count(b"\n") == count + 1, "--stat has other lines than --name-only")
        self.must(len(json.loads(doc.stdout)["changes"]) == count, "--json has other entries than --name-only")

    def set_id(self):
        return {(k, v[6]) for k, v in snapshot(self.tree).items()
                if v[0] & (stat.S_ISUID | stat.S_ISGID) and not stat.S_ISLNK(v[0])}

    def marks(self):
        return {(k, n) for k, v in snapshot(self.tree).items() for n in v[8]
                if n.startswith(("user.overlay.", "user.fuseoverlayfs."))}

    def check_apply(self):
        words = []
        if self.rng.random() < 0.8:
            words.append("--force")
        if self.rng.random() < 0.3:
            words += [self.rng.choice(["--include", "--exclude"]), self.rng.choice(["a", "*d*", "b/*", "*"])]
        before = snapshot(self.tree)
        self.run("apply", "--dry-run", *words, "s")
        self.must(snapshot(self.tree) == before, "the dry run has changed something")
        bits = self.set_id()
        first = self.run("apply", *words, "s")
        self.must(self.set_id() <= bits, f"set-id bits: {self.set_id() - bits}")
        self.must(not self.marks(), f"marks: {self.marks()}")
        after = snapshot(self.tree)
        self.must(not any(stat.S_ISCHR(v[0]) or stat.S_ISBLK(v[0]) for v in after.values()), "a device")
        if first.returncode == 0:
            self.must(not any(os.fsencode(TEMPORARY) in k for k in after), "something is left half-made")
            again = self.run("apply", *words, "s")
            self.must(again.returncode == 0, f"the second apply: {again.stderr!r}")

    def check(self):
        self.make()
        outside, inside = self.outside(), snapshot(self.tree)
        self.check_forms()
        self.must(snapshot(self.tree) == inside, "diff has changed something")
        self.check_apply()
        self.must(self.run("discard", "s").returncode == 0, "discard has failed")
        self.must(not os.path.lexists(self.session), "something is left of the session")
        self.must(self.outside() == outside, "something outside was touched")
        return self.problems

    # A race.

    def exchange(self, pairs, stop):
        libc = ctypes.CDLL(None, use_errno=True)
        while not stop.is_set():
            for above, name, other in pairs:
                libc.renameat2(above, name, -100, other, 2)

    def check_race(self):
        """d, d/e and n are links that lead out half of the time."""
        outside_dir = os.path.join(self.work, "outside")
        os.makedirs(self.tree + "/d/e")
        os.makedirs(outside_dir + "/e")
        os.makedirs(outside_dir + "/d/e")
        for name in ("d/f", "d/e/f", "gone/f"):
            os.makedirs(os.path.dirname(os.path.join(self.tree, name)), exist_ok=True)
            with open(os.path.join(self.tree, name), "w", encoding="ascii") as f:
                f.write("old\n")
        pairs = []
        for name, target in (("d", outside_dir + "/d"), ("d/e", outside_dir + "/e"), ("gone", outside_dir)):
            other = os.path.join(self.work, "site", "link-" + name.replace("/", "-"))
            os.symlink(target, other)
            # By a descriptor: what is exchanged here is never the outside.
            above = os.open(os.path.dirname(os.path.join(self.tree, name)), os.O_PATH)
            pairs.append((above, os.fsencode(os.path.basename(name)), os.fsencode(other)))
        self.make_session()
        upper = self.session + "/0/upper"
        os.makedirs(upper + "/d/e/new")
        os.mknod(upper + "/gone", stat.S_IFCHR, 0)
        for i in range(40):
            for name in (f"d/{i}", f"d/e/{i}", f"d/e/new/{i}"):
                with open(os.path.join(upper, name), "w", encoding="ascii") as f:
                    f.write("new\n")
        os.mkfifo(upper + "/d/fifo")
        os.mknod(upper + "/d/f", stat.S_IFCHR, 0)
        before = snapshot(outside_dir)
        stop = threading.Event()
        thread = threading.Thread(target=self.exchange, args=(pairs, stop))
        thread.start()
        try:
            for _ in range(5):
                self.run("apply", "--force", "s")
        finally:
            stop.set()
            thread.join()
        self.must(snapshot(outside_dir) == before, "something outside was touched")
        return self.problems


def remove(root):
    """Also what is closed, or deeper than a path."""
    for words in (["find", root, "-type", "d", "!", "-perm", "-700", "-exec", "chmod", "700", "{}", ";"],
                  ["rm", "-rf", root]):
        subprocess.run(words, check=False, stderr=subprocess.DEVNULL)


def main():
    sbx, seeds, races = os.path.abspath(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else random.SystemRandom().randrange(1 << 32)
    cases = [("layer", seed + n) for n in range(seeds)] + [("race", seed + n) for n in range(races)]
    failed = False
    sys.setrecursionlimit(4000)
    print(f"1..{len(cases)}")
    for kind, number in cases:
        work = tempfile.mkdtemp(prefix="sbx-hostile-", dir=fastest())
        os.chmod(work, 0o755)
        case = Case(sbx, number, work)
        problems = case.check() if kind == "layer" else case.check_race()
        print(f"{'not ok' if problems else 'ok'} - {kind}, seed {number}")
        for problem in problems[:5]:
            print(f"# {problem}")
            failed = True
        sys.stdout.flush()
        remove(work)
    return failed


sys.exit(main())
