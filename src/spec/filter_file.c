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
 * Nothing is kept for the next launch: a cache would be one more thing to trust.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/io.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/base/trust.h"
#include "sbx/spec/filter_file.h"
#include "sbx/spec/probe.h"

static const char opt_seccomp[] = "--seccomp";
static const char helper_name[] = "sbx-seccomp";

enum {
	FILTER_MAX_BYTES = SECCOMP_PROGRAM_MAX * sizeof(struct sock_filter),
	FILTER_TEXT_MAX_BYTES = 64 << 10,
};

/* One run of sbx-seccomp. */
struct filter_answer {
	const char *helper; /* its path */
	char *data;	    /* what it wrote: the filter */
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
static int filter_ask(const struct filter_wanted *wanted, int file_fd, struct arena *arena,
		      struct filter_answer *answer, struct sbx_err *err)
{
	_autoclose_ int text_fd = memfd_create("remarks", MFD_CLOEXEC);
	char caps[20];
	const char *const argv[] = {helper_name, "--caps", caps,
				    wanted->spec->multiarch ? "--multiarch" : NULL, NULL};
	const struct proc_spawn spawn = {.path = answer->helper,
					 .argv = argv,
					 .output_fd = -1,
					 .error_fd = text_fd,
					 .confined = true,
					 .input_fd = file_fd};
	int r;

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
	char what[64];

	if (WIFEXITED(answer->status) && WEXITSTATUS(answer->status) == 1 && answer->text[0]) {
		answer->text[strcspn(answer->text, "\n")] = '\0';
		(void)filter_refuse_file(err, EINVAL, path, answer->text);
		err->number = 0;
		err_hint(err,
			 "the forms that are read are the OCI runtime specification's "
			 "(\"linux.seccomp\") and that of\nDocker's and podman's seccomp.json; "
			 "correct the file, or take --seccomp=default");
		return -EINVAL;
	}
	if (WIFSIGNALED(answer->status))
		(void)snprintf(what, sizeof(what), "was killed by signal %d",
			       WTERMSIG(answer->status));
	else
		(void)snprintf(what, sizeof(what), "failed with exit status %d",
			       WEXITSTATUS(answer->status));
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

/**
 * Make a filter of the file that --seccomp names.
 * @plan: owns the filter, and gets remarks
 *
 * Return: 0, or -errno with *err filled.
 */
int filter_read_file(const struct filter_wanted *wanted, struct sbx_plan *plan,
		     struct seccomp_program *ret, struct sbx_err *err)
{
	const char *path = wanted->spec->seccomp;
	struct filter_answer answer = {.helper = NULL};
	_autoclose_ int fd = -1;
	int r = filter_open(path, &plan->arena, &fd, err);

	if (r < 0)
		return r;
	r = filter_find_reader(wanted->host, wanted->spec, &answer.helper, err);
	if (r < 0)
		return r;
	r = filter_ask(wanted, fd, &plan->arena, &answer, err);
	if (r == 0 && answer.status != 0)
		r = filter_failed(path, &answer, err);
	if (r == 0)
		r = filter_check(&answer, err);
	if (r == 0)
		r = filter_note(plan, answer.text, err);
	if (r < 0)
		return r;
	*ret = (struct seccomp_program){(const struct sock_filter *)(const void *)answer.data,
					answer.len / sizeof(struct sock_filter)};
	return 0;
}
