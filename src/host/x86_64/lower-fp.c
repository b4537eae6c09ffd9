/*
 * Floating-point arithmetic and compares, straight on the host's scalar instructions
 * under the guest's own MXCSR: its rounding mode is in force and its sticky flags
 * collect.  So no instruction here may raise a flag that the op does not: cold paths for
 * NaNs compare with ucomis (quiet) or look at bits.
 *
 * f32 values are in the low lane with anything above; see V_BOXED for when those are
 * ones. xmm0 is scratch.  With AVX all forms are VEX, else `movaps dst, a; op dst, b`.
 */
#include "host/x86_64/compile.h"
#include "host/x86_64/lower-fp.h"

#include <math.h>

void emit_fp3(Ctx *c, uint32_t op, unsigned dst, unsigned a, Rm b)
{
    if (host_has(FEAT_AVX)) {
        emit_vex(&c->e, op, dst & 15, a & 15, b, 0);
        return;
    }
    if (rm_is_reg(b, dst) && dst != a) {
        emit_op(&c->e, OP_MOVAPS, XMM0 & 15, b, 0);
        b = rm_reg(XMM0);
    }
    if (dst != a) {
        emit_op(&c->e, OP_MOVAPS, dst & 15, rm_reg(a), 0);
    }
    emit_op(&c->e, op, dst & 15, b, 0);
}

void emit_ucomis(Ctx *c, IRType t, unsigned a, Rm b, bool signaling)
{
    emit_sse(c, (signaling ? OP_COMIS : OP_UCOMIS) | (t == IR_F64 ? P66 : 0), a, 0, b);
}

/* ---- static rounding modes ---- */

#define MXCSR_RC 0x6000
/* Not the words that thunks use: a call may lie between. */
#define RM_OLD_MXCSR rm_env(ENV_DISP(scratch) + 16)
#define RM_NEW_MXCSR rm_env(ENV_DISP(scratch) + 24)

void rounding_begin(Ctx *c, IRRound rm)
{
    static const uint16_t rc[] = {
        [IR_RM_RNE] = 0,
        [IR_RM_RDN] = 0x2000,
        [IR_RM_RUP] = 0x4000,
        [IR_RM_RTZ] = 0x6000,
    };
    if (rm == IR_RM_DYN) {
        return;
    }
    Emit *e = &c->e;
    emit_op(e, OP_MXCSR, 3, RM_OLD_MXCSR, 0);
    emit_op(e, OP_MOV, RAX, RM_OLD_MXCSR, 0);
    ins_alu_imm(e, ALU_AND, 0, rm_reg(RAX), ~MXCSR_RC);
    if (rc[rm]) {
        ins_alu_imm(e, ALU_OR, 0, rm_reg(RAX), rc[rm]);
    }
    emit_op(e, OP_MOV_STORE, RAX, RM_NEW_MXCSR, 0);
    emit_op(e, OP_MXCSR, 2, RM_NEW_MXCSR, 0);
}

/* Back to the guest's mode, with the flags that were raised since. */
void rounding_end(Ctx *c, IRRound rm)
{
    if (rm == IR_RM_DYN) {
        return;
    }
    Emit *e = &c->e;
    emit_op(e, OP_MXCSR, 3, RM_NEW_MXCSR, 0);
    emit_op(e, OP_MOV, RAX, RM_NEW_MXCSR, 0);
    ins_alu_imm(e, ALU_AND, 0, rm_reg(RAX), 0x3f);
    ins_alu(e, ALU_OR, 0, RAX, RM_OLD_MXCSR); /* old mode and flags */
    emit_op(e, OP_MOV_STORE, RAX, RM_NEW_MXCSR, 0);
    emit_op(e, OP_MXCSR, 2, RM_NEW_MXCSR, 0);
}

/* ---- arithmetic ---- */

static uint32_t sized_op(uint32_t op, IRType t) { return t == IR_F64 ? op ^ OP_F64 : op; }

static unsigned dying(Ctx *c, IRRef ref, unsigned r)
{
    return ra_dies(c, ref) ? r : NO_REG;
}

static void lower_arith(Ctx *c, IRRef i, uint32_t op)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    unsigned a = ra_use(c, ins->arg[0]);
    Rm b = ra_use_rm(c, ins->arg[1]);
    unsigned dst = ra_def(c, i, dying(c, ins->arg[0], a));
    rounding_begin(c, (IRRound)ins->aux);
    emit_fp3(c, sized_op(op, t), dst, a, b);
    rounding_end(c, (IRRound)ins->aux);
}

