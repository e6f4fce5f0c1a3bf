/* SPDX-License-Identifier: MIT */
/*
 * session: the directory in which the changes of a copy-on-write view are kept.
 *
 *     meta      what it is: fields of text, each ended by a NUL (the launch binary reads no JSON):
 *               among them each root's path, inode, and where they are known the time at which
 *               it was made and its filesystem's id
 *     lock      locked (flock) while a sandbox uses it, or a verb changes something; made first.
 *               Its time is that of the last use
 *     applied   made when all of it has been applied
 *     emptying  made before what was changed is removed, and removed behind that
 *     journal   of applies: what of the host they have changed, and what that came to be
 *     removals  of applies: the directories of the host that they take away
 *     placed    of applies: the files that they have given to the host, as they have left them
 *     N/upper   what was changed in root N, as overlayfs or fuse-overlayfs keeps it
 *     N/base    the attributes and the time that N/upper began with, where it has all of root N's
 *     N/work    the driver's own
 *     N/held    the lowest layer of N, where the launch holds names that are missing (held.h)
 *     N/targets what the launch makes in N/upper to mount something on, to be undone (targets.h)
 *
 * Runs in: the caller's process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "sbx/base/arena.h"
#include "sbx/base/err.h"
#include "sbx/cow/clock.h"

enum { COW_ROOTS_MAX = 64, COW_META_MAX = 1 << 20, COW_IDS_MAX = 128, COW_MADE_MAX = 4096 };
enum { COW_WORD_MAX = 4200 /* bytes of a session's name for a command line */ };
enum { COW_WHERE_MAX = 256 /* bytes of what is in the way of a removal; more are left out */ };

/* With ASK and REMOVE, one whose record cannot be read is opened too (damaged). */
enum cow_lock { COW_LOCK_ASK, COW_LOCK_READ, COW_LOCK_WRITE, COW_LOCK_REMOVE };

struct cow_root {
	const char *path;  /* of the host, absolute, without links */
	uint64_t dev, ino; /* what it was when the session began; with the next four: see root.c */
	bool has_birth, has_fsid;
	struct timespec born;
	uint32_t fsid[2];
	bool fuse;	/* fuse-overlayfs has kept it */
	bool as_nobody; /* what ids have that the sandbox has not was copied as nobody's */
};

struct cow_id_range {
	uint32_t first, count;
};

/* Of one kind, uids or gids: those of the host that the sandbox has. */
struct cow_ids {
	uint32_t nobody; /* its "nobody", who all are there that it has not; 0: none */
	const struct cow_id_range *has;
	size_t n_has;
};

struct cow_session {
	const char *id, *dir;
	int dir_fd, lock_fd; /* owned; -1: none */
	bool fresh;	     /* begun by this process */
	bool lock_made;	     /* and so was the lock */
	unsigned made;	     /* how many directories were made for it: its own, and those above */
	bool applied;
	bool emptied; /* a removal of what was changed has begun, and has not ended */
	bool in_use;  /* somebody else has it locked */
	const char
		*damaged; /* why its record cannot be read, which then says nothing; NULL: it can */
	bool lost;	  /* there is no record: it is only to be shown (damaged) */
	struct timespec began, used; /* the latter: by a launch, or a verb that may change it */
	struct cow_clock clock;	     /* when it began */
	const char *command;	     /* "" where it is not known */
	struct cow_root *roots;
	size_t n_roots;
	struct cow_ids uids, gids;
};

void cow_session_init(struct cow_session *session);
void cow_session_close(struct cow_session *session);
int cow_session_parse(const char *text, size_t len, struct arena *arena, struct cow_session *s,
		      struct sbx_err *err);
void cow_session_note_use(const struct cow_session *session);
int cow_session_refuse_none(const char *id, const char *what, struct sbx_err *err);
int cow_session_open(const char *dir, const char *id, enum cow_lock lock, struct arena *arena,
		     struct cow_session *ret, struct sbx_err *err);

/* What a launch begins or goes on with. */
struct cow_wanted {
	const char *id, *dir;
	const char *base; /* of sessions with names, if it is one; else NULL */
	const char *const *roots;
	size_t n_roots;
	const char *const *argv; /* NULL-terminated */
	struct cow_ids uids, gids;
};

bool cow_ids_have(const struct cow_ids *ids, uint32_t id);
int cow_session_start(const struct cow_wanted *wanted, struct arena *arena, struct cow_session *ret,
		      struct sbx_err *err);
void cow_session_abandon(struct cow_session *session);
bool cow_session_remove_begun(int dir_fd, const char *name);
void cow_session_sweep(const char *base);
int cow_session_find_drivers(struct cow_session *session, struct sbx_err *err);
const char *cow_session_word(const struct cow_session *session, char room[COW_WORD_MAX]);
int cow_session_check_whole(const struct cow_session *session, struct sbx_err *err);
int cow_session_remove(struct cow_session *session, struct sbx_err *err);
int cow_remove_tree(int dir_fd, const char *name);
int cow_empty_found(int found, char ret_where[COW_WHERE_MAX]);
int cow_session_open_root(const struct cow_session *session, size_t index, int *ret_upper,
			  int *ret_host, struct sbx_err *err);
int cow_session_open_base(const struct cow_session *session, size_t index, int *ret_base,
			  struct sbx_err *err);
