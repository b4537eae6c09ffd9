/*
 * The reference interpreter: runs one unit, instruction by instruction, values in an
 * array indexed by IRRef.
 *
 * Registers: GETREG reads env->reg, and env->reg changes only where a snapshot is handed
 * over: when the unit leaves, at LOOP, and before a helper that wants the registers
 * there.
 *
 * Faults: an access to guest memory may raise a host signal at any moment.  The
 * handler finds the snapshot of the access in IRInterp.snap, and every value it names in
 * IRInterp.val, because both were stored before the access and the compiler may not move
 * them across the barrier [INTERP-SNAP].  Outside accesses snap is 0, so that a fault of
 * our own is not mistaken for one of the guest.
 *
 * The IRFunc is read only: any number of threads may run one at once, each with its own
 * IRInterp and env.
 */
#include <stdlib.h>

#include "ir/eval.h"
#include "ir/interp-fp.h"
#include "ir/interp.h"
#include "util/error.h"

#define CACHE_LINE_BYTES 64

typedef struct Run {
    IRInterp *it;
    const IRFunc *f;
    HostEnv *env;
    const IRInterpHooks *hooks;
    uint64_t *val;
    HostExit exit;      /* how the unit is left, once it is */
} Run;

/* ---- snapshots ---- */

static void apply_snapshot(const IRFunc *f, const uint64_t *val, uint32_t snap,
                           HostEnv *env)
{
    const IRSnap *s = &f->snaps[snap];
    for (uint32_t i = 0; i < s->count; i++) {
        const IRSnapEntry *e = &f->snap_entries[s->first + i];
        env->reg[e->reg] = ir_canonical((IRCanon)e->canon, val[e->val]);
    }
    env->pc = s->pc;
}

/* Leave the unit in the state of a snapshot. */
static void leave_with(const Run *r, uint32_t snap)
{
    apply_snapshot(r->f, r->val, snap, r->env);
    r->env->insns_left += r->f->snaps[snap].owed;
}

/* [INTERP-SNAP] pairs with ir_interp_recover_sigsafe(), which runs in a signal handler of
 * this thread. */
static inline void access_begin(IRInterp *it, uint32_t snap)
{
    __atomic_store_n(&it->snap, snap, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void access_end(IRInterp *it)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&it->snap, 0, __ATOMIC_RELAXED);
}

bool ir_interp_recover_sigsafe(IRInterp *it, HostEnv *env)
{
    uint32_t snap = __atomic_load_n(&it->snap, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* [INTERP-SNAP] */
    if (!snap) {
        return false;
    }
    if (it->regs_in_env) {
        env->pc = it->f->snaps[snap].pc;
    } else {
        apply_snapshot(it->f, it->val, snap, env);
    }
    env->insns_left += it->f->snaps[snap].owed;
    it->regs_in_env = false;
    __atomic_store_n(&it->snap, 0, __ATOMIC_RELAXED);
    return true;
}

static bool leave(Run *r, IRRef at, HostExitKind kind, uint32_t exit)
{
    r->it->left = at;
    r->exit = (HostExit){ .kind = kind, .exit = exit };
    return false;
}

static bool leave_fault(Run *r, const IRIns *ins, uint32_t reason, uint64_t addr)
{
    r->it->fault_addr = addr;
    r->it->fault_is_store = ins->op != IR_LD;
    leave_with(r, ins->snap);
    return leave(r, (IRRef)(ins - r->f->ins), HOST_EXIT_REASON, reason);
}

/* ---- guest memory ---- */

#define no_alignment_check __attribute__((no_sanitize("alignment")))

/* One host access each: single-copy atomic where the host's plain moves are. */
no_alignment_check
static uint64_t load_direct(uintptr_t p, unsigned size)
{
    switch (size) {
    case 1: return __atomic_load_n((const uint8_t *)p, __ATOMIC_RELAXED);
    case 2: return __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED);
    case 4: return __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED);
    default: return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
    }
}

