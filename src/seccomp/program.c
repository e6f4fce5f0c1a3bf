/* SPDX-License-Identifier: MIT */
/*
 * program: run a filter here instead of in the kernel.
 *
 * The launch binary does so for three questions: whether PID 1 would survive a filter
 * that somebody else wrote, which errno a call that was reported instead of refused
 * (--seccomp-log) is to get, and whether a filter leaves keyrings or the terminal open.
 * The tests compare whole filters by it. The language is classic BPF as seccomp(2)
 * allows it, see bpf_check_classic() and seccomp_check_filter() in the kernel.
 */

#include <errno.h>
#include <string.h>

#include "sbx/base/defs.h"
#include "sbx/seccomp/program.h"
#include "sbx/seccomp/table.h"

struct machine {
	uint32_t a, x;
	uint32_t memory[BPF_MEMWORDS];
};

/* Return: false where the operation has no result (a division by zero ends the program). */
static bool program_compute(struct machine *m, uint16_t code, uint32_t operand)
{
	switch (BPF_OP(code)) {
	case BPF_ADD:
		m->a += operand;
		return true;
	case BPF_SUB:
		m->a -= operand;
		return true;
	case BPF_MUL:
		m->a *= operand;
		return true;
	case BPF_DIV:
		if (operand == 0)
			return false;
		m->a /= operand;
		return true;
	case BPF_OR:
		m->a |= operand;
		return true;
	case BPF_AND:
		m->a &= operand;
		return true;
	case BPF_XOR:
		m->a ^= operand;
		return true;
	case BPF_LSH:
		m->a = m->a << (operand & 31);
		return true;
	case BPF_RSH:
		m->a = m->a >> (operand & 31);
		return true;
	case BPF_NEG:
		m->a = -m->a;
		return true;
	default:
		return false;
	}
}

static bool program_compare(uint32_t a, uint16_t code, uint32_t operand)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == operand;
	case BPF_JGT:
		return a > operand;
	case BPF_JGE:
		return a >= operand;
	default: /* BPF_JSET */
		return a & operand;
	}
}

/* Load into A or X. Return: false for what the kernel would not have taken. */
static bool program_load(struct machine *m, const struct sock_filter *insn,
			 const struct seccomp_data *data)
{
	uint32_t *to = BPF_CLASS(insn->code) == BPF_LD ? &m->a : &m->x;

	switch (BPF_MODE(insn->code)) {
	case BPF_IMM:
		*to = insn->k;
		return true;
	case BPF_LEN:
		*to = sizeof(*data);
		return true;
	case BPF_MEM:
		if (insn->k >= BPF_MEMWORDS)
			return false;
		*to = m->memory[insn->k];
		return true;
	case BPF_ABS:
		if (insn->k % 4 || insn->k > sizeof(*data) - 4)
			return false;
		memcpy(to, (const char *)data + insn->k, 4);
		return true;
	default:
		return false;
	}
}

/* One instruction that neither jumps nor returns. */
static bool program_step(struct machine *m, const struct sock_filter *insn,
			 const struct seccomp_data *data)
{
	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
	case BPF_LDX:
		return program_load(m, insn, data);
	case BPF_ST:
	case BPF_STX:
		if (insn->k >= BPF_MEMWORDS)
			return false;
		m->memory[insn->k] = BPF_CLASS(insn->code) == BPF_ST ? m->a : m->x;
		return true;
	case BPF_ALU:
		return program_compute(m, insn->code,
				       BPF_SRC(insn->code) == BPF_X ? m->x : insn->k);
	default: /* BPF_MISC */
		if (BPF_MISCOP(insn->code) == BPF_TAX)
			m->x = m->a;
		else
			m->a = m->x;
		return true;
	}
}

/**
 * What a filter answers to a system call.
 *
 * Return: SECCOMP_RET_* with its data; SECCOMP_RET_KILL_PROCESS for a program that
 * the kernel would have refused.
 */
uint32_t seccomp_run(const struct seccomp_program *program, const struct seccomp_data *data)
{
	struct machine m = {0};

	for (size_t i = 0; i < program->n_insns; i++) {
		const struct sock_filter *insn = &program->insns[i];

		if (BPF_CLASS(insn->code) == BPF_RET)
			return BPF_RVAL(insn->code) == BPF_A ? m.a : insn->k;
		if (BPF_CLASS(insn->code) != BPF_JMP) {
			if (!program_step(&m, insn, data))
				return SECCOMP_RET_KILL_PROCESS;
		} else if (BPF_OP(insn->code) == BPF_JA) {
			i += insn->k;
		} else {
			uint32_t operand = BPF_SRC(insn->code) == BPF_X ? m.x : insn->k;

			i += program_compare(m.a, insn->code, operand) ? insn->jt : insn->jf;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}

/* Does this processor's system call pass, with two arguments and zeros behind them? */
bool seccomp_allows(const struct seccomp_program *program, int number, uint64_t arg0, uint64_t arg1)
{
	const struct seccomp_data data = {
		.nr = number,
		.arch = seccomp_native_arch,
		.args = {arg0, arg1},
	};
	uint32_t action = seccomp_run(program, &data) & SECCOMP_RET_ACTION_FULL;

	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

/* Let a listener hear of every call that is refused with an errno, and answer it. */
void seccomp_make_notifying(struct sock_filter *insns, size_t n_insns)
{
	for (size_t i = 0; i < n_insns; i++)
		if (insns[i].code == (BPF_RET | BPF_K) &&
		    (insns[i].k & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
			insns[i].k = SECCOMP_RET_USER_NOTIF;
}
