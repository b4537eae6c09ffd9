/* SPDX-License-Identifier: MIT
 *
 * The guest half of the random tester: a freestanding riscv64 program that maps a file of
 * fragments (made by generate.py), runs each from the registers and memory it names, and prints
 * a hash of the state it leaves.  Emulators that agree print the same.
 *
 * All addresses are fixed, so that pointers in registers do not differ between emulators.
 * A fragment keeps one register on M, the middle of its data window; what lies below the
 * window is Context, which fragments do not touch but in prologue and epilogue.
 *
 * Faults are part of the test: the handler adds signal, address, pc and all registers to the
 * hash and steps over the instruction.
 *
 *     harness FILE FIRST LAST REPEATS THREADS [dump]
 *
 * With THREADS 2 a second thread exists, so that atomics are not translated as plain accesses.
 *
 * Output per fragment: two words, hash and executed instructions; a fragment that leaves another
 * state when it is run again gets a hash that nobody else has.  With `dump`, a DumpState instead.
 */
#include <fcntl.h>

#include "../freestanding/guest.h"

#define ARENA 0x20000000ul
#define M (ARENA + 0x1c00)
#define WINDOW (M - 1024)
#define WINDOW_SIZE 3200
#define BAD (ARENA + 0x4000)
#define CODE 0x30000000ul
#define MAX_FAULTS 64
#define FAULT_LIMIT 100000

/* Heads the file; words, little endian. */
typedef struct FileHeader {
    uint64_t magic, nfragments, nimages, code_offset, code_size, image_offset;
} FileHeader;

typedef struct Fragment {
    uint64_t entry;         /* offset in the code */
    uint64_t image;         /* which memory image it starts with */
    uint64_t counter;       /* register that counts instructions */
    uint64_t fcsr;
    uint64_t x[32], f[32];
} Fragment;

/* At M - 2048.  Offsets from M are known to enter.S and generate.py. */
typedef struct Context {
    uint64_t x[32];         /* M - 2048 */
    uint64_t f[32];         /* M - 1792 */
    uint64_t fcsr;          /* M - 1536 */
    uint64_t sp;            /* M - 1528 */
    void (*common)(void);   /* M - 1520 */
} Context;
_Static_assert(offsetof(Context, common) == 528 && sizeof(Context) <= 1024, "enter.S, generate.py");

typedef struct Fault {
    uint64_t signo, code, addr, pc, regs;
} Fault;

typedef struct DumpState {
    uint64_t hash, count, fault_hash, nfaults;
    uint64_t x[32], f[32], fcsr;
    Fault faults[MAX_FAULTS];
    uint8_t window[WINDOW_SIZE];
} DumpState;

void enter(unsigned long m, unsigned long entry);
void common(void);

static struct {
    uint64_t hash, n;
    Fault first[MAX_FAULTS];
} faults;
static uint8_t thread_stack[4096] __attribute__((aligned(16)));
static DumpState dump;
static uint64_t results[1024][2];

static void write_all(const void *p, size_t n)
{
    while (n) {
        long k = sys(SYS_write, 1, (long)p, (long)n, 0, 0, 0);
        if (k <= 0) {
            quit(3);
        }
        p = (const char *)p + k;
        n -= (size_t)k;
    }
}

static inline uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 29;
}

static uint64_t mix_words(uint64_t h, const void *p, size_t bytes)
{
    const uint64_t *w = p;
    for (size_t i = 0; i < bytes / 8; i++) {
        h = mix(h, w[i]);
    }
    return h;
}

static void on_signal(int signo, siginfo_t *info, void *uctx)
{
    ucontext_t *uc = uctx;
    uint64_t pc = uc->uc_mcontext.__gregs[0];
    uint64_t r = mix_words(1, &uc->uc_mcontext.__gregs[1], 31 * 8);
    r = mix_words(r, uc->uc_mcontext.__fpregs.__d.__f, 32 * 8);
    r = mix(r, uc->uc_mcontext.__fpregs.__d.__fcsr);
    Fault f = { (uint64_t)signo, (uint64_t)info->si_code, (uint64_t)info->si_addr, pc - CODE, r };
    if (pc < CODE || ++faults.n > FAULT_LIMIT) {
        quit(100 + signo);
    }
    if (faults.n <= MAX_FAULTS) {
        faults.first[faults.n - 1] = f;
    }
    faults.hash = mix_words(faults.hash, &f, sizeof(f));
    uc->uc_mcontext.__gregs[0] = pc + ((*(uint16_t *)pc & 3) == 3 ? 4 : 2);
}

