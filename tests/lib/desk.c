/* SPDX-License-Identifier: MIT */
/* desk: see the header. */
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "desk.h"

static const char desk_prelude[] =
	"D=$XDG_RUNTIME_DIR/sbx/seccomp READER=${S%/*}/sbx-seccomp; cd\n"
	"box() { \"$S\" --ro-bind /usr /usr \"$@\"; }\n"
	/* A profile that refuses mkdir, with $1 to make it another. */
	"profile() { echo '{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": "
	"[\"mkdir\", \"mkdirat\", \"none_'$1'\"], \"action\": \"SCMP_ACT_ERRNO\"}]}'; }\n"
	/* A reader that counts how often it was run. */
	"printf '#!/bin/sh\\necho >>%s/runs\\nexec %s \"$@\"\\n' \"$HOME\" \"$READER\" >reader\n"
	"chmod 755 reader; : >runs\n"
	"counted() { box --helper sbx-seccomp=$HOME/reader \"$@\"; }\n"
	"runs() { wc -l <runs; }\n"
	/* Is mkdir refused by the filter, and not for another reason? */
	"try() { counted --seccomp p.json \"$@\" -- sh -c 'mkdir /tmp/d 2>/dev/null; echo $?'; }\n"
	"profile >p.json\n";

static struct run_result desk_start(const char *identity, const char *map, uid_t uid,
				    const char *size, const char *script)
{
	static char text[16384], program[4096], dir[4096], runtime[64], var[96], self[4200];

	(void)snprintf(program, sizeof(program), "%s", sbx_program());
	(void)snprintf(dir, sizeof(dir), "%s", program);
	(void)snprintf(text, sizeof(text), "%s%s", desk_prelude, script);
	(void)snprintf(runtime, sizeof(runtime), "/run/user/%u", uid);
	(void)snprintf(self, sizeof(self), "S=%s", program);
	(void)snprintf(var, sizeof(var), "XDG_RUNTIME_DIR=%s", runtime);
	return run_sbx(identity, map, "--allow-userns", "--seccomp=none", "--ro-bind", "/usr",
		       "/usr", "--ro", dirname(dir), size ? "--size" : "--env",
		       size ? size : "NO=", "--perms", "0700", size ? "--tmpfs" : "--dir", runtime,
		       "--env", var, "--env", self, "--", "bash", "-c", text);
}

/* What the script prints, on a desk whose runtime directory has so much room; NULL: is no mount. */
struct run_result desk_run(const char *size, const char *script)
{
	return desk_start("--no-pty", "--map=auto", getuid(), size, script);
}

struct run_result desk_run_as_root(const char *script)
{
	return desk_start("--root", "--map=range", 0, "4M", script);
}

/* Skip where there is no reader, or no sandbox in a sandbox. */
void desk_need(void)
{
	struct run_result r = desk_run("1M", "box --seccomp p.json -- true");

	skip_unless(!strstr(r.err, "is not installed"), "sbx-seccomp is not there");
	cr_assert_eq(r.status, 0, "%s", r.err);
	run_result_finish(&r);
}
