/*
 * The packets that read and change the guest's state.  Each function appends to a reply: data, "OK" or an error.
 */
#ifndef BRAID_DEBUG_GDB_MEMORY_H
#define BRAID_DEBUG_GDB_MEMORY_H

#include "debug/gdb-packet.h"
#include "debug/gdbstub.h"

typedef struct GdbView {
    GdbReply *reply;
    const GdbTarget *target;
    bool physical;              /* addresses of memory are physical */
} GdbView;

/* g, and G: all in hexadecimal digits */
void gdb_read_registers(const GdbView *v, CPUState *cpu);
void gdb_write_registers(const GdbView *v, CPUState *cpu, const char *hex);
/* p N, P N=VALUE */
void gdb_one_register(const GdbView *v, CPUState *cpu, char *args, bool write);
/* m ADDR,LEN: as much as can be read. */
void gdb_read_memory(const GdbView *v, CPUState *cpu, char *args);
/* M ADDR,LEN:HEX and X ADDR,LEN:BYTES, of which n are there */
void gdb_write_memory(const GdbView *v, CPUState *cpu, char *args, size_t n, bool binary);
/* Z TYPE,ADDR,KIND and z: for watchpoints the kind is their length */
void gdb_breakpoint(GdbReply *reply, char *args, bool insert);

#endif
