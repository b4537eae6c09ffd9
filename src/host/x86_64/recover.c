/*
 * Precise guest state: the recovery table, and what signal handlers do with it.
 *
 * The table lists, in ascending order, the host offsets where a unit may be interrupted
 * with a guest-visible result.  An entry holds the guest pc and only those registers that
 * are not at home:
 *
 *   entry  = uvarint(offset - last offset) svarint(pc - last pc) uvarint(n | owed << 7) n * place
 *   place  = u8 guest register, u8 kind, payload
 *   kind   = 0-31 host register; 32 svarint(disp from rbp); 33 svarint(constant); 34 at
 *            home; plus IRCanon << 6: what is to be made canonical
 *
 * It is read by a walk from its start: faults are rare, and the table stays small enough
 * to copy next to each unit.  The readers run in signal handlers: no locks, no
 * allocation.
 */
#include <signal.h>
#include <ucontext.h>

#include "host/x86_64/soft-tlb.h"

enum { KIND_MEM = 32, KIND_CONST = 33, KIND_HOME = 34, KIND_MASK = 63, CANON_SHIFT = 6 };
enum { PLACES_BITS = 7 };
_Static_assert(IR_MAX_REGS < 1 << PLACES_BITS, "a place for each register at most");
#define ENTRY_MAX (32 + IR_MAX_REGS * 12)

/* ---- writing ---- */

static uint8_t *put_uvarint(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) {
        *p++ = (uint8_t)v | 0x80;
    }
    *p++ = (uint8_t)v;
    return p;
}

