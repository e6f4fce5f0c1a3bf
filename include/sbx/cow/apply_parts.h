/* SPDX-License-Identifier: MIT */
/*
 * apply_parts: what the files that make up cow_apply() share; for no one else.
 * Runs in: the caller's process.
 */
#pragma once

#include <signal.h>
#include <sys/stat.h>

#include "sbx/cow/apply.h"
#include "sbx/cow/devices.h"
#include "sbx/cow/journal.h"
#include "sbx/cow/mounts.h"
#include "sbx/cow/removals.h"
#include "sbx/cow/sync.h"

enum {
	APPLY_OPS_MAX = COW_SYNC_MAX,
	APPLY_SCAN_DEPTH = COW_DEPTH_MAX, /* as deep as what is applied; a descriptor for each */
	APPLY_SETID = S_ISUID | S_ISGID,
	APPLY_SET = COW_MODE | COW_OWNER | COW_XATTRS /* what is set of a directory that stays */
};

extern const char apply_setid_left_out[]; /* what is said then */

/* A file of the layer with several names, and what the first of them has become. */
struct apply_link {
	uint64_t dev, ino;	     /* in the layer; ino 0: a free place */
	uint64_t host_dev, host_ino; /* on the host; 0: not there yet, in a dry run */
	char *path;		     /* owned; relative to the root */
	size_t root;
};

enum apply_kind {
	APPLY_PLACE,  /* what is under the temporary name gets its own */
	APPLY_REMOVE, /* a name of the host goes */
	APPLY_FINISH  /* all in a directory is done */
};

/* What is to be done when the files that were made are on disk. */
struct apply_op {
	enum apply_kind kind;
	struct cow_entry entry;	 /* its path and two descriptors are owned */
	int fd;			 /* owned; the new file, the directory that is finished, or -1 */
	struct cow_removal goes; /* a directory of the host that has that name, or zeros */
	uint64_t made_dev, made_ino; /* what is to be placed */
	struct stat placed;	     /* as it was just behind that; st_ino 0: it is not */
};

struct apply {
	struct cow_session *session;
	const struct cow_apply_options *options;
	struct cow_applied *applied;
	struct cow_devices devices;
	struct cow_journal journal;
	struct cow_removals removals;
	struct cow_mounts mounts;
	struct apply_link *links; /* owned; a hash table */
	size_t n_links, links_size, links_bytes;
	size_t root;
	int root_fd;	    /* owned; of the host */
	struct stat new_in; /* in a dry run: the host's directory that the new ones are in */
	const char *place;  /* what patterns know it by: "", or of a mount below another */
	bool acts;	    /* the second walk */
	bool unshown;	    /* what stands against an entry is the mark of an overlay */
	bool later_below;   /* in the first walk: so is something in the directory that goes */
	bool passes;	    /* a part was left out that cannot be seen */
	bool again;	    /* an earlier try may have left something */
	struct apply_op ops[APPLY_OPS_MAX];
	size_t n_ops, ops_max;
	off_t ops_bytes;
	sigset_t held; /* signals that wait */
	struct cow_sync sync;
	char temporary[48];	       /* what all names of what is not in place begin with */
	char name[48 + 16];	       /* the present one: the place in `ops` is behind it */
	struct stat made;	       /* what was made last */
	struct cow_removal goes;       /* the directory that is to go for it, or zeros */
	bool in_the_way;	       /* something has the present name, and is not an apply's */
	bool is_left;		       /* a directory with the present name could not be removed, */
	char left_over[COW_WHERE_MAX]; /* because of this in it; "": because of itself */
	char why[512];		       /* something cannot be applied */
};

/* ---- apply_choose.c: which changes are meant, and what stands against them ---- */

void apply_note_fits(struct apply *a, const struct cow_entry *e);
bool apply_selects(const struct apply *a, const char *path);
bool apply_excludes(const struct apply *a, const char *path);
typedef bool (*apply_test)(const struct apply *a, const char *path);
bool apply_any_below(const struct apply *a, apply_test test, int dir_fd, const char *name,
		     const char *path, unsigned depth);
bool apply_is_beyond(const struct cow_entry *e);
uint32_t apply_changes(const struct apply *a, const struct cow_entry *e);
bool apply_conflicts(struct apply *a, const struct cow_entry *e);

/* ---- apply_below.c: what is in a directory that goes ---- */

bool apply_is_unshown(const struct apply *a, int dir_fd, const char *name, const struct stat *st);
bool apply_tree_is_later(struct apply *a, int dir_fd, const char *name, bool goes, unsigned depth);
bool apply_is_barred(struct apply *a, const struct cow_entry *e, struct str_buf *why);

/* ---- apply_own.c: what is an apply's own work ---- */

bool apply_is_others(struct apply *a, const struct stat *st);
int apply_hold(struct apply *a, int fd, struct stat *ret_st);
int apply_hold_again(struct apply *a, int fd, struct stat *ret_st);
void apply_note(struct apply *a, int fd);
int apply_removal_of(const struct apply *a, int dir_fd, const char *name, struct cow_removal *ret);
void apply_note_placed(struct apply *a, const struct apply_op *op);
void apply_note_name(struct apply *a, int dir_fd, const char *name);
int apply_watch(struct apply *a, int dir_fd, const char *name, const struct stat *st);
int apply_hold_file(struct apply *a, const struct cow_entry *e);
int apply_unlink(struct apply *a, int dir_fd, const char *name, const struct stat *st);
int apply_unlink_shared(struct apply *a, int dir_fd);

/* ---- apply_clear.c: what has a temporary name ---- */

int apply_find_dir(int dir_fd, const char *name);
int apply_let_go(struct apply *a, int found, const struct cow_removal *removal);
int apply_remove_dir(struct apply *a, int found, int dir_fd);
int apply_clear(struct apply *a, int dir_fd);
int apply_make_way(struct apply *a, int dir_fd);

/* ---- apply_make.c: under a temporary name ---- */

void apply_links_finish(struct apply *a);
const struct apply_link *apply_find_link(const struct apply *a, const struct stat *upper);
int apply_note_link(struct apply *a, const struct cow_entry *e);
bool apply_can_link(const struct apply *a, const struct apply_link *link);
bool apply_is_interrupted(const struct apply *a);
bool apply_may_give(gid_t gid);
int apply_set_all(struct apply *a, const struct cow_entry *e, int fd);
int apply_make(struct apply *a, const struct cow_entry *e, int *ret_fd);
int apply_foresee(struct apply *a, const struct cow_entry *e, const struct stat *has);

/* ---- apply_place.c: put in place; many entries together ---- */

int apply_check_dir(int dir_fd);
int apply_prepare(struct apply *a, int dir_fd);
int apply_fail(const struct apply *a, const struct cow_entry *e, int number, struct sbx_err *err);
void apply_use_name(struct apply *a, unsigned index);
int apply_fail_in(const struct apply *a, const struct cow_entry *e, int number,
		  struct sbx_err *err);
int apply_later(struct apply *a, enum apply_kind kind, const struct cow_entry *e, int fd);
bool apply_finishes(struct apply *a, const struct cow_entry *e, const struct stat *st);
int apply_flush(struct apply *a, struct sbx_err *err);
int apply_make_room(struct apply *a, struct sbx_err *err);
bool apply_awaits_link(const struct apply *a, const struct cow_entry *e);
int apply_act(struct apply *a, const struct cow_entry *e, struct sbx_err *err);
