/*
 * What the lowering must know before it runs forward: which values are copies of others,
 * until when each is needed, which guest register it becomes, which compares are better
 * made by their consumer, and whether the unit is one that we can compile at all.
 *
 * One pass forward (roots, flags), one backward (uses).  A guest register that a snapshot
 * does not list has its entry value there, so the snapshot is a use of that E value:
 * tracked in a bit set, since only the last such use matters.
 */
#include "host/x86_64/compile.h"

#define REG_WORDS ((IR_MAX_REGS + 63) / 64)

/* ---- forward ---- */

static bool type_supported(unsigned t) { return t <= IR_F64; }

static bool ins_supported(const Ctx *c, const IRIns *ins)
{
    if (!type_supported(ins->type)) {
        return false;
    }
    switch (ins->op) {
    case IR_LD:
    case IR_ST:
    case IR_AMO:
    case IR_CAS: return (ins->aux & MO_SIZE) <= MO_64;
    case IR_PARAM:
    case IR_JUMP:
    case IR_BR: return false;
    case IR_CALL: return ins->nvar <= CALL_SLOTS;
    default: return true;
    }
}

/* i32 results whose instruction clears the upper half of its register. */
static bool clears_upper(const IRIns *ins)
{
    if (ins->type != IR_I32) {
        return false;
    }
    switch (ins->op) {
    case IR_AMO:
    case IR_CAS:
    case IR_CALL:
    case IR_MOV:
    case IR_TRUNC:
    case IR_AEXT:
    case IR_CONST:
    case IR_BITCAST: return false;
    default: return true;
    }
}

/* f32 results whose upper half is ones, because it comes from that of operands. */
static bool is_boxed(const Ctx *c, const IRIns *ins)
{
    if (ins->type != IR_F32) {
        return false;
    }
    bool a = ctx_val(c, ins->arg[0])->flags & V_BOXED,
         b = ctx_val(c, ins->arg[1])->flags & V_BOXED;
    switch (ins->op) {
    case IR_FADD:
    case IR_FSUB:
    case IR_FMUL:
    case IR_FDIV:
    case IR_FSQRT:
    case IR_CANON:
    case IR_FNEG:
    case IR_FABS:
    case IR_FSGNJ:
    case IR_FSGNJN:
    case IR_FSGNJX: return a;
    case IR_FMIN:
    case IR_FMAX: return a && b;
    case IR_FMA: /* the result overwrites any of the three */
        return a && b && (ctx_val(c, ins->arg[2])->flags & V_BOXED) && host_has(FEAT_FMA);
    default: return ins->op == IR_UNBOX32;
    }
}

bool is_canonical(const IRIns *ins)
{
    return ins->op == IR_FMA || ins->op == IR_FMIN || ins->op == IR_FMAX ||
           ins->op == IR_CANON || ins->op == IR_ITOF;
}

/*
 * Compares between saving the accrued exceptions and putting them back, as compilers
 * write quiet compares: made so that they raise nothing, neither the save nor the restore
 * has to be paid for (the saved value is used if an operand is a signaling NaN).
 */
typedef struct SavedFlags {
    IRRef get;    /* the FPGET, 0: none, or something else happened since */
    IRRef cmp[4]; /* compares since then */
    unsigned ncmp;
} SavedFlags;

static bool restores(const Ctx *c, const SavedFlags *s, IRRef arg)
{
    const IRIns *ins = ctx_ins(c, arg);
    if (ins->op == IR_AND && ctx_is_const(c, ins->arg[1]) &&
        (ctx_imm(c, ins->arg[1]) & 31) == 31) {
        arg = ins->arg[0];
    }
    return ctx_id(c, arg) == s->get;
}

static void track_saved_flags(Ctx *c, SavedFlags *s, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    if (ins->op == IR_FPGET) {
        *s = (SavedFlags){ .get = i };
    } else if (ins->op == IR_FCMP && s->get && s->ncmp < 4) {
        s->cmp[s->ncmp++] = i;
    } else if (ins->op == IR_FPSET && s->get && restores(c, s, ins->arg[0])) {
        c->v[i].flags |= V_DEAD;
        for (unsigned k = 0; k < s->ncmp; k++) {
            c->v[s->cmp[k]].flags |= V_QUIET;
            c->v[s->cmp[k]].imm = s->get;
        }
        s->get = 0;
    } else if (ir_op_info[ins->op].flags & ~(unsigned)(IRF_PURE | IRF_COMM)) {
        s->get = 0;
    }
}