no_alignment_check
static void store_direct(uintptr_t p, unsigned size, uint64_t v)
{
    switch (size) {
    case 1: __atomic_store_n((uint8_t *)p, (uint8_t)v, __ATOMIC_RELAXED); break;
    case 2: __atomic_store_n((uint16_t *)p, (uint16_t)v, __ATOMIC_RELAXED); break;
    case 4: __atomic_store_n((uint32_t *)p, (uint32_t)v, __ATOMIC_RELAXED); break;
    default: __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELAXED); break;
    }
}

/* Sequentially consistent, as the IR says of AMO and CAS; pairs with every such access of
 * generated code. */
#define CAS_DIRECT(T)                                                                    \
    __extension__({                                                                      \
        T old_ = (T)expected;                                                            \
        __atomic_compare_exchange_n((T *)p, &old_, (T)desired, false, __ATOMIC_SEQ_CST,  \
                                    __ATOMIC_SEQ_CST);                                   \
        old_;                                                                            \
    })

/* Returns the old value. */
no_alignment_check
static uint64_t cas_direct(uintptr_t p, unsigned size,
                                              uint64_t expected, uint64_t desired)
{
    switch (size) {
    case 1: return CAS_DIRECT(uint8_t);
    case 2: return CAS_DIRECT(uint16_t);
    case 4: return CAS_DIRECT(uint32_t);
    default: return CAS_DIRECT(uint64_t);
    }
}

static inline uint64_t extend_loaded(uint64_t v, unsigned memop, IRType type)
{
    static const uint8_t int_type[4] = { IR_I8, IR_I16, IR_I32, IR_I64 };
    IRType t = (IRType)int_type[memop & 3];
    v = memop & MO_SIGN ? (uint64_t)ir_sext_from(t, v) : v & ir_type_mask(t);
    return v & ir_type_mask(type);
}

static inline uint64_t amo_new_value(IRAmo amo, unsigned memop, uint64_t old, uint64_t x)
{
    unsigned up = 64 - (8u << (memop & MO_SIZE));
    uint64_t uo = old << up, ux = x << up;
    int64_t so = (int64_t)uo, sx = (int64_t)ux;
    switch (amo) {
    case IR_AMO_SWAP: return x;
    case IR_AMO_ADD: return old + x;
    case IR_AMO_AND: return old & x;
    case IR_AMO_OR: return old | x;
    case IR_AMO_XOR: return old ^ x;
    case IR_AMO_MIN: return so < sx ? old : x;
    case IR_AMO_MAX: return so > sx ? old : x;
    case IR_AMO_MINU: return uo < ux ? old : x;
    default: return uo > ux ? old : x;
    }
}

static bool check_alignment(Run *r, const IRIns *ins, uint64_t addr)
{
    unsigned size = 1u << (ins->aux & MO_SIZE);
    if ((ins->aux & MO_ALIGN) && (addr & (size - 1))) {
        return leave_fault(r, ins, r->hooks->misaligned_reason, addr);
    }
    return true;
}

static uint64_t soft_access(Run *r, const IRIns *ins, uint64_t addr)
{
    HostAccess a = {
        .addr = addr,
        .val = r->val[ins->arg[1]],
        .val2 = r->val[ins->arg[2]],
        .op = ins->op,
        .memop = ins->aux,
        .amo = ins->op == IR_AMO ? (uint8_t)ins->imm : 0,
        .mmu_idx = (uint8_t)(r->f->soft_mmu - 1),
    };
    access_begin(r->it, ins->snap);
    uint64_t v = r->hooks->access(r->env, &a);
    access_end(r->it);
    return v;
}

