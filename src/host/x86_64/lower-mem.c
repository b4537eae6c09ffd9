/*
 * Guest memory and CPU fields.
 *
 * A guest address is a host address, or an offset in the gs segment, or goes through the soft
 * TLB (soft-tlb.c).  Every instruction
 * that touches guest memory is noted in the recovery table; until it has succeeded
 * nothing that its snapshot needs is changed, so results are built in rax where an op
 * takes several instructions.
 *
 * Ordering: x86 keeps all orders but store-load, plain accesses up to 8 bytes that are
 * aligned are single-copy atomic, and locked instructions are sequentially consistent.
 */
#include "host/x86_64/soft-tlb.h"

static unsigned mo_bytes(unsigned memop) { return 1u << (memop & MO_SIZE); }

/* The operand at guest address ref + imm. */
static Rm use_address(Ctx *c, IRRef ref, int64_t imm)
{
    Rm m;
    if (ctx_is_const(c, ref)) {
        int64_t addr = ctx_imm(c, ref) + imm;
        if (fits_signed(addr, 32)) {
            m = rm_mem(NO_REG, (int32_t)addr);
        } else {
            ins_mov_imm(&c->e, RAX, addr);
            m = rm_mem(RAX, 0);
        }
    } else if (fits_signed(imm, 32)) {
        m = rm_mem(ra_use(c, ref), (int32_t)imm);
    } else {
        unsigned base = ra_use(c, ref);
        ins_mov_imm(&c->e, RAX, imm);
        m = rm_index(base, RAX, 0, 0);
    }
    m.gs = host_ctx.gs;
    return m;
}

/* MO_ALIGN: leave for the misaligned reason if the address is none for its size. */
static Rm check_alignment(Ctx *c, const IRIns *ins, Rm m)
{
    unsigned bytes = mo_bytes(ins->aux);
    if (!(ins->aux & MO_ALIGN) || bytes == 1) {
        return m;
    }
    Rm flat = m;
    flat.gs = false;
    unsigned addr = m.base;
    if (m.base == NO_REG || m.index != NO_REG || m.disp || m.base == RAX) {
        addr = ra_temp(c, false);
        ins_lea(&c->e, OPW, addr, flat);
        m = rm_mem(addr, 0);
        m.gs = host_ctx.gs;
    }
    Cold *cold = cold_new_leaving(c, emit_cold_misaligned, ins->snap);
    cold->r[0] = (uint8_t)addr;
    emit_op(&c->e, OP_GROUP3B, G3_TEST, rm_reg(addr), 1);
    emit_u8(&c->e, bytes - 1);
    emit_jcc_cold(c, CC_NE, cold);
    return m;
}

/* ---- plain loads and stores ---- */

static uint32_t load_opcode(unsigned memop, IRType t)
{
    uint32_t w = type_w(t);
    bool sign = memop & MO_SIGN;
    switch (memop & MO_SIZE) {
    case MO_8: return sign ? OP_MOVSX8 | w : OP_MOVZX8;
    case MO_16: return sign ? OP_MOVSX16 | w : OP_MOVZX16;
    case MO_32: return sign && w ? (uint32_t)OP_MOVSXD : (uint32_t)OP_MOV;
    default: return OP_MOV | OPW;
    }
}

static void lower_soft_ld(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    SoftAccess a = soft_load(c, i);
    if (ir_type_is_float(t)) {
        emit_sse(c, t == IR_F32 ? OP_MOVS_LOAD : OP_MOVS_LOAD ^ OP_F64, a.reg, 0, a.m);
    } else {
        emit_op(&c->e, load_opcode(ins->aux, t), a.reg, a.m, 0);
    }
    a.cold->resume = c->e.p;
}

static void lower_ld(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    if (c->f->soft_mmu) {
        lower_soft_ld(c, i);
        return;
    }
    Rm m = check_alignment(c, ins, use_address(c, ins->arg[0], ins->imm));
    recovery_prepare(c, ins->snap);
    if (ir_type_is_float(t)) {
        unsigned dst = ra_def(c, i, NO_REG);
        recovery_mark(c, ins->snap);
        emit_sse(c, t == IR_F32 ? OP_MOVS_LOAD : OP_MOVS_LOAD ^ OP_F64, dst, 0, m);
        return;
    }
    bool base_dies =
        m.mode == RM_MEM && m.base != NO_REG && m.base != RAX && ra_dies(c, ins->arg[0]);
    unsigned dst = ra_def(c, i, base_dies ? m.base : NO_REG);
    recovery_mark(c, ins->snap);
    emit_op(&c->e, load_opcode(ins->aux, t), dst, m, 0);
}

