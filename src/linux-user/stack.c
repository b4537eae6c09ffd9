/*
 * The first stack of a program: strings, auxiliary vector, environment, arguments, as
 * the kernel lays them out.  Runs before there is a second thread.
 */
#include "linux-user/loader.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "linux-user/limits.h"
#include "linux-user/mmap.h"
#include "linux-user/process.h"
#include "linux-user/rseq.h"
#include "linux-user/user-mem.h"
#include "util/bitops.h"
#include "util/error.h"
#include "util/strutil.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#ifndef AT_RSEQ_ALIGN
#define AT_RSEQ_FEATURE_SIZE 27
#define AT_RSEQ_ALIGN 28
#endif
#define STACK_DEFAULT (8ull << 20)
#define STACK_UNLIMITED (1ull << 30)
#define STACK_MIN (128ull << 10)
#define STACK_GAP (1ull << 20)

/* Fills downwards from the top of the stack; `ok` turns false when something does not fit. */
typedef struct StackWriter {
    uint64_t sp, limit;
    bool ok;
} StackWriter;

static uint64_t push_bytes(StackWriter *w, const void *p, size_t n)
{
    if (w->sp - w->limit < n) {
        w->ok = false;
        return w->sp;
    }
    w->sp -= n;
    w->ok &= user_write(w->sp, p, n);
    return w->sp;
}

static uint64_t push_string(StackWriter *w, const char *s)
{
    return push_bytes(w, s, strlen(s) + 1);
}

static unsigned count(char **list)
{
    unsigned n = 0;
    while (list[n]) {
        n++;
    }
    return n;
}

/* The strings of a list, the last one first; their addresses go to out[]. */
static void push_list(StackWriter *w, char **list, unsigned n, uint64_t *out)
{
    for (unsigned i = n; i-- > 0;) {
        out[i] = push_string(w, list[i]);
    }
}

static void aux(uint64_t type, uint64_t value)
{
    if (user_process.auxv_len + 2 <= array_size(user_process.auxv)) {
        user_process.auxv[user_process.auxv_len++] = type;
        user_process.auxv[user_process.auxv_len++] = value;
    }
}

static void make_auxv(const StackInfo *info, uint64_t random, uint64_t exec_fn,
                      uint64_t platform)
{
    const ElfFile *exe = info->exe;
    const LinuxAbi *abi = user_process.abi;
    aux(AT_SYSINFO_EHDR, user_process.vdso_addr);
    aux(AT_PHDR, exe->phdr_addr);
    aux(AT_PHENT, sizeof(Elf64_Phdr));
    aux(AT_PHNUM, exe->eh.e_phnum);
    aux(AT_PAGESZ, USER_PAGE_SIZE);
    aux(AT_BASE, info->interp_base);
    aux(AT_FLAGS, 0);
    aux(AT_ENTRY, exe->entry);
    aux(AT_UID, getuid());
    aux(AT_EUID, geteuid());
    aux(AT_GID, getgid());
    aux(AT_EGID, getegid());
    aux(AT_HWCAP, abi->hwcap());
    aux(AT_CLKTCK, (uint64_t)sysconf(_SC_CLK_TCK));
    aux(AT_RANDOM, random);
    aux(AT_SECURE, getauxval(AT_SECURE));
    aux(AT_EXECFN, exec_fn);
    aux(AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_SIZE);
    aux(AT_RSEQ_ALIGN, RSEQ_ALIGN);
    aux(AT_MINSIGSTKSZ, abi->minsigstksz);
    if (platform) {
        aux(AT_PLATFORM, platform);
    }
    aux(AT_NULL, 0);
}

static uint64_t stack_size(uint64_t asked)
{
    uint64_t size = asked;
    if (!size) {
        uint64_t soft = limits_soft(RLIMIT_STACK);
        size = soft == RLIM_INFINITY || soft > STACK_UNLIMITED ? STACK_UNLIMITED : soft;
    }
    size = align_up(size ? size : STACK_DEFAULT, USER_PAGE_SIZE);
    uint64_t most = user_mem.task_size / 4;
    return size < STACK_MIN ? STACK_MIN : size > most ? align_down(most, USER_PAGE_SIZE) : size;
}

static int map_stack(uint64_t size, StackWriter *w, char **err)
{
    int64_t at = user_mmap(0, size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (at < 0) {
        *err = str_format("no room for a stack of %llu KiB (%s)",
                          (unsigned long long)size >> 10, strerror((int)-at));
        return LOADER_CANNOT_EXECUTE;
    }
    user_mem.stack_start = (uint64_t)at;
    user_mem.stack_end = (uint64_t)at + size;
    /* Nothing is placed close below: an overflow must fault. */
    if (user_mem.stack_start > user_mem.mmap_top / 2) {
        user_mem.mmap_top = user_mem.search_from = user_mem.stack_start - STACK_GAP;
        user_mem.largest_above = 0;
    }
    w->sp = user_mem.stack_end;
    /* Arguments may take three quarters, as on Linux. */
    w->limit = user_mem.stack_start + size / 4;
    w->ok = true;
    return LOADER_OK;
}

int stack_build(const StackInfo *info, uint64_t size, uint64_t *sp, char **err)
{
    StackWriter w;
    int status = map_stack(stack_size(size), &w, err);
    if (status) {
        return status;
    }
    unsigned nenv = count(info->envp), argc = (unsigned)info->argc;
    uint64_t *args = xcalloc(argc + nenv + 1, sizeof(*args));
    uint8_t random[16];
    if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
        memset(random, 0x5a, sizeof(random));
    }
    push_bytes(&w, "\0\0\0\0\0\0\0", 8);
    uint64_t exec_fn = push_string(&w, info->exec_fn);
    user_mem.env_end = w.sp;
    push_list(&w, info->envp, nenv, args + argc);
    user_mem.arg_end = w.sp;
    push_list(&w, info->argv, argc, args);
    user_mem.arg_start = w.sp;
    const char *name = user_process.abi->platform;
    uint64_t platform = name ? push_string(&w, name) : 0;
    w.sp = align_down(w.sp, 16);
    uint64_t random_addr = push_bytes(&w, random, sizeof(random));
    make_auxv(info, random_addr, exec_fn, platform);

    size_t words = 1 + argc + 1 + nenv + 1 + user_process.auxv_len;
    if (words & 1) {
        w.sp -= 8;
    }
    uint64_t zero = 0, argc_word = argc;
    push_bytes(&w, user_process.auxv, user_process.auxv_len * 8);
    push_bytes(&w, &zero, 8);
    push_bytes(&w, args + argc, nenv * 8);
    push_bytes(&w, &zero, 8);
    push_bytes(&w, args, argc * 8);
    push_bytes(&w, &argc_word, 8);
    free(args);
    if (!w.ok) {
        *err = str_format("the argument list is too long for a stack of %llu KiB",
                          (unsigned long long)(user_mem.stack_end - user_mem.stack_start) >> 10);
        return LOADER_CANNOT_EXECUTE;
    }
    *sp = w.sp;
    return LOADER_OK;
}
