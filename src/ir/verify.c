/*
 * The verifier: what every pass and back end may rely on, checked in one walk.  Debug
 * builds run it between passes, tests on every unit they read or make.
 *
 * Pure but for the sentence it returns, which lives in a buffer of the calling thread
 * until that thread verifies again.
 */
#include <stdarg.h>

#include "ir/ir.h"
#include "ir/text.h"
#include "util/compiler.h"

typedef struct Verifier {
    const IRFunc *f;
    uint32_t block;     /* the block at hand */
    IRRef at;           /* the instruction at hand, 0: none */
    uint32_t *idom;     /* immediate dominator of each block */
} Verifier;

static _Thread_local char sentence[256];

static const char *fail(const Verifier *v, const char *fmt, ...) attr_printf(2, 3);
static const char *fail(const Verifier *v, const char *fmt, ...)
{
    va_list ap;
    int n = 0;
    if (v->at) {
        n = snprintf(sentence, sizeof sentence, "%%%u %s: ", v->at,
                     v->f->ins[v->at].op < IR_NOPS ? ir_op_info[v->f->ins[v->at].op].name
                                                   : "?");
    }
    va_start(ap, fmt);
    vsnprintf(sentence + n, sizeof sentence - (size_t)n, fmt, ap);
    va_end(ap);
    return sentence;
}

#define TRY(check)                                                                       \
    do {                                                                                 \
        const char *err_ = (check);                                                      \
        if (err_) {                                                                      \
            return err_;                                                                 \
        }                                                                                \
    } while (0)

/* ---- dominance ---- */

static unsigned successors(const IRFunc *f, uint32_t block, uint32_t out[2])
{
    const IRIns *t = &f->ins[f->blocks[block].end - 1];
    if (t->op == IR_JUMP) {
        out[0] = (uint32_t)t->imm;
        return 1;
    }
    if (t->op == IR_BR) {
        out[0] = (uint32_t)t->imm;
        out[1] = (uint32_t)((uint64_t)t->imm >> 32);
        return 2;
    }
    return 0;
}

#define UNREACHED UINT32_MAX

/*
 * Immediate dominators.  A block comes after its dominators (checked: an edge from a
 * block not yet reached goes backward), so the walk up meets at the smaller number.
 */
static void find_dominators(const IRFunc *f, uint32_t *idom)
{
    for (uint32_t i = 1; i < f->nblocks; i++) {
        idom[i] = UNREACHED;
    }
    idom[0] = 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < f->nblocks; i++) {
            uint32_t to[2];
            unsigned n = idom[i] == UNREACHED ? 0 : successors(f, i, to);
            for (unsigned k = 0; k < n; k++) {
                uint32_t a = i, b = idom[to[k]];
                if (b == UNREACHED) {
                    idom[to[k]] = a;
                    changed = true;
                    continue;
                }
                while (a != b) {
                    if (a > b) {
                        a = idom[a];
                    } else {
                        b = idom[b];
                    }
                }
                changed |= idom[to[k]] != a;
                idom[to[k]] = a;
            }
        }
    }
}

static uint32_t block_of(const IRFunc *f, IRRef r)
{
    uint32_t lo = 0, hi = f->nblocks - 1;
    while (lo < hi) {
        uint32_t mid = (lo + hi + 1) / 2;
        if (f->blocks[mid].first <= r) {
            lo = mid;
        } else {
            hi = mid - 1;
        }
    }
    return lo;
}

static const char *check_use(const Verifier *v, IRRef r, const char *what)
{
    const IRFunc *f = v->f;
    if (r == IR_NONE || r >= f->nins) {
        return fail(v, "%s %%%u does not exist", what, r);
    }
    if (f->ins[r].type == IR_VOID || f->ins[r].op == IR_NOP) {
        return fail(v, "%s %%%u has no value", what, r);
    }
    if (r >= v->at) {
        return fail(v, "%s %%%u is not defined yet", what, r);
    }
    uint32_t def = block_of(f, r), b = v->block;
    while (b > def) {
        b = v->idom[b];
    }
    return b == def ? NULL : fail(v, "%s %%%u does not dominate its use", what, r);
}

