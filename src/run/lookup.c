/* SPDX-License-Identifier: MIT */
/*
 * lookup: execute the command as a shell would, and explain a failure.
 *
 * execve(2) says "No such file or directory" for a missing command, a missing
 * interpreter of a script and a missing loader of a program alike. What it was is
 * found out afterwards, by reading the head of the file. That file comes from
 * the sandbox, so this happens here, without any privilege.
 */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/run/lookup.h"
#include "sbx/spec/hints.h"

/* What a shell searches where PATH is not set. */
static const char lookup_default_path[] =
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

enum {
	LOOKUP_HEAD_BYTES = 4096,
	LOOKUP_LINE_BYTES = 256, /* of a script's first line, the kernel's limit */
	LOOKUP_SCRIPTS_MAX = 5,	 /* the kernel's limit */
};

static int lookup_fail(struct sbx_err *err, int exit_code, const char *object, int number,
		       const char *what, const char *detail)
{
	if (number)
		(void)err_system(err, number, object, "%s%s", what, detail);
	else
		(void)err_refuse(err, ENOENT, object, "%s%s", what, detail);
	err->exit_code = exit_code;
	return -ENOENT;
}

/* The first bytes of a file, NUL-terminated. Return: how many, or -errno. */
static ssize_t lookup_read_head(int fd, char *head, size_t size)
{
	ssize_t n = pread(fd, head, size - 1, 0);

	head[n > 0 ? n : 0] = '\0';
	return n < 0 ? -errno : n;
}

static size_t lookup_read_file(const char *path, char *head, size_t size)
{
	_autoclose_ int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	ssize_t n = fd < 0 ? -1 : lookup_read_head(fd, head, size);

	if (n < 0)
		head[0] = '\0';
	return n < 0 ? 0 : (size_t)n;
}

/* "#!/usr/bin/python3 -E" -> "/usr/bin/python3" */
static bool lookup_interpreter(const char *head, size_t len, char *name, size_t size)
{
	size_t start, n;

	if (len < 3 || head[0] != '#' || head[1] != '!')
		return false;
	start = 2 + strspn(head + 2, " \t");
	n = strcspn(head + start, " \t\n");
	if (n == 0 || n >= size)
		return false;
	memcpy(name, head + start, n);
	name[n] = '\0';
	return true;
}

/* What is needed of a program header, whatever its class. */
struct lookup_segment {
	uint64_t type, offset, size;
};

static bool lookup_read(const char *head, size_t len, uint64_t at, void *ret, size_t size)
{
	if (at > len || len - at < size)
		return false;
	memcpy(ret, head + at, size);
	return true;
}

/* Program header number `i`. Return: false where it lies behind the bytes that were read. */
static bool lookup_segment(const char *head, size_t len, bool is_64, size_t i,
			   struct lookup_segment *segment)
{
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;
	Elf32_Ehdr ehdr32;
	Elf32_Phdr phdr32;

	if (is_64) {
		if (!lookup_read(head, len, 0, &ehdr, sizeof(ehdr)) || i >= ehdr.e_phnum ||
		    !lookup_read(head, len, ehdr.e_phoff + i * sizeof(phdr), &phdr, sizeof(phdr)))
			return false;
		*segment = (struct lookup_segment){phdr.p_type, phdr.p_offset, phdr.p_filesz};
		return true;
	}
	if (!lookup_read(head, len, 0, &ehdr32, sizeof(ehdr32)) || i >= ehdr32.e_phnum ||
	    !lookup_read(head, len, ehdr32.e_phoff + i * sizeof(phdr32), &phdr32, sizeof(phdr32)))
		return false;
	*segment = (struct lookup_segment){phdr32.p_type, phdr32.p_offset, phdr32.p_filesz};
	return true;
}

