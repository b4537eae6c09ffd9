/*
 * The built-in SBI's counters ("Performance Monitoring Unit Extension", SBI specification 2.0, chapter 11).
 *
 * Logical counters 0 to RISCV_COUNTERS - 1 are the CSRs from cycle on (1, which is time, is none of them); they are
 * set up by the CSRs that a firmware would use.  Behind them come the firmware's own, which are differences of
 * SBICounters.events.
 *
 * A call changes the counters of the hart that makes it, on its thread.  Events are counted by whoever causes them.
 */
#include "board/sbi-pmu.h"

#include <string.h>

#include "board/hart.h"
#include "board/sbi.h"

enum { CSR_MCOUNTINHIBIT = 0x320, CSR_MHPMEVENT = 0x320, CSR_MIP = 0x344, CSR_MHPMCOUNTER = 0xb00, CSR_CYCLE = 0xc00 };
enum { CYCLE = 0, TIME = 1, INSTRET = 2, FIRST_HPM = 3 };

/* event_idx: type and code */
enum { TYPE_HARDWARE = 0, TYPE_RAW = 2, TYPE_FIRMWARE = 15 };
enum { HARDWARE_CYCLES = 1, HARDWARE_INSTRUCTIONS = 2 };
/* What mhpmevent knows is numbered as the general hardware events are. */
#define MHPMEVENT_OF (1ull << 63)

enum { CONFIG_SKIP_MATCH = 1, CONFIG_CLEAR_VALUE = 2, CONFIG_AUTO_START = 4 };
enum { START_SET_VALUE = 1, STOP_RESET = 1, SNAPSHOT = 2 };

/* ---- the hart's counters ---- */

static uint64_t read_csr(const Hart *h, unsigned csr)
{
    uint64_t v = 0;
    riscv_csr_read_debug(h->cpu, csr, &v);
    return v;
}

static void write_csr(const Hart *h, unsigned csr, uint64_t v)
{
    riscv_csr_write_debug(h->cpu, csr, v);
}

static bool is_firmware(unsigned n) { return n >= RISCV_COUNTERS; }

static void inhibit(const Hart *h, unsigned n, bool on)
{
    uint64_t v = read_csr(h, CSR_MCOUNTINHIBIT);
    write_csr(h, CSR_MCOUNTINHIBIT, on ? v | 1ull << n : v & ~(1ull << n));
}

/* Flags UINH, SINH, MINH are bits 5, 6 and 7, and bits 60, 61 and 62 of mhpmevent. */
static uint64_t filter_bits(uint64_t flags)
{
    return (flags >> 5 & 7) << 60;
}

/* ---- the firmware's ---- */

void sbi_pmu_count(Hart *h, unsigned event)
{
    __atomic_fetch_add(&h->counters.events[event], 1, __ATOMIC_RELAXED);
}

static uint64_t event_count(Hart *h, unsigned event)
{
    static const uint8_t causes[] = {
        [SBI_EVENT_MISALIGNED_LOAD] = 4, [SBI_EVENT_MISALIGNED_STORE] = 6, [SBI_EVENT_ACCESS_LOAD] = 5,
        [SBI_EVENT_ACCESS_STORE] = 7, [SBI_EVENT_ILLEGAL_INSN] = 2,
    };
    return event <= SBI_EVENT_ILLEGAL_INSN ? riscv_exceptions(h->cpu, causes[event])
                                           : __atomic_load_n(&h->counters.events[event], __ATOMIC_RELAXED);
}

static SBIFirmwareCounter *firmware_counter(Hart *h, unsigned n)
{
    return &h->counters.firmware[n - RISCV_COUNTERS];
}

static uint64_t read_firmware(Hart *h, unsigned n)
{
    const SBIFirmwareCounter *f = firmware_counter(h, n);
    return h->counters.running >> n & 1 ? f->value + event_count(h, f->event) : f->value;
}

/* ---- any counter ---- */

static bool is_running(const Hart *h, unsigned n)
{
    if (is_firmware(n)) {
        return h->counters.running >> n & 1;
    }
    return !(read_csr(h, CSR_MCOUNTINHIBIT) >> n & 1) && (n < FIRST_HPM || read_csr(h, CSR_MHPMEVENT + n));
}