static void lower_sqrt(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    unsigned a = ra_use(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, dying(c, ins->arg[0], a));
    rounding_begin(c, (IRRound)ins->aux);
    emit_fp3(c, sized_op(OP_SQRTS, (IRType)ins->type), dst, a, rm_reg(a));
    rounding_end(c, (IRRound)ins->aux);
}

/* ---- sign bits ---- */

static Rm sign_mask(IRType t)
{
    return t == IR_F64 ? RM_CONST(f64_sign) : RM_CONST(f32_sign);
}
static Rm abs_mask(IRType t)
{
    return t == IR_F64 ? RM_CONST(f64_abs) : RM_CONST(f32_abs);
}

static void lower_sign_unary(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    unsigned a = ra_use(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, dying(c, ins->arg[0], a));
    if (ins->op == IR_FNEG) {
        emit_fp3(c, OP_XORPS, dst, a, sign_mask(t));
    } else {
        emit_fp3(c, OP_ANDPS, dst, a, abs_mask(t));
    }
}

static void lower_sign_inject(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    unsigned a = ra_use(c, ins->arg[0]), b = ra_use(c, ins->arg[1]);
    /* xmm0 = the sign to set or flip */
    emit_fp3(c, ins->op == IR_FSGNJN ? OP_ANDNPS : OP_ANDPS, XMM0, b, sign_mask(t));
    unsigned dst = ra_def(c, i, dying(c, ins->arg[0], a));
    if (ins->op == IR_FSGNJX) {
        emit_fp3(c, OP_XORPS, dst, a, rm_reg(XMM0));
    } else {
        emit_fp3(c, OP_ANDPS, dst, a, abs_mask(t));
        emit_fp3(c, OP_ORPS, dst, dst, rm_reg(XMM0));
    }
}

/* ---- NaNs ---- */

void emit_default_nan(Ctx *c, IRType t, unsigned dst)
{
    emit_sse(c, OP_MOVS_LOAD ^ OP_F64, dst, 0,
             t == IR_F64 ? RM_CONST(f64_nan) : RM_CONST(f32_nan));
}

bool never_signaling(const Ctx *c, IRRef ref)
{
    switch (ctx_ins(c, c->v[ref].root < c->f->nins ? c->v[ref].root : 0)->op) {
    case IR_FADD:
    case IR_FSUB:
    case IR_FMUL:
    case IR_FDIV:
    case IR_FSQRT:
    case IR_FMA:
    case IR_FMIN:
    case IR_FMAX:
    case IR_FCVT:
    case IR_ITOF:
    case IR_CANON: return true;
    default: return false;
    }
}

/*
 * CANONs that follow each other are checked together.  One compare says unordered if
 * either of two values is a NaN; and a value that went into another by arithmetic is no
 * NaN unless the other is one, too, so it needs no compare at all.
 */
static bool next_is_canon(const Ctx *c, IRRef i)
{
    for (IRRef k = i + 1; k < c->f->nins; k++) {
        const IRIns *ins = ctx_ins(c, k);
        if (c->v[k].root == k && ins->op != IR_NOP &&
            !(c->v[k].flags & (V_DEAD | V_CONST))) {
            return ins->op == IR_CANON && never_signaling(c, ins->arg[0]);
        }
    }
    return false;
}

/* Each of the places may hold a NaN; what is in memory is looked at in xmm0. */
static void emit_cold_nans(Ctx *c, Cold *cold)
{
    for (unsigned k = 0; k < cold->nmoves; k++) {
        const SnapMove *m = &cold->moves[k];
        IRType t = m->canon == IR_CANON_F64 ? IR_F64 : IR_F32;
        unsigned r = loc_is_reg(m->src) ? (unsigned)m->src : XMM0;
        if (loc_is_mem(m->src)) {
            emit_load(c, r, m->src);
        }
        emit_ucomis(c, t, r, rm_reg(r), false);
        uint8_t *number = ins_jcc_short(&c->e, CC_NP);
        emit_default_nan(c, t, r);
        if (loc_is_mem(m->src)) {
            emit_store(c, m->src, r);
        }
        bind_rel8(number, c->e.p);
    }
    ins_jmp(&c->e, cold->resume);
}

static IRRef canon_arg(const Ctx *c, IRRef canon) { return ctx_ins(c, canon)->arg[0]; }

