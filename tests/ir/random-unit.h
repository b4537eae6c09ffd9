/*
 * Random units with the state they start from, for tests that compare the interpreter with something else; the same
 * for the same seed.
 */
#ifndef BRAID_TESTS_RANDOM_UNIT_H
#define BRAID_TESTS_RANDOM_UNIT_H

#include "host/host.h"
#include "ir-gen.h"
#include "ir/interp.h"

#define RANDOM_UNIT_MEMORY 1024

typedef struct RandomUnitState {
    HostEnv env;
    HostExit exit;          /* how it was left */
    uint8_t mem[RANDOM_UNIT_MEMORY] __attribute__((aligned(64)));
} RandomUnitState;

/* What the unit's loads and stores reach; it goes in and comes out with a state. */
extern uint8_t random_unit_memory[RANDOM_UNIT_MEMORY];
/* Reasons for which the interpreter leaves a unit. */
enum { RANDOM_UNIT_FAULT = 90, RANDOM_UNIT_MISALIGNED, RANDOM_UNIT_EXCLUSIVE };

/* Registers, memory, FP state and whether to leave; the rest of s->env stays. */
void random_unit_fill_state(uint64_t seed, RandomUnitState *s);
/* One unit in `blocks_every` has several blocks (a power of two). */
IRRandomOptions random_unit_options(uint64_t seed, unsigned blocks_every);
/* Run it from *first in the interpreter; *s is what it leaves. */
void random_unit_interpret(IRInterp *interp, const IRFunc *f, const RandomUnitState *first, RandomUnitState *s);

#endif