static void set_value(Hart *h, unsigned n, uint64_t v)
{
    if (is_firmware(n)) {
        SBIFirmwareCounter *f = firmware_counter(h, n);
        f->value = h->counters.running >> n & 1 ? v - event_count(h, f->event) : v;
    } else {
        write_csr(h, CSR_MHPMCOUNTER + n, v);
    }
}

static void start(Hart *h, unsigned n)
{
    if (is_firmware(n)) {
        SBIFirmwareCounter *f = firmware_counter(h, n);
        f->value -= event_count(h, f->event);
        h->counters.running |= 1u << n;
        return;
    }
    /* It may tell of an overflow again, unless one is still to be dealt with, of which the bit tells. */
    if (n >= FIRST_HPM && !(read_csr(h, CSR_MIP) >> RISCV_IRQ_LCOFI & 1)) {
        write_csr(h, CSR_MHPMEVENT + n, read_csr(h, CSR_MHPMEVENT + n) & ~MHPMEVENT_OF);
    }
    inhibit(h, n, false);
}

static void stop(Hart *h, unsigned n)
{
    if (is_firmware(n)) {
        firmware_counter(h, n)->value = read_firmware(h, n);
        h->counters.running &= ~(1u << n);
    } else {
        inhibit(h, n, true);
    }
}

static void release(Hart *h, unsigned n)
{
    h->counters.configured &= ~(1u << n);
    if (n >= FIRST_HPM && !is_firmware(n)) {
        write_csr(h, CSR_MHPMEVENT + n, 0);
    }
}

/* ---- the calls ---- */

/* The counters that (base, mask) names, but for time; false: one does not exist, or none is named. */
static bool select_counters(uint64_t base, uint64_t mask, uint32_t *selected)
{
    if (base >= SBI_COUNTERS || !mask || (mask << base) >> base != mask || (mask << base) >> SBI_COUNTERS) {
        return false;
    }
    *selected = (uint32_t)(mask << base) & ~(1u << TIME);
    return true;
}

static int64_t get_info(const uint64_t *arg, int64_t *value)
{
    if (arg[0] >= SBI_COUNTERS || arg[0] == TIME) {
        return SBI_ERR_INVALID_PARAM;
    }
    /* Of a firmware's counter nobody should look at the width, but Linux does. */
    uint64_t width = 63 << 12;
    *value = (int64_t)(is_firmware((unsigned)arg[0]) ? 1ull << 63 | width : width | (CSR_CYCLE + arg[0]));
    return SBI_SUCCESS;
}

/* An event that is known: its number for mhpmevent, or for the firmware's counters. */
static bool find_event(uint64_t index, uint64_t data, bool *firmware, uint32_t *event)
{
    uint64_t type = index >> 16, code = index & 0xffff;
    *firmware = type == TYPE_FIRMWARE;
    *event = (uint32_t)(type == TYPE_RAW ? data : code);
    switch (type) {
    case TYPE_HARDWARE: return code == HARDWARE_CYCLES || code == HARDWARE_INSTRUCTIONS;
    case TYPE_RAW: return code == 0 && (data == HARDWARE_CYCLES || data == HARDWARE_INSTRUCTIONS);
    case TYPE_FIRMWARE: return code < SBI_N_EVENTS;
    default: return false;
    }
}

static bool can_count(unsigned n, bool firmware, uint32_t event)
{
    if (is_firmware(n) || firmware) {
        return is_firmware(n) && firmware;
    }
    return n >= FIRST_HPM || n == (event == HARDWARE_CYCLES ? CYCLE : INSTRET);
}

/* Of the counters that are free, one that can do most: cycle and instret neither filter nor interrupt.  -1: none. */
static int choose(const Hart *h, uint32_t selected, bool firmware, uint32_t event)
{
    int found = -1;
    for (unsigned n = 0; n < SBI_COUNTERS; n++) {
        if ((selected & ~h->counters.configured) >> n & 1 && can_count(n, firmware, event)) {
            if (n >= FIRST_HPM) {
                return (int)n;
            }
            found = (int)n;
        }
    }
    return found;
}

