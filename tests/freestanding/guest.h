/* SPDX-License-Identifier: MIT
 *
 * What riscv64 test programs without a libc share (tests/insn, tests/random).  Included by the one
 * C file of such a program, whose assembler file includes guest.S; that file has the
 * functions without a body here.
 */
#ifndef FREESTANDING_GUEST_H
#define FREESTANDING_GUEST_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

/* Starts a second thread that only waits, so that the emulator translates atomics and fences
   for real.  Returns what clone() does. */
long start_idle_thread(void *stack_top);

/* The program begins here; argv[argc] is NULL. */
_Noreturn void harness_main(long argc, char **argv);

static long sys(long n, long a, long b, long c, long d, long e, long f)
{
    register long a7 __asm__("a7") = n;
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d;
    register long a4 __asm__("a4") = e;
    register long a5 __asm__("a5") = f;
    __asm__ __volatile__("ecall" : "+r"(a0)
                         : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5) : "memory");
    return a0;
}

static _Noreturn void quit(int status)
{
    for (;;) {
        sys(SYS_exit_group, status, 0, 0, 0, 0, 0);
    }
}

/* n: a multiple of 8. */
static void copy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n / 8; i++) {
        ((uint64_t *)to)[i] = ((const uint64_t *)from)[i];
    }
}

static uint64_t number(const char *s)
{
    uint64_t n = 0;
    while (*s) {
        n = n * 10 + (uint64_t)(*s++ - '0');
    }
    return n;
}

/* fn for each signal that an instruction can raise, on a stack of its own.  It lies where no test's
   sp comes to: with sp on the alternate stack a signal goes on from there, and at its end that is
   fatal. */
static void handle_faults(void (*fn)(int, siginfo_t *, void *))
{
    enum { STACK_SIZE = 65536 };
    const long stack = 0x3a5c6d0000;
    if (sys(SYS_mmap, stack, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
            -1, 0) != stack) {
        quit(2);
    }
    static const int signals[] = { SIGILL, SIGTRAP, SIGBUS, SIGSEGV, SIGFPE };
    struct { void *sp; int flags; size_t size; } ss = { (void *)stack, 0, STACK_SIZE };
    struct { void (*fn)(int, siginfo_t *, void *); unsigned long flags, mask; } sa = {
        fn, SA_SIGINFO | SA_ONSTACK, 0
    };
    sys(SYS_sigaltstack, (long)&ss, 0, 0, 0, 0, 0);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        sys(SYS_rt_sigaction, signals[i], (long)&sa, 0, 8, 0, 0);
    }
}

#endif
