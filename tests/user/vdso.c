/*
 * The vDSO: found through AT_SYSINFO_EHDR, a shared object with a hash table, symbol
 * versions and unwind tables, listed as [vdso] in /proc/self/maps.  Its functions agree with the system
 * calls, also in their errors, and time does not run backwards between the two.  Signal
 * frames are unwound from functions that the vDSO's time functions interrupt.
 *
 * test-native: yes
 * test-link: static dynamic
 */
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <ucontext.h>
#include "test.h"

#if defined(__riscv)
#define VERSION "LINUX_4.15"
#else
#define VERSION "LINUX_2.6"
#endif

typedef struct Object {
    uintptr_t base;
    const uint32_t *hash;
    const Elf64_Sym *sym;
    const char *str;
    const uint16_t *versym;
    const char *verdef;
    size_t verdefs;
} Object;

/* The table that a dynamic entry points at: the vDSO is never relocated. */
static void *table(uintptr_t base, const Elf64_Dyn *d)
{
    return (void *)(base + d->d_un.d_ptr);
}

static void read_object(Object *o)
{
    const Elf64_Ehdr *eh = (const void *)o->base;
    const Elf64_Phdr *ph = (const void *)(o->base + eh->e_phoff);
    const Elf64_Dyn *d = NULL;
    int loads = 0;

    CHECK(!memcmp(eh->e_ident, ELFMAG, SELFMAG) && eh->e_type == ET_DYN, "no ELF object");
    for (int i = 0; i < eh->e_phnum; i++) {
        if (ph[i].p_type == PT_LOAD) {
            loads++;
            CHECK(ph[i].p_vaddr == 0 && ph[i].p_flags == (PF_R | PF_X), "PT_LOAD");
        } else if (ph[i].p_type == PT_DYNAMIC) {
            d = (const void *)(o->base + ph[i].p_vaddr);
        }
    }
    CHECK(loads == 1 && d, "%d PT_LOAD", loads);
    for (; d->d_tag != DT_NULL; d++) {
        switch (d->d_tag) {
        case DT_HASH: o->hash = table(o->base, d); break;
        case DT_SYMTAB: o->sym = table(o->base, d); break;
        case DT_STRTAB: o->str = table(o->base, d); break;
        case DT_VERSYM: o->versym = table(o->base, d); break;
        case DT_VERDEF: o->verdef = table(o->base, d); break;
        case DT_VERDEFNUM: o->verdefs = d->d_un.d_val; break;
        default: break;
        }
    }
    CHECK(o->sym && o->str && o->versym && o->verdef && o->verdefs, "a table is missing");
}

/* System V ABI, "Hash Table". */
static uint32_t elf_hash(const char *s)
{
    uint32_t h = 0;

    for (; *s; s++) {
        h = (h << 4) + (unsigned char)*s;
        h ^= h >> 24 & 0xf0;
        h &= 0x0fffffff;
    }
    return h;
}

static bool has_version(const Object *o, unsigned index)
{
    const char *at = o->verdef;

    for (size_t i = 0; i < o->verdefs; i++) {
        const Elf64_Verdef *def = (const void *)at;
        const Elf64_Verdaux *aux = (const void *)(at + def->vd_aux);

        if (def->vd_ndx == (index & 0x7fff)) {
            return def->vd_hash == elf_hash(VERSION) && !strcmp(o->str + aux->vda_name, VERSION);
        }
        at += def->vd_next;
    }
    return false;
}

static void *look_up(const Object *o, const char *name)
{
    if (!o->hash) {         /* newer kernels of some machines have the GNU table only */
        return NULL;
    }
    for (uint32_t i = o->hash[2 + elf_hash(name) % o->hash[0]]; i;
         i = o->hash[2 + o->hash[0] + i]) {
        CHECK(i < o->hash[1], "hash chain");
        if (!strcmp(o->str + o->sym[i].st_name, name) && has_version(o, o->versym[i])) {
            CHECK(o->sym[i].st_shndx != SHN_UNDEF, "%s is undefined", name);
            return (void *)(o->base + o->sym[i].st_value);
        }
    }
    return NULL;
}

