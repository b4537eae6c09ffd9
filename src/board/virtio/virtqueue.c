/*
 * Virtqueues: rings in guest memory.
 *
 * The device's lock covers the VirtQueue; the rings themselves are shared with the driver, which
 * runs on any hart at the same time, so each field is read once, by an atomic load.  Memory
 * orders against the driver:
 *   [VIRTQ-AVAIL]  the driver's release of avail.idx / our acquire: entries and descriptors are complete;
 *   [VIRTQ-USED]   our release of used.idx / the driver's acquire: data and used elements are complete;
 *   [VIRTQ-EVENT]  Dekker on both ends: used.idx against the driver's wish for interrupts, our wish
 *                  for notifications against avail.idx.
 *
 * What the device writes, data and rings alike, is told to memory_ram_written(): translations of it go.
 */
#include "board/virtio/virtqueue.h"

#include <string.h>

#include "mem/memory.h"
#include "util/log.h"

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };
enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };
enum { DESC_SIZE = 16, RING_HEADER = 4, USED_ELEMENT = 8 };

typedef struct Descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
} Descriptor;
_Static_assert(sizeof(Descriptor) == DESC_SIZE, "as in guest memory");

static uint16_t load16(const uint8_t *p)
{
    return __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED);
}

/* Store in the used ring. */
static void store16(const VirtQueue *q, uint8_t *p, uint16_t value)
{
    __atomic_store_n((uint16_t *)p, value, __ATOMIC_RELAXED);
    memory_ram_written(q->used + (hwaddr)(p - q->used_host), sizeof(value));
}

/* avail: flags, idx, ring[size], used_event; used: flags, idx, ring[size] of (id, length), avail_event. */
static uint8_t *used_event(const VirtQueue *q) { return q->avail_host + RING_HEADER + 2 * q->size; }
static uint8_t *avail_event(const VirtQueue *q) { return q->used_host + RING_HEADER + USED_ELEMENT * q->size; }

static bool break_queue(VirtQueue *q, const char *why)
{
    log_item(LOG_GUEST_ERRORS, "virtqueue: %s\n", why);
    q->broken = true;
    return false;
}

static bool find_rings(VirtQueue *q)
{
    if (!q->size || q->size > VIRTQ_MAX_SIZE || (q->size & (q->size - 1)) || q->desc % 16 || q->avail % 2 ||
        q->used % 4) {
        return break_queue(q, "size or alignment of rings");
    }
    q->desc_host = memory_ram_host(q->desc, (uint64_t)DESC_SIZE * q->size);
    q->avail_host = memory_ram_host(q->avail, RING_HEADER + 2 * q->size + 2);
    q->used_host = memory_ram_host(q->used, RING_HEADER + USED_ELEMENT * q->size + 2);
    return (q->desc_host && q->avail_host && q->used_host) || break_queue(q, "rings outside of RAM");
}

bool virtq_start(VirtQueue *q)
{
    if (!find_rings(q)) {
        return false;
    }
    q->last_avail = q->used_index = 0;
    q->signalled_valid = false;
    q->ready = true;
    return true;
}

void virtq_reset(VirtQueue *q)
{
    *q = (VirtQueue){ 0 };
}

const StateField virtq_fields[] = {
    STATE(VirtQueue, size), STATE(VirtQueue, ready), STATE(VirtQueue, broken), STATE(VirtQueue, event_idx),
    STATE(VirtQueue, desc), STATE(VirtQueue, avail), STATE(VirtQueue, used), STATE(VirtQueue, last_avail),
    STATE(VirtQueue, used_index), STATE(VirtQueue, signalled), STATE(VirtQueue, signalled_valid), STATE_END
};

bool virtq_restore(VirtQueue *q)
{
    return !q->ready || find_rings(q);
}

static bool add_segment(VirtQueue *q, VirtRequest *r, const Descriptor *d)
{
    bool in = d->flags & DESC_WRITE;
    if (r->nout + r->nin == VIRTQ_MAX_SEGMENTS) {
        return break_queue(q, "too many descriptors, or a loop");
    }
    if (!in && r->nin) {
        return break_queue(q, "a readable descriptor after a writable one");
    }
    VirtSegment *s = &r->segment[r->nout + r->nin];
    s->pa = d->address;
    s->length = d->length;
    s->host = d->length ? memory_ram_host(d->address, d->length) : NULL;
    if (d->length && !s->host) {
        return break_queue(q, "a descriptor outside of RAM");
    }
    if (in) {
        r->nin++;
        r->in_size += d->length;
    } else {
        r->nout++;
        r->out_size += d->length;
    }
    return true;
}

/* Follow a chain in a table of n descriptors. */
static bool follow_chain(VirtQueue *q, VirtRequest *r, const uint8_t *table, uint32_t n, uint32_t i, bool indirect)
{
    for (unsigned steps = 0;; steps++) {
        Descriptor d;
        if (i >= n || steps > VIRTQ_MAX_SEGMENTS) {
            return break_queue(q, "a descriptor's number out of range, or a loop");
        }
        memcpy(&d, table + (size_t)DESC_SIZE * i, sizeof(d));
        if (d.flags & DESC_INDIRECT) {
            uint32_t inner = d.length / DESC_SIZE;
            const uint8_t *host = memory_ram_host(d.address, d.length);
            if (indirect || (d.flags & DESC_NEXT) || !inner || d.length % DESC_SIZE || !host) {
                return break_queue(q, "a bad indirect descriptor");
            }
            return follow_chain(q, r, host, inner, 0, true);
        }
        if (!add_segment(q, r, &d)) {
            return false;
        }
        if (!(d.flags & DESC_NEXT)) {
            return true;
        }
        i = d.next;
    }
}

