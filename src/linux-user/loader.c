/*
 * Loading ELF64 little-endian programs.
 *
 * Everything in the file is checked before the first byte is mapped, so that a bad file gets one clear
 * sentence and never a crash: sizes and offsets against the file's size, addresses against
 * overflow and each other.  Runs before there is a second thread.
 */
#include "linux-user/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "linux-user/mmap.h"
#include "linux-user/user-mem.h"
#include "util/bitops.h"
#include "util/error.h"
#include "util/strutil.h"

#define SCRIPT_LINE_MAX 256
#define MAX_PHNUM 4096

const char *elf_machine_name(uint16_t machine, unsigned char elf_class)
{
    static const struct { uint16_t machine; const char *name; } names[] = {
        { EM_X86_64, "x86-64" }, { EM_386, "i386" }, { EM_AARCH64, "aarch64" },
        { EM_ARM, "arm" }, { EM_PPC64, "ppc64" }, { EM_PPC, "ppc" }, { EM_S390, "s390x" },
        { EM_MIPS, "mips" }, { EM_SPARCV9, "sparc64" }, { 258, "loongarch64" },
        { EM_68K, "m68k" }, { EM_IA_64, "ia64" }, { EM_PARISC, "parisc" }, { EM_SH, "sh4" },
    };
    if (machine == EM_RISCV) {
        return elf_class == ELFCLASS32 ? "riscv32" : "riscv64";
    }
    for (size_t i = 0; i < array_size(names); i++) {
        if (names[i].machine == machine) {
            return names[i].name;
        }
    }
    return "an unknown machine";
}

static int fail(int status, char **err, char *sentence)
{
    *err = sentence;
    return status;
}
#define fail_format(status, err, ...) fail((status), (err), str_format(__VA_ARGS__))
#define bad(err, ...) fail_format(LOADER_CANNOT_EXECUTE, (err), __VA_ARGS__)

/* ---- checks ---- */

static int open_regular(ElfFile *f, int fd, const char *path, const char *name, uint64_t *size,
                        char **err)
{
    f->fd = fd >= 0 ? fd : open(path, O_RDONLY | O_CLOEXEC);
    if (f->fd < 0) {
        int status = errno == ENOENT || errno == ENOTDIR ? LOADER_NOT_FOUND
                                                         : LOADER_CANNOT_EXECUTE;
        return fail_format(status, err, "cannot run '%s': %s", name, strerror(errno));
    }
    struct stat st;
    if (fstat(f->fd, &st)) {
        return bad(err, "cannot run '%s': %s", name, strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) {
        return bad(err, "cannot run '%s': it is a directory", name);
    }
    if (!S_ISREG(st.st_mode)) {
        return bad(err, "cannot run '%s': it is not a regular file", name);
    }
    if (!(st.st_mode & 0111)) {
        return bad(err, "cannot run '%s': it has no execute permission", name);
    }
    if (!st.st_size) {
        return bad(err, "cannot run '%s': the file is empty", name);
    }
    *size = (uint64_t)st.st_size;
    return LOADER_OK;
}

static int check_header(const Elf64_Ehdr *eh, size_t got, const char *name, uint16_t machine,
                        char **err)
{
    if (got < SELFMAG || memcmp(eh->e_ident, ELFMAG, SELFMAG)) {
        return bad(err, "cannot run '%s': it is neither an ELF program nor a script", name);
    }
    if (got < sizeof(Elf32_Ehdr)) {
        return bad(err, "cannot run '%s': its ELF header is cut short", name);
    }
    if (eh->e_ident[EI_DATA] == ELFDATA2MSB) {
        return bad(err, "cannot run '%s': it is for a big-endian machine", name);
    }
    if (eh->e_machine != machine || eh->e_ident[EI_CLASS] != ELFCLASS64) {
        return bad(err, "cannot run '%s': it is for %s, not %s", name,
                   elf_machine_name(eh->e_machine, eh->e_ident[EI_CLASS]),
                   elf_machine_name(machine, ELFCLASS64));
    }
    if (got < sizeof(*eh)) {
        return bad(err, "cannot run '%s': its ELF header is cut short", name);
    }
    if (eh->e_ident[EI_DATA] != ELFDATA2LSB || eh->e_ident[EI_VERSION] != EV_CURRENT) {
        return bad(err, "cannot run '%s': its ELF header is of an unknown kind", name);
    }
    if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN) {
        return bad(err, "cannot run '%s': it is %s, not a program", name,
                   eh->e_type == ET_REL    ? "an object file"
                   : eh->e_type == ET_CORE ? "a core dump"
                                           : "an ELF file of an unknown type");
    }
    if (eh->e_phentsize != sizeof(Elf64_Phdr) || !eh->e_phnum || eh->e_phnum > MAX_PHNUM) {
        return bad(err, "cannot run '%s': it has no usable program headers", name);
    }
    return LOADER_OK;
}

