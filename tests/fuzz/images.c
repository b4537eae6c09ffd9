/*
 * Kernels, firmware and device trees that are anything: ELF, Linux Images, gzip, EFI zboot.  What is refused ends in
 * fatal_usage(), which comes back here; what is accepted is loaded.  The first byte of an input says what it is.
 *
 * Allocations are remembered, because a refusal leaves them behind.
 */
#include "fuzz.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "board/loader.h"
#include "board/virt.h"
#include "guest/riscv/system.h"
#include "mem/memory.h"
#include "util/error.h"

#define RAM 0x80000000ull
#define RAM_SIZE (16ull << 20)
#define MAX_BLOCKS 1024u

static struct FuzzContext {
    jmp_buf refused;
    void *block[MAX_BLOCKS];
    unsigned nblocks;
    int fd;
    char name[64];
} fuzz;

/* ---- what would end the process, and memory ---- */

_Noreturn void __wrap_fatal_usage(const char *fmt, ...);
_Noreturn void __wrap_fatal(const char *fmt, ...);
void *__wrap_xmalloc(size_t size);
void *__wrap_xcalloc(size_t n, size_t size);
void *__wrap_xrealloc(void *p, size_t size);
void __wrap_free(void *p);
void __real_free(void *p);

void __wrap_fatal_usage(const char *fmt, ...)
{
    longjmp(fuzz.refused, 1);
}

void __wrap_fatal(const char *fmt, ...)
{
    longjmp(fuzz.refused, 1);
}

static void *keep(void *p)
{
    if (!p || fuzz.nblocks == MAX_BLOCKS) {
        abort();
    }
    return fuzz.block[fuzz.nblocks++] = p;
}

static void forget(void *p)
{
    for (unsigned i = fuzz.nblocks; p && i-- > 0;) {
        if (fuzz.block[i] == p) {
            fuzz.block[i] = fuzz.block[--fuzz.nblocks];
            return;
        }
    }
}

void *__wrap_xmalloc(size_t size) { return keep(malloc(size ? size : 1)); }
void *__wrap_xcalloc(size_t n, size_t size) { return keep(calloc(n ? n : 1, size ? size : 1)); }

void *__wrap_xrealloc(void *p, size_t size)
{
    forget(p);
    return keep(realloc(p, size ? size : 1));
}

void __wrap_free(void *p)
{
    forget(p);
    __real_free(p);
}

/* ---- the target ---- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    memory_add_ram("ram", RAM, RAM_SIZE, false);
    fuzz.fd = memfd_create("input", 0);
    snprintf(fuzz.name, sizeof(fuzz.name), "/proc/self/fd/%d", fuzz.fd);
    fuzz.nblocks = 0;
    return fuzz.fd < 0;
}

static void load(unsigned what)
{
    FdtParameters p = { .nharts = 2, .ram_size = RAM_SIZE, .bootargs = what & 4 ? "console=ttyS0" : NULL,
                        .initrd_start = RAM, .initrd_size = what & 8 ? 4096 : 0 };
    size_t size;
    loader_init(RAM, RAM_SIZE);
    switch (what & 3) {
    case 0:
    case 1:
        loader_load_kernel(fuzz.name, RAM + (2 << 20));
        break;
    case 2:
        loader_load_firmware(fuzz.name, RAM);
        break;
    case 3: {
        void *tree = loader_read_file(fuzz.name, "device tree", &size);
        fdt_amend(tree, size, fuzz.name, &p, &size);
        break;
    }
    }
    loader_class.reset(NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 1 || ftruncate(fuzz.fd, 0) || pwrite(fuzz.fd, bytes + 1, size - 1, 0) < 0) {
        return 0;
    }
    if (!setjmp(fuzz.refused)) {
        load(bytes[0]);
    }
    while (fuzz.nblocks) {
        __real_free(fuzz.block[--fuzz.nblocks]);
    }
    return 0;
}
