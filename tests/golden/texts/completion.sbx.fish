# SPDX-License-Identifier: MIT
# Fish completion for sbx(1). Options take up to two arguments, so the words before
# the cursor are walked to find out what stands there.

# What the arguments of an option are, one line each.
function __sbx_kinds -a option
	switch $option
		case --args
			string split ' ' 'fd'
		case --profile
			string split ' ' 'profile'
		case --name
			string split ' ' 'none'
		case --net
			string split ' ' 'word'
		case --publish
			string split ' ' 'none'
		case --allow-net
			string split ' ' 'none'
		case --deny-net
			string split ' ' 'none'
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
		case --overlay-src
			string split ' ' 'dir'
		case --overlay
			string split ' ' 'dir dir path'
		case --tmp-overlay
			string split ' ' 'path'
		case --ro-overlay
			string split ' ' 'path'
		case --overlay-driver
			string split ' ' 'word'
		case --cow
			string split ' ' 'path'
		case --session
			string split ' ' 'path'
		case --mask
			string split ' ' 'path'
		case --mask-try
			string split ' ' 'path'
		case --protect
			string split ' ' 'path'
		case --protect-by
			string split ' ' 'word'
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
		case --seccomp
			string split ' ' 'word'
		case --seccomp-allow
			string split ' ' 'calls'
		case --seccomp-deny
			string split ' ' 'calls'
		case --add-seccomp-fd
			string split ' ' 'fd'
		case --landlock
			string split ' ' 'word'
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
		case --argv0
			string split ' ' 'none'
		case --block-fd
			string split ' ' 'fd'
		case --sync-fd
			string split ' ' 'fd'
		case --info-fd
			string split ' ' 'fd'
		case --json-status-fd
			string split ' ' 'fd'
		case --userns
			string split ' ' 'fd'
		case --userns2
			string split ' ' 'fd'
		case --pidns
			string split ' ' 'fd'
		case --userns-block-fd
			string split ' ' 'fd'
		case --lock-file
			string split ' ' 'path'
		case --pass-fd
			string split ' ' 'fd'
		case --on-exit
			string split ' ' 'word'
		case --memory
			string split ' ' 'none'
		case --memory-high
			string split ' ' 'none'
		case --swap
			string split ' ' 'none'
		case --cpus
			string split ' ' 'none'
		case --cpu-weight
			string split ' ' 'none'
		case --cpuset
			string split ' ' 'none'
		case --pids
			string split ' ' 'none'
		case --io-max
			string split ' ' 'none'
		case --io-weight
			string split ' ' 'none'
		case --limits
			string split ' ' 'word'
		case --rlimit
			string split ' ' 'none'
		case --nice
			string split ' ' 'none'
		case --oom-score-adj
			string split ' ' 'none'
		case --timeout
			string split ' ' 'none'
		case --kill-after
			string split ' ' 'none'
		case --dbus-see
			string split ' ' 'none'
		case --dbus-talk
			string split ' ' 'none'
		case --dbus-own
			string split ' ' 'none'
		case --dbus-call
			string split ' ' 'none'
		case --dbus-broadcast
			string split ' ' 'none'
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

function __sbx_profiles
	sbx profiles 2>/dev/null | string match -r '^[^ ]+'
end

