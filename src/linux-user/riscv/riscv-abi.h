/*
 * riscv64's signal frame as Linux lays it out, and the functions that write and read it.
 * tests/linux-user/ checks the offsets against the kernel's headers.
 */
#ifndef LINUX_USER_RISCV_ABI_H
#define LINUX_USER_RISCV_ABI_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "linux-user/abi.h"
#include "linux-user/thread.h"

/* union __riscv_fp_state: room for Q, of which D uses the first half. */
typedef struct RiscvFpState {
    uint64_t f[32];
    uint32_t fcsr;
    uint8_t unused[516 - 260];
    uint32_t reserved;      /* must be zero */
    uint32_t ext_magic;     /* header of the first extension: none */
    uint32_t ext_size;
} __attribute__((aligned(16))) RiscvFpState;

typedef struct RiscvSigcontext {
    uint64_t regs[32];      /* pc, x1 ... x31 */
    RiscvFpState fp;
} RiscvSigcontext;

typedef struct RiscvUcontext {
    uint64_t flags, link;
    GuestStack stack;
    uint64_t sigmask;
    uint8_t unused[1024 / 8 - sizeof(uint64_t)];
    RiscvSigcontext mcontext;
} RiscvUcontext;

typedef struct RiscvSigframe {
    siginfo_t info;
    RiscvUcontext uc;
} RiscvSigframe;

_Static_assert(sizeof(siginfo_t) == 128, "the same on all 64-bit Linux");
_Static_assert(sizeof(RiscvFpState) == 528, "struct __riscv_q_ext_state");
_Static_assert(offsetof(RiscvFpState, reserved) == 516, "reserved[0]");
_Static_assert(offsetof(RiscvUcontext, mcontext) == 176, "uc_mcontext");
_Static_assert(sizeof(RiscvUcontext) == 960, "struct ucontext");
_Static_assert(sizeof(RiscvSigframe) == 1088, "struct rt_sigframe");

extern const VdsoCode riscv_vdso;

bool riscv_setup_frame(GuestThread *t, int sig, const siginfo_t *info,
                       const GuestSigaction *action, uint64_t mask, uint64_t restorer);
bool riscv_sigreturn(GuestThread *t, uint64_t *mask);

#endif
