/* SPDX-License-Identifier: MIT */
/*
 * attack outside: what of the host is in reach by other ways than mounts:
 * descriptors, processes, and the programs that sbx starts there.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "attack.h"

/* ---- descriptors ---- */

Test(outside, inherited_descriptors_are_closed)
{
	_autoclose_ int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_autoclose_ int tree = tmp_tree("d/secret=token\n");
	_autofree_ char *path = tree_path(tree, "d/secret");
	const struct run_options options = {
		.fds = {{.from = root, .to = 7}, {.from = root, .to = 200}}};
	static const char escape[] =
		"for fd in 7 200; do cat /proc/self/fd/$fd/$1; done 2>/dev/null; echo end";
	_autorun_ struct run_result passed =
		in_usr_with(&options, "--pass-fd", "7", SH(escape), "sh", path);
	_autorun_ struct run_result r = in_usr_with(&options, SH(escape), "sh", path);

	expect_out(passed, "token\nend\n");
	expect_out(r, "end\n");
}

/* What an option reads is sbx's; so is what sbx itself has open. */
Test(outside, descriptors_of_options_and_of_sbx_are_closed)
{
	_autoclose_ int dir = tmp_tree("file=x");
	_autoclose_ int readable = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_autoclose_ int data = attack_data_fd("data");
	_autoclose_ int args = attack_data_fd("");
	const struct run_options options = {.fds = {{.from = readable, .to = 10},
						    {.from = data, .to = 11},
						    {.from = args, .to = 12}}};
	static const char list[] =
		"import os\n"
		"print([n for n in range(4096) if os.path.lexists('/proc/self/fd/%d' % n)])\n";
	_autorun_ struct run_result passed = in_usr_with(&options, "--pass-fd", "10", PYTHON(list));
	_autorun_ struct run_result r = in_usr_with(&options, "--bind-fd", "10", "/d", "--file",
						    "11", "/f", "--args", "12", PYTHON(list));
	_autorun_ struct run_result caps =
		in_usr_with(&options, "--cap-add", "ALL", "--ro-bind-fd", "10", "/d", "--bind-data",
			    "11", "/f", PYTHON(list));
	_autorun_ struct run_result pid1 = in_usr_with(&options, "--as-pid-1", PYTHON(list));
	_autorun_ struct run_result share = in_usr_with(&options, "--share-pid", PYTHON(list));
	/* 12 is an empty file: there is nothing to wait for. */
	_autorun_ struct run_result waits =
		in_usr_with(&options, "--sync-fd", "10", "--block-fd", "12", PYTHON(list));
	_autorun_ struct run_result waits_with_caps = in_usr_with(
		&options, "--cap-add", "ALL", "--sync-fd", "10", "--block-fd", "12", PYTHON(list));
	_autorun_ struct run_result waits_as_pid1 =
		in_usr_with(&options, "--as-pid-1", "--block-fd", "12", PYTHON(list));

	expect_out(passed, "[0, 1, 2, 10]\n");
	expect_out(r, "[0, 1, 2]\n");
	expect_out(caps, "[0, 1, 2]\n");
	expect_out(pid1, "[0, 1, 2]\n");
	expect_out(share, "[0, 1, 2]\n");
	expect_out(waits, "[0, 1, 2]\n");
	expect_out(waits_with_caps, "[0, 1, 2]\n");
	expect_out(waits_as_pid1, "[0, 1, 2]\n");
}

/* Not promised, and said so in SECURITY.md: 0-2 are the caller's own open files. */
Test(outside, standard_input_can_be_opened_anew)
{
	_autoclose_ int tree = tmp_tree("file=before\n");
	_autofree_ char *path = tree_path(tree, "file");
	_autorun_ struct run_result r = run_program("sh", "-c",
						    "$1 --ro-bind /usr /usr -- sh -c 'echo after > "
						    "/proc/self/fd/0' < $2",
						    "sh", sbx_program(), path);
	_autofree_ char *text = tree_read(tree, "file");

	cr_expect_eq(r.status, 0, "%s", r.err);
	cr_expect_str_eq(text, "after\n");
}

