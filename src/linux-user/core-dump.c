/*
 * Core files: what the guest's kernel would write when a program dies of SIGSEGV and the like.
 *
 * The host cannot do it: its core would show braid.  So the dying thread stops all others (they stay where
 * they are: outside generated code their registers are true) and writes an ELF core with the
 * guest's registers and memory, obeying RLIMIT_CORE, PR_SET_DUMPABLE and core_pattern.  Patterns
 * that start a program get nothing: that program would look at braid.
 *
 * Of memory there is what Linux dumps by default: all that is anonymous or has been written, of
 * other files' mappings the first page if it is an ELF header.  Pages that nobody has
 * touched are holes in the file.
 *
 * Layout: ELF header, PT_NOTE and one PT_LOAD a mapping, the notes, then memory from a page
 * boundary on.  The first NT_PRSTATUS is the dying thread's.
 */
#include "linux-user/core-dump.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "linux-user/process.h"
#include "linux-user/procfs.h"
#include "linux-user/user-mem.h"
#include "linux-user/user-signal.h"
#include "util/bitops.h"
#include "util/error.h"
#include "util/strutil.h"
#include "util/vec.h"

#define PAGE_CHUNK 512u
/* Looking through a mapping for pages that exist takes 8 bytes a page: larger ones are left out. */
#define LARGEST_MAPPING (1ull << 40)
#define MAX_MAPPINGS 65000u     /* the count in the ELF header has 16 bits */

/* asm-generic's struct elf_prstatus without the registers, which follow. */
typedef struct CorePrstatus {
    int32_t signo, code, err;
    int16_t cursig, pad;
    uint64_t sigpend, sighold;
    int32_t pid, ppid, pgrp, sid;
    uint64_t times[8];
} CorePrstatus;
_Static_assert(sizeof(CorePrstatus) == 112, "struct elf_prstatus_common");

/* asm-generic's struct elf_prpsinfo. */
typedef struct CorePrpsinfo {
    char state, sname, zombie, nice;
    uint32_t pad;
    uint64_t flag;
    uint32_t uid, gid;
    int32_t pid, ppid, pgrp, sid;
    char fname[16], psargs[80];
} CorePrpsinfo;
_Static_assert(sizeof(CorePrpsinfo) == 136, "struct elf_prpsinfo");

typedef struct CoreMap {
    uint64_t start, end, offset, dumped;    /* the first `dumped` bytes are in the file */
    unsigned flags;
    char *name;                             /* of the file, or NULL */
} CoreMap;

typedef struct Core {
    GuestThread *dying;
    const siginfo_t *info;
    Vec(uint8_t) notes;
    Vec(CoreMap) maps;
    int fd, pagemap;
    uint64_t limit, pos;
} Core;

/* ---- notes ---- */

static void put(Core *c, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        vec_push(&c->notes, ((const uint8_t *)p)[i]);
    }
}

static void put_note(Core *c, const char *owner, uint32_t type, const void *p, size_t n)
{
    static const uint8_t zeros[4];
    uint32_t name_size = (uint32_t)strlen(owner) + 1;
    Elf64_Nhdr h = { name_size, (uint32_t)n, type };
    put(c, &h, sizeof(h));
    put(c, owner, name_size);
    put(c, zeros, -name_size & 3);
    put(c, p, n);
    put(c, zeros, -n & 3);
}

static void put_registers(Core *c, GuestThread *t)
{
    const LinuxAbi *abi = user_process.abi;
    bool first = t == c->dying;
    uint32_t fpvalid[2] = { 1, 0 };
    CorePrstatus s = {
        .signo = first ? c->info->si_signo : 0,
        .code = first ? c->info->si_code : 0,
        .err = first ? c->info->si_errno : 0,
        .cursig = (int16_t)c->info->si_signo,
        .sigpend = t->held, .sighold = t->sigmask,
        .pid = t->tid, .ppid = getppid(), .pgrp = getpgrp(), .sid = getsid(0),
    };
    size_t size = sizeof(s) + abi->core_gregs_size + sizeof(fpvalid);
    uint8_t *buf = xcalloc(1, size);
    memcpy(buf, &s, sizeof(s));
    abi->core_gregs(t->cpu, buf + sizeof(s));
    memcpy(buf + sizeof(s) + abi->core_gregs_size, fpvalid, sizeof(fpvalid));
    put_note(c, "CORE", NT_PRSTATUS, buf, size);
    free(buf);
}

