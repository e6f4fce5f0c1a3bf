/* SPDX-License-Identifier: MIT */
/*
 * label: see the header.
 *
 * A record's file is called ID or ID=NAME, so that a list of the directory tells who is
 * who, and nothing needs to be read. The name has no character that means something to a
 * shell, a terminal or a path.
 */

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "sbx/base/label.h"
#include "sbx/base/str.h"

static const char label_hex[] = "0123456789abcdef";
static const char label_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				    "_.-";

/* A letter or digit first, then also _, . and -; at most LABEL_NAME_MAX of them. */
bool label_name_is_good(const char *name)
{
	size_t len = strspn(name, label_letters);

	return len > 0 && len <= LABEL_NAME_MAX && name[len] == '\0' && !strchr("_.-", name[0]);
}

/**
 * A label with a new id.
 * @name: NULL: none; else label_name_is_good()
 *
 * Return: false, with errno, where the kernel has no random numbers.
 */
bool label_make(const char *name, struct label *ret_label)
{
	uint64_t number;

	assert(!name || label_name_is_good(name));
	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		return false;
	(void)snprintf(ret_label->id, sizeof(ret_label->id), "%012llx",
		       (unsigned long long)(number & UINT64_C(0xffffffffffff)));
	str_copy(ret_label->name, sizeof(ret_label->name), name ? name : "");
	return true;
}

void label_to_file(const struct label *label, char ret_file[LABEL_FILE_SIZE])
{
	(void)snprintf(ret_file, LABEL_FILE_SIZE, "%s%s%s", label->id, label->name[0] ? "=" : "",
		       label->name);
}

/* Is this the name of a record's file, and if so, of which label? */
bool label_from_file(const char *file, struct label *ret_label)
{
	const char *name = file + LABEL_ID_LEN;

	if (strspn(file, label_hex) != LABEL_ID_LEN)
		return false;
	if (*name != '\0' && (*name != '=' || !label_name_is_good(name + 1)))
		return false;
	memcpy(ret_label->id, file, LABEL_ID_LEN);
	ret_label->id[LABEL_ID_LEN] = '\0';
	str_copy(ret_label->name, sizeof(ret_label->name), *name ? name + 1 : "");
	return true;
}

/* Does the id begin so? */
bool label_has_prefix(const struct label *label, const char *prefix)
{
	return prefix[0] != '\0' && str_starts_with(label->id, prefix);
}