/* The one in whose check those of nans[k] is contained: itself, if in no other. */
static unsigned leader_of(const Ctx *c, unsigned k)
{
    for (unsigned n = c->n_nans; n-- > 0;) {
        IRRef of = canon_arg(c, c->nans[k]), in = canon_arg(c, c->nans[n]);
        if (of < in && ir_nan_shows(c->f, of, in)) {
            return leader_of(c, n);
        }
    }
    return k;
}

/* A value that waits, in a register or, loaded to xmm0, from memory. */
static unsigned use_waiting(Ctx *c, IRRef ref)
{
    const Value *v = &c->v[ref];
    if (v->reg == NO_REG) {
        emit_load(c, XMM0, v->mem);
        return XMM0;
    }
    return v->reg;
}

/* One compare, of one value or two, which leads those in `set` (a bit each). */
static void check_leaders(Ctx *c, IRRef a, IRRef b, uint32_t set)
{
    SnapMove *m = arena_alloc(c->arena, MAX_NANS * sizeof *m);
    Cold *cold = cold_new(c, emit_cold_nans);
    unsigned k, n = 0;
    for_each_bit64 (k, set) {
        const Value *v = &c->v[c->nans[k]];
        bool f64 = ctx_type(c, c->nans[k]) == IR_F64;
        m[n++] = (SnapMove){ .src = v->reg != NO_REG ? (Loc)v->reg : v->mem,
                             .canon = f64 ? IR_CANON_F64 : IR_CANON_BOXED_F32 };
    }
    cold->moves = m;
    cold->nmoves = n;
    unsigned x = use_waiting(c, a);
    Rm y = c->v[b].reg != NO_REG ? rm_reg(c->v[b].reg)
           : a == b              ? rm_reg(x)
                                 : rm_env(loc_disp(c->v[b].mem));
    emit_ucomis(c, ctx_type(c, a), x, y, false);
    emit_jcc_cold(c, CC_P, cold);
    cold->resume = c->e.p;
}

/* The checks of all that wait. */
static void check_nans(Ctx *c)
{
    uint32_t led[MAX_NANS] = { 0 };
    for (unsigned k = 0; k < c->n_nans; k++) {
        led[leader_of(c, k)] |= 1u << k;
    }
    for (unsigned k = 0; k < c->n_nans; k++) {
        unsigned other = k;
        for (unsigned n = k + 1; led[k] && n < c->n_nans && other == k; n++) {
            if (led[n] && ctx_type(c, c->nans[n]) == ctx_type(c, c->nans[k])) {
                other = n;
            }
        }
        if (led[k]) {
            check_leaders(c, c->nans[k], c->nans[other], led[k] | led[other]);
            led[other] = 0;
        }
    }
    c->n_nans = 0;
}

static void emit_cold_nan(Ctx *c, Cold *cold)
{
    emit_default_nan(c, (IRType)cold->op, cold->r[0]);
    ins_jmp(&c->e, cold->resume);
}

/* Returns the condition that says that register r holds a NaN.  What may be a signaling
 * one is a NaN if it is above infinity, the sign aside.  rax is lost. */
static enum HostCC emit_is_nan(Ctx *c, IRType t, unsigned r, bool quiet)
{
    uint32_t w = type_w(t);
    if (quiet) {
        emit_ucomis(c, t, r, rm_reg(r), false);
        return CC_P;
    }
    emit_sse(c, OP_MOVD_FROM_XMM | w, r, 0, rm_reg(RAX));
    ins_alu(&c->e, ALU_ADD, w, RAX, rm_reg(RAX));
    ins_alu(&c->e, ALU_CMP, w, RAX,
            t == IR_F64 ? RM_CONST(f64_inf2) : RM_CONST(f32_inf2));
    return CC_A;
}

static void check_any_nan(Ctx *c, IRType t, unsigned dst)
{
    Cold *cold = cold_new(c, emit_cold_nan);
    cold->r[0] = (uint8_t)dst;
    cold->op = t;
    emit_jcc_cold(c, emit_is_nan(c, t, dst, false), cold);
    cold->resume = c->e.p;
}

static void lower_canon(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    unsigned a = ra_use(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, dying(c, ins->arg[0], a));
    emit_move_reg(c, dst, a);
    if (!never_signaling(c, ins->arg[0])) {
        check_any_nan(c, t, dst);
        return;
    }
    c->nans[c->n_nans++] = i;
    if (c->n_nans == MAX_NANS || !next_is_canon(c, i)) {
        check_nans(c);
    }
}

