/*
 * bitops.h, hash.h, vec.h, seqlock.h: expected values are worked out by hand or by a slow
 * loop over single bits.
 */
#include "unit.h"

#include "util/bitops.h"
#include "util/hash.h"
#include "util/seqlock.h"
#include "util/vec.h"

/* Bit by bit, so that it shares nothing with the shifts under test. */
static uint64_t slow_extract(uint64_t v, unsigned pos, unsigned len)
{
    uint64_t r = 0;
    for (unsigned i = 0; i < len; i++) {
        if (v & (UINT64_C(1) << (pos + i))) {
            r |= UINT64_C(1) << i;
        }
    }
    return r;
}

static void test_fields(void **state)
{
    const uint64_t words[] = {0, UINT64_MAX, UINT64_C(0x0123456789abcdef),
                              UINT64_C(0x8000000000000001), UINT64_C(0xdeadbeefcafef00d)};
    for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
        for (unsigned len = 1; len <= 64; len++) {
            for (unsigned pos = 0; pos + len <= 64; pos++) {
                uint64_t v = words[w], e = slow_extract(v, pos, len);
                assert_true(extract64(v, pos, len) == e);
                bool negative = (e >> (len - 1)) & 1;
                uint64_t s = negative && len < 64 ? e | ~mask64(len) : e;
                assert_true((uint64_t)sextract64(v, pos, len) == s);
                uint64_t d = deposit64(v, pos, len, ~v);
                assert_true(slow_extract(d, pos, len) == slow_extract(~v, 0, len));
                assert_true((d ^ v) >> pos >> (len - 1) >> 1 == 0);
                assert_true(pos == 0 || ((d ^ v) & mask64(pos)) == 0);
                if (pos + len <= 32) {
                    assert_true(extract32((uint32_t)v, pos, len) == e);
                    assert_true((uint32_t)sextract32((uint32_t)v, pos, len) ==
                                (uint32_t)s);
                    assert_true(deposit32((uint32_t)v, pos, len, (uint32_t)~v) ==
                                (uint32_t)d);
                }
            }
        }
    }
}

static void test_counts(void **state)
{
    assert_int_equal(ctz64(0), 64);
    assert_int_equal(clz64(0), 64);
    assert_int_equal(ctz32(0), 32);
    assert_int_equal(clz32(0), 32);
    for (unsigned i = 0; i < 64; i++) {
        uint64_t bit = UINT64_C(1) << i;
        assert_int_equal(ctz64(bit), i);
        assert_int_equal(clz64(bit), 63 - i);
        assert_int_equal(ctz64(bit | UINT64_C(1) << 63), i);
        assert_int_equal(popcount64(bit - 1), i);
        assert_true(is_pow2(bit));
        assert_true(pow2_ceil(bit) == bit);
        if (i >= 2) {
            assert_false(is_pow2(bit - 1));
            assert_true(pow2_ceil(bit - 1) == bit);
        }
    }
    assert_false(is_pow2(0));
    assert_true(pow2_ceil(0) == 1);
    assert_true(pow2_ceil(UINT64_MAX) == 0);
    assert_true(mask64(0) == 0 && mask64(64) == UINT64_MAX && mask32(32) == UINT32_MAX);
}

static void test_shapes(void **state)
{
    assert_true(align_up(0, 4096) == 0 && align_up(1, 4096) == 4096);
    assert_true(align_up(4096, 4096) == 4096 && align_down(8191, 4096) == 4096);
    assert_true(is_aligned(8, 8) && !is_aligned(12, 8));
    assert_true(fits_signed(-2048, 12) && fits_signed(2047, 12));
    assert_false(fits_signed(-2049, 12) || fits_signed(2048, 12));
    assert_true(fits_signed(INT64_MIN, 64) && fits_unsigned(UINT64_MAX, 64));
    assert_true(fits_unsigned(4095, 12) && !fits_unsigned(4096, 12));
    assert_true(ror32(1, 1) == UINT32_C(0x80000000) && ror32(5, 0) == 5 &&
                rol32(5, 32) == 5);
    assert_true(ror64(1, 1) == UINT64_C(1) << 63 && rol64(1, 63) == UINT64_C(1) << 63);
    assert_true(bswap16(0x1234) == 0x3412 && bswap32(0x12345678) == 0x78563412);
    assert_true(bswap64(UINT64_C(0x0102030405060708)) == UINT64_C(0x0807060504030201));
    unsigned i;
    uint64_t seen = 0, mask = UINT64_C(0x8000000000010005);
    for_each_bit64 (i, mask) {
        seen |= UINT64_C(1) << i;
    }
    assert_true(seen == mask);
}