/* The ELF loader (PT_INTERP of elf(5)) that a program asks for. */
static bool lookup_loader(const char *head, size_t len, char *name, size_t size)
{
	struct lookup_segment segment;

	if (len < EI_NIDENT || memcmp(head, ELFMAG, SELFMAG) != 0)
		return false;
	for (size_t i = 0; lookup_segment(head, len, head[EI_CLASS] == ELFCLASS64, i, &segment);
	     i++) {
		if (segment.type != PT_INTERP)
			continue;
		if (segment.size < 2 || segment.size > size ||
		    !lookup_read(head, len, segment.offset, name, segment.size))
			return false;
		name[segment.size - 1] = '\0';
		return true;
	}
	return false;
}

/* "/lib64/ld-linux-x86-64.so.2" -> "/lib64" */
static void lookup_dirname(const char *path, char *dir, size_t size)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash && slash > path ? (size_t)(slash - path) : 1;

	if (len >= size)
		len = size - 1;
	memcpy(dir, path, len);
	dir[len] = '\0';
}

/*
 * A script whose interpreter is there lacks what that one needs: go to the end of
 * such a chain. Return: the length of the head of the file that `path` says then.
 */
static size_t lookup_follow_scripts(char path[PATH_MAX], char *head, size_t size)
{
	char name[PATH_MAX];
	size_t len = lookup_read_file(path, head, size);

	for (int i = 0; i < LOOKUP_SCRIPTS_MAX; i++) {
		if (!lookup_interpreter(head, len, name, sizeof(name)) || access(name, F_OK) < 0)
			break;
		str_copy(path, PATH_MAX, name);
		len = lookup_read_file(path, head, size);
	}
	return len;
}

/* Which directory to bind for a loader: where it is a link that is there, what that leads to. */
static void lookup_hint_loader(const char *loader, struct sbx_err *err)
{
	char target[PATH_MAX], dir[PATH_MAX];
	ssize_t n = readlink(loader, target, sizeof(target) - 1);

	target[n > 0 ? n : 0] = '\0';
	lookup_dirname(target[0] == '/' ? target : loader, dir, sizeof(dir));
	hint_add_about(err, HINT_NO_LOADER, dir);
}

/* The file is there, and yet it cannot be executed: say what is missing. */
static int lookup_explain_file(const char *command, int number, struct sbx_err *err)
{
	char head[LOOKUP_HEAD_BYTES], path[PATH_MAX], name[PATH_MAX];
	size_t len = 0;
	struct stat st;
	int r;

	str_copy(path, sizeof(path), command);
	if (number == ENOENT)
		len = lookup_follow_scripts(path, head, sizeof(head));
	if (number == ENOENT && lookup_interpreter(head, len, name, sizeof(name))) {
		r = lookup_fail(err, ERR_EXIT_NOT_FOUND, path, 0,
				"the script's interpreter does not exist inside: ", name);
		err_hint(err, name[strlen(name) - 1] == '\r'
				      ? "the script's lines end in carriage returns; take them out "
					"(dos2unix)"
				      : "bind the interpreter, or correct the first line of the "
					"script");
		return r;
	}
	if (number == ENOENT && lookup_loader(head, len, name, sizeof(name))) {
		r = lookup_fail(err, ERR_EXIT_NOT_FOUND, path, 0,
				"the program's loader does not exist inside: ", name);
		lookup_hint_loader(name, err);
		return r;
	}
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return lookup_fail(err, ERR_EXIT_NOT_EXECUTABLE, path, 0, "is a directory", "");
	r = lookup_fail(err, ERR_EXIT_NOT_EXECUTABLE, path, number, "cannot execute", "");
	if (number == EACCES && stat(path, &st) == 0 && !(st.st_mode & 0111))
		err_hint(err, "the file is not executable; chmod +x, or run its interpreter");
	else if (number == EACCES)
		err_hint(err, "it may lie on a mount with noexec, or in a directory that cannot be "
			      "entered");
	else if (number == ENOEXEC)
		err_hint(err,
			 "it is no program of this machine's kind; a script needs a first line "
			 "such as #!/bin/sh");
	else if (number == E2BIG)
		err_hint(err, "arguments and environment together are too long; see execve(2)");
	return r;
}

