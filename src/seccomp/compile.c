/* SPDX-License-Identifier: MIT */
/*
 * compile: from rules to instructions.
 *
 * Theory of operation
 *
 * When a filter is loaded the kernel runs it for every system call number, to learn
 * which are allowed whatever their arguments; later it runs it for the others only. So
 * what counts is how long the paths are, not how long the program is. This compiler
 * cuts the numbers into segments of equal verdict and emits a balanced search:
 *
 *     load arch                        foreign -> kill
 *     load number
 *     number >= 250 ?                  the middle segment
 *         number >= 101 ?
 *             number == 101 ?          a segment may have one number that is an
 *                 ptrace's verdict     exception: single refused calls between allowed
 *                 allow                ones are the usual thing
 *
 * Where the verdict hangs on arguments it is not an instruction but a list of
 * comparisons. Arguments have 64 bits and the machine has 32, so each is compared in
 * halves, the upper one first; halves that a mask leaves out are not looked at.
 *
 * Instructions are emitted from the last to the first: a conditional jump leads
 * forward, at most 255 instructions, so where it leads has been placed when it is
 * made, and what is too far gets a long jump, or a copy of the return, in between.
 */

#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <stddef.h>
#include <string.h>

#include "sbx/base/defs.h"
#include "sbx/seccomp/profile.h"

enum {
	NO_RULE = -1,
	NEAR_MAX = 254, /* one less than a jump reaches: its other target may need an insn */
	LISTS_MAX = 8,	/* lists of rules that are looked through for an equal one */
};

/* What happens to a number: an action, or where its list of rules begins. */
struct verdict {
	uint32_t action;
	int rule; /* NO_RULE: the action it is */
};

/* Numbers from `first` to the next segment's have one verdict, but for at most one. */
struct segment {
	uint32_t first;
	uint32_t exception; /* a number; `first` where there is none */
	bool has_exception;
	struct verdict verdict, exception_verdict;
};

/* Where the rules from this one on have been placed. */
struct emitted_list {
	int rule;
	size_t place;
};

struct compiler {
	const struct seccomp_profile *profile;
	const struct seccomp_arch *arch; /* the one that is worked on */
	struct sock_filter *out;	 /* filled from the end */
	size_t at;			 /* the first instruction so far */
	bool full;
	int *next_rule; /* per rule of the arch: the next for the same number */
	struct segment *segments;
	size_t n_segments;
	struct emitted_list lists[LISTS_MAX];
	size_t n_lists;
};

/* ---- instructions ---- */

static size_t emit(struct compiler *c, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (c->at == 0) {
		c->full = true;
		return 0;
	}
	c->out[--c->at] = (struct sock_filter){code, jt, jf, k};
	return c->at;
}

/* A place with the same effect as `target` that a jump emitted next can reach. */
static size_t emit_near(struct compiler *c, size_t target)
{
	if (target - c->at <= NEAR_MAX)
		return target;
	if (c->out[target].code == (BPF_RET | BPF_K))
		return emit(c, BPF_RET | BPF_K, c->out[target].k, 0, 0);
	return emit(c, BPF_JMP | BPF_JA, (uint32_t)(target - c->at), 0, 0);
}

static size_t emit_return(struct compiler *c, uint32_t action)
{
	size_t end = c->at + NEAR_MAX < SECCOMP_PROGRAM_MAX ? c->at + NEAR_MAX
							    : (size_t)SECCOMP_PROGRAM_MAX;

	for (size_t i = c->at; i < end; i++)
		if (c->out[i].code == (BPF_RET | BPF_K) && c->out[i].k == action)
			return i;
	return emit(c, BPF_RET | BPF_K, action, 0, 0);
}

/* Compare A with k; go to one of two places. */
static size_t emit_jump(struct compiler *c, uint16_t op, uint32_t k, size_t if_true,
			size_t if_false)
{
	if (if_true == if_false)
		return if_true;
	if_true = emit_near(c, if_true);
	if_false = emit_near(c, if_false);
	return emit(c, BPF_JMP | op | BPF_K, k, (uint8_t)(if_true - c->at),
		    (uint8_t)(if_false - c->at));
}