/* No bit of the hash may depend on chance: over keys like page numbers and pcs, the
 * fullest of 1024 buckets (low and high bits) stays near the mean of 64. */
static void check_spread(const uint32_t *hashes, size_t n)
{
    unsigned low[1024] = { 0 }, high[1024] = { 0 };
    assert_int_equal(n, 65536);
    for (size_t i = 0; i < n; i++) {
        low[hashes[i] & 1023]++;
        high[hashes[i] >> 22]++;
    }
    for (int i = 0; i < 1024; i++) {
        /* Poisson with mean 64: beyond 24 and 120 is less likely than 1e-7. */
        assert_in_range(low[i], 24, 120);
        assert_in_range(high[i], 24, 120);
    }
}

static void test_hash_spread(void **state)
{
    static uint32_t h[65536];
    for (uint64_t i = 0; i < 65536; i++) {
        h[i] = hash_u64(0x10000 + i * 2);
    }
    check_spread(h, 65536);
    for (uint64_t i = 0; i < 65536; i++) {
        h[i] = hash_u64(i << 40);
    }
    check_spread(h, 65536);
    for (uint64_t i = 0; i < 65536; i++) {
        h[i] = hash_u64x2(0x7f0000000000 + (i & 255) * 4096, i >> 8);
    }
    check_spread(h, 65536);
    for (uint64_t i = 0; i < 65536; i++) {
        h[i] = hash_u64x3(i & 15, (i >> 4) & 255, i >> 12);
    }
    check_spread(h, 65536);
    for (uint32_t i = 0; i < 65536; i++) {
        char s[16];
        h[i] = hash_bytes(s, (size_t)snprintf(s, sizeof(s), "name%u", i));
    }
    check_spread(h, 65536);
}

static void test_hash_bytes(void **state)
{
    const char text[] = "abcdefghijklmnopqrstuvwxyz\0\0\0\0\0";
    char moved[40];
    for (size_t n = 0; n < sizeof(text); n++) {
        memcpy(moved + 3, text, n);
        assert_int_equal(hash_bytes(text, n), hash_bytes(moved + 3, n));
        if (n) {
            assert_int_not_equal(hash_bytes(text, n), hash_bytes(text, n - 1));
            moved[3 + n / 2] ^= 1;
            assert_int_not_equal(hash_bytes(text, n), hash_bytes(moved + 3, n));
        }
    }
    assert_int_equal(hash_string("abc"), hash_bytes("abc", 3));
}

static void test_vec(void **state)
{
    Vec(uint32_t) v = VEC_INIT;
    for (uint32_t i = 0; i < 10000; i++) {
        vec_push(&v, i * 3);
        assert_true(v.cap >= v.len && v.len == i + 1);
    }
    for (uint32_t i = 0; i < 10000; i++) {
        assert_int_equal(v.data[i], i * 3);
    }
    assert_int_equal(vec_last(&v), 29997);
    assert_int_equal(vec_pop(&v), 29997);
    vec_swap_remove(&v, 0);
    assert_int_equal(v.len, 9998);
    assert_int_equal(v.data[0], 9998 * 3);
    vec_clear(&v);
    vec_reserve(&v, 20000);
    assert_true(v.len == 0 && v.cap >= 20000);
    vec_free(&v);
    assert_null(v.data);
}

static void test_seqlock(void **state)
{
    SeqLock sl = SEQLOCK_INIT;
    uint32_t s = seqlock_read_begin(&sl);
    assert_false(seqlock_read_retry(&sl, s));
    seqlock_write_begin(&sl);
    assert_true(seqlock_read_retry(&sl, s));
    uint32_t inside = seqlock_read_begin(&sl);
    assert_true(seqlock_read_retry(&sl, inside));
    seqlock_write_end(&sl);
    assert_true(seqlock_read_retry(&sl, s));
    assert_true(seqlock_read_retry(&sl, inside));
    s = seqlock_read_begin(&sl);
    assert_false(seqlock_read_retry(&sl, s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),      cmocka_unit_test(test_counts),
        cmocka_unit_test(test_shapes),      cmocka_unit_test(test_hash_spread),
        cmocka_unit_test(test_hash_bytes),  cmocka_unit_test(test_vec),
        cmocka_unit_test(test_seqlock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
