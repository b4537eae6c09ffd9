/*
 * The vDSO is built here, when the program is loaded: one page with an ELF header, the tables by which
 * C libraries, Go and musl look symbols up, tables for unwinding, and the code of the guest's
 * architecture.  No compiler for the guest is needed to build braid, and no binary is kept
 * in its sources.
 *
 * Its code makes system calls, as any program may.  Only where it asks for the time is there an
 * instruction of braid's own before the call (guest/riscv/translate-system.c), which translates
 * to a call of vdso_call() below: reading the clock neither leaves generated code nor enters the
 * kernel.  What that cannot do (a clock it does not know, memory that cannot be written) is left to the
 * system call behind it.
 *
 * There is no page of clock data for the guest to read: the host's may be of any layout, and the
 * host's own vDSO is the one that understands it.
 *
 * vdso_map() runs alone; vdso_call() on any guest thread, inside cpu_exec(), without locks.
 */
#include "linux-user/vdso.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

#include "linux-user/mmap.h"
#include "linux-user/process.h"
#include "linux-user/user-mem.h"
#include "util/bitops.h"
#include "util/error.h"

#define SONAME "linux-vdso.so.1"
#define N_PHDRS 3
#define N_DYNAMIC 10

/* asm-generic's numbers. */
enum { NR_CLOCK_GETTIME = 113, NR_GETTIMEOFDAY = 169 };

/* The image while it grows.  Everything fits in a page, or it is our bug. */
typedef struct Image {
    uint8_t bytes[USER_PAGE_SIZE];
    uint32_t len;
    uint32_t hash, dynsym, dynstr, versym, verdef, dynamic, eh_frame, eh_frame_hdr, text;
    uint32_t dynstr_len, eh_frame_hdr_len;
} Image;

static uint32_t reserve(Image *m, uint32_t size, uint32_t align)
{
    uint32_t at = (uint32_t)align_up(m->len, align);
    m->len = at + size;
    braid_assert(m->len <= sizeof(m->bytes));
    return at;
}

static void put(Image *m, uint32_t at, const void *p, uint32_t size)
{
    memcpy(m->bytes + at, p, size);
}

static uint32_t append(Image *m, const void *p, uint32_t size, uint32_t align)
{
    uint32_t at = reserve(m, size, align);
    put(m, at, p, size);
    return at;
}

/* Offset of a new string in .dynstr, which is being written. */
static uint32_t add_string(Image *m, const char *s)
{
    return append(m, s, (uint32_t)strlen(s) + 1, 1) - m->dynstr;
}

/* System V ABI, "Hash Table". */
static uint32_t elf_hash(const char *s)
{
    uint32_t h = 0;
    for (; *s; s++) {
        h = (h << 4) + (uint8_t)*s;
        h = (h ^ ((h & 0xf0000000u) >> 24)) & 0x0fffffffu;
    }
    return h;
}

/* .dynsym, .dynstr, .hash with one bucket, and the version of each symbol. */
static void add_symbols(Image *m, const VdsoCode *c, uint32_t *soname, uint32_t *version)
{
    uint32_t n = c->n_functions + 1;
    m->dynsym = reserve(m, n * (uint32_t)sizeof(Elf64_Sym), 8);
    m->dynstr = m->len;
    add_string(m, "");
    for (uint32_t i = 1; i < n; i++) {
        const VdsoFunction *f = &c->functions[i - 1];
        Elf64_Sym sym = {
            .st_name = add_string(m, f->name),
            .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
            .st_shndx = 1,      /* any section: defined, but not absolute */
            .st_value = m->text + f->offset,
            .st_size = f->size,
        };
        put(m, m->dynsym + i * (uint32_t)sizeof(sym), &sym, sizeof(sym));
    }
    *soname = add_string(m, SONAME);
    *version = add_string(m, c->version);
    m->dynstr_len = m->len - m->dynstr;

    uint32_t head[3] = { 1, n, n - 1 };     /* buckets, chain entries, the bucket */
    m->hash = append(m, head, sizeof(head), 8);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t next = i > 1 ? i - 1 : 0;
        append(m, &next, sizeof(next), 4);
    }
    m->versym = reserve(m, n * (uint32_t)sizeof(uint16_t), 2);
    for (uint32_t i = 1; i < n; i++) {
        uint16_t index = 2;
        put(m, m->versym + i * 2, &index, sizeof(index));
    }
}

/* The file's own name as version 1, the symbols' version as 2. */
static void add_versions(Image *m, const VdsoCode *c, uint32_t soname, uint32_t version)
{
    struct {
        Elf64_Verdef def;
        Elf64_Verdaux aux;
    } v[2] = {
        { { VER_DEF_CURRENT, VER_FLG_BASE, 1, 1, elf_hash(SONAME), sizeof(Elf64_Verdef),
            sizeof(v[0]) }, { soname, 0 } },
        { { VER_DEF_CURRENT, 0, 2, 1, elf_hash(c->version), sizeof(Elf64_Verdef), 0 },
          { version, 0 } },
    };
    m->verdef = append(m, v, sizeof(v), 8);
}

