/* SPDX-License-Identifier: MIT */
/* attack filter: system calls that the command has no business with. */
#include <errno.h>
#include <stdio.h>

#include "attack.h"
#include "desk.h"

#include "sbx/seccomp/table.h"

/* The rows that the default filter refuses whatever their arguments, as "name number errno". */
static const struct {
	const char *name;
	int number_of_error;
} refused_rows[] = {
#define CALL(name, groups)
#define LAX(name, groups, why)
#define REFUSE(name, groups, unless, why) {#name, EPERM},
#define ABSENT(name, groups, unless, why) {#name, ENOSYS},
#define JUDGE(name, groups, rules, why)
#include "../../src/seccomp/calls.inc"
};

/* What the scripts below begin with: a system call by number, and its errno (0: it worked). */
#define CALLS                                                                                      \
	"import ctypes, os, sys\n"                                                                 \
	"libc = ctypes.CDLL(None, use_errno=True)\n"                                               \
	"libc.syscall.restype = ctypes.c_long\n"                                                   \
	"def call(*words):\n"                                                                      \
	"    r = libc.syscall(*[ctypes.c_uint64(w & (1 << 64) - 1) for w in words])\n"             \
	"    return ctypes.get_errno() if r < 0 else 0\n"                                          \
	"machine = os.uname().machine\n"                                                           \
	"NR = {'x86_64': dict(clone=56, clone3=435, unshare=272, socket=41, ioctl=16, setns=308,"  \
	" personality=135, exit_group=231),\n"                                                     \
	"      'aarch64': dict(clone=220, clone3=435, unshare=97, socket=198, ioctl=29,"           \
	" setns=268, personality=92, exit_group=94)}[machine]\n"

static char *refused_list(size_t *ret_n)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	*ret_n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(refused_rows); i++) {
		const char *name = refused_rows[i].name;
		int call = seccomp_find_call(name, strlen(name));
		int number = seccomp_call_number((size_t)call, seccomp_native_arch);

		if (number < 0)
			continue;
		fprintf(f, "%s %d %d\n", name, number, refused_rows[i].number_of_error);
		++*ret_n;
	}
	cr_assert_eq(fclose(f), 0);
	return text;
}

/* Each in a child, with arguments that are no address, descriptor or flag anywhere. */
static const char try_all[] = CALLS "wrong = 0\n"
				    "for line in sys.argv[1].splitlines():\n"
				    "    name, number, wanted = line.split()\n"
				    "    got = call(int(number), -1, -1, -1, -1, -1, -1)\n"
				    "    if got != int(wanted):\n"
				    "        wrong += 1\n"
				    "        print(name, got, wanted, file=sys.stderr)\n"
				    "print(wrong)\n";

Test(filter, every_call_of_the_table_is_refused)
{
	size_t n = 0;
	_autofree_ char *list = refused_list(&n);
	_autorun_ struct run_result none =
		in_usr("--seccomp=none", "--", "python3", "-c", try_all, list);
	_autorun_ struct run_result plain =
		in_usr("--seccomp-log", "--", "python3", "-c", try_all, list);

	cr_assert_gt(n, 60);
	/* The kernel itself looks at the arguments of most: they can be attacked. */
	cr_expect_gt(atoi(none.out), 20, "%s%s", none.out, none.err);
	expect_out(plain, "0\n");
	for (size_t i = 0; i < ARRAY_SIZE(refused_rows); i++) {
		const char *name = refused_rows[i].name;
		_autofree_ char *told = NULL;

		if (seccomp_call_number((size_t)seccomp_find_call(name, strlen(name)),
					seccomp_native_arch) < 0)
			continue;
		cr_assert_gt(asprintf(&told, " %s (once)", name), 0);
		cr_expect(strstr(plain.err, told), "the filter did not refuse %s: %s", name,
			  plain.err);
	}
}

static const char try_ioctls[] =
	CALLS "r, w = os.pipe()\n"
	      "byte = ctypes.addressof(ctypes.create_string_buffer(b'x'))\n"
	      "for high in (0, 1 << 32, 1 << 63, 0xffffffff << 32):\n"
	      "    for request in (0x5412, 0x541c):\n"
	      "        print(call(NR['ioctl'], r, request | high, byte), end=' ')\n"
	      "print(call(NR['ioctl'], r, 0x541b, byte))\n";

