/* SPDX-License-Identifier: MIT */
/*
 * A sandbox whose processes were moved to a cgroup of their own: who enters it goes there
 * too, and it can be paused. Needs a cgroup that is ours (run-in-cgroup).
 */

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boxes.h"

/* A place, and beside it a cgroup below ours. */
struct site {
	struct place place;
	char path[256]; /* of the cgroup, as the kernel tells it */
	int fd;		/* owned; its directory */
	char dir[PATH_MAX];
};

#define _autosite_ __attribute__((cleanup(site_end)))

/* Our cgroup's path. False: there is no hierarchy of version 2. */
static bool find_own_cgroup(char *path, size_t size)
{
	_autorun_ struct run_result r =
		run_program("/bin/sed", "-n", "s/^0:://p", "/proc/self/cgroup");

	r.out[strcspn(r.out, "\n")] = '\0';
	snprintf(path, size, "%s", strcmp(r.out, "/") == 0 ? "" : r.out);
	return r.out[0] == '/';
}

static void site_start(struct site *s)
{
	static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char own[128];
	bool made = false;

	s->fd = -1;
	place_start(&s->place);
	skip_unless(find_own_cgroup(own, sizeof(own)), "no cgroups of version 2");
	snprintf(s->path, sizeof(s->path), "%s/box-%d", own, getpid());
	for (size_t i = 0; i < ARRAY_SIZE(roots) && !made; i++) {
		char procs[PATH_MAX];

		snprintf(s->dir, sizeof(s->dir), "%s%s", roots[i], s->path);
		snprintf(procs, sizeof(procs), "%s%s/cgroup.procs", roots[i], own);
		made = access(procs, W_OK) == 0 && mkdir(s->dir, 0755) == 0;
	}
	skip_unless(made, "our cgroup is not ours to divide");
	s->fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(s->fd, 0);
}

static bool is_removed(void *arg)
{
	const struct site *s = arg;

	return rmdir(s->dir) == 0 || errno == ENOENT;
}

static void site_end(struct site *s)
{
	place_end(&s->place);
	if (s->fd < 0)
		return;
	close(s->fd);
	cr_expect(wait_until(is_removed, s), "%s: %s", s->dir, strerror(errno));
}

static void site_write(const struct site *s, const char *file, const char *text)
{
	_autoclose_ int fd = openat(s->fd, file, O_WRONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0, "%s: %s", file, strerror(errno));
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text), "%s to %s: %s", text,
		     file, strerror(errno));
}

/* What is below a process, and not itself. */
static void site_move_below(const struct site *s, const char *pid)
{
	char file[64];

	snprintf(file, sizeof(file), "/proc/%s/task/%s/children", pid, pid);
	_autorun_ struct run_result r = run_program("/bin/cat", file);

	for (char *save = NULL, *child = strtok_r(r.out, " \n", &save); child;
	     child = strtok_r(NULL, " \n", &save)) {
		site_write(s, "cgroup.procs", child);
		site_move_below(s, child);
	}
}

/* A sandbox called web, and all of it but its monitor in the cgroup. */
static void site_start_box(const struct site *s)
{
	_autorun_ struct run_result r = detach_in(&s->place, "--share-cgroup", "--proc", "/proc",
						  "--", SH("exec sleep 1000"));
	_autorun_ struct run_result pid = sbx_in(&s->place, "ps", "--format", "{{.Pid}}");

	cr_assert_eq(r.status, 0, "%s", r.err);
	pid.out[strcspn(pid.out, "\n")] = '\0';
	site_move_below(s, pid.out);
}

#define SHOW_CGROUP SH("sed -n s/^0:://p /proc/self/cgroup")

Test(cgroup, exec_goes_where_the_command_is)
{
	_autosite_ struct site s;
	char expected[sizeof(s.path) + 2];

	site_start(&s);
	site_start_box(&s);
	_autorun_ struct run_result r = sbx_in(&s.place, "exec", "web", SHOW_CGROUP);
	_autorun_ struct run_result again = sbx_in(&s.place, "exec", "web", SHOW_CGROUP);

	snprintf(expected, sizeof(expected), "%s\n", s.path);
	expect_out(r, expected);
	expect_out(again, expected);
}

