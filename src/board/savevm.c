/*
 * Saved machines.
 *
 * The file is a row of sections, each a header and `length` bytes, with a checksum over both:
 *
 *   MACHINE  what the machine is (harts, RAM, firmware, extensions): must be the same as this one
 *   DEVICE   the fields of a device, by its state table; `layout` is the table's checksum
 *   DISK     a BlockFingerprint; the images stand in the order of the command line
 *   PIECE    64 KiB of RAM, or of what was written to a disk with snapshot=on, at `offset`; packed unless
 *            that does not help (`layout` 0).  What is not there is zero, or the image's.
 *   END
 *
 * Everything happens on the board's thread, with all harts parked (so the clock stands still), after the last timer has
 * fired, and under the locks of all devices: nothing moves.
 *
 * Loading reads the file twice: first everything is checked, and devices are loaded, for which there is a
 * way back; then, when nothing is left that could be refused, RAM is replaced.  Of the devices first the fields of all
 * are loaded, then each makes what follows from its own, its lines above all: the clock may have passed a deadline
 * whose timer had not fired yet, so a line may be high now that was low in the hart's fields.
 */
#include "board/savevm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "board/block.h"
#include "board/board.h"
#include "board/device.h"
#include "board/hart.h"
#include "board/timer.h"
#include "exec/exec.h"
#include "mem/memory.h"
#include "util/error.h"
#include "util/strutil.h"

#define MAGIC "braidVM\1"
enum { PIECE = 65536, HOST_PAGE = 4096, MAX_DEVICE_BYTES = 1 << 26 };
_Static_assert((int)PIECE == (int)BLOCK_PIECE, "pieces of disks and of RAM are the same");
enum { SECTION_MACHINE = 1, SECTION_DEVICE, SECTION_DISK, SECTION_PIECE, SECTION_END };

typedef struct SectionHeader {
    char id[32];
    uint32_t type, layout;
    uint64_t offset;
    uint32_t length, crc;       /* of the header with crc = 0, and the bytes */
} SectionHeader;
_Static_assert(sizeof(SectionHeader) == 56, "no holes");

static uint32_t section_crc(const SectionHeader *h, const void *bytes)
{
    SectionHeader zero = *h;
    zero.crc = 0;
    return (uint32_t)crc32(crc32(0, (const Bytef *)&zero, sizeof(zero)), bytes, h->length);
}

/* ---- the clock is part of the state ---- */

static uint64_t get_clock(const void *opaque) { return clock_ns(); }
static void put_clock(void *opaque, uint64_t ns) { clock_set(ns); }

void savevm_init(void)
{
    static const StateField fields[] = { STATE_CALL("ns", get_clock, put_clock), STATE_END };
    static const StateTable table = { fields, NULL };
    static const DeviceClass clock = { .name = "clock", .state = &table };
    device_add("clock", &clock, (void *)&clock);
}

/* ---- what the machine is ---- */

static bool add_region(const char *name, uint8_t *host, uint64_t size, void *opaque)
{
    char **text = opaque, *more = str_format("%s %s=%llu", *text, name, (unsigned long long)size);
    free(*text);
    *text = more;
    return true;
}

static char *describe_machine(void)
{
    char isa[1024];
    riscv_isa_string(isa, sizeof(isa));
    char *text = str_format("harts=%u firmware=%s cpu=%s", hart_ctx.nharts, board_entry()->sbi ? "built-in" : "own", isa);
    memory_foreach_ram(add_region, &text);
    return text;
}

/* ---- saving ---- */

typedef struct Writer {
    FILE *f;
    bool failed;
    int pagemap;                /* of this process; -1: not to be had */
    z_stream z;
    uint8_t packed[2 * PIECE];
} Writer;

static void put_section(Writer *w, SectionHeader h, const char *id, const void *bytes)
{
    snprintf(h.id, sizeof(h.id), "%s", id);
    h.crc = section_crc(&h, bytes);
    w->failed |= fwrite(&h, sizeof(h), 1, w->f) != 1 || fwrite(bytes, 1, h.length, w->f) != h.length;
}

static void put_piece(Writer *w, const char *id, uint64_t offset, const uint8_t *bytes, size_t n)
{
    SectionHeader h = { .type = SECTION_PIECE, .offset = offset, .length = (uint32_t)n };
    deflateReset(&w->z);
    w->z.next_in = (Bytef *)bytes;
    w->z.avail_in = (uInt)n;
    w->z.next_out = w->packed;
    w->z.avail_out = (uInt)n - 1;
    if (deflate(&w->z, Z_FINISH) == Z_STREAM_END) {
        h.layout = (uint32_t)n;
        h.length = (uint32_t)w->z.total_out;
        bytes = w->packed;
    }
    put_section(w, h, id, bytes);
}

