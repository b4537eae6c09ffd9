/*
 * What a machine is to the gdb stub: each hart is a thread, number 1 is hart 0.
 *
 * The stub stops the machine by parking its harts, as the monitor's `stop` does, for a reason of its own; so the
 * monitor's commands work meanwhile, from gdb's `monitor` too, and the machine's clock stands still.
 */
#include "main/system-gdb.h"

#include <string.h>

#include "board/board.h"
#include "board/commands.h"
#include "debug/gdbstub.h"
#include "exec/tlb.h"
#include "guest/riscv/system.h"
#include "mem/memory.h"
#include "util/error.h"
#include "util/strutil.h"

static uint64_t thread_id(CPUState *cpu)
{
    return riscv_hartid(cpu) + 1;
}

static void describe_thread(CPUState *cpu, char *buf, size_t size)
{
    snprintf(buf, size, "hart %llu, %c-mode", (unsigned long long)riscv_hartid(cpu), "USHM"[riscv_privilege(cpu) & 3]);
}

static bool read_memory(CPUState *cpu, vaddr addr, void *buf, size_t n)
{
    return cpu_memory_debug(cpu, addr, buf, n, false);
}

static bool write_memory(CPUState *cpu, vaddr addr, const void *buf, size_t n)
{
    return cpu_memory_debug(cpu, addr, (void *)buf, n, true);
}

static void release(bool start)
{
    board_debug_release();
    if (start) {
        board_continue();
    }
}

static const GdbTarget target = {
    .guest = &riscv64_system_guest,
    .pid = 1,
    .thread_id = thread_id,
    .describe_thread = describe_thread,
    .read_memory = read_memory,
    .write_memory = write_memory,
    .kill = board_quit,
    .take = board_debug_take,
    .release = release,
    .ask_stop = board_debug_ask,
    .read_physical = memory_read,
    .write_physical = memory_write,
    .monitor = command_run,
};

static bool listen(const char *where, char **err)
{
    if (strncmp(where, "tcp:", 4) && strncmp(where, "unix:", 5) && strcmp(where, "none") && !strchr("0123456789", *where)) {
        *err = str_format("gdb: '%s' is none of tcp::PORT, tcp:HOST:PORT, unix:PATH, none", where);
        return false;
    }
    return gdb_listen(where, &target, err);
}

static void tell_exit(int code)
{
    gdb_exit(code, 0);
}

void system_gdb_init(const char *where)
{
    static const BoardDebugger debugger = { gdb_post, listen, tell_exit };
    char *err = NULL;
    board_set_debugger(&debugger);
    if (where && !listen(where, &err)) {
        fatal_usage("%s", err);
    }
}
