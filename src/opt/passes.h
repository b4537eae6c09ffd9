/*
 * What the passes offer each other.
 */
#ifndef BRAID_OPT_PASSES_H
#define BRAID_OPT_PASSES_H

#include "opt/opt.h"

/* Becomes a copy of `r`, or nothing.  Copies are gone when opt_run() is done. */
void opt_make_copy(IRFunc *f, IRRef at, IRRef r);
void opt_make_nop(IRFunc *f, IRRef at);
/* Let the arguments of one instruction skip copies; true if any was one. */
bool opt_skip_copies(IRFunc *f, IRIns *ins);
void opt_skip_copies_in_snapshots(IRFunc *f);
/* A CALL with an effect on memory, CPU fields or control. */
bool opt_call_has_effects(const IRFunc *f, const IRIns *ins);

/* ---- fields.c ---- */
#define OPT_FIELDS 16

typedef struct OptField {
    int64_t offset;
    IRType type;
    IRRef val;          /* what the field holds */
    IRRef store; /* the STENV that put it there, as long as nobody can have seen it */
} OptField;

typedef struct OptFields {
    OptField field[OPT_FIELDS];
    unsigned n, next;
} OptFields;

/* Look at the instruction at `at`; true if it became something else. */
bool opt_fields_visit(OptFields *s, IRFunc *f, IRRef at);

/* ---- fences.c ---- */
typedef struct OptFences {
    IRRef fence;        /* the last FENCE, if no memory was accessed since */
    bool exit_since;    /* the unit may have been left since */
    bool after_atomic;  /* an atomic access orders all before with all that follows */
} OptFences;

bool opt_fences_visit(OptFences *s, IRFunc *f, IRRef at);

#endif