/* Likewise: where the sources of binds lie on their filesystem can be read inside. */
Test(outside, mountinfo_names_sources)
{
	_autoclose_ int tree = tmp_tree("name-of-the-source/");
	_autofree_ char *path = tree_path(tree, "name-of-the-source");
	_autorun_ struct run_result r =
		in_usr("--bind", path, "/d", SH("grep ' /d ' /proc/self/mountinfo"));

	expect_said(r, "name-of-the-source");
}

/* ---- processes ---- */

Test(outside, host_processes_are_out_of_reach)
{
	_autosession_ struct session victim;
	char pid[16];
	static const char attack[] = "import os, sys\n"
				     "pid = int(sys.argv[1])\n"
				     "def tries(name, call):\n"
				     "    try:\n"
				     "        call()\n"
				     "        print(name)\n"
				     "    except OSError:\n"
				     "        pass\n"
				     "tries('kill', lambda: os.kill(pid, 0))\n"
				     "tries('pidfd', lambda: os.pidfd_open(pid))\n"
				     "tries('cmdline', lambda: open('/proc/%d/cmdline' % pid))\n"
				     "tries('root', lambda: os.listdir('/proc/%d/root/' % pid))\n"
				     "tries('environ', lambda: open('/proc/%d/environ' % pid))\n"
				     "print('end')\n";

	session_start(&victim, &(const struct run_options){.open_input = true},
		      (const char *const[]){"sh", "-c", "echo ready; read x", NULL});
	cr_assert(session_expect(&victim, "ready"));
	snprintf(pid, sizeof(pid), "%d", victim.pid);
	{
		_autorun_ struct run_result shared =
			in_usr("--share-pid", "--landlock=off", PYTHON(attack), pid);
		_autorun_ struct run_result r = in_usr(PYTHON(attack), pid);

		/* What remains refused even then is the user namespace's doing. */
		expect_out(shared, "kill\npidfd\ncmdline\nend\n");
		expect_out(r, "end\n");
	}
}

/* ---- the network ---- */

/* Services of the host that nobody but its own programs should reach. */
Test(outside, the_hosts_network_is_out_of_reach)
{
	static const char serve[] = "import socket, sys\n"
				    "a = socket.socket(socket.AF_UNIX)\n"
				    "a.bind('\\0' + sys.argv[1])\n"
				    "a.listen()\n"
				    "t = socket.create_server(('127.0.0.1', 0))\n"
				    "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
				    "u.bind(t.getsockname())\n"
				    "print('port', t.getsockname()[1], 'end', flush=True)\n"
				    "sys.stdin.read()\n";
	static const char attack[] =
		"import os, socket, sys\n"
		"def tries(name, kind, address):\n"
		"    s = socket.socket(*kind)\n"
		"    try:\n"
		"        s.connect(address); s.send(b'x'); s.send(b'x'); print(name)\n"
		"    except OSError: pass\n"
		"port = int(sys.argv[2])\n"
		"tries('tcp', (socket.AF_INET, socket.SOCK_STREAM), ('127.0.0.1', port))\n"
		"tries('udp', (socket.AF_INET, socket.SOCK_DGRAM), ('127.0.0.1', port))\n"
		"tries('abstract', (socket.AF_UNIX, socket.SOCK_STREAM), '\\0' + sys.argv[1])\n"
		"print(*sorted(os.listdir('/sys/class/net')) if os.path.exists('/sys/class/net')\n"
		"      else [l.split(':')[0].strip() for l in "
		"open('/proc/net/dev').readlines()[2:]])\n";
	_autosession_ struct session server;
	char name[64], port[16];

	snprintf(name, sizeof(name), "sbx-attack-net-%d", getpid());
	session_start(&server, &(const struct run_options){.open_input = true},
		      (const char *const[]){"python3", "-c", serve, name, NULL});
	cr_assert(session_expect(&server, "end"));
	cr_assert_eq(sscanf(server.result.out, "port %15s", port), 1, "%s", server.result.out);
	{
		_autorun_ struct run_result shared =
			in_usr("--share-net", "--landlock=off", PYTHON(attack), name, port);
		_autorun_ struct run_result r = in_usr(PYTHON(attack), name, port);
		_autorun_ struct run_result caps =
			in_usr("--root", "--cap-add", "ALL", PYTHON(attack), name, port);

		expect_said(shared, "tcp\nudp\nabstract\n");
		expect_out(r, "lo\n");
		expect_out(caps, "lo\n");
	}
}

