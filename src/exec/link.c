/*
 * Direct jumps between blocks.
 *
 * The list of exits that jump into a block is guarded by that block's jmp_lock, and so is
 * the patching of their jumps.  An exit names the block it is linked to in `dest`, so that the
 * right lock can be taken before a list is walked; EXIT_DYING in it marks an exit whose own block is
 * going away: no link can form from then on.  No thread holds two jmp_locks.
 *
 * The code of an invalid block may still be left through its exits by a vCPU that is in
 * it, or that comes back to it through its return stack.  So invalidation also points the
 * block's own jumps at their stubs, and what such an exit reports is looked up afresh.
 */
#include "exec/tb.h"
#include "util/stats.h"

void tb_link_exit(TBExit *e, TranslationBlock *dest)
{
    spin_lock(&dest->jmp_lock);
    uintptr_t unlinked = 0;
    if (!dest->invalid &&
        __atomic_compare_exchange_n(&e->dest, &unlinked, (uintptr_t)dest, false,
                                    __ATOMIC_ACQ_REL /* [EXIT-DEST] with tb_unlink_outgoing() */,
                                    __ATOMIC_RELAXED)) {
        e->next_incoming = dest->incoming;
        dest->incoming = e;
        host_patch_jump(e->field, dest->code);
        stat_inc(STAT_LINKS);
    }
    spin_unlock(&dest->jmp_lock);
}

/* Point e's jump at its stub again; under the jmp_lock of the block it was linked to. */
static void exit_reset_jump(TBExit *e)
{
    host_patch_jump(e->field, e->stub);
    stat_inc(STAT_UNLINKS);
}

static void incoming_remove_locked(TranslationBlock *dest, TBExit *e)
{
    lock_assert_held(&dest->jmp_lock);
    for (TBExit **link = &dest->incoming; *link; link = &(*link)->next_incoming) {
        if (*link == e) {
            *link = e->next_incoming;
            exit_reset_jump(e);
            return;
        }
    }
}

void tb_unlink_outgoing(TranslationBlock *tb)
{
    for (unsigned i = 0; i < tb->nexits; i++) {
        TBExit *e = &tb->exits[i];
        uintptr_t dest = __atomic_fetch_or(&e->dest, EXIT_DYING,
                                           __ATOMIC_ACQ_REL /* [EXIT-DEST] with tb_link_exit() */);
        TranslationBlock *d = (TranslationBlock *)(dest & ~EXIT_DYING);
        if (d) {
            /* d may be going away too and have emptied its list: then there is nothing to find. */
            spin_lock(&d->jmp_lock);
            incoming_remove_locked(d, e);
            spin_unlock(&d->jmp_lock);
        }
    }
}

void tb_unlink_incoming(TranslationBlock *tb)
{
    spin_lock(&tb->jmp_lock);
    for (TBExit *e = tb->incoming, *next; e; e = next) {
        /* Once dest is 0 another thread may link e elsewhere, and next_incoming is no longer ours. */
        next = e->next_incoming;
        exit_reset_jump(e);
        __atomic_fetch_and(&e->dest, EXIT_DYING,
                           __ATOMIC_RELEASE /* [EXIT-DEST] with tb_link_exit() */);
    }
    tb->incoming = NULL;
    spin_unlock(&tb->jmp_lock);
}

void tb_move_incoming(TranslationBlock *from, TranslationBlock *to)
{
    for (;;) {
        spin_lock(&from->jmp_lock);
        TBExit *e = from->incoming;
        if (e) {
            from->incoming = e->next_incoming;
            exit_reset_jump(e);
            __atomic_fetch_and(&e->dest, EXIT_DYING,
                               __ATOMIC_RELEASE /* [EXIT-DEST] with tb_link_exit() */);
        }
        spin_unlock(&from->jmp_lock);
        if (!e) {
            return;
        }
        /* One lock at a time: somebody else may link it first, or its own block may go. */
        tb_link_exit(e, to);
    }
}
