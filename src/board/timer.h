/*
 * The machine's clock, and timers on it.
 *
 * The clock counts nanoseconds since the machine was switched on and stands still while it is
 * stopped.  It is CLOCK_MONOTONIC less an offset, so it never goes back, whichever thread asks, or (-icount) the
 * instructions executed so far, counted by the harts' thread.  One thread fires all timers, the harts' thread then.
 */
#ifndef BRAID_BOARD_TIMER_H
#define BRAID_BOARD_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#define TIMER_NEVER UINT64_MAX
#define NS_PER_S 1000000000ull

/* Any thread; no locks. */
uint64_t clock_ns(void);

typedef struct Timer {
    /* constant after timer_init() */
    void (*fire)(void *opaque);
    void *opaque;
    /* guarded by the timers' lock */
    uint64_t deadline;      /* of clock_ns(); TIMER_NEVER: not armed */
    struct Timer *next;
} Timer;

/*
 * `fire` is called on the timers' thread without locks, at or after the deadline, once for each time the
 * timer was set.  It may be called although the timer has been set anew meanwhile: it has to look
 * itself whether what it waits for is true.
 */
void timer_init(Timer *t, void (*fire)(void *opaque), void *opaque);
/* Any thread; under locks of ranks before TIMER.  A deadline that has passed fires soon. */
void timer_set(Timer *t, uint64_t deadline);
/* Out of the list.  It may still be firing at this moment. */
void timer_remove(Timer *t);

/* Start the clock and the thread; once. */
void timers_start(void);
/*
 * The same for counted time: counted() says how many ns; earlier() is called, under locks, when a timer was
 * set for an earlier time than the one that timers_next() told.
 */
void timers_start_counted(uint64_t (*counted)(void), void (*earlier)(void));
bool clock_is_counted(void);
/* For the harts' thread then: no hart has anything to do, so time passes.  The next deadline; fire what is due. */
void clock_warp(uint64_t ns);
uint64_t timers_next(void);
void timers_run(void);
/* Stop the clock, or let it go on. */
void clock_stop(void);
void clock_continue(void);
/* While it is stopped: what it shows.  Timers are set anew by those whose deadlines they are. */
void clock_set(uint64_t ns);
/* While it is stopped, without locks: returns when no timer fires any more. */
void timers_drain(void);

#endif
