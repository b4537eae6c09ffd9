/*
 * Harts: what happens around riscv_system_run(), each hart's own thread, sleep and parking.
 *
 * Sleep.  After WFI a hart waits in cpu_wait() for a kick, which every interrupt that becomes pending, every
 * request to park and all queued work (but flushes of the TLB, which can wait) send after what they have to say is
 * stored; a kick that came before
 * stays until cpu_exec() answers it.  If that answered one just before the WFI, what the kick meant is
 * visible, and is looked at before waiting.  So no wake-up is lost; one without cause just
 * ends the WFI, as the architecture allows.
 *
 * A hart that the SBI has stopped, or that is parked while another one is not yet, sleeps in the same way and does
 * the work that is queued for it: somebody who has yet to be parked may wait for its TLB to be flushed.
 *
 * Parking.  harts_park() puts its reason into `parking` and kicks all; each hart counts itself in under the lock (rank
 * BOARD).  Once all are counted in nobody waits for anybody, and they sleep on a condition variable until
 * no reason is left.  A hart that is in an MMIO access finishes it first.  The machine's clock stops after the
 * last hart and goes on before the first.
 *
 * With thread=single and -icount one thread runs all harts (round-robin.c), and uses what is here but for
 * the threads.
 */
#include "board/hart.h"

#include <string.h>
#include <unistd.h>

#include "board/board.h"
#include "board/device.h"
#include "board/give-way.h"
#include "board/round-robin.h"
#include "board/sbi.h"
#include "exec/debug.h"
#include "exec/exec.h"
#include "util/error.h"
#include "util/lock.h"
#include "util/strutil.h"

struct HartContext hart_ctx;

static struct HartControl {
    Mutex lock;                 /* rank BOARD */
    Cond changed;
    uint32_t parking;           /* atomic: PARK_...; cleared under lock [HART-PARK] */
    /* guarded by lock */
    unsigned nparked;
    bool one_thread;            /* constant after hart_create_all(): round-robin.c runs all harts */
    Mutex start_lock;           /* rank BOARD: of two that start one hart, one fails */
} control = { .lock = MUTEX_INIT(BOARD), .start_lock = MUTEX_INIT(BOARD), .changed = COND_INIT };

/* ---- Sleep ---- */

bool harts_shall_park(void)
{
    /* [HART-PARK] pairs with harts_ask_park(). */
    return __atomic_load_n(&control.parking, __ATOMIC_ACQUIRE) != 0;
}

/* Let a hart look again, in guest code or asleep. */
static void wake(Hart *h)
{
    cpu_kick(h->cpu);
    if (control.one_thread) {
        round_robin_wake(h->cpu);
    }
}

/* Until something is asked of this hart, which does not run; does what others may wait for. */
static void sleep_and_serve(Hart *h)
{
    give_way_asleep();
    cpu_wait(h->cpu, ~0ull);
    give_way_awake();
    cpu_answer_kick(h->cpu);
}

/* ---- Timers ---- */

static void supervisor_timer_fired(void *opaque)
{
    Hart *h = opaque;
    riscv_timer_expired(h->cpu);
}

static void counter_timer_fired(void *opaque)
{
    Hart *h = opaque;
    riscv_counters_due(h->cpu);
}

/* ---- Parking ---- */

static void park(Hart *h)
{
    mutex_lock(&control.lock);
    control.nparked++;
    cond_broadcast(&control.changed);
    while (harts_shall_park()) {
        if (control.nparked == hart_ctx.nharts) {
            cond_wait(&control.changed, &control.lock);
            continue;
        }
        mutex_unlock(&control.lock);
        cpu_wait(h->cpu, ~0ull);
        mutex_lock(&control.lock);
        if (control.nparked < hart_ctx.nharts) {
            control.nparked--;
            mutex_unlock(&control.lock);
            sleep_and_serve(h);
            mutex_lock(&control.lock);
            control.nparked++;
            cond_broadcast(&control.changed);
        }
    }
    control.nparked--;
    mutex_unlock(&control.lock);
}

void harts_park_all_here(void)
{
    mutex_lock(&control.lock);
    control.nparked = hart_ctx.nharts;
    cond_broadcast(&control.changed);
    while (harts_shall_park()) {
        cond_wait(&control.changed, &control.lock);
    }
    control.nparked = 0;
    mutex_unlock(&control.lock);
}

void harts_ask_park(unsigned reason)
{
    /* [HART-PARK] pairs with harts_shall_park(), through the kick. */
    __atomic_fetch_or(&control.parking, reason, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        wake(&hart_ctx.harts[i]);
    }
}

bool harts_park(unsigned reason, unsigned timeout_ms)
{
    struct timespec limit = { .tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000l };
    harts_ask_park(reason);
    mutex_lock(&control.lock);
    bool in_time = true;
    while (control.nparked < hart_ctx.nharts && in_time) {
        if (timeout_ms) {
            in_time = cond_timedwait(&control.changed, &control.lock, &limit);
        } else {
            cond_wait(&control.changed, &control.lock);
        }
    }
    bool all = control.nparked == hart_ctx.nharts;
    if (all) {
        clock_stop();
    }
    mutex_unlock(&control.lock);
    return all;
}

