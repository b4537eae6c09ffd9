/*
 * The walk backward: drops what nobody needs.
 *
 * All uses of a value stand behind it (arguments of block parameters count in full), so
 * one walk from the end knows for each value how many of its low bits are needed and, for
 * a float, whether anybody can tell one NaN from another.  From that:
 *
 *   - a value of which nothing is needed, made without effect, is gone;
 *   - an extension or mask that only sets bits nobody needs is a copy of its argument;
 *   - other extensions of which only the bits they start from are needed leave the rest
 *     open (AEXT), which costs a back end nothing;
 *   - CANON between two arithmetic operations is a copy: they make a quiet NaN of any.
 *
 * Snapshots need all of their values, but which NaN one is only if they do not make it
 * canonical themselves.  Needs live in IRIns.scratch.
 */
#include "ir/eval.h"
#include "opt/passes.h"

enum {
    BITS = 0x7f,        /* so many low bits, 0 to 64 */
    PAYLOAD = 0x80,     /* which NaN it is */
    ALL = 64 | PAYLOAD,
};

typedef struct Backward {
    IRFunc *f;
    uint32_t last_first, last_count;    /* snapshot entries marked last */
    bool copies;                        /* some were made */
} Backward;

static inline unsigned min_u(unsigned a, unsigned b) { return a < b ? a : b; }

static inline void need(IRFunc *f, IRRef r, unsigned what)
{
    uint32_t *s = &f->ins[r].scratch;
    unsigned bits = *s & BITS;
    *s = (bits > (what & BITS) ? bits : what & BITS) | ((*s | what) & PAYLOAD);
}

static void need_snapshot(Backward *w, uint32_t snap)
{
    IRFunc *f = w->f;
    const IRSnap *s = &f->snaps[snap];
    if (s->first == w->last_first && s->count == w->last_count) {
        return;
    }
    w->last_first = s->first;
    w->last_count = s->count;
    for (uint32_t i = 0; i < s->count; i++) {
        const IRSnapEntry *e = &f->snap_entries[s->first + i];
        bool any_nan = e->canon == IR_CANON_F64 ||
                       (e->canon && f->ins[e->val].op == IR_BOX32);
        need(f, e->val, any_nan ? 64 : ALL);
    }
}

static bool can_drop(const IRFunc *f, const IRIns *ins)
{
    switch (ins->op) {
    case IR_GETREG: case IR_LDENV: case IR_FPGET: return true;
    case IR_CALL: return !opt_call_has_effects(f, ins);
    default: return ir_op_info[ins->op].flags & IRF_PURE;
    }
}

/* Results that are never signalling NaNs. */
static bool makes_quiet(const IRIns *ins)
{
    switch (ins->op) {
    case IR_FADD:
    case IR_FSUB:
    case IR_FMUL:
    case IR_FDIV:
    case IR_FSQRT:
    case IR_FMA:
    case IR_FCVT:
    case IR_FMIN: case IR_FMAX: case IR_CANON: case IR_ITOF:
        return true;
    default: return false;
    }
}

/* The value that can take the place of ins when `n` says what is needed of it; or
 * IR_NONE. */
static IRRef good_enough(const IRFunc *f, const IRIns *ins, unsigned n)
{
    unsigned bits = n & BITS;
    const IRIns *a = &f->ins[ins->arg[0]];
    switch (ins->op) {
    case IR_SEXT: case IR_ZEXT:
        /* ext (trunc y), low bits only -> y */
        return a->op == IR_TRUNC && bits <= ir_type_bits((IRType)a->type) &&
                       f->ins[a->arg[0]].type == ins->type
                   ? a->arg[0]
                   : IR_NONE;
    case IR_AND: {
        /* x & c, where c has all bits needed -> x */
        const IRIns *c = &f->ins[ins->arg[1]];
        uint64_t mask = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
        return c->op == IR_CONST && ((uint64_t)c->imm & mask) == mask ? ins->arg[0]
                                                                      : IR_NONE;
    }
    case IR_CANON:
        return !(n & PAYLOAD) && makes_quiet(a) ? ins->arg[0] : IR_NONE;
    default: return IR_NONE;
    }
}

/* What ST stores, without extensions that it does not see and nobody else wants later. */
static void strip_stored(IRFunc *f, IRIns *ins)
{
    unsigned size = 8u << (ins->aux & MO_SIZE);
    for (;;) {
        const IRIns *v = &f->ins[ins->arg[1]];
        if ((v->op != IR_SEXT && v->op != IR_ZEXT) || v->scratch ||
            ir_type_bits(ir_ref_type(f, v->arg[0])) < size) {
            return;
        }
        ins->arg[1] = v->arg[0];
    }
}

