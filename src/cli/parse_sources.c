/* SPDX-License-Identifier: MIT */
/*
 * parse_sources: options that stand for other options: --args and --profile; see parse_parts.h.
 *
 * The words of an --args stream are read in the grammar of the command line. A profile's lines
 * (cli/profile.h) are words too, one line at a time, so that no option takes its argument from
 * the next line. What they add to the spec bears the line's name, and the directories that the
 * file lies in are guarded: see resolve_guards().
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sbx/base/defs.h"
#include "sbx/base/io.h"
#include "sbx/cli/options.h"
#include "sbx/cli/parse_parts.h"
#include "sbx/cli/profile.h"

enum {
	ARGS_MAX_BYTES = 64 << 20,
	STD_FDS = 3,
};

/*
 * Close the stream's descriptor. The place of a standard one must not become
 * free, or the next file that is opened takes it: /dev/null goes there.
 */
static int close_stream(int fd, struct sbx_err *err)
{
	_autoclose_ int null_fd = -1;

	if (fd >= STD_FDS) {
		close(fd);
		return 0;
	}
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0 || dup2(null_fd, fd) < 0)
		return err_system(err, errno, "/dev/null", "cannot open");
	return 0;
}

/* Cut NUL-separated data into words; the NUL behind the last may be missing. */
static int split_stream(struct arena *arena, const char *data, size_t len, struct words *ret)
{
	const char **list = NULL;
	size_t count = 0;

	for (size_t at = 0; at < len; at += strlen(data + at) + 1) {
		const char **grown = arena_grow(arena, list, count, sizeof(*list));

		if (!grown)
			return -ENOMEM;
		list = grown;
		list[count++] = data + at;
	}
	*ret = (struct words){.list = list, .count = count};
	return 0;
}

static int parse_stream(struct parser *p, struct words *words, struct sbx_err *err)
{
	const struct source stream = {.kind = FROM_ARGS, .outer = p->source};
	int r;

	p->source = &stream;
	r = p->parse_options(p, words, err);
	p->source = stream.outer;
	if (r < 0 || p->answered || words->next == words->count)
		return r;
	err_usage(err, words->list[words->next],
		  "the command cannot come from --args, only options can");
	err_hint(err, "write it behind the options: sbx --args FD -- COMMAND");
	return -EINVAL;
}

int parser_act_args(struct parser *p, const struct use *use, struct sbx_err *err)
{
	struct arena *arena = &p->run->spec.arena;
	int fd = (int)use->numbers[0];
	struct words words;
	char *data = NULL;
	size_t len = 0;
	int r;

	if (p->source->kind == FROM_ARGS)
		return err_usage(err, use->option->name, "cannot be used inside an --args stream");
	r = io_read_all(fd, ARGS_MAX_BYTES, arena, &data, &len);
	if (r == -EFBIG)
		r = err_refuse(err, EFBIG, use->args[0], "the stream is larger than 64 MiB");
	else if (r < 0)
		r = err_system(err, -r, use->args[0], "cannot read options from the descriptor");
	if (r == 0)
		r = close_stream(fd, err);
	if (r < 0) {
		err_set_option(err, use->option->name);
		return r;
	}
	if (split_stream(arena, data, len, &words) < 0)
		return err_oom(err);
	return parse_stream(p, &words, err);
}

/* What the profile's words add bears the line's name: "build:12". */
static int parse_profile_line(struct parser *p, struct source *source,
			      const struct profile_words *line, struct sbx_err *err)
{
	struct words words = {.list = line->list, .count = line->count};
	int r;

	source->origin = arena_printf(&p->run->spec.arena, "%s:%zu", source->profile->name,
				      source->profile->line);
	if (!source->origin)
		return err_oom(err);
	p->source = source;
	r = parser_read_option(p, &words, err);
	p->source = source->outer;
	assert(r < 0 || words.next == words.count);
	return r;
}

static int parse_profile(struct parser *p, struct profile *profile, struct sbx_err *err)
{
	struct source source = {
		.kind = FROM_PROFILE,
		.depth = p->source->depth + 1,
		.profile = profile,
		.outer = p->source,
	};
	struct profile_words line;
	int r;

	do {
		r = profile_next(profile, &p->run->spec.arena, &line, err);
		if (r == 0 && line.count)
			r = parse_profile_line(p, &source, &line, err);
	} while (r == 0 && line.count);
	if (r < 0)
		err_annotate(err, "line %zu of profile %s", profile->line, profile->path);
	return r;
}

static int guard_profile(struct parser *p, const struct profile *profile, struct sbx_err *err)
{
	int r = 0;

	for (size_t i = 0; i < profile->file.n_places && r == 0; i++) {
		const struct spec_guard guard = {
			.dev = profile->file.places[i].dev,
			.ino = profile->file.places[i].ino,
			.path = profile->path,
		};

		r = spec_add_guard(&p->run->spec, &guard, err);
	}
	return r;
}

/* A profile that is being read already would never end. */
static int check_no_cycle(const struct parser *p, const struct profile *profile,
			  struct sbx_err *err)
{
	for (const struct source *s = p->source; s; s = s->outer) {
		if (s->kind == FROM_PROFILE &&
		    s->profile->file.self.dev == profile->file.self.dev &&
		    s->profile->file.self.ino == profile->file.self.ino)
			return err_usage(err, "--profile", "%s includes itself", profile->name);
	}
	return 0;
}

int parser_act_profile(struct parser *p, const struct use *use, struct sbx_err *err)
{
	bool nested = p->source->kind == FROM_PROFILE;
	struct pending before = p->pending;
	size_t n_ops = p->run->spec.n_ops;
	struct profile profile;
	int r;

	if (p->source->depth >= PROFILE_MAX_DEPTH)
		return err_usage(err, use->option->name, "profiles are nested more than %d deep",
				 PROFILE_MAX_DEPTH);
	if (p->n_profiles++ >= PROFILE_MAX_FILES)
		return err_usage(err, use->option->name, "more than %d profiles are read",
				 PROFILE_MAX_FILES);
	r = profile_open(use->args[0], nested ? p->source->profile->path : NULL,
			 &p->run->spec.arena, &profile, err);
	if (r == 0)
		r = check_no_cycle(p, &profile, err);
	if (r == 0)
		r = guard_profile(p, &profile, err);
	if (r < 0) {
		err_set_option(err, use->option->name);
		return r;
	}
	r = parse_profile(p, &profile, err);
	return r < 0 ? r : parser_check_none_left(p, &before, p->run->spec.n_ops > n_ops, err);
}
