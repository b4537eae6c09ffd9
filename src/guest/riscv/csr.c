/* SPDX-License-Identifier: MIT
 *
 * The CSR table.  Read and write functions run on the vCPU's own thread in a helper call
 * and touch that vCPU only.
 *
 * Counters: `time` is the host's monotonic clock at RISCV_TIME_FREQUENCY, so it is the
 * same on all vCPUs.  `cycle` and `instret` are not there: Linux since 6.6 keeps them from
 * user mode (scounteren is 2) unless kernel.perf_user_access says otherwise, so reading
 * them is an illegal instruction.
 */
#include "guest/riscv/csr.h"

#include <time.h>

#include "guest/riscv/extensions.h"

uint32_t riscv_get_fcsr(const CPUState *cpu)
{
    return host_fp_get_flags(&cpu->env) | ((const RISCVCPU *)cpu)->frm << 5;
}

void riscv_set_frm(CPUState *cpu, uint32_t frm)
{
    static const IRRound host_round[4] = {IR_RM_RNE, IR_RM_RTZ, IR_RM_RDN, IR_RM_RUP};
    riscv_cpu(cpu)->frm = frm;
    /* What names a mode or is exact uses the host's even if frm is not one. */
    host_fp_set_rounding(&cpu->env, host_round[frm < 4 ? frm : 0]);
}

void riscv_set_fcsr(CPUState *cpu, uint32_t fcsr)
{
    host_fp_set_flags(&cpu->env, fcsr & 31);
    riscv_set_frm(cpu, fcsr >> 5 & 7);
}

static uint64_t read_fflags(CPUState *cpu) { return host_fp_get_flags(&cpu->env); }
static void write_fflags(CPUState *cpu, uint64_t v)
{
    host_fp_set_flags(&cpu->env, v & 31);
}
static uint64_t read_frm(CPUState *cpu) { return riscv_cpu(cpu)->frm; }
static void write_frm(CPUState *cpu, uint64_t v) { riscv_set_frm(cpu, v & 7); }
static uint64_t read_fcsr(CPUState *cpu) { return riscv_get_fcsr(cpu); }
static void write_fcsr(CPUState *cpu, uint64_t v) { riscv_set_fcsr(cpu, (uint32_t)v); }

static uint64_t read_time(CPUState *cpu)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * RISCV_TIME_FREQUENCY +
           (uint64_t)ts.tv_nsec / (1000000000u / RISCV_TIME_FREQUENCY);
}

/* Ascending by number. */
static const RISCVCSR table[] = {
    {CSR_FFLAGS, false, RISCV_EXT_F, read_fflags, write_fflags},
    {CSR_FRM, true, RISCV_EXT_F, read_frm, write_frm},
    {CSR_FCSR, true, RISCV_EXT_F, read_fcsr, write_fcsr},
    {CSR_TIME, false, RISCV_EXT_ZICNTR, read_time, NULL},
};

const RISCVCSR *riscv_csr_find(unsigned number)
{
    size_t low = 0, high = sizeof(table) / sizeof(table[0]);
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (table[mid].number == number) {
            return &table[mid];
        }
        if (table[mid].number < number) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return NULL;
}
