/*
 * Raw images.
 *
 * snapshot=on keeps the image as it is: pieces of 64 KiB that are written go to a temporary file without a
 * name, and a bitmap says which those are.  An image that is written to is locked (flock) against
 * other braids; read-only users share it.
 *
 * A BlockImage is used by one thread at a time (its device's lock); no lock of its own.
 */
#include "board/block.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>
#include <unistd.h>

#include "util/error.h"

#define PIECE ((unsigned)BLOCK_PIECE)

struct BlockImage {
    BlockImage *next;           /* constant once it is in the list */
    char *file;
    int fd;
    uint64_t size;
    bool readonly, discard;
    int overlay;                /* -1: none */
    uint8_t *in_overlay;        /* a bit for each PIECE */
};

static struct BlockContext {
    BlockImage *first;          /* changed by the first thread, before the machine runs */
} blocks;

static bool is_in_overlay(const BlockImage *b, uint64_t piece)
{
    return b->in_overlay[piece / 8] >> (piece % 8) & 1;
}

static uint64_t find_size(int fd, const struct stat *st)
{
    uint64_t size = (uint64_t)st->st_size;
    if (S_ISBLK(st->st_mode) && ioctl(fd, BLKGETSIZE64, &size)) {
        size = 0;
    }
    return size;
}

static void open_overlay(BlockImage *b)
{
    const char *dir = getenv("TMPDIR");
    b->overlay = open(dir ? dir : "/var/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (b->overlay < 0) {
        char name[] = "/tmp/braid-snapshot-XXXXXX";
        b->overlay = mkostemp(name, O_CLOEXEC);
        if (b->overlay < 0) {
            fatal_usage("snapshot=on: cannot create a temporary file: %s", strerror(errno));
        }
        unlink(name);
    }
    b->in_overlay = xcalloc(b->size / PIECE / 8 + 1, 1);
}

static void refuse_other_formats(int fd, const char *file)
{
    char magic[4] = "";
    if (pread(fd, magic, sizeof(magic), 0) == sizeof(magic) && !memcmp(magic, "QFI\xfb", 4)) {
        fatal_usage("'%s' is a qcow2 image; braid reads raw ones (qemu-img convert -O raw makes one)", file);
    }
}

BlockImage *block_open(const BlockOptions *o)
{
    struct stat st;
    bool writes = !o->readonly && !o->snapshot;
    int fd = open(o->file, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st)) {
        fatal_usage("cannot open image '%s': %s", o->file, strerror(errno));
    }
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        fatal_usage("image '%s' is neither a file nor a block device", o->file);
    }
    refuse_other_formats(fd, o->file);
    if (flock(fd, (writes ? LOCK_EX : LOCK_SH) | LOCK_NB) && errno == EWOULDBLOCK) {
        fatal_usage("image '%s' is in use%s", o->file, writes ? "" : " by somebody who writes to it");
    }
    BlockImage *b = xcalloc(1, sizeof(*b));
    *b = (BlockImage){ .fd = fd, .size = find_size(fd, &st), .readonly = o->readonly, .discard = o->discard,
                       .overlay = -1 };
    if (b->size < 512) {
        fatal_usage("image '%s' is %s", o->file, b->size ? "shorter than a sector" : "empty");
    }
    if (b->size % 512) {
        warn("image '%s' is no whole number of sectors: the last %u bytes are not seen", o->file,
             (unsigned)(b->size % 512));
        b->size -= b->size % 512;
    }
    if (o->snapshot) {
        open_overlay(b);
    }
    b->file = xstrdup(o->file);
    BlockImage **last = &blocks.first;
    while (*last) {
        last = &(*last)->next;
    }
    *last = b;
    return b;
}

BlockImage *block_next(const BlockImage *b)
{
    return b ? b->next : blocks.first;
}

const char *block_file(const BlockImage *b)
{
    return b->file;
}

void block_print(const BlockImage *b, FILE *out)
{
    fprintf(out, "%s: raw, %llu MiB%s%s%s\n", b->file, (unsigned long long)(b->size >> 20),
            b->readonly ? ", read-only" : "", b->overlay >= 0 ? ", snapshot" : "", b->discard ? ", discard" : "");
}

bool block_get_fingerprint(const BlockImage *b, BlockFingerprint *f)
{
    struct stat st;
    if (fstat(b->fd, &st)) {
        return false;
    }
    *f = (BlockFingerprint){ b->size, (uint64_t)st.st_mtim.tv_sec * 1000000000ull + (uint64_t)st.st_mtim.tv_nsec,
                             b->overlay >= 0 };
    return true;
}

bool block_piece_is_written(const BlockImage *b, uint64_t piece)
{
    return b->overlay >= 0 && piece < (b->size + PIECE - 1) / PIECE && is_in_overlay(b, piece);
}

void block_forget_writes(BlockImage *b)
{
    if (b->overlay >= 0) {
        memset(b->in_overlay, 0, b->size / PIECE / 8 + 1);
    }
}


