/* SPDX-License-Identifier: MIT */
/* The command's environment: what is kept of the caller's, and options in their order. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "planning.h"

#include "sbx/spec/env.h"

/* All variables but the room for PWD, sorted by their order, "|" between. */
static const char *joined(struct planning *p)
{
	char *text = arena_dup(&p->arena, "");

	cr_expect_str_empty(p->plan.envp[0], "the first entry is room for PWD");
	for (size_t i = 1; p->plan.envp[i]; i++)
		text = arena_printf(&p->arena, "%s%s%s", text, i > 1 ? "|" : "", p->plan.envp[i]);
	return text;
}

static const char *built(struct planning *p, char *const *host_env, const char *options)
{
	planning_init(p);
	if (host_env)
		p->host.environ_ = host_env;
	cr_assert_eq(planning_make(p, options), 0, "%s: %s", options, planning_error(p));
	return joined(p);
}

#define V(text) ((char *)(uintptr_t)(text))

Test(env, a_few_variables_are_kept)
{
	char *host_env[] = {V("TERM=xterm"),
			    V("COLORTERM=truecolor"),
			    V("LANG=C"),
			    V("LC_ALL=C"),
			    V("LC_=x"),
			    V("LC=no"),
			    V("TZ=UTC"),
			    V("PATH=/bin"),
			    V("HOME=/home/me"),
			    V("USER=me"),
			    V("LOGNAME=me"),
			    V("SHELL=/bin/sh"),
			    V("NO_COLOR="),
			    V("PWD=/somewhere"),
			    V("TERMINAL=no"),
			    V("XTERM=no"),
			    V("SSH_AUTH_SOCK=no"),
			    V("LD_PRELOAD=no"),
			    V("PATHS=no"),
			    V("path=no"),
			    V("no equals sign"),
			    V("=weird"),
			    NULL};
	_autoplanning_ struct planning p;

	cr_expect_str_eq(built(&p, host_env, ""),
			 "TERM=xterm|COLORTERM=truecolor|LANG=C|LC_ALL=C|LC_=x|TZ=UTC|PATH=/bin|"
			 "HOME=/home/me|USER=me|LOGNAME=me|SHELL=/bin/sh|NO_COLOR=");
}

Test(env, home_is_always_told)
{
	char *host_env[] = {V("PATH=/bin"), NULL};
	char *nothing[] = {NULL};
	_autoplanning_ struct planning p, q;

	cr_expect_str_eq(built(&p, host_env, ""), "PATH=/bin|HOME=/home/me");
	planning_init(&q);
	q.host.environ_ = nothing;
	q.host.home = NULL;
	cr_assert_eq(planning_make(&q, ""), 0);
	cr_expect_str_eq(joined(&q), "");
}

