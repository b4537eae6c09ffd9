/*
 * The bytes of 9P messages: little-endian integers, and strings with a 16-bit length.
 *
 * A reader that has come to its end gives zeros and is `bad`; a writer without room is `full`.  Both are looked at
 * once, when the message is done.
 */
#ifndef BRAID_BOARD_P9_MESSAGE_H
#define BRAID_BOARD_P9_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

enum { P9_HEADER = 7, P9_QID_SIZE = 13, P9_NAME_MAX = 255, P9_TEXT_MAX = 4095 };

typedef struct P9Reader {
    const uint8_t *at;
    size_t left;
    bool bad;
} P9Reader;

typedef struct P9Writer {
    uint8_t *start;
    size_t n, room;
    bool full;
} P9Writer;

static inline const uint8_t *p9_take(P9Reader *r, size_t n)
{
    const uint8_t *p = r->at;
    if (r->bad || n > r->left) {
        r->bad = true;
        return NULL;
    }
    r->at += n;
    r->left -= n;
    return p;
}

static inline uint64_t p9_get(P9Reader *r, unsigned n)
{
    uint64_t v = 0;
    const uint8_t *p = p9_take(r, n);
    if (p) {
        memcpy(&v, p, n);
    }
    return v;
}

static inline uint8_t p9_get8(P9Reader *r) { return (uint8_t)p9_get(r, 1); }
static inline uint16_t p9_get16(P9Reader *r) { return (uint16_t)p9_get(r, 2); }
static inline uint32_t p9_get32(P9Reader *r) { return (uint32_t)p9_get(r, 4); }
static inline uint64_t p9_get64(P9Reader *r) { return p9_get(r, 8); }

/* A string of at most room - 1 bytes, none of them 0, with a 0 behind it; else bad, and "". */
static inline void p9_get_string(P9Reader *r, char *text, size_t room)
{
    size_t n = p9_get16(r);
    const uint8_t *p = p9_take(r, n);
    text[0] = 0;
    if (!p || n >= room || memchr(p, 0, n)) {
        r->bad = true;
        return;
    }
    memcpy(text, p, n);
    text[n] = 0;
}

/* Room for n bytes that the caller fills; NULL: there is none. */
static inline uint8_t *p9_room(P9Writer *w, size_t n)
{
    if (w->full || n > w->room - w->n) {
        w->full = true;
        return NULL;
    }
    w->n += n;
    return w->start + w->n - n;
}

static inline void p9_put(P9Writer *w, uint64_t v, unsigned n)
{
    uint8_t *p = p9_room(w, n);
    if (p) {
        memcpy(p, &v, n);
    }
}

static inline void p9_put8(P9Writer *w, uint8_t v) { p9_put(w, v, 1); }
static inline void p9_put16(P9Writer *w, uint16_t v) { p9_put(w, v, 2); }
static inline void p9_put32(P9Writer *w, uint32_t v) { p9_put(w, v, 4); }
static inline void p9_put64(P9Writer *w, uint64_t v) { p9_put(w, v, 8); }

static inline void p9_put_string(P9Writer *w, const char *text, size_t n)
{
    p9_put16(w, (uint16_t)n);
    uint8_t *p = p9_room(w, n);
    if (p) {
        memcpy(p, text, n);
    }
}

/* The kind of a file as a qid has it, from the mode; a number that is the file's own, from inode and device. */
static inline void p9_put_qid(P9Writer *w, mode_t mode, uint64_t inode, uint64_t device, uint32_t version)
{
    p9_put8(w, S_ISDIR(mode) ? 0x80 : S_ISLNK(mode) ? 0x02 : 0);
    p9_put32(w, version);
    p9_put64(w, inode ^ device << 48 ^ device >> 16);
}

#endif