static uint32_t store_opcode(unsigned memop)
{
    switch (memop & MO_SIZE) {
    case MO_8: return OP_MOV8_STORE;
    case MO_16: return OP_MOV16_STORE;
    case MO_32: return OP_MOV_STORE;
    default: return OP_MOV_STORE | OPW;
    }
}

static void emit_store_const(Ctx *c, unsigned memop, Rm m, int64_t imm)
{
    unsigned bytes = mo_bytes(memop), n = bytes > 4 ? 4 : bytes;
    uint32_t op = bytes == 1   ? (uint32_t)OP_MOV8_IMM
                  : bytes == 2 ? OP_MOV_IMM | P66
                  : bytes == 4 ? (uint32_t)OP_MOV_IMM
                               : OP_MOV_IMM | OPW;
    emit_op(&c->e, op, 0, m, n);
    for (unsigned k = 0; k < n; k++) {
        emit_u8(&c->e, (uint8_t)(imm >> 8 * k));
    }
}

static void lower_st(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRRef val = ins->arg[1];
    IRType t = ctx_type(c, val);
    bool imm = ctx_is_const(c, val) &&
               (mo_bytes(ins->aux) < 8 || fits_signed(ctx_imm(c, val), 32));
    unsigned src = imm ? NO_REG : ra_use(c, val);
    SoftAccess soft = { .cold = NULL };
    Rm m;
    if (c->f->soft_mmu) {
        soft = soft_store(c, i, src, imm ? ctx_imm(c, val) : 0);
        m = soft.m;
    } else {
        m = check_alignment(c, ins, use_address(c, ins->arg[0], ins->imm));
        recovery_prepare(c, ins->snap);
        recovery_mark(c, ins->snap);
    }
    if (imm) {
        emit_store_const(c, ins->aux, m, ctx_imm(c, val));
    } else if (REG_IS_XMM(src)) {
        emit_sse(c, t == IR_F32 ? OP_MOVS_STORE : OP_MOVS_STORE ^ OP_F64, src, 0, m);
    } else {
        emit_op(&c->e, store_opcode(ins->aux), src, m, 0);
    }
    if (soft.cold) {
        soft.cold->resume = c->e.p;
    }
}

/* ---- atomics ---- */

/* The opcode of `op r/m, r` of an access's size, from its 32-bit form (byte form: - 1).
 */
static uint32_t sized(unsigned memop, uint32_t op)
{
    switch (memop & MO_SIZE) {
    case MO_8: return (op - 1) | OPB;
    case MO_16: return op | P66;
    case MO_32: return op;
    default: return op | OPW;
    }
}

static void emit_lock(Ctx *c) { emit_u8(&c->e, 0xf0); }

/* The place of an AMO or CAS. */
static SoftAccess atomic_begin(Ctx *c, IRRef i, unsigned val, unsigned val2)
{
    const IRIns *ins = ctx_ins(c, i);
    if (c->f->soft_mmu) {
        return soft_atomic(c, i, val, val2);
    }
    /* rax is busy: constants get a register, too */
    SoftAccess a = { .m = rm_mem(ra_use(c, ins->arg[0]), 0), .reg = NO_REG, .cold = NULL };
    a.m.gs = host_ctx.gs;
    a.m = check_alignment(c, ins, a.m);
    return a;
}

static void prepare_access(Ctx *c, const IRIns *ins)
{
    if (!c->f->soft_mmu) {
        recovery_prepare(c, ins->snap);
    }
}

/* Past the probe of the soft TLB nothing can fault. */
static void mark_access(Ctx *c, const IRIns *ins)
{
    if (!c->f->soft_mmu) {
        recovery_mark(c, ins->snap);
    }
}

static unsigned access_temp(Ctx *c, const SoftAccess *a)
{
    return a->reg != NO_REG ? a->reg : ra_temp(c, false);
}

/* The old value is in rax: extend it to the result. */
static void define_old(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    if (ctx_val(c, i)->last_use == 0) {
        return;
    }
    unsigned dst = ra_def(c, i, NO_REG);
    emit_op(&c->e, load_opcode(ins->aux, (IRType)ins->type), dst, rm_reg(RAX), 0);
}

