/*
 * Hashes of byte strings: eight bytes per step, folded as in hash.h. The length goes into
 * the start value, so that strings that differ in trailing zero bytes differ in hash.
 */
#include "util/hash.h"

#include <string.h>

uint32_t hash_bytes(const void *p, size_t n)
{
    const unsigned char *s = p;
    uint64_t h = HASH_K1 ^ (n * HASH_K0);
    while (n >= 8) {
        uint64_t w;
        memcpy(&w, s, 8);
        h = hash_fold(h ^ w, HASH_K0) + HASH_K2;
        s += 8;
        n -= 8;
    }
    if (n) {
        uint64_t w = 0;
        memcpy(&w, s, n);
        h = hash_fold(h ^ w, HASH_K0) + HASH_K2;
    }
    h = hash_fold(h ^ HASH_K1, HASH_K2);
    return (uint32_t)(h ^ (h >> 32));
}

uint32_t hash_string(const char *s)
{
    return hash_bytes(s, strlen(s));
}
