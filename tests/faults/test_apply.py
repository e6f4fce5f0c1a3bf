# SPDX-License-Identifier: MIT
"""test_apply.py SBX INJECT: what others do to the directory while `sbx apply` is at work.

The tracer stops apply at one call and lets a script change the host then. What somebody has made
or moved there since the session began is never lost, and neither are directories that someone
who may rename in the same directory, but not enter them, puts where apply is about to work. And each
file is on disk before it has its name. Prints TAP.
"""
import errno
import os
import stat
import sys
import time

import faults

TEMPORARY = ".sbx-apply-"
DEADLINE_S = 60
# Of the host: `precious` is a directory of the caller's that nobody else can enter.
PRECIOUS = "mkdir precious && echo kept >precious/file && chmod 700 precious"


class Site:
    """A directory, and a session over it that a command has made."""

    def __init__(self, sbx, inject, before, command):
        self.sbx, self.inject = sbx, inject
        self.scratch = faults.Scratch().__enter__()
        self.env = self.scratch.env()
        self.env["HOME"] = self.scratch.path
        self.env.pop("XDG_STATE_HOME", None)
        self.path = os.path.join(self.scratch.path, "tree")
        self.report = os.path.join(self.scratch.path, "report")
        os.mkdir(self.path)
        self.script("cd '%s' && %s" % (self.path, before))
        self.launch(command)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.scratch.__exit__(None, None, None)

    def script(self, text):
        done = faults.run(["/bin/sh", "-ec", text], env=self.env)
        assert done.code == 0, (text, done)

    def launch(self, command):
        self.verb("--map=single", "--ro-bind", "/usr", "/usr", "--cow", self.path, "--session", "s",
                  "--chdir", self.path, "--", "/usr/bin/sh", "-ec", command)

    def verb(self, *words):
        done = faults.run([self.sbx, *words], env=self.env, timeout=DEADLINE_S)
        assert done.code == 0, done
        return done

    def apply(self, *words):
        return faults.run([self.sbx, "apply", *words, "s"], env=self.env, timeout=DEADLINE_S)

    def apply_with(self, when, script, *words):
        """@when: before or after a call, and how the path begins."""
        act = "%s:cd '%s' && %s" % (when, self.path, script)
        done = faults.run([self.inject, "--report", self.report, "--timeout", str(DEADLINE_S), "--act", act,
                           self.sbx, "apply", *words, "s"], env=self.env, timeout=DEADLINE_S)
        code = [line for line in self.lines() if line.startswith("exit ")]
        acted = any(line.startswith("act ") for line in self.lines())
        return (int(code[0].split()[1]) if code else None), acted, done.err

    def apply_failing(self, call, number):
        """Each such call fails."""
        done = faults.run([self.inject, "--report", self.report, "--timeout", str(DEADLINE_S), "--fail",
                           "monitor:%s:0:%d" % (call, number), self.sbx, "apply", "s"], env=self.env,
                          timeout=DEADLINE_S)
        code = [line for line in self.lines() if line.startswith("exit ")]
        hit = any(line.startswith("hit ") for line in self.lines())
        return (int(code[0].split()[1]) if code else None), hit, done.err

    def lines(self):
        with open(self.report, encoding="utf-8", errors="replace") as f:
            return f.read().splitlines()

    def read(self, *names):
        try:
            with open(os.path.join(self.path, *names), encoding="utf-8") as f:
                return f.read()
        except OSError as e:
            return e.strerror

    def mode(self, name):
        return stat.S_IMODE(os.lstat(os.path.join(self.path, name)).st_mode)

    def names(self):
        return sorted(os.listdir(self.path))

    def left(self):
        return [name for _, dirs, files in os.walk(self.path) for name in dirs + files
                if name.startswith(TEMPORARY)]

    def meta(self):
        return os.path.join(self.scratch.path, ".local/state/sbx/sessions/s/meta")

    def set_began(self, seconds, nanoseconds):
        with open(self.meta(), encoding="utf-8") as f:
            fields = f.read().split("\0")
        with open(self.meta(), "w", encoding="utf-8") as f:
            f.write("\0".join("began=%d.%d" % (seconds, nanoseconds) if field.startswith("began=") else field
                              for field in fields))

    def temporary(self, index):
        """The name that apply uses, as anybody sees it who looks."""
        with open(self.meta(), encoding="utf-8") as f:
            fields = dict(field.split("=", 1) for field in f.read().split("\0") if "=" in field)
        seconds, nanoseconds = fields["began"].split(".")
        return "%s%x-%x-%d" % (TEMPORARY, int(seconds), int(nanoseconds), index)