static uint8_t *put_svarint(uint8_t *p, int64_t v)
{
    return put_uvarint(p, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

void recovery_prepare(Ctx *c, uint32_t snap)
{
    c->snap_moves = (SnapMove *)collect_moves(c, snap, &c->nsnap_moves);
}

void recovery_mark(Ctx *c, uint32_t snap)
{
    if (c->rec_cap - c->rec_size < ENTRY_MAX) {
        size_t cap = c->rec_cap * 2 + ENTRY_MAX * 2;
        c->rec = arena_grow(c->arena, c->rec, c->rec_size, cap);
        c->rec_cap = cap;
    }
    uint32_t offset = (uint32_t)(c->e.p - c->e.start);
    uint64_t pc = c->f->snaps[snap].pc, owed = c->f->snaps[snap].owed;
    uint8_t *p = c->rec + c->rec_size;
    p = put_uvarint(p, offset - c->rec_last_offset);
    p = put_svarint(p, (int64_t)(pc - c->rec_last_pc));
    p = put_uvarint(p, c->nsnap_moves | owed << PLACES_BITS);
    for (unsigned i = 0; i < c->nsnap_moves; i++) {
        const SnapMove *m = &c->snap_moves[i];
        uint8_t canon = (uint8_t)(m->canon << CANON_SHIFT);
        *p++ = (uint8_t)m->reg;
        if (m->src == loc_home(m->reg)) {
            *p++ = KIND_HOME | canon;
        } else if (loc_is_reg(m->src)) {
            *p++ = (uint8_t)m->src | canon;
        } else if (m->src == LOC_CONST) {
            *p++ = KIND_CONST | canon;
            p = put_svarint(p, m->imm);
        } else {
            *p++ = KIND_MEM | canon;
            p = put_svarint(p, loc_disp(m->src));
        }
    }
    c->rec_size = (size_t)(p - c->rec);
    c->rec_last_offset = offset;
    c->rec_last_pc = pc;
}

/* ---- reading ---- */

static const uint8_t *get_uvarint(const uint8_t *p, uint64_t *v)
{
    unsigned shift = 0;
    *v = 0;
    do {
        *v |= (uint64_t)(*p & 0x7f) << shift;
        shift += 7;
    } while (*p++ & 0x80);
    return p;
}

static const uint8_t *get_svarint(const uint8_t *p, int64_t *v)
{
    uint64_t u;
    p = get_uvarint(p, &u);
    *v = (int64_t)(u >> 1 ^ -(u & 1));
    return p;
}

static uint64_t context_reg(const ucontext_t *uc, unsigned r)
{
    static const uint8_t greg[16] = {
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
        REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    };
    if (r < N_GPR) {
        return (uint64_t)uc->uc_mcontext.gregs[greg[r]];
    }
    uint64_t v;
    memcpy(&v, &uc->uc_mcontext.fpregs->_xmm[r - XMM0], 8);
    return v;
}

typedef struct Recovered {
    unsigned n, owed;
    uint8_t reg[IR_MAX_REGS], kind[IR_MAX_REGS];
    uint64_t val[IR_MAX_REGS];
} Recovered;

/* Where host registers are: in a signal's context, in env (a slow access), or nowhere (a helper). */
static uint64_t saved_reg(const HostEnv *env, const ucontext_t *uc, unsigned r)
{
    return uc ? context_reg(uc, r) : env->access_active ? env->access_reg[r] : 0;
}

/* One entry's places; values are read at once, before anything is written. */
static const uint8_t *read_places(const uint8_t *p, const HostEnv *env,
                                  const ucontext_t *uc, bool want, Recovered *out)
{
    uint64_t n;
    p = get_uvarint(p, &n);
    out->n = (unsigned)n & ((1u << PLACES_BITS) - 1);
    out->owed = (unsigned)(n >> PLACES_BITS);
    for (unsigned i = 0; i < out->n; i++) {
        out->reg[i] = *p++;
        out->kind[i] = *p++;
        unsigned kind = out->kind[i] & KIND_MASK;
        int64_t x = 0;
        if (kind == KIND_CONST) {
            p = get_svarint(p, &x);
        } else if (kind == KIND_MEM) {
            p = get_svarint(p, &x);
            if (want) {
                memcpy(&x, (const char *)env + ENV_BIAS + x, 8);
            }
        } else if (want && kind != KIND_HOME) {
            x = (int64_t)saved_reg(env, uc, kind);
        }
        out->val[i] = (uint64_t)x;
    }
    return p;
}

bool host_recover(HostEnv *env, const uint8_t *code, const uint8_t *recovery,
                  size_t recovery_size, uintptr_t host_pc, void *ucontext)
{
    const ucontext_t *uc = ucontext;
    const uint8_t *p = recovery, *end = recovery + recovery_size;
    uintptr_t want = host_pc - (uintptr_t)code, offset = 0;
    bool access = !uc && env->access_active;
    if (access) {
        want = host_soft_access_key(env);
    }
    uint64_t pc = 0;
    Recovered places = { .n = 0 };
    while (p < end) {
        uint64_t d;
        int64_t dpc;
        p = get_uvarint(p, &d);
        p = get_svarint(p, &dpc);
        offset += d;
        pc += (uint64_t)dpc;
        p = read_places(p, env, uc, offset == want, &places);
        if (offset >= want) {
            break;
        }
    }
    if (offset != want || recovery_size == 0) {
        return false;
    }
    for (unsigned r = 0; (uc || access) && r < host_ctx.config.guest->nregs; r++) {
        if (host_ctx.home[r] != NO_REG) {
            env->reg[r] = saved_reg(env, uc, host_ctx.home[r]);
        }
    }
    if (uc) {
        env->fp_state = uc->uc_mcontext.fpregs->mxcsr;
    }
    for (unsigned i = 0; i < places.n; i++) {
        unsigned kind = places.kind[i];
        uint64_t *reg = &env->reg[places.reg[i]];
        uint64_t val = (kind & KIND_MASK) == KIND_HOME ? *reg : places.val[i];
        *reg = ir_canonical((IRCanon)(kind >> CANON_SHIFT), val);
    }
    env->pc = pc;
    env->insns_left += places.owed;
    if (access) {
        env->access_active = 0;
    }
    return true;
}

void host_leave_sigsafe(HostEnv *env, void *ucontext, HostExit result)
{
    ucontext_t *uc = ucontext;
    greg_t *g = uc->uc_mcontext.gregs;
    g[REG_RAX] = (greg_t)result.unit;
    g[REG_RDX] = (greg_t)((uint64_t)result.exit << 32 | result.kind);
    g[REG_RBP] = (greg_t)((uintptr_t)env + ENV_BIAS);
    g[REG_RIP] = (greg_t)(uintptr_t)host_ctx.leave_tail;
    g[REG_RSP] = (greg_t)(uintptr_t)env->host_sp;
    g[REG_EFL] &= ~(greg_t)0x400; /* DF: C wants it clear */
    uc->uc_mcontext.fpregs->mxcsr = env->fp_state_host;
}

bool host_fix_ras_overflow_sigsafe(HostEnv *env, void *ucontext, uintptr_t fault_addr)
{
    ucontext_t *uc = ucontext;
    greg_t *g = uc->uc_mcontext.gregs;
    /* A push or call that faulted left rsp alone and its store lies just below. */
    uintptr_t sp = (uintptr_t)g[REG_RSP];
    if (fault_addr >= sp || sp - fault_addr > 8 || sp > (uintptr_t)env->ras_top ||
        (uintptr_t)g[REG_RBP] != (uintptr_t)env + ENV_BIAS) {
        return false;
    }
    g[REG_RSP] = (greg_t)(uintptr_t)env->ras_top;
    return true;
}
