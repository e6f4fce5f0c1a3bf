/* SPDX-License-Identifier: MIT */
/*
 * filter_file: have a seccomp profile made a filter.
 *
 * Theory of operation
 *
 * The file is opened here, by the rule that files of options are opened by: nobody but
 * the caller and root can have written it, for it decides what the kernel is open to.
 * That it is a regular file follows, so that nothing waits for the other end of a FIFO.
 * sbx-seccomp has it as its standard input and needs nothing else: it gets no other
 * descriptor but the two it writes to, cannot gain privileges, and has seconds to live
 * (proc_spawn's `confined`); it confines itself further before it looks at the text.
 *
 * What it answers is data from a program that may have been taken over by what it read:
 * a filter is a filter, whoever made it, and the kernel checks its form; the text is
 * printed with everything but ASCII replaced. The filter replaces sbx's own, so that a
 * hostile file gains nothing that its words could not have said.
 *
 * To have it made takes milliseconds, so it is kept for the next launch (filter_cache.c),
 * under everything that it hangs on: the profile's text, what of the sandbox and the
 * kernel conditions are about, and the program: its file, those of its libraries, which it
 * names, and the list from which they are chosen. To be sure that the text is the one that
 * the filter is of, the program then gets a copy instead of the file, which may be written
 * to meanwhile. What is kept is what came of that very text, so that a program taken over
 * by it still decides of no other.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/base/trust.h"
#include "sbx/spec/filter_cache.h"
#include "sbx/spec/filter_file.h"
#include "sbx/spec/probe.h"
#include "sbx_config.h"

static const char opt_seccomp[] = "--seccomp";
static const char helper_name[] = "sbx-seccomp";

/* How the line begins in which it says what it was loaded with, a path behind each blank. */
static const char filter_libraries[] = "libraries:";

/* From which the dynamic loader knows where libraries are: another is used when this says so. */
static const char filter_loader_list[] = "/etc/ld.so.cache";

enum {
	FILTER_MAX_BYTES = SECCOMP_PROGRAM_MAX * sizeof(struct sock_filter),
	FILTER_TEXT_MAX_BYTES = 64 << 10,
	FILTER_PROFILE_MAX_BYTES = 1 << 20, /* sbx-seccomp takes no more */
	FILTER_LIBRARIES_MAX = 8,
};

/* One run of sbx-seccomp. */
struct filter_answer {
	const char *helper;	     /* its path */
	int file_fd;		     /* owned; what it reads */
	bool keyed;		     /* what comes of it is to be kept, */
	struct filter_cache_key key; /* under this, which ends in */
	size_t profile_len;	     /* so much of the file */
	char *data;		     /* what it wrote: the filter */
	size_t len;
	char *text; /* what it said, a line per remark, or what is wrong */
	int status; /* as wait(2) has it */
};

static int filter_refuse_file(struct sbx_err *err, int number, const char *path, const char *what)
{
	(void)err_refuse(err, number, path, "%s", what);
	err_set_option(err, opt_seccomp);
	return -number;
}

/* The file, trusted; or an error that says what else the word could have been. */
static int filter_open(const char *path, struct arena *arena, int *ret_fd, struct sbx_err *err)
{
	struct trust_file file;
	int r = trust_open(path, arena, &file, err);

	if (r == 0) {
		*ret_fd = file.fd;
		return 0;
	}
	err_set_option(err, opt_seccomp);
	if (r == -ENOENT && !strchr(path, '/'))
		return err_usage(err, opt_seccomp,
				 "\"%s\" is none of default, strict and none, no descriptor's "
				 "number, and no file",
				 path);
	if (!err->hint[0])
		err_hint(err,
			 "it must be a regular file with a seccomp profile in JSON; what comes "
			 "from elsewhere\nis made a filter by sbx-seccomp and given as --seccomp "
			 "FD");
	return r;
}

/* Everything but printable ASCII and the ends of lines goes. */
static void filter_clean(char *text)
{
	for (; *text; text++)
		if ((*text < ' ' && *text != '\n') || *text > '~')
			*text = '?';
}