void emit_canonical_homes(Ctx *c, const SnapMove *moves, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const SnapMove *m = &moves[i];
        if (!m->canon) {
            continue;
        }
        IRType t = m->canon == IR_CANON_F64 ? IR_F64 : IR_F32;
        Loc home = loc_home(m->reg);
        unsigned r = loc_is_reg(home) ? (unsigned)home : XMM0;
        if (!loc_is_reg(home)) {
            emit_load(c, r, home);
        }
        enum HostCC is_nan = emit_is_nan(c, t, r, m->quiet);
        uint8_t *number = ins_jcc_short(&c->e, (enum HostCC)(is_nan ^ 1));
        emit_default_nan(c, t, r);
        if (!loc_is_reg(home)) {
            emit_store(c, home, r);
        }
        bind_rel8(number, c->e.p);
    }
}

/*
 * minimumNumber, maximumNumber: the flags are those of ucomis a, b, which said equal or
 * unordered.  r[0] dst, r[1] a, r[2] b.
 */
static void emit_cold_minmax(Ctx *c, Cold *cold)
{
    unsigned dst = cold->r[0], a = cold->r[1], b = cold->r[2];
    IRType t = (IRType)cold->imm;
    uint8_t *nan = ins_jcc_short(&c->e, CC_P);
    /* equal, or zeros of any sign: -0 is the smaller one */
    emit_fp3(c, cold->op == IR_FMIN ? OP_ORPS : OP_ANDPS, dst, a, rm_reg(b));
    ins_jmp(&c->e, cold->resume);
    bind_rel8(nan, c->e.p);
    emit_ucomis(c, t, a, rm_reg(a), false);
    uint8_t *a_is_number = ins_jcc_forward(&c->e, CC_NP);
    emit_ucomis(c, t, b, rm_reg(b), false);
    uint8_t *both = ins_jcc_forward(&c->e, CC_P);
    emit_move_reg(c, dst, b);
    ins_jmp(&c->e, cold->resume);
    bind_rel32(a_is_number, c->e.p);
    emit_move_reg(c, dst, a);
    ins_jmp(&c->e, cold->resume);
    bind_rel32(both, c->e.p);
    emit_default_nan(c, t, dst);
    ins_jmp(&c->e, cold->resume);
}

static void lower_minmax(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    unsigned a = ra_use(c, ins->arg[0]), b = ra_use(c, ins->arg[1]);
    unsigned dst = ra_def(c, i, dying(c, ins->arg[0], a));
    Cold *cold = cold_new(c, emit_cold_minmax);
    cold->r[0] = (uint8_t)dst;
    cold->r[1] = (uint8_t)a;
    cold->r[2] = (uint8_t)b;
    cold->op = ins->op;
    cold->imm = t;
    emit_ucomis(c, t, a, rm_reg(b), false);
    emit_jcc_cold(c, CC_E, cold); /* unordered sets ZF, too */
    emit_fp3(c, sized_op(ins->op == IR_FMIN ? OP_MINS : OP_MAXS, t), dst, a, rm_reg(b));
    cold->resume = c->e.p;
}

/* ---- compares ---- */

/*
 * A compare that may raise nothing said unordered: if invalid was clear before, it is
 * again. r[0]: register of the saved flags, as FPGET gives them.  Resumes with the flags
 * of unordered.
 */
static void emit_cold_quiet(Ctx *c, Cold *cold)
{
    Emit *e = &c->e;
    emit_op(e, OP_GROUP3B, G3_TEST, rm_reg(cold->r[0]), 1);
    emit_u8(e, 16);
    uint8_t *was_set = ins_jcc_short(e, CC_NE);
    emit_op(e, OP_MXCSR, 3, RM_ENV(scratch), 0);
    ins_alu_imm(e, ALU_AND, 0, RM_ENV(scratch), ~1);
    emit_op(e, OP_MXCSR, 2, RM_ENV(scratch), 0);
    bind_rel8(was_set, e->p);
    emit_default_nan(c, IR_F64, XMM0);
    emit_ucomis(c, IR_F64, XMM0, rm_reg(XMM0), false);
    ins_jmp(e, cold->resume);
}

