/* SPDX-License-Identifier: MIT */
/*
 * publish: ports of the host that lead into a sandbox: what their texts mean, which ones a
 * plan has, the rules that let answers out, and what to say where one cannot be had.
 * Runs in: the caller's process; the last also in the monitor.
 */
#pragma once

#include "sbx/base/str.h"
#include "sbx/spec/net.h"
#include "sbx/spec/plan.h"

enum { PUBLISH_TEXT_BYTES = 64 }; /* of one run of ports, for people */

int publish_read(const char *text, const char *option, struct plan_port *ret, struct sbx_err *err);
int publish_read_host(const char *text, const char *option, struct plan_port *ret,
		      struct sbx_err *err);
int publish_choose(const struct sbx_spec *spec, const struct net_words *words,
		   struct sbx_plan *plan, struct sbx_err *err);
bool publish_collides(const struct plan_port *a, const struct plan_port *b);
bool publish_share_answers(const struct plan_port *a, const struct plan_port *b);
int publish_refuse_without_net(const struct sbx_spec *spec, struct sbx_err *err);
int publish_remark(struct sbx_plan *plan);
void publish_put_heard(struct str_buf *out, const char *from);
void publish_put_replies(struct str_buf *out, bool udp);
void publish_put_tables(struct str_buf *out, const struct plan_net *net, const char *gateway);
void publish_put_answers(struct str_buf *out, const struct plan_net *net);
void publish_put(struct str_buf *out, const struct plan_port *port);
void publish_put_host(struct str_buf *out, const struct plan_port *port);
struct json_out;
void publish_json(struct json_out *json, const char *key, const struct plan_port *ports, size_t n);
unsigned publish_first_unprivileged(void);
int publish_refuse(const struct plan_port *port, int number, struct sbx_err *err);
