/*
 * The walk forward: each instruction with its arguments as they have become, folded
 * again, then looked up among those computed before (common subexpressions), and what CPU
 * fields hold and fences order tracked on the way.  The builder has folded already, so
 * only what changed since is folded again.
 *
 * The table of values computed before is direct-mapped: a collision forgets the older
 * one, so the walk stays linear whatever the unit.  A value found must dominate: it
 * stands in the same block or in the entry block.  What is known of fields and fences
 * ends with the block.
 */
#include <string.h>

#include "ir/fold.h"
#include "opt/passes.h"
#include "util/hash.h"

#define TABLE_BITS 9

typedef struct Forward {
    IRFunc *f;
    uint32_t block;
    bool copies;        /* some values are copies of others now */
    bool rewritten;     /* some were rewritten in place, which concerns their users */
    OptFields fields;
    OptFences fences;
    IRRef seen[1u << TABLE_BITS];
} Forward;

static IRRef *slot_of(Forward *w, const IRIns *ins)
{
    uint64_t a = (uint64_t)ins->arg[0] << 32 | ins->arg[1];
    uint64_t b = (uint64_t)ins->arg[2] << 32 | (unsigned)ins->op << 16 |
                 (unsigned)ins->type << 8 | ins->aux;
    uint64_t h = (a + (uint64_t)ins->imm) * HASH_K0 ^ b * HASH_K1;
    h *= HASH_K0;
    return &w->seen[h >> (64 - TABLE_BITS)];
}

static bool same_value(const IRIns *a, const IRIns *b)
{
    return a->op == b->op && a->type == b->type && a->aux == b->aux &&
           a->arg[0] == b->arg[0] && a->arg[1] == b->arg[1] && a->arg[2] == b->arg[2] &&
           a->imm == b->imm;
}

static void find_common(Forward *w, IRRef at)
{
    IRFunc *f = w->f;
    const IRIns *ins = &f->ins[at];
    IRRef *slot = slot_of(w, ins), old = *slot;
    if (old && same_value(&f->ins[old], ins) &&
        (old >= f->blocks[w->block].first || old < f->blocks[0].end)) {
        opt_make_copy(f, at, old);
        w->copies = true;
    } else {
        *slot = at;
    }
}

/* The exit is always taken: it ends the unit, and what followed is no more. */
static void end_unit_at(Forward *w, IRRef at)
{
    IRFunc *f = w->f;
    IRRef last = f->blocks[0].end - 1;
    uint32_t snap = f->ins[at].snap;
    for (IRRef r = at; r < last; r++) {
        opt_make_nop(f, r);
    }
    f->ins[last] = (IRIns){ .op = IR_EXIT, .aux = IR_EXIT_JUMP, .snap = snap };
}

/* Snapshots of side exits may do that, not those of terminators. */
static bool makes_canonical(const IRFunc *f, uint32_t snap)
{
    const IRSnap *s = &f->snaps[snap];
    for (uint32_t i = 0; i < s->count; i++) {
        if (f->snap_entries[s->first + i].canon) {
            return true;
        }
    }
    return false;
}

static bool always_exits(const Forward *w, const IRIns *ins)
{
    const IRFunc *f = w->f;
    if (ins->op != IR_EXITIF || f->nblocks != 1) {
        return false;
    }
    const IRIns *a = &f->ins[ins->arg[0]], *b = &f->ins[ins->arg[1]];
    return ins->arg[0] == ins->arg[1]
               ? ir_cond_eval((IRCond)ins->aux, 0, 0, IR_I64)
               : a->op == IR_CONST && b->op == IR_CONST &&
                     ir_cond_eval((IRCond)ins->aux, (uint64_t)a->imm, (uint64_t)b->imm,
                                  (IRType)a->type);
}

static void visit(Forward *w, IRRef at)
{
    IRFunc *f = w->f;
    IRIns ins = f->ins[at];
    unsigned flags = ir_op_info[ins.op].flags;
    bool changed = w->copies && opt_skip_copies(f, &ins);
    if (changed || w->rewritten || ins.op == IR_MOV) {
        IRRef r = ir_fold(f, NULL, &ins);
        if (r != IR_NONE) {
            opt_make_copy(f, at, r);
            w->copies = true;
            return;
        }
        w->rewritten |= ins.op != f->ins[at].op;
        f->ins[at] = ins;
        if (ins.op == IR_NOP) {
            return;
        }
    }
    if (flags & IRF_PURE) {
        find_common(w, at);
        return;
    }
    if (always_exits(w, &ins) && !makes_canonical(w->f, ins.snap)) {
        end_unit_at(w, at);
        return;
    }
    if (flags & (IRF_ENVRD | IRF_ENVWR | IRF_FAULT | IRF_EXIT | IRF_TERM) &&
        opt_fields_visit(&w->fields, f, at)) {
        w->copies = true;
        return;
    }
    if (flags & (IRF_LOAD | IRF_STORE | IRF_BARRIER | IRF_EXIT)) {
        opt_fences_visit(&w->fences, f, at);
    }
}

void opt_forward(IRFunc *f)
{
    Forward w;
    w.f = f;
    w.copies = w.rewritten = false;
    memset(w.seen, 0, sizeof w.seen);
    for (w.block = 0; w.block < f->nblocks; w.block++) {
        const IRBlock *b = &f->blocks[w.block];
        w.fields.n = w.fields.next = 0;
        w.fences = (OptFences){ 0 };
        for (IRRef at = b->first; at < b->end; at++) {
            if (f->ins[at].op != IR_NOP) {
                visit(&w, at);
            }
        }
    }
    if (w.copies) {
        opt_skip_copies_in_snapshots(f);
    }
}
