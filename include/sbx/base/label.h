/* SPDX-License-Identifier: MIT */
/*
 * label: what a sandbox is called: an id, and perhaps a name. As text, and as the
 * name of its record's file. Any process.
 */
#pragma once

#include <stdbool.h>

enum {
	LABEL_ID_LEN = 12, /* hexadecimal digits */
	LABEL_NAME_MAX = 63,
	LABEL_FILE_SIZE = LABEL_ID_LEN + LABEL_NAME_MAX + 2, /* "ID=NAME" and the NUL */
};

struct label {
	char id[LABEL_ID_LEN + 1];
	char name[LABEL_NAME_MAX + 1]; /* "": none */
};

bool label_name_is_good(const char *name);
bool label_make(const char *name, struct label *ret_label);
void label_to_file(const struct label *label, char ret_file[LABEL_FILE_SIZE]);
bool label_from_file(const char *file, struct label *ret_label);
bool label_has_prefix(const struct label *label, const char *prefix);
