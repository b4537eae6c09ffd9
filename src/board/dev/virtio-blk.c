/*
 * virtio-blk: one queue, served in order by the device's worker thread under the device's lock.
 *
 * FLUSH is answered after fdatasync(), so what the guest was told is durable is.  Requests are checked
 * against the image's size before anything is read or written; data goes between the file and
 * guest memory without a copy.
 */
#include "board/dev/virtio-blk.h"

#include <stddef.h>
#include <string.h>

#include "util/error.h"

#define SECTOR 512u
#define MAX_DISCARD_SECTORS 0x7fffffu
#define MAX_DISCARD_SEGMENTS 16u

enum { F_SEG_MAX = 1 << 2, F_RO = 1 << 5, F_BLK_SIZE = 1 << 6, F_FLUSH = 1 << 9, F_DISCARD = 1 << 13,
       F_WRITE_ZEROES = 1 << 14 };
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };
enum { ID_BYTES = 20 };

typedef struct BlkConfig {
    uint64_t capacity;
    uint32_t size_max, seg_max;
    uint16_t cylinders;
    uint8_t heads, sectors;
    uint32_t blk_size;
    uint8_t physical_block_exp, alignment_offset;
    uint16_t min_io_size;
    uint32_t opt_io_size;
    uint8_t writeback, unused0;
    uint16_t num_queues;
    uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
    uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap, unused1[3];
} BlkConfig;
enum { BLK_CONFIG_SIZE = 60 };
_Static_assert(offsetof(BlkConfig, unused1) == BLK_CONFIG_SIZE - 3, "struct virtio_blk_config");

typedef struct BlkHeader {
    uint32_t type, reserved;
    uint64_t sector;
} BlkHeader;

typedef struct BlkRange {       /* of DISCARD and WRITE_ZEROES */
    uint64_t sector;
    uint32_t nsectors, flags;
} BlkRange;

typedef struct VirtIOBlk {
    VirtIODevice d;             /* first: they are one object */
    BlockImage *image;
    BlkConfig config;
    char serial[ID_BYTES];
    VirtRequest request;        /* guarded by the device's lock */
} VirtIOBlk;

static bool inside(const VirtIOBlk *b, uint64_t sector, uint64_t bytes)
{
    uint64_t size = block_size(b->image);
    return bytes % SECTOR == 0 && sector <= size / SECTOR && bytes <= size - sector * SECTOR;
}

static uint8_t read_data(VirtIOBlk *b, uint64_t sector, uint32_t *written)
{
    struct iovec iov[VIRTQ_MAX_SEGMENTS];
    VirtRequest *r = &b->request;
    uint64_t n = r->in_size - 1;        /* the last byte is the status */
    if (!inside(b, sector, n)) {
        return S_IOERR;
    }
    bool good = block_read(b->image, sector * SECTOR, iov, virt_request_iov(r, true, 0, n, iov));
    virt_request_written(r, 0, n);
    *written = good ? (uint32_t)n : 0;
    return good ? S_OK : S_IOERR;
}

static uint8_t write_data(VirtIOBlk *b, uint64_t sector)
{
    struct iovec iov[VIRTQ_MAX_SEGMENTS];
    VirtRequest *r = &b->request;
    uint64_t n = r->out_size - sizeof(BlkHeader);
    if (block_is_readonly(b->image) || !inside(b, sector, n)) {
        return S_IOERR;
    }
    unsigned k = virt_request_iov(r, false, sizeof(BlkHeader), n, iov);
    return block_write(b->image, sector * SECTOR, iov, k) ? S_OK : S_IOERR;
}

static uint8_t change_ranges(VirtIOBlk *b, bool zeroes)
{
    BlkRange ranges[MAX_DISCARD_SEGMENTS];
    uint64_t n = b->request.out_size - sizeof(BlkHeader);
    if (n % sizeof(BlkRange) || n > sizeof(ranges) || block_is_readonly(b->image)) {
        return S_IOERR;
    }
    virt_request_read(&b->request, sizeof(BlkHeader), ranges, n);
    for (unsigned i = 0; i < n / sizeof(BlkRange); i++) {
        const BlkRange *g = &ranges[i];
        uint64_t size = (uint64_t)g->nsectors * SECTOR;
        if ((g->flags & ~(zeroes ? 1u : 0u))) {
            return S_UNSUPP;
        }
        if (g->nsectors > MAX_DISCARD_SECTORS || !inside(b, g->sector, size)) {
            return S_IOERR;
        }
        bool good = zeroes ? block_write_zeroes(b->image, g->sector * SECTOR, size, g->flags & 1)
                           : block_discard(b->image, g->sector * SECTOR, size);
        if (!good) {
            return S_IOERR;
        }
    }
    return S_OK;
}

