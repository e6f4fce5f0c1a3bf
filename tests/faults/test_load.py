#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""test_load.py SBX: many sandboxes at once, and many mounts in one.

The caller has a session keyring, as everybody who has logged in: a sandbox that took another one
from the user's quota would make the later ones fail.
"""
import ctypes
import os
import platform
import resource
import subprocess
import sys

import faults

SANDBOXES = 500
BINDS = 5000
KEYCTL_JOIN_SESSION_KEYRING = 1
KEYCTL_NUMBERS = {"x86_64": 250, "aarch64": 219, "riscv64": 219}
USR = ["--ro-bind", "/usr", "/usr"]


def join_session_keyring():
    number = KEYCTL_NUMBERS.get(platform.machine())
    libc = ctypes.CDLL(None, use_errno=True)
    return number is not None and \
        libc.syscall(number, KEYCTL_JOIN_SESSION_KEYRING, None, 0, 0, 0) >= 0


def raise_limit(which, wanted):
    soft, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return False
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(which, (wanted, hard))
    return True


def check_many(tap, sbx, scratch, options, name):
    """All are alive together: each says so, and goes on until its input ends."""
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    os.set_blocking(out_read, False)
    errors = os.path.join(scratch.path, "errors")
    boxes, heard = [], b""
    with open(errors, "w") as err:
        for _ in range(SANDBOXES):
            boxes.append(subprocess.Popen(
                [sbx, *options, *USR, "--", "/usr/bin/sh", "-c", "echo up; exec cat"],
                env=scratch.env(), stdin=in_read, stdout=out_write, stderr=err))
    os.close(in_read)
    os.close(out_write)

    def all_are_up():
        nonlocal heard
        try:
            heard += os.read(out_read, 65536)
        except BlockingIOError:
            pass
        return heard.count(b"up\n") == SANDBOXES or \
            any(box.poll() is not None for box in boxes)

    faults.wait_until(all_are_up, seconds=120)
    up = heard.count(b"up\n")
    os.close(in_write)
    left, statuses = faults.reap_all(seconds=120)
    codes = [box.returncode if box.returncode is not None else
             os.waitstatus_to_exitcode(statuses.get(box.pid, 0x7f00)) for box in boxes]
    for box, code in zip(boxes, codes):
        box.returncode = code
    os.close(out_read)
    with open(errors) as f:
        text = f.read()
    tap.ok(up == SANDBOXES and codes == [0] * SANDBOXES and text == "" and not left,
           "%d sandboxes at once, %s" % (SANDBOXES, name),
           ["%d began" % up, "exit codes %s" % sorted(set(codes)), text[:2000], left])


def check_binds(tap, sbx, scratch):
    os.mkdir(os.path.join(scratch.path, "source"))
    source = scratch.file("source/file", "content\n")
    words = []
    for i in range(BINDS):
        words += ["--ro-bind", os.path.dirname(source), "/b/%d" % i]
    args = os.path.join(scratch.path, "args")
    with open(args, "w") as f:
        f.write("".join(word + "\0" for word in words))
    fd = os.open(args, os.O_RDONLY)
    script = "ulimit -n; grep -c ' /b/[0-9]* ro,' /proc/self/mountinfo; cat /b/0/file /b/%d/file; " \
        "touch /b/%d/new 2>&1 || true" % (BINDS - 1, BINDS // 2)
    result = faults.run(
        [sbx, "--map=single", *USR, "--args", str(fd), "--", "/usr/bin/sh", "-c", script],
        env=scratch.env(), pass_fds=(fd,), timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)))
    os.close(fd)
    wanted = "1024\n%d\ncontent\ncontent\n" % BINDS
    tap.ok(result.code == 0 and result.out.startswith(wanted) and
           "Read-only file system" in result.out,
           "%d read-only binds with 1024 descriptors" % BINDS, [result, result.out])


def main():
    sbx = os.path.abspath(sys.argv[1])
    tap = faults.Tap()
    with faults.Scratch() as scratch:
        check_binds(tap, sbx, scratch)
        faults.become_subreaper()
        if not raise_limit(resource.RLIMIT_NPROC, SANDBOXES * 4):
            tap.skip("%d sandboxes" % SANDBOXES, "the limit on processes is too low")
        elif not join_session_keyring():
            tap.skip("%d sandboxes" % SANDBOXES, "no session keyring can be had here")
        else:
            check_many(tap, sbx, scratch, ["--map=single"], "one id each")
            check_many(tap, sbx, scratch, [], "with the default map")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
