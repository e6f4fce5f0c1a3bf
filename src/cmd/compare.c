/* SPDX-License-Identifier: MIT */
/*
 * compare: see compare.h.
 *
 * Theory of operation
 *
 * A process for each pair would be nearly all of the time, and diff(1) takes more than one pair
 * only as two directories. Such there are without making one: /proc/PID/fd. Two children of this
 * process hold the texts, the one the old ones, the other the new, a pair under the same number;
 * `diff -r` goes through both in the order of the numbers, which all have three digits. Nothing is
 * left on a disk that somebody would have to remove, however this process dies: the children die
 * with it.
 *
 * The texts are copies in memory, memfd_create(2). What is compared does not change meanwhile, is
 * what its size says and no pipe that never ends, and can be read by a diff(1) without
 * privileges, whatever permissions the file has that it was copied from.
 *
 * In the output of `diff -r` a pair begins with a line "diff ... /proc/PID/fd/NUMBER", and lines of
 * the texts are counted by what the hunk's first line says, so that none of them is taken for
 * anything else. A diff(1) that prints another thing (BusyBox's has no such line), or cannot look
 * into /proc/PID/fd, shows that before the first pair: then each has a process of its own.
 *
 * Long texts without anything in common take diff(1) minutes, and who made one of them may have
 * wanted that. So each of those is compared alone, and one that is not done in time is told as what
 * it is in any case: all old lines gone, all new ones come.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sbx/base/clock.h"
#include "sbx/base/io.h"
#include "sbx/base/proc.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/cmd/compare.h"
#include "sbx/cow/walk.h"

enum {
	COMPARE_FIRST = 100,	/* the number of the first pair */
	COMPARE_OTHERS = 160,	/* descriptors that are none of a pair's */
	COMPARE_PAIRS_FEW = 64, /* where there are not enough for the deepest tree besides */
	COMPARE_PIECE = 1 << 14,
	COMPARE_TIME_MS = 5000,
	COMPARE_TIME_LESS_MS = 500, /* where that was too short for some */
	COMPARE_PATIENCE = 3,
};

#define COMPARE_NO_NEWLINE "\\ No newline at end of file"

static_assert(COMPARE_FIRST + COMPARE_PAIRS_MAX <= 1000, "all numbers have three digits");

static const char *compare_program(void)
{
	return access("/usr/bin/diff", X_OK) == 0 ? "/usr/bin/diff" : "/bin/diff";
}

/* ---- texts ---- */

/*
 * Each has two descriptors, and a third in a process that has those of one side. The walk of a deep
 * tree has three for each directory that it is in, and more of those come while pairs are held.
 */
static size_t compare_find_max(void)
{
	struct rlimit limit;
	rlim_t room;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur <= COMPARE_OTHERS)
		return 1;
	room = (limit.rlim_cur - COMPARE_OTHERS) / 3;
	if (room >= COMPARE_PAIRS_MAX + COW_DEPTH_MAX)
		return COMPARE_PAIRS_MAX;
	if (room > COMPARE_PAIRS_FEW)
		room = room > COMPARE_PAIRS_FEW + COW_DEPTH_MAX ? room - COW_DEPTH_MAX
								: COMPARE_PAIRS_FEW;
	return room > 0 ? (size_t)room : 1;
}

/* Return: the number of bytes, or -errno. */
static off_t compare_copy(int from_fd, int *ret_fd)
{
	_autoclose_ int fd = memfd_create("sbx-text", MFD_CLOEXEC);
	char piece[COMPARE_PIECE];
	off_t at = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = pread(from_fd, piece, sizeof(piece), at)) > 0) {
		int r = at + n > COMPARE_TEXT_MAX ? -EFBIG : io_write_all(fd, piece, (size_t)n);

		if (r < 0)
			return r;
		at += n;
	}
	if (n < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return at;
}

/**
 * Hold one more pair. There must be room for it.
 *
 * Return: 0, or -errno (-EMFILE, -ENFILE: with fewer it may do).
 */
