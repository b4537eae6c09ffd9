/*
 * Zawrs.  A token goes round among the harts, each of which waits for it with LR and WRS.NTO, as Linux's
 * smp_cond_load_*(); a wait that nobody ends is ended by an interrupt, taken or only pending; WRS.STO ends by itself.
 */
#include "kernel.h"

#define ROUNDS (500ull * SCALE)
enum { MIE = 8, MSIE = 8, MTIE = 128 };

static uint32_t token, words[HARTS];
static volatile unsigned fired[HARTS];

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    uint64_t hart = csr_read(mhartid);
    check(cause == (INTERRUPT | 7));
    fired[hart]++;
    MTIMECMP[hart] = ~0ull;
    return 0;
}

static uint32_t load_reserved(uint32_t *p)
{
    uint32_t v;
    asm volatile("lr.w.aq %0, (%1)" : "=r"(v) : "r"(p) : "memory");
    return v;
}

static void wrs_nto(void) { asm volatile(".4byte 0x00d00073" ::: "memory"); }
static void wrs_sto(void) { asm volatile(".4byte 0x01d00073" ::: "memory"); }

/* True: the token has come; false: the time is over. */
static bool wait_for_token(uint32_t value, uint64_t end)
{
    while (load_reserved(&token) < value) {
        wrs_nto();
        if (csr_read(time) >= end) {
            return false;
        }
    }
    return true;
}

/* A word that nobody stores to. */
static void wait_alone(uint64_t hart)
{
    MTIMECMP[hart] = csr_read(time) + TICKS / 100;
    csr_write(mie, MTIE);
    while (!(csr_read(mip) & MTIE)) {       /* pending, and not enabled */
        load_reserved(&words[hart]);
        wrs_nto();
    }
    check(fired[hart] == 0);
    MTIMECMP[hart] = csr_read(time) + TICKS / 100;
    csr_set(mstatus, MIE);
    while (!fired[hart]) {
        load_reserved(&words[hart]);
        wrs_nto();
    }
    csr_clear(mstatus, MIE);
    csr_write(mie, 0);
    load_reserved(&words[hart]);
    wrs_sto();
}

void main(uint64_t hart, uint64_t arg)
{
    uint64_t end = csr_read(time) + STORM_TICKS;
    wait_alone(hart);
    for (uint32_t i = 0; i < ROUNDS && wait_for_token(i * HARTS + (uint32_t)hart, end); i++) {
        store(&token, i * HARTS + (uint32_t)hart + 1);
    }
    if (hart) {
        __atomic_fetch_add(&words[0], 1, __ATOMIC_ACQ_REL);
        return;
    }
    while (load_reserved(&words[0]) != HARTS - 1) {
        wrs_nto();
    }
    check(token > 0);
    put("wrs\n");
    finish(0);
}
