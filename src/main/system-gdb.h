/* braid-system-riscv64 -s, -gdb and the monitor's gdbserver. */
#ifndef BRAID_MAIN_SYSTEM_GDB_H
#define BRAID_MAIN_SYSTEM_GDB_H

/* Makes gdb known to the board; `where` (NULL: nowhere so far) as gdb_listen() has it.  fatal_usage() if
   that is not possible.  After board_create(). */
void system_gdb_init(const char *where);

#endif