/* CVE-2017-5226, and CVE-2019-10063: a filter that compared all 64 bits. */
Test(filter, nothing_is_typed_into_a_terminal)
{
	_autorun_ struct run_result none = in_usr("--seccomp=none", PYTHON(try_ioctls));
	_autorun_ struct run_result plain = in_usr(PYTHON(try_ioctls));
	_autorun_ struct run_result userns = in_usr("--allow-userns", PYTHON(try_ioctls));
	_autorun_ struct run_result strict = in_usr("--seccomp=strict", PYTHON(try_ioctls));
	_autorun_ struct run_result root = in_usr("--root", PYTHON(try_ioctls));

	/* A pipe is no terminal (25): the kernel was asked, also with high bits set. */
	expect_out(none, "25 25 25 25 25 25 25 25 0\n");
	expect_out(plain, "1 1 1 1 1 1 1 1 0\n");
	expect_out(userns, "1 1 1 1 1 1 1 1 0\n");
	expect_out(strict, "1 1 1 1 1 1 1 1 0\n");
	expect_out(root, "1 1 1 1 1 1 1 1 0\n");
}

/* getpid(2) as a 32-bit program makes it (int 0x80), and as an x32 one does. */
static const char try_abis[] = CALLS
	"import mmap, signal\n"
	"code = mmap.mmap(-1, 4096, prot=7)\n"
	"code.write(b'\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3')\n"
	"i386 = "
	"ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(code)))\n"
	"for name, make in (('i386', i386), ('x32', lambda: call(0x40000000 | 39))):\n"
	"    pid = os.fork()\n"
	"    if pid == 0:\n"
	"        make()\n"
	"        os._exit(0)\n"
	"    status = os.waitpid(pid, 0)[1]\n"
	"    print(name, 'refused' if status == signal.SIGSYS | 128 or status == signal.SIGSYS else"
	" 'passed' if status == 0 else status)\n";

Test(filter, other_programs_are_killed)
{
#ifdef __x86_64__
	_autorun_ struct run_result none = in_usr("--seccomp=none", PYTHON(try_abis));
	_autorun_ struct run_result plain = in_usr(PYTHON(try_abis));
	_autorun_ struct run_result multiarch = in_usr("--multiarch", PYTHON(try_abis));
	_autorun_ struct run_result root = in_usr("--root", PYTHON(try_abis));

	expect_said(none, "x32 passed");
	if (!strstr(none.out, "i386 passed")) {
		/* A kernel without 32-bit programs: its fault (11, SIGSEGV) comes before any
		 * filter. */
		expect_said(none, "i386 11\n");
		expect_out(plain, "i386 11\nx32 refused\n");
		expect_out(multiarch, "i386 11\nx32 refused\n");
		expect_out(root, "i386 11\nx32 refused\n");
		return;
	}
	expect_out(plain, "i386 refused\nx32 refused\n");
	expect_out(multiarch, "i386 passed\nx32 refused\n");
	expect_out(root, "i386 refused\nx32 refused\n");
#endif
}

/* Every flag by itself and with others, also where the kernel does not look. */
static const char try_namespaces[] = CALLS
	"flags = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]\n"
	"def clone(f):\n"
	"    r = libc.syscall(NR['clone'], ctypes.c_uint64(f | 17), 0, 0, 0, 0)\n"
	"    if r == 0: os._exit(0)\n"
	"    if r > 0: os.waitpid(r, 0)\n"
	"    return ctypes.get_errno() if r < 0 else 0\n"
	"open_ = 0\n"
	"for f in flags:\n"
	"    for g in (0x10000000, 0x10000000 | 1 << 32):\n"
	"        open_ += clone(f | g) == 0\n"
	"pid = os.fork()\n"
	"if pid == 0:\n"
	"    os._exit(sum(call(NR['unshare'], f | 0x10000000) == 0 for f in flags[:1] + [0x80]))\n"
	"open_ += os.waitpid(pid, 0)[1] >> 8\n"
	"args = (ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, 17)\n"
	"pid = libc.syscall(NR['clone3'], ctypes.byref(args), 64)\n"
	"if pid == 0: os._exit(0)\n"
	"open_ += pid > 0\n"
	"import threading\n"
	"thread = threading.Thread(target=lambda: print('thread')); thread.start(); thread.join()\n"
	"print('open' if open_ else 'shut', clone(0), call(NR['unshare'], 0x400))\n";

