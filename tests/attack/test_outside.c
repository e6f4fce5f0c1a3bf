/* SPDX-License-Identifier: MIT */
/*
 * attack outside: what of the host is in reach by other ways than mounts:
 * descriptors, processes, and the programs that sbx starts there.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
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

	expect_out(passed, "[0, 1, 2, 10]\n");
	expect_out(r, "[0, 1, 2]\n");
	expect_out(caps, "[0, 1, 2]\n");
	expect_out(pid1, "[0, 1, 2]\n");
	expect_out(share, "[0, 1, 2]\n");
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
		_autorun_ struct run_result shared = in_usr("--share-pid", PYTHON(attack), pid);
		_autorun_ struct run_result r = in_usr(PYTHON(attack), pid);

		/* What remains refused even then is the user namespace's doing. */
		expect_out(shared, "kill\npidfd\ncmdline\nend\n");
		expect_out(r, "end\n");
	}
}

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

	snprintf(life.word, sizeof(life.word), "sbx-%s-%d", test, getpid());
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
	_autorun_ struct run_result one =
		in_usr("--map=range", "--helper", "newgidmap=/usr/bin/true", SH("id -g"));

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

	expect_refused(single, "--user");
	expect_refused(overflow, "--user");
	expect_out(overlap, "100\n");
}