unsigned harts_parking(void)
{
    return __atomic_load_n(&control.parking, __ATOMIC_RELAXED);
}

void harts_release(unsigned reason)
{
    mutex_lock(&control.lock);
    bool none_left = !__atomic_and_fetch(&control.parking, ~reason, __ATOMIC_RELAXED);
    if (none_left) {
        clock_continue();
    }
    mutex_unlock(&control.lock);
    cond_broadcast(&control.changed);
    if (none_left) {
        devices_continued();
    }
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        wake(&hart_ctx.harts[i]);
    }
}

/* ---- Running ---- */

bool hart_start(Hart *h, uint64_t pc, uint64_t arg, unsigned privilege)
{
    mutex_lock(&control.start_lock);
    /* [HART-START] pairs with hart_prepare(). */
    bool stopped = __atomic_load_n(&h->state, __ATOMIC_ACQUIRE) == HART_STOPPED;
    if (stopped) {
        h->start_pc = pc;
        h->start_arg = arg;
        h->start_privilege = privilege;
        __atomic_store_n(&h->state, HART_START_PENDING, __ATOMIC_RELEASE /* [HART-START] */);
    }
    mutex_unlock(&control.start_lock);
    if (stopped) {
        wake(h);
    }
    return stopped;
}

void hart_stop(Hart *h)
{
    /* [HART-START] pairs with hart_start(). */
    __atomic_store_n(&h->state, HART_STOPPED, __ATOMIC_RELEASE);
}

static bool begins_running(const Hart *h)
{
    return h->index == 0 || board_entry()->all_harts;
}

/* After its reset, or started by the SBI. */
static void begin(Hart *h, uint64_t pc, uint64_t a0, uint64_t a1, unsigned privilege)
{
    sbi_pmu_reset(h);
    riscv_reset_counters(h->cpu);
    riscv_reset_hart(h->cpu, pc, a0, a1, privilege);
}

void hart_reset(Hart *h)
{
    const BoardEntry *e = board_entry();
    h->waiting = false;
    __atomic_store_n(&h->state, begins_running(h) ? HART_STARTED : HART_STOPPED, __ATOMIC_RELAXED);
    timer_set(&h->supervisor_timer, TIMER_NEVER);
    if (begins_running(h)) {
        begin(h, e->pc, e->all_harts ? h->index : e->a0, e->a1, e->privilege);
    }
}

void hart_suspend(Hart *h, bool retentive, uint64_t resume_pc, uint64_t resume_arg)
{
    h->resumes_afresh = !retentive;
    h->resume_pc = resume_pc;
    h->resume_arg = resume_arg;
    h->waiting = true;
    __atomic_store_n(&h->state, HART_SUSPENDED, __ATOMIC_RELAXED);
}

/* An interrupt that is enabled is pending. */
static void end_wait(Hart *h)
{
    h->waiting = false;
    if (__atomic_load_n(&h->state, __ATOMIC_RELAXED) == HART_SUSPENDED) {
        __atomic_store_n(&h->state, HART_STARTED, __ATOMIC_RELAXED);
        if (h->resumes_afresh) {
            riscv_reset_hart(h->cpu, h->resume_pc, h->index, h->resume_arg, RISCV_PRIV_S);
        }
    }
}

bool hart_prepare(Hart *h)
{
    if (debug_is_held(h->cpu)) {
        return false;
    }
    /* [HART-START] pairs with hart_start(). */
    switch (__atomic_load_n(&h->state, __ATOMIC_ACQUIRE)) {
    case HART_STOPPED:
        return false;
    case HART_START_PENDING:
        begin(h, h->start_pc, h->index, h->start_arg, h->start_privilege);
        h->waiting = false;
        __atomic_store_n(&h->state, HART_STARTED, __ATOMIC_RELAXED);
        break;
    }
    if (h->waiting) {
        if (!riscv_has_work(h->cpu)) {
            return false;
        }
        end_wait(h);
    }
    return true;
}

void hart_finish_run(Hart *h, int why)
{
    switch (why) {
    case RISCV_RUN_WFI:
        h->waiting = !debug_defers_interrupts(h->cpu);      /* a step across WFI is one */
        break;
    case RISCV_RUN_SBI:
        sbi_call(h);
        break;
    case RISCV_RUN_DEBUG:
        board_debug_stop(h->cpu);
        break;
    }
}

void hart_thread_began(Hart *h)
{
    __atomic_store_n(&h->thread_id, (uint32_t)gettid(), __ATOMIC_RELAXED);
    cpu_thread_init(h->cpu);
}