/* Integer ops of which find_roots() wants to know nothing else. */
static inline bool is_plain(const IRIns *ins)
{
    return ins->op >= IR_ADD && ins->op <= IR_SELECT && ins->op != IR_TRUNC &&
           ins->op != IR_ZEXT && ins->op != IR_AEXT && ins->op != IR_BITCAST &&
           ir_type_is_int((IRType)ins->type);
}

static bool find_roots(Ctx *c)
{
    SavedFlags saved = { 0 };
    const IRFunc *f = c->f;
    uint32_t epoch = f->nins;
    for (IRRef i = 1; i < f->nins; i++) {
        const IRIns *ins = &f->ins[i];
        Value *v = &c->v[i];
        if (ins->op == IR_NOP) {
            v->root = 0;
            v->flags = V_DEAD;
            continue;
        }
        *v = (Value){ .root = i, .mem = LOC_NONE, .hint = -1, .reg = NO_REG };
        if (is_plain(ins)) {
            v->flags = ins->type == IR_I32 ? V_Z32 : 0;
            continue;
        }
        if (!ins_supported(c, ins)) {
            return false;
        }
        if (ir_type_is_float((IRType)ins->type)) {
            v->flags = V_FP;
        }
        if (clears_upper(ins)) {
            v->flags |= V_Z32;
        }
        track_saved_flags(c, &saved, i);
        if (is_boxed(c, ins)) {
            v->flags |= V_BOXED;
        }
        const Value *a = ctx_val(c, ins->arg[0]);
        switch (ins->op) {
        case IR_CONST:
            v->flags |= V_CONST;
            v->imm = ins->imm;
            break;
        case IR_GETREG: v->root = epoch + (uint32_t)ins->imm; break;
        case IR_MOV: case IR_AEXT: v->root = c->v[ins->arg[0]].root; break;
        case IR_TRUNC:
            if (a->flags & V_CONST) {
                v->flags |= V_CONST;
                v->imm = a->imm & (int64_t)mask64(type_bits((IRType)ins->type));
            } else {
                v->root = c->v[ins->arg[0]].root;
            }
            break;
        case IR_ZEXT:
            if (ctx_type(c, ins->arg[0]) == IR_I32 && ins->type == IR_I64 &&
                (a->flags & V_Z32) && ctx_type(c, c->v[ins->arg[0]].root) == IR_I32) {
                v->root = c->v[ins->arg[0]].root;
            }
            break;
        case IR_BOX32:
            if (a->flags & V_BOXED) {
                v->root = c->v[ins->arg[0]].root;
            }
            break;
        case IR_CANON:
            if (is_canonical(ctx_ins(c, ins->arg[0]))) {
                v->root = c->v[ins->arg[0]].root;
            }
            break;
        case IR_CALL:
            if (c->guest->helpers[ins->imm].flags & IRH_REGS) {
                epoch += c->guest->nregs;
            }
            break;
        default: break;
        }
    }
    return true;
}

/* ---- backward ---- */

typedef struct Back {
    uint32_t epoch;           /* id of E value 0 */
    uint64_t seen[REG_WORDS]; /* E values whose last use is known */
    const IRSnapEntry *last;  /* entries of the snapshot seen last, later in the unit */
    const IRSnapEntry *last_end;
    bool any;                 /* one was seen in this epoch */
} Back;

static inline void use_at(Value *v, uint32_t pos)
{
    if (!v->last_use) {
        v->last_use = pos;
    }
}

static inline void use_arg(Ctx *c, IRRef ref, uint32_t pos)
{
    Value *v = ctx_val(c, ref);
    use_at(v, pos);
    if (!v->last_arg) {
        v->last_arg = pos;
    }
}

/* The register was written between the two snapshots: its value at entry lives up to here. */
static void use_entry_value(Ctx *c, Back *b, unsigned reg, uint32_t pos)
{
    uint64_t bit = UINT64_C(1) << (reg & 63);
    if (!(b->seen[reg >> 6] & bit)) {
        b->seen[reg >> 6] |= bit;
        use_at(&c->v[b->epoch + reg], pos);
    }
}

