/*
 * Code that all units share: entry and exit, the call thunks, the tail of a missed
 * return, the constants; and host_init(), which writes it and decides the homes.
 *
 * All of it is written once, before any unit, and constant from then on; so is host_ctx.
 */
#include <asm/prctl.h>
#include <math.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/x86_64/soft-tlb.h"

/* Homes, hottest first.  What is not here (and not fixed) is a temporary. */
static const uint8_t gpr_homes[] = {
    RBX, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15
};
static const uint8_t xmm_homes[] = { XMM3,  XMM4,  XMM5,  XMM6,  XMM7,  XMM8, XMM9,
                                     XMM10, XMM11, XMM12, XMM13, XMM14, XMM15 };

HostContext host_ctx;

static void choose_homes(const IRGuest *guest)
{
    bool taken[IR_MAX_REGS] = { false };
    memset(host_ctx.home, NO_REG, sizeof host_ctx.home);
    memset(host_ctx.home_guest, -1, sizeof host_ctx.home_guest);
    if (host_ctx.config.no_pinning) {
        return;
    }
    for (unsigned k = 0; k < sizeof gpr_homes + sizeof xmm_homes; k++) {
        bool fp = k >= sizeof gpr_homes;
        unsigned home = fp ? xmm_homes[k - sizeof gpr_homes] : gpr_homes[k];
        unsigned best = IR_MAX_REGS;
        for (unsigned r = 0; r < guest->nregs; r++) {
            if (!taken[r] && guest->regs[r].priority &&
                (guest->regs[r].type == IR_F64) == fp &&
                (best == IR_MAX_REGS ||
                 guest->regs[r].priority > guest->regs[best].priority)) {
                best = r;
            }
        }
        if (best < IR_MAX_REGS) {
            taken[best] = true;
            host_ctx.home[best] = (uint8_t)home;
            host_ctx.home_guest[home] = (int8_t)best;
        }
    }
}

/* What every compilation needs to know of the homes, in the form it wants it. */
static void note_homes(const IRGuest *guest)
{
    for (unsigned r = 0; r < guest->nregs; r++) {
        unsigned home = host_ctx.home[r];
        host_ctx.home_loc[r] = home != NO_REG ? (Loc)home : loc_slot(r);
        host_ctx.all_regs[r >> 6] |= UINT64_C(1) << (r & 63);
        if (home == NO_REG) {
            host_ctx.in_slot[host_ctx.nin_slot++] = (uint8_t)r;
        }
        host_ctx.entry_values[r] = (Value){
            .mem = home != NO_REG ? LOC_NONE : loc_slot(r),
            .hint = -1,
            .reg = (uint8_t)home,
            .flags = guest->regs[r].type == IR_F64 ? V_FP : 0,
        };
    }
}

/* ---- constants ---- */

static unsigned flags_to_ir(unsigned mxcsr)
{
    /* MXCSR: invalid, denormal, divide by zero, overflow, underflow, inexact */
    return (mxcsr >> 5 & 1) | (mxcsr >> 4 & 1) << 1 | (mxcsr >> 3 & 1) << 2 |
           (mxcsr >> 2 & 1) << 3 | (mxcsr & 1) << 4;
}

static unsigned flags_from_ir(unsigned ir)
{
    return (ir & 1) << 5 | (ir >> 1 & 1) << 4 | (ir >> 2 & 1) << 3 | (ir >> 3 & 1) << 2 |
           (ir >> 4 & 1);
}

static void write_consts(HostConsts *k)
{
    const uint64_t s64 = UINT64_C(1) << 63, s32 = UINT64_C(1) << 31;
    *k = (HostConsts){
        .f64_sign = { s64, 0 },
        .f64_abs = { ~s64, 0 },
        .f32_sign = { s32, 0 },
        .f32_abs = { ~s32, 0 },
        .box = { UINT64_C(0xffffffff00000000), 0 },
        .ones = { UINT64_MAX, UINT64_MAX },
        .f64_nan = { UINT64_C(0x7ff8000000000000), 0 },
        .f32_nan = { UINT64_C(0xffffffff7fc00000), 0 },
        .f64_two31 = 0x1p31,
        .f64_two32 = 0x1p32,
        .f64_two63 = 0x1p63,
        .f64_two64 = 0x1p64,
        .f64_minus1 = -1,
        .f32_two31 = 0x1p31f,
        .f32_two32 = 0x1p32f,
        .f32_two63 = 0x1p63f,
        .f32_two64 = 0x1p64f,
        .f32_minus1 = -1,
        .f64_half = 0.5,
        .f64_inf2 = UINT64_C(0xffe0000000000000),
        .f32_inf2 = 0xff000000,
    };
    for (unsigned i = 0; i < 64; i++) {
        k->flags_to_ir[i] = (uint8_t)flags_to_ir(i);
    }
    for (unsigned i = 0; i < 32; i++) {
        k->flags_from_ir[i] = flags_from_ir(i);
    }
}

