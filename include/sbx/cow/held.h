/* SPDX-License-Identifier: MIT */
/*
 * held: a session's lowest layer, with the names that are missing and that sbx itself needs
 * (spec/layers_held.c). Runs in: the caller's process.
 */
#pragma once

#include "sbx/cow/session.h"
#include "sbx/spec/plan.h"

int cow_held_make(const struct cow_session *session, const struct sbx_plan *plan,
		  struct sbx_err *err);
