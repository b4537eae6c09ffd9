/*
 * The growth of vectors; the rest of them is macros in vec.h.
 */
#include "util/vec.h"

#include "util/error.h"

void *vec_grow(void *data, size_t *cap, size_t need, size_t elem_size)
{
    size_t n = *cap < 8 ? 8 : *cap + *cap / 2;
    if (n < need) {
        n = need;
    }
    size_t bytes;
    if (__builtin_mul_overflow(n, elem_size, &bytes)) {
        fatal("out of memory: an array of %zu elements", n);
    }
    *cap = n;
    return xrealloc(data, bytes);
}
