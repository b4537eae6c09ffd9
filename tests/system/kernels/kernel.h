/*
 * The runtime of the bare-metal test kernels: entry, serial output, traps, the finisher.  They run in M-mode
 * with -bios none, or (SBI defined) in S-mode over an SBI, on braid and on QEMU alike.
 *
 * A kernel defines main(hart), which every hart enters (with SBI: only those that were started), and
 * on_trap().  A failed check() says its line and ends the machine with exit code 1.
 *
 * HARTS is the number of harts that the machine has; SCALE is 1, or more for runs that may last.  ONE_THREAD: the
 * emulator runs all harts in turn.
 */
#include <stdbool.h>
#include <stdint.h>

#define HARTS_MAX 16
#define STACK 8192

#define UART ((volatile uint8_t *)0x10000000)
#define TEST ((volatile uint32_t *)0x100000)
#define MSIP ((volatile uint32_t *)0x2000000)
#define MTIMECMP ((volatile uint64_t *)0x2004000)
#define MTIME (*(volatile uint64_t *)0x200bff8)

#define csr_read(name) ({ uint64_t v; asm volatile("csrr %0, " #name : "=r"(v) :: "memory"); v; })
#define csr_write(name, v) asm volatile("csrw " #name ", %0" :: "r"((uint64_t)(v)) : "memory")
#define csr_set(name, v) asm volatile("csrs " #name ", %0" :: "r"((uint64_t)(v)) : "memory")
#define csr_clear(name, v) asm volatile("csrc " #name ", %0" :: "r"((uint64_t)(v)) : "memory")
#define wfi() asm volatile("wfi" ::: "memory")
#define pause() asm volatile(".4byte 0x0100000f" ::: "memory")
#define fence_i() asm volatile("fence.i" ::: "memory")
#define load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define TICKS 10000000ull       /* a second, in the time CSR */
/* A storm is over after this time, if it has not done all its rounds; long runs are for a number of rounds. */
#define STORM_TICKS (SCALE > 1 ? ~0ull >> 1 : 8 * TICKS)

static inline void finish(unsigned code)
{
    *TEST = code ? code << 16 | 0x3333 : 0x5555;
    for (;;) {
        wfi();
    }
}

static inline void put(const char *s)
{
    for (; *s; s++) {
        while (!(UART[5] & 0x20)) {
        }
        UART[0] = (uint8_t)*s;
    }
}

static inline void put_number(uint64_t n)
{
    char buf[24], *s = buf + sizeof(buf);
    *--s = 0;
    do {
        *--s = (char)('0' + n % 10);
    } while (n /= 10);
    put(s);
}

#define check(cond)                                                                          \
    do {                                                                                     \
        if (!(cond)) {                                                                       \
            put("FAILED line ");                                                             \
            put_number(__LINE__);                                                            \
            put(": " #cond "\n");                                                            \
            finish(1);                                                                       \
        }                                                                                    \
    } while (0)

void main(uint64_t hart, uint64_t arg);
/* cause and tval as in mcause and mtval; returns how far the pc shall advance. */
uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval);

uint8_t stacks[HARTS_MAX][STACK] __attribute__((aligned(16)));

#ifdef SBI
#define X(m, s) #s
#else
#define X(m, s) #m
#endif

