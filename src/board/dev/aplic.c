/*
 * APLIC in MSI delivery mode.
 *
 * One spinlock of rank IRQ covers both domains.  What is to be sent is taken out of the pending bits under it, and sent
 * when it is free again: the receiver, an IMSIC, has a lock of the same rank.  So a message may arrive just
 * after its source was switched off, as on a real bus.
 *
 * Each source belongs to the domain that it is delegated to; in the other its registers are zero.  A
 * level-sensitive source becomes pending when its input rises, and again when software writes its number to
 * setipnum while the input is high ("Precise effects on interrupt-pending bits"), which is how the handler asks
 * whether there is more.
 */
#include "board/dev/aplic.h"

#include <string.h>

#include "util/error.h"
#include "util/lock.h"
#include "util/log.h"

#define WORDS ((APLIC_SOURCES + 1 + 31) / 32)

enum {
    DOMAINCFG = 0x0000, SOURCECFG = 0x0004, MMSIADDRCFG = 0x1bc0, MMSIADDRCFGH = 0x1bc4, SMSIADDRCFG = 0x1bc8,
    SMSIADDRCFGH = 0x1bcc, SETIP = 0x1c00, SETIPNUM = 0x1cdc, IN_CLRIP = 0x1d00, CLRIPNUM = 0x1ddc, SETIE = 0x1e00,
    SETIENUM = 0x1edc, CLRIE = 0x1f00, CLRIENUM = 0x1fdc, SETIPNUM_LE = 0x2000, SETIPNUM_BE = 0x2004, GENMSI = 0x3000,
    TARGET = 0x3004,
};
enum { DOMAINCFG_FIXED = 0x80000004u, DOMAINCFG_IE = 0x100 };   /* MSI delivery mode, little endian */
enum { SOURCE_DELEGATED = 1 << 10, SOURCE_MODE = 7 };
enum { MODE_INACTIVE = 0, MODE_DETACHED = 1, MODE_EDGE1 = 4, MODE_EDGE0 = 5, MODE_LEVEL1 = 6, MODE_LEVEL0 = 7 };
#define MSIADDRCFGH_LOCKED (1u << 31)
#define MSIADDRCFGH_BITS 0x9f77ffffu
#define TARGET_BITS 0xfffff7ffu

struct APLICDomain {
    APLIC *aplic;               /* constant */
    bool machine;
    /* guarded by the APLIC's lock */
    bool on;                    /* domaincfg.IE */
    uint32_t mode[APLIC_SOURCES + 1], target[APLIC_SOURCES + 1];
    uint32_t pending[WORDS], enabled[WORDS];
    uint32_t genmsi;
};

typedef struct Message {
    hwaddr address;
    uint32_t data;
} Message;

struct APLIC {
    APLICConfig config;         /* constant */
    SpinLock lock;              /* rank IRQ */
    /* guarded by lock */
    APLICDomain domain[2];      /* supervisor, machine */
    uint32_t delegated[WORDS], input[WORDS];
    uint32_t address[4];        /* mmsiaddrcfg, mmsiaddrcfgh, smsiaddrcfg, smsiaddrcfgh */
};

static bool get_bit(const uint32_t *words, unsigned n) { return words[n / 32] >> n % 32 & 1; }
static void put_bit(uint32_t *words, unsigned n, bool on)
{
    words[n / 32] = (words[n / 32] & ~(1u << n % 32)) | (uint32_t)on << n % 32;
}

static APLICDomain *owner_locked(APLIC *a, unsigned n)
{
    return &a->domain[!get_bit(a->delegated, n)];
}

/* ---- Messages ---- */

static uint32_t bits(uint32_t v, unsigned at, unsigned n) { return v >> at & ((1u << n) - 1); }