static void need_shift_args(IRFunc *f, const IRIns *ins, unsigned bits)
{
    unsigned n = 64;
    if (ins->op == IR_SHL) {
        n = bits;
        if (ir_is_const(f, ins->arg[1])) {
            unsigned c =
                (unsigned)f->ins[ins->arg[1]].imm & (ir_type_bits((IRType)ins->type) - 1);
            n = bits > c ? bits - c : 1; /* the argument must stay */
        }
    }
    need(f, ins->arg[0], n);
    need(f, ins->arg[1], 8);    /* counts are below 64 */
}

/* The fixed arguments of an op that is there to stay, of which `n` is needed. */
static void need_args(IRFunc *f, const IRIns *ins, unsigned n)
{
    unsigned bits = n & BITS, size;
    switch (ins->op) {
    case IR_ADD:
    case IR_SUB:
    case IR_MUL:
    case IR_NEG:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_NOT: case IR_ANDN: case IR_TRUNC:
        need(f, ins->arg[0], bits);
        need(f, ins->arg[1], bits);
        return;
    case IR_SEXT: case IR_ZEXT: case IR_AEXT:
        need(f, ins->arg[0], min_u(bits, ir_type_bits(ir_ref_type(f, ins->arg[0]))));
        return;
    case IR_SHL: case IR_SHR: case IR_SAR: case IR_ROTL: case IR_ROTR:
        need_shift_args(f, ins, bits);
        return;
    case IR_MOV: case IR_FNEG: case IR_FABS: case IR_BOX32:
        need(f, ins->arg[0], n);
        return;
    case IR_SELECT:
        need(f, ins->arg[0], ALL);
        need(f, ins->arg[1], n);
        need(f, ins->arg[2], n);
        return;
    case IR_ST: case IR_AMO: case IR_CAS:
        size = 8u << (ins->aux & MO_SIZE);
        need(f, ins->arg[0], ALL);
        need(f, ins->arg[1], size | PAYLOAD);
        need(f, ins->arg[2], size | PAYLOAD);
        return;
    case IR_FADD:
    case IR_FSUB:
    case IR_FMUL:
    case IR_FDIV:
    case IR_FSQRT:
    case IR_FMA:
    case IR_FMIN:
    case IR_FMAX: case IR_FCMP: case IR_FCVT: case IR_FTOI: case IR_CANON:
        for (unsigned i = 0; i < ir_op_info[ins->op].nargs; i++) {
            need(f, ins->arg[i], 64);
        }
        return;
    default:
        for (unsigned i = 0; i < ir_op_info[ins->op].nargs; i++) {
            need(f, ins->arg[i], ALL);
        }
        return;
    }
}

static void visit(Backward *w, IRRef at)
{
    IRFunc *f = w->f;
    IRIns *ins = &f->ins[at];
    unsigned n = ins->scratch;
    if (!n && can_drop(f, ins)) {
        opt_make_nop(f, at);
        return;
    }
    IRRef r = ir_op_info[ins->op].flags & IRF_PURE ? good_enough(f, ins, n) : IR_NONE;
    if (r != IR_NONE) {
        opt_make_copy(f, at, r);
        w->copies = true;
        need(f, r, n);
        return;
    }
    if (ins->op == IR_ST) {
        strip_stored(f, ins);
    } else if ((ins->op == IR_SEXT || ins->op == IR_ZEXT) &&
               (n & BITS) <= ir_type_bits(ir_ref_type(f, ins->arg[0]))) {
        ins->op = IR_AEXT;
    }
    need_args(f, ins, n);
    for (unsigned i = 0; i < ins->nvar; i++) {
        need(f, f->args[ins->arg[2] + i], ALL);
    }
    if (ins->snap) {
        need_snapshot(w, ins->snap);
    }
}

static void drop_copies(IRFunc *f)
{
    for (IRRef at = 1; at < f->nins; at++) {
        opt_skip_copies(f, &f->ins[at]);
    }
    opt_skip_copies_in_snapshots(f);
    for (IRRef at = 1; at < f->nins; at++) {
        if (f->ins[at].op == IR_MOV) {
            opt_make_nop(f, at);
        }
    }
}

void opt_backward(IRFunc *f)
{
    Backward w = { .f = f, .last_first = UINT32_MAX };
    for (IRRef at = 0; at < f->nins; at++) {
        f->ins[at].scratch = 0;
    }
    for (IRRef at = f->nins - 1; at >= 1; at--) {
        if (f->ins[at].op != IR_NOP) {
            visit(&w, at);
        }
    }
    if (w.copies) {
        drop_copies(f);
    }
}
