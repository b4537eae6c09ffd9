/*
 * Local folding: rules that look at one instruction and the definitions of its arguments.
 *
 * A rule is a comment with its pattern and the lines that apply it.  Letters: x y z any
 * value, c constants, ~ & << as in C.  A rule function returns an earlier value, AGAIN if
 * it rewrote the instruction, or IR_NONE if nothing applied.  Rules terminate because
 * each makes the instruction simpler, shortens the chain below it, or moves a constant to
 * the second place.
 *
 * Called by the builder for every instruction, so it is written to fail fast: a switch on
 * the op, then tests on ops of arguments.  The only effect is appending to `b`.
 */
#include "ir/fold.h"
#include "ir/eval.h"
#include "util/compiler.h"

#define AGAIN UINT32_MAX

typedef struct Fold {
    IRFunc *f;
    IRBuilder *b;   /* NULL: nothing can be appended */
    IRIns *ins;
} Fold;

/* The definition of argument i.  Not valid any more after something was appended. */
static inline const IRIns *def(const Fold *x, unsigned i)
{
    return &x->f->ins[x->ins->arg[i]];
}

static inline bool is_const(const Fold *x, unsigned i)
{
    return def(x, i)->op == IR_CONST;
}
static inline int64_t value(const Fold *x, unsigned i) { return def(x, i)->imm; }
static inline bool arg_is(const Fold *x, unsigned i, int64_t c)
{
    return is_const(x, i) && value(x, i) == c;
}
static inline bool is_op(const Fold *x, unsigned i, IROp op)
{
    return def(x, i)->op == op;
}
static inline bool ref_is_const(const Fold *x, IRRef r)
{
    return x->f->ins[r].op == IR_CONST;
}
static inline int64_t ref_value(const Fold *x, IRRef r) { return x->f->ins[r].imm; }
static inline IRType type_of(const Fold *x, IRRef r) { return (IRType)x->f->ins[r].type; }

/* The instruction becomes a constant of its type. */
static IRRef become_const(Fold *x, uint64_t v)
{
    IRType t = (IRType)x->ins->type;
    *x->ins = (IRIns){ .op = IR_CONST, .type = (uint8_t)t, .imm = ir_const_bits(t, v) };
    return AGAIN;
}

static IRRef become_nop(Fold *x)
{
    *x->ins = (IRIns){ .op = IR_NOP };
    return AGAIN;
}

static IRRef become_unary(Fold *x, IROp op, IRRef a)
{
    x->ins->op = (uint8_t)op;
    x->ins->arg[0] = a;
    x->ins->arg[1] = IR_NONE;
    x->ins->imm = 0;
    x->ins->aux = 0;
    return AGAIN;
}

static IRRef become_binary(Fold *x, IROp op, IRRef a, IRRef b)
{
    x->ins->op = (uint8_t)op;
    x->ins->arg[0] = a;
    x->ins->arg[1] = b;
    return AGAIN;
}

/* The same with a new constant of type t second; IR_NONE if none can be made. */
static IRRef become_binary_const(Fold *x, IROp op, IRRef a, IRType t, uint64_t c)
{
    return x->b ? become_binary(x, op, a, ir_const(x->b, t, c)) : IR_NONE;
}

static inline void swap_args(IRIns *ins)
{
    IRRef t = ins->arg[0];
    ins->arg[0] = ins->arg[1];
    ins->arg[1] = t;
}

/* ---- what is known of a value ---- */

#define MAX_DEPTH 3

static unsigned bits_used(uint64_t v)
{
    return v ? 64 - (unsigned)__builtin_clzll(v) : 0;
}

/* The smallest n known such that all bits from n upward are zero. */
static unsigned zero_width(const IRFunc *f, IRRef r, unsigned depth)
{
    const IRIns *d = &f->ins[r];
    unsigned bits = ir_type_bits((IRType)d->type), a, b;
    switch (d->op) {
    case IR_CONST: return bits_used((uint64_t)d->imm & ir_type_mask((IRType)d->type));
    case IR_LD: return d->aux & MO_SIGN ? bits : 8u << (d->aux & MO_SIZE);
    case IR_ZEXT: return ir_type_bits(ir_ref_type(f, d->arg[0]));
    case IR_SETCC: case IR_FCMP: return 1;
    case IR_SHR:
        return ir_is_const(f, d->arg[1])
                   ? bits - ((unsigned)f->ins[d->arg[1]].imm & (bits - 1))
                   : bits;
    case IR_AND: case IR_OR: case IR_XOR:
        if (depth == 0) {
            return bits;
        }
        a = zero_width(f, d->arg[0], depth - 1);
        b = zero_width(f, d->arg[1], depth - 1);
        return (d->op == IR_AND) == (a < b) ? a : b;
    default: return bits;
    }
}

