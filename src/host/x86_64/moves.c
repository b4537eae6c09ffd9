/*
 * From a snapshot to moves: what is not at home when the unit is left, and how to bring
 * it there all at once.
 *
 * Sources and targets may overlap in any way (two guest registers swapped, slot to slot),
 * so a move is emitted only when nobody else still reads its target; a cycle is opened by
 * saving one target to HostEnv.scratch.  rax carries what goes from memory to memory: it
 * is never a source or target.  Flags survive, unless values are made canonical, which is
 * done when all are home: two registers may share one value, and only one of them want it
 * canonical.
 */
#include "host/x86_64/compile.h"

/* One place of a value that is good to read: register before constant before memory. */
static Loc value_loc(const Value *v)
{
    return v->reg != NO_REG ? (Loc)v->reg : v->flags & V_CONST ? LOC_CONST : v->mem;
}

static bool is_at(const Value *v, Loc at)
{
    return loc_is_reg(at) ? v->reg == (uint8_t)at : v->mem == at;
}

/* What an entry leaves to be done. */
static IRCanon entry_canon(const Ctx *c, const IRSnapEntry *e, bool *quiet)
{
    IRRef def = e->val;
    if (e->canon == IR_CANON_BOXED_F32 && ctx_ins(c, def)->op == IR_BOX32) {
        def = ctx_ins(c, def)->arg[0];
    } else if (e->canon == IR_CANON_BOXED_F32) {
        *quiet = false;
        return IR_CANON_BOXED_F32;
    }
    *quiet = never_signaling(c, def);
    return is_canonical(ctx_ins(c, def)) ? IR_CANON_NONE : (IRCanon)e->canon;
}

/* What of the snapshot's state is not where `at` says, or not canonical. */
static unsigned differences(const Ctx *c, uint32_t snap, const Loc *at, SnapMove *m)
{
    const IRSnap *s = &c->f->snaps[snap];
    const IRSnapEntry *e = c->f->snap_entries + s->first, *end = e + s->count;
    const Value *values = c->v;
    uint64_t away[(IR_MAX_REGS + 63) / 64]; /* E values, unless the snapshot replaces them */
    unsigned n = 0;
    memcpy(away, c->displaced, sizeof away);
    for (; e < end; e++) {
        const Value *v = &values[values[e->val].root];
        away[e->reg >> 6] &= ~(UINT64_C(1) << (e->reg & 63));
        bool at_home = is_at(v, at[e->reg]);
        if (likely(at_home && !e->canon)) {
            continue;
        }
        bool quiet = false;
        IRCanon canon = e->canon ? entry_canon(c, e, &quiet) : IR_CANON_NONE;
        if (!at_home || canon) {
            m[n++] = (SnapMove){ .reg = e->reg,
                                 .canon = (uint8_t)canon,
                                 .quiet = quiet,
                                 .src = at_home ? loc_home(e->reg) : value_loc(v),
                                 .imm = v->imm };
        }
    }
    for (unsigned w = 0; w < (IR_MAX_REGS + 63) / 64; w++) {
        for (uint64_t bits = away[w]; bits; bits &= bits - 1) {
            unsigned r = w * 64 + (unsigned)__builtin_ctzll(bits);
            const Value *v = &values[c->epoch + r];
            if (!is_at(v, at[r])) {
                m[n++] =
                    (SnapMove){ .reg = (uint16_t)r, .src = value_loc(v), .imm = v->imm };
            }
        }
    }
    return n;
}

static const SnapMove *collect(Ctx *c, uint32_t snap, bool head, unsigned *n)
{
    SnapMove buf[IR_MAX_REGS];
    *n = differences(c, snap, head ? c->head : host_ctx.home_loc, buf);
    if (*n == 0) {
        return NULL;
    }
    SnapMove *moves = arena_alloc(c->arena, *n * sizeof *moves);
    memcpy(moves, buf, *n * sizeof *moves);
    return moves;
}

const SnapMove *collect_moves(Ctx *c, uint32_t snap, unsigned *n)
{
    return collect(c, snap, false, n);
}

const SnapMove *collect_head_moves(Ctx *c, uint32_t snap, unsigned *n)
{
    return collect(c, snap, true, n);
}

static void emit_one(Ctx *c, const Move *m)
{
    if (m->src == LOC_CONST) {
        if (loc_is_reg(m->dst)) {
            emit_load_const(c, (unsigned)m->dst, m->imm, true);
        } else if (fits_signed(m->imm, 32)) {
            ins_store_imm32(&c->e, rm_env(loc_disp(m->dst)), (int32_t)m->imm);
        } else {
            ins_mov_imm(&c->e, RAX, m->imm);
            emit_store(c, m->dst, RAX);
        }
    } else if (loc_is_reg(m->src)) {
        if (loc_is_reg(m->dst)) {
            emit_move_reg(c, (unsigned)m->dst, (unsigned)m->src);
        } else {
            emit_store(c, m->dst, (unsigned)m->src);
        }
    } else if (loc_is_reg(m->dst)) {
        emit_load(c, (unsigned)m->dst, m->src);
    } else {
        emit_load(c, RAX, m->src);
        emit_store(c, m->dst, RAX);
    }
}

static bool is_read(const Move *m, unsigned n, unsigned except, Loc l)
{
    for (unsigned i = 0; i < n; i++) {
        if (i != except && m[i].src == l) {
            return true;
        }
    }
    return false;
}

void emit_parallel(Ctx *c, Move *m, unsigned n)
{
    unsigned saved = 0;
    while (n) {
        bool progress = false;
        for (unsigned i = 0; i < n;) {
            if (is_read(m, n, i, m[i].dst)) {
                i++;
                continue;
            }
            emit_one(c, &m[i]);
            m[i] = m[--n];
            progress = true;
        }
        if (progress || !n) {
            continue;
        }
        /* Only cycles are left. */
        Loc tmp = loc_mem(ENV_DISP(scratch) + 8 * (int32_t)(saved++ & 3));
        Move save = { .dst = tmp, .src = m[0].dst };
        emit_one(c, &save);
        for (unsigned i = 0; i < n; i++) {
            if (m[i].src == save.src) {
                m[i].src = tmp;
            }
        }
    }
}

void emit_moves(Ctx *c, const SnapMove *moves, unsigned n, const Move *extra)
{
    Move m[IR_MAX_REGS + 1];
    unsigned k = 0;
    for (unsigned i = 0; i < n; i++) {
        if (moves[i].src != loc_home(moves[i].reg)) {
            m[k++] = (Move){ .dst = loc_home(moves[i].reg),
                             .src = moves[i].src,
                             .imm = moves[i].imm };
        }
    }
    if (extra) {
        m[k++] = *extra;
    }
    emit_parallel(c, m, k);
    emit_canonical_homes(c, moves, n);
}

void emit_head_moves(Ctx *c, const SnapMove *moves, unsigned n)
{
    Move m[IR_MAX_REGS];
    for (unsigned i = 0; i < n; i++) {
        m[i] = (Move){ .dst = c->head[moves[i].reg],
                       .src = moves[i].src,
                       .imm = moves[i].imm };
    }
    emit_parallel(c, m, n);
}

void snap_values(Ctx *c, uint32_t snap, uint32_t *ids)
{
    const IRSnap *s = &c->f->snaps[snap];
    for (unsigned r = 0; r < c->guest->nregs; r++) {
        ids[r] = c->epoch + r;
    }
    for (uint32_t k = 0; k < s->count; k++) {
        const IRSnapEntry *e = &c->f->snap_entries[s->first + k];
        ids[e->reg] = ctx_id(c, e->val);
    }
}
