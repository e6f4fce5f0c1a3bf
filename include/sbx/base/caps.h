/* SPDX-License-Identifier: MIT */
/*
 * caps: the names of capabilities, from the kernel headers of the build. Any
 * process.
 */
#pragma once

int caps_from_name(const char *name);
const char *caps_to_name(int number);
