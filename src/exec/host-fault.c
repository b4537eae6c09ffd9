/*
 * Host faults that are the guest's doing.
 *
 * A guest access that the host refuses arrives as SIGSEGV or SIGBUS at an instruction of
 * generated code.  The block's recovery table says what the guest's state is there; the
 * handler writes it to the CPU and makes the thread leave generated code as if by an exit.
 *
 * For an address that is not canonical the host raises a general protection or stack fault,
 * which says no address.  exec_find_fault_addr() then asks the guest which address its
 * instruction meant; it reads guest code, so it waits until the handler is left.
 *
 * Everything else here runs on the faulting thread, in its signal handler, and touches only that
 * thread's CPUState and published, immutable parts of blocks.
 */
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "exec/interp-run.h"
#include "exec/tb.h"
#include "util/error.h"

bool exec_copy_from_guest(CPUState *cpu, void *to, vaddr from, size_t n)
{
    if (sigsetjmp(cpu->copy_fault, 0)) {
        return false;
    }
    /* [COPY] the handler on this thread must see the flag before the access. */
    __atomic_store_n(&cpu->copy_active, true, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    memcpy(to, (const void *)(uintptr_t)(exec_ctx.config.guest_base + from), n);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);    /* [COPY] and the access before the flag goes. */
    __atomic_store_n(&cpu->copy_active, false, __ATOMIC_RELAXED);
    return true;
}

static void note_fault(CPUState *cpu, int sig, const siginfo_t *si, const ucontext_t *uc)
{
    cpu->fault_signal = sig;
    cpu->fault_signal_code = si->si_code;
    cpu->fault_addr = (uintptr_t)si->si_addr - exec_ctx.config.guest_base;
    cpu->fault_is_store = uc->uc_mcontext.gregs[REG_ERR] & 2;
    cpu->fault_addr_unknown = si->si_code == SI_KERNEL;
}

bool exec_find_fault_addr(CPUState *cpu)
{
    if (!cpu->fault_addr_unknown) {
        return true;
    }
    cpu->fault_addr_unknown = false;
    /* The instruction may be the last two bytes of what is mapped. */
    uint32_t insn = 0;
    unsigned size;
    vaddr pc = cpu->env.pc;
    if (!exec_copy_from_guest(cpu, &insn, pc, 2)) {
        return false;
    }
    exec_copy_from_guest(cpu, (uint8_t *)&insn + 2, pc + 2, 2);
    cpu->fault_signal = SIGSEGV;    /* also for a stack fault, which is SIGBUS */
    cpu->fault_signal_code = SEGV_MAPERR;
    if (!cpu->guest->access_address(cpu, insn, &cpu->fault_addr, &size, &cpu->fault_is_store)) {
        cpu->fault_addr = 0;        /* the code was changed meanwhile */
    }
    return true;
}

/* ---- system mode ---- */

/*
 * Generated code faults nowhere but at the end of its return stack; all else is a bug of ours,
 * memory that the host does not have, or was sent by somebody, and ends the program.
 */
static void on_system_fault(int sig, siginfo_t *si, void *ucontext)
{
    CPUState *cpu = cpu_current();
    ucontext_t *uc = ucontext;
    if (cpu && si->si_code > 0 && exec_is_generated_code(uc->uc_mcontext.gregs[REG_RIP]) &&
        host_fix_ras_overflow_sigsafe(&cpu->env, uc, (uintptr_t)si->si_addr)) {
        return;
    }
    error_die_of_signal_sigsafe(sig);
}

void system_faults_init(void)
{
    struct sigaction sa = { .sa_sigaction = on_system_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigaction(SIGSEGV, &sa, NULL);
}

#define FAULT_STACK_SIZE (64u << 10)

void system_faults_thread_init(CPUState *cpu)
{
    void *p = mmap(NULL, FAULT_STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t ss = { .ss_sp = p, .ss_size = FAULT_STACK_SIZE };
    if (p == MAP_FAILED || sigaltstack(&ss, NULL)) {
        fatal("out of memory for a signal stack");
    }
    cpu->fault_stack = p;
}

void system_faults_thread_end(CPUState *cpu)
{
    stack_t ss = { .ss_flags = SS_DISABLE };
    sigaltstack(&ss, NULL);
    munmap(cpu->fault_stack, FAULT_STACK_SIZE);
}

bool exec_handle_fault_sigsafe(CPUState *cpu, int sig, siginfo_t *si, void *ucontext)
{
    ucontext_t *uc = ucontext;
    if (!cpu || si->si_code <= 0) {     /* sent by a process */
        return false;
    }
    if (cpu->copy_active) {
        cpu->copy_active = false;
        sigprocmask(SIG_SETMASK, &uc->uc_sigmask, NULL);
        siglongjmp(cpu->copy_fault, 1);
    }
    HostExit fault = { .kind = HOST_EXIT_REASON, .exit = EXIT_REASON_MEMORY_FAULT };
    uintptr_t host_pc = uc->uc_mcontext.gregs[REG_RIP];
    if (exec_is_generated_code(host_pc)) {
        if (host_fix_ras_overflow_sigsafe(&cpu->env, uc, (uintptr_t)si->si_addr)) {
            return true;
        }
        const TranslationBlock *tb = tb_find_by_host_pc(host_pc);
        if (!tb || !host_recover(&cpu->env, tb->code, tb->recovery, tb->recovery_size, host_pc, uc)) {
            return false;
        }
        note_fault(cpu, sig, si, uc);
        host_leave_sigsafe(&cpu->env, uc, fault);
        return true;
    }
    if (interp_is_active(cpu)) {
        note_fault(cpu, sig, si, uc);
        sigprocmask(SIG_SETMASK, &uc->uc_sigmask, NULL);
        interp_leave_sigsafe(cpu, fault);
    }
    return false;
}
