/*
 * gdb reads files where the program runs: the packets vFile.
 */
#ifndef DEBUG_GDB_FILE_H
#define DEBUG_GDB_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Where the host has the file that the guest calls `path`; follow: the last component may be a link. */
typedef bool GdbFindFile(const char *path, bool follow, char *host, size_t size);

/*
 * Carry out "OPERATION:ARGUMENTS" (what follows "vFile:").  The reply is at most max / 2 bytes and a few, for
 * each may be escaped; its length, 0 if the operation is not known.
 */
size_t gdb_file_command(const char *p, char *reply, size_t max, GdbFindFile *find);
/* gdb is gone: its files are closed. */
void gdb_file_close_all(void);

#endif
