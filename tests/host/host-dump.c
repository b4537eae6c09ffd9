/*
 * What the back end makes of a unit: reads IR text (as printed by -d op_opt, for the
 * guest of the IR tests) from a file or standard input and prints host code, exits and
 * sizes.
 *
 *   host-dump [-v VARIANT] [-t] [FILE]      -t: time host_compile() on it
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "harness.h"
#include "opt/opt.h"
#include "test-guest.h"

static char *read_all(FILE *in)
{
    size_t cap = 1 << 16, n = 0;
    char *text = malloc(cap + 1);
    while (text) {
        n += fread(text + n, 1, cap - n, in);
        if (n < cap) {
            text[n] = 0;
            return text;
        }
        cap *= 2;
        text = realloc(text, cap + 1);
    }
    return NULL;
}

static void print_time(const IRFunc *f)
{
    enum { ROUNDS = 20000 };
    HostCode code;
    ArenaMark mark = arena_mark(f->arena);
    uint64_t start = __rdtsc();
    for (unsigned i = 0; i < ROUNDS; i++) {
        harness_try_compile(f, 0, &code);
        arena_rewind(f->arena, mark);
    }
    uint64_t cycles = (__rdtsc() - start) / ROUNDS;
    printf("%" PRIu64 " cycles, %" PRIu64 " an IR instruction\n", cycles,
           cycles / (f->nins - 1));
}

int main(int argc, char **argv)
{
    unsigned variant = 0;
    bool timing = false;
    for (int opt; (opt = getopt(argc, argv, "v:t")) != -1;) {
        if (opt == 'v') {
            variant = (unsigned)atoi(optarg) % n_variants;
        } else if (opt == 't') {
            timing = true;
        } else {
            return 2;
        }
    }
    FILE *in = optind < argc ? fopen(argv[optind], "r") : stdin;
    if (!in) {
        perror(argv[optind]);
        return 1;
    }
    Arena arena;
    IRFunc f;
    char err[200];
    arena_init(&arena, 0);
    harness_init();
    HostConfig config = variants[variant].config;
    config.guest = &test_guest;
    harness_host_init(config);
    if (!ir_parse(&f, &test_guest, &arena, read_all(in), err, sizeof err)) {
        fprintf(stderr, "%s\n", err);
        return 1;
    }
    ir_print(stdout, &f);
    HostCode code = harness_compile(&f, 0);
    host_disas(stdout, code.code, code.size);
    for (unsigned i = 0; i < code.nexits; i++) {
        printf("exit %u to 0x%" PRIx64 ": field +0x%x, stub +0x%x\n", i, code.exits[i].pc,
               code.exits[i].patch_offset, code.exits[i].stub_offset);
    }
    printf("%zu bytes of code, %zu of recovery table\n", code.size, code.recovery_size);
    if (timing) {
        print_time(&f);
    }
    return 0;
}
