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
 * A program's loads mostly go to the page where they went last, and a probe's latency is what they would wait for.  So
 * each has a line of HostEnv.last_page[][], at an address that the code knows, and so has a store that leads a group (one
 * that is alone goes to and fro more often, and nobody waits for it):
 *
 *   lea rax, [addr]; and rax, page + alignment; cmp rax, [line.page]
 *   jne cold, where the probe above is made
 *   mov rax, [line.addend]; the access at [addr + rax]
 *
 * Accesses that likely go to one page share a probe (soft-groups.c): the first stores the addend, the others
 *
 *   mov rax, [slot]; test rax, rax; je cold; the access
 *
 * and the cold path of each of them begins with a probe of its own, by a thunk.
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

/* What a probe looks for: one page with the bytes from base + first to base + last, by the tag for op. */
typedef struct Probe {
    unsigned base, temp;
    int32_t first, last;
    uint32_t align;     /* the address must be a multiple, a power of 2 */
    bool load;
} Probe;

/* rax = the line; the flags say equal if it serves. */
static void emit_tlb_probe(Ctx *c, const Probe *p)
{
    int32_t tlb = ENV_DISP(tlb) + (c->f->soft_mmu - 1) * (int32_t)sizeof(HostTLB);
    if (p->first == 0 && host_has(FEAT_BMI2)) {
        emit_vex(&c->e, OP_RORX, RAX, 0, rm_reg(p->base), 1);
        emit_u8(&c->e, HOST_PAGE_BITS - LINE_BITS);
    } else {
        if (p->first) {
            ins_lea(&c->e, 0, RAX, rm_mem(p->base, p->first));
        } else {
            ins_mov_rr(&c->e, 0, RAX, p->base);
        }
        ins_shift_imm(&c->e, SH_SHR, 0, RAX, HOST_PAGE_BITS - LINE_BITS);
    }
    ins_alu(&c->e, ALU_AND, 0, RAX, rm_env(tlb + (int32_t)offsetof(HostTLB, mask)));
    ins_alu(&c->e, ALU_ADD, OPW, RAX, rm_env(tlb + (int32_t)offsetof(HostTLB, table)));
    if (p->last) {
        ins_lea(&c->e, OPW, p->temp, rm_mem(p->base, p->last));
    } else {
        ins_mov_rr(&c->e, OPW, p->temp, p->base);
    }
    ins_alu_imm(&c->e, ALU_AND, OPW, rm_reg(p->temp), -(1 << HOST_PAGE_BITS) | (int32_t)(p->align - 1));
    ins_alu(&c->e, ALU_CMP, OPW, p->temp,
            rm_mem(RAX, p->load ? (int32_t)offsetof(HostTLBEntry, load) : (int32_t)offsetof(HostTLBEntry, store)));
}
_Static_assert(sizeof(HostTLBEntry) == 1 << LINE_BITS, "a line is found by a shift");

static Rm rm_addend(void) { return rm_mem(RAX, (int32_t)offsetof(HostTLBEntry, addend)); }
static bool keeps_pages(const Ctx *c) { return c->f->soft_mmu == HOST_PROGRAM_MMU + 1; }
static bool keeps_page_alone(const Ctx *c, const IRIns *ins)
{
    return keeps_pages(c) && ins->op == IR_LD && !(ins->aux & MO_ALIGN);
}
#define RM_LINE_NUMBER rm_env(ENV_DISP(scratch) + 16)
static Rm rm_last_page(unsigned store, unsigned n, size_t field)
{
    return rm_env(ENV_DISP(last_page) + (int32_t)((store * HOST_LAST_PAGES + n) * sizeof(HostLastPage) + field));
}
static Rm rm_page_slot(unsigned slot) { return rm_env(ENV_DISP(page_addend) + (int32_t)slot * 8); }

/*
 * The shared probe of a group has failed, which may be for another's sake: this access probes for itself.
 */
static void emit_cold_group_access(Ctx *c, Cold *cold)
{
    unsigned load = (cold->op >> 8 & 0xff) == IR_LD;
    if (cold->slot != HOST_PAGE_SLOTS) {
        ins_alu_imm(&c->e, ALU_AND, OPW, rm_page_slot(cold->slot), 0);
    }
    ins_lea(&c->e, OPW, RAX, rm_mem(cold->r[0], (int32_t)cold->pc));
    emit_u8(&c->e, 0xe8);
    emit_u32(&c->e, (uint32_t)emit_rel(c->e.p + 4, host_ctx.soft_probe[c->f->soft_mmu - 1][load][cold->op & MO_SIZE]));
    bind_rel32(ins_jcc_forward(&c->e, CC_E), cold->hit);
    emit_cold_access(c, cold);
}