uint64_t block_size(const BlockImage *b)
{
    return b->size;
}

bool block_is_readonly(const BlockImage *b)
{
    return b->readonly;
}

/* Forget the first n bytes. */
static void advance(struct iovec **iov, unsigned *n, size_t bytes)
{
    while (*n && bytes >= (*iov)->iov_len) {
        bytes -= (*iov)->iov_len;
        (*iov)++;
        (*n)--;
    }
    if (*n) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + bytes;
        (*iov)->iov_len -= bytes;
    }
}

static void fill_zero(const struct iovec *iov, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        memset(iov[i].iov_base, 0, iov[i].iov_len);
    }
}

static bool transfer(int fd, bool write, uint64_t offset, struct iovec *iov, unsigned n)
{
    advance(&iov, &n, 0);
    while (n) {
        ssize_t r = write ? pwritev(fd, iov, (int)n, (off_t)offset) : preadv(fd, iov, (int)n, (off_t)offset);
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r < 0) {
            return false;
        }
        if (r == 0) {
            if (write) {
                return false;
            }
            fill_zero(iov, n);      /* the end of an overlay, or of an image that shrank */
            return true;
        }
        offset += (uint64_t)r;
        advance(&iov, &n, (size_t)r);
    }
    return true;
}

/* ---- Snapshots ---- */

/* A piece that is not written as a whole begins as the image has it. */
static bool copy_piece(BlockImage *b, uint64_t piece)
{
    static _Thread_local uint8_t buf[PIECE];
    uint64_t at = piece * PIECE;
    size_t n = b->size - at < PIECE ? b->size - at : PIECE;
    struct iovec in = { buf, n }, out = { buf, n };
    return transfer(b->fd, false, at, &in, 1) && transfer(b->overlay, true, at, &out, 1);
}

/* Take `bytes` from the front of iov into part[]; returns its length. */
static unsigned split(struct iovec **iov, unsigned *n, size_t bytes, struct iovec *part)
{
    unsigned k = 0;
    while (bytes) {
        size_t m = (*iov)->iov_len < bytes ? (*iov)->iov_len : bytes;
        part[k++] = (struct iovec){ (*iov)->iov_base, m };
        advance(iov, n, m);
        bytes -= m;
    }
    return k;
}

static bool transfer_snapshot(BlockImage *b, bool write, uint64_t offset, struct iovec *iov, unsigned n)
{
    struct iovec part[1024];
    uint64_t left = 0;
    for (unsigned i = 0; i < n; i++) {
        left += iov[i].iov_len;
    }
    braid_assert(n <= 1024);
    advance(&iov, &n, 0);
    while (left) {
        uint64_t piece = offset / PIECE, m = PIECE - offset % PIECE;
        m = m < left ? m : left;
        if (write && !is_in_overlay(b, piece)) {
            if (m < PIECE && !copy_piece(b, piece)) {
                return false;
            }
            b->in_overlay[piece / 8] |= (uint8_t)(1 << piece % 8);
        }
        unsigned k = split(&iov, &n, m, part);
        if (!transfer(is_in_overlay(b, piece) ? b->overlay : b->fd, write, offset, part, k)) {
            return false;
        }
        offset += m;
        left -= m;
    }
    return true;
}

bool block_read(BlockImage *b, uint64_t offset, struct iovec *iov, unsigned n)
{
    return b->overlay >= 0 ? transfer_snapshot(b, false, offset, iov, n) : transfer(b->fd, false, offset, iov, n);
}

bool block_write(BlockImage *b, uint64_t offset, struct iovec *iov, unsigned n)
{
    if (b->readonly) {
        return false;
    }
    return b->overlay >= 0 ? transfer_snapshot(b, true, offset, iov, n) : transfer(b->fd, true, offset, iov, n);
}

bool block_flush(BlockImage *b)
{
    return b->readonly || b->overlay >= 0 || !fdatasync(b->fd);
}

bool block_write_zeroes(BlockImage *b, uint64_t offset, uint64_t size, bool may_unmap)
{
    static const uint8_t zeros[PIECE];
    if (b->readonly) {
        return false;
    }
    int mode = may_unmap && b->discard ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
    if (b->overlay < 0 && !fallocate(b->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size)) {
        return true;
    }
    while (size) {
        uint64_t m = size < PIECE ? size : PIECE;
        struct iovec iov = { (void *)zeros, m };
        if (!block_write(b, offset, &iov, 1)) {
            return false;
        }
        offset += m;
        size -= m;
    }
    return true;
}

bool block_discard(BlockImage *b, uint64_t offset, uint64_t size)
{
    if (b->readonly) {
        return false;
    }
    if (b->discard && b->overlay < 0) {
        /* A host that cannot punch holes keeps the bytes, which a discard allows. */
        (void)!fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
    }
    return true;
}