# What the host does meanwhile, and what is there then. Each apply fails, and loses nothing.
# name, before, command, when, script, what is to be found
LATE = [
    ("a file put into a directory before it goes",
     "mkdir gone && echo old >gone/old", "rm -r gone", "before:renameat:gone", "echo mine >gone/mine",
     {"gone/mine": "mine\n", "gone/old": "old\n"}),
    ("a file put into a directory before a file takes its place",
     "mkdir gone && echo old >gone/old", "rm -r gone; echo file >gone", "before:renameat2:" + TEMPORARY,
     "echo mine >gone/mine", {"gone/mine": "mine\n", "gone/old": "old\n"}),
    ("a file put deep into a directory before it goes",
     "mkdir -p gone/a/b && echo old >gone/a/b/old", "rm -r gone", "before:renameat:gone",
     "echo mine >gone/a/b/mine", {"gone/a/b/mine": "mine\n", "gone/a/b/old": "old\n"}),
    ("another directory under the name of the one that goes",
     "mkdir gone && echo old >gone/old && " + PRECIOUS, "rm -r gone", "before:renameat:gone",
     "mv gone aside && mv precious gone", {"gone/file": "kept\n", "aside/old": "old\n"}),
    ("another directory under the name that a file takes",
     "mkdir gone && echo old >gone/old && " + PRECIOUS, "rm -r gone; echo file >gone",
     "before:renameat2:" + TEMPORARY, "mv gone aside && mv precious gone",
     {"gone/file": "kept\n", "aside/old": "old\n"}),
    ("a directory exchanged with the one that is being removed",
     "mkdir gone && echo old >gone/old && " + PRECIOUS, "rm -r gone", "after:renameat:gone",
     "mv " + TEMPORARY + "* aside && mv precious $(echo " + TEMPORARY + "*-0 | sed 's/[*]/x/')",
     None),
    ("a file changed before it is replaced",
     "echo old >file", "echo new >file", "before:fsync:/", "echo mine >file", {"file": "mine\n"}),
    ("a file changed before it is removed",
     "echo old >file && echo old >other", "rm file; echo new >other", "before:fsync:/", "echo mine >file",
     {"file": "mine\n"}),
    ("a file changed with its time put back",
     "echo old >file", "echo new >file", "before:fsync:/", "touch -r file was && echo mine >file && "
     "touch -r was file", {"file": "mine\n"}),
    ("a file changed while another name of it goes",
     "mkdir gone && echo old >gone/x && ln gone/x z", "rm -r gone; echo new >z", "before:unlinkat:x", "echo mine >>z",
     {"z": "old\nmine\n"}),
    ("a file changed when another name of it has gone",
     "mkdir gone && echo old >gone/x && ln gone/x z", "rm -r gone; echo new >z", "before:unlinkat:" + TEMPORARY,
     "echo mine >>z", {"z": "old\nmine\n"}),
    ("permissions changed before they are given",
     "mkdir -m 755 d && echo old >d/f", "chmod 751 d; echo new >d/f", "before:fsync:/",
     "chmod 700 d; echo mine >mine", {"mine": "mine\n", "d/f": "new\n"}),
    ("permissions changed while a directory in it is emptied",
     "mkdir -m 755 d && mkdir d/big && echo old >d/big/x", "rm -r d/big; chmod 711 d", "before:unlinkat:x",
     "chmod 700 d; echo mine >mine", {"mine": "mine\n"}),
    ("a directory changed while files are made for it",
     "mkdir -m 755 d && echo old >d/f", "echo new >d/g", "before:fsync:/",
     "echo mine >d/mine", {"d/mine": "mine\n", "d/g": "No such file or directory"}),
    ("a file made where a new one is to come",
     "mkdir d", "echo new >file", "before:renameat2:" + TEMPORARY, "echo mine >file", {"file": "mine\n"}),
    ("a file made where a new directory is to come",
     "mkdir d", "mkdir file", "before:renameat2:" + TEMPORARY, "echo mine >file", {"file": "mine\n"}),
    ("a link under the name of what is made",
     "mkdir d && echo kept >d/kept", "echo new >file", "before:openat:" + TEMPORARY, "ln -s d/kept $1",
     {"d/kept": "kept\n"}),
    ("a link to nothing under the name of what is made",
     "mkdir d", "echo new >file", "before:openat:" + TEMPORARY, "ln -s d/none $1",
     {"d/none": "No such file or directory"}),
    ("another name of a file under the name of what is made",
     "mkdir d && echo kept >d/kept", "echo new >file", "before:openat:" + TEMPORARY, "ln d/kept $1",
     {"d/kept": "kept\n"}),
    ("another file under the name that a directory takes",
     "echo old >thing", "rm thing; mkdir thing", "before:renameat2:" + TEMPORARY,
     "mv thing aside && echo mine >thing", {"thing": "mine\n", "aside": "old\n"}),
    ("another thing put under the name of what is placed",
     "mkdir d && " + PRECIOUS, "mkdir new; echo in >new/in", "before:renameat2:" + TEMPORARY,
     "mv $1 aside && mv precious $1", {"new/file": "kept\n"}),
    ("a private directory under the name of one that was made just now",
     PRECIOUS, "mkdir new; echo in >new/in", "after:mkdirat:" + TEMPORARY,
     "rmdir $1 && mv precious $1", None),
    ("an older directory under the name of one that was made just now",
     "mkdir -m 700 empty && while mkdir d && [ $(stat -c %.9Z .) = $(stat -c %.9Z empty) ]; do rmdir d; done",
     "mkdir new; echo in >new/in", "after:mkdirat:" + TEMPORARY,
     "rmdir $1 && mv empty $1", {}),
]