static void *hart_main(void *arg)
{
    Hart *h = arg;
    char name[16];
    snprintf(name, sizeof(name), "hart %u", h->index);
    pthread_setname_np(pthread_self(), name);
    hart_thread_began(h);
    for (;;) {
        if (harts_shall_park()) {
            park(h);
        }
        if (!hart_prepare(h)) {
            sleep_and_serve(h);
            continue;
        }
        int why = riscv_system_run(h->cpu);
        if (why == RISCV_RUN_PAUSE || why == RISCV_RUN_WRS) {
            give_way(h, why == RISCV_RUN_WRS);
        }
        hart_finish_run(h, why);
    }
    return NULL;
}

/* ---- Creation ---- */

static void set_pin(void *opaque, unsigned irq, bool level)
{
    riscv_set_irq(opaque, irq, level);
}

IRQLine hart_irq(unsigned hart, unsigned irq)
{
    return (IRQLine){ set_pin, hart_ctx.harts[hart].cpu, irq };
}

static uint64_t supervisor_deadline(CPUState *cpu)
{
    uint64_t ticks = riscv_next_timer(cpu);
    return ticks == UINT64_MAX ? TIMER_NEVER : board_time_to_ns(ticks);
}

/* The hart may set stimecmp while another one sets the time: who set the timer last sees, behind the timers' lock, what
   the other one stored before it did so. */
void hart_timer_changed(CPUState *cpu)
{
    uint64_t deadline;
    do {
        deadline = supervisor_deadline(cpu);
        timer_set(&hart_of(cpu)->supervisor_timer, deadline);
    } while (supervisor_deadline(cpu) != deadline);
}

void harts_time_set(void)
{
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        hart_timer_changed(hart_ctx.harts[i].cpu);
    }
}

void hart_set_alarm(CPUState *cpu, uint64_t counts)
{
    uint64_t now = clock_ns(), most = (TIMER_NEVER - 1 - now) >> round_robin_shift();
    timer_set(&hart_of(cpu)->counter_timer, counts > most ? TIMER_NEVER : now + (counts << round_robin_shift()));
}

void hart_create_all(unsigned n, bool one_thread)
{
    hart_ctx.harts = xcalloc(n, sizeof(*hart_ctx.harts));
    hart_ctx.nharts = n;
    control.parking = PARK_STOPPED;
    control.one_thread = one_thread;
    give_way_init(n);
    for (unsigned i = 0; i < n; i++) {
        Hart *h = &hart_ctx.harts[i];
        h->index = i;
        h->qom_path = str_format("/machine/soc0/harts[%u]", i);
        h->cpu = cpu_create(&riscv64_system_guest);
        if (!h->cpu) {
            fatal("out of memory for hart %u", i);
        }
        h->cpu->user_data = h;
        riscv_set_hartid(h->cpu, i);
        timer_init(&h->supervisor_timer, supervisor_timer_fired, h);
        timer_init(&h->counter_timer, counter_timer_fired, h);
    }
}

static const StateField counter_fields[] = {
    STATE(SBIFirmwareCounter, value), STATE_BELOW(SBIFirmwareCounter, event, SBI_N_EVENTS), STATE_END
};

static const StateField board_fields[] = {
    STATE_BELOW(Hart, state, HART_SUSPENDED + 1), STATE(Hart, start_pc), STATE(Hart, start_arg),
    STATE_BELOW(Hart, start_privilege, RISCV_PRIV_M + 1), STATE(Hart, waiting), STATE(Hart, resumes_afresh),
    STATE(Hart, resume_pc), STATE(Hart, resume_arg), STATE(Hart, counters.events),
    STATE_BELOW(Hart, counters.configured, 1u << SBI_COUNTERS),
    STATE_BELOW(Hart, counters.running, 1u << SBI_COUNTERS), STATE_OBJECTS(Hart, counters.firmware, counter_fields),
    STATE_END
};

static bool loaded(void *opaque)
{
    hart_timer_changed(((Hart *)opaque)->cpu);
    return true;
}

void harts_add_devices(void)
{
    static const DeviceClass hart = { .name = "hart", .state = &riscv_hart_state };
    static const StateTable table = { board_fields, loaded };
    static const DeviceClass control_of_hart = { .name = "hart control", .state = &table };
    round_robin_init();
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        device_add(str_format("hart.%u", i), &hart, hart_ctx.harts[i].cpu);
        device_add(str_format("hart.%u.control", i), &control_of_hart, &hart_ctx.harts[i]);
    }
}

void hart_start_threads(void)
{
    if (control.one_thread) {
        if (pthread_create(&hart_ctx.harts[0].thread, NULL, round_robin_main, NULL)) {
            fatal("cannot create a thread for the harts");
        }
        return;
    }
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        if (pthread_create(&hart_ctx.harts[i].thread, NULL, hart_main, &hart_ctx.harts[i])) {
            fatal("cannot create a thread for hart %u", i);
        }
    }
}