enum HostCC emit_fcmp(Ctx *c, IRRef i, bool *parity)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = ctx_type(c, ins->arg[0]);
    IRFCmp cmp = (IRFCmp)ins->aux;
    bool quiet = c->v[i].flags & V_QUIET;
    unsigned saved = quiet ? ra_use(c, (IRRef)c->v[i].imm) : NO_REG;
    /* a < b as b > a: `above` is false for unordered */
    bool swap = cmp != IR_FEQ;
    unsigned x = ra_use(c, ins->arg[swap ? 1 : 0]);
    Rm y = ra_use_rm(c, ins->arg[swap ? 0 : 1]);
    emit_ucomis(c, t, x, y, swap && !quiet);
    if (quiet && !(never_signaling(c, ins->arg[0]) && never_signaling(c, ins->arg[1]))) {
        Cold *cold = cold_new(c, emit_cold_quiet);
        cold->r[0] = (uint8_t)saved;
        emit_jcc_cold(c, CC_P, cold);
        cold->resume = c->e.p;
    }
    *parity = cmp == IR_FEQ;
    return cmp == IR_FEQ ? CC_E : cmp == IR_FLT ? CC_A : CC_AE;
}

static void lower_fcmp(Ctx *c, IRRef i)
{
    bool parity;
    enum HostCC cc = emit_fcmp(c, i, &parity);
    ins_setcc(&c->e, cc, RAX);
    if (ctx_val(c, i)->last_use == 0) {
        return; /* only the flags are wanted */
    }
    if (parity) {
        unsigned tmp = ra_temp(c, false);
        ins_setcc(&c->e, CC_NP, tmp);
        ins_alu(&c->e, ALU_AND, 0, RAX, rm_reg(tmp));
    }
    unsigned dst = ra_def(c, i, NO_REG);
    emit_op(&c->e, OP_MOVZX8, dst, rm_reg(RAX), 0);
}

/* ---- fused multiply-add ---- */

/*
 * The result (r[0]) is a NaN.  IEEE 754 lets inf * 0 + quiet NaN raise invalid or not;
 * the IR says it does, the host's instruction does not.  r[1], r[2]: the factors, or
 * NO_REG: in the call slots.
 */
static void emit_cold_fma(Ctx *c, Cold *cold)
{
    IRType t = (IRType)cold->op;
    uint32_t w = type_w(t);
    Emit *e = &c->e;
    Rm save_rcx = rm_env(ENV_DISP(scratch)), save_rdx = rm_env(ENV_DISP(scratch) + 8);
    ins_store(e, save_rcx, RCX);
    ins_store(e, save_rdx, RDX);
    /* magnitudes shifted left: is one inf and the other zero? */
    if (cold->r[1] != NO_REG) {
        emit_sse(c, OP_MOVD_FROM_XMM | w, cold->r[1], 0, rm_reg(RCX));
        emit_sse(c, OP_MOVD_FROM_XMM | w, cold->r[2], 0, rm_reg(RDX));
    } else {
        emit_op(e, OP_MOV | w, RCX, rm_env(loc_disp(loc_spill(N_SPILLS))), 0);
        emit_op(e, OP_MOV | w, RDX, rm_env(loc_disp(loc_spill(N_SPILLS + 1))), 0);
    }
    ins_alu(e, ALU_ADD, w, RCX, rm_reg(RCX));
    ins_alu(e, ALU_ADD, w, RDX, rm_reg(RDX));
    ins_mov_imm(e, RAX, t == IR_F64 ? (int64_t)UINT64_C(0xffe0000000000000) : 0xff000000);
    ins_alu(e, ALU_CMP, w, RCX, rm_reg(RAX));
    uint8_t *first_finite = ins_jcc_short(e, CC_NE);
    ins_alu(e, ALU_OR, w, RDX, rm_reg(RDX));
    uint8_t *second_zero = ins_jcc_short(e, CC_E);
    bind_rel8(first_finite, e->p);
    ins_alu(e, ALU_CMP, w, RDX, rm_reg(RAX));
    uint8_t *second_finite = ins_jcc_short(e, CC_NE);
    ins_alu(e, ALU_OR, w, RCX, rm_reg(RCX));
    uint8_t *first_not_zero = ins_jcc_short(e, CC_NE);
    bind_rel8(second_zero, e->p);
    emit_raise_invalid(c);
    bind_rel8(second_finite, e->p);
    bind_rel8(first_not_zero, e->p);
    ins_load(e, RCX, save_rcx);
    ins_load(e, RDX, save_rdx);
    emit_default_nan(c, t, cold->r[0]);
    ins_jmp(e, cold->resume);
}

