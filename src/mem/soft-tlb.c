/*
 * The tables of a vCPU's soft TLB; see soft-tlb.h for who may do what.
 *
 * The invariant of flushing: a line is reachable only from its slot or a victim, and a line
 * of a large page lies within one of its table's large ranges; so a flush of some pages looks at
 * their slots, all victims, and, if it touches a large range, at every line of that range.
 *
 * All functions but soft_tlb_mark_code() are for the owner.
 */
#include "mem/soft-tlb.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"

#define MIN_LINES 256u
#define MAX_LINES 16384u

/* What HostEnv points at while a table was never used: no address matches, nobody writes it. */
static HostTLBEntry no_line = { TLB_NO_TAG, TLB_NO_TAG, TLB_NO_TAG, 0 };

static inline uint32_t line_index(const TLBTable *tab, vaddr va)
{
    return (uint32_t)(va >> HOST_PAGE_BITS) & (tab->n - 1);
}

/* The page that a line is for; false if it is for none. */
static bool line_page(const HostTLBEntry *e, vaddr *page)
{
    uint64_t store = __atomic_load_n(&e->store, __ATOMIC_RELAXED);
    uint64_t tag = !(e->load & TLB_INVALID) ? e->load : !(store & TLB_INVALID) ? store : e->fetch;
    *page = tag & TLB_PAGE_MASK;
    return !(tag & TLB_INVALID);
}

static void line_clear(HostTLBEntry *e)
{
    memset(e, 0xff, sizeof(*e));
}

/* ---- tables ---- */

/* The one that counts. */
static TLBTable *current_table(SoftTLB *t, unsigned idx)
{
    return t->common_modes >> idx & 1 ? &t->common->table[idx] : &t->current->table[idx];
}

static void env_show_table(SoftTLB *t, unsigned idx)
{
    const TLBTable *tab = current_table(t, idx);
    t->env->tlb[idx] = tab->line ? (HostTLB){ (tab->n - 1) * sizeof(HostTLBEntry), tab->line }
                                 : (HostTLB){ 0, &no_line };
}

static void table_alloc_locked(TLBTable *tab, uint32_t n)
{
    tab->line = aligned_alloc(64, n * sizeof(*tab->line));
    tab->full = malloc(n * sizeof(*tab->full));
    if (!tab->line || !tab->full) {
        fatal("out of memory for a TLB");
    }
    tab->n = n;
    memset(tab->line, 0xff, n * sizeof(*tab->line));
    memset(tab->full, 0, n * sizeof(*tab->full));
}

static void table_clear_locked(TLBTable *tab)
{
    if (!tab->line) {
        return;
    }
    if (tab->n > MIN_LINES && tab->fills < tab->n / 8) {
        free(tab->line);
        free(tab->full);
        table_alloc_locked(tab, tab->n / 2);
    } else if (tab->fills) {
        memset(tab->line, 0xff, tab->n * sizeof(*tab->line));
    }
    for (unsigned i = 0; i < TLB_VICTIMS; i++) {
        line_clear(&tab->victim[i].e);
    }
    tab->evictions = tab->fills = tab->nlarge = 0;
}

/* Twice the size; with twice the lines each goes to a slot of its own. */
static void table_grow_locked(TLBTable *tab)
{
    TLBTable old = *tab;
    table_alloc_locked(tab, old.n * 2);
    for (uint32_t i = 0; i < old.n; i++) {
        vaddr page;
        if (line_page(&old.line[i], &page)) {
            uint32_t to = line_index(tab, page);
            tab->line[to] = old.line[i];
            tab->full[to] = old.full[i];
        }
    }
    tab->evictions = 0;
    free(old.line);
    free(old.full);
}

static void space_clear_locked(TLBSpace *s)
{
    for (unsigned idx = 0; idx < HOST_TLB_MODES; idx++) {
        table_clear_locked(&s->table[idx]);
    }
}

static void line_flush(HostTLBEntry *e, const TLBFull *full, vaddr start, vaddr last, bool keep_global)
{
    vaddr page;
    if (line_page(e, &page) && page <= last && page + (TLB_PAGE_SIZE - 1) >= start &&
        !(keep_global && full->global)) {
        line_clear(e);
    }
}

