/*
 * A program that dies of a signal leaves a core file: an ELF core of the right machine with a status for
 * each thread, the dying one first, siginfo, the auxiliary vector, the mapped files, and memory as
 * it was; none with RLIMIT_CORE 0 or when not dumpable, and no more than the limit.  Shows nothing
 * where core_pattern is not a plain name.
 *
 * test-native: yes
 * test-link: static dynamic
 */
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "test.h"

#if defined(__riscv)
#define MACHINE EM_RISCV
#else
#define MACHINE EM_X86_64
#endif
#define THREADS 3

typedef struct Shared {
    pid_t tids[THREADS + 1];
    uintptr_t address;      /* of the page that holds `secret` */
    uintptr_t hole;         /* of 64 MiB of which one page was written */
} Shared;

static const char secret[] = "what the memory held when it died";
static Shared *shared;
static int *volatile nowhere = (int *)16;
static Meeting meeting = { .threads = THREADS + 1 };

static void *wait_for_ever(void *arg)
{
    shared->tids[(intptr_t)arg] = (pid_t)syscall(SYS_gettid);
    meet(&meeting);
    for (;;) {
        pause();
    }
    return NULL;
}

static void die(void)
{
    char *page = map_pages(1, PROT_READ | PROT_WRITE);
    char *large = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    CHECK_ERRNO(large != MAP_FAILED);
    strcpy(page, secret);
    strcpy(large + (33 << 20), secret);
    shared->address = (uintptr_t)page;
    shared->hole = (uintptr_t)large;
    shared->tids[0] = getpid();
    for (intptr_t i = 1; i <= THREADS; i++) {
        start_thread(wait_for_ever, (void *)i);
    }
    meet(&meeting);
    sleep_ms(20);
    *nowhere = 1;
}

static void run(rlim_t limit, bool dumpable)
{
    struct rlimit rl = { limit, limit };
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        CHECK_ERRNO(setrlimit(RLIMIT_CORE, &rl) == 0);
        CHECK_ERRNO(prctl(PR_SET_DUMPABLE, dumpable) == 0);
        close(2);       /* the emulator's message is not a failure */
        die();
        _exit(99);
    }
    CHECK_ERRNO(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %#x", status);
}

/* The one file that is in the directory now; NULL: none. */
static const char *find_file(void)
{
    static char name[300];
    DIR *dir = opendir(".");
    struct dirent *e;

    CHECK_ERRNO(dir);
    name[0] = 0;
    while ((e = readdir(dir))) {
        if (e->d_name[0] != '.') {
            CHECK(!name[0], "two files: %s and %s", name, e->d_name);
            strcpy(name, e->d_name);
        }
    }
    closedir(dir);
    return name[0] ? name : NULL;
}

static bool pattern_is_plain(void)
{
    FILE *f = fopen("/proc/sys/kernel/core_pattern", "r");
    char line[300] = "|";

    if (f) {
        CHECK_ERRNO(fgets(line, sizeof(line), f));
        fclose(f);
    }
    return !strpbrk(line, "|@/%");
}

static char *core;
static size_t core_size;

