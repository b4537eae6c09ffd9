/*
 * Hash functions for tables inside one process: fast, well mixed in all 32 bits, not for
 * anything that an adversary feeds on purpose, and not for storage: they may change.
 */
#ifndef UTIL_HASH_H
#define UTIL_HASH_H

#include <stdint.h>

/* The two halves of a 128-bit product, folded: every bit of the result depends on most of
 * both arguments. */
static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 p = (unsigned __int128)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/* Odd, with about half of the bits set: fractions of the golden ratio, sqrt(2), sqrt(3).
 * */
#define HASH_K0 UINT64_C(0x9e3779b97f4a7c15)
#define HASH_K1 UINT64_C(0x6a09e667f3bcc909)
#define HASH_K2 UINT64_C(0xbb67ae8584caa73b)

/* One product alone would map evenly spaced keys to evenly spaced hashes. */
static inline uint32_t hash_u64(uint64_t a)
{
    uint64_t h = hash_fold(a ^ HASH_K1, HASH_K0);
    h = hash_fold(h, HASH_K2);
    return (uint32_t)(h ^ (h >> 32));
}

static inline uint32_t hash_u64x2(uint64_t a, uint64_t b)
{
    uint64_t h = hash_fold(a ^ HASH_K1, HASH_K0) + b;
    h = hash_fold(h ^ HASH_K2, HASH_K0);
    return (uint32_t)(h ^ (h >> 32));
}

#endif