static void table_flush_locked(TLBTable *tab, vaddr *start, vaddr *last, bool keep_global)
{
    if (!tab->line) {
        return;
    }
    for (unsigned i = 0; i < tab->nlarge;) {
        TLBLargeRange *r = &tab->large[i];
        if (r->start > *last || r->last < *start) {
            i++;
            continue;
        }
        *start = r->start < *start ? r->start : *start;
        *last = r->last > *last ? r->last : *last;
        if (keep_global) {
            i++;                /* global lines stay in it */
        } else {
            *r = tab->large[--tab->nlarge];
            i = 0;              /* the range has grown: look at the others again */
        }
    }
    uint64_t pages = (*last >> HOST_PAGE_BITS) - (*start >> HOST_PAGE_BITS);
    for (uint64_t k = 0; k <= (pages < tab->n ? pages : tab->n - 1); k++) {
        uint32_t i = pages < tab->n ? line_index(tab, *start + (k << HOST_PAGE_BITS)) : (uint32_t)k;
        line_flush(&tab->line[i], &tab->full[i], *start, *last, keep_global);
    }
    for (unsigned k = 0; k < TLB_VICTIMS; k++) {
        line_flush(&tab->victim[k].e, &tab->victim[k].full, *start, *last, keep_global);
    }
}

static void space_flush_locked(TLBSpace *s, vaddr *start, vaddr *last, bool keep_global)
{
    for (unsigned idx = 0; idx < HOST_TLB_MODES; idx++) {
        table_flush_locked(&s->table[idx], start, last, keep_global);
    }
}

static void env_show_space(SoftTLB *t)
{
    for (unsigned idx = 0; idx < HOST_TLB_MODES; idx++) {
        env_show_table(t, idx);
    }
    host_forget_pages(t->env, 0, ~0ull);
}

void soft_tlb_init(SoftTLB *t, HostEnv *env, unsigned common_modes)
{
    memset(t, 0, sizeof(*t));
    spin_init(&t->lock, LOCK_RANK_TLB);
    t->env = env;
    t->common_modes = common_modes;
    t->current = &t->space[0];
    t->common = &t->space[TLB_SPACES];
    t->current->valid = t->common->valid = true;
    t->common->id = SOFT_TLB_ALL_SPACES;
    host_init_pages(env);
    env_show_space(t);
}

void soft_tlb_destroy(SoftTLB *t)
{
    for (unsigned s = 0; s <= TLB_SPACES; s++) {
        for (unsigned idx = 0; idx < HOST_TLB_MODES; idx++) {
            free(t->space[s].table[idx].line);
            free(t->space[s].table[idx].full);
        }
    }
}

bool soft_tlb_set_space(SoftTLB *t, uint64_t id)
{
    t->current->last_used = ++t->clock;
    if (t->current->id == id) {
        return false;
    }
    TLBSpace *best = NULL;
    for (TLBSpace *s = t->space; s < t->common; s++) {
        if (s->valid && s->id == id) {
            best = s;
            break;
        }
        uint64_t age = s->valid ? s->last_used : 0;
        if (s != t->current && (!best || age < (best->valid ? best->last_used : 0))) {
            best = s;
        }
    }
    spin_lock(&t->lock);
    if (!best->valid || best->id != id) {
        t->nspaces_lost += best->valid;
        space_clear_locked(best);
        best->id = id;
        best->valid = true;
    }
    best->last_used = ++t->clock;
    if (t->common_mixed) {
        space_flush_locked(t->common, &(vaddr){ 0 }, &(vaddr){ ~0ull }, true);
        t->common_mixed = false;
    }
    t->current = best;
    spin_unlock(&t->lock);
    env_show_space(t);
    return true;
}

/* ---- looking up and filling ---- */

static inline bool line_serves(const HostTLBEntry *e, vaddr va, MMUAccess access)
{
    return (soft_tlb_tag(e, access) & (TLB_PAGE_MASK | TLB_INVALID)) == (va & TLB_PAGE_MASK);
}

