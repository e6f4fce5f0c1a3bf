#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""programs SBX [NAME...]: programs that call bubblewrap, with the link in its place.

Each case is a shell script that has a real client of bubblewrap do its work. It is run
as an ordinary user, in a mount namespace where /usr/bin/bwrap is a wrapper that counts
its calls and then becomes the program under test: first Debian's own, which shows that
the case is sound, then the link. Both must print what is expected, and both must have
been called. Prints TAP; what is not installed is skipped, or fails where
SBX_TEST_MUST_RUN is 1. SBX_BWRAP names another program than SBX.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

REAL = "/usr/bin/bwrap"
LIMIT_S = 120
MUST_RUN = os.environ.get("SBX_TEST_MUST_RUN") == "1"

# Replaces bwrap for what runs below, then goes on without the capabilities that took.
ENTER = """
mount --bind "$1" /usr/bin/bwrap || exit 99
shift
exec setpriv --inh-caps=-all --ambient-caps=-all --bounding-set=+all -- "$@"
"""

WRAPPER = """#!/bin/bash
printf 'called\\n' >>{log}
exec -a /usr/bin/bwrap {program} "$@"
"""

PNG = "import zlib, struct, sys\n" \
    "def chunk(t, d): return struct.pack('>I', len(d)) + t + d + struct.pack('>I', zlib.crc32(t + d))\n" \
    "head = struct.pack('>IIBBBBB', 300, 300, 8, 2, 0, 0, 0)\n" \
    "data = zlib.compress((b'\\0' + b'\\x80' * 900) * 300)\n" \
    "open(sys.argv[1], 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', head)\n" \
    "    + chunk(b'tEXt', b'Author\\0nobody') + chunk(b'IDAT', data) + chunk(b'IEND', b''))\n"

THUMBNAIL = """
import gi, pathlib, sys
gi.require_version("GnomeDesktop", "4.0")
from gi.repository import GnomeDesktop
factory = GnomeDesktop.DesktopThumbnailFactory.new(GnomeDesktop.DesktopThumbnailSize.NORMAL)
uri = pathlib.Path("picture.png").absolute().as_uri()
image = factory.generate_thumbnail(uri, "image/png", None)
print("thumbnail", image.get_width(), image.get_height())
"""

WEBKIT = """
import gi, sys
gi.require_version("WebKit2", "4.1")
gi.require_version("Gtk", "3.0")
from gi.repository import GLib, Gtk, WebKit2
context = WebKit2.WebContext.new_ephemeral()
context.set_sandbox_enabled(True)
view = WebKit2.WebView.new_with_context(context)
def told(v, *_):
    if (v.get_title() or "").startswith("made"):
        print(v.get_title(), flush=True)
        Gtk.main_quit()
def died(v, reason):
    print("web process ended:", reason, flush=True)
    Gtk.main_quit()
view.connect("notify::title", told)
view.connect("web-process-terminated", died)
window = Gtk.Window()
window.add(view)
window.show_all()
view.load_html("<script>document.title = 'made by script ' + 6 * 7</script>", None)
GLib.timeout_add_seconds(90, Gtk.main_quit)
Gtk.main()
"""

# What it binds is Fedora's: Debian's loader needs /lib as well.
ANSIBLE = """
printf '#!/bin/sh\\nexec bwrap --symlink usr/lib /lib "$@"\\n' >isolate; chmod 755 isolate
mkdir -p p/project p/inventory iso
echo 'localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3' >p/inventory/hosts
cat >p/project/play.yml <<'END'
- hosts: all
  gather_facts: false
  tasks:
    - command: cat /proc/1/comm
      register: first
    - debug: msg="first process is {{ first.stdout }}"
END
ansible-runner run p -p play.yml --process-isolation --process-isolation-executable $PWD/isolate \
    --process-isolation-path $PWD/iso
"""