/* The smallest n known such that the value is the sign extension of its low n bits. */
static unsigned sign_width(const IRFunc *f, IRRef r, unsigned depth)
{
    const IRIns *d = &f->ins[r];
    unsigned bits = ir_type_bits((IRType)d->type), a, b;
    switch (d->op) {
    case IR_CONST: return 64 - (unsigned)__builtin_clrsbll(d->imm);
    case IR_LD: case IR_AMO: case IR_CAS:
        a = 8u << (d->aux & MO_SIZE);
        return d->aux & MO_SIGN || a == bits ? a : a + 1;
    case IR_SEXT: return ir_type_bits(ir_ref_type(f, d->arg[0]));
    case IR_SAR:
        return ir_is_const(f, d->arg[1])
                   ? bits - ((unsigned)f->ins[d->arg[1]].imm & (bits - 1))
                   : bits;
    case IR_OR: case IR_XOR: case IR_SELECT:
        if (depth == 0) {
            return bits;
        }
        a = sign_width(f, d->arg[d->op == IR_SELECT ? 2 : 0], depth - 1);
        b = sign_width(f, d->arg[1], depth - 1);
        return a > b ? a : b;
    default:
        a = zero_width(f, r, depth);
        return a < bits ? a + 1 : bits;
    }
}

/* ---- add and subtract ---- */

/* (x op c1) op c2 -> x op (c1 op c2), for associative ops */
static IRRef fold_associate(Fold *x)
{
    const IRIns *a = def(x, 0);
    if (a->op != x->ins->op || !is_const(x, 1) || !ref_is_const(x, a->arg[1])) {
        return IR_NONE;
    }
    uint64_t c = ir_eval_binary((IROp)a->op, (IRType)a->type,
                                (uint64_t)ref_value(x, a->arg[1]), (uint64_t)value(x, 1));
    return become_binary_const(x, (IROp)a->op, a->arg[0], (IRType)a->type, c);
}

static IRRef fold_add(Fold *x)
{
    IRRef a = x->ins->arg[0], b = x->ins->arg[1];
    /* x + 0 -> x */
    if (arg_is(x, 1, 0)) {
        return a;
    }
    /* (x - y) + y -> x;  y + (x - y) -> x */
    if (is_op(x, 0, IR_SUB) && def(x, 0)->arg[1] == b) {
        return def(x, 0)->arg[0];
    }
    if (is_op(x, 1, IR_SUB) && def(x, 1)->arg[1] == a) {
        return def(x, 1)->arg[0];
    }
    /* x + -y -> x - y;  -x + y -> y - x */
    if (is_op(x, 1, IR_NEG)) {
        return become_binary(x, IR_SUB, a, def(x, 1)->arg[0]);
    }
    if (is_op(x, 0, IR_NEG) && !is_const(x, 1)) {
        return become_binary(x, IR_SUB, b, def(x, 0)->arg[0]);
    }
    return fold_associate(x);
}

static IRRef fold_sub(Fold *x)
{
    IRRef a = x->ins->arg[0], b = x->ins->arg[1];
    const IRIns *da = def(x, 0);
    /* x - x -> 0 */
    if (a == b) {
        return become_const(x, 0);
    }
    /* x - 0 -> x;  x - c -> x + -c */
    if (is_const(x, 1)) {
        uint64_t c = (uint64_t)value(x, 1);
        return c == 0 ? a : become_binary_const(x, IR_ADD, a, (IRType)x->ins->type, -c);
    }
    /* 0 - x -> -x */
    if (arg_is(x, 0, 0)) {
        return become_unary(x, IR_NEG, b);
    }
    /* (x + y) - y -> x;  (x + y) - x -> y */
    if (da->op == IR_ADD && (da->arg[0] == b || da->arg[1] == b)) {
        return da->arg[da->arg[0] == b];
    }
    /* x - -y -> x + y */
    if (is_op(x, 1, IR_NEG)) {
        return become_binary(x, IR_ADD, a, def(x, 1)->arg[0]);
    }
    return IR_NONE;
}

static IRRef fold_neg(Fold *x)
{
    const IRIns *a = def(x, 0);
    /* -(-x) -> x;  -(x - y) -> y - x */
    return a->op == IR_NEG   ? a->arg[0]
           : a->op == IR_SUB ? become_binary(x, IR_SUB, a->arg[1], a->arg[0])
                             : IR_NONE;
}

/* ---- multiply and divide ---- */

