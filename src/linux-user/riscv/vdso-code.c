/*
 * The code of riscv64's vDSO, with the names that Linux gives its functions (arch/riscv's vdso.lds:
 * all of version LINUX_4.15).  Constant data.
 */
#include "guest/riscv/cpu.h"
#include "linux-user/riscv/riscv-abi.h"

#define LI_A7(nr) ((uint32_t)(nr) << 20 | 0x893)
#define ECALL 0x00000073u
#define RET 0x00008067u

/* A system call for which vdso_call() may do: t0 = 0 if it has. */
#define TIME_CALL(nr)                                                                    \
    LI_A7(nr), RISCV_VDSO_INSN,                                                          \
    0x00029663,     /* bnez t0, .+12 */                                                  \
    0x00000513,     /* li a0, 0 */                                                       \
    RET, ECALL, RET
#define PLAIN_CALL(nr) LI_A7(nr), ECALL, RET

static const uint32_t words[] = {
    TIME_CALL(113),         /* clock_gettime */
    TIME_CALL(169),         /* gettimeofday */
    PLAIN_CALL(114),        /* clock_getres */
    PLAIN_CALL(168),        /* getcpu */
    PLAIN_CALL(259),        /* riscv_flush_icache */
    PLAIN_CALL(258),        /* riscv_hwprobe */
    0x00000013,             /* nop: an unwinder looks at the byte before a return address */
    LI_A7(139), ECALL,      /* rt_sigreturn */
};

static const VdsoFunction functions[] = {
    { "__vdso_clock_gettime", 0, 28 },   { "__vdso_gettimeofday", 28, 28 },
    { "__vdso_clock_getres", 56, 12 },   { "__vdso_getcpu", 68, 12 },
    { "__vdso_flush_icache", 80, 12 },   { "__vdso_riscv_hwprobe", 92, 12 },
    { "__vdso_rt_sigreturn", 108, 8 },
};
_Static_assert(sizeof(words) == 116, "the offsets of the functions");

const VdsoCode riscv_vdso = {
    .version = "LINUX_4.15",
    .words = words,
    .size = sizeof(words),
    .sigreturn = 108,
    .unwind_size = 104,
    .dwarf_sp = RISCV_SP,
    .dwarf_ra = RISCV_RA,
    .functions = functions,
    .n_functions = sizeof(functions) / sizeof(functions[0]),
};