static uint64_t nanoseconds(const struct timespec *t)
{
    return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

static void check_clock(int (*clock_fn)(clockid_t, struct timespec *), clockid_t id)
{
    struct timespec before, inside, after;

    for (unsigned long i = 0; i < scaled(2000); i++) {
        CHECK_ERRNO(syscall(SYS_clock_gettime, id, &before) == 0);
        CHECK(clock_fn(id, &inside) == 0, "clock %d", id);
        CHECK_ERRNO(syscall(SYS_clock_gettime, id, &after) == 0);
        CHECK(nanoseconds(&before) <= nanoseconds(&inside) &&
                  nanoseconds(&inside) <= nanoseconds(&after), "clock %d runs backwards", id);
    }
}

static void check_functions(const Object *o)
{
    int (*gettime)(clockid_t, struct timespec *) = look_up(o, "__vdso_clock_gettime");
    int (*gettod)(struct timeval *, struct timezone *) = look_up(o, "__vdso_gettimeofday");
    int (*getres)(clockid_t, struct timespec *) = look_up(o, "__vdso_clock_getres");
    int (*getcpu)(unsigned *, unsigned *, void *) = look_up(o, "__vdso_getcpu");
    struct timespec t, u;
    struct timeval tv;
    struct timezone tz = { 7, 7 };
    unsigned cpu = 12345, node = 12345;

    if (!o->hash) {
        return;
    }
    CHECK(gettime && gettod && getcpu, "a function is missing");
    check_clock(gettime, CLOCK_REALTIME);
    check_clock(gettime, CLOCK_MONOTONIC);
    check_clock(gettime, CLOCK_MONOTONIC_COARSE);
    check_clock(gettime, CLOCK_BOOTTIME);
    check_clock(gettime, CLOCK_THREAD_CPUTIME_ID);
    check_clock(gettime, CLOCK_PROCESS_CPUTIME_ID);
    CHECK(gettime(12345, &t) == -EINVAL, "clock 12345");
    CHECK(gettod(&tv, &tz) == 0 && llabs(tv.tv_sec - time(NULL)) <= 1 && tv.tv_usec < 1000000,
          "gettimeofday");
    CHECK(tz.tz_minuteswest != 7, "no time zone");
    CHECK(gettod(&tv, NULL) == 0 && gettod(NULL, &tz) == 0, "gettimeofday");
    if (getres) {
        CHECK(getres(CLOCK_MONOTONIC, &t) == 0 && clock_getres(CLOCK_MONOTONIC, &u) == 0 &&
              nanoseconds(&t) == nanoseconds(&u), "resolution");
    }
    CHECK(getcpu(&cpu, &node, NULL) == 0 && cpu < 12345 && node < 12345, "cpu %u", cpu);
#if defined(__riscv)
    void *readonly = map_pages(1, PROT_READ);
    int (*flush)(void *, void *, unsigned long) = look_up(o, "__vdso_flush_icache");

    CHECK(look_up(o, "__vdso_rt_sigreturn"), "no rt_sigreturn");
    CHECK(gettime(CLOCK_MONOTONIC, readonly) == -EFAULT, "into read-only memory");
    CHECK(flush && flush(readonly, (char *)readonly + PAGE, 0) == 0, "flush_icache");
#endif
}

static void check_maps(uintptr_t base)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[1000];
    bool seen = false;

    CHECK_ERRNO(maps);
    while (fgets(line, sizeof(line), maps)) {
        if (strstr(line, "[vdso]")) {
            unsigned long from, to;
            char perm[5];

            CHECK(!seen && sscanf(line, "%lx-%lx %4s", &from, &to, perm) == 3, "%s", line);
            CHECK(from == base && to > from && !strcmp(perm, "r-xp"), "%s", line);
            seen = true;
        }
    }
    fclose(maps);
    CHECK(seen, "no [vdso] in /proc/self/maps");
}

static volatile sig_atomic_t ticks;

static void count_tick(int sig, siginfo_t *info, void *context)
{
    ticks++;
}

/* Interrupted time calls still give times in order. */
static void check_interrupted(void)
{
    struct itimerval often = { { 0, 200 }, { 0, 200 } }, off = { { 0, 0 }, { 0, 0 } };
    uint64_t last = 0;

    set_handler(SIGALRM, count_tick, SA_RESTART);
    CHECK_ERRNO(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (unsigned long i = 0; i < scaled(200000) || ticks < 10; i++) {
        uint64_t now = now_ns();

        CHECK(now >= last, "time went back by %lu ns", (unsigned long)(last - now));
        last = now;
    }
    CHECK_ERRNO(setitimer(ITIMER_REAL, &off, NULL) == 0);
}

static int find_name(struct dl_phdr_info *info, size_t size, void *wanted)
{
    bool *found = wanted;

    for (int i = 0; i < info->dlpi_phnum; i++) {
        *found |= info->dlpi_addr == getauxval(AT_SYSINFO_EHDR) &&
                  info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME;
    }
    return 0;
}

int main(void)
{
    Object o = { .base = getauxval(AT_SYSINFO_EHDR) };
    bool listed = false;

    CHECK(o.base, "no AT_SYSINFO_EHDR");
    read_object(&o);
    check_functions(&o);
    check_maps(o.base);
    check_interrupted();
    CHECK(dl_iterate_phdr(find_name, &listed) == 0, "dl_iterate_phdr");
    CHECK(listed, "the C library does not know the vDSO, or it has no unwind tables");
    return 0;
}
