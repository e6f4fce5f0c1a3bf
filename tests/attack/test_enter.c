/* SPDX-License-Identifier: MIT */
/*
 * attack enter: a sandbox that lies in wait for sbx exec. What comes in from the host
 * (CVE-2016-9962, CVE-2019-5736 are of that kind) must be of no use to it.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "attack.h"

enum { ROUNDS = 25 };

/* The host's number of the command of the sandbox called web. */
#define OF_WEB                                                                                     \
	"pid=$(\"$1\" inspect web | python3 -c 'import json, sys; "                                \
	"print(json.load(sys.stdin)[0][\"processes\"][0][\"pid\"])'); "

/*
 * Look at every process that comes, as fast as can be, at all that could tell something
 * of the host; print what was seen. The secret is in a file that descriptor 9 of
 * the one who enters has open, and in its command line.
 */
static const char lie_in_wait[] =
	"import ctypes, os, sys\n"
	"libc = ctypes.CDLL(None)\n"
	"own = set(p for p in os.listdir('/proc') if p.isdigit())\n"
	"seen = set()\n"
	"print('waiting', flush=True)\n"
	"while not os.path.exists('/tmp/enough'):\n"
	"    for p in os.listdir('/proc'):\n"
	"        if not p.isdigit() or p in own: continue\n"
	"        try:\n"
	"            if open('/proc/%s/fd/9' % p).read().startswith('secret'): "
	"seen.add('descriptor')\n"
	"        except OSError: pass\n"
	"        try:\n"
	"            if b'outer-word' in open('/proc/%s/cmdline' % p, 'rb').read(): "
	"seen.add('command line')\n"
	"        except OSError: pass\n"
	"        try:\n"
	"            if '/sbx' in os.readlink('/proc/%s/exe' % p): seen.add('program')\n"
	"        except OSError: pass\n"
	"        try:\n"
	"            if os.readlink('/proc/%s/root' % p) != '/': seen.add('root')\n"
	"        except OSError: pass\n"
	"print('seen', sorted(seen), flush=True)\n"
	"sys.stdin.read()\n"; /* what said so has to end in peace, not with the sandbox */

struct site {
	int tree; /* owned */
	char runtime[512], home[512];
	const char *env[4];
	struct session box;
};

static void site_start(struct site *s, const char *option, const char *value, const char *script)
{
	_autofree_ char *run = NULL;

	s->tree = tmp_tree("run/", "secret=secret\n");
	run = tree_path(s->tree, "run");
	cr_assert_eq(fchmodat(s->tree, "run", 0700, 0), 0);
	snprintf(s->runtime, sizeof(s->runtime), "XDG_RUNTIME_DIR=%s", run);
	snprintf(s->home, sizeof(s->home), "HOME=%s", run);
	s->env[0] = "PATH=/usr/bin:/bin:/usr/sbin:/sbin";
	s->env[1] = s->runtime;
	s->env[2] = s->home;
	s->env[3] = NULL;
	const struct run_options options = {.env = s->env, .open_input = true};

	session_sbx(&s->box, &options, "--ro-bind", "/usr", "/usr", "--name", "web", option, value,
		    PYTHON(script));
	cr_assert(session_expect(&s->box, "waiting"), "%s", s->box.result.err);
}

static void site_end(struct site *s)
{
	session_stop(&s->box);
	close(s->tree);
}

/* Enter again and again, with a secret open, and tell the one in wait when it is enough. */
static void enter_often(struct site *s, const char *how)
{
	char script[2048];
	_autofree_ char *secret = tree_path(s->tree, "secret");
	const struct run_options options = {.env = s->env, .timeout_ms = 120 * 1000};

	snprintf(script, sizeof(script),
		 "exec 9< \"$2\"; i=0; " OF_WEB " while [ $i -lt %d ]; do i=$((i+1)); %s; done; "
		 "\"$1\" exec web touch /tmp/enough",
		 ROUNDS, how);
	_autorun_ struct run_result r =
		run_argv(&options, (const char *const[]){"bash", "-c", script, "bash",
							 sbx_program(), secret, NULL});

	cr_expect_eq(r.status, 0, "%s%s", r.out, r.err);
	cr_assert(session_expect(&s->box, "seen ["), "%s", s->box.result.err);
	cr_assert(session_expect(&s->box, "]"));
}

