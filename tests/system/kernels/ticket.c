/*
 * Ticket locks whose waiters execute WRS.NTO, as Linux's: two words, each with its own lock, which harts take in the
 * order of their tickets.  A hart also waits for a word that nobody changes until it is woken.
 */
#include "kernel.h"

#define ROUNDS (300ull * SCALE)

static struct Lock {
    uint32_t tickets;           /* next << 16 | owner */
    uint64_t counter;           /* under the lock, a plain one */
    uint64_t order;             /* of the ticket that had it last */
} locks[2] __attribute__((aligned(64)));
static uint32_t arrived, finished, word;

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(cause == (INTERRUPT | 3));
    MSIP[csr_read(mhartid)] = 0;
    return 0;
}

/* Until *p is not `seen`, or for a while. */
static void wait_for_store(uint32_t *p, uint32_t seen)
{
    asm volatile("lr.w t0, (%0)\n"
                 "bne t0, %1, 1f\n"
                 ".4byte 0x00d00073\n"          /* wrs.nto */
                 "1:" :: "r"(p), "r"((int64_t)(int32_t)seen) : "t0", "memory");
}

static void take(struct Lock *l)
{
    uint32_t mine = __atomic_fetch_add(&l->tickets, 1 << 16, __ATOMIC_ACQUIRE) >> 16, now;
    while (((now = load(&l->tickets)) & 0xffff) != mine) {
        wait_for_store(&l->tickets, now);
    }
    check(l->order++ % 0x10000 == mine);
}

static void give(struct Lock *l)
{
    uint16_t *owner = (uint16_t *)&l->tickets;
    __atomic_store_n(owner, (uint16_t)(*owner + 1), __ATOMIC_RELEASE);
}

void main(uint64_t hart, uint64_t arg)
{
    csr_set(mie, 8);
    csr_set(mstatus, 8);
    __atomic_fetch_add(&arrived, 1, __ATOMIC_ACQ_REL);
    while (load(&arrived) < HARTS) {
        pause();
    }
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct Lock *l = &locks[(i + hart / 4) & 1];
        take(l);
        uint64_t n = l->counter;
        for (unsigned k = 0; k < 20; k++) {
            asm volatile("" ::: "memory");
        }
        l->counter = n + 1;
        give(l);
        MSIP[(hart + i) % HARTS] = 1;
    }
    __atomic_fetch_add(&finished, 1, __ATOMIC_ACQ_REL);
    if (hart) {
        for (;;) {
            wfi();
        }
    }
    while (load(&finished) < HARTS) {
        pause();
    }
    check(locks[0].counter + locks[1].counter == HARTS * ROUNDS);
    for (uint64_t end = csr_read(time) + TICKS / 10; csr_read(time) < end;) {
        wait_for_store(&word, 0);
    }
    put("ticket\n");
    finish(0);
}
