/* SPDX-License-Identifier: MIT */
/*
 * placeholder: empty files and directories, or files with a dot in them, that hold a
 * protected name which the host does not have. They are recorded before they are made, and removed
 * when the sandbox has ended, or by the next sbx.
 *
 * Runs in: the monitor, which opens the record, removes and sweeps; PID 1, which
 * makes and adopts.
 */
#pragma once

#include <limits.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"
#include "sbx/run/record.h"
#include "sbx/spec/plan.h"

struct placeholder_box {
	const struct sbx_plan *plan; /* borrowed */
	const char *dir;	     /* borrowed; where records are */
	int dir_fd;		     /* owned; -1: there is none, see error */
	int record_fd;		     /* owned; locked as long as somebody of this sandbox lives */
	char name[RECORD_NAME_MAX];  /* of the record in dir */
	int error;		     /* why there is no record */

	/* In PID 1, while it builds: */
	int lock_fd;	      /* owned; nobody else makes or removes */
	unsigned n_made;      /* entries written */
	struct arena arena;   /* owns the list below */
	struct record others; /* what other sandboxes have made */
};

/* A place for a placeholder. */
struct placeholder_spot {
	int dir_fd;	      /* borrowed; the directory, as seen inside */
	const char *name;     /* in it */
	const char *host_dir; /* the directory's path on the host; NULL: it is not the host's */
	int host_fd;	      /* borrowed; that, where dir_fd is an overlay over it; else -1 */
	bool is_dir;
	bool has_dot; /* a file that is not empty, but holds one dot */
	bool is_work; /* see struct record_entry */
	mode_t umask;
};

/* What placeholder_make() came to, where it is no failure. */
enum placeholder_result {
	PLACEHOLDER_MADE,
	PLACEHOLDER_EXISTS,	/* somebody was faster */
	PLACEHOLDER_IMPOSSIBLE, /* nothing can be made there, not by the command either */
};

enum placeholder_sweep_what {
	PLACEHOLDER_SWEEP_RECORDS, /* what records tell of: for launches that protect nothing */
	PLACEHOLDER_SWEEP_ALL,	   /* and a directory for overlays that no record tells of */
};

/* The monitor, and every verb: placeholder_sweep(). */
void placeholder_init(struct placeholder_box *box);
void placeholder_open(struct placeholder_box *box, const struct sbx_plan *plan);
void placeholder_finish(struct placeholder_box *box);
void placeholder_sweep(const struct sbx_plan *plan, enum placeholder_sweep_what what);

/* PID 1. */
int placeholder_begin(struct placeholder_box *box, struct sbx_err *err);
int placeholder_make(struct placeholder_box *box, const struct placeholder_spot *spot,
		     struct sbx_err *err);
bool placeholder_is_impossible(int dir_fd);
int placeholder_create_dot(int dir_fd, const char *name, mode_t umask);
int placeholder_work_dir(const char *records, char path[PATH_MAX], int *ret_fd);
int placeholder_make_work(struct placeholder_box *box, int dir_fd, const char *path, int *ret_fd,
			  struct sbx_err *err);
int placeholder_adopt(struct placeholder_box *box, const struct sys_file *file,
		      struct sbx_err *err);
void placeholder_end(struct placeholder_box *box);
