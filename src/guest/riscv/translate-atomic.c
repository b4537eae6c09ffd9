/* SPDX-License-Identifier: MIT
 *
 * A, Zabha, Zacas, Zawrs.
 *
 * AMOs and compare-and-swap are the IR's own, sequentially consistent, which is at least
 * what any aq/rl asks.  They are plain while only one guest thread exists, and none of another
 * process that has some of its memory.
 *
 * LR remembers address and value in the CPU.  SC succeeds if its address is that of the
 * last LR and memory still holds the value, by one compare-and-swap; either way the
 * reservation is gone.  A value that was changed and changed back goes unnoticed (ABA),
 * unless CF_STRICT_LLSC asks for more:
 *
 * Strict.  A table, found by a hash of the 8-byte granule of an address, has a tag for each
 * store to leave its trace in.
 *
 *   store, AMO, CAS:  [D] memory = value;  [Z] tag = 0, never two of them apart
 *   LR:               fresh token;  [C] compare-and-swap tag: 0 -> token;  [L] load.
 *                     A token that was there stays, and serves this LR, too.
 *   SC:               alone in an exclusive section: address, value and tag as LR left
 *                     them?  Then [D] by compare-and-swap, [Z].
 *
 * Claim: SC succeeds only if no store to the granule by another thread or by this one
 * came between [L] and SC.  Such a store has L < D.  LR's C < L, for C is a full barrier;
 * D < Z, for both are stores and x86 keeps their order (elsewhere the fence between them
 * does).  So Z comes after C.  And Z comes before SC's look at the tag: a thread leaves
 * generated code, and so lets an exclusive section begin, only at an exit, a poll or a
 * fault; between D and Z there is neither exit nor poll, and Z does not fault, for the
 * table is always writable.  (A signal handler of ours that interrupts there returns.)
 * Hence SC sees the 0 of Z, or a token that some LR put there later.  Tokens
 * come from one 64-bit counter and are never used twice; so the tag is not LR's.
 *
 * A tag before the data would not do: C could come between tag and data of two stores of
 * other threads at once, which then change the value and change it back unnoticed.
 *
 * A store that is not aligned may begin up to 7 bytes before the reserved address, in the
 * granule before.  Rather than leave two traces with each store, LR takes both
 * granules' tags.
 *
 * SC fails without need when a store to an address with the same tag came between, or
 * a Z was late: the run loop sees to it that it does not fail for ever (cpu-exec.c).  LRs
 * of several threads share a token so that they do not: of those who hold it, the first
 * to reach SC succeeds.
 *
 * What is not seen: stores by the kernel (system calls that write to guest memory) and by
 * other processes to shared memory.  Values are compared there as ever, by an
 * atomic instruction.  Before a second thread exists none of this is translated.
 */
#include "guest/riscv/translate.h"

static unsigned atomic_memop(const DisasContext *ctx, unsigned size)
{
    return size | (size < MO_64 ? MO_SIGN : 0) | MO_ALIGN |
           (ctx_parallel(ctx) || ctx_strict(ctx) ? 0 : MO_PLAIN);
}

/* ---- tags of strict LR/SC ---- */

/* Offset in the table for an address.  Threads' stacks lie a power of two apart: upper
 * bits take part, lest the same variable of all threads have the same tag. */
static IRRef gen_tag_offset(DisasContext *ctx, IRRef addr, int64_t disp)
{
    IRBuilder *b = ctx->b;
    if (disp) {
        addr = ir_gen_add(b, addr, const64(ctx, (uint64_t)disp));
    }
    IRRef upper = ir_gen_shr(b, addr, const64(ctx, 15));
    return ir_gen_and(b, ir_gen_xor(b, addr, upper), const64(ctx, (LLSC_TAGS - 1) * 8));
}