/* Nobody has touched the memory: to read it would make pages of zeros. */
static bool is_untouched(const Writer *w, const uint8_t *host, size_t n)
{
    uint64_t pages[PIECE / HOST_PAGE];
    size_t size = n / HOST_PAGE * sizeof(pages[0]);
    off_t at = (off_t)((uintptr_t)host / HOST_PAGE * sizeof(pages[0]));
    if (w->pagemap < 0 || pread(w->pagemap, pages, size, at) != (ssize_t)size) {
        return false;
    }
    for (unsigned i = 0; i < n / HOST_PAGE; i++) {
        if (pages[i] >> 62) {           /* present, or swapped out */
            return false;
        }
    }
    return true;
}

static bool is_zero(const uint8_t *p, size_t n)
{
    return p[0] == 0 && !memcmp(p, p + 1, n - 1);
}

static bool put_region(const char *name, uint8_t *host, uint64_t size, void *opaque)
{
    Writer *w = opaque;
    for (uint64_t at = 0; at < size && !w->failed; at += PIECE) {
        size_t n = size - at < PIECE ? size - at : PIECE;
        if (!is_untouched(w, host + at, n) && !is_zero(host + at, n)) {
            put_piece(w, name, at, host + at, n);
        }
    }
    return !w->failed;
}

static void put_device(Writer *w, const Device *d)
{
    StateBuffer b = { 0 };
    state_save(d->c->state, d->device, &b);
    put_section(w, (SectionHeader){ .type = SECTION_DEVICE, .layout = state_layout(d->c->state, d->device),
                                    .length = (uint32_t)b.n }, d->id, b.data ? b.data : (uint8_t *)"");
    state_buffer_free(&b);
}

/* "disk.0" */
static void disk_name(char *buf, size_t size, unsigned i)
{
    snprintf(buf, size, "disk.%u", i);
}

static bool put_disk(Writer *w, BlockImage *b, unsigned i, char **err)
{
    char id[32];
    uint8_t bytes[PIECE];
    BlockFingerprint f;
    disk_name(id, sizeof(id), i);
    if (!block_flush(b) || !block_get_fingerprint(b, &f)) {
        *err = str_format("image '%s' cannot be written to disk: %s", block_file(b), strerror(errno));
        return false;
    }
    put_section(w, (SectionHeader){ .type = SECTION_DISK, .length = sizeof(f) }, id, &f);
    for (uint64_t at = 0; at < f.size; at += PIECE) {
        size_t n = f.size - at < PIECE ? f.size - at : PIECE;
        struct iovec iov = { bytes, n };
        if (!block_piece_is_written(b, at / PIECE)) {
            continue;
        }
        if (!block_read(b, at, &iov, 1)) {
            *err = str_format("image '%s' cannot be read: %s", block_file(b), strerror(errno));
            return false;
        }
        put_piece(w, id, at, bytes, n);
    }
    return true;
}

static bool put_machine(Writer *w, char **err)
{
    char *machine = describe_machine();
    unsigned i = 0;
    bool good = true;
    w->failed |= fwrite(MAGIC, 1, 8, w->f) != 8;
    put_section(w, (SectionHeader){ .type = SECTION_MACHINE, .length = (uint32_t)strlen(machine) }, "machine", machine);
    free(machine);
    timers_drain();
    devices_lock();
    for (const Device *d; (d = device_get(i)); i++) {
        put_device(w, d);
    }
    i = 0;
    for (BlockImage *b = NULL; good && (b = block_next(b));) {
        good = put_disk(w, b, i++, err);
    }
    if (good) {
        memory_foreach_ram(put_region, w);
    }
    devices_unlock();
    put_section(w, (SectionHeader){ .type = SECTION_END }, "end", "");
    return good;
}

bool savevm_save(const char *file, char **err)
{
    struct stat st;
    if (!stat(file, &st) && !S_ISREG(st.st_mode)) {
        *err = str_format("'%s' is not a file", file);
        return false;
    }
    char *part = str_format("%s.part", file);
    Writer *w = xcalloc(1, sizeof(*w));
    w->f = fopen(part, "wbe");
    w->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    bool good = w->f && deflateInit(&w->z, Z_BEST_SPEED) == Z_OK;
    if (good) {
        good = put_machine(w, err);
        deflateEnd(&w->z);
    }
    if (w->f) {
        w->failed |= fflush(w->f) || fsync(fileno(w->f));
        w->failed |= fclose(w->f) != 0;
    }
    good = good && !w->failed && !rename(part, file);
    if (!good && !*err) {
        *err = str_format("cannot write '%s': %s", file, strerror(errno));
    }
    if (!good) {
        unlink(part);
    }
    if (w->pagemap >= 0) {
        close(w->pagemap);
    }
    free(w);
    free(part);
    return good;
}

