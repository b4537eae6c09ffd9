/*
 * Remote fences of a hart that sleeps, or is about to: nothing of them is lost when it wakes. Few, which may wait until
 * then, and many.
 *
 * Each page has two pieces of memory. Hart B reads all of them, and sleeps in WFI. Hart A maps the other piece for some
 * pages, fences each of them for B alone, and sends an IPI. B fences nothing itself, and must read the new ones.
 */
#include "kernel.h"

#define ROUNDS (300ull * SCALE)
#define PAGES 100
#define VA 0x40000000ull
#define MEMORY 0x81800000ull
enum { V = 1, R = 2, W = 4, X = 8, A = 64, D = 128, SSIP = 2 };

typedef uint64_t Table[512] __attribute__((aligned(4096)));
static Table root, middle, last;
static uint64_t state[PAGES];   /* A's: which piece is mapped */
static uint64_t asleep, done;

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(0);
    return 0;
}

static uint64_t piece(unsigned page, uint64_t which)
{
    return MEMORY + (page * 2 + which) * 4096ull;
}

static void map(unsigned page, uint64_t which)
{
    store(&last[page], piece(page, which) >> 2 | V | R | W | A | D);
    state[page] = which;
}

static void use_tables(void)
{
    csr_write(satp, 8ull << 60 | (uint64_t)root >> 12);
    asm volatile("sfence.vma" ::: "memory");
}

static void reader(void)
{
    use_tables();
    csr_set(sie, SSIP);
    for (;;) {
        for (unsigned i = 0; i < PAGES; i++) {
            check(load((uint64_t *)(VA + i * 4096)) == 2 * i + state[i]);
        }
        if (load(&done)) {
            break;
        }
        store(&asleep, 1);
        while (!(csr_read(sip) & SSIP)) {
            wfi();
        }
        csr_clear(sip, SSIP);
        asm volatile("fence" ::: "memory");
    }
    put("sleep-fence\n");
    sbi(SBI_SRST, 0, 0, 0, 0, 0, 0);
}

static void writer(uint64_t other)
{
    uint64_t random = 1;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        while (!load(&asleep)) {
        }
        for (uint64_t n = next_random(&random) % 2000; n; n--) {
            asm volatile("");
        }
        unsigned pages = round % 8 ? 3 : PAGES;
        for (unsigned i = 0; i < pages; i++) {
            map(i, !state[i]);
            check(sbi(SBI_RFENCE, SBI_SFENCE_VMA, 1, other, VA + i * 4096, 4096, 0).error == 0);
        }
        store(&asleep, 0);
        store(&done, round == ROUNDS - 1);
        asm volatile("fence" ::: "memory");
        check(sbi(SBI_IPI, 0, 1, other, 0, 0, 0).error == 0);
    }
    for (;;) {
    }
}

void main(uint64_t hart, uint64_t arg)
{
    if (!comes_first()) {
        reader();
    }
    root[0] = V | R | W | A | D;        /* the serial line */
    root[1] = (uint64_t)middle >> 2 | V;
    middle[0] = (uint64_t)last >> 2 | V;
    root[2] = 0x80000000 >> 2 | V | R | W | X | A | D;
    for (unsigned i = 0; i < PAGES; i++) {
        *(uint64_t *)piece(i, 0) = 2 * i;
        *(uint64_t *)piece(i, 1) = 2 * i + 1;
        map(i, 0);
    }
    start_others(hart, 0xcafe);
    writer(!hart);
}
