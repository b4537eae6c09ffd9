/*
 * The monitor's commands, as a table.
 *
 * A monitor's thread runs them (or gdb's).  Those that look at harts do so through board_run_paused(): on the board's
 * thread, while no hart runs.
 */
#include "board/commands.h"

#include <stdlib.h>
#include <string.h>

#include "board/block.h"
#include "board/board.h"
#include "board/device.h"
#include "board/hart.h"
#include "board/memory-dump.h"
#include "board/savevm.h"
#include "board/slots.h"
#include "exec/exec.h"
#include "exec/tlb.h"
#include "mem/memory.h"
#include "util/compiler.h"
#include "util/strutil.h"

enum {
    PAUSED = 1,                 /* harts stand still meanwhile */
    ARGUMENT = 2,               /* there must be one; without either flag there must be none */
    OPTIONAL = 4,
};

typedef struct Command {
    const char *name;           /* "info cpus" */
    void (*run)(const char *args, FILE *out);
    unsigned flags;
    const char *usage, *help;
} Command;

/* ---- info ---- */

static void print_state_name(FILE *out, const Hart *h)
{
    static const char *const names[] = { "started", "stopped", "start pending", "stop pending", "suspended" };
    fprintf(out, "%s", names[__atomic_load_n(&h->state, __ATOMIC_RELAXED) % array_size(names)]);
}

static void info_cpus(const char *args, FILE *out)
{
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        const Hart *h = &hart_ctx.harts[i];
        fprintf(out, "hart %u: pc=0x%016llx mode=%c, ", i, (unsigned long long)h->cpu->env.pc,
                "USHM"[riscv_privilege(h->cpu) & 3]);
        print_state_name(out, h);
        fprintf(out, "\n");
    }
}

static void info_registers(const char *args, FILE *out)
{
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        fprintf(out, "hart %u\n", i);
        riscv64_system_guest.dump_state(hart_ctx.harts[i].cpu, out);
    }
}

static void info_tlb(const char *args, FILE *out)
{
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        fprintf(out, "hart %u\n", i);
        tlb_print(out, hart_ctx.harts[i].cpu);
    }
}

static void info_mtree(const char *args, FILE *out) { memory_print(out); }
static void info_jit(const char *args, FILE *out) { exec_print_stats(out); }

static void info_status(const char *args, FILE *out)
{
    fprintf(out, "VM status: %s\n", board_is_running() ? "running" : "paused");
}

static void info_block(const char *args, FILE *out)
{
    for (const BlockImage *b = NULL; (b = block_next(b));) {
        block_print(b, out);
    }
}

static void info_network(const char *args, FILE *out) { slots_print_network(out); }

static void info_qtree(const char *args, FILE *out)
{
    const Device *d;
    for (unsigned i = 0; (d = device_get(i)); i++) {
        fprintf(out, "%s: %s\n", d->id, d->c->name);
    }
}

/* ---- memory ---- */

static void dump_virtual(const char *args, FILE *out)
{
    memory_dump(args, hart_ctx.harts[0].cpu, out);
}

static void dump_physical(const char *args, FILE *out)
{
    memory_dump(args, NULL, out);
}

/* ---- the machine ---- */

static void do_stop(const char *args, FILE *out) { board_stop(); }
static void do_continue(const char *args, FILE *out) { board_continue(); }
static void do_reset(const char *args, FILE *out) { board_reset(false); }
static void do_quit(const char *args, FILE *out) { board_quit(); }

static void do_power_down(const char *args, FILE *out)
{
    fprintf(out, "this machine has no power button: a guest switches it off by itself\n");
}

static void print_error(char *err, FILE *out)
{
    fprintf(out, "%s\n", err);
    free(err);
}

static void do_save(const char *args, FILE *out)
{
    char *err = NULL;
    if (!savevm_save(args, &err)) {
        print_error(err, out);
    }
}

static void do_load(const char *args, FILE *out)
{
    char *err = NULL;
    if (!savevm_load(args, &err)) {
        print_error(err, out);
    }
}

static void do_gdbserver(const char *args, FILE *out)
{
    const char *where = *args ? args : "tcp::1234";
    char *err = NULL;
    if (!board_debugger()->listen) {
        fprintf(out, "there is no gdb stub\n");
    } else if (!board_debugger()->listen(where, &err)) {
        print_error(err, out);
    } else {
        fprintf(out, strcmp(where, "none") ? "waiting for gdb at '%s'\n" : "no longer waiting for gdb\n", where);
    }
}

