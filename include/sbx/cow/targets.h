/* SPDX-License-Identifier: MIT */
/*
 * targets: places of mounts that a launch has to make in a session's upper layer, and that are no
 * changes of the command's. Runs in: the caller's process, with the session locked.
 */
#pragma once

#include "sbx/cow/session.h"
#include "sbx/spec/plan.h"

int cow_targets_note(struct cow_session *session, const struct sbx_plan *plan, struct sbx_err *err);
bool cow_targets_wait(const struct cow_session *session);
void cow_targets_undo(const struct cow_session *session);