static void put_fp_registers(Core *c, GuestThread *t)
{
    const LinuxAbi *abi = user_process.abi;
    uint8_t *buf = xcalloc(1, abi->core_fpregs_size);
    abi->core_fpregs(t->cpu, buf);
    put_note(c, "CORE", NT_FPREGSET, buf, abi->core_fpregs_size);
    free(buf);
}

static void put_prpsinfo(Core *c)
{
    CorePrpsinfo p = {
        .sname = 'R', .uid = getuid(), .gid = getgid(), .pid = getpid(), .ppid = getppid(),
        .pgrp = getpgrp(), .sid = getsid(0),
    };
    prctl(PR_GET_NAME, p.fname);
    size_t len = 0;
    for (int i = 0; i < user_process.argc && len + 1 < sizeof(p.psargs); i++) {
        if (i) {
            p.psargs[len++] = ' ';
        }
        size_t n = strlen(user_process.argv[i]), room = sizeof(p.psargs) - 1 - len;
        memcpy(p.psargs + len, user_process.argv[i], n < room ? n : room);
        len += n < room ? n : room;
    }
    put_note(c, "CORE", NT_PRPSINFO, &p, sizeof(p));
}

/* NT_FILE: count, page size, {start, end, offset in pages} each, then the names. */
static void put_files(Core *c)
{
    Vec(uint64_t) words = VEC_INIT;
    Vec(char) names = VEC_INIT;
    vec_push(&words, 0);
    vec_push(&words, USER_PAGE_SIZE);
    for (size_t i = 0; i < c->maps.len; i++) {
        const CoreMap *m = &c->maps.data[i];
        if (m->name) {
            words.data[0]++;
            vec_push(&words, m->start);
            vec_push(&words, m->end);
            vec_push(&words, m->offset / USER_PAGE_SIZE);
            for (const char *s = m->name; *s; s++) {
                vec_push(&names, *s);
            }
            vec_push(&names, 0);
        }
    }
    size_t size = words.len * sizeof(uint64_t);
    uint8_t *buf = xmalloc(size + names.len + 1);
    memcpy(buf, words.data, size);
    if (names.len) {
        memcpy(buf + size, names.data, names.len);
    }
    put_note(c, "CORE", NT_FILE, buf, size + names.len);
    free(buf);
    vec_free(&words);
    vec_free(&names);
}

static void put_other_thread(CPUState *cpu, void *opaque)
{
    Core *c = opaque;
    GuestThread *t = cpu->user_data;
    if (t && t != c->dying) {
        put_registers(c, t);
        put_fp_registers(c, t);
    }
}

static void make_notes(Core *c)
{
    put_registers(c, c->dying);
    put_prpsinfo(c);
    put_note(c, "CORE", NT_SIGINFO, c->info, sizeof(*c->info));
    put_note(c, "CORE", NT_AUXV, user_process.auxv, user_process.auxv_len * sizeof(uint64_t));
    put_files(c);
    put_fp_registers(c, c->dying);
    if (!c->dying->in_vfork_child) {
        cpu_foreach(put_other_thread, c);
    }
}

/* ---- memory ---- */

static uint64_t dumped_size(const GuestMap *m)
{
    uint64_t size = m->end - m->start;
    char magic[SELFMAG];
    if (!(m->flags & PAGE_READ) || size > LARGEST_MAPPING) {
        return 0;
    }
    if (!m->inode || (!m->shared && !(m->flags & PAGE_EXEC))) {
        return size;
    }
    bool elf = !m->offset && user_read(magic, m->start, SELFMAG) &&
               !memcmp(magic, ELFMAG, SELFMAG);
    return elf ? USER_PAGE_SIZE : 0;
}

static void note_map(const GuestMap *m, void *opaque)
{
    Core *c = opaque;
    if (c->maps.len < MAX_MAPPINGS) {
        CoreMap map = {
            .start = m->start, .end = m->end, .offset = m->offset, .flags = m->flags,
            .dumped = dumped_size(m), .name = m->inode ? xstrdup(m->name) : NULL,
        };
        vec_push(&c->maps, map);
    }
}

/* Bytes at the current place in the file; what lies beyond the limit is left out. */
static bool write_bytes(Core *c, const void *p, uint64_t n)
{
    if (c->pos >= c->limit) {
        return false;
    }
    n = n < c->limit - c->pos ? n : c->limit - c->pos;
    while (n) {
        ssize_t done = pwrite(c->fd, p, n, (off_t)c->pos);
        if (done <= 0) {
            return false;
        }
        p = (const uint8_t *)p + done;
        c->pos += (uint64_t)done;
        n -= (uint64_t)done;
    }
    return true;
}