/* ---- signatures ---- */

static bool type_fits(char letter, IRType t, IRType own, IRType previous)
{
    switch (letter) {
    case 'v': return t == IR_VOID;
    case 'T': return t == own && ir_type_is_int(t);
    case 'F': return t == own && ir_type_is_float(t);
    case 'X': return t == own && t != IR_VOID;
    case 'L': return t == IR_I64;
    case 'W': return t == IR_I32;
    case 'i': return ir_type_is_int(t);
    case 'g': return ir_type_is_float(t);
    case 'x': return t != IR_VOID;
    case '=': return t == previous;
    default: return false;
    }
}

static const char *check_args(const Verifier *v, const IRIns *ins, const IROpInfo *info)
{
    const IRFunc *f = v->f;
    IRType own = (IRType)ins->type, previous = IR_VOID;
    if (own >= IR_NTYPES) {
        return fail(v, "unknown type");
    }
    if (own == IR_V128) {
        return fail(v, "v128 is not implemented");
    }
    /* A helper may return nothing. */
    if (ins->op != IR_CALL && !type_fits(info->sig[0], own, own, IR_VOID)) {
        return fail(v, "result has the wrong type");
    }
    for (unsigned i = 0; i < 3; i++) {
        if (i >= info->nargs) {
            if (ins->arg[i] && !(info->variadic && i == 2)) {
                return fail(v, "argument %u should not be there", i + 1);
            }
            continue;
        }
        TRY(check_use(v, ins->arg[i], "argument"));
        IRType t = ir_ref_type(f, ins->arg[i]);
        if (!type_fits(info->sig[1 + i], t, own, previous)) {
            return fail(v, "argument %u has the wrong type", i + 1);
        }
        previous = t;
    }
    if (ins->nvar && !info->variadic) {
        return fail(v, "takes no argument list");
    }
    if (ins->nvar && (ins->arg[2] > f->nargs || f->nargs - ins->arg[2] < ins->nvar)) {
        return fail(v, "argument list out of range");
    }
    for (unsigned i = 0; i < ins->nvar; i++) {
        TRY(check_use(v, f->args[ins->arg[2] + i], "argument"));
    }
    return NULL;
}

/* ---- aux and imm ---- */

static const char *check_memop(const Verifier *v, const IRIns *ins)
{
    unsigned size = 1u << (ins->aux & MO_SIZE);
    if ((ins->aux & MO_SIZE) > MO_64 ||
        ins->aux & ~(MO_SIZE | MO_SIGN | MO_ALIGN | MO_PLAIN | MO_BACKOFF) ||
        (ins->op != IR_CAS && ins->aux & MO_BACKOFF)) {
        return fail(v, "bad memop");
    }
    IRType t = ins->op == IR_ST ? ir_ref_type(v->f, ins->arg[1]) : (IRType)ins->type;
    if (ir_type_is_float(t) ? size != ir_type_size(t) : size > ir_type_size(t)) {
        return fail(v, "access does not fit its type");
    }
    if ((ins->op == IR_ST || ir_type_is_float(t)) && (ins->aux & MO_SIGN)) {
        return fail(v, "nothing to extend");
    }
    if (ins->op == IR_AMO && (uint64_t)ins->imm >= IR_NAMOS) {
        return fail(v, "unknown atomic operation");
    }
    if (ins->op == IR_CAS && ins->imm) {
        return fail(v, "imm must be 0");
    }
    if ((ins->op == IR_LD || ins->op == IR_ST) && ins->imm != (int32_t)ins->imm) {
        return fail(v, "displacement does not fit 32 bits");
    }
    return NULL;
}

