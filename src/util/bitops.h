/*
 * Fields of words, alignment, counting of bits. Pure functions on fixed-width integers;
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

static inline uint32_t mask32(unsigned n)
{
    return n >= 32 ? UINT32_MAX : (UINT32_C(1) << n) - 1;
}

/* @len (1…width) bits of @v from bit @pos, pos + len <= width; zero- or sign-extended. */
static inline uint32_t extract32(uint32_t v, unsigned pos, unsigned len)
{
    return (v >> pos) & (UINT32_MAX >> (32 - len));
}

static inline uint64_t extract64(uint64_t v, unsigned pos, unsigned len)
{
    return (v >> pos) & (UINT64_MAX >> (64 - len));
}

static inline int32_t sextract32(uint32_t v, unsigned pos, unsigned len)
{
    return (int32_t)(v << (32 - len - pos)) >> (32 - len);
}

static inline int64_t sextract64(uint64_t v, unsigned pos, unsigned len)
{
    return (int64_t)(v << (64 - len - pos)) >> (64 - len);
}

/* @v with @len bits from @pos replaced by the low bits of @field. */
static inline uint32_t deposit32(uint32_t v, unsigned pos, unsigned len, uint32_t field)
{
    uint32_t m = (UINT32_MAX >> (32 - len)) << pos;
    return (v & ~m) | ((field << pos) & m);
}

static inline uint64_t deposit64(uint64_t v, unsigned pos, unsigned len, uint64_t field)
{
    uint64_t m = (UINT64_MAX >> (64 - len)) << pos;
    return (v & ~m) | ((field << pos) & m);
}

/* The low @len (1…64) bits of @v, sign-extended. */
static inline int64_t sext64(uint64_t v, unsigned len)
{
    return sextract64(v, 0, len);
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

/* Counts; of zero they give the width. */
static inline unsigned ctz32(uint32_t v)
{
    return v ? (unsigned)__builtin_ctz(v) : 32;
}

static inline unsigned ctz64(uint64_t v)
{
    return v ? (unsigned)__builtin_ctzll(v) : 64;
}

static inline unsigned clz32(uint32_t v)
{
    return v ? (unsigned)__builtin_clz(v) : 32;
}

static inline unsigned clz64(uint64_t v)
{
    return v ? (unsigned)__builtin_clzll(v) : 64;
}

static inline unsigned popcount32(uint32_t v)
{
    return (unsigned)__builtin_popcount(v);
}

static inline unsigned popcount64(uint64_t v)
{
    return (unsigned)__builtin_popcountll(v);
}

static inline uint16_t bswap16(uint16_t v)
{
    return __builtin_bswap16(v);
}

static inline uint32_t bswap32(uint32_t v)
{
    return __builtin_bswap32(v);
}

static inline uint64_t bswap64(uint64_t v)
{
    return __builtin_bswap64(v);
}

/* Rotations by any count, taken modulo the width. */
static inline uint32_t rol32(uint32_t v, unsigned n)
{
    return (v << (n & 31)) | (v >> (-n & 31));
}

static inline uint32_t ror32(uint32_t v, unsigned n)
{
    return (v >> (n & 31)) | (v << (-n & 31));
}

static inline uint64_t rol64(uint64_t v, unsigned n)
{
    return (v << (n & 63)) | (v >> (-n & 63));
}

static inline uint64_t ror64(uint64_t v, unsigned n)
{
    return (v >> (n & 63)) | (v << (-n & 63));
}

static inline bool is_pow2(uint64_t v)
{
    return v && !(v & (v - 1));
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