static bool log2_of(const Fold *x, unsigned *n)
{
    uint64_t c = (uint64_t)value(x, 1) & ir_type_mask((IRType)x->ins->type);
    if (!is_const(x, 1) || c == 0 || (c & (c - 1))) {
        return false;
    }
    *n = (unsigned)__builtin_ctzll(c);
    return true;
}

static IRRef fold_mul(Fold *x)
{
    IRRef a = x->ins->arg[0];
    IRType t = (IRType)x->ins->type;
    unsigned n;
    if (!is_const(x, 1)) {
        return IR_NONE;
    }
    /* x * 0 -> 0;  x * 1 -> x;  x * -1 -> -x */
    switch (value(x, 1)) {
    case 0: return become_const(x, 0);
    case 1: return a;
    case -1: return become_unary(x, IR_NEG, a);
    default: break;
    }
    /* x * 2**n -> x << n */
    if (log2_of(x, &n)) {
        return become_binary_const(x, IR_SHL, a, t, n);
    }
    return fold_associate(x);
}

static IRRef fold_mul_high(Fold *x)
{
    /* x *h 0 -> 0;  for mulhu x *h 1 -> 0 */
    if (arg_is(x, 1, 0) || (x->ins->op == IR_MULHU && arg_is(x, 1, 1))) {
        return become_const(x, 0);
    }
    return IR_NONE;
}

static IRRef fold_div(Fold *x)
{
    IRRef a = x->ins->arg[0];
    IRType t = (IRType)x->ins->type;
    unsigned n;
    if (!is_const(x, 1)) {
        return IR_NONE;
    }
    int64_t c = value(x, 1);
    switch (x->ins->op) {
    case IR_DIVU:
        /* x / 0 -> ~0;  x / 2**n -> x >> n */
        return c == 0          ? become_const(x, UINT64_MAX)
               : log2_of(x, &n) ? become_binary_const(x, IR_SHR, a, t, n)
                                : IR_NONE;
    case IR_DIVS:
        /* x / 0 -> -1;  x / 1 -> x;  x / -1 -> -x */
        return c == 0    ? become_const(x, UINT64_MAX)
               : c == 1  ? a
               : c == -1 ? become_unary(x, IR_NEG, a)
                         : IR_NONE;
    case IR_REMU:
        /* x % 0 -> x;  x % 2**n -> x & (2**n - 1) */
        return c == 0 ? a
               : log2_of(x, &n)
                   ? become_binary_const(x, IR_AND, a, t, (UINT64_C(1) << n) - 1)
                   : IR_NONE;
    default:
        /* x % 0 -> x;  x % 1, x % -1 -> 0 */
        return c == 0 ? a : c == 1 || c == -1 ? become_const(x, 0) : IR_NONE;
    }
}

/* ---- bitwise ---- */

static IRRef fold_and(Fold *x)
{
    IRRef a = x->ins->arg[0], b = x->ins->arg[1];
    if (is_const(x, 1)) {
        uint64_t c = (uint64_t)value(x, 1);
        unsigned width = zero_width(x->f, a, MAX_DEPTH);
        uint64_t mask = width >= 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;
        /* x & 0 -> 0;  x & c -> x if c has all bits that x can have */
        return c == 0 ? become_const(x, 0) : (c & mask) == mask ? a : fold_associate(x);
    }
    /* x & x -> x;  x & ~y -> x andn y;  ~x & y -> y andn x */
    return a == b                ? a
           : is_op(x, 1, IR_NOT) ? become_binary(x, IR_ANDN, a, def(x, 1)->arg[0])
           : is_op(x, 0, IR_NOT) ? become_binary(x, IR_ANDN, b, def(x, 0)->arg[0])
                                 : IR_NONE;
}

static IRRef fold_andn(Fold *x)
{
    IRRef a = x->ins->arg[0];
    /* x andn x -> 0;  0 andn x -> 0 */
    if (a == x->ins->arg[1] || arg_is(x, 0, 0)) {
        return become_const(x, 0);
    }
    /* x andn c -> x & ~c */
    if (is_const(x, 1)) {
        return arg_is(x, 1, 0) ? a
                               : become_binary_const(x, IR_AND, a, (IRType)x->ins->type,
                                                     ~(uint64_t)value(x, 1));
    }
    /* x andn ~y -> x & y */
    return is_op(x, 1, IR_NOT) ? become_binary(x, IR_AND, a, def(x, 1)->arg[0]) : IR_NONE;
}

/* What an i32 was extended from, when the instruction is wider; else the value itself. */
static const IRIns *narrow_def(const Fold *x, unsigned i, bool *extended, bool *is_signed)
{
    const IRIns *d = def(x, i);
    *extended = (d->op == IR_SEXT || d->op == IR_ZEXT) && type_of(x, d->arg[0]) == IR_I32;
    *is_signed = d->op == IR_SEXT;
    return *extended ? &x->f->ins[d->arg[0]] : d;
}

