/*
 * Guest accesses through the soft TLB (units with soft_mmu).
 *
 * The hit path finds the line, compares its tag and adds its addend:
 *
 *   rorx eax, addr, 7; and eax, mask; add rax, table     the line
 *   lea t, [addr + size - 1]; and t, page; cmp t, [tag]  crossing another page makes another page
 *   jne cold
 *   mov rax, [addend]; the access at [addr + rax]
 *
 * The cold path is a call of one thunk, with a description of the access behind it that host_soft_access()
 * reads.  The thunk saves all host registers, so that the description may name any, and what
 * C does there does not disturb the unit's registers; if the access leaves the unit, they are
 * what host_recover() reads.  The entry of the recovery table is that of the hit path's access: at
 * both places the guest's registers are where they were before the instruction.  Therefore
 * everything that moves values is emitted before the jne.
 *
 * Only the thread that runs the unit is here.
 */
#include "host/x86_64/soft-tlb.h"

#define LINE_BITS 5     /* sizeof(HostTLBEntry) */
#define NOT_HERE RSP    /* stands for "no register": it never holds a value */

/* Stands behind the call and the jump of a cold path; see emit_cold_access(). */
typedef struct AccessSite {
    uint32_t key;       /* offset in the unit's code of the recovery entry */
    int32_t disp;       /* the address is base + disp */
    uint8_t base, val, val2, dst;   /* host registers, or NOT_HERE */
    uint8_t memop, op, amo;
    uint8_t mmu_idx;    /* SITE_WIDE: the result is 64 bits wide */
} AccessSite;
#define SITE_WIDE 0x80u
#define JMP_BYTES 5

/* ---- emitting ---- */

static void emit_cold_access(Ctx *c, Cold *cold)
{
    AccessSite site = {
        .key = cold->exit,
        .disp = (int32_t)cold->pc,
        .base = cold->r[0],
        .val = cold->r[1],
        .val2 = cold->r[2],
        .dst = cold->r[3],
        .memop = (uint8_t)cold->op,
        .op = (uint8_t)(cold->op >> 8),
        .amo = (uint8_t)(cold->op >> 16),
        .mmu_idx = (uint8_t)(cold->op >> 24),
    };
    if (site.val == RAX) {
        ins_mov_imm(&c->e, RAX, cold->imm);
    }
    emit_u8(&c->e, 0xe8);
    emit_u32(&c->e, (uint32_t)emit_rel(c->e.p + 4, host_ctx.soft_access));
    ins_jmp(&c->e, cold->resume);
    memcpy(c->e.p, &site, sizeof site);
    c->e.p += sizeof site;
}

/* base + disp, in as few registers as possible; a disp that fits no instruction is added before. */
static unsigned soft_address(Ctx *c, const IRIns *ins, int32_t *disp)
{
    unsigned base = ra_use(c, ins->arg[0]);
    int64_t imm = ins->op == IR_LD || ins->op == IR_ST ? ins->imm : 0;
    *disp = (int32_t)imm;
    if (fits_signed(imm, 32) && fits_signed(imm + 8, 32)) {
        return base;
    }
    unsigned sum = ra_temp(c, false);
    ins_mov_imm(&c->e, sum, imm);
    ins_alu(&c->e, ALU_ADD, OPW, sum, rm_reg(base));
    *disp = 0;
    return sum;
}

/* rax = the line for base + disp; jumps to `cold` if it does not serve.  Uses t. */
static void emit_tlb_probe(Ctx *c, const IRIns *ins, unsigned base, int32_t disp, unsigned t,
                           Cold *cold)
{
    int32_t tlb = ENV_DISP(tlb) + (c->f->soft_mmu - 1) * (int32_t)sizeof(HostTLB);
    int32_t bytes = 1 << (ins->aux & MO_SIZE);
    bool align = ins->aux & MO_ALIGN;
    if (disp == 0 && host_has(FEAT_BMI2)) {
        emit_vex(&c->e, OP_RORX, RAX, 0, rm_reg(base), 1);
        emit_u8(&c->e, HOST_PAGE_BITS - LINE_BITS);
    } else {
        if (disp) {
            ins_lea(&c->e, 0, RAX, rm_mem(base, disp));
        } else {
            ins_mov_rr(&c->e, 0, RAX, base);
        }
        ins_shift_imm(&c->e, SH_SHR, 0, RAX, HOST_PAGE_BITS - LINE_BITS);
    }
    ins_alu(&c->e, ALU_AND, 0, RAX, rm_env(tlb + (int32_t)offsetof(HostTLB, mask)));
    ins_alu(&c->e, ALU_ADD, OPW, RAX, rm_env(tlb + (int32_t)offsetof(HostTLB, table)));
    int32_t last = disp + (align ? 0 : bytes - 1);
    if (last) {
        ins_lea(&c->e, OPW, t, rm_mem(base, last));
    } else {
        ins_mov_rr(&c->e, OPW, t, base);
    }
    ins_alu_imm(&c->e, ALU_AND, OPW, rm_reg(t), -(1 << HOST_PAGE_BITS) | (align ? bytes - 1 : 0));
    ins_alu(&c->e, ALU_CMP, OPW, t,
            rm_mem(RAX, ins->op == IR_LD ? (int32_t)offsetof(HostTLBEntry, load)
                                         : (int32_t)offsetof(HostTLBEntry, store)));
    emit_jcc_cold(c, CC_NE, cold);
}
_Static_assert(sizeof(HostTLBEntry) == 1 << LINE_BITS, "a line is found by a shift");