def find(site, text):
    """The names of all files below that have it."""
    found = []
    for where, _, files in os.walk(site.path):
        for name in files:
            path = os.path.join(where, name)
            if not os.path.islink(path) and site.read(os.path.relpath(path, site.path)) == text:
                found.append(os.path.relpath(path, site.path))
    return found


def check_late(tap, sbx, inject):
    for name, before, command, when, script, wanted in LATE:
        with Site(sbx, inject, before, command) as site:
            code, acted, err = site.apply_with(when, script)
            bad = [] if acted else ["nothing has happened meanwhile"]
            if code != 1:
                bad.append("it has ended with %s" % code)
            for _ in range(2):
                for path, text in (wanted or {}).items():
                    if site.read(path) != text:
                        bad.append("%s is %r" % (path, site.read(path)))
                if "chmod" in script and site.mode("d") != 0o700:
                    bad.append("the permissions are %o" % site.mode("d"))
                if "precious" in before:
                    kept = find(site, "kept\n")
                    modes = [site.mode(os.path.dirname(path)) for path in kept]
                    if len(kept) != 1 or modes != [0o700]:
                        bad.append("the private directory: %s, modes %s" % (kept, modes))
                # Whoever does as the hint says, and gives the same command once more, loses nothing.
                again = site.apply()
            tap.ok(not bad, name, bad + [err, site.names(), again])


