/*
 * bitops.h, hash.h, vec.h, seqlock.h: expected values are worked out by hand.
 */
#include "unit.h"

#include "util/bitops.h"
#include "util/hash.h"
#include "util/seqlock.h"
#include "util/vec.h"

static void test_counts(void **state)
{
    assert_int_equal(clz64(0), 64);
    for (unsigned i = 0; i < 64; i++) {
        uint64_t bit = UINT64_C(1) << i;
        assert_int_equal(clz64(bit), 63 - i);
        assert_true(pow2_ceil(bit) == bit);
        if (i >= 2) {
            assert_true(pow2_ceil(bit - 1) == bit);
        }
    }
    assert_true(pow2_ceil(0) == 1);
    assert_true(pow2_ceil(UINT64_MAX) == 0);
    assert_true(mask64(0) == 0 && mask64(64) == UINT64_MAX);
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
    vec_reserve(&v, 20000);
    assert_true(v.len == 10000 && v.cap >= 20000);
    vec_free(&v);
    assert_null(v.data);
}

static void test_seqlock(void **state)
{
    SeqLock sl = { 0 };
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
        cmocka_unit_test(test_counts),      cmocka_unit_test(test_shapes),      cmocka_unit_test(test_hash_spread),
        cmocka_unit_test(test_vec),         cmocka_unit_test(test_seqlock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