/* ---- loading ---- */

typedef struct Reader {
    const char *file;
    FILE *f;
    char **err;
    bool apply;                 /* the second reading: pieces go where they belong */
    bool complete;              /* END was seen */
    unsigned nmachines, ndisks;
    StateBuffer *devices;       /* by the number of the device; data NULL: not seen */
    unsigned ndevices;
    SectionHeader h;
    uint8_t *bytes;             /* of the section */
    uint8_t piece[PIECE];
} Reader;

static bool refuse(Reader *r, char *sentence)
{
    *r->err = sentence;
    return false;
}

static bool read_section(Reader *r)
{
    if (fread(&r->h, sizeof(r->h), 1, r->f) != 1) {
        return refuse(r, str_format("'%s' is cut off", r->file));
    }
    r->h.id[sizeof(r->h.id) - 1] = '\0';
    if (r->h.length > MAX_DEVICE_BYTES) {
        return refuse(r, str_format("'%s' is damaged", r->file));
    }
    r->bytes = xrealloc(r->bytes, r->h.length + 1);
    if (fread(r->bytes, 1, r->h.length, r->f) != r->h.length) {
        return refuse(r, str_format("'%s' is cut off", r->file));
    }
    r->bytes[r->h.length] = '\0';
    return section_crc(&r->h, r->bytes) == r->h.crc || refuse(r, str_format("'%s' is damaged", r->file));
}

static bool take_machine(Reader *r)
{
    char *here = describe_machine();
    bool same = !strcmp(here, (char *)r->bytes);
    if (!same) {
        refuse(r, str_format("'%s' is another machine (%s), this one is %s", r->file, (char *)r->bytes, here));
    }
    free(here);
    r->nmachines++;
    return same;
}

static bool take_device(Reader *r)
{
    for (unsigned i = 0; i < r->ndevices; i++) {
        const Device *d = device_get(i);
        if (strcmp(d->id, r->h.id)) {
            continue;
        }
        if (r->h.layout != state_layout(d->c->state, d->device) || r->devices[i].data) {
            return refuse(r, str_format("'%s': device %s is another one, or was saved by another version of braid",
                                        r->file, d->id));
        }
        r->devices[i] = (StateBuffer){ .data = xmalloc(r->h.length + 1), .n = r->h.length };
        memcpy(r->devices[i].data, r->bytes, r->h.length);
        return true;
    }
    return refuse(r, str_format("'%s' has a device %s, which this machine has not", r->file, r->h.id));
}

static BlockImage *find_disk(const char *id)
{
    char name[32];
    unsigned i = 0;
    for (BlockImage *b = NULL; (b = block_next(b)); i++) {
        disk_name(name, sizeof(name), i);
        if (!strcmp(name, id)) {
            return b;
        }
    }
    return NULL;
}

static bool take_disk(Reader *r)
{
    BlockFingerprint then, now;
    BlockImage *b = find_disk(r->h.id);
    if (!b || r->h.length != sizeof(then) || !block_get_fingerprint(b, &now)) {
        return refuse(r, str_format("'%s' is of a machine with other disks", r->file));
    }
    memcpy(&then, r->bytes, sizeof(then));
    r->ndisks++;
    if (then.size != now.size || then.mtime_ns != now.mtime_ns) {
        return refuse(r, str_format("image '%s' was written to after '%s' was saved", block_file(b), r->file));
    }
    if (then.snapshot && !now.snapshot) {
        return refuse(r, str_format("'%s' has writes to image '%s', which needs snapshot=on", r->file, block_file(b)));
    }
    if (r->apply) {
        block_forget_writes(b);
    }
    return true;
}

typedef struct Region {
    const char *name;
    uint8_t *host;
    uint64_t size;
} Region;

static bool is_region(const char *name, uint8_t *host, uint64_t size, void *opaque)
{
    Region *g = opaque;
    if (!strcmp(name, g->name)) {
        g->host = host;
        g->size = size;
    }
    return true;
}

/* Unpacked into r->piece; the number of bytes, 0: nonsense. */
static size_t unpack(Reader *r)
{
    uLongf n = PIECE;
    if (!r->h.layout && r->h.length <= PIECE) {
        memcpy(r->piece, r->bytes, r->h.length);
        return r->h.length;
    }
    return uncompress(r->piece, &n, r->bytes, r->h.length) == Z_OK && n == r->h.layout ? n : 0;
}

