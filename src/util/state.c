/*
 * Walks over state tables: one function visits the fields, and what it does at each is layout, save or load.
 *
 * Stores are relaxed atomics of the field's size where it is 1, 2, 4 or 8 bytes: threads that look at a
 * hint meanwhile see an old value or a new one.
 */
#include "util/state.h"

#include <stdlib.h>
#include <string.h>

#include "util/error.h"

/* ---- buffers ---- */

void state_put(StateBuffer *b, const void *bytes, size_t n)
{
    if (n > b->room - b->n) {
        size_t room = b->room * 2 > b->n + n ? b->room * 2 : b->n + n + 256;
        b->data = xrealloc(b->data, room);
        b->room = room;
    }
    memcpy(b->data + b->n, bytes, n);
    b->n += n;
}

bool state_get(StateBuffer *b, void *bytes, size_t n)
{
    if (n > b->n - b->at) {
        memset(bytes, 0, n);
        b->bad = true;
        return false;
    }
    memcpy(bytes, b->data + b->at, n);
    b->at += n;
    return true;
}

void state_buffer_free(StateBuffer *b)
{
    free(b->data);
    *b = (StateBuffer){ 0 };
}

/* ---- the walk ---- */

typedef void FieldVisitor(const StateField *f, uint8_t *object, void *opaque);

static void visit(const StateField *f, uint8_t *object, FieldVisitor *fn, void *opaque)
{
    for (; f->kind != STATE_KIND_END; f++) {
        uint8_t *first = object + f->offset;
        uint32_t count = f->count;
        fn(f, object, opaque);
        if (f->kind == STATE_KIND_MORE) {
            visit(f->more(object), object, fn, opaque);
        }
        if (f->kind == STATE_KIND_POINTED) {
            memcpy(&first, object + f->offset, sizeof(first));
            memcpy(&count, object + f->length_offset, sizeof(count));
        }
        for (uint32_t i = 0; f->fields && i < count; i++) {
            visit(f->fields, first + (size_t)i * f->size, fn, opaque);
        }
    }
}

static void hash_bytes(uint32_t *hash, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++) {
        *hash = (*hash ^ p[i]) * 16777619u;         /* FNV-1a */
    }
}

static void hash_field(const StateField *f, uint8_t *object, void *opaque)
{
    uint32_t shape[2] = { f->kind, f->fields ? f->count : f->size };
    hash_bytes(opaque, f->name, strlen(f->name) + 1);
    hash_bytes(opaque, shape, sizeof(shape));
}

uint32_t state_layout(const StateTable *t, const void *object)
{
    uint32_t hash = 2166136261u;
    visit(t->fields, (uint8_t *)object, hash_field, &hash);
    return hash;
}

static void save_field(const StateField *f, uint8_t *object, void *opaque)
{
    if (f->kind == STATE_KIND_CALL) {
        uint64_t value = f->get(object);
        state_put(opaque, &value, 8);
    } else if (!f->fields && f->kind != STATE_KIND_MORE) {
        state_put(opaque, object + f->offset, f->size);
    }
}

void state_save(const StateTable *t, const void *object, StateBuffer *out)
{
    visit(t->fields, (uint8_t *)object, save_field, out);
}

static void store(uint8_t *to, uint64_t value, uint32_t size)
{
    switch (size) {
    case 1: __atomic_store_n(to, (uint8_t)value, __ATOMIC_RELAXED); break;
    case 2: __atomic_store_n((uint16_t *)to, (uint16_t)value, __ATOMIC_RELAXED); break;
    case 4: __atomic_store_n((uint32_t *)to, (uint32_t)value, __ATOMIC_RELAXED); break;
    default: __atomic_store_n((uint64_t *)to, value, __ATOMIC_RELAXED); break;
    }
}

static void load_field(const StateField *f, uint8_t *object, void *opaque)
{
    StateBuffer *in = opaque;
    uint64_t value = 0;
    if (f->fields || f->kind == STATE_KIND_MORE || in->bad) {
        return;
    }
    if (f->kind == STATE_KIND_BYTES && f->size != 1 && f->size != 2 && f->size != 4 && f->size != 8) {
        state_get(in, object + f->offset, f->size);
        return;
    }
    braid_assert(f->size <= 8);
    if (!state_get(in, &value, f->size)) {
        return;
    }
    if ((f->kind == STATE_KIND_BOOL && value > 1) || (f->kind == STATE_KIND_LIMITED && value >= f->limit)) {
        in->bad = true;
    } else if (f->kind == STATE_KIND_CALL && !f->set) {
        in->bad = value != f->get(object);
    } else if (f->kind == STATE_KIND_CALL) {
        f->set(object, value);
    } else {
        store(object + f->offset, value, f->size);
    }
}

bool state_load_fields(const StateTable *t, void *object, StateBuffer *in)
{
    visit(t->fields, object, load_field, in);
    return !in->bad && in->at == in->n;
}

bool state_loaded(const StateTable *t, void *object)
{
    return !t->loaded || t->loaded(object);
}

bool state_load(const StateTable *t, void *object, StateBuffer *in)
{
    return state_load_fields(t, object, in) && state_loaded(t, object);
}
