/*
 * Calls of helpers.
 *
 * A helper sees the guest's registers in HostEnv and may leave by an exception, so all of
 * them are brought home first, and the thunk stores the homes: the recovery entry of
 * the call lists nothing.  Whatever else lives across the call waits in spill slots.
 * Helpers without effect are called from where things are: their thunk saves all
 * registers.
 */
#include "host/x86_64/compile.h"

static Rm rm_arg_slot(unsigned n) { return rm_env(loc_disp(loc_spill(N_SPILLS + n))); }

static void store_argument(Ctx *c, unsigned n, IRRef ref)
{
    IRType t = ctx_type(c, ref);
    Rm slot = rm_arg_slot(n);
    const Value *v = ctx_val(c, ref);
    if ((v->flags & V_CONST) && fits_signed(v->imm, 32)) {
        ins_store_imm32(&c->e, slot, (int32_t)v->imm);
        return;
    }
    unsigned src = RAX;
    if (v->reg != NO_REG) {
        src = v->reg;
    } else if (v->flags & V_CONST) {
        ins_mov_imm(&c->e, RAX, v->imm);
    } else {
        ins_load(&c->e, RAX, rm_env(loc_disp(v->mem)));
    }
    switch (t) {
    case IR_I8: emit_op(&c->e, OP_MOVZX8, RAX, rm_reg(src), 0); break;
    case IR_I16: emit_op(&c->e, OP_MOVZX16, RAX, rm_reg(src), 0); break;
    case IR_I32: ins_mov_rr(&c->e, 0, RAX, src); break;
    case IR_F32:
        if (REG_IS_XMM(src)) {
            emit_sse(c, OP_MOVD_FROM_XMM, src, 0, rm_reg(RAX));
        } else {
            ins_mov_rr(&c->e, 0, RAX, src);
        }
        break;
    default: emit_store(c, loc_spill(N_SPILLS + n), src); return;
    }
    ins_store(&c->e, slot, RAX);
}

/* `call` the thunk with fn in rax. */
static void emit_thunk_call(Ctx *c, const uint8_t *thunk, const void *fn)
{
    ins_mov_imm(&c->e, RAX, (int64_t)(uintptr_t)fn);
    emit_u8(&c->e, 0xe8);
    emit_u32(&c->e, (uint32_t)emit_rel(c->e.p + 4, thunk));
}

/* The call's result is in rax. */
static void define_result(Ctx *c, IRRef i)
{
    if (ctx_type(c, i) == IR_VOID || c->v[i].last_use == 0) {
        return;
    }
    unsigned dst = ra_def(c, i, NO_REG);
    emit_move_reg(c, dst, RAX);
}

void emit_pure_call(Ctx *c, const uint8_t *thunk, const void *fn, const IRRef *args,
                    unsigned nargs, IRRef result)
{
    for (unsigned k = 0; k < nargs; k++) {
        store_argument(c, k, args[k]);
    }
    emit_thunk_call(c, thunk, fn);
    define_result(c, result);
}

/* Values that outlive the call but are not the guest's state at it: to spill slots. */
static void spill_others(Ctx *c, const uint32_t *ids, bool regs_change)
{
    uint32_t mark = ++c->mark;
    for (unsigned r = 0; !regs_change && r < c->guest->nregs; r++) {
        c->v[ids[r]].mark = mark;
    }
    for (uint32_t id = 1; id < c->nvalues; id++) {
        Value *v = &c->v[id];
        if (v->root != id || v->mark == mark || v->last_use <= c->pos ||
            (v->reg == NO_REG && v->mem == LOC_NONE)) {
            continue;
        }
        bool spilled = v->mem >= loc_spill(0) && v->mem < loc_spill(N_SPILLS);
        if (v->flags & V_CONST) {
            v->mem = LOC_NONE;
        } else if (!spilled) {
            ra_spill(c, id);
        }
        v->reg = NO_REG;
    }
}

/* After the call: every guest register is at home. */
static void reset_to_homes(Ctx *c, const uint32_t *ids)
{
    memset(c->owner, 0, sizeof c->owner);
    memset(c->dies, 0, sizeof c->dies);
    memset(c->slot_dies, 0, sizeof c->slot_dies);
    memset(c->displaced, 0, sizeof c->displaced);
    for (unsigned r = 0; r < c->guest->nregs; r++) {
        c->v[ids[r]].reg = NO_REG;
        c->v[ids[r]].mem = LOC_NONE;
    }
    for (unsigned r = 0; r < c->guest->nregs; r++) {
        uint32_t id = ids[r];
        Value *v = &c->v[id];
        Loc home = loc_home(r);
        if (v->last_use <= c->pos) {
            continue;
        }
        if (loc_is_reg(home)) {
            if (v->reg == NO_REG) {
                ra_set_owner(c, (unsigned)home, id);
            }
        } else if (v->mem == LOC_NONE) {
            v->mem = home;
            c->slot_dies[r] = v->last_use;
        }
        if (id >= c->epoch && id - c->epoch != r) {
            uint32_t e =
                id - c->epoch; /* an E value that is known as another register now */
            c->displaced[e >> 6] |= UINT64_C(1) << (e & 63);
        }
    }
}

/* E values that a snapshot has replaced and that outlive the call are in spill slots. */
static void note_displaced_entries(Ctx *c)
{
    for (unsigned r = 0; r < c->guest->nregs; r++) {
        const Value *v = &c->v[c->epoch + r];
        Loc home = loc_home(r);
        if (v->last_use > c->pos &&
            (loc_is_reg(home) ? v->reg != (uint8_t)home : v->mem != home)) {
            c->displaced[r >> 6] |= UINT64_C(1) << (r & 63);
        }
    }
}

/* The code behind the call wants the values as they are. */
static void leave_canon_to_recovery(Ctx *c, SnapMove *moves, unsigned n)
{
    c->snap_moves = arena_alloc(c->arena, (n + 1) * sizeof *moves);
    c->nsnap_moves = 0;
    for (unsigned k = 0; k < n; k++) {
        if (moves[k].canon) {
            SnapMove *m = &c->snap_moves[c->nsnap_moves++];
            *m = moves[k];
            m->src = loc_home(m->reg);
            moves[k].canon = IR_CANON_NONE;
        }
    }
}

void lower_call(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    const IRHelper *h = &c->guest->helpers[ins->imm];
    const IRRef *args = &c->f->args[ins->arg[2]];
    if (!ins->snap || (h->flags & IRH_PURE)) {
        emit_pure_call(c, h->flags & IRH_NOFP ? host_ctx.call_nofp : host_ctx.call_pure, h->fn, args, ins->nvar, i);
        return;
    }
    bool regs_change = h->flags & IRH_REGS;
    for (unsigned k = 0; k < ins->nvar; k++) {
        store_argument(c, k, args[k]);
    }
    uint32_t ids[IR_MAX_REGS];
    snap_values(c, ins->snap, ids);
    spill_others(c, ids, regs_change);
    unsigned n;
    SnapMove *moves = (SnapMove *)collect_moves(c, ins->snap, &n);
    leave_canon_to_recovery(c, moves, n);
    emit_moves(c, moves, n, NULL);
    emit_thunk_call(c, host_ctx.call, h->fn);
    recovery_mark(c, ins->snap);
    if (regs_change) {
        c->epoch += c->guest->nregs;
        for (unsigned r = 0; r < c->guest->nregs; r++) {
            ids[r] = c->epoch + r;
        }
    }
    reset_to_homes(c, ids);
    note_displaced_entries(c);
    define_result(c, i);
}
