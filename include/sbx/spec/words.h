/* SPDX-License-Identifier: MIT */
/*
 * words: what bubblewrap says where sbx says something else. Programs that call
 * bubblewrap look for these texts. Any process.
 */
#pragma once

#include "sbx/base/err.h"
#include "sbx/spec/plan.h"

void words_reword_step(struct sbx_err *err, const struct plan_step *step);
void words_reword(struct sbx_err *err);