static int check_segment(ElfFile *f, const Elf64_Phdr *p, uint64_t size, uint64_t *prev_end,
                         const char *name, char **err)
{
    unsigned i = (unsigned)(p - f->ph);
    if (p->p_filesz > p->p_memsz) {
        return bad(err, "cannot run '%s': segment %u is larger in the file than in memory",
                   name, i);
    }
    if (p->p_offset > size || p->p_filesz > size - p->p_offset) {
        return bad(err, "cannot run '%s': the file ends inside segment %u (truncated?)", name,
                   i);
    }
    if (p->p_vaddr + p->p_memsz < p->p_vaddr || p->p_vaddr + p->p_memsz >= 1ull << 47) {
        return bad(err, "cannot run '%s': segment %u lies outside the address space", name,
                   i);
    }
    if (((p->p_vaddr ^ p->p_offset) & ~USER_PAGE_MASK) && p->p_filesz) {
        return bad(err, "cannot run '%s': segment %u is not aligned to pages", name, i);
    }
    if (*prev_end && p->p_vaddr < *prev_end) {
        return bad(err, "cannot run '%s': segment %u overlaps the one before", name, i);
    }
    *prev_end = p->p_vaddr + p->p_memsz;
    return LOADER_OK;
}

static int read_interp(ElfFile *f, const Elf64_Phdr *p, const char *name, char **err)
{
    if (f->interp || p->p_filesz < 2 || p->p_filesz > 4096) {
        return bad(err, "cannot run '%s': the name of its interpreter is unusable", name);
    }
    f->interp = xcalloc(1, p->p_filesz + 1);
    if (pread(f->fd, f->interp, p->p_filesz, (off_t)p->p_offset) != (ssize_t)p->p_filesz ||
        f->interp[p->p_filesz - 1] || !f->interp[0]) {
        return bad(err, "cannot run '%s': the name of its interpreter is unusable", name);
    }
    return LOADER_OK;
}

static int check_segments(ElfFile *f, uint64_t size, const char *name, char **err)
{
    uint64_t prev_end = 0;
    f->lo = UINT64_MAX;
    for (unsigned i = 0; i < f->eh.e_phnum; i++) {
        const Elf64_Phdr *p = &f->ph[i];
        int status = LOADER_OK;
        if (p->p_type == PT_INTERP) {
            status = read_interp(f, p, name, err);
        } else if (p->p_type == PT_LOAD && p->p_memsz) {
            status = check_segment(f, p, size, &prev_end, name, err);
            f->lo = f->lo < p->p_vaddr ? f->lo : p->p_vaddr;
            f->hi = p->p_vaddr + p->p_memsz;
        }
        if (status) {
            return status;
        }
    }
    if (f->lo == UINT64_MAX) {
        return bad(err, "cannot run '%s': it has nothing to load", name);
    }
    f->lo = align_down(f->lo, USER_PAGE_SIZE);
    f->hi = align_up(f->hi, USER_PAGE_SIZE);
    return LOADER_OK;
}

int elf_open(ElfFile *f, int fd, const char *host_path, const char *name, uint16_t machine,
             char **err)
{
    uint64_t size;
    *f = (ElfFile){ .fd = -1, .path = xstrdup(name) };
    int status = open_regular(f, fd, host_path, name, &size, err);
    if (status) {
        return status;
    }
    ssize_t got = pread(f->fd, &f->eh, sizeof(f->eh), 0);
    if (got < 0) {
        return bad(err, "cannot read '%s': %s", name, strerror(errno));
    }
    status = check_header(&f->eh, (size_t)got, name, machine, err);
    if (status) {
        return status;
    }
    size_t table = (size_t)f->eh.e_phnum * sizeof(Elf64_Phdr);
    if (f->eh.e_phoff > size || table > size - f->eh.e_phoff) {
        return bad(err, "cannot run '%s': the file ends inside its program headers", name);
    }
    f->ph = xmalloc(table);
    if (pread(f->fd, f->ph, table, (off_t)f->eh.e_phoff) != (ssize_t)table) {
        return bad(err, "cannot read the program headers of '%s'", name);
    }
    return check_segments(f, size, name, err);
}

void elf_close(ElfFile *f)
{
    if (f->fd >= 0) {
        close(f->fd);
        f->fd = -1;
    }
    free(f->ph);
    free(f->interp);
    free(f->path);
    f->ph = NULL;
    f->interp = f->path = NULL;
}

/* ---- mapping ---- */

static int64_t zero_tail(uint64_t start, uint64_t end, int prot)
{
    static const char zeros[USER_PAGE_SIZE];
    if (start == end) {
        return 0;
    }
    uint64_t page = align_down(start, USER_PAGE_SIZE);
    if (!(prot & PROT_WRITE)) {
        user_mprotect(page, USER_PAGE_SIZE, PROT_READ | PROT_WRITE);
    }
    bool ok = user_write(start, zeros, end - start);
    if (!(prot & PROT_WRITE)) {
        user_mprotect(page, USER_PAGE_SIZE, prot);
    }
    return ok ? 0 : -EFAULT;
}