/* ---- pieces of thunks ---- */

static void move_homes(Ctx *c, bool store)
{
    for (unsigned r = 0; r < host_ctx.config.guest->nregs; r++) {
        unsigned home = host_ctx.home[r];
        if (home == NO_REG) {
            continue;
        }
        if (store) {
            emit_store(c, loc_slot(r), home);
        } else {
            emit_load(c, home, loc_slot(r));
        }
    }
}

enum { LDMXCSR = 2, STMXCSR = 3 };

static void emit_mxcsr(Ctx *c, unsigned op, Rm m) { emit_op(&c->e, OP_MXCSR, op, m, 0); }

static void enter_c_fp(Ctx *c)
{
    emit_mxcsr(c, STMXCSR, RM_ENV(fp_state));
    emit_mxcsr(c, LDMXCSR, RM_ENV(fp_state_host));
}

static void emit_push(Ctx *c, unsigned r)
{
    if (r & 8) {
        emit_u8(&c->e, 0x41);
    }
    emit_u8(&c->e, 0x50 | (r & 7));
}

static void emit_pop(Ctx *c, unsigned r)
{
    if (r & 8) {
        emit_u8(&c->e, 0x41);
    }
    emit_u8(&c->e, 0x58 | (r & 7));
}

static void emit_ret(Ctx *c) { emit_u8(&c->e, 0xc3); }

static void start_thunk(Ctx *c)
{
    while ((uintptr_t)c->e.p & 15) {
        emit_u8(&c->e, 0xcc);
    }
}

static const uint8_t callee_saved[] = { RBP, RBX, R12, R13, R14, R15 };

/* HostExit enter(HostEnv *env, const void *code) */
static void emit_enter(Ctx *c)
{
    start_thunk(c);
    host_ctx.enter = c->e.p;
    for (unsigned i = 0; i < sizeof callee_saved; i++) {
        emit_push(c, callee_saved[i]);
    }
    ins_alu_imm(&c->e, ALU_SUB, OPW, rm_reg(RSP), 8); /* rsp is now a multiple of 16 */
    ins_mov_rr(&c->e, OPW, RAX, RSI);
    ins_alu_imm(&c->e, ALU_SUB, OPW, rm_reg(RDI), -ENV_BIAS);
    ins_mov_rr(&c->e, OPW, RBP, RDI);
    ins_store(&c->e, RM_ENV(host_sp), RSP);
    emit_mxcsr(c, STMXCSR, RM_ENV(fp_state_host));
    emit_mxcsr(c, LDMXCSR, RM_ENV(fp_state));
    ins_load(&c->e, RSP, RM_ENV(ras_top));
    move_homes(c, false);
    emit_op(&c->e, OP_GROUP5, 4, rm_reg(RAX), 0);
}

/* Jumped to with the result in rax, rdx and all guest registers at home. */
static void emit_leave_thunk(Ctx *c)
{
    start_thunk(c);
    host_ctx.lookup = c->e.p; /* pc is in env */
    ins_xor_zero(&c->e, RAX);
    ins_mov_imm(&c->e, RDX, HOST_EXIT_LOOKUP);
    host_ctx.leave = c->e.p;
    move_homes(c, true);
    enter_c_fp(c);
    ins_load(&c->e, RSP, RM_ENV(host_sp));
    host_ctx.leave_tail = c->e.p; /* rsp = host_sp, C's MXCSR */
    ins_alu_imm(&c->e, ALU_ADD, OPW, rm_reg(RSP), 8);
    for (unsigned i = sizeof callee_saved; i-- > 0;) {
        emit_pop(c, callee_saved[i]);
    }
    emit_ret(c);
}

/* Jump to the unit for the pc in rcx: the return stack was wrong, or is another mode's (`afresh`, which polls),
   and starts over. */