/* By the filter alone: the limit on user namespaces is another promise, and not in reach here. */
Test(filter, namespaces_cannot_be_made)
{
	_autorun_ struct run_result allowed = in_usr("--allow-userns", PYTHON(try_namespaces));
	_autorun_ struct run_result denied =
		in_usr("--allow-userns", "--seccomp-deny", "unshare,setns,clone3",
		       PYTHON("import os, ctypes\n"
			      "print(ctypes.CDLL(None).unshare(0x10000000))"));
	_autorun_ struct run_result plain = in_usr("--seccomp-log", PYTHON(try_namespaces));
	_autorun_ struct run_result strict = in_usr("--seccomp=strict", PYTHON(try_namespaces));

	expect_out(allowed, "thread\nopen 0 0\n");
	expect_out(denied, "-1\n");
	expect_out(plain, "thread\nshut 0 0\n");
	expect_out(strict, "thread\nshut 0 0\n");
	/* Not the limit refused them: 7 flags in 2 forms. */
	cr_expect(strstr(plain.err, "clone (14 times)"), "%s", plain.err);
	cr_expect(strstr(plain.err, "unshare (2 times)"), "%s", plain.err);
}

static const char try_sockets[] =
	CALLS "families = [f for f in range(64) for high in (0, 1 << 32)\n"
	      "            if call(NR['socket'], f | high, 2, 0) == 0 or"
	      " call(NR['socket'], f | high, 3, 0) == 0]\n"
	      "netlink = [p for p in range(32) if call(NR['socket'], 16, 3, p) == 0]\n"
	      "print(*sorted(set(families)), '/', *netlink)\n";

/* The old name of packet sockets, in a network where the command has every capability. */
static const char try_packets[] =
	CALLS "call(NR['unshare'], 0x50000000)\n"
	      "print(*[call(NR['socket'], f, t | flags, 0x300) for f, t in ((17, 3), (2, 10))\n"
	      "        for flags in (0, 0x80800, 1 << 32)])\n";

Test(filter, exotic_sockets_cannot_be_made)
{
	_autorun_ struct run_result old =
		in_usr("--seccomp=none", "--allow-userns", PYTHON(try_packets));
	_autorun_ struct run_result old_refused = in_usr("--allow-userns", PYTHON(try_packets));
	_autorun_ struct run_result none = in_usr("--seccomp=none", PYTHON(try_sockets));
	_autorun_ struct run_result plain = in_usr(PYTHON(try_sockets));
	_autorun_ struct run_result strict = in_usr("--seccomp=strict", PYTHON(try_sockets));

	/* Generic netlink (16) is in every kernel, and has the longest list of bugs. */
	expect_said(none, " 16");
	cr_expect_gt(strlen(none.out), strlen(plain.out), "%s", none.out);
	expect_out(plain, "1 2 10 16 / 0 15\n");
	expect_out(strict, "1 /\n");
	expect_out(old, "0 0 0 0 0 0\n");
	expect_out(old_refused, "97 97 97 97 97 97\n");
}

/* $1 is sbx: a session keyring that holds a secret, as a login's does. */
static const char keyring_script[] =
	"id=$(keyctl add user sbx-attack secret @s) || exit\n"
	"keyctl print $id\n"
	"shift\n"
	"exec \"$@\" -- sh -c 'keyctl print '$id' || echo unreadable; keyctl show @s | grep -c "
	"sbx-attack'";

#define with_keyring(...)                                                                          \
	run_program("keyctl", "session", "-", "sh", "-c", keyring_script, "sh", "", sbx_program(), \
		    "--ro-bind", "/usr", "/usr", __VA_ARGS__)

Test(filter, keys_of_the_caller_are_out_of_reach)
{
	_autorun_ struct run_result works = run_program("keyctl", "session", "-", "true");
	_autorun_ struct run_result outside =
		run_program("keyctl", "session", "-", "sh", "-c", keyring_script, "sh", "", "env");
	_autorun_ struct run_result plain = with_keyring("--map=single");
	_autorun_ struct run_result none = with_keyring("--map=single", "--seccomp=none");
	_autorun_ struct run_result allowed =
		with_keyring("--map=single", "--seccomp-allow", "@keyring");

	skip_unless(works.status == 0, "this kernel has no keyrings");
	expect_out(outside, "secret\nsecret\n1\n");
	expect_out(plain, "secret\nunreadable\n0\n");
	expect_out(none, "secret\nunreadable\n0\n");
	expect_out(allowed, "secret\nunreadable\n0\n");
}

/*
 * One call of the keyrings alone can do harm as well: a key of the caller's session gets
 * another content. In a file's profile one operation of keyctl(2), 11, which reads, is let through.
 */
static const char change_key[] = CALLS
	"add_key = {'x86_64': 248, 'aarch64': 217}[machine]\n"
	"texts = [ctypes.create_string_buffer(t) for t in (b'user', b'sbx-attack', b'evil')]\n"
	"call(add_key, *[ctypes.addressof(t) for t in texts], 4, -3)\n";