static bool do_load(Run *r, const IRIns *ins)
{
    uint64_t addr = r->val[ins->arg[0]] + (uint64_t)ins->imm, v;
    unsigned size = 1u << (ins->aux & MO_SIZE);
    if (!r->f->soft_mmu && !check_alignment(r, ins, addr)) {
        return false;
    }
    if (r->f->soft_mmu) {
        v = soft_access(r, ins, addr);
    } else if (r->hooks->load) {
        if (!r->hooks->load(r->hooks->opaque, addr, size, &v)) {
            return leave_fault(r, ins, r->hooks->fault_reason, addr);
        }
    } else {
        access_begin(r->it, ins->snap);
        v = load_direct((uintptr_t)(r->hooks->guest_base + addr), size);
        access_end(r->it);
    }
    r->val[ins - r->f->ins] = extend_loaded(v, ins->aux, (IRType)ins->type);
    return true;
}

static bool do_store(Run *r, const IRIns *ins)
{
    uint64_t addr = r->val[ins->arg[0]] + (uint64_t)ins->imm, v = r->val[ins->arg[1]];
    unsigned size = 1u << (ins->aux & MO_SIZE);
    if (!r->f->soft_mmu && !check_alignment(r, ins, addr)) {
        return false;
    }
    if (r->f->soft_mmu) {
        soft_access(r, ins, addr);
    } else if (r->hooks->store) {
        if (!r->hooks->store(r->hooks->opaque, addr, size, v)) {
            return leave_fault(r, ins, r->hooks->fault_reason, addr);
        }
    } else {
        access_begin(r->it, ins->snap);
        store_direct((uintptr_t)(r->hooks->guest_base + addr), size, v);
        access_end(r->it);
    }
    return true;
}

/* What an AMO or CAS leaves in memory that held `old`; CAS that fails writes nothing. */
static bool updated(const Run *r, const IRIns *ins, uint64_t old, uint64_t *result)
{
    if (ins->op == IR_AMO) {
        *result = amo_new_value((IRAmo)ins->imm, ins->aux, old, r->val[ins->arg[1]]);
        return true;
    }
    unsigned up = 64 - (8u << (ins->aux & MO_SIZE));
    *result = r->val[ins->arg[2]];
    return old << up == r->val[ins->arg[1]] << up;
}

static bool atomic_by_hooks(Run *r, const IRIns *ins, uint64_t addr, unsigned size,
                            uint64_t *old)
{
    uint64_t v;
    return r->hooks->load(r->hooks->opaque, addr, size, old) &&
           (!updated(r, ins, *old, &v) ||
            r->hooks->store(r->hooks->opaque, addr, size, v));
}

/* Returns the old value. */
static uint64_t atomic_direct(Run *r, const IRIns *ins, uintptr_t p, unsigned size)
{
    uint64_t v, old;
    if (ins->aux & MO_PLAIN) {
        old = load_direct(p, size);
        /* A CAS that does not match writes as well, the old value: it faults like a store. */
        store_direct(p, size, updated(r, ins, old, &v) ? v : old);
        return old;
    }
    if (ins->op == IR_CAS) {
        return cas_direct(p, size, r->val[ins->arg[1]], r->val[ins->arg[2]]);
    }
    for (old = load_direct(p, size);;) {
        updated(r, ins, old, &v);
        uint64_t seen = cas_direct(p, size, old, v);
        if (seen == old) {
            return old;
        }
        old = seen;
    }
}

static bool do_atomic(Run *r, const IRIns *ins)
{
    uint64_t addr = r->val[ins->arg[0]], old;
    unsigned size = 1u << (ins->aux & MO_SIZE);
    if (!r->f->soft_mmu && !check_alignment(r, ins, addr)) {
        return false;
    }
    if (r->f->soft_mmu) {
        old = soft_access(r, ins, addr);
    } else if (r->hooks->load) {
        if (!atomic_by_hooks(r, ins, addr, size, &old)) {
            return leave_fault(r, ins, r->hooks->fault_reason, addr);
        }
    } else {
        bool crosses = (addr & (CACHE_LINE_BYTES - 1)) + size > CACHE_LINE_BYTES;
        if (crosses && !(ins->aux & MO_PLAIN) && r->hooks->exclusive_reason) {
            return leave_fault(r, ins, r->hooks->exclusive_reason, addr);
        }
        access_begin(r->it, ins->snap);
        old = atomic_direct(r, ins, (uintptr_t)(r->hooks->guest_base + addr), size);
        access_end(r->it);
    }
    r->val[ins - r->f->ins] = extend_loaded(old, ins->aux, (IRType)ins->type);
    return true;
}

