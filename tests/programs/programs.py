#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""programs SBX: real programs do their work in a sandbox.

Each case runs a program as its users do, with sbx's defaults and what the program
needs to see of the host, and looks at what it made. A program that the filter, the
missing capabilities or the small /dev keep from its work fails here. So does one that
the filter refuses anything else than what HARMLESS explains. Prints TAP; what is not
installed is skipped, or fails where SBX_TEST_MUST_RUN is 1.
"""
import copy
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

LIMIT_S = 240
SYSTEM = ["--ro-bind", "/usr", "/usr"]
JAVA = [*SYSTEM, "--ro-bind", "/etc", "/etc"]
MUST_RUN = os.environ.get("SBX_TEST_MUST_RUN") == "1"

# What a program may be refused, as --seccomp-log tells it: it asks and has another way.
HARMLESS = {
    "clone3": "answered as by a kernel that lacks it; libc uses clone",
    "io_uring_setup": "an optional speed-up of libuv, which then uses threads",
}
REFUSED = re.compile(r"^sbx: seccomp: refused (.*)$", re.MULTILINE)


class Case:
    """One program: its options, a shell script run in an empty directory, what it prints."""

    def __init__(self, name, needs, script, expect, options=None, files=None, prefix=None,
                 harmless=None):
        self.name = name
        self.needs = needs
        self.script = script
        self.expect = expect
        self.options = SYSTEM if options is None else options
        self.files = files or {}
        self.prefix = prefix or []
        self.harmless = HARMLESS | (harmless or {})

    def missing(self):
        return [word for word in self.needs
                if not (os.path.exists(word) if word.startswith("/") else shutil.which(word))]

    def with_profile(self, name, path, harmless=None):
        """The same with the system calls of a profile."""
        case = copy.copy(self)
        case.name = f"{self.name} with {name}"
        case.needs = [*self.needs, str(path)]
        case.options = [*self.options, "--seccomp", str(path)]
        case.harmless = self.harmless | (harmless or {})
        return case

    def refused(self, output):
        """What the filter refused of what the program may need, by sbx's word at the end."""
        found = REFUSED.findall(output)
        if len(found) != 1:
            return ["(sbx says nothing of it)"]
        words = [] if found[0] == "nothing" else found[0].split(", ")
        names = [re.sub(r" \((once|\d+ times)\)$", "", word) for word in words]
        return [name for name in names if name not in self.harmless]

    def run(self, sbx):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as top:
            for name, text in self.files.items():
                path = pathlib.Path(top) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            return subprocess.run(
                [*self.prefix, sbx, "--seccomp-log", *self.options, "--bind", top, "/project", "--chdir", "/project",
                 "--", "/bin/sh", "-e", "-c", self.script],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=LIMIT_S, check=False)


C_THREADS = r"""
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void *work(void *arg) { return (char *)arg + 1; }
int main(void)
{
	pthread_t t;
	void *r;
	int status;
	if (pthread_create(&t, NULL, work, (void *)41) || pthread_join(t, &r))
		return 1;
	pid_t pid = fork();
	if (pid == 0)
		_exit(7);
	if (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 7)
		return 2;
	if (system("true") != 0)
		return 3;
	printf("threads %ld\n", (long)r);
	return 0;
}
"""

PYTHON = """
import asyncio, concurrent.futures, multiprocessing, os, signal, socket, sqlite3, subprocess, tempfile, threading
def double(n): return 2 * n
async def main():
    server = await asyncio.start_server(lambda r, w: (w.write(b'hello'), w.close()), '127.0.0.1', 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    assert await reader.read() == b'hello'
    p = await asyncio.create_subprocess_exec('true')
    assert await p.wait() == 0
if __name__ == '__main__':
    asyncio.run(main())
    with concurrent.futures.ThreadPoolExecutor() as pool:
        assert list(pool.map(double, [1, 2])) == [2, 4]
    with multiprocessing.get_context('fork').Pool(2) as pool:
        assert pool.map(double, [3, 4]) == [6, 8]
    with multiprocessing.get_context('spawn').Pool(2) as pool:
        assert pool.map(double, [3, 4]) == [6, 8]
    assert subprocess.run(['sh', '-c', 'exit 3']).returncode == 3
    a, b = socket.socketpair()
    a.send(b'x'); assert b.recv(1) == b'x'
    db = sqlite3.connect('test.db'); db.execute('create table t (n)'); db.commit()
    os.sched_getaffinity(0); os.getrandom(8); signal.alarm(0)
    print('python is fine')
"""