int compare_add(struct compare *compare, int old_fd, int new_fd)
{
	const int from[] = {old_fd, new_fd};
	off_t sum = 0;

	if (!compare->n_max)
		compare->n_max = compare_find_max();
	assert(compare->n < compare->n_max);
	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		off_t n = compare_copy(from[i], &compare->pairs[compare->n].fds[i]);

		if (n < 0) {
			if (i > 0)
				defs_cleanup_fd(&compare->pairs[compare->n].fds[0]);
			return (int)n;
		}
		sum += n;
	}
	compare->bytes += sum;
	compare->has_large = sum > COMPARE_SMALL_MAX;
	compare->n++;
	return 0;
}

/* Are those that are held to be compared first? */
bool compare_is_full(const struct compare *compare, off_t more_bytes)
{
	return compare->n > 0 &&
	       (compare->n == compare->n_max || compare->bytes + more_bytes > COMPARE_BYTES_MAX ||
		compare->has_large || more_bytes > COMPARE_SMALL_MAX);
}

/* Hold none any more. */
void compare_clear(struct compare *compare)
{
	for (size_t i = 0; i < compare->n; i++) {
		defs_cleanup_fd(&compare->pairs[i].fds[0]);
		defs_cleanup_fd(&compare->pairs[i].fds[1]);
	}
	compare->n = 0;
	compare->bytes = 0;
	compare->has_large = false;
}

/* ---- what diff(1) prints ---- */

enum compare_place { COMPARE_START, COMPARE_OLD_NAME, COMPARE_NEW_NAME, COMPARE_HUNKS };

struct compare_output {
	const struct compare_reader *reader;
	enum compare_place place;
	size_t pair; /* of which this is */
	size_t n_pairs;
	bool many;	  /* each pair has a line before its names */
	bool begun;	  /* the reader has been told of a pair */
	bool stopped;	  /* the reader has had enough */
	uint64_t left[2]; /* lines of the hunk, of either text */
};

static bool compare_take_number(const char **at, uint64_t *ret)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*ret = strtoull(*at, &end, 10);
	*at = end;
	return errno == 0;
}

/* "-1,2", or "-1" for one line. */
static bool compare_take_range(const char **at, char sign, uint64_t *ret_count)
{
	uint64_t start;

	*ret_count = 1;
	if (*(*at)++ != sign || !compare_take_number(at, &start))
		return false;
	if (**at != ',')
		return true;
	(*at)++;
	return compare_take_number(at, ret_count);
}

static bool compare_take_hunk(struct compare_output *o, const char *line)
{
	const char *at = line + strlen("@@ ");

	return str_starts_with(line, "@@ ") && compare_take_range(&at, '-', &o->left[0]) &&
	       *at++ == ' ' && compare_take_range(&at, '+', &o->left[1]) &&
	       str_starts_with(at, " @@");
}

/* "diff -r -u -a -- /proc/12/fd/100 /proc/13/fd/100": which pair that is. */
static bool compare_take_pair(struct compare_output *o, const char *line)
{
	const char *name = strrchr(line, '/');
	uint64_t number;
	size_t pair;

	if (!o->many || !str_starts_with(line, "diff ") || !name ||
	    str_parse_u64(name + 1, 10, COMPARE_FIRST + COMPARE_PAIRS_MAX - 1, &number) < 0 ||
	    number < COMPARE_FIRST)
		return false;
	pair = (size_t)number - COMPARE_FIRST;
	if (pair >= o->n_pairs || (o->begun && pair <= o->pair))
		return false;
	o->pair = pair;
	return true;
}

/* A line of the texts. Return: whether it can be one. */
static bool compare_count(struct compare_output *o, char sign)
{
	if ((sign == ' ' || sign == '-') && o->left[0]-- == 0)
		return false;
	if ((sign == ' ' || sign == '+') && o->left[1]-- == 0)
		return false;
	return sign != '\0' && strchr(" -+\\", sign);
}