/* tmp = tmp op val, where tmp holds the old value, as rax does. */
static void emit_amo_op(Ctx *c, const IRIns *ins, unsigned tmp, unsigned val)
{
    static const uint8_t alu[IR_NAMOS] = {
        [IR_AMO_ADD] = ALU_ADD,
        [IR_AMO_AND] = ALU_AND,
        [IR_AMO_OR] = ALU_OR,
        [IR_AMO_XOR] = ALU_XOR,
    };
    /* keep the old value if old cc val */
    static const uint8_t keep[IR_NAMOS] = {
        [IR_AMO_MIN] = CC_LE,
        [IR_AMO_MAX] = CC_GE,
        [IR_AMO_MINU] = CC_BE,
        [IR_AMO_MAXU] = CC_AE,
    };
    switch ((IRAmo)ins->imm) {
    case IR_AMO_SWAP: ins_mov_rr(&c->e, OPW, tmp, val); break;
    case IR_AMO_ADD:
    case IR_AMO_AND:
    case IR_AMO_OR:
    case IR_AMO_XOR:
        ins_mov_rr(&c->e, OPW, tmp, RAX);
        ins_alu(&c->e, (enum HostAlu)alu[ins->imm], OPW, tmp, rm_reg(val));
        break;
    default:
        ins_mov_rr(&c->e, OPW, tmp, val);
        emit_op(&c->e, sized(ins->aux, 0x39), val, rm_reg(RAX), 0);
        ins_cmov(&c->e, (enum HostCC)keep[ins->imm], OPW, tmp, rm_reg(RAX));
    }
}

static void emit_load_old(Ctx *c, const IRIns *ins, Rm m)
{
    mark_access(c, ins);
    emit_op(&c->e, load_opcode(ins->aux & ~(unsigned)MO_SIGN, IR_I64), RAX, m, 0);
}

/* lock cmpxchg until nobody came between. */
static void emit_amo_loop(Ctx *c, const IRIns *ins, const SoftAccess *a, unsigned val)
{
    unsigned tmp = access_temp(c, a);
    Rm m = a->m;
    prepare_access(c, ins);
    emit_load_old(c, ins, m);
    uint8_t *again = c->e.p;
    emit_amo_op(c, ins, tmp, val);
    mark_access(c, ins);
    emit_lock(c);
    emit_op(&c->e, sized(ins->aux, OP_CMPXCHG), tmp, m, 0);
    bind_rel8(ins_jcc_short(&c->e, CC_NE), again);
}

static void emit_amo_plain(Ctx *c, const IRIns *ins, const SoftAccess *a, unsigned val)
{
    unsigned tmp = access_temp(c, a);
    prepare_access(c, ins);
    emit_load_old(c, ins, a->m);
    emit_amo_op(c, ins, tmp, val);
    mark_access(c, ins);
    emit_op(&c->e, store_opcode(ins->aux), tmp, a->m, 0);
}

static bool amo_is_logic(IRAmo op)
{
    return op == IR_AMO_AND || op == IR_AMO_OR || op == IR_AMO_XOR;
}

static void lower_amo(Ctx *c, IRRef i)
{
    static const uint8_t alu[IR_NAMOS] = {
        [IR_AMO_ADD] = ALU_ADD,
        [IR_AMO_AND] = ALU_AND,
        [IR_AMO_OR] = ALU_OR,
        [IR_AMO_XOR] = ALU_XOR,
    };
    const IRIns *ins = ctx_ins(c, i);
    IRAmo op = (IRAmo)ins->imm;
    unsigned val = ra_use(c, ins->arg[1]);
    SoftAccess a = atomic_begin(c, i, val, NO_REG);
    Rm m = a.m;
    if (ins->aux & MO_PLAIN) {
        emit_amo_plain(c, ins, &a, val);
    } else if ((op == IR_AMO_ADD || amo_is_logic(op)) && ctx_val(c, i)->last_use == 0) {
        prepare_access(c, ins);
        mark_access(c, ins);
        emit_lock(c);
        emit_op(&c->e, sized(ins->aux, (uint32_t)alu[op] << 3 | 1), val, m, 0);
    } else if (op == IR_AMO_SWAP || op == IR_AMO_ADD) {
        prepare_access(c, ins);
        ins_mov_rr(&c->e, OPW, RAX, val);
        mark_access(c, ins);
        if (op == IR_AMO_ADD) {
            emit_lock(c);
        }
        emit_op(&c->e, sized(ins->aux, op == IR_AMO_SWAP ? OP_XCHG : OP_XADD), RAX, m, 0);
    } else {
        emit_amo_loop(c, ins, &a, val);
    }
    if (a.cold) {
        a.cold->resume = c->e.p;
    }
    define_old(c, i);
}

