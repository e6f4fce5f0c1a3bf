/* SPDX-License-Identifier: MIT */
/* e2e seccomp_cache: filters of profiles are made once, and only what is whole is used again. */
#include <stdio.h>

#include "desk.h"
#include "e2e.h"

#define expect_desk(script, text)                                                                  \
	do {                                                                                       \
		_autorun_ struct run_result desk = desk_run("4M", script);                         \
		expect_out(desk, text);                                                            \
	} while (0)

Test(seccomp_cache, a_second_launch_does_not_run_the_reader)
{
	desk_need();
	expect_desk("try; runs; try; try; runs; ls $D | wc -l; stat -c %a $D $D/*",
		    "1\n1\n1\n1\n1\n"
		    "1\n700\n600\n");
}

Test(seccomp_cache, the_remarks_stay_and_it_is_told)
{
	desk_need();
	expect_desk("counted --seccomp p.json -v -- true 2>&1 | grep -c -e earlier -e none_\n"
		    "counted --seccomp p.json -v -- true 2>&1 | grep -o -e earlier -e none_\n"
		    "counted --seccomp p.json --explain -- true | grep -o -e earlier -e none_\n"
		    "try 2>&1; runs",
		    "1\nearlier\nnone_\nearlier\nnone_\n1\n1\n");
}

/* --explain changes nothing. */
Test(seccomp_cache, explain_keeps_nothing)
{
	desk_need();
	expect_desk("counted --seccomp p.json --explain -- true >/dev/null; runs; ls $D | wc -l",
		    "1\n0\n");
}

/* Everything that the filter hangs on: each makes one run of the reader more. */
Test(seccomp_cache, what_decides_it_makes_another)
{
	desk_need();
	expect_desk("try; runs\n"
		    "profile x >p.json; try; runs\n"
		    "profile >p.json; try; runs\n" /* as it was */
		    "try --cap-add SYS_CHROOT; runs; try --cap-add SYS_CHROOT; runs\n"
		    "try --cap-add SYS_NICE; runs; try --multiarch; runs\n"
		    "touch reader; try; runs\n"
		    "cp reader r2; mv r2 reader; try; runs",
		    "1\n1\n1\n2\n1\n2\n1\n3\n1\n3\n1\n4\n1\n5\n1\n6\n1\n7\n");
}

/* A library that the reader names; a reader that names none is asked each time. */
Test(seccomp_cache, another_library_makes_another)
{
	desk_need();
	expect_desk(
		"printf '#!/bin/sh\\necho >>%s/runs\\necho libraries: %s/lib >&2\\n"
		"exec %s <&0\\n' \"$HOME\" \"$HOME\" \"$READER\" >reader\n"
		"echo 1 >lib; try; try; runs; echo 2 >lib; try; runs; rm lib; try; runs\n"
		"printf '#!/bin/sh\\necho >>%s/runs\\nexec %s\\n' \"$HOME\" \"$READER\" >reader\n"
		"try; runs; try; runs",
		"1\n1\n1\n1\n2\n1\n3\n1\n4\n1\n5\n");
}

/*
 * What is not whole, not the caller's alone, or of another key is passed over and replaced:
 * behind each the reader is run once, and the launch after that finds an entry again.
 */
Test(seccomp_cache, odd_entries_are_passed_over)
{
	static const char *const spoil[] = {
		": >$E",
		"truncate -s -1 $E",
		"truncate -s 20 $E",
		"echo x >>$E",
		"printf X | dd of=$E bs=1 seek=0 conv=notrunc 2>&-",	    /* magic */
		"printf '\\377' | dd of=$E bs=1 seek=8 conv=notrunc 2>&-",  /* a length */
		"printf '\\377' | dd of=$E bs=1 seek=40 conv=notrunc 2>&-", /* the program */
		"printf X | dd of=$E bs=1 seek=$(($(stat -c %s $E) - 3)) conv=notrunc 2>&-",
		"chmod 0640 $E",
		"chmod 0604 $E",
		"chmod 0700 $E",
		"ln $E $D/other",
		"mv $E moved; ln -s $HOME/moved $E",
		"rm $E; mkfifo -m 600 $E",
		"cp $F $E", /* of another profile */
		"rm $E; ln -s /nowhere $E",
	};

	desk_need();
	for (size_t i = 0; i < ARRAY_SIZE(spoil); i++) {
		char script[1024];

		(void)snprintf(script, sizeof(script),
			       "profile x >p.json; try >/dev/null; F=$HOME/f; cp $D/* $F; rm $D/*\n"
			       "profile >p.json; try >/dev/null; E=$(echo $D/*); : >runs\n"
			       "%s\ntry; runs; try; runs; stat -c %%F,%%h,%%a $E",
			       spoil[i]);
		{
			_autorun_ struct run_result r = desk_run("4M", script);

			cr_expect_str_eq(r.out, "1\n1\n1\n1\nregular file,1,600\n", "%s: %s%s",
					 spoil[i], r.out, r.err);
			cr_expect_str_eq(r.err, "", "%s: %s", spoil[i], r.err);
		}
	}
}

