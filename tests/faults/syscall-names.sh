#!/bin/sh
# SPDX-License-Identifier: MIT
#
# syscall-names: print the numbers of the system calls with their names, as a C table.
#
#   syscall-names.sh OUTPUT COMPILER [ARG...]
set -eu

output=$1
shift
echo '#include <asm/unistd.h>' | "$@" -E -dM - | awk '
	$1 == "#define" && $2 ~ /^__NR_[a-z0-9_]+$/ && $3 ~ /^[0-9]+$/ {
		printf "\t{%s, \"%s\"},\n", $3, substr($2, 6)
		n++
	}
	END {
		if (n < 100) {
			print "syscall-names: no system calls found" > "/dev/stderr"
			exit 1
		}
	}' > "$output"
