/*
 * Unsettled pages: code that another vCPU may be storing to without anybody's notice.
 *
 * When a page gets translations, its lines in all TLBs are marked so that stores are noticed from
 * then on (exec/soft-mmu.c).  But a vCPU that was in the middle of a store, its tag compared
 * already, makes it unnoticed, perhaps after the bytes were read.  So the page goes on a list here.  While it is
 * there, blocks made of it keep a copy of their bytes, and fence.i compares them with memory, for it is
 * fence.i after which the guest may rely on such a store.  The page comes off the list at the first
 * fence.i before which all other vCPUs were seen outside generated code once: what they store since then is
 * noticed, and what they stored before was compared.
 *
 * The list is nearly always empty, and then fence.i costs one load.
 */
#include <stdlib.h>

#include "exec/soft-mmu.h"
#include "util/error.h"

typedef struct Unsettled {
    struct Unsettled *next;
    PageDesc *pd;
    int ncpus;
    uint64_t turns[];       /* of each vCPU, by index, when the page's lines were marked */
} Unsettled;

typedef struct SettleContext {
    Mutex verify_lock;      /* rank INVALIDATE: held during a comparison, so that others' fence.i wait for it */
    Mutex lock;             /* rank LEAF */
    /* guarded by lock */
    Unsettled *first;
    uint32_t pending;       /* atomic: entries on the list or being compared */
} SettleContext;
static SettleContext settle_ctx = { .verify_lock = MUTEX_INIT(INVALIDATE), .lock = MUTEX_INIT(LEAF) };

void page_unsettle_locked(PageDesc *pd)
{
    ExecContext *x = &exec_ctx;
    lock_assert_held(&pd->lock);
    mutex_lock(&x->cpu_list_lock);
    Unsettled *u = xcalloc(1, sizeof(*u) + (size_t)x->next_cpu_index * sizeof(u->turns[0]));
    u->pd = pd;
    u->ncpus = x->next_cpu_index;
    for (CPUState *c = x->cpus; c; c = c->next_cpu) {
        u->turns[c->cpu_index] = __atomic_load_n(&c->turns, __ATOMIC_RELAXED);
    }
    mutex_unlock(&x->cpu_list_lock);
    pd->unsettled = true;
    mutex_lock(&settle_ctx.lock);
    u->next = settle_ctx.first;
    settle_ctx.first = u;
    __atomic_fetch_add(&settle_ctx.pending, 1, __ATOMIC_RELAXED);
    mutex_unlock(&settle_ctx.lock);
}

static bool has_settled(CPUState *self, const Unsettled *u)
{
    bool settled = true;
    mutex_lock(&exec_ctx.cpu_list_lock);
    for (CPUState *c = exec_ctx.cpus; c; c = c->next_cpu) {
        /* [EXCL-STOP] and [SETTLE]: stores made before are seen by the comparison. */
        bool outside = c == self || !__atomic_load_n(&c->running, __ATOMIC_ACQUIRE) ||
                       c->cpu_index >= u->ncpus ||
                       __atomic_load_n(&c->turns, __ATOMIC_ACQUIRE) != u->turns[c->cpu_index];
        settled = settled && outside;
    }
    mutex_unlock(&exec_ctx.cpu_list_lock);
    return settled;
}

/* Is the page on the list still? */
static bool is_listed_locked(const PageDesc *pd)
{
    for (const Unsettled *u = settle_ctx.first; u; u = u->next) {
        if (u->pd == pd) {
            return true;
        }
    }
    return false;
}

void settle_verify(CPUState *cpu)
{
    SettleContext *s = &settle_ctx;
    /* Stores that the guest may rely on were made before; so were the translations that missed them. */
    if (likely(!__atomic_load_n(&s->pending, __ATOMIC_RELAXED))) {
        return;
    }
    mutex_lock(&s->verify_lock);
    /* Take the list; what is not settled goes back. */
    mutex_lock(&s->lock);
    Unsettled *u = s->first, *next;
    s->first = NULL;
    mutex_unlock(&s->lock);
    for (; u; u = next) {
        next = u->next;
        PageDesc *pd = u->pd;
        bool settled = has_settled(cpu, u);
        page_verify(cpu, pd);
        mutex_lock_ordered(&pd->lock, pd->number);
        mutex_lock(&s->lock);
        if (settled) {
            pd->unsettled = is_listed_locked(pd);
            __atomic_fetch_sub(&s->pending, 1, __ATOMIC_RELAXED);
            free(u);
        } else {
            u->next = s->first;
            s->first = u;
        }
        mutex_unlock(&s->lock);
        mutex_unlock(&pd->lock);
    }
    mutex_unlock(&s->verify_lock);
}
