/*
 * Random IR.
 *
 * A step picks an op by category and arguments from pools, one pool for each type (and
 * one more for floats that may be any NaN).  Choices depend on the seed and on pool sizes
 * alone, never on what folding made of an instruction, so that a seed is the same program
 * with and without folding.
 */
#include <string.h>

#include "ir-gen.h"

#include "ir/eval.h"
#include "ir/gen.h"

#define POOL 96
enum { RAW_F32 = IR_NTYPES, RAW_F64, NPOOLS };

typedef struct Pool {
    IRRef ref[POOL];
    unsigned n;
} Pool;

typedef struct Gen {
    IRBuilder b;
    const IRRandomOptions *o;
    uint64_t rng;
    uint64_t pc;
    Pool pool[NPOOLS];
    bool no_puts;           /* inside the arms of a diamond */
    unsigned loop_reg;
    uint8_t raw[IR_MAX_REGS];   /* IRCanon: what was put there last */
} Gen;

/* splitmix64 */
static uint64_t next(uint64_t *s)
{
    uint64_t z = (*s += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static unsigned below(Gen *g, unsigned n) { return (unsigned)(next(&g->rng) % n); }
static bool one_in(Gen *g, unsigned n) { return below(g, n) == 0; }

static uint64_t random_float(uint64_t *s, IRType type)
{
    static const uint32_t f32[] = {
        0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000,
        0x7fc00000, 0xffc00000, 0x7f800001, 0xffa12345, 1,          0x80000001,
        0x007fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x4f000000, 0xcf000000,
        0x5f000000, 0x5f800000, 0x3f000000, 0x3fc00000, 0x4effffff,
    };
    static const uint64_t f64[] = {
        0, UINT64_C(1) << 63, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000,
        0xfff0000000000000, 0x7ff8000000000000, 0xfff8000000000000, 0x7ff0000000000001,
        0xfff4123456789abc, 1, 0x8000000000000001, 0x000fffffffffffff, 0x0010000000000000,
        0x7fefffffffffffff, 0xffefffffffffffff, 0x41e0000000000000, 0xc1e0000000000000,
        0x43e0000000000000, 0x43f0000000000000, 0x3fe0000000000000, 0x3ff8000000000000,
        0x41dfffffffe00000, 0xffffffff3f800000, 0x380fffffffffffff, 0x47efffffe0000000,
    };
    uint64_t r = next(s), bits = next(s);
    if (r & 1) {
        return type == IR_F32 ? f32[(r >> 8) % (sizeof f32 / sizeof *f32)]
                              : f64[(r >> 8) % (sizeof f64 / sizeof *f64)];
    }
    if (r & 2) {
        return type == IR_F32 ? (uint32_t)bits : bits;
    }
    /* Exponents near 0, so that sums and products stay finite and round. */
    return type == IR_F32
               ? (bits & 0x807fffff) | (uint64_t)(120 + (r >> 8) % 16) << 23
               : (bits & 0x800fffffffffffff) | (uint64_t)(1010 + (r >> 8) % 32) << 52;
}

uint64_t ir_random_value(uint64_t *s, IRType type)
{
    if (ir_type_is_float(type)) {
        return random_float(s, type);
    }
    uint64_t r = next(s), bits = next(s);
    unsigned width = ir_type_bits(type);
    switch (r & 7) {
    case 0: return (int64_t)(r >> 8) % 4 - 1;
    case 1: return (UINT64_C(1) << (r >> 8) % width) - ((r >> 16) & 1);
    case 2: return -(UINT64_C(1) << (r >> 8) % width);
    case 3: return (uint64_t)((int64_t)(bits << 52) >> 52);
    case 4: return (uint64_t)(int32_t)bits;
    default: return bits;
    }
}

static void push(Gen *g, unsigned pool, IRRef r)
{
    Pool *p = &g->pool[pool];
    if (p->n < POOL) {
        p->ref[p->n++] = r;
    } else {
        p->ref[below(g, POOL)] = r;
    }
}

static IRRef pick_from(Gen *g, unsigned pool)
{
    const Pool *p = &g->pool[pool];
    unsigned i = below(g, p->n), k = below(g, p->n);
    return p->ref[i > k ? i : k]; /* rather a late one */
}

/* A value of the type; now and then a constant. */
static IRRef pick(Gen *g, IRType type)
{
    bool fresh = one_in(g, 6);
    uint64_t v = ir_random_value(&g->rng, type);
    if (fresh || g->pool[type].n == 0) {
        return ir_const(&g->b, type, v);
    }
    return pick_from(g, type);
}

/* An argument whose NaN payload does not matter. */
static IRRef pick_raw(Gen *g, IRType type)
{
    unsigned raw = type == IR_F32 ? RAW_F32 : RAW_F64;
    return one_in(g, 3) && g->pool[raw].n ? pick_from(g, raw) : pick(g, type);
}

/* A result that may be any NaN. */
static void push_raw(Gen *g, IRType type, IRRef r)
{
    if (one_in(g, 4)) {
        push(g, type == IR_F32 ? RAW_F32 : RAW_F64, r);
    } else {
        push(g, type, ir_gen_canon(&g->b, r));
    }
}

static IRType int_type(Gen *g)
{
    static const uint8_t types[] = {
        IR_I64, IR_I64, IR_I64, IR_I32, IR_I32, IR_I8, IR_I16
    };
    return (IRType)types[below(g, g->o->small_ints ? 7 : 5)];
}

static IRType float_type(Gen *g) { return one_in(g, 2) ? IR_F32 : IR_F64; }

static uint32_t snap(Gen *g)
{
    g->pc += 2 + 2 * below(g, 2);
    return g->b.ndone && one_in(g, 2) ? ir_snapshot_before(&g->b, g->pc) : ir_snapshot(&g->b, g->pc);
}

/* ---- steps ---- */

static void step_binary(Gen *g)
{
    static const uint8_t ops[] = {
        IR_ADD,  IR_SUB,  IR_MUL,  IR_MULHS, IR_MULHU, IR_MULHSU, IR_DIVS,
        IR_DIVU, IR_REMS, IR_REMU, IR_AND,   IR_OR,    IR_XOR,    IR_ANDN,
        IR_SHL,  IR_SHR,  IR_SAR,  IR_ROTL,  IR_ROTR,  IR_ADD,    IR_SUB,
        IR_AND,  IR_SHL,  IR_SHR,  IR_SAR,   IR_CLMUL, IR_CLMULH,
    };
    IROp op = (IROp)ops[below(g, sizeof ops)];
    IRType t = op == IR_CLMUL || op == IR_CLMULH ? IR_I64 : int_type(g);
    IRRef x = pick(g, t), y = pick(g, t);
    push(g, t, ir_emit(&g->b, op, t, 0, x, y, 0, 0));
}

static void step_unary(Gen *g)
{
    static const uint8_t ops[] = { IR_NEG,  IR_NOT,   IR_CLZ, IR_CTZ,  IR_POPCNT,
                                   IR_ORCB, IR_BREV8, IR_MOV, IR_BSWAP };
    IRType t = int_type(g);
    IROp op = (IROp)ops[below(g, sizeof ops - (t == IR_I8))];
    push(g, t, ir_emit(&g->b, op, t, 0, pick(g, t), 0, 0, 0));
}

static void step_convert(Gen *g)
{
    unsigned from = IR_I8 + below(g, 4), to = IR_I8 + below(g, 4);
    if (from == to) {
        from = IR_I64;
        to = IR_I32;
    }
    IROp op = to < from      ? IR_TRUNC
              : one_in(g, 2) ? IR_SEXT
              : one_in(g, 2) ? IR_ZEXT
                             : IR_AEXT;
    IRRef r = ir_emit(&g->b, op, (IRType)to, 0, pick(g, (IRType)from), 0, 0, 0);
    if (op == IR_AEXT) { /* the bits above may be anything */
        r = ir_emit(&g->b, IR_AND, (IRType)to, 0, r,
                    ir_const(&g->b, (IRType)to, ir_type_mask((IRType)from)), 0, 0);
    }
    push(g, to, r);
}

static void step_setcc(Gen *g)
{
    IRType t = int_type(g), to = int_type(g);
    IRCond c = (IRCond)below(g, IR_NCONDS);
    IRRef x = pick(g, t), y = pick(g, t);
    push(g, to, ir_gen_setcc(&g->b, to, c, x, y));
}

static void step_select(Gen *g)
{
    IRType t = g->o->fp && one_in(g, 4) ? float_type(g) : int_type(g), ct = int_type(g);
    IRRef c = pick(g, ct), x = pick(g, t), y = pick(g, t);
    push(g, t, ir_gen_select(&g->b, c, x, y));
}

/* A register that is to be canonical once somebody looks. */
static void put_raw(Gen *g, unsigned reg)
{
    bool single = one_in(g, 2);
    g->raw[reg] = single ? IR_CANON_BOXED_F32 : IR_CANON_F64;
    const Pool *p = &g->pool[single ? RAW_F32 : RAW_F64];
    IRRef v = p->n && !one_in(g, 6) ? pick_from(g, single ? RAW_F32 : RAW_F64)
                                    : pick(g, single ? IR_F32 : IR_F64);
    if (single) {
        ir_put_reg_raw(&g->b, reg, ir_gen_box32(&g->b, v), IR_CANON_BOXED_F32);
    } else {
        ir_put_reg_raw(&g->b, reg, v, IR_CANON_F64);
    }
}

static void step_put(Gen *g)
{
    unsigned reg = below(g, g->b.f->guest->nregs);
    IRType t = g->b.f->guest->regs[reg].type;
    if (t == IR_F64 && g->o->fp && !g->no_puts && !one_in(g, 3)) {
        put_raw(g, reg);
        return;
    }
    IRRef v = one_in(g, 8) && !g->no_puts ? ir_get_reg(&g->b, reg) : pick(g, t);
    if (!g->no_puts && !(g->o->loop && reg == g->loop_reg)) {
        ir_put_reg(&g->b, reg, v);
        g->raw[reg] = IR_CANON_NONE;
    }
}

static void step_get(Gen *g)
{
    unsigned reg = below(g, g->b.f->guest->nregs);
    if (g->raw[reg] && one_in(g, 2)) {
        IRRef raw = ir_get_reg_raw(&g->b, reg);
        bool single = g->raw[reg] == IR_CANON_BOXED_F32;
        push(g, single ? RAW_F32 : RAW_F64, single ? ir_gen_unbox32(&g->b, raw) : raw);
        return;
    }
    push(g, g->b.f->guest->regs[reg].type, ir_get_reg(&g->b, reg));
}

/* An address whose access of 8 bytes at displacement 0..7 stays inside. */
static IRRef random_address(Gen *g, bool aligned)
{
    uint64_t mask = g->o->mem_size / 2 - 1;
    mask &= aligned ? ~UINT64_C(7) : UINT64_MAX;
    IRRef x = ir_gen_and(&g->b, pick(g, IR_I64), ir_const(&g->b, IR_I64, mask));
    return ir_gen_add(&g->b, x, ir_const(&g->b, IR_I64, g->o->mem_base));
}

static IRType access_type(Gen *g, unsigned *memop)
{
    *memop = below(g, 4);
    if (g->o->fp && one_in(g, 4)) {
        *memop = 2 + below(g, 2);
        return *memop == MO_32 ? IR_F32 : IR_F64;
    }
    return *memop == MO_64 || one_in(g, 2) ? IR_I64 : IR_I32;
}

static void step_memory(Gen *g)
{
    unsigned memop;
    IRType t = access_type(g, &memop);
    bool store = one_in(g, 2);
    IRRef addr = random_address(g, !g->o->misaligned);
    int64_t disp = g->o->misaligned ? (int64_t)below(g, 8) : 8 * (int64_t)below(g, 3);
    memop |= ir_type_is_int(t) && !store && one_in(g, 2) ? MO_SIGN : 0;
    if (store) {
        IRRef v = pick(g, t);
        ir_gen_st(&g->b, snap(g), memop, addr, disp, v);
    } else {
        push(g, t, ir_gen_ld(&g->b, snap(g), t, memop, addr, disp));
    }
}

static void step_atomic(Gen *g)
{
    unsigned memop = below(g, 4);
    IRType t = memop == MO_64 || one_in(g, 2) ? IR_I64 : IR_I32;
    memop |= one_in(g, 2) ? MO_SIGN : 0;
    memop |= one_in(g, 3) ? MO_PLAIN : 0;
    memop |= one_in(g, 2) ? MO_ALIGN : 0;
    IRRef addr = random_address(g, true), x = pick(g, t), y = pick(g, t);
    IRRef r;
    switch (below(g, 4)) {
    case 0:
        ir_gen_fence(&g->b, 1 + below(g, 15));
        return;
    case 1: {
        /* Compare with what is there, more often than not. */
        IRRef expected = one_in(g, 3) ? y
                                      : ir_gen_ld(&g->b, snap(g), t,
                                                  memop & ~MO_PLAIN & ~MO_ALIGN, addr, 0);
        memop |= one_in(g, 2) ? MO_BACKOFF : 0;
        r = ir_gen_cas(&g->b, snap(g), t, memop, addr, expected, x);
        break;
    }
    default:
        r = ir_gen_amo(&g->b, snap(g), t, memop, (IRAmo)below(g, IR_NAMOS), addr, x);
        break;
    }
    push(g, t, r);
}

static void step_env(Gen *g)
{
    size_t offset = g->o->env_offset + 8 * below(g, g->o->env_count);
    IRType t = one_in(g, 4) ? IR_I32 : IR_I64;
    if (one_in(g, 2)) {
        push(g, t, ir_gen_ldenv(&g->b, t, offset));
    } else {
        ir_gen_stenv(&g->b, offset, pick(g, t));
    }
}

static void step_fp_arith(Gen *g)
{
    static const uint8_t ops[] = { IR_FADD,  IR_FSUB, IR_FMUL, IR_FDIV,
                                   IR_FSQRT, IR_FMA,  IR_FMA };
    IROp op = (IROp)ops[below(g, sizeof ops)];
    IRType t = float_type(g);
    unsigned rm = one_in(g, 3) ? below(g, 5) : IR_RM_DYN, neg = below(g, 4);
    IRRef x = pick_raw(g, t), y = pick_raw(g, t), z = pick_raw(g, t);
    push_raw(g, t,
             ir_emit(&g->b, op, t, rm, x, op == IR_FSQRT ? 0 : y, op == IR_FMA ? z : 0,
                     op == IR_FMA ? neg : 0));
}

static void step_fp_convert(Gen *g)
{
    IRType t = float_type(g), i = one_in(g, 2) ? IR_I32 : IR_I64;
    unsigned rm = one_in(g, 2) ? below(g, 5) : IR_RM_DYN;
    bool is_unsigned = one_in(g, 2);
    IRRef x;
    switch (below(g, 7)) {
    case 0:
        x = pick_raw(g, t == IR_F32 ? IR_F64 : IR_F32);
        push_raw(g, t, ir_gen_fcvt(&g->b, t, (IRRound)rm, x));
        break;
    case 1:
        push(g, i, ir_gen_ftoi(&g->b, i, (IRRound)rm, pick_raw(g, t), is_unsigned));
        break;
    case 2:
        push(g, t, ir_gen_itof(&g->b, t, (IRRound)rm, pick(g, i), is_unsigned));
        break;
    case 3:
        x = pick(g, t);
        i = t == IR_F32 ? IR_I32 : IR_I64;
        push(g, i, ir_gen_bitcast(&g->b, i, x));
        break;
    case 4:
        x = pick(g, i);
        t = i == IR_I32 ? IR_F32 : IR_F64;
        push(g, t, ir_gen_bitcast(&g->b, t, x));
        break;
    case 5: push(g, IR_F64, ir_gen_box32(&g->b, pick(g, IR_F32))); break;
    default: push(g, IR_F32, ir_gen_unbox32(&g->b, pick(g, IR_F64))); break;
    }
}

static void step_fp_bits(Gen *g)
{
    static const uint8_t ops[] = { IR_FSGNJ, IR_FSGNJN, IR_FSGNJX, IR_FMIN,
                                   IR_FMAX,  IR_FNEG,   IR_FABS,   IR_CANON };
    IROp op = (IROp)ops[below(g, sizeof ops)];
    IRType t = float_type(g);
    bool binary = op <= IR_FMAX || (op >= IR_FSGNJ && op <= IR_FSGNJX);
    IRRef x = pick(g, t), y = pick(g, t);
    push(g, t, ir_emit(&g->b, op, t, 0, x, binary ? y : 0, 0, 0));
}

static void step_fp_other(Gen *g)
{
    IRType t = float_type(g);
    IRRef x = pick_raw(g, t), y = pick_raw(g, t);
    switch (below(g, 8)) {
    case 0: push(g, IR_I64, ir_emit(&g->b, IR_FPGET, IR_I64, 0, 0, 0, 0, 0)); break;
    case 1: ir_emit(&g->b, IR_FPSET, IR_VOID, 0, pick(g, IR_I64), 0, 0, 0); break;
    default: push(g, IR_I64, ir_gen_fcmp(&g->b, (IRFCmp)below(g, 3), x, y)); break;
    }
}

/*
 * Results in several registers, some of them made of others, which are looked at
 * together.
 */
static void step_fp_group(Gen *g)
{
    static const uint8_t ops[] = { IR_FADD, IR_FSUB, IR_FMUL, IR_FDIV, IR_FSQRT };
    const IRGuest *guest = g->b.f->guest;
    unsigned n = 2 + below(g, 5), last = 0;
    IRRef made[2][8];
    unsigned count[2] = { 0, 0 };
    for (unsigned i = 0; i < n && !g->no_puts; i++) {
        bool single = one_in(g, 3);
        IRType t = single ? IR_F32 : IR_F64;
        IROp op = (IROp)ops[below(g, sizeof ops)];
        IRRef x = pick_raw(g, t), y = pick_raw(g, t);
        if (count[single] && one_in(g, 2)) {
            x = made[single][below(g, count[single])];
        }
        IRRef r = ir_emit(&g->b, op, t, IR_RM_DYN, x, op == IR_FSQRT ? 0 : y, 0, 0);
        made[single][count[single]++] = r;
        unsigned reg = below(g, guest->nregs);
        while (guest->regs[reg].type != IR_F64) {
            reg = (reg + 1) % guest->nregs;
        }
        g->raw[last = reg] = single ? IR_CANON_BOXED_F32 : IR_CANON_F64;
        ir_put_reg_raw(&g->b, reg, single ? ir_gen_box32(&g->b, r) : r,
                       (IRCanon)g->raw[reg]);
    }
    if (one_in(g, 3)) {
        ir_settle(&g->b);
    } else if (!g->no_puts) {
        push(g, IR_F64, ir_get_reg(&g->b, last));
    }
}

static void step_fp(Gen *g)
{
    switch (below(g, 5)) {
    case 4: step_fp_group(g); break;
    case 0: step_fp_convert(g); break;
    case 1: step_fp_bits(g); break;
    case 2: step_fp_other(g); break;
    default: step_fp_arith(g); break;
    }
}

static void step_exit(Gen *g)
{
    if (one_in(g, 6)) {
        ir_gen_poll(&g->b, snap(g));
        return;
    }
    IRType t = int_type(g);
    IRRef x = pick(g, t), y = pick(g, t);
    /* Mostly conditions that rarely hold, or little would be run. */
    IRCond c = one_in(g, 8) ? (IRCond)below(g, IR_NCONDS) : IR_EQ;
    ir_gen_exitif(&g->b, snap(g), c, x, y);
}

static void step_call(Gen *g)
{
    unsigned h = below(g, g->b.f->guest->nhelpers);
    const IRHelper *helper = &g->b.f->guest->helpers[h];
    if ((helper->flags & IRH_REGS) && (g->o->blocks || g->o->loop)) {
        return;
    }
    IRRef args[IR_CALL_ARGS];
    for (unsigned i = 0; i < helper->nargs; i++) {
        args[i] = pick(g, IR_I64);
    }
    if (helper->flags & IRH_REGS) {
        ir_settle(&g->b);
    }
    IRRef r = ir_call(&g->b, h, ir_helper_needs_snap(helper) ? snap(g) : 0, helper->nargs,
                      args);
    if (helper->ret != IR_VOID) {
        push(g, helper->ret, r);
    }
}

static void step(Gen *g)
{
    const IRRandomOptions *o = g->o;
    unsigned k = below(g, 100);
    if (k < 12) {
        step_put(g);
    } else if (k < 18) {
        step_get(g);
    } else if (k < 30 && o->mem_size) {
        step_memory(g);
    } else if (k < 35 && o->mem_size && o->atomics) {
        step_atomic(g);
    } else if (k < 38 && o->env_count) {
        step_env(g);
    } else if (k < 41 && o->exits) {
        step_exit(g);
    } else if (k < 43 && o->calls && g->b.f->guest->nhelpers) {
        step_call(g);
    } else if (k < 63 && o->fp) {
        step_fp(g);
    } else if (k < 68) {
        step_setcc(g);
    } else if (k < 71) {
        step_select(g);
    } else if (k < 77) {
        step_convert(g);
    } else if (k < 82) {
        step_unary(g);
    } else {
        step_binary(g);
    }
}

static void steps(Gen *g, unsigned n)
{
    while (n-- > 0) {
        ir_count_insn(&g->b);
        step(g);
    }
}

/* One arm of the diamond: parameters, some steps, a jump to the join with two values. */
static void arm(Gen *g, const Pool *saved, uint32_t join)
{
    memcpy(g->pool, saved, sizeof g->pool);
    ir_new_block(&g->b);
    push(g, IR_I64, ir_param(&g->b, IR_I64));
    steps(g, 1 + below(g, 8));
    IRRef args[2];
    args[0] = pick(g, IR_I64);
    args[1] = pick(g, IR_F64);
    ir_jump(&g->b, join, 2, args);
}

static void diamond(Gen *g)
{
    static _Thread_local Pool saved[NPOOLS];
    IRType t = int_type(g);
    IRCond c = (IRCond)below(g, IR_NCONDS);
    IRRef x = pick(g, t), y = pick(g, t), a = pick(g, IR_I64), b = pick(g, IR_I64);
    uint32_t here = g->b.f->nblocks - 1;
    ir_settle(&g->b);
    ir_br(&g->b, c, x, y, here + 1, 1, &a, here + 2, 1, &b);
    memcpy(saved, g->pool, sizeof saved);
    g->no_puts = true;
    arm(g, saved, here + 3);
    arm(g, saved, here + 3);
    memcpy(g->pool, saved, sizeof saved);
    g->no_puts = false;
    ir_new_block(&g->b);
    push(g, IR_I64, ir_param(&g->b, IR_I64));
    push(g, IR_F64, ir_param(&g->b, IR_F64));
}

static void finish(Gen *g)
{
    IRFunc *f = g->b.f;
    ir_settle(&g->b);
    if (g->o->loop) {
        IRRef n =
            ir_gen_sub(&g->b, ir_get_reg(&g->b, g->loop_reg), ir_const(&g->b, IR_I64, 1));
        ir_put_reg(&g->b, g->loop_reg, n);
        uint32_t out = snap(g);
        ir_gen_exitif(&g->b, out, IR_EQ, n, ir_const(&g->b, IR_I64, 0));
        ir_gen_loop(&g->b, ir_snapshot(&g->b, f->pc));
    } else if (one_in(g, 4)) {
        IRExit kind = (IRExit)below(g, 3);
        IRRef to = pick(g, IR_I64);
        ir_gen_exitind(&g->b, snap(g), kind, to, kind == IR_EXIT_CALL ? 0x2000 : 0);
    } else {
        static const uint8_t kinds[] = { IR_EXIT_JUMP, IR_EXIT_CALL, IR_EXIT_REASON,
                                         IR_EXIT_LOOKUP };
        IRExit kind = (IRExit)kinds[below(g, 4)];
        ir_gen_exit(&g->b, snap(g), kind,
                    kind == IR_EXIT_CALL     ? 0x2000
                    : kind == IR_EXIT_REASON ? 1 + below(g, 8)
                                             : 0);
    }
    ir_func_finish(&g->b);
}

void ir_random_func(IRFunc *f, const IRGuest *guest, Arena *arena, uint64_t seed,
                    const IRRandomOptions *options)
{
    static _Thread_local Gen gen;
    Gen *g = &gen;
    memset(g, 0, sizeof *g);
    g->o = options;
    g->rng = seed;
    g->pc = 0x1000;
    ir_func_init(f, guest, arena, g->pc);
    ir_builder_init(&g->b, f);
    g->b.no_fold = options->no_fold;
    for (unsigned i = 0; i < guest->nregs; i++) {
        g->loop_reg = guest->regs[i].type == IR_I64 ? i : g->loop_reg;
    }
    if (options->exits && one_in(g, 2)) {
        ir_count_unit(&g->b);
    }
    for (unsigned i = 0; i < 4; i++) {
        step_get(g);
    }
    unsigned before = options->blocks ? below(g, options->nins) : 0;
    steps(g, before);
    if (options->blocks) {
        diamond(g);
    }
    steps(g, options->nins - before);
    finish(g);
}
