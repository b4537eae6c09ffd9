/*
 * What linux-user must know of a guest architecture's Linux ABI.  One LinuxAbi per guest,
 * in linux-user/<guest>/; the rest of linux-user is for any 64-bit little-endian guest with the
 * kernel's asm-generic system call numbers and structures.
 */
#ifndef LINUX_USER_ABI_H
#define LINUX_USER_ABI_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "exec/exec.h"
#include "linux-user/vdso.h"

typedef struct GuestThread GuestThread;
typedef struct GuestSigaction GuestSigaction;

typedef struct LinuxAbi {
    const char *machine;        /* uname -m */
    const char *platform;       /* AT_PLATFORM, or NULL */
    uint16_t elf_machine;
    unsigned sp_reg;            /* number of the stack pointer among the registers */
    unsigned minsigstksz;
    uint32_t audit_arch;        /* AUDIT_ARCH_, for seccomp */
    unsigned syscall_insn_size;
    uint32_t elf_flags;         /* e_flags of what braid makes itself */
    const VdsoCode *vdso;

    uint64_t (*hwcap)(void);
    void (*get_syscall)(const CPUState *cpu, uint64_t *nr, uint64_t args[6]);
    /* Leave the system call instruction with this result. */
    void (*finish_syscall)(CPUState *cpu, int64_t result);
    /* The first argument again, for a call that has been restarted from a signal handler. */
    void (*start)(CPUState *cpu, uint64_t entry, uint64_t sp);
    /* A new thread: returns 0 from clone() on stack `sp` (0: the parent's), thread pointer if set_tls. */
    void (*init_child)(CPUState *cpu, uint64_t sp, bool set_tls, uint64_t tls);
    /*
     * Build a signal frame and enter the handler.  `restorer` is the trampoline.
     * False if the frame cannot be written.
     */
    bool (*setup_frame)(GuestThread *t, int sig, const siginfo_t *info,
                        const GuestSigaction *action, uint64_t mask, uint64_t restorer);
    /* rt_sigreturn: restore registers; *mask is the mask to restore. False: bad frame. */
    bool (*sigreturn)(GuestThread *t, uint64_t *mask);
    /* Registers as core files have them (elf_gregset_t, elf_fpregset_t), of these sizes in bytes. */
    unsigned core_gregs_size, core_fpregs_size;
    void (*core_gregs)(const CPUState *cpu, void *out);
    void (*core_fpregs)(const CPUState *cpu, void *out);
    void (*set_gregs)(CPUState *cpu, const void *in);
    void (*set_fpregs)(CPUState *cpu, const void *in);
    /* System calls 244..259; -ENOSYS if there is no such call. */
    int64_t (*arch_syscall)(GuestThread *t, uint64_t nr, const uint64_t args[6]);
    const char *(*arch_syscall_name)(uint64_t nr);
    /* Writes what /proc/cpuinfo says of ncpus CPUs. */
    void (*write_cpuinfo)(FILE *out, unsigned ncpus);
} LinuxAbi;

extern const LinuxAbi linux_abi_riscv64;

#endif
