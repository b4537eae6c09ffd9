/*
 * The nodes of radix trees: how they are made, and the walk over a range. See radix.h for
 * the guarantees.
 *
 * Invariant: a slot goes from NULL to a node once, by compare-exchange, and never changes
 * again; so a walk never needs to look back. A node is complete (zeroed or initialised)
 * before the exchange.
 */
#include "util/radix.h"

#include <sys/mman.h>

#include "util/bitops.h"
#include "util/error.h"

void radix_init(RadixTree *t, unsigned key_bits, unsigned n_levels, size_t elem_size,
                RadixElemInit *elem_init)
{
    braid_assert(key_bits >= 1 && key_bits <= 52);
    braid_assert(n_levels >= 1 && n_levels <= RADIX_MAX_LEVELS && n_levels <= key_bits);
    braid_assert(elem_size > 0);
    *t = (RadixTree){ .key_bits = (uint8_t)key_bits,
                      .n_levels = (uint8_t)n_levels,
                      .elem_size = elem_size,
                      .elem_init = elem_init };
    unsigned shift = key_bits;
    for (unsigned l = 0; l < n_levels; l++) {
        unsigned bits = (shift + n_levels - l - 1) / (n_levels - l);
        shift -= bits;
        t->bits[l] = (uint8_t)bits;
        t->shift[l] = (uint8_t)shift;
    }
}

static size_t node_size(const RadixTree *t, unsigned level)
{
    size_t unit = level + 1u == t->n_levels ? t->elem_size : sizeof(void *);
    return align_up(unit << t->bits[level], 4096);
}

/* @key: any key below the node. */
static void *new_node(const RadixTree *t, unsigned level, uint64_t key)
{
    bool leaf = level + 1u == t->n_levels;
    void *node = mmap(NULL, node_size(t, level), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
                          (leaf && t->elem_init ? MAP_POPULATE : 0),
                      -1, 0);
    if (node == MAP_FAILED) {
        fatal("out of memory: %zu bytes for a page table", node_size(t, level));
    }
    if (leaf && t->elem_init) {
        size_t n = (size_t)1 << t->bits[level];
        uint64_t first = align_down(key, n);
        for (size_t i = 0; i < n; i++) {
            t->elem_init((char *)node + i * t->elem_size, first + i);
        }
    }
    return node;
}

/* Puts a new node into the slot, unless another thread was faster. Returns what is there.
 * */
static void *radix_install(const RadixTree *t, void **slot, unsigned level, uint64_t key)
{
    void *node = new_node(t, level, key);
    void *seen = NULL;
    /* [RADIX-NODE] pairs with the loads in radix_get() and visit_node(); the failing
     * thread loads the winner's node. */
    if (__atomic_compare_exchange_n(slot, &seen, node, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        return node;
    }
    munmap(node, node_size(t, level));
    return seen;
}

void *radix_get_alloc(RadixTree *t, uint64_t key)
{
    if (key >> t->key_bits) {
        return NULL;
    }
    void **slot = &t->root;
    for (unsigned l = 0;; l++) {
        char *node = __atomic_load_n(slot, __ATOMIC_ACQUIRE); /* [RADIX-NODE] */
        if (!node) {
            node = radix_install(t, slot, l, key);
        }
        size_t i = (key >> t->shift[l]) & mask64(t->bits[l]);
        if (l + 1u == t->n_levels) {
            return node + i * t->elem_size;
        }
        slot = (void **)node + i;
    }
}

typedef struct RadixWalk {
    const RadixTree *tree;
    uint64_t first, last;
    RadixVisit *fn;
    void *opaque;
} RadixWalk;

/* The part of [first, last] that lies below this node, whose lowest key is @base. */
static bool visit_node(const RadixWalk *w, char *node, unsigned level, uint64_t base)
{
    const RadixTree *t = w->tree;
    unsigned shift = t->shift[level];
    uint64_t n = UINT64_C(1) << t->bits[level];
    uint64_t from = w->first <= base ? 0 : (w->first - base) >> shift;
    uint64_t to = (w->last - base) >> shift;
    if (to >= n) {
        to = n - 1;
    }
    for (uint64_t i = from; i <= to; i++) {
        if (level + 1u == t->n_levels) {
            if (!w->fn(base + i, node + i * t->elem_size, w->opaque)) {
                return false;
            }
            continue;
        }
        char *child =
            __atomic_load_n((void **)node + i, __ATOMIC_ACQUIRE); /* [RADIX-NODE] */
        if (child && !visit_node(w, child, level + 1, base + (i << shift))) {
            return false;
        }
    }
    return true;
}

bool radix_foreach_range(const RadixTree *t, uint64_t first, uint64_t last,
                         RadixVisit *fn, void *opaque)
{
    uint64_t max = mask64(t->key_bits);
    char *root = __atomic_load_n(&t->root, __ATOMIC_ACQUIRE); /* [RADIX-NODE] */
    if (!root || first > max || first > last) {
        return true;
    }
    RadixWalk w = { t, first, last < max ? last : max, fn, opaque };
    return visit_node(&w, root, 0, 0);
}

static void free_node(const RadixTree *t, char *node, unsigned level)
{
    if (level + 1u < t->n_levels) {
        for (size_t i = 0; i < (size_t)1 << t->bits[level]; i++) {
            char *child = ((char **)node)[i];
            if (child) {
                free_node(t, child, level + 1);
            }
        }
    }
    munmap(node, node_size(t, level));
}

void radix_destroy(RadixTree *t)
{
    if (t->root) {
        free_node(t, t->root, 0);
        t->root = NULL;
    }
}
