/*
 * braid-system-riscv64: run a whole riscv64 machine.
 *
 * The command line is QEMU's system mode's; what braid adds has names of its own.  Everything
 * here happens on the first thread before the machine runs, and once at its end.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "board/board.h"
#include "exec/exec.h"
#include "guest/riscv/system.h"
#include "main/common.h"
#include "main/system-gdb.h"
#include "util/error.h"
#include "util/option.h"
#include "util/stats.h"
#include "util/strutil.h"

typedef struct SystemConfig {
    BoardOptions board;
    CommonOptions common;
    const char *cpu, *gdb;
    int64_t nharts;
    uint64_t ram_size;
} SystemConfig;

static const SubOptionDef accel_defs[] = {
    { "thread", SUBOPTION_ENUM, offsetof(AccelOptions, thread), 0, 0, "multi|single",
      "a host thread for each hart, or one hart at a time" },
    ACCEL_COMMON_DEFS
};

static bool set_accel(void *config, const char *value, char **err)
{
    SystemConfig *c = config;
    return accel_parse(&c->common.accel, value, accel_defs, array_size(accel_defs), err);
}

typedef struct MachineOptions {
    char *dumpdtb, *type;
    int aia;                    /* index in "none|aplic-imsic" */
    bool unused_acpi;
} MachineOptions;

static const SubOptionDef machine_defs[] = {
    { "dumpdtb", SUBOPTION_STRING, offsetof(MachineOptions, dumpdtb), 0, 0, NULL,
      "write the device tree to this file and end" },
    { "aia", SUBOPTION_ENUM, offsetof(MachineOptions, aia), 0, 0, "none|aplic-imsic",
      "interrupts by PLIC, or by APLIC and IMSIC, which take messages" },
    { "type", SUBOPTION_STRING, offsetof(MachineOptions, type), 0, 0, NULL, "virt" },
    { "acpi", SUBOPTION_BOOL, offsetof(MachineOptions, unused_acpi), 0, 0, NULL, "no effect: there is none" },
};

static bool set_machine(void *config, const char *value, char **err)
{
    SystemConfig *c = config;
    MachineOptions m = { .aia = c->board.aia };
    char *name = NULL;
    if (!suboption_parse("-machine", value, machine_defs, array_size(machine_defs), &m, &name, err)) {
        return false;
    }
    const char *type = name ? name : m.type;
    if (type && strcmp(type, "virt")) {
        *err = str_format("-machine: '%s' is not known, only virt", type);
        return false;
    }
    c->board.aia = m.aia;
    if (m.dumpdtb) {
        c->board.dumpdtb = m.dumpdtb;
    }
    return true;
}

static bool add_item(const char *option, const char **list, unsigned *n, const char *value, char **err)
{
    if (*n == BOARD_MAX_ITEMS) {
        *err = str_format("more than %u times %s", BOARD_MAX_ITEMS, option);
        return false;
    }
    list[(*n)++] = value;
    return true;
}

static bool add_drive(void *config, const char *value, char **err)
{
    BoardOptions *b = &((SystemConfig *)config)->board;
    return add_item("-drive", b->drives, &b->ndrives, value, err);
}

static bool add_device(void *config, const char *value, char **err)
{
    BoardOptions *b = &((SystemConfig *)config)->board;
    return add_item("-device", b->devices, &b->ndevices, value, err);
}

static bool add_netdev(void *config, const char *value, char **err)
{
    BoardOptions *b = &((SystemConfig *)config)->board;
    return add_item("-netdev", b->netdevs, &b->nnetdevs, value, err);
}

static bool add_chardev(void *config, const char *value, char **err)
{
    BoardOptions *b = &((SystemConfig *)config)->board;
    return add_item("-chardev", b->chardevs, &b->nchardevs, value, err);
}

static bool add_fsdev(void *config, const char *value, char **err)
{
    BoardOptions *b = &((SystemConfig *)config)->board;
    return add_item("-fsdev", b->fsdevs, &b->nfsdevs, value, err);
}

static bool add_virtfs(void *config, const char *value, char **err)
{
    BoardOptions *b = &((SystemConfig *)config)->board;
    return add_item("-virtfs", b->virtfs, &b->nvirtfs, value, err);
}

/* -m 2G, -m 2048 (MiB), -m size=2G */
static bool set_memory(void *config, const char *value, char **err)
{
    SystemConfig *c = config;
    const char *s = strncmp(value, "size=", 5) ? value : value + 5;
    uint64_t plain;
    bool good = str_parse_u64(s, strlen(s), &plain) ? plain < (1ull << 40) && (c->ram_size = plain << 20, true)
                                                     : str_parse_size(s, strlen(s), &c->ram_size);
    if (!good || c->ram_size < (4ull << 20) || c->ram_size > (1ull << 40) || c->ram_size % 4096) {
        *err = str_format("-m %s: memory is a size like 2G (or a number of MiB), from 4M to 1T", value);
        return false;
    }
    return true;
}