static const char *what_was_seen(const struct site *s)
{
	return strstr(s->box.result.out, "seen [");
}

/* With every capability the one in wait has more than it ever has by default. */
Test(enter, what_enters_shows_nothing_of_the_host)
{
	struct site s;

	/* The way of others: nsenter(1) brings its caller's descriptors along. */
	site_start(&s, "--map", "single", lie_in_wait);
	enter_often(&s, "nsenter -t $pid -U -m -p --preserve-credentials sleep 0.1");
	cr_expect(strstr(what_was_seen(&s), "descriptor"), "%s", what_was_seen(&s));
	site_end(&s);

	site_start(&s, "--cap-add", "ALL", lie_in_wait);
	enter_often(&s, "OUTER=outer-word \"$1\" exec --env X=outer-word web true");
	cr_expect_str_eq(what_was_seen(&s), "seen []\n");
	site_end(&s);

	site_start(&s, "--map", "single", lie_in_wait);
	enter_often(&s, "\"$1\" exec --env X=outer-word web true");
	cr_expect_str_eq(what_was_seen(&s), "seen []\n");
	site_end(&s);
}

/* What nsenter(1) gives has no filter and could gain capabilities; the command could not. */
Test(enter, what_enters_has_no_more_privileges)
{
	static const char wait_only[] = "print('waiting', flush=True)\ninput()\n";
	static const char look[] =
		"grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp:)' /proc/self/status";
	struct site s;

	site_start(&s, "--map", "single", wait_only);
	const struct run_options options = {.env = s.env};
	_autorun_ struct run_result others = run_argv(
		&options,
		(const char *const[]){
			"bash", "-c",
			OF_WEB "nsenter -t $pid -U -m -p --preserve-credentials sh -c \"$2\"",
			"bash", sbx_program(), look, NULL});
	_autorun_ struct run_result ours = run_sbx_with(&options, "exec", "web", "sh", "-c", look);

	expect_said(others, "Seccomp:\t0");
	expect_not_said(others, "CapBnd:\t0000000000000000");
	expect_out(ours, "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\n"
			 "Seccomp:\t2\n");
	site_end(&s);
}

/* A script that names the program which starts it as its interpreter. */
Test(enter, the_program_is_not_started_inside)
{
	static const char trap[] = "import os\n"
				   "open('/tmp/trap', 'w').write('#!/proc/self/exe\\n')\n"
				   "os.chmod('/tmp/trap', 0o755)\n"
				   "os.symlink('/proc/self/exe', '/tmp/link')\n"
				   "print('waiting', flush=True)\n"
				   "input()\n";
	struct site s;

	site_start(&s, "--map", "single", trap);
	const struct run_options options = {.env = s.env};
	_autorun_ struct run_result script = run_sbx_with(&options, "exec", "web", "/tmp/trap");
	_autorun_ struct run_result link = run_sbx_with(&options, "exec", "web", "/tmp/link");
	/* By another way in, it is: that is what there is to refuse. */
	_autorun_ struct run_result inner = run_sbx_with(&options, "exec", "web", "sh", "-c",
							 "exec /tmp/trap -c 'echo started'");

	cr_expect_eq(script.status, 126, "%s", script.err);
	cr_expect(strstr(script.err, "leads through a magic link"), "%s", script.err);
	cr_expect_eq(link.status, 126, "%s", link.err);
	cr_expect(!strstr(inner.err, "magic link"), "%s%s", inner.out, inner.err);
	site_end(&s);
}
