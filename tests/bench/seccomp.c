/* SPDX-License-Identifier: MIT */
/*
 * seccomp: launches with podman's profile, its filter kept from an earlier one or made
 * anew, beside launches with the default filter; all by way of env(1), as filters are kept
 * in the directory of a session only. Root gives the ordinary user one, in a mount
 * namespace of the benchmark's own.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"
#include "seccomp.h"

static const char profile[] = "/usr/share/containers/seccomp.json";

static void make_session(const struct bench_user *user, const char *dir)
{
	char options[64];

	snprintf(options, sizeof(options), "mode=0700,uid=%u,gid=%u", user->passwd->pw_uid,
		 user->passwd->pw_gid);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") < 0 || mkdir("/run/user", 0755) < 0 ||
	    mkdir(dir, 0700) < 0 || mount("tmpfs", dir, "tmpfs", 0, options) < 0)
		measure_die(dir);
	if (user_become(user) < 0)
		measure_die("cannot become the ordinary user");
}

static void command(struct words *words, const struct programs *programs, const char *dir,
		    const char *file)
{
	words_add(words, "/usr/bin/env");
	words_add(words, "XDG_RUNTIME_DIR=%s", dir);
	command_sbx(words, programs, MAP_SINGLE);
	if (file) {
		words_add(words, "--seccomp");
		words_add(words, "%s", file);
	}
	words_add(words, "--");
	words_add(words, "/usr/bin/true");
}

void seccomp_bench(const struct programs *programs, const struct bench_user *user, size_t rounds)
{
	const char *other = getenv("XDG_RUNTIME_DIR");
	struct words none = {0}, kept = {0}, made = {0};
	char dir[64];

	snprintf(dir, sizeof(dir), "/run/user/%u", user->passwd->pw_uid);
	if (access(profile, R_OK) < 0) {
		printf("\n%s is not there: not measured\n", profile);
		return;
	}
	if (user->is_other)
		make_session(user, dir);
	command(&none, programs, dir, NULL);
	command(&kept, programs, dir, profile);
	command(&made, programs, other, profile);

	struct subject subjects[] = {
		{.name = "no profile", .argv = none.word},
		{.name = "profile, its filter kept", .argv = kept.word},
		{.name = "profile, its filter made", .argv = made.word},
	};

	measure_race(subjects, 3, 5, rounds);
	measure_print("launch of true with podman's seccomp.json, the caller's id alone", subjects,
		      3);
	for (size_t i = 0; i < 3; i++) /* sorted by now */
		printf("  %-34s %10.0f at least\n", subjects[i].name, subjects[i].times[0]);
	measure_free(subjects, 3);
	words_free(&none);
	words_free(&kept);
	words_free(&made);
}
