/* Disk images: raw files, optionally read-only or with all writes thrown away at the end. */
#ifndef BRAID_BOARD_BLOCK_H
#define BRAID_BOARD_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

typedef struct BlockImage BlockImage;

typedef struct BlockOptions {
    const char *file;
    bool readonly, snapshot, discard;
} BlockOptions;

/* fatal_usage() if it cannot be opened, or another braid (or this one, twice) writes to it. */
BlockImage *block_open(const BlockOptions *o);
uint64_t block_size(const BlockImage *b);       /* bytes, a multiple of 512 */
bool block_is_readonly(const BlockImage *b);

/* All images, in the order in which they were opened: the first (NULL), the next. */
BlockImage *block_next(const BlockImage *b);
const char *block_file(const BlockImage *b);
void block_print(const BlockImage *b, FILE *out);

/*
 * For saved states.  The fingerprint changes whenever anybody writes to the file.  With snapshot=on, what was written is
 * in pieces of BLOCK_PIECE bytes that are no longer the file's; block_forget_writes() makes all of them the file's again.
 */
enum { BLOCK_PIECE = 65536 };
typedef struct BlockFingerprint {
    uint64_t size, mtime_ns, snapshot;
} BlockFingerprint;
bool block_get_fingerprint(const BlockImage *b, BlockFingerprint *f);
bool block_piece_is_written(const BlockImage *b, uint64_t piece);
void block_forget_writes(BlockImage *b);

/*
 * All of it or false; [offset, offset + sum of iov) lies inside the image.  One thread at a time.  The entries of
 * iov are clobbered.
 */
bool block_read(BlockImage *b, uint64_t offset, struct iovec *iov, unsigned n);
bool block_write(BlockImage *b, uint64_t offset, struct iovec *iov, unsigned n);
/* What was written is on disk. */
bool block_flush(BlockImage *b);
/* Reads as zeros from now on / may read as anything. */
bool block_write_zeroes(BlockImage *b, uint64_t offset, uint64_t size, bool may_unmap);
bool block_discard(BlockImage *b, uint64_t offset, uint64_t size);

#endif
