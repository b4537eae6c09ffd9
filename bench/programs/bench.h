/*
 * What every benchmark program shares: its argument, a random number
 * generator and a checksum.
 *
 * A program takes the number of iterations as its first argument, does the
 * same work for the same argument everywhere, and prints one line with its
 * name and a checksum of all that it computed.  It never prints times: the
 * output of a native run, of braid and of QEMU must be the same byte for byte,
 * and tools/bench.py compares them.
 *
 * The lines "bench-…:" in the first comment of a program are read by
 * tools/bench.py:
 *   bench-class: integer | fp | threads | startup
 *   bench-args:  the arguments of a full run (0.6 to 1 s native at -O2)
 *   bench-quick: the arguments of a quick run (a tenth of that)
 *   bench-link:  static (default) | static dynamic
 *   bench-scaling: yes, when the last argument is the number of threads and the
 *                program shall be run with one as well as with two
 *   bench-repeat: how many runs make one measurement (default 1)
 */
#ifndef BENCH_H
#define BENCH_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Argument `index` as a number, or `fallback` when it was not given. */
static inline uint64_t bench_arg(int argc, char **argv, int index, uint64_t fallback)
{
    return argc > index ? strtoull(argv[index], NULL, 0) : fallback;
}

/* Fold `value` into the checksum `sum`. */
static inline uint64_t bench_mix(uint64_t sum, uint64_t value)
{
    sum = (sum ^ value) * 0x9e3779b97f4a7c15u;
    return sum ^ (sum >> 29);
}

/* Fold the exact bits of a double into the checksum. */
static inline uint64_t bench_mix_double(uint64_t sum, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bench_mix(sum, bits);
}

/* xorshift64: the next number, never 0; *state must not be 0. */
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static inline int bench_report(const char *name, uint64_t sum)
{
    printf("%s %016" PRIx64 "\n", name, sum);
    return 0;
}

#endif
