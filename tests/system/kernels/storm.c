/*
 * Software interrupts from all harts to all.  Each names what it asks for in a word of its own, as Linux's
 * smp_call_function() does, and every second one is waited for: one that is lost is missed within 30 seconds.
 */
#include "kernel.h"

#define ROUNDS (3000ull * SCALE)

static uint64_t asked[HARTS][HARTS], answered[HARTS][HARTS];
static uint32_t arrived, finished;

#ifdef SBI
#define HART csr_read(sscratch)
static void send(uint64_t hart) { check(sbi(SBI_IPI, 0, 1ull << hart, 0, 0, 0, 0).error == 0); }
static void clear(uint64_t hart) { csr_clear(sip, 2); }
static void enable_interrupts(void) { csr_set(sstatus, 2); }
static void disable_interrupts(void) { csr_clear(sstatus, 2); }
#else
#define HART csr_read(mhartid)
static void send(uint64_t hart) { MSIP[hart] = 1; }
static void clear(uint64_t hart) { MSIP[hart] = 0; }
static void enable_interrupts(void) { csr_set(mstatus, 8); }
static void disable_interrupts(void) { csr_clear(mstatus, 8); }
#endif

static void answer(uint64_t hart)
{
    clear(hart);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);    /* cleared before the words are read */
    asm volatile("fence iorw, iorw" ::: "memory");
    for (unsigned i = 0; i < HARTS; i++) {
        store(&answered[i][hart], load(&asked[i][hart]));
    }
}

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
#ifdef SBI
    check(cause == (INTERRUPT | 1));
#else
    check(cause == (INTERRUPT | 3));
#endif
    answer(HART);
    return 0;
}

static void wait_answer(uint64_t from, uint64_t to)
{
    uint64_t start = csr_read(time);
    while (load(&answered[from][to]) != asked[from][to]) {
        pause();
        check(csr_read(time) - start < 30 * TICKS);
    }
}

/* Interrupts are off while this sleeps, and one that is pending ends the sleep. */
static void sleep_until_asked(uint64_t hart)
{
    disable_interrupts();
    wait_for_interrupt();
    enable_interrupts();
}

static void storm(uint64_t hart)
{
    uint64_t random = 0x9e3779b97f4a7c15ull * (hart + 1);
    uint64_t start = csr_read(time);
    for (uint64_t i = 0; i < ROUNDS && csr_read(time) - start < STORM_TICKS; i++) {
        uint64_t r = next_random(&random), to = (hart + 1 + r % (HARTS - 1)) % HARTS;
        store(&asked[hart][to], asked[hart][to] + 1);
        asm volatile("fence iorw, iorw" ::: "memory");
        send(to);
        if (r & 1 << 20) {
            wait_answer(hart, to);
        }
    }
    for (unsigned to = 0; to < HARTS; to++) {
        wait_answer(hart, to);
    }
}

static void run(uint64_t hart)
{
#ifdef SBI
    csr_write(sscratch, hart);
    csr_set(sie, 2);
#else
    csr_set(mie, 8);
#endif
    __atomic_fetch_add(&arrived, 1, __ATOMIC_ACQ_REL);
    while (load(&arrived) < HARTS) {
        pause();
    }
    enable_interrupts();
    storm(hart);
    if (__atomic_add_fetch(&finished, 1, __ATOMIC_ACQ_REL) == HARTS) {
        for (unsigned i = 0; i < HARTS; i++) {
            for (unsigned k = 0; k < HARTS; k++) {
                check(asked[i][k] == answered[i][k]);
            }
        }
        put("storm\n");
        finish(0);
    }
    for (;;) {
        sleep_until_asked(hart);
    }
}

void main(uint64_t hart, uint64_t arg)
{
#ifdef SBI
    if (arg != 1) {
        start_others(hart, 1);
    }
#endif
    run(hart);
}