def check_squatter(tap, sbx, inject):
    """Directories that nobody but the caller can enter, put where a killed apply leaves its own."""
    for index in (0, 1, 63):
        with Site(sbx, inject, "echo old >file; mkdir d; " + PRECIOUS, "echo new >file; rmdir d") as site:
            code, acted, _ = site.apply_with("before:fsync:/", "kill -9 $2")
            name = site.temporary(index)
            site.script("cd '%s' && rm -rf %s && mv precious %s" % (site.path, name, name))
            refused = site.apply()
            kept = site.read(name, "file")
            forced = site.apply("--force")
            still = site.read(name, "file")
            site.script("cd '%s' && mv %s precious" % (site.path, name))
            done = site.apply("--force")  # the directory was changed
            bad = not acted or code != 137 or refused.code != 1 or kept != "kept\n" or still != "kept\n"
            bad = bad or "is in the way" not in refused.err or done.code != 0 or site.read("file") != "new\n"
            bad = bad or site.left() or "d" in site.names() or site.read("precious", "file") != "kept\n"
            tap.ok(not bad, "a private directory is not taken for what a killed one left, %d" % index,
                   [code, acted, refused, kept, forced, still, done, site.names()])


def check_killed(tap, sbx, inject):
    """Killed while a directory goes: the next one removes the rest of it, but not what is new in it."""
    kill = "kill -9 $2"
    many = "mkdir -p gone/a && for i in 1 2 3 4 5 6 7 8 9; do echo $i >gone/$i; ln gone/$i gone/a/$i; done"
    for when in ("after:renameat:gone", "before:unlinkat:3", "after:unlinkat:9", "before:unlinkat:a",
                 "before:unlinkat:" + TEMPORARY):
        with Site(sbx, inject, many, "rm -r gone") as site:
            code, acted, _ = site.apply_with(when, kill)
            left = site.left()
            done = site.apply()
            tap.ok(acted and code == 137 and len(left) == 1 and done.code == 0 and not site.names(),
                   "killed %s" % when, [code, acted, left, done, site.names()])
    with Site(sbx, inject, many, "rm -r gone") as site:
        code, acted, _ = site.apply_with("after:renameat:gone", "for d in %s*; do echo mine >$d/mine; done; %s" % (TEMPORARY, kill))
        refused = site.apply()
        mine = find(site, "mine\n")
        forced = site.apply("--force")
        tap.ok(code == 137 and acted and refused.code == 1 and "was to be removed" in refused.err and
               "removed by --force" in refused.err and len(mine) == 1 and forced.code == 0 and not site.names(),
               "killed, and something is in it by then", [code, acted, refused, mine, forced, site.names()])
    for put in ("echo mine >$d/mine", "echo mine >$d/9", "mkdir $d/b && echo mine >$d/b/mine", "mkdir $d/mine",
                "echo mine >$d/a/9"):
        with Site(sbx, inject, many, "rm -r gone") as site:
            code, acted, _ = site.apply_with("after:unlinkat:3", "for d in %s*; do %s; done; %s" % (TEMPORARY, put, kill))
            refused = site.apply()
            stays = find(site, "mine\n") or [d for d in site.left() if os.path.isdir(os.path.join(site.path, d, "mine"))]
            forced = site.apply("--force")
            tap.ok(code == 137 and acted and refused.code == 1 and "was to be removed" in refused.err and stays and
                   forced.code == 0 and not site.names(),
                   "killed when some is gone, and somebody goes on in it: %s" % put,
                   [code, acted, refused, stays, forced, site.names()])
    with Site(sbx, inject, "mkdir d", "mkdir -p new/deep; echo 1 >new/1; echo 2 >new/deep/2") as site:
        code, acted, _ = site.apply_with("before:renameat2:" + TEMPORARY, kill)
        left = site.left()
        done = site.apply()
        tap.ok(code == 137 and acted and len(left) == 4 and done.code == 0 and not site.left() and
               site.read("new/deep/2") == "2\n", "killed with a new directory filled",
               [code, acted, left, done, site.names()])


