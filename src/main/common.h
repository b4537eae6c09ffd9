/*
 * The options that both programs have: -accel, how to translate, and the ways to look inside.
 */
#ifndef BRAID_MAIN_COMMON_H
#define BRAID_MAIN_COMMON_H

#include <stddef.h>

#include "exec/exec.h"
#include "util/option.h"

typedef struct AccelOptions {
    bool interp;
    int64_t tb_size;            /* MiB; 0: default */
    int translate;              /* index in "parallel|serial" */
    int llsc;                   /* user mode: index in "value|strict" */
    int thread;                 /* system mode: index in "multi|single", -1: not given */
    bool count;
    int64_t hot, opt, max_insns;
    bool verify, ras, jump_cache, pinning, bmi2, fma, avx, lzcnt;
} AccelOptions;

#define ACCEL_DEFAULTS                                                                         \
    { .opt = 1, .thread = -1, .ras = true, .jump_cache = true, .pinning = true, .bmi2 = true, .fma = true,   \
      .avx = true, .lzcnt = true }

/* Rows of the table that accel_parse() takes; each program adds its own. */
#define ACCEL_COMMON_DEFS                                                                                \
    { "tb-size", SUBOPTION_INT, offsetof(AccelOptions, tb_size), 1, 2047, NULL,                          \
      "size of the buffer for translated code in MiB" },                                                 \
    { "translate", SUBOPTION_ENUM, offsetof(AccelOptions, translate), 0, 0, "parallel|serial",           \
      "how many threads may translate at once" },                                                        \
    { "opt", SUBOPTION_INT, offsetof(AccelOptions, opt), 0, 1, NULL, "optimiser level" },                \
    { "max-insns", SUBOPTION_INT, offsetof(AccelOptions, max_insns), 1, 512, NULL,                       \
      "guest instructions in a unit at most" },                                                          \
    { "verify", SUBOPTION_BOOL, offsetof(AccelOptions, verify), 0, 0, NULL,                              \
      "verify the IR of each unit" },                                                                    \
    { "ras", SUBOPTION_BOOL, offsetof(AccelOptions, ras), 0, 0, NULL, "predict returns" },               \
    { "jump-cache", SUBOPTION_BOOL, offsetof(AccelOptions, jump_cache), 0, 0, NULL,                      \
      "probe the jump cache in generated code" },                                                        \
    { "pinning", SUBOPTION_BOOL, offsetof(AccelOptions, pinning), 0, 0, NULL,                            \
      "keep hot guest registers in host registers across units" },                                       \
    { "bmi2", SUBOPTION_BOOL, offsetof(AccelOptions, bmi2), 0, 0, NULL, "use BMI2 if the host has it" }, \
    { "fma", SUBOPTION_BOOL, offsetof(AccelOptions, fma), 0, 0, NULL, "use FMA if the host has it" },    \
    { "avx", SUBOPTION_BOOL, offsetof(AccelOptions, avx), 0, 0, NULL, "use AVX if the host has it" },    \
    { "lzcnt", SUBOPTION_BOOL, offsetof(AccelOptions, lzcnt), 0, 0, NULL,                                \
      "use LZCNT and TZCNT if the host has them" }

/* The text behind -accel.  False: *err is a sentence, freed by the caller. */
bool accel_parse(AccelOptions *a, const char *value, const SubOptionDef *defs, size_t n_defs,
                 char **err);

typedef struct CommonOptions {
    AccelOptions accel;
    int64_t tb_size;            /* MiB, -tb-size; 0: not given */
    bool one_insn, stats, perfmap;
    const char *log_items, *log_filter, *log_file;
} CommonOptions;

/* Rows of an OptionTable for the field `common` of the program's configuration, in two groups. */
#define COMMON_TRANSLATION_DEFS(config, common)                                                          \
    OPTION_DEF_INT("tb-size", "MIB", config, common.tb_size, 1, 2047, "BRAID_TB_SIZE",                   \
                   "size of the buffer for translated code"),                                            \
    OPTION_DEF_FLAG("one-insn-per-tb", config, common.one_insn, "BRAID_ONE_INSN_PER_TB",                 \
                    "one guest instruction in a block")

#define COMMON_INSIDE_DEFS(config, common)                                                               \
    OPTION_DEF_STRING("d", "ITEM[,...]", config, common.log_items, "BRAID_LOG",                          \
                      "log these ('help' lists them)"),                                                  \
    OPTION_DEF_STRING("D", "FILE", config, common.log_file, "BRAID_LOG_FILENAME",                        \
                      "log to this file; %d is the process id"),                                         \
    OPTION_DEF_STRING("dfilter", "RANGE[,...]", config, common.log_filter, "BRAID_DFILTER",              \
                      "only code in these ranges: start+size, start-size, start..end"),                  \
    OPTION_DEF_FLAG("stats", config, common.stats, "BRAID_STATS", "print counters at the end"),          \
    OPTION_DEF_FLAG("perfmap", config, common.perfmap, "BRAID_PERFMAP", "write /tmp/perf-PID.map for perf")

/* Set up the log.  Ends the program for -d help, or with a sentence. */
void common_setup_log(const CommonOptions *c);
/* All that the options say about translation; begins the perf map.  After common_setup_log(). */
void common_apply(const CommonOptions *c, ExecConfig *x);

#endif