NODE = """
const {spawnSync} = require('child_process'), fs = require('fs'), http = require('http'),
	{Worker} = require('worker_threads'), crypto = require('crypto');
fs.writeFileSync('a.txt', 'hello');
if (spawnSync('cat', ['a.txt']).stdout.toString() !== 'hello') process.exit(1);
crypto.randomBytes(8);
new Worker('require("worker_threads").parentPort.postMessage(6 * 7)', {eval: true}).on('message', n => {
	const server = http.createServer((q, r) => r.end('served ' + n)).listen(0, '127.0.0.1', () =>
		http.get({port: server.address().port, host: '127.0.0.1'}, r =>
			r.on('data', d => { console.log('node ' + d); server.close(); })));
});
"""

JAVA_MAIN = """
import java.net.*; import java.nio.file.*; import java.util.concurrent.*;
public class Main {
	public static void main(String[] args) throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(4);
		int n = pool.submit(() -> 6 * 7).get();
		pool.shutdown();
		Files.writeString(Path.of("out.txt"), "x");
		Process p = new ProcessBuilder("sh", "-c", "exit 5").start();
		ServerSocket s = new ServerSocket(0);
		new Socket("127.0.0.1", s.getLocalPort()).close();
		System.gc();
		System.out.println("java " + n + " " + p.waitFor());
	}
}
"""

X11 = """
Xvfb :7 -screen 0 320x240x24 -nolisten tcp >/dev/null 2>&1 &
i=0; until DISPLAY=:7 xwininfo -root >/dev/null 2>&1; do sleep 0.1; i=$((i + 1)); [ $i -lt 600 ]; done
DISPLAY=:7 xclock & clock=$!
i=0; until DISPLAY=:7 xwininfo -root -tree | grep -q xclock; do sleep 0.1; i=$((i + 1)); [ $i -lt 600 ]; done
DISPLAY=:7 xwd -root -out shot.xwd
test $(wc -c < shot.xwd) -gt 300000
kill $clock
echo a window was shown
"""

CHROMIUM = ("chromium --headless --disable-gpu --disable-quic --no-first-run "
            "--disable-background-networking --disable-component-update --disable-sync "
            "--user-data-dir=/tmp/profile --dump-dom file:///project/page.html 2>log || { cat log; exit 1; }")

# What stands before sbx: an X server outside of the sandbox, which ends with it.
DISPLAY = ["dbus-run-session", "--", "sh", "-ec", r"""
Xvfb :49 -screen 0 800x600x24 -nolisten tcp >/dev/null 2>&1 & server=$!
trap 'kill $server; wait $server || :' EXIT
export DISPLAY=:49
i=0; until xwininfo -root >/dev/null 2>&1; do sleep 0.1; i=$((i + 1)); [ $i -lt 600 ]; done
"$@"
""", "display"]

# The same for a Wayland compositor without a screen, and for the servers of sound.
SESSION = r"""
XDG_RUNTIME_DIR=$(mktemp -d /var/tmp/sbx-session.XXXXXX)
export XDG_RUNTIME_DIR
trap 'kill $servers || :; wait $servers || :; rm -r $XDG_RUNTIME_DIR' EXIT
servers=
wait_for() {
	i=0; until "$@" >/dev/null 2>&1; do sleep 0.1; i=$((i + 1)); [ $i -lt 600 ]; done
}
"""
COMPOSITOR = ["dbus-run-session", "--", "sh", "-ec", SESSION + r"""
weston --backend=headless-backend.so --no-config --socket=wayland-4 --idle-time=0 >/dev/null 2>&1 &
servers=$!
export WAYLAND_DISPLAY=wayland-4
wait_for weston-info
"$@"
""", "compositor"]
SOUND = ["dbus-run-session", "--", "sh", "-ec", SESSION + r"""
pipewire >/dev/null 2>&1 & servers=$!
wait_for pw-cli info 0
pipewire-pulse >/dev/null 2>&1 & servers="$servers $!"
wait_for pactl info
"$@"
""", "sound"]

