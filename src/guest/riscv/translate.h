/* SPDX-License-Identifier: MIT
 *
 * What the parts of the RISC-V translator share: the context of the instruction under
 * way, register access, ways to end a unit.  Private to translate*.c.
 *
 * A trans_<insn>() function appends IR and returns true, or returns false, having
 * appended nothing that matters, if the instruction is illegal here.
 */
#ifndef BRAID_GUEST_RISCV_TRANSLATE_H
#define BRAID_GUEST_RISCV_TRANSLATE_H

#include "guest/riscv/cpu.h"
#include "guest/riscv/extensions.h"
#include "guest/riscv/helpers.h"
#include "ir/gen.h"
#include "riscv-insn.gen.h"

struct DisasContext {
    TranslateContext *tc;
    IRBuilder *b;
    uint64_t ext;  /* bitmap of enabled extensions */
    vaddr pc;      /* of this instruction */
    uint32_t insn; /* its bits */
    vaddr next_pc; /* where translation goes on; a followed jump changes it */
    bool ended;    /* the unit's terminator has been emitted */
    unsigned fp_checked; /* S- and M-mode: what this unit knows of mstatus.FS; see gen_fp_check() */
    unsigned side_exits; /* conditional branches that left the unit so far */
    bool stop;     /* end the unit before the next instruction */
    /* the last LR of this unit, its reservation still held; lr_addr IR_NONE: none */
    IRRef lr_addr, lr_val;
    unsigned lr_size; /* MemOp size */
};

static inline bool ctx_parallel(const DisasContext *ctx)
{
    return ctx->tc->cflags & CF_PARALLEL;
}

/* Stores are to be noticed by other threads' reservations: see translate-atomic.c. */
static inline bool ctx_strict(const DisasContext *ctx)
{
    return ctx->tc->cflags & CF_STRICT_LLSC;
}

/* The mode that the unit runs in; RISCV_PRIV_U in user mode. */
static inline unsigned ctx_privilege(const DisasContext *ctx)
{
    return ctx->tc->flags >> RISCV_TB_PRIV_SHIFT & 3;
}

/* The guest's state just before this instruction. */
static inline uint32_t snap_here(DisasContext *ctx)
{
    return ir_snapshot_before(ctx->b, ctx->pc);
}

/* The guest's state, about to execute pc, for the terminator of the unit. */
static inline uint32_t snap_end(DisasContext *ctx, vaddr pc)
{
    ir_settle(ctx->b);
    return ir_snapshot(ctx->b, pc);
}

static inline IRRef const64(DisasContext *ctx, uint64_t value)
{
    return ir_const(ctx->b, IR_I64, value);
}

static inline IRRef get_x(DisasContext *ctx, unsigned reg)
{
    return reg ? ir_get_reg(ctx->b, RISCV_X + reg) : const64(ctx, 0);
}

static inline void put_x(DisasContext *ctx, unsigned reg, IRRef val)
{
    if (reg) {
        ir_put_reg(ctx->b, RISCV_X + reg, val);
    }
}

/* The low half of an integer register. */
static inline IRRef get_x32(DisasContext *ctx, unsigned reg)
{
    return reg ? ir_gen_trunc(ctx->b, IR_I32, get_x(ctx, reg))
               : ir_const(ctx->b, IR_I32, 0);
}

/* Write an i8, i16 or i32, sign-extended. */
static inline void put_x_sext(DisasContext *ctx, unsigned reg, IRRef val)
{
    if (reg) {
        put_x(ctx, reg, ir_gen_sext(ctx->b, IR_I64, val));
    }
}

/* ---- translate.c: ends of a unit ---- */
/* Leave for a known pc; chained. */
void gen_goto(DisasContext *ctx, vaddr pc);
/* Leave for a known pc, meaning to come back to return_pc. */
void gen_call(DisasContext *ctx, vaddr pc, vaddr return_pc);
/* Leave for the run loop, as if about to execute pc, with an ExitReason: for this instruction's pc if it has not been
   executed, else for next_pc. */
void gen_exit_reason(DisasContext *ctx, vaddr pc, int reason);
/* Leave for the run loop to look pc up afresh. */
void gen_exit_lookup(DisasContext *ctx, vaddr pc);
/* End the unit before this instruction, which it does not begin with. */
void gen_end_before(DisasContext *ctx);
/* Leave if the vCPU was asked to; this instruction has not begun. */
void gen_poll(DisasContext *ctx);
/* True if the unit may go back to its own head without leaving. */
bool can_loop_to(const DisasContext *ctx, vaddr pc);

/* ---- translate-system.c ---- */
/* The instruction of the vDSO; false if it is none, or stands elsewhere. */
bool gen_vdso_call(DisasContext *ctx, uint32_t insn);

/* ---- translate.c: one instruction ---- */
/* Read the instruction at pc.  Returns its length, 0 if it cannot be had. */
unsigned fetch_insn(TranslateContext *tc, vaddr pc, uint32_t *insn);
/* Translate the instruction at ctx->pc; next_pc is behind it, or where it jumps to. */
void translate_insn(DisasContext *ctx, uint32_t insn, unsigned bytes);

/* ---- translate-atomic.c ---- */
/* A store to addr + disp as part of this instruction: the way for every plain store. */
void gen_guest_store(DisasContext *ctx, unsigned memop, IRRef addr, int64_t disp,
                     IRRef val);

/* ---- translate-privileged.c: system mode ---- */
/* A system call of U-mode that goes straight to the kernel; false: it is for the run loop. */
bool gen_system_ecall(DisasContext *ctx);
/*
 * A CSR instruction with this operand.  False: illegal whatever the hart's state.
 */
bool gen_system_csr(DisasContext *ctx, unsigned rd, unsigned number, IRRef operand, bool writes,
                    bool small_operand);
/*
 * What mstatus.FS says of the instruction: true, it may be translated; false, it is illegal, or the unit has been ended
 * so that it is met again with the state marked dirty.
 */
bool gen_fp_check(DisasContext *ctx, unsigned bytes, bool *legal);
/* Leave the instruction's bits for the exception that follows. */
void gen_note_insn(DisasContext *ctx, unsigned bytes);
/* CBO.CLEAN, FLUSH, INVAL of the block at addr. */
void gen_cbo_check(DisasContext *ctx, IRRef addr);

/* ---- translate-skip.c ---- */
/*
 * A branch to `target` if x cond y, as a selection of results.  False, with nothing
 * emitted, if it skips something else than a few plain instructions; otherwise these have
 * been translated, too.
 */
bool gen_skip(DisasContext *ctx, vaddr target, IRCond cond, IRRef x, IRRef y);

#endif
