/* SPDX-License-Identifier: MIT
 *
 * A, Zabha, Zacas, Zawrs.
 *
 * AMOs and compare-and-swap are the IR's own, sequentially consistent, which is at least
 * what any aq/rl asks.  While only one guest thread exists they are plain.
 *
 * LR remembers address and value in the CPU.  SC succeeds if its address is that of the
 * last LR and memory still holds the value, by one compare-and-swap; either way the
 * reservation is gone.  A value that was changed and changed back goes unnoticed (ABA).
 */
#include "guest/riscv/translate.h"

static unsigned atomic_memop(const DisasContext *ctx, unsigned size)
{
    return size | (size < MO_64 ? MO_SIGN : 0) | MO_ALIGN |
           (ctx_parallel(ctx) ? 0 : MO_PLAIN);
}

/* ---- AMO ---- */

static bool gen_amo(DisasContext *ctx, arg_amo *a, unsigned size, IRAmo amo)
{
    IRRef addr = get_x(ctx, a->rs1), val = get_x(ctx, a->rs2);
    put_x(ctx, a->rd,
          ir_gen_amo(ctx->b, snap_here(ctx), IR_I64, atomic_memop(ctx, size), amo, addr,
                     val));
    return true;
}

#define TRANS_AMO(name, size, amo)                                                       \
    bool trans_##name(DisasContext *ctx, arg_amo *a)                                     \
    {                                                                                    \
        return gen_amo(ctx, a, size, amo);                                               \
    }
