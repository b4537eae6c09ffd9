/*
 * PLIC: collects the devices' interrupt lines and offers each context (a hart's M or S mode)
 * the most urgent one.
 *
 * Everything is under one spinlock of rank IRQ, since devices raise their lines under locks of their
 * own; sections are a few dozen instructions (three words of sources).  Harts are told through the
 * contexts' lines under the lock, so that the order of a line's changes is that of their causes.
 *
 * Each source has a gateway (PLIC specification, "Interrupt Gateways"): a level that is high makes one
 * request; the next one is made when the handler completes and the level still is high.  A request
 * stays although the level falls again.
 */
#include "board/dev/plic.h"

#include "util/bitops.h"
#include "util/error.h"
#include "util/lock.h"

#define WORDS ((PLIC_SOURCES + 1 + 31) / 32)
#define PRIORITY_MASK 7u
/* The sources of word w that exist. */
#define EXISTING(w) ((w) == 0 ? ~1u : (w) == WORDS - 1 ? (2u << PLIC_SOURCES % 32) - 1 : ~0u)

enum {
    REG_PRIORITY = 0,
    REG_PENDING = 0x1000,
    REG_ENABLE = 0x2000,
    ENABLE_STRIDE = 0x80,
    REG_CONTEXT = 0x200000,
    CONTEXT_STRIDE = 0x1000,
};

typedef struct PLICContext {
    IRQLine line;               /* constant */
    uint32_t enable[WORDS];
    uint32_t threshold;
    bool level;                 /* of the line */
} PLICContext;

struct PLIC {
    SpinLock lock;              /* rank IRQ */
    unsigned ncontexts;         /* constant */
    /* guarded by lock */
    uint32_t level[WORDS];      /* the inputs */
    uint32_t pending[WORDS];
    uint32_t served[WORDS];     /* claimed and not completed: the gateway is shut */
    uint32_t priority[PLIC_SOURCES + 1];
    PLICContext *contexts;
};

/* The most urgent source for a context, 0 if none passes its threshold. */
static unsigned find_best_locked(const PLIC *p, const PLICContext *c, uint32_t threshold)
{
    unsigned best = 0;
    uint32_t best_priority = threshold;
    for (unsigned w = 0; w < WORDS; w++) {
        uint32_t ready = p->pending[w] & c->enable[w];
        for (; ready; ready &= ready - 1) {
            unsigned n = w * 32 + (unsigned)__builtin_ctz(ready);
            if (p->priority[n] > best_priority) {
                best = n;
                best_priority = p->priority[n];
            }
        }
    }
    return best;
}

static bool is_due_locked(const PLIC *p, const PLICContext *c)
{
    return find_best_locked(p, c, c->threshold) != 0;
}

static void update_locked(PLIC *p)
{
    for (unsigned i = 0; i < p->ncontexts; i++) {
        PLICContext *c = &p->contexts[i];
        bool level = is_due_locked(p, c);
        if (level != c->level) {
            c->level = level;
            irq_set(&c->line, level);
        }
    }
}

/* Gateways that are open and see a high level make a request. */
static bool open_gateway_locked(PLIC *p, unsigned w)
{
    uint32_t more = p->level[w] & ~p->served[w] & ~p->pending[w];
    p->pending[w] |= more;
    return more != 0;
}

static void set_input(void *opaque, unsigned n, bool level)
{
    PLIC *p = opaque;
    uint32_t bit = 1u << (n % 32);
    spin_lock(&p->lock);
    p->level[n / 32] = level ? p->level[n / 32] | bit : p->level[n / 32] & ~bit;
    if (level && open_gateway_locked(p, n / 32)) {
        update_locked(p);
    }
    spin_unlock(&p->lock);
}

IRQLine plic_input(PLIC *p, unsigned n)
{
    braid_assert(n > 0 && n <= PLIC_SOURCES);
    return (IRQLine){ set_input, p, n };
}

static uint32_t claim_locked(PLIC *p, const PLICContext *c)
{
    unsigned n = find_best_locked(p, c, 0);     /* a claim does not look at the threshold */
    if (n) {
        p->pending[n / 32] &= ~(1u << (n % 32));
        p->served[n / 32] |= 1u << (n % 32);
        update_locked(p);
    }
    return n;
}

/* A completion for a source that this context has not enabled is ignored, as the specification says. */
static void complete_locked(PLIC *p, const PLICContext *c, uint32_t n)
{
    if (n == 0 || n > PLIC_SOURCES || !(c->enable[n / 32] >> (n % 32) & 1)) {
        return;
    }
    p->served[n / 32] &= ~(1u << (n % 32));
    if (open_gateway_locked(p, n / 32)) {
        update_locked(p);
    }
}

