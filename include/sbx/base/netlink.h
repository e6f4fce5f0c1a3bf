/* SPDX-License-Identifier: MIT */
/*
 * netlink: a message to the kernel, and what it answers (netlink(7)).
 * Called by who sets up networks, their rules, and who looks at those. Runs in: any process.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

int netlink_open(int protocol);
int netlink_send(int fd, const void *message, size_t len);
ssize_t netlink_ask(int fd, const void *question, size_t len, void *answer, size_t size);