static const char *check_convert(const Verifier *v, const IRIns *ins)
{
    IRType t = (IRType)ins->type, from = ir_ref_type(v->f, ins->arg[0]);
    unsigned to_size = ir_type_size(t), from_size = ir_type_size(from);
    bool ok = true;
    switch (ins->op) {
    case IR_TRUNC: ok = to_size < from_size; break;
    case IR_SEXT: case IR_ZEXT: case IR_AEXT: ok = to_size > from_size; break;
    case IR_FCVT: ok = t != from; break;
    case IR_BITCAST:
        ok = to_size == from_size && ir_type_is_int(t) != ir_type_is_int(from);
        break;
    case IR_BOX32: ok = t == IR_F64 && from == IR_F32; break;
    case IR_UNBOX32: ok = t == IR_F32 && from == IR_F64; break;
    case IR_FTOI: ok = to_size >= 4; break;
    case IR_ITOF: ok = from_size >= 4; break;
    default: break;
    }
    return ok ? NULL : fail(v, "cannot convert these types");
}

/* The largest aux of each kind. */
static int aux_limit(IROp op)
{
    switch (ir_aux_kind(op)) {
    case IR_AUX_COND: return IR_NCONDS - 1;
    case IR_AUX_ROUND: return IR_RM_RUP;
    case IR_AUX_FCMP: return IR_FLE;
    case IR_AUX_ORDER: return IR_ORD_ALL;
    case IR_AUX_EXIT: return IR_EXIT_LOOKUP;
    case IR_AUX_MEMOP: return UINT8_MAX;
    default: return 0;
    }
}

static const char *check_exit(const Verifier *v, const IRIns *ins)
{
    if (ins->op == IR_EXIT && ins->aux == IR_EXIT_RET) {
        return fail(v, "a return goes through exitind");
    }
    if (ins->op == IR_EXITIND && ins->aux == IR_EXIT_REASON) {
        return fail(v, "a reason goes through exit");
    }
    if (ins->imm && ins->aux != IR_EXIT_CALL && ins->aux != IR_EXIT_REASON) {
        return fail(v, "imm must be 0");
    }
    return NULL;
}

static const char *check_imm(const Verifier *v, const IRIns *ins)
{
    IRType t = (IRType)ins->type;
    switch (ins->op) {
    case IR_CONST:
        return ins->imm == ir_const_bits(t, (uint64_t)ins->imm)
                   ? NULL
                   : fail(v, "constant too wide");
    case IR_GETREG:
        if ((uint64_t)ins->imm >= v->f->guest->nregs) {
            return fail(v, "no such register");
        }
        if (t != v->f->guest->regs[ins->imm].type) {
            return fail(v, "result has the wrong type");
        }
        return v->block ? fail(v, "outside the entry block") : NULL;
    case IR_COUNT:
        return (uint64_t)ins->imm > UINT16_MAX ? fail(v, "imm out of range")
               : v->at != 1                    ? fail(v, "is not the unit's first")
                                               : NULL;
    case IR_LDENV: case IR_STENV:
        return (uint64_t)ins->imm > INT32_MAX ? fail(v, "offset out of range") : NULL;
    case IR_FMA:
        return (uint64_t)ins->imm > 3 ? fail(v, "imm out of range") : NULL;
    case IR_FTOI: case IR_ITOF:
        return (uint64_t)ins->imm > 1 ? fail(v, "imm out of range")
                                      : check_convert(v, ins);
    case IR_BSWAP:
        return t == IR_I8 ? fail(v, "a byte has no byte order") : NULL;
    case IR_LD: case IR_ST: case IR_AMO: case IR_CAS: return check_memop(v, ins);
    case IR_EXIT: case IR_EXITIND: return check_exit(v, ins);
    case IR_PARAM: case IR_CALL: case IR_JUMP: case IR_BR: return NULL;
    default: break;
    }
    if (ins->imm) {
        return fail(v, "imm must be 0");
    }
    return check_convert(v, ins);
}

/* ---- snapshots ---- */

