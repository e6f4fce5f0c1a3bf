/* SPDX-License-Identifier: MIT */
/* The command, found and executed; or which of the reasons it is that it cannot be. */

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ns.h"
#include "testlib.h"

#include "sbx/base/arena.h"
#include "sbx/base/io.h"
#include "sbx/run/lookup.h"

struct lookup_case {
	const char *command; /* "%" stands for the tree's path, here and below */
	const char *path;    /* PATH; NULL: not set */
	int exit_code;
	const char *object, *what, *hint; /* hint: a part of it; NULL: none at all */
	int number;
};

/* With every "%" replaced by the tree's path. */
static char *expand(const char *tree, const char *text)
{
	char room[2 * PATH_MAX] = "", *out = room;

	for (; *text; text++)
		out += *text == '%' ? sprintf(out, "%s", tree) : sprintf(out, "%c", *text);
	return strdup(room);
}

static void look_up(const char *tree, const char *command, const char *path, struct sbx_err *err)
{
	_autofree_ char *name = expand(tree, command), *where = expand(tree, path ? path : "");
	_autofree_ char *variable = NULL;
	const char *argv[] = {name, NULL};
	char *envp[] = {(char *)(uintptr_t) "PWD=/", NULL, NULL};
	const struct sbx_plan plan = {.command = argv[0], .argv = argv, .envp = envp};

	cr_assert_gt(asprintf(&variable, "PATH=%s", where), 0);
	if (path)
		envp[1] = variable;
	cr_expect_lt(lookup_exec(&plan, err), 0);
}

static void expect_case(const char *tree, const struct lookup_case *c)
{
	_autofree_ char *object = expand(tree, c->object), *what = expand(tree, c->what);
	_autofree_ char *hint = c->hint ? expand(tree, c->hint) : NULL;
	struct sbx_err err;

	look_up(tree, c->command, c->path, &err);
	cr_expect_eq(err.exit_code, c->exit_code, "%s: exit code %d", c->command, err.exit_code);
	cr_expect_str_eq(err.path, object, "%s: %s", c->command, err.path);
	cr_expect_str_eq(err.what, what, "%s: %s", c->command, err.what);
	cr_expect_eq(err.number, c->number, "%s: %d", c->command, err.number);
	if (hint)
		cr_expect(strstr(err.hint, hint), "%s: %s", c->command, err.hint);
	else
		cr_expect_str_empty(err.hint, "%s: %s", c->command, err.hint);
}

