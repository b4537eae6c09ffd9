/*
 * Signal numbers: gdb's remote protocol has its own, the same for all systems (gdb's
 * include/gdb/signals.def gives them); Linux's are the host's.  0 stays 0.
 */
#ifndef BRAID_DEBUG_GDB_SIGNAL_H
#define BRAID_DEBUG_GDB_SIGNAL_H

int gdb_signal_from_linux(int sig);
/* 0 if Linux has no such signal. */
int gdb_signal_to_linux(int gdb_sig);

#endif
