#!/bin/sh
# SPDX-License-Identifier: MIT
#
# foreign: build test_libseccomp.c for the filters of another processor.
#
#   foreign.sh OUTPUT PRIVATE_DIR SOURCE_ROOT PROCESSOR CC [ARG...]
#
# The numbers come from that processor's kernel headers (Debian's linux-libc-dev-*-cross), as
# they do in a build for it; the arrays from gen_seccomp; the test runs on this processor.
set -eu

output=$1 private=$2 root=$3 processor=$4
shift 4
src=$root/src
mkdir -p "$private"

"$src/gen/syscall_numbers.sh" "$private/syscall_numbers.h" "$src/seccomp/calls.inc" \
	clang --target="$processor-linux-gnu" -isystem "/usr/$processor-linux-gnu/include"

sources=
for name in seccomp/compile seccomp/program seccomp/table \
	base/arena base/err base/io base/similar base/str; do
	sources="$sources $src/$name.c"
done
flags="-std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -I$private -I$root/include"
# shellcheck disable=SC2086
"$@" $flags "$src/gen/gen_seccomp.c" $sources -o "$private/gen_seccomp"
"$private/gen_seccomp" "$private/seccomp_builtin.h"
# shellcheck disable=SC2046,SC2086
"$@" $flags "$root/tests/seccomp/test_libseccomp.c" "$src/seccomp/builtin.c" $sources \
	$(pkg-config --cflags --libs criterion libseccomp) -o "$output"
