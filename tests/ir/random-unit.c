/* random-unit.h's part. */
#include "random-unit.h"

#include <string.h>

#include "test-guest.h"

uint8_t random_unit_memory[RANDOM_UNIT_MEMORY] __attribute__((aligned(64)));

void random_unit_fill_state(uint64_t seed, RandomUnitState *s)
{
    uint64_t rng = seed ^ 0x5555;
    for (unsigned i = 0; i < test_guest.nregs; i++) {
        s->env.reg[i] = ir_random_value(&rng, test_guest.regs[i].type);
        if (test_guest.regs[i].type == IR_F64 && (rng & 1)) {
            s->env.reg[i] = UINT64_C(0xffffffff00000000) | ir_random_value(&rng, IR_F32);
        }
    }
    s->env.reg[TEST_GUEST_INTS - 1] = 1 + seed % 3;
    s->env.fp_state = 0x1f80 | (uint32_t)(seed & 3) << 13;
    s->env.exit_request = seed % 5 == 0;
    s->env.insns_left = seed % 11 == 0 ? 3 : 100000;
    for (unsigned i = 0; i < RANDOM_UNIT_MEMORY; i += 8) {
        uint64_t v = ir_random_value(&rng, IR_I64);
        memcpy(s->mem + i, &v, 8);
    }
}

IRRandomOptions random_unit_options(uint64_t seed, unsigned blocks_every)
{
    uint64_t bits = seed * UINT64_C(0x9e3779b97f4a7c15) >> 40;
    return (IRRandomOptions){
        .nins = 4 + (unsigned)(bits % 120),
        .small_ints = bits >> 8 & 1,
        .fp = bits >> 9 & 1,
        .blocks = (bits >> 10 & (blocks_every - 1)) == 0,
        .calls = bits >> 12 & 1,
        .exits = bits >> 13 & 1,
        .loop = bits >> 14 & 1,
        .mem_base = (uintptr_t)random_unit_memory,
        .mem_size = bits >> 15 & 1 ? RANDOM_UNIT_MEMORY : 0,
        .atomics = bits >> 16 & 1,
        .misaligned = bits >> 17 & 1,
        .env_offset = offsetof(HostEnv, stats),
        .env_count = bits >> 18 & 1 ? 4 : 0,
        .no_fold = bits >> 19 & 1,
    };
}

void random_unit_interpret(IRInterp *interp, const IRFunc *f, const RandomUnitState *first, RandomUnitState *s)
{
    static const IRInterpHooks hooks = { .fault_reason = RANDOM_UNIT_FAULT,
                                         .misaligned_reason = RANDOM_UNIT_MISALIGNED,
                                         .exclusive_reason = RANDOM_UNIT_EXCLUSIVE };
    *s = *first;
    memcpy(random_unit_memory, s->mem, RANDOM_UNIT_MEMORY);
    s->exit = ir_interp_run(interp, f, &s->env, &hooks);
    memcpy(s->mem, random_unit_memory, RANDOM_UNIT_MEMORY);
}
