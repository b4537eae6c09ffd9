/*
 * Which blocks are worth more effort: with -accel tcg,count=on each block counts down in
 * generated code, with every entry and every time round its loop, and leaves for the run
 * loop when the count has run out.
 *
 * The count is a plain subtraction: threads that run a block at once lose some, and may see
 * it run out together; whoever winds it up again first goes on here.  Until then the block
 * leaves each time, so nothing is missed.  A thread that was interrupted between its load and
 * its store can undo a winding up; the period is short so that this adds little to the sum.
 */
#include <stdlib.h>

#include "exec/tb.h"
#include "util/stats.h"

#define COUNT_PERIOD (1 << 20)
#define HOTTEST 20

/* What the countdown was last wound up to. */
static int32_t wound_up_to(const TranslationBlock *tb)
{
    return __atomic_load_n(&tb->hot, __ATOMIC_RELAXED) ? COUNT_PERIOD : exec_ctx.config.hot_threshold;
}

void tb_hot(CPUState *cpu, TranslationBlock *tb)
{
    int32_t left = __atomic_load_n(&tb->countdown, __ATOMIC_RELAXED);
    int32_t from = wound_up_to(tb);
    if (left > 0 || !__atomic_compare_exchange_n(&tb->countdown, &left, COUNT_PERIOD, false,
                                                 __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        return;
    }
    /* Where it left it goes on, and counts that again. */
    __atomic_fetch_add(&tb->counted, (uint64_t)((int64_t)from - left - 1), __ATOMIC_RELAXED);
    if (__atomic_exchange_n(&tb->hot, 1, __ATOMIC_RELAXED)) {
        return;
    }
    stat_inc(STAT_HOT_BLOCKS);
    if (exec_ctx.config.on_hot) {
        exec_ctx.config.on_hot(cpu, tb);
    }
}

/* ---- the list in --stats ---- */

typedef struct Hottest {
    struct {
        const TranslationBlock *tb;
        uint64_t count;
    } entry[HOTTEST];
    unsigned n;
    uint64_t total;     /* of all blocks: guest instructions, were each unit run to its end */
} Hottest;

static uint64_t tb_count(const TranslationBlock *tb)
{
    int64_t since = (int64_t)wound_up_to(tb) - __atomic_load_n(&tb->countdown, __ATOMIC_RELAXED);
    return __atomic_load_n(&tb->counted, __ATOMIC_RELAXED) + (since > 0 ? (uint64_t)since : 0);
}

static void note_count(void *elem, uint32_t hash, void *opaque)
{
    Hottest *h = opaque;
    const TranslationBlock *tb = elem;
    if (!(tb->cflags & CF_COUNT)) {
        return;
    }
    uint64_t count = tb_count(tb), weight = count * tb->ninsns;
    h->total += weight;
    unsigned i = h->n < HOTTEST ? h->n++ : HOTTEST;
    for (; i && h->entry[i - 1].count * h->entry[i - 1].tb->ninsns < weight; i--) {
        if (i < HOTTEST) {
            h->entry[i] = h->entry[i - 1];
        }
    }
    if (i < HOTTEST) {
        h->entry[i].tb = tb;
        h->entry[i].count = count;
    }
}

void tb_print_hottest(FILE *out)
{
    Hottest h = { .n = 0 };
    /* Against a flush: this thread need not be a vCPU's. */
    mutex_lock(&exec_ctx.invalidate_lock);
    qht_foreach(&exec_ctx.blocks, note_count, &h);
    fprintf(out, "hottest blocks: share of all guest instructions, times run, instructions, pc\n");
    for (unsigned i = 0; i < h.n && h.entry[i].count; i++) {
        const TranslationBlock *tb = h.entry[i].tb;
        fprintf(out, "  %5.1f%% %14" PRIu64 " %4u  0x%" PRIx64 "\n",
                100.0 * (double)(h.entry[i].count * tb->ninsns) / (double)h.total, h.entry[i].count,
                tb->ninsns, tb->pc);
    }
    mutex_unlock(&exec_ctx.invalidate_lock);
}