/* The enable word at an offset; NULL: none there. */
static uint32_t *enable_word_locked(PLIC *p, hwaddr offset)
{
    hwaddr i = (offset - REG_ENABLE) / ENABLE_STRIDE, w = (offset % ENABLE_STRIDE) / 4;
    return i < p->ncontexts && w < WORDS ? &p->contexts[i].enable[w] : NULL;
}

static PLICContext *context_locked(PLIC *p, hwaddr offset)
{
    hwaddr i = (offset - REG_CONTEXT) / CONTEXT_STRIDE;
    return i < p->ncontexts ? &p->contexts[i] : NULL;
}

static uint64_t read_locked(PLIC *p, hwaddr offset)
{
    if (offset >= REG_CONTEXT) {
        PLICContext *c = context_locked(p, offset);
        switch (c ? offset % CONTEXT_STRIDE : ~0ull) {
        case 0:
            return c->threshold;
        case 4:
            return claim_locked(p, c);
        }
        return 0;
    }
    if (offset >= REG_ENABLE) {
        const uint32_t *e = enable_word_locked(p, offset);
        return e ? *e : 0;
    }
    if (offset >= REG_PENDING) {
        hwaddr w = (offset - REG_PENDING) / 4;
        return w < WORDS ? p->pending[w] : 0;
    }
    return offset / 4 <= PLIC_SOURCES ? p->priority[offset / 4] : 0;
}

static void write_locked(PLIC *p, hwaddr offset, uint32_t value)
{
    if (offset >= REG_CONTEXT) {
        PLICContext *c = context_locked(p, offset);
        switch (c ? offset % CONTEXT_STRIDE : ~0ull) {
        case 0:
            c->threshold = value & PRIORITY_MASK;
            update_locked(p);
            break;
        case 4:
            complete_locked(p, c, value);
            break;
        }
    } else if (offset >= REG_ENABLE) {
        uint32_t *e = enable_word_locked(p, offset);
        if (e) {
            hwaddr w = (offset % ENABLE_STRIDE) / 4;
            *e = value & EXISTING(w);
            update_locked(p);
        }
    } else if (offset < REG_PENDING && offset >= 4 && offset / 4 <= PLIC_SOURCES) {
        p->priority[offset / 4] = value & PRIORITY_MASK;
        update_locked(p);
    }
}

static uint64_t plic_read(void *opaque, hwaddr offset, unsigned size)
{
    PLIC *p = opaque;
    spin_lock(&p->lock);
    uint64_t value = read_locked(p, offset);
    spin_unlock(&p->lock);
    return value;
}

static void plic_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    PLIC *p = opaque;
    spin_lock(&p->lock);
    write_locked(p, offset, (uint32_t)value);
    spin_unlock(&p->lock);
}

const MMIOOps plic_ops = { plic_read, plic_write, 4, 4 };

void plic_reset(PLIC *p)
{
    spin_lock(&p->lock);
    for (unsigned w = 0; w < WORDS; w++) {
        p->pending[w] = p->served[w] = 0;
    }
    for (unsigned n = 0; n <= PLIC_SOURCES; n++) {
        p->priority[n] = 0;
    }
    for (unsigned i = 0; i < p->ncontexts; i++) {
        PLICContext *c = &p->contexts[i];
        *c = (PLICContext){ .line = c->line };
        irq_set(&c->line, false);
    }
    spin_unlock(&p->lock);
}

static const StateField context_fields[] = {
    STATE(PLICContext, enable), STATE(PLICContext, threshold), STATE_END
};

static const StateField plic_fields[] = {
    STATE(PLIC, level), STATE(PLIC, pending), STATE(PLIC, served), STATE(PLIC, priority),
    STATE_POINTED(PLIC, contexts, ncontexts, context_fields), STATE_END
};

static bool loaded(void *opaque)
{
    PLIC *p = opaque;
    for (unsigned w = 0; w < WORDS; w++) {
        p->level[w] &= EXISTING(w);
        p->pending[w] &= EXISTING(w);
    }
    for (unsigned i = 0; i < p->ncontexts; i++) {
        PLICContext *c = &p->contexts[i];
        c->level = is_due_locked(p, c);
        irq_set(&c->line, c->level);
    }
    return true;
}

static void reset(void *opaque) { plic_reset(opaque); }

/* No lock: who raises lines is a hart, a timer, or holds a lock of its own device. */
const DeviceClass plic_class = {
    .name = "plic", .reset = reset, .state = &(const StateTable){ plic_fields, loaded },
};

PLIC *plic_create(const IRQLine *contexts, unsigned ncontexts)
{
    PLIC *p = xcalloc(1, sizeof(*p));
    spin_init(&p->lock, LOCK_RANK_IRQ);
    p->ncontexts = ncontexts;
    p->contexts = xcalloc(ncontexts, sizeof(*p->contexts));
    for (unsigned i = 0; i < ncontexts; i++) {
        p->contexts[i].line = contexts[i];
    }
    return p;
}
