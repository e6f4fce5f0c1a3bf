/* SPDX-License-Identifier: MIT */
/*
 * words: the catalogue of bubblewrap's messages.
 *
 * A row applies where the kind of the step, the beginning of what sbx says, and the
 * errno agree; the first that does wins. In its text stand %S and %D for the step's
 * source and destination, %R for the source where bubblewrap finds it, %N for the destination where
 * bubblewrap mounts it (which sbx does nowhere), %T for its text, %M for its mode, %P for the
 * object of the error, %E for its errno in words, %O for the options of an overlay, %W for what sbx
 * says, %X for what sbx says behind a colon.
 */

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sbx/base/str.h"
#include "sbx/spec/words.h"

enum { WORDS_ANY = -1 };

struct words_row {
	int kind;	  /* enum plan_step_kind; WORDS_ANY: of any, or of no step */
	const char *what; /* how sbx's own message begins; NULL: any */
	int number;	  /* errno; 0: any */
	const char *text;
};

#define WORDS_NO_FILTER                                                                            \
	"Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported "     \
	"EINVAL. (Hint: this requires a kernel configured with CONFIG_SECCOMP and "                \
	"CONFIG_SECCOMP_FILTER.)"

static const struct words_row words_of_steps[] = {
	/* Of whatever has a destination. */
	{WORDS_ANY, "something above the dest", 0, "Can't mkdir parents for %D: Not a directory"},
	{WORDS_ANY, "cannot make what is above", 0, "Can't mkdir parents for %D"},
	{WORDS_ANY, "cannot open or make the destination, a file", 0, "Can't create file at %D"},
	{WORDS_ANY, "cannot open or make", 0, "Can't mkdir %D"},
	{WORDS_ANY, "the destination is not a", 0, "Can't mkdir %D: Not a directory"},
	{WORDS_ANY, "the destination is a", 0, "Can't create file at %D: Is a directory"},

	{PLAN_STEP_BIND, "cannot open source", 0, "Can't find source path %S"},
	{PLAN_STEP_BIND, "is no longer what", 0, "Race condition binding dirfd"},
	{PLAN_STEP_BIND, "is not a directory, so it cannot be the root", 0,
	 "Can't create file at %D: Is a directory"},
	{PLAN_STEP_BIND, NULL, 0,
	 "Can't bind mount %R on %N: Unable to mount source on destination: %E"},
	{PLAN_STEP_TMPFS, NULL, 0, "Can't mount tmpfs on %N"},
	{PLAN_STEP_PROC, NULL, 0, "Can't mount proc on %N"},
	{PLAN_STEP_DEV, "cannot bind the device", 0,
	 "Can't bind mount /oldroot/%P on %N: Unable to mount source on destination: %E"},
	{PLAN_STEP_DEV, "cannot clone the device", 0,
	 "Can't bind mount /oldroot/%P on %N: Unable to mount source on destination: %E"},
	{PLAN_STEP_DEV, "cannot mount the new devpts", 0, "Can't mount devpts on %N/pts"},
	{PLAN_STEP_MQUEUE, NULL, 0, "Can't mount mqueue on %N"},
	{PLAN_STEP_LAYERS, "cannot open the layer", 0, "Can't find source path %P"},
	{PLAN_STEP_LAYERS, "cannot open RWSRC", 0, "Can't find source path %P"},
	{PLAN_STEP_LAYERS, "cannot open WORKDIR", 0, "Can't find source path %P"},
	{PLAN_STEP_LAYERS, "the kernel cannot make the overlay: Overlay", 0,
	 "Can't make overlay mount on %N with options %O: Overlay directories may not overlap"},
	{PLAN_STEP_LAYERS, "the kernel cannot make the overlay", 0,
	 "Can't make overlay mount on %N with options %O: %E"},
	{PLAN_STEP_LAYERS, "is not a directory", 0,
	 "Can't make overlay mount on %N with options %O: Invalid argument"},
	{PLAN_STEP_LAYERS, NULL, 0, "Can't make overlay mount on %N with options %O: %P: %W"},
	{PLAN_STEP_DIR, NULL, 0, "Can't mkdir %D"},
	{PLAN_STEP_FILE, "cannot fill", 0, "Can't write data to file %D"},
	{PLAN_STEP_FILE, NULL, 0, "Can't create file %D"},
	{PLAN_STEP_BIND_DATA, "cannot copy", 0, "Can't write data to file %D"},
	{PLAN_STEP_BIND_DATA, "cannot set the mode", 0,
	 "Can't set mode %M on file to be used for %D"},
	{PLAN_STEP_BIND_DATA, NULL, 0, "Can't create tmpfile for %D"},
	{PLAN_STEP_SYMLINK, "is the name of a directory", 0,
	 "Can't make symlink at %D: destination exists and is not a symlink"},
	{PLAN_STEP_SYMLINK, "exists and is no", 0,
	 "Can't make symlink at %D: destination exists and is not a symlink"},
	{PLAN_STEP_SYMLINK, "is a link to something else", 0,
	 "Can't make symlink at %D: existing destination is %X"},
	{PLAN_STEP_SYMLINK, NULL, 0, "Can't make symlink at %D"},
	{PLAN_STEP_CHMOD, NULL, 0, "Can't chmod %M %D"},
	{PLAN_STEP_REMOUNT, "is not a mount point", 0,
	 "Can't remount readonly on %N: Unable to find \"%N\" in mount table"},
	{PLAN_STEP_REMOUNT, "cannot open the", 0,
	 "Can't remount readonly on %N: realpath(destination): %E"},
	{PLAN_STEP_REMOUNT, NULL, 0,
	 "Can't remount readonly on %N: Unable to remount destination with correct flags: %E"},
	{PLAN_STEP_HOSTNAME, NULL, 0, "Can't set hostname to %T"},
	{PLAN_STEP_LOOPBACK, NULL, 0, "loopback: Failed RTM_NEWLINK"},
	{PLAN_STEP_CHDIR, "cannot change", 0, "Can't chdir to %P"},
	{PLAN_STEP_FILTER_DATA, "cannot read", 0, "Can't read seccomp data"},
	{PLAN_STEP_FILTER_DATA, "the filter is longer", 0, WORDS_NO_FILTER},
	{PLAN_STEP_FILTER_DATA, NULL, 0, "Invalid seccomp data, must be multiple of 8"},
	{PLAN_STEP_RAW_FILTER, NULL, EINVAL, WORDS_NO_FILTER},
	{PLAN_STEP_RAW_FILTER, NULL, 0, "prctl(PR_SET_SECCOMP)"},
	{PLAN_STEP_LOCK, "cannot change", 0, "Can't chdir to %P"},
	{PLAN_STEP_LOCK, "cannot open", 0, "Unable to open lock file %D"},
	{PLAN_STEP_LOCK, NULL, 0, "Unable to lock file %D"},
	{PLAN_STEP_ASSERT_NO_USERNS, NULL, 0,
	 "creation of new user namespaces was not disabled as requested"},
	{PLAN_STEP_ENTER_USERNS, NULL, 0, "Setting userns2 failed"},
	{PLAN_STEP_NEST_USERNS, "cannot create", 0, "unshare user ns"},
	{PLAN_STEP_EXEC, NULL, 0, "execvp %T"},
};

