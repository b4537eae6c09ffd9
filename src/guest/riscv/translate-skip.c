/* SPDX-License-Identifier: MIT
 *
 * Short forward branches without a branch: `beq x, y, over; mv a, b; over:` computes both
 * outcomes and selects.  A branch that skips one or two plain integer instructions would
 * otherwise be a side exit to a unit that begins a few bytes further on, which breaks
 * loops in two; and where it cannot be predicted, the host pays for it as well.
 *
 * Only instructions that cannot trap, touch no memory and are cheap take part.
 */
#include "guest/riscv/disas.h"
#include "guest/riscv/translate.h"

enum { SKIP_MAX = 2 };

typedef struct Skipped {
    uint32_t insn;
    unsigned bytes, rd;
} Skipped;

/* rd of a 32-bit instruction of the kind described above, 0 if it is none. */
static unsigned plain_rd32(uint32_t insn)
{
    bool divides = insn >> 25 == 1 && (insn & 0x4000);
    switch (insn & 0x7f) {
    case 0x33: /* OP */
    case 0x3b: /* OP-32 */ return divides ? 0 : insn >> 7 & 31;
    case 0x13: /* OP-IMM */
    case 0x1b: /* OP-IMM-32 */
    case 0x37: /* LUI */
    case 0x17: /* AUIPC */ return insn >> 7 & 31;
    default: return 0;
    }
}

/* The same of a 16-bit one: quadrant and funct3 tell. */
static unsigned plain_rd16(uint32_t insn)
{
    switch ((insn & 3) << 3 | insn >> 13) {
    case 000: /* C.ADDI4SPN */ return 8 + (insn >> 2 & 7);
    case 010: /* C.ADDI */
    case 011: /* C.ADDIW */
    case 012: /* C.LI */
    case 013: /* C.LUI, C.ADDI16SP */
    case 020: /* C.SLLI */ return insn >> 7 & 31;
    case 014: /* C.SRLI ... C.ADDW */ return 8 + (insn >> 7 & 7);
    case 024: /* C.MV, C.ADD; without rs2 jumps and C.EBREAK */
        return insn >> 2 & 31 ? insn >> 7 & 31 : 0;
    default: return 0;
    }
}

/* Read what lies between the branch and its target.  Returns how many, 0: unsuitable. */
static unsigned read_skipped(DisasContext *ctx, vaddr target, Skipped *list)
{
    unsigned n = 0;
    vaddr pc = ctx->next_pc;
    for (; pc < target; pc += list[n++].bytes) {
        Skipped *s = &list[n];
        if (n == SKIP_MAX) {
            return 0;
        }
        s->bytes = fetch_insn(ctx->tc, pc, &s->insn);
        if (s->bytes == 4) {
            s->rd = riscv_find32(s->insn, ctx->ext) ? plain_rd32(s->insn) : 0;
        } else if (s->bytes == 2) {
            s->rd = riscv_find16(s->insn, ctx->ext) ? plain_rd16(s->insn) : 0;
        } else {
            return 0;
        }
        if (!s->rd) {
            return 0;
        }
    }
    return pc == target && ctx->tc->ninsns + n < ctx->tc->max_insns ? n : 0;
}

bool gen_skip(DisasContext *ctx, vaddr target, IRCond cond, IRRef x, IRRef y)
{
    Skipped list[SKIP_MAX];
    IRRef old[SKIP_MAX];
    if (target <= ctx->next_pc || target > ctx->next_pc + 4 * SKIP_MAX) {
        return false;
    }
    if (ctx->tc->cflags & CF_ICOUNT) {
        return false;           /* how many instructions are executed depends on the branch */
    }
    unsigned n = read_skipped(ctx, target, list);
    if (!n) {
        return false;
    }
    IRRef taken = ir_gen_setcc(ctx->b, IR_I64, cond, x, y);
    for (unsigned i = 0; i < n; i++) {
        old[i] = get_x(ctx, list[i].rd);
    }
    vaddr branch = ctx->pc;
    for (unsigned i = 0; i < n; i++) {
        ctx->pc = ctx->next_pc;
        translate_insn(ctx, list[i].insn, list[i].bytes);
    }
    ctx->pc = branch;
    for (unsigned i = 0; i < n; i++) {
        if (i == 0 || list[i].rd != list[0].rd) {
            IRRef val = ir_gen_select(ctx->b, taken, old[i], get_x(ctx, list[i].rd));
            put_x(ctx, list[i].rd, val);
        }
    }
    return true;
}
