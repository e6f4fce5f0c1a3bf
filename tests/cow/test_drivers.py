#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_drivers.py SBX MANUAL: what differs by driver is what sbx-cow(7) says.

The table of the page has a row for each function of DEEDS below, and neither has one more. Each is
done by a process of its own in a small tree of its own, in a session of each driver: the kernel,
fuse, and fuse-overlayfs alone; what it comes to is a cell of the table, word for word. Prints TAP.
"""
import os
import re
import stat
import subprocess
import sys
import tempfile

from place import fastest

WAIT_SECONDS = 120
MARKED = "A name of the host that begins with .wh. is shown"  # has a file of its own
LARGE = "All of a large directory is removed while it is read"
DRIVERS = ["kernel", "fuse", "alone"]

# Runs inside, in the trees. Each deed returns the word for its cell, or fails with the errno that is.
DEEDS = r'''
import ctypes, errno, fcntl, mmap, os, socket, stat, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
deeds = {}

def deed(name):
    def note(function):
        deeds[name] = function
    return note

def read(name):
    with open(name) as f: return f.read()

def write(name, text):
    with open(name, "a") as f: f.write(text)

@deed("A file with two names (hard links) is written to by one: what changes")
def _():
    write("two", "new")
    return "both" if read("names") == "new" else "that one"

@deed("A directory of the host is renamed")
def _():
    os.rename("dir", "other")
    return "yes"

@deed("A new directory is renamed")
def _():
    os.mkdir("new"); os.rename("new", "newer")
    return "yes"

@deed("A removed name, in a directory made anew and looked at from there")
def _():
    os.unlink("dir/sub/file"); os.rmdir("dir/sub"); os.mkdir("dir/sub"); os.chdir("dir/sub")
    os.mkdir("../x"); os.rmdir("../x"); os.stat("../../dir")
    return "is back" if os.path.exists("file") else "is gone"

@deed("A name that is removed after something was renamed to it")
def _():
    write("new", "new"); os.rename("new", "file"); os.unlink("file")
    return "is back" if os.path.exists("file") else "is gone"

@deed("A file is mapped (mmap(2)) for reading, then first written to: the mapping shows")
def _():
    with open("page", "rb") as f:
        page = mmap.mmap(f.fileno(), 3, prot=mmap.PROT_READ)
    with open("page", "r+") as f: f.write("new")
    return "the new" if page[:3] == b"new" else "the old"

@deed("A file is open for reading, then first written to: the descriptor reads")
def _():
    with open("page") as old, open("page", "r+") as f:
        f.write("new"); f.flush()
        return "the new" if old.read(3) == "new" else "the old"

@deed("A lock (flock(2), fcntl(2)) holds over the first write")
def _():
    held, other = os.open("file", os.O_RDONLY), os.open("file", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    write("file", "new")
    try:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return "no"
    except OSError:
        return "yes"

@deed("Reading a file of the host sets its time of access")
def _():
    before = os.stat("page").st_atime_ns
    read("page")
    return "yes" if os.stat("page").st_atime_ns != before else "no"

@deed("The number of links of a directory of the host with two directories, and a new one")
def _():
    os.mkdir("dirs/c")
    return str(os.stat("dirs").st_nlink)

@deed("The attributes of a file of the host, when it is first written to")
def _():
    write("kept", "new")
    return "kept" if os.getxattr("kept", "user.k") == b"v" else "lost"

@deed("The time of a directory of the host, when a file in it is first written to")
def _():
    before = os.stat("dir/sub").st_mtime_ns
    write("dir/sub/file", "new")
    return "kept" if os.stat("dir/sub").st_mtime_ns == before else "now"

@deed("A new directory in one with a default ACL gets the permissions that this gives")
def _():
    entries = [(1, 7), (4, 7), (16, 7), (32, 0)] # ACL_USER_OBJ, GROUP_OBJ, MASK, OTHER
    os.setxattr("many", "system.posix_acl_default", struct.pack("<I", 2) +
                b"".join(struct.pack("<HHI", *entry, 2**32 - 1) for entry in entries))
    os.umask(0o022); os.mkdir("many/new")
    return "yes" if os.stat("many/new").st_mode & 0o777 == 0o770 else "no"

@deed("The set-user-ID bit of a file of the host, when it gets a second name")
def _():
    os.link("setid", "second")
    return "kept" if os.stat("setid").st_mode & stat.S_ISUID else "lost"

@deed("The set-group-ID bit of a directory of the host, when something in it changes")
def _():
    write("shared/file", "new")
    return "kept" if os.stat("shared").st_mode & stat.S_ISGID else "lost"

@deed("A new directory in one with that bit has it")
def _():
    os.mkdir("shared/new")
    return "yes" if os.stat("shared/new").st_mode & stat.S_ISGID else "no"

@deed("The time of a symbolic link of the host, when it gets a second name")
def _():
    os.link("link", "second", follow_symlinks=False)
    return "kept" if os.lstat("second").st_mtime == 1000000000 else "lost"

@deed("Holes in a file of the host are seen (SEEK_DATA)")
def _():
    return "yes" if os.lseek(os.open("hole", os.O_RDONLY), 0, os.SEEK_DATA) else "no"

@deed("A file without a name (O_TMPFILE) is made, and given one")
def _():
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
    if libc.linkat(-100, b"/proc/self/fd/%d" % fd, -100, b"named", 0x400) < 0:
        raise OSError(ctypes.get_errno(), "")
    return "yes"

@deed("A file of the host is copied by copy_file_range(2)")
def _():
    os.copy_file_range(os.open("page", os.O_RDONLY), os.open("n", os.O_RDWR | os.O_CREAT), 3)
    return "yes"

@deed("Two files change places (RENAME_EXCHANGE)")
def _():
    if libc.renameat2(-100, b"file", -100, b"page", 2) < 0:
        raise OSError(ctypes.get_errno(), "")
    return "yes" if read("page") == "f" else "no"

@deed("A fifo and a socket are made")
def _():
    os.mkfifo("fifo"); socket.socket(socket.AF_UNIX).bind("socket")
    return "yes"

@deed("A file is made under a name that begins with .wh.")
def _():
    write(".wh.x", "new")
    return "yes"

@deed("A directory is made under such a name")
def _():
    os.mkdir(".wh.dir")
    return "yes" if os.path.exists(".wh.dir") and os.path.exists("dir") else "is not found"

@deed("A file is renamed to such a name")
def _():
    write("new", "new"); os.rename("new", ".wh.file")
    return "yes" if os.path.exists(".wh.file") and os.path.exists("file") else "is not found"

@deed("A name of the host that begins with .wh. is shown")
def _():
    return "yes" if ".wh.file" in os.listdir(".") and read("file") else "no"

@deed("A device 0/0 of the host is shown")
def _():
    if os.path.lexists("zero"):
        return "yes"
    before = "zero" in os.listdir(".")
    write("new", "new")
    after = "zero" in os.listdir(".")
    return "its name" if after else "its name, below, until something beside it changes" if before else "no"

@deed("An attribute user.overlay.NAME of the host is shown")
def _():
    return "yes" if "user.overlay.h" in os.listxattr("marked") else "no"

@deed("An attribute user.fuseoverlayfs.NAME of the host is shown")
def _():
    return "yes" if "user.fuseoverlayfs.h" in os.listxattr("marked") else "no"

@deed("A name of more than 251 bytes")
def _():
    write("n" * 252, "new")
    return "yes"

@deed("All of a large directory is removed while it is read")
def _():
    for entry in os.scandir("many"): os.unlink(entry.path)
    return "yes" if not os.listdir("many") else "no"

@deed("A removed file that is open is read")
def _():
    with open("page") as f:
        os.unlink("page")
        return "yes" if f.read(3) == "old" else "no"

def do(name, tree):
    os.chdir(tree)
    try:
        print(deeds[name]())
    except OSError as e:
        print(errno.errorcode[e.errno])
    sys.stdout.flush()
    os._exit(0)

for at, name in enumerate(sys.argv[2:]):
    pid = os.fork()
    if pid == 0:
        do(name, os.path.join(sys.argv[1], str(at)))
    if os.waitpid(pid, 0)[1] != 0:
        print("has died", flush=True)
'''


def make_tree(root, deed):
    os.makedirs(os.path.join(root, "dir/sub"))
    for name in ("dirs/a", "dirs/b", "many", "shared"):
        os.makedirs(os.path.join(root, name))
    for name, text in {"two": "", "file": "f", "page": "old", "kept": "k", "setid": "s",
                       "dir/sub/file": "f", "shared/file": "f"}.items():
        with open(os.path.join(root, name), "w", encoding="utf-8") as f:
            f.write(text)
    os.link(os.path.join(root, "two"), os.path.join(root, "names"))
    os.symlink("file", os.path.join(root, "link"))
    os.utime(os.path.join(root, "link"), (10**9, 10**9), follow_symlinks=False)
    os.utime(os.path.join(root, "page"), (10**9, 10**9 + 1))
    os.mknod(os.path.join(root, "zero"), 0o600 | stat.S_IFCHR, 0)
    with open(os.path.join(root, "marked"), "w", encoding="utf-8") as f:
        f.write("m")
    for name in ("user.overlay.h", "user.fuseoverlayfs.h"):
        os.setxattr(os.path.join(root, "marked"), name, b"h")
    os.setxattr(os.path.join(root, "kept"), "user.k", b"v")
    os.chmod(os.path.join(root, "setid"), 0o4755)
    os.chmod(os.path.join(root, "shared"), 0o2755)
    with open(os.path.join(root, "hole"), "wb") as f:
        f.truncate(1 << 21)
        f.seek(1 << 20)
        f.write(b"data")
    for i in range(600 if deed == LARGE else 1):
        os.close(os.open(os.path.join(root, "many", str(i)), os.O_CREAT | os.O_WRONLY))
    if deed == MARKED:
        with open(os.path.join(root, ".wh.file"), "w", encoding="utf-8") as f:
            f.write("marked")


def read_cell(text):
    """What holds for the kernel that runs, of "yes (ENOTSUP with Linux 6.1)"."""
    other = re.fullmatch(r"(.*) \((.*) with Linux ([0-9.]+)\)", text)
    if not other:
        return text
    return other[2 if os.uname().release.startswith(other[3] + ".") else 1]


def read_table(manual):
    """The rows of the table: {deed: {driver: cell}}."""
    with open(manual, encoding="utf-8") as f:
        lines = f.read().split("# WHAT DIFFERS BY DRIVER")[1].split("\n# ")[0].splitlines()
    cells = [re.sub(r"\\(.)|[*_]", r"\1", line[2:].strip()) for line in lines
             if re.match(r"[|:]", line)]
    rows = [cells[i:i + 4] for i in range(0, len(cells), 4)]
    return {row[0]: dict(zip(DRIVERS, map(read_cell, row[1:]))) for row in rows[1:]}


def names_of_deeds():
    space = {"__name__": "deeds"}
    old, sys.argv = sys.argv, sys.argv[:1]
    exec(compile(DEEDS, "deeds", "exec"), space)  # pylint: disable=exec-used
    sys.argv = old
    return list(space["deeds"])


class Site:
    def __init__(self, sbx, driver, work, deeds):
        self.sbx, self.driver, self.tree = sbx, driver, os.path.join(work, "tree")
        self.env = {"PATH": "/usr/bin:/bin", "HOME": work, "LC_ALL": "C.UTF-8"}
        self.session = os.path.join(work, ".local/state/sbx/sessions/s/0")
        for at, deed in enumerate(deeds):
            make_tree(os.path.join(self.tree, str(at)), deed)
        if driver == "alone":
            self.leave_to_fuse()

    def run(self, driver, *command):
        run = subprocess.run([self.sbx, "--ro-bind", "/usr", "/usr", "--cow", self.tree, "--session",
                              "s", "--overlay-driver", driver, "--", *command], env=self.env,
                             capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)
        return run.stdout.strip() or run.stderr

    def leave_to_fuse(self):
        """A session that has something in it, and is told to be fuse-overlayfs's own."""
        self.run("kernel", "/usr/bin/touch", os.path.join(self.tree, "begun"))
        work = os.path.join(self.session, "work")
        os.rename(os.path.join(work, "work"), os.path.join(work, "fuse-overlayfs"))
        os.chmod(os.path.join(work, "fuse-overlayfs"), 0o700)

    def do(self, deeds):
        """A line for each."""
        found = self.run("kernel" if self.driver == "kernel" else "fuse", "/usr/bin/python3", "-c",
                         DEEDS, self.tree, *deeds)
        return ["refused"] if "/.wh.file: fuse-overlayfs takes a name" in found else found.split("\n")