static void emit_store_true(Ctx *c, Rm byte)
{
    emit_op(&c->e, OP_MOV8_IMM, 0, byte, 1);
    emit_u8(&c->e, 1);
}

/*
 * Called with the address of an access in rax: rax = addend, if the flags say equal, and the line of HostEnv.last_page[][]
 * that RM_LINE_NUMBER says is filled.  No other register changes.  Never with page 0: see emit_last_page().
 */
static void emit_fill_thunk(Ctx *c, bool load, unsigned size)
{
    host_ctx.soft_fill[load][size] = c->e.p;
    Rm save_rcx = RM_ENV(scratch), save_rdx = rm_env(ENV_DISP(scratch) + 8);
    ins_store(&c->e, save_rcx, RCX);
    ins_mov_rr(&c->e, OPW, RCX, RAX);
    emit_tlb_probe(c, &(Probe){ .base = RCX, .temp = RCX, .last = (1 << size) - 1, .align = 1, .load = load });
    uint8_t *miss = ins_jcc_forward(&c->e, CC_NE);
    ins_store(&c->e, save_rdx, RDX);
    ins_mov_rr(&c->e, OPW, RDX, RCX);
    ins_shift_imm(&c->e, SH_SHR, OPW, RDX, HOST_PAGE_BITS);
    uint8_t *zero = ins_jcc_forward(&c->e, CC_E);
    emit_op(&c->e, OP_MOVZX8, RDX, rm_reg(RDX), 0);
    emit_store_true(c, rm_index(RBP, RDX, 0, ENV_DISP(last_page_mark)));
    emit_store_true(c, RM_ENV(last_page_used));
    ins_load(&c->e, RDX, RM_LINE_NUMBER);
    ins_shift_imm(&c->e, SH_SHL, 0, RDX, 4);
    Rm first = rm_last_page(!load, 0, 0), line = rm_index(RBP, RDX, 0, first.disp), addend = line;
    addend.disp += (int32_t)offsetof(HostLastPage, addend);
    ins_store(&c->e, line, RCX);
    ins_load(&c->e, RCX, rm_addend());
    ins_store(&c->e, addend, RCX);
    if (!load) {
        /* [STORE-PAGE] pairs with host_forget_stores(): has the line been flagged meanwhile? */
        emit_u8(&c->e, 0xf0);
        ins_alu_imm(&c->e, ALU_OR, 0, RM_LINE_NUMBER, 0);
        ins_load(&c->e, RCX, line);
        ins_alu(&c->e, ALU_CMP, OPW, RCX, rm_mem(RAX, (int32_t)offsetof(HostTLBEntry, store)));
        uint8_t *same = ins_jcc_short(&c->e, CC_E);
        ins_store_imm32(&c->e, line, -1);
        bind_rel8(same, c->e.p);
    }
    bind_rel32(zero, c->e.p);
    ins_load(&c->e, RDX, save_rdx);
    ins_load(&c->e, RAX, rm_addend());
    ins_alu(&c->e, ALU_CMP, 0, RBP, rm_reg(RBP));
    bind_rel32(miss, c->e.p);
    ins_load(&c->e, RCX, save_rcx);
    emit_u8(&c->e, 0xc3);
}
_Static_assert(sizeof(HostLastPage) == 16, "a line is found by a shift");
_Static_assert(HOST_PAGE_MARKS == 256, "a mark is found by movzx");

/* How often an access must miss until its line is filled: one that goes to and fro shall lose little. */
#define MISSES_TO_FILL 128

/*
 * An access goes to another page than it went to last, or is misaligned: probe, and keep the page now and then.
 */
static void emit_cold_page(Ctx *c, Cold *cold)
{
    unsigned temp = cold->temp;
    bool leads = cold->slot != HOST_PAGE_SLOTS, saves = temp == NO_REG, load = (cold->op >> 8 & 0xff) == IR_LD;
    if (saves) {
        temp = cold->r[0] == RCX ? RDX : RCX;
        ins_store(&c->e, RM_ENV(scratch), temp);
    }
    emit_tlb_probe(c, &(Probe){ .base = cold->r[0], .temp = temp, .first = cold->range[0], .last = cold->range[1],
                                .align = 1, .load = load });
    if (saves) {
        ins_load(&c->e, temp, RM_ENV(scratch));
    }
    uint8_t *miss = ins_jcc_forward(&c->e, CC_NE);
    int32_t misses = ENV_DISP(last_page_misses) + (load ? 0 : HOST_LAST_PAGES) + cold->last_page;
    emit_op(&c->e, OP_GROUP1B_IMM8, ALU_ADD, rm_env(misses), 1);
    emit_u8(&c->e, 256 / MISSES_TO_FILL);
    ins_load(&c->e, RAX, rm_addend());
    if (leads) {
        ins_store(&c->e, rm_page_slot(cold->slot), RAX);
    }
    bind_rel32(ins_jcc_forward(&c->e, CC_AE), cold->hit);
    ins_store_imm32(&c->e, RM_LINE_NUMBER, cold->last_page);
    ins_lea(&c->e, OPW, RAX, rm_mem(cold->r[0], (int32_t)cold->pc));
    emit_u8(&c->e, 0xe8);
    emit_u32(&c->e, (uint32_t)emit_rel(c->e.p + 4, host_ctx.soft_fill[load][cold->op & MO_SIZE]));
    ins_jmp(&c->e, cold->hit);
    bind_rel32(miss, c->e.p);
    if (leads) {
        emit_cold_group_access(c, cold);
    } else {
        emit_cold_access(c, cold);
    }
}

