/*
 * The Linux ABI of riscv64: registers of a system call, threads, riscv's own system calls,
 * /proc/cpuinfo.  Constant tables, and functions on the calling thread's CPU.
 */
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <string.h>

#include "guest/riscv/cpu.h"
#include "linux-user/riscv/riscv-abi.h"
#include "linux-user/thread.h"
#include "linux-user/user-mem.h"

#define NR_RISCV_HWPROBE 258
#define NR_RISCV_FLUSH_ICACHE 259
#define FLUSH_ICACHE_LOCAL 1
#define HWPROBE_WHICH_CPUS 1
#define HWPROBE_MAX_PAIRS 4096

static void get_syscall(const CPUState *cpu, uint64_t *nr, uint64_t args[6])
{
    *nr = cpu->env.reg[RISCV_A7];
    memcpy(args, &cpu->env.reg[RISCV_A0], 6 * sizeof(uint64_t));
}

static void finish_syscall(CPUState *cpu, int64_t result)
{
    cpu->env.reg[RISCV_A0] = (uint64_t)result;
    cpu->env.pc += 4;
}

static void start(CPUState *cpu, uint64_t entry, uint64_t sp)
{
    cpu->env.pc = entry;
    cpu->env.reg[RISCV_SP] = sp;
}

static void init_child(CPUState *cpu, uint64_t sp, bool set_tls, uint64_t tls)
{
    if (sp) {
        cpu->env.reg[RISCV_SP] = sp;
    }
    if (set_tls) {
        cpu->env.reg[RISCV_TP] = tls;
    }
    finish_syscall(cpu, 0);
}

/* struct user_regs_struct: pc, x1 ... x31. */
static void core_gregs(const CPUState *cpu, void *out)
{
    uint64_t regs[32];
    memcpy(regs, cpu->env.reg, sizeof(regs));
    regs[0] = cpu->env.pc;
    memcpy(out, regs, sizeof(regs));
}

/* struct __riscv_d_ext_state: f0 ... f31, fcsr. */
static void core_fpregs(const CPUState *cpu, void *out)
{
    uint64_t regs[33];
    memcpy(regs, &cpu->env.reg[RISCV_F], 32 * sizeof(uint64_t));
    regs[32] = riscv_get_fcsr(cpu);
    memcpy(out, regs, sizeof(regs));
}

static void set_gregs(CPUState *cpu, const void *in)
{
    uint64_t regs[32];
    memcpy(regs, in, sizeof(regs));
    cpu->env.pc = regs[0] & ~1ull;
    memcpy(&cpu->env.reg[1], &regs[1], 31 * sizeof(uint64_t));
    cpu->llsc_addr = ~0ull;
}

static void set_fpregs(CPUState *cpu, const void *in)
{
    uint64_t regs[33];
    memcpy(regs, in, sizeof(regs));
    memcpy(&cpu->env.reg[RISCV_F], regs, 32 * sizeof(uint64_t));
    riscv_set_fcsr(cpu, (uint32_t)regs[32]);
}

/* ---- riscv's own system calls ---- */

typedef struct HwprobePair {
    int64_t key;
    uint64_t value;
} HwprobePair;

/* All CPUs are alike, so the set of CPUs asked about only has to be readable. */
static int64_t hwprobe(const uint64_t a[6])
{
    uint64_t addr = a[0], n = a[1], cpusetsize = a[2], cpus = a[3];
    uint8_t byte;
    if (a[4] & ~(uint64_t)HWPROBE_WHICH_CPUS || n > HWPROBE_MAX_PAIRS) {
        return -EINVAL;
    }
    if (a[4] & HWPROBE_WHICH_CPUS) {
        return -EINVAL;     /* as kernels before 6.9 */
    }
    if (!cpusetsize != !cpus) {
        return -EINVAL;
    }
    if (cpus && !user_read(&byte, cpus, 1)) {
        return -EFAULT;
    }
    for (uint64_t i = 0; i < n; i++) {
        HwprobePair pair;
        if (!user_read(&pair, addr + i * sizeof(pair), sizeof(pair))) {
            return -EFAULT;
        }
        if (!riscv_hwprobe(pair.key, &pair.value)) {
            pair.key = -1;
            pair.value = 0;
        }
        if (!user_write(addr + i * sizeof(pair), &pair, sizeof(pair))) {
            return -EFAULT;
        }
    }
    return 0;
}

static int64_t flush_icache(CPUState *cpu, const uint64_t a[6])
{
    if (a[2] & ~(uint64_t)FLUSH_ICACHE_LOCAL) {
        return -EINVAL;
    }
    /* 0, 0 would mean everything; an empty range is nothing. */
    if (a[0] < a[1]) {
        tb_flush_icache(cpu, a[0], a[1]);
    }
    return 0;
}

static int64_t arch_syscall(GuestThread *t, uint64_t nr, const uint64_t a[6])
{
    switch (nr) {
    case NR_RISCV_HWPROBE:
        return hwprobe(a);
    case NR_RISCV_FLUSH_ICACHE:
        return flush_icache(t->cpu, a);
    default:
        return -ENOSYS;
    }
}

static const char *arch_syscall_name(uint64_t nr)
{
    return nr == NR_RISCV_HWPROBE        ? "riscv_hwprobe"
           : nr == NR_RISCV_FLUSH_ICACHE ? "riscv_flush_icache"
                                         : NULL;
}

static void write_cpuinfo(FILE *out, unsigned ncpus)
{
    char isa[512];
    riscv_isa_string(isa, sizeof(isa));
    for (unsigned i = 0; i < ncpus; i++) {
        fprintf(out, "processor\t: %u\nhart\t\t: %u\nisa\t\t: %s\nmmu\t\t: sv48\n\n", i, i, isa);
    }
}

const LinuxAbi linux_abi_riscv64 = {
    .machine = "riscv64",
    .platform = NULL,
    .elf_machine = EM_RISCV,
    .sp_reg = RISCV_SP,
    .minsigstksz = 2048,
    .audit_arch = AUDIT_ARCH_RISCV64,
    .syscall_insn_size = 4,
    .elf_flags = 0x5,       /* EF_RISCV_RVC, EF_RISCV_FLOAT_ABI_DOUBLE */
    .vdso = &riscv_vdso,
    .hwcap = riscv_hwcap,
    .get_syscall = get_syscall,
    .finish_syscall = finish_syscall,
    .start = start,
    .init_child = init_child,
    .setup_frame = riscv_setup_frame,
    .sigreturn = riscv_sigreturn,
    .core_gregs_size = 32 * sizeof(uint64_t),
    .core_fpregs_size = 33 * sizeof(uint64_t),
    .core_gregs = core_gregs,
    .core_fpregs = core_fpregs,
    .set_gregs = set_gregs,
    .set_fpregs = set_fpregs,
    .arch_syscall = arch_syscall,
    .arch_syscall_name = arch_syscall_name,
    .write_cpuinfo = write_cpuinfo,
};
