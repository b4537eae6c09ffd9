/* VIRTIO block device (VIRTIO 1.2, section 5.2). */
#ifndef BRAID_BOARD_DEV_VIRTIO_BLK_H
#define BRAID_BOARD_DEV_VIRTIO_BLK_H

#include "board/block.h"
#include "board/virtio/virtio.h"

/* `serial`: up to 20 bytes that the guest sees, or NULL. */
VirtIODevice *virtio_blk_create(BlockImage *image, const char *serial);
/* Waits for what is under way and flushes. */
void virtio_blk_finish(VirtIODevice *d);

#endif