/* Called with the address in rax: rax = addend, if the flags say equal.  No other register changes. */
void emit_soft_probe_thunks(Ctx *c)
{
    IRFunc any = { 0 };
    c->f = &any;
    for (unsigned mmu = 0; mmu < HOST_TLB_MODES; mmu++) {
        any.soft_mmu = (uint8_t)(mmu + 1);
        for (unsigned k = 0; k < 8; k++) {
            unsigned load = k & 1, size = k >> 1;
            host_ctx.soft_probe[mmu][load][size] = c->e.p;
            ins_store(&c->e, RM_ENV(scratch), RCX);
            ins_mov_rr(&c->e, OPW, RCX, RAX);
            emit_tlb_probe(c, &(Probe){ .base = RCX, .temp = RCX, .last = (1 << size) - 1, .align = 1, .load = load });
            ins_load(&c->e, RCX, RM_ENV(scratch));
            ins_load(&c->e, RAX, rm_addend());
            emit_u8(&c->e, 0xc3);
        }
    }
    any.soft_mmu = HOST_PROGRAM_MMU + 1;
    for (unsigned k = 0; k < 8; k++) {
        emit_fill_thunk(c, k & 1, k >> 1);
    }
    c->f = NULL;
}

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
    cold->hit = c->e.p;
    cold->exit = (uint32_t)(c->e.p - c->e.start);
    recovery_mark(c, ins->snap);
}

/* Accesses of a unit have lines one behind the other; those of constant addresses share that of their page. */
static uint8_t choose_line(Ctx *c, int32_t first)
{
    IRRef addr = ctx_ins(c, c->pos)->arg[0];
    uint64_t page = ((uint64_t)ctx_imm(c, addr) + (uint64_t)(int64_t)first) >> HOST_PAGE_BITS;
    return (uint8_t)(ctx_is_const(c, addr) ? page : c->last_page++);
}
_Static_assert(HOST_LAST_PAGES == 256, "the number of a line is a byte");

/*
 * rax = addend, if all bytes from base + first to base + last are in the page where the access went last.  One that is alone
 * (of `bytes`) is found misaligned rather than in two pages, which is shorter.  Of a group (0 bytes) the last byte is
 * in the page and the first not before it: so it is in the page, too, unless addresses wrap round, and then the
 * page is 0, which no line has.
 */
static void emit_last_page(Ctx *c, unsigned base, const Probe *p, unsigned bytes, Cold *cold)
{
    bool load = (cold->op >> 8 & 0xff) == IR_LD;
    cold->emit = emit_cold_page;
    cold->temp = (uint8_t)ra_free(c);
    cold->last_page = choose_line(c, p->first);
    cold->range[0] = p->first;
    cold->range[1] = p->last;
    int32_t at = bytes ? p->first : p->last;
    if (at) {
        ins_lea(&c->e, OPW, RAX, rm_mem(base, at));
    } else {
        ins_mov_rr(&c->e, OPW, RAX, base);
    }
    ins_alu_imm(&c->e, ALU_AND, OPW, rm_reg(RAX), -(1 << HOST_PAGE_BITS) | (bytes ? (int32_t)bytes - 1 : 0));
    ins_alu(&c->e, ALU_CMP, OPW, RAX, rm_last_page(!load, cold->last_page, offsetof(HostLastPage, page)));
    emit_jcc_cold(c, CC_NE, cold);
    if (!bytes) {
        unsigned first = base;
        if (p->first) {
            first = p->temp;
            ins_lea(&c->e, OPW, first, rm_mem(base, p->first));
        }
        ins_alu(&c->e, ALU_CMP, OPW, first, rm_reg(RAX));
        emit_jcc_cold(c, CC_B, cold);
    }
    ins_load(&c->e, RAX, rm_last_page(!load, cold->last_page, offsetof(HostLastPage, addend)));
}