static int filter_collect(const struct proc_spawn *spawn, struct arena *arena,
			  struct filter_answer *answer)
{
	size_t len = 0;
	int r = proc_capture(spawn, FILTER_MAX_BYTES, arena, &answer->data, &answer->len,
			     &answer->status);

	if (r == 0 && lseek(spawn->error_fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		r = io_read_all(spawn->error_fd, FILTER_TEXT_MAX_BYTES, arena, &answer->text, &len);
	if (r == 0)
		filter_clean(answer->text);
	return r;
}

/* Run it over the file. */
static int filter_ask(const struct filter_wanted *wanted, struct arena *arena,
		      struct filter_answer *answer, struct sbx_err *err)
{
	_autoclose_ int text_fd = memfd_create("remarks", MFD_CLOEXEC);
	char caps[20];
	const char *argv[6] = {helper_name, "--caps", caps};
	size_t n = 3;
	const struct proc_spawn spawn = {.path = answer->helper,
					 .argv = argv,
					 .output_fd = -1,
					 .error_fd = text_fd,
					 .confined = true,
					 .input_fd = answer->file_fd};
	int r;

	if (wanted->spec->multiarch)
		argv[n++] = "--multiarch";
	if (answer->keyed)
		argv[n++] = "--libraries";
	if (text_fd < 0)
		return err_system(err, errno, NULL, "cannot make room for remarks");
	(void)snprintf(caps, sizeof(caps), "%llx", (unsigned long long)wanted->caps);
	r = filter_collect(&spawn, arena, answer);
	if (r == -EFBIG)
		return filter_refuse_file(err, EFBIG, answer->helper,
					  "answers with more than a filter can have");
	return r < 0 ? err_system(err, -r, answer->helper, "cannot run") : 0;
}

/* It did not make a filter: say why. */
static int filter_failed(const char *path, const struct filter_answer *answer, struct sbx_err *err)
{
	char what[256];

	if (WIFEXITED(answer->status) && WEXITSTATUS(answer->status) == 1 && answer->text[0]) {
		answer->text[strcspn(answer->text, "\n")] = '\0';
		(void)filter_refuse_file(err, EINVAL, path, answer->text);
		err->number = 0;
		err_hint(err, "the forms that are read are the OCI runtime specification's "
			      "(\"linux.seccomp\", alone or in a\nconfig.json) and that of "
			      "Docker's and podman's "
			      "seccomp.json; "
			      "correct the file, or take --seccomp=default");
		return -EINVAL;
	}
	if (WIFSIGNALED(answer->status))
		(void)snprintf(what, sizeof(what), "was killed by signal %d",
			       WTERMSIG(answer->status));
	else
		(void)snprintf(what, sizeof(what), "failed with exit status %d%s%s",
			       WEXITSTATUS(answer->status), answer->text[0] ? ": " : "",
			       answer->text);
	(void)filter_refuse_file(err, ECANCELED, answer->helper, what);
	err_hint(err, "run it by hand: %s <%s >/dev/null", answer->helper, path);
	return -ECANCELED;
}

static int filter_check(const struct filter_answer *answer, struct sbx_err *err)
{
	const struct sock_filter *insns = (const struct sock_filter *)(const void *)answer->data;
	size_t n = answer->len / sizeof(*insns);

	if (n > 0 && answer->len % sizeof(*insns) == 0 && BPF_CLASS(insns[n - 1].code) == BPF_RET)
		return 0;
	return filter_refuse_file(err, EBADMSG, answer->helper, "does not answer with a filter");
}

static int filter_note(struct sbx_plan *plan, char *text, struct sbx_err *err)
{
	for (char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		bool last = line[len] == '\0';

		line[len] = '\0';
		if (*line && plan_add_remark(plan, "seccomp", "%s", line) < 0)
			return err_oom(err);
		line += len + (last ? 0 : 1);
	}
	return 0;
}

/**
 * The program that reads profile files.
 * @ret_path: in the host's arena
 *
 * Return: 0, or -errno with *err filled where it is missing.
 */
int filter_find_reader(const struct probe_host *host, const struct sbx_spec *spec,
		       const char **ret_path, struct sbx_err *err)
{
	const char *path = probe_own_helper(host, spec, helper_name);
	int r;

	if (path && access(path, X_OK) == 0) {
		*ret_path = path;
		return 0;
	}
	r = filter_refuse_file(err, ENOENT, path ? path : helper_name,
			       "which reads profile files, is not installed");
	err_hint(err, "it comes with sbx where that was built with jansson and libseccomp; "
		      "--helper\nsbx-seccomp=PATH names it elsewhere, and a filter made on "
		      "another host goes in with --seccomp FD");
	return r;
}

/* ---- kept filters ---- */

/* What the filter hangs on, but for the profile's text. NULL: out of memory. */
static const char *filter_circumstances(const struct filter_wanted *wanted, const char *helper,
					struct arena *arena)
{
	const char *program, *loader;
	struct utsname name = {.release = ""};

	(void)uname(&name);
	if (filter_cache_identify(helper, arena, &program) < 0 ||
	    filter_cache_identify(filter_loader_list, arena, &loader) < 0)
		return NULL;
	return arena_printf(arena,
			    "sbx %s\nprogram %s %s\nloader %s\nkernel %s %s\ncaps %llx\n"
			    "multiarch %d\nprofile\n",
			    SBX_VERSION, program, helper, loader, name.release, name.machine,
			    (unsigned long long)wanted->caps, wanted->spec->multiarch);
}

/* A copy of the profile that nobody can write to. Return: its descriptor, or -errno. */
static int filter_copy(const char *text, size_t len)
{
	_autoclose_ int fd = memfd_create("profile", MFD_CLOEXEC);
	struct rlimit limit;
	int r;

	/* It counts as a file, whose size may be limited; that would be told by a signal. */
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < len)
		return -EFBIG;
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, text, len);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : take_fd(&fd);
}