/* -smp N, -smp cpus=N[,cores=...] */
static bool set_smp(void *config, const char *value, char **err)
{
    SystemConfig *c = config;
    const char *s = strncmp(value, "cpus=", 5) ? value : value + 5;
    size_t n = strcspn(s, ",");
    if (!str_parse_i64(s, n, &c->nharts) || c->nharts < 1 || c->nharts > (int64_t)BOARD_MAX_HARTS) {
        *err = str_format("-smp %s: the number of harts is 1 to %u", value, BOARD_MAX_HARTS);
        return false;
    }
    return true;
}

typedef struct ICountOptions {
    int64_t shift;
    bool sleep;
} ICountOptions;

static const SubOptionDef icount_defs[] = {
    { "shift", SUBOPTION_INT, offsetof(ICountOptions, shift), 0, 10, NULL,
      "an instruction takes 2^shift ns" },
    { "sleep", SUBOPTION_BOOL, offsetof(ICountOptions, sleep), 0, 0, NULL,
      "when all harts wait, wait really" },
};

/* -icount [shift=]N[,sleep=on|off] */
static bool set_icount(void *config, const char *value, char **err)
{
    SystemConfig *c = config;
    ICountOptions o = { .shift = -1, .sleep = true };
    char *name = NULL;
    if (!strcmp(value, "auto") || !strncmp(value, "auto,", 5) || strstr(value, "shift=auto")) {
        *err = str_format("-icount shift=auto: the time of an instruction is a number, shift=0 to shift=10; one that "
                          "follows the host's speed would not make two runs equal");
        return false;
    }
    if (!suboption_parse("-icount", value, icount_defs, array_size(icount_defs), &o, &name, err)) {
        return false;
    }
    if (name && (!str_parse_i64(name, strlen(name), &o.shift) || o.shift < 0 || o.shift > 10)) {
        *err = str_format("-icount %s: shift is a number from 0 to 10", name);
        free(name);
        return false;
    }
    free(name);
    if (o.shift < 0) {
        *err = str_format("-icount: shift= is missing");
        return false;
    }
    c->board.count = (CountOptions){ .on = true, .shift = (unsigned)o.shift, .sleep = o.sleep };
    return true;
}

static bool set_gdb(void *config, const char *value, char **err)
{
    ((SystemConfig *)config)->gdb = "tcp::1234";
    return true;
}

static bool accept_nographic(void *config, const char *value, char **err)
{
    return true;                /* there never is a display; the serial port is on standard input and output */
}

static bool set_display(void *config, const char *value, char **err)
{
    if (strcmp(value, "none")) {
        *err = str_format("-display %s: there is no display, only 'none'", value);
        return false;
    }
    return true;
}

static bool show_version(void *config, const char *value, char **err)
{
    printf("braid-system-riscv64 version %s\n", BRAID_VERSION);
    exit(0);
}