static int64_t configure(Hart *h, const uint64_t *arg, int64_t *value)
{
    uint64_t flags = arg[2];
    uint32_t selected, event;
    bool firmware;
    if (!select_counters(arg[0], arg[1], &selected) || flags >> 8) {
        return SBI_ERR_INVALID_PARAM;
    }
    bool known = find_event(arg[3], arg[4], &firmware, &event);
    int n = !known || !selected ? -1
            : flags & CONFIG_SKIP_MATCH ? __builtin_ctz(selected) : choose(h, selected, firmware, event);
    if (n < 0 || !can_count((unsigned)n, firmware, event)) {
        return SBI_ERR_NOT_SUPPORTED;
    }
    stop(h, (unsigned)n);
    if (firmware) {
        firmware_counter(h, (unsigned)n)->event = event;
    } else if (n >= FIRST_HPM) {
        /* With the overflow bit set: no interrupt before it is started. */
        write_csr(h, CSR_MHPMEVENT + (unsigned)n, event | filter_bits(flags) | MHPMEVENT_OF);
    }
    h->counters.configured |= 1u << n;
    if (flags & CONFIG_CLEAR_VALUE) {
        set_value(h, (unsigned)n, 0);
    }
    if (flags & CONFIG_AUTO_START) {
        start(h, (unsigned)n);
    }
    *value = n;
    return SBI_SUCCESS;
}

static int64_t start_one(Hart *h, unsigned n, const uint64_t *arg)
{
    if (is_running(h, n)) {
        return SBI_ERR_ALREADY_STARTED;
    }
    if (arg[2] & START_SET_VALUE) {
        set_value(h, n, arg[3]);
    }
    start(h, n);
    return SBI_SUCCESS;
}

static int64_t stop_one(Hart *h, unsigned n, const uint64_t *arg)
{
    bool running = is_running(h, n);
    if (running) {
        stop(h, n);
    }
    if (arg[2] & STOP_RESET) {
        release(h, n);
    }
    return running ? SBI_SUCCESS : SBI_ERR_ALREADY_STOPPED;
}

/* Start or stop those that `arg` names: each, even if another was so already, which is the answer then. */
static int64_t for_each_counter(Hart *h, const uint64_t *arg, uint32_t allowed,
                                int64_t (*one)(Hart *h, unsigned n, const uint64_t *arg))
{
    uint32_t selected;
    int64_t result = SBI_SUCCESS;
    if (!select_counters(arg[0], arg[1], &selected) || arg[2] >> 2 || selected & ~allowed) {
        return SBI_ERR_INVALID_PARAM;
    }
    if (arg[2] & SNAPSHOT) {
        return SBI_ERR_NO_SHMEM;
    }
    for (unsigned n = 0; n < SBI_COUNTERS; n++) {
        int64_t r = selected >> n & 1 ? one(h, n, arg) : SBI_SUCCESS;
        result = r ? r : result;
    }
    return result;
}

int64_t sbi_pmu_call(Hart *h, uint64_t function, const uint64_t *arg, int64_t *value)
{
    enum { NUM_COUNTERS, GET_INFO, CONFIGURE, START, STOP, FIRMWARE_READ, FIRMWARE_READ_HIGH };
    switch (function) {
    case NUM_COUNTERS:
        *value = SBI_COUNTERS;
        return SBI_SUCCESS;
    case GET_INFO:
        return get_info(arg, value);
    case CONFIGURE:
        return configure(h, arg, value);
    case START:
        return for_each_counter(h, arg, h->counters.configured | 1u << CYCLE | 1u << INSTRET,
                                start_one);
    case STOP:
        return for_each_counter(h, arg, ~0u, stop_one);
    case FIRMWARE_READ:
    case FIRMWARE_READ_HIGH:
        if (arg[0] >= SBI_COUNTERS || !is_firmware((unsigned)arg[0])) {
            return SBI_ERR_INVALID_PARAM;
        }
        *value = function == FIRMWARE_READ ? (int64_t)read_firmware(h, (unsigned)arg[0]) : 0;
        return SBI_SUCCESS;
    }
    return SBI_ERR_NOT_SUPPORTED;       /* no snapshots in memory */
}

void sbi_pmu_reset(Hart *h)
{
    h->counters.configured = h->counters.running = 0;
    memset(h->counters.firmware, 0, sizeof(h->counters.firmware));
}
