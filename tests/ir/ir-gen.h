/*
 * Random IR: valid units over a given guest, the same for the same seed, to compare one
 * way of running them with another.
 *
 * What a unit computes is determined completely: a NaN whose payload is the host's choice
 * only reaches ops that do not tell, until CANON has seen it.
 */
#ifndef BRAID_TESTS_IR_GEN_H
#define BRAID_TESTS_IR_GEN_H

#include "ir/ir.h"

typedef struct IRRandomOptions {
    unsigned nins;          /* steps; each makes one instruction or a few */
    bool no_fold;           /* build without folding; the same program */
    bool small_ints;        /* arithmetic on i8 and i16, too */
    bool fp;
    bool blocks;            /* a diamond with block parameters at a random place */
    bool calls;             /* the guest's helpers (they get i64 arguments) */
    bool exits;             /* side exits on random conditions, POLL; perhaps COUNT */
    /* End in LOOP until the guest's last i64 register, which the unit decrements and
     * nothing else writes, is 0 (at its head: set it to 1 or more). */
    bool loop;
    /*
     * Loads and stores to guest addresses [mem_base, mem_base + mem_size), mem_size a
     * power of two from 64; 0: none.  mem_base is a multiple of 64.
     */
    uint64_t mem_base, mem_size;
    bool atomics;           /* AMO, CAS (aligned), FENCE */
    bool misaligned;        /* plain accesses at any address */
    /* LDENV and STENV of the env_count 8-byte fields from byte env_offset of the env
     * block. */
    unsigned env_offset, env_count;
} IRRandomOptions;

void ir_random_func(IRFunc *f, const IRGuest *guest, Arena *arena, uint64_t seed,
                    const IRRandomOptions *options);

/* Interesting values of a type: zeros, ones, limits, NaNs, powers of two, random bits.
 * *state is any seed, advanced by each call. */
uint64_t ir_random_value(uint64_t *state, IRType type);

#endif
