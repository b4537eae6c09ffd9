/*
 * Small words about the compiler and the host CPU that the rest of the tree uses: branch
 * hints, attributes, the size of a cache line, the pause of a spinning thread.
 */
#ifndef UTIL_COMPILER_H
#define UTIL_COMPILER_H

#include <stddef.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define CACHE_LINE 64

#define attr_noreturn __attribute__((noreturn))
#define attr_cold __attribute__((cold, noinline))
#define attr_noinline __attribute__((noinline))
#define attr_always_inline __attribute__((always_inline)) inline
#define attr_printf(fmt, args) __attribute__((format(printf, fmt, args)))
#define attr_cache_aligned __attribute__((aligned(CACHE_LINE)))

#define array_size(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member)                                                  \
    ((type *)((char *)(ptr) - offsetof(type, member)))

/* Tells the core that this thread spins, so that its sibling gets the execution units. */
static inline void cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

#endif
