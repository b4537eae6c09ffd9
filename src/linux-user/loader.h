/*
 * Reading ELF programs: checks, mapping, and the first stack.
 */
#ifndef LINUX_USER_LOADER_H
#define LINUX_USER_LOADER_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

/* Exit statuses of a program that could not be run, as shells give them. */
enum { LOADER_OK = 0, LOADER_CANNOT_EXECUTE = 126, LOADER_NOT_FOUND = 127 };

/* An ELF file that has passed all checks.  Owned by the caller; elf_close() frees what it holds. */
typedef struct ElfFile {
    int fd;
    char *path;             /* as opened */
    Elf64_Ehdr eh;
    Elf64_Phdr *ph;         /* eh.e_phnum of them */
    char *interp;           /* PT_INTERP, or NULL */
    uint64_t lo, hi;        /* page-aligned span of the loadable segments, before relocation */
    /* after elf_map() */
    uint64_t bias;          /* added to all addresses */
    uint64_t entry, phdr_addr, brk;
    uint64_t code_start, code_end, data_start, data_end;
} ElfFile;

/* What the first bytes of a file say it is. */
typedef enum FileKind {
    FILE_KIND_GUEST_ELF,    /* for this guest */
    FILE_KIND_ELF,          /* for something else */
    FILE_KIND_SCRIPT,       /* #! */
    FILE_KIND_OTHER,
} FileKind;

/*
 * Open and check the file at `host_path` for `machine`, or the file `fd`, which f then owns, if that is
 * not -1; `name` is what messages call it. Returns LOADER_OK, or an exit status with a
 * sentence in *err for the caller to free.
 */
int elf_open(ElfFile *f, int fd, const char *host_path, const char *name, uint16_t machine,
             char **err);
void elf_close(ElfFile *f);
/* Map the segments into guest memory; ET_DYN at `hint` or wherever there is room. As elf_open(). */
int elf_map(ElfFile *f, uint64_t hint, char **err);

FileKind file_kind(int fd, uint16_t machine);
/*
 * The interpreter line of a script in fd: *interp and *arg (NULL if none), for the caller to free.  False if there is none.
 */
bool script_parse(int fd, char **interp, char **arg);
/* "riscv64", "aarch64", "x86-64" or a number; static storage. */
const char *elf_machine_name(uint16_t machine, unsigned char elf_class);

/* ---- stack.c ---- */
typedef struct StackInfo {
    const ElfFile *exe;
    uint64_t interp_base;   /* AT_BASE */
    const char *exec_fn;    /* AT_EXECFN */
    char **argv, **envp;
    int argc;
} StackInfo;
/* Map the stack and fill it; *sp is where the program starts. As elf_open(). */
int stack_build(const StackInfo *info, uint64_t size, uint64_t *sp, char **err);

#endif
