/*
 * Runs a harness without libFuzzer: mutations of its good inputs from a fixed sequence of random
 * numbers, the same on each machine.
 *
 * usage: PROGRAM [RUNS [SEED]]       run so many mutations (default 20000 from seed 1)
 *        PROGRAM --seeds DIRECTORY   write the good inputs, as a corpus for libFuzzer
 *        PROGRAM --file FILE         this one input
 *
 * The input that is about to run is printed by number when the harness dies, so RUNS and SEED repeat it.
 */
#include "fuzz.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_INPUT (64u << 10)

static uint64_t state;
static unsigned long run, first_seed;

static uint64_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* What fields are sensitive to: limits, signs, pages, powers of two and their neighbours. */
static uint64_t interesting(void)
{
    static const uint64_t values[] = {
        0, 1, 2, 7, 8, 0xff, 0x7f, 0xfff, 0x1000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
        0x100000000, 0x7fffffffffffffff, 0x8000000000000000, ~0ull, ~0xfffull, 1ull << 38, 1ull << 47,
    };
    uint64_t v = values[rnd() % (sizeof(values) / sizeof(*values))];
    return rnd() % 4 ? v : rnd() % 2 ? v + rnd() % 16 : 1ull << rnd() % 64;
}

static size_t mutate(uint8_t *p, size_t size)
{
    for (unsigned n = 1 + rnd() % 6; n && size; n--) {
        /* Mostly near the front, where headers are. */
        size_t at = rnd() % (rnd() % 4 && size > 512 ? 512 : size);
        switch (rnd() % 6) {
        case 0:
            p[at] ^= (uint8_t)(1u << rnd() % 8);
            break;
        case 1:
            p[at] = (uint8_t)rnd();
            break;
        case 2:
        case 3: {
            uint64_t v = interesting();
            size_t width = 1u << rnd() % 4;
            at &= ~(width - 1);
            memcpy(p + at, &v, width < size - at ? width : size - at);
            break;
        }
        case 4: {
            size_t from = rnd() % size, len = rnd() % 64;
            len = len < size - at ? len : size - at;
            memmove(p + at, p + from, len < size - from ? len : size - from);
            break;
        }
        default:
            if (rnd() % 4 == 0) {
                size = at;
            }
        }
    }
    return size;
}

static void report(int sig)
{
    char text[100];
    int n = snprintf(text, sizeof(text), "signal %d in run %lu of seed %lu\n", sig, run, first_seed);
    if (write(2, text, (size_t)n) < 0) {
        _exit(3);
    }
    _exit(1);
}

static int write_seeds(const char *dir, uint8_t *buf)
{
    size_t size;
    for (unsigned n = 0; (size = fuzz_seed(n, buf, MAX_INPUT)); n++) {
        char name[4096];
        snprintf(name, sizeof(name), "%s/%u", dir, n);
        FILE *f = fopen(name, "wb");
        if (!f || fwrite(buf, 1, size, f) != size || fclose(f)) {
            perror(name);
            return 1;
        }
    }
    return 0;
}

static int run_file(const char *name, uint8_t *buf)
{
    FILE *f = fopen(name, "rb");
    if (!f) {
        perror(name);
        return 1;
    }
    size_t size = fread(buf, 1, MAX_INPUT, f);
    fclose(f);
    return LLVMFuzzerTestOneInput(buf, size);
}

int main(int argc, char **argv)
{
    static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGALRM };
    uint8_t *seed = malloc(MAX_INPUT), *buf = malloc(MAX_INPUT);
    if (argc == 3 && !strcmp(argv[1], "--seeds")) {
        return write_seeds(argv[2], buf);
    }
    LLVMFuzzerInitialize(&argc, &argv);
    if (argc == 3 && !strcmp(argv[1], "--file")) {
        return run_file(argv[2], buf);
    }
    unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 0) : 20000, nseeds = 0;
    first_seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
    while (fuzz_seed((unsigned)nseeds, buf, MAX_INPUT)) {
        nseeds++;
    }
    for (unsigned i = 0; i < sizeof(fatal) / sizeof(*fatal); i++) {
        signal(fatal[i], report);
    }
    for (run = 0; run < runs; run++) {
        /* Each run from its own start, so that it can be repeated alone. */
        state = (first_seed << 32 | run) * 0x9e3779b97f4a7c15ull + 1;
        rnd();
        size_t size = fuzz_seed((unsigned)(rnd() % nseeds), seed, MAX_INPUT);
        memcpy(buf, seed, size);
        size = run < nseeds ? size : mutate(buf, size);
        alarm(20);
        LLVMFuzzerTestOneInput(buf, size);
    }
    alarm(0);
    printf("%lu runs\n", runs);
    return 0;
}
