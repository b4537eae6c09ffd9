/*
 * RadixTree: a map from page numbers to elements of fixed size, for page descriptors.
 *
 * Inner nodes are arrays of pointers, leaves are arrays of elements. Nodes appear when
 * first needed and stay until radix_destroy(); so an element, once seen, never moves or
 * goes. Memory comes zeroed from mmap and is touched where it is used: a small program
 * costs a few pages.
 *
 * Guarantees
 *   (A) All calls of radix_get_alloc() with one key return the same element, whatever the
 *       number of threads; radix_get() returns that one or NULL.
 *   (B) Whoever gets an element sees it initialised (zero, or as elem_init left it), and
 *       what was written to the tree before. [RADIX-NODE]
 *   (C) An element's own fields are the caller's business.
 *
 * Progress: radix_get() and radix_foreach_range() are wait-free; radix_get_alloc() is
 * lock-free: of threads that add the same node, one wins and the others free theirs. No
 * locks, so fork() needs nothing, and no malloc: all but init and destroy may be called
 * in a host signal handler.
 */
#ifndef UTIL_RADIX_H
#define UTIL_RADIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/compiler.h"

#define RADIX_MAX_LEVELS 8

/* Called once for each element of a new leaf, before any other thread can see it; perhaps
 * for a leaf that is then dropped. @elem is zeroed. */
typedef void RadixElemInit(void *elem, uint64_t key);

typedef struct RadixTree {
    void *root; /* atomic [RADIX-NODE] */
    /* constant after init */
    uint8_t key_bits;
    uint8_t n_levels;
    uint8_t shift[RADIX_MAX_LEVELS]; /* [0] is the root's, the last one (0) the leaves' */
    uint8_t bits[RADIX_MAX_LEVELS];
    size_t elem_size;
    RadixElemInit *elem_init;
} RadixTree;

/*
 * Keys have @key_bits (1…52) bits, cut into @n_levels (1…8, at most one per bit) parts as
 * equal as possible, the lower levels getting the smaller ones. @elem_size is the stride
 * of the elements. @elem_init may be NULL.
 */
void radix_init(RadixTree *t, unsigned key_bits, unsigned n_levels, size_t elem_size,
                RadixElemInit *elem_init);
/* Unmaps all nodes. No other thread may use the tree. */
void radix_destroy(RadixTree *t);

/* The element of the key, or NULL if it has none yet or the key has too many bits. */
static inline void *radix_get(const RadixTree *t, uint64_t key)
{
    if (unlikely(key >> t->key_bits)) {
        return NULL;
    }
    /* [RADIX-NODE] pairs with the exchange in radix_install(). */
    char *node = __atomic_load_n(&t->root, __ATOMIC_ACQUIRE);
    unsigned last = t->n_levels - 1u;
    for (unsigned l = 0; l < last && node; l++) {
        size_t i = (key >> t->shift[l]) & ((UINT64_C(1) << t->bits[l]) - 1);
        node = __atomic_load_n((void **)node + i, __ATOMIC_ACQUIRE);
    }
    if (unlikely(!node)) {
        return NULL;
    }
    return node + (key & ((UINT64_C(1) << t->bits[last]) - 1)) * t->elem_size;
}

/* The element of the key, made if need be. NULL only if the key has too many bits;
 * fatal() if the host has no memory. */
void *radix_get_alloc(RadixTree *t, uint64_t key);

/*
 * Calls @fn for the elements of all leaves that exist, with keys from @first to @last
 * (both included) in ascending order, touched before or not. Skips absent subtrees, so
 * that huge ranges are cheap. Stops when @fn returns false, and then returns false.
 */
typedef bool RadixVisit(uint64_t key, void *elem, void *opaque);
bool radix_foreach_range(const RadixTree *t, uint64_t first, uint64_t last,
                         RadixVisit *fn, void *opaque);

#endif