# The compositor answers to a frame when it has drawn the one before.
FRAMES = r"""
WAYLAND_DEBUG=1 weston-simple-shm >log 2>&1 & program=$!
i=0; until [ $(grep -c 'wl_callback.*done' log) -gt 20 ]; do
	sleep 0.1; i=$((i + 1)); [ $i -lt 600 ] || { tail log; exit 1; }
done
kill $program
fc-list | grep -q fonts/
test -e /dev/dri || echo no GPU
echo frames were drawn
"""

# A window that another client of the display sees, of more than one colour.
SHOW = r"""
%s & program=$!
i=0; until xwininfo -root -tree | grep -q '%s'; do sleep 0.1; i=$((i + 1)); [ $i -lt 600 ]; done
i=0; until [ $(xwd -root -silent | tail -c 1920000 | od -An -v -tx4 -w4 | sort -u | wc -l) -gt 1 ]; do
	sleep 0.1; i=$((i + 1)); [ $i -lt 600 ]
done
kill $program
echo a window was shown
"""

# The page that a browser shows, whose title and colour only its script sets.
PAGE = """<!doctype html><title>before</title><body style="margin: 0"><script>
document.title = 'made by script ' + 6 * 7;
document.body.style.background = '#12c456';
</script></body>"""

# Its own sandbox is on: what draws the page is in two more pid namespaces and has a filter more.
BROWSER = r"""
chromium --no-first-run --user-data-dir=/tmp/profile file:///project/page.html >log 2>&1 & program=$!
i=0; until xwininfo -root -tree | grep -q 'made by script 42'; do
	sleep 0.1; i=$((i + 1)); [ $i -lt 900 ] || { xwininfo -root -tree; tail log; exit 1; }
done
i=0; until xwd -root -silent | tail -c 1920000 | od -An -v -tx4 -w4 | grep -c 12c456 |
	awk '{exit $1 < 100000}'; do sleep 0.1; i=$((i + 1)); [ $i -lt 300 ]; done
echo a page was drawn
confined() {
	n=0
	for p in /proc/[0-9]*; do
		words=$(tr '\0' ' ' 2>/dev/null < $p/cmdline) || continue
		case $words in
		/bin/sh*) continue ;;
		*--no-sandbox*) echo "without its sandbox: $words"; exit 1 ;;
		*--type=renderer*) ;;
		*) continue ;;
		esac
		awk '/^NSpid:/ {depth = NF - 1} /^Seccomp_filters:/ {filters = $2}
			END {exit depth < 3 || filters < 2}' $p/status || return 1
		n=$((n + 1))
	done
	[ $n -gt 0 ]
}
i=0; until confined; do sleep 0.1; i=$((i + 1)); [ $i -lt 300 ]; done
echo by a process in a sandbox of its own
kill $program
wait $program || :
"""

