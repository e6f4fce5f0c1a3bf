/* SPDX-License-Identifier: MIT */
/*
 * cow: what the tests of copy-on-write sessions share: a directory to change, and a home
 * for the sessions, which are asked for by name.
 */
#pragma once

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

#define cow_start(site, driver_, ...)                                                              \
	do {                                                                                       \
		place_start(&(site)->place);                                                       \
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