/* The same value, as far as can be seen before common subexpressions are merged. */
static bool same_value(const Fold *x, IRRef a, IRRef b)
{
    const IRIns *p = &x->f->ins[a], *q = &x->f->ins[b];
    return a == b || (p->op == IR_TRUNC && q->op == IR_TRUNC && p->type == q->type &&
                      p->arg[0] == q->arg[0]);
}

/*
 * (x << c) | (x >> (width - c)) -> x rotl c, and the same of i32 parts that were extended,
 * as a guest with 32-bit operations writes it: sext(x << c) | ext(x >> (32 - c)) -> sext(x rotl c).
 * The right part's sign bit is zero, so either extension of it will do.
 */
static IRRef fold_rotate(Fold *x)
{
    bool ext[2], is_signed[2];
    const IRIns *d[2];
    for (unsigned i = 0; i < 2; i++) {
        d[i] = narrow_def(x, i, &ext[i], &is_signed[i]);
    }
    unsigned left = d[0]->op == IR_SHL ? 0 : 1;
    const IRIns *l = d[left], *r = d[!left];
    if (l->op != IR_SHL || r->op != IR_SHR || !same_value(x, l->arg[0], r->arg[0]) ||
        ext[0] != ext[1] || l->type != r->type || !ref_is_const(x, l->arg[1]) || !ref_is_const(x, r->arg[1])) {
        return IR_NONE;
    }
    IRType t = (IRType)l->type;
    int64_t count = ref_value(x, l->arg[1]), bits = ir_type_bits(t);
    IRRef v = l->arg[0];
    if (count <= 0 || count + ref_value(x, r->arg[1]) != bits) {
        return IR_NONE;
    }
    if (!ext[0]) {
        return become_binary_const(x, IR_ROTL, v, t, (uint64_t)count);
    }
    if (!x->b || !is_signed[left]) {
        return IR_NONE;
    }
    IRRef c = ir_const(x->b, IR_I32, (uint64_t)count);
    return become_unary(x, IR_SEXT, ir_emit(x->b, IR_ROTL, IR_I32, 0, v, c, 0, 0));
}

static IRRef fold_or(Fold *x)
{
    /* x | x -> x;  x | 0 -> x;  x | ~0 -> ~0 */
    if (x->ins->arg[0] == x->ins->arg[1] || arg_is(x, 1, 0)) {
        return x->ins->arg[0];
    }
    if (arg_is(x, 1, -1)) {
        return become_const(x, UINT64_MAX);
    }
    IRRef r = fold_rotate(x);
    return r ? r : fold_associate(x);
}

static IRRef fold_xor(Fold *x)
{
    IRRef a = x->ins->arg[0], b = x->ins->arg[1];
    const IRIns *da = def(x, 0);
    /* x ^ x -> 0;  x ^ 0 -> x;  x ^ ~0 -> ~x */
    if (a == b) {
        return become_const(x, 0);
    }
    if (arg_is(x, 1, 0)) {
        return a;
    }
    if (arg_is(x, 1, -1)) {
        return become_unary(x, IR_NOT, a);
    }
    /* (x cond y) ^ 1 -> x !cond y */
    if (arg_is(x, 1, 1) && da->op == IR_SETCC) {
        x->ins->aux = da->aux ^ 1;
        return become_binary(x, IR_SETCC, da->arg[0], da->arg[1]);
    }
    return fold_associate(x);
}

static IRRef fold_not(Fold *x)
{
    /* ~~x -> x */
    return is_op(x, 0, IR_NOT) ? def(x, 0)->arg[0] : IR_NONE;
}

/* ---- shifts ---- */

/* (x shift c1) shift c2, the same shift */
static IRRef fold_shift_chain(Fold *x)
{
    const IRIns *a = def(x, 0);
    IRType t = (IRType)x->ins->type;
    unsigned bits = ir_type_bits(t);
    if (a->op != x->ins->op || !ref_is_const(x, a->arg[1])) {
        return IR_NONE;
    }
    IRRef inner = a->arg[0];
    unsigned n = ((unsigned)ref_value(x, a->arg[1]) & (bits - 1)) + (unsigned)value(x, 1);
    /* (x << c1) << c2 -> x << (c1 + c2), or 0 */
    if (n >= bits && x->ins->op != IR_SAR) {
        return become_const(x, 0);
    }
    return become_binary_const(x, (IROp)x->ins->op, inner, t, n >= bits ? bits - 1 : n);
}