static int lookup_explain(const char *path, int number, struct sbx_err *err)
{
	struct stat st;

	if (number == ENOENT && lstat(path, &st) < 0) {
		int r = lookup_fail(err, ERR_EXIT_NOT_FOUND, path, 0,
				    "no such file inside the sandbox", "");

		hint_add(err, HINT_NO_FILE);
		return r;
	}
	if (number == ENOENT && stat(path, &st) < 0)
		return lookup_fail(err, ERR_EXIT_NOT_FOUND, path, 0,
				   "is a symbolic link to a file that does not exist inside", "");
	if (number == ENOTDIR || number == ELOOP || number == ENAMETOOLONG)
		return lookup_fail(err, ERR_EXIT_NOT_FOUND, path, number, "cannot be found", "");
	return lookup_explain_file(path, number, err);
}

/* Is this a reason that execve(2) will fail for too, or that does not matter to it? */
static bool lookup_execve_will_tell(int number)
{
	static const int numbers[] = {ENOENT, EACCES, ENOTDIR, ELOOP, ENAMETOOLONG, ENXIO, ENODEV};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (numbers[i] == number)
			return true;
	return false;
}

/*
 * A command, or the interpreter of a script, that is reached through one of
 * /proc's magic links may be sbx itself (/proc/self/exe): executed inside, the
 * host's file would be in the reach of the sandbox (CVE-2019-5736).
 *
 * What cannot be read, or is not there, execve(2) judges by itself: no magic link
 * was met on the way to it, or openat2(2) would have said so first.
 *
 * Return: 0; or -errno with *err filled.
 */
static int lookup_refuse_magic(const char *path, struct sbx_err *err)
{
	char head[LOOKUP_LINE_BYTES], interpreter[PATH_MAX];
	const char *at = path;

	for (int i = 0; i < LOOKUP_SCRIPTS_MAX; i++) {
		_autoclose_ int fd = sys_openat2(AT_FDCWD, at, O_RDONLY | O_NONBLOCK | O_CLOEXEC,
						 RESOLVE_NO_MAGICLINKS);
		ssize_t n;

		if (fd < 0 && errno == ELOOP && access(at, F_OK) == 0) {
			int r = err_refuse(err, ELOOP, at, "leads through a magic link of /proc");

			err->exit_code = ERR_EXIT_NOT_EXECUTABLE;
			err_hint(err, "name the program by a path of its own");
			return r;
		}
		if (fd < 0)
			return lookup_execve_will_tell(errno)
				       ? 0
				       : err_system(err, errno, at, "cannot open to look at it");
		n = lookup_read_head(fd, head, sizeof(head));
		if (n < 0 && n != -EISDIR)
			return err_system(err, (int)-n, at, "cannot read its first line");
		if (n < 0 || !lookup_interpreter(head, (size_t)n, interpreter, sizeof(interpreter)))
			return 0;
		at = interpreter;
	}
	return 0;
}

/* A script without a first line that says by what: execvp(3) gives it to the shell. */
static void lookup_run_by_shell(const struct sbx_plan *plan, const char *path)
{
	static const char shell[] = "/bin/sh";
	const char **argv;
	size_t n = 0;
	int number;

	while (plan->argv[n])
		n++;
	argv = calloc(n + 2, sizeof(*argv));
	if (!argv)
		return;
	argv[0] = shell;
	argv[1] = path;
	for (size_t i = 1; i < n; i++)
		argv[i + 1] = plan->argv[i];
	(void)execve(shell, (char *const *)(uintptr_t)argv, plan->envp);
	number = errno;
	free(argv);
	errno = number;
}