def do_all(sbx, driver, deeds):
    """Return: {deed: cell}, as far as they went."""
    found = {}
    # A tree with such a name may be refused as a whole, so it is one of its own.
    for some in ([deed for deed in deeds if deed != MARKED], [MARKED]):
        with tempfile.TemporaryDirectory(dir=fastest()) as work:
            found.update(zip(some, Site(sbx, driver, work, some).do(some)))
    return found


def main():
    sbx, table, deeds = os.path.abspath(sys.argv[1]), read_table(sys.argv[2]), names_of_deeds()
    failed = sorted(table) != sorted(deeds)
    print(f"1..{len(deeds) * len(DRIVERS) + 1}")
    print(f"{'not ok' if failed else 'ok'} - the page has a row for each deed, and no other")
    for name in sorted(set(table) ^ set(deeds)):
        print(f"# {name}")
    for driver in DRIVERS:
        found = do_all(sbx, driver, deeds)
        for deed in deeds:
            said, is_so = table.get(deed, {}).get(driver), found.get(deed)
            good = said is not None and is_so == said
            failed |= not good
            print(f"{'ok' if good else 'not ok'} - {driver}: {deed}")
            if not good:
                print(f"# the page says {said!r}, found {is_so!r}")
        sys.stdout.flush()
    return failed


sys.exit(main())