OPAM = """
export OPAMROOT=$PWD/root
mkdir -p repo/packages/probe/probe.1
echo 'opam-version: "2.0"' >repo/repo
cat >repo/packages/probe/probe.1/opam <<'END'
opam-version: "2.0"
synopsis: "probe"
maintainer: "nobody"
build: [
  ["sh" "-c" "echo built >made; ls -d /proc/1"]
  ["sh" "-c" "touch /usr/evil || echo refused >>made; touch $HOME/evil || echo refused >>made"]
]
install: ["sh" "-c" "mkdir -p %{share}%/probe && cp made %{share}%/probe"]
END
opam init --bare --no-setup --no-opamrc -q -y ./repo >log 2>&1 || { cat log; exit 1; }
opam switch create --empty here >>log 2>&1 || { cat log; exit 1; }
opam install -y --assume-depexts probe >>log 2>&1 || { cat log; exit 1; }
cat $(opam var share)/probe/made
test -e $HOME/evil || echo home was safe
"""

# A runtime of what is on this system, an application of one script, all made here.
# To install an application it asks the system's bus, of which the session's will do.
FLATPAK = """
export DBUS_SYSTEM_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS
export XDG_DATA_HOME=$PWD/data XDG_CACHE_HOME=$PWD/cache XDG_RUNTIME_DIR=$PWD/run GSETTINGS_BACKEND=memory
mkdir -m 700 run
arch=$(flatpak --default-arch)
need() { for f in "$@"; do echo $f; ldd $f | grep -o '/[^ ]*'; done | sort -u; }
mkdir -p rt/files/bin rt/files/lib rt/files/lib64 rt/files/etc
for f in $(need /usr/bin/sh /usr/bin/cat /usr/bin/ls /usr/bin/id /usr/bin/readlink /usr/bin/env); do
  case $f in
  *bin/*) cp -L $f rt/files/bin ;;
  *ld-linux*) cp -L $f rt/files/lib64; cp -L $f rt/files/lib ;;
  *) cp -L $f rt/files/lib64 ; cp -L $f rt/files/lib ;;
  esac
done
cp /usr/sbin/ldconfig rt/files/bin
printf '[Runtime]\\nname=org.probe.Platform\\nruntime=org.probe.Platform/%s/1\\nsdk=org.probe.Platform/%s/1\\n' $arch $arch >rt/metadata
ostree init --repo=repo --mode=archive-z2
ostree commit --repo=repo --branch=runtime/org.probe.Platform/$arch/1 -s runtime --tree=dir=rt --owner-uid=0 --owner-gid=0 --no-xattrs \
    --add-metadata-string=xa.metadata="$(cat rt/metadata)
" >/dev/null
flatpak build-update-repo repo >/dev/null
flatpak --user remote-add --no-gpg-verify probe repo
flatpak --user install -y --noninteractive probe runtime/org.probe.Platform/$arch/1 >log 2>&1 || { cat log; exit 1; }
flatpak build-init app org.probe.App org.probe.Platform org.probe.Platform 1
mkdir app/files/bin
flatpak build app sh -c '{ echo "#!/bin/sh"; echo "echo app says \\$1; cat /.flatpak-info; ls /app"; } >/app/bin/probe'
chmod 755 app/files/bin/probe
flatpak build-finish app --command=probe >/dev/null
flatpak build-export repo app 1 >/dev/null
flatpak --user install -y --noninteractive probe org.probe.App >log 2>&1 || { cat log; exit 1; }
flatpak run --user org.probe.App hello
"""

# In mat2 0.13 --no-sandbox is what turns the sandbox on: its default is none.
MAT2 = """
/usr/bin/python3 png.py picture.png
mat2 --no-sandbox --show picture.png | grep Author
mat2 --no-sandbox --lightweight picture.png
mat2 --no-sandbox --show picture.cleaned.png | grep -o 'No metadata found' | head -n 1
"""

SRT = """
mkdir ok out
cat >settings.json <<END
{"network": {"allowedDomains": [], "deniedDomains": []},
 "filesystem": {"denyRead": ["$PWD/secret"], "allowWrite": ["$PWD/ok"], "denyWrite": []}}
END
echo key >secret
srt -s settings.json -c 'echo x >ok/f && echo wrote; (echo x >out/f) 2>/dev/null || echo refused; cat secret 2>/dev/null || echo hidden'
cat ok/f
"""


