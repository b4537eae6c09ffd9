/*
 * -icount: vCPUs execute exact numbers of instructions.
 *
 * Each unit begins with COUNT, which takes as many instructions as the unit has from HostEnv.insns_left, or leaves if
 * there are fewer; what leaves a unit early gives back the rest.  So insns_left is exact whenever generated
 * code is left, and never below 0.  What remains when a unit is too long for it is run in units of one instruction.
 *
 * Inside a unit insns_left has been charged for all of it.  Where the guest's time matters, a unit is one
 * instruction long: the guest's translator sees to it for CSRs, and an access that turns out to be a device's is
 * not made but tried again so (EXIT_REASON_IO).  There, insns_left has been charged for this instruction as well.
 * The run loop is entered behind it, so that an interrupt the access brings is taken at once.
 *
 * All on the thread that runs all vCPUs in turn.
 */
#include "exec/icount.h"

void cpu_grant_insns(CPUState *cpu, int64_t n)
{
    cpu->insns_granted += (uint64_t)(n - cpu->env.insns_left);
    cpu->env.insns_left = n;
    cpu->insns_one_by_one = false;
}

bool icount_before_block(CPUState *cpu, uint32_t *cflags)
{
    if (cpu->env.insns_left <= 0) {
        return false;
    }
    if (cpu->io_allowed) {
        *cflags |= CF_SINGLE_INSN | CF_LOOKUP_EXITS | CF_NO_CHAIN;
    } else if (cpu->insns_one_by_one) {
        *cflags |= CF_SINGLE_INSN;
    }
    return true;
}

void icount_after_block(CPUState *cpu, HostExit how)
{
    bool again = how.kind == HOST_EXIT_REASON &&
                 (how.exit == EXIT_REASON_IO || how.exit == EXIT_REASON_EXCLUSIVE);
    cpu->io_allowed = cpu->io_allowed && again;
    if (how.kind == HOST_EXIT_POLL && cpu->env.insns_left < ICOUNT_LONGEST_UNIT) {
        cpu->insns_one_by_one = true;
    }
}

void icount_allow_io(CPUState *cpu)
{
    if (!cpu->io_allowed) {
        cpu->io_allowed = true;
        cpu_leave_from_helper(cpu, EXIT_REASON_IO);
    }
}

static void add_executed(CPUState *cpu, void *opaque)
{
    *(uint64_t *)opaque += cpu_insns_executed(cpu);
}

uint64_t icount_sum(void)
{
    uint64_t n = 0;
    cpu_foreach(add_executed, &n);
    return n;
}
