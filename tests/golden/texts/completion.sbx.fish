# SPDX-License-Identifier: MIT
# Fish completion for sbx(1). Options take up to two arguments, so the words before
# the cursor are walked to find out what stands there.

# What the arguments of an option are, one line each.
function __sbx_kinds -a option
	switch $option
		case --args
			string split ' ' 'fd'
		case --net
			string split ' ' 'word'
		case --hostname
			string split ' ' 'none'
		case --map
			string split ' ' 'word'
		case --uid
			string split ' ' 'none'
		case --gid
			string split ' ' 'none'
		case --user
			string split ' ' 'user'
		case --bind
			string split ' ' 'path path'
		case --ro-bind
			string split ' ' 'path path'
		case --dev-bind
			string split ' ' 'path path'
		case --bind-try
			string split ' ' 'path path'
		case --ro-bind-try
			string split ' ' 'path path'
		case --dev-bind-try
			string split ' ' 'path path'
		case --bind-fd
			string split ' ' 'fd path'
		case --ro-bind-fd
			string split ' ' 'fd path'
		case --rw
			string split ' ' 'path'
		case --ro
			string split ' ' 'path'
		case --rootfs
			string split ' ' 'dir'
		case --tmpfs
			string split ' ' 'path'
		case --dir
			string split ' ' 'path'
		case --file
			string split ' ' 'fd path'
		case --bind-data
			string split ' ' 'fd path'
		case --ro-bind-data
			string split ' ' 'fd path'
		case --symlink
			string split ' ' 'path path'
		case --chmod
			string split ' ' 'none path'
		case --remount-ro
			string split ' ' 'path'
		case --proc
			string split ' ' 'path'
		case --dev
			string split ' ' 'path'
		case --sys
			string split ' ' 'path'
		case --cgroup
			string split ' ' 'path'
		case --mqueue
			string split ' ' 'path'
		case --mask
			string split ' ' 'path'
		case --mask-try
			string split ' ' 'path'
		case --perms
			string split ' ' 'none'
		case --size
			string split ' ' 'none'
		case --mount-opt
			string split ' ' 'words'
		case --cap-add
			string split ' ' 'cap'
		case --cap-drop
			string split ' ' 'cap'
		case --env
			string split ' ' 'env'
		case --env-file
			string split ' ' 'path'
		case --setenv
			string split ' ' 'env none'
		case --unsetenv
			string split ' ' 'env'
		case --chdir
			string split ' ' 'path'
		case --pass-fd
			string split ' ' 'fd'
		case --on-exit
			string split ' ' 'word'
		case --helper
			string split ' ' 'helper'
	end
end

# What stands at the cursor: "first" (an option or a verb), "option" (or the command),
# "command", "arguments" (of the command), "nothing", or the kind of an option's argument.
function __sbx_place
	set -l words (commandline -opc)
	set -e words[1]
	set -l place first
	while set -q words[1]
		set -l word $words[1]
		set -e words[1]
		switch $word
			case --
				set -q words[1]; and echo arguments; or echo command
				return
			case '--*=*'
				set place option
			case '-*'
				for kind in (__sbx_kinds $word)
					if not set -q words[1]
						echo $kind
						return
					end
					set -e words[1]
				end
				set place option
			case '*'
				test $place = first; and echo nothing; or echo arguments
				return
		end
	end
	echo $place
end

function __sbx_at
	contains -- (__sbx_place) $argv
end

# Is this before the command and its arguments?
function __sbx_in_options
	not __sbx_at command arguments nothing
end

# The words of the command, from its name to the cursor.
function __sbx_command_words
	set -l words (commandline -opc)
	set -e words[1]
	while set -q words[1]; and string match -q -- '-*' $words[1]
		set -l word $words[1]
		set -e words[1]
		if test $word = --
			break
		end
		if not string match -q -- '--*=*' $word
			for kind in (__sbx_kinds $word)
				set -e words[1]
			end
		end
	end
	set -q words[1]; and printf '%s\n' $words
end

function __sbx_complete_command
	set -l words (string escape -- (__sbx_command_words))
	complete -C (string join ' ' -- $words (commandline -ct))
end

# The word at the cursor, without the option that stands before an equals sign.
function __sbx_value
	string replace -r -- '^--[a-z0-9-]+=' '' (commandline -ct)
end

# A list with commas: what may follow the last of them.
function __sbx_list
	set -l done (string match -r -- '^.*,' (__sbx_value))
	printf '%s\n' $done$__sbx_words
end