/* Where sbx itself is there, it is no cgroup of the sandbox's. */
Test(cgroup, exec_stays_where_it_is_without_one)
{
	_autosite_ struct site s;

	site_start(&s);
	_autorun_ struct run_result start = detach_in(&s.place, "--share-cgroup", "--proc", "/proc",
						      "--", SH("exec sleep 1000"));
	_autorun_ struct run_result r = sbx_in(&s.place, "exec", "web", SHOW_CGROUP);

	expect_success(start);
	*strrchr(s.path, '/') = '\0';
	r.out[strcspn(r.out, "\n")] = '\0';
	cr_expect_str_eq(r.out, s.path[0] ? s.path : "/", "%s%s", r.out, r.err);
}

/* Limits that it cannot be put under are a reason not to run at all. */
Test(cgroup, exec_fails_where_it_may_not_go_there)
{
	_autosite_ struct site s;

	site_start(&s);
	site_start_box(&s);
	cr_assert_eq(fchmodat(s.fd, "cgroup.procs", 0444, 0), 0);
	_autorun_ struct run_result r = sbx_in(&s.place, "exec", "web", SH("echo ran"));

	expect_failure(r, 125, "cannot enter the sandbox's cgroup: Permission denied");
	expect_failure(r, 125, "delegation");
	cr_expect_str_eq(r.out, "");
}

Test(cgroup, exec_into_a_paused_sandbox_is_refused)
{
	_autosite_ struct site s;

	site_start(&s);
	site_start_box(&s);
	/* Before and after the monitor has learned who the command is. */
	for (int i = 0; i < 2; i++) {
		_autorun_ struct run_result pause = sbx_in(&s.place, "pause", "web");
		_autorun_ struct run_result ps = sbx_in(&s.place, "ps", "--format", "{{.Status}}");
		_autorun_ struct run_result r = sbx_in(&s.place, "exec", "web", SH("echo ran"));
		_autorun_ struct run_result unpause = sbx_in(&s.place, "unpause", "web");
		_autorun_ struct run_result then = sbx_in(&s.place, "exec", "web", SH("echo ran"));

		expect_success(pause);
		expect_out(ps, "paused\n");
		expect_failure(r, 125, "is paused");
		expect_success(unpause);
		expect_out(then, "ran\n");
	}
}

/* What has entered is frozen with the rest: all of the sandbox is in its cgroup still. */
Test(cgroup, what_has_entered_can_be_paused)
{
	_autosite_ struct site s;

	site_start(&s);
	site_start_box(&s);
	_autorun_ struct run_result r = sbx_in(&s.place, "exec", "-d", "web", "/bin/sleep", "1000");
	_autorun_ struct run_result pause = sbx_in(&s.place, "pause", "web");
	_autorun_ struct run_result ps =
		sbx_in(&s.place, "ps", "--format", "{{.Status}} {{.Processes}}");
	_autorun_ struct run_result unpause = sbx_in(&s.place, "unpause", "web");

	expect_success(r);
	expect_success(pause);
	expect_out(ps, "paused 2\n");
	expect_success(unpause);
}

/* Where it is counted, and nobody else is counted with it. */
Test(cgroup, memory_is_shown_where_it_is_its_own)
{
	_autosite_ struct site s;
	char pid[16];

	site_start(&s);
	site_start_box(&s);
	bool counted = faccessat(s.fd, "memory.current", R_OK, 0) == 0;
	_autorun_ struct run_result list = sbx_in(&s.place, "ps");
	_autorun_ struct run_result json = sbx_in(&s.place, "ps", "--json");
	_autorun_ struct run_result bytes = sbx_in(&s.place, "ps", "--format", "{{.MemoryBytes}}");
	_autorun_ struct run_result inspect = sbx_in(&s.place, "inspect", "web");

	cr_expect_eq(strstr(list.out, "PROCS  MEMORY") != NULL, counted, "%s", list.out);
	cr_expect_eq(strstr(json.out, "\"memory-bytes\": null") == NULL, counted, "%s", json.out);
	cr_expect_eq(atoll(bytes.out) > 0, counted, "%s", bytes.out);
	cr_expect_eq(strstr(inspect.out, "\"memory-bytes\": ") != NULL, counted);
	snprintf(pid, sizeof(pid), "%d", getpid());
	site_write(&s, "cgroup.procs", pid);
	_autorun_ struct run_result shared = sbx_in(&s.place, "ps", "--format", "{{.Memory}}");

	expect_out(shared, "\n");
	/* So that the cgroup can be removed. */
	*strrchr(s.dir, '/') = '\0';
	_autoclose_ int own = open(s.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_autoclose_ int procs = openat(own, "cgroup.procs", O_WRONLY | O_CLOEXEC);

	s.dir[strlen(s.dir)] = '/';
	cr_expect_eq(write(procs, pid, strlen(pid)), (ssize_t)strlen(pid));
}