static void emit_ras_miss(Ctx *c)
{
    start_thunk(c);
    host_ctx.afresh = c->e.p;
    ins_alu_imm(&c->e, ALU_CMP, 0, RM_ENV(exit_request), 0);
    uint8_t *go_on = ins_jcc_short(&c->e, CC_E);
    ins_store(&c->e, RM_ENV(pc), RCX);
    ins_jmp(&c->e, host_ctx.lookup);
    start_thunk(c);
    host_ctx.ras_miss = c->e.p;
    emit_count_jump(c, HOST_STAT_RETURN_MISSES);
    bind_rel8(go_on, c->e.p);
    ins_load(&c->e, RSP, RM_ENV(ras_top));
    emit_jump_index(c, RCX, host_ctx.config.access);
    Rm line = rm_index(RBP, RAX, 3, ENV_DISP(jump_cache));
    if (host_ctx.config.access) {
        ins_load(&c->e, RDX, RM_ENV(jump_lines));
        line = rm_index(RDX, RAX, 3, 0);
    }
    ins_alu(&c->e, ALU_CMP, OPW, RCX, line);
    uint8_t *miss = ins_jcc_short(&c->e, CC_NE);
    emit_count_jump(c, HOST_STAT_JUMP_CACHE_HITS);
    line.disp += 8;
    emit_op(&c->e, OP_GROUP5, 4, line, 0);
    bind_rel8(miss, c->e.p);
    emit_count_jump(c, HOST_STAT_JUMP_CACHE_MISSES);
    ins_store(&c->e, RM_ENV(pc), RCX);
    ins_jmp(&c->e, host_ctx.lookup);
}

static Rm rm_arg_slot(unsigned n) { return rm_env(loc_disp(loc_spill(N_SPILLS + n))); }

/* fn in rax, arguments in the call slots, on the C stack: call it. */
static void emit_c_call(Ctx *c)
{
    static const uint8_t arg_regs[] = { RSI, RDX, RCX, R8, R9 };
    for (unsigned i = 0; i < sizeof arg_regs; i++) {
        ins_load(&c->e, arg_regs[i], rm_arg_slot(i));
    }
    ins_alu_imm(&c->e, ALU_SUB, OPW, rm_reg(RSP), 8);
    emit_op(&c->e, OP_GROUP5, 6, rm_arg_slot(5), 0); /* push the sixth */
    ins_lea(&c->e, OPW, RDI, rm_env(-ENV_BIAS));
    emit_op(&c->e, OP_GROUP5, 2, rm_reg(RAX), 0);
}

/* A helper: all guest registers are at home, the helper sees and may change them in env.
 */
static void emit_call_thunk(Ctx *c)
{
    start_thunk(c);
    host_ctx.call = c->e.p;
    move_homes(c, true);
    enter_c_fp(c);
    ins_load(&c->e, RCX, rm_mem(RSP, 0));
    ins_store(&c->e, RM_ENV(helper_return), RCX);
    ins_store(&c->e, RM_ENV(scratch), RSP);
    ins_load(&c->e, RSP, RM_ENV(host_sp));
    emit_c_call(c);
    ins_load(&c->e, RSP, RM_ENV(scratch));
    emit_mxcsr(c, LDMXCSR, RM_ENV(fp_state));
    move_homes(c, false);
    emit_ret(c);
}

#define SAVE_GPRS 14
#define SAVE_SIZE (SAVE_GPRS * 8 + 16 * 8) /* a multiple of 16 */

static void save_all(Ctx *c, bool store)
{
    int32_t at = 0;
    for (unsigned r = 0; r < N_HOST_REGS; r++) {
        if (r == RAX || r == RSP || r == RBP) {
            continue;
        }
        Rm m = rm_mem(RSP, at);
        at += 8;
        if (REG_IS_XMM(r)) {
            emit_sse(c, (store ? OP_MOVS_STORE : OP_MOVS_LOAD) ^ OP_F64, r, 0, m);
        } else if (store) {
            ins_store(&c->e, m, r);
        } else {
            ins_load(&c->e, r, m);
        }
    }
}

/*
 * A C function without effect on guest registers, from anywhere in a unit: all registers but rax survive.
 * The guest's MXCSR stays loaded but for PURE_C: to change it costs more than the rest.
 */
enum PureKind {
    PURE_C,
    PURE_NOFP,
    PURE_FMA,   /* up to three arguments in xmm0-2, result of xmm0 in rax */
};

static const uint8_t *emit_pure_thunk(Ctx *c, enum PureKind kind)
{
    start_thunk(c);
    const uint8_t *entry = c->e.p;
    ins_store(&c->e, RM_ENV(scratch), RSP);
    ins_load(&c->e, RSP, RM_ENV(host_sp));
    ins_alu_imm(&c->e, ALU_SUB, OPW, rm_reg(RSP), SAVE_SIZE);
    save_all(c, true);
    if (kind == PURE_FMA) {
        for (unsigned i = 0; i < 3; i++) {
            emit_sse(c, OP_MOVS_LOAD ^ OP_F64, XMM0 + i, 0, rm_arg_slot(i));
        }
        emit_op(&c->e, OP_GROUP5, 2, rm_reg(RAX), 0);
        emit_sse(c, OP_MOVD_FROM_XMM | OPW, XMM0, 0, rm_reg(RAX));
    } else {
        if (kind == PURE_C) {
            enter_c_fp(c);
        }
        emit_c_call(c);
        ins_alu_imm(&c->e, ALU_ADD, OPW, rm_reg(RSP), 16);
        if (kind == PURE_C) {
            emit_mxcsr(c, LDMXCSR, RM_ENV(fp_state));
        }
    }
    save_all(c, false);
    ins_load(&c->e, RSP, RM_ENV(scratch));
    emit_ret(c);
    return entry;
}

