/*
 * Strings: loops over bytes written out in C (length, compare, reverse, hash,
 * word count) mixed with memcpy, strlen, strcmp and strchr of the C library.
 *
 * bench-class: integer
 * bench-args: 8000
 * bench-quick: 800
 */
#include "bench.h"

enum { TEXT_LEN = 40000, MAX_WORDS = 12000 };

static char text[TEXT_LEN + 1], copy[TEXT_LEN + 1];
static const char *words[MAX_WORDS];

static __attribute__((noinline)) size_t own_length(const char *s)
{
    size_t n = 0;

    while (s[n]) {
        n++;
    }
    return n;
}

static __attribute__((noinline)) int own_compare(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

static __attribute__((noinline)) void own_reverse(char *s, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        char c = s[i];

        s[i] = s[n - 1 - i];
        s[n - 1 - i] = c;
    }
}

static uint32_t own_hash(const char *s)
{
    uint32_t h = 2166136261u;

    for (; *s; s++) {
        h = (h ^ (unsigned char)*s) * 16777619u;
    }
    return h;
}

static void make_text(uint64_t *rng)
{
    size_t at = 0;

    while (at < TEXT_LEN) {
        size_t len = 2 + bench_random(rng) % 9;

        while (len-- && at < TEXT_LEN) {
            text[at++] = (char)('a' + bench_random(rng) % 26);
        }
        if (at < TEXT_LEN) {
            text[at++] = ' ';
        }
    }
}

static int split(char *s)
{
    int n = 0;

    while (s && *s && n < MAX_WORDS) {
        char *space = strchr(s, ' ');

        words[n++] = s;
        if (space) {
            *space++ = 0;
        }
        s = space;
    }
    return n;
}

int main(int argc, char **argv)
{
    uint64_t iterations = bench_arg(argc, argv, 1, 320), rng = 99, sum = 0;

    make_text(&rng);
    for (uint64_t i = 0; i < iterations; i++) {
        int n, equal = 0, less = 0;
        uint32_t hash = 0;

        memcpy(copy, text, sizeof(copy));
        copy[i % TEXT_LEN] = 'x';
        own_reverse(copy, own_length(copy));
        n = split(copy);
        for (int j = 1; j < n; j++) {
            less += strcmp(words[j - 1], words[j]) < 0;
            equal += own_compare(words[j], words[j / 2]) == 0;
            hash += own_hash(words[j]) ^ (uint32_t)strlen(words[j]);
        }
        sum =
            bench_mix(sum, hash + (uint64_t)less * 3 + (uint64_t)equal * 5 + (uint64_t)n);
    }
    return bench_report("string-ops", sum);
}