function __sbx_helper
	set -l value (__sbx_value)
	set -l name (string match -r -- '^[^=]*=' $value)
	if set -q name[1]
		printf '%s\n' $name(complete -C "__sbx_none "(string replace -- $name '' $value))
	else
		printf '%s\n' $__sbx_helper=
	end
end

function __sbx_fds
	path basename /dev/fd/*
end

function __sbx_caps
	printf '%s\n' (string split -n \n '
ALL
')
end

set -g __sbx_words ro noexec noatime nodiratime nosymfollow size= mode= nr_inodes=
set -g __sbx_helper newuidmap newgidmap

complete -c sbx -f
complete -c sbx -n '__sbx_at first' -a help -d 'print the usage and all options'
complete -c sbx -n '__sbx_at first' -a version -d 'print the version and what was compiled in'
complete -c sbx -n __sbx_in_options -l help -s h -d 'print this text'
complete -c sbx -n __sbx_in_options -l version -d 'print the version and what was compiled in'
complete -c sbx -n __sbx_in_options -l verbose -s v -d 'say on stderr what is chosen and done'
complete -c sbx -n __sbx_in_options -l explain -a 'json spec' -d 'print the plan instead of running it'
complete -c sbx -n __sbx_in_options -l args -x -a '(__sbx_fds)' -d 'read more options, NUL-separated, from FD'
complete -c sbx -n __sbx_in_options -l unshare-user -d 'new user namespace (the default)'
complete -c sbx -n __sbx_in_options -l unshare-user-try -d 'the same where possible'
complete -c sbx -n __sbx_in_options -l unshare-pid -d 'new pid namespace (the default)'
complete -c sbx -n __sbx_in_options -l unshare-ipc -d 'new ipc namespace (the default)'
complete -c sbx -n __sbx_in_options -l unshare-uts -d 'new host name (the default)'
complete -c sbx -n __sbx_in_options -l unshare-cgroup -d 'new cgroup namespace (the default)'
complete -c sbx -n __sbx_in_options -l unshare-cgroup-try -d 'the same where possible'
complete -c sbx -n __sbx_in_options -l unshare-net -d 'no network but lo; same as --net=none'
complete -c sbx -n __sbx_in_options -l unshare-all -d 'all of the above'
complete -c sbx -n __sbx_in_options -l share-pid -d 'see and signal the host'\''s processes'
complete -c sbx -n __sbx_in_options -l share-ipc -d 'use the host'\''s System V and POSIX queues'
complete -c sbx -n __sbx_in_options -l share-uts -d 'keep the host'\''s name'
complete -c sbx -n __sbx_in_options -l share-cgroup -d 'see the host'\''s cgroup names'
complete -c sbx -n __sbx_in_options -l share-net -d 'use the host'\''s network; same as --net=host'
complete -c sbx -n __sbx_in_options -l net -x -a 'none host' -d 'the network; none is the default'
complete -c sbx -n __sbx_in_options -l hostname -x -d 'the host name inside'
complete -c sbx -n __sbx_in_options -l map -x -a 'auto range single' -d 'which ids exist inside'
complete -c sbx -n __sbx_in_options -l uid -x -d 'the caller'\''s uid inside'
complete -c sbx -n __sbx_in_options -l gid -x -d 'the caller'\''s gid inside'
complete -c sbx -n __sbx_in_options -l user -x -a '(__fish_complete_users)' -d 'run the command as this mapped user'
complete -c sbx -n __sbx_in_options -l root -d 'the caller is root inside, and only there'
complete -c sbx -n __sbx_in_options -l bind -d 'bind the host'\''s SRC at DEST'
complete -c sbx -n __sbx_in_options -l ro-bind -d 'the same, read-only'
complete -c sbx -n __sbx_in_options -l dev-bind -d '--bind, and device nodes work'
complete -c sbx -n __sbx_in_options -l bind-try -d '--bind, skipped if SRC does not exist'
complete -c sbx -n __sbx_in_options -l ro-bind-try -d '--ro-bind, skipped if SRC does not exist'
complete -c sbx -n __sbx_in_options -l dev-bind-try -d '--dev-bind, skipped if SRC does not exist'
complete -c sbx -n __sbx_in_options -l bind-fd -d 'bind what FD has open at DEST'
complete -c sbx -n __sbx_in_options -l ro-bind-fd -d 'the same, read-only'
complete -c sbx -n __sbx_in_options -l rw -rF -d 'bind PATH at the same path'
complete -c sbx -n __sbx_in_options -l ro -rF -d 'the same, read-only'
complete -c sbx -n __sbx_in_options -l rootfs -x -a '(__fish_complete_directories (__sbx_value))' -d 'the directory DIR becomes /'
complete -c sbx -n __sbx_in_options -l tmpfs -rF -d 'an empty tmpfs at DEST'
complete -c sbx -n __sbx_in_options -l dir -rF -d 'a directory at DEST'
complete -c sbx -n __sbx_in_options -l file -d 'a file with what FD holds, a copy'
complete -c sbx -n __sbx_in_options -l bind-data -d 'the same, as a mount of its own'
complete -c sbx -n __sbx_in_options -l ro-bind-data -d '--bind-data, read-only'
complete -c sbx -n __sbx_in_options -l symlink -d 'a symbolic link DEST that holds TARGET'
complete -c sbx -n __sbx_in_options -l chmod -d 'change permissions of PATH, which exists'
complete -c sbx -n __sbx_in_options -l remount-ro -rF -d 'make the mount at DEST read-only'
complete -c sbx -n __sbx_in_options -l proc -rF -d 'a new /proc at DEST'
complete -c sbx -n __sbx_in_options -l dev -rF -d 'a new minimal /dev at DEST'
complete -c sbx -n __sbx_in_options -l sys -rF -d 'a read-only /sys at DEST'
complete -c sbx -n __sbx_in_options -l cgroup -rF -d 'a read-only cgroup tree at DEST'
complete -c sbx -n __sbx_in_options -l mqueue -rF -d 'a new mqueue filesystem at DEST'
complete -c sbx -n __sbx_in_options -l mask -rF -d 'hide PATH, a file or directory inside'
complete -c sbx -n __sbx_in_options -l mask-try -rF -d 'the same, skipped if PATH does not exist'
complete -c sbx -n __sbx_in_options -l no-base -d 'leave out /proc, /dev, /tmp, /etc, ... by default'
complete -c sbx -n __sbx_in_options -l rw-root -d '/ itself stays writable'
complete -c sbx -n __sbx_in_options -l perms -x -d 'with these permissions'
complete -c sbx -n __sbx_in_options -l size -x -d 'at most this large (K, M, G, T)'
complete -c sbx -n __sbx_in_options -l mount-opt -x -a '(__sbx_list)' -d 'mount options: ro, noexec, size=64M, ...'
complete -c sbx -n __sbx_in_options -l cap-add -x -a '(__sbx_caps)' -d 'keep a capability, or ALL'
complete -c sbx -n __sbx_in_options -l cap-drop -x -a '(__sbx_caps)' -d 'drop a capability, or ALL'
complete -c sbx -n __sbx_in_options -l allow-userns -d 'further user namespaces can be made inside'
complete -c sbx -n __sbx_in_options -l disable-userns -d 'user namespaces cannot be made (the default)'
complete -c sbx -n __sbx_in_options -l assert-userns-disabled -d 'check that they cannot be made, or fail'
complete -c sbx -n __sbx_in_options -l env -x -a '(set -nx)' -d 'set a variable, or keep the caller'\''s'
complete -c sbx -n __sbx_in_options -l env-file -rF -d 'set variables from NAME=VALUE lines'
complete -c sbx -n __sbx_in_options -l keep-env -d 'keep all of the caller'\''s variables'
complete -c sbx -n __sbx_in_options -l setenv -d 'set a variable'
complete -c sbx -n __sbx_in_options -l unsetenv -x -a '(set -nx)' -d 'remove a variable'
complete -c sbx -n __sbx_in_options -l clearenv -d 'remove all variables so far'
complete -c sbx -n __sbx_in_options -l chdir -rF -d 'start in DIR'
complete -c sbx -n __sbx_in_options -l pass-fd -x -a '(__sbx_fds)' -d 'the command keeps this descriptor too'
complete -c sbx -n __sbx_in_options -l new-session -d 'a new terminal session (setsid)'
complete -c sbx -n __sbx_in_options -l die-with-parent -d 'end when the parent of sbx ends'
complete -c sbx -n __sbx_in_options -l as-pid-1 -d 'the command is PID 1 itself'
complete -c sbx -n __sbx_in_options -l on-exit -x -a 'kill wait' -d 'what follows the command: the end, or waiting'
complete -c sbx -n __sbx_in_options -l helper -x -a '(__sbx_helper)' -d 'use PATH as newuidmap or newgidmap'

# The arguments of options that have more than one.
complete -c sbx -n '__sbx_at path' -F
complete -c sbx -n '__sbx_at env' -xa '(set -nx)'
complete -c sbx -n '__sbx_at fd' -xa '(__sbx_fds)'

complete -c sbx -n '__sbx_at option command arguments' -xa '(__sbx_complete_command)'