static const char *check_snapshot(const Verifier *v, const IRIns *ins)
{
    const IRFunc *f = v->f;
    bool may = ir_op_info[ins->op].flags & (IRF_FAULT | IRF_EXIT), must = may;
    bool settled = ir_op_info[ins->op].flags & IRF_TERM;
    if (ins->op == IR_CALL) {
        must = ir_helper_needs_snap(&f->guest->helpers[ins->imm]);
        settled = f->guest->helpers[ins->imm].flags & IRH_REGS;
    }
    if (!ins->snap) {
        return must ? fail(v, "has no snapshot") : NULL;
    }
    if (!may) {
        return fail(v, "has a snapshot but cannot leave");
    }
    if (ins->snap >= f->nsnaps) {
        return fail(v, "snapshot %u does not exist", ins->snap);
    }
    const IRSnap *s = &f->snaps[ins->snap];
    if (s->first > f->nsnap_entries || f->nsnap_entries - s->first < s->count) {
        return fail(v, "snapshot entries out of range");
    }
    if (ins->op == IR_LOOP && s->pc != f->pc) {
        return fail(v, "loops to another pc than the unit's");
    }
    for (uint32_t i = 0; i < s->count; i++) {
        const IRSnapEntry *e = &f->snap_entries[s->first + i];
        if (e->reg >= f->guest->nregs) {
            return fail(v, "snapshot names register %u", e->reg);
        }
        if (i && e->reg <= e[-1].reg) {
            return fail(v, "snapshot is not in ascending order");
        }
        if (e->canon >= IR_NCANONS ||
            (e->canon && f->guest->regs[e->reg].type != IR_F64)) {
            return fail(v, "snapshot cannot make %s canonical",
                        f->guest->regs[e->reg].name);
        }
        if (e->canon && settled) {
            return fail(v, "the snapshot's values must be canonical already");
        }
        TRY(check_use(v, e->val, "snapshot value"));
        if (ir_ref_type(f, e->val) != f->guest->regs[e->reg].type) {
            return fail(v, "snapshot value %%%u has the wrong type for %s", e->val,
                        f->guest->regs[e->reg].name);
        }
    }
    return NULL;
}

/* ---- calls and blocks ---- */

static const char *check_call(const Verifier *v, const IRIns *ins)
{
    const IRGuest *g = v->f->guest;
    if ((uint64_t)ins->imm >= g->nhelpers) {
        return fail(v, "no such helper");
    }
    const IRHelper *h = &g->helpers[ins->imm];
    if (ins->nvar != h->nargs || ins->nvar > IR_CALL_ARGS) {
        return fail(v, "%s takes %u arguments", h->name, h->nargs);
    }
    if (ins->type != h->ret) {
        return fail(v, "result has the wrong type");
    }
    if ((h->flags & IRH_REGS) && v->block) {
        return fail(v, "%s uses the registers, so only the entry block may call it",
                    h->name);
    }
    return NULL;
}

/* One edge: the target exists, its parameters match args[first..]. */
static const char *check_edge(const Verifier *v, uint32_t to, uint32_t first, unsigned n)
{
    const IRFunc *f = v->f;
    if (to >= f->nblocks) {
        return fail(v, "block %u does not exist", to);
    }
    if (to == 0) {
        return fail(v, "only loop goes back to the entry");
    }
    if (f->blocks[to].nparams != n) {
        return fail(v, "block %u takes %u arguments", to, f->blocks[to].nparams);
    }
    for (unsigned i = 0; i < n; i++) {
        if (ir_ref_type(f, f->args[first + i]) !=
            ir_ref_type(f, f->blocks[to].first + i)) {
            return fail(v, "argument %u of block %u has the wrong type", i + 1, to);
        }
    }
    return NULL;
}

