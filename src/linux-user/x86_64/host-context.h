/*
 * What signal.c needs of an interrupted host context on x86-64: the pc, and the moves that
 * safe-syscall.S describes.
 */
#ifndef LINUX_USER_HOST_CONTEXT_H
#define LINUX_USER_HOST_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

extern const char safe_syscall_start[], safe_syscall_insn[];
extern const char safe_syscall_not_started[], safe_syscall_restart[];
extern const char user_copy_start[], user_copy_end[];
extern const char user_cmpxchg32_start[], user_cmpxchg32_end[];

static inline uintptr_t host_context_pc(const ucontext_t *uc)
{
    return (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
}

static inline void host_context_set_pc(ucontext_t *uc, const char *pc)
{
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)pc;
}

/* A signal for the guest has been noted: no safe_syscall() may go on to sleep. */
static inline void host_context_rewind_syscall(ucontext_t *uc)
{
    uintptr_t pc = host_context_pc(uc);
    if (pc == (uintptr_t)safe_syscall_insn) {
        host_context_set_pc(uc, safe_syscall_restart);
    } else if (pc >= (uintptr_t)safe_syscall_start && pc < (uintptr_t)safe_syscall_insn) {
        host_context_set_pc(uc, safe_syscall_not_started);
    }
}

/* True if the fault was in a guarded copy, which now ends early. */
static inline bool host_context_fix_copy(ucontext_t *uc)
{
    uintptr_t pc = host_context_pc(uc);
    if (pc >= (uintptr_t)user_copy_start && pc < (uintptr_t)user_copy_end) {
        host_context_set_pc(uc, user_copy_end);
        return true;
    }
    if (pc >= (uintptr_t)user_cmpxchg32_start && pc < (uintptr_t)user_cmpxchg32_end) {
        host_context_set_pc(uc, user_cmpxchg32_end);
        return true;
    }
    return false;
}

#endif