def check_gone_on(tap, sbx, inject):
    """What a killed one has left is nobody else's, whatever the command does with it then."""
    kill = "kill -9 $2"
    for name, command, option, when, then in (
            ("a directory that an apply has made goes", "mkdir -p a/b a/c; echo 1 >a/b/1; echo 1 >a/c/1", "a",
             None, "rm -r a"),
            ("a directory with a temporary file goes", "echo new >d/f; echo new >e", "d", "before:renameat:" + TEMPORARY,
             "rm -r d"),
            ("a directory with one that was going goes", "rm -r d/gone; echo new >e", "d", "before:unlinkat:1", "rm -r d"),
            ("a directory with a new one goes", "mkdir -p d/new/deep; echo new >d/new/f", "d",
             "before:renameat2:" + TEMPORARY, "rm -r d")):
        with Site(sbx, inject, "mkdir -p d/gone/1 && echo old >d/f && echo old >e && echo old >d/gone/1/x", command) as site:
            if when:
                code, acted, _ = site.apply_with(when, kill, "--include", option)
            else:
                code, acted = 137, site.apply("--include", option).code == 0
            site.launch(then)
            if not when:
                code, acted, _ = site.apply_with("after:unlinkat:1", kill)
            done = site.apply()
            tap.ok(acted and code == 137 and done.code == 0 and not site.left() and option not in site.names(), name,
                   [acted, code, done, site.names(), site.left()])


def check_emptied(tap, sbx, inject):
    """What is left of a session that was being removed is no change of the command's."""
    command = "rm -r d; mkdir -p d/sub; echo new >d/sub/f; echo new >d/f; echo new >d/z"
    for verb, words in (("discard", ["discard", "s"]), ("prune", ["prune", "--older-than", "0s"])):
        for name in ("sub", "f", "z", "d"):
            with Site(sbx, inject, "mkdir d && echo old >d/f && echo old >d/host", command) as site:
                before = [site.read("d", "f"), site.read("d", "host")]
                act = "before:unlinkat:%s:kill -9 $2" % name
                killed = faults.run([inject, "--report", site.report, "--timeout", str(DEADLINE_S), "--act", act,
                                     sbx, *words], env=site.env, timeout=DEADLINE_S)
                acted = any(line.startswith("act ") for line in site.lines())
                done = site.apply()
                tap.ok(acted and done.code != 0 and "is not whole" in done.err and
                       before == [site.read("d", "f"), site.read("d", "host")],
                       "%s killed before %s has gone" % (verb, name), [killed, acted, done, before, site.names()])
                again = faults.run([sbx, *words], env=site.env, timeout=DEADLINE_S)
                tap.ok(again.code == 0, "%s again" % verb, [again])


def check_unremovable(tap, sbx, inject):
    """What cannot be removed, as it turns out in the middle, is named, and goes when it can be."""
    denied = "Operation not permitted"
    for kind, command, names in (("goes", "rm -r gone", []),
                                 ("gives way to a file", "rm -r gone; echo new >gone", ["gone"])):
        with Site(sbx, inject, "mkdir -p gone/a && echo 1 >gone/a/1 && echo u >u", command + "; rm u") as site:
            code, hit, err = site.apply_failing("unlinkat", errno.EPERM)
            left = "".join(site.left())
            tap.ok(hit and code == 1 and "/gone: a/1 in it cannot be removed: " + denied in err and
                   left and left in err,
                   "what cannot be removed of a directory that %s is named" % kind, [code, err, left])
            code, hit, err = site.apply_failing("unlinkat", errno.EPERM)
            text = "/u: %s beside it is to be removed, and a/1 cannot be: %s" % (left, denied)
            tap.ok(hit and code == 1 and text in err, "the next one names it too", [code, err])
            done = site.apply()
            tap.ok(done.code == 0 and site.names() == names and site.read("gone") != "1\n",
                   "and goes on when it can be removed", [done, site.names()])


