/*
 * Harts: a vCPU, the host thread that runs it, and what the SBI knows of it.
 *
 * "The hart's thread" is the one of all harts with thread=single.
 */
#ifndef BRAID_BOARD_HART_H
#define BRAID_BOARD_HART_H

#include <pthread.h>

#include "board/irq.h"
#include "board/sbi-pmu.h"
#include "board/timer.h"
#include "guest/riscv/system.h"

/* SBI hart states (SBI specification, "Hart State Management Extension"), used as the state of every hart. */
enum {
    HART_STARTED = 0,
    HART_STOPPED = 1,
    HART_START_PENDING = 2,
    HART_STOP_PENDING = 3,
    HART_SUSPENDED = 4,
};

/* A word that a hart waits for after WRS; see give-way.c. */
typedef struct HartAwaited {
    const uint32_t *word;       /* in the host's memory */
    uint32_t seen;              /* a head returns when this changes */
    bool head;
    struct Hart *next;
} HartAwaited;

typedef struct Hart {
    CPUState *cpu;              /* constant after hart_create_all() */
    unsigned index;
    char *qom_path;             /* constant: its name for QMP */
    pthread_t thread;
    uint32_t thread_id;         /* atomic: the kernel's, 0: not started yet */
    Timer supervisor_timer;     /* Sstc */
    Timer counter_timer;        /* a counter may have overflowed */
    SBICounters counters;

    uint32_t state;             /* atomic: HART_...; [HART-START] */
    /* written before START_PENDING is stored, read after it was seen */
    uint64_t start_pc, start_arg;
    unsigned start_privilege;
    /* owned by the hart's thread */
    bool waiting;               /* after WFI, or suspended: until an interrupt that is enabled is pending */
    bool resumes_afresh;        /* when suspended: goes on at resume_pc, like a hart that was started */
    uint64_t resume_pc, resume_arg;
    /* give-way.c */
    unsigned pauses;            /* in a row: PAUSE, and WRS, */
    uint64_t pausing_ns;        /* the host's time of the first one, ... */
    uint64_t paused_thread_ns;  /* ... and the thread's when the last one was over */
    HartAwaited awaited;        /* guarded by a lock there; pausing_ns does not change while it is in the list */
} Hart;

extern struct HartContext {
    Hart *harts;                /* constant after hart_create_all() */
    unsigned nharts;
} hart_ctx;

/* Creates vCPUs; their threads, or the one thread, start parked, to be released by harts_release(). */
void hart_create_all(unsigned n, bool one_thread);
/* Their part of the machine's saved state; when the interrupt controllers are there. */
void harts_add_devices(void);
void hart_start_threads(void);
static inline unsigned hart_thread_id(const Hart *h) { return __atomic_load_n(&h->thread_id, __ATOMIC_RELAXED); }
/* By the thread that runs the hart, first thing. */
void hart_thread_began(Hart *h);
static inline Hart *hart_of(const CPUState *cpu) { return cpu->user_data; }

/* The pin `irq` (RISCV_IRQ_...) of a hart as an interrupt line. */
IRQLine hart_irq(unsigned hart, unsigned irq);

/* RISCVSystemConfig.timer_changed; any thread, without locks */
void hart_timer_changed(CPUState *cpu);
/* The time CSR of all harts was set: their timers are due at other times of the clock. */
void harts_time_set(void);
/* RISCVSystemConfig.set_alarm */
void hart_set_alarm(CPUState *cpu, uint64_t counts);

/* Why harts are parked: they run again when no reason is left. */
enum {
    PARK_STOPPED = 1,           /* the machine is stopped */
    PARK_WORK = 2,              /* board_run()'s thread resets it or looks inside */
    PARK_DEBUGGER = 4,          /* gdb looks at it */
};
/*
 * Bring all harts out of guest code and keep them there; the machine's clock stands still meanwhile.  Returns when
 * they are parked, or after timeout_ms (0: none) without.  Not on a hart's thread.
 */
bool harts_park(unsigned reason, unsigned timeout_ms);
void harts_release(unsigned reason);
/* The same wish, but without waiting, and the clock goes on until somebody does.  Any thread, any lock. */
void harts_ask_park(unsigned reason);
unsigned harts_parking(void);   /* the reasons that there are */
/* For the harts' threads: are they to be parked?  The one thread of all harts parks them. */
bool harts_shall_park(void);
void harts_park_all_here(void);

/* As when the machine is switched on; while all harts are parked, or their threads not started. */
void hart_reset(Hart *h);
/* Start a stopped hart (SBI HSM).  False: it is not stopped. */
bool hart_start(Hart *h, uint64_t pc, uint64_t arg, unsigned privilege);
/* On the hart's own thread: stop it when it leaves guest code. */
void hart_stop(Hart *h);
/*
 * On the hart's own thread: when it leaves guest code it waits for an interrupt, and goes on where it is, or
 * (not retentive) at resume_pc.
 */
void hart_suspend(Hart *h, bool retentive, uint64_t resume_pc, uint64_t resume_arg);

/* ---- for the loops of the harts' threads ---- */
/* Do what was asked of the hart: reset, start, the end of its wait.  True: it may run guest code. */
bool hart_prepare(Hart *h);
/* Deal with what riscv_system_run() returned. */
void hart_finish_run(Hart *h, int why);

#endif
