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
 *
 * Counted time (-icount).  The clock is the number of instructions that all harts together have executed, times
 * 2^shift ns, and this thread fires the timers.  A hart is granted as many instructions as are left of its slice, but no
 * more than until the next deadline; a timer that is set meanwhile shortens the grant.  So timers fire, and turns
 * end, behind exact numbers of instructions, and nothing of it depends on the host: a kick from another
 * thread interrupts a grant, which then goes on.  When no hart has anything to do the clock is put forward to the
 * next deadline.  What a hart asks of the board's thread (power-off, reset) holds all harts until it is done.
 */
#include "board/round-robin.h"

#include <pthread.h>

#include "board/device.h"
#include "board/hart.h"
#include "exec/exec.h"
#include "util/clock.h"
#include "util/futex.h"

#define SLICE_NS 1000000ull
#define SLICE_INSNS 8192
#define UNLIMITED_INSNS (INT64_MAX / 2)

static struct RoundRobin {
    uint32_t woken;             /* atomic, futex [RR-WAKE] */
    uint32_t slice_over;        /* atomic; a hint */
    CPUState *running;          /* atomic, written by the harts' thread: whom the slice's end kicks */
    CountOptions count;         /* constant after round_robin_count() */
    uint64_t executed_hint;     /* atomic: executed(), for other threads */
    /* owned by the harts' thread, or by whoever has parked it */
    unsigned turn;              /* index of the hart whose turn it is */
    Timer slice;
    CPUState *counted;          /* counted time: who runs, ... */
    uint64_t before;            /* ... what it had executed when it was granted more, ... */
    uint64_t executed;          /* ... and all harts until then */
    int64_t slice_left;         /* 0: a turn begins; counted time: instructions */
    bool hold;
} rr;

/* ---- Counted time ---- */

/* By all harts; with the instruction under way. */
static uint64_t executed(void)
{
    return rr.executed + (rr.counted ? cpu_insns_executed(rr.counted) - rr.before : 0);
}

static uint64_t counted_ns(void)
{
    bool here = cpu_current();
    return (here ? executed() : __atomic_load_n(&rr.executed_hint, __ATOMIC_RELAXED)) << rr.count.shift;
}

unsigned round_robin_shift(void) { return rr.count.shift; }

static int64_t insns_until(uint64_t deadline)
{
    uint64_t now = clock_ns(), ns = deadline > now ? deadline - now : 0;
    uint64_t n = (ns >> rr.count.shift) + ((ns & ((1ull << rr.count.shift) - 1)) != 0);
    return n < UNLIMITED_INSNS ? (int64_t)n : UNLIMITED_INSNS;
}

/* A timer was set for an earlier time than the next known deadline. */
static void deadline_is_earlier(void)
{
    if (!cpu_current()) {
        round_robin_wake(NULL);
    } else if (rr.counted) {
        int64_t n = insns_until(timers_next());
        if (n < rr.counted->env.insns_left) {
            cpu_grant_insns(rr.counted, n);
        }
    }
}

void round_robin_count(const CountOptions *options)
{
    rr.count = *options;
    timers_start_counted(counted_ns, deadline_is_earlier);
}

void round_robin_hold(void)
{
    if (rr.count.on && cpu_current()) {
        rr.hold = true;
        if (rr.counted) {
            cpu_grant_insns(rr.counted, 0);
        }
    }
}

static bool gives_turn_away(int why) { return why == RISCV_RUN_PAUSE || why == RISCV_RUN_WRS; }

/* Returns true if its turn is over. */
static bool run_counted(Hart *h)
{
    if (!rr.slice_left) {
        rr.slice_left = hart_ctx.nharts > 1 ? SLICE_INSNS : UNLIMITED_INSNS;
    }
    int64_t limit = insns_until(timers_next());
    cpu_thread_switch(h->cpu);
    rr.before = cpu_insns_executed(h->cpu);
    rr.counted = h->cpu;
    cpu_grant_insns(h->cpu, limit < rr.slice_left ? limit : rr.slice_left);
    int why = riscv_system_run(h->cpu);
    hart_finish_run(h, why);
    cpu_grant_insns(h->cpu, 0);
    uint64_t n = cpu_insns_executed(h->cpu) - rr.before;
    rr.counted = NULL;
    rr.executed += n;
    __atomic_store_n(&rr.executed_hint, rr.executed, __ATOMIC_RELAXED);
    rr.slice_left -= (int64_t)n;
    if (why == RISCV_RUN_WFI || gives_turn_away(why)) {
        rr.slice_left = 0;
    }
    return !rr.slice_left;
}