/* ---- CPU fields, calls ---- */

static uint64_t load_env(const HostEnv *env, const IRIns *ins)
{
    return load_direct((uintptr_t)env + (uintptr_t)ins->imm,
                       ir_type_size((IRType)ins->type));
}

static void store_env(HostEnv *env, const IRIns *ins, IRType type, uint64_t v)
{
    store_direct((uintptr_t)env + (uintptr_t)ins->imm, ir_type_size(type), v);
}

/* Register arguments beyond those that a helper takes do no harm in the C calling
 * conventions that matter, but the type would lie: so one cast for each count. */
static uint64_t call_helper(void *fn, void *cpu, unsigned n, const uint64_t *a)
{
    switch (n) {
    case 0: return ((uint64_t (*)(void *))fn)(cpu);
    case 1: return ((uint64_t (*)(void *, uint64_t))fn)(cpu, a[0]);
    case 2: return ((uint64_t (*)(void *, uint64_t, uint64_t))fn)(cpu, a[0], a[1]);
    case 3:
        return ((uint64_t(*)(void *, uint64_t, uint64_t, uint64_t))fn)(cpu, a[0], a[1],
                                                                       a[2]);
    case 4:
        return ((uint64_t (*)(void *, uint64_t, uint64_t, uint64_t, uint64_t))fn)(
            cpu, a[0], a[1], a[2], a[3]);
    case 5:
        return ((uint64_t(*)(void *, uint64_t, uint64_t, uint64_t, uint64_t,
                             uint64_t))fn)(cpu, a[0], a[1], a[2], a[3], a[4]);
    default:
        return ((uint64_t (*)(void *, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                              uint64_t))fn)(cpu, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
}

static void do_call(Run *r, const IRIns *ins)
{
    const IRHelper *h = &r->f->guest->helpers[ins->imm];
    uint64_t a[IR_CALL_ARGS];
    for (unsigned i = 0; i < ins->nvar; i++) {
        a[i] = r->val[r->f->args[ins->arg[2] + i]];
    }
    if (h->flags & IRH_REGS) {
        apply_snapshot(r->f, r->val, ins->snap, r->env);
        r->it->regs_in_env = true;
    }
    access_begin(r->it, ins->snap);
    uint64_t v = call_helper(h->fn, r->env, ins->nvar, a);
    access_end(r->it);
    r->it->regs_in_env = false;
    if (ins->type != IR_VOID) {
        r->val[ins - r->f->ins] = v & ir_type_mask((IRType)ins->type);
    }
}

/* ---- control ---- */

/* Hand `n` arguments from args[first] over to the parameters of a block, all at once. */
static IRRef enter_block(Run *r, uint32_t block, uint32_t first, unsigned n)
{
    uint64_t tmp[UINT8_MAX];
    const IRBlock *to = &r->f->blocks[block];
    for (unsigned i = 0; i < n; i++) {
        tmp[i] = r->val[r->f->args[first + i]];
    }
    for (unsigned i = 0; i < n; i++) {
        r->val[to->first + i] = tmp[i];
    }
    return to->first;
}

static bool condition(const Run *r, const IRIns *ins)
{
    return ir_cond_eval((IRCond)ins->aux, r->val[ins->arg[0]], r->val[ins->arg[1]],
                        ir_ref_type(r->f, ins->arg[0]));
}

static IRRef do_branch(Run *r, const IRIns *ins)
{
    uint32_t yes = (uint32_t)ins->imm, no = (uint32_t)((uint64_t)ins->imm >> 32);
    unsigned nyes = r->f->blocks[yes].nparams;
    return condition(r, ins) ? enter_block(r, yes, ins->arg[2], nyes)
                             : enter_block(r, no, ins->arg[2] + nyes, ins->nvar - nyes);
}

/* Terminators and exits: the next instruction, or IR_NONE if the unit is left. */
static IRRef do_control(Run *r, const IRIns *ins)
{
    IRRef at = (IRRef)(ins - r->f->ins);
    HostExitKind kind = HOST_EXIT_LOOKUP;
    switch (ins->op) {
    case IR_JUMP:
        return enter_block(r, (uint32_t)ins->imm, ins->arg[2], ins->nvar);
    case IR_BR:
        return do_branch(r, ins);
    case IR_POLL:
        if (!__atomic_load_n(&r->env->exit_request, __ATOMIC_RELAXED)) {
            return at + 1;
        }
        kind = HOST_EXIT_POLL;
        break;
    case IR_COUNT:
        if (r->env->insns_left >= ins->imm) {
            r->env->insns_left -= ins->imm;
            return at + 1;
        }
        kind = HOST_EXIT_POLL;
        break;
    case IR_EXITIF:
        if (!condition(r, ins)) {
            return at + 1;
        }
        break;
    case IR_LOOP:
        if (!r->hooks->leave_at_loop) {
            apply_snapshot(r->f, r->val, ins->snap, r->env);
            return r->f->blocks[0].first;
        }
        break;
    case IR_EXIT:
        kind = ins->aux == IR_EXIT_REASON ? HOST_EXIT_REASON : HOST_EXIT_LOOKUP;
        break;
    default:
        break;
    }
    leave_with(r, ins->snap);
    if (ins->op == IR_EXITIND) {
        r->env->pc = r->val[ins->arg[0]];
    }
    leave(r, at, kind, kind == HOST_EXIT_REASON ? (uint32_t)ins->imm : 0);
    return IR_NONE;
}

#define JUNK UINT64_C(0x5aa596695aa59669)

/* Conversions and the ops on bits. */
static uint64_t do_bits(const Run *r, const IRIns *ins)
{
    IRType t = (IRType)ins->type;
    uint64_t a = r->val[ins->arg[0]];
    switch (ins->op) {
    case IR_MOV: case IR_BITCAST: case IR_ZEXT: return a;
    case IR_TRUNC: return a & ir_type_mask(t);
    case IR_SEXT:
        return (uint64_t)ir_sext_from(ir_ref_type(r->f, ins->arg[0]), a) &
               ir_type_mask(t);
    case IR_AEXT: /* what is above is noticed if anybody looks at it */
        return (a | (JUNK & ~ir_type_mask(ir_ref_type(r->f, ins->arg[0])))) & ir_type_mask(t);
    case IR_SETCC: return condition(r, ins);
    case IR_SELECT: return a ? r->val[ins->arg[1]] : r->val[ins->arg[2]];
    case IR_BOX32: return ir_eval_box32(a);
    case IR_UNBOX32: return ir_eval_unbox32(a);
    default: return ir_eval_float_bits((IROp)ins->op, t, a, r->val[ins->arg[1]]);
    }
}

/* ---- dispatch ---- */

#define BINARY(OP)                                                                       \
    case IR_##OP:                                                                        \
        val[i] = ir_eval_binary(IR_##OP, (IRType)ins->type, val[ins->arg[0]],            \
                                val[ins->arg[1]]);                                       \
        break;
#define UNARY(OP)                                                                        \
    case IR_##OP:                                                                        \
        val[i] = ir_eval_unary(IR_##OP, (IRType)ins->type, val[ins->arg[0]]);            \
        break;

static void run(Run *r)
{
    const IRFunc *f = r->f;
    uint64_t *val = r->val;
    IRRef i = f->blocks[0].first;
    for (;;) {
        const IRIns *ins = &f->ins[i];
        /* clang-format off */
        switch ((IROp)ins->op) {
        BINARY(ADD) BINARY(SUB) BINARY(MUL) BINARY(MULHS) BINARY(MULHU) BINARY(MULHSU)
        BINARY(DIVS) BINARY(DIVU) BINARY(REMS) BINARY(REMU) BINARY(AND) BINARY(OR)
        BINARY(XOR) BINARY(ANDN) BINARY(SHL) BINARY(SHR) BINARY(SAR) BINARY(ROTL)
        BINARY(ROTR) BINARY(CLMUL) BINARY(CLMULH)
        UNARY(NEG) UNARY(NOT) UNARY(CLZ) UNARY(CTZ) UNARY(POPCNT) UNARY(BSWAP)
        UNARY(ORCB) UNARY(BREV8)
        case IR_NOP: case IR_PARAM: break;
        case IR_CONST:
            val[i] = (uint64_t)ins->imm & ir_type_mask((IRType)ins->type);
            break;
        case IR_GETREG: val[i] = r->env->reg[ins->imm]; break;
        case IR_MOV: case IR_TRUNC: case IR_SEXT: case IR_ZEXT: case IR_AEXT: case IR_SETCC:
        case IR_SELECT: case IR_CANON: case IR_FNEG: case IR_FABS: case IR_FSGNJ:
        case IR_FSGNJN: case IR_FSGNJX: case IR_BITCAST: case IR_BOX32: case IR_UNBOX32:
            val[i] = do_bits(r, ins);
            break;
        case IR_FADD: case IR_FSUB: case IR_FMUL: case IR_FDIV: case IR_FSQRT:
        case IR_FMA: case IR_FMIN: case IR_FMAX: case IR_FCMP: case IR_FCVT:
        case IR_FTOI: case IR_ITOF:
            val[i] = ir_interp_fp(&r->env->fp_state, ins, ir_ref_type(f, ins->arg[0]),
                                  val[ins->arg[0]], val[ins->arg[1]], val[ins->arg[2]]);
            break;
        case IR_LDENV: val[i] = load_env(r->env, ins); break;
        case IR_STENV:
            store_env(r->env, ins, ir_ref_type(f, ins->arg[0]), val[ins->arg[0]]);
            break;
        case IR_FPGET: val[i] = ir_interp_fp_flags(r->env->fp_state); break;
        case IR_FPSET:
            ir_interp_fp_set_flags(&r->env->fp_state, (unsigned)val[ins->arg[0]]);
            break;
        case IR_LD: if (!do_load(r, ins)) { return; } break;
        case IR_ST: if (!do_store(r, ins)) { return; } break;
        case IR_AMO: case IR_CAS: if (!do_atomic(r, ins)) { return; } break;
        /* Pairs with whatever the guest pairs it with. */
        case IR_FENCE: __atomic_thread_fence(__ATOMIC_SEQ_CST); break;
        case IR_CALL: do_call(r, ins); break;
        case IR_POLL: case IR_COUNT: case IR_EXITIF: case IR_EXIT: case IR_EXITIND: case IR_LOOP:
        case IR_JUMP: case IR_BR:
            if ((i = do_control(r, ins)) == IR_NONE) {
                return;
            }
            continue;
        case IR_NOPS: unreachable();
        /* clang-format on */
        }
        i++;
    }
}

HostExit ir_interp_run(IRInterp *it, const IRFunc *f, HostEnv *env,
                       const IRInterpHooks *hooks)
{
    if (f->nins > it->val_cap) {
        free(it->val);
        it->val_cap = f->nins * 2;
        it->val = xcalloc(it->val_cap, sizeof *it->val);
    }
    it->f = f;
    it->val[0] = 0;
    it->regs_in_env = false;
    Run r = { .it = it, .f = f, .env = env, .hooks = hooks, .val = it->val };
    run(&r);
    return r.exit;
}

void ir_interp_destroy(IRInterp *it)
{
    free(it->val);
    *it = (IRInterp){ 0 };
}