static uint8_t get_id(VirtIOBlk *b, uint32_t *written)
{
    uint64_t room = b->request.in_size - 1;
    *written = (uint32_t)virt_request_write(&b->request, 0, b->serial, room < ID_BYTES ? room : ID_BYTES);
    return S_OK;
}

/* Returns the number of bytes written; false: nowhere to put the status. */
static bool serve(VirtIOBlk *b, uint32_t *written)
{
    VirtRequest *r = &b->request;
    BlkHeader h;
    uint8_t status = S_UNSUPP;
    *written = 0;
    if (r->in_size < 1 || virt_request_read(r, 0, &h, sizeof(h)) < sizeof(h)) {
        return false;
    }
    switch (h.type) {
    case T_IN:
        status = read_data(b, h.sector, written);
        break;
    case T_OUT:
        status = write_data(b, h.sector);
        break;
    case T_FLUSH:
        status = block_flush(b->image) ? S_OK : S_IOERR;
        break;
    case T_GET_ID:
        status = get_id(b, written);
        break;
    case T_DISCARD:
    case T_WRITE_ZEROES:
        status = change_ranges(b, h.type == T_WRITE_ZEROES);
        break;
    }
    virt_request_write(r, r->in_size - 1, &status, 1);
    *written += 1;
    return true;
}

static void handle_queue(VirtIODevice *d, unsigned queue)
{
    VirtIOBlk *b = (VirtIOBlk *)d;
    VirtQueue *q = &d->queue[0];
    do {
        virtq_ask_notification(q, false);
        while (virtq_pop(q, &b->request)) {
            uint32_t written;
            if (!serve(b, &written)) {
                q->broken = true;
                return;
            }
            virtq_push(q, &b->request, written);
            virtio_interrupt_locked(d, q);
        }
    } while (virtq_ask_notification(q, true));
}

/* A driver knows the capacity: a state goes only with an image of the same size. */
static uint64_t get_capacity(const void *opaque)
{
    return ((const VirtIOBlk *)opaque)->config.capacity;
}

static const StateField fields[] = { STATE_CALL("capacity", get_capacity, NULL), STATE_END };

VirtIODevice *virtio_blk_create(BlockImage *image, const char *serial)
{
    static const VirtIOOps ops = { .fields = fields, .device_id = 2, .nqueues = 1, .handle_queue = handle_queue };
    VirtIOBlk *b = xcalloc(1, sizeof(*b));
    b->image = image;
    b->config = (BlkConfig){
        .capacity = block_size(image) / SECTOR,
        .seg_max = VIRTQ_MAX_SEGMENTS - 2,
        .blk_size = SECTOR,
        .num_queues = 1,
        .max_discard_sectors = MAX_DISCARD_SECTORS,
        .max_discard_seg = MAX_DISCARD_SEGMENTS,
        .discard_sector_alignment = 1,
        .max_write_zeroes_sectors = MAX_DISCARD_SECTORS,
        .max_write_zeroes_seg = MAX_DISCARD_SEGMENTS,
        .write_zeroes_may_unmap = 1,
    };
    strncpy(b->serial, serial ? serial : "", sizeof(b->serial));
    uint64_t features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH;
    features |= block_is_readonly(image) ? F_RO : F_DISCARD | F_WRITE_ZEROES;
    virtio_init(&b->d, &ops, features, &b->config, BLK_CONFIG_SIZE);
    return &b->d;
}

void virtio_blk_finish(VirtIODevice *d)
{
    VirtIOBlk *b = (VirtIOBlk *)d;
    mutex_lock(&d->lock);
    if (!block_flush(b->image)) {
        warn("an image could not be written to disk at the end");
    }
    mutex_unlock(&d->lock);
}