static bool sleep_until_woken(uint64_t ns)
{
    struct timespec ts = { .tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S) };
    futex_wait(&rr.woken, 0, ns == TIMER_NEVER ? NULL : &ts);
    return __atomic_load_n(&rr.woken, __ATOMIC_RELAXED);
}

/* No hart may run. */
static void idle_counted(void)
{
    uint64_t deadline = timers_next(), now = clock_ns();
    uint64_t ns = deadline > now ? deadline - now : 0;
    if (rr.hold || deadline == TIMER_NEVER) {
        sleep_until_woken(TIMER_NEVER);
    } else if (!rr.count.sleep) {
        clock_warp(ns);
    } else {
        uint64_t begin = host_ns();
        bool woken = sleep_until_woken(ns);
        uint64_t slept = host_ns() - begin;
        clock_warp(woken && slept < ns ? slept : ns);
    }
}

/* ---- Saved states ---- */

static bool loaded(void *opaque)
{
    if (!rr.count.on) {
        rr.slice_left = 0;      /* the slice's timer is not part of the state */
    }
    return rr.turn < hart_ctx.nharts && rr.slice_left >= 0 && rr.slice_left <= UNLIMITED_INSNS;
}

void round_robin_init(void)
{
    static const StateField fields[] = { STATE(struct RoundRobin, turn), STATE(struct RoundRobin, slice_left), STATE_END };
    static const StateTable table = { fields, loaded };
    static const DeviceClass c = { .name = "turns", .state = &table };
    device_add("turns", &c, &rr);
}

/* ---- Turns ---- */

void round_robin_wake(CPUState *cpu)
{
    /* [RR-WAKE] pairs with the exchange in find_hart(). */
    __atomic_store_n(&rr.woken, 1, __ATOMIC_RELEASE);
    futex_wake(&rr.woken, 1);
}

static void end_slice(void *opaque)
{
    __atomic_store_n(&rr.slice_over, 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);    /* [RR-SLICE] pairs with the fence in run() */
    CPUState *cpu = __atomic_load_n(&rr.running, __ATOMIC_RELAXED);
    if (cpu) {
        cpu_kick(cpu);
    }
}

/* The hart that has the turn now, or the next one in order that may run; NULL if none may. */
static Hart *find_hart(void)
{
    /* [RR-WAKE] pairs with round_robin_wake(): what a hart was woken for is seen below. */
    __atomic_exchange_n(&rr.woken, 0, __ATOMIC_ACQUIRE);
    if (rr.hold) {
        return NULL;
    }
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        unsigned index = (rr.turn + i) % hart_ctx.nharts;
        if (hart_prepare(&hart_ctx.harts[index])) {
            rr.slice_left = index == rr.turn ? rr.slice_left : 0;
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
    if (!rr.slice_left) {
        /* Not after each kick: a hart that is interrupted often would never be through. */
        rr.slice_left = 1;
        __atomic_store_n(&rr.slice_over, 0, __ATOMIC_RELAXED);
        timer_set(&rr.slice, hart_ctx.nharts > 1 ? clock_ns() + SLICE_NS : TIMER_NEVER);
    }
    __atomic_store_n(&rr.running, h->cpu, __ATOMIC_RELAXED);
    /* [RR-SLICE] Dekker: end_slice() sees whom to kick, or its word is seen here. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    int why = RISCV_RUN_PAUSE;
    while (!__atomic_load_n(&rr.slice_over, __ATOMIC_RELAXED)) {
        why = riscv_system_run(h->cpu);
        hart_finish_run(h, why);
        if (why != RISCV_RUN_SBI || !hart_prepare(h) || harts_shall_park()) {
            break;
        }
    }
    __atomic_store_n(&rr.running, NULL, __ATOMIC_RELAXED);
    if (why == RISCV_RUN_WFI || gives_turn_away(why) || why == RISCV_RUN_DEBUG ||
        __atomic_load_n(&rr.slice_over, __ATOMIC_RELAXED)) {
        rr.slice_left = 0;
    }
    return !rr.slice_left;
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
            rr.hold = false;
            harts_park_all_here();
        }
        if (rr.count.on && !rr.hold) {
            timers_run();
        }
        Hart *h = find_hart();
        if (!h && rr.count.on) {
            idle_counted();
        } else if (!h) {
            futex_wait(&rr.woken, 0, NULL);
        } else if (rr.count.on ? run_counted(h) : run(h)) {
            rr.turn = (h->index + 1) % hart_ctx.nharts;
        }
    }
    return NULL;
}
