/*
 * A back end in C: "generated code" is an array of FakeIns in the region, and
 * host_enter() interprets it as the processor would run it: it follows patched jumps (a
 * field of 4 bytes relative to itself), probes the jump cache, keeps a return stack of
 * host addresses, polls.
 *
 * Each FakeIns names the compilation it belongs to.  Going on to an instruction of
 * another one, or a jump that does not arrive at an entry for the expected pc, is code
 * that was reused or overwritten under a thread's hands.
 */
#include <stdlib.h>
#include <string.h>

#include "exec/interp-run.h"
#include "exec/lockstep.h"
#include "exec/soft-mmu.h"
#include "opt/opt.h"
#include "torture.h"

typedef struct FakeIns {
    uint64_t serial;    /* of the compilation */
    uint64_t arg;
    uint64_t pc;
    uintptr_t unit;
    uint16_t op;        /* HostOp */
    uint16_t exit;      /* its number, for what can be patched, and for stubs */
    int32_t field;      /* atomic: target - address of the field */
    uint64_t pad;
} FakeIns;
_Static_assert(sizeof(FakeIns) == 48, "a multiple of the alignment of code");

static uint64_t next_serial = 1;    /* atomic */

#define THUNK_BYTES 64

size_t host_init(const HostConfig *config, uint8_t *code, size_t capacity)
{
    memset(code, 0, THUNK_BYTES);
    return THUNK_BYTES;
}

void host_thread_init(HostEnv *env)
{
}

static bool op_has_exit(HostOp op)
{
    return op == H_EXIT || op == H_EXIT_IF || op == H_CALL || op == H_LAND ||
           op == H_LOOP_ELSE;
}

static vaddr ins_pc(const IRIns *in)
{
    return (vaddr)in->arg[1] << 32 | in->arg[0];
}

HostResult host_compile(const IRFunc *f, HostCode *out)
{
    uint32_t nexits = 0;
    chaos();
    for (uint32_t i = 1; i < f->nins; i++) {
        nexits += op_has_exit(f->ins[i].aux);
    }
    uint32_t n = f->nins - 1 + nexits + 1;
    if (n * sizeof(FakeIns) > out->capacity) {
        return HOST_NO_SPACE;
    }
    uint64_t serial = __atomic_fetch_add(&next_serial, 1, __ATOMIC_RELAXED);
    FakeIns *code = (FakeIns *)out->code, *stub = code + f->nins - 1;
    out->exits = arena_alloc(f->arena, nexits * sizeof(*out->exits));
    out->nexits = 0;
    for (uint32_t i = 1; i < f->nins; i++) {
        const IRIns *in = &f->ins[i];
        FakeIns *ins = &code[i - 1];
        *ins = (FakeIns){ .serial = serial,
                          .unit = out->unit,
                          .op = in->aux,
                          .arg = in->imm,
                          .pc = ins_pc(in) };
        if (op_has_exit(in->aux)) {
            uint32_t e = out->nexits++;
            ins->exit = e;
            *stub = (FakeIns){ .serial = serial,
                               .unit = out->unit,
                               .op = H_STUB,
                               .exit = e,
                               .pc = ins->pc };
            out->exits[e] = (HostCodeExit){
                .pc = ins->pc,
                .patch_offset = (uint8_t *)&ins->field - out->code,
                .stub_offset = (uint8_t *)stub - out->code,
            };
            ins->field = (uint8_t *)stub - (uint8_t *)&ins->field;
            stub++;
        }
    }
    *stub = (FakeIns){ .serial = serial, .unit = out->unit, .op = H_END };
    out->size = n * sizeof(FakeIns);
    out->recovery = arena_alloc(f->arena, 16);
    memset(out->recovery, 0x5a, 16);
    out->recovery_size = 16;
    chaos();
    return HOST_OK;
}

void host_patch_jump(uint8_t *field, const void *target)
{
    chaos();
    __atomic_store_n((int32_t *)field, (int32_t)((const uint8_t *)target - field),
                     __ATOMIC_RELEASE);
    chaos();
}

