/* SPDX-License-Identifier: MIT */
/*
 * filter_cache: keep filters that are dear to make.
 *
 * Theory of operation
 *
 * An entry is a file, named by a digest of its key. The digest only finds it: the key is
 * in the entry too, and compared byte for byte, so that two keys with one digest replace
 * each other and never get the other's filter. The digest over the rest finds what was
 * damaged, not what was forged.
 *
 * Against forgery there is the place. Whoever can write an entry writes the filter of a
 * later launch, so nobody may but the caller outside of any sandbox. That is arranged from
 * both sides. A filter is kept in /run/user/UID alone, where that is XDG_RUNTIME_DIR, a
 * mount of its own and closed to others: every launch knows this place, whatever its
 * environment says, and covers it where it binds it writable (spec/filter_cover.c). In a
 * home directory, which sandboxes are given all the time, there is none; nor is there one
 * in another XDG_RUNTIME_DIR, as a launch that was told of a third would not cover it. What
 * is no mount could be made by a sandbox that has what is above.
 *
 * All that is odd about an entry makes it none: another filter is made and takes its place.
 * It is written to a file without a name, which is linked when it is whole; who is killed
 * meanwhile leaves nothing, and where it cannot be written there is none. Two who write the
 * same are both right.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sbx/base/dirs.h"
#include "sbx/base/io.h"
#include "sbx/base/path.h"
#include "sbx/base/str.h"
#include "sbx/base/sys.h"
#include "sbx/spec/filter_cache.h"

/* In front of the rest, in this order: instructions, key, files, text. Lengths count a NUL. */
struct cache_header {
	char magic[8];
	uint32_t n_insns;
	uint32_t key_bytes;   /* has no NUL */
	uint32_t files_bytes; /* with its NUL, as that of the text */
	uint32_t text_bytes;
	uint64_t digest; /* of the rest */
};

static const char cache_magic[8] = "sbxbpf1"; /* the form; a change of it is another number */

enum {
	CACHE_INSNS_MAX_BYTES = SECCOMP_PROGRAM_MAX * sizeof(struct sock_filter),
	CACHE_ENTRY_MAX_BYTES = sizeof(struct cache_header) + CACHE_INSNS_MAX_BYTES +
				FILTER_CACHE_KEY_MAX_BYTES + FILTER_CACHE_FILES_MAX_BYTES +
				FILTER_CACHE_TEXT_MAX_BYTES,
	CACHE_NAME_LEN = 16,
	CACHE_WRITE_TRIES = 3,
};

/* ---- the digest ---- */

/* FNV-1a over words instead of bytes. No more than a checksum: nothing is trusted for it. */
uint64_t filter_cache_digest(const char *data, size_t len)
{
	const uint64_t prime = UINT64_C(1099511628211);
	uint64_t digest = UINT64_C(14695981039346656037) ^ len;

	while (len > 0) {
		size_t n = len < sizeof(uint64_t) ? len : sizeof(uint64_t);
		uint64_t word = 0;

		memcpy(&word, data, n);
		digest = (digest ^ word) * prime;
		digest ^= digest >> 32;
		data += n;
		len -= n;
	}
	return digest;
}

static void cache_name(const struct filter_cache_key *key, char name[FILTER_CACHE_NAME_BYTES])
{
	(void)snprintf(name, FILTER_CACHE_NAME_BYTES, "%016llx",
		       (unsigned long long)filter_cache_digest(key->data, key->len));
}

static bool cache_is_name(const char *name)
{
	return strlen(name) == CACHE_NAME_LEN && strspn(name, "0123456789abcdef") == CACHE_NAME_LEN;
}

/* ---- the place ---- */

const char *const filter_cache_names[FILTER_CACHE_NAMES] = {"sbx", "seccomp"};

/* The directory that a caller's session has, whatever its environment says. */
void filter_cache_runtime_dir(uid_t uid, char path[FILTER_CACHE_PATH_BYTES])
{
	(void)snprintf(path, FILTER_CACHE_PATH_BYTES, "/run/user/%u", uid);
}

/**
 * Why nothing is kept for this caller; NULL: it is. "": out of memory.
 */