/* Section "MSI addresses": base, hart, and for the supervisor's files the guest's number. */
static Message make_message_locked(const APLICDomain *d, uint32_t target)
{
    const uint32_t *a = d->aplic->address;
    uint32_t high = a[1], own = d->machine ? high : a[3];
    unsigned width = bits(high, 12, 4), hart = bits(target, 18, 14);
    uint64_t group = hart >> width & ((1u << bits(high, 16, 3)) - 1), index = hart & ((1u << width) - 1);
    uint64_t page = (d->machine ? a[0] : a[2]) | (uint64_t)bits(own, 0, 12) << 32;
    page |= group << (bits(high, 24, 5) + 12) | index << bits(own, 20, 3);
    page |= d->machine ? 0 : bits(target, 12, 6);
    return (Message){ page << 12, bits(target, 0, 11) };
}

/* Take what a domain can send now; at most one message for each source. */
static unsigned take_messages_locked(APLICDomain *d, Message *out)
{
    unsigned n = 0;
    for (unsigned w = 0; d->on && w < WORDS; w++) {
        uint32_t ready = d->pending[w] & d->enabled[w];
        d->pending[w] &= ~ready;
        for (; ready; ready &= ready - 1) {
            out[n++] = make_message_locked(d, d->target[w * 32 + (unsigned)__builtin_ctz(ready)]);
        }
    }
    return n;
}

/* Give up the lock, and send. */
static void unlock_and_send(APLICDomain *d)
{
    APLIC *a = d->aplic;
    Message out[APLIC_SOURCES];
    unsigned n = take_messages_locked(d, out);
    spin_unlock(&a->lock);
    for (unsigned i = 0; i < n; i++) {
        a->config.message(a->config.opaque, out[i].address, out[i].data);
    }
}

/* ---- Sources ---- */

static bool is_level(uint32_t mode) { return mode >= MODE_LEVEL1; }

/* The rectified input value. */
static bool rectified_locked(const APLICDomain *d, unsigned n)
{
    uint32_t mode = d->mode[n];
    return mode >= MODE_EDGE1 && get_bit(d->aplic->input, n) != (mode & 1);
}

static void set_input(void *opaque, unsigned n, bool level)
{
    APLIC *a = opaque;
    spin_lock(&a->lock);
    APLICDomain *d = owner_locked(a, n);
    bool before = rectified_locked(d, n);
    put_bit(a->input, n, level);
    bool after = rectified_locked(d, n);
    if (after && !before) {
        put_bit(d->pending, n, true);
    } else if (!after && is_level(d->mode[n])) {
        put_bit(d->pending, n, false);
    }
    unlock_and_send(d);
}

IRQLine aplic_input(APLIC *a, unsigned n)
{
    braid_assert(n > 0 && n <= APLIC_SOURCES);
    return (IRQLine){ set_input, a, n };
}

/* By software. */
static void set_pending_locked(APLICDomain *d, unsigned n)
{
    if (d->mode[n] != MODE_INACTIVE && (!is_level(d->mode[n]) || rectified_locked(d, n))) {
        put_bit(d->pending, n, true);
    }
}

static void set_mode_locked(APLICDomain *d, unsigned n, uint32_t mode)
{
    bool before = rectified_locked(d, n);
    d->mode[n] = mode == 2 || mode == 3 ? MODE_INACTIVE : mode;
    if (d->mode[n] == MODE_INACTIVE) {
        d->target[n] = 0;
        put_bit(d->enabled, n, false);
        put_bit(d->pending, n, false);
    } else if (rectified_locked(d, n) && !before) {
        put_bit(d->pending, n, true);
    }
}

static void write_source_locked(APLICDomain *d, unsigned n, uint32_t value)
{
    APLIC *a = d->aplic;
    if (d->machine && (value & SOURCE_DELEGATED)) {
        set_mode_locked(d, n, MODE_INACTIVE);
        put_bit(a->delegated, n, true);
        return;
    }
    if (d->machine && get_bit(a->delegated, n)) {
        set_mode_locked(&a->domain[0], n, MODE_INACTIVE);
        put_bit(a->delegated, n, false);
    }
    if (owner_locked(a, n) == d) {
        set_mode_locked(d, n, value & SOURCE_MODE);
    }
}