static const char read_key[] =
	CALLS "keyctl = {'x86_64': 250, 'aarch64': 219}[machine]\n"
	      "text = ctypes.create_string_buffer(16)\n"
	      "call(keyctl, 11, int(sys.argv[1]), ctypes.addressof(text), 16)\n"
	      "print(text.value.decode() or 'unreadable')\n";
static const char key_holder[] = "id=$(keyctl add user sbx-attack secret @s) || exit\n"
				 "shift\n"
				 "\"$@\" $id\n"
				 "keyctl print $id\n";
#define with_key(...)                                                                              \
	run_program("keyctl", "session", "-", "sh", "-c", key_holder, "sh", "", __VA_ARGS__)

Test(filter, single_calls_of_keyrings_do_not_reach_the_callers)
{
	_autoclose_ int tree = tmp_tree(
		"p.json={\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":"
		"[\"keyctl\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":0,\"value\":11,"
		"\"op\":\"SCMP_CMP_NE\"}]},{\"names\":[\"add_key\",\"request_key\"],\"action\":"
		"\"SCMP_ACT_ERRNO\"}]}");
	_autofree_ char *profile = tree_path(tree, "p.json");
	_autorun_ struct run_result works = run_program("keyctl", "session", "-", "true");
	_autorun_ struct run_result changed = with_key("python3", "-c", change_key);
	_autorun_ struct run_result was_read = with_key("python3", "-c", read_key);
	_autorun_ struct run_result add =
		with_key(sbx_program(), "--map=single", "--ro-bind", "/usr", "/usr",
			 "--seccomp-allow", "add_key", PYTHON(change_key));
	_autorun_ struct run_result read =
		with_key(sbx_program(), "--map=single", "--ro-bind", "/usr", "/usr", "--seccomp",
			 profile, PYTHON(read_key));

	skip_unless(works.status == 0, "this kernel has no keyrings");
	expect_out(changed, "evil\n");
	expect_out(was_read, "secret\nsecret\n");
	expect_out(add, "secret\n");
	expect_out(read, "unreadable\nsecret\n");
}

/* A raw filter that PID 1 can live with holds it too; one that it cannot does not end it. */
Test(filter, pid_1_is_held_too)
{
	static const char status[] = "grep -h Seccomp: /proc/1/status /proc/self/status";
	_autorun_ struct run_result none = in_usr("--seccomp=none", SH(status));
	_autorun_ struct run_result plain = in_usr(SH(status));
	_autorun_ struct run_result root = in_usr("--root", SH(status));
	_autorun_ struct run_result hostile =
		in_usr("--seccomp-deny", "ppoll,waitid,kill", SH(status));

	expect_out(none, "Seccomp:\t0\nSeccomp:\t0\n");
	expect_out(plain, "Seccomp:\t2\nSeccomp:\t2\n");
	expect_out(root, "Seccomp:\t2\nSeccomp:\t2\n");
	expect_out(hostile, "Seccomp:\t2\nSeccomp:\t2\n");
}

/*
 * On a desk ($1 is the directory of the caller's session as the attacker sees it): put a
 * filter that refuses nothing in the place of a kept one, by all ways there are.
 */
static const char forge_filter[] =
	"cat >forge.py <<'END'\n"
	"import struct, sys\n"
	"data = open(sys.argv[1], 'rb').read()\n"
	"n = struct.unpack_from('=I', data, 8)[0]\n"
	"body = struct.pack('=HBBI', 6, 0, 0, 0x7fff0000) * n + data[32 + 8 * n:]\n"
	"digest = 14695981039346656037 ^ len(body)\n"
	"for at in range(0, len(body), 8):\n"
	"    word = int.from_bytes(body[at:at + 8].ljust(8, b'\\0'), sys.byteorder)\n"
	"    digest = ((digest ^ word) * 1099511628211) & (1 << 64) - 1\n"
	"    digest ^= digest >> 32\n"
	"open(sys.argv[2], 'wb').write(data[:24] + struct.pack('=Q', digest) + body)\n"
	"END\n"
	"cat >attack.sh <<'END'\n"
	"exec 2>&-; cd /; B=$1 N=$2 F=$3; [ -f \"$B\" ] && cat $F >$B && exit\n"
	"put() { mkdir -p $1; chmod 700 $1/.. $1; rm -f $1/$N; install -m 600 $F $1/$N; }\n"
	"for d in $B $B/seccomp $B/sbx/seccomp; do\n"
	"    umount -l $d; mount -o remount,rw $d\n"
	"    mount -o remount,rw,bind $d; put $d\n"
	"    mv $d $d.1; put $d; rm -rf $d; put $d\n"
	"    ln -sfn $F $d/$N; [ $d != $B ] || continue; umount -l ${d%/*}\n"
	"    mv ${d%/*} ${d%/*}.1; put $d; rm -rf ${d%/*}; put $d\n"
	"done; put $B/seccomp; put $B\n"
	"END\n"
	"X=$XDG_RUNTIME_DIR; try >/dev/null; E=$(echo $D/*); N=${E##*/}\n"
	"python3 forge.py $E forged\n"
	/* Everything is as it was; the filter is kept, or, with \"none\", nothing is there yet. */
	"fresh() { rm -rf $X/*; [ \"$1\" = none ] || try >/dev/null; }\n"
	/* Outside, where nothing is held. */
	"fresh; bash attack.sh $X $N $HOME/forged; try\n";