CASES = [
    Case("shell tools", ["awk", "sed", "find", "tar", "gzip"],
         "mkdir d; echo hi > d/f; tar cf - d | gzip > d.tgz; tar xzOf d.tgz d/f | sed s/hi/ok/; "
         "find . -name f | xargs ls -l >/dev/null; seq 100 | sort -R | sort -n | awk 'END {print NR}'",
         "ok\n100"),
    Case("compiler", ["gcc", "make"], "make -s -j2 prog; ./prog", "threads 42",
         files={"prog.c": C_THREADS, "Makefile": "prog: prog.c\n\tgcc -O2 -pthread -o $@ $<\n"}),
    Case("address sanitizer", ["gcc"],
         "gcc -fsanitize=address,undefined -pthread -o p p.c; ASAN_OPTIONS=detect_leaks=0 ./p",
         "threads 42", files={"p.c": C_THREADS}),
    Case("perl", ["perl"], "perl -MIO::Socket::UNIX -MPOSIX -e 'my $p = fork // die; "
         "exit 4 if !$p; waitpid $p, 0; print \"perl \", $? >> 8, \"\\n\"'", "perl 4"),
    Case("python", ["python3"], "python3 test.py", "python is fine", files={"test.py": PYTHON}),
    Case("node", ["node"], "node test.js", "node served 42", files={"test.js": NODE}),
    Case("java", ["javac", "java"], "javac Main.java; java -Xmx64m Main", "java 42 5",
         options=JAVA, files={"Main.java": JAVA_MAIN}),
    Case("git", ["git"],
         "git init -q .; git config user.name n; git config user.email e@example.org; echo a > f; "
         "git add f; git commit -q -m one; git clone -q . copy; git -C copy log --format=%s; git gc -q",
         "one"),
    Case("gdb on its own child", ["gdb", "gcc"],
         "gcc -g -o p p.c -pthread; gdb -q -batch -ex 'break main' -ex run -ex 'print 6*7' "
         "-ex kill ./p 2>&1", "$1 = 42", files={"p.c": C_THREADS}),
    Case("strace of a child", ["strace"], "strace -f -o log sh -c 'true; :'; echo traced $(grep -c execve log)", "traced 1"),
    Case("apt as root of the sandbox", ["apt-get", "dpkg-deb"],
         "mkdir -p p/DEBIAN p/opt; printf 'Package: sbx-probe\\nVersion: 1\\nArchitecture: all\\n"
         "Maintainer: n <n@example.org>\\nDescription: d\\n' > p/DEBIAN/control; echo hello > p/opt/probe; "
         "chown 7:7 p/opt/probe; dpkg-deb -b p /tmp/p.deb >/dev/null; "
         "mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates /var/lib/apt/lists/partial "
         "/var/cache/apt/archives/partial /var/log/apt; : > /var/lib/dpkg/status; "
         "apt-get -q -y install /tmp/p.deb >log 2>&1 || { cat log; exit 1; }; stat -c '%u %g' /opt/probe; "
         "dpkg-query -W sbx-probe",
         "7 7\nsbx-probe\t1",
         options=[*SYSTEM, "--root", "--map=range", "--tmpfs", "/var", "--tmpfs", "/opt", "--dir",
                  "/var/tmp", "--ro-bind", "/etc/apt/apt.conf.d", "/etc/apt/apt.conf.d",
                  "--dir", "/etc/dpkg", "--dir", "/etc/apt/preferences.d", "--tmpfs", "/tmp"]),
    Case("useradd as root of the sandbox", ["useradd"],
         "useradd -m probe; grep -c ^probe: /etc/passwd; ls -d /home/probe; "
         "setpriv --reuid=probe --regid=probe --clear-groups id -un",
         "1\n/home/probe\nprobe",
         options=[*SYSTEM, "--root", "--map=range", "--tmpfs", "/etc", "--tmpfs", "/home", "--rw-root",
                  "--ro-bind-try", "/etc/pam.d", "/etc/pam.d", "--ro-bind-try", "/etc/ld.so.cache",
                  "/etc/ld.so.cache", "--ro-bind", "/etc/login.defs", "/etc/login.defs",
                  "--ro-bind-try", "/etc/default", "/etc/default", "--ro-bind-try",
                  "/etc/alternatives", "/etc/alternatives"],
         harmless={"socket family 16": "netlink, to tell the kernel's audit; goes on without"}),
    Case("X11 program", ["Xvfb", "xclock", "xwininfo", "xwd"], X11, "a window was shown",
         options=[*SYSTEM, "--ro-bind", "/etc", "/etc", "--tmpfs", "/tmp", "--perms", "1777", "--dir",
                  "/tmp/.X11-unix"]),
    Case("X11 program with --profile desktop", ["Xvfb", "xclock", "xwininfo", "xwd", "dbus-run-session"],
         SHOW % ("xclock", "xclock"), "a window was shown", options=["--profile", "desktop"],
         prefix=DISPLAY),
    Case("Wayland program with --profile desktop",
         ["weston", "weston-simple-shm", "weston-info", "dbus-run-session", "fc-list"], FRAMES,
         "frames were drawn\n", options=["--profile", "desktop"], prefix=COMPOSITOR),
    Case("sound with --profile desktop",
         ["pipewire", "pw-cli", "pipewire-pulse", "pactl", "dbus-run-session"],
         "pw-cli info 0 | grep -o PipeWire:Interface:Core; pactl info | grep -o 'on PipeWire'; "
         "ls $XDG_RUNTIME_DIR $XDG_RUNTIME_DIR/pulse",
         "PipeWire:Interface:Core\non PipeWire\n", options=["--profile", "desktop"],
         prefix=SOUND),
    Case("chromium with --profile desktop",
         ["chromium", "Xvfb", "xwininfo", "xwd", "dbus-run-session"], BROWSER,
         "a page was drawn\nby a process in a sandbox of its own\n",
         options=["--profile", "desktop", "--allow-userns"], files={"page.html": PAGE},
         prefix=DISPLAY),
    Case("chromium without a display", ["chromium"], CHROMIUM, "<p>made by script 42</p>",
         options=[*SYSTEM, "--ro-bind", "/etc", "/etc", "--allow-userns", "--ro-bind-try", "/sys",
                  "/sys"],
         files={"page.html": "<body><script>document.body.innerHTML = '<p>made by script ' + 6*7 "
                             "+ '</p>'</script></body>"}),
]

