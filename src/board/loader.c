/*
 * Loaders.  Everything that is loaded becomes a blob: bytes and an address, written by
 * loader_reset() when the machine is switched on or reset, because guests overwrite what they were
 * booted from.
 *
 * Files are read whole, and every number in them is checked against the file's size and the
 * machine's RAM before it is used.
 *
 * Formats: ELF (System V ABI); Linux's Image header (Documentation/arch/riscv/boot-image-header.rst), which a kernel
 * with an EFI stub has too; the EFI zboot header ("zimg") around a compressed Image; gzip, see unpack.c.
 */
#include "board/loader.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board/unpack.h"
#include "mem/memory.h"
#include "util/error.h"

#define IMAGE_MAGIC 0x05435352u     /* "RSC\5" at byte 56 */
/* Of a file, and of what it unpacks to, besides what RAM could hold: an ELF file's symbols. */
#define ROOM_FOR_SYMBOLS (256ull << 20)

typedef struct Blob {
    hwaddr at;
    uint8_t *bytes;
    size_t size, zeros;         /* zeros behind the bytes */
} Blob;

static struct LoaderContext {
    hwaddr ram_base;            /* constant after loader_init(), which begins anew */
    uint64_t ram_size;
    Blob *blobs;                /* constant after virt_create() */
    unsigned nblobs;
} loader;

void loader_init(hwaddr ram_base, uint64_t ram_size)
{
    loader = (struct LoaderContext){ .ram_base = ram_base, .ram_size = ram_size };
}

static uint64_t max_size(void)
{
    return loader.ram_size + ROOM_FOR_SYMBOLS;
}

void *loader_read_file(const char *file, const char *what, size_t *size)
{
    struct stat st;
    /* A FIFO without a writer would block. */
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st)) {
        fatal_usage("cannot open %s '%s': %s", what, file, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        fatal_usage("%s '%s' is not a regular file", what, file);
    }
    if (st.st_size == 0) {
        fatal_usage("%s '%s' is empty", what, file);
    }
    if ((uint64_t)st.st_size > max_size()) {
        fatal_usage("%s '%s' is larger than RAM (-m gives more)", what, file);
    }
    uint8_t *bytes = xmalloc((size_t)st.st_size);
    size_t done = 0;
    while (done < (size_t)st.st_size) {
        ssize_t n = read(fd, bytes + done, (size_t)st.st_size - done);
        if (n <= 0 && !(n < 0 && errno == EINTR)) {
            fatal_usage("cannot read %s '%s': %s", what, file, n ? strerror(errno) : "it has shrunk");
        }
        done += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    *size = done;
    return bytes;
}

static bool in_ram(hwaddr at, uint64_t size)
{
    return at >= loader.ram_base && size <= loader.ram_size && at - loader.ram_base <= loader.ram_size - size;
}

static void add_blob(hwaddr at, void *bytes, size_t size, size_t zeros)
{
    loader.blobs = xrealloc(loader.blobs, (loader.nblobs + 1) * sizeof(*loader.blobs));
    loader.blobs[loader.nblobs++] = (Blob){ at, bytes, size, zeros };
}

static void check_fits(hwaddr at, uint64_t size, const char *what)
{
    if (!in_ram(at, size)) {
        fatal_usage("%s needs memory at 0x%llx-0x%llx, but RAM is 0x%llx-0x%llx (-m gives more)", what,
                    (unsigned long long)at, (unsigned long long)(at + size - 1),
                    (unsigned long long)loader.ram_base,
                    (unsigned long long)(loader.ram_base + loader.ram_size - 1));
    }
}

void loader_add(hwaddr at, void *bytes, size_t size, const char *what)
{
    check_fits(at, size, what);
    add_blob(at, bytes, size, 0);
}

void loader_add_rom(hwaddr at, void *bytes, size_t size)
{
    add_blob(at, bytes, size, 0);
}

static void loader_reset(void *opaque)
{
    static const uint8_t zeros[65536];
    for (unsigned i = 0; i < loader.nblobs; i++) {
        const Blob *b = &loader.blobs[i];
        bool good = memory_write(b->at, b->bytes, b->size);
        for (size_t done = 0; done < b->zeros && good; done += sizeof(zeros)) {
            size_t n = b->zeros - done < sizeof(zeros) ? b->zeros - done : sizeof(zeros);
            good = memory_write(b->at + b->size + done, zeros, n);
        }
        braid_assert_msg(good, "blob at 0x%llx is not in memory", (unsigned long long)b->at);
    }
}

const DeviceClass loader_class = { .name = "loader", .reset = loader_reset, .state = &state_nothing };

/* ---- ELF ---- */

typedef struct ELFFile {
    const char *file;
    const uint8_t *bytes;
    size_t size;
    const Elf64_Ehdr *h;
    const Elf64_Phdr *ph;
} ELFFile;

static void check_elf(ELFFile *e)
{
    const Elf64_Ehdr *h = e->h = (const Elf64_Ehdr *)e->bytes;
    if (e->size < sizeof(*h)) {
        fatal_usage("'%s' is an ELF file that ends within its header", e->file);
    }
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB ||
        h->e_machine != EM_RISCV) {
        fatal_usage("'%s' is an ELF file, but not for 64-bit RISC-V", e->file);
    }
    if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phoff > e->size || h->e_phoff % 8 ||
        (e->size - h->e_phoff) / sizeof(Elf64_Phdr) < h->e_phnum) {
        fatal_usage("'%s' is an ELF file whose program headers are damaged", e->file);
    }
    e->ph = (const Elf64_Phdr *)(e->bytes + h->e_phoff);
}

