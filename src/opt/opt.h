/*
 * The optimiser of one unit: a few linear walks, in place.
 *
 * Threads: a unit belongs to the translation context that builds it; nothing here is
 * shared.
 */
#ifndef BRAID_OPT_H
#define BRAID_OPT_H

#include "ir/ir.h"

/*
 * Level 0: nothing; 1: what pays for itself in code that runs a few times.  `f` is a unit
 * that ir_verify() accepts and stays one; indices of values do not change, what goes
 * becomes NOPs.
 */
void opt_run(IRFunc *f, unsigned level);

/* The passes, for tests by name: the walk forward (fold, common subexpressions, CPU
   fields, fences) and the walk backward (what nobody needs). */
void opt_forward(IRFunc *f);
void opt_backward(IRFunc *f);

#endif
