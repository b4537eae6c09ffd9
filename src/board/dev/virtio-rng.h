/* VIRTIO entropy device (VIRTIO 1.2, section 5.4): the host's getrandom(). */
#ifndef BRAID_BOARD_DEV_VIRTIO_RNG_H
#define BRAID_BOARD_DEV_VIRTIO_RNG_H

#include "board/virtio/virtio.h"

VirtIODevice *virtio_rng_create(void);

#endif