static const OptionDef defs[] = {
    OPTION_HEADING("The machine:"),
    OPTION_DEF_CALL("M", "virt[,...]", set_machine, NULL, "the board: virt; dumpdtb=FILE writes its device tree; aia=none|aplic-imsic"),
    OPTION_DEF_CALL("machine", "virt[,...]", set_machine, NULL, "the same as -M"),
    OPTION_DEF_CALL("smp", "N", set_smp, NULL, "number of harts (default 1)"),
    OPTION_DEF_CALL("m", "SIZE", set_memory, NULL, "size of RAM (default 128M)"),
    OPTION_DEF_STRING("cpu", "MODEL", SystemConfig, cpu, NULL,
                      "rv64 or max, then ,extension=on|off ... ('help' lists them)"),
    OPTION_HEADING("What it runs:"),
    OPTION_DEF_STRING("kernel", "FILE", SystemConfig, board.kernel, NULL, "Linux Image (also packed) or ELF file"),
    OPTION_DEF_STRING("initrd", "FILE", SystemConfig, board.initrd, NULL, "initial RAM disk"),
    OPTION_DEF_STRING("append", "TEXT", SystemConfig, board.append, NULL, "the kernel's command line"),
    OPTION_DEF_STRING("bios", "FILE|none", SystemConfig, board.bios, NULL,
                      "firmware for M-mode instead of the built-in SBI"),
    OPTION_DEF_STRING("dtb", "FILE", SystemConfig, board.dtb, NULL, "device tree instead of the board's own"),
    OPTION_HEADING("Devices:"),
    OPTION_DEF_CALL("drive", "file=FILE[,...]", add_drive, NULL,
                    "disk image: if=virtio|none id= format=raw readonly= snapshot= discard=unmap|ignore"),
    OPTION_DEF_CALL("device", "KIND[,...]", add_device, NULL,
                    "virtio-blk-pci,drive= virtio-net-pci,netdev= virtio-rng-pci virtio-serial-pci virtconsole,chardev= "
                    "(on PCI with addr=; virtio-...-device on virtio-mmio)"),
    OPTION_DEF_CALL("netdev", "user,id=ID[,...]", add_netdev, NULL,
                    "user networking: hostfwd=tcp|udp:[HOST]:PORT-[GUEST]:PORT restrict= hostname="),
    OPTION_DEF_CALL("chardev", "KIND,id=ID[,...]", add_chardev, NULL, "stdio, null, file,path= socket,path="),
    OPTION_DEF_CALL("virtfs", "local,path=DIR,mount_tag=TAG[,...]", add_virtfs, NULL,
                    "share a folder by 9P: readonly= security_model=none|passthrough"),
    OPTION_DEF_CALL("fsdev", "local,id=ID,path=DIR[,...]", add_fsdev, NULL,
                    "the same for -device virtio-9p-pci,fsdev=ID,mount_tag=TAG"),
    OPTION_DEF_STRING("serial", "CHARDEV", SystemConfig, board.serial, NULL,
                      "mon:stdio (default), stdio, null, file:PATH, unix:PATH,server=on, tcp:HOST:PORT, chardev:ID"),
    OPTION_DEF_STRING("monitor", "CHARDEV", SystemConfig, board.monitor, NULL, "where the monitor is"),
    OPTION_DEF_STRING("qmp", "CHARDEV", SystemConfig, board.qmp, NULL, "the monitor for programs"),
    OPTION_DEF_CALL_FLAG("nographic", accept_nographic, NULL, "no effect: there is no display"),
    OPTION_DEF_CALL("display", "none", set_display, NULL, "no effect"),
    OPTION_HEADING("How it runs:"),
    OPTION_DEF_CALL("accel", "tcg|interp[,...]", set_accel, "BRAID_ACCEL",
                    "tcg options: thread=multi|single tb-size= translate=parallel|serial opt= max-insns= verify= "
                    "ras= jump-cache= pinning= bmi2= fma= avx= lzcnt="),
    COMMON_TRANSLATION_DEFS(SystemConfig, common),
    OPTION_DEF_CALL("icount", "shift=N[,sleep=on|off]", set_icount, NULL,
                    "count instructions: each takes 2^N ns, two runs are equal; implies thread=single"),
    OPTION_DEF_FLAG("S", SystemConfig, board.start_stopped, NULL, "begin stopped; the monitor's 'cont' starts it"),
    OPTION_DEF_STRING("loadvm", "FILE", SystemConfig, board.loadvm, NULL,
                      "begin with a state that the monitor's savevm has written"),
    OPTION_DEF_CALL_FLAG("s", set_gdb, NULL, "the same as -gdb tcp::1234"),
    OPTION_DEF_STRING("gdb", "CHARDEV", SystemConfig, gdb, NULL,
                      "wait for gdb at tcp::PORT (loopback), tcp:HOST:PORT or unix:PATH"),
    OPTION_DEF_FLAG("no-reboot", SystemConfig, board.no_reboot, NULL, "end when the guest resets the machine"),
    OPTION_DEF_FLAG("no-shutdown", SystemConfig, board.no_shutdown, NULL,
                    "stop, rather than end, when the guest switches the machine off"),
    OPTION_HEADING("Looking inside:"),
    COMMON_INSIDE_DEFS(SystemConfig, common),
    OPTION_DEF_CALL_FLAG("version", show_version, NULL, "print the version"),
};

static const OptionTable table = {
    .defs = defs,
    .n_defs = array_size(defs),
    .usage = "[options]",
    .footer = "Ctrl-A h in the console shows its keys: Ctrl-A x ends braid, Ctrl-A c is the monitor.\n",
};

static void setup_exec(const SystemConfig *c)
{
    ExecConfig x = {
        .guest = &riscv64_system_guest,
        .system_mode = true,
        .one_thread = c->board.one_thread,
        .icount = c->board.count.on,
    };
    common_apply(&c->common, &x);
    exec_init(&x);
}

int main(int argc, char **argv)
{
    static SystemConfig c = {
        .common.accel = ACCEL_DEFAULTS,
        .nharts = 1,
        .ram_size = 128ull << 20,
    };
    char err[256];
    error_set_program_name(argv[0]);
    int first = option_parse(&table, &c, argc, argv);
    if (first < argc) {
        fatal_usage("'%s' is no option (-help shows them)", argv[first]);
    }
    common_setup_log(&c.common);
    if (!riscv64_system_guest.configure(c.cpu, err, sizeof(err))) {
        fatal_usage("%s", err);
    }
    int thread = c.common.accel.thread;
    if (c.board.count.on && thread == 0) {
        fatal_usage("-icount and -accel tcg,thread=multi contradict each other");
    }
    c.board.one_thread = c.board.count.on || thread == 1;
    setup_exec(&c);
    c.board.nharts = (unsigned)c.nharts;
    c.board.ram_size = c.ram_size;
    board_create(&c.board);
    system_gdb_init(c.gdb);
    int code = board_run();
    if (c.common.stats) {
        exec_print_stats(stderr);
    }
    /* Other threads still are there: no destructors under their feet. */
    fflush(NULL);
    _exit(code);
}
