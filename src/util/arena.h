/*
 * Arena: a bump allocator for what lives as long as one translation. Nothing is freed
 * item by item; arena_reset() forgets everything and keeps the chunks for the next
 * translation.
 *
 * One thread at a time. No locks; memory comes from malloc, fatal() if there is none.
 * Builds with AddressSanitizer poison what has not been handed out.
 */
#ifndef UTIL_ARENA_H
#define UTIL_ARENA_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "util/compiler.h"

#define ARENA_ALIGN 16

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

typedef struct ArenaChunk ArenaChunk;

typedef struct Arena {
    char *ptr, *end;     /* free part of the current chunk */
    ArenaChunk *first;   /* all chunks, in order of use */
    ArenaChunk *current; /* NULL before the first allocation after init or reset */
    size_t chunk_size;
} Arena;

/* A place to go back to; valid until an earlier one is gone back to. */
typedef struct ArenaMark {
    ArenaChunk *chunk;
    char *ptr;
} ArenaMark;

/* @chunk_size in bytes; 0 = 64 KiB. Larger requests get chunks of their own. */
void arena_init(Arena *a, size_t chunk_size);
void arena_destroy(Arena *a);
void arena_reset(Arena *a);
ArenaMark arena_mark(const Arena *a);
void arena_rewind(Arena *a, ArenaMark mark);

void *arena_alloc_slow(Arena *a, size_t size);

/* @size bytes, aligned to ARENA_ALIGN, not initialised. Size 0 gives a valid pointer. */
static inline void *arena_alloc(Arena *a, size_t size)
{
#ifndef ARENA_ASAN
    size_t need = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (likely(need >= size && need <= (size_t)(a->end - a->ptr) && a->ptr)) {
        void *p = a->ptr;
        a->ptr += need;
        return p;
    }
#endif
    return arena_alloc_slow(a, size);
}

static inline void *arena_zalloc(Arena *a, size_t size)
{
    return memset(arena_alloc(a, size), 0, size);
}

/* As arena_alloc(n * size) / arena_zalloc(n * size); fatal() if that overflows. */
void *arena_calloc(Arena *a, size_t n, size_t size);

/* Copies the first @old_size bytes of @p (which may be NULL) to a larger piece; in place
 * if @p was the last one handed out and there is room. */
void *arena_grow(Arena *a, void *p, size_t old_size, size_t new_size);

/* Zeroed objects. */
#define arena_array(a, type, n) ((type *)arena_calloc((a), (n), sizeof(type)))

/* Bytes handed out since the last reset, and bytes of all chunks. */
size_t arena_used(const Arena *a);
size_t arena_capacity(const Arena *a);

#endif
