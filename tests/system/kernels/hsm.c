/*
 * Harts that start, stop, suspend and come back while others do the same and fence each other.  The first hart alone
 * starts them: each start that the SBI grants is one entry, and none is lost.
 *
 * OpenSBI is not asked for fences: it sends them to a hart that is about to stop, which then sleeps without having
 * done its part, and all that asked wait for ever (1.1: sbi_tlb_sync() spins, the other is in sbi_hsm_hart_wait()).
 */
#include "kernel.h"

#define ROUNDS (1500ull * SCALE)
enum { STARTED, STOPPED, START_PENDING, STOP_PENDING, SUSPENDED, SUSPEND_PENDING, RESUME_PENDING };
enum { SUSPEND = 3 };
#define NON_RETENTIVE 0x80000000u
#define ALREADY_AVAILABLE (-6)
#define INVALID_PARAM (-3)
#define FIRST 1
#define RESUMED 2

static uint64_t starts[HARTS], entries[HARTS], suspends[HARTS], resumes[HARTS], random_of[HARTS];
static bool leaves[HARTS];     /* by a suspension that comes back through main() */

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(0);
    return 0;
}

static void work(uint64_t hart)
{
    if (over_opensbi()) {
        return;
    }
    for (unsigned i = next_random(&random_of[hart]) % 4; i; i--) {
        uint64_t mask = next_random(&random_of[hart]) & ((1ull << HARTS) - 1);
        check(sbi(SBI_RFENCE, SBI_SFENCE_VMA, mask, 0, 0x1000, 0x1000, 0).error == 0);
    }
}

static void other(uint64_t hart, uint64_t arg)
{
    extern char _start[];
    uint64_t *r = &random_of[hart];
    bool resumed = leaves[hart];
    check(arg == (resumed ? RESUMED : FIRST) || over_opensbi());
    leaves[hart] = false;
    if (resumed) {
        store(&resumes[hart], resumes[hart] + 1);
    } else {
        *r = *r ? *r : hart + 12345;
        store(&entries[hart], entries[hart] + 1);
    }
    csr_clear(sip, 2);
    csr_set(sie, 2);
    work(hart);
    if (!resumed && next_random(r) & 1) {
        store(&suspends[hart], suspends[hart] + 1);
        if (next_random(r) & 1) {
            check(sbi(SBI_HSM, SUSPEND, 0, 0, 0, 0, 0).error == 0);
            store(&resumes[hart], resumes[hart] + 1);
        } else {
            leaves[hart] = true;
            sbi(SBI_HSM, SUSPEND, NON_RETENTIVE, (uint64_t)_start, RESUMED, 0, 0);
            check(0);
        }
    }
    sbi(SBI_HSM, SBI_HSM_STOP, 0, 0, 0, 0, 0);
    check(0);
}

static void start_or_wake(uint64_t hart)
{
    extern char _start[];
    int64_t status = sbi(SBI_HSM, SBI_HSM_STATUS, hart, 0, 0, 0, 0).value;
    check(status >= STARTED && status <= RESUME_PENDING);
    SBIResult r = sbi(SBI_HSM, SBI_HSM_START, hart, (uint64_t)_start, FIRST, 0, 0);
    if (r.error == 0) {
        starts[hart]++;
    } else {
        /* OpenSBI says so of a hart between two states. */
        check((r.error == ALREADY_AVAILABLE || r.error == INVALID_PARAM) && status != STOPPED);
    }
    /* An IPI that comes before the suspension ends it as well; one for a stopped hart is for nobody. */
    sbi(SBI_IPI, 0, 1ull << hart, 0, 0, 0, 0);
}

void main(uint64_t hart, uint64_t arg)
{
    if (!comes_first()) {
        other(hart, arg);
    }
    uint64_t begin = csr_read(time);
    random_of[hart] = 88172645463325252ull;
    for (uint64_t i = 0; i < ROUNDS && csr_read(time) - begin < STORM_TICKS; i++) {
        uint64_t to = next_random(&random_of[hart]) % HARTS;
        if (to != hart) {
            start_or_wake(to);
        }
        if (i % 16 == 0) {
            work(hart);
        }
    }
    for (uint64_t i = 0; i < HARTS; i++) {
        uint64_t t = csr_read(time);
        while (i != hart && sbi(SBI_HSM, SBI_HSM_STATUS, i, 0, 0, 0, 0).value != STOPPED) {
            sbi(SBI_IPI, 0, 1ull << i, 0, 0, 0, 0);
            if (csr_read(time) - t > 30 * TICKS) {
                put("hart ");
                put_number(i);
                put(" stays in state ");
                put_number(sbi(SBI_HSM, SBI_HSM_STATUS, i, 0, 0, 0, 0).value);
                put("\n");
                check(0);
            }
        }
        check(load(&starts[i]) == load(&entries[i]));
        check(load(&suspends[i]) == load(&resumes[i]));
        check(i == hart || starts[i]);
    }
    put("hsm\n");
    finish(0);
}
