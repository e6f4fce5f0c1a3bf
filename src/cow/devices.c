/* SPDX-License-Identifier: MIT */
/*
 * devices: see devices.h. A root's is counted from the end of the numbers, where no device is. What
 * is on another than any root's (btrfs has one for each subvolume) keeps the kernel's.
 */

#include <assert.h>

#include "sbx/cow/devices.h"

void cow_devices_set(struct cow_devices *devices, size_t root, uint64_t dev)
{
	assert(root < COW_ROOTS_MAX);
	devices->roots[root] = dev;
	if (root >= devices->n)
		devices->n = root + 1;
}

/* Of a root's, and of what is such a number already, the lasting one; of others the kernel's. */
uint64_t cow_devices_number(const struct cow_devices *devices, uint64_t dev)
{
	for (size_t i = 0; devices && i < devices->n; i++)
		if (devices->roots[i] == dev)
			return UINT64_MAX - i;
	return dev;
}