/* The earliest snapshot with the value decides, in it the last of several registers. */
static inline void hint_at(Value *v, unsigned reg)
{
    v->hint = (int16_t)reg;
    v->flags &= (uint8_t)~V_WEAK_HINT;
}

/* Later, but not yet here, the register got a value that was another's before. */
static void retract_hint(Ctx *c, const IRSnapEntry *e, const IRSnapEntry *end,
                         const IRSnapEntry *later, uint32_t pos)
{
    uint32_t id = ctx_id(c, later->val);
    if (id > pos || c->v[id].hint != later->reg) {
        return;
    }
    for (; e < end; e++) {
        if (ctx_id(c, e->val) == id) {
            hint_at(&c->v[id], e->reg);
        }
    }
}

static void use_first_snapshot(Ctx *c, Back *b, uint32_t pos)
{
    uint64_t listed[REG_WORDS] = { 0 };
    for (const IRSnapEntry *e = b->last; e < b->last_end; e++) {
        Value *v = ctx_val(c, e->val);
        listed[e->reg >> 6] |= UINT64_C(1) << (e->reg & 63);
        use_at(v, pos);
        hint_at(v, e->reg);
    }
    for (unsigned w = 0; w < REG_WORDS; w++) {
        uint64_t bits = host_ctx.all_regs[w] & ~listed[w] & ~b->seen[w];
        b->seen[w] |= bits;
        for (; bits; bits &= bits - 1) {
            use_at(&c->v[b->epoch + w * 64 + (unsigned)__builtin_ctzll(bits)], pos);
        }
    }
}

/*
 * Most of a snapshot is what the next one has as well, and that is used later anyhow: only
 * what differs is looked at.
 */
static void use_snapshot(Ctx *c, Back *b, uint32_t snap, uint32_t pos)
{
    const IRSnap *s = &c->f->snaps[snap];
    const IRSnapEntry *start = c->f->snap_entries + s->first, *end = start + s->count;
    const IRSnapEntry *e = start, *l = b->last, *lend = b->last_end;
    b->last = start;
    b->last_end = end;
    if (!b->any) {
        b->any = true;
        use_first_snapshot(c, b, pos);
        return;
    }
    if (start == l && end == lend) {
        return;
    }
    while (e < end || l < lend) {
        if (e < end && l < lend && ir_snap_entry_equal(e, l)) {
            e++, l++;
        } else if (l < lend && (e == end || l->reg < e->reg)) {
            use_entry_value(c, b, l->reg, pos);
            retract_hint(c, start, end, l++, pos);
        } else {
            if (l < lend && l->reg == e->reg) {
                retract_hint(c, start, end, l++, pos);
            }
            Value *v = ctx_val(c, e->val);
            use_at(v, pos);
            hint_at(v, e++->reg);
        }
    }
}

static bool is_zero_const(const Ctx *c, IRRef r)
{
    return ctx_is_const(c, r) && ctx_imm(c, r) == 0;
}

/*
 * A compare whose first consumer is the EXITIF or SELECT at pos need not make a 0 or 1.
 * For SELECT it must be the only use.  Behind an EXITIF the value is known, whatever
 * still wants it.
 */
static void try_fuse(Ctx *c, IRRef cond, uint32_t pos, bool known_after)
{
    Value *v = &c->v[cond];
    const IRIns *def = ctx_ins(c, cond);
    if (v->root != cond || (def->op != IR_SETCC && def->op != IR_FCMP)) {
        return;
    }
    if (!known_after && (v->last_use != 0 || def->op == IR_FCMP)) {
        return;
    }
    /* Nothing may look at the value or, for FCMP, at the flags before the consumer does.
     */
    for (IRRef i = cond + 1; i < pos; i++) {
        const IRIns *ins = ctx_ins(c, i);
        unsigned flags = ir_op_info[ins->op].flags;
        if (c->v[i].flags & V_DEAD) {
            continue;
        }
        if ((flags & ~(unsigned)(IRF_PURE | IRF_COMM)) || pos - cond > 8) {
            return;
        }
        for (unsigned k = 0; k < ir_op_info[ins->op].nargs; k++) {
            if (ctx_id(c, ins->arg[k]) == cond) {
                return;
            }
        }
    }
    v->flags |= V_FUSED;
}