/* What follows each store to guest memory; nothing may come between. */
static void gen_store_tag(DisasContext *ctx, uint32_t snap, IRRef addr, int64_t disp)
{
    if (ctx_strict(ctx)) {
        IRRef at = gen_tag_offset(ctx, addr, disp);
        ir_gen_fence(ctx->b, IR_ORD_WW);
        ir_gen_st(ctx->b, snap, MO_64, at, (int64_t)ctx->tc->llsc_tags, const64(ctx, 0));
    }
}

void gen_guest_store(DisasContext *ctx, unsigned memop, IRRef addr, int64_t disp,
                     IRRef val)
{
    uint32_t snap = snap_here(ctx);
    ir_gen_st(ctx->b, snap, memop, addr, disp, val);
    gen_store_tag(ctx, snap, addr, disp);
}

/* An address in the granule where a store that reaches into addr begins: 0 addr itself, 1
 * the farthest. */
static int64_t tag_disp(unsigned i) { return i ? -7 : 0; }

/* LR, before its load. */
static void gen_take_tags(DisasContext *ctx, uint32_t snap, IRRef addr)
{
    IRBuilder *b = ctx->b;
    vaddr table = ctx->tc->llsc_tags;
    IRRef counter = const64(ctx, table + LLSC_TAGS * 8);
    IRRef count = ir_gen_amo(b, snap, IR_I64, MO_64, IR_AMO_ADD, counter, const64(ctx, 1));
    IRRef token = ir_gen_add(b, count, const64(ctx, 1));
    for (unsigned i = 0; i < 2; i++) {
        IRRef at = gen_tag_offset(ctx, addr, tag_disp(i));
        IRRef seen = ir_gen_cas(b, snap, IR_I64, MO_64,
                                ir_gen_add(b, at, const64(ctx, table)), const64(ctx, 0),
                                token);
        ir_gen_stenv(b, offsetof(CPUState, llsc_tag[i]),
                     ir_gen_select(b, seen, seen, token));
    }
}

/* SC, alone: the side exit leads to the next instruction with rd = 1. */
static void gen_check_tags(DisasContext *ctx, unsigned rd, IRRef addr)
{
    IRBuilder *b = ctx->b;
    uint32_t snap = snap_here(ctx);
    IRRef lost = const64(ctx, 0), old_rd = get_x(ctx, rd);
    for (unsigned i = 0; i < 2; i++) {
        IRRef tag = ir_gen_ld(b, snap, IR_I64, MO_64,
                              gen_tag_offset(ctx, addr, tag_disp(i)),
                              (int64_t)ctx->tc->llsc_tags);
        IRRef mine = ir_gen_ldenv(b, IR_I64, offsetof(CPUState, llsc_tag[i]));
        lost = ir_gen_or(b, lost, ir_gen_xor(b, tag, mine));
    }
    IRRef failures = ir_gen_ldenv(b, IR_I32, offsetof(CPUState, llsc_failures));
    IRRef one = ir_const(b, IR_I32, 1);
    ir_gen_stenv(b, offsetof(CPUState, llsc_failures), ir_gen_add(b, failures, one));
    put_x(ctx, rd, const64(ctx, 1));
    ir_gen_exitif(b, ir_snapshot(b, ctx->next_pc), IR_NE, lost, const64(ctx, 0));
    ir_gen_stenv(b, offsetof(CPUState, llsc_failures), ir_const(b, IR_I32, 0));
    put_x(ctx, rd, old_rd);
}

/* ---- AMO ---- */

