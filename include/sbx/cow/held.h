/* SPDX-License-Identifier: MIT */
/*
 * held: a session's lowest layer, with the names that are missing and that a protect step covers
 * (spec/layers.c). Runs in: the caller's process.
 */
#pragma once

#include "sbx/cow/session.h"
#include "sbx/spec/plan.h"

int cow_held_make(const struct cow_session *session, const struct sbx_plan *plan,
		  struct sbx_err *err);
