/*
 * PageDescs: which blocks have bytes in a guest page.
 *
 * A PageDesc, once made, stays.  Its lock guards the list of its blocks, and is held by a
 * translation from reading the page's bytes until the block is published or dropped.  A
 * block in two pages hangs in both lists; both locks are taken in ascending order.
 *
 * "Volatile" pages are those whose bytes may change without anybody telling: writable ones,
 * and shared mappings, which may have another, writable one elsewhere.  Their blocks keep a copy of their
 * bytes, which fence.i compares with memory.
 */
#include "exec/tb.h"
#include "util/error.h"

static void page_init(void *elem, uint64_t key)
{
    PageDesc *pd = elem;
    mutex_init(&pd->lock, LOCK_RANK_PAGE);
    pd->number = key;
}

void page_table_init(void)
{
    radix_init(&exec_ctx.pages, 64 - GUEST_PAGE_BITS, 5, sizeof(PageDesc), page_init);
}

PageDesc *page_get_alloc(uint64_t number)
{
    return radix_get_alloc(&exec_ctx.pages, number);
}

void page_add_tb_locked(PageDesc *pd, TranslationBlock *tb, unsigned n)
{
    lock_assert_held(&pd->lock);
    tb->page_next[n] = pd->first_tb;
    pd->first_tb = (uintptr_t)tb | n;
}

void page_remove_tb_locked(PageDesc *pd, TranslationBlock *tb)
{
    lock_assert_held(&pd->lock);
    uintptr_t *link = &pd->first_tb;
    while (PAGE_TB(*link) != tb) {
        braid_assert(*link);
        link = &PAGE_TB(*link)->page_next[PAGE_TB_INDEX(*link)];
    }
    *link = tb->page_next[PAGE_TB_INDEX(*link)];
}

/*
 * A translation marks the page, then reads its flags and bytes; who changes those then looks
 * for marked pages.  A full fence between the steps on both sides: either the translation
 * sees the change, or the other sees the mark and waits for the page's lock. [PAGE-USED]
 */
void page_mark_used(PageDesc *pd)
{
    __atomic_store_n(&pd->used, 1, __ATOMIC_RELAXED);
    /* [PAGE-USED] pairs with the fence in invalidate_walk(). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void page_mark_volatile_locked(PageDesc *pd)
{
    lock_assert_held(&pd->lock);
    if (pd->in_volatile_list) {
        return;
    }
    pd->in_volatile_list = true;
    pd->next_volatile = __atomic_load_n(&exec_ctx.volatile_pages, __ATOMIC_RELAXED);
    /* [VOLATILE-LIST] pairs with the load in tb_verify_volatile(). */
    while (!__atomic_compare_exchange_n(&exec_ctx.volatile_pages, &pd->next_volatile, pd, true,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    }
    /* [PAGE-USED] the same for the list: it is read after the bytes were changed. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
