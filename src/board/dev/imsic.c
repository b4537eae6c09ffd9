/*
 * IMSIC.  Each interrupt file is under a spinlock of rank IRQ, since messages come from any thread under its own
 * locks; the hart's line is set under it, so that the order of the line's changes is that of their causes.
 */
#include "board/dev/imsic.h"

#include <string.h>

#include "util/error.h"
#include "util/lock.h"

#define WORDS ((IMSIC_IDS + 1) / 64)

/* Numbers of the registers behind *iselect, "Interrupt file registers". */
enum { EIDELIVERY = 0x70, EITHRESHOLD = 0x72, EIP0 = 0x80, EIE0 = 0xc0, EIE63 = 0xff };
enum { SETEIPNUM_LE = 0, SETEIPNUM_BE = 4 };

typedef struct InterruptFile {
    IRQLine line;               /* constant */
    SpinLock lock;              /* rank IRQ */
    /* guarded by lock */
    uint64_t pending[WORDS], enabled[WORDS];
    uint32_t threshold;         /* 0: none; else identities from here on do not interrupt */
    bool delivery;
    bool level;                 /* of the line */
} InterruptFile;

struct IMSIC {
    uint32_t nharts;            /* constant */
    InterruptFile *files;
};

static uint32_t top_locked(const InterruptFile *f)
{
    for (unsigned w = 0; w < WORDS; w++) {
        uint64_t ready = f->pending[w] & f->enabled[w];
        if (ready) {
            uint32_t id = w * 64 + (uint32_t)__builtin_ctzll(ready);
            return !f->threshold || id < f->threshold ? id : 0;
        }
    }
    return 0;
}

static bool is_due_locked(const InterruptFile *f)
{
    return f->delivery && top_locked(f);
}

static void update_locked(InterruptFile *f)
{
    bool level = is_due_locked(f);
    if (level != f->level) {
        f->level = level;
        irq_set(&f->line, level);
    }
}

void imsic_message(IMSIC *s, unsigned hart, uint32_t id)
{
    if (hart >= s->nharts || !id || id > IMSIC_IDS) {
        return;
    }
    InterruptFile *f = &s->files[hart];
    spin_lock(&f->lock);
    f->pending[id / 64] |= 1ull << id % 64;
    update_locked(f);
    spin_unlock(&f->lock);
}

uint32_t imsic_top(IMSIC *s, unsigned hart, bool claim)
{
    InterruptFile *f = &s->files[hart];
    spin_lock(&f->lock);
    uint32_t id = top_locked(f);
    if (claim && id) {
        f->pending[id / 64] &= ~(1ull << id % 64);
        update_locked(f);
    }
    spin_unlock(&f->lock);
    return id << 16 | id;
}

static bool access_locked(InterruptFile *f, unsigned reg, uint64_t mask, uint64_t value, uint64_t *old)
{
    uint64_t v;
    if (reg == EIDELIVERY) {
        *old = f->delivery;
        v = (*old & ~mask) | (value & mask);
        f->delivery = v <= 1 ? v : f->delivery;
        return true;
    }
    if (reg == EITHRESHOLD) {
        *old = f->threshold;
        v = (*old & ~mask) | (value & mask);
        f->threshold = v <= IMSIC_IDS ? (uint32_t)v : f->threshold;
        return true;
    }
    if (reg < EIP0 || reg > EIE63 || (reg & 1)) {
        return false;           /* 64 bits wide: the odd ones are not there */
    }
    unsigned w = (reg & 0x3f) / 2;
    uint64_t *word = reg < EIE0 ? &f->pending[w] : &f->enabled[w];
    *old = w < WORDS ? *word : 0;
    mask &= w == 0 ? ~1ull : ~0ull;
    if (w < WORDS) {
        *word = (*word & ~mask) | (value & mask);
    }
    return true;
}

bool imsic_access(IMSIC *s, unsigned hart, unsigned reg, uint64_t mask, uint64_t value, uint64_t *old)
{
    InterruptFile *f = &s->files[hart];
    spin_lock(&f->lock);
    bool good = access_locked(f, reg, mask, value, old);
    update_locked(f);
    spin_unlock(&f->lock);
    return good;
}

/* ---- Messages as stores ---- */

static uint64_t imsic_read(void *opaque, hwaddr offset, unsigned size)
{
    return 0;
}

static void imsic_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    unsigned hart = (unsigned)(offset / IMSIC_PAGE);
    switch (offset % IMSIC_PAGE) {
    case SETEIPNUM_LE:
        imsic_message(opaque, hart, (uint32_t)value);
        break;
    case SETEIPNUM_BE:
        imsic_message(opaque, hart, __builtin_bswap32((uint32_t)value));
        break;
    }
}

const MMIOOps imsic_ops = { imsic_read, imsic_write, 4, 4 };

/* ---- Reset and state ---- */

static void reset(void *opaque)
{
    IMSIC *s = opaque;
    for (unsigned i = 0; i < s->nharts; i++) {
        InterruptFile *f = &s->files[i];
        spin_lock(&f->lock);
        memset(f->pending, 0, sizeof(f->pending));
        memset(f->enabled, 0, sizeof(f->enabled));
        f->threshold = 0;
        f->delivery = f->level = false;
        irq_set(&f->line, false);
        spin_unlock(&f->lock);
    }
}

static const StateField file_fields[] = {
    STATE(InterruptFile, pending), STATE(InterruptFile, enabled), STATE_BELOW(InterruptFile, threshold, IMSIC_IDS + 1),
    STATE(InterruptFile, delivery), STATE_END
};

static const StateField imsic_fields[] = { STATE_POINTED(IMSIC, files, nharts, file_fields), STATE_END };

static bool loaded(void *opaque)
{
    IMSIC *s = opaque;
    for (unsigned i = 0; i < s->nharts; i++) {
        InterruptFile *f = &s->files[i];
        f->pending[0] &= ~1ull;
        f->enabled[0] &= ~1ull;
        f->level = is_due_locked(f);    /* nobody else is there */
        irq_set(&f->line, f->level);
    }
    return true;
}

const DeviceClass imsic_class = {
    .name = "imsic", .reset = reset, .state = &(const StateTable){ imsic_fields, loaded },
};

IMSIC *imsic_create(const IRQLine *lines, unsigned nharts)
{
    IMSIC *s = xcalloc(1, sizeof(*s));
    s->nharts = nharts;
    s->files = xcalloc(nharts, sizeof(*s->files));
    for (unsigned i = 0; i < nharts; i++) {
        s->files[i].line = lines[i];
        spin_init(&s->files[i].lock, LOCK_RANK_IRQ);
    }
    return s;
}