/*
 * Read the profile and make the key. A file that is too large, or cannot be read, is left
 * to the program, which says so.
 *
 * Return: 0, or -errno.
 */
static int filter_make_key(const struct filter_wanted *wanted, struct arena *arena,
			   struct filter_answer *answer)
{
	const char *around = filter_circumstances(wanted, answer->helper, arena);
	char *profile, *key;
	size_t len, n;
	int r;

	if (!around)
		return -ENOMEM;
	r = io_read_all(answer->file_fd, FILTER_PROFILE_MAX_BYTES, arena, &profile, &len);
	if (lseek(answer->file_fd, 0, SEEK_SET) < 0)
		return r < 0 ? r : -errno; /* the program would find it at its end */
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	n = strlen(around);
	key = arena_alloc(arena, n + len);
	if (!key)
		return -ENOMEM;
	memcpy(key, around, n);
	memcpy(key + n, profile, len);
	answer->key = (struct filter_cache_key){wanted->host->uid, key, n + len};
	answer->profile_len = len;
	answer->keyed = n + len <= FILTER_CACHE_KEY_MAX_BYTES;
	return 0;
}

/* From here on the program is to read what the key is of. */
static void filter_hold_profile(struct filter_answer *answer)
{
	const char *end = answer->key.data + answer->key.len;
	int fd = filter_copy(end - answer->profile_len, answer->profile_len);

	answer->keyed = fd >= 0;
	if (fd < 0)
		return;
	close(answer->file_fd);
	answer->file_fd = fd;
}

/*
 * Look among the kept ones.
 *
 * Return: 1 with the filter; 0: it has to be made; -errno with *err filled.
 */
static int filter_find_kept(const struct filter_wanted *wanted, struct sbx_plan *plan,
			    struct filter_answer *answer, struct seccomp_program *ret,
			    struct sbx_err *err)
{
	const char *why = filter_cache_obstacle(wanted->host, &plan->arena);
	struct filter_cache_item kept;
	int r, found = 0;