static void use_saved_flags(Ctx *c, IRRef cmp, uint32_t pos)
{
    const Value *v = &c->v[cmp];
    if (v->flags & V_QUIET) {
        use_arg(c, (IRRef)v->imm, pos);
    }
}

/* Operands of a fused compare are used where the compare is made. */
static void use_cond(Ctx *c, IRRef cond, uint32_t pos)
{
    use_arg(c, cond, pos);
    if (ctx_val(c, cond)->flags & V_FUSED) {
        const IRIns *def = ctx_ins(c, cond);
        use_arg(c, def->arg[0], pos);
        use_arg(c, def->arg[1], pos);
        use_saved_flags(c, ctx_id(c, cond), pos);
    }
}

/* A value made for this instruction only may be made where the result goes. */
static bool takes_hint(const Ctx *c, IRRef i, IRRef arg)
{
    const Value *v = ctx_val(c, arg);
    return v->last_use == i && v->hint < 0 && !((v->flags ^ c->v[i].flags) & V_FP);
}

/* To one operand only, or they would fight for the register: the one made last if there
 * is a choice. */
static void pass_hint(Ctx *c, IRRef i, IRRef a, IRRef b)
{
    if (c->v[i].hint < 0) {
        return;
    }
    IRRef to = a;
    if (b && takes_hint(c, i, b) &&
        (!takes_hint(c, i, a) || ctx_id(c, b) > ctx_id(c, a))) {
        to = b;
    }
    if (takes_hint(c, i, to)) {
        Value *v = ctx_val(c, to);
        v->hint = c->v[i].hint;
        v->flags |= V_WEAK_HINT;
    }
}

static bool is_dead(const Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    unsigned flags = ir_op_info[ins->op].flags;
    return c->v[i].last_use == 0 && ins->type != IR_VOID &&
           ((flags & IRF_PURE) || ins->op == IR_GETREG || ins->op == IR_LDENV ||
            ins->op == IR_FPGET);
}

static void visit_back(Ctx *c, Back *b, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    Value *v = &c->v[i];
    if (ins->op == IR_CALL && (c->guest->helpers[ins->imm].flags & IRH_REGS)) {
        b->epoch -= c->guest->nregs;
        memset(b->seen, 0, sizeof b->seen);
        b->any = false;
    }
    if (v->root != i || ins->op == IR_CONST) {
        return; /* a copy: uses go to the root */
    }
    if ((v->flags & V_DEAD) || is_dead(c, i)) {
        v->flags |= V_DEAD;
        return;
    }
    if (ins->snap) {
        use_snapshot(c, b, ins->snap, i);
    }
    if (v->flags & V_FUSED) {
        return;
    }
    unsigned nargs = ir_op_info[ins->op].nargs;
    if (ins->op == IR_EXITIF && (ins->aux == IR_EQ || ins->aux == IR_NE) &&
        is_zero_const(c, ins->arg[1])) {
        try_fuse(c, ins->arg[0], i, true);
        use_cond(c, ins->arg[0], i);
        use_arg(c, ins->arg[1], i);
        return;
    }
    if (ins->op == IR_SELECT) {
        use_arg(c, ins->arg[1], i);
        use_arg(c, ins->arg[2], i);
        try_fuse(c, ins->arg[0], i, false);
        use_cond(c, ins->arg[0], i);
        pass_hint(c, i, ins->arg[2], 0);
        return;
    }
    for (unsigned k = 0; k < nargs; k++) {
        use_arg(c, ins->arg[k], i);
    }
    use_saved_flags(c, i, i);
    for (unsigned k = 0; k < ins->nvar; k++) {
        use_arg(c, c->f->args[ins->arg[2] + k], i);
    }
    if (nargs) {
        bool comm = ir_op_info[ins->op].flags & IRF_COMM;
        pass_hint(c, i, ins->arg[0], comm ? ins->arg[1] : 0);
    }
}

/* ---- units that loop ---- */

/* IR instructions up to which a loop counts as tight. */
#define TIGHT_LOOP 48

/*
 * Registers that stay idle in a loop are lent to guest registers without a home: the
 * lender goes to its slot of HostEnv.reg at entry, and every exit brings it back.  That
 * pays for what is carried from one iteration to the next, and in tight loops for what is
 * only read.
 */