/* ---- Landlock ---- */

/* What the kernel answers; scopes came with 6. */
static long landlock_abi(void)
{
	enum { CREATE_RULESET = 444, RULESET_VERSION = 1 };

	return syscall(CREATE_RULESET, NULL, (size_t)0, RULESET_VERSION);
}

/* What is refused inside on this kernel: `scoped` where it can be, else `open`. */
static const char *by_landlock(const char *scoped, const char *open_)
{
	return landlock_abi() >= 6 ? scoped : open_;
}

/* The signal is one that is only asked about, and one that would stop the victim. */
Test(outside, shared_processes_cannot_be_signalled)
{
	_autosession_ struct session victim;
	char pid[16];
	static const char attack[] =
		"import os, signal, subprocess, sys\n"
		"def tries(name, pid, sig):\n"
		"    try:\n"
		"        os.kill(pid, sig)\n"
		"        print(name)\n"
		"    except PermissionError:\n"
		"        print('no', name)\n"
		"tries('ask', int(sys.argv[1]), 0)\n"
		"tries('continue', int(sys.argv[1]), signal.SIGCONT)\n"
		"tries('parent', os.getppid(), 0)\n"
		"child = subprocess.Popen(['sleep', '300'])\n"
		"tries('child', child.pid, signal.SIGTERM)\n"
		"print(child.wait(), flush=True)\n"
		"shell = subprocess.run(['sh', '-c', 'kill -0 %d && echo up' % os.getpid()])\n";

	session_start(&victim, &(const struct run_options){.open_input = true},
		      (const char *const[]){"sh", "-c", "echo ready; read x", NULL});
	cr_assert(session_expect(&victim, "ready"));
	snprintf(pid, sizeof(pid), "%d", victim.pid);
	{
		_autorun_ struct run_result off =
			in_usr("--share-pid", "--landlock=off", PYTHON(attack), pid);
		_autorun_ struct run_result r = in_usr("--share-pid", PYTHON(attack), pid);

		expect_out(off, "ask\ncontinue\nparent\nchild\n-15\nup\n");
		expect_out(r, by_landlock("no ask\nno continue\nno parent\nchild\n-15\nup\n",
					  off.out));
	}
}

/* Abstract sockets of the host, and one that the command makes for itself. */
Test(outside, shared_abstract_sockets_cannot_be_reached)
{
	_autosession_ struct session server;
	char name[64];
	static const char attack[] = "import socket, sys\n"
				     "def tries(name):\n"
				     "    s = socket.socket(socket.AF_UNIX)\n"
				     "    try: s.connect('\\0' + name); print('connected')\n"
				     "    except OSError as e: print(e.strerror)\n"
				     "own = socket.socket(socket.AF_UNIX)\n"
				     "own.bind('\\0' + sys.argv[1] + '-own')\n"
				     "own.listen()\n"
				     "tries(sys.argv[1])\n"
				     "tries(sys.argv[1] + '-own')\n";

	snprintf(name, sizeof(name), "sbx-attack-%d", getpid());
	session_start(&server, &(const struct run_options){.open_input = true},
		      (const char *const[]){"python3", "-c",
					    "import socket, sys\n"
					    "s = socket.socket(socket.AF_UNIX)\n"
					    "s.bind('\\0' + sys.argv[1])\n"
					    "s.listen()\n"
					    "print('ready', flush=True)\n"
					    "sys.stdin.read()\n",
					    name, NULL});
	cr_assert(session_expect(&server, "ready"));
	{
		_autorun_ struct run_result off =
			in_usr("--share-net", "--landlock=off", PYTHON(attack), name);
		_autorun_ struct run_result r = in_usr("--share-net", PYTHON(attack), name);
		_autorun_ struct run_result both = in_usr("--share-net", "--share-pid", "--cap-add",
							  "ALL", PYTHON(attack), name);

		expect_out(off, "connected\nconnected\n");
		expect_out(r, by_landlock("Operation not permitted\nconnected\n", off.out));
		expect_out(both, r.out);
	}
}

