/*
 * Packed kernels.
 *
 * Each returns what `size` bytes of a file unpack to, at most `limit` bytes, to be freed by the caller; or ends the
 * program with a sentence that names the file.
 */
#ifndef BRAID_BOARD_UNPACK_H
#define BRAID_BOARD_UNPACK_H

#include <stddef.h>
#include <stdint.h>

uint8_t *unpack_gzip(const uint8_t *bytes, size_t size, const char *file, size_t limit, size_t *out_size);
uint8_t *unpack_zstd(const uint8_t *bytes, size_t size, const char *file, size_t limit, size_t *out_size);
uint8_t *unpack_xz(const uint8_t *bytes, size_t size, const char *file, size_t limit, size_t *out_size);

#endif
