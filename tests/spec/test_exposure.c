/* SPDX-License-Identifier: MIT */
/* Remarks on what the sandbox can reach of the host. */

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "planning.h"

#include "sbx/spec/exposure.h"

/* The remarks of `sbx OPTIONS`, in which %s is the made-up host's directory, "map" left out. */
static const char *exposed(struct planning *p, const char *options)
{
	char *text = arena_dup(&p->arena, "");

	while (*options) {
		bool tree = strncmp(options, "%s", 2) == 0;

		text = tree ? arena_printf(&p->arena, "%s%s", text, p->tree_root)
			    : arena_printf(&p->arena, "%s%c", text, *options);
		options += tree ? 2 : 1;
	}
	p->host.home = arena_printf(&p->arena, "%s/home/me", p->tree_root);
	/* Sources are looked at from where the process is, which is where the host says. */
	cr_assert_eq(fchdir(p->tree), 0);
	p->host.cwd = p->tree_root;
	cr_assert_eq(mkdirat(p->tree, "home", 0755), 0);
	cr_assert_eq(mkdirat(p->tree, "home/me", 0755), 0);
	cr_assert_eq(planning_make(p, arena_printf(&p->arena, "--map=single%s%s", *text ? " " : "",
						   text)),
		     0);
	cr_assert_eq(exposure_add_remarks(&p->host, false, &p->plan, &p->err), 0);
	return planning_remarks(p);
}

#define WRITABLE " can be written by the command\n"
#define HOME " holds the home directory: keys, tokens and histories can be read\n"

Test(exposure, binds_are_remarked_on)
{
	static const struct {
		const char *options, *remarks;
	} rows[] = {
		{"", ""},
		{"--ro-bind %s/usr /usr", ""},
		{"--bind %s/usr /usr", "exposed: /usr" WRITABLE},
		{"--bind usr /usr", "exposed: /usr" WRITABLE},
		{"--bind %s/usr/../etc /x", "exposed: /etc" WRITABLE},
		{"--ro-bind %s/home /home", "exposed: /home" HOME},
		{"--ro-bind %s/home/me /h", "exposed: /home/me" HOME},
		{"--bind %s/home/me /h", "exposed: /home/me" WRITABLE "exposed: /home/me" HOME},
		{"--mount-opt ro --bind %s/usr /usr", ""},
		{"--dev-bind %s/usr /usr",
		 "exposed: /usr" WRITABLE "exposed: /usr lets device nodes work inside\n"},
		{"--bind-try %s/gone /gone", ""},
		{"--tmpfs /t --dir /d --symlink a /b", ""},
		{"--share-net",
		 "exposed: the host's network, but not its abstract sockets (Landlock)\n"},
		{"--share-net --landlock=off",
		 "exposed: the host's network, abstract sockets included\n"},
		{"--share-pid",
		 "exposed: the host's processes, but not to be signalled (Landlock); what the "
		 "command leaves behind when sbx is killed is not ended\n"},
		{"--share-pid --landlock=off",
		 "exposed: the host's processes; what the command leaves behind when "
		 "sbx is killed is not ended\n"},
		{"--rw %s/usr --ro %s/etc", "exposed: /usr" WRITABLE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		planning_init(&p);
		cr_expect_str_eq(exposed(&p, rows[i].options), rows[i].remarks, "%s:\n%s",
				 rows[i].options, planning_remarks(&p));
	}
}

Test(exposure, sockets_are_remarked_on)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_autoclose_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_autoplanning_ struct planning p;

	planning_init(&p);
	/* Relative to the tree: its whole path may be too long for an address. */
	cr_assert_eq(fchdir(p.tree), 0);
	memcpy(address.sun_path, "socket", sizeof("socket"));
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	cr_expect_str_eq(
		exposed(&p, "--ro-bind %s/socket /s"),
		"exposed: /socket is a socket of the host: what listens there can be asked to "
		"act\n");
}

Test(exposure, places_of_well_known_sockets_are_remarked_on)
{
	static const struct {
		const char *options, *words;
	} rows[] = {
		{"--ro-bind /tmp /tmp", "/tmp may hold X11's socket"},
		{"--ro-bind / /host", "/ may hold X11's socket"},
		{"--ro-bind / /host", "/ may hold a D-Bus socket"},
		{"--ro-bind / /host", "/ may hold a container engine's socket"},
		{"--ro-bind / /host", "/ holds the home directory"},
		{"--ro-bind /run /run", "/run may hold a D-Bus socket"},
		{"--ro-bind /run /run", "/run may hold a container engine's socket"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_autoplanning_ struct planning p;

		planning_init(&p);
		cr_expect(strstr(exposed(&p, rows[i].options), rows[i].words), "%s: %s",
			  rows[i].options, planning_remarks(&p));
	}
}
