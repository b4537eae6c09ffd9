/*
 * Signal frames of riscv64: written when a handler is entered, read by rt_sigreturn.  On the
 * guest thread, outside cpu_exec().  What the guest puts into a frame is believed as far as the
 * kernel would believe it.
 */
#include <string.h>

#include "guest/riscv/cpu.h"
#include "linux-user/riscv/riscv-abi.h"
#include "linux-user/user-signal.h"
#include "linux-user/user-mem.h"

bool riscv_setup_frame(GuestThread *t, int sig, const siginfo_t *info,
                       const GuestSigaction *action, uint64_t mask, uint64_t restorer)
{
    CPUState *cpu = t->cpu;
    uint64_t *x = cpu->env.reg;
    uint64_t sp = x[RISCV_SP];
    uint64_t at = signal_frame_address(t, action, sp, sizeof(RiscvSigframe));
    if (!at) {
        return false;
    }
    RiscvSigframe frame;
    memset(&frame, 0, sizeof(frame));
    frame.info = *info;
    frame.uc.stack = signal_get_altstack(t, sp);
    frame.uc.sigmask = mask;
    frame.uc.mcontext.regs[0] = cpu->env.pc;
    memcpy(&frame.uc.mcontext.regs[1], &x[1], 31 * sizeof(uint64_t));
    memcpy(frame.uc.mcontext.fp.f, &x[RISCV_F], sizeof(frame.uc.mcontext.fp.f));
    frame.uc.mcontext.fp.fcsr = riscv_get_fcsr(cpu);
    if (!user_write(at, &frame, sizeof(frame))) {
        return false;
    }
    signal_autodisarm(t);
    cpu->env.pc = action->handler & ~1ull;
    x[RISCV_RA] = restorer;
    x[RISCV_SP] = at;
    x[RISCV_A0] = (uint64_t)sig;
    x[RISCV_A0 + 1] = at + offsetof(RiscvSigframe, info);
    x[RISCV_A0 + 2] = at + offsetof(RiscvSigframe, uc);
    cpu->llsc_addr = ~0ull;
    return true;
}

bool riscv_sigreturn(GuestThread *t, uint64_t *mask)
{
    CPUState *cpu = t->cpu;
    uint64_t *x = cpu->env.reg;
    RiscvSigframe frame;
    if (!user_read(&frame, x[RISCV_SP], sizeof(frame))) {
        return false;
    }
    const RiscvSigcontext *mc = &frame.uc.mcontext;
    if (mc->fp.reserved || mc->fp.ext_magic || mc->fp.ext_size) {
        return false;
    }
    cpu->env.pc = mc->regs[0] & ~1ull;      /* the kernel returns through sepc, which has no bit 0 */
    memcpy(&x[1], &mc->regs[1], 31 * sizeof(uint64_t));
    memcpy(&x[RISCV_F], mc->fp.f, sizeof(mc->fp.f));
    riscv_set_fcsr(cpu, mc->fp.fcsr);
    signal_set_altstack(t, &frame.uc.stack, x[RISCV_SP]);
    cpu->llsc_addr = ~0ull;
    *mask = frame.uc.sigmask;
    return true;
}
