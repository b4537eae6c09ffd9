/*
 * braid-riscv64 -g: the guest process under gdb.
 */
#ifndef BRAID_MAIN_USER_GDB_H
#define BRAID_MAIN_USER_GDB_H

#include "linux-user/linux-user.h"

/* For LinuxUserOptions.debugger; `where` as gdb_start() has it, and lives on. */
const UserDebugger *user_gdb(const char *where);

#endif