static void lend_idle_homes(Ctx *c)
{
    enum { READ = 1, WRITTEN = 2 };
    unsigned nregs = c->guest->nregs;
    uint8_t used[IR_MAX_REGS] = { 0 };
    const IRFunc *f = c->f;
    for (IRRef i = 1; i < f->nins; i++) {
        const IRIns *ins = &f->ins[i];
        if (ins->op == IR_CALL) {
            return;
        }
        if (ins->op == IR_GETREG) {
            used[ins->imm] |= READ;
        }
    }
    const IRSnap *s = &f->snaps[f->ins[f->nins - 1].snap];
    for (uint32_t k = 0; k < s->count; k++) {
        used[f->snap_entries[s->first + k].reg] |= WRITTEN;
    }
    for (unsigned r = 0; r < nregs; r++) {
        bool worth =
            used[r] == (READ | WRITTEN) || (used[r] == READ && f->nins <= TIGHT_LOOP);
        if (host_ctx.home[r] != NO_REG || !worth) {
            continue;
        }
        bool fp = c->guest->regs[r].type == IR_F64;
        for (unsigned lender = 0; lender < nregs; lender++) {
            unsigned home = host_ctx.home[lender];
            if (home == NO_REG || used[lender] || c->place[lender] == NO_REG ||
                REG_IS_XMM(home) != fp) {
                continue;
            }
            c->place[r] = (uint8_t)home;
            c->head[r] = (Loc)home;
            c->place[lender] = NO_REG;
            c->head[lender] = loc_slot(lender);
            break;
        }
    }
}

/* Registers that change at helpers: E values start again behind each. */
static unsigned count_epochs(const Ctx *c)
{
    const IRFunc *f = c->f;
    unsigned n = 1;
    for (IRRef i = 1; i < f->nins; i++) {
        n += f->ins[i].op == IR_CALL &&
             (c->guest->helpers[f->ins[i].imm].flags & IRH_REGS);
    }
    return n;
}

/*
 * All E values live up to the last snapshot but those that it replaces: what use_snapshot()
 * would find out one by one.
 */
static void make_entry_values(Ctx *c, Back *b)
{
    const IRFunc *f = c->f;
    unsigned nregs = c->guest->nregs;
    uint32_t pos = f->ins[f->nins - 1].snap ? f->nins - 1 : 0;
    for (uint32_t id = f->nins; id < c->nvalues; id += nregs) {
        memcpy(&c->v[id], host_ctx.entry_values, nregs * sizeof *c->v);
        for (unsigned r = 0; r < nregs; r++) {
            c->v[id + r].root = id + r;
            c->v[id + r].last_use = id == b->epoch ? pos : 0;
        }
        for (unsigned r = 0; r < nregs && id != f->nins; r++) {
            c->v[id + r].mem = LOC_NONE; /* comes into being behind a helper */
            c->v[id + r].reg = NO_REG;
        }
    }
    if (!pos) {
        return;
    }
    memcpy(b->seen, host_ctx.all_regs, sizeof b->seen);
    const IRSnap *s = &f->snaps[f->ins[pos].snap];
    for (uint32_t k = 0; k < s->count; k++) {
        unsigned reg = f->snap_entries[s->first + k].reg;
        b->seen[reg >> 6] &= ~(UINT64_C(1) << (reg & 63));
        c->v[b->epoch + reg].last_use = 0;
    }
}

bool analyse(Ctx *c)
{
    const IRFunc *f = c->f;
    unsigned nregs = c->guest->nregs, nepochs = count_epochs(c);
    c->nvalues = f->nins + nepochs * nregs;
    c->v = arena_alloc(c->arena, c->nvalues * sizeof *c->v);
    c->v[0] = (Value){ .mem = LOC_NONE, .hint = -1, .reg = NO_REG };
    Back b = { .epoch = f->nins + (nepochs - 1) * nregs };
    make_entry_values(c, &b);
    memcpy(c->place, host_ctx.home, sizeof c->place);
    memcpy(c->head, host_ctx.home_loc, sizeof c->head);
    if (f->nblocks != 1 || !find_roots(c)) {
        return false;
    }
    c->loops = f->ins[f->nins - 1].op == IR_LOOP;
    if (c->loops) {
        lend_idle_homes(c);
    }
    for (IRRef i = f->nins - 1; i >= 1; i--) {
        visit_back(c, &b, i);
    }
    return true;
}