static void load_segment(const ELFFile *e, const Elf64_Phdr *p, hwaddr at)
{
    if (p->p_offset > e->size || p->p_filesz > e->size - p->p_offset || p->p_filesz > p->p_memsz) {
        fatal_usage("'%s' is an ELF file that was cut off", e->file);
    }
    check_fits(at, p->p_memsz, e->file);
    uint8_t *copy = xmalloc(p->p_filesz);
    memcpy(copy, e->bytes + p->p_offset, p->p_filesz);
    add_blob(at, copy, p->p_filesz, p->p_memsz - p->p_filesz);
}

/*
 * At its physical addresses.  A file that is linked for addresses below RAM as a whole (vmlinux: from 0) is moved up
 * to `base`.  The entry may be a virtual address.
 */
static LoadedImage load_elf(ELFFile *e, hwaddr base)
{
    LoadedImage out = { .start = ~0ull };
    hwaddr lowest = ~0ull;
    check_elf(e);
    for (unsigned i = 0; i < e->h->e_phnum; i++) {
        if (e->ph[i].p_type == PT_LOAD && e->ph[i].p_memsz && e->ph[i].p_paddr < lowest) {
            lowest = e->ph[i].p_paddr;
        }
    }
    if (lowest == ~0ull) {
        fatal_usage("'%s' is an ELF file with nothing to load", e->file);
    }
    uint64_t shift = lowest < loader.ram_base ? base - lowest : 0;
    out.entry = e->h->e_entry;
    for (unsigned i = 0; i < e->h->e_phnum; i++) {
        const Elf64_Phdr *p = &e->ph[i];
        if (p->p_type != PT_LOAD || !p->p_memsz) {
            continue;
        }
        hwaddr at = p->p_paddr + shift;
        load_segment(e, p, at);
        out.start = at < out.start ? at : out.start;
        out.end = at + p->p_memsz > out.end ? at + p->p_memsz : out.end;
        if (e->h->e_entry - p->p_vaddr < p->p_memsz) {
            out.entry = e->h->e_entry - p->p_vaddr + at;
        }
    }
    if (!in_ram(out.entry, 2)) {
        fatal_usage("'%s' begins at 0x%llx, where there is no memory", e->file, (unsigned long long)out.entry);
    }
    return out;
}

