/*
 * Common to the back end's tests: a code buffer, a CPU with a return stack between guard
 * pages, compiling and running one unit.  One thread; each program has one of everything.
 */
#ifndef TESTS_HOST_HARNESS_H
#define TESTS_HOST_HARNESS_H

#include "host/host.h"
#include "util/arena.h"

#define CODE_SIZE (4u << 20)
#define RAS_SIZE 4096u
#define UNIT_ID 0x1234567890ull
enum { MISALIGNED_REASON = 91 };

extern HostEnv *env; /* ras_top is set */
extern uint8_t *code_buffer;
extern size_t thunk_size;
extern uint8_t *ras_base; /* RAS_SIZE bytes; the pages on both sides fault */

void harness_init(void);
/* Start the back end afresh. */
void harness_host_init(HostConfig config);
/* Compile at `offset` behind the thunks; fails the program on anything but HOST_OK. */
HostCode harness_compile(const IRFunc *f, size_t offset);
/* The same, but hands the result on. */
HostResult harness_try_compile(const IRFunc *f, size_t offset, HostCode *out);

/* Named sets of options that random tests go through. */
typedef struct Variant {
    const char *name;
    HostConfig config;
} Variant;
extern const Variant variants[];
extern const unsigned n_variants;

#endif
