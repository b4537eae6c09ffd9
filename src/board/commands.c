/*
 * The monitor's commands, as a table.
 *
 * A monitor's thread runs them.  Those that look at harts do so through board_run_paused(): on the board's
 * thread, while no hart runs.
 */
#include "board/commands.h"

#include <string.h>

#include "board/board.h"
#include "board/hart.h"
#include "exec/exec.h"
#include "exec/tlb.h"
#include "mem/memory.h"
#include "util/compiler.h"
#include "util/strutil.h"

typedef struct Command {
    const char *name;           /* "info cpus" */
    void (*run)(FILE *out);
    bool paused;                /* harts stand still meanwhile */
    const char *help;
} Command;

static void print_state_name(FILE *out, const Hart *h)
{
    static const char *const names[] = { "started", "stopped", "start pending", "stop pending", "suspended" };
    fprintf(out, "%s", names[__atomic_load_n(&h->state, __ATOMIC_RELAXED) % array_size(names)]);
}

static void info_cpus(FILE *out)
{
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        const Hart *h = &hart_ctx.harts[i];
        fprintf(out, "hart %u: pc=0x%016llx mode=%c, ", i, (unsigned long long)h->cpu->env.pc,
                "USHM"[riscv_privilege(h->cpu) & 3]);
        print_state_name(out, h);
        fprintf(out, "\n");
    }
}

static void info_registers(FILE *out)
{
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        fprintf(out, "hart %u\n", i);
        riscv64_system_guest.dump_state(hart_ctx.harts[i].cpu, out);
    }
}

static void info_tlb(FILE *out)
{
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        fprintf(out, "hart %u\n", i);
        tlb_print(out, hart_ctx.harts[i].cpu);
    }
}

static void info_mtree(FILE *out)
{
    memory_print(out);
}

static void info_jit(FILE *out)
{
    exec_print_stats(out);
}

static void info_status(FILE *out)
{
    fprintf(out, "VM status: %s\n", board_is_running() ? "running" : "paused");
}

static void do_stop(FILE *out) { board_stop(); }
static void do_continue(FILE *out) { board_continue(); }
static void do_reset(FILE *out) { board_reset(); }
static void do_quit(FILE *out) { board_quit(); }
static void do_help(FILE *out);

static const Command commands[] = {
    { "help", do_help, false, "this list" },
    { "info cpus", info_cpus, true, "where each hart is" },
    { "info jit", info_jit, true, "translation counters" },
    { "info mtree", info_mtree, false, "the physical memory map" },
    { "info registers", info_registers, true, "registers of all harts" },
    { "info status", info_status, false, "running or paused" },
    { "info tlb", info_tlb, true, "what is in the soft TLBs" },
    { "stop", do_stop, false, "stop all harts and the clock" },
    { "cont", do_continue, false, "go on" },
    { "c", do_continue, false, "go on" },
    { "system_reset", do_reset, false, "as if the reset button was pressed" },
    { "quit", do_quit, false, "end braid" },
    { "q", do_quit, false, "end braid" },
};

static void do_help(FILE *out)
{
    for (unsigned i = 0; i < array_size(commands); i++) {
        fprintf(out, "%-16s %s\n", commands[i].name, commands[i].help);
    }
}

typedef struct PausedCommand {
    const Command *command;
    FILE *out;
} PausedCommand;

static void run_paused(void *opaque)
{
    PausedCommand *p = opaque;
    p->command->run(p->out);
}

static const char *command_name(const void *ctx, size_t i)
{
    return commands[i].name;
}

void command_run(const char *line, FILE *out)
{
    while (*line == ' ') {
        line++;
    }
    size_t n = strlen(line);
    while (n && (line[n - 1] == ' ' || line[n - 1] == '\n' || line[n - 1] == '\r')) {
        n--;
    }
    for (unsigned i = 0; n && i < array_size(commands); i++) {
        const Command *c = &commands[i];
        if (strlen(c->name) == n && !memcmp(c->name, line, n)) {
            PausedCommand p = { c, out };
            if (c->paused) {
                board_run_paused(run_paused, &p);
            } else {
                c->run(out);
            }
            return;
        }
    }
    if (n) {
        const char *near = str_nearest(line, n, command_name, NULL, array_size(commands));
        fprintf(out, "unknown command: '%.*s'%s%s%s\n", (int)n, line, near ? "; did you mean '" : " (try 'help')",
                near ? near : "", near ? "'?" : "");
    }
}