/* As on a kernel that has none. */
static struct run_result run_without_landlock(const char *option)
{
	return run_program(
		"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=landlock_create_ruleset",
		"-e", "inject=landlock_create_ruleset:error=ENOSYS", sbx_program(), "--map=single",
		"--ro-bind", "/usr", "/usr", "--share-net", option, SH("echo ran"));
}

Test(outside, landlock_that_is_required_and_missing_is_an_error)
{
	_autorun_ struct run_result required =
		in_usr("--share-net", "--landlock=require", SH("echo ran"));
	_autorun_ struct run_result unneeded = in_usr("--landlock=require", SH("echo ran"));

	if (landlock_abi() >= 6)
		expect_out(required, "ran\n");
	else
		expect_refused(required, "--landlock=require");
	expect_out(unneeded, "ran\n");
	skip_unless(access("/usr/bin/strace", X_OK) == 0, "strace is not installed");
	{
		_autorun_ struct run_result missing = run_without_landlock("--landlock=require");
		_autorun_ struct run_result automatic = run_without_landlock("--landlock=auto");

		expect_refused(missing, "--landlock=require: this kernel has no Landlock");
		expect_refused(missing, "hint:");
		expect_out(automatic, "ran\n");
	}
}

/* ---- sockets ---- */

/* Connects to every name it is given, and says what came of it. */
#define CONNECT_CALL                                                                               \
	"import os, socket, sys\n"                                                                 \
	"def tries(name):\n"                                                                       \
	"    s = socket.socket(socket.AF_UNIX)\n"                                                  \
	"    try: s.connect(name); print('connected')\n"                                           \
	"    except OSError as e: print(e.strerror)\n"
#define CONNECT                                                                                    \
	CONNECT_CALL "for name in sys.argv[1:]:\n"                                                 \
		     "    tries(name)\n"
static const char connect_script[] = CONNECT;

/* Listens on every name it is given, and says when it does. */
#define LISTEN                                                                                     \
	"import os, socket, sys\n"                                                                 \
	"keep = []\n"                                                                              \
	"for name in sys.argv[1:]:\n"                                                              \
	"    keep.append(socket.socket(socket.AF_UNIX))\n"                                         \
	"    keep[-1].bind(name)\n"                                                                \
	"    keep[-1].listen()\n"                                                                  \
	"    os.chmod(name, 0o777)\n"                                                              \
	"print('ready', flush=True)\n"                                                             \
	"sys.stdin.read()\n"
static const char listen_script[] = LISTEN;

/* Read-only is no help: who can connect can ask for anything. */
Test(outside, sockets_below_a_bind_are_masked_where_asked_for)
{
	_autoclose_ int tree = tmp_tree("dir/", "dir/link -> s p", "solo/");
	_autofree_ char *top = tree_path(tree, "");
	_autosession_ struct session server;
	char odd[512], solo[512];
	static const char *const options[] = {"--mask-sockets", "--mask-sockets=listed"};

	snprintf(odd, sizeof(odd), "%s/dir/s p", top);
	snprintf(solo, sizeof(solo), "%s/solo/s", top);
	session_start(&server, &(const struct run_options){.open_input = true},
		      (const char *const[]){"python3", "-c", listen_script, odd, solo, NULL});
	cr_assert(session_expect(&server, "ready"));
	{
		_autorun_ struct run_result open_ =
			in_usr("--ro-bind", top, "/t", PYTHON(connect_script), "/t/dir/s p",
			       "/t/dir/link", "/t/solo/s");
		/* The mask must go the way of the destination: by a link, and up from where it
		 * leads. */
		_autorun_ struct run_result open_aside =
			in_usr("--dir", "/a/b", "--symlink", "a/b", "/link", "--ro-bind", top,
			       "/link/../t", PYTHON(connect_script), "/a/t/solo/s");
		_autorun_ struct run_result told =
			in_usr("--explain", "--ro-bind", top, "/t", SH("true"));

		expect_out(open_, "connected\nconnected\nconnected\n");
		expect_out(open_aside, "connected\n");
		cr_expect(strstr(told.out, "/solo/s of the host, at /t/solo/s;"), "%s", told.out);
	}
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		_autorun_ struct run_result masked = in_usr(
			options[i], "--ro-bind", top, "/t", "--bind", solo, "/mine",
			PYTHON(connect_script), "/t/dir/s p", "/t/dir/link", "/t/solo/s", "/mine");
		_autorun_ struct run_result aside = in_usr(
			options[i], "--dir", "/a/b", "--symlink", "a/b", "/link", "--ro-bind", top,
			"/link/../t", PYTHON(connect_script), "/a/t/solo/s");

		expect_out(masked, "Connection refused\nConnection refused\nConnection refused\n"
				   "connected\n");
		expect_out(aside, "Connection refused\n");
	}
}

