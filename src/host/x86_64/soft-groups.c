/*
 * Which accesses of a unit share one probe of the soft TLB.
 *
 * Accesses through the same value at different distances (a frame's slots, a structure's fields) mostly lie in one
 * page.  They make a group: the first, which every path to the others passes since a unit is a straight
 * line, probes for the group's whole range and keeps the page's addend in a slot of HostEnv; the others take it
 * from there.  The slot is 0 if the probe failed: then each probes for itself.
 *
 * A kept addend is good until the unit's end, or until a helper runs that might change what addresses mean:
 * mappings change by instructions that end the unit, and by work for the vCPU, done between units.  That
 * another thread marks the page as one with translations meanwhile is what exec/settle.c reckons with.
 * Loads and stores have tags of their own, so groups are of one kind; but where the store tag serves, loads are
 * allowed, so a load may join a group of stores.
 *
 * Only the thread that compiles is here.
 */
#include "host/x86_64/soft-tlb.h"

/* Farther apart, a group would lie in two pages too often. */
#define MAX_SPAN 256
#define MAX_GROUPS 64

typedef struct Group {
    uint32_t root;      /* id of the value that addresses are relative to */
    bool store, open;
    uint8_t slot;
    uint16_t members;
    int64_t lo, hi;     /* first and last byte, relative to root */
} Group;

struct SoftGroups {
    uint8_t *of;        /* by instruction: 1 + its group, 0: none */
    bool *leads;        /* by instruction: the first of its group */
    unsigned n;
    Group group[MAX_GROUPS];
};

/* The value that an address is a constant away from. */
static uint32_t find_root(const Ctx *c, IRRef ref, int64_t *offset)
{
    uint64_t sum = 0;
    uint32_t id = ctx_id(c, ref);
    while (id < c->f->nins) {
        const IRIns *ins = ctx_ins(c, id);
        if (ins->op != IR_ADD || ins->type != IR_I64 || !ctx_is_const(c, ins->arg[1])) {
            break;
        }
        sum += (uint64_t)ctx_imm(c, ins->arg[1]);
        id = ctx_id(c, ins->arg[0]);
    }
    *offset = (int64_t)sum;
    return id;
}

static bool group_takes(Group *g, uint32_t root, bool store, int64_t lo, int64_t hi)
{
    if (!g->open || g->root != root || (store && !g->store)) {
        return false;
    }
    lo = lo < g->lo ? lo : g->lo;
    hi = hi > g->hi ? hi : g->hi;
    if (hi - lo >= MAX_SPAN) {
        return false;
    }
    g->lo = lo;
    g->hi = hi;
    g->members++;
    return true;
}

static void add_access(Ctx *c, SoftGroups *s, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    int64_t offset;
    uint32_t root = find_root(c, ins->arg[0], &offset);
    int64_t lo = (int64_t)((uint64_t)offset + (uint64_t)ins->imm);
    int64_t hi = (int64_t)((uint64_t)lo + ((1u << (ins->aux & MO_SIZE)) - 1));
    bool store = ins->op == IR_ST;
    if (!fits_signed(ins->imm, 31) || !fits_signed(lo, 48)) {
        return;
    }
    /* The newest first. */
    for (unsigned k = s->n; k-- > 0;) {
        if (group_takes(&s->group[k], root, store, lo, hi)) {
            s->of[i] = (uint8_t)(k + 1);
            return;
        }
    }
    if (s->n < MAX_GROUPS) {
        s->group[s->n++] = (Group){ .root = root, .store = store, .open = true, .members = 1, .lo = lo, .hi = hi };
        s->of[i] = (uint8_t)s->n;
        s->leads[i] = true;
    }
}

static void close_groups(SoftGroups *s)
{
    for (unsigned k = 0; k < s->n; k++) {
        s->group[k].open = false;
    }
}

void soft_groups_find(Ctx *c)
{
    SoftGroups *s = arena_alloc(c->arena, sizeof *s);
    s->n = 0;
    s->of = arena_zalloc(c->arena, c->f->nins);
    s->leads = arena_zalloc(c->arena, c->f->nins * sizeof *s->leads);
    for (IRRef i = 1; i < c->f->nins; i++) {
        const IRIns *ins = ctx_ins(c, i);
        if ((ins->op == IR_LD || ins->op == IR_ST) && !(ins->aux & MO_ALIGN)) {
            add_access(c, s, i);
        } else if (ins->op == IR_CALL && !(c->guest->helpers[ins->imm].flags & IRH_PURE)) {
            close_groups(s);
        }
    }
    unsigned slots = 0;
    for (unsigned k = 0; k < s->n; k++) {
        Group *g = &s->group[k];
        g->slot = g->members > 1 && slots < HOST_PAGE_SLOTS ? (uint8_t)slots++ : HOST_PAGE_SLOTS;
    }
    c->groups = s;
    c->last_page = (unsigned)(c->f->pc * 0x9e3779b97f4a7c15ull >> 32);
}

SoftRole soft_role(const Ctx *c, IRRef i)
{
    const SoftGroups *s = c->groups;
    if (!s->of[i] || s->group[s->of[i] - 1].slot == HOST_PAGE_SLOTS) {
        return SOFT_ALONE;
    }
    return s->leads[i] ? SOFT_LEADS : SOFT_FOLLOWS;
}

unsigned soft_range(const Ctx *c, IRRef i, int32_t *first, int32_t *last)
{
    const Group *g = &c->groups->group[c->groups->of[i] - 1];
    int64_t offset;
    find_root(c, ctx_ins(c, i)->arg[0], &offset);
    *first = (int32_t)(g->lo - offset);
    *last = (int32_t)(g->hi - offset);
    return g->slot;
}