# Docker's own profiles, as ./bootstrap --programs unpacks them from Debian's package: the
# one it has now, and one of 2016, whose form was another. With that few programs of today
# work, in Docker neither: "not permitted" is no reason for libc to make threads by another
# call than clone3, or for ls to do without statx.
DOCKER = (pathlib.Path(__file__).resolve().parents[2] / "build-check/docker/usr/share/gocode/src"
          / "github.com/docker/docker/profiles/seccomp")
DOCKER_NOW = DOCKER / "default.json"
DOCKER_OLD = DOCKER / "fixtures/default-old-format.json"
NOW = {"pkey_alloc": "V8 does without", "personality": "gdb says so, and goes on"}
OLD = {"rseq": "libc does without", "faccessat2": "libc uses faccessat"}
BY_CAPS = "if chroot / true; then echo it can; else echo it cannot; fi; mkdir -p d && rmdir d"

CASES += [
    *(case.with_profile("Docker's profile", DOCKER_NOW, NOW) for case in CASES
      if case.name in ("shell tools", "compiler", "perl", "python", "node", "git",
                       "gdb on its own child", "apt as root of the sandbox")),
    *(case.with_profile("Docker's profile of 2016", DOCKER_OLD, OLD) for case in CASES
      if case.name in ("perl", "git")),
    *(Case(f"chroot with {path.name} {' '.join(options)}".strip(), [str(path)], BY_CAPS, expect, harmless={**OLD, "chroot": "tried"},
           options=[*SYSTEM, "--seccomp", str(path), *options])
      for path in (DOCKER_NOW, DOCKER_OLD)
      for options, expect in (
          ([], "it cannot"),
          (["--cap-add", "SYS_CHROOT"], "it can\n"),
          (["--cap-add", "NET_RAW"], "it cannot"),
          (["--root"], "it can\n"),
          (["--root", "--cap-drop", "SYS_CHROOT"], "it cannot"),
      )),
]


def main():
    sbx = os.environ.get("SBX", sys.argv[1])
    chosen = [case for case in CASES if len(sys.argv) < 3 or case.name in sys.argv[2:]]
    failed = 0
    print(f"1..{len(chosen)}", flush=True)
    for number, case in enumerate(chosen, 1):
        missing = case.missing()
        if missing and not MUST_RUN:
            print(f"ok {number} - {case.name} # SKIP not installed: {' '.join(missing)}", flush=True)
            continue
        try:
            result = case.run(sbx)
            output = result.stdout.decode(errors="replace")
            lost = case.refused(output)
            good = result.returncode == 0 and case.expect in output and not lost
            output += f"refused and needed: {lost}\n" if lost else ""
        except subprocess.TimeoutExpired as error:
            good, output = False, f"no end within {LIMIT_S} s: {error.stdout}"
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {case.name}", flush=True)
        if not good:
            for line in output.splitlines()[-30:]:
                print(f"# {line}", flush=True)
    return 1 if failed else 0


sys.exit(main())