static const struct words_row words_of_launch[] = {
	{WORDS_ANY, "cannot enter the user namespace", EINVAL,
	 "Joining the specified user namespace failed, it might not be a descendant of the current "
	 "user namespace."},
	{WORDS_ANY, "cannot enter the user namespace", 0,
	 "Joining specified user namespace failed"},
	{WORDS_ANY, "is the caller's own user namespace", 0,
	 "Setting userns2 failed: Invalid argument"},
	{WORDS_ANY, "cannot enter the pid namespace", 0, "Setting pidns failed"},
	{WORDS_ANY, "cannot create PID 1 there", 0, "Creating new namespace failed"},
	{WORDS_ANY, "cannot create a user namespace", EPERM,
	 "No permissions to create a new namespace, likely because the kernel does not allow "
	 "non-privileged user namespaces. On e.g. debian this can be enabled with 'sysctl "
	 "kernel.unprivileged_userns_clone=1'."},
	{WORDS_ANY, "cannot create a user namespace", EINVAL,
	 "Creating new namespace failed, likely because the kernel does not support user "
	 "namespaces."},
	{WORDS_ANY, "cannot create a user namespace", ENOSPC,
	 "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded "
	 "(ENOSPC)"},
	{WORDS_ANY, "cannot create a user namespace", 0, "Creating new namespace failed"},
	{WORDS_ANY, "cannot create the sandbox's namespaces", 0, "Creating new namespace failed"},
	{WORDS_ANY, "cannot write the id map", 0, "setting up uid map"},
	{WORDS_ANY, "cannot write to descriptor", 0, "Write to info_fd"},
};