def check_links(tap, sbx, inject):
    """A further name is one of the file that was placed, not of what has its name by then."""
    with Site(sbx, inject, "mkdir d && echo private >private", "echo new >a; mkdir n; ln a n/b") as site:
        code, acted, err = site.apply_with("before:openat2:a", "{ [ -e a ] || exit 99; } && ln -f private a")
        same = os.path.exists(os.path.join(site.path, "n/b")) and os.path.samefile(
            os.path.join(site.path, "n/b"), os.path.join(site.path, "private"))
        tap.ok(acted and not same, "a name that another file has got is not linked to", [code, acted, err])


    with Site(sbx, inject, "echo old >f", "ln f g; echo z >z") as site:
        code, acted, err = site.apply_with("before:linkat:" + TEMPORARY, "echo mine >>f")
        refused = site.apply()
        tap.ok(acted and code == 0 and refused.code == 1 and site.read("f") == "old\nmine\n",
               "a file written to when it gets a name is the writer's", [code, acted, err, refused, site.read("f")])


def check_attributes(tap, sbx, inject):
    """What a file cannot have is left out, and told; what is short or broken stops apply, and can be mended."""
    give = "/usr/bin/python3 -c 'import os; os.setxattr(\"e\", \"user.a\", b\"a\")'"
    for name, lost in (("EIO", False), ("EDQUOT", False), ("ENOMEM", False), ("EPERM", True), ("EOPNOTSUPP", True),
                       ("ERANGE", True), ("ENOSPC", True)):  # there is room: it is too large for such a file
        with Site(sbx, inject, "echo e >e", give) as site:
            code, hit, err = site.apply_failing("setxattr", getattr(errno, name))
            has = os.listxattr(os.path.join(site.path, "e"))
            told = "some of its attributes could not be set" in err
            again = site.apply()
            then = os.listxattr(os.path.join(site.path, "e"))
            good = code == (0 if lost else 1) and told == lost and not has and not site.left() and again.code == 0
            tap.ok(hit and good and (lost or then == ["user.a"]), "an attribute cannot be set: %s" % name,
                   [code, hit, err, has, again, then, site.names()])


def check_times(tap, sbx, inject):
    """More than a second later is later, whatever the parts of a second say."""
    with Site(sbx, inject, "echo old >file", "echo new >file") as site:
        site.script("echo mine >'%s/file'" % site.path)
        site.set_began(int(time.time()) - 5, 999999999)
        done = site.apply()
        tap.ok(done.code == 1 and site.read("file") == "mine\n", "a file changed some seconds later", [done])


def check_links_out(tap, sbx, inject):
    """A directory becomes a link at each moment at which it is opened."""
    swap = ("n=$(cat ../n 2>/dev/null || echo 0); echo $((n + 1)) >../n; [ $n = %d ] || exit 99; "
            "mv d aside && ln -s ../other d")
    moments, bad = 0, []
    for moment in range(20):
        with Site(sbx, inject, "mkdir d && echo old >d/f && cp -a d ../other", "echo new >d/f; echo new >d/g") as site:
            code, acted, err = site.apply_with("before:openat2:d", swap % moment)
            if not acted:
                break
            moments += 1
            if site.read("../other/f") != "old\n" or os.listdir(os.path.join(site.path, "../other")) != ["f"]:
                bad += [moment, code, err]
    tap.ok(moments > 1 and not bad, "no link is followed at any of %d moments" % moments, bad)


def check_mounts(tap, sbx, inject):
    """What has been mounted since is not part of the tree."""
    mounted = "mount --bind \"$1/../other\" \"$1/d\" && exec \"$2\" apply --force s"
    with Site(sbx, inject, "mkdir d && echo old >d/f && cp -a d ../other", "echo new >d/f") as site:
        done = faults.run(["unshare", "-Urm", "sh", "-ec", mounted, "sh", site.path, sbx], env=site.env)
        tap.ok(done.code == 1 and "mount" in done.err and site.read("../other/f") == "old\n" and
               site.read("d/f") == "old\n", "what was mounted since is not entered", [done])


