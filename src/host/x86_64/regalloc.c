/*
 * Where each value is, while the lowering runs forward over the unit.
 *
 * Each host register has an owner and the position at which the owner dies; a register
 * whose owner died before the current instruction is free, and there is no free list to
 * keep.  The same holds for spill slots and for HostEnv.reg[] slots, which serve as spill
 * slots of the guest register they belong to.
 *
 * The invariant that makes precise faults cheap: until an instruction is complete,
 * nothing that its snapshot needs is overwritten.  So only ra_def() may hand out what
 * dies at this instruction, for a result that is written last; whatever else moves, moves
 * to what died earlier.
 */
#include "host/x86_64/compile.h"

#define CLASS_MASK(fp) ((fp) ? XMM_ALLOC : GPR_ALLOC)

static inline bool is_fp(const Value *v) { return v->flags & V_FP; }

/* ---- moves between places ---- */

void emit_sse(Ctx *c, uint32_t op, unsigned reg, unsigned vvvv, Rm rm)
{
    if (host_has(FEAT_AVX)) {
        emit_vex(&c->e, op, reg & 15, vvvv & 15, rm, 0);
    } else {
        emit_op(&c->e, op, reg & 15, rm, 0);
    }
}

void emit_load_const(Ctx *c, unsigned reg, int64_t imm, bool keep_flags)
{
    if (REG_IS_XMM(reg)) {
        if (imm == 0) {
            emit_sse(c, OP_XORPS, reg, reg, rm_reg(reg));
        } else {
            ins_mov_imm(&c->e, RAX, imm);
            emit_sse(c, OP_MOVD_TO_XMM | OPW, reg, 0, rm_reg(RAX));
        }
    } else if (imm == 0 && !keep_flags) {
        ins_xor_zero(&c->e, reg);
    } else {
        ins_mov_imm(&c->e, reg, imm);
    }
}

void emit_move_reg(Ctx *c, unsigned dst, unsigned src)
{
    if (dst == src) {
        return;
    }
    if (!REG_IS_XMM(dst) && !REG_IS_XMM(src)) {
        ins_mov_rr(&c->e, OPW, dst, src);
    } else if (REG_IS_XMM(dst) && REG_IS_XMM(src)) {
        emit_sse(c, OP_MOVAPS, dst, 0, rm_reg(src));
    } else if (REG_IS_XMM(dst)) {
        emit_sse(c, OP_MOVD_TO_XMM | OPW, dst, 0, rm_reg(src));
    } else {
        emit_sse(c, OP_MOVD_FROM_XMM | OPW, src, 0, rm_reg(dst));
    }
}

void emit_load(Ctx *c, unsigned dst, Loc src)
{
    Rm m = rm_env(loc_disp(src));
    if (REG_IS_XMM(dst)) {
        emit_sse(c, OP_MOVS_LOAD ^ OP_F64, dst, 0, m);
    } else {
        ins_load(&c->e, dst, m);
    }
}

void emit_store(Ctx *c, Loc dst, unsigned src)
{
    Rm m = rm_env(loc_disp(dst));
    if (REG_IS_XMM(src)) {
        emit_sse(c, OP_MOVS_STORE ^ OP_F64, src, 0, m);
    } else {
        ins_store(&c->e, m, src);
    }
}

/* ---- who owns what ---- */

void ra_set_owner(Ctx *c, unsigned reg, uint32_t id)
{
    Value *v = &c->v[id];
    c->owner[reg] = id;
    c->dies[reg] = v->last_use;
    v->reg = (uint8_t)reg;
}

static void release(Ctx *c, unsigned reg)
{
    c->owner[reg] = 0;
    c->dies[reg] = 0;
}

static void note_displaced(Ctx *c, uint32_t id)
{
    if (id >= c->epoch && id < c->epoch + c->guest->nregs) {
        uint32_t r = id - c->epoch;
        c->displaced[r >> 6] |= UINT64_C(1) << (r & 63);
    }
}

/* Registers of a class whose owner is dead after position `limit`. */
static uint32_t free_regs(const Ctx *c, bool fp, uint32_t limit)
{
    uint32_t mask = 0;
    unsigned first = fp ? XMM0 : 0;
    for (unsigned r = first; r < first + 16; r++) {
        mask |= (uint32_t)(c->dies[r] <= limit) << r;
    }
    return mask & CLASS_MASK(fp);
}

/* A memory place for a value: the slot of the guest register it becomes, or a spill slot.
 */