#define TRANS_AMO_SIZES(name, amo)                                                       \
    TRANS_AMO(name##_b, MO_8, amo)                                                       \
    TRANS_AMO(name##_h, MO_16, amo)                                                      \
    TRANS_AMO(name##_w, MO_32, amo)                                                      \
    TRANS_AMO(name##_d, MO_64, amo)

TRANS_AMO_SIZES(amoswap, IR_AMO_SWAP)
TRANS_AMO_SIZES(amoadd, IR_AMO_ADD)
TRANS_AMO_SIZES(amoxor, IR_AMO_XOR)
TRANS_AMO_SIZES(amoor, IR_AMO_OR)
TRANS_AMO_SIZES(amoand, IR_AMO_AND)
TRANS_AMO_SIZES(amomin, IR_AMO_MIN)
TRANS_AMO_SIZES(amomax, IR_AMO_MAX)
TRANS_AMO_SIZES(amominu, IR_AMO_MINU)
TRANS_AMO_SIZES(amomaxu, IR_AMO_MAXU)

/* ---- Zacas ---- */

static bool gen_amocas(DisasContext *ctx, arg_amo *a, unsigned size)
{
    IRRef addr = get_x(ctx, a->rs1), expected = get_x(ctx, a->rd),
          val = get_x(ctx, a->rs2);
    put_x(ctx, a->rd,
          ir_gen_cas(ctx->b, snap_here(ctx), IR_I64, atomic_memop(ctx, size), addr,
                     expected, val));
    return true;
}

#define TRANS_AMOCAS(name, size)                                                         \
    bool trans_##name(DisasContext *ctx, arg_amo *a) { return gen_amocas(ctx, a, size); }
TRANS_AMOCAS(amocas_b, MO_8)
TRANS_AMOCAS(amocas_h, MO_16)
TRANS_AMOCAS(amocas_w, MO_32)
TRANS_AMOCAS(amocas_d, MO_64)

/* A register of a pair; the pair of x0 is zero altogether. */
static IRRef get_pair(DisasContext *ctx, unsigned reg, unsigned half)
{
    return reg ? get_x(ctx, reg + half) : const64(ctx, 0);
}

/*
 * Too wide for the IR: run alone, in plain steps.  A helper sees to the alignment; the
 * stores come last and lie in one page, so that a fault leaves memory as it was.
 */
bool trans_amocas_q(DisasContext *ctx, arg_amo *a)
{
    IRBuilder *b = ctx->b;
    if (ctx_parallel(ctx)) {
        gen_exit_reason(ctx, ctx->pc, EXIT_REASON_EXCLUSIVE);
        return true;
    }
    uint32_t snap = snap_here(ctx);
    IRRef addr = get_x(ctx, a->rs1);
    IRRef args[] = {addr, const64(ctx, 16)};
    ir_call(b, RISCV_HELPER_check_aligned, snap, 2, args);
    IRRef low = ir_gen_ld(b, snap, IR_I64, MO_64, addr, 0);
    IRRef high = ir_gen_ld(b, snap, IR_I64, MO_64, addr, 8);
    IRRef differs = ir_gen_or(b, ir_gen_xor(b, low, get_pair(ctx, a->rd, 0)),
                              ir_gen_xor(b, high, get_pair(ctx, a->rd, 1)));
    IRRef new_low = ir_gen_select(b, differs, low, get_pair(ctx, a->rs2, 0));
    IRRef new_high = ir_gen_select(b, differs, high, get_pair(ctx, a->rs2, 1));
    ir_gen_st(b, snap, MO_64, addr, 0, new_low);
    ir_gen_st(b, snap, MO_64, addr, 8, new_high);
    if (a->rd) {
        put_x(ctx, (unsigned)a->rd, low);
        put_x(ctx, (unsigned)a->rd + 1, high);
    }
    return true;
}

/* ---- LR and SC ---- */

static bool gen_lr(DisasContext *ctx, arg_lr *a, unsigned size)
{
    IRBuilder *b = ctx->b;
    IRRef addr = get_x(ctx, a->rs1);
    if (ctx_parallel(ctx) && a->aqrl == 3) {
        ir_gen_fence(b, IR_ORD_RR | IR_ORD_WR); /* sequentially consistent */
    }
    IRRef val = ir_gen_ld(b, snap_here(ctx), IR_I64,
                          (atomic_memop(ctx, size) & ~MO_PLAIN), addr, 0);
    if (ctx_parallel(ctx) && (a->aqrl & 2)) {
        ir_gen_fence(b, IR_ORD_RR | IR_ORD_RW);
    }
    ir_gen_stenv(b, offsetof(CPUState, llsc_addr), addr);
    ir_gen_stenv(b, offsetof(CPUState, llsc_val), val);
    put_x(ctx, a->rd, val);
    ctx->lr_addr = addr;
    ctx->lr_val = val;
    ctx->lr_size = size;
    return true;
}

/*
 * The value that memory must still hold, for an SC whose LR is not known to be in this
 * unit. The side exit for a lost reservation leads to the next instruction with rd = 1;
 * the load is for its alignment check, which comes before (a reserved address is
 * aligned).
 */
static IRRef gen_check_reservation(DisasContext *ctx, arg_amo *a, unsigned size,
                                   IRRef addr)
{
    IRBuilder *b = ctx->b;
    ir_gen_ld(b, snap_here(ctx), IR_I64, size | MO_ALIGN, addr, 0);
    IRRef reserved = ir_gen_ldenv(b, IR_I64, offsetof(CPUState, llsc_addr));
    IRRef expected = ir_gen_ldenv(b, IR_I64, offsetof(CPUState, llsc_val));
    IRRef old_rd = get_x(ctx, a->rd);
    put_x(ctx, a->rd, const64(ctx, 1));
    ir_gen_stenv(b, offsetof(CPUState, llsc_addr), const64(ctx, UINT64_MAX));
    ir_gen_exitif(b, ir_snapshot(b, ctx->next_pc), IR_NE, reserved, addr);
    put_x(ctx, a->rd, old_rd);
    return expected;
}

/*
 * Between an LR and the SC behind it in one unit nothing can take the reservation: what
 * leaves the unit does not come back to its middle.
 */
static bool gen_sc(DisasContext *ctx, arg_amo *a, unsigned size)
{
    IRBuilder *b = ctx->b;
    IRRef addr = get_x(ctx, a->rs1), val = get_x(ctx, a->rs2), expected;
    if (addr == ctx->lr_addr && size == ctx->lr_size) {
        expected = ctx->lr_val;
        ir_gen_stenv(b, offsetof(CPUState, llsc_addr), const64(ctx, UINT64_MAX));
    } else {
        expected = gen_check_reservation(ctx, a, size, addr);
    }
    ctx->lr_addr = IR_NONE;
    IRRef seen = ir_gen_cas(b, snap_here(ctx), IR_I64, atomic_memop(ctx, size), addr,
                            expected, val);
    put_x(ctx, a->rd, ir_gen_setcc(b, IR_I64, IR_NE, seen, expected));
    return true;
}

bool trans_lr_w(DisasContext *ctx, arg_lr *a) { return gen_lr(ctx, a, MO_32); }
bool trans_lr_d(DisasContext *ctx, arg_lr *a) { return gen_lr(ctx, a, MO_64); }
bool trans_sc_w(DisasContext *ctx, arg_amo *a) { return gen_sc(ctx, a, MO_32); }
bool trans_sc_d(DisasContext *ctx, arg_amo *a) { return gen_sc(ctx, a, MO_64); }

/* ---- Zawrs: waiting may end at any time; let others run ---- */

static bool gen_wait(DisasContext *ctx)
{
    if (ctx_parallel(ctx)) {
        gen_exit_reason(ctx, ctx->next_pc, EXIT_REASON_YIELD);
    }
    return true;
}

bool trans_wrs_nto(DisasContext *ctx, arg_empty *a) { return gen_wait(ctx); }
bool trans_wrs_sto(DisasContext *ctx, arg_empty *a) { return gen_wait(ctx); }
bool trans_pause(DisasContext *ctx, arg_empty *a) { return gen_wait(ctx); }