Test(env, options_act_in_order)
{
	static const struct {
		const char *options, *env;
	} rows[] = {
		{"", "PATH=/usr/bin|HOME=/home/me"},
		{"--setenv A 1", "PATH=/usr/bin|HOME=/home/me|A=1"},
		{"--env A=1", "PATH=/usr/bin|HOME=/home/me|A=1"},
		{"--env A=1=2", "PATH=/usr/bin|HOME=/home/me|A=1=2"},
		{"--env A=", "PATH=/usr/bin|HOME=/home/me|A="},
		{"--env SECRET", "PATH=/usr/bin|HOME=/home/me|SECRET=token"},
		{"--env SECRE --env SECRETS --env NONE", "PATH=/usr/bin|HOME=/home/me"},
		{"--setenv A 1 --setenv A 2", "PATH=/usr/bin|HOME=/home/me|A=2"},
		{"--setenv PATH /x", "PATH=/x|HOME=/home/me"},
		{"--setenv A 1 --unsetenv A", "PATH=/usr/bin|HOME=/home/me"},
		{"--unsetenv A --setenv A 1", "PATH=/usr/bin|HOME=/home/me|A=1"},
		{"--setenv AB 1 --unsetenv A", "PATH=/usr/bin|HOME=/home/me|AB=1"},
		{"--unsetenv PATH --unsetenv HOME", ""},
		{"--setenv A 1 --clearenv", ""},
		{"--clearenv --setenv A 1", "A=1"},
		{"--keep-env", "PATH=/usr/bin|HOME=/home/me|SECRET=token"},
		{"--clearenv --keep-env --unsetenv SECRET", "PATH=/usr/bin|HOME=/home/me"},
		{"--setenv SECRET mine --keep-env", "PATH=/usr/bin|HOME=/home/me|SECRET=token"},
		{"--keep-env --setenv SECRET mine", "PATH=/usr/bin|HOME=/home/me|SECRET=mine"},
		{"--clearenv --env PATH", "PATH=/usr/bin"},
		/* PWD is known only inside. */
		{"--clearenv --setenv PWD /lie --env PWD=/lie", ""},
		{"--clearenv --setenv PWDX 1", "PWDX=1"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		cr_expect_str_eq(built(&p, NULL, rows[i].options), rows[i].env, "%s",
				 rows[i].options);
	}
}

/* A file with this content in the planning's tree, as --env-file wants it. */
static int make_with_file(struct planning *p, const char *content, size_t len)
{
	_autoclose_ int fd = -1;

	planning_init(p);
	fd = openat(p->tree, "env", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	cr_assert_eq(write(fd, content, len), (ssize_t)len);
	return planning_make(p, arena_printf(&p->arena,
					     "--clearenv --setenv A before --env-file "
					     "%s/env --setenv Z after",
					     p->tree_root));
}

Test(env, files_are_lines_of_variables)
{
	static const struct {
		const char *content, *env;
	} rows[] = {
		{"", "A=before|Z=after"},
		{"\n\n\n", "A=before|Z=after"},
		{"B=1\nC=2\n", "A=before|B=1|C=2|Z=after"},
		{"B=1", "A=before|B=1|Z=after"},
		{"A=from file\n", "A=from file|Z=after"},
		{"# comment\n  # indented=1\nB=1 # kept\n", "A=before|B=1 # kept|Z=after"},
		{"B=1\r\nC=2\r\n\r\n", "A=before|B=1|C=2|Z=after"},
		{"  \tB=  blanks \n", "A=before|B=  blanks |Z=after"},
		{"B=a=b=c\n", "A=before|B=a=b=c|Z=after"},
		{"B=\n", "A=before|B=|Z=after"},
		{"SECRET\nMISSING\n", "A=before|SECRET=token|Z=after"},
		{"B=\"quoted\" 'too' $HOME\n", "A=before|B=\"quoted\" 'too' $HOME|Z=after"},
		{"PWD=/lie\n", "A=before|Z=after"},
		{"B=1\nB=2\n", "A=before|B=2|Z=after"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		cr_assert_eq(make_with_file(&p, rows[i].content, strlen(rows[i].content)), 0);
		cr_expect_str_eq(joined(&p), rows[i].env, "%s", rows[i].content);
	}
}

Test(env, files_that_are_wrong_say_where)
{
	static const struct {
		const char *content;
		size_t len;
		const char *error;
	} rows[] = {
		{"=1\n", 3, "sbx: --env-file: /env: line 1 has no name before its \"=\"\n"},
		{"A=1\n\n# =\n \t=x\nB=2\n", 16,
		 "sbx: --env-file: /env: line 4 has no name before its \"=\"\n"},
		{"A=1\0B=2\n", 8,
		 "sbx: --env-file: /env: the environment file contains a NUL byte\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		cr_expect_lt(make_with_file(&p, rows[i].content, rows[i].len), 0);
		cr_expect_str_eq(planning_error(&p), rows[i].error, "%s", planning_error(&p));
	}
}

Test(env, get_compares_whole_names)
{
	char *envp[] = {V(""), V("HOMES=no"), V("HOME=/home/me"), V("EMPTY="), NULL};

	cr_expect_str_eq(env_get(envp, "HOME"), "/home/me");
	cr_expect_str_eq(env_get(envp, "EMPTY"), "");
	cr_expect_null(env_get(envp, "HOM"));
	cr_expect_null(env_get(envp, "NONE"));
}
