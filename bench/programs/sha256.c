/*
 * SHA-256 (FIPS 180-4) of a buffer, over and over: rotations, logic and adds on
 * 32-bit words.  The constants are computed from the first 64 primes as the
 * standard defines them, with integer cube and square roots, and the digest of
 * "abc" is checked against the standard's example first.
 *
 * bench-class: integer
 * bench-args: 2600
 * bench-quick: 260
 */
#include "bench.h"

static uint32_t k[64], h0[8];

/* floor(2^32 * frac(p^(1/root))) by binary search on 128-bit products. */
static uint32_t root_fraction(uint32_t p, int root)
{
    uint64_t low = 0, high = (uint64_t)32 << 32;

    while (high - low > 1) {
        uint64_t mid = low + (high - low) / 2;
        unsigned __int128 square = (unsigned __int128)mid * mid;
        int above;

        if (root == 2) {
            above = square > (unsigned __int128)p << 64;
        } else {
            /* mid < 2^37: the cube fits in 111 bits. */
            above = square * mid > (unsigned __int128)p << 96;
        }
        if (above) {
            high = mid;
        } else {
            low = mid;
        }
    }
    return (uint32_t)low;
}

static void sha256_constants(void)
{
    int found = 0;

    for (uint32_t p = 2; found < 64; p++) {
        uint32_t d = 2;

        while (d * d <= p && p % d) {
            d++;
        }
        if (d * d > p) {
            if (found < 8) {
                h0[found] = root_fraction(p, 2);
            }
            k[found++] = root_fraction(p, 3);
        }
    }
}

static uint32_t ror(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void sha256_block(uint32_t h[8], const uint8_t *in)
{
    uint32_t w[64], s[8];

    for (int i = 0; i < 16; i++) {
        w[i] = (uint32_t)in[4 * i] << 24 | (uint32_t)in[4 * i + 1] << 16 |
               (uint32_t)in[4 * i + 2] << 8 | in[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];

        w[i] = w[i - 16] + w[i - 7] + (ror(a, 7) ^ ror(a, 18) ^ a >> 3) +
               (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
    }
    memcpy(s, h, sizeof(s));
    for (int i = 0; i < 64; i++) {
        uint32_t a = s[0], e = s[4];
        uint32_t t1 = s[7] + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) +
                      ((e & s[5]) ^ (~e & s[6])) + k[i] + w[i];
        uint32_t t2 = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) +
                      ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));

        s[7] = s[6];
        s[6] = s[5];
        s[5] = s[4];
        s[4] = s[3] + t1;
        s[3] = s[2];
        s[2] = s[1];
        s[1] = s[0];
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) {
        h[i] += s[i];
    }
}

static void sha256(uint32_t h[8], const uint8_t *data, size_t len)
{
    uint8_t tail[128] = { 0 };
    size_t whole = len / 64 * 64, rest = len - whole;
    size_t tail_len = rest < 56 ? 64 : 128;

    memcpy(h, h0, sizeof(h0));
    for (size_t at = 0; at < whole; at += 64) {
        sha256_block(h, data + at);
    }
    memcpy(tail, data + whole, rest);
    tail[rest] = 0x80;
    for (int i = 0; i < 8; i++) {
        tail[tail_len - 1 - (size_t)i] = (uint8_t)((uint64_t)len * 8 >> (8 * i));
    }
    for (size_t at = 0; at < tail_len; at += 64) {
        sha256_block(h, tail + at);
    }
}

int main(int argc, char **argv)
{
    static uint8_t buffer[65536];
    uint64_t iterations = bench_arg(argc, argv, 1, 260), rng = 42;
    uint32_t h[8];

    sha256_constants();
    sha256(h, (const uint8_t *)"abc", 3);
    if (h[0] != 0xba7816bf || h[7] != 0xf20015ad) {
        printf("sha256: wrong digest of \"abc\"\n");
        return 1;
    }
    for (size_t i = 0; i < sizeof(buffer); i++) {
        buffer[i] = (uint8_t)bench_random(&rng);
    }
    for (uint64_t i = 0; i < iterations; i++) {
        sha256(h, buffer, sizeof(buffer) - (size_t)(i % 64));
        memcpy(buffer + i % 1000, h, sizeof(h));
    }
    return bench_report("sha256", bench_mix((uint64_t)h[0] << 32 | h[1], h[7]));
}