/* ---- Compressed kernels ---- */

/* struct of an EFI zboot image: "MZ", "zimg", payload's offset and size, type as text. */
static uint8_t *unpack_zboot(const uint8_t *bytes, size_t size, const char *file, size_t *out_size)
{
    uint32_t offset, length;
    char type[9] = "";
    memcpy(&offset, bytes + 8, 4);
    memcpy(&length, bytes + 12, 4);
    memcpy(type, bytes + 24, 8);
    if (offset > size || length > size - offset) {
        fatal_usage("'%s' is an EFI zboot kernel that was cut off", file);
    }
    if (!strcmp(type, "gzip")) {
        return unpack_gzip(bytes + offset, length, file, max_size(), out_size);
    }
    if (!strncmp(type, "zstd", 4)) {    /* zstd22: its level is in the name */
        return unpack_zstd(bytes + offset, length, file, max_size(), out_size);
    }
    if (!strncmp(type, "xz", 2)) {      /* xzkern: the filters of the kernel's own decoder */
        return unpack_xz(bytes + offset, length, file, max_size(), out_size);
    }
    fatal_usage("'%s' is an EFI zboot kernel packed with '%.8s'; gzip, zstd and xz can be unpacked", file, type);
}

/* ---- Linux Images ---- */

static bool is_image(const uint8_t *bytes, size_t size)
{
    uint32_t magic = 0;
    if (size >= 64) {
        memcpy(&magic, bytes + 56, 4);
    }
    return magic == IMAGE_MAGIC;
}

static LoadedImage load_image(uint8_t *bytes, size_t size, const char *file, hwaddr base)
{
    uint64_t image_size, flags;
    memcpy(&image_size, bytes + 16, 8);
    memcpy(&flags, bytes + 24, 8);
    if (flags & 1) {
        fatal_usage("'%s' is a big-endian kernel", file);
    }
    if (image_size < size) {
        image_size = size;
    }
    check_fits(base, image_size, file);
    add_blob(base, bytes, size, 0);
    return (LoadedImage){ .start = base, .end = base + image_size, .entry = base };
}

static bool is_elf(const uint8_t *bytes, size_t size)
{
    return size >= SELFMAG && !memcmp(bytes, ELFMAG, SELFMAG);
}

LoadedImage loader_load_kernel(const char *file, hwaddr base)
{
    size_t size;
    uint8_t *bytes = loader_read_file(file, "kernel", &size);
    uint8_t *unpacked = NULL;
    if (size >= 18 && bytes[0] == 0x1f && bytes[1] == 0x8b) {
        unpacked = unpack_gzip(bytes, size, file, max_size(), &size);
    } else if (size >= 64 && !memcmp(bytes, "MZ", 2) && !memcmp(bytes + 4, "zimg", 4)) {
        unpacked = unpack_zboot(bytes, size, file, &size);
    }
    if (unpacked) {
        free(bytes);
        bytes = unpacked;
    }
    if (is_elf(bytes, size)) {
        ELFFile e = { .file = file, .bytes = bytes, .size = size };
        LoadedImage image = load_elf(&e, base);
        free(bytes);
        return image;
    }
    if (!is_image(bytes, size)) {
        fatal_usage("'%s' is no kernel: neither an ELF file nor a Linux Image for RISC-V", file);
    }
    return load_image(bytes, size, file, base);
}

LoadedImage loader_load_firmware(const char *file, hwaddr base)
{
    size_t size;
    uint8_t *bytes = loader_read_file(file, "firmware", &size);
    if (is_elf(bytes, size)) {
        ELFFile e = { .file = file, .bytes = bytes, .size = size };
        LoadedImage image = load_elf(&e, base);
        free(bytes);
        return image;
    }
    loader_add(base, bytes, size, file);
    return (LoadedImage){ .start = base, .end = base + size, .entry = base };
}