/* What the kernel's list does not tell: relative names, odd ones, other networks' sockets. */
Test(outside, sockets_of_any_name_are_masked)
{
	_autoclose_ int tree = tmp_tree("dir/deep/er/", "net/");
	_autofree_ char *top = tree_path(tree, "");
	_autofree_ char *dir = tree_path(tree, "dir");
	_autofree_ char *net = tree_path(tree, "net");
	_autosession_ struct session server, other;
	const struct run_options here = {.open_input = true, .cwd = dir};
	const struct run_options there = {.open_input = true, .cwd = net};

	session_start(&server, &here,
		      (const char *const[]){"python3", "-c", listen_script, "relative", "deep/er/s",
					    "new\nline", NULL});
	session_start(&other, &there,
		      (const char *const[]){"unshare", "-Urn", "python3", "-c", listen_script, "s",
					    NULL});
	cr_assert(session_expect(&server, "ready"));
	cr_assert(session_expect(&other, "ready"));
	{
		_autorun_ struct run_result open_ =
			in_usr("--ro-bind", top, "/t", PYTHON(connect_script), "/t/dir/relative",
			       "/t/dir/deep/er/s", "/t/dir/new\nline", "/t/net/s");
		_autorun_ struct run_result listed = in_usr(
			"--mask-sockets=listed", "--ro-bind", top, "/t", PYTHON(connect_script),
			"/t/dir/relative", "/t/dir/deep/er/s", "/t/dir/new\nline", "/t/net/s");
		_autorun_ struct run_result masked = in_usr(
			"--mask-sockets", "--ro-bind", top, "/t", PYTHON(connect_script),
			"/t/dir/relative", "/t/dir/deep/er/s", "/t/dir/new\nline", "/t/net/s");
		_autorun_ struct run_result told =
			in_usr("--explain", "--ro-bind", top, "/t", SH("true"));

		expect_out(open_, "connected\nconnected\nconnected\nconnected\n");
		expect_out(listed, open_.out);
		expect_out(masked, "Connection refused\nConnection refused\nConnection refused\n"
				   "Connection refused\n");
		cr_expect(strstr(told.out, "/net/s of the host, at /t/net/s;"), "%s", told.out);
	}
}

/* A directory that is mounted a second time, and a socket that is mounted on a file. */
Test(outside, sockets_below_other_mounts_are_masked)
{
	_autoclose_ int tree =
		tmp_tree("real/", "t/again/", "t/file", "listen=" LISTEN, "connect=" CONNECT);
	_autofree_ char *top = tree_path(tree, "");
	_autorun_ struct run_result r = run_host(
		"set -e; cd $2; coproc python3 listen real/s; trap 'kill $COPROC_PID' EXIT;"
		"read -ru ${COPROC[0]} line; mount --bind real t/again; mount --bind real/s t/file;"
		"for option in off listed all; do $1 --map=single --ro-bind /usr /usr --ro-bind "
		"connect /connect --mask-sockets=$option --ro-bind t /t -- python3 /connect "
		"/t/again/s /t/file; done",
		top);

	expect_out(r, "connected\nconnected\nconnected\nconnected\nConnection refused\n"
		      "Connection refused\n");
}

