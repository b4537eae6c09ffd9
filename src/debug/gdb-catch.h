/*
 * Which system calls gdb wants to hear of (QCatchSyscalls), and which signals not (QPassSignals).  Set by the stub's
 * thread, read by any.
 */
#ifndef BRAID_DEBUG_GDB_CATCH_H
#define BRAID_DEBUG_GDB_CATCH_H

#include <stdbool.h>
#include <stdint.h>

/* What stands behind "QCatchSyscalls:"; NULL: none.  False: it makes no sense, and nothing has changed. */
bool gdb_catch_set(const char *args);
bool gdb_catch_wants(uint64_t nr);
/* N;N;...: gdb's numbers of those signals that do not concern it */
void gdb_catch_set_passed(const char *list);
/* Linux's number */
bool gdb_catch_passes(int sig);

#endif
