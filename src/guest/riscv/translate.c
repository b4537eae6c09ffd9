/* SPDX-License-Identifier: MIT
 *
 * RISC-V instructions to IR, one superblock at a time.
 *
 *   fetch -> decode (generated) -> trans_<insn>() in translate-<topic>.c -> next
 *
 * A unit follows the fall-through of conditional branches, which leave it by side exits,
 * and forward direct jumps; it ends at calls, returns, backward jumps and what the run
 * loop must see.  A jump or branch back to the unit's own first instruction becomes a
 * LOOP.  Every way round a loop passes a backward or an indirect jump, and in front of
 * each of those stands a POLL.
 *
 * Runs on any thread with a translation context; everything it touches belongs to that
 * context, but for the feature set, which is constant.  The page locks of the code it
 * reads are held by its caller.
 */
#include "guest/riscv/translate.h"

#include "guest/riscv/cpu-features.h"
#include "guest/riscv/disas.h"

/* Units that must not go on to another by themselves. */
static bool must_look_up(const DisasContext *ctx)
{
    return ctx->tc->cflags & CF_LOOKUP_EXITS;
}

void gen_goto(DisasContext *ctx, vaddr pc)
{
    IRExit kind = must_look_up(ctx) ? IR_EXIT_LOOKUP : IR_EXIT_JUMP;
    ir_gen_exit(ctx->b, snap_end(ctx, pc), kind, 0);
    ctx->ended = true;
}

void gen_call(DisasContext *ctx, vaddr pc, vaddr return_pc)
{
    if (must_look_up(ctx)) {
        gen_exit_lookup(ctx, pc);
        return;
    }
    ir_gen_exit(ctx->b, snap_end(ctx, pc), IR_EXIT_CALL, (int64_t)return_pc);
    ctx->ended = true;
}

void gen_exit_reason(DisasContext *ctx, vaddr pc, int reason)
{
    ir_settle(ctx->b);
    uint32_t snap = pc == ctx->pc ? snap_here(ctx) : ir_snapshot(ctx->b, pc);
    ir_gen_exit(ctx->b, snap, IR_EXIT_REASON, reason);
    ctx->ended = true;
}

void gen_end_before(DisasContext *ctx)
{
    ir_uncount_insn(ctx->b);
    gen_goto(ctx, ctx->pc);
    ctx->tc->ninsns--;          /* translate_insn() counts it */
}

void gen_exit_lookup(DisasContext *ctx, vaddr pc)
{
    ir_gen_exit(ctx->b, snap_end(ctx, pc), IR_EXIT_LOOKUP, 0);
    ctx->ended = true;
}

void gen_poll(DisasContext *ctx) { ir_gen_poll(ctx->b, snap_here(ctx)); }

bool can_loop_to(const DisasContext *ctx, vaddr pc)
{
    return pc == ctx->tc->pc_first &&
           !(ctx->tc->cflags & (CF_SINGLE_INSN | CF_NO_CHAIN | CF_LOOKUP_EXITS));
}

unsigned fetch_insn(TranslateContext *tc, vaddr pc, uint32_t *insn)
{
    bool fault = false;
    if (!tc->fetch(tc, pc, 2, insn, &fault)) {
        return 0;
    }
    if (riscv_insn_bytes(*insn) == 2) {
        return 2;
    }
    return tc->fetch(tc, pc, 4, insn, &fault) ? 4 : 0;
}

void translate_insn(DisasContext *ctx, uint32_t insn, unsigned bytes)
{
    ctx->next_pc = ctx->pc + bytes;
    ctx->insn = insn;
    ir_count_insn(ctx->b);
    bool legal = true;
    if (!ctx->tc->system_mode || gen_fp_check(ctx, bytes, &legal)) {
        legal = bytes == 2 ? riscv_decode16(ctx, ctx->ext, insn)
                           : riscv_decode32(ctx, ctx->ext, insn);
    }
    if (!legal && (ctx->tc->system_mode || !gen_vdso_call(ctx, insn))) {
        if (ctx->tc->system_mode) {
            gen_note_insn(ctx, bytes);
        }
        gen_exit_reason(ctx, ctx->pc, EXIT_REASON_ILLEGAL);
    }
    ctx->tc->ninsns++;
    ctx->tc->nbytes += bytes;
}

void riscv_translate(TranslateContext *tc)
{
    DisasContext ctx = {
        .tc = tc,
        .b = tc->b,
        .ext = riscv_extensions(),
        .pc = tc->pc_first,
    };
    if (tc->cflags & CF_ICOUNT) {
        ir_count_unit(ctx.b);
    }
    while (!ctx.ended) {
        uint32_t insn;
        unsigned bytes = 0;
        if (!ctx.stop && tc->ninsns < tc->max_insns) {
            bytes = fetch_insn(tc, ctx.pc, &insn);
        }
        if (!bytes) {
            gen_goto(&ctx, ctx.pc);
            break;
        }
        if (tc->section_end && tc->section_end(ctx.pc)) {
            gen_exit_reason(&ctx, ctx.pc, EXIT_REASON_SECTION);
            tc->ninsns++;
            tc->nbytes += bytes;
            break;
        }
        translate_insn(&ctx, insn, bytes);
        ctx.pc = ctx.next_pc;
    }
    ir_func_finish(ctx.b);
}
