/* Floating point for the interpreter, under the guest's rounding mode and flags. */
#ifndef BRAID_IR_INTERP_FP_H
#define BRAID_IR_INTERP_FP_H

#include "ir/ir.h"

/*
 * Compute an IRF_FPSTAT op on the bits in a, b, c (arguments are of `arg_type`) and
 * accrue its flags in *fp_state (HostEnv.fp_state, the host's own format).
 */
uint64_t ir_interp_fp(uint32_t *fp_state, const IRIns *ins, IRType arg_type, uint64_t a,
                      uint64_t b, uint64_t c);
/* FPGET and FPSET. */
unsigned ir_interp_fp_flags(uint32_t fp_state);
void ir_interp_fp_set_flags(uint32_t *fp_state, unsigned flags);

#endif