/*
 * A directory that cannot be read, but searched, or made so by its owner. What is in it
 * cannot be told, so it must be hidden by hand.
 */
static void expect_told_to_hide(int tree, mode_t mode)
{
	_autofree_ char *top = tree_path(tree, "");
	static const char attack[] = CONNECT_CALL "try: os.chmod('/t/dir', 0o700)\n"
						  "except OSError: pass\n"
						  "tries('/t/dir/s')\n";

	cr_assert_eq(fchmodat(tree, "dir", mode, 0), 0);
	{
		_autorun_ struct run_result refused =
			in_usr("--mask-sockets", "--bind", top, "/t", PYTHON(attack));
		_autorun_ struct run_result hidden = in_usr("--mask-sockets", "--bind", top, "/t",
							    "--mask", "/t/dir", PYTHON(attack));
		_autorun_ struct run_result told =
			in_usr("--explain", "--bind", top, "/t", PYTHON(attack));
		_autorun_ struct run_result open_ = in_usr("--bind", top, "/t", PYTHON(attack));

		expect_out(open_, "connected\n");
		expect_refused(refused, "cannot be read");
		expect_refused(refused, "--mask /t/dir behind");
		expect_out(hidden, "No such file or directory\n");
		cr_expect(strstr(told.out, "perhaps more sockets"), "%s", told.out);
	}
	cr_assert_eq(fchmodat(tree, "dir", 0700, 0), 0);
}

Test(outside, sockets_where_nobody_can_look_are_not_overlooked)
{
	_autoclose_ int tree = tmp_tree("dir/");
	_autofree_ char *top = tree_path(tree, "");
	_autosession_ struct session server;
	const struct run_options here = {.open_input = true, .cwd = top};

	session_start(&server, &here,
		      (const char *const[]){"python3", "-c", listen_script, "dir/s", NULL});
	cr_assert(session_expect(&server, "ready"));
	expect_told_to_hide(tree, 0311);
	expect_told_to_hide(tree, 0400);
	expect_told_to_hide(tree, 0);
}

/* ---- life ---- */

struct life {
	char word[64];
	size_t wanted;
};

static size_t life_count(const struct life *life)
{
	_autorun_ struct run_result r = run_program(
		"sh", "-c", "grep -las \"^$1\" /proc/[0-9]*/cmdline | grep -vc \"/$$/\"", "sh",
		life->word);

	return (size_t)atoi(r.out);
}

static bool life_is(void *arg)
{
	const struct life *life = arg;

	return life_count(life) == life->wanted;
}

static struct life life_make(const char *test)
{
	struct life life = {.wanted = 0};

	/* Nothing begins with this that another run of these tests has. */
	snprintf(life.word, sizeof(life.word), "sbx-%s-%d_", test, getpid());
	return life;
}

/* End what is there, once it is there. */
static void life_end(struct life *life)
{
	life->wanted = 1;
	cr_expect(wait_until(life_is, life), "%s: nobody is there", life->word);
	{
		_autorun_ struct run_result r =
			run_program("sh", "-c",
				    "kill $(grep -las \"^$1\" /proc/[0-9]*/cmdline | grep -v "
				    "\"/$$/\" | cut -d/ -f3)",
				    "sh", life->word);
	}
	life->wanted = 0;
	cr_expect(wait_until(life_is, life));
}

/* The command, a child of it, and one that left session and parent behind. */
static char *life_script(const struct life *life)
{
	char *script = NULL;

	cr_assert(
		asprintf(
			&script,
			"(exec -a %s-child sleep 300) & (setsid -f bash -c 'trap \"\" TERM INT HUP;"
			" exec -a %s-orphan sleep 300');"
			"until [ $(grep -las '^%s' /proc/[0-9]*/cmdline | wc -l) = 2 ]; do :; done;"
			"echo ready; exec -a %s-command sleep 300",
			life->word, life->word, life->word, life->word) > 0);
	return script;
}

