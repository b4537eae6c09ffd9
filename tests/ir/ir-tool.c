/*
 * ir-tool: reads a unit as text (or makes a random one), runs passes over it, checks it,
 * prints it, runs it.
 *
 *   ir-tool [OPTION...] [FILE]      FILE "-" or none: standard input
 *
 * Input may hold several units with a line "---" between them: each is treated alike,
 * from the same registers, and so is the output.
 *
 *   -p PASS    fold, forward, backward or opt; in the order given, each checked after
 *   -n         do not check, print what was read (for units that are wrong on purpose)
 *   -c         check only: print the verifier's sentence, or "ok"
 *   -r R=V     set a register before the run (repeat)
 *   -m M       rounding mode before the run: rne rtz rdn rup
 *   -x         run: print how the unit was left, the registers it names, flags; not the
 * unit -g SEED    a random unit instead of FILE (-G nofold, small, fp, blocks, ... adds
 * options)
 *
 * What is wrong with a unit is said in its place in the output, and the exit status is 1.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ir-gen.h"
#include "ir-rebuild.h"
#include "ir/interp-fp.h"
#include "ir/interp.h"
#include "opt/opt.h"
#include "test-guest.h"
#include "util/arena.h"

#define MAX_PASSES 16
#define MEM_BASE 0x10000
#define MEM_SIZE 4096

static HostEnv env;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "ir-tool: %s: %s\n", what, why);
    exit(1);
}

static bool failed;

/* Something is wrong with a unit, not with the call. */
static void complain(const char *what, const char *why)
{
    printf("%s: %s\n", what, why);
    failed = true;
}

static char *read_all(FILE *in)
{
    size_t n = 0, cap = 4096;
    char *text = malloc(cap);
    for (size_t got; text && (got = fread(text + n, 1, cap - n - 1, in)) > 0;) {
        n += got;
        if (n + 1 == cap) {
            text = realloc(text, cap *= 2);
        }
    }
    if (!text) {
        die("input", "too large");
    }
    text[n] = 0;
    return text;
}

static void set_register(const char *arg)
{
    const char *eq = strchr(arg, '=');
    for (unsigned i = 0; eq && i < test_guest.nregs; i++) {
        const char *name = test_guest.regs[i].name;
        if (strlen(name) == (size_t)(eq - arg) && strncmp(name, arg, strlen(name)) == 0) {
            env.reg[i] = strtoull(eq + 1, NULL, 0);
            return;
        }
    }
    die("-r", "expected register=value");
}

/* MXCSR: the rounding bits are 13 and 14. */
static void set_rounding(const char *mode)
{
    static const char *const modes[] = { "rne", "rdn", "rup", "rtz" };
    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(mode, modes[i]) == 0) {
            env.fp_state = 0x1f80 | i << 13;
            return;
        }
    }
    die("-m", "unknown rounding mode");
}

static bool run_pass(IRFunc *f, const char *pass)
{
    if (strcmp(pass, "fold") == 0) {
        ir_rebuild(f);
    } else if (strcmp(pass, "forward") == 0) {
        opt_forward(f);
    } else if (strcmp(pass, "backward") == 0) {
        opt_backward(f);
    } else if (strcmp(pass, "opt") == 0) {
        opt_run(f, 1);
    } else {
        die(pass, "no such pass");
    }
    const char *wrong = ir_verify(f);
    if (wrong) {
        ir_print(stdout, f);
        complain(pass, wrong);
    }
    return !wrong;
}

static void option_word(IRRandomOptions *o, const char *word)
{
    const struct { const char *name; bool *flag;
    } flags[] = {
        { "nofold", &o->no_fold },
        { "small", &o->small_ints },
        { "fp", &o->fp },
        { "blocks", &o->blocks },
        { "calls", &o->calls },
        { "exits", &o->exits },
        { "loop", &o->loop },
        { "atomics", &o->atomics },
        { "misaligned", &o->misaligned },
    };
    for (unsigned i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (strcmp(word, flags[i].name) == 0) {
            *flags[i].flag = true;
            return;
        }
    }
    if (strcmp(word, "memory") == 0) {
        o->mem_base = MEM_BASE;
        o->mem_size = MEM_SIZE;
    } else if (strcmp(word, "env") == 0) {
        o->env_offset = offsetof(HostEnv, stats);
        o->env_count = 4;
    } else {
        die(word, "no such option");
    }
}