const char *filter_cache_obstacle(const struct probe_host *host, struct arena *arena)
{
	const char *said = probe_env(host->environ_, "XDG_RUNTIME_DIR"), *why = NULL;
	char path[FILTER_CACHE_PATH_BYTES];
	_autoclose_ int fd = -1;
	struct sys_mount what;

	filter_cache_runtime_dir(host->uid, path);
	said = said ? path_normalise(arena, NULL, said) : NULL;
	if (!said || !str_equal(said, path))
		return arena_printf(arena, "XDG_RUNTIME_DIR is not %s", path);
	fd = dirs_open_own(path);
	if (fd < 0)
		why = "is not there, or not closed to others";
	else if (sys_statx_mount(fd, "", &what) < 0 || !what.is_root)
		why = "is no mount of its own";
	if (!why)
		return NULL;
	why = arena_printf(arena, "%s %s", path, why);
	return why ? why : "";
}

/* Open the directory of entries. Return: its descriptor, or -errno. */
static int cache_open(uid_t uid, bool make)
{
	char path[FILTER_CACHE_PATH_BYTES];
	_autoclose_ int above = -1;
	struct sys_mount what;
	int fd;

	filter_cache_runtime_dir(uid, path);
	fd = dirs_open_own(path);
	if (fd >= 0 && (sys_statx_mount(fd, "", &what) < 0 || !what.is_root)) {
		close(fd);
		return -EXDEV;
	}
	for (size_t i = 0; i < FILTER_CACHE_NAMES && fd >= 0; i++) {
		defs_cleanup_fd(&above);
		above = fd;
		if (make && mkdirat(above, filter_cache_names[i], 0700) < 0 && errno != EEXIST)
			return -errno;
		fd = dirs_open_own_at(above, filter_cache_names[i]);
	}
	return fd;
}

/* ---- what a file is ---- */

/**
 * Say which file a path leads to, so that another in its place says something else: what is
 * written to or replaced gets another time of change, which nobody can set.
 *
 * Return: 0, with "-" for one that is not there, or -ENOMEM.
 */
