/* SPDX-License-Identifier: MIT
 *
 * The hart's counters: cycle, instret, and some that mhpmevent chooses what to count for (Privileged ISA, "Hardware
 * Performance Monitor"; "Sscofpmf").
 *
 * Nothing is counted here.  There are two sources, cycles and instructions retired, which somebody else counts anyway;
 * a counter that runs is a source and an offset, one that does not is a value.  So counters cost nothing until they
 * are read, or until what they depend on changes: mcountinhibit, mhpmevent and, for those that count in some modes
 * only, the mode.  Then all are stopped and those that shall run are started (riscv_counters_update()).
 *
 * What the sources say: instructions, if somebody counts them (-icount), else nanoseconds of the machine's clock.
 *
 * An overflow is nothing that happens at its moment either: a counter that starts knows at which value of its source
 * it wraps, and the board is asked for an alarm then.  The alarm may come too early (the counter was stopped, the
 * mode was another one, the hart slept), and is asked for anew.
 *
 * All on the hart's own thread, but riscv_counters_due().
 */
#include <string.h>

#include "exec/exec.h"
#include "guest/riscv/hart.h"

/* mhpmevent: what to count, */
enum { EVENT_NONE = 0, EVENT_CYCLES = 1, EVENT_INSTRUCTIONS = 2 };
#define EVENT_SELECT ((UINT64_C(1) << 56) - 1)
/* and the bits of Sscofpmf. */
#define EVENT_UINH (UINT64_C(1) << 60)
#define EVENT_SINH (UINT64_C(1) << 61)
#define EVENT_MINH (UINT64_C(1) << 62)
#define EVENT_OF (UINT64_C(1) << 63)
#define EVENT_INH (EVENT_UINH | EVENT_SINH | EVENT_MINH)

enum { CYCLE = 0, TIME = 1, INSTRET = 2, FIRST_HPM = 3 };

typedef struct Sources {
    uint64_t cycles, retired;
} Sources;

static bool has_overflow(void) { return riscv_extensions() & RISCV_EXT_SSCOFPMF; }

/* With the instruction under way, if instructions are counted. */
static Sources sources(RISCVHart *h)
{
    if (!riscv_system.config.icount) {
        uint64_t ns = riscv_system.config.clock_ns();
        return (Sources){ns, ns};
    }
    uint64_t executed = h->insns_before + cpu_insns_executed(hart_cpu(h));
    return (Sources){executed, executed - h->untired};
}

static uint64_t source_of(const RISCVHart *h, unsigned n, Sources now)
{
    return (h->counter_event[n] & EVENT_SELECT) == EVENT_INSTRUCTIONS ? now.retired : now.cycles;
}

/* ---- stopping and starting ---- */

static bool is_enabled(const RISCVHart *h, unsigned n)
{
    return (h->counter_event[n] & EVENT_SELECT) && !(h->mcountinhibit >> n & 1);
}

static bool counts_in_mode(uint64_t event, unsigned priv)
{
    return !(event & (priv == RISCV_PRIV_U ? EVENT_UINH : priv == RISCV_PRIV_S ? EVENT_SINH : EVENT_MINH));
}

/* Counting goes on behind an overflow; the bit says that there is nothing more to tell. */
static void note_overflow(RISCVHart *h, unsigned n)
{
    if (!(h->counter_event[n] & EVENT_OF)) {
        h->counter_event[n] |= EVENT_OF;
        __atomic_fetch_or(&h->mip, MIP_BIT(RISCV_IRQ_LCOFI), __ATOMIC_RELAXED);
    }
}

static void stop_all(RISCVHart *h, Sources now)
{
    for (unsigned n = 0; n < RISCV_COUNTERS; n++) {
        if (h->counters_running >> n & 1) {
            uint64_t source = source_of(h, n, now);
            h->counter_offset[n] += source;
            if (source >= h->counter_wrap[n]) {
                note_overflow(h, n);
            }
        }
    }
    h->counters_running = 0;
}

/* How much more this counter has to count until it tells of an overflow; UINT64_MAX: it never does. */
static uint64_t distance_to_overflow(const RISCVHart *h, unsigned n)
{
    bool tells = n >= FIRST_HPM && has_overflow() && !(h->counter_event[n] & EVENT_OF);
    return tells && h->counter_offset[n] ? -h->counter_offset[n] : UINT64_MAX;
}

static uint64_t later(uint64_t now, uint64_t distance)
{
    return distance > UINT64_MAX - now ? UINT64_MAX : now + distance;
}

