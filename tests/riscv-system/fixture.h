/*
 * A hart without a machine: 1 MiB of memory at 0x80000000, and doubles of what the privileged
 * architecture calls in exec/ and mem/, which count.  Expected values in these tests are those
 * of the Privileged ISA manual.
 */
#ifndef TESTS_RISCV_SYSTEM_FIXTURE_H
#define TESTS_RISCV_SYSTEM_FIXTURE_H

#include "guest/riscv/hart.h"
#include "tests/unit/unit.h"

#define RAM_BASE UINT64_C(0x80000000)
#define RAM_SIZE (UINT64_C(1) << 20)

typedef struct Fixture {
    RISCVHart *h;
    CPUState *cpu;
    uint64_t *ram;
    uint64_t time;          /* what the time CSR reads */
    uint64_t ns;            /* the machine's clock, which counters count */
    uint64_t alarm;         /* what RISCVSystemConfig.set_alarm was last called with */
    unsigned flushes, kicks, wakes, timer_changes, alarms;
    uint64_t space;         /* last tlb_set_space() */
    hwaddr readonly_from;   /* memory from here on is ROM */
    /* memory_find() stores this to `race_at` the race_countdown-th time it is asked for it */
    hwaddr race_at;
    uint64_t race_value;
    unsigned race_countdown;
} Fixture;
extern Fixture fx;

/* For cmocka: a hart after reset, in M-mode, with all of memory open to S and U. */
int setup_hart(void **state);
int teardown_hart(void **state);

static inline uint64_t *ram_at(hwaddr pa) { return fx.ram + (pa - RAM_BASE) / 8; }

/* A CSR instruction in the hart's mode; true if legal. */
bool csr_write(unsigned number, uint64_t v);
bool csr_set(unsigned number, uint64_t bits);
bool csr_clear(unsigned number, uint64_t bits);
/* The value; fails the test if it is illegal. */
uint64_t csr_read(unsigned number);
bool csr_is_legal(unsigned number);
void set_mode(unsigned priv);

#endif