/* (x << c) >> c, the guest's way to cut a value to fewer bits */
static IRRef fold_shift_pair(Fold *x)
{
    const IRIns *a = def(x, 0);
    IRType t = (IRType)x->ins->type;
    unsigned c = (unsigned)value(x, 1), left = ir_type_bits(t) - c;
    IRRef y = a->arg[0];
    if (a->op != IR_SHL || !x->b || !ref_is_const(x, a->arg[1]) ||
        ref_value(x, a->arg[1]) != (int64_t)c) {
        return IR_NONE;
    }
    /* (x << c) >> c -> x & mask, where the mask is cheap */
    if (x->ins->op == IR_SHR && left <= 32) {
        return become_binary_const(x, IR_AND, y, t, (UINT64_C(1) << left) - 1);
    }
    /* (x << c) sar c -> sext (trunc x), where such a type exists */
    IRType to = left == 8 ? IR_I8 : left == 16 ? IR_I16 : left == 32 ? IR_I32 : IR_VOID;
    if (x->ins->op == IR_SAR && to != IR_VOID) {
        return become_unary(x, IR_SEXT, ir_emit(x->b, IR_TRUNC, to, 0, y, 0, 0, 0));
    }
    return IR_NONE;
}

static IRRef fold_shift(Fold *x)
{
    IRType t = (IRType)x->ins->type;
    IRRef a = x->ins->arg[0];
    unsigned bits = ir_type_bits(t);
    bool rotate = x->ins->op == IR_ROTL || x->ins->op == IR_ROTR;
    /* 0 shift x -> 0;  ~0 sar x -> ~0 */
    if (arg_is(x, 0, 0) || (arg_is(x, 0, -1) && (rotate || x->ins->op == IR_SAR))) {
        return a;
    }
    if (!is_const(x, 1)) {
        const IRIns *b = def(x, 1);
        /* x shift (y & c) -> x shift y if c has all bits of a count */
        if (b->op == IR_AND && ref_is_const(x, b->arg[1]) &&
            ((uint64_t)ref_value(x, b->arg[1]) & (bits - 1)) == bits - 1) {
            x->ins->arg[1] = b->arg[0];
            return AGAIN;
        }
        return IR_NONE;
    }
    int64_t n = value(x, 1);
    /* x shift c -> x shift (c mod width);  x shift 0 -> x */
    if ((n & (bits - 1)) == 0) {
        return a;
    }
    if (n != (n & (bits - 1))) {
        return become_binary_const(x, (IROp)x->ins->op, a, t, (uint64_t)n & (bits - 1));
    }
    if (rotate) {
        return IR_NONE;
    }
    return is_op(x, 0, IR_SHL) && x->ins->op != IR_SHL ? fold_shift_pair(x)
                                                       : fold_shift_chain(x);
}

/* ---- conversions of integers ---- */

/* Conversion of a comparison: compare into the other type. */
static IRRef become_setcc(Fold *x, const IRIns *cmp)
{
    x->ins->aux = cmp->aux;
    return become_binary(x, IR_SETCC, cmp->arg[0], cmp->arg[1]);
}

static IRRef fold_trunc(Fold *x)
{
    IRType t = (IRType)x->ins->type;
    IRIns a = *def(x, 0);
    IRRef y = a.arg[0];
    switch (a.op) {
    case IR_CONST: return become_const(x, (uint64_t)a.imm);
    case IR_SEXT: case IR_ZEXT: case IR_AEXT:
        /* trunc (ext y) -> y, ext y or trunc y by the width of y */
        return type_of(x, y) == t
                   ? y
                   : become_unary(x, type_of(x, y) < t ? (IROp)a.op : IR_TRUNC, y);
    case IR_TRUNC:
        /* trunc (trunc y) -> trunc y */
        return become_unary(x, IR_TRUNC, y);
    case IR_SETCC: return become_setcc(x, &a);
    case IR_AND:
        /* trunc (y & c) -> trunc y if c has all the bits that remain */
        return ref_is_const(x, a.arg[1]) &&
                       (~(uint64_t)ref_value(x, a.arg[1]) & ir_type_mask(t)) == 0
                   ? become_unary(x, IR_TRUNC, y)
                   : IR_NONE;
    case IR_BITCAST:
        /* trunc (bitcast (box32 y)) -> bitcast y */
        return t == IR_I32 && x->f->ins[y].op == IR_BOX32
                   ? become_unary(x, IR_BITCAST, x->f->ins[y].arg[0])
                   : IR_NONE;
    default: return IR_NONE;
    }
}