/* ---- running ---- */

#define RAS_ENTRIES 16

typedef struct Run {
    FakeCPU *c;
    struct {
        vaddr pc;
        const FakeIns *land;
    } ras[RAS_ENTRIES];
    unsigned ras_top;
} Run;

static HostExit leave(HostEnv *env, HostExitKind kind, uint32_t exit, uintptr_t unit,
                      vaddr pc)
{
    env->pc = pc;
    return (HostExit){ .unit = unit, .kind = kind, .exit = exit };
}

static const FakeIns *follow(FakeIns *ins)
{
    /* A processor sees code that a jump leads to as it was when the jump was patched. */
    int32_t rel = __atomic_load_n(&ins->field, __ATOMIC_ACQUIRE);
    const FakeIns *to = (const FakeIns *)((uint8_t *)&ins->field + rel);
    check(to->op == H_STUB ? to->unit == ins->unit && to->exit == ins->exit
                           : to->op == H_ENTRY && to->pc == ins->pc,
          "a jump to %#llx leads to op %u for %#llx", (unsigned long long)ins->pc, to->op,
          (unsigned long long)to->pc);
    return to;
}

/* The jump cache, as generated code probes it; NULL: not there. */
static const FakeIns *probe(HostEnv *env, vaddr pc)
{
    JumpCacheEntry *e = world.system ? &env->jump_lines[jump_cache_system_index(pc)]
                                     : &env->jump_cache[jump_cache_index(pc)];
    if (__atomic_load_n(&e->pc, __ATOMIC_RELAXED) != pc) {
        return NULL;
    }
    chaos();
    const FakeIns *to = __atomic_load_n(&e->code, __ATOMIC_RELAXED);
    check(to->op == H_ENTRY && to->pc == pc, "the jump cache leads to op %u", to->op);
    return to;
}

static const FakeIns *do_return(Run *r, vaddr *pc)
{
    *pc = state_pop(&r->c->s);
    if (r->ras_top && r->ras[--r->ras_top].pc == *pc) {
        const FakeIns *to = r->ras[r->ras_top].land;
        check(to->op == H_LAND && to->pc == *pc, "the return stack leads to op %u",
              to->op);
        return to;
    }
    r->ras_top = 0;
    return probe(&r->c->parent.env, *pc);
}

static void do_call(Run *r, const FakeIns *land)
{
    if (state_push(&r->c->s, land->pc)) {
        if (r->ras_top == RAS_ENTRIES) {
            r->ras_top = 0;
        }
        r->ras[r->ras_top].pc = land->pc;
        r->ras[r->ras_top++].land = land;
    }
}

static void do_version(FakeCPU *c, uint32_t arg)
{
    uint32_t slot = VER_SLOT(arg);
    check(VER_VERSION(arg) >= c->seen[slot],
          "slot %u: version %u was executed after version %u was complete", slot,
          VER_VERSION(arg), c->seen[slot]);
}

static void do_count(void)
{
    check(__atomic_load_n(&world.inside, __ATOMIC_RELAXED) == 1,
          "not alone in an exclusive section");
    uint64_t n = world.counter;
    chaos();
    world.counter = n + 1;
}

/* As generated code does: a load and a store that other threads' may come between. */
static bool count_down(const FakeIns *entry)
{
    TranslationBlock *tb = (TranslationBlock *)entry->unit;
    if (!(tb->cflags & CF_COUNT)) {
        return false;
    }
    int32_t n = __atomic_load_n(&tb->countdown, __ATOMIC_RELAXED) - 1;
    chaos();
    __atomic_store_n(&tb->countdown, n, __ATOMIC_RELAXED);
    return n <= 0;
}

