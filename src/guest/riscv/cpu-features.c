/* SPDX-License-Identifier: MIT
 *
 * Which extensions the guest's CPUs have: -cpu MODEL[,NAME=on|off]..., and what Linux
 * tells a program of it (AT_HWCAP, riscv_hwprobe, /proc/cpuinfo).  All three are read off
 * one bitmap, which is also what the decoder obeys, so they tell the truth.
 *
 * Set once while the command line is parsed, by the only thread there is; constant then.
 */
#include "guest/riscv/cpu-features.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/riscv/cpu.h"
#include "guest/riscv/extensions.h"
#include "util/option.h"
#include "util/strutil.h"

typedef struct ExtensionInfo {
    const char *name;
    uint64_t bit, needs;
    int hwprobe;
} ExtensionInfo;

#define E(NAME) RISCV_EXT_##NAME
static const ExtensionInfo extensions[RISCV_EXT_COUNT] = {
#define EXT(id, ID, need, probe)                                                         \
    [RISCV_EXT_NUM_##                                                                    \
        ID] = {.name = #id, .bit = RISCV_EXT_##ID, .needs = need, .hwprobe = probe},
#include "guest/riscv/extensions.def"
#undef EXT
};

#define EXT_AIA (E(SMAIA) | E(SSAIA))
#define EXT_PRIVILEGED                                                                   \
    (EXT_AIA | E(SM) | E(S) | E(SSCOFPMF) | E(SSTC) | E(SVADU) | E(SVINVAL) | E(SVNAPOT) | E(SVPBMT) | E(SVVPTC))
#define EXT_RV64I (E(I) | E(ZICSR) | E(ZIFENCEI))
#define EXT_RV64GC (EXT_RV64I | E(M) | E(A) | E(F) | E(D) | E(C) | E(ZICNTR))
#define EXT_RVA22U64                                                                     \
    (EXT_RV64GC | E(ZIHINTPAUSE) | E(ZBA) | E(ZBB) | E(ZBS) | E(ZICBOM) | E(ZICBOP) |    \
     E(ZICBOZ) | E(ZFHMIN))
#define EXT_ALL_USER (((UINT64_C(1) << RISCV_EXT_COUNT) - 1) & ~EXT_PRIVILEGED)
_Static_assert(RISCV_EXT_COUNT < 64, "the shift above");

static const struct {
    const char *name, *help;
    uint64_t extensions;
} models[] = {
    {"rv64", "everything braid has (the default)", EXT_ALL_USER},
    {"max", "the same", EXT_ALL_USER},
    {"rv64gc", "IMAFDC with Zicsr, Zifencei and Zicntr", EXT_RV64GC},
    {"rva22u64", "the mandatory part of the RVA22U64 profile", EXT_RVA22U64},
    {"rv64i", "the base alone, with Zicsr and Zifencei", EXT_RV64I},
};
#define NMODELS (sizeof(models) / sizeof(models[0]))

/* Properties of QEMU's CPUs that braid has not.  Switching one off is no lie. */
static const char *const absent[] = {
    "v",       "h",       "e",         "zve32f", "zve64f", "zve64d",
    "zvfh",    "zkn",     "zknd",      "zkne",   "zknh",   "zkr",
    "zks",     "zksed",   "zksh",      "zkt",    "zbkx",   "zdinx",
    "zfinx",   "zhinx",   "zhinxmin",  "zcmp",   "zcmt",
    "zvbb",    "zvbc",    "zicfilp",   "zicfiss", "zmmul", "smstateen",
    "ssdtso",
};
/* ... that only a machine has.  In user mode nobody can tell. */
static const char *const privileged_properties[] = {
    "sscofpmf", "sstc", "svadu", "svinval", "svnapot", "svpbmt", "svvptc", "mmu", "pmp",
};
#define NPRIVILEGED (sizeof(privileged_properties) / sizeof(privileged_properties[0]))
#define NABSENT (sizeof(absent) / sizeof(absent[0]))

/* constant after riscv_configure() */
static struct {
    uint64_t extensions;
    bool system;        /* of a whole machine */
} features = {EXT_ALL_USER, false};

/* What one -cpu option asks for. */
typedef struct Request {
    uint64_t on, off;
} Request;

static const char *extension_name_at(const void *ctx, size_t i)
{
    return extensions[i].name;
}
static const char *model_name_at(const void *ctx, size_t i) { return models[i].name; }

/* Machine and supervisor mode and the interrupt architecture go by the machine, not by -cpu. */
static bool is_visible(const ExtensionInfo *e)
{
    return features.system ? !(e->bit & (EXT_AIA | E(SM) | E(S))) : !(e->bit & EXT_PRIVILEGED);
}

static bool is_absent(const char *name)
{
    for (size_t i = 0; i < NPRIVILEGED; i++) {
        if (!strcmp(privileged_properties[i], name)) {
            return !features.system;
        }
    }
    for (size_t i = 0; i < NABSENT; i++) {
        if (!strcmp(absent[i], name)) {
            return true;
        }
    }
    return false;
}

static bool unknown(const char *what, const char *key, const char *near, char **err)
{
    *err = near
               ? str_format("-cpu: unknown %s '%s' (did you mean '%s'?)", what, key, near)
               : str_format("-cpu: unknown %s '%s'", what, key);
    return false;
}

static bool visit_property(void *opaque, const char *key, const char *value, char **err)
{
    Request *r = opaque;
    bool on = true;
    if (value && !str_parse_bool(value, strlen(value), &on)) {
        *err = str_format("-cpu: '%s' must be on or off, not '%s'", key, value);
        return false;
    }
    for (size_t i = 0; i < RISCV_EXT_COUNT; i++) {
        const ExtensionInfo *e = &extensions[i];
        if (!strcmp(e->name, key) && is_visible(e)) {
            r->on = on ? r->on | e->bit : r->on & ~e->bit;
            r->off = on ? r->off & ~e->bit : r->off | e->bit;
            return true;
        }
    }
    if (is_absent(key)) {
        if (on) {
            *err = str_format("-cpu: braid has no '%s'", key);
        }
        return !on;
    }
    return unknown(
        "extension", key,
        str_nearest(key, strlen(key), extension_name_at, NULL, RISCV_EXT_COUNT), err);
}

/* Switch on what the extensions in `set` need. */
static uint64_t with_needs(uint64_t set)
{
    for (uint64_t before = 0; before != set;) {
        before = set;
        for (size_t i = 0; i < RISCV_EXT_COUNT; i++) {
            set |= set & extensions[i].bit ? extensions[i].needs : 0;
        }
    }
    return set;
}

/* Switch off what needs an extension that is not in `set`. */
static uint64_t without_needy(uint64_t set)
{
    for (uint64_t before = 0; before != set;) {
        before = set;
        for (size_t i = 0; i < RISCV_EXT_COUNT; i++) {
            if (extensions[i].needs & ~set) {
                set &= ~extensions[i].bit;
            }
        }
    }
    return set;
}

static bool apply(uint64_t model, Request r, char **err)
{
    uint64_t wanted = with_needs(r.on), conflict = wanted & r.off;
    for (size_t i = 0; i < RISCV_EXT_COUNT; i++) {
        if (conflict & extensions[i].bit) {
            *err = str_format("-cpu: '%s' is off, but another extension needs it",
                              extensions[i].name);
            return false;
        }
    }
    if (r.off & E(I)) {
        *err = str_format("-cpu: without 'i' there are no instructions");
        return false;
    }
    features.extensions = without_needy((model | wanted) & ~r.off);
    return true;
}

static _Noreturn void print_help(void)
{
    printf("Models:\n");
    for (size_t i = 0; i < NMODELS; i++) {
        printf("  %-10s %s\n", models[i].name, models[i].help);
    }
    printf("Extensions, each NAME=on|off:\n ");
    for (size_t i = 0, column = 0; i < RISCV_EXT_COUNT; i++) {
        if (!is_visible(&extensions[i])) {
            continue;
        }
        printf("%s%s", column && column % 8 == 0 ? "\n  " : " ", extensions[i].name);
        column++;
    }
    putchar('\n');
    exit(0);
}

static bool configure(const char *text, char **err)
{
    Request r = {0, 0};
    char *name = NULL;
    bool ok = suboption_foreach(text, &name, visit_property, &r, err);
    if (ok && name && !strcmp(name, "help")) {
        print_help();
    }
    size_t m = 0;
    while (ok && name && m < NMODELS && strcmp(models[m].name, name)) {
        m++;
    }
    if (m == NMODELS) {
        ok = unknown("model", name,
                     str_nearest(name, strlen(name), model_name_at, NULL, NMODELS), err);
    }
    free(name);
    return ok && apply(models[m].extensions | (features.system ? EXT_PRIVILEGED & ~EXT_AIA : 0), r, err);
}

bool riscv_configure(const char *cpu_option, char *err, size_t err_size)
{
    char *message = NULL;
    if (configure(cpu_option ? cpu_option : "rv64", &message)) {
        return true;
    }
    snprintf(err, err_size, "%s",
             message ? message : "-cpu: cannot understand the option");
    free(message);
    return false;
}

bool riscv_configure_system(const char *cpu_option, char *err, size_t err_size)
{
    features.system = true;
    return riscv_configure(cpu_option, err, err_size);
}

void riscv_add_aia(void) { features.extensions |= EXT_AIA; }

uint64_t riscv_extensions(void) { return features.extensions; }

uint64_t riscv_hwcap(void)
{
    static const char letters[] = "imafdc";
    uint64_t set = 0;
    for (size_t i = 0; letters[i]; i++) {
        for (size_t k = 0; k < RISCV_EXT_COUNT; k++) {
            if (extensions[k].name[0] == letters[i] && !extensions[k].name[1] &&
                (features.extensions & extensions[k].bit)) {
                set |= UINT64_C(1) << (letters[i] - 'a');
            }
        }
    }
    return set;
}

/* Keys and values: Linux, Documentation/arch/riscv/hwprobe.rst. */
enum {
    HWPROBE_MVENDORID,
    HWPROBE_MARCHID,
    HWPROBE_MIMPID,
    HWPROBE_BASE_BEHAVIOR,
    HWPROBE_IMA_EXT_0,
    HWPROBE_CPUPERF_0,
    HWPROBE_ZICBOZ_BLOCK_SIZE,
    HWPROBE_HIGHEST_VIRT_ADDRESS,
    HWPROBE_TIME_CSR_FREQ,
    HWPROBE_MISALIGNED_SCALAR_PERF,
    HWPROBE_MISALIGNED_VECTOR_PERF,
    HWPROBE_VENDOR_EXT_THEAD_0,
    HWPROBE_ZICBOM_BLOCK_SIZE,
};
enum { HWPROBE_MISALIGNED_FAST = 3, HWPROBE_MISALIGNED_VECTOR_UNSUPPORTED = 4 };

static uint64_t hwprobe_ima_ext(void)
{
    uint64_t value = 0, set = features.extensions;
    if ((set & E(F)) && (set & E(D))) {
        value |= 1; /* FD */
    }
    if (set & E(C)) {
        value |= UINT64_C(1) << 43;                  /* Zca */
        value |= set & E(D) ? UINT64_C(1) << 45 : 0; /* Zcd */
    }
    if (set & E(A)) {
        value |= UINT64_C(3) << 56; /* Zaamo, Zalrsc */
    }
    for (size_t i = 0; i < RISCV_EXT_COUNT; i++) {
        if ((set & extensions[i].bit) && extensions[i].hwprobe >= 0) {
            value |= UINT64_C(1) << extensions[i].hwprobe;
        }
    }
    return value;
}

bool riscv_hwprobe(int64_t key, uint64_t *value)
{
    uint64_t set = features.extensions, ima = E(I) | E(M) | E(A);
    switch (key) {
    case HWPROBE_MVENDORID:
    case HWPROBE_MARCHID:
    case HWPROBE_MIMPID:
    case HWPROBE_VENDOR_EXT_THEAD_0: *value = 0; return true;
    case HWPROBE_BASE_BEHAVIOR: *value = (set & ima) == ima; return true;
    case HWPROBE_IMA_EXT_0: *value = hwprobe_ima_ext(); return true;
    case HWPROBE_CPUPERF_0:
    case HWPROBE_MISALIGNED_SCALAR_PERF: *value = HWPROBE_MISALIGNED_FAST; return true;
    case HWPROBE_ZICBOZ_BLOCK_SIZE:
        *value = set & E(ZICBOZ) ? RISCV_CBO_BLOCK_SIZE : 0;
        return true;
    case HWPROBE_ZICBOM_BLOCK_SIZE:
        *value = set & E(ZICBOM) ? RISCV_CBO_BLOCK_SIZE : 0;
        return true;
    case HWPROBE_TIME_CSR_FREQ: *value = RISCV_TIME_FREQUENCY; return true;
    case HWPROBE_MISALIGNED_VECTOR_PERF:
        *value = HWPROBE_MISALIGNED_VECTOR_UNSUPPORTED;
        return true;
    default: return false; /* the address space is the memory layer's to know */
    }
}

void riscv_isa_string(char *buf, size_t size)
{
    size_t used = (size_t)snprintf(buf, size, "rv64");
    for (size_t i = 0; i < RISCV_EXT_COUNT && used < size; i++) {
        const ExtensionInfo *e = &extensions[i];
        if ((features.extensions & e->bit) && (is_visible(e) || (e->bit & EXT_AIA))) {
            used += (size_t)snprintf(buf + used, size - used, "%s%s",
                                     e->name[1] ? "_" : "", e->name);
        }
    }
}
