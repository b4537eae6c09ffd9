/*
 * Local folding: what one instruction becomes, seen with its arguments' definitions.
 */
#ifndef BRAID_IR_FOLD_H
#define BRAID_IR_FOLD_H

#include "ir/ir.h"

/*
 * Simplify *ins, which is not (or no longer) at a place of its own in `f`.  Returns an
 * earlier value that it equals, else IR_NONE with *ins as it should be emitted: possibly
 * rewritten, into a CONST, or into a NOP if it has no effect.  With a builder, rules may
 * append new constants and instructions; with b == NULL (passes that work in place) only
 * rules that need none apply.
 */
IRRef ir_fold(IRFunc *f, IRBuilder *b, IRIns *ins);

#endif