/* A store as generated code makes it: by the line of the TLB that its tag allows, else the slow way. */
static void store_mapped(HostEnv *env, vaddr va, uint32_t value)
{
    const HostTLB *t = &env->tlb[0];
    HostTLBEntry *e = (HostTLBEntry *)((char *)t->table + (va >> (HOST_PAGE_BITS - 5) & t->mask));
    if (t->table && __atomic_load_n(&e->store, __ATOMIC_RELAXED) == (va & ~0xfffull)) {
        uint32_t *host = (uint32_t *)(va + e->addend);
        chaos();
        __atomic_store_n(host, value, __ATOMIC_RELAXED);
        return;
    }
    HostAccess a = { .addr = va, .val = value, .op = IR_ST, .memop = 2 };
    soft_mmu_access(env, &a);
}

static void patch_own(FakeCPU *c)
{
    uint32_t w = world.slot_word[c->own_slot];
    c->own_stored = ++c->own_version;
    uint32_t word = WORD(G_VER, VER_ARG(c->own_slot, c->own_stored));
    if (world.system) {
        store_mapped(&c->parent.env, any(2) ? word_pc(w) : ALIAS_VA + 4 * w, word);
    } else {
        arena_store(w, word);
    }
}

static HostExit run(FakeCPU *c, const FakeIns *ip)
{
    Run r = { .c = c };
    HostEnv *env = &c->parent.env;
    const FakeIns *to;
    vaddr pc;
    check(ip->op == H_ENTRY && ip->pc == env->pc, "entered at op %u", ip->op);
    for (;;) {
        uint64_t serial = ip->serial;
        const FakeIns *next = ip + 1;
        __atomic_store_n(&c->steps, c->steps + 1, __ATOMIC_RELAXED);
        switch ((HostOp)ip->op) {
        case H_ENTRY:
            chaos();
            if (count_down(ip)) {
                return leave(env, HOST_EXIT_HOT, 0, ip->unit, ip->pc);
            }
            break;
        case H_POLL:
            if (__atomic_load_n(&env->exit_request, __ATOMIC_RELAXED)) {
                return leave(env, HOST_EXIT_POLL, 0, 0, ip->pc);
            }
            break;
        case H_WORK: c->s.acc = fake_mix(c->s.acc, ip->arg); break;
        case H_GEN:
            c->seen[ip->arg] =
                __atomic_load_n(&world.completed[ip->arg], __ATOMIC_ACQUIRE);
            break;
        case H_VER: do_version(c, ip->arg); break;
        case H_EXIT: next = follow((FakeIns *)ip); break;
        case H_EXIT_IF:
            if (fake_random(&c->s.rng) & (ip->arg ? 3 : 1)) {
                next = follow((FakeIns *)ip);
            }
            break;
        case H_LOOP_ELSE:
            if (fake_random(&c->s.rng) & 3) {
                next = (const FakeIns *)((TranslationBlock *)ip->unit)->code;
            } else {
                next = follow((FakeIns *)ip);
            }
            break;
        case H_SPIN: next = (const FakeIns *)((TranslationBlock *)ip->unit)->code; break;
        case H_CALL:
            do_call(&r, ip + 1);
            next = follow((FakeIns *)ip);
            break;
        case H_LAND: next = follow((FakeIns *)ip); break;
        case H_PUSH: state_push(&c->s, ip->pc); break;
        case H_RET:
            to = do_return(&r, &pc);
            if (!to) {
                return leave(env, HOST_EXIT_LOOKUP, 0, 0, pc);
            }
            next = to;
            break;
        case H_INDIRECT: case H_INDIRECT64: case H_CALL_INDIRECT:
            pc = state_indirect(&c->s, ip->arg, ip->op == H_INDIRECT64 ? 64 : 4);
            if (ip->op == H_CALL_INDIRECT) {
                do_call(&r, ip + 1);
            }
            next = probe(env, pc);
            if (!next) {
                return leave(env, HOST_EXIT_LOOKUP, 0, 0, pc);
            }
            break;
        case H_REASON: return leave(env, HOST_EXIT_REASON, ip->arg, 0, ip->pc);
        case H_LOOKUP: return leave(env, HOST_EXIT_LOOKUP, 0, 0, ip->pc);
        case H_STUB: return leave(env, HOST_EXIT_LINK, ip->exit, ip->unit, ip->pc);
        case H_COUNT:
            do_count();
            c->counted++;
            break;
        case H_PATCH:
            patch_own(c);
            break;
        case H_PATCHED: c->seen[c->own_slot] = c->own_stored; break;
        default: fail("generated code ran into op %u", ip->op);
        }
        check(next != ip + 1 || next->serial == serial,
              "generated code was overwritten under a thread");
        ip = next;
    }
}

