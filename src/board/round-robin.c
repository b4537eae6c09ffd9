/*
 * All harts on one host thread, in turn.
 *
 * The thread runs one hart until that waits, gives its turn away (PAUSE), or its slice is over, and goes on with
 * the next one in ring order that may run.  A timer ends the slice: it sets `slice_over` and kicks the hart that
 * runs.  What is asked of a hart that does not run is looked at when its turn comes; its queued work is done then.
 *
 * When no hart may run the thread sleeps on `woken` [RR-WAKE]: whoever makes an interrupt pending, starts a
 * hart or wants all parked stores that first and `woken` then.  The thread takes `woken` before it looks
 * at the harts, so that a store that its look missed keeps it from sleeping.
 */
#include "board/round-robin.h"

#include <pthread.h>

#include "board/hart.h"
#include "exec/exec.h"
#include "util/futex.h"

#define SLICE_NS 5000000ull

static struct RoundRobin {
    uint32_t woken;             /* atomic, futex [RR-WAKE] */
    uint32_t slice_over;        /* atomic; a hint */
    CPUState *running;          /* atomic, written by the harts' thread: whom the slice's end kicks */
    /* owned by the harts' thread */
    unsigned turn;              /* index of the hart whose turn it is */
    Timer slice;
} rr;

void round_robin_wake(CPUState *cpu)
{
    /* [RR-WAKE] pairs with the exchange in find_hart(). */
    __atomic_store_n(&rr.woken, 1, __ATOMIC_RELEASE);
    futex_wake(&rr.woken, 1);
}

static void end_slice(void *opaque)
{
    CPUState *cpu = __atomic_load_n(&rr.running, __ATOMIC_RELAXED);
    __atomic_store_n(&rr.slice_over, 1, __ATOMIC_RELAXED);
    if (cpu) {
        cpu_kick(cpu);
    }
}

/* The hart that has the turn now, or the next one in order that may run; NULL if none may. */
static Hart *find_hart(void)
{
    /* [RR-WAKE] pairs with round_robin_wake(): what a hart was woken for is seen below. */
    __atomic_exchange_n(&rr.woken, 0, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        unsigned index = (rr.turn + i) % hart_ctx.nharts;
        if (hart_prepare(&hart_ctx.harts[index])) {
            rr.turn = index;
            return &hart_ctx.harts[index];
        }
    }
    return NULL;
}

/* Returns true if its turn is over. */
static bool run(Hart *h)
{
    cpu_thread_switch(h->cpu);
    __atomic_store_n(&rr.slice_over, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&rr.running, h->cpu, __ATOMIC_RELAXED);
    timer_set(&rr.slice, hart_ctx.nharts > 1 ? clock_ns() + SLICE_NS : TIMER_NEVER);
    int why;
    do {
        why = riscv_system_run(h->cpu);
        hart_finish_run(h, why);
    } while (why == RISCV_RUN_SBI && hart_prepare(h) && !harts_shall_park());
    __atomic_store_n(&rr.running, NULL, __ATOMIC_RELAXED);
    return why == RISCV_RUN_WFI || why == RISCV_RUN_YIELD || why == RISCV_RUN_DEBUG ||
           __atomic_load_n(&rr.slice_over, __ATOMIC_RELAXED);
}

void *round_robin_main(void *arg)
{
    pthread_setname_np(pthread_self(), "harts");
    timer_init(&rr.slice, end_slice, NULL);
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        hart_thread_began(&hart_ctx.harts[i]);
    }
    for (;;) {
        if (harts_shall_park()) {
            harts_park_all_here();
        }
        Hart *h = find_hart();
        if (!h) {
            futex_wait(&rr.woken, 0, NULL);
        } else if (run(h)) {
            rr.turn = (h->index + 1) % hart_ctx.nharts;
        }
    }
    return NULL;
}
