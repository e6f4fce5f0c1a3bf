/* SPDX-License-Identifier: MIT */
/*
 * cow: what the tests of copy-on-write sessions share: a directory to change, and a home
 * for the sessions, which are asked for by name.
 */
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "boxes.h"

struct cow_site {
	struct place place;
	int tree;		/* owned; what is shown by --cow */
	char *path;		/* owned; its */
	const char *sbx_driver; /* "kernel" or "fuse" */
};

static const char *const cow_drivers[] = {"kernel", "fuse"};

static inline bool cow_driver_is_there(const char *driver)
{
	return strcmp(driver, "kernel") == 0 || (access("/dev/fuse", R_OK | W_OK) == 0 &&
						 access("/usr/bin/fuse-overlayfs", X_OK) == 0);
}

/*
 * Where the kernel's clock has whole milliseconds, what is made with a second's first tick looks as
 * on a filesystem that has whole seconds (src/cow/times.c): that moment is waited for.
 */
static inline void cow_leave_second(void)
{
	const struct timespec tick = {.tv_nsec = 1000000};
	struct timespec now;

	while (clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0 && now.tv_nsec % 1000000 == 0 &&
	       (now.tv_nsec == 0 || now.tv_nsec > 700000000))
		(void)nanosleep(&tick, NULL);
}

#define cow_start(site, driver_, ...)                                                              \
	do {                                                                                       \
		place_start(&(site)->place);                                                       \
		cow_leave_second();                                                                \
		(site)->tree = tmp_tree(__VA_ARGS__);                                              \
		(site)->path = tree_path((site)->tree, ".");                                       \
		(site)->path[strlen((site)->path) - 2] = '\0';                                     \
		(site)->sbx_driver = (driver_);                                                    \
	} while (0)

static inline void cow_finish(struct cow_site *site)
{
	close(site->tree);
	close(site->place.tree);
	free(site->path);
}

/* The command, in the directory, with a session called s. */
#define cow_run(site, script)                                                                      \
	run_sbx_with(&((struct run_options){.env = (site)->place.env}), "--ro-bind", "/usr",       \
		     "/usr", "--cow", (site)->path, "--session", "s", "--chdir", (site)->path,     \
		     "--overlay-driver", (site)->sbx_driver, "--", "/bin/sh", "-ec", (script))

#define cow_verb(site, ...) sbx_in(&(site)->place, __VA_ARGS__)

/*
 * A session that no command has made: an empty layer over the directory, to be filled by the test.
 * Returns a descriptor of the layer. What was changed on the host before is before it began.
 */
static inline int cow_forge(const struct cow_site *site, bool fuse)
{
	char meta[4096];
	struct timespec now, files; /* times of files are of another clock, some ms behind */
	struct stat st;
	int home, session, upper, file, len;

	clock_gettime(CLOCK_REALTIME, &now);
	do
		clock_gettime(CLOCK_REALTIME_COARSE, &files);
	while (files.tv_sec < now.tv_sec ||
	       (files.tv_sec == now.tv_sec && files.tv_nsec <= now.tv_nsec));
	home = openat(site->place.tree, "home", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (const char *dirs = ".local/state/sbx/sessions/s/0/work/fuse-overlayfs", *at = dirs; at;
	     at = strchr(at + 1, '/')) {
		const char *end = strchr(at + 1, '/');
		char path[128];

		snprintf(path, sizeof(path), "%.*s", end ? (int)(end - dirs) : -1, dirs);
		if (end || fuse)
			cr_assert_eq(mkdirat(home, path, 0700), 0, "%s", path);
	}
	session = openat(home, ".local/state/sbx/sessions/s", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(mkdirat(session, "0/upper", 0755), 0);
	upper = openat(session, "0/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(stat(site->path, &st), 0);
	cr_assert_eq(fchmod(upper, st.st_mode & 01777), 0);
	len = snprintf(meta, sizeof(meta),
		       "sbx-session=1%cbegan=%lld.%ld%croot=%s%cinode=%llu:%llu%c", 0,
		       (long long)now.tv_sec, now.tv_nsec, 0, site->path, 0,
		       (unsigned long long)st.st_dev, (unsigned long long)st.st_ino, 0);
	file = openat(session, "meta", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_eq(write(file, meta, (size_t)len), len);
	close(file);
	close(session);
	close(home);
	return upper;
}

/* A test for each driver that is there. */
#define EACH_DRIVER(driver)                                                                        \
	for (size_t each_ = 0; each_ < ARRAY_SIZE(cow_drivers); each_++)                           \
		for (const char *driver = cow_drivers[each_];                                      \
		     driver && (cow_driver_is_there(driver) || !test_must_run_fuse(driver));       \
		     driver = NULL)

static inline bool test_must_run_fuse(const char *driver)
{
	cr_expect(!test_must_run(), "%s cannot be used", driver);
	return true;
}