static int compare_tell(struct compare_output *o, const char *line, size_t len)
{
	o->stopped = o->reader->line(o->reader->arg, line, len) != 0;
	return o->stopped ? -ECANCELED : 0;
}

/* Return: 0, -ECANCELED where the reader wants no more, or -EPROTO. */
static int compare_take_line(struct compare_output *o, const char *line, size_t len)
{
	bool inside = o->left[0] > 0 || o->left[1] > 0;

	switch (o->place) {
	case COMPARE_START:
		if (o->many || !str_starts_with(line, "--- "))
			break;
		o->place = COMPARE_NEW_NAME;
		return 0;
	case COMPARE_OLD_NAME:
		o->place = COMPARE_NEW_NAME;
		return str_starts_with(line, "--- ") ? 0 : -EPROTO;
	case COMPARE_NEW_NAME:
		o->place = COMPARE_HUNKS;
		if (!str_starts_with(line, "+++ "))
			return -EPROTO;
		o->begun = true;
		o->stopped = o->reader->begin(o->reader->arg, o->pair) != 0;
		return o->stopped ? -ECANCELED : 0;
	case COMPARE_HUNKS:
		if (inside || line[0] == '\\')
			return compare_count(o, line[0]) ? compare_tell(o, line, len) : -EPROTO;
		if (compare_take_hunk(o, line))
			return compare_tell(o, line, len);
		break;
	}
	o->place = COMPARE_OLD_NAME;
	return compare_take_pair(o, line) ? 0 : -EPROTO;
}

/* Return: 0 at the end of a whole output, else as compare_take_line(), or another -errno. */
static int compare_read(struct compare_output *o, FILE *in)
{
	_autofree_ char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = getline(&line, &size, in)) > 0) {
		if (line[n - 1] != '\n')
			return -EPROTO;
		line[n - 1] = '\0';
		r = compare_take_line(o, line, (size_t)n - 1);
	}
	if (r == 0 && ferror(in))
		r = -EIO;
	if (r == 0 && (o->left[0] || o->left[1] || o->place == COMPARE_OLD_NAME ||
		       o->place == COMPARE_NEW_NAME))
		r = -EPROTO;
	return r;
}

/* ---- diff(1) ---- */

/* Whatever comes first, a byte or the end. Return: 0, -ETIME, or another -errno. */
static int compare_wait(int fd, int64_t until_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (;;) {
		int64_t left = until_ms - clock_now_ms();
		int n = poll(&p, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0 && left <= 0)
			return -ETIME;
	}
}

/*
 * @time_ms: until it begins to print; 0: any
 *
 * Return: 0, or -errno; -EIO: it says itself that it has failed; -ETIME: it has printed nothing.
 */
static int compare_start(const char *const *argv, const int *pass_fds, size_t n_pass_fds,
			 int64_t time_ms, struct compare_output *o)
{
	struct proc_spawn spawn = {.path = compare_program(),
				   .argv = argv,
				   .error_fd = -1,
				   .pass_fds = pass_fds,
				   .n_pass_fds = n_pass_fds};
	_autoclose_ int read_fd = -1, write_fd = -1;
	int fds[2], status = 0, r, waited;
	pid_t pid = -1;
	FILE *in;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	read_fd = fds[0];
	write_fd = fds[1];
	in = fdopen(read_fd, "r");
	if (!in)
		return -errno;
	(void)take_fd(&read_fd);
	spawn.output_fd = write_fd;
	r = proc_start(&spawn, &pid);
	if (r < 0) {
		(void)fclose(in);
		return r;
	}
	close(take_fd(&write_fd));
	r = time_ms ? compare_wait(fileno(in), clock_now_ms() + time_ms) : 0;
	if (r == 0)
		r = compare_read(o, in);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	(void)fclose(in);
	waited = proc_wait(pid, &status);
	if (r < 0 || waited < 0)
		return r < 0 ? r : waited;
	return WIFEXITED(status) && WEXITSTATUS(status) <= 1 ? 0 : -EIO;
}

