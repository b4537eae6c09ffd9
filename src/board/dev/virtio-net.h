/* VIRTIO network card (VIRTIO 1.2, section 5.1). */
#ifndef BRAID_BOARD_DEV_VIRTIO_NET_H
#define BRAID_BOARD_DEV_VIRTIO_NET_H

#include "board/net.h"
#include "board/virtio/virtio.h"

VirtIODevice *virtio_net_create(UserNet *net, const uint8_t mac[6]);

#endif