class Case:
    """A client: what it needs, its script, the lines that must be among what it prints."""

    def __init__(self, name, needs, script, expect, files=None):
        self.name = name
        self.needs = needs
        self.script = script
        self.expect = expect.splitlines()
        self.files = files or {}

    def missing(self, path):
        return [word for word in self.needs
                if not (os.path.exists(word) if word.startswith("/") else shutil.which(word, path=path))]

    def run(self, program, path):
        """What was printed, and whether the program was called."""
        with tempfile.TemporaryDirectory(dir="/var/tmp", ignore_cleanup_errors=True) as name:
            top = pathlib.Path(name)
            work, log, wrapper, copy = top / "work", top / "log", top / "wrapper", top / "bwrap"
            work.mkdir()
            # The real one is hidden by the wrapper that is bound over it: it runs from a copy.
            shutil.copy(program, copy)
            wrapper.write_text(WRAPPER.format(log=log, program=copy), encoding="utf-8")
            wrapper.chmod(0o755)
            for file, text in self.files.items():
                (work / file).write_text(text, encoding="utf-8")
            home = work / "home"
            home.mkdir()
            environ = {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "USER": os.environ.get("USER", "user")}
            result = subprocess.run(
                ["unshare", "-c", "-m", "--keep-caps", "/bin/sh", "-c", ENTER, "sh", str(wrapper),
                 "/bin/sh", "-e", "-c", self.script],
                cwd=work, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=LIMIT_S, check=False)
            return result.returncode, result.stdout.decode(errors="replace"), log.exists()

    def check(self, program, path):
        """What is wrong, as lines; none where nothing is."""
        try:
            status, output, called = self.run(program, path)
        except subprocess.TimeoutExpired as error:
            return [f"no end within {LIMIT_S} s", *str(error.stdout).split("\\n")[-30:]]
        wrong = [f"not printed: {line}" for line in self.expect if line not in output]
        if status != 0:
            wrong.append(f"status {status}")
        if not called:
            wrong.append("bwrap was never called")
        return [*wrong, *output.splitlines()[-30:]] if wrong else []


CASES = [
    Case("mat2", ["mat2", "exiftool"], MAT2, "Author: nobody\nNo metadata found", {"png.py": PNG}),
    Case("gnome thumbnails", ["/usr/lib/x86_64-linux-gnu/girepository-1.0/GnomeDesktop-4.0.typelib",
                              "/usr/bin/gdk-pixbuf-thumbnailer"],
         "/usr/bin/python3 png.py picture.png; dbus-run-session /usr/bin/python3 thumb.py",
         "thumbnail 128 128", {"png.py": PNG, "thumb.py": THUMBNAIL}),
    Case("ansible-runner", ["ansible-runner", "ansible-playbook"], ANSIBLE, "first process is bwrap"),
    Case("opam", ["opam", "make"], OPAM, "built\nrefused\nhome was safe"),
    Case("flatpak", ["flatpak", "ostree", "dbus-run-session"],
         "exec dbus-run-session sh -e flatpak.sh", "app says hello\n[Application]\nname=org.probe.App\nbin",
         {"flatpak.sh": FLATPAK}),
    Case("webkit", ["/usr/lib/x86_64-linux-gnu/girepository-1.0/WebKit2-4.1.typelib", "xvfb-run"],
         "export XDG_RUNTIME_DIR=$(mktemp -d); export WEBKIT_DISABLE_COMPOSITING_MODE=1; "
         "xvfb-run -a dbus-run-session /usr/bin/python3 web.py", "made by script 42", {"web.py": WEBKIT}),
    Case("sandbox-runtime", ["srt", "socat", "rg"], SRT, "wrote\nrefused\nhidden\nx"),
]


def main():
    program = os.environ.get("SBX_BWRAP") or os.environ.get("SBX") or sys.argv[1]
    path = os.environ.get("SBX_CLIENTS_PATH", "") + ":/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin"
    chosen = [case for case in CASES if len(sys.argv) < 3 or case.name in sys.argv[2:]]
    runs = [("bubblewrap", REAL)] + ([("the link", program)] if program != REAL else [])
    failed, number = 0, 0
    print(f"1..{len(chosen) * len(runs)}", flush=True)
    for case in chosen:
        missing = case.missing(path)
        for what, tested in runs:
            number += 1
            if missing and not MUST_RUN:
                print(f"ok {number} - {case.name} # SKIP not installed: {' '.join(missing)}", flush=True)
                continue
            wrong = case.check(tested, path)
            failed += bool(wrong)
            print(f"{'not ok' if wrong else 'ok'} {number} - {case.name} with {what}", flush=True)
            for line in wrong:
                print(f"# {line}", flush=True)
    return 1 if failed else 0


sys.exit(main())