static void read_core(void)
{
    const char *name = find_file();
    struct stat st;
    int fd;

    CHECK(name, "no core file");
    fd = open(name, O_RDONLY);
    CHECK_ERRNO(fd >= 0 && fstat(fd, &st) == 0);
    CHECK((st.st_mode & 07777) == 0600, "mode %o", st.st_mode);
    /* 64 MiB of which one page was written are not on the disk. */
    CHECK((uint64_t)st.st_blocks * 512 < 40u << 20, "%ld blocks", (long)st.st_blocks);
    core_size = (size_t)st.st_size;
    core = mmap(NULL, core_size, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK_ERRNO(core != MAP_FAILED);
    close(fd);
    CHECK_ERRNO(unlink(name) == 0);
}

/* Where in the core the guest's address is; NULL: nowhere. */
static const char *at_address(uintptr_t address)
{
    const Elf64_Ehdr *eh = (const void *)core;
    const Elf64_Phdr *ph = (const void *)(core + eh->e_phoff);

    for (int i = 0; i < eh->e_phnum; i++) {
        if (ph[i].p_type == PT_LOAD && address - ph[i].p_vaddr < ph[i].p_filesz) {
            return core + ph[i].p_offset + (address - ph[i].p_vaddr);
        }
    }
    return NULL;
}

static void check_status(const struct elf_prstatus *s, int index, bool seen[THREADS + 1])
{
    CHECK(s->pr_cursig == SIGSEGV, "signal %d", s->pr_cursig);
    CHECK(s->pr_ppid == getpid() && s->pr_sid == getsid(0), "parent %d", s->pr_ppid);
    for (int i = 0; i <= THREADS; i++) {
        if (shared->tids[i] == s->pr_pid) {
            CHECK(!seen[i] && (index == 0) == (i == 0), "thread %d is number %d", i, index);
            seen[i] = true;
            return;
        }
    }
    CHECK(false, "no thread %d", s->pr_pid);
}

static void check_auxv(const uint64_t *auxv, size_t words)
{
    for (size_t i = 0; i + 1 < words && auxv[i]; i += 2) {
        /* The C library has an idea of its own of the hardware. */
        if (auxv[i] != AT_EXECFN && auxv[i] != AT_RANDOM && auxv[i] != AT_HWCAP &&
            auxv[i] != AT_HWCAP2) {
            CHECK(auxv[i + 1] == getauxval(auxv[i]), "auxv %lu", (unsigned long)auxv[i]);
        }
    }
}

static bool lists_program(const uint64_t *files, size_t size)
{
    const char *name = (const char *)(files + 2 + 3 * files[0]), *end = (const char *)files + size;
    uintptr_t code = (uintptr_t)check_auxv;
    bool found = false;

    CHECK(files[1] == PAGE, "page size %lu", (unsigned long)files[1]);
    for (uint64_t i = 0; i < files[0]; i++, name += strlen(name) + 1) {
        CHECK(name < end, "names");
        found |= code >= files[2 + 3 * i] && code < files[3 + 3 * i] && strstr(name, "core-dump");
    }
    CHECK(name == end, "names");
    return found;
}

static void check_notes(const char *p, size_t size)
{
    bool seen[THREADS + 1] = { false }, files = false, psinfo = false, info = false, auxv = false;
    int statuses = 0, fp = 0;

    for (size_t at = 0; at < size;) {
        const Elf64_Nhdr *n = (const void *)(p + at);
        const char *desc = p + at + sizeof(*n) + ((n->n_namesz + 3) & ~3u);

        switch (n->n_type) {
        case NT_PRSTATUS:
            CHECK(n->n_descsz == sizeof(struct elf_prstatus), "size %u", n->n_descsz);
            check_status((const void *)desc, statuses++, seen);
            break;
        case NT_FPREGSET: fp++; break;
        case NT_PRPSINFO:
            CHECK(n->n_descsz == sizeof(struct elf_prpsinfo), "size %u", n->n_descsz);
            psinfo = ((const struct elf_prpsinfo *)desc)->pr_pid == shared->tids[0] &&
                     strstr(((const struct elf_prpsinfo *)desc)->pr_psargs, "core-dump");
            break;
        case 0x53494749 /* NT_SIGINFO */:
            info = ((const siginfo_t *)desc)->si_signo == SIGSEGV &&
                   ((const siginfo_t *)desc)->si_addr == (void *)16;
            break;
        case NT_AUXV:
            check_auxv((const void *)desc, n->n_descsz / 8);
            auxv = true;
            break;
        case 0x46494c45 /* NT_FILE */:
            files = lists_program((const void *)desc, n->n_descsz);
            break;
        default:
            break;
        }
        at = (size_t)(desc - p) + ((n->n_descsz + 3) & ~3u);
    }
    CHECK(statuses == THREADS + 1 && fp == statuses, "%d statuses, %d of FP", statuses, fp);
    CHECK(files && psinfo && info && auxv, "files %d psinfo %d siginfo %d auxv %d", files, psinfo,
          info, auxv);
}

static void check_core(void)
{
    const Elf64_Ehdr *eh = (const void *)core;
    const Elf64_Phdr *ph = (const void *)(core + eh->e_phoff);
    const char *p;

    CHECK(!memcmp(core, ELFMAG, SELFMAG) && eh->e_type == ET_CORE && eh->e_machine == MACHINE,
          "type %d machine %d", eh->e_type, eh->e_machine);
    for (int i = 0; i < eh->e_phnum; i++) {
        CHECK(ph[i].p_offset + ph[i].p_filesz <= core_size, "segment %d is cut off", i);
        if (ph[i].p_type == PT_NOTE) {
            check_notes(core + ph[i].p_offset, ph[i].p_filesz);
        }
    }
    p = at_address(shared->address);
    CHECK(p && !strcmp(p, secret), "the page's contents");
    p = at_address(shared->hole + (33 << 20));
    CHECK(p && !strcmp(p, secret), "contents between holes");
    p = at_address(shared->hole + (32 << 20));
    CHECK(p && !*p, "a hole");
    p = at_address((uintptr_t)&shared);
    CHECK(p && !memcmp(p, &shared, sizeof(shared)), "a variable of the program");
    p = at_address(getauxval(AT_SYSINFO_EHDR));
    CHECK(p && !memcmp(p, ELFMAG, SELFMAG), "the vDSO");
}

int main(void)
{
    char directory[] = "core-XXXXXX";
    struct rlimit rl;

    CHECK_ERRNO(getrlimit(RLIMIT_CORE, &rl) == 0);
    if (!pattern_is_plain() || rl.rlim_max != RLIM_INFINITY) {
        printf("no core files here\n");
        return 0;
    }
    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK_ERRNO(shared != MAP_FAILED && mkdtemp(directory) && chdir(directory) == 0);
    run(0, true);
    CHECK(!find_file(), "a core in spite of the limit");
    run(RLIM_INFINITY, false);
    CHECK(!find_file(), "a core of a process that is not dumpable");
    run(RLIM_INFINITY, true);
    read_core();
    check_core();
    run(20000, true);
    read_core();
    CHECK(core_size < 20000 + PAGE, "%zu bytes", core_size);   /* some kernels fill the last page */
    CHECK_ERRNO(chdir("..") == 0 && rmdir(directory) == 0);
    return 0;
}
