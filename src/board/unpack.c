/*
 * Unpacking gzip (RFC 1952), zstd (RFC 8878) and xz, by their own libraries, into a buffer that grows up to a limit:
 * what a file claims of its size is not believed.
 *
 * On the first thread, before a hart runs.
 */
#include "board/unpack.h"

#include <lzma.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "util/error.h"

typedef struct Output {
    uint8_t *bytes;
    size_t n, room, limit;
} Output;

static Output output_new(size_t packed, size_t limit)
{
    size_t room = packed < limit / 4 ? packed * 4 + 4096 : limit;
    Output o = { .room = room < limit ? room : limit, .limit = limit };
    o.bytes = xmalloc(o.room);
    return o;
}

/* There is room for more; false: the limit is reached. */
static bool output_grow(Output *o)
{
    if (o->n == o->room) {
        o->room = o->room < o->limit / 2 ? o->room * 2 : o->limit;
        o->bytes = xrealloc(o->bytes, o->room);
    }
    return o->n < o->room;
}

static _Noreturn void fail(const Output *o, const char *file, const char *how)
{
    fatal_usage("'%s' is %s, and %s", file, how,
                o->n >= o->limit ? "larger than RAM (-m gives more)" : "damaged or cut off");
}

uint8_t *unpack_gzip(const uint8_t *bytes, size_t size, const char *file, size_t limit, size_t *out_size)
{
    z_stream z = { .next_in = (uint8_t *)bytes, .avail_in = (uInt)size };
    Output o = output_new(size, limit);
    if (size > UINT32_MAX || inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) {
        fatal_usage("'%s' cannot be unpacked", file);
    }
    int r = Z_OK;
    while (r == Z_OK && output_grow(&o)) {
        size_t piece = o.room - o.n < UINT32_MAX ? o.room - o.n : UINT32_MAX;
        z.next_out = o.bytes + o.n;
        z.avail_out = (uInt)piece;
        r = inflate(&z, Z_NO_FLUSH);
        o.n += piece - z.avail_out;
    }
    inflateEnd(&z);
    if (r != Z_STREAM_END) {
        fail(&o, file, "gzip'ed");
    }
    *out_size = o.n;
    return o.bytes;
}

/* One frame; what is behind it (the loader of a zboot image pads) does not count. */
uint8_t *unpack_zstd(const uint8_t *bytes, size_t size, const char *file, size_t limit, size_t *out_size)
{
    ZSTD_DStream *z = ZSTD_createDStream();
    ZSTD_inBuffer in = { .src = bytes, .size = size };
    Output o = output_new(size, limit);
    size_t left = 1, before;
    if (!z || ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, 31))) {
        fatal_usage("'%s' cannot be unpacked", file);
    }
    do {
        bool room = output_grow(&o);
        ZSTD_outBuffer out = { .dst = o.bytes, .size = o.room, .pos = o.n };
        before = in.pos + o.n;
        left = room ? ZSTD_decompressStream(z, &out, &in) : left;
        o.n = out.pos;
    } while (left && !ZSTD_isError(left) && in.pos + o.n != before);
    ZSTD_freeDStream(z);
    if (left) {
        fail(&o, file, "packed with zstd");
    }
    *out_size = o.n;
    return o.bytes;
}

uint8_t *unpack_xz(const uint8_t *bytes, size_t size, const char *file, size_t limit, size_t *out_size)
{
    lzma_stream z = LZMA_STREAM_INIT;
    Output o = output_new(size, limit);
    if (lzma_stream_decoder(&z, UINT64_MAX, 0) != LZMA_OK) {
        fatal_usage("'%s' cannot be unpacked", file);
    }
    z.next_in = bytes;
    z.avail_in = size;
    lzma_ret r = LZMA_OK;
    while (r == LZMA_OK && output_grow(&o)) {
        z.next_out = o.bytes + o.n;
        z.avail_out = o.room - o.n;
        r = lzma_code(&z, LZMA_FINISH);
        o.n = o.room - z.avail_out;
    }
    lzma_end(&z);
    if (r != LZMA_STREAM_END) {
        fail(&o, file, "packed with xz");
    }
    *out_size = o.n;
    return o.bytes;
}
