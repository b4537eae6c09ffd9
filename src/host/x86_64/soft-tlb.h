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

/* For host_init(). */
void emit_soft_probe_thunks(Ctx *c);

/* ---- soft-groups.c ---- */

typedef enum SoftRole {
    SOFT_ALONE,
    SOFT_LEADS,     /* probes for its group's range, keeps the addend in HostEnv.page_addend[slot] */
    SOFT_FOLLOWS,   /* takes it from there, if it is not 0 */
} SoftRole;

/* Before the lowering, after analyse(). */
void soft_groups_find(Ctx *c);
/* Of an LD or ST. */
SoftRole soft_role(const Ctx *c, IRRef i);
/* The slot of one that is not alone; *first, *last: its group's bytes, relative to its address operand. */
unsigned soft_range(const Ctx *c, IRRef i, int32_t *first, int32_t *last);

/* From the thunk: all registers are in env->access_reg[]. */
void host_soft_access(HostEnv *env);
/* During a slow access: the offset in the unit's code that its recovery entry stands under. */
uint32_t host_soft_access_key(const HostEnv *env);

#endif
