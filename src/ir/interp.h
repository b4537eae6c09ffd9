/*
 * The reference interpreter of the IR, and a back end of its own.
 *
 * It shares with the back ends the structure that generated code sees (host/host.h,
 * nothing else of that layer) and the way units are left.
 */
#ifndef BRAID_IR_INTERP_H
#define BRAID_IR_INTERP_H

#include "host/host.h"
#include "ir/ir.h"

/*
 * One thread's interpreter.  Owned by that thread; its signal handlers may read it (see
 * ir_interp_recover_sigsafe()).  Zero-initialise; ir_interp_destroy() frees.
 */
typedef struct IRInterp {
    const IRFunc *f;        /* the unit that runs, or ran last */
    uint64_t *val;          /* value of each instruction, zero-extended */
    uint32_t val_cap;
    uint32_t snap;          /* not 0: in an access or helper call with this snapshot */
    bool regs_in_env;       /* the helper has all registers in env: recover pc only */
    /* Results of ir_interp_run() */
    IRRef left;             /* the instruction that left the unit */
    uint64_t fault_addr;    /* guest address, if it left for a reason of IRInterpHooks */
    bool fault_is_store;
} IRInterp;

/*
 * How the interpreter reaches guest memory, and what it says of accesses that it cannot
 * make.  Constant while a unit runs.
 */
typedef struct IRInterpHooks {
    uint64_t guest_base;    /* host address of guest address 0, for direct accesses */
    void *opaque;           /* first argument of load and store */
    /*
     * Make accesses of `size` bytes through these, atomic ones too (as a load and a
     * store), instead of directly.  Both or neither.  false: leave for fault_reason.
     */
    bool (*load)(void *opaque, uint64_t addr, unsigned size, uint64_t *val);
    bool (*store)(void *opaque, uint64_t addr, unsigned size, uint64_t val);
    /* Units with soft_mmu: makes all their accesses; leaves by ir_interp_recover_sigsafe(). */
    HostAccessFunc *access;
    /* Reasons (HOST_EXIT_REASON) to leave for, at the snapshot of the access: */
    uint32_t fault_reason;      /* load or store returned false */
    uint32_t misaligned_reason; /* MO_ALIGN, address not a multiple of the size */
    uint32_t exclusive_reason;  /* atomic access across a cache line; 0: host tries */
    bool leave_at_loop;         /* leave at LOOP (as HOST_EXIT_LOOKUP), not start over */
} IRInterpHooks;

/*
 * Run a verified unit until it leaves.  Guest registers are read from env->reg; when it
 * leaves, env->reg and env->pc are the guest's state.  env->fp_state is always current.
 * Direct jumps leave as HOST_EXIT_LOOKUP: nothing is linked.
 */
HostExit ir_interp_run(IRInterp *it, const IRFunc *f, HostEnv *env,
                       const IRInterpHooks *hooks);

/*
 * Write the guest's state at the access or call that was interrupted to env->reg and
 * env->pc.  Returns false if the thread was not in one: then the fault is our own.  After
 * it the handler leaves by siglongjmp() to a point outside ir_interp_run(), which may be
 * called again. Async-signal-safe; also for helpers that do not return.
 */
bool ir_interp_recover_sigsafe(IRInterp *it, HostEnv *env);

void ir_interp_destroy(IRInterp *it);

#endif
