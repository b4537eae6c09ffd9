/*
 * What gdb reads and writes: registers, memory, breakpoints and watchpoints.  The stub's thread, while no vCPU runs.
 */
#include "debug/gdb-memory.h"

#include <stdlib.h>

#include "exec/debug.h"
#include "exec/tb.h"

void gdb_read_registers(const GdbView *v, CPUState *cpu)
{
    uint8_t buf[16];
    for (unsigned n = 0; n < v->target->guest->gdb_nregs; n++) {
        gdb_reply_add_hex(v->reply, buf, v->target->guest->gdb_read_reg(cpu, n, buf));
    }
}

void gdb_write_registers(const GdbView *v, CPUState *cpu, const char *hex)
{
    uint8_t buf[16];
    for (unsigned n = 0; n < v->target->guest->gdb_nregs; n++) {
        unsigned size = v->target->guest->gdb_read_reg(cpu, n, buf);
        if (gdb_parse_hex(hex, buf, size) < size) {
            gdb_reply_add(v->reply, "E16");
            return;
        }
        v->target->guest->gdb_write_reg(cpu, n, buf);
        hex += 2 * size;
    }
    gdb_reply_add(v->reply, "OK");
}

void gdb_one_register(const GdbView *v, CPUState *cpu, char *args, bool write)
{
    uint8_t buf[16] = { 0 };
    char *end;
    unsigned n = (unsigned)strtoul(args, &end, 16);
    if (write && *end == '=') {
        unsigned size = v->target->guest->gdb_read_reg(cpu, n, buf);
        bool good = size && gdb_parse_hex(end + 1, buf, size) == size &&
                    v->target->guest->gdb_write_reg(cpu, n, buf);
        gdb_reply_add(v->reply, good ? "OK" : "E16");
        return;
    }
    unsigned size = write ? 0 : v->target->guest->gdb_read_reg(cpu, n, buf);
    if (size) {
        gdb_reply_add_hex(v->reply, buf, size);
    } else {
        gdb_reply_add(v->reply, "E16");
    }
}

static bool read_memory(const GdbView *v, CPUState *cpu, uint64_t addr, void *buf, size_t n)
{
    return v->physical ? v->target->read_physical(addr, buf, n) : v->target->read_memory(cpu, addr, buf, n);
}

static bool write_memory(const GdbView *v, CPUState *cpu, uint64_t addr, const void *buf, size_t n)
{
    return v->physical ? v->target->write_physical(addr, buf, n) : v->target->write_memory(cpu, addr, buf, n);
}

void gdb_read_memory(const GdbView *v, CPUState *cpu, char *args)
{
    static uint8_t buf[GDB_PACKET_SIZE / 2];    /* owned by the stub's thread */
    uint64_t addr, len;
    if (!gdb_parse_range(&args, &addr, &len)) {
        gdb_reply_add(v->reply, "E16");
        return;
    }
    len = len < sizeof(buf) ? len : sizeof(buf);
    if (!read_memory(v, cpu, addr, buf, len)) {
        uint64_t in_page = GUEST_PAGE_SIZE - (addr & ~GUEST_PAGE_MASK);
        len = len > in_page ? in_page : 0;
        if (!len || !read_memory(v, cpu, addr, buf, len)) {
            gdb_reply_add(v->reply, "E0e");
            return;
        }
    }
    gdb_reply_add_hex(v->reply, buf, len);
}

void gdb_write_memory(const GdbView *v, CPUState *cpu, char *args, size_t n, bool binary)
{
    char *p = args;
    uint64_t addr, len;
    bool good = gdb_parse_range(&p, &addr, &len) && *p++ == ':';
    if (good && !binary) {
        good = gdb_parse_hex(p, (uint8_t *)p, n / 2) == len;    /* in place: the result is shorter */
    } else {
        good = good && n - (size_t)(p - args) == len;
    }
    gdb_reply_add(v->reply, !good ? "E16" : !len || write_memory(v, cpu, addr, p, len) ? "OK" : "E0e");
}

void gdb_breakpoint(GdbReply *reply, char *args, bool insert)
{
    static const WatchKind watch[] = { [2] = WATCH_WRITE, [3] = WATCH_READ, [4] = WATCH_ACCESS };
    unsigned type = (unsigned)strtoul(args, &args, 16);
    uint64_t addr, kind;
    if (type > 4) {
        return;                 /* an empty reply: not supported */
    }
    if (*args++ != ',' || !gdb_parse_range(&args, &addr, &kind)) {
        gdb_reply_add(reply, "E16");
        return;
    }
    if (type < 2 && insert) {
        debug_insert_breakpoint(addr);
    } else if (type < 2) {
        debug_remove_breakpoint(addr);
    } else if (insert) {
        debug_insert_watchpoint(addr, kind, watch[type]);
    } else {
        debug_remove_watchpoint(addr, kind, watch[type]);
    }
    gdb_reply_add(reply, "OK");
}