/* A descriptor that is not open, or will not be, which sbx finds out before anything is done. */
static const struct {
	const char *option, *text;
	char behind; /* the text goes on with N, its number, P, the object of the error, or not */
	const char *end;
} words_of_descriptors[] = {
	{"--bind-fd", "Can't find source path /proc/self/fd/", 'N', "No such file or directory"},
	{"--ro-bind-fd", "Can't find source path /proc/self/fd/", 'N', "No such file or directory"},
	{"--seccomp", "Can't read seccomp data", 0, "Bad file descriptor"},
	{"--add-seccomp-fd", "Can't read seccomp data", 0, "Bad file descriptor"},
	{"--userns", "Joining specified user namespace failed", 0, "Bad file descriptor"},
	{"--userns2", "Setting userns2 failed", 0, "Bad file descriptor"},
	{"--pidns", "Setting pidns failed", 0, "Bad file descriptor"},
	{"--info-fd", "Write to info_fd", 0, "Bad file descriptor"},
	{"--json-status-fd", "Write to info_fd", 0, "Bad file descriptor"},
	{"--file", "Can't write data to file ", 'P', "Bad file descriptor"},
	{"--bind-data", "Can't write data to file ", 'P', "Bad file descriptor"},
	{"--ro-bind-data", "Can't write data to file ", 'P', "Bad file descriptor"},
};

/* What cannot be at the root, which sbx finds out likewise. The destination comes in between. */
static const char words_not_root[] = "cannot be the root of the sandbox";

static const struct {
	const char *option, *text, *end;
} words_of_roots[] = {
	{"--file", "Can't create file ", ": Is a directory"},
	{"--bind-data", "Can't create file at ", ": Is a directory"},
	{"--ro-bind-data", "Can't create file at ", ": Is a directory"},
	{"--symlink", "Can't make symlink at ", ": destination exists and is not a symlink"},
};

static const struct words_row *words_find(const struct words_row *rows, size_t n, int kind,
					  const struct sbx_err *err)
{
	for (size_t i = 0; i < n; i++)
		if ((rows[i].kind == kind || rows[i].kind == WORDS_ANY) &&
		    (!rows[i].what || str_starts_with(err->what, rows[i].what)) &&
		    (rows[i].number == 0 || rows[i].number == err->number))
			return &rows[i];
	return NULL;
}

static const char *words_or_empty(const char *text)
{
	return text ? text : "";
}

static const char *words_skip_slashes(const char *path)
{
	return path + strspn(path, "/");
}

/* A path of the host by its name without links, where bubblewrap mounts it from. */
static void words_put_oldroot(struct str_buf *out, const char *path)
{
	char real[PATH_MAX];

	str_buf_printf(out, "/oldroot%s", realpath(path, real) ? real : path);
}

/* The mount options that bubblewrap would have used. */
static void words_put_options(struct str_buf *out, const struct plan_layers *layers)
{
	assert(layers);
	if (layers->upper) {
		str_buf_puts(out, "upperdir=");
		words_put_oldroot(out, layers->upper);
		str_buf_puts(out, ",workdir=");
		words_put_oldroot(out, layers->work);
		str_buf_puts(out, ",");
	} else if (layers->top == PLAN_LAYERS_TMP) {
		str_buf_puts(out, "upperdir=/tmp-overlay-upper-0,workdir=/tmp-overlay-work-0,");
	}
	str_buf_puts(out, "lowerdir=");
	for (size_t i = layers->n_lower; i > 0; i--) {
		words_put_oldroot(out, layers->lower[i - 1]);
		str_buf_puts(out, i > 1 ? ":" : "");
	}
	str_buf_puts(out, ",userxattr");
}

static void words_put_source(struct str_buf *out, const struct plan_step *step)
{
	if (step->source)
		str_buf_puts(out, step->source);
	else
		str_buf_printf(out, "/proc/self/fd/%d", step->fd);
}