/* Nor what belongs to somebody else, the file or a directory above it. */
Test(seccomp_cache, what_another_user_owns_is_passed_over)
{
	static const char *const spoil[] = {"$D/*", "$D", "${D%/*}"};

	desk_need();
	for (size_t i = 0; i < ARRAY_SIZE(spoil); i++) {
		char script[256];

		(void)snprintf(script, sizeof(script),
			       "try; runs; try; runs; chown 7 %s; try; runs", spoil[i]);
		{
			_autorun_ struct run_result r = desk_run_as_root(script);

			skip_unless(!strstr(r.err, "--map=range"), "there are no ranges of ids");
			cr_expect_str_eq(r.out, "1\n1\n1\n1\n1\n2\n", "%s: %s%s", spoil[i], r.out,
					 r.err);
		}
	}
}

/* Directories that others can enter, and what is none. */
Test(seccomp_cache, odd_directories_are_not_used)
{
	static const char *const spoil[] = {
		"chmod 0750 $D",
		"chmod 0701 $D/..",
		"chmod 0755 $XDG_RUNTIME_DIR",
		"mv $D moved; ln -s $HOME/moved $D",
		"mv ${D%/*} moved; ln -s $HOME/moved $XDG_RUNTIME_DIR/sbx",
		"E=$(echo $D/*); rm $E; mkdir $E",
	};

	desk_need();
	for (size_t i = 0; i < ARRAY_SIZE(spoil); i++) {
		char script[1024];

		(void)snprintf(script, sizeof(script), "try; runs; %s\ntry; runs; try; runs",
			       spoil[i]);
		expect_desk(script, "1\n1\n1\n2\n1\n3\n");
	}
}

/* Who has another runtime directory, or none, gets no filter from here. */
Test(seccomp_cache, only_the_sessions_own_directory_is_used)
{
	desk_need();
	expect_desk("mkdir -m 700 x; try; XDG_RUNTIME_DIR=$HOME/x try; runs\n"
		    "(unset XDG_RUNTIME_DIR; try); runs; find x -name seccomp\n"
		    "XDG_RUNTIME_DIR=$HOME/x counted --seccomp p.json -v -- true 2>&1 |\n"
		    "grep -o 'not kept: XDG_RUNTIME_DIR is not'",
		    "1\n1\n2\n1\n3\nnot kept: XDG_RUNTIME_DIR is not\n");
}

/* What is no mount could have been made by a sandbox that has what is above. */
Test(seccomp_cache, a_directory_that_is_no_mount_is_not_used)
{
	desk_need();
	{
		_autorun_ struct run_result r =
			desk_run(NULL, "try; try; runs; find $XDG_RUNTIME_DIR -name seccomp");

		expect_out(r, "1\n1\n2\n");
	}
}

/* The text that is kept is the one that the filter was made of, whoever writes to the file. */
Test(seccomp_cache, a_profile_that_changes_meanwhile_decides_nothing)
{
	desk_need();
	expect_desk("profile >good; sed s/ERRNO/ALLOW/ good >evil\n"
		    "printf '#!/bin/sh\\necho >>%s/runs\\ncat %s/evil >%s/p.json\\n"
		    "exec %s \"$@\"\\n' \"$HOME\" \"$HOME\" \"$HOME\" \"$READER\" >reader\n"
		    "try; cat good >p.json; try; runs",
		    "1\n1\n1\n");
}

Test(seccomp_cache, there_are_not_more_than_64)
{
	desk_need();
	expect_desk("try >/dev/null; first=$(ls $D); touch -d 2001-01-01 $D/$first\n"
		    "for i in $(seq 66); do profile $i >p.json; try >/dev/null; done\n"
		    "ls $D | wc -l; ls $D | grep -c $first; runs; try; runs",
		    "64\n0\n67\n1\n67\n");
}

Test(seccomp_cache, without_room_nothing_is_kept)
{
	desk_need();
	expect_desk("box -- true; dd if=/dev/zero of=$XDG_RUNTIME_DIR/full bs=1k 2>&-\n"
		    "try 2>&1; try 2>&1; runs; find $D -type f | wc -l\n"
		    "counted --seccomp p.json -v -- true 2>&1 | grep -c 'cannot keep the filter'\n"
		    "rm $XDG_RUNTIME_DIR/full; try; try; runs",
		    "1\n1\n2\n0\n1\n1\n1\n4\n");
	/* Nor is sbx ended by a limit on the size of files, which tells by a signal. */
	expect_desk("printf '%20000s' '' >>p.json\n"
		    "(ulimit -S -f 8; box --seccomp p.json -- echo up); find $D -type f | wc -l",
		    "up\n0\n");
}

Test(seccomp_cache, many_at_a_time_are_fine)
{
	desk_need();
	expect_desk(
		"for i in 1 2 3 4 5 6 7 8; do try >o.$i 2>&1 & done; wait; cat o.* | uniq -c |\n"
		"tr -d ' '; ls $D | wc -l; : >runs; try; runs",
		"81\n1\n1\n0\n");
}
