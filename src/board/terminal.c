/*
 * Raw mode and the way back.
 *
 * Signals that end the program are caught only to restore the terminal; then they take their default
 * action.  A signal that has a handler already (SIGSEGV of guest accesses, say) keeps it: that
 * handler's owner ends by abort(), which comes through SIGABRT.  SIGTERM, SIGHUP and SIGINT
 * belong to the main thread, which shuts the machine down.  `saved` is constant once `active` is set.
 */
#include "board/terminal.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct Terminal {
    struct termios saved;
    bool active;        /* atomic */
} terminal;

void terminal_restore_sigsafe(void)
{
    /* [TERMINAL] pairs with terminal_set_raw(). */
    if (__atomic_load_n(&terminal.active, __ATOMIC_ACQUIRE)) {
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.saved);
    }
}

static void die(int sig)
{
    terminal_restore_sigsafe();
    signal(sig, SIG_DFL);
    raise(sig);
}

void terminal_set_raw(void)
{
    static const int fatal_signals[] = { SIGABRT, SIGQUIT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS };
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal.saved)) {
        return;
    }
    __atomic_store_n(&terminal.active, true, __ATOMIC_RELEASE);     /* [TERMINAL] pairs with restore */
    atexit(terminal_restore_sigsafe);
    for (unsigned i = 0; i < sizeof(fatal_signals) / sizeof(*fatal_signals); i++) {
        struct sigaction sa;
        if (!sigaction(fatal_signals[i], NULL, &sa) && sa.sa_handler == SIG_DFL) {
            sa = (struct sigaction){ .sa_handler = die, .sa_flags = SA_NODEFER | SA_ONSTACK };
            sigaction(fatal_signals[i], &sa, NULL);
        }
    }
    struct termios raw = terminal.saved;
    raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_oflag |= OPOST;       /* our own messages; a guest's \r\n comes through unharmed */
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
    raw.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    raw.c_cflag |= CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}
