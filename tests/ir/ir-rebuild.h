/* Emits a unit again through the builder, so that folding sees it as a front end's. */
#ifndef BRAID_TESTS_IR_REBUILD_H
#define BRAID_TESTS_IR_REBUILD_H

#include "ir/ir.h"

/* `f` becomes the new unit, in the same arena. */
void ir_rebuild(IRFunc *f);

#endif