static IRRef fold_extend(Fold *x)
{
    IRType t = (IRType)x->ins->type;
    bool sign = x->ins->op == IR_SEXT;
    IRIns a = *def(x, 0);
    IRRef y = a.arg[0];
    switch (a.op) {
    case IR_CONST:
        return become_const(x, sign ? (uint64_t)a.imm
                                    : (uint64_t)a.imm & ir_type_mask((IRType)a.type));
    case IR_SEXT:
        /* sext (sext y) -> sext y */
        return sign ? become_unary(x, IR_SEXT, y) : IR_NONE;
    case IR_ZEXT:
        /* sext (zext y), zext (zext y) -> zext y */
        return become_unary(x, IR_ZEXT, y);
    case IR_SETCC: return become_setcc(x, &a);
    case IR_TRUNC:
        /* ext (trunc y) -> y if that is what y looks like */
        if (type_of(x, y) == t) {
            unsigned width =
                sign ? sign_width(x->f, y, MAX_DEPTH) : zero_width(x->f, y, MAX_DEPTH);
            return width <= ir_type_bits((IRType)a.type) ? y : IR_NONE;
        }
        return IR_NONE;
    default: return IR_NONE;
    }
}

/* ---- conditions ---- */

enum { COND_FALSE, COND_TRUE, COND_REWRITTEN, COND_SAME };

static int compare_const(Fold *x)
{
    IRIns *ins = x->ins;
    IRCond c = (IRCond)ins->aux;
    const IRIns *a = def(x, 0);
    IRType t = (IRType)a->type;
    int64_t k = value(x, 1);
    if (k == 0) {
        switch (c) {
        case IR_LTU: return COND_FALSE;                     /* x <u 0 -> false */
        case IR_GEU: return COND_TRUE;                      /* x >=u 0 -> true */
        case IR_GTU: ins->aux = IR_NE; return COND_REWRITTEN; /* x >u 0 -> x != 0 */
        case IR_LEU: ins->aux = IR_EQ; return COND_REWRITTEN; /* x <=u 0 -> x == 0 */
        default: break;
        }
    }
    /* x <u 1 -> x == 0;  x >=u 1 -> x != 0 */
    if (k == 1 && (c == IR_LTU || c == IR_GEU) && x->b) {
        ins->aux = c == IR_LTU ? IR_EQ : IR_NE;
        ins->arg[1] = ir_const(x->b, t, 0);
        return COND_REWRITTEN;
    }
    if (c != IR_EQ && c != IR_NE) {
        return COND_SAME;
    }
    /* (x cond y) != 0, (x cond y) == 1 -> x cond y;  the other two -> x !cond y */
    if (a->op == IR_SETCC && (k == 0 || k == 1)) {
        ins->aux = a->aux ^ ((c == IR_NE) == k);
        ins->arg[1] = a->arg[1];
        ins->arg[0] = a->arg[0];
        return COND_REWRITTEN;
    }
    /* (x - y) ==/!= 0, (x ^ y) ==/!= 0 -> x ==/!= y */
    if (k == 0 && (a->op == IR_SUB || a->op == IR_XOR)) {
        ins->arg[1] = a->arg[1];
        ins->arg[0] = a->arg[0];
        return COND_REWRITTEN;
    }
    /* (x + c1) ==/!= c2 -> x ==/!= c2 - c1 */
    if (a->op == IR_ADD && ref_is_const(x, a->arg[1]) && x->b) {
        uint64_t diff = (uint64_t)k - (uint64_t)ref_value(x, a->arg[1]);
        ins->arg[0] = a->arg[0];
        ins->arg[1] = ir_const(x->b, t, diff);
        return COND_REWRITTEN;
    }
    return COND_SAME;
}

/* Simplify the condition of SETCC, EXITIF and BR. */
static int fold_condition(Fold *x)
{
    IRIns *ins = x->ins;
    if (is_const(x, 0)) {
        if (is_const(x, 1)) {
            return ir_cond_eval((IRCond)ins->aux, (uint64_t)value(x, 0),
                                (uint64_t)value(x, 1), (IRType)def(x, 0)->type);
        }
        /* c cond x -> x swapped cond c */
        swap_args(ins);
        ins->aux = ir_cond_swap((IRCond)ins->aux);
        return COND_REWRITTEN;
    }
    /* x cond x */
    if (ins->arg[0] == ins->arg[1]) {
        return ir_cond_eval((IRCond)ins->aux, 0, 0, IR_I64);
    }
    return is_const(x, 1) ? compare_const(x) : COND_SAME;
}

static IRRef fold_setcc(Fold *x)
{
    int c = fold_condition(x);
    return c == COND_SAME        ? IR_NONE
           : c == COND_REWRITTEN ? AGAIN
                                 : become_const(x, (unsigned)c);
}

static IRRef fold_exitif(Fold *x)
{
    int c = fold_condition(x);
    /* exitif false -> nothing; a passage that always exits is for those who see what
     * follows */
    return c == COND_REWRITTEN ? AGAIN : c == COND_FALSE ? become_nop(x) : IR_NONE;
}