	if (why)
		return plan_add_remark(plan, "seccomp", "the filter is not kept: %s", why) < 0
			       ? err_oom(err)
			       : 0;
	r = filter_make_key(wanted, &plan->arena, answer);
	if (r == 0 && answer->keyed)
		found = filter_cache_find(&answer->key, &plan->arena, &kept);
	if (r == -ENOMEM || found < 0)
		return err_oom(err);
	if (r < 0)
		return err_system(err, -r, wanted->spec->seccomp,
				  "cannot be read from its beginning");
	if (found == 0 && answer->keyed)
		filter_hold_profile(answer);
	if (found == 0)
		return 0;
	*ret = kept.program;
	answer->text = arena_dup(&plan->arena, kept.text);
	if (!answer->text || plan_add_remark(plan, "seccomp",
					     "the filter is one that an earlier launch had made "
					     "of the same file, for the same sandbox") < 0)
		return err_oom(err);
	r = filter_note(plan, answer->text, err);
	return r < 0 ? r : 1;
}

/* Take the line off in which the program names its libraries. NULL: it has none, or no memory. */
static const char *filter_take_libraries(char *text, struct arena *arena)
{
	char room[FILTER_CACHE_FILES_MAX_BYTES];
	struct str_buf files = STR_BUF_ON_STACK(room);
	size_t len = strcspn(text, "\n"), n = 0;
	char *line = arena_dup_n(arena, text, len), *rest;

	if (!line || !str_starts_with(text, filter_libraries))
		return NULL;
	memmove(text, text + len + (text[len] == '\n'), strlen(text + len) + (text[len] == '\0'));
	(void)strtok_r(line, " ", &rest);
	for (const char *path; (path = strtok_r(NULL, " ", &rest)); n++) {
		const char *identity;

		if (path[0] != '/' || filter_cache_identify(path, arena, &identity) < 0)
			return NULL;
		str_buf_printf(&files, "%s %s\n", identity, path);
	}
	return n == 0 || n > FILTER_LIBRARIES_MAX || files.cut ? NULL : arena_dup(arena, room);
}

/* What was made is to be kept, if the program says what it is made of. */
static int filter_keep(struct sbx_plan *plan, struct filter_answer *answer,
		       const struct seccomp_program *program, struct sbx_err *err)
{
	struct filter_cache_item item = {.program = *program, .text = answer->text};
	struct filter_cache_entry *entry;
	int r;

	item.files = filter_take_libraries(answer->text, &plan->arena);
	if (!item.files)
		return 0;
	entry = arena_alloc(&plan->arena, sizeof(*entry));
	r = entry ? filter_cache_pack(&answer->key, &item, &plan->arena, entry) : -ENOMEM;
	if (r == -ENOMEM)
		return err_oom(err);
	if (r == 0)
		plan->filter.to_keep = entry;
	return 0;
}

/* ---- the file ---- */

/* Have it made. */
static int filter_make(const struct filter_wanted *wanted, struct sbx_plan *plan,
		       struct filter_answer *answer, struct seccomp_program *ret,
		       struct sbx_err *err)
{
	struct seccomp_program program;
	int r = filter_ask(wanted, &plan->arena, answer, err);

	if (r == 0 && answer->status != 0)
		r = filter_failed(wanted->spec->seccomp, answer, err);
	if (r == 0)
		r = filter_check(answer, err);
	if (r < 0)
		return r;
	program = (struct seccomp_program){(const struct sock_filter *)(const void *)answer->data,
					   answer->len / sizeof(struct sock_filter)};
	if (answer->keyed)
		r = filter_keep(plan, answer, &program, err);
	if (r == 0)
		r = filter_note(plan, answer->text, err);
	if (r == 0)
		*ret = program;
	return r;
}

/**
 * Make a filter of the file that --seccomp names, or find the one that was made of it.
 * @plan: owns the filter, and gets remarks
 *
 * Return: 0, or -errno with *err filled.
 */
int filter_read_file(const struct filter_wanted *wanted, struct sbx_plan *plan,
		     struct seccomp_program *ret, struct sbx_err *err)
{
	struct filter_answer answer = {.file_fd = -1};
	int r = filter_open(wanted->spec->seccomp, &plan->arena, &answer.file_fd, err);

	if (r < 0)
		return r;
	r = filter_find_reader(wanted->host, wanted->spec, &answer.helper, err);
	if (r == 0)
		r = filter_find_kept(wanted, plan, &answer, ret, err);
	if (r == 0)
		r = filter_make(wanted, plan, &answer, ret, err);
	defs_cleanup_fd(&answer.file_fd);
	return r < 0 ? r : 0;
}