static uint32_t read_source_locked(const APLICDomain *d, unsigned n)
{
    return d->machine && get_bit(d->aplic->delegated, n) ? SOURCE_DELEGATED : d->mode[n];
}

/* ---- Registers ---- */

enum { NO_SOURCE = 0 };

/* The source whose register this is, in a run of 32-bit registers that begins with source 1's. */
static unsigned source_at(hwaddr offset, hwaddr first)
{
    hwaddr n = offset >= first ? (offset - first) / 4 + 1 : NO_SOURCE;
    return n <= APLIC_SOURCES ? (unsigned)n : NO_SOURCE;
}

static bool is_word(hwaddr offset, hwaddr first)
{
    return offset >= first && offset < first + 4 * WORDS;
}

static uint32_t input_word_locked(const APLICDomain *d, unsigned w)
{
    uint32_t v = 0;
    for (unsigned n = w * 32; n < w * 32 + 32 && n <= APLIC_SOURCES; n++) {
        v |= (uint32_t)(n && rectified_locked(d, n)) << n % 32;
    }
    return v;
}

static uint32_t read_locked(const APLICDomain *d, hwaddr offset)
{
    if (offset == DOMAINCFG) {
        return DOMAINCFG_FIXED | (d->on ? DOMAINCFG_IE : 0);
    }
    if (offset < MMSIADDRCFG) {
        unsigned n = source_at(offset, SOURCECFG);
        return n ? read_source_locked(d, n) : 0;
    }
    if (offset <= SMSIADDRCFGH) {
        return d->machine ? d->aplic->address[(offset - MMSIADDRCFG) / 4] : 0;
    }
    if (is_word(offset, SETIP)) {
        return d->pending[(offset - SETIP) / 4];
    }
    if (is_word(offset, IN_CLRIP)) {
        return input_word_locked(d, (unsigned)(offset - IN_CLRIP) / 4);
    }
    if (is_word(offset, SETIE)) {
        return d->enabled[(offset - SETIE) / 4];
    }
    unsigned n = source_at(offset, TARGET);
    return offset == GENMSI ? d->genmsi : n ? d->target[n] : 0;
}

/* Registers that set or clear the bits of 32 sources, or of the one that is named. */
static void write_bits_locked(APLICDomain *d, hwaddr offset, uint32_t value)
{
    bool message = offset == SETIPNUM_LE || offset == SETIPNUM_BE;
    hwaddr base = message ? SETIP : offset & ~(hwaddr)0xff;
    unsigned first = (unsigned)(offset % 0x100) / 4 * 32, last = first + 31;
    uint32_t which = value;
    if (message || offset - base == SETIPNUM - SETIP) {
        first = last = offset == SETIPNUM_BE ? __builtin_bswap32(value) : value;
        which = ~0u;
    }
    for (unsigned n = first ? first : 1; n <= last && n <= APLIC_SOURCES; n++) {
        if (!(which >> n % 32 & 1) || d->mode[n] == MODE_INACTIVE) {
            continue;
        }
        switch (base) {
        case SETIP:
            set_pending_locked(d, n);
            break;
        case IN_CLRIP:
            put_bit(d->pending, n, false);
            break;
        case SETIE: case CLRIE:
            put_bit(d->enabled, n, base == SETIE);
            break;
        }
    }
}

static void write_locked(APLICDomain *d, hwaddr offset, uint32_t value)
{
    uint32_t *address = d->aplic->address;
    if (offset == DOMAINCFG) {
        d->on = value & DOMAINCFG_IE;
    } else if (offset < MMSIADDRCFG) {
        unsigned n = source_at(offset, SOURCECFG);
        if (n) {
            write_source_locked(d, n, value);
        }
    } else if (offset <= SMSIADDRCFGH) {
        /* One lock for all four, in mmsiaddrcfgh. */
        if (d->machine && !(address[1] & MSIADDRCFGH_LOCKED)) {
            address[(offset - MMSIADDRCFG) / 4] = offset & 4 ? value & MSIADDRCFGH_BITS : value;
        }
    } else if (offset < GENMSI) {
        write_bits_locked(d, offset, value);
    } else {
        unsigned n = source_at(offset, TARGET);
        if (n && d->mode[n] != MODE_INACTIVE) {
            d->target[n] = value & TARGET_BITS;
        }
    }
}

