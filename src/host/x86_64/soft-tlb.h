/*
 * What lower-mem.c, recover.c and the thunks use of soft-tlb.c.
 */
#ifndef HOST_X86_64_SOFT_TLB_H
#define HOST_X86_64_SOFT_TLB_H

#include "host/x86_64/compile.h"

/* An access whose probe was emitted: the next instruction makes it at m. */
typedef struct SoftAccess {
    Rm m;
    unsigned reg;   /* load: where the result goes; atomic: a temporary */
    Cold *cold;     /* the caller sets cold->resume behind the access */
} SoftAccess;

SoftAccess soft_load(Ctx *c, IRRef i);
/* src NO_REG: the value is imm. */
SoftAccess soft_store(Ctx *c, IRRef i, unsigned src, int64_t imm);
/* m does not need rax; at cold->resume rax is the old value, zero-extended.  val2: NO_REG, or CAS's
   desired value. */
SoftAccess soft_atomic(Ctx *c, IRRef i, unsigned val, unsigned val2);

/* From the thunk: all registers are in env->access_reg[]. */
void host_soft_access(HostEnv *env);
/* During a slow access: the offset in the unit's code that its recovery entry stands under. */
uint32_t host_soft_access_key(const HostEnv *env);

#endif