/* Return: how many lines; *ret_whole: the last one has an end. */
static int compare_count_lines(FILE *text, uint64_t *ret_n, bool *ret_whole)
{
	_autofree_ char *line = NULL;
	size_t size = 0;
	ssize_t n;

	*ret_n = 0;
	*ret_whole = true;
	for (; (n = getline(&line, &size, text)) > 0; (*ret_n)++)
		*ret_whole = line[n - 1] == '\n';
	return ferror(text) || fseek(text, 0, SEEK_SET) < 0 ? -EIO : 0;
}

/* All lines of a text, with a sign before each. */
static int compare_tell_text(FILE *text, char sign, bool whole, struct compare_output *o)
{
	_autofree_ char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = getline(&line, &size, text)) > 0) {
		size_t len = (size_t)n - (line[n - 1] == '\n');

		/* There is room: getline(3) ends it with a NUL. */
		memmove(line + 1, line, len);
		line[0] = sign;
		r = compare_tell(o, line, len + 1);
	}
	if (r == 0 && ferror(text))
		r = -EIO;
	if (r == 0 && !whole)
		r = compare_tell(o, COMPARE_NO_NEWLINE, strlen(COMPARE_NO_NEWLINE));
	return r;
}

/* The pair without looking for what its texts have in common. */
static int compare_replace(const struct compare *compare, size_t pair, struct compare_output *o)
{
	FILE *texts[2] = {NULL, NULL};
	uint64_t n[2] = {0, 0};
	bool whole[2] = {true, true};
	char hunk[96];
	int r = 0;

	for (size_t i = 0; i < 2 && r == 0; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", compare->pairs[pair].fds[i]);
		texts[i] = fopen(name, "re");
		r = texts[i] ? compare_count_lines(texts[i], &n[i], &whole[i]) : -errno;
	}
	if (r == 0) {
		o->stopped = o->reader->begin(o->reader->arg, pair) != 0;
		(void)snprintf(hunk, sizeof(hunk), "@@ -%d,%" PRIu64 " +%d,%" PRIu64 " @@",
			       n[0] > 0, n[0], n[1] > 0, n[1]);
		r = o->stopped ? -ECANCELED : compare_tell(o, hunk, strlen(hunk));
	}
	for (size_t i = 0; i < 2 && r == 0; i++)
		r = compare_tell_text(texts[i], "-+"[i], whole[i], o);
	for (size_t i = 0; i < 2; i++)
		if (texts[i])
			(void)fclose(texts[i]);
	return r;
}

static int compare_one(struct compare *compare, size_t pair, const struct compare_reader *reader)
{
	struct compare_output o = {.reader = reader, .pair = pair, .n_pairs = compare->n};
	char names[2][32];
	const char *const argv[] = {"diff", "-u", "-a", "--", names[0], names[1], NULL};
	int64_t time_ms =
		compare->given_up < COMPARE_PATIENCE ? COMPARE_TIME_MS : COMPARE_TIME_LESS_MS;
	int r;

	for (size_t i = 0; i < 2; i++)
		(void)snprintf(names[i], sizeof(names[i]), "/proc/self/fd/%d",
			       compare->pairs[pair].fds[i]);
	r = compare_start(argv, compare->pairs[pair].fds, 2, time_ms, &o);
	if (r != -ETIME)
		return r;
	compare->given_up++;
	return compare_replace(compare, pair, &o);
}

/* ---- many pairs ---- */

/*
 * Have the descriptors of one side, those and no other, and wait for the end. Privileges go, or
 * diff(1), which has none, could not look into our /proc/PID/fd.
 * @ready_fd: closed when all is in place
 */