/*
 * DWARF call frame information of the functions, and the index in front of it that unwinders
 * look for (LSB, "Exception Frames").  The signal trampoline is known to them by its bytes.
 */
static void add_unwind(Image *m, const VdsoCode *c)
{
    const uint8_t cie[] = {
        20, 0, 0, 0, 0, 0, 0, 0,            /* length, id */
        1, 'z', 'R', 0, 1, 0x78,            /* version, augmentation, alignments 1 and -8 */
        c->dwarf_ra, 1, 0x1b,               /* pointers: relative, four bytes */
        0x0c, c->dwarf_sp, 0,               /* DW_CFA_def_cfa sp, 0 */
        0, 0, 0, 0,                         /* DW_CFA_nop */
    };
    _Static_assert(sizeof(cie) == 24, "the length in its head");
    m->eh_frame = append(m, cie, sizeof(cie), 8);
    uint32_t fde = m->len;
    uint32_t entry[] = { 16, fde + 4 - m->eh_frame, m->text - (fde + 8), c->unwind_size, 0, 0 };
    append(m, entry, sizeof(entry), 4);     /* the last word ends the table */
    m->eh_frame_hdr = reserve(m, 20, 4);
    uint32_t h = m->eh_frame_hdr;
    uint32_t hdr[] = { 0x3b031b01, m->eh_frame - (h + 4), 1, m->text - h, fde - h };
    put(m, h, hdr, sizeof(hdr));
    m->eh_frame_hdr_len = sizeof(hdr);
}

static void add_dynamic(Image *m, uint32_t soname)
{
    Elf64_Dyn d[N_DYNAMIC] = {
        { DT_SONAME, { soname } },
        { DT_HASH, { m->hash } },
        { DT_STRTAB, { m->dynstr } },
        { DT_SYMTAB, { m->dynsym } },
        { DT_STRSZ, { m->dynstr_len } },
        { DT_SYMENT, { sizeof(Elf64_Sym) } },
        { DT_VERSYM, { m->versym } },
        { DT_VERDEF, { m->verdef } },
        { DT_VERDEFNUM, { 2 } },
        { DT_NULL, { 0 } },
    };
    m->dynamic = append(m, d, sizeof(d), 8);
}

static void put_headers(Image *m)
{
    Elf64_Ehdr eh = {
        .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_DYN,
        .e_machine = user_process.abi->elf_machine,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(eh),
        .e_flags = user_process.abi->elf_flags,
        .e_ehsize = sizeof(eh),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = N_PHDRS,
        .e_shentsize = sizeof(Elf64_Shdr),
    };
    Elf64_Phdr ph[N_PHDRS] = {
        { PT_LOAD, PF_R | PF_X, 0, 0, 0, m->len, m->len, USER_PAGE_SIZE },
        { PT_DYNAMIC, PF_R, m->dynamic, m->dynamic, m->dynamic,
          N_DYNAMIC * sizeof(Elf64_Dyn), N_DYNAMIC * sizeof(Elf64_Dyn), 8 },
        { PT_GNU_EH_FRAME, PF_R, m->eh_frame_hdr, m->eh_frame_hdr, m->eh_frame_hdr,
          m->eh_frame_hdr_len, m->eh_frame_hdr_len, 4 },
    };
    put(m, 0, &eh, sizeof(eh));
    put(m, sizeof(eh), ph, sizeof(ph));
}

static void build(Image *m, const VdsoCode *c)
{
    uint32_t soname, version;
    reserve(m, sizeof(Elf64_Ehdr) + N_PHDRS * sizeof(Elf64_Phdr), 8);
    m->text = append(m, c->words, c->size, 16);
    add_symbols(m, c, &soname, &version);
    add_versions(m, c, soname, version);
    add_unwind(m, c);
    add_dynamic(m, soname);
    put_headers(m);
}

/* exec.h's VdsoCall. */
static uint64_t vdso_call(CPUState *cpu, uint64_t nr, uint64_t a0, uint64_t a1)
{
    struct timespec ts;
    struct timeval tv;
    bool done = false;
    switch (nr) {
    case NR_CLOCK_GETTIME:
        done = !clock_gettime((clockid_t)(int)a0, &ts) && user_write(a1, &ts, sizeof(ts));
        break;
    case NR_GETTIMEOFDAY:
        done = a0 && !a1 && !gettimeofday(&tv, NULL) && user_write(a0, &tv, sizeof(tv));
        break;
    default:
        break;
    }
    return !done;
}

void vdso_map(void)
{
    static Image image;
    const VdsoCode *c = user_process.abi->vdso;
    build(&image, c);
    int64_t at = user_mmap(0, USER_PAGE_SIZE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at < 0 || !user_write((uint64_t)at, image.bytes, image.len) ||
        user_mprotect((uint64_t)at, USER_PAGE_SIZE, PROT_READ | PROT_EXEC) < 0) {
        fatal("no room for the vDSO");
    }
    user_process.vdso_addr = (uint64_t)at;
    user_process.sigreturn_addr = (uint64_t)at + image.text + c->sigreturn;
    exec_set_vdso((uint64_t)at, (uint64_t)at + USER_PAGE_SIZE, vdso_call);
}
