/*
 * Widths of words, alignment, counting of bits. Pure functions on fixed-width integers;
 * an argument outside the stated range is undefined, as in the shifts that they are made
 * of.
 */
#ifndef UTIL_BITOPS_H
#define UTIL_BITOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The lowest @n bits set, 0 <= n <= 64. */
static inline uint64_t mask64(unsigned n)
{
    return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* The low @len (1…64) bits of @v, sign-extended. */
static inline int64_t sext64(uint64_t v, unsigned len)
{
    return (int64_t)(v << (64 - len)) >> (64 - len);
}

/* True if @v is the sign extension of its low @len bits, or the zero extension. */
static inline bool fits_signed(int64_t v, unsigned len)
{
    return sext64((uint64_t)v, len) == v;
}

static inline bool fits_unsigned(uint64_t v, unsigned len)
{
    return (v & ~mask64(len)) == 0;
}

/* Leading zeros; of zero there are 64. */
static inline unsigned clz64(uint64_t v)
{
    return v ? (unsigned)__builtin_clzll(v) : 64;
}

/* The smallest power of two that is not below @v; 1 for 0; 0 if there is none. */
static inline uint64_t pow2_ceil(uint64_t v)
{
    if (v <= 1) {
        return 1;
    }
    unsigned n = 64 - clz64(v - 1);
    return n == 64 ? 0 : UINT64_C(1) << n;
}

/* To a power of two @a. align_up wraps to 0 at the end of the range. */
static inline uint64_t align_down(uint64_t v, uint64_t a)
{
    return v & ~(a - 1);
}

static inline uint64_t align_up(uint64_t v, uint64_t a)
{
    return (v + a - 1) & ~(a - 1);
}

static inline bool is_aligned(uint64_t v, uint64_t a)
{
    return !(v & (a - 1));
}

/* Walks the set bits of a mask from the lowest: for_each_bit64(i, mask) … */
#define for_each_bit64(i, mask)                                                          \
    for (uint64_t bits_left_ = (mask);                                                 \
         bits_left_ && ((i) = (unsigned)__builtin_ctzll(bits_left_), 1);             \
         bits_left_ &= bits_left_ - 1)

#endif