HostTLBEntry *soft_tlb_find(SoftTLB *t, unsigned idx, vaddr va, MMUAccess access, TLBFull **full)
{
    TLBTable *tab = current_table(t, idx);
    if (!tab->line) {
        return NULL;
    }
    uint32_t i = line_index(tab, va);
    *full = &tab->full[i];
    if (line_serves(&tab->line[i], va, access)) {
        return &tab->line[i];
    }
    for (unsigned k = 0; k < TLB_VICTIMS; k++) {
        TLBLine *v = &tab->victim[k];
        if (line_serves(&v->e, va, access)) {
            spin_lock(&t->lock);
            TLBLine was = { tab->line[i], tab->full[i] };
            tab->line[i] = v->e;
            tab->full[i] = v->full;
            *v = was;
            spin_unlock(&t->lock);
            t->nvictim_hits++;
            return &tab->line[i];
        }
    }
    return NULL;
}

/* How many bits of an address differ within the range that holds both. */
static unsigned joined_bits(const TLBLargeRange *a, const TLBLargeRange *b)
{
    uint64_t diff = (a->start ^ b->last) | (a->last ^ b->start) | (a->start ^ a->last) |
                    (b->start ^ b->last);
    return diff ? 64 - (unsigned)__builtin_clzll(diff) : 0;
}

/* Note that there are lines of a large page; if ranges are many, those that lie closest become one. */
static void table_note_large_locked(TLBTable *tab, vaddr va, unsigned page_bits)
{
    uint64_t in_page = page_bits < 64 ? (1ull << page_bits) - 1 : ~0ull;
    TLBLargeRange all[TLB_LARGE_RANGES + 1], r = { va & ~in_page, va | in_page };
    for (unsigned i = 0; i < tab->nlarge; i++) {
        if (tab->large[i].start <= r.start && r.last <= tab->large[i].last) {
            return;
        }
        all[i] = tab->large[i];
    }
    all[tab->nlarge] = r;
    unsigned n = tab->nlarge + 1;
    if (n > TLB_LARGE_RANGES) {
        unsigned x = 0, y = 1;
        for (unsigned i = 0; i < n; i++) {
            for (unsigned k = i + 1; k < n; k++) {
                if (joined_bits(&all[i], &all[k]) < joined_bits(&all[x], &all[y])) {
                    x = i;
                    y = k;
                }
            }
        }
        all[x].start = all[x].start < all[y].start ? all[x].start : all[y].start;
        all[x].last = all[x].last > all[y].last ? all[x].last : all[y].last;
        all[y] = all[--n];
    }
    memcpy(tab->large, all, n * sizeof(all[0]));
    tab->nlarge = n;
}

HostTLBEntry *soft_tlb_fill(SoftTLB *t, unsigned idx, vaddr va, const TLBLine *line)
{
    TLBTable *tab = current_table(t, idx);
    vaddr page;
    t->nfills++;
    spin_lock(&t->lock);
    if (!tab->line) {
        table_alloc_locked(tab, MIN_LINES);
        for (unsigned k = 0; k < TLB_VICTIMS; k++) {
            line_clear(&tab->victim[k].e);
        }
    } else if (tab->evictions > tab->n / 2 && tab->n < MAX_LINES) {
        table_grow_locked(tab);
        t->ngrown++;
    }
    uint32_t i = line_index(tab, va);
    if (line_page(&tab->line[i], &page) && page != (va & TLB_PAGE_MASK)) {
        tab->evictions++;
        tab->victim[tab->next_victim++ % TLB_VICTIMS] = (TLBLine){ tab->line[i], tab->full[i] };
    }
    /* An older line for the page, with fewer rights, may be a victim; it must not come back. */
    for (unsigned k = 0; k < TLB_VICTIMS; k++) {
        if (line_page(&tab->victim[k].e, &page) && page == (va & TLB_PAGE_MASK)) {
            line_clear(&tab->victim[k].e);
        }
    }
    tab->line[i] = line->e;
    tab->full[i] = line->full;
    tab->fills++;
    t->common_mixed |= (t->common_modes >> idx & 1) && !line->full.global;
    if (line->full.page_bits > HOST_PAGE_BITS) {
        table_note_large_locked(tab, va, line->full.page_bits);
    }
    spin_unlock(&t->lock);
    env_show_table(t, idx);
    return &tab->line[i];
}

/* ---- flushing ---- */

void soft_tlb_flush_all(SoftTLB *t)
{
    spin_lock(&t->lock);
    for (TLBSpace *s = t->space; s < t->common; s++) {
        if (s == t->current) {
            space_clear_locked(s);
        } else {
            s->valid = false;   /* cleared when it is used again */
        }
    }
    space_clear_locked(t->common);
    t->common_mixed = false;
    spin_unlock(&t->lock);
    env_show_space(t);
}