HostExit host_enter(HostEnv *env, const void *code)
{
    __atomic_fetch_add(&world.inside, 1, __ATOMIC_RELAXED);
    chaos();
    HostExit how = run((FakeCPU *)env, code);
    chaos();
    __atomic_fetch_sub(&world.inside, 1, __ATOMIC_RELAXED);
    return how;
}

/* ---- the rest of host.h: the fake guest has no faults and no helpers ---- */

bool host_recover(HostEnv *env, const uint8_t *code, const uint8_t *recovery,
                  size_t recovery_size, uintptr_t host_pc, void *ucontext)
{
    return false;
}

void host_leave_sigsafe(HostEnv *env, void *ucontext, HostExit result)
{
    fail("no fault was expected");
}

bool host_fix_ras_overflow_sigsafe(HostEnv *env, void *ucontext, uintptr_t fault_addr)
{
    return false;
}

void host_leave_from_helper(HostEnv *env, HostExit result)
{
    fail("there are no helpers");
}

uint32_t host_fp_init(void)
{
    return 0;
}

unsigned host_fp_get_flags(const HostEnv *env)
{
    return 0;
}

void host_disas(FILE *out, const uint8_t *code, size_t size)
{
}

/* ---- what exec/ calls of ir/ and opt/, for units that are no IR ---- */

#define UNIT_MAX 400

void ir_func_init(IRFunc *f, const IRGuest *guest, Arena *arena, uint64_t pc)
{
    *f = (IRFunc){
        .guest = guest,
        .arena = arena,
        .pc = pc,
        .nins = 1,
        .ins_cap = UNIT_MAX,
        .nblocks = 1,
        .ins = arena_calloc(arena, UNIT_MAX, sizeof(IRIns)),
        .blocks = arena_calloc(arena, 1, sizeof(IRBlock)),
    };
}

void ir_builder_init(IRBuilder *b, IRFunc *f)
{
    b->f = f;
}

const char *ir_verify(const IRFunc *f)
{
    return f->nins > 1 ? NULL : "empty";
}

void ir_print(FILE *out, const IRFunc *f)
{
}

/* For breakpoints, of which there are none. */
uint32_t ir_snapshot(IRBuilder *b, uint64_t pc)
{
    fail("no breakpoints here");
}

IRRef ir_emit_snap(IRBuilder *b, uint32_t snap, IROp op, IRType type, unsigned aux, IRRef a0, IRRef a1, IRRef a2,
                   int64_t imm)
{
    fail("no breakpoints here");
}

void ir_func_finish(IRBuilder *b)
{
    fail("no breakpoints here");
}

void opt_run(IRFunc *f, unsigned level)
{
    chaos();
}

void ir_interp_destroy(IRInterp *it)
{
}

IRFunc *ir_func_copy(const IRFunc *f)
{
    fail("no interpreter here");
}

HostExit interp_enter(CPUState *cpu, TranslationBlock *tb)
{
    fail("no interpreter here");
}

bool interp_is_active(CPUState *cpu)
{
    return false;
}

bool interp_leave_sigsafe(CPUState *cpu, HostExit how)
{
    return false;
}

HostExit lockstep_enter(CPUState *cpu, TranslationBlock *tb)
{
    fail("no lockstep here");
}