static bool take_piece(Reader *r)
{
    Region g = { .name = r->h.id };
    BlockImage *b = find_disk(r->h.id);
    size_t n = unpack(r);
    memory_foreach_ram(is_region, &g);
    g.size = b ? block_size(b) : g.size;
    if (!n || r->h.offset % PIECE || r->h.offset >= g.size || n != (g.size - r->h.offset < PIECE
                                                                    ? g.size - r->h.offset : PIECE)) {
        return refuse(r, str_format("'%s' is damaged", r->file));
    }
    if (r->apply && !b) {
        memcpy(g.host + r->h.offset, r->piece, n);
    } else if (r->apply) {
        struct iovec iov = { r->piece, n };
        return block_write(b, r->h.offset, &iov, 1) ||
               refuse(r, str_format("what was written to image '%s' finds no room: %s", block_file(b), strerror(errno)));
    }
    return true;
}

static bool take_section(Reader *r)
{
    if (r->h.type != SECTION_MACHINE && !r->nmachines) {
        return refuse(r, str_format("'%s' is damaged", r->file));
    }
    switch (r->h.type) {
    case SECTION_MACHINE: return take_machine(r);
    case SECTION_DEVICE: return r->apply || take_device(r);
    case SECTION_DISK: return take_disk(r);
    case SECTION_PIECE: return take_piece(r);
    case SECTION_END: r->complete = true; return true;
    }
    return refuse(r, str_format("'%s' was saved by another version of braid", r->file));
}

static bool read_file(Reader *r)
{
    char magic[8] = "";
    rewind(r->f);
    r->complete = false;
    r->nmachines = r->ndisks = 0;
    if (fread(magic, 1, 8, r->f) != 8 || memcmp(magic, MAGIC, 7)) {
        return refuse(r, str_format("'%s' is no saved machine", r->file));
    }
    if (memcmp(magic, MAGIC, 8)) {
        return refuse(r, str_format("'%s' was saved by another version of braid", r->file));
    }
    while (!r->complete) {
        if (!read_section(r) || !take_section(r)) {
            return false;
        }
    }
    for (unsigned i = 0; i < r->ndevices; i++) {
        if (!r->devices[i].data) {
            return refuse(r, str_format("'%s' has no device %s", r->file, device_get(i)->id));
        }
    }
    unsigned ndisks = 0;
    for (BlockImage *b = NULL; (b = block_next(b));) {
        ndisks++;
    }
    return r->ndisks == ndisks || refuse(r, str_format("'%s' is of a machine with other disks", r->file));
}

/* The fields of all devices, and then what follows from them.  NULL, or the device whose state makes no sense. */
static const Device *put_devices(StateBuffer *from)
{
    const Device *d;
    for (unsigned i = 0; (d = device_get(i)); i++) {
        if (!state_load_fields(d->c->state, d->device, &from[i])) {
            return d;
        }
    }
    for (unsigned i = 0; (d = device_get(i)); i++) {
        if (!state_loaded(d->c->state, d->device)) {
            return d;
        }
    }
    return NULL;
}

/* All devices, or none. */
static bool load_devices(Reader *r)
{
    StateBuffer *old = xcalloc(r->ndevices, sizeof(*old));
    const Device *d;
    for (unsigned i = 0; (d = device_get(i)); i++) {
        state_save(d->c->state, d->device, &old[i]);
    }
    const Device *bad = put_devices(r->devices);
    if (bad) {
        refuse(r, str_format("'%s': the state of device %s makes no sense", r->file, bad->id));
        put_devices(old);
    }
    for (unsigned i = 0; i < r->ndevices; i++) {
        state_buffer_free(&old[i]);
    }
    free(old);
    return !bad;
}

static bool clear_region(const char *name, uint8_t *host, uint64_t size, void *opaque)
{
    if (madvise(host, size, MADV_DONTNEED)) {
        memset(host, 0, size);
    }
    return true;
}

static bool load(Reader *r)
{
    if (!read_file(r)) {
        return false;
    }
    timers_drain();
    devices_lock();
    bool good = load_devices(r);
    if (good) {
        memory_foreach_ram(clear_region, NULL);
        r->apply = true;
        /* Everything has been checked: only the host can fail now. */
        good = read_file(r);
        if (!good) {
            board_reset(false);
            char *why = *r->err;
            *r->err = str_format("%s; the machine is reset", why);
            free(why);
        }
    }
    devices_unlock();
    tb_flush(NULL);
    return good;
}

bool savevm_load(const char *file, char **err)
{
    Reader *r = xcalloc(1, sizeof(*r));
    *r = (Reader){ .file = file, .f = fopen(file, "rbe"), .err = err };
    while (device_get(r->ndevices)) {
        r->ndevices++;
    }
    r->devices = xcalloc(r->ndevices, sizeof(*r->devices));
    bool good = r->f ? load(r) : refuse(r, str_format("cannot read '%s': %s", file, strerror(errno)));
    if (r->f) {
        fclose(r->f);
    }
    for (unsigned i = 0; i < r->ndevices; i++) {
        free(r->devices[i].data);
    }
    free(r->devices);
    free(r->bytes);
    free(r);
    return good;
}