int filter_cache_identify(const char *path, struct arena *arena, const char **ret)
{
	struct stat st;

	*ret = stat(path, &st) < 0
		       ? "-"
		       : arena_printf(arena, "%llx:%llx,%lld,%lld.%09ld,%lld.%09ld",
				      (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
				      (long long)st.st_size, (long long)st.st_mtim.tv_sec,
				      st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec,
				      st.st_ctim.tv_nsec);
	return *ret ? 0 : -ENOMEM;
}

/* Is each of the files still what it was? Return: 1, 0 or -ENOMEM. */
static int cache_files_are_same(const char *files, struct arena *arena)
{
	for (const char *line = files; *line; line += strcspn(line, "\n") + 1) {
		const char *blank = strchr(line, ' '), *end = strchr(line, '\n'), *now, *path;
		int r;

		if (!blank || !end || blank > end || blank[1] != '/')
			return 0;
		path = arena_dup_n(arena, blank + 1, (size_t)(end - blank - 1));
		r = path ? filter_cache_identify(path, arena, &now) : -ENOMEM;
		if (r < 0)
			return r;
		if (strlen(now) != (size_t)(blank - line) || memcmp(now, line, strlen(now)) != 0)
			return 0;
	}
	return 1;
}

/* ---- an entry ---- */

static bool cache_sizes_are_good(const struct cache_header *header, size_t len,
				 const struct filter_cache_key *key)
{
	return header->n_insns > 0 && header->n_insns <= SECCOMP_PROGRAM_MAX &&
	       header->key_bytes == key->len && header->files_bytes > 0 &&
	       header->files_bytes <= FILTER_CACHE_FILES_MAX_BYTES && header->text_bytes > 0 &&
	       header->text_bytes <= FILTER_CACHE_TEXT_MAX_BYTES &&
	       len == sizeof(*header) + header->n_insns * sizeof(struct sock_filter) +
			       header->key_bytes + header->files_bytes + header->text_bytes;
}

/* Lines of printable ASCII, ended by the one NUL. */
static bool cache_is_text(const char *text, size_t bytes)
{
	for (size_t i = 0; i + 1 < bytes; i++)
		if ((text[i] < ' ' && text[i] != '\n') || text[i] > '~')
			return false;
	return text[bytes - 1] == '\0' && (bytes == 1 || text[bytes - 2] == '\n');
}

/**
 * Read an entry.
 * @data: aligned as memory of an arena is; the result points into it
 *
 * Return: is it one, whole, and of this key?
 */
bool filter_cache_parse(const char *data, size_t len, const struct filter_cache_key *key,
			struct filter_cache_item *ret)
{
	const struct sock_filter *insns;
	const char *at = data + sizeof(struct cache_header), *files, *text;
	struct cache_header header;

	if (len < sizeof(header))
		return false;
	memcpy(&header, data, sizeof(header));
	if (memcmp(header.magic, cache_magic, sizeof(cache_magic)) != 0 ||
	    !cache_sizes_are_good(&header, len, key) ||
	    header.digest != filter_cache_digest(at, len - sizeof(header)))
		return false;
	insns = (const struct sock_filter *)(const void *)at;
	at += header.n_insns * sizeof(*insns);
	if (memcmp(at, key->data, key->len) != 0)
		return false;
	files = at + header.key_bytes;
	text = files + header.files_bytes;
	if (!cache_is_text(files, header.files_bytes) || !cache_is_text(text, header.text_bytes) ||
	    BPF_CLASS(insns[header.n_insns - 1].code) != BPF_RET)
		return false;
	*ret = (struct filter_cache_item){{insns, header.n_insns}, files, text};
	return true;
}

/* A regular file of the caller's that others cannot get at, by one name, of a fitting size. */
static bool cache_is_own(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid() &&
	       (st->st_mode & (07777 & ~0600)) == 0 && st->st_nlink == 1 && st->st_size > 0 &&
	       st->st_size <= CACHE_ENTRY_MAX_BYTES;
}

/* Return: 1 with all of the file, 0 where it is none to be read, or -ENOMEM. */
static int cache_read(int dir_fd, const char *name, struct arena *arena, const char **ret_data,
		      size_t *ret_len)
{
	_autoclose_ int fd =
		openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	size_t size, len = 0;
	struct stat st;
	char *data;

	if (fd < 0 || fstat(fd, &st) < 0 || !cache_is_own(&st))
		return 0;
	size = (size_t)st.st_size;
	data = arena_alloc(arena, size);
	if (!data)
		return -ENOMEM;
	while (len < size) {
		ssize_t n = read(fd, data + len, size - len);

		if (n <= 0)
			return 0;
		len += (size_t)n;
	}
	*ret_data = data;
	*ret_len = size;
	return 1;
}

/**
 * Look for the filter of a key.
 *
 * Return: 1 with it, in the arena; 0: there is none; or -ENOMEM.
 */
int filter_cache_find(const struct filter_cache_key *key, struct arena *arena,
		      struct filter_cache_item *ret)
{
	_autoclose_ int dir_fd = cache_open(key->uid, false);
	char name[FILTER_CACHE_NAME_BYTES];
	struct filter_cache_item item;
	const char *data;
	size_t len;
	int r;

	if (dir_fd < 0)
		return 0;
	cache_name(key, name);
	r = cache_read(dir_fd, name, arena, &data, &len);
	if (r <= 0)
		return r;
	if (!filter_cache_parse(data, len, key, &item))
		return 0;
	r = cache_files_are_same(item.files, arena);
	if (r > 0)
		*ret = item;
	return r;
}

/**
 * Make an entry, to be written when there is time.
 *
 * Return: 0; -EFBIG: it has more than an entry may have; -ENOMEM.
 */
int filter_cache_pack(const struct filter_cache_key *key, const struct filter_cache_item *item,
		      struct arena *arena, struct filter_cache_entry *ret)
{
	struct cache_header header = {
		.n_insns = (uint32_t)item->program.n_insns,
		.key_bytes = (uint32_t)key->len,
		.files_bytes = (uint32_t)strlen(item->files) + 1,
		.text_bytes = (uint32_t)strlen(item->text) + 1,
	};
	size_t insns_bytes = header.n_insns * sizeof(struct sock_filter);
	size_t len =
		sizeof(header) + insns_bytes + key->len + header.files_bytes + header.text_bytes;
	char *data, *at;

	if (key->len > FILTER_CACHE_KEY_MAX_BYTES || !cache_sizes_are_good(&header, len, key))
		return -EFBIG;
	data = arena_alloc(arena, len);
	if (!data)
		return -ENOMEM;
	memcpy(header.magic, cache_magic, sizeof(cache_magic));
	at = data + sizeof(header);
	memcpy(at, item->program.insns, insns_bytes);
	at += insns_bytes;
	memcpy(at, key->data, key->len);
	at += key->len;
	memcpy(at, item->files, header.files_bytes);
	memcpy(at + header.files_bytes, item->text, header.text_bytes);
	header.digest = filter_cache_digest(data + sizeof(header), len - sizeof(header));
	memcpy(data, &header, sizeof(header));
	*ret = (struct filter_cache_entry){.uid = key->uid, .data = data, .len = len};
	cache_name(key, ret->name);
	return 0;
}

/* ---- writing ---- */

/* The entry that was written longest ago. */
struct cache_oldest {
	char name[FILTER_CACHE_NAME_BYTES];
	struct timespec when;
	size_t n; /* of all entries */
};

static void cache_count(int dir_fd, const char *name, struct cache_oldest *oldest)
{
	struct stat st;

	if (!cache_is_name(name) || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (oldest->n++ > 0 && (st.st_mtim.tv_sec > oldest->when.tv_sec ||
				(st.st_mtim.tv_sec == oldest->when.tv_sec &&
				 st.st_mtim.tv_nsec >= oldest->when.tv_nsec)))
		return;
	oldest->when = st.st_mtim;
	str_copy(oldest->name, sizeof(oldest->name), name);
}

/* Return: 0 or -errno. */
static int cache_find_oldest(int dir_fd, struct cache_oldest *oldest)
{
	_Alignas(struct sys_dirent) char room[4096];
	ssize_t n;

	*oldest = (struct cache_oldest){.n = 0};
	if (lseek(dir_fd, 0, SEEK_SET) < 0)
		return -errno;
	while ((n = sys_getdents(dir_fd, (struct sys_dirent *)(void *)room, sizeof(room))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct sys_dirent *entry = (const void *)(room + at);

			cache_count(dir_fd, entry->name, oldest);
			at += entry->size;
		}
	}
	return n < 0 ? -errno : 0;
}

/* Make room for one more. Return: 0 or -errno. */
static int cache_drop_oldest(int dir_fd)
{
	struct cache_oldest oldest;
	int r;

	do {
		r = cache_find_oldest(dir_fd, &oldest);
		if (r < 0 || oldest.n < FILTER_CACHE_ENTRIES_MAX)
			return r;
		r = unlinkat(dir_fd, oldest.name, 0) < 0 && errno != ENOENT ? -errno : 0;
	} while (r == 0);
	return r;
}

/* Give a file its name, in the place of what has it. Return: 0 or -errno. */
static int cache_link(int fd, int dir_fd, const char *name)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (int i = 0; i < CACHE_WRITE_TRIES; i++) {
		if (linkat(AT_FDCWD, path, dir_fd, name, AT_SYMLINK_FOLLOW) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
		if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
			return -errno;
	}
	return -EEXIST;
}

/* A limit on the size of files would be told of by a signal. */
static bool cache_fits_limit(size_t len)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur >= len;
}

/**
 * Keep an entry for the next launch.
 *
 * Return: 0, or -errno: nothing was left.
 */
int filter_cache_store(const struct filter_cache_entry *entry)
{
	_autoclose_ int dir_fd = cache_open(entry->uid, true), fd = -1;
	int r;

	if (dir_fd < 0)
		return dir_fd;
	if (!cache_fits_limit(entry->len))
		return -EFBIG;
	r = cache_drop_oldest(dir_fd);
	if (r < 0)
		return r;
	fd = openat(dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 || fchmod(fd, 0600) < 0)
		return -errno;
	r = io_write_all(fd, entry->data, entry->len);
	return r < 0 ? r : cache_link(fd, dir_fd, entry->name);
}