/* The whole file, mapped at its own place; the code is copied to CODE. */
static const FileHeader *load(const char *path)
{
    long fd = sys(SYS_openat, AT_FDCWD, (long)path, O_RDONLY, 0, 0, 0);
    long size = sys(SYS_lseek, fd, 0, 2, 0, 0, 0);
    long at = sys(SYS_mmap, 0, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd < 0 || size <= 0 || (unsigned long)at > -4096ul) {
        quit(2);
    }
    const FileHeader *h = (const void *)at;
    long code = sys(SYS_mmap, CODE, (long)h->code_size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    long arena = sys(SYS_mmap, ARENA, 0x6000, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (code != (long)CODE || arena != (long)ARENA) {
        quit(2);
    }
    copy((void *)CODE, (const char *)h + h->code_offset, h->code_size);
    sys(SYS_mprotect, CODE, (long)h->code_size, PROT_READ | PROT_EXEC, 0, 0, 0);
    __asm__ __volatile__("fence.i" ::: "memory");
    sys(SYS_mprotect, BAD, 0x1000, PROT_NONE, 0, 0, 0);
    sys(SYS_mprotect, BAD + 0x1000, 0x1000, PROT_READ, 0, 0, 0);
    return h;
}

/* Returns the hash; the counter is left in the context. */
static uint64_t run_fragment(const FileHeader *h, const Fragment *fr)
{
    Context *ctx = (Context *)(M - 2048);
    copy(ctx->x, fr->x, sizeof(fr->x) + sizeof(fr->f));
    ctx->fcsr = fr->fcsr;
    ctx->common = common;
    copy((void *)WINDOW, (const char *)h + h->image_offset + fr->image * 4096, WINDOW_SIZE);
    faults.n = 0;
    faults.hash = 0;
    enter(M, CODE + fr->entry);
    uint64_t hash = mix_words(faults.hash, &ctx->x[1], 31 * 8 + 32 * 8 + 8);
    return mix_words(hash, (void *)WINDOW, WINDOW_SIZE);
}

static void dump_fragment(const FileHeader *h, const Fragment *fr)
{
    const Context *ctx = (const Context *)(M - 2048);
    dump.hash = run_fragment(h, fr);
    dump.count = ctx->x[fr->counter];
    dump.fault_hash = faults.hash;
    dump.nfaults = faults.n;
    copy(dump.x, ctx->x, sizeof(dump.x) + sizeof(dump.f) + 8);
    copy(dump.faults, faults.first, sizeof(dump.faults));
    copy(dump.window, (void *)WINDOW, WINDOW_SIZE);
    write_all(&dump, sizeof(dump));
}

void harness_main(long argc, char **argv)
{
    if (argc < 6) {
        quit(2);
    }
    const FileHeader *h = load(argv[1]);
    const Fragment *fragments = (const Fragment *)(h + 1);
    uint64_t first = number(argv[2]), last = number(argv[3]), repeats = number(argv[4]), k = 0;
    handle_faults(on_signal);
    if (number(argv[5]) > 1 && start_idle_thread(thread_stack + sizeof(thread_stack)) < 0) {
        quit(2);
    }
    for (uint64_t i = first; i < last && i < h->nfragments; i++) {
        if (argc > 6) {
            for (uint64_t r = 1; r < repeats; r++) {
                run_fragment(h, &fragments[i]);
            }
            dump_fragment(h, &fragments[i]);
            continue;
        }
        uint64_t hash = run_fragment(h, &fragments[i]);
        uint64_t count = ((Context *)(M - 2048))->x[fragments[i].counter];
        for (uint64_t r = 1; r < repeats; r++) {
            uint64_t again = run_fragment(h, &fragments[i]);
            if (again != hash) {
                hash = ~again;  /* shows in the comparison */
            }
        }
        results[k][0] = hash;
        results[k][1] = count;
        if (++k == sizeof(results) / sizeof(results[0])) {
            write_all(results, sizeof(results));
            k = 0;
        }
    }
    write_all(results, k * sizeof(results[0]));
    quit(0);
}
