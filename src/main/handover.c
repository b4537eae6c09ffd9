/*
 * What binfmt_misc does to a command line.  The program's path comes behind the interpreter's;
 * flag P keeps the program's argv[0] behind that, where the path took its place otherwise:
 *
 *   without P   braid-riscv64 PATH argv[1]...
 *   with P      braid-riscv64 PATH argv[0] argv[1]...
 *
 * AT_FLAGS tells which (Linux 5.12).  Flags O and C pass the program as a descriptor, its number
 * in AT_EXECFD, which may well be 0.  With none of P, O and C the kernel leaves no trace, and the
 * command line is an ordinary one.
 *
 * Runs once, at the very start.
 */
#include "main/handover.h"

#include <errno.h>
#include <sys/auxv.h>

#ifndef AT_FLAGS_PRESERVE_ARGV0
#define AT_FLAGS_PRESERVE_ARGV0 1
#endif

Handover handover_detect(int argc, char **argv)
{
    Handover h = { .fd = -1 };
    errno = 0;
    unsigned long fd = getauxval(AT_EXECFD);
    bool has_fd = errno == 0;
    bool keeps_argv0 = getauxval(AT_FLAGS) & AT_FLAGS_PRESERVE_ARGV0;
    if (argc < 2 || !(has_fd || keeps_argv0)) {
        return h;
    }
    h.from_kernel = true;
    h.fd = has_fd ? (int)fd : -1;
    h.argv0 = argv[1];
    h.first = 1;
    if (keeps_argv0 && argc > 2) {
        h.argv0 = argv[2];
        argv[2] = argv[1];
        h.first = 2;
    }
    return h;
}
