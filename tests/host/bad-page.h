/* SPDX-License-Identifier: MIT
 *
 * Random units whose accesses meet a page that is not there or must not be written, and what the
 * interpreter makes of them: the reference for test-faults.c and test-soft-tlb.c.  One thread; everything
 * but the unit lies in `bp`.
 */
#ifndef TESTS_HOST_BAD_PAGE_H
#define TESTS_HOST_BAD_PAGE_H

#include "harness.h"
#include "ir-gen.h"
#include "ir/ir.h"

#define PAGE 4096u
#define MEM_SIZE (4 * PAGE) /* random units use the first half and a little more */
enum { FAULT_REASON = 90 };

typedef struct BadPage {
    uint8_t *memory;    /* MEM_SIZE bytes; page 1 is the bad one */
    uint64_t base;      /* guest address of memory[0] */
    int prot;           /* of the bad page: PROT_NONE or PROT_READ */
    HostEnv first;      /* every run of a unit starts with it ... */
    uint8_t before[MEM_SIZE]; /* ... and with this memory */
    HostEnv expected;   /* what the interpreter left */
    uint8_t expected_memory[MEM_SIZE];
    HostExit expected_exit;
    HostCode code;      /* of the unit, for the test to fill */
    unsigned runs, faults; /* counted by the test */
    unsigned crossings; /* accesses to two pages that the hooks were asked for */
} BadPage;

extern BadPage bp;

/* Memory with guest addresses from base on; 0: the host's own. */
void bad_page_init(uint64_t base);

/* Sets the host up, makes the unit of a seed, and runs it in the interpreter.
   The unit is valid until the next one is made. */
void bad_page_make_unit(IRFunc *f, uint64_t seed, HostConfig config);

/* One access as the interpreter's hooks make it; false: the page forbids it. */
bool bad_page_load(void *opaque, uint64_t addr, unsigned size, uint64_t *val);
bool bad_page_store(void *opaque, uint64_t addr, unsigned size, uint64_t val);

/* Compares what a run of the compiled unit left with what the interpreter left; says so and exits if
   they differ.  The memory must be readable. */
void bad_page_compare(uint64_t seed, const Variant *v, const IRFunc *f, HostExit got);

/* The seeds and the variant that the command line names, each through check(). */
void bad_page_run_seeds(int argc, char **argv, void (*check)(uint64_t seed, const Variant *v));

#endif
