/*
 * Any bytes as a program: what the loader does with them ends in a mapped program and its first stack, or
 * in a status and a sentence.  The guest's memory is 256 GiB of reserved addresses, empty before each input.
 * What is mapped must lie inside it, and be as large as the headers say.
 */
#include "fuzz.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec/exec.h"
#include "guest/riscv/cpu.h"
#include "linux-user/abi.h"
#include "linux-user/limits.h"
#include "linux-user/loader.h"
#include "linux-user/mmap.h"
#include "linux-user/process.h"
#include "linux-user/user-mem.h"

#define SPACE (1ull << 38)
#define DATA 0x3000

#define MUST(condition)                                                                  \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);      \
            abort();                                                                     \
        }                                                                                \
    } while (0)

typedef struct Image {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[5];
    char interp[32];
    uint8_t data[DATA];
} Image;

size_t fuzz_seed(unsigned n, uint8_t *to, size_t size)
{
    Image im = { .interp = "/lib/ld.so" };
    if (n > 3 || size < sizeof(im)) {
        return 0;
    }
    if (n == 3) {
        return (size_t)snprintf((char *)to, size, "#!/bin/interpreter an argument\nand text\n") + 1;
    }
    memcpy(im.eh.e_ident, ELFMAG, SELFMAG);
    im.eh.e_ident[EI_CLASS] = ELFCLASS64;
    im.eh.e_ident[EI_DATA] = ELFDATA2LSB;
    im.eh.e_ident[EI_VERSION] = EV_CURRENT;
    im.eh.e_type = n == 0 ? ET_EXEC : ET_DYN;
    im.eh.e_machine = EM_RISCV;
    im.eh.e_version = EV_CURRENT;
    im.eh.e_phoff = offsetof(Image, ph);
    im.eh.e_phentsize = sizeof(Elf64_Phdr);
    im.eh.e_ehsize = sizeof(Elf64_Ehdr);
    uint64_t at = n == 0 ? 0x10000 : 0;
    im.eh.e_entry = at + 0x400;
    im.ph[im.eh.e_phnum++] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = at,
                                           .p_filesz = 0x1000, .p_memsz = 0x1000, .p_align = 0x1000 };
    im.ph[im.eh.e_phnum++] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 0x1000,
                                           .p_vaddr = at + 0x11000, .p_filesz = 0x800, .p_memsz = 0x2800,
                                           .p_align = 0x1000 };
    im.ph[im.eh.e_phnum++] = (Elf64_Phdr){ .p_type = PT_PHDR, .p_offset = offsetof(Image, ph),
                                           .p_vaddr = at + offsetof(Image, ph) };
    im.ph[im.eh.e_phnum++] = (Elf64_Phdr){ .p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W };
    if (n == 2) {
        im.ph[im.eh.e_phnum++] = (Elf64_Phdr){ .p_type = PT_INTERP, .p_offset = offsetof(Image, interp),
                                               .p_filesz = sizeof("/lib/ld.so") };
    }
    memcpy(to, &im, sizeof(im));
    return sizeof(im);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static LinuxUserOptions opt = { .guest = &riscv64_guest, .exec_fd = -1 };
    opt.exec.guest = &riscv64_guest;
    opt.exec.page_flags = user_page_flags;
    opt.exec.tb_size = 1 << 20;
    user_process.opt = &opt;
    user_process.abi = &linux_abi_riscv64;
    limits_init();
    user_mem_init(user_mem_pick_base(SPACE), SPACE);
    opt.exec.guest_base = user_mem.guest_base;
    exec_init(&opt.exec);
    return 0;
}

/* Every page of every segment belongs to the guest and is mapped. */
static void check_mapped(const ElfFile *f)
{
    for (unsigned i = 0; i < f->eh.e_phnum; i++) {
        const Elf64_Phdr *p = &f->ph[i];
        if (p->p_type == PT_LOAD && p->p_memsz) {
            uint64_t first = f->bias + p->p_vaddr, last = first + p->p_memsz - 1;
            MUST(first <= last && last < SPACE);
            MUST(user_page_flags(first) && user_page_flags(last));
        }
    }
}

static void load(ElfFile *f)
{
    static char *argv[] = { "program", "argument", NULL }, *envp[] = { "A=B", NULL };
    char *err = NULL;
    int status = elf_map(f, 0x60000000, &err);
    MUST(!status == !err);
    if (!status) {
        check_mapped(f);
        StackInfo info = { .exe = f, .exec_fn = "program", .argv = argv, .argc = 2, .envp = envp };
        uint64_t sp = 0;
        user_process.auxv_len = 0;
        status = stack_build(&info, 1 << 20, &sp, &err);
        MUST(!status == !err);
        MUST(status || (!(sp & 15) && user_page_flags(sp)));
    }
    free(err);
    MUST(user_munmap(USER_PAGE_SIZE, SPACE - USER_PAGE_SIZE) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("program", MFD_CLOEXEC);
    char *err = NULL, *interp, *arg;
    MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size && !fchmod(fd, 0755));
    file_kind(fd, EM_RISCV);
    if (script_parse(fd, &interp, &arg)) {
        MUST(interp && *interp);
        free(interp);
        free(arg);
    }
    ElfFile f = { .fd = -1 };
    int status = elf_open(&f, fd, "/proc/self/fuzz", "program", EM_RISCV, &err);
    MUST(!status == !err);
    if (!status) {
        load(&f);
    }
    free(err);
    elf_close(&f);
    return 0;
}