/* $2: with what; $3: where the session's directory is then; $1: none, or one is kept. */
static const char forge_functions[] =
	"bwrap() { (exec -a bwrap \"$S\" --ro-bind /usr /usr --symlink usr/bin /bin --symlink "
	"usr/lib /lib --symlink usr/lib64 /lib64 --proc /proc --dev /dev \"$@\"); }\n"
	"bare() { (unset XDG_RUNTIME_DIR; \"$@\"); }\n"
	"in_box() { fresh $1; $2 $3 --ro-bind $HOME/forged $HOME/forged --ro-bind "
	"$HOME/attack.sh $HOME/attack.sh -- bash $HOME/attack.sh $4 $N $HOME/forged; "
	"echo \"$(try) $?\"; }\n";

static void expect_no_forgery(const char *calls)
{
	char script[12000];

	(void)snprintf(script, sizeof(script), "%s%s%s", forge_filter, forge_functions, calls);
	{
		_autorun_ struct run_result r = desk_run("4M", script);
		const char *at = r.out;

		cr_assert_eq(strncmp(at, "0\n", 2), 0,
			     "the attack fails where nothing is held: %s%s", r.out, r.err);
		cr_expect_gt(strlen(at), 2U, "%s", r.err);
		for (at += 2; *at; at += strcspn(at, "\n") + 1)
			cr_expect_eq(strncmp(at, "1 0\n", 4), 0, "%s%s", r.out, r.err);
		cr_expect_str_eq(r.err, "");
	}
}

/* What a sandbox can write to holds the filters of later launches, or is above them. */
Test(filter, kept_filters_cannot_be_forged)
{
	desk_need();
	expect_no_forgery("for k in one none; do for m in box bwrap; do\n"
			  "    in_box $k $m \"--bind $X $X\" $X; in_box $k $m \"--bind $X /x\" /x\n"
			  "    in_box $k $m \"--bind /run /run\" $X; in_box $k $m '--bind / /' $X\n"
			  "    in_box $k $m \"--bind / / --remount-ro /usr\" $X\n"
			  "    in_box $k \"bare $m\" \"--bind / /\" $X\n"
			  "done; done\n");
	expect_no_forgery("ln -s $X l; for m in box bwrap; do\n"
			  "    in_box one $m \"--bind $HOME/l /x\" /x\n"
			  "    in_box one $m \"--bind $X/sbx /x\" /x\n"
			  "    in_box one $m \"--bind $D /x\" /x\n"
			  "    in_box one $m \"--bind $E /x\" /x\n"
			  "done; exec 7<$X; in_box one box \"--bind-fd 7 /x\" /x\n");
}

/* Nor with every capability, or by an overlay that writes there. */
Test(filter, kept_filters_cannot_be_forged_with_capabilities)
{
	desk_need();
	expect_no_forgery("in_box one box \"--bind $X $X --cap-add ALL --allow-userns\" $X\n"
			  "in_box one box \"--bind / / --root --cap-add ALL\" $X\n"
			  "in_box one bwrap \"--unshare-user --bind $X $X --cap-add ALL\" $X\n");
}

Test(filter, kept_filters_cannot_be_forged_through_an_overlay)
{
	desk_need();
	_autorun_ struct run_result probe =
		desk_run("4M", "mkdir low $XDG_RUNTIME_DIR/work $XDG_RUNTIME_DIR/sbx; box "
			       "--overlay-src $HOME/low --overlay $XDG_RUNTIME_DIR/sbx "
			       "$XDG_RUNTIME_DIR/work /x -- true");

	/* Its tmpfs has no attributes of users before Linux 6.6. */
	if (probe.status != 0)
		cr_skip_test("no overlay can be made of what is in a tmpfs: %s", probe.err);
	expect_no_forgery(
		"mkdir low\n"
		"over() { mkdir $X/work; box \"$@\"; }\n"
		"in_box one over \"--overlay-src $HOME/low --overlay $X/sbx $X/work /x\" /x\n");
}
