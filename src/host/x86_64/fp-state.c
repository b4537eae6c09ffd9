/*
 * The guest's FP state in the host's format: MXCSR, whose sticky flags and rounding field
 * serve as the guest's own.  Owned by the vCPU thread, valid while outside generated
 * code.
 */
#include "host/x86_64/compile.h"

#define MXCSR_MASKED 0x1f80u
#define MXCSR_FLAGS 0x3fu
#define MXCSR_RC_SHIFT 13

uint32_t host_fp_init(void) { return MXCSR_MASKED; }

unsigned host_fp_get_flags(const HostEnv *env)
{
    return host_ctx.consts->flags_to_ir[env->fp_state & MXCSR_FLAGS];
}

void host_fp_set_flags(HostEnv *env, unsigned flags)
{
    env->fp_state =
        (env->fp_state & ~MXCSR_FLAGS) | host_ctx.consts->flags_from_ir[flags & 31];
}

void host_fp_set_rounding(HostEnv *env, IRRound rm)
{
    static const uint8_t rc[] = {
        [IR_RM_RNE] = 0, [IR_RM_RDN] = 1, [IR_RM_RUP] = 2, [IR_RM_RTZ] = 3
    };
    env->fp_state = (env->fp_state & ~(3u << MXCSR_RC_SHIFT)) | (uint32_t)rc[rm]
                                                                    << MXCSR_RC_SHIFT;
}