static IRRef fold_br(Fold *x)
{
    return fold_condition(x) == COND_REWRITTEN ? AGAIN : IR_NONE;
}

static IRRef fold_select(Fold *x)
{
    IRIns *ins = x->ins;
    IRIns a = *def(x, 0);
    /* c ? x : y;  x ? y : y -> y */
    if (a.op == IR_CONST) {
        return ins->arg[a.imm ? 1 : 2];
    }
    if (ins->arg[1] == ins->arg[2]) {
        return ins->arg[1];
    }
    /* (x != 0) ? y : z -> x ? y : z;  (x == 0) ? y : z -> x ? z : y */
    if (a.op == IR_SETCC && (a.aux == IR_EQ || a.aux == IR_NE) &&
        ref_is_const(x, a.arg[1]) && ref_value(x, a.arg[1]) == 0) {
        ins->arg[0] = a.arg[0];
        if (a.aux == IR_EQ) {
            IRRef t = ins->arg[1];
            ins->arg[1] = ins->arg[2];
            ins->arg[2] = t;
        }
        return AGAIN;
    }
    /* x ? 1 : 0 -> x != 0;  x ? 0 : 1 -> x == 0 */
    if (ir_type_is_int((IRType)ins->type) && is_const(x, 1) && is_const(x, 2) && x->b &&
        (value(x, 1) ^ value(x, 2)) == 1 && (value(x, 1) | value(x, 2)) == 1) {
        ins->aux = value(x, 1) ? IR_NE : IR_EQ;
        ins->arg[2] = IR_NONE;
        return become_binary_const(x, IR_SETCC, ins->arg[0], (IRType)a.type, 0);
    }
    return IR_NONE;
}

/* ---- memory ---- */

static IRRef fold_address(Fold *x)
{
    const IRIns *a = def(x, 0);
    /* [(x + c) + disp] -> [x + (c + disp)] if that fits 32 bits */
    if (a->op == IR_ADD && ref_is_const(x, a->arg[1])) {
        int64_t disp =
            (int64_t)((uint64_t)x->ins->imm + (uint64_t)ref_value(x, a->arg[1]));
        if (disp == (int32_t)disp) {
            x->ins->imm = disp;
            x->ins->arg[0] = a->arg[0];
            return AGAIN;
        }
    }
    return IR_NONE;
}

/* ---- floats ---- */

static IRRef fold_bitcast(Fold *x)
{
    const IRIns *a = def(x, 0);
    if (a->op == IR_CONST) {
        return become_const(x, (uint64_t)a->imm);
    }
    /* bitcast (bitcast x) -> x */
    return a->op == IR_BITCAST && type_of(x, a->arg[0]) == (IRType)x->ins->type
               ? a->arg[0]
               : IR_NONE;
}

static IRRef fold_unbox32(Fold *x)
{
    const IRIns *a = def(x, 0);
    /* unbox32 (box32 x) -> x */
    return a->op == IR_CONST   ? become_const(x, ir_eval_unbox32((uint64_t)a->imm))
           : a->op == IR_BOX32 ? a->arg[0]
                               : IR_NONE;
}

static IRRef fold_box32(Fold *x)
{
    return is_const(x, 0) ? become_const(x, ir_eval_box32((uint64_t)value(x, 0)))
                          : IR_NONE;
}

static IRRef fold_canon(Fold *x)
{
    switch (def(x, 0)->op) {
    case IR_CANON: case IR_ITOF: case IR_FMIN: case IR_FMAX:
        /* canon x -> x: no NaN, or the right one */
        return x->ins->arg[0];
    default: return IR_NONE;
    }
}

static IRRef fold_sign(Fold *x)
{
    IRRef a = x->ins->arg[0];
    const IRIns *da = def(x, 0);
    bool same = a == x->ins->arg[1];
    switch (x->ins->op) {
    case IR_FNEG:
        /* -(-x) -> x */
        return da->op == IR_FNEG ? da->arg[0] : IR_NONE;
    case IR_FABS:
        /* abs (abs x) -> abs x;  abs (-x) -> abs x */
        return da->op == IR_FABS   ? a
               : da->op == IR_FNEG ? become_unary(x, IR_FABS, da->arg[0])
                                   : IR_NONE;
    /* sgnj x, x -> x;  sgnjn x, x -> -x;  sgnjx x, x -> abs x */
    case IR_FSGNJ: return same ? a : IR_NONE;
    case IR_FSGNJN: return same ? become_unary(x, IR_FNEG, a) : IR_NONE;
    default: return same ? become_unary(x, IR_FABS, a) : IR_NONE;
    }
}

