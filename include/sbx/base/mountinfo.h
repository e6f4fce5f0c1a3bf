/* SPDX-License-Identifier: MIT */
/* mountinfo: a line of /proc/PID/mountinfo (proc(5)). Any process. */
#pragma once

char *mountinfo_cut_point(char *line);
