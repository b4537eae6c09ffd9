/*
 * The built-in SBI's "Performance Monitoring Unit Extension": the hart's own counters, and those of the firmware, which
 * count what the SBI does.
 */
#ifndef BRAID_BOARD_SBI_PMU_H
#define BRAID_BOARD_SBI_PMU_H

#include <stdint.h>

#include "guest/riscv/system.h"

struct Hart;

/* "Event: Firmware Events"; the first five are exceptions, which the hart counts itself. */
enum {
    SBI_EVENT_MISALIGNED_LOAD,
    SBI_EVENT_MISALIGNED_STORE,
    SBI_EVENT_ACCESS_LOAD,
    SBI_EVENT_ACCESS_STORE,
    SBI_EVENT_ILLEGAL_INSN,
    SBI_EVENT_SET_TIMER,
    SBI_EVENT_IPI_SENT,
    SBI_EVENT_IPI_RECEIVED,
    SBI_EVENT_FENCE_I_SENT,
    SBI_EVENT_FENCE_I_RECEIVED,
    SBI_EVENT_SFENCE_VMA_SENT,
    SBI_EVENT_SFENCE_VMA_RECEIVED,
    SBI_EVENT_SFENCE_VMA_ASID_SENT,
    SBI_EVENT_SFENCE_VMA_ASID_RECEIVED,
    SBI_N_EVENTS                /* hypervisors' are not there */
};

#define SBI_FIRMWARE_COUNTERS 8
#define SBI_COUNTERS (RISCV_COUNTERS + SBI_FIRMWARE_COUNTERS)

typedef struct SBIFirmwareCounter {
    uint64_t value;             /* while it runs: what is added to the number of events, else the value */
    uint32_t event;
} SBIFirmwareCounter;

/* Of each hart. */
typedef struct SBICounters {
    uint64_t events[SBI_N_EVENTS];      /* atomic: how many there were */
    /* owned by the hart's thread: bits for logical counters, of which those below RISCV_COUNTERS are CSRs */
    uint32_t configured, running;       /* running: the firmware's only */
    SBIFirmwareCounter firmware[SBI_FIRMWARE_COUNTERS];
} SBICounters;

/* A call to the extension: the error, and *value.  The hart's own thread. */
int64_t sbi_pmu_call(struct Hart *h, uint64_t function, const uint64_t *arg, int64_t *value);
/* Something the firmware has done, from any thread. */
void sbi_pmu_count(struct Hart *h, unsigned event);
/* Counters as when the machine is switched on.  The hart's thread, or while it does not run. */
void sbi_pmu_reset(struct Hart *h);

#endif