/* Constants in, constant out. */
static IRRef fold_float_const(Fold *x)
{
    bool binary = ir_op_info[x->ins->op].nargs == 2;
    if (!is_const(x, 0) || (binary && !is_const(x, 1))) {
        return IR_NONE;
    }
    return become_const(x, ir_eval_float_bits((IROp)x->ins->op, (IRType)x->ins->type,
                                              (uint64_t)value(x, 0),
                                              binary ? (uint64_t)value(x, 1) : 0));
}

/* ---- dispatch ---- */

static IRRef fold_unary_const(Fold *x)
{
    return is_const(x, 0)
               ? become_const(x, ir_eval_unary((IROp)x->ins->op, (IRType)x->ins->type,
                                               (uint64_t)value(x, 0)))
               : IR_NONE;
}

/* Constants in, constant out; a constant second, otherwise the older value first. */
static IRRef fold_binary_common(Fold *x)
{
    IRIns *ins = x->ins;
    bool a = is_const(x, 0), b = is_const(x, 1);
    if (a && b) {
        return become_const(x,
                            ir_eval_binary((IROp)ins->op, (IRType)ins->type,
                                           (uint64_t)value(x, 0), (uint64_t)value(x, 1)));
    }
    if (ir_op_info[ins->op].flags & IRF_COMM &&
        (a || (!b && ins->arg[0] > ins->arg[1]))) {
        swap_args(ins);
    }
    return IR_NONE;
}

#define COMMON(fold)                                                                     \
    do {                                                                                 \
        IRRef r_ = fold(x);                                                              \
        if (r_ != IR_NONE) {                                                             \
            return r_;                                                                   \
        }                                                                                \
    } while (0)

static IRRef fold_once(Fold *x)
{
    switch (x->ins->op) {
    case IR_MOV: return x->ins->arg[0]; /* mov x -> x */
    case IR_ADD: COMMON(fold_binary_common); return fold_add(x);
    case IR_SUB: COMMON(fold_binary_common); return fold_sub(x);
    case IR_MUL: COMMON(fold_binary_common); return fold_mul(x);
    case IR_MULHS: case IR_MULHU: case IR_MULHSU:
        COMMON(fold_binary_common);
        return fold_mul_high(x);
    case IR_DIVS: case IR_DIVU: case IR_REMS: case IR_REMU:
        COMMON(fold_binary_common);
        return fold_div(x);
    case IR_AND: COMMON(fold_binary_common); return fold_and(x);
    case IR_ANDN: COMMON(fold_binary_common); return fold_andn(x);
    case IR_OR: COMMON(fold_binary_common); return fold_or(x);
    case IR_XOR: COMMON(fold_binary_common); return fold_xor(x);
    case IR_SHL: case IR_SHR: case IR_SAR: case IR_ROTL: case IR_ROTR:
        COMMON(fold_binary_common);
        return fold_shift(x);
    case IR_CLMUL: case IR_CLMULH: return fold_binary_common(x);
    case IR_NEG: COMMON(fold_unary_const); return fold_neg(x);
    case IR_NOT: COMMON(fold_unary_const); return fold_not(x);
    case IR_CLZ: case IR_CTZ: case IR_POPCNT: case IR_BSWAP: case IR_ORCB: case IR_BREV8:
        return fold_unary_const(x);
    case IR_TRUNC: return fold_trunc(x);
    case IR_SEXT: case IR_ZEXT: return fold_extend(x);
    case IR_SETCC: return fold_setcc(x);
    case IR_SELECT: return fold_select(x);
    case IR_EXITIF: return fold_exitif(x);
    case IR_BR: return fold_br(x);
    case IR_LD: case IR_ST: return fold_address(x);
    case IR_FENCE: return x->ins->aux ? IR_NONE : become_nop(x); /* fence of nothing */
    case IR_BITCAST: return fold_bitcast(x);
    case IR_BOX32: return fold_box32(x);
    case IR_UNBOX32: return fold_unbox32(x);
    case IR_CANON: COMMON(fold_float_const); return fold_canon(x);
    case IR_FNEG: case IR_FABS: case IR_FSGNJ: case IR_FSGNJN: case IR_FSGNJX:
        COMMON(fold_float_const);
        return fold_sign(x);
    default: return IR_NONE;
    }
}

IRRef ir_fold(IRFunc *f, IRBuilder *b, IRIns *ins)
{
    Fold x = { .f = f, .b = b, .ins = ins };
    for (;;) {
        IRRef r = fold_once(&x);
        if (r != AGAIN) {
            return r;
        }
        if (ins->op == IR_CONST || ins->op == IR_NOP) {
            return IR_NONE;
        }
    }
}
