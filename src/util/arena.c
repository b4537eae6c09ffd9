/*
 * Chunks of the bump allocator. They form one list in the order of use; allocation moves
 * forward through it, reset and rewind move back, and a new chunk goes behind the current
 * one. So a long-lived arena stops calling malloc once it has seen its largest
 * translation.
 *
 * Invariant: [ptr, end) is the free part of `current`, and every chunk behind it is free.
 */
#include "util/arena.h"

#include <stdio.h>
#include <stdlib.h>

#include "util/error.h"

#define DEFAULT_CHUNK_SIZE (64 * 1024)

struct ArenaChunk {
    ArenaChunk *next;
    size_t size; /* of data[] */
    size_t used; /* when it is not the current one */
    _Alignas(ARENA_ALIGN) char data[];
};

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define poison(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define unpoison(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
/* A gap behind each piece, so that running over its end is seen. */
#define RED_ZONE ARENA_ALIGN
#else
#define poison(p, n) ((void)0)
#define unpoison(p, n) ((void)0)
#define RED_ZONE 0
#endif

void arena_init(Arena *a, size_t chunk_size)
{
    *a = (Arena){ .chunk_size = chunk_size ? chunk_size : DEFAULT_CHUNK_SIZE };
}

void arena_destroy(Arena *a)
{
    for (ArenaChunk *c = a->first, *next; c; c = next) {
        next = c->next;
        unpoison(c->data, c->size);
        free(c);
    }
    *a = (Arena){ .chunk_size = a->chunk_size };
}

static void use_chunk(Arena *a, ArenaChunk *c)
{
    if (a->current) {
        a->current->used = (size_t)(a->ptr - a->current->data);
    }
    a->current = c;
    a->ptr = c->data;
    a->end = c->data + c->size;
    poison(c->data, c->size);
}

void arena_reset(Arena *a)
{
    a->current = NULL;
    if (a->first) {
        use_chunk(a, a->first);
    }
}

ArenaMark arena_mark(const Arena *a)
{
    return (ArenaMark){ a->current, a->ptr };
}

void arena_rewind(Arena *a, ArenaMark mark)
{
    if (!mark.chunk) {
        arena_reset(a);
        return;
    }
    a->current = mark.chunk;
    a->ptr = mark.ptr;
    a->end = mark.chunk->data + mark.chunk->size;
    poison(a->ptr, (size_t)(a->end - a->ptr));
}

/* Makes current a chunk with room for @need bytes: the next one if it is large enough. */
static void next_chunk(Arena *a, size_t need)
{
    ArenaChunk *next = a->current ? a->current->next : a->first;
    if (!next || next->size < need) {
        /* Room to spare behind a large piece, for it may be one that grows. */
        size_t size = need >= a->chunk_size ? need + need / 2 : a->chunk_size;
        ArenaChunk *c = xmalloc(sizeof(*c) + size);
        c->size = size;
        c->used = 0;
        c->next = next;
        if (a->current) {
            a->current->next = c;
        } else {
            a->first = c;
        }
        next = c;
    }
    use_chunk(a, next);
}

void *arena_alloc_slow(Arena *a, size_t size)
{
    if (size > PTRDIFF_MAX / 2) {
        fatal("out of memory: %zu bytes", size);
    }
    size_t need = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN + RED_ZONE;
    if (!a->current || (size_t)(a->end - a->ptr) < need) {
        next_chunk(a, need);
    }
    void *p = a->ptr;
    a->ptr += need;
    unpoison(p, size);
    return p;
}

void *arena_calloc(Arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        fatal("out of memory: %zu objects of %zu bytes", n, size);
    }
    return arena_zalloc(a, bytes);
}

void *arena_grow(Arena *a, void *p, size_t old_size, size_t new_size)
{
    size_t held = (old_size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN + RED_ZONE;
    if (p && new_size <= (size_t)PTRDIFF_MAX / 2 && (char *)p + held == a->ptr &&
        (size_t)(a->end - (char *)p) >= new_size + ARENA_ALIGN + RED_ZONE) {
        a->ptr = p;
        return arena_alloc(a, new_size);
    }
    void *q = arena_alloc(a, new_size);
    if (p) {
        memcpy(q, p, old_size < new_size ? old_size : new_size);
    }
    return q;
}

size_t arena_used(const Arena *a)
{
    size_t n = 0;
    for (const ArenaChunk *c = a->first; c && a->current; c = c->next) {
        if (c == a->current) {
            return n + (size_t)(a->ptr - c->data);
        }
        n += c->used;
    }
    return n;
}

size_t arena_capacity(const Arena *a)
{
    size_t n = 0;
    for (const ArenaChunk *c = a->first; c; c = c->next) {
        n += c->size;
    }
    return n;
}