static void map_memory(void)
{
    static bool mapped;
    if (!mapped && mmap((void *)MEM_BASE, MEM_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
                        0) != (void *)MEM_BASE) {
        die("mmap", "cannot have guest memory");
    }
    mapped = true;
    memset((void *)MEM_BASE, 0, MEM_SIZE);
}

static void run_unit(const IRFunc *f)
{
    static const char *const kinds[] = { "link", "lookup", "reason", "poll" };
    static const IRInterpHooks hooks = { .fault_reason = 90, .misaligned_reason = 91,
                                         .exclusive_reason = 92 };
    static HostEnv before;
    IRInterp it = { 0 };
    before = env;
    map_memory();
    HostExit e = ir_interp_run(&it, f, &env, &hooks);
    printf("%s %u pc=0x%" PRIx64, kinds[e.kind], e.exit, env.pc);
    for (unsigned i = 0; i < test_guest.nregs; i++) {
        if (env.reg[i] != before.reg[i]) {
            printf(" %s=0x%" PRIx64, test_guest.regs[i].name, env.reg[i]);
        }
    }
    printf(" fflags=%u\n", ir_interp_fp_flags(env.fp_state));
    ir_interp_destroy(&it);
    env = before;
}

typedef struct Options {
    const char *passes[MAX_PASSES];
    unsigned npasses;
    bool check, check_only, run;
} Options;

static void treat(IRFunc *f, const Options *o)
{
    const char *wrong = o->check || o->check_only ? ir_verify(f) : NULL;
    if (o->check_only) {
        puts(wrong ? wrong : "ok");
        return;
    }
    if (wrong) {
        complain("verify", wrong);
        return;
    }
    for (unsigned i = 0; i < o->npasses; i++) {
        if (!run_pass(f, o->passes[i])) {
            return;
        }
    }
    if (o->run) {
        run_unit(f);
    } else {
        ir_print(stdout, f);
    }
}

static void treat_text(char *text, const Options *o, Arena *arena)
{
    IRFunc f;
    char err[200];
    for (char *unit = text, *next; unit; unit = next) {
        next = strstr(unit, "\n---\n");
        if (next) {
            next[1] = 0;    /* the unit keeps its last newline */
            next += 5;
        }
        arena_reset(arena);
        if (ir_parse(&f, &test_guest, arena, unit, err, sizeof err)) {
            treat(&f, o);
        } else {
            complain("parse", err);
        }
        if (next && !o->run) {
            puts("---");
        }
    }
}

int main(int argc, char **argv)
{
    Options o = { .check = true };
    bool random = false;
    uint64_t seed = 0;
    IRRandomOptions options = { .nins = 40 };
    env.fp_state = 0x1f80;
    for (int c; (c = getopt(argc, argv, "p:ncr:m:xg:G:")) != -1;) {
        switch (c) {
        case 'p':
            if (o.npasses == MAX_PASSES) {
                die("-p", "too many passes");
            }
            o.passes[o.npasses++] = optarg;
            break;
        case 'n': o.check = false; break;
        case 'c': o.check_only = true; break;
        case 'r': set_register(optarg); break;
        case 'm': set_rounding(optarg); break;
        case 'x': o.run = true; break;
        case 'g': random = true; seed = strtoull(optarg, NULL, 0); break;
        case 'G': option_word(&options, optarg); break;
        default: return 1;
        }
    }
    Arena arena;
    arena_init(&arena, 0);
    if (random) {
        IRFunc f;
        ir_random_func(&f, &test_guest, &arena, seed, &options);
        treat(&f, &o);
    } else {
        bool file = optind < argc && strcmp(argv[optind], "-") != 0;
        FILE *in = file ? fopen(argv[optind], "r") : stdin;
        if (!in) {
            die(argv[optind], "cannot open");
        }
        char *text = read_all(in);
        treat_text(text, &o, &arena);
        free(text);
    }
    arena_destroy(&arena);
    return failed;
}