asm(".section .text.entry, \"ax\"\n"
    ".globl _start\n"
    "_start:\n"
    "  .option push\n  .option norelax\n  lla gp, __global_pointer$\n  .option pop\n"
    "  lla sp, stacks\n"
    "  li t0, 8192\n"
    "  addi t1, a0, 1\n"
    "  mul t0, t0, t1\n"
    "  add sp, sp, t0\n"
    "  lla t0, trap_entry\n"
    "  csrw " X(mtvec, stvec) ", t0\n"
    "  call main\n"
    "1: wfi\n"
    "  j 1b\n"
    ".align 2\n"
    "trap_entry:\n"
    "  addi sp, sp, -128\n"
    "  sd ra, 0(sp)\n  sd t0, 8(sp)\n  sd t1, 16(sp)\n  sd t2, 24(sp)\n"
    "  sd a0, 32(sp)\n  sd a1, 40(sp)\n  sd a2, 48(sp)\n  sd a3, 56(sp)\n"
    "  sd a4, 64(sp)\n  sd a5, 72(sp)\n  sd a6, 80(sp)\n  sd a7, 88(sp)\n"
    "  sd t3, 96(sp)\n  sd t4, 104(sp)\n  sd t5, 112(sp)\n  sd t6, 120(sp)\n"
    "  csrr a0, " X(mcause, scause) "\n  csrr a1, " X(mepc, sepc) "\n  csrr a2, " X(mtval, stval) "\n"
    "  call on_trap\n"
    "  csrr t0, " X(mepc, sepc) "\n  add t0, t0, a0\n  csrw " X(mepc, sepc) ", t0\n"
    "  ld ra, 0(sp)\n  ld t0, 8(sp)\n  ld t1, 16(sp)\n  ld t2, 24(sp)\n"
    "  ld a0, 32(sp)\n  ld a1, 40(sp)\n  ld a2, 48(sp)\n  ld a3, 56(sp)\n"
    "  ld a4, 64(sp)\n  ld a5, 72(sp)\n  ld a6, 80(sp)\n  ld a7, 88(sp)\n"
    "  ld t3, 96(sp)\n  ld t4, 104(sp)\n  ld t5, 112(sp)\n  ld t6, 120(sp)\n"
    "  addi sp, sp, 128\n"
    "  " X(mret, sret) "\n"
    ".text\n");

#define INTERRUPT (1ull << 63)

/* A generator of numbers for each hart. */
static inline uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/*
 * Sleep until an interrupt is pending, and take it.  Interrupts are disabled (in mstatus or sstatus) before and
 * after, so that none can slip in between the caller's look at what it waits for and the WFI.
 */
static inline void wait_for_interrupt(void)
{
    wfi();
    asm volatile("csrsi " X(mstatus, sstatus) ", " X(8, 2) "\n"
                 "csrci " X(mstatus, sstatus) ", " X(8, 2) ::: "memory");
}

#ifdef SBI
enum { SBI_BASE = 0x10, SBI_TIME = 0x54494d45, SBI_IPI = 0x735049, SBI_RFENCE = 0x52464e43, SBI_HSM = 0x48534d,
       SBI_SRST = 0x53525354 };
enum { SBI_HSM_START, SBI_HSM_STOP, SBI_HSM_STATUS };
enum { SBI_FENCE_I, SBI_SFENCE_VMA, SBI_SFENCE_VMA_ASID };

typedef struct SBIResult {
    int64_t error, value;
} SBIResult;

static inline SBIResult sbi(uint64_t ext, uint64_t fn, uint64_t x0, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4)
{
    register uint64_t a0 asm("a0") = x0, a1 asm("a1") = x1, a2 asm("a2") = x2, a3 asm("a3") = x3;
    register uint64_t a4 asm("a4") = x4, a6 asm("a6") = fn, a7 asm("a7") = ext;
    asm volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(a4), "r"(a6), "r"(a7) : "memory");
    return (SBIResult){ (int64_t)a0, (int64_t)a1 };
}

/*
 * OpenSBI 1.1 marks a hart as to be started before it has stored the new argument: one that happens to look in between
 * comes with the argument of its last entry, or the boot hart's.  So the argument cannot tell who comes.
 */
static inline bool over_opensbi(void)
{
    enum { IMPLEMENTATION = 1, OPENSBI = 1 };
    return sbi(SBI_BASE, IMPLEMENTATION, 0, 0, 0, 0, 0).value == OPENSBI;
}

/* True for the first hart that asks, once. */
static inline bool comes_first(void)
{
    static uint64_t asked;
    return !__atomic_exchange_n(&asked, 1, __ATOMIC_RELAXED);
}

/* All others enter main() with this argument. */
static inline void start_others(uint64_t self, uint64_t arg)
{
    extern char _start[];
    for (uint64_t i = 0; i < HARTS; i++) {
        check(i == self || sbi(SBI_HSM, SBI_HSM_START, i, (uint64_t)_start, arg, 0, 0).error == 0);
    }
}
#endif
