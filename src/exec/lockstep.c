/*
 * Lockstep: first the interpreter runs the unit on a copy of the CPU, its stores kept in a
 * buffer; then generated code runs it for real.  Registers, pc, FP flags and the bytes stored
 * must agree.
 *
 * Units that call helpers are run by generated code alone: a helper's effects cannot be had
 * twice.  With several guest threads another thread's store between the two runs can look like a
 * difference; lockstep is meant for single-threaded programs, and says so.
 */
#include "exec/lockstep.h"

#include <stdlib.h>
#include <string.h>

#include "exec/interp-run.h"
#include "util/error.h"
#include "util/log.h"

#define LOCKSTEP_MAX_BYTES 65536

typedef struct StoredByte {
    vaddr addr;
    uint8_t val;
} StoredByte;

typedef struct Lockstep {
    CPUState *cpu;
    StoredByte *bytes;      /* in order of the stores; later ones win */
    size_t nbytes;
    bool overflow;
} Lockstep;

static bool lockstep_load(void *opaque, uint64_t addr, unsigned size, uint64_t *val)
{
    Lockstep *l = opaque;
    uint8_t buf[8] = { 0 };
    if (!exec_copy_from_guest(l->cpu, buf, addr, size)) {
        return false;
    }
    for (size_t i = 0; i < l->nbytes; i++) {
        uint64_t off = l->bytes[i].addr - addr;
        if (off < size) {
            buf[off] = l->bytes[i].val;
        }
    }
    memcpy(val, buf, sizeof(*val));
    return true;
}

static bool lockstep_store(void *opaque, uint64_t addr, unsigned size, uint64_t val)
{
    Lockstep *l = opaque;
    uint8_t byte;
    if (!exec_copy_from_guest(l->cpu, &byte, addr, 1)) {
        return false;
    }
    for (unsigned i = 0; i < size; i++) {
        if (l->nbytes == LOCKSTEP_MAX_BYTES) {
            l->overflow = true;
            return false;
        }
        l->bytes[l->nbytes++] = (StoredByte){ addr + i, val >> (8 * i) };
    }
    return true;
}

static bool unit_has_call(const IRFunc *f)
{
    for (uint32_t i = 0; i < f->nins; i++) {
        if (f->ins[i].op == IR_CALL) {
            return true;
        }
    }
    return false;
}

static _Noreturn void lockstep_report(CPUState *real, CPUState *model, const TranslationBlock *tb,
                                      const char *what)
{
    FILE *out = log_lock();
    fprintf(out, "lockstep: %s differs after the unit at 0x%" PRIx64 "\n", what, tb->pc);
    fprintf(out, "interpreter:\n");
    real->guest->dump_state(model, out);
    fprintf(out, "generated code:\n");
    real->guest->dump_state(real, out);
    ir_print(out, tb->ir);
    host_disas(out, tb->code, tb->code_size);
    log_unlock();
    fatal("lockstep: %s differs after the unit at 0x%" PRIx64, what, tb->pc);
}

/* Later bytes win: go backwards and skip what was seen. */
static bool stores_agree(Lockstep *l)
{
    for (size_t i = l->nbytes; i-- > 0;) {
        bool later = false;
        for (size_t j = i + 1; j < l->nbytes && !later; j++) {
            later = l->bytes[j].addr == l->bytes[i].addr;
        }
        uint8_t now;
        if (!later && exec_copy_from_guest(l->cpu, &now, l->bytes[i].addr, 1) &&
            now != l->bytes[i].val) {
            return false;
        }
    }
    return true;
}

static const char *find_difference(CPUState *real, CPUState *model, Lockstep *l)
{
    const IRGuest *g = &real->guest->ir;
    for (unsigned r = 0; r < g->nregs; r++) {
        if (real->env.reg[r] != model->env.reg[r]) {
            return g->regs[r].name;
        }
    }
    if (real->env.pc != model->env.pc) {
        return "pc";
    }
    if (host_fp_get_flags(&real->env) != host_fp_get_flags(&model->env)) {
        return "the set of FP exceptions";
    }
    return stores_agree(l) ? NULL : "memory";
}

HostExit lockstep_enter(CPUState *cpu, TranslationBlock *tb)
{
    static _Thread_local CPUState *model;
    static _Thread_local StoredByte *bytes;
    static _Thread_local IRInterp interp;
    size_t size = cpu->guest->cpu_size;
    if (unit_has_call(tb->ir)) {
        return host_enter(&cpu->env, tb->code);
    }
    if (!model) {
        model = aligned_alloc(64, (size + 63) & ~(size_t)63);
        bytes = xmalloc(LOCKSTEP_MAX_BYTES * sizeof(*bytes));
    }
    memcpy((void *)model, cpu, size);
    Lockstep l = { .cpu = cpu, .bytes = bytes };
    const IRInterpHooks hooks = {
        .guest_base = exec_ctx.config.guest_base,
        .opaque = &l,
        .load = lockstep_load,
        .store = lockstep_store,
        .fault_reason = EXIT_REASON_MEMORY_FAULT,
        .misaligned_reason = EXIT_REASON_MISALIGNED,
    };
    HostExit expected = ir_interp_run(&interp, tb->ir, &model->env, &hooks);
    HostExit how = host_enter(&cpu->env, tb->code);
    /* A poll is answered at different iterations; too many stores were not followed. */
    bool comparable = how.kind != HOST_EXIT_POLL && expected.kind != HOST_EXIT_POLL && !l.overflow;
    const char *what = comparable ? find_difference(cpu, model, &l) : NULL;
    if (what) {
        lockstep_report(cpu, model, tb, what);
    }
    return how;
}
