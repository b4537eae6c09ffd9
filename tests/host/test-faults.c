/*
 * Precise state at faults: random units whose accesses meet a page that is not there or
 * must not be written.  Compiled code takes the signal, recovers and leaves; the
 * interpreter asks before each access.  Both must be left with the same registers, pc and
 * memory.
 *
 *   test-faults [FIRST-SEED [COUNT [VARIANT]]]
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "bad-page.h"

static void on_segv(int sig, siginfo_t *si, void *context)
{
    ucontext_t *uc = context;
    uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
    uintptr_t at = (uintptr_t)si->si_addr - (uintptr_t)bp.memory;
    if (at >= MEM_SIZE ||
        !host_recover(env, bp.code.code, bp.code.recovery, bp.code.recovery_size, pc, context)) {
        signal(SIGSEGV, SIG_DFL); /* a fault of our own: let it kill us */
        return;
    }
    bp.faults++;
    HostExit left = { .kind = HOST_EXIT_REASON, .exit = FAULT_REASON };
    host_leave_sigsafe(env, context, left);
}

static void install_handler(void)
{
    static uint8_t stack[65536];
    stack_t alt = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction sa = { .sa_sigaction = on_segv,
                            .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigaltstack(&alt, NULL);
    sigaction(SIGSEGV, &sa, NULL);
}

static void check_seed(uint64_t seed, const Variant *v)
{
    IRFunc f;
    bad_page_make_unit(&f, seed, v->config);
    if (harness_try_compile(&f, 0, &bp.code) == HOST_TOO_COMPLEX) {
        return;
    }
    bp.runs++;
    memcpy(bp.memory, bp.before, MEM_SIZE);
    mprotect(bp.memory + PAGE, PAGE, bp.prot);
    *env = bp.first;
    HostExit got = host_enter(env, bp.code.code);
    mprotect(bp.memory, MEM_SIZE, PROT_READ | PROT_WRITE);
    bad_page_compare(seed, v, &f, got);
}

int main(int argc, char **argv)
{
    bad_page_init(0);
    install_handler();
    bad_page_run_seeds(argc, argv, check_seed);
    printf("%u runs, %u faults\n", bp.runs, bp.faults);
    return bp.faults < bp.runs / 10;
}