bool virtq_pop(VirtQueue *q, VirtRequest *r)
{
    if (!q->ready || q->broken) {
        return false;
    }
    /* [VIRTQ-AVAIL] pairs with the driver's release. */
    uint16_t idx = __atomic_load_n((const uint16_t *)(q->avail_host + 2), __ATOMIC_ACQUIRE);
    uint16_t waiting = (uint16_t)(idx - q->last_avail);
    if (!waiting) {
        return false;
    }
    if (waiting > q->size) {
        return break_queue(q, "the available index jumped");
    }
    r->head = load16(q->avail_host + RING_HEADER + 2 * (q->last_avail % q->size));
    r->nout = r->nin = 0;
    r->out_size = r->in_size = 0;
    q->last_avail++;
    return follow_chain(q, r, q->desc_host, q->size, r->head, false);
}

void virtq_unpop(VirtQueue *q)
{
    q->last_avail--;
}

void virtq_push(VirtQueue *q, const VirtRequest *r, uint32_t written)
{
    if (!q->ready || q->broken) {
        return;
    }
    uint8_t *element = q->used_host + RING_HEADER + USED_ELEMENT * (q->used_index % q->size);
    uint32_t id = r->head;
    memcpy(element, &id, 4);
    memcpy(element + 4, &written, 4);
    q->used_index++;
    __atomic_store_n((uint16_t *)(q->used_host + 2), q->used_index, __ATOMIC_RELEASE /* [VIRTQ-USED] */);
    /* Index and element in one go; what else lies between them is translated again, if it ever was. */
    memory_ram_written(q->used + 2, (hwaddr)(element + USED_ELEMENT - (q->used_host + 2)));
}

bool virtq_wants_interrupt(VirtQueue *q)
{
    if (!q->ready || q->broken) {
        return false;
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);    /* [VIRTQ-EVENT] used.idx before the driver's wish */
    if (!q->event_idx) {
        return !(load16(q->avail_host) & AVAIL_NO_INTERRUPT);
    }
    uint16_t event = load16(used_event(q)), old = q->signalled;
    bool valid = q->signalled_valid;
    q->signalled = q->used_index;
    q->signalled_valid = true;
    /* VIRTIO 1.2, 2.7.7.2: has the index passed the event since the last interrupt? */
    return !valid || (uint16_t)(q->used_index - event - 1) < (uint16_t)(q->used_index - old);
}

bool virtq_ask_notification(VirtQueue *q, bool wanted)
{
    if (!q->ready || q->broken) {
        return false;
    }
    if (!q->event_idx) {
        store16(q, q->used_host, wanted ? 0 : USED_NO_NOTIFY);
    } else if (wanted) {
        store16(q, avail_event(q), q->last_avail);
    }
    if (!wanted) {
        return false;
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);    /* [VIRTQ-EVENT] our wish before avail.idx */
    return load16(q->avail_host + 2) != q->last_avail;
}

/* ---- Data ---- */

unsigned virt_request_iov(const VirtRequest *r, bool in, uint64_t offset, uint64_t n, struct iovec *iov)
{
    const VirtSegment *s = r->segment + (in ? r->nout : 0), *end = s + (in ? r->nin : r->nout);
    unsigned k = 0;
    for (; s < end && n; s++) {
        if (offset >= s->length) {
            offset -= s->length;
            continue;
        }
        uint64_t piece = s->length - offset < n ? s->length - offset : n;
        iov[k++] = (struct iovec){ s->host + offset, piece };
        n -= piece;
        offset = 0;
    }
    return k;
}

size_t virt_request_read(const VirtRequest *r, uint64_t offset, void *to, size_t n)
{
    struct iovec iov[VIRTQ_MAX_SEGMENTS];
    unsigned k = virt_request_iov(r, false, offset, n, iov);
    size_t done = 0;
    for (unsigned i = 0; i < k; i++) {
        memcpy((uint8_t *)to + done, iov[i].iov_base, iov[i].iov_len);
        done += iov[i].iov_len;
    }
    return done;
}

size_t virt_request_write(const VirtRequest *r, uint64_t offset, const void *from, size_t n)
{
    struct iovec iov[VIRTQ_MAX_SEGMENTS];
    unsigned k = virt_request_iov(r, true, offset, n, iov);
    size_t done = 0;
    for (unsigned i = 0; i < k; i++) {
        memcpy(iov[i].iov_base, (const uint8_t *)from + done, iov[i].iov_len);
        done += iov[i].iov_len;
    }
    virt_request_written(r, offset, done);
    return done;
}

void virt_request_written(const VirtRequest *r, uint64_t offset, uint64_t n)
{
    const VirtSegment *s = r->segment + r->nout, *end = s + r->nin;
    for (; s < end && n; s++) {
        if (offset >= s->length) {
            offset -= s->length;
            continue;
        }
        uint64_t piece = s->length - offset < n ? s->length - offset : n;
        memory_ram_written(s->pa + offset, piece);
        n -= piece;
        offset = 0;
    }
}