static Loc choose_memory(Ctx *c, uint32_t id, bool spill_only)
{
    Value *v = &c->v[id];
    if (!spill_only) {
        int r = v->hint;
        if (id >= c->epoch && id < c->epoch + c->guest->nregs) {
            r = (int)(id - c->epoch); /* an E value's own slot comes first */
            if (c->slot_dies[r] >= c->pos) {
                r = v->hint;
            }
        }
        if (r >= 0 && c->slot_dies[r] < c->pos) {
            c->slot_dies[r] = v->last_use;
            return loc_slot((unsigned)r);
        }
    }
    for (unsigned n = 0; n < N_SPILLS; n++) {
        if (c->spill_dies[n] < c->pos) {
            c->spill_dies[n] = v->last_use;
            return loc_spill(n);
        }
    }
    ctx_fail(c, HOST_TOO_COMPLEX);
    return loc_spill(0);
}

void ra_evict(Ctx *c, unsigned reg)
{
    uint32_t id = c->owner[reg];
    if (id && c->dies[reg] >= c->pos) {
        Value *v = &c->v[id];
        if (v->mem == LOC_NONE && !(v->flags & V_CONST)) {
            v->mem = choose_memory(c, id, false);
            emit_store(c, v->mem, reg);
        }
        v->reg = NO_REG;
        note_displaced(c, id);
    }
    release(c, reg);
}

void ra_spill(Ctx *c, uint32_t id)
{
    Value *v = &c->v[id];
    if (v->flags & V_CONST) {
        return;
    }
    Loc to = choose_memory(c, id, true);
    if (v->reg != NO_REG) {
        emit_store(c, to, v->reg);
        release(c, v->reg);
        v->reg = NO_REG;
    } else {
        emit_load(c, RAX, v->mem);
        emit_store(c, to, RAX);
    }
    v->mem = to;
    note_displaced(c, id);
}

/* How good a victim the owner of a register is: what it costs to do without. */
static uint32_t victim_score(const Ctx *c, unsigned reg)
{
    const Value *v = &c->v[c->owner[reg]];
    uint32_t score = v->last_arg > c->pos ? v->last_arg - c->pos : 0;
    if (score > 900) {
        score = 900;
    }
    if (v->last_arg <= c->pos) {
        score += 1000; /* only exits want it */
    }
    if (v->mem != LOC_NONE || (v->flags & V_CONST)) {
        score += 3000; /* no store needed */
    } else if (v->hint >= 0 && c->place[v->hint] == NO_REG &&
               c->slot_dies[v->hint] < c->pos) {
        score += 1500; /* an exit would store it anyway */
    }
    return score;
}

static unsigned evict_best(Ctx *c, bool fp)
{
    uint32_t mask = CLASS_MASK(fp) & ~(c->lock_ops | c->lock_temps);
    unsigned best = NO_REG, r;
    uint32_t best_score = 0;
    for_each_bit64 (r, mask) {
        uint32_t score = victim_score(c, r);
        if (best == NO_REG || score > best_score) {
            best = r;
            best_score = score;
        }
    }
    if (best == NO_REG) {
        ctx_fail(c, HOST_TOO_COMPLEX);
        return fp ? XMM1 : RCX;
    }
    ra_evict(c, best);
    return best;
}

/* The register where a value should live, NO_REG if none is known. */
static unsigned wanted_reg(const Ctx *c, const Value *v)
{
    return v->hint >= 0 ? c->place[v->hint] : NO_REG;
}

static unsigned pick(uint32_t avail)
{
    uint32_t temps = avail & TEMP_MASK;
    return (unsigned)__builtin_ctz(temps ? temps : avail);
}

/* A register for a value before the instruction: nothing that it still needs may go. */
static unsigned alloc_before(Ctx *c, const Value *v, bool fp)
{
    uint32_t avail = free_regs(c, fp, c->pos - 1) & ~(c->lock_ops | c->lock_temps);
    if (v) {
        unsigned want = wanted_reg(c, v);
        if (want != NO_REG && (avail >> want & 1)) {
            return want;
        }
    }
    unsigned r = avail ? pick(avail) : evict_best(c, fp);
    return r;
}

/* ---- operands ---- */

unsigned ra_use(Ctx *c, IRRef ref)
{
    uint32_t id = ctx_id(c, ref);
    Value *v = &c->v[id];
    if (v->reg == NO_REG) {
        unsigned r = alloc_before(c, v, is_fp(v));
        if (v->flags & V_CONST) {
            emit_load_const(c, r, v->imm, false);
        } else {
            assert(v->mem != LOC_NONE);
            emit_load(c, r, v->mem);
        }
        ra_set_owner(c, r, id);
    }
    c->lock_ops |= 1u << v->reg;
    return v->reg;
}