static Rm rm_addend(void) { return rm_mem(RAX, (int32_t)offsetof(HostTLBEntry, addend)); }

static Cold *soft_cold(Ctx *c, const IRIns *ins, unsigned base, int32_t disp)
{
    Cold *cold = cold_new(c, emit_cold_access);
    uint32_t idx = c->f->soft_mmu - 1u;
    uint32_t amo = ins->op == IR_AMO ? (uint32_t)ins->imm : 0;
    cold->r[0] = (uint8_t)base;
    cold->r[1] = cold->r[2] = cold->r[3] = NOT_HERE;
    cold->pc = (uint32_t)disp;
    cold->op = ins->aux | (uint32_t)ins->op << 8 | amo << 16 |
               (idx | (ins->type == IR_I64 ? SITE_WIDE : 0)) << 24;
    return cold;
}

/* The access comes next; rax = addend. */
static void soft_hit(Ctx *c, const IRIns *ins, Cold *cold)
{
    ins_load(&c->e, RAX, rm_addend());
    cold->exit = (uint32_t)(c->e.p - c->e.start);
    recovery_mark(c, ins->snap);
}

SoftAccess soft_load(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    SoftAccess a;
    int32_t disp;
    unsigned base = soft_address(c, ins, &disp), t = ra_temp(c, false);
    recovery_prepare(c, ins->snap);
    a.cold = soft_cold(c, ins, base, disp);
    a.reg = ra_def(c, i, NO_REG);
    a.cold->r[3] = (uint8_t)a.reg;
    emit_tlb_probe(c, ins, base, disp, t, a.cold);
    soft_hit(c, ins, a.cold);
    a.m = rm_index(base, RAX, 0, disp);
    return a;
}

SoftAccess soft_store(Ctx *c, IRRef i, unsigned src, int64_t imm)
{
    const IRIns *ins = ctx_ins(c, i);
    SoftAccess a;
    int32_t disp;
    unsigned base = soft_address(c, ins, &disp), t = ra_temp(c, false);
    recovery_prepare(c, ins->snap);
    a.cold = soft_cold(c, ins, base, disp);
    a.cold->r[1] = src == NO_REG ? RAX : (uint8_t)src;
    a.cold->imm = imm;
    a.reg = NO_REG;
    emit_tlb_probe(c, ins, base, disp, t, a.cold);
    soft_hit(c, ins, a.cold);
    a.m = rm_index(base, RAX, 0, disp);
    return a;
}

SoftAccess soft_atomic(Ctx *c, IRRef i, unsigned val, unsigned val2)
{
    const IRIns *ins = ctx_ins(c, i);
    SoftAccess a;
    int32_t disp;
    unsigned base = soft_address(c, ins, &disp), t = ra_temp(c, false);
    a.reg = ra_temp(c, false);
    recovery_prepare(c, ins->snap);
    a.cold = soft_cold(c, ins, base, disp);
    a.cold->r[1] = (uint8_t)val;
    a.cold->r[2] = val2 == NO_REG ? NOT_HERE : (uint8_t)val2;
    a.cold->r[3] = RAX;
    a.cold->op |= SITE_WIDE << 24;  /* the old value as it was in memory */
    a.cold->op &= ~(uint32_t)MO_SIGN;
    emit_tlb_probe(c, ins, base, disp, t, a.cold);
    soft_hit(c, ins, a.cold);
    ins_lea(&c->e, OPW, t, rm_index(base, RAX, 0, 0));
    a.m = rm_mem(t, 0);
    return a;
}

/* ---- the slow access, in C ---- */

static uint64_t site_value(const HostEnv *env, unsigned reg)
{
    return reg == NOT_HERE ? 0 : env->access_reg[reg];
}

static uint64_t extend_result(const AccessSite *site, uint64_t v)
{
    unsigned up = 64 - (8u << (site->memop & MO_SIZE));
    if (site->memop & MO_SIGN) {
        v = (uint64_t)((int64_t)(v << up) >> up);
    } else {
        v = v << up >> up;
    }
    return site->mmu_idx & SITE_WIDE || REG_IS_XMM(site->dst) ? v : (uint32_t)v;
}

static void site_read(const HostEnv *env, AccessSite *site)
{
    memcpy(site, (const uint8_t *)env->helper_return + JMP_BYTES, sizeof *site);
}

void host_soft_access(HostEnv *env)
{
    AccessSite site;
    site_read(env, &site);
    HostAccess a = {
        .addr = env->access_reg[site.base] + (uint64_t)(int64_t)site.disp,
        .val = site_value(env, site.val),
        .val2 = site_value(env, site.val2),
        .op = site.op,
        .memop = site.memop,
        .amo = site.amo,
        .mmu_idx = site.mmu_idx & 0x7f,
    };
    env->access_active = 1;
    uint64_t v = host_ctx.config.access(env, &a);
    env->access_active = 0;
    if (site.dst != NOT_HERE) {
        env->access_reg[site.dst] = extend_result(&site, v);
    }
}

uint32_t host_soft_access_key(const HostEnv *env)
{
    AccessSite site;
    site_read(env, &site);
    return site.key;
}
