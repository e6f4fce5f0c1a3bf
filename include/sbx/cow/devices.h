/* SPDX-License-Identifier: MIT */
/*
 * devices: numbers for the devices of a session's directories that hold longer than those of the
 * kernel, which may be others when the machine has started again, or the disk was mounted again.
 * Runs in: the caller's process.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sbx/cow/session.h"

/* The kernel's numbers, of the roots in their order; 0: not known. */
struct cow_devices {
	uint64_t roots[COW_ROOTS_MAX];
	size_t n;
};

void cow_devices_set(struct cow_devices *devices, size_t root, uint64_t dev);
uint64_t cow_devices_number(const struct cow_devices *devices, uint64_t dev);