static void start_all(RISCVHart *h, Sources now)
{
    uint64_t nearest = UINT64_MAX;
    h->counters_filtered = false;
    h->counters_mode = h->priv;
    for (unsigned n = 0; n < RISCV_COUNTERS; n++) {
        if (!is_enabled(h, n)) {
            continue;
        }
        uint64_t event = h->counter_event[n], source = source_of(h, n, now);
        h->counters_filtered |= (event & EVENT_INH) != 0;
        if (counts_in_mode(event, h->priv)) {
            uint64_t distance = distance_to_overflow(h, n);
            nearest = distance < nearest ? distance : nearest;
            h->counter_wrap[n] = later(source, distance);
            h->counter_offset[n] -= source;
            h->counters_running |= 1u << n;
        }
    }
    /* Instructions are not retired faster than cycles pass.  An alarm that is due earlier asks again. */
    uint64_t at = later(now.cycles, nearest);
    if (at < h->counter_alarm) {
        h->counter_alarm = at;
        riscv_system.config.set_alarm(hart_cpu(h), nearest);
    }
}

void riscv_counters_update(RISCVHart *h)
{
    Sources now = sources(h);
    stop_all(h, now);
    start_all(h, now);
}

void riscv_counters_answer_alarm(RISCVHart *h)
{
    __atomic_store_n(&h->counters_due, false, __ATOMIC_RELAXED);
    h->counter_alarm = UINT64_MAX;
    riscv_counters_update(h);
}

/* ---- what the CSRs are ---- */

/*
 * An instruction that reads instret has not retired then; one that writes it is not counted itself ("Machine
 * Performance-Monitoring Counters": a write takes effect behind it), so that the next reads what was written.
 */
uint64_t riscv_counter_read(RISCVHart *h, unsigned n)
{
    if (n >= RISCV_COUNTERS) {
        return 0;
    }
    if (!(h->counters_running >> n & 1)) {
        return h->counter_offset[n];
    }
    bool retires = (h->counter_event[n] & EVENT_SELECT) == EVENT_INSTRUCTIONS;
    return h->counter_offset[n] + source_of(h, n, sources(h)) - (retires && h->in_csr_insn);
}

void riscv_counter_write(RISCVHart *h, unsigned n, uint64_t v)
{
    if (n < RISCV_COUNTERS) {
        Sources now = sources(h);
        stop_all(h, now);
        h->counter_offset[n] = v;
        start_all(h, now);
    }
}

uint64_t riscv_counter_read_event(RISCVHart *h, unsigned n)
{
    if (n >= RISCV_COUNTERS) {
        return 0;
    }
    riscv_counters_update(h);       /* for the overflow bit */
    return h->counter_event[n];
}

static uint64_t legal_event(uint64_t v)
{
    uint64_t select = v & EVENT_SELECT;
    return (select <= EVENT_INSTRUCTIONS ? select : EVENT_NONE) | (has_overflow() ? v & (EVENT_INH | EVENT_OF) : 0);
}

void riscv_counter_write_event(RISCVHart *h, unsigned n, uint64_t v)
{
    if (n < RISCV_COUNTERS) {
        Sources now = sources(h);
        stop_all(h, now);
        h->counter_event[n] = legal_event(v);
        start_all(h, now);
    }
}

/* The write itself still counts as it was before. */
void riscv_counters_inhibit(RISCVHart *h, uint64_t v)
{
    Sources now = sources(h);
    stop_all(h, now);
    h->mcountinhibit = v & ((UINT64_C(1) << RISCV_COUNTERS) - 1) & ~(UINT64_C(1) << TIME);
    start_all(h, now);
}

uint64_t riscv_counters_overflowed(RISCVHart *h)
{
    uint64_t v = 0;
    riscv_counters_update(h);
    for (unsigned n = FIRST_HPM; n < RISCV_COUNTERS; n++) {
        v |= h->counter_event[n] & EVENT_OF ? UINT64_C(1) << n : 0;
    }
    return v;
}

/* ---- reset, saved states ---- */

void riscv_reset_counters(CPUState *cpu)
{
    RISCVHart *h = riscv_hart(cpu);
    memset(h->counter_offset, 0, sizeof(h->counter_offset));
    memset(h->counter_event, 0, sizeof(h->counter_event));
    h->counter_event[CYCLE] = EVENT_CYCLES;
    h->counter_event[INSTRET] = EVENT_INSTRUCTIONS;
    h->mcountinhibit = 0;
    h->counters_running = 0;
    h->counter_alarm = UINT64_MAX;
    riscv_counters_update(h);
}

void riscv_counters_loaded(RISCVHart *h)
{
    for (unsigned n = FIRST_HPM; n < RISCV_COUNTERS; n++) {
        h->counter_event[n] = legal_event(h->counter_event[n]);
    }
    h->counter_event[CYCLE] = EVENT_CYCLES;
    h->counter_event[TIME] = EVENT_NONE;
    h->counter_event[INSTRET] = EVENT_INSTRUCTIONS;
    h->mcountinhibit &= (UINT64_C(1) << RISCV_COUNTERS) - 1;
    riscv_counters_answer_alarm(h);
}

/* ---- the alarm; any thread ---- */

void riscv_counters_due(CPUState *cpu)
{
    RISCVHart *h = riscv_hart(cpu);
    __atomic_store_n(&h->counters_due, true, __ATOMIC_RELAXED);     /* seen by whoever answers the kick */
    riscv_timer_expired(cpu);
}
