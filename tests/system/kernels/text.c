/*
 * Hart 0 patches code that the others execute, as a kernel does with its static keys, in pages that are mapped
 * twice: with pages a, b at V and b, a behind them, two instructions lie across the pages in both orders.  It
 * writes through the physical addresses.  Even harts rely on the SBI's remote FENCE.I, odd ones execute their own
 * after they have seen that a change is complete.
 *
 * A site's sequence number is odd while it changes; a call that lies within an even period returns that period's value.
 */
#include "kernel.h"

#define ROUNDS (400ull * SCALE)
#define V 0x40000000ull
#define LI_A0 0x00000513u
#define RET 0x8082

enum { PTE_V = 1, PTE_R = 2, PTE_W = 4, PTE_X = 8, PTE_A = 64, PTE_D = 128 };
#define RWX (PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D)

typedef uint64_t Table[512] __attribute__((aligned(4096)));
static Table root, middle, last;
static uint8_t a[4096] __attribute__((aligned(4096))), b[4096] __attribute__((aligned(4096)));

/* What changes is the upper half of `li a0, value`: the lower one and the registers stay. */
static struct Site {
    uint16_t *upper;
    uint64_t va;
    uint64_t seq, value;
} sites[4] = {
    { (uint16_t *)(a + 258), V + 256 },
    { (uint16_t *)(b + 2050), V + 4096 + 2048 },
    { (uint16_t *)b, V + 4094 },            /* a, then b */
    { (uint16_t *)a, V + 3 * 4096 - 2 },    /* b, then a */
};
#define NSITES 4

static uint64_t calls[HARTS];
static uint32_t done, finished;

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    put_number(cause);
    put(" trap at ");
    put_number(epc);
    check(0);
    return 0;
}

static void set_up(void)
{
    root[0] = PTE_V | PTE_R | PTE_W | PTE_A | PTE_D;
    root[1] = (uint64_t)middle >> 12 << 10 | PTE_V;
    root[2] = 0x80000000ull >> 12 << 10 | RWX;
    middle[0] = (uint64_t)last >> 12 << 10 | PTE_V;
    for (unsigned i = 0; i < 4; i++) {
        last[i] = (uint64_t)(i == 0 || i == 3 ? a : b) >> 12 << 10 | RWX;
    }
    for (unsigned i = 0; i < NSITES; i++) {
        struct Site *s = &sites[i];
        uint16_t *lower = i == 2 ? (uint16_t *)(a + 4094) : i == 3 ? (uint16_t *)(b + 4094) : s->upper - 1;
        *lower = (uint16_t)LI_A0;
        s->upper[0] = LI_A0 >> 16;
        s->upper[1] = RET;
    }
}

static uint64_t call(uint64_t at)
{
    return ((uint64_t (*)(void))at)();
}

static void use_tables(void)
{
    csr_write(satp, 8ull << 60 | (uint64_t)root >> 12);
    asm volatile("sfence.vma" ::: "memory");
    fence_i();
}

static void execute(uint64_t hart)
{
    uint64_t random = 0x9e3779b97f4a7c15ull * (hart + 1);
    while (!load(&done)) {
        struct Site *s = &sites[next_random(&random) % NSITES];
        uint64_t seq = load(&s->seq), value = load(&s->value);
        if (hart & 1) {
            fence_i();
        }
        uint64_t got = call(s->va);
        if (load(&s->seq) == seq && !(seq & 1)) {
            check(got == value);
            calls[hart]++;
        }
    }
    __atomic_fetch_add(&finished, 1, __ATOMIC_RELEASE);
}

static void patch(struct Site *s, uint64_t value, uint64_t r)
{
    store(&s->seq, s->seq + 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(s->upper, (uint16_t)(value << 4), __ATOMIC_RELAXED);
    asm volatile("fence rw, rw" ::: "memory");
    if (r & 1) {
        check(sbi(SBI_RFENCE, SBI_FENCE_I, 0, ~0ull, 0, 0, 0).error == 0);
    } else {
        check(sbi(SBI_RFENCE, SBI_FENCE_I, 0x5555 & ((1ull << HARTS) - 1), 0, 0, 0, 0).error == 0);
    }
    store(&s->value, value);
    store(&s->seq, s->seq + 1);
    fence_i();
    check(call(s->va) == value);
}

void main(uint64_t hart, uint64_t arg)
{
    if (arg == 1) {
        use_tables();
        execute(hart);
        return;
    }
    uint64_t random = 88172645463325252ull, start = csr_read(time);
    set_up();
    use_tables();
    start_others(hart, 1);
    for (uint64_t i = 0; i < ROUNDS && (i < 20 || csr_read(time) - start < STORM_TICKS); i++) {
        uint64_t r = next_random(&random);
        patch(&sites[(r >> 8) % NSITES], (i + 1) % 1024, r);
    }
    store(&done, 1);
    while (load(&finished) < HARTS - 1) {
        pause();
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < HARTS; i++) {
        sum += calls[i];
    }
    check(sum);
    put("text\n");
    finish(0);
}