/* Execute a file. Returns only on failure: the errno, or -ELOOP with *err filled. */
static int lookup_try(const struct sbx_plan *plan, const char *path, struct sbx_err *err)
{
	int r = plan->runs_magic || plan->looks_first ? 0 : lookup_refuse_magic(path, err);

	if (r < 0)
		return r;
	(void)execve(path, (char *const *)(uintptr_t)plan->argv, plan->envp);
	if (errno == ENOEXEC && plan->shell_runs_text)
		lookup_run_by_shell(plan, path);
	return errno;
}

/* The next candidate of PATH into `full`. Return: the rest of PATH, or NULL behind its end. */
static const char *lookup_next(const char *path, const char *name, char *full, size_t size)
{
	size_t n = strcspn(path, ":");
	int len = snprintf(full, size, "%.*s%s%s", (int)n, path, n ? "/" : "", name);

	if (len < 0 || (size_t)len >= size)
		full[0] = '\0';
	return path[n] == ':' ? path + n + 1 : NULL;
}

/* What execvp(3) says of a PATH that has led to nothing: EACCES where there was any, else the last.
 */
static int lookup_sum_up(int before, int number)
{
	return before == EACCES ? before : number;
}

/*
 * Try every directory of PATH. A file that is there but cannot be executed is
 * remembered: if no other is found, it is the one to explain.
 */
static int lookup_on_path(const struct sbx_plan *plan, const char *path, struct sbx_err *err)
{
	const char *name = plan->command;
	char full[PATH_MAX], there[PATH_MAX] = "";
	int number = 0, sum = 0, r;

	for (const char *rest = path; rest;) {
		struct stat st;

		rest = lookup_next(rest, name, full, sizeof(full));
		if (full[0] == '\0')
			continue;
		r = lookup_try(plan, full, err);
		if (r < 0)
			return r;
		sum = lookup_sum_up(sum, r);
		if (number == 0 && lstat(full, &st) == 0 && !S_ISDIR(st.st_mode)) {
			number = r;
			memcpy(there, full, sizeof(there));
		}
	}
	if (number)
		return lookup_explain(there, number, err);
	r = lookup_fail(err, ERR_EXIT_NOT_FOUND, name, 0,
			"no such command on PATH inside the sandbox", "");
	hint_add_about(err, HINT_NO_COMMAND, path);
	if (plan->bwrap_words)
		err->number = sum;
	return r;
}

static const char *lookup_path_variable(char *const *envp)
{
	for (; *envp; envp++)
		if (str_starts_with(*envp, "PATH="))
			return *envp + sizeof("PATH=") - 1;
	return lookup_default_path;
}

/**
 * Look at what lookup_exec() is going to execute, before a filter that may not let it be
 * opened: is there a magic link on the way?
 *
 * Return: 0, also where there is no such file; or -errno with *err filled.
 */
int lookup_check(const struct sbx_plan *plan, struct sbx_err *err)
{
	const char *name = plan->command, *rest = lookup_path_variable(plan->envp);
	char full[PATH_MAX];
	int r = 0;

	if (*name == '\0')
		return 0;
	if (strchr(name, '/'))
		return lookup_refuse_magic(name, err);
	while (rest && r == 0) {
		rest = lookup_next(rest, name, full, sizeof(full));
		if (full[0] != '\0')
			r = lookup_refuse_magic(full, err);
	}
	return r;
}

/**
 * Become the command. Returns only on failure: -errno, with *err saying which of
 * the reasons it is and the exit code that goes with it.
 */
int lookup_exec(const struct sbx_plan *plan, struct sbx_err *err)
{
	const char *name = plan->command;
	int r;

	if (*name == '\0')
		return lookup_fail(err, ERR_EXIT_NOT_FOUND, NULL, 0, "the command is an empty word",
				   "");
	if (!strchr(name, '/'))
		return lookup_on_path(plan, lookup_path_variable(plan->envp), err);
	r = lookup_try(plan, name, err);
	return r < 0 ? r : lookup_explain(name, r, err);
}