/* What one letter stands for. */
static void words_put(struct str_buf *out, char letter, const struct plan_step *step,
		      const struct sbx_err *err)
{
	const char *colon = strstr(err->what, ": ");

	switch (letter) {
	case 'S':
		words_put_source(out, step);
		break;
	case 'R':
		if (step->source)
			words_put_oldroot(out, step->source);
		else
			words_put_source(out, step);
		break;
	case 'D':
		str_buf_puts(out, words_or_empty(step->dest));
		break;
	case 'N':
		str_buf_puts(out, "/newroot/");
		str_buf_puts(out, words_skip_slashes(words_or_empty(step->dest)));
		break;
	case 'E':
		str_buf_puts(out, strerror(err->number));
		break;
	case 'T':
		str_buf_puts(out, words_or_empty(step->text));
		break;
	case 'M':
		str_buf_printf(out, "%#o", (unsigned)step->mode);
		break;
	case 'P':
		str_buf_puts(out, err->path);
		break;
	case 'W':
		str_buf_puts(out, err->what);
		break;
	case 'O':
		words_put_options(out, step->layers);
		break;
	case 'X': /* what sbx's own message says behind its colon */
		str_buf_puts(out, colon ? colon + 2 : "");
		break;
	}
}

static void words_apply(const struct words_row *row, const struct plan_step *step,
			struct sbx_err *err)
{
	char room[sizeof(err->what)];
	struct str_buf out = STR_BUF_ON_STACK(room);

	for (const char *p = row->text; *p; p++) {
		if (*p == '%' && p[1])
			words_put(&out, *++p, step, err);
		else
			str_buf_printf(&out, "%c", *p);
	}
	if (row->number || strstr(row->text, ": "))
		err->number = 0; /* the text says it */
	str_copy(err->what, sizeof(err->what), out.data);
	err->option[0] = '\0';
	err->path[0] = '\0';
}

/**
 * Say it as bubblewrap does.
 * @step: the one that failed
 */
void words_reword_step(struct sbx_err *err, const struct plan_step *step)
{
	const struct words_row *row =
		words_find(words_of_steps, ARRAY_SIZE(words_of_steps), (int)step->kind, err);

	if (step->kind == PLAN_STEP_EXEC && err->number == 0)
		err->number = err->exit_code == ERR_EXIT_NOT_FOUND ? ENOENT : EACCES;
	if (row)
		words_apply(row, step, err);
}

static void words_reword_descriptor(struct sbx_err *err)
{
	static const char begin[] = "descriptor ", end[] = " is not open";
	static const char read_end[] = " has been read by then";
	char number[32], room[sizeof(err->what)];
	struct str_buf out = STR_BUF_ON_STACK(room);
	size_t len;

	if (!str_starts_with(err->what, begin))
		return;
	str_copy(number, sizeof(number), err->what + strlen(begin));
	len = strcspn(number, " ");
	if (strcmp(number + len, end) != 0 && strcmp(number + len, read_end) != 0)
		return;
	number[len] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(words_of_descriptors); i++) {
		if (strcmp(err->option, words_of_descriptors[i].option) != 0)
			continue;
		str_buf_puts(&out, words_of_descriptors[i].text);
		if (words_of_descriptors[i].behind)
			str_buf_puts(&out,
				     words_of_descriptors[i].behind == 'N' ? number : err->path);
		str_buf_printf(&out, ": %s", words_of_descriptors[i].end);
		str_copy(err->what, sizeof(err->what), out.data);
		err->option[0] = err->path[0] = '\0';
		return;
	}
}

static void words_reword_root(struct sbx_err *err)
{
	char room[sizeof(err->what)];
	struct str_buf out = STR_BUF_ON_STACK(room);

	for (size_t i = 0; i < ARRAY_SIZE(words_of_roots); i++) {
		if (strcmp(err->option, words_of_roots[i].option) != 0)
			continue;
		str_buf_printf(&out, "%s%s%s", words_of_roots[i].text, err->path,
			       words_of_roots[i].end);
		str_copy(err->what, sizeof(err->what), out.data);
		err->option[0] = err->path[0] = '\0';
		return;
	}
}

/* The same of a failure that is no step's. */
void words_reword(struct sbx_err *err)
{
	static const struct plan_step no_step = {.fd = -1};
	const struct words_row *row =
		words_find(words_of_launch, ARRAY_SIZE(words_of_launch), WORDS_ANY, err);

	if (row)
		words_apply(row, &no_step, err);
	else if (strcmp(err->what, words_not_root) == 0)
		words_reword_root(err);
	else
		words_reword_descriptor(err);
}
