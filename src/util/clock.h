/* The host's clocks, in nanoseconds: CLOCK_MONOTONIC, the calling thread's processor time.  Async-signal-safe. */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_read_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline uint64_t host_ns(void) { return clock_read_ns(CLOCK_MONOTONIC); }
static inline uint64_t thread_ns(void) { return clock_read_ns(CLOCK_THREAD_CPUTIME_ID); }

#endif
