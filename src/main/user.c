/*
 * braid-riscv64: run a Linux program built for riscv64.
 *
 * The command line is QEMU's user mode's; what braid adds has names of its own.  Everything
 * here happens on the first thread before the guest starts, and once at its end.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "guest/riscv/cpu.h"
#include "linux-user/linux-user.h"
#include "main/common.h"
#include "main/handover.h"
#include "main/user-gdb.h"
#include "util/error.h"
#include "util/log.h"
#include "util/option.h"
#include "util/stats.h"

#define MAX_REEXEC 64

typedef struct UserConfig {
    LinuxUserOptions user;
    CommonOptions common;
    const char *cpu, *gdb;
    bool lockstep, strace;
    EnvEdit *edits;
    char *reexec[MAX_REEXEC + 1];
    unsigned nreexec;
} UserConfig;

static const SubOptionDef accel_defs[] = {
    { "llsc", SUBOPTION_ENUM, offsetof(AccelOptions, llsc), 0, 0, "value|strict",
      "store-conditional by comparison of values, or free of ABA" },
    { "count", SUBOPTION_BOOL, offsetof(AccelOptions, count), 0, 0, NULL,
      "count how often blocks are run; --stats lists the hottest" },
    { "hot", SUBOPTION_INT, offsetof(AccelOptions, hot), 1, 1 << 30, NULL,
      "with count=on: times until a block counts as hot" },
    ACCEL_COMMON_DEFS
};

static bool set_accel(void *config, const char *value, char **err)
{
    UserConfig *c = config;
    return accel_parse(&c->common.accel, value, accel_defs, array_size(accel_defs), err);
}

static bool add_edit(UserConfig *c, const char *name, bool unset)
{
    LinuxUserOptions *u = &c->user;
    c->edits = xrealloc(c->edits, (u->n_env_edits + 1) * sizeof(*c->edits));
    c->edits[u->n_env_edits++] = (EnvEdit){ .name = name, .unset = unset };
    u->env_edits = c->edits;
    return true;
}

/* -E and -U take lists: a=b,c=d. */
static bool add_edits(UserConfig *c, const char *value, bool unset)
{
    char *list = xstrdup(value), *save = NULL;      /* lives as long as the edits: for ever */
    for (char *s = strtok_r(list, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
        add_edit(c, s, unset);
    }
    return true;
}

static bool set_env(void *config, const char *value, char **err)
{
    if (!strchr(value, '=')) {
        *err = xstrdup("-E needs NAME=VALUE");
        return false;
    }
    return add_edits(config, value, false);
}

static bool unset_env(void *config, const char *value, char **err)
{
    return add_edits(config, value, true);
}

static bool show_version(void *config, const char *value, char **err)
{
    printf("braid-riscv64 version %s\n", BRAID_VERSION);
    exit(0);
}

static const OptionDef defs[] = {
    OPTION_HEADING("The guest program:"),
    OPTION_DEF_STRING("L", "DIR", UserConfig, user.sysroot, "BRAID_LD_PREFIX",
                      "where the guest's dynamic loader and libraries are"),
    OPTION_DEF_STRING("0", "NAME", UserConfig, user.argv0, "BRAID_ARGV0", "argv[0] for the guest"),
    OPTION_DEF_INT("execfd", "FD", UserConfig, user.exec_fd, 0, INT_MAX, NULL,
                   "the program is open there already, and its path only a name"),
    OPTION_DEF_CALL("E", "NAME=VALUE[,...]", set_env, "BRAID_SET_ENV", "set environment variables"),
    OPTION_DEF_CALL("U", "NAME[,...]", unset_env, "BRAID_UNSET_ENV", "remove environment variables"),
    OPTION_DEF_STRING("cpu", "MODEL", UserConfig, cpu, "BRAID_CPU",
                      "rv64 or max, then ,extension=on|off ... ('help' lists them)"),
    OPTION_DEF_SIZE("s", "SIZE", UserConfig, user.stack_size, 65536, 1ll << 40, "BRAID_STACK_SIZE",
                    "size of the guest's stack"),
    OPTION_DEF_STRING("r", "RELEASE", UserConfig, user.uname_release, "BRAID_UNAME",
                      "kernel release that uname shows"),
    OPTION_DEF_SIZE("B", "ADDRESS", UserConfig, user.guest_base, 0, 0, "BRAID_GUEST_BASE",
                    "host address of guest address 0"),
    OPTION_DEF_SIZE("R", "SIZE", UserConfig, user.reserved_va, 0, 0, "BRAID_RESERVED_VA",
                    "size of the guest's address space"),
    OPTION_HEADING("Translation:"),
    OPTION_DEF_CALL("accel", "tcg|interp[,...]", set_accel, "BRAID_ACCEL",
                    "tcg options: tb-size= translate=parallel|serial llsc=value|strict count= hot= opt= max-insns= verify= "
                    "ras= jump-cache= pinning= bmi2= fma= avx= lzcnt="),
    COMMON_TRANSLATION_DEFS(UserConfig, common),
    OPTION_DEF_FLAG("singlestep", UserConfig, common.one_insn, NULL, "the old name of -one-insn-per-tb"),
    OPTION_HEADING("Looking inside:"),
    COMMON_INSIDE_DEFS(UserConfig, common),
    OPTION_DEF_STRING("g", "PORT|PATH", UserConfig, gdb, "BRAID_GDB",
                      "wait for gdb at a port of this machine or a Unix socket"),
    OPTION_DEF_FLAG("strace", UserConfig, strace, "BRAID_STRACE", "log system calls"),
    OPTION_DEF_FLAG("lockstep", UserConfig, lockstep, "BRAID_LOCKSTEP",
                    "check each unit against the interpreter (single-threaded programs)"),
    OPTION_DEF_CALL_FLAG("version", show_version, NULL, "print the version"),
};

static const OptionTable table = {
    .defs = defs,
    .n_defs = array_size(defs),
    .usage = "[options] program [arguments...]",
    .footer = "Every option may also be set in the environment: BRAID_ and its name.\n",
};

static void print_stats_at_exit(void)
{
    exec_print_stats(stderr);
}

static void setup_exec(UserConfig *c)
{
    ExecConfig *x = &c->user.exec;
    common_apply(&c->common, x);
    x->count_jumps = c->common.stats;
    x->lockstep = c->lockstep;
    if (c->lockstep && x->interp) {
        fatal_usage("--lockstep compares generated code with the interpreter: not with -accel interp");
    }
}

/* Options that a guest program started by this one shall have too: all but what names this one, and -L,
   which execve() says in its own way. */
static void keep_for_reexec(UserConfig *c, char **argv, int first)
{
    static const char *const own[] = { "0", "E", "U", "execfd", "g", "L" };
    for (int i = 1; i < first; i++) {
        const char *name = argv[i] + strspn(argv[i], "-");
        bool mine = false;
        for (unsigned k = 0; k < array_size(own); k++) {
            mine |= !strcmp(name, own[k]);
        }
        if (mine) {
            i++;
        } else if (c->nreexec < MAX_REEXEC && *name) {
            c->reexec[c->nreexec++] = argv[i];
        }
    }
    c->user.reexec_options = c->reexec;
}

int main(int argc, char **argv, char **envp)
{
    static UserConfig c = {
        .user = { .exec_fd = -1 },
        .common.accel = ACCEL_DEFAULTS,
    };
    char err[256];
    error_set_program_name(argv[0]);
    if (!secure_getenv("BRAID_LD_PREFIX")) {
        c.user.sysroot = secure_getenv("QEMU_LD_PREFIX");
    }
    Handover handover = handover_detect(argc, argv);
    int first = option_parse(&table, &c, handover.from_kernel ? 1 : argc, argv);
    if (handover.from_kernel) {
        first = handover.first;
        c.user.argv0 = handover.argv0;
        c.user.exec_fd = handover.fd;
        c.user.from_kernel = true;
    }
    common_setup_log(&c.common);
    if (c.strace) {
        log_set_mask(log_get_mask() | LOG_STRACE);
    }
    c.user.guest = &riscv64_guest;
    if (!riscv64_guest.configure(c.cpu, err, sizeof(err))) {
        fatal_usage("%s", err);
    }
    setup_exec(&c);
    if (first >= argc) {
        fatal_usage("which program? (-help shows the options)");
    }
    keep_for_reexec(&c, argv, handover.from_kernel ? 1 : first);
    c.user.debugger = c.gdb ? user_gdb(c.gdb) : NULL;
    c.user.at_exit = c.common.stats ? print_stats_at_exit : NULL;
    return linux_user_main(&c.user, argc - first, argv + first, envp);
}