static int64_t map_segment(ElfFile *f, const Elf64_Phdr *p)
{
    int prot = (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) |
               (p->p_flags & PF_X ? PROT_EXEC : 0);
    uint64_t start = f->bias + p->p_vaddr;
    uint64_t page = align_down(start, USER_PAGE_SIZE);
    uint64_t file_end = start + p->p_filesz, mem_end = start + p->p_memsz;
    uint64_t file_page_end = p->p_filesz ? align_up(file_end, USER_PAGE_SIZE) : page;
    int64_t ret;
    if (p->p_filesz) {
        ret = user_mmap(page, file_page_end - page, prot, MAP_PRIVATE | MAP_FIXED, f->fd,
                        p->p_offset - (start - page));
        if (ret < 0) {
            return ret;
        }
    }
    if (p->p_memsz == p->p_filesz) {
        return 0;
    }
    if (p->p_filesz) {
        uint64_t tail_end = mem_end < file_page_end ? mem_end : file_page_end;
        ret = zero_tail(file_end, prot & PROT_WRITE ? file_page_end : tail_end, prot);
        if (ret < 0) {
            return ret;
        }
    }
    uint64_t end = align_up(mem_end, USER_PAGE_SIZE);
    if (end > file_page_end) {
        ret = user_mmap(file_page_end, end - file_page_end, prot,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        return ret < 0 ? ret : 0;
    }
    return 0;
}

static void note_segment(ElfFile *f, const Elf64_Phdr *p)
{
    uint64_t start = f->bias + p->p_vaddr, end = start + p->p_memsz;
    uint64_t phoff = f->eh.e_phoff;
    if (p->p_flags & PF_X) {
        f->code_start = f->code_start ? f->code_start : start;
        f->code_end = start + p->p_filesz;
    } else {
        f->data_start = f->data_start ? f->data_start : start;
        f->data_end = start + p->p_filesz;
    }
    if (phoff >= p->p_offset && phoff - p->p_offset < p->p_filesz) {
        f->phdr_addr = start + (phoff - p->p_offset);
    }
    if (end > f->brk) {
        f->brk = end;
    }
}

int elf_map(ElfFile *f, uint64_t hint, char **err)
{
    uint64_t span = f->hi - f->lo;
    f->bias = 0;
    if (f->eh.e_type == ET_DYN) {
        /* Find room for the whole; the segments then replace it. */
        int64_t at = user_mmap(hint, span, PROT_NONE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at < 0) {
            return bad(err, "cannot run '%s': no room for it in memory (%s)", f->path,
                       strerror((int)-at));
        }
        user_munmap((uint64_t)at, span);
        f->bias = (uint64_t)at - f->lo;
    }
    for (unsigned i = 0; i < f->eh.e_phnum; i++) {
        const Elf64_Phdr *p = &f->ph[i];
        if (p->p_type != PT_LOAD || !p->p_memsz) {
            continue;
        }
        int64_t ret = map_segment(f, p);
        if (ret < 0) {
            return bad(err, "cannot run '%s': segment %u cannot be mapped at 0x%llx (%s)",
                       f->path, i, (unsigned long long)(f->bias + p->p_vaddr),
                       strerror((int)-ret));
        }
        note_segment(f, p);
    }
    f->entry = f->bias + f->eh.e_entry;
    return LOADER_OK;
}

/* ---- what a file is ---- */

FileKind file_kind(int fd, uint16_t machine)
{
    Elf64_Ehdr eh;
    ssize_t n = pread(fd, &eh, sizeof(eh), 0);
    if (n >= 2 && !memcmp(&eh, "#!", 2)) {
        return FILE_KIND_SCRIPT;
    }
    if (n < 20 || memcmp(eh.e_ident, ELFMAG, SELFMAG)) {
        return FILE_KIND_OTHER;
    }
    return eh.e_ident[EI_CLASS] == ELFCLASS64 && eh.e_ident[EI_DATA] == ELFDATA2LSB &&
           eh.e_machine == machine ? FILE_KIND_GUEST_ELF : FILE_KIND_ELF;
}

bool script_parse(int fd, char **interp, char **arg)
{
    char line[SCRIPT_LINE_MAX + 1];
    ssize_t n = pread(fd, line, SCRIPT_LINE_MAX, 0);
    if (n < 3 || line[0] != '#' || line[1] != '!') {
        return false;
    }
    line[n] = 0;
    line[strcspn(line, "\n")] = 0;
    char *p = line + 2 + strspn(line + 2, " \t");
    size_t len = strcspn(p, " \t");
    if (!len) {
        return false;
    }
    char *rest = p + len + strspn(p + len, " \t");
    size_t rest_len = strlen(rest);
    while (rest_len && (rest[rest_len - 1] == ' ' || rest[rest_len - 1] == '\t')) {
        rest[--rest_len] = 0;
    }
    *arg = rest_len ? xstrdup(rest) : NULL;
    p[len] = 0;
    *interp = xstrdup(p);
    return true;
}