/* Is there anything in the page?  pagemap(5): bit 63 present, 62 swapped. */
static void read_pagemap(Core *c, uint64_t addr, uint64_t pages, uint64_t out[PAGE_CHUNK])
{
    uint64_t at = (addr + user_mem.guest_base) / USER_PAGE_SIZE * sizeof(uint64_t);
    size_t size = pages * sizeof(uint64_t);
    if (c->pagemap < 0 || pread(c->pagemap, out, size, (off_t)at) != (ssize_t)size) {
        memset(out, 0xff, size);
    }
}

static void write_mapping(Core *c, const CoreMap *m, uint64_t offset)
{
    uint64_t page[PAGE_CHUNK];
    for (uint64_t done = 0; done < m->dumped && offset + done < c->limit;) {
        uint64_t left = (m->dumped - done) / USER_PAGE_SIZE;
        uint64_t n = left < PAGE_CHUNK ? left : PAGE_CHUNK;
        /* Pages of a file count as there: the page cache may have them without the page table. */
        if (m->name) {
            memset(page, 0xff, sizeof(page));
        } else {
            read_pagemap(c, m->start + done, n, page);
        }
        for (uint64_t i = 0; i < n; i++, done += USER_PAGE_SIZE) {
            if (page[i] >> 62) {
                c->pos = offset + done;
                write_bytes(c, g2h(m->start + done), USER_PAGE_SIZE);
            }
        }
    }
}

static void write_file(Core *c)
{
    uint64_t phnum = c->maps.len + 1;
    uint64_t at = sizeof(Elf64_Ehdr) + phnum * sizeof(Elf64_Phdr);
    Elf64_Ehdr eh = {
        .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_CORE, .e_machine = user_process.abi->elf_machine, .e_version = EV_CURRENT,
        .e_phoff = sizeof(eh), .e_flags = user_process.abi->elf_flags, .e_ehsize = sizeof(eh),
        .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = (uint16_t)phnum,
    };
    Elf64_Phdr note = { .p_type = PT_NOTE, .p_offset = at, .p_filesz = c->notes.len };
    write_bytes(c, &eh, sizeof(eh));
    write_bytes(c, &note, sizeof(note));
    uint64_t first = align_up(at + c->notes.len, USER_PAGE_SIZE), offset = first;
    for (size_t i = 0; i < c->maps.len; i++) {
        const CoreMap *m = &c->maps.data[i];
        Elf64_Phdr ph = {
            .p_type = PT_LOAD, .p_offset = offset, .p_vaddr = m->start,
            .p_flags = (m->flags & PAGE_READ ? PF_R : 0) | (m->flags & PAGE_WRITE ? PF_W : 0) |
                       (m->flags & PAGE_EXEC ? PF_X : 0),
            .p_filesz = m->dumped, .p_memsz = m->end - m->start, .p_align = USER_PAGE_SIZE,
        };
        write_bytes(c, &ph, sizeof(ph));
        offset += m->dumped;
    }
    write_bytes(c, c->notes.data, c->notes.len);
    uint64_t end = offset;
    offset = first;
    for (size_t i = 0; i < c->maps.len; i++) {
        write_mapping(c, &c->maps.data[i], offset);
        offset += c->maps.data[i].dumped;
    }
    if (ftruncate(c->fd, (off_t)(end < c->limit ? end : c->limit))) {
        /* The last page was a hole: readers take it for a truncated core, no more. */
        return;
    }
}

/* ---- the whole ---- */

static int open_file(const char *name)
{
    unlink(name);
    return open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

bool core_dump(GuestThread *t, const siginfo_t *info, const char **name)
{
    static char path[PATH_MAX];
    struct rlimit rl;
    if (getrlimit(RLIMIT_CORE, &rl) || rl.rlim_cur < USER_PAGE_SIZE ||
        prctl(PR_GET_DUMPABLE) != 1 ||
        !core_name(path, sizeof(path), info->si_signo, rl.rlim_cur)) {
        return false;
    }
    Core c = { .dying = t, .info = info, .limit = rl.rlim_cur };
    /* A vfork child's other threads are another process's. */
    if (!t->in_vfork_child) {
        start_exclusive(t->cpu);
    }
    c.fd = open_file(path);
    if (c.fd < 0) {
        return false;
    }
    c.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    procfs_maps_foreach(note_map, &c);
    make_notes(&c);
    write_file(&c);
    close(c.fd);
    *name = path;
    return true;
}
