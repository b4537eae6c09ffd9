/*
 * AES-128 in counter mode with look-up tables (FIPS 197): byte extraction,
 * table loads and exclusive-ors.  The tables are derived from the field's
 * definition and the standard's example vector is checked first.
 *
 * bench-class: integer
 * bench-args: 1300
 * bench-quick: 130
 */
#include "bench.h"

static uint8_t sbox[256];
static uint32_t table[4][256];

static uint8_t times_two(uint8_t x)
{
    return (uint8_t)(x << 1 ^ (x & 0x80 ? 0x1b : 0));
}

static void aes_tables(void)
{
    uint8_t power[256], log[256] = { 0 }, x = 1;

    for (int i = 0; i < 255; i++) {
        power[i] = x;
        log[x] = (uint8_t)i;
        x = (uint8_t)(x ^ times_two(x)); /* times 3, a generator */
    }
    for (int i = 0; i < 256; i++) {
        uint8_t inverse = i ? power[(255 - log[i]) % 255] : 0, s = inverse, two;
        uint32_t word;

        for (int j = 1; j < 5; j++) {
            s ^= (uint8_t)(inverse << j | inverse >> (8 - j));
        }
        s ^= 0x63;
        sbox[i] = s;
        two = times_two(s);
        word = (uint32_t)two << 24 | (uint32_t)s << 16 | (uint32_t)s << 8 |
               (uint32_t)(two ^ s);
        for (int j = 0; j < 4; j++) {
            table[j][i] = word;
            word = word >> 8 | word << 24;
        }
    }
}

static void aes_expand(uint32_t key[44])
{
    uint8_t round = 1;

    for (int i = 4; i < 44; i++) {
        uint32_t t = key[i - 1];

        if (i % 4 == 0) {
            t = (uint32_t)sbox[t >> 16 & 255] << 24 | (uint32_t)sbox[t >> 8 & 255] << 16 |
                (uint32_t)sbox[t & 255] << 8 | sbox[t >> 24];
            t ^= (uint32_t)round << 24;
            round = times_two(round);
        }
        key[i] = key[i - 4] ^ t;
    }
}

static void aes_encrypt(const uint32_t key[44], const uint32_t in[4], uint32_t out[4])
{
    uint32_t s[4], t[4];

    for (int i = 0; i < 4; i++) {
        s[i] = in[i] ^ key[i];
    }
    for (int round = 1; round < 10; round++) {
        for (int i = 0; i < 4; i++) {
            t[i] = table[0][s[i] >> 24] ^ table[1][s[(i + 1) % 4] >> 16 & 255] ^
                   table[2][s[(i + 2) % 4] >> 8 & 255] ^ table[3][s[(i + 3) % 4] & 255] ^
                   key[4 * round + i];
        }
        memcpy(s, t, sizeof(s));
    }
    for (int i = 0; i < 4; i++) {
        out[i] = ((uint32_t)sbox[s[i] >> 24] << 24 |
                  (uint32_t)sbox[s[(i + 1) % 4] >> 16 & 255] << 16 |
                  (uint32_t)sbox[s[(i + 2) % 4] >> 8 & 255] << 8 |
                  sbox[s[(i + 3) % 4] & 255]) ^ key[40 + i];
    }
}

int main(int argc, char **argv)
{
    static const uint32_t plain[4] = { 0x00112233, 0x44556677, 0x8899aabb, 0xccddeeff };
    uint32_t key[44] = { 0x00010203, 0x04050607, 0x08090a0b, 0x0c0d0e0f };
    uint32_t counter[4] = { 0 }, out[4];
    uint64_t blocks = bench_arg(argc, argv, 1, 190) * 4096, sum = 0;

    aes_tables();
    aes_expand(key);
    aes_encrypt(key, plain, out);
    if (out[0] != 0x69c4e0d8 || out[3] != 0x70b4c55a) {
        printf("aes: wrong result for the example of FIPS 197\n");
        return 1;
    }
    for (uint64_t i = 0; i < blocks; i++) {
        counter[3] = (uint32_t)i;
        counter[2] = (uint32_t)(i >> 32);
        aes_encrypt(key, counter, out);
        sum ^= (uint64_t)(out[0] ^ out[2]) << 32 | (out[1] ^ out[3]);
    }
    return bench_report("aes", sum);
}
