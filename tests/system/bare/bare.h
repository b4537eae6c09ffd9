/*
 * Bare-metal tests: what they share.  A test is a main() that runs on hart 0 in M-mode, checks with
 * CHECK(), and returns 0.  Expected values are the manual's; what it leaves open is not checked.
 */
#ifndef TESTS_SYSTEM_BARE_H
#define TESTS_SYSTEM_BARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t u64;
typedef uint32_t u32;

enum { MODE_U, MODE_S, MODE_M = 3 };

/* What was found when fn() trapped: laid out as start.S has it. */
typedef struct Area {
    u64 saved[16];
    u64 a0, cause, epc, tval, status, a1;
} Area;

const Area *run_in(u64 mode, const void *fn, u64 a0, u64 a1);
_Noreturn void finish(int code);
extern char m_trap[], s_vector[], s_vector_numbered[], _end[];

/* The other harts begin with this when a software interrupt reaches them. */
extern void (*hart_main)(u64 hart);

#define INTERRUPT (UINT64_C(1) << 63)

#define csr_read(name)                                                                   \
    ({                                                                                   \
        u64 v_;                                                                          \
        asm volatile("csrr %0, " #name : "=r"(v_)::"memory");                            \
        v_;                                                                              \
    })
#define csr_write(name, value) asm volatile("csrw " #name ", %0" ::"r"((u64)(value)) : "memory")
#define csr_set(name, value) asm volatile("csrs " #name ", %0" ::"r"((u64)(value)) : "memory")
#define csr_clear(name, value) asm volatile("csrc " #name ", %0" ::"r"((u64)(value)) : "memory")

/* ---- the board ---- */
#define CLINT UINT64_C(0x2000000)
static inline volatile u32 *msip(u64 hart) { return (volatile u32 *)(CLINT + 4 * hart); }
static inline volatile u64 *mtimecmp(u64 hart) { return (volatile u64 *)(CLINT + 0x4000 + 8 * hart); }
static inline u64 mtime(void) { return *(volatile u64 *)(CLINT + 0xbff8); }

static inline void print_char(char c) { *(volatile unsigned char *)0x10000000 = (unsigned char)c; }
static inline void print(const char *s)
{
    while (*s) {
        print_char(*s++);
    }
}
static inline void print_hex(u64 v)
{
    print("0x");
    for (int i = 60; i >= 0; i -= 4) {
        print_char("0123456789abcdef"[v >> i & 15]);
    }
}

static inline void check_failed(int line, const char *what, u64 got, u64 want)
{
    print("line ");
    char digits[8];
    int n = 0;
    for (int v = line; v; v /= 10) {
        digits[n++] = (char)('0' + v % 10);
    }
    while (n) {
        print_char(digits[--n]);
    }
    print(": ");
    print(what);
    print(" is ");
    print_hex(got);
    print(", not ");
    print_hex(want);
    print("\n");
    finish(line & 0x7f ? line & 0x7f : 1);
}

#define CHECK(expr, want)                                                                \
    do {                                                                                 \
        u64 got_ = (u64)(expr), want_ = (u64)(want);                                     \
        if (got_ != want_) {                                                             \
            check_failed(__LINE__, #expr, got_, want_);                                  \
        }                                                                                \
    } while (0)

/* A function of a few instructions, at `name`; name_at is the address of the label "1:". */
#define CODE(name, text)                                                                 \
    extern const char name[], name##_at[];                                               \
    asm(".text\n.balign 4\n" #name ":\n" text "\n" #name "_at = 1b\n")

/* All of memory open to S and U. */
static inline void open_memory(void)
{
    csr_write(pmpaddr0, ~UINT64_C(0));
    csr_write(pmpcfg0, 0x1f);
}

#endif
