/*
 * Growing arrays of any type, owned by one thread:
 *
 *   Vec(uint32_t) v = VEC_INIT;
 *   vec_push(&v, 7);
 *   for (size_t i = 0; i < v.len; i++) use(v.data[i]);
 *   vec_free(&v);
 *
 * Pointers into the data are valid until the next push or reserve. fatal() without
 * memory.
 */
#ifndef UTIL_VEC_H
#define UTIL_VEC_H

#include <stddef.h>
#include <stdlib.h>

#define Vec(type)                                                                        \
    struct {                                                                             \
        type *data;                                                                      \
        size_t len, cap;                                                                 \
    }
#define VEC_INIT { NULL, 0, 0 }

/* Returns @data moved to room for at least @need elements, and sets *cap. */
void *vec_grow(void *data, size_t *cap, size_t need, size_t elem_size);

#define vec_reserve(v, n)                                                                \
    ((size_t)(n) <= (v)->cap                                                             \
         ? (void)0                                                                       \
         : (void)((v)->data = vec_grow((v)->data, &(v)->cap, (n), sizeof(*(v)->data))))
#define vec_push(v, x)                                                                   \
    (vec_reserve((v), (v)->len + 1), (void)((v)->data[(v)->len++] = (x)))
#define vec_free(v)                                                                      \
    (free((v)->data), (v)->data = NULL, (void)((v)->len = (v)->cap = 0))

#endif
