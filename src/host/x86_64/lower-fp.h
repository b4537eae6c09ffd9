/* What the two files of FP lowering share. */
#ifndef HOST_X86_64_LOWER_FP_H
#define HOST_X86_64_LOWER_FP_H

#include "host/x86_64/compile.h"

/* dst = a op b: VEX, or a move and the two-operand form. */
void emit_fp3(Ctx *c, uint32_t op, unsigned dst, unsigned a, Rm b);
void emit_ucomis(Ctx *c, IRType t, unsigned a, Rm b, bool signaling);
void emit_default_nan(Ctx *c, IRType t, unsigned dst);
/* Set the sticky flag, nothing else; eax is lost. */
void emit_raise_invalid(Ctx *c);
/* Around an operation in a rounding mode of its own; nothing for IR_RM_DYN.  rax is lost. */
void rounding_begin(Ctx *c, IRRound rm);
void rounding_end(Ctx *c, IRRound rm);

#endif