/* What falls through must lie right behind. */
static void emit_follow(struct compiler *c, size_t target)
{
	if (target != c->at)
		(void)emit(c, BPF_JMP | BPF_JA, (uint32_t)(target - c->at), 0, 0);
}

static size_t emit_load(struct compiler *c, uint32_t offset)
{
	return emit(c, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

/* ---- arguments ---- */

/* Load half of an argument; A is compared by what has been emitted. */
static size_t emit_half(struct compiler *c, const struct seccomp_cmp *cmp, bool upper)
{
	uint32_t mask = (uint32_t)(upper ? cmp->mask >> 32 : cmp->mask);
	bool second_word = upper == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

	if (mask != UINT32_MAX)
		(void)emit(c, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
	return emit_load(c, (uint32_t)(offsetof(struct seccomp_data, args) + cmp->arg * 8 +
				       (second_word ? 4 : 0)));
}

/* (arg & mask) == value ? yes : no */
static size_t emit_equal(struct compiler *c, const struct seccomp_cmp *cmp, size_t yes, size_t no)
{
	size_t lower;

	emit_follow(c, emit_jump(c, BPF_JEQ, (uint32_t)cmp->value, yes, no));
	lower = emit_half(c, cmp, false);
	if (cmp->mask >> 32 == 0 && cmp->value >> 32 == 0)
		return lower;
	emit_follow(c, emit_jump(c, BPF_JEQ, (uint32_t)(cmp->value >> 32), lower, no));
	return emit_half(c, cmp, true);
}

/* (arg & mask) > value ? yes : no; with `op` BPF_JGE: >= */
static size_t emit_greater(struct compiler *c, const struct seccomp_cmp *cmp, uint16_t op,
			   size_t yes, size_t no)
{
	size_t lower, equal;

	emit_follow(c, emit_jump(c, op, (uint32_t)cmp->value, yes, no));
	lower = emit_half(c, cmp, false);
	if (cmp->mask >> 32 == 0 && cmp->value >> 32 == 0)
		return lower;
	equal = emit_jump(c, BPF_JEQ, (uint32_t)(cmp->value >> 32), lower, no);
	emit_follow(c, emit_jump(c, BPF_JGT, (uint32_t)(cmp->value >> 32), yes, equal));
	return emit_half(c, cmp, true);
}

static size_t emit_cmp(struct compiler *c, const struct seccomp_cmp *cmp, size_t yes, size_t no)
{
	switch ((enum seccomp_op)cmp->op) {
	case SECCOMP_OP_EQ:
		return emit_equal(c, cmp, yes, no);
	case SECCOMP_OP_NE:
		return emit_equal(c, cmp, no, yes);
	case SECCOMP_OP_GT:
		return emit_greater(c, cmp, BPF_JGT, yes, no);
	case SECCOMP_OP_LE:
		return emit_greater(c, cmp, BPF_JGT, no, yes);
	case SECCOMP_OP_GE:
		return emit_greater(c, cmp, BPF_JGE, yes, no);
	case SECCOMP_OP_LT:
		return emit_greater(c, cmp, BPF_JGE, no, yes);
	}
	return no;
}

/* The rules from `index` on, the first of them first to be run. */
static size_t emit_rules(struct compiler *c, int index)
{
	const struct seccomp_rule *rule;
	size_t yes, no;

	if (index == NO_RULE)
		return emit_return(c, c->profile->default_action);
	rule = &c->arch->rules[index];
	if (rule->n_cmps == 0)
		return emit_return(c, rule->action);
	no = emit_rules(c, c->next_rule[index]);
	yes = emit_return(c, rule->action);
	for (size_t i = rule->n_cmps; i-- > 0 && !c->full;)
		yes = emit_cmp(c, &rule->cmps[i], yes, no);
	return yes;
}

static bool rule_equal(const struct seccomp_rule *a, const struct seccomp_rule *b)
{
	return a->action == b->action && a->n_cmps == b->n_cmps && a->cmps == b->cmps;
}

static bool list_equal(const struct compiler *c, int a, int b)
{
	while (a != NO_RULE && b != NO_RULE && rule_equal(&c->arch->rules[a], &c->arch->rules[b])) {
		a = c->next_rule[a];
		b = c->next_rule[b];
	}
	return a == b; /* NO_RULE both */
}

/* The rules of a number; one judged as another, as socketpair(2) is as socket(2), shares its. */
static size_t emit_list(struct compiler *c, int index)
{
	size_t place;

	for (size_t i = 0; i < c->n_lists; i++)
		if (list_equal(c, c->lists[i].rule, index))
			return c->lists[i].place;
	place = emit_rules(c, index);
	if (c->n_lists < LISTS_MAX)
		c->lists[c->n_lists++] = (struct emitted_list){index, place};
	return place;
}

/* ---- numbers ---- */

static bool verdict_equal(const struct verdict *a, const struct verdict *b)
{
	return a->action == b->action && a->rule == b->rule;
}

/* Let the numbers from `first` on have this verdict; they come in order. */
static void segment_add(struct compiler *c, uint32_t first, struct verdict verdict)
{
	struct segment *last = c->n_segments ? &c->segments[c->n_segments - 1] : NULL;
	struct segment *before = c->n_segments > 1 ? last - 1 : NULL;

	if (last && verdict_equal(&last->verdict, &verdict))
		return;
	/* A, one number of B, and A again: an exception. */
	if (before && !before->has_exception && !last->has_exception && last->first + 1 == first &&
	    verdict_equal(&before->verdict, &verdict)) {
		before->has_exception = true;
		before->exception = last->first;
		before->exception_verdict = last->verdict;
		c->n_segments--;
		return;
	}
	c->segments[c->n_segments++] = (struct segment){.first = first, .verdict = verdict};
}

static struct verdict verdict_of(const struct compiler *c, int rule)
{
	if (rule == NO_RULE)
		return (struct verdict){c->profile->default_action, NO_RULE};
	if (c->arch->rules[rule].n_cmps == 0)
		return (struct verdict){c->arch->rules[rule].action, NO_RULE};
	return (struct verdict){0, rule};
}

/* Cut all numbers there can be into segments. */
static int segments_make(struct compiler *c, struct arena *arena, struct sbx_err *err)
{
	const struct seccomp_arch *arch = c->arch;
	const struct verdict unknown = {c->profile->unknown_action, NO_RULE};
	int *first, *last;

	if (arch->n_known > SECCOMP_NUMBER_MAX + 1)
		return err_refuse(err, E2BIG, NULL, "system call numbers above %d are not known",
				  SECCOMP_NUMBER_MAX);
	first = arena_alloc(arena, (arch->n_known + 1) * sizeof(*first));
	last = arena_alloc(arena, (arch->n_known + 1) * sizeof(*last));
	c->next_rule = arena_alloc(arena, (arch->n_rules + 1) * sizeof(*c->next_rule));
	c->segments = arena_alloc(arena, (arch->n_known + 4) * sizeof(*c->segments));
	if (!first || !last || !c->next_rule || !c->segments)
		return err_oom(err);
	for (uint32_t nr = 0; nr < arch->n_known; nr++)
		first[nr] = NO_RULE;
	for (size_t i = 0; i < arch->n_rules; i++) {
		uint32_t nr = arch->rules[i].number;

		c->next_rule[i] = NO_RULE;
		if (nr >= arch->n_known)
			return err_refuse(err, EINVAL, NULL, "a rule for the unknown number %u",
					  nr);
		if (first[nr] == NO_RULE)
			first[nr] = (int)i;
		else
			c->next_rule[last[nr]] = (int)i;
		last[nr] = (int)i;
	}
	c->n_segments = 0;
	for (uint32_t nr = 0; nr < arch->n_known; nr++)
		segment_add(c, nr, verdict_of(c, first[nr]));
	segment_add(c, arch->n_known, unknown);
	if (arch->arch == AUDIT_ARCH_X86_64) {
		segment_add(c, SECCOMP_X32_BIT,
			    (struct verdict){c->profile->foreign_action, NO_RULE});
		/* -1: a tracer has the call skipped. The kernel does nothing then. */
		segment_add(c, UINT32_MAX, (struct verdict){SECCOMP_RET_ALLOW, NO_RULE});
	}
	return 0;
}

static size_t emit_verdict(struct compiler *c, const struct verdict *verdict)
{
	return verdict->rule == NO_RULE ? emit_return(c, verdict->action)
					: emit_list(c, verdict->rule);
}

static size_t emit_segment(struct compiler *c, const struct segment *segment)
{
	size_t usual = emit_verdict(c, &segment->verdict);
	size_t exception;

	if (!segment->has_exception)
		return usual;
	exception = emit_verdict(c, &segment->exception_verdict);
	return emit_jump(c, BPF_JEQ, segment->exception, exception, usual);
}

/* The search: `n` segments, A holds the number. Its depth is the logarithm of that. */
static size_t emit_search(struct compiler *c, const struct segment *segments, size_t n)
{
	size_t right, left;

	assert(n > 0);
	if (n == 1)
		return emit_segment(c, segments);
	right = emit_search(c, segments + n / 2, n - n / 2);
	left = emit_search(c, segments, n / 2);
	return emit_jump(c, BPF_JGE, segments[n / 2].first, right, left);
}

static int emit_arch(struct compiler *c, const struct seccomp_arch *arch, struct arena *arena,
		     size_t *ret_place, struct sbx_err *err)
{
	int r;

	c->arch = arch;
	c->n_lists = 0;
	r = segments_make(c, arena, err);
	if (r < 0)
		return r;
	emit_follow(c, emit_search(c, c->segments, c->n_segments));
	*ret_place = emit_load(c, offsetof(struct seccomp_data, nr));
	return 0;
}

/* Everything, the last first: the archs behind the first, their choice in front of all. */
static int emit_all(struct compiler *c, struct arena *arena, struct sbx_err *err)
{
	size_t places[SECCOMP_ARCHS_MAX];
	size_t next;

	for (size_t i = c->profile->n_archs; i-- > 0;) {
		int r = emit_arch(c, &c->profile->archs[i], arena, &places[i], err);

		if (r < 0)
			return r;
	}
	next = emit_return(c, c->profile->foreign_action);
	for (size_t i = c->profile->n_archs; i-- > 0;)
		next = emit_jump(c, BPF_JEQ, c->profile->archs[i].arch, places[i], next);
	emit_follow(c, next);
	(void)emit_load(c, offsetof(struct seccomp_data, arch));
	return 0;
}

/**
 * Make a program of a profile.
 * @arena: the program and what is needed on the way go there
 *
 * Return: 0, or -errno with *err filled: -E2BIG where the kernel's 4096 instructions
 * are not enough, -EINVAL for a rule about a number that is not known.
 */
int seccomp_compile(const struct seccomp_profile *profile, struct arena *arena,
		    struct seccomp_program *ret, struct sbx_err *err)
{
	struct sock_filter out[SECCOMP_PROGRAM_MAX]; /* only the end of it is touched */
	struct compiler c = {.profile = profile, .out = out, .at = SECCOMP_PROGRAM_MAX};
	struct sock_filter *insns;
	int r;

	assert(profile->n_archs <= SECCOMP_ARCHS_MAX);
	r = emit_all(&c, arena, err);
	if (r < 0)
		return r;
	if (c.full)
		return err_refuse(err, E2BIG, NULL,
				  "the filter would be longer than the %d instructions that the "
				  "kernel takes",
				  SECCOMP_PROGRAM_MAX);
	ret->n_insns = SECCOMP_PROGRAM_MAX - c.at;
	insns = arena_alloc(arena, ret->n_insns * sizeof(*insns));
	if (!insns)
		return err_oom(err);
	memcpy(insns, out + c.at, ret->n_insns * sizeof(*insns));
	ret->insns = insns;
	return 0;
}
