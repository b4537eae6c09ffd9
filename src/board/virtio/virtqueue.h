/*
 * Split virtqueues (VIRTIO 1.2, section 2.7), the device's side.
 *
 * Whatever the guest writes into a ring, nothing outside of its RAM is read or written and every call ends
 * soon: rings are checked when they are set up, each descriptor is copied before it is looked at, the number of
 * segments is limited, and a queue that makes no sense is broken for good until the device is reset.
 */
#ifndef BRAID_BOARD_VIRTQUEUE_H
#define BRAID_BOARD_VIRTQUEUE_H

#include <stdbool.h>
#include <sys/uio.h>

#include "guest/guest.h"
#include "util/state.h"

#define VIRTQ_MAX_SIZE 256u
/* Segments of one request, indirect ones included. */
#define VIRTQ_MAX_SEGMENTS 256u

typedef struct VirtQueue {
    /* guarded by the device's lock, all */
    uint32_t size;              /* 0: not configured */
    bool ready, broken;
    bool event_idx;             /* VIRTIO_F_EVENT_IDX was negotiated */
    hwaddr desc, avail, used;
    /* host addresses while ready: the guest's memory, which others write all the time */
    uint8_t *desc_host, *avail_host, *used_host;
    uint16_t last_avail;        /* the next entry of the available ring to look at */
    uint16_t used_index;
    uint16_t signalled;         /* used_index when the driver was last interrupted */
    bool signalled_valid;
} VirtQueue;

typedef struct VirtSegment {
    hwaddr pa;
    uint8_t *host;
    uint32_t length;
} VirtSegment;

/* A request: segments to be read by the device, then those to be written. */
typedef struct VirtRequest {
    uint16_t head;
    unsigned nout, nin;
    uint64_t out_size, in_size;
    VirtSegment segment[VIRTQ_MAX_SEGMENTS];    /* [0, nout) out, [nout, nout + nin) in */
} VirtRequest;

/* The addresses are set: begin.  False (and broken): the rings are not in RAM. */
bool virtq_start(VirtQueue *q);
void virtq_reset(VirtQueue *q);
/* Of a saved state, part of its device's. */
extern const StateField virtq_fields[];
/* The fields were loaded: find the rings.  False: they make no sense. */
bool virtq_restore(VirtQueue *q);
/* The next request.  False: there is none, or the queue is broken. */
bool virtq_pop(VirtQueue *q, VirtRequest *r);
/* Put it back as if it had never been taken: the last one popped, and not pushed. */
void virtq_unpop(VirtQueue *q);
/* The request is done; `written` bytes of its in segments are. */
void virtq_push(VirtQueue *q, const VirtRequest *r, uint32_t written);
/* After pushes: does the driver want an interrupt? */
bool virtq_wants_interrupt(VirtQueue *q);
/*
 * Ask for (or spare us) a notification of new requests.  After asking, true says that requests came
 * meanwhile, of which no notification need come.
 */
bool virtq_ask_notification(VirtQueue *q, bool wanted);

/* Copy from the out segments at `offset`, or into the in segments; returns how many bytes were there. */
size_t virt_request_read(const VirtRequest *r, uint64_t offset, void *to, size_t n);
size_t virt_request_write(const VirtRequest *r, uint64_t offset, const void *from, size_t n);
/* The in (or out) bytes [offset, offset + n) as an iovec; returns the number of entries (<= VIRTQ_MAX_SEGMENTS). */
unsigned virt_request_iov(const VirtRequest *r, bool in, uint64_t offset, uint64_t n, struct iovec *iov);
/* The in bytes [offset, offset + n) were written through an iovec. */
void virt_request_written(const VirtRequest *r, uint64_t offset, uint64_t n);

#endif