void soft_tlb_flush_range(SoftTLB *t, vaddr *start, vaddr *last, uint64_t id)
{
    bool all = id == SOFT_TLB_ALL_SPACES;
    spin_lock(&t->lock);
    for (TLBSpace *s = t->space; s <= t->common; s++) {
        bool mixed = s == t->common && t->common_mixed && t->current->id == id;
        if (s->valid && (all || mixed || s->id == id)) {
            space_flush_locked(s, start, last, !all);
        }
    }
    spin_unlock(&t->lock);
    host_forget_pages(t->env, *start, *last);
}

void soft_tlb_flush_space(SoftTLB *t, uint64_t id)
{
    vaddr start = 0, last = ~0ull;
    if (id == SOFT_TLB_ALL_SPACES) {
        soft_tlb_flush_all(t);
    } else {
        soft_tlb_flush_range(t, &start, &last, id);
    }
}

/* ---- other threads ---- */

/* The line is looked at as it is; only its store tag may change under the owner's eyes. */
static unsigned line_mark_code(HostTLBEntry *e, uintptr_t host)
{
    uint64_t store = __atomic_load_n(&e->store, __ATOMIC_RELAXED);
    if (store & (TLB_INVALID | TLB_IO | TLB_CODE) ||
        (store & TLB_PAGE_MASK) + e->addend != host) {
        return 0;
    }
    __atomic_fetch_or(&e->store, TLB_CODE, __ATOMIC_RELAXED);
    return 1;
}

unsigned soft_tlb_mark_code(SoftTLB *t, uintptr_t host)
{
    unsigned n = 0;
    spin_lock(&t->lock);
    for (TLBSpace *s = t->space; s <= t->common; s++) {
        for (unsigned idx = 0; s->valid && idx < HOST_TLB_MODES; idx++) {
            TLBTable *tab = &s->table[idx];
            for (uint32_t i = 0; tab->line && i < tab->n; i++) {
                n += line_mark_code(&tab->line[i], host);
            }
            for (unsigned k = 0; tab->line && k < TLB_VICTIMS; k++) {
                n += line_mark_code(&tab->victim[k].e, host);
            }
        }
    }
    n += host_forget_stores(t->env, host);
    spin_unlock(&t->lock);
    return n;
}

/* ---- info tlb ---- */

static void print_line(FILE *out, unsigned idx, const HostTLBEntry *e, const TLBFull *full)
{
    vaddr page;
    if (!line_page(e, &page)) {
        return;
    }
    uint64_t store = __atomic_load_n(&e->store, __ATOMIC_RELAXED);
    fprintf(out, "  %u %016" PRIx64 " -> %016" PRIx64 " %c%c%c%s%s%s 2^%u\n", idx, page, full->pa,
            e->load & TLB_INVALID ? '-' : 'r', store & TLB_INVALID ? '-' : 'w',
            e->fetch & TLB_INVALID ? '-' : 'x', full->global ? " global" : "",
            !(e->load & TLB_INVALID) && e->load & TLB_IO ? " i/o" : "",
            !(store & TLB_INVALID) && store & TLB_CODE ? " code" : "", full->page_bits);
}

void soft_tlb_print(FILE *out, SoftTLB *t)
{
    spin_lock(&t->lock);
    fprintf(out, "%" PRIu64 " fills, %" PRIu64 " from victims, grown %" PRIu64 " times, %" PRIu64
            " spaces dropped\n", t->nfills, t->nvictim_hits, t->ngrown, t->nspaces_lost);
    for (TLBSpace *s = t->space; s <= t->common; s++) {
        if (!s->valid) {
            continue;
        }
        if (s == t->common) {
            fprintf(out, "all spaces\n");
        } else {
            fprintf(out, "space %" PRIx64 "%s\n", s->id, s == t->current ? " (current)" : "");
        }
        for (unsigned idx = 0; idx < HOST_TLB_MODES; idx++) {
            const TLBTable *tab = &s->table[idx];
            for (uint32_t i = 0; tab->line && i < tab->n; i++) {
                print_line(out, idx, &tab->line[i], &tab->full[i]);
            }
        }
    }
    spin_unlock(&t->lock);
}