static uint64_t aplic_read(void *opaque, hwaddr offset, unsigned size)
{
    APLICDomain *d = opaque;
    spin_lock(&d->aplic->lock);
    uint32_t value = read_locked(d, offset);
    spin_unlock(&d->aplic->lock);
    return value;
}

/* A message by software, which needs no source. */
static void generate(APLICDomain *d, uint32_t value)
{
    APLIC *a = d->aplic;
    spin_lock(&a->lock);
    d->genmsi = value & 0xfffc07ff;
    Message m = make_message_locked(d, d->genmsi);
    spin_unlock(&a->lock);
    a->config.message(a->config.opaque, m.address, m.data);
}

static void aplic_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    APLICDomain *d = opaque;
    if (offset == GENMSI) {
        generate(d, (uint32_t)value);
        return;
    }
    spin_lock(&d->aplic->lock);
    write_locked(d, offset, (uint32_t)value);
    unlock_and_send(d);
}

const MMIOOps aplic_ops = { aplic_read, aplic_write, 4, 4 };

/* ---- Reset and state ---- */

/* What firmware would have written. */
static void hand_over_locked(APLIC *a)
{
    enum { LHXW = 12, HART_BITS = 7 };
    hwaddr machine = a->config.machine_files >> 12, supervisor = a->config.supervisor_files >> 12;
    for (unsigned n = 1; n <= APLIC_SOURCES; n++) {
        put_bit(a->delegated, n, true);
    }
    a->address[0] = (uint32_t)machine;
    a->address[1] = (uint32_t)(machine >> 32) | HART_BITS << LHXW | MSIADDRCFGH_LOCKED;
    a->address[2] = (uint32_t)supervisor;
    a->address[3] = (uint32_t)(supervisor >> 32);
}

static void reset(void *opaque)
{
    APLIC *a = opaque;
    spin_lock(&a->lock);
    for (unsigned i = 0; i < 2; i++) {
        a->domain[i] = (APLICDomain){ .aplic = a, .machine = i };
    }
    memset(a->delegated, 0, sizeof(a->delegated));
    memset(a->address, 0, sizeof(a->address));
    if (a->config.handed_over) {
        hand_over_locked(a);
    }
    spin_unlock(&a->lock);
}

static const StateField domain_fields[] = {
    STATE(APLICDomain, on), STATE(APLICDomain, mode), STATE(APLICDomain, target), STATE(APLICDomain, pending),
    STATE(APLICDomain, enabled), STATE(APLICDomain, genmsi), STATE_END
};

static const StateField aplic_fields[] = {
    STATE_OBJECTS(APLIC, domain, domain_fields), STATE(APLIC, delegated), STATE(APLIC, input), STATE(APLIC, address),
    STATE_END
};

/* Whatever was loaded, bits of sources that do not exist would lead out of the tables. */
static bool loaded(void *opaque)
{
    APLIC *a = opaque;
    uint32_t last = (2u << APLIC_SOURCES % 32) - 1;
    for (unsigned i = 0; i < 2; i++) {
        a->domain[i].pending[WORDS - 1] &= last;
        a->domain[i].enabled[WORDS - 1] &= last;
        for (unsigned n = 0; n <= APLIC_SOURCES; n++) {
            a->domain[i].mode[n] &= SOURCE_MODE;
        }
    }
    return true;
}

const DeviceClass aplic_class = {
    .name = "aplic", .reset = reset, .state = &(const StateTable){ aplic_fields, loaded },
};

APLICDomain *aplic_domain(APLIC *a, bool machine)
{
    return &a->domain[machine];
}

APLIC *aplic_create(const APLICConfig *config)
{
    APLIC *a = xcalloc(1, sizeof(*a));
    a->config = *config;
    spin_init(&a->lock, LOCK_RANK_IRQ);
    reset(a);
    return a;
}