static void expect_no_survivor(const char *option, int sig)
{
	_autosession_ struct session session;
	struct life life = life_make(option + 2);
	_autofree_ char *script = life_script(&life);

	session_sbx(&session, NULL, "--ro-bind", "/usr", "/usr", option, BASH(script));
	cr_assert(session_expect(&session, "ready"), "%s", session.result.err);
	life.wanted = 3;
	cr_assert(wait_until(life_is, &life), "%zu instead of 3", life_count(&life));
	kill(session.pid, sig);
	life.wanted = 0;
	cr_expect(wait_until(life_is, &life), "%s, signal %d: %zu are left", option, sig,
		  life_count(&life));
}

Test(outside, nobody_survives_sbx, .timeout = 120)
{
	const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGKILL};
	_autorun_ struct run_result alone =
		run_program("bash", "-c", "(setsid -f sleep 30) > /dev/null 2>&1; kill -9 $$");

	cr_assert_eq(alone.status, -SIGKILL);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		expect_no_survivor("--die-with-parent", signals[i]);
	expect_no_survivor("--unshare-all", SIGKILL);
	expect_no_survivor("--new-session", SIGTERM);
	expect_no_survivor("--root", SIGKILL);
}

Test(outside, nobody_survives_the_command)
{
	struct life life = life_make("left");
	_autofree_ char *script = NULL;

	cr_assert(asprintf(&script,
			   "(setsid -f bash -c 'exec -a %s sleep 300') >/dev/null 2>&1; until grep "
			   "-qas "
			   "'^%s' /proc/[0-9]*/cmdline; do :; done; echo there",
			   life.word, life.word) > 0);
	{
		_autorun_ struct run_result host = run_program("bash", "-c", script);

		expect_out(host, "there\n");
		life_end(&life);
	}
	{
		_autorun_ struct run_result r = in_usr(BASH(script));

		expect_out(r, "there\n");
		cr_expect(wait_until(life_is, &life), "%zu are left", life_count(&life));
	}
}

/*
 * The caller dies at some moment of the launch, from when sbx watches it on. (One
 * that is dead before sbx can look is not told from a caller that is init.)
 */
static const char caller_script[] =
	"bash -c '\"$1\" $4 --ro-bind /usr /usr -- bash -c \"exec -a $3 sleep 300\" "
	">/dev/null 2>&1 & until readlink /proc/$!/fd/* | grep -q "
	"pidfd; do :; done 2>/dev/null;"
	"for ((i = 0; i < $2; i++)); do :; done; kill -9 $$' bash \"$@\"; true";

Test(outside, nobody_survives_the_caller, .timeout = 120)
{
	struct life life = life_make("parent");
	_autorun_ struct run_result without =
		run_program("bash", "-c", caller_script, "bash", sbx_program(), "1", life.word,
			    "--unshare-all");

	life_end(&life);
	for (int spins = 0; spins < 40; spins++) {
		char number[16];

		snprintf(number, sizeof(number), "%d", spins * 400);
		{
			_autorun_ struct run_result r =
				run_program("bash", "-c", caller_script, "bash", sbx_program(),
					    number, life.word, "--die-with-parent");

			cr_expect_not(r.timed_out, "%s%s", r.out, r.err);
		}
	}
	cr_expect(wait_until(life_is, &life), "%zu are left", life_count(&life));
}

/* ---- helpers, ids ---- */

