/*
 * Critical sections: pieces of guest code that must run as if nobody else did.
 *
 * Linux's restartable sequences promise a thread that between start and end of such a piece no
 * other thread runs on its CPU, or that it starts over.  We cannot know when the host takes the
 * processor away, so we promise more: all other vCPUs are stopped while it runs.
 *
 * A section becomes known when the translator sees the store that announces it (note_store(): the value is a
 * constant of the code, and the descriptor that it points at names the next instruction), or
 * when linux-user finds a thread inside one.  Units end before a known start with
 * EXIT_REASON_SECTION, and the run loop then executes it instruction by instruction.
 *
 * The table only grows; entries are written once.  Added to by any thread, under page locks or none;
 * read by translators without a lock.  [SECTION]
 */
#include "exec/tb.h"
#include "util/log.h"

#define MAX_SECTIONS 512u

static struct {
    uint32_t n;                 /* atomic: entries handed out, may exceed the maximum */
    struct {
        vaddr start, end;       /* atomic; start is written last, 0 until then */
    } entry[MAX_SECTIONS];
} sections;

vaddr exec_section_end(vaddr start)
{
    uint32_t n = __atomic_load_n(&sections.n, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < n && i < MAX_SECTIONS; i++) {
        /* [SECTION] pairs with the release in exec_add_section(). */
        if (__atomic_load_n(&sections.entry[i].start, __ATOMIC_ACQUIRE) == start) {
            return __atomic_load_n(&sections.entry[i].end, __ATOMIC_RELAXED);
        }
    }
    return 0;
}

bool exec_add_section(vaddr start, vaddr end)
{
    if (!start || start >= end || exec_section_end(start)) {
        return false;
    }
    uint32_t i = __atomic_fetch_add(&sections.n, 1, __ATOMIC_RELAXED);
    if (i >= MAX_SECTIONS) {
        __atomic_store_n(&sections.n, MAX_SECTIONS, __ATOMIC_RELAXED);
        log_item(LOG_UNIMP, "more than %u critical sections\n", MAX_SECTIONS);
        return false;
    }
    __atomic_store_n(&sections.entry[i].end, end, __ATOMIC_RELAXED);
    /* [SECTION] */
    __atomic_store_n(&sections.entry[i].start, start, __ATOMIC_RELEASE);
    return true;
}

void section_note_store(vaddr value, vaddr next_pc)
{
    vaddr end;
    if (exec_ctx.config.section_at && exec_ctx.config.section_at(value, next_pc, &end)) {
        exec_add_section(next_pc, end);
    }
}