static noreturn void compare_hold(const struct compare *compare, size_t side, int ready_fd,
				  pid_t parent)
{
	const int behind = COMPARE_FIRST + (int)compare->n;
	int fds[COMPARE_PAIRS_MAX];

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
	    fcntl(ready_fd, F_DUPFD_CLOEXEC, behind) < 0)
		_exit(1);
	for (size_t i = 0; i < compare->n; i++) {
		fds[i] = fcntl(compare->pairs[i].fds[side], F_DUPFD_CLOEXEC, behind);
		if (fds[i] < 0)
			_exit(1);
	}
	if (sys_close_range(0, (unsigned)behind - 1, 0) < 0)
		_exit(1);
	for (size_t i = 0; i < compare->n; i++)
		if (dup2(fds[i], COMPARE_FIRST + (int)i) < 0)
			_exit(1);
	if (sys_capset(0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 ||
	    sys_close_range((unsigned)behind, ~0U, 0) < 0)
		_exit(1);
	for (;;)
		(void)pause();
}

struct compare_holder {
	pid_t pid;     /* -1: there is none */
	char name[32]; /* of its directory of descriptors */
};

/* Its name is that in this /proc, which may be another pid namespace's. */
static int compare_start_holder(const struct compare *compare, size_t side, int ready_fd,
				struct compare_holder *h)
{
	_autoclose_ int pidfd = -1;
	pid_t parent = getpid(), number = 0;
	int r;

	h->pid = fork();
	if (h->pid == 0)
		compare_hold(compare, side, ready_fd, parent);
	if (h->pid < 0)
		return -errno;
	pidfd = sys_pidfd_open(h->pid);
	r = pidfd < 0 ? -errno : proc_find_number(pidfd, &number);
	if (r < 0)
		return r;
	(void)snprintf(h->name, sizeof(h->name), "/proc/%d/fd", (int)number);
	return 0;
}

static int compare_start_holders(const struct compare *compare, struct compare_holder holders[2])
{
	_autoclose_ int read_fd = -1, write_fd = -1;
	int fds[2], r = 0;
	char byte;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	read_fd = fds[0];
	write_fd = fds[1];
	for (size_t i = 0; i < 2 && r == 0; i++)
		r = compare_start_holder(compare, i, write_fd, &holders[i]);
	close(take_fd(&write_fd));
	while (r == 0 && read(read_fd, &byte, 1) < 0)
		r = errno == EINTR ? 0 : -errno;
	return r;
}

static int compare_all(const struct compare *compare, struct compare_output *o)
{
	struct compare_holder holders[2] = {{.pid = -1}, {.pid = -1}};
	const char *const argv[] = {"diff",	     "-r", "-u", "-a", "--", holders[0].name,
				    holders[1].name, NULL};
	int r = compare_start_holders(compare, holders), status;

	if (r == 0)
		r = compare_start(argv, NULL, 0, 0, o);
	for (size_t i = 0; i < 2; i++) {
		if (holders[i].pid < 0)
			continue;
		(void)kill(holders[i].pid, SIGKILL);
		(void)proc_wait(holders[i].pid, &status);
	}
	return r;
}

static int compare_fail(int r, struct sbx_err *err)
{
	const char *program = compare_program();

	if (access(program, X_OK) < 0)
		return err_system(err, errno, program, "cannot compare");
	if (r == -EPROTO || r == -EIO)
		return err_refuse(err, EIO, program, "did not compare what it was to");
	return err_system(err, -r, program, "cannot compare");
}

/**
 * Compare all pairs that are held, and tell the reader.
 *
 * Return: 0, also where the reader wants no more; or -errno with *err filled.
 */
int compare_run(struct compare *compare, const struct compare_reader *reader, struct sbx_err *err)
{
	struct compare_output o = {.reader = reader, .n_pairs = compare->n, .many = true};
	int r = 0;

	if (compare->n > 1 && !compare->one_by_one) {
		r = compare_all(compare, &o);
		if (r == 0 || o.stopped)
			return 0;
		if (o.begun)
			return compare_fail(r, err);
		compare->one_by_one = true;
	}
	r = 0;
	for (size_t i = 0; i < compare->n && r == 0; i++)
		r = compare_one(compare, i, reader);
	return r < 0 && r != -ECANCELED ? compare_fail(r, err) : 0;
}