static void add_nan_check(Ctx *c, IRType t, unsigned dst, unsigned a, unsigned b)
{
    Cold *cold = cold_new(c, emit_cold_fma);
    cold->r[0] = (uint8_t)dst;
    cold->r[1] = (uint8_t)a;
    cold->r[2] = (uint8_t)b;
    cold->op = t;
    emit_ucomis(c, t, dst, rm_reg(dst), false);
    emit_jcc_cold(c, CC_P, cold);
    cold->resume = c->e.p;
}

/* dst = +-(a * b) +- addend by one of the three operand orders. */
static void emit_fma_ins(Ctx *c, IRType t, unsigned kind, unsigned dst, unsigned a,
                         unsigned b, unsigned d)
{
    static const uint32_t ops[4] = { OP_FMADD132, OP_FNMADD132, OP_FMSUB132,
                                     OP_FNMSUB132 };
    uint32_t op = t == IR_F64 ? ops[kind] | OPW : ops[kind];
    if (dst == d) {
        emit_vex(&c->e, op + 0x20, dst & 15, a & 15, rm_reg(b), 0); /* 231 */
    } else if (dst == b) {
        emit_vex(&c->e, op, dst & 15, d & 15, rm_reg(a), 0); /* 132 */
    } else {
        emit_move_reg(c, dst, a);
        emit_vex(&c->e, op + 0x10, dst & 15, b & 15, rm_reg(d), 0); /* 213 */
    }
}

static void lower_fma_soft(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    /* the signs first, in the call slots; the thunk takes them from there */
    for (unsigned k = 0; k < 3; k++) {
        unsigned r = ra_use(c, ins->arg[k]);
        emit_move_reg(c, XMM0, r);
        if ((k == 0 && (ins->imm & 1)) || (k == 2 && (ins->imm & 2))) {
            emit_fp3(c, OP_XORPS, XMM0, XMM0, sign_mask(t));
        }
        emit_store(c, loc_spill(N_SPILLS + k), XMM0);
    }
    rounding_begin(c, (IRRound)ins->aux);
    emit_pure_call(c, host_ctx.call_fma,
                   t == IR_F64 ? (const void *)(uintptr_t)fma
                               : (const void *)(uintptr_t)fmaf,
                   NULL, 0, i);
    unsigned dst = c->v[i].reg;
    if (dst == NO_REG) { /* only the flags are wanted */
        dst = XMM0;
        emit_move_reg(c, dst, RAX);
    }
    rounding_end(c, (IRRound)ins->aux);
    add_nan_check(c, t, dst, NO_REG, NO_REG);
}

static void lower_fma(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    if (!host_has(FEAT_FMA)) {
        lower_fma_soft(c, i);
        return;
    }
    unsigned a = ra_use(c, ins->arg[0]), b = ra_use(c, ins->arg[1]);
    unsigned d = ra_use(c, ins->arg[2]);
    unsigned prefer = dying(c, ins->arg[2], d);
    if (prefer == NO_REG) {
        prefer = dying(c, ins->arg[0], a);
    }
    unsigned dst = ra_def(c, i, prefer);
    /* The cold path wants the factors: keep them where the result does not overwrite
     * them. */
    if (dst == a || dst == b) {
        emit_move_reg(c, XMM0, dst);
    }
    rounding_begin(c, (IRRound)ins->aux);
    emit_fma_ins(c, t, (unsigned)ins->imm & 3, dst, a, b, d);
    rounding_end(c, (IRRound)ins->aux);
    add_nan_check(c, t, dst, dst == a ? XMM0 : a, dst == b ? XMM0 : b);
}

void lower_fp(Ctx *c, IRRef i)
{
    switch ((IROp)ctx_ins(c, i)->op) {
    case IR_FADD: lower_arith(c, i, OP_ADDS); break;
    case IR_FSUB: lower_arith(c, i, OP_SUBS); break;
    case IR_FMUL: lower_arith(c, i, OP_MULS); break;
    case IR_FDIV: lower_arith(c, i, OP_DIVS); break;
    case IR_FSQRT: lower_sqrt(c, i); break;
    case IR_FMA: lower_fma(c, i); break;
    case IR_FMIN:
    case IR_FMAX: lower_minmax(c, i); break;
    case IR_FCMP: lower_fcmp(c, i); break;
    case IR_CANON: lower_canon(c, i); break;
    case IR_FNEG:
    case IR_FABS: lower_sign_unary(c, i); break;
    case IR_FSGNJ:
    case IR_FSGNJN:
    case IR_FSGNJX: lower_sign_inject(c, i); break;
    default: assert(!"fp op"); break;
    }
}