function __sbx_fds
	path basename /dev/fd/*
end

function __sbx_caps
	printf '%s\n' (string split -n \n '
ALL
')
end

function __sbx_calls
	set -l done (string match -r -- '^.*,' (__sbx_value))
	printf '%s\n' $done(string split -n \n '
@known
@default
@aio
@basic-io
@chown
@clock
@cpu-emulation
@debug
@file-system
@io-event
@ipc
@keyring
@memlock
@module
@mount
@network-io
@obsolete
@pkey
@privileged
@process
@raw-io
@reboot
@resources
@setuid
@signal
@swap
@sync
@system-service
@timer
_llseek
_newselect
_sysctl
accept
accept4
access
acct
add_key
adjtimex
afs_syscall
alarm
arch_prctl
arm_fadvise64_64
bdflush
bind
bpf
break
brk
cacheflush
cachestat
capget
capset
chdir
chmod
chown
chown32
chroot
clock_adjtime
clock_adjtime64
clock_getres
clock_getres_time64
clock_gettime
clock_gettime64
clock_nanosleep
clock_nanosleep_time64
clock_settime
clock_settime64
clone
clone3
close
close_range
connect
copy_file_range
creat
create_module
delete_module
dup
dup2
dup3
epoll_create
epoll_create1
epoll_ctl
epoll_ctl_old
epoll_pwait
epoll_pwait2
epoll_wait
epoll_wait_old
eventfd
eventfd2
execve
execveat
exit
exit_group
faccessat
faccessat2
fadvise64
fadvise64_64
fallocate
fanotify_init
fanotify_mark
fchdir
fchmod
fchmodat
fchmodat2
fchown
fchown32
fchownat
fcntl
fcntl64
fdatasync
fgetxattr
file_getattr
file_setattr
finit_module
flistxattr
flock
fork
fremovexattr
fsconfig
fsetxattr
fsmount
fsopen
fspick
fstat
fstat64
fstatat64
fstatfs
fstatfs64
fsync
ftime
ftruncate
ftruncate64
futex
futex_requeue
futex_time64
futex_wait
futex_waitv
futex_wake
futimesat
get_kernel_syms
get_mempolicy
get_robust_list
get_thread_area
getcpu
getcwd
getdents
getdents64
getegid
getegid32
geteuid
geteuid32
getgid
getgid32
getgroups
getgroups32
getitimer
getpeername
getpgid
getpgrp
getpid
getpmsg
getppid
getpriority
getrandom
getresgid
getresgid32
getresuid
getresuid32
getrlimit
getrusage
getsid
getsockname
getsockopt
gettid
gettimeofday
getuid
getuid32
getxattr
getxattrat
gtty
idle
init_module
inotify_add_watch
inotify_init
inotify_init1
inotify_rm_watch
io_cancel
io_destroy
io_getevents
io_pgetevents
io_pgetevents_time64
io_setup
io_submit
io_uring_enter
io_uring_register
io_uring_setup
ioctl
ioperm
iopl
ioprio_get
ioprio_set
ipc
kcmp
kexec_file_load
kexec_load
keyctl
kill
landlock_add_rule
landlock_create_ruleset
landlock_restrict_self
lchown
lchown32
lgetxattr
link
linkat
listen
listmount
listxattr
listxattrat
llistxattr
llseek
lock
lookup_dcookie
lremovexattr
lseek
lsetxattr
lsm_get_self_attr
lsm_list_modules
lsm_set_self_attr
lstat
lstat64
madvise
map_shadow_stack
mbind
membarrier
memfd_create
memfd_secret
migrate_pages
mincore
mkdir
mkdirat
mknod
mknodat
mlock
mlock2
mlockall
mmap
mmap2
modify_ldt
mount
mount_setattr
move_mount
move_pages
mprotect
mpx
mq_getsetattr
mq_notify
mq_open
mq_timedreceive
mq_timedreceive_time64
mq_timedsend
mq_timedsend_time64
mq_unlink
mremap
mseal
msgctl
msgget
msgrcv
msgsnd
msync
munlock
munlockall
munmap
name_to_handle_at
nanosleep
newfstatat
nfsservctl
nice
oldfstat
oldlstat
oldolduname
oldstat
olduname
open
open_by_handle_at
open_tree
open_tree_attr
openat
openat2
pause
pciconfig_iobase
pciconfig_read
pciconfig_write
perf_event_open
personality
pidfd_getfd
pidfd_open
pidfd_send_signal
pipe
pipe2
pivot_root
pkey_alloc
pkey_free
pkey_mprotect
poll
ppoll
ppoll_time64
prctl
pread64
preadv
preadv2
prlimit64
process_madvise
process_mrelease
process_vm_readv
process_vm_writev
prof
profil
pselect6
pselect6_time64
ptrace
putpmsg
pwrite64
pwritev
pwritev2
query_module
quotactl
quotactl_fd
read
readahead
readdir
readlink
readlinkat
readv
reboot
recvfrom
recvmmsg
recvmmsg_time64
recvmsg
remap_file_pages
removexattr
removexattrat
rename
renameat
renameat2
request_key
restart_syscall
riscv_flush_icache
riscv_hwprobe
rmdir
rseq
rt_sigaction
rt_sigpending
rt_sigprocmask
rt_sigqueueinfo
rt_sigreturn
rt_sigsuspend
rt_sigtimedwait
rt_sigtimedwait_time64
rt_tgsigqueueinfo
sched_get_priority_max
sched_get_priority_min
sched_getaffinity
sched_getattr
sched_getparam
sched_getscheduler
sched_rr_get_interval
sched_rr_get_interval_time64
sched_setaffinity
sched_setattr
sched_setparam
sched_setscheduler
sched_yield
seccomp
security
select
semctl
semget
semop
semtimedop
semtimedop_time64
sendfile
sendfile64
sendmmsg
sendmsg
sendto
set_mempolicy
set_mempolicy_home_node
set_robust_list
set_thread_area
set_tid_address
set_tls
setdomainname
setfsgid
setfsgid32
setfsuid
setfsuid32
setgid
setgid32
setgroups
setgroups32
sethostname
setitimer
setns
setpgid
setpriority
setregid
setregid32
setresgid
setresgid32
setresuid
setresuid32
setreuid
setreuid32
setrlimit
setsid
setsockopt
settimeofday
setuid
setuid32
setxattr
setxattrat
sgetmask
shmat
shmctl
shmdt
shmget
shutdown
sigaction
sigaltstack
signal
signalfd
signalfd4
sigpending
sigprocmask
sigreturn
sigsuspend
socket
socketcall
socketpair
splice
ssetmask
stat
stat64
statfs
statfs64
statmount
statx
stime
stty
swapoff
swapon
symlink
symlinkat
sync
sync_file_range
sync_file_range2
syncfs
sysfs
sysinfo
syslog
tee
tgkill
time
timer_create
timer_delete
timer_getoverrun
timer_gettime
timer_gettime64
timer_settime
timer_settime64
timerfd_create
timerfd_gettime
timerfd_gettime64
timerfd_settime
timerfd_settime64
times
tkill
truncate
truncate64
tuxcall
ugetrlimit
ulimit
umask
umount
umount2
uname
unlink
unlinkat
unshare
uprobe
uretprobe
uselib
userfaultfd
ustat
utime
utimensat
utimensat_time64
utimes
vfork
vhangup
vm86
vm86old
vmsplice
vserver
wait4
waitid
waitpid
write
writev
')
end

function __sbx_signals
	printf '%s\n' (string split -n \n '
HUP
INT
QUIT
ILL
TRAP
ABRT
BUS
FPE
KILL
USR1
SEGV
USR2
PIPE
ALRM
TERM
CHLD
CONT
STOP
TSTP
TTIN
TTOU
URG
XCPU
XFSZ
VTALRM
PROF
WINCH
IO
PWR
SYS
')
end

function __sbx_probes
	printf '%s\n' (string split -n \n '
kernel
container
security-modules
user-namespaces
mount-namespaces
pid-namespaces
ipc-namespaces
uts-namespaces
cgroup-namespaces
net-namespaces
mount-calls
proc
forbid-userns
devpts
seccomp
id-ranges
sysfs
mqueue
overlayfs
fuse
fuse-overlayfs
tun
slirp4netns
nft
shared
cgroup
systemd
landlock
seccomp-log
sbx-seccomp
session-bus
terminal
records
processes
namespaces
open-files
keys
launch
')
end

# The sandboxes that run: their names, or ids where they have none. For the verbs that know
# those that have ended, these too.
function __sbx_names
	set -l all
	contains -- (commandline -opc)[2] inspect logs rm wait; and set all --all
	sbx ps $all --format '{{.ID}} {{.Name}}' 2>/dev/null | string replace -r '^\S+ (?=.)' '' | string trim
end

function __sbx_sessions
	sbx sessions 2>/dev/null | tail -n +2 | string replace -r ' .*' ''
end

# The words behind the first operand of a verb; fails where that is not there yet.
function __sbx_named_words
	set -l words (commandline -opc)
	set -e words[1..2]
	while set -q words[1]
		set -l word $words[1]
		set -e words[1]
		if contains -- $word $__sbx_with
			set -e words[1]
		else if not string match -q -- '-*' $word
			set -q words[1]; and printf '%s\n' $words
			return 0
		end
	end
	return 1
end

function __sbx_is_named
	__sbx_named_words >/dev/null
end

function __sbx_complete_named
	set -l words (string escape -- (__sbx_named_words))
	complete -C (string join ' ' -- $words (commandline -ct))
end

# Is this behind that verb?
function __sbx_in_verb -a verb
	set -l words (commandline -opc)
	test "$words[2]" = $verb
end

set -g __sbx_words ro noexec noatime nodiratime nosymfollow size= mode= nr_inodes=
set -g __sbx_helper newuidmap newgidmap sbx-seccomp xdg-dbus-proxy fuse-overlayfs slirp4netns nft

complete -c sbx -f
complete -c sbx -n '__sbx_at first' -a apply -d 'make real what a sandbox with --cow has changed'
complete -c sbx -n '__sbx_at first' -a attach -d 'connect with the command of a detached sandbox'
complete -c sbx -n '__sbx_at first' -a diff -d 'show what a sandbox with --cow has changed'
complete -c sbx -n '__sbx_at first' -a discard -d 'forget what a sandbox with --cow has changed'
complete -c sbx -n '__sbx_at first' -a doctor -d 'tell what works here, and how to mend what does not'
complete -c sbx -n '__sbx_at first' -a exec -d 'run a command in a sandbox that runs'
complete -c sbx -n '__sbx_at first' -a help -d 'print the usage and all options, or those of a verb'
complete -c sbx -n '__sbx_at first' -a inspect -d 'print all that is known of a sandbox, as JSON'
complete -c sbx -n '__sbx_at first' -a kill -d 'send a signal to the command of a sandbox'
complete -c sbx -n '__sbx_at first' -a logs -d 'print what a detached sandbox has printed'
complete -c sbx -n '__sbx_at first' -a net -d 'make, list or end networks that sandboxes share'
complete -c sbx -n '__sbx_at first' -a pause -d 'freeze all processes of a sandbox'
complete -c sbx -n '__sbx_at first' -a port -d 'publish ports of a running sandbox'
complete -c sbx -n '__sbx_at first' -a profiles -d 'list the profiles, or print one'
complete -c sbx -n '__sbx_at first' -a prune -d 'discard old sessions of --cow'
complete -c sbx -n '__sbx_at first' -a ps -d 'list the sandboxes that run'
complete -c sbx -n '__sbx_at first' -a rm -d 'remove what was kept of a sandbox that has ended'
complete -c sbx -n '__sbx_at first' -a sessions -d 'list the sessions of --cow that are kept'
complete -c sbx -n '__sbx_at first' -a stop -d 'end a sandbox, and kill it if it does not end'
complete -c sbx -n '__sbx_at first' -a top -d 'list the processes in a sandbox'
complete -c sbx -n '__sbx_at first' -a unpause -d 'let a sandbox that was paused go on'
complete -c sbx -n '__sbx_at first' -a version -d 'print the version and what was compiled in'
complete -c sbx -n '__sbx_at first' -a wait -d 'wait for the end of a sandbox, and print its exit code'
complete -c sbx -n __sbx_in_options -l help -s h -d 'print this text'
complete -c sbx -n __sbx_in_options -l version -d 'print the version and what was compiled in'
complete -c sbx -n __sbx_in_options -l verbose -s v -d 'say on stderr what is chosen and done'
complete -c sbx -n __sbx_in_options -l explain -a 'json spec' -d 'print the plan instead of running it'
complete -c sbx -n __sbx_in_options -l args -x -a '(__sbx_fds)' -d 'read more options, NUL-separated, from FD'
complete -c sbx -n __sbx_in_options -l level-prefix -d 'begin messages with their level, as <3>'
complete -c sbx -n __sbx_in_options -l profile -rF -a '(__sbx_profiles)' -d 'read more options from a profile'
complete -c sbx -n __sbx_in_options -l name -x -d 'what to call the sandbox, for sbx ps and the like'
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
complete -c sbx -n __sbx_in_options -l net -x -a 'none user host' -d 'the network; none is the default'
complete -c sbx -n __sbx_in_options -l publish -s p -x -d 'lead a port of the host into the sandbox'
complete -c sbx -n __sbx_in_options -l allow-net -x -d 'what may be sent to: 192.0.2.0/24:443/tcp, ...'
complete -c sbx -n __sbx_in_options -l deny-net -x -d 'what may not; the first rule that fits counts'
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
complete -c sbx -n __sbx_in_options -l overlay-src -x -a '(__fish_complete_directories (__sbx_value))' -d 'a layer of the overlay that follows'
complete -c sbx -n __sbx_in_options -l overlay -d 'layers at DEST; what is written goes to RWSRC'
complete -c sbx -n __sbx_in_options -l tmp-overlay -rF -d 'layers at DEST; what is written is forgotten'
complete -c sbx -n __sbx_in_options -l ro-overlay -rF -d 'layers at DEST, read-only'
complete -c sbx -n __sbx_in_options -l overlay-driver -x -a 'auto kernel fuse' -d 'what puts the layers of overlays together'
complete -c sbx -n __sbx_in_options -l cow -rF -d 'PATH at the same path; changes go to a session'
complete -c sbx -n __sbx_in_options -l session -rF -d 'which session, an earlier one or a new one'
complete -c sbx -n __sbx_in_options -l mask -rF -d 'hide PATH, a file or directory inside'
complete -c sbx -n __sbx_in_options -l mask-try -rF -d 'the same, skipped if PATH does not exist'
complete -c sbx -n __sbx_in_options -l protect -rF -d 'PATH cannot be changed, nor made; or dev'
complete -c sbx -n __sbx_in_options -l protect-by -x -a 'placeholder overlay' -d 'what holds a PATH that does not exist'
complete -c sbx -n __sbx_in_options -l mask-sockets -a 'all listed off' -d 'hide the host'\''s sockets that binds would show'
complete -c sbx -n __sbx_in_options -l no-base -d 'leave out /proc, /dev, /tmp, /etc, ... by default'
complete -c sbx -n __sbx_in_options -l rw-root -d '/ itself stays writable'
complete -c sbx -n __sbx_in_options -l perms -x -d 'with these permissions'
complete -c sbx -n __sbx_in_options -l size -x -d 'at most this large (K, M, G, T)'
complete -c sbx -n __sbx_in_options -l mount-opt -x -a '(__sbx_list)' -d 'mount options: ro, noexec, size=64M, ...'
complete -c sbx -n __sbx_in_options -l cap-add -x -a '(__sbx_caps)' -d 'keep a capability, or ALL'
complete -c sbx -n __sbx_in_options -l cap-drop -x -a '(__sbx_caps)' -d 'drop a capability, or ALL'
complete -c sbx -n __sbx_in_options -l seccomp -x -a 'default strict none' -d 'system calls: default, strict, none, FILE, FD'
complete -c sbx -n __sbx_in_options -l seccomp-allow -x -a '(__sbx_calls)' -d 'let system calls, or an @group, through'
complete -c sbx -n __sbx_in_options -l seccomp-deny -x -a '(__sbx_calls)' -d 'refuse system calls, or an @group'
complete -c sbx -n __sbx_in_options -l add-seccomp-fd -x -a '(__sbx_fds)' -d 'add the filter that FD holds'
complete -c sbx -n __sbx_in_options -l seccomp-log -d 'tell at the end what was refused'
complete -c sbx -n __sbx_in_options -l multiarch -d '32-bit programs work too'
complete -c sbx -n __sbx_in_options -l allow-userns -d 'further user namespaces can be made inside'
complete -c sbx -n __sbx_in_options -l disable-userns -d 'user namespaces cannot be made (the default)'
complete -c sbx -n __sbx_in_options -l assert-userns-disabled -d 'check that they cannot be made, or fail'
complete -c sbx -n __sbx_in_options -l landlock -x -a 'auto off require' -d 'scope what shared namespaces leave open'
complete -c sbx -n __sbx_in_options -l env -x -a '(set -nx)' -d 'set a variable, or keep the caller'\''s'
complete -c sbx -n __sbx_in_options -l env-file -rF -d 'set variables from NAME=VALUE lines'
complete -c sbx -n __sbx_in_options -l keep-env -d 'keep all of the caller'\''s variables'
complete -c sbx -n __sbx_in_options -l setenv -d 'set a variable'
complete -c sbx -n __sbx_in_options -l unsetenv -x -a '(set -nx)' -d 'remove a variable'
complete -c sbx -n __sbx_in_options -l clearenv -d 'remove all variables so far'
complete -c sbx -n __sbx_in_options -l chdir -rF -d 'start in DIR'
complete -c sbx -n __sbx_in_options -l argv0 -x -d 'what the command is told that it is called'
complete -c sbx -n __sbx_in_options -l block-fd -x -a '(__sbx_fds)' -d 'start the command when FD has a byte or ends'
complete -c sbx -n __sbx_in_options -l sync-fd -x -a '(__sbx_fds)' -d 'keep FD open as long as the sandbox lives'
complete -c sbx -n __sbx_in_options -l info-fd -x -a '(__sbx_fds)' -d 'write the sandbox'\''s pid and namespaces to FD'
complete -c sbx -n __sbx_in_options -l json-status-fd -x -a '(__sbx_fds)' -d 'write what becomes of it to FD, line by line'
complete -c sbx -n __sbx_in_options -l userns -x -a '(__sbx_fds)' -d 'use the user namespace FD instead of a new one'
complete -c sbx -n __sbx_in_options -l userns2 -x -a '(__sbx_fds)' -d 'enter the user namespace FD after the set-up'
complete -c sbx -n __sbx_in_options -l pidns -x -a '(__sbx_fds)' -d 'use the pid namespace FD instead of a new one'
complete -c sbx -n __sbx_in_options -l userns-block-fd -x -a '(__sbx_fds)' -d 'write no id maps; go on when FD is written to'
complete -c sbx -n __sbx_in_options -l lock-file -rF -d 'hold a read lock on DEST while the sandbox lives'
complete -c sbx -n __sbx_in_options -l pass-fd -x -a '(__sbx_fds)' -d 'the command keeps this descriptor too'
complete -c sbx -n __sbx_in_options -l pty -s t -d 'a terminal of its own, relayed to the caller'\''s'
complete -c sbx -n __sbx_in_options -l no-pty -d 'share the caller'\''s terminal in any case'
complete -c sbx -n __sbx_in_options -l detach -s d -d 'do not wait for it; print its id, keep its output'
complete -c sbx -n __sbx_in_options -l interactive -s i -d 'with --detach: sbx attach can write to it'
complete -c sbx -n __sbx_in_options -l keep-record -d 'what is known of it stays when it has ended'
complete -c sbx -n __sbx_in_options -l new-session -d 'a new terminal session (setsid)'
complete -c sbx -n __sbx_in_options -l die-with-parent -d 'end when the parent of sbx ends'
complete -c sbx -n __sbx_in_options -l as-pid-1 -d 'the command is PID 1 itself'
complete -c sbx -n __sbx_in_options -l on-exit -x -a 'kill wait' -d 'what follows the command: the end, or waiting'
complete -c sbx -n __sbx_in_options -l memory -x -d 'all processes together: 512M, 2G; more ends one'
complete -c sbx -n __sbx_in_options -l memory-high -x -d 'from here on they are slowed down'
complete -c sbx -n __sbx_in_options -l swap -x -d 'swap beside it; as much as --memory'
complete -c sbx -n __sbx_in_options -l cpus -x -d 'processors'\'' worth of time: 1.5'
complete -c sbx -n __sbx_in_options -l cpu-weight -x -d 'share of time where it is short, 1 to 10000'
complete -c sbx -n __sbx_in_options -l cpuset -x -d 'these processors only: 0-3,7'
complete -c sbx -n __sbx_in_options -l pids -x -d 'at most so many processes and threads'
complete -c sbx -n __sbx_in_options -l io-max -x -d 'reads and writes a second: rbps, wbps, riops, wiops'
complete -c sbx -n __sbx_in_options -l io-weight -x -d 'share of disks where they are busy, 1 to 10000'
complete -c sbx -n __sbx_in_options -l limits -x -a 'require try' -d 'try: where these cannot be set, do without'
complete -c sbx -n __sbx_in_options -l stats -d 'say at the end what was used'
complete -c sbx -n __sbx_in_options -l rlimit -x -d 'a limit of setrlimit(2): nofile=256, as=2G, ...'
complete -c sbx -n __sbx_in_options -l nice -x -d 'the command'\''s nice value, -20 to 19'
complete -c sbx -n __sbx_in_options -l oom-score-adj -x -d 'who ends first where memory is short'
complete -c sbx -n __sbx_in_options -l timeout -x -d 'end the command after 90s, 5m, 1.5h; exit code 124'
complete -c sbx -n __sbx_in_options -l kill-after -x -d 'how long it may take to end then; 10s'
complete -c sbx -n __sbx_in_options -l dbus-session -d 'the session bus, as far as the rules let through'
complete -c sbx -n __sbx_in_options -l dbus-session-try -d 'the same where the caller has a session bus'
complete -c sbx -n __sbx_in_options -l no-dbus-session -d 'no session bus, whatever a profile says'
complete -c sbx -n __sbx_in_options -l dbus-see -x -d 'a service may be seen'
complete -c sbx -n __sbx_in_options -l dbus-talk -x -d 'a service may be called'
complete -c sbx -n __sbx_in_options -l dbus-own -x -d 'the command may be this service'
complete -c sbx -n __sbx_in_options -l dbus-call -x -d 'some methods of a service may be called'
complete -c sbx -n __sbx_in_options -l dbus-broadcast -x -d 'some signals of a service are heard'
complete -c sbx -n __sbx_in_options -l helper -x -a '(__sbx_helper)' -d 'use PATH as newuidmap or another helper'
set -g __sbx_with --exclude --include --detach-keys --sig-proxy --chdir -w --env -e --uid -u --signal -s --since --tail -n --older-than --filter -f --format --time -t
complete -c sbx -n '__sbx_in_verb apply' -l allow-setid -d 'also set-user-ID and set-group-ID bits'
complete -c sbx -n '__sbx_in_verb apply' -l dry-run -s n -d 'only say what would be done'
complete -c sbx -n '__sbx_in_verb apply' -l exclude -x -d 'not what fits'
complete -c sbx -n '__sbx_in_verb apply' -l force -s f -d 'also over what has changed on the host since'
complete -c sbx -n '__sbx_in_verb apply' -l include -x -d 'only what fits'
complete -c sbx -n '__sbx_in_verb attach' -l detach-keys -x -d 'what to type to detach; ctrl-p,ctrl-q'
complete -c sbx -n '__sbx_in_verb attach' -l no-stdin -d 'only watch'
complete -c sbx -n '__sbx_in_verb attach' -l sig-proxy -x -d 'pass signals on; true'
complete -c sbx -n '__sbx_in_verb diff' -l json -d 'for programs'
complete -c sbx -n '__sbx_in_verb diff' -l name-only -d 'paths alone'
complete -c sbx -n '__sbx_in_verb diff' -l null -s z -d 'with --name-only: end each path with NUL, as it is'
complete -c sbx -n '__sbx_in_verb diff' -l patch -s p -d 'with the lines of text files that differ'
complete -c sbx -n '__sbx_in_verb diff' -l stat -d 'with sizes, and their sum'
complete -c sbx -n '__sbx_in_verb discard' -l force -s f -d 'also one whose apply was killed'
complete -c sbx -n '__sbx_in_verb doctor' -l json -d 'for programs'
complete -c sbx -n '__sbx_in_verb doctor' -l quiet -s q -d 'only what does not work'
complete -c sbx -n '__sbx_in_verb doctor' -l strict -d 'fail where an option would'
complete -c sbx -n '__sbx_in_verb exec' -l chdir -s w -x -d 'start there'
complete -c sbx -n '__sbx_in_verb exec' -l detach -s d -d 'do not wait for the command'
complete -c sbx -n '__sbx_in_verb exec' -l env -s e -x -a '(set -nx)' -d 'one more variable'
complete -c sbx -n '__sbx_in_verb exec' -l interactive -s i -d 'pass standard input on, also where it is no terminal'
complete -c sbx -n '__sbx_in_verb exec' -l tty -s t -d 'a terminal of the sandbox'\''s own'
complete -c sbx -n '__sbx_in_verb exec' -l uid -s u -x -d 'be that user inside'
complete -c sbx -n '__sbx_in_verb kill' -l all -s a -d 'every running sandbox'
complete -c sbx -n '__sbx_in_verb kill' -l signal -s s -x -a '(__sbx_signals)' -d 'another signal than TERM'
complete -c sbx -n '__sbx_in_verb logs' -l follow -s f -d 'go on with what comes, to the end of the sandbox'
complete -c sbx -n '__sbx_in_verb logs' -l since -x -d 'not what is older: 90s, 5m, 2h, 1d'
complete -c sbx -n '__sbx_in_verb logs' -l tail -s n -x -d 'the last lines only'
complete -c sbx -n '__sbx_in_verb logs' -l timestamps -s t -d 'begin lines with their time'
complete -c sbx -n '__sbx_in_verb net' -l force -s f -d 'with rm: also end the sandboxes that are in it'
complete -c sbx -n '__sbx_in_verb net' -l json -d 'with ls: for programs'
complete -c sbx -n '__sbx_in_verb net' -l quiet -s q -d 'with ls: names only'
complete -c sbx -n '__sbx_in_verb pause' -l all -s a -d 'every running sandbox'
complete -c sbx -n '__sbx_in_verb port' -l json -d 'list: for programs'
complete -c sbx -n '__sbx_in_verb prune' -l older-than -x -d 'those not used since: 12h, 7d'
complete -c sbx -n '__sbx_in_verb ps' -l all -s a -d 'also those that have ended and were to be kept'
complete -c sbx -n '__sbx_in_verb ps' -l filter -s f -x -d 'only those: name=, id=, status='
complete -c sbx -n '__sbx_in_verb ps' -l format -x -d 'a line for each, with {{.Name}} and the like'
complete -c sbx -n '__sbx_in_verb ps' -l json -d 'for programs'
complete -c sbx -n '__sbx_in_verb ps' -l quiet -s q -d 'ids only'
complete -c sbx -n '__sbx_in_verb ps' -l watch -s w -d 'again and again, until interrupted'
complete -c sbx -n '__sbx_in_verb rm' -l all -s a -d 'all that have ended'
complete -c sbx -n '__sbx_in_verb rm' -l force -s f -d 'end those that run first'
complete -c sbx -n '__sbx_in_verb sessions' -l json -d 'for programs'
complete -c sbx -n '__sbx_in_verb stop' -l all -s a -d 'every running sandbox'
complete -c sbx -n '__sbx_in_verb stop' -l time -s t -x -d 'how long to wait before killing; 10'
complete -c sbx -n '__sbx_in_verb unpause' -l all -s a -d 'every running sandbox'
complete -c sbx -n '__sbx_in_verb apply' -xa '(__sbx_sessions)'
complete -c sbx -n '__sbx_in_verb attach' -xa '(__sbx_names)'
complete -c sbx -n '__sbx_in_verb diff' -xa '(__sbx_sessions)'
complete -c sbx -n '__sbx_in_verb discard' -xa '(__sbx_sessions)'
complete -c sbx -n '__sbx_in_verb doctor' -xa '(__sbx_probes)'
complete -c sbx -n '__sbx_in_verb exec; and not __sbx_is_named' -xa '(__sbx_names)'
complete -c sbx -n '__sbx_in_verb exec; and __sbx_is_named' -xa '(__sbx_complete_named)'
complete -c sbx -n '__sbx_in_verb inspect' -xa '(__sbx_names)'
complete -c sbx -n '__sbx_in_verb kill' -xa '(__sbx_names)'
complete -c sbx -n '__sbx_in_verb logs' -xa '(__sbx_names)'
complete -c sbx -n '__sbx_in_verb pause' -xa '(__sbx_names)'
complete -c sbx -n '__sbx_in_verb port' -xa '(__sbx_names)'
complete -c sbx -n '__sbx_in_verb profiles' -xa '(__sbx_profiles)'
complete -c sbx -n '__sbx_in_verb rm' -xa '(__sbx_names)'
complete -c sbx -n '__sbx_in_verb stop' -xa '(__sbx_names)'
complete -c sbx -n '__sbx_in_verb top' -xa '(__sbx_names)'
complete -c sbx -n '__sbx_in_verb unpause' -xa '(__sbx_names)'
complete -c sbx -n '__sbx_in_verb wait' -xa '(__sbx_names)'

# The arguments of options that have more than one.
complete -c sbx -n '__sbx_at path' -F
complete -c sbx -n '__sbx_at env' -xa '(set -nx)'
complete -c sbx -n '__sbx_at fd' -xa '(__sbx_fds)'

complete -c sbx -n '__sbx_at option command arguments' -xa '(__sbx_complete_command)'
