/*
 * Finding the block for a guest pc: the vCPU's jump cache first, then the QHT.  Neither
 * takes a lock.
 *
 * The jump cache is read by generated code too, which compares nothing but the pc.  So a
 * line must never outlive its block's validity, although any thread may invalidate the block
 * at any time.  The owner fills a line, then looks whether the block became invalid; the invalidating
 * thread marks the block, then clears lines.  With a full fence between the two steps on both
 * sides (a Dekker pattern) at least one of them sees the other.  [JC-FILL]
 *
 * A jump cache serves one value of the guest's flags and cflags at a time; a change of either
 * empties it.
 */
#include "exec/tb.h"
#include "util/hash.h"
#include "util/stats.h"

typedef struct TBKey {
    vaddr pc;
    uint32_t flags, cflags;
} TBKey;

uint32_t tb_hash(vaddr pc, uint32_t flags, uint32_t cflags)
{
    return hash_u64x2(pc, (uint64_t)cflags << 32 | flags);
}

bool tb_equal(const void *a, const void *b)
{
    const TranslationBlock *x = a, *y = b;
    return x->pc == y->pc && x->flags == y->flags && x->cflags == y->cflags;
}

static inline bool tb_match(const void *entry, const void *key)
{
    const TranslationBlock *tb = entry;
    const TBKey *k = key;
    return tb->pc == k->pc && tb->flags == k->flags && tb->cflags == k->cflags;
}

TranslationBlock *tb_find_qht(vaddr pc, uint32_t flags, uint32_t cflags)
{
    TBKey key = { pc, flags, cflags };
    return qht_lookup_inline(&exec_ctx.blocks, tb_hash(pc, flags, cflags), tb_match, &key);
}

void jump_cache_clear(CPUState *cpu)
{
    for (unsigned i = 0; i < JUMP_CACHE_SIZE; i++) {
        __atomic_store_n(&cpu->env.jump_cache[i].pc, JUMP_CACHE_NONE, __ATOMIC_RELAXED);
    }
}

void jump_cache_fill(CPUState *cpu, TranslationBlock *tb)
{
    JumpCacheEntry *e = &cpu->env.jump_cache[jump_cache_index(tb->pc)];
    __atomic_store_n(&e->pc, JUMP_CACHE_NONE, __ATOMIC_RELAXED);
    __atomic_store_n(&e->code, tb->code, __ATOMIC_RELAXED);
    __atomic_store_n(&e->pc, tb->pc, __ATOMIC_RELAXED);
    /* [JC-FILL] pairs with the fence in tb_invalidate_locked(). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&tb->invalid, __ATOMIC_RELAXED)) {
        __atomic_store_n(&e->pc, JUMP_CACHE_NONE, __ATOMIC_RELAXED);
    }
}

TranslationBlock *tb_find(CPUState *cpu, vaddr pc, uint32_t flags, uint32_t cflags)
{
    if (cpu->jump_cache_flags != flags || cpu->jump_cache_cflags != cflags) {
        jump_cache_clear(cpu);
        cpu->jump_cache_flags = flags;
        cpu->jump_cache_cflags = cflags;
    }
    stat_inc(STAT_TB_LOOKUPS);
    TranslationBlock *tb = tb_find_qht(pc, flags, cflags);
    stat_inc(tb ? STAT_QHT_HITS : STAT_QHT_MISSES);
    return tb;
}
