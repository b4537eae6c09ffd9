/* Four harts: software interrupts, atomics, page tables that change under a walk, remote fences. */
#include "bare.h"

enum { NHARTS = 4, PINGS = 3000, ADDS = 20000, FLIPS = 20000, REMAPS = 300 };
#define BIT(n) (UINT64_C(1) << (n))

static u64 phase, arrived[NHARTS], pings, counter, llsc_counter, wish, done_wish[NHARTS];

static u64 load(u64 *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static void store(u64 *p, u64 v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static void pause(void) { asm volatile(".4byte 0x0100000f" ::: "memory"); }

static void wait_all(u64 value)
{
    for (int i = 1; i < NHARTS; i++) {
        while (load(&arrived[i]) < value) {
            pause();
        }
    }
}

/* ---- a ball between hart 0 and hart 1, who sleep while they wait ---- */

static void wait_msi(u64 hart)
{
    while (!(csr_read(mip) & BIT(3))) {
        asm volatile("wfi");
    }
    *msip(hart) = 0;
    asm volatile("fence" ::: "memory");
}

static void play(u64 hart)
{
    csr_write(mie, BIT(3));
    for (int i = 0; i < PINGS; i++) {
        wait_msi(hart);
        pings++;
        asm volatile("fence" ::: "memory");
        *msip(1 - hart) = 1;
    }
    csr_write(mie, 0);
}

/* ---- counters ---- */

static void add(void)
{
    for (int i = 0; i < ADDS; i++) {
        __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);
        u64 v, fails;
        do {
            asm volatile("lr.d %0, (%2)\n addi %0, %0, 1\n sc.d %1, %0, (%2)"
                         : "=&r"(v), "=&r"(fails) : "r"(&llsc_counter) : "memory");
        } while (fails);
    }
}

/* ---- an entry that comes and goes while another hart's walks mark it ---- */

typedef u64 Table[512] __attribute__((aligned(4096)));
static Table root, middle, last;
static char pages[2][4096] __attribute__((aligned(4096)));
#define VA UINT64_C(0x40000000)
enum { V = 1, R = 2, W = 4, A = 64, D = 128 };

static u64 leaf(int page) { return (u64)pages[page] >> 12 << 10 | V | R | W; }

static void set_up_tables(void)
{
    root[1] = (u64)middle >> 12 << 10 | V;
    middle[0] = (u64)last >> 12 << 10 | V;
    last[0] = leaf(0);
    for (int i = 0; i < 512; i++) {
        ((u64 *)pages[0])[i] = 1000;
        ((u64 *)pages[1])[i] = 2000;
    }
}

static void use_tables(void)
{
    csr_write(satp, UINT64_C(8) << 60 | (u64)root >> 12);
    asm volatile("sfence.vma" ::: "memory");
}

/*
 * Store 0 to VA + 8 from M-mode with S-mode's translation (MPRV); if it faults, a vector of its own
 * leads behind it.
 */
static void store_mapped(void)
{
    csr_clear(mstatus, 3 << 11);
    csr_set(mstatus, 1 << 11);
    asm volatile("csrr t1, mtvec\n la t0, 1f\n csrw mtvec, t0\n"
                 "li t0, 0x20000\n csrs mstatus, t0\n sd zero, 8(%0)\n .balign 4\n"
                 "1: li t0, 0x20000\n csrc mstatus, t0\n csrw mtvec, t1"
                 ::"r"(VA) : "t0", "t1", "memory");
}

static u64 was_marked;  /* flip() has found a mark of touch() */

/* So often, and on a busy machine until hart 0 had a turn while the page was there. */
static void touch(void)
{
    use_tables();
    for (int i = 0; i < FLIPS || (!load(&was_marked) && i < 1000 * FLIPS); i++) {
        asm volatile("sfence.vma" ::: "memory");
        store_mapped();
    }
}

static void flip(void)
{
    for (int i = 0; load(&arrived[2]) < 3; i++) {
        u64 old = __atomic_exchange_n(&last[0], 0, __ATOMIC_ACQ_REL);
        CHECK(old & ~(u64)(A | D), leaf(0));
        store(&was_marked, was_marked | ((old & D) != 0));
        for (int k = 0; k < 20; k++) {
            CHECK(load(&last[0]), 0);   /* nobody puts a mark into what is gone */
        }
        store(&last[0], leaf(0));
    }
    CHECK(was_marked, 1);
    store(&last[0], leaf(0));
}

/* ---- a mapping that changes: after a hart said that it fenced, it sees the new page ---- */

static u64 read_mapped(void)
{
    u64 v, mprv = 1 << 17;
    csr_clear(mstatus, 3 << 11);
    csr_set(mstatus, 1 << 11);
    asm volatile("csrs mstatus, %1\n ld %0, 0(%2)\n csrc mstatus, %1"
                 : "=&r"(v) : "r"(mprv), "r"(VA) : "memory");
    return v;
}

static void follow(u64 hart)
{
    use_tables();
    for (u64 seen = 0; seen < REMAPS;) {
        u64 v = read_mapped();
        if (v != 1000 && v != 2000) {
            CHECK(v, 1000);
        }
        u64 w = load(&wish);
        if (w != seen) {
            asm volatile("sfence.vma" ::: "memory");
            CHECK(read_mapped(), w & 1 ? 2000 : 1000);
            store(&done_wish[hart], w);
            seen = w;
        } else {
            pause();
        }
    }
}

static void lead(void)
{
    for (u64 i = 1; i <= REMAPS; i++) {
        store(&last[0], leaf(i & 1) | A | D);
        store(&wish, i);
        for (int h = 1; h < NHARTS; h++) {
            while (load(&done_wish[h]) < i) {
                pause();
            }
        }
    }
}

static void other_hart(u64 hart)
{
    open_memory();
    store(&arrived[hart], 1);
    if (hart == 1) {
        play(1);
    }
    while (load(&phase) < 1) {
        pause();
    }
    add();
    store(&arrived[hart], 2);
    while (load(&phase) < 2) {
        pause();
    }
    if (hart == 2) {
        touch();
    }
    store(&arrived[hart], 3);
    while (load(&phase) < 3) {
        pause();
    }
    follow(hart);
    store(&arrived[hart], 4);
}
void (*hart_main)(u64) = other_hart;

int main(void)
{
    open_memory();
    set_up_tables();
    asm volatile("fence" ::: "memory");
    for (u64 i = 1; i < NHARTS; i++) {
        *msip(i) = 1;
    }
    wait_all(1);
    print("ball\n");
    *msip(1) = 1;
    play(0);
    CHECK(pings, 2 * PINGS);
    print("counters\n");
    store(&phase, 1);
    add();
    wait_all(2);
    CHECK(counter, NHARTS * ADDS);
    CHECK(llsc_counter, NHARTS * ADDS);
    print("marks\n");
    store(&phase, 2);
    flip();
    wait_all(3);
    print("fences\n");
    store(&phase, 3);
    lead();
    wait_all(4);
    print("ok\n");
    return 0;
}