static void emit_probe_alone(Ctx *c, const IRIns *ins, unsigned base, int32_t disp, unsigned temp, Cold *cold)
{
    int32_t bytes = 1 << (ins->aux & MO_SIZE);
    bool align = ins->aux & MO_ALIGN;
    if (keeps_page_alone(c, ins)) {
        cold->slot = HOST_PAGE_SLOTS;
        emit_last_page(c, base, &(Probe){ .first = disp, .last = disp + bytes - 1 }, (unsigned)bytes, cold);
        return;
    }
    emit_tlb_probe(c, &(Probe){ .base = base, .temp = temp, .first = disp, .last = disp + (align ? 0 : bytes - 1),
                                .align = align ? (uint32_t)bytes : 1, .load = ins->op == IR_LD });
    emit_jcc_cold(c, CC_NE, cold);
    ins_load(&c->e, RAX, rm_addend());
}

/* Up to the access of an LD or ST.  temp: a register, but for a follower. */
static void emit_group_probe(Ctx *c, IRRef i, SoftAccess *a, unsigned base, unsigned temp)
{
    const IRIns *ins = ctx_ins(c, i);
    Probe p = { .base = base, .temp = temp, .align = 1, .load = ins->op == IR_LD };
    unsigned slot = soft_range(c, i, &p.first, &p.last);
    a->cold->emit = emit_cold_group_access;
    if (soft_role(c, i) == SOFT_FOLLOWS) {
        ins_load(&c->e, RAX, rm_page_slot(slot));
        emit_op(&c->e, OP_TEST | OPW, RAX, rm_reg(RAX), 0);
        emit_jcc_cold(c, CC_E, a->cold);
        a->cold->slot = HOST_PAGE_SLOTS;
    } else {
        if (keeps_pages(c)) {
            emit_last_page(c, base, &p, 0, a->cold);
        } else {
            emit_tlb_probe(c, &p);
            emit_jcc_cold(c, CC_NE, a->cold);
            ins_load(&c->e, RAX, rm_addend());
        }
        ins_store(&c->e, rm_page_slot(slot), RAX);
        a->cold->slot = (uint8_t)slot;
    }
}

/* The rest of soft_load() and soft_store(), when all registers but the temporary are chosen. */
static void soft_probe(Ctx *c, IRRef i, SoftAccess *a, unsigned base, int32_t disp, unsigned temp)
{
    const IRIns *ins = ctx_ins(c, i);
    if (soft_role(c, i) == SOFT_ALONE) {
        emit_probe_alone(c, ins, base, disp, temp, a->cold);
    } else {
        emit_group_probe(c, i, a, base, temp);
    }
    soft_hit(c, ins, a->cold);
    a->m = rm_index(base, RAX, 0, disp);
}

/* Before anything of the access is emitted: what soft_probe() needs. */
static unsigned soft_temp(Ctx *c, IRRef i)
{
    SoftRole role = soft_role(c, i);
    bool needs = role != SOFT_FOLLOWS;
    if (keeps_page_alone(c, ctx_ins(c, i)) && role == SOFT_ALONE) {
        needs = false;
    } else if (keeps_pages(c) && role == SOFT_LEADS) {
        int32_t first, last;
        soft_range(c, i, &first, &last);
        needs = first != 0;
    }
    return needs ? ra_temp(c, false) : NO_REG;
}

SoftAccess soft_load(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    SoftAccess a;
    int32_t disp;
    unsigned base = soft_address(c, ins, &disp), temp = soft_temp(c, i);
    recovery_prepare(c, ins->snap);
    a.cold = soft_cold(c, ins, base, disp);
    a.reg = ra_def(c, i, NO_REG);
    a.cold->r[3] = (uint8_t)a.reg;
    soft_probe(c, i, &a, base, disp, temp);
    return a;
}

SoftAccess soft_store(Ctx *c, IRRef i, unsigned src, int64_t imm)
{
    const IRIns *ins = ctx_ins(c, i);
    SoftAccess a;
    int32_t disp;
    unsigned base = soft_address(c, ins, &disp), temp = soft_temp(c, i);
    recovery_prepare(c, ins->snap);
    a.cold = soft_cold(c, ins, base, disp);
    a.cold->r[1] = src == NO_REG ? RAX : (uint8_t)src;
    a.cold->imm = imm;
    a.reg = NO_REG;
    soft_probe(c, i, &a, base, disp, temp);
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
    emit_probe_alone(c, ins, base, disp, t, a.cold);
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