def position(lines, call, path):
    """Of the first such call."""
    for i, line in enumerate(lines):
        words = line.split(" ", 6)
        if words[0] == "call" and words[2] == call and len(words) == 7 and path in words[6]:
            return i
    return None


def check_order(tap, sbx, inject):
    with Site(sbx, inject, "echo old >file", "echo new >file") as site:
        done = faults.run([inject, "--report", site.report, sbx, "apply", "s"], env=site.env, timeout=DEADLINE_S)
        lines = site.lines()
        journal = position(lines, "fdatasync", "/journal")
        made = position(lines, "openat", TEMPORARY)
        synced = position(lines, "fsync", "/tree/" + TEMPORARY)
        placed = position(lines, "renameat", TEMPORARY)
        rest = [line for line in lines[placed or 0:] if line.startswith("call monitor fsync")
                and line.endswith("/tree")]
        notes = [done, journal, made, synced, placed, rest]
        tap.ok(None not in (journal, made, synced, placed), "the calls are seen", notes)
        if None not in (journal, made, synced, placed):
            tap.ok(journal < made, "the journal is on disk before the directory is changed", notes)
            tap.ok(made < synced < placed, "a file is on disk before it has its name", notes)
            tap.ok(rest, "the directory is on disk at the end", notes)
    with Site(sbx, inject, "mkdir gone && echo old >gone/old", "rm -r gone") as site:
        faults.run([inject, "--report", site.report, sbx, "apply", "s"], env=site.env, timeout=DEADLINE_S)
        lines = site.lines()
        noted, renamed = position(lines, "fdatasync", "/removals"), position(lines, "renameat", "gone")
        tap.ok(noted is not None and renamed is not None and noted < renamed,
               "it is on disk that a directory goes before it has gone", [noted, renamed])
    with Site(sbx, inject, "mkdir d", "echo new >one; echo new >two") as site:
        faults.run([inject, "--report", site.report, sbx, "apply", "s"], env=site.env, timeout=DEADLINE_S)
        lines = site.lines()
        synced = [i for i, line in enumerate(lines) if line.startswith("call monitor io_submit ")]
        each = [i for i, line in enumerate(lines) if line.startswith("call monitor fsync ") and TEMPORARY in line]
        placed = position(lines, "renameat2", TEMPORARY)
        tap.ok(placed is not None and ((synced and synced[0] < placed) or len([i for i in each if i < placed]) == 2),
               "two files are on disk before the first has its name", [synced, each, placed])


def check_disk(tap, sbx, inject):
    """What does not get to the disk is an error: a file has no name then, and a directory is not done."""
    for number, what, text in ((1, "file", "old\n"), (2, "directory", "new\n")):
        with Site(sbx, inject, "echo old >file", "echo new >file") as site:
            done = faults.run([inject, "--report", site.report, "--fail", "monitor:fsync:%d:%d" % (number, errno.EIO),
                               sbx, "apply", "s"], env=site.env, timeout=DEADLINE_S)
            lines, found, left = site.lines(), site.read("file"), site.left()
            again = site.apply()
            tap.ok("exit 1" in lines and "Input/output error" in done.err and found == text and not left and
                   again.code == 0 and site.read("file") == "new\n", "a %s that does not get to the disk" % what,
                   [done, lines, found, left, again])


def main():
    sbx, inject = map(os.path.abspath, sys.argv[1:3])
    tap = faults.Tap()
    for check in (check_late, check_squatter, check_killed, check_unremovable, check_gone_on, check_emptied, check_links,
                  check_attributes, check_times, check_links_out, check_mounts, check_order, check_disk):
        check(tap, sbx, inject)
    return tap.end()


sys.exit(main())