static bool gen_amo(DisasContext *ctx, arg_amo *a, unsigned size, IRAmo amo)
{
    IRRef addr = get_x(ctx, a->rs1), val = get_x(ctx, a->rs2);
    uint32_t snap = snap_here(ctx);
    IRRef old =
        ir_gen_amo(ctx->b, snap, IR_I64, atomic_memop(ctx, size), amo, addr, val);
    gen_store_tag(ctx, snap, addr, 0);
    put_x(ctx, a->rd, old);
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
    uint32_t snap = snap_here(ctx);
    IRRef old =
        ir_gen_cas(ctx->b, snap, IR_I64, atomic_memop(ctx, size), addr, expected, val);
    gen_store_tag(ctx, snap, addr, 0);
    put_x(ctx, a->rd, old);
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
    gen_store_tag(ctx, snap, addr, 0);
    ir_gen_st(b, snap, MO_64, addr, 8, new_high);
    gen_store_tag(ctx, snap, addr, 8);
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
    uint32_t snap = snap_here(ctx);
    if (ctx_strict(ctx)) {
        gen_take_tags(ctx, snap, addr);
    }
    IRRef val = ir_gen_ld(b, snap, IR_I64, (atomic_memop(ctx, size) & ~MO_PLAIN), addr, 0);
    if (ctx_parallel(ctx) && (a->aqrl & 2)) {
        ir_gen_fence(b, IR_ORD_RR | IR_ORD_RW);
    }
    ir_gen_stenv(b, offsetof(CPUState, llsc_addr), addr);
    ir_gen_stenv(b, offsetof(CPUState, llsc_val), val);
    put_x(ctx, a->rd, val);
    ctx->lr_addr = ctx_strict(ctx) ? IR_NONE : addr;
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
    /* The LR may have been wider. */
    return size < MO_64 ? ir_gen_sext(b, IR_I64, ir_gen_trunc(b, IR_I32, expected))
                        : expected;
}

/*
 * Between an LR and the SC behind it in one unit nothing can take the reservation: what
 * leaves the unit does not come back to its middle.
 */
static bool gen_sc(DisasContext *ctx, arg_amo *a, unsigned size)
{
    IRBuilder *b = ctx->b;
    IRRef addr = get_x(ctx, a->rs1), val = get_x(ctx, a->rs2), expected;
    if (ctx_strict(ctx) && ctx_parallel(ctx)) {
        gen_exit_reason(ctx, ctx->pc, EXIT_REASON_EXCLUSIVE);
        return true;
    }
    if (addr == ctx->lr_addr && size == ctx->lr_size) {
        expected = ctx->lr_val;
        ir_gen_stenv(b, offsetof(CPUState, llsc_addr), const64(ctx, UINT64_MAX));
    } else {
        expected = gen_check_reservation(ctx, a, size, addr);
    }
    ctx->lr_addr = IR_NONE;
    if (ctx_strict(ctx)) {
        gen_check_tags(ctx, (unsigned)a->rd, addr);
    }
    uint32_t snap = snap_here(ctx);
    IRRef seen = ir_gen_cas(b, snap, IR_I64, atomic_memop(ctx, size) | MO_BACKOFF, addr,
                            expected, val);
    gen_store_tag(ctx, snap, addr, 0);
    put_x(ctx, a->rd, ir_gen_setcc(b, IR_I64, IR_NE, seen, expected));
    return true;
}

bool trans_lr_w(DisasContext *ctx, arg_lr *a) { return gen_lr(ctx, a, MO_32); }
bool trans_lr_d(DisasContext *ctx, arg_lr *a) { return gen_lr(ctx, a, MO_64); }
bool trans_sc_w(DisasContext *ctx, arg_amo *a) { return gen_sc(ctx, a, MO_32); }
bool trans_sc_d(DisasContext *ctx, arg_amo *a) { return gen_sc(ctx, a, MO_64); }

/* ---- Zawrs: waiting may end at any time; let others run ---- */

static bool gen_wait(DisasContext *ctx, ExitReason reason)
{
    if (ctx_parallel(ctx)) {
        gen_exit_reason(ctx, ctx->next_pc, reason);
    }
    return true;
}

bool trans_wrs_nto(DisasContext *ctx, arg_empty *a) { return gen_wait(ctx, EXIT_REASON_WAIT); }
bool trans_wrs_sto(DisasContext *ctx, arg_empty *a) { return gen_wait(ctx, EXIT_REASON_WAIT); }
bool trans_pause(DisasContext *ctx, arg_empty *a) { return gen_wait(ctx, EXIT_REASON_YIELD); }
