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
#include "exec/soft-mmu.h"
#include "util/hash.h"
#include "util/stats.h"

uint32_t tb_hash(const TBKey *key)
{
    /* User mode: phys_pc - pc is 0. */
    return hash_u64x2(key->pc + (key->phys_pc - key->pc) * 0x9e3779b97f4a7c15ull,
                      (uint64_t)key->cflags << 32 | key->flags);
}

bool tb_equal(const void *a, const void *b)
{
    const TranslationBlock *x = a, *y = b;
    return x->pc == y->pc && x->flags == y->flags && x->cflags == y->cflags && x->phys_pc == y->phys_pc &&
           x->second_page == y->second_page;
}

static inline bool tb_match(const void *entry, const void *key)
{
    return tb_has_key(entry, key);
}

TranslationBlock *tb_find_qht(const TBKey *key)
{
    return qht_lookup_inline(&exec_ctx.blocks, tb_hash(key), tb_match, key);
}

void jump_cache_clear(CPUState *cpu)
{
    if (cpu->jumps) {
        jump_caches_clear(cpu);
        return;
    }
    for (unsigned i = 0; i < JUMP_CACHE_SIZE; i++) {
        __atomic_store_n(&cpu->env.jump_cache[i].pc, JUMP_CACHE_NONE, __ATOMIC_RELAXED);
    }
}

void jump_cache_fill(CPUState *cpu, TranslationBlock *tb)
{
    JumpCacheEntry *e = cpu->jumps ? jump_caches_line(cpu, tb->pc)
                                   : &cpu->env.jump_cache[jump_cache_index(tb->pc)];
    __atomic_store_n(&e->pc, JUMP_CACHE_NONE, __ATOMIC_RELAXED);
    __atomic_store_n(&e->code, tb->code, __ATOMIC_RELAXED);
    __atomic_store_n(&e->pc, tb->pc, __ATOMIC_RELAXED);
    /* [JC-FILL] pairs with the fence in tb_invalidate_locked(). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&tb->invalid, __ATOMIC_RELAXED)) {
        __atomic_store_n(&e->pc, JUMP_CACHE_NONE, __ATOMIC_RELAXED);
    }
}

/*
 * An instruction across the end of a page makes a block that depends on two pages' addresses.  What the second
 * page is now, is asked of the TLB alone; if it does not know, tb_translate() finds out.
 */
static TranslationBlock *find_across(CPUState *cpu, TBKey *key)
{
    TLBFull *full;
    unsigned idx = cpu->guest->mmu_index(cpu, MMU_FETCH);
    vaddr next = (key->pc | (GUEST_PAGE_SIZE - 1)) + 1;
    if (!soft_tlb_find(cpu->soft_tlb, idx, next, MMU_FETCH, &full)) {
        return NULL;
    }
    key->second_page = full->pa >> GUEST_PAGE_BITS;
    TranslationBlock *tb = tb_find_qht(key);
    key->second_page = NO_PAGE;
    return tb;
}

static TranslationBlock *find_system(CPUState *cpu, TBKey *key, bool *fault)
{
    bool global;
    stat_inc(STAT_TB_LOOKUPS);
    if (!soft_mmu_fetch(cpu, key->pc, &key->phys_pc, &global)) {
        *fault = true;
        return NULL;
    }
    jump_caches_select(cpu, key->flags, key->cflags, global);
    TranslationBlock *tb = tb_find_qht(key);
    bool may_cross = (key->pc & (GUEST_PAGE_SIZE - 1)) > GUEST_PAGE_SIZE - 4;
    if (!tb && may_cross) {
        tb = find_across(cpu, key);
    }
    stat_inc(tb ? STAT_QHT_HITS : STAT_QHT_MISSES);
    return tb;
}

TranslationBlock *tb_find(CPUState *cpu, TBKey *key, bool *fault)
{
    uint32_t flags = key->flags, cflags = key->cflags;
    *fault = false;
    if (cpu->soft_tlb) {
        return find_system(cpu, key, fault);
    }
    if (cpu->jump_cache_flags != flags || cpu->jump_cache_cflags != cflags) {
        jump_cache_clear(cpu);
        cpu->jump_cache_flags = flags;
        cpu->jump_cache_cflags = cflags;
    }
    stat_inc(STAT_TB_LOOKUPS);
    TranslationBlock *tb = tb_find_qht(key);
    stat_inc(tb ? STAT_QHT_HITS : STAT_QHT_MISSES);
    return tb;
}