/* newuidmap is found in the system's directories, whatever PATH and the environment say. */
Test(outside, helpers_are_not_found_by_path)
{
	_autoclose_ int tree = tmp_tree("d/newuidmap=#!/bin/sh\necho hijacked >&2\nexit 0\n",
					"d/newgidmap=#!/bin/sh\necho hijacked >&2\nexit 0\n");
	_autofree_ char *path = tree_path(tree, "d");
	_autofree_ char *path_var = NULL;
	_autofree_ char *preload = NULL;

	cr_assert(asprintf(&path_var, "PATH=.:%s:/usr/bin:/bin", path) > 0);
	cr_assert(asprintf(&preload, "HOME=%s", path) > 0);
	{
		const struct run_options options = {
			.cwd = path,
			.env = (const char *const[]){path_var, preload, "IFS=/", NULL},
		};
		_autorun_ struct run_result by_shell =
			run_argv(&options, (const char *const[]){"/bin/sh", "-c",
								 "newuidmap; newgidmap", NULL});
		_autorun_ struct run_result r =
			in_usr_with(&options, "--map=auto", "--", "/usr/bin/id", "-u");
		_autorun_ struct run_result named = in_usr_with(
			&options, "--helper", "newuidmap=./newuidmap", "--map=range", "--", "true");
		char mine[16];

		snprintf(mine, sizeof(mine), "%u\n", getuid());
		expect_said(((struct run_result){.out = by_shell.err, .out_len = by_shell.err_len}),
			    "hijacked");
		expect_out(r, mine);
		cr_expect_not(strstr(r.err, "hijacked"), "%s", r.err);
		cr_expect_eq(named.status, 125, "%d %s", named.status, named.err);
	}
}

/* A helper that says it succeeded and did nothing must not leave half an identity. */
Test(outside, a_map_that_was_not_written_is_an_error)
{
	_autorun_ struct run_result both =
		in_usr("--map=range", "--helper", "newuidmap=/usr/bin/true", "--helper",
		       "newgidmap=/usr/bin/true", SH("id -u; cat /proc/self/uid_map"));
	/* The honest ones, named in the same way, do write it. */
	_autorun_ struct run_result honest =
		in_usr("--map=range", "--helper", "newuidmap=/usr/bin/newuidmap", "--helper",
		       "newgidmap=/usr/bin/newgidmap",
		       SH("[ $(wc -l < /proc/self/uid_map) -gt 1 ] && echo range"));
	_autorun_ struct run_result one =
		in_usr("--map=range", "--helper", "newgidmap=/usr/bin/true", SH("id -g"));

	expect_out(honest, "range\n");
	cr_expect_eq(both.status, 125, "%d %s%s", both.status, both.out, both.err);
	cr_expect_eq(one.status, 125, "%d %s%s", one.status, one.out, one.err);
}

Test(outside, ids_at_the_edges)
{
	static const struct {
		const char *id;
		bool good;
	} ids[] = {
		{"0", true},	       {"2147483647", true},
		{"2147483648", true},  {"4294967294", true},
		{"4294967295", false}, {"4294967296", false},
		{"-1", false},	       {"18446744073709551615", false},
		{"0x10", false},       {"", false},
		{" 5", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		_autorun_ struct run_result r = in_usr("--map=single", "--uid", ids[i].id, "--gid",
						       ids[i].id, SH("id -u; id -g"));
		char expected[64];

		snprintf(expected, sizeof(expected), "%s\n%s\n", ids[i].id, ids[i].id);
		if (ids[i].good)
			expect_out(r, expected);
		else
			cr_expect_eq(r.status, 125, "'%s': %d %s", ids[i].id, r.status, r.out);
	}
}

Test(outside, ids_that_are_not_mapped_cannot_be_used)
{
	_autorun_ struct run_result single = in_usr("--map=single", "--user", "5", "--", "true");
	_autorun_ struct run_result overflow =
		in_usr("--map=single", "--user", "65534", "--", "true");
	_autorun_ struct run_result overlap =
		in_usr("--uid", "100", "--gid", "100",
		       SH("awk '{ for (i = 1; i <= NR - 1; i++) if ($1 < end[i] && $1 + $3 > "
			  "start[i]) print \"overlap\"; start[NR] = $1; end[NR] = $1 + $3 }' "
			  "/proc/self/uid_map; id -u"));

	_autorun_ struct run_result mapped =
		in_usr("--map=range", "--user", "5:5", SH("id -u; id -g"));

	expect_out(mapped, "5\n5\n");
	expect_refused(single, "--user");
	expect_refused(overflow, "--user");
	expect_out(overlap, "100\n");
}