/* From a cold path of soft-tlb.c: all registers survive but for the result. */
static void emit_soft_access_thunk(Ctx *c)
{
    start_thunk(c);
    host_ctx.soft_access = c->e.p;
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned r = 0; r < N_HOST_REGS; r++) {
            Loc at = loc_mem(ENV_DISP(access_reg) + (int32_t)r * 8);
            if (r == RSP || r == RBP) {
                continue;
            } else if (k == 0) {
                emit_store(c, at, r);
            } else {
                emit_load(c, r, at);
            }
        }
        if (k == 0) {
            enter_c_fp(c);
            ins_load(&c->e, RAX, rm_mem(RSP, 0));
            ins_store(&c->e, RM_ENV(helper_return), RAX);
            ins_store(&c->e, RM_ENV(scratch), RSP);
            ins_load(&c->e, RSP, RM_ENV(host_sp));
            ins_lea(&c->e, OPW, RDI, rm_env(-ENV_BIAS));
            ins_mov_imm(&c->e, RAX, (int64_t)(uintptr_t)host_soft_access);
            emit_op(&c->e, OP_GROUP5, 2, rm_reg(RAX), 0);
            ins_load(&c->e, RSP, RM_ENV(scratch));
            emit_mxcsr(c, LDMXCSR, RM_ENV(fp_state));
        }
    }
    emit_ret(c);
}

size_t host_init(const HostConfig *config, uint8_t *code, size_t capacity)
{
    size_t align = -(uintptr_t)code & 63;
    if (capacity < align + sizeof(HostConsts) + EMIT_MARGIN) {
        return 0;
    }
    host_ctx = (HostContext){ .config = *config };
    host_ctx.features = host_cpu_features(config->disabled_features);
    host_ctx.gs = config->guest_base != 0;
    choose_homes(config->guest);
    note_homes(config->guest);
    HostConsts *consts = (HostConsts *)(code + align);
    write_consts(consts);
    host_ctx.consts = consts;

    Ctx c = { 0 };
    c.e.start = c.e.p = (uint8_t *)(consts + 1);
    c.e.end = code + capacity;
    emit_enter(&c);
    emit_leave_thunk(&c);
    emit_ras_miss(&c);
    emit_call_thunk(&c);
    host_ctx.call_pure = emit_pure_thunk(&c, PURE_C);
    host_ctx.call_nofp = emit_pure_thunk(&c, PURE_NOFP);
    host_ctx.call_fma = emit_pure_thunk(&c, PURE_FMA);
    emit_soft_access_thunk(&c);
    if (config->access) {
        emit_soft_probe_thunks(&c);
    }
    start_thunk(&c);
    assert(c.e.p <= c.e.end);
    return (size_t)(c.e.p - code);
}

void host_thread_init(HostEnv *env)
{
    if (host_ctx.gs) {
        syscall(SYS_arch_prctl, ARCH_SET_GS, host_ctx.config.guest_base);
    }
}

HostExit host_enter(HostEnv *env, const void *code)
{
    HostExit (*enter)(HostEnv *, const void *) =
        (HostExit(*)(HostEnv *, const void *))(uintptr_t)host_ctx.enter;
    return enter(env, code);
}

/* Its frame is never left in the ordinary way: nobody would clean the redzones around it. */
__attribute__((no_sanitize("address"))) void host_leave_from_helper(HostEnv *env, HostExit result)
{
    register uint64_t rax __asm__("rax") = result.unit;
    register uint64_t rdx __asm__("rdx") = (uint64_t)result.exit << 32 | result.kind;
    __asm__ volatile("movq %0, %%rsp\n\tjmp *%1"
                     :
                     : "r"(env->host_sp), "r"(host_ctx.leave_tail), "r"(rax), "r"(rdx)
                     : "memory");
    __builtin_unreachable();
}

void host_patch_jump(uint8_t *field, const void *target)
{
    assert(((uintptr_t)field & 3) == 0);
    uint32_t rel = (uint32_t)emit_rel(field + 4, target);
    /* [JUMP-PATCH] pairs with the instruction fetch of whoever runs the jump: the
       target's code was complete before this store. */
    __atomic_store_n((uint32_t *)(void *)field, rel, __ATOMIC_RELEASE);
}
