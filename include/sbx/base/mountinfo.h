/* SPDX-License-Identifier: MIT */
/*
 * mountinfo: the mount points of /proc/PID/mountinfo, see proc(5). Any process.
 */
#pragma once

char *mountinfo_next(char **rest);