/*
 * About a microsecond, in which whoever won goes on undisturbed: an immediate retry mostly takes
 * the cache line away from the winner's next turn, and loses again. No register is free here.
 */
#define BACKOFF_PAUSES 32

static void emit_cold_backoff(Ctx *c, Cold *cold)
{
    Emit *e = &c->e;
    emit_store_const(c, MO_32, RM_ENV(scratch), BACKOFF_PAUSES);
    uint8_t *again = e->p;
    ins_pause(e);
    ins_alu_imm(e, ALU_SUB, 0, RM_ENV(scratch), 1);
    bind_rel8(ins_jcc_short(e, CC_NE), again);
    ins_jmp(e, cold->resume);
}

static void lower_cas(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    unsigned expected = ra_use(c, ins->arg[1]), desired = ra_use(c, ins->arg[2]);
    SoftAccess a = atomic_begin(c, i, expected, desired);
    prepare_access(c, ins);
    ins_mov_rr(&c->e, OPW, RAX, expected);
    mark_access(c, ins);
    if (!(ins->aux & MO_PLAIN)) {
        emit_lock(c);
    }
    emit_op(&c->e, sized(ins->aux, OP_CMPXCHG), desired, a.m, 0);
    if ((ins->aux & MO_BACKOFF) && !(ins->aux & MO_PLAIN)) {
        Cold *lost = cold_new(c, emit_cold_backoff);
        emit_jcc_cold(c, CC_NE, lost);
        lost->resume = c->e.p;
    }
    if (a.cold) {
        a.cold->resume = c->e.p;
    }
    define_old(c, i);
}

static void lower_fence(Ctx *c, IRRef i)
{
    if (ctx_ins(c, i)->aux & IR_ORD_WR) {
        emit_lock(
            c); /* any locked instruction is a full barrier, and cheaper than mfence */
        ins_alu_imm(&c->e, ALU_OR, 0, RM_ENV(scratch), 0);
    }
}

/* ---- CPU fields ---- */

static void lower_ldenv(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    IRType t = (IRType)ins->type;
    Rm m = rm_env((int32_t)ins->imm - ENV_BIAS);
    unsigned dst = ra_def(c, i, NO_REG);
    if (ir_type_is_float(t)) {
        emit_sse(c, t == IR_F32 ? OP_MOVS_LOAD : OP_MOVS_LOAD ^ OP_F64, dst, 0, m);
    } else {
        static const uint8_t size[] = {
            [IR_I8] = MO_8, [IR_I16] = MO_16, [IR_I32] = MO_32, [IR_I64] = MO_64
        };
        emit_op(&c->e, load_opcode(size[t], IR_I64), dst, m, 0);
    }
}

static void lower_stenv(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    static const uint8_t size[] = {
        [IR_I8] = MO_8, [IR_I16] = MO_16, [IR_I32] = MO_32, [IR_I64] = MO_64
    };
    IRType t = ctx_type(c, ins->arg[0]);
    Rm m = rm_env((int32_t)ins->imm - ENV_BIAS);
    if (ctx_is_const(c, ins->arg[0]) && ir_type_is_int(t) &&
        (t != IR_I64 || fits_signed(ctx_imm(c, ins->arg[0]), 32))) {
        emit_store_const(c, size[t], m, ctx_imm(c, ins->arg[0]));
        return;
    }
    unsigned src = ra_use(c, ins->arg[0]);
    if (REG_IS_XMM(src)) {
        emit_sse(c, t == IR_F32 ? OP_MOVS_STORE : OP_MOVS_STORE ^ OP_F64, src, 0, m);
    } else {
        emit_op(&c->e, store_opcode(size[t]), src, m, 0);
    }
}

void lower_mem(Ctx *c, IRRef i)
{
    switch ((IROp)ctx_ins(c, i)->op) {
    case IR_LD: lower_ld(c, i); break;
    case IR_ST: lower_st(c, i); break;
    case IR_AMO: lower_amo(c, i); break;
    case IR_CAS: lower_cas(c, i); break;
    case IR_FENCE: lower_fence(c, i); break;
    case IR_LDENV: lower_ldenv(c, i); break;
    case IR_STENV: lower_stenv(c, i); break;
    default: assert(!"memory op"); break;
    }
}
