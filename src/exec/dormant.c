/*
 * Blocks that lie dormant: taken out of use because their range was invalidated, and kept in case
 * their bytes turn out to be the same when they are asked for again.  A just-in-time compiler that
 * makes its arena writable, changes one function and makes it executable again has all of
 * it invalidated, and most of it back without a translation.
 *
 * A dormant block is invalid and unlinked like any other that tb_invalidate_locked() is done
 * with; it also hangs in the list of its first page, under that page's lock.  Whether it
 * is good again is decided as for a fresh translation: under the locks of its pages, after
 * their flags were read, by the bytes in memory.  So nothing depends on why the range was invalidated.
 *
 * A vCPU may be inside a block while it is invalidated, lies dormant, and is revived.  That is
 * harmless: the code is the same, its jumps lead to stubs or to valid blocks at all times, and
 * who waited for vCPUs to leave what was invalid had them leave everything.
 *
 * A page has at most one dormant block for a key: who is about to make a new block of that
 * key takes the dormant one out of the list first.  A flush empties all lists.
 */
#include <string.h>

#include "exec/tb.h"
#include "util/error.h"
#include "util/stats.h"

static bool tb_bytes_unchanged_phys(const TranslationBlock *tb)
{
    const uint8_t *saved = tb->guest_bytes;
    for (unsigned i = 0; i < tb->nsegments; i++) {
        const TBSegment *s = &tb->segments[i];
        for (uint32_t k = 0; k < s->len; k++) {     /* other vCPUs may store there */
            if (__atomic_load_n(tb_host_byte(tb, s->pc + k), __ATOMIC_RELAXED) != *saved++) {
                return false;
            }
        }
    }
    return true;
}

bool tb_bytes_unchanged(CPUState *cpu, const TranslationBlock *tb)
{
    if (exec_ctx.config.system_mode) {
        return tb_bytes_unchanged_phys(tb);
    }
    const uint8_t *saved = tb->guest_bytes;
    for (unsigned i = 0; i < tb->nsegments; i++) {
        const TBSegment *s = &tb->segments[i];
        uint8_t now[GUEST_PAGE_SIZE];
        for (uint32_t done = 0; done < s->len;) {
            uint32_t n = s->len - done < sizeof(now) ? s->len - done : sizeof(now);
            if (!exec_copy_from_guest(cpu, now, s->pc + done, n) || memcmp(now, saved, n)) {
                return false;
            }
            saved += n;
            done += n;
        }
    }
    return true;
}

void tb_lay_dormant_locked(TranslationBlock *tb)
{
    PageDesc *pd = page_get_alloc(tb->page[0]);
    lock_assert_held(&pd->lock);
    braid_assert(tb->invalid && tb->guest_bytes);
    tb->next_dormant = pd->dormant;
    pd->dormant = tb;
}

TranslationBlock *page_take_dormant_locked(PageDesc *pd, const TBKey *key)
{
    lock_assert_held(&pd->lock);
    for (TranslationBlock **link = &pd->dormant, *tb; (tb = *link); link = &tb->next_dormant) {
        if (tb_has_key(tb, key)) {
            *link = tb->next_dormant;
            return tb;
        }
    }
    return NULL;
}

void tb_revive_locked(TranslationBlock *tb, PageDesc *const pages[2])
{
    /* Nobody else knows of the exits' links now: tb_unlink_outgoing() saw each off. */
    for (unsigned i = 0; i < tb->nexits; i++) {
        /* [EXIT-DEST] releases next_incoming and the jump's field to the next tb_link_exit(). */
        __atomic_store_n(&tb->exits[i].dest, 0, __ATOMIC_RELEASE);
    }
    spin_lock(&tb->jmp_lock);
    braid_assert(tb->invalid && !tb->incoming);
    __atomic_store_n(&tb->invalid, 0, __ATOMIC_RELAXED);
    spin_unlock(&tb->jmp_lock);
    for (unsigned n = 0; n < 2 && tb->page[n] != NO_PAGE; n++) {
        braid_assert(pages[n]->number == tb->page[n]);
        page_add_tb_locked(pages[n], tb, n);
    }
    bool inserted = qht_insert(&exec_ctx.blocks, tb, tb->hash, NULL);
    braid_assert(inserted);
    stat_inc(STAT_REVIVALS);
}
