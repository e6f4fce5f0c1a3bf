/* SPDX-License-Identifier: MIT */
/*
 * ids: work as the ids that a sandbox of the caller's may have. Runs in: the caller's process.
 */
#pragma once

int cow_ids_gain(void);
