/*
 * State tables: the fields that make up the state of an object, declared once in a table, from which it is
 * saved and loaded again.
 *
 *     static const StateField uart_fields[] = {
 *         STATE(UART, ier), STATE(UART, fifo), STATE_BELOW(UART, head, FIFO_SIZE), STATE_END
 *     };
 *
 * A table names what the guest can tell; what follows from it (interrupt lines, host addresses, timers) is made
 * again by StateTable.loaded().  What was saved can be loaded only by a table of the same layout, whose
 * checksum stands beside it; so a field that is added or that changes its size makes old files
 * foreign, and nobody has to remember a version number.
 *
 * Bytes that are loaded may come from anywhere: values that index something are declared with their
 * limit, and `loaded` refuses what makes no sense.  No threads and no locks here: nobody else may change the
 * object meanwhile.  Integers are little endian, as on all hosts there are.
 */
#ifndef UTIL_STATE_H
#define UTIL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum StateKind {
    STATE_KIND_END,
    STATE_KIND_BYTES,           /* an integer or an array of integers, as it lies in memory */
    STATE_KIND_BOOL,
    STATE_KIND_LIMITED,         /* an unsigned integer below `limit` */
    STATE_KIND_OBJECTS,         /* an embedded struct, or an array of `count` of them */
    STATE_KIND_POINTED,         /* a pointer to an array whose length is a 32-bit field at limit_offset */
    STATE_KIND_CALL,            /* 64 bits that get() and set() stand for; no set(): they must be the same */
    STATE_KIND_MORE,            /* the fields of the same object that more() names */
} StateKind;

typedef struct StateField {
    const char *name;
    StateKind kind;
    uint32_t offset;
    uint32_t size;              /* bytes: of all; OBJECTS and POINTED: of one element */
    uint32_t count;             /* OBJECTS */
    uint32_t length_offset;     /* POINTED */
    uint64_t limit;             /* LIMITED */
    const struct StateField *fields;    /* OBJECTS, POINTED */
    uint64_t (*get)(const void *object);
    void (*set)(void *object, uint64_t value);
    const struct StateField *(*more)(const void *object);
} StateField;

#define STATE_SIZEOF(T, f) ((uint32_t)sizeof(((T *)0)->f))
/* An integer, a bool, or an array of integers. */
#define STATE(T, f)                                                                          \
    { .name = #f, .offset = offsetof(T, f), .size = STATE_SIZEOF(T, f),                      \
      .kind = _Generic(((T *)0)->f, bool: STATE_KIND_BOOL, default: STATE_KIND_BYTES) }
#define STATE_BELOW(T, f, end)                                                               \
    { .name = #f, .offset = offsetof(T, f), .size = STATE_SIZEOF(T, f),                      \
      .kind = STATE_KIND_LIMITED, .limit = (end) }
#define STATE_OBJECT(T, f, table)                                                            \
    { .name = #f, .offset = offsetof(T, f), .size = STATE_SIZEOF(T, f),                      \
      .kind = STATE_KIND_OBJECTS, .count = 1, .fields = (table) }
#define STATE_OBJECTS(T, f, table)                                                           \
    { .name = #f, .offset = offsetof(T, f), .size = STATE_SIZEOF(T, f[0]),                   \
      .kind = STATE_KIND_OBJECTS, .count = STATE_SIZEOF(T, f) / STATE_SIZEOF(T, f[0]), .fields = (table) }
#define STATE_POINTED(T, f, length, table)                                                   \
    { .name = #f, .offset = offsetof(T, f), .size = STATE_SIZEOF(T, f[0]),                   \
      .kind = STATE_KIND_POINTED, .length_offset = offsetof(T, length), .fields = (table) }
#define STATE_CALL(what, getter, setter)                                                     \
    { .name = (what), .size = 8, .kind = STATE_KIND_CALL, .get = (getter), .set = (setter) }
/* What a kind of device has beside what all such devices have: by the object. */
#define STATE_MORE(fn) { .name = "more", .kind = STATE_KIND_MORE, .more = (fn) }
#define STATE_END { .kind = STATE_KIND_END }

typedef struct StateTable {
    const StateField *fields;
    /* All fields have been loaded: make what follows from them.  False: they make no sense.  May be NULL. */
    bool (*loaded)(void *object);
} StateTable;

/* Bytes that are written at the end and read from the front. */
typedef struct StateBuffer {
    uint8_t *data;              /* from malloc(); a reader's may be anybody's */
    size_t n, room;
    size_t at;                  /* of reading */
    bool bad;                   /* something was read that was not there, or made no sense */
} StateBuffer;

void state_put(StateBuffer *b, const void *bytes, size_t n);
/* False, bytes zero, and b->bad: there are not as many. */
bool state_get(StateBuffer *b, void *bytes, size_t n);
void state_buffer_free(StateBuffer *b);

/* A checksum of names, kinds and sizes; lengths of pointed arrays, which this object has, count too. */
uint32_t state_layout(const StateTable *t, const void *object);
void state_save(const StateTable *t, const void *object, StateBuffer *out);
/*
 * Load.  False: too short, too long, or nonsense; the object may be half loaded.  Of objects that reach into each
 * other (a device that raises a line of another one) first the fields of all are loaded, then what follows from them is
 * made: else fields overwrite what an earlier object has just made.
 */
bool state_load_fields(const StateTable *t, void *object, StateBuffer *in);
bool state_loaded(const StateTable *t, void *object);
/* Both, for an object on its own. */
bool state_load(const StateTable *t, void *object, StateBuffer *in);

#endif
