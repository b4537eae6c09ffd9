/*
 * A small compressor and its inverse: LZ77 with hash chains of length one, then
 * an adaptive binary range coder of order 0 over the tokens.  The round trip is
 * compared with the original.
 *
 * bench-class: integer
 * bench-args: 80
 * bench-quick: 8
 */
#include "bench.h"

enum { SIZE = 256 * 1024, HASH_BITS = 14, MIN_MATCH = 4, MAX_MATCH = 255 + MIN_MATCH };

static uint8_t input[SIZE], tokens[SIZE * 2], packed[SIZE * 2], unpacked[SIZE * 2];
static uint8_t output[SIZE];
static int32_t hash_head[1 << HASH_BITS];

static void make_input(void)
{
    static const char *const phrases[] = {
        "the quick brown fox ", "jumps over ", "a lazy dog; ", "int main(void) { ",
        "return 0; }\n", "0x", "<p>", "</p>\n",
    };
    uint64_t rng = 12345;
    size_t at = 0;

    while (at < SIZE) {
        uint64_t r = bench_random(&rng);
        const char *phrase = phrases[r % 8];
        size_t len = strlen(phrase);

        if (r >> 60 < 5) {
            input[at++] = (uint8_t)(r >> 20);
            continue;
        }
        len = len < SIZE - at ? len : SIZE - at;
        memcpy(input + at, phrase, len);
        at += len;
    }
}

/* Tokens: 0 byte, or 1 length distance-low distance-high. */
static size_t lz_encode(const uint8_t *in, size_t n, uint8_t *out)
{
    size_t o = 0;

    memset(hash_head, 0xff, sizeof(hash_head));
    for (size_t i = 0; i < n;) {
        size_t len = 0, distance = 0;

        if (i + MIN_MATCH <= n) {
            uint32_t word, slot;
            int32_t before;

            memcpy(&word, in + i, 4);
            slot = word * 2654435761u >> (32 - HASH_BITS);
            before = hash_head[slot];
            hash_head[slot] = (int32_t)i;
            if (before >= 0 && i - (size_t)before < 65536) {
                distance = i - (size_t)before;
                while (i + len < n && len < MAX_MATCH &&
                       in[i + len] == in[i + len - distance]) {
                    len++;
                }
            }
        }
        if (len >= MIN_MATCH) {
            out[o++] = 1;
            out[o++] = (uint8_t)(len - MIN_MATCH);
            out[o++] = (uint8_t)distance;
            out[o++] = (uint8_t)(distance >> 8);
            i += len;
        } else {
            out[o++] = 0;
            out[o++] = in[i++];
        }
    }
    return o;
}

static size_t lz_decode(const uint8_t *in, size_t n, uint8_t *out)
{
    size_t o = 0;

    for (size_t i = 0; i < n;) {
        if (in[i] == 0) {
            out[o++] = in[i + 1];
            i += 2;
        } else {
            size_t len = (size_t)in[i + 1] + MIN_MATCH;
            size_t distance = in[i + 2] | (size_t)in[i + 3] << 8;

            for (; len && o < SIZE; len--, o++) {
                out[o] = out[o - distance];
            }
            i += 4;
        }
    }
    return o;
}

typedef struct {
    uint16_t probability[256];
    uint32_t low, high, code;
    uint8_t *at;
} Coder;

static void coder_init(Coder *coder, uint8_t *buffer)
{
    for (int i = 0; i < 256; i++) {
        coder->probability[i] = 2048;
    }
    coder->low = 0;
    coder->high = 0xffffffff;
    coder->at = buffer;
}

static void coder_adapt(uint16_t *probability, int bit)
{
    if (bit) {
        *probability += (4096 - *probability) >> 5;
    } else {
        *probability -= *probability >> 5;
    }
}

static void encode_byte(Coder *coder, uint8_t byte)
{
    unsigned context = 1;

    for (int i = 7; i >= 0; i--) {
        uint16_t *p = &coder->probability[context];
        uint32_t middle =
            coder->low + (uint32_t)((uint64_t)(coder->high - coder->low) * *p >> 12);
        int bit = byte >> i & 1;

        if (bit) {
            coder->high = middle;
        } else {
            coder->low = middle + 1;
        }
        coder_adapt(p, bit);
        context = (context << 1 | (unsigned)bit) & 255;
        while ((coder->low ^ coder->high) >> 24 == 0) {
            *coder->at++ = (uint8_t)(coder->high >> 24);
            coder->low <<= 8;
            coder->high = coder->high << 8 | 255;
        }
    }
}

static uint8_t decode_byte(Coder *coder)
{
    unsigned context = 1, byte = 0;

    for (int i = 7; i >= 0; i--) {
        uint16_t *p = &coder->probability[context];
        uint32_t middle =
            coder->low + (uint32_t)((uint64_t)(coder->high - coder->low) * *p >> 12);
        int bit = coder->code <= middle;

        if (bit) {
            coder->high = middle;
        } else {
            coder->low = middle + 1;
        }
        coder_adapt(p, bit);
        byte = byte << 1 | (unsigned)bit;
        context = (context << 1 | (unsigned)bit) & 255;
        while ((coder->low ^ coder->high) >> 24 == 0) {
            coder->low <<= 8;
            coder->high = coder->high << 8 | 255;
            coder->code = coder->code << 8 | *coder->at++;
        }
    }
    return (uint8_t)byte;
}

static size_t entropy_encode(const uint8_t *in, size_t n, uint8_t *out)
{
    Coder coder;

    coder_init(&coder, out);
    for (size_t i = 0; i < n; i++) {
        encode_byte(&coder, in[i]);
    }
    for (int i = 0; i < 4; i++) {
        *coder.at++ = (uint8_t)(coder.low >> 24);
        coder.low <<= 8;
    }
    return (size_t)(coder.at - out);
}

static void entropy_decode(uint8_t *in, uint8_t *out, size_t n)
{
    Coder coder;

    coder_init(&coder, in);
    coder.code = 0;
    for (int i = 0; i < 4; i++) {
        coder.code = coder.code << 8 | *coder.at++;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = decode_byte(&coder);
    }
}

int main(int argc, char **argv)
{
    uint64_t iterations = bench_arg(argc, argv, 1, 3), sum = 0;

    make_input();
    for (uint64_t i = 0; i < iterations; i++) {
        size_t token_count, packed_len;

        input[i * 977 % SIZE] ^= (uint8_t)(i + 1);
        token_count = lz_encode(input, SIZE, tokens);
        packed_len = entropy_encode(tokens, token_count, packed);
        entropy_decode(packed, unpacked, token_count);
        if (lz_decode(unpacked, token_count, output) != SIZE ||
            memcmp(input, output, SIZE)) {
            printf("compress: the round trip lost data\n");
            return 1;
        }
        sum = bench_mix(sum, packed_len);
    }
    return bench_report("compress", sum);
}
