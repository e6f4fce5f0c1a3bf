/* SPDX-License-Identifier: MIT */
/*
 * sockets: a read-only bind does not keep a program from talking to who listens
 * on a socket below it.
 *
 * Theory of operation
 *
 * No tree is walked here, that is sockets_walk.c's: /proc/net/unix lists every socket of
 * the caller's network namespace with the name it was bound to. Sockets of other network
 * namespaces are not there, so the few that matter most are looked for by name as well.
 * A name counts when it is a socket now and the caller can reach it; what the caller
 * cannot reach, the command cannot either.
 */

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/spec/sockets.h"

enum {
	UNIX_MAX_BYTES = 16 << 20,
	UNIX_FIELDS =
		7, /* of a line in front of the name: unix(7) does not say, net/unix/af_unix.c */
};

/* Where the owner of a socket may well live in a container of its own. */
static const char *const sockets_known[] = {
	"/run/docker.sock",	   "/run/containerd/containerd.sock", "/run/crio/crio.sock",
	"/run/podman/podman.sock", "/run/dbus/system_bus_socket",     "/run/systemd/private",
	"/tmp/.X11-unix/X0",
};

/* The same, below XDG_RUNTIME_DIR. */
static const char *const sockets_known_runtime[] = {
	"bus",	     "podman/podman.sock", "docker.sock",	"pipewire-0",	   "pulse/native",
	"wayland-0", "keyring/ssh",	   "gnupg/S.gpg-agent", "systemd/private",
};

struct finder {
	const struct probe_host *host;
	struct arena *arena;
	struct sockets *found;
};

static bool sockets_has(const struct sockets *found, const char *path)
{
	for (size_t i = 0; i < found->n_paths; i++)
		if (strcmp(found->paths[i], path) == 0)
			return true;
	return false;
}

/* Add the real path of a socket, unless it is there. Return: 0 or -ENOMEM. */
int sockets_add(struct sockets *found, const char *real, struct arena *arena)
{
	const char **grown;

	if (!real)
		return -ENOMEM;
	if (sockets_has(found, real))
		return 0;
	grown = arena_grow(arena, found->paths, found->n_paths, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	found->paths = grown;
	grown[found->n_paths] = arena_dup(arena, real);
	return grown[found->n_paths++] ? 0 : -ENOMEM;
}

/* Return: 0, also for what is no socket, or -ENOMEM. */
static int sockets_try(struct finder *f, const char *path)
{
	char real[PATH_MAX];
	struct stat st;

	if (path[0] != '/' || !realpath(path, real) || lstat(real, &st) < 0 ||
	    !S_ISSOCK(st.st_mode))
		return 0;
	return sockets_add(f->found, real, f->arena);
}

/* The name at the end of a line of /proc/net/unix, or NULL: it can hold blanks. */
static const char *sockets_name(const char *line)
{
	for (int field = 0; field < UNIX_FIELDS; field++) {
		line += strspn(line, " ");
		line += strcspn(line, " ");
	}
	return *line == ' ' && line[1] == '/' ? line + 1 : NULL;
}

static int sockets_add_bound(struct finder *f)
{
	char *text, *line, *end;
	size_t len;
	int r = io_read_file("/proc/net/unix", UNIX_MAX_BYTES, f->arena, &text, &len);

	if (r < 0)
		return r;
	for (line = text; *line && r == 0; line = end) {
		const char *name;

		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = '\0';
		name = sockets_name(line);
		if (name)
			r = sockets_try(f, name);
	}
	return r;
}

static int sockets_add_known(struct finder *f)
{
	const char *runtime = probe_env(f->host->environ_, "XDG_RUNTIME_DIR");
	const char *agent = probe_env(f->host->environ_, "SSH_AUTH_SOCK");
	int r = agent ? sockets_try(f, agent) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(sockets_known) && r == 0; i++)
		r = sockets_try(f, sockets_known[i]);
	for (size_t i = 0; i < ARRAY_SIZE(sockets_known_runtime) && runtime && r == 0; i++) {
		const char *path =
			arena_printf(f->arena, "%s/%s", runtime, sockets_known_runtime[i]);

		r = path ? sockets_try(f, path) : -ENOMEM;
	}
	return r;
}

/**
 * Find the host's sockets that have a name the caller can reach.
 * @arena: owns the result
 *
 * Return: 0, or -errno with *err filled.
 */
int sockets_find(const struct probe_host *host, struct arena *arena, struct sockets *ret,
		 struct sbx_err *err)
{
	struct sockets found = {0};
	struct finder f = {.host = host, .arena = arena, .found = &found};
	int r = sockets_add_bound(&f);

	if (r < 0 && r != -ENOMEM)
		return err_system(err, -r, "/proc/net/unix", "cannot tell the host's sockets");
	if (r < 0 || sockets_add_known(&f) < 0)
		return err_oom(err);
	*ret = found;
	return 0;
}

/* The real path of what a bind binds; NULL where it cannot be told, as when it is not there. */
const char *sockets_source(const struct plan_step *step, struct arena *arena)
{
	char real[PATH_MAX], by_fd[32];
	const char *source = step->source;

	if (!source) {
		struct str_buf name = STR_BUF_ON_STACK(by_fd);

		str_buf_printf(&name, "/proc/self/fd/%d", step->fd);
		source = name.data;
	}
	return realpath(source, real) ? arena_dup(arena, real) : NULL;
}

/**
 * Where a socket appears inside.
 * @source: real path of a bind, @dest its destination
 *
 * Return: a path, or NULL: the bind does not show it, or is of that socket itself,
 * which somebody asked for then.
 */
const char *sockets_place(const char *socket, const char *source, const char *dest,
			  struct arena *arena)
{
	size_t len = path_is_root(source) ? 0 : strlen(source);
	const char *place;

	if (!path_is_below(socket, source) || socket[len] == '\0')
		return NULL;
	/* Not normalised: the mask must go the way that the bind's destination went. */
	place = arena_printf(arena, "%s%s", path_is_root(dest) ? "" : dest, socket + len);
	return place;
}