static const char *check_edges(const Verifier *v, const IRIns *ins)
{
    if (ins->op == IR_JUMP) {
        return check_edge(v, (uint32_t)ins->imm, ins->arg[2], ins->nvar);
    }
    uint32_t yes = (uint32_t)ins->imm, no = (uint32_t)((uint64_t)ins->imm >> 32);
    unsigned nyes = yes < v->f->nblocks ? v->f->blocks[yes].nparams : 0;
    if (nyes > ins->nvar) {
        return fail(v, "block %u takes %u arguments", yes, nyes);
    }
    TRY(check_edge(v, yes, ins->arg[2], nyes));
    return check_edge(v, no, ins->arg[2] + nyes, ins->nvar - nyes);
}

static const char *check_ins(const Verifier *v)
{
    const IRFunc *f = v->f;
    const IRIns *ins = &f->ins[v->at];
    const IRBlock *b = &f->blocks[v->block];
    if (ins->op >= IR_NOPS) {
        return fail(v, "unknown op %u", ins->op);
    }
    const IROpInfo *info = &ir_op_info[ins->op];
    if ((v->at == b->end - 1) != !!(info->flags & IRF_TERM)) {
        return fail(v, v->at == b->end - 1 ? "block does not end with a terminator"
                                           : "terminator inside a block");
    }
    bool in_params = v->at < b->first + b->nparams;
    if ((ins->op == IR_PARAM) != in_params ||
        (in_params && ins->imm != (int64_t)(v->at - b->first))) {
        return fail(v, "parameters come first and in order");
    }
    TRY(check_args(v, ins, info));
    if (ins->aux > aux_limit((IROp)ins->op)) {
        return fail(v, "aux out of range");
    }
    TRY(check_imm(v, ins));
    if (ins->op == IR_CALL) {
        TRY(check_call(v, ins));
    }
    TRY(check_snapshot(v, ins));
    return ins->op == IR_JUMP || ins->op == IR_BR ? check_edges(v, ins) : NULL;
}

static const char *check_blocks(const Verifier *v)
{
    const IRFunc *f = v->f;
    IRRef expected = 1;
    for (uint32_t i = 0; i < f->nblocks; i++) {
        const IRBlock *b = &f->blocks[i];
        if (b->first != expected || b->end <= b->first || b->end > f->nins) {
            return fail(v, "block %u is empty or does not follow the one before", i);
        }
        if (b->nparams >= b->end - b->first) {
            return fail(v, "block %u has too many parameters", i);
        }
        expected = b->end;
        uint32_t to[2];
        unsigned n = successors(f, i, to);
        for (unsigned k = 0; k < n; k++) {
            if (to[k] >= f->nblocks) {
                return fail(v, "block %u does not exist", to[k]);
            }
        }
    }
    if (f->nblocks == 0 || f->blocks[0].nparams) {
        return fail(v, "the entry block has no parameters");
    }
    return expected == f->nins ? NULL : fail(v, "instructions behind the last block");
}

#define MAX_BLOCKS 4096

const char *ir_verify(const IRFunc *f)
{
    static _Thread_local uint32_t idom[MAX_BLOCKS];
    Verifier v = { .f = f, .idom = idom };
    if (f->nins == 0 || f->ins[0].op != IR_NOP) {
        return fail(&v, "instruction 0 is not a nop");
    }
    if (f->nblocks > MAX_BLOCKS) {
        return fail(&v, "more than %u blocks", MAX_BLOCKS);
    }
    TRY(check_blocks(&v));
    find_dominators(f, idom);
    for (v.block = 0; v.block < f->nblocks; v.block++) {
        const IRBlock *b = &f->blocks[v.block];
        if (idom[v.block] == UNREACHED) {
            v.at = 0;
            return fail(&v, "block %u is not reachable", v.block);
        }
        if (idom[v.block] > v.block) {
            v.at = 0;
            return fail(&v, "block %u comes before its dominator", v.block);
        }
        for (v.at = b->first; v.at < b->end; v.at++) {
            TRY(check_ins(&v));
        }
    }
    return NULL;
}
