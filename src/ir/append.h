/*
 * Raw growth of an IRFunc, for those who build one without the builder: the parser,
 * random units, region formation.  Nothing is folded or checked.
 */
#ifndef BRAID_IR_APPEND_H
#define BRAID_IR_APPEND_H

#include "ir/ir.h"
#include "util/arena.h"

void *ir_grow_array(Arena *a, void *p, uint32_t *cap, uint32_t need, size_t item);

/* Make room for `need` items in one of the arrays of an IRFunc. */
#define IR_RESERVE(f, array, need, cap)                                                  \
    do {                                                                                 \
        if (unlikely((need) > (f)->cap)) {                                               \
            (f)->array = ir_grow_array((f)->arena, (f)->array, &(f)->cap, (need),        \
                                       sizeof *(f)->array);                              \
        }                                                                                \
    } while (0)

static inline IRRef ir_append(IRFunc *f, const IRIns *ins)
{
    IR_RESERVE(f, ins, f->nins + 1, ins_cap);
    IRRef r = f->nins++;
    f->ins[r] = *ins;
    return r;
}

/* `n` registers and values, ascending by register. */
static inline uint32_t ir_append_snap(IRFunc *f, uint64_t pc, uint32_t n,
                                      const IRSnapEntry *entries)
{
    IR_RESERVE(f, snap_entries, f->nsnap_entries + n, snap_entries_cap);
    IR_RESERVE(f, snaps, f->nsnaps + 1, snaps_cap);
    if (n) {
        memcpy(f->snap_entries + f->nsnap_entries, entries, n * sizeof *entries);
    }
    f->snaps[f->nsnaps] = (IRSnap){ .pc = pc, .first = f->nsnap_entries, .count = (uint16_t)n };
    f->nsnap_entries += n;
    return f->nsnaps++;
}

/* Returns the place of the first. */
static inline uint32_t ir_append_args(IRFunc *f, unsigned n, const IRRef *args)
{
    IR_RESERVE(f, args, f->nargs + n, args_cap);
    uint32_t first = f->nargs;
    for (unsigned i = 0; i < n; i++) {
        f->args[f->nargs++] = args[i];
    }
    return first;
}

/* Open a block that starts here, ending the one before; returns its number. */
static inline uint32_t ir_append_block(IRFunc *f)
{
    f->blocks[f->nblocks - 1].end = f->nins;
    IR_RESERVE(f, blocks, f->nblocks + 1, blocks_cap);
    f->blocks[f->nblocks] = (IRBlock){ .first = f->nins };
    return f->nblocks++;
}

#endif