Test(lookup, every_reason_has_its_own_words)
{
	static const struct lookup_case cases[] = {
		{"", NULL, 127, "", "the command is an empty word", NULL, 0},
		{"no-such-command", "/usr/bin:%", 127, "no-such-command",
		 "no such command on PATH inside the sandbox", "PATH is /usr/bin:%;", 0},
		{"no-such-command", NULL, 127, "no-such-command",
		 "no such command on PATH inside the sandbox", "PATH is /usr/local/sbin:", 0},
		{"%/none", NULL, 127, "%/none", "no such file inside the sandbox",
		 "--ro-bind /usr /usr", 0},
		{"%/none/none", NULL, 127, "%/none/none", "no such file inside the sandbox",
		 "--ro-bind", 0},
		{"%/dangling", NULL, 127, "%/dangling",
		 "is a symbolic link to a file that does not exist inside", NULL, 0},
		{"%/plain/below", NULL, 127, "%/plain/below", "cannot be found", NULL, ENOTDIR},
		{"%/loop", NULL, 127, "%/loop", "cannot be found", NULL, ELOOP},
		{"%/dir", NULL, 126, "%/dir", "is a directory", NULL, 0},
		{"%/plain", NULL, 126, "%/plain", "cannot execute", "chmod +x", EACCES},
		{"%/no-interpreter", NULL, 127, "%/no-interpreter",
		 "the script's interpreter does not exist inside: /nonexistent/interpreter",
		 "bind the interpreter", 0},
		{"%/blanks", NULL, 127, "%/blanks",
		 "the script's interpreter does not exist inside: /nonexistent/interpreter",
		 "bind the interpreter", 0},
		{"%/dos", NULL, 127, "%/dos",
		 "the script's interpreter does not exist inside: /nonexistent/sh\r",
		 "carriage returns", 0},
		{"%/no-shebang", NULL, 126, "%/no-shebang", "cannot execute", "#!/bin/sh", ENOEXEC},
		{"%/empty", NULL, 126, "%/empty", "cannot execute", "#!/bin/sh", ENOEXEC},
		/* By PATH: what is there but cannot be executed is better than nothing. */
		{"plain", "/nonexistent:%", 126, "%/plain", "cannot execute", "chmod +x", EACCES},
		{"no-interpreter", "%", 127, "%/no-interpreter",
		 "the script's interpreter does not exist inside: /nonexistent/interpreter",
		 "bind the interpreter", 0},
		{"dir", "%", 127, "dir", "no such command on PATH inside the sandbox", "PATH is",
		 0},
		{"dangling", "%", 127, "%/dangling",
		 "is a symbolic link to a file that does not exist inside", NULL, 0},
	};
	_autoclose_ int tree =
		tmp_tree("dangling -> none", "loop -> loop", "dir/", "plain=text", "empty",
			 "no-interpreter=#!/nonexistent/interpreter -x\n",
			 "blanks=#! \t/nonexistent/interpreter\targ\n",
			 "dos=#!/nonexistent/sh\r\necho\r\n", "no-shebang=echo hello\n");
	_autofree_ char *path = tree_path(tree, "");

	cr_assert_eq(fchmodat(tree, "empty", 0755, 0), 0);
	cr_assert_eq(fchmodat(tree, "no-shebang", 0755, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_case(path, &cases[i]);
}

Test(lookup, long_names_are_not_cut_into_others)
{
	_autoclose_ int tree = tmp_tree(NULL);
	_autofree_ char *path = tree_path(tree, "");
	char name[NAME_MAX + 2], deep[PATH_MAX + 8];
	struct sbx_err err;

	memset(name, 'n', NAME_MAX + 1);
	name[NAME_MAX + 1] = '\0';
	look_up(path, name, "%", &err);
	cr_expect_eq(err.exit_code, ERR_EXIT_NOT_FOUND);
	memset(deep, '/', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	look_up(path, deep, NULL, &err);
	cr_expect_eq(err.exit_code, ERR_EXIT_NOT_FOUND);
	cr_expect_eq(err.number, ENAMETOOLONG);
}

/* ---- ELF ---- */

static void put_program(int tree, const char *name, const char *data, size_t len)
{
	_autoclose_ int fd = openat(tree, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	cr_assert_eq(io_write_all(fd, data, len), 0);
}

/* This very program, asking for a loader that does not exist. Return: the loader's name. */
static const char *change_loader(char *data, size_t len)
{
	Elf64_Ehdr ehdr;

	cr_assert_gt(len, sizeof(ehdr));
	memcpy(&ehdr, data, sizeof(ehdr));
	if (ehdr.e_ident[EI_CLASS] != ELFCLASS64)
		return NULL;
	for (size_t i = 0; i < ehdr.e_phnum; i++) {
		Elf64_Phdr phdr;

		memcpy(&phdr, data + ehdr.e_phoff + i * sizeof(phdr), sizeof(phdr));
		if (phdr.p_type != PT_INTERP)
			continue;
		data[phdr.p_offset + 1] = 'X';
		return data + phdr.p_offset;
	}
	return NULL;
}

Test(lookup, a_missing_loader_is_named)
{
	_autoclose_ int tree = tmp_tree(NULL);
	_autofree_ char *path = tree_path(tree, "");
	_autofree_ char *script = NULL;
	_autoarena_ struct arena arena;
	struct lookup_case c = {"%/program", NULL, 127, "%/program", NULL, NULL, 0};
	char what[256], hint[256], *data;
	const char *loader;
	struct sbx_err err;
	size_t len;

	arena_init(&arena);
	cr_assert_eq(io_read_file("/proc/self/exe", 64 << 20, &arena, &data, &len), 0);
	loader = change_loader(data, len);
	skip_unless(loader, "this program has no loader");
	put_program(tree, "program", data, len);
	(void)snprintf(what, sizeof(what), "the program's loader does not exist inside: %s",
		       loader);
	(void)snprintf(hint, sizeof(hint), "--ro-bind %.*s ", (int)(strrchr(loader, '/') - loader),
		       loader);
	c.what = what;
	c.hint = hint;
	expect_case(path, &c);

	/* A script whose interpreter is there, but that one's loader is not. */
	cr_assert_gt(asprintf(&script, "#!%s/program\n", path), 0);
	put_program(tree, "script", script, strlen(script));
	c.command = "%/script";
	expect_case(path, &c);

	/* However little of the program there is, it is not read beyond its end. */
	for (size_t cut = 1; cut < 2000; cut += 61) {
		char name[32];

		(void)snprintf(name, sizeof(name), "cut-%zu", cut);
		put_program(tree, name, data, cut);
		look_up(path, arena_printf(&arena, "%%/%s", name), NULL, &err);
		cr_expect(err.exit_code == 126 || err.exit_code == 127, "%zu", cut);
	}
}

#ifdef __x86_64__
Test(lookup, a_missing_loader_of_another_word_size_is_named)
{
	static const char loader[] = "/lib/ld-none.so.2";
	const Elf32_Ehdr ehdr = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(ehdr),
		.e_ehsize = sizeof(ehdr),
		.e_phentsize = sizeof(Elf32_Phdr),
		.e_phnum = 1,
	};
	const Elf32_Phdr phdr = {.p_type = PT_INTERP,
				 .p_offset = sizeof(ehdr) + sizeof(phdr),
				 .p_filesz = sizeof(loader),
				 .p_memsz = sizeof(loader)};
	_autoclose_ int tree = tmp_tree(NULL);
	_autofree_ char *path = tree_path(tree, "");
	char data[256] = "";
	struct sbx_err err;

	memcpy(data, &ehdr, sizeof(ehdr));
	memcpy(data + sizeof(ehdr), &phdr, sizeof(phdr));
	memcpy(data + sizeof(ehdr) + sizeof(phdr), loader, sizeof(loader));
	put_program(tree, "small", data, sizeof(data));
	look_up(path, "%/small", NULL, &err);
	if (err.number == ENOEXEC) { /* of a kernel that runs no 32-bit programs */
		cr_expect_eq(err.exit_code, ERR_EXIT_NOT_EXECUTABLE);
		return;
	}
	cr_expect_str_eq(err.what, "the program's loader does not exist inside: /lib/ld-none.so.2");
	cr_expect_eq(err.exit_code, ERR_EXIT_NOT_FOUND);
	cr_expect(strstr(err.hint, "--ro-bind /lib /lib"));
}
#endif

/* ---- what is found ---- */

struct success {
	const char *tree, *command, *path, *cwd;
};

/* Each script ends with a status of its own. */
static int execute(void *arg)
{
	const struct success *s = arg;
	char *command = expand(s->tree, s->command), *path = expand(s->tree, s->path);
	const char *argv[] = {command, NULL};
	char *variable = NULL;
	char *envp[] = {(char *)(uintptr_t) "", NULL, NULL};
	const struct sbx_plan plan = {.command = argv[0], .argv = argv, .envp = envp};
	struct sbx_err err;

	child_check(asprintf(&variable, "PATH=%s", path) > 0);
	envp[1] = variable;
	child_check(chdir(s->cwd) == 0);
	(void)lookup_exec(&plan, &err);
	dprintf(STDERR_FILENO, "%s: %s\n", err.path, err.what);
	return 99;
}

Test(lookup, the_first_that_can_be_executed_is)
{
	static const struct {
		const char *command, *path;
		int status;
	} rows[] = {
		{"tool", "%/a:%/b", 11},
		{"tool", "%/b:%/a", 12},
		{"tool", "%/none:%/dir:%/b", 12},
		{"tool", "%/plain:%/b", 12},
		{"tool", "%/broken:%/b", 12},
		/* An empty entry is the current directory, wherever it stands. */
		{"tool", "", 13},
		{"tool", ":%/a", 13},
		{"tool", "%/none:", 13},
		{"tool", "%/none::%/a", 13},
		{"%/b/tool", "%/a", 12},
		{"./tool", "%/a", 13},
		{"../a/tool", "", 11},
	};
	_autoclose_ int tree =
		tmp_tree("a/tool=#!/bin/sh\nexit 11\n", "b/tool=#!/bin/sh\nexit 12\n",
			 "here/tool=#!/bin/sh\nexit 13\n", "plain/tool=exit 14\n", "dir/tool/",
			 "broken/tool=#!/nonexistent\n");
	_autofree_ char *path = tree_path(tree, ""), *here = tree_path(tree, "here");

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct success s = {path, rows[i].command, rows[i].path, here};

		cr_expect_eq(in_child(execute, &s), rows[i].status, "%s on %s", rows[i].command,
			     rows[i].path);
	}
}