static void do_help(const char *args, FILE *out);

static const Command commands[] = {
    { "help", do_help, 0, "", "this list" },
    { "info block", info_block, 0, "", "disk images" },
    { "info cpus", info_cpus, PAUSED, "", "where each hart is" },
    { "info jit", info_jit, PAUSED, "", "translation counters" },
    { "info mtree", info_mtree, 0, "", "the physical memory map" },
    { "info network", info_network, 0, "", "user networks" },
    { "info qtree", info_qtree, 0, "", "devices" },
    { "info registers", info_registers, PAUSED, "", "registers of all harts" },
    { "info status", info_status, 0, "", "running or paused" },
    { "info tlb", info_tlb, PAUSED, "", "what is in the soft TLBs" },
    { "x", dump_virtual, PAUSED | ARGUMENT, "/FMT ADDR", "memory as hart 0 sees it; FMT: count, x d u o c i, b h w g" },
    { "xp", dump_physical, PAUSED | ARGUMENT, "/FMT ADDR", "physical memory" },
    { "stop", do_stop, 0, "", "stop all harts and the clock" },
    { "cont", do_continue, 0, "", "go on" },
    { "c", do_continue, 0, "", "go on" },
    { "savevm", do_save, PAUSED | ARGUMENT, "FILE", "write the machine's state to a file; disk images are not in it" },
    { "loadvm", do_load, PAUSED | ARGUMENT, "FILE", "go back to a saved state" },
    { "gdbserver", do_gdbserver, OPTIONAL, "[DEVICE|none]", "wait for gdb (default tcp::1234)" },
    { "system_reset", do_reset, 0, "", "as if the reset button was pressed" },
    { "system_powerdown", do_power_down, 0, "", "an error: there is no power button" },
    { "quit", do_quit, 0, "", "end braid" },
    { "q", do_quit, 0, "", "end braid" },
};

static void do_help(const char *args, FILE *out)
{
    for (unsigned i = 0; i < array_size(commands); i++) {
        int n = fprintf(out, "%s %s", commands[i].name, commands[i].usage);
        fprintf(out, "%*s %s\n", n < 26 ? 26 - n : 0, "", commands[i].help);
    }
}

/* ---- a line ---- */

typedef struct PausedCommand {
    const Command *command;
    const char *args;
    FILE *out;
} PausedCommand;

static void run_paused(void *opaque)
{
    PausedCommand *p = opaque;
    p->command->run(p->args, p->out);
}

static const char *command_name(const void *ctx, size_t i)
{
    return commands[i].name;
}

/* `x/4xw 0x1000`: the format may touch the name. */
static bool matches(const Command *c, const char *line, const char **args)
{
    size_t n = strlen(c->name);
    if (strncmp(line, c->name, n) || !strchr(c->usage[0] == '/' ? " /" : " ", line[n])) {
        return false;
    }
    *args = line + n + strspn(line + n, " ");
    return true;
}

static void run(const Command *c, const char *args, FILE *out)
{
    if ((*args && !(c->flags & (ARGUMENT | OPTIONAL))) || (!*args && c->flags & ARGUMENT)) {
        fprintf(out, "usage: %s %s\n", c->name, c->usage);
    } else if (c->flags & PAUSED) {
        board_run_paused(run_paused, &(PausedCommand){ c, args, out });
    } else {
        c->run(args, out);
    }
}

void command_run(const char *line, FILE *out)
{
    line += strspn(line, " ");
    size_t n = strlen(line);
    while (n && strchr(" \r\n", line[n - 1])) {
        n--;
    }
    char *text = str_format("%.*s", (int)n, line);
    const char *args;
    const Command *found = NULL;
    for (unsigned i = 0; n && i < array_size(commands) && !found; i++) {
        found = matches(&commands[i], text, &args) ? &commands[i] : NULL;
    }
    if (found) {
        run(found, args, out);
    } else if (n) {
        const char *near = str_nearest(text, n, command_name, NULL, array_size(commands));
        fprintf(out, "unknown command: '%s'%s%s%s\n", text, near ? "; did you mean '" : " (try 'help')",
                near ? near : "", near ? "'?" : "");
    }
    free(text);
}
