/* SPDX-License-Identifier: MIT */
/* attack: a descriptor with data in it, for the options that read one. */
#include "attack.h"

/* The caller closes it; it is at its start. */
int attack_data_fd(const char *text)
{
	_autoclose_ int tree = tmp_tree("data=");
	int fd = openat(tree, "data", O_RDWR | O_CLOEXEC);
	size_t len = strlen(text);

	cr_assert(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	cr_assert(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}