Rm ra_use_rm(Ctx *c, IRRef ref)
{
    Value *v = ctx_val(c, ref);
    if (v->reg == NO_REG && v->mem != LOC_NONE) {
        uint32_t avail =
            free_regs(c, is_fp(v), c->pos - 1) & ~(c->lock_ops | c->lock_temps);
        if (v->last_arg <= c->pos || !avail) {
            return rm_env(loc_disp(v->mem));
        }
    }
    return rm_reg(ra_use(c, ref));
}

bool ra_dies(Ctx *c, IRRef ref) { return ctx_val(c, ref)->last_use <= c->pos; }

/* ---- results ---- */

/* Make room in `reg` by moving its live owner to another register, if one is free. */
static bool relocate(Ctx *c, unsigned reg)
{
    uint32_t id = c->owner[reg];
    Value *v = &c->v[id];
    bool fp = REG_IS_XMM(reg);
    if (v->mem == LOC_NONE && !(v->flags & V_CONST)) {
        uint32_t avail = free_regs(c, fp, c->pos - 1) & ~(c->lock_ops | c->lock_temps);
        unsigned want = wanted_reg(c, v), to;
        if (want != NO_REG && (avail >> want & 1)) {
            to = want;
        } else if (avail) {
            to = pick(avail);
        } else {
            return false;
        }
        emit_move_reg(c, to, reg);
        ra_set_owner(c, to, id);
    } else {
        v->reg = NO_REG;
    }
    note_displaced(c, id);
    release(c, reg);
    return true;
}

unsigned ra_def(Ctx *c, IRRef ref, unsigned prefer)
{
    Value *v = &c->v[ref];
    bool fp = is_fp(v);
    uint32_t taken = c->lock_temps;
    unsigned want = wanted_reg(c, v), r = NO_REG;
    bool weak = v->flags & V_WEAK_HINT;
    if (want != NO_REG && !(taken >> want & 1) &&
        (c->dies[want] <= c->pos || (!weak && relocate(c, want)))) {
        r = want;
    } else if (prefer != NO_REG && !(taken >> prefer & 1) && c->dies[prefer] <= c->pos) {
        r = prefer;
    } else {
        uint32_t avail = free_regs(c, fp, c->pos) & ~taken;
        /* An operand that lives on keeps its register: dies[] says so. */
        r = avail ? pick(avail) : evict_best(c, fp);
    }
    ra_set_owner(c, r, ref);
    c->lock_temps |= 1u << r;
    return r;
}

unsigned ra_temp(Ctx *c, bool fp)
{
    unsigned r = alloc_before(c, NULL, fp);
    release(c, r);
    c->lock_temps |= 1u << r;
    return r;
}

unsigned ra_free(const Ctx *c)
{
    uint32_t avail = free_regs(c, false, c->pos - 1) & ~(c->lock_ops | c->lock_temps);
    return avail ? pick(avail) : NO_REG;
}

void ra_take(Ctx *c, unsigned reg)
{
    uint32_t id = c->owner[reg];
    if (id && c->dies[reg] >= c->pos && !relocate(c, reg)) {
        ra_evict(c, reg);
    }
    release(c, reg);
    c->lock_temps |= 1u << reg;
}

void ra_end_ins(Ctx *c) { c->lock_ops = c->lock_temps = 0; }

/* ---- the state at the head ---- */

/* Registers that a unit that loops has elsewhere than at home. */
static void init_lent(Ctx *c)
{
    for (unsigned r = 0; r < c->guest->nregs; r++) {
        Value *v = &c->v[c->epoch + r];
        Loc at = c->head[r];
        if (at == loc_home(r)) {
            continue;
        }
        if (v->last_use) {
            c->displaced[r >> 6] |= UINT64_C(1) << (r & 63);
        }
        v->reg = loc_is_reg(at) ? (uint8_t)at : NO_REG;
        v->mem = loc_is_reg(at) ? LOC_NONE : at;
        c->slot_dies[r] = loc_is_reg(at) ? 0 : v->last_use;
        if (loc_is_reg(at)) {
            c->owner[at] = v->last_use ? c->epoch + r : 0;
            c->dies[at] = v->last_use;
        }
    }
}

void ra_init(Ctx *c)
{
    const Value *v = &c->v[c->epoch];
    for (unsigned k = 0; k < host_ctx.nin_slot; k++) {
        unsigned r = host_ctx.in_slot[k];
        c->slot_dies[r] = v[r].last_use;
    }
    for (unsigned h = 0; h < N_HOST_REGS; h++) {
        int r = host_ctx.home_guest[h];
        if (r >= 0 && v[r].last_use) {
            c->owner[h] = c->epoch + (unsigned)r;
            c->dies[h] = v[r].last_use;
        }
    }
    if (c->loops) {
        init_lent(c);
    }
}
