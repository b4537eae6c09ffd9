/*
 * The IR interpreter as a back end.  Accesses go straight to guest memory; a fault comes
 * back through the signal handler, which recovers the state and jumps out.
 *
 * Owned by the vCPU thread and its signal handlers.
 */
#include "exec/interp-run.h"
#include "exec/soft-mmu.h"

#include <stdlib.h>
#include <string.h>

#include "util/error.h"

static void *copy_part(uint8_t **at, const void *from, size_t size)
{
    void *to = *at;
    memcpy(to, from, size);
    *at += (size + 15) & ~(size_t)15;
    return to;
}

IRFunc *ir_func_copy(const IRFunc *f)
{
    size_t ins = f->nins * sizeof(*f->ins), blocks = f->nblocks * sizeof(*f->blocks);
    size_t snaps = f->nsnaps * sizeof(*f->snaps);
    size_t entries = f->nsnap_entries * sizeof(*f->snap_entries);
    size_t args = f->nargs * sizeof(*f->args);
    uint8_t *at = xmalloc(sizeof(*f) + ins + blocks + snaps + entries + args + 6 * 16);
    IRFunc *copy = copy_part(&at, f, sizeof(*f));
    copy->arena = NULL;
    copy->ins = copy_part(&at, f->ins, ins);
    copy->blocks = copy_part(&at, f->blocks, blocks);
    copy->snaps = copy_part(&at, f->snaps, snaps);
    copy->snap_entries = copy_part(&at, f->snap_entries, entries);
    copy->args = copy_part(&at, f->args, args);
    return copy;
}

HostExit interp_enter(CPUState *cpu, TranslationBlock *tb)
{
    TranslateThread *tx = cpu->tx;
    const IRInterpHooks hooks = {
        .guest_base = exec_ctx.config.guest_base,
        .access = soft_mmu_access,
        .fault_reason = EXIT_REASON_MEMORY_FAULT,
        .misaligned_reason = EXIT_REASON_MISALIGNED,
        .exclusive_reason = tb->cflags & CF_PARALLEL ? EXIT_REASON_EXCLUSIVE : 0,
    };
    HostExit how;
    if (sigsetjmp(tx->interp_leave, 0)) {
        how = tx->interp_exit;
    } else {
        tx->interp_active = true;
        how = ir_interp_run(&tx->interp, tb->ir, &cpu->env, &hooks);
        if (!cpu->soft_tlb && how.kind == HOST_EXIT_REASON && (how.exit == EXIT_REASON_MISALIGNED ||
                                             how.exit == EXIT_REASON_MEMORY_FAULT)) {
            cpu->fault_addr = tx->interp.fault_addr;
            cpu->fault_is_store = tx->interp.fault_is_store;
        }
    }
    tx->interp_active = false;
    return how;
}

bool interp_is_active(CPUState *cpu)
{
    return cpu->tx && cpu->tx->interp_active;
}

bool interp_leave_sigsafe(CPUState *cpu, HostExit how)
{
    TranslateThread *tx = cpu->tx;
    if (!ir_interp_recover_sigsafe(&tx->interp, &cpu->env)) {
        return false;
    }
    tx->interp_exit = how;
    siglongjmp(tx->interp_leave, 1);
}
