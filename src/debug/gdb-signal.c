/*
 * gdb's signal numbers.
 */
#include "debug/gdb-signal.h"

#include <signal.h>

enum { LAST_NAMED = 31, GDB_RT32 = 77, GDB_RT33 = 45, GDB_RT64 = 78, GDB_UNKNOWN = 143 };

/* Of the signals 1 to 31. */
static const unsigned char named[LAST_NAMED + 1] = {
    [SIGHUP] = 1, [SIGINT] = 2, [SIGQUIT] = 3, [SIGILL] = 4, [SIGTRAP] = 5, [SIGABRT] = 6,
    [SIGBUS] = 10, [SIGFPE] = 8, [SIGKILL] = 9, [SIGUSR1] = 30, [SIGSEGV] = 11, [SIGUSR2] = 31,
    [SIGPIPE] = 13, [SIGALRM] = 14, [SIGTERM] = 15, [SIGSTKFLT] = GDB_UNKNOWN, [SIGCHLD] = 20,
    [SIGCONT] = 19, [SIGSTOP] = 17, [SIGTSTP] = 18, [SIGTTIN] = 21, [SIGTTOU] = 22, [SIGURG] = 16,
    [SIGXCPU] = 24, [SIGXFSZ] = 25, [SIGVTALRM] = 26, [SIGPROF] = 27, [SIGWINCH] = 28, [SIGIO] = 23,
    [SIGPWR] = 32, [SIGSYS] = 12,
};

int gdb_signal_from_linux(int sig)
{
    if (sig <= LAST_NAMED) {
        return named[sig];
    }
    return sig == 32 ? GDB_RT32 : sig == 64 ? GDB_RT64 : GDB_RT33 + sig - 33;
}

int gdb_signal_to_linux(int gdb_sig)
{
    for (int sig = 1; sig <= 64; sig++) {
        if (gdb_signal_from_linux(sig) == gdb_sig) {
            return sig;
        }
    }
    return 0;
}
