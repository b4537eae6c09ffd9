/*
 * Raw mode and the way back.
 *
 * The way back is taken at exit(), and before a signal or an assertion ends the program (error_set_farewell()).
 * In the background (of a shell, or below timeout(1)) the terminal is somebody else's: it is left alone, and input ends
 * there instead of stopping the process.
 *
 * Fatal signals that nobody has a handler for get one that does just this; SIGSEGV has one (exec/host-fault.c).
 * SIGTERM, SIGHUP and SIGINT belong to the signals' thread, which shuts the machine down.  The settings are
 * constant once `active` is set.
 */
#include "board/terminal.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "util/error.h"

static struct Terminal {
    struct termios saved, raw;
    bool active;        /* atomic */
} terminal;

void terminal_restore_sigsafe(void)
{
    sigset_t set, old;
    /* [TERMINAL] pairs with terminal_set_raw(). */
    if (!__atomic_load_n(&terminal.active, __ATOMIC_ACQUIRE)) {
        return;
    }
    /* If it is in the background by now, this would stop the process instead. */
    sigemptyset(&set);
    sigaddset(&set, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal.saved);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void terminal_continue(void)
{
    /* [TERMINAL] pairs with terminal_set_raw(). */
    if (__atomic_load_n(&terminal.active, __ATOMIC_ACQUIRE)) {
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.raw);
    }
}

static void make_raw(struct termios *t)
{
    t->c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    t->c_oflag |= OPOST;        /* our own messages; a guest's \r\n comes through unharmed */
    t->c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
    t->c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    t->c_cflag |= CS8;
    t->c_cc[VMIN] = 1;
    t->c_cc[VTIME] = 0;
}

void terminal_set_raw(void)
{
    static const int fatal_signals[] = { SIGABRT, SIGQUIT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS };
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal.saved)) {
        return;
    }
    pid_t foreground = tcgetpgrp(STDIN_FILENO);
    if (foreground >= 0 && foreground != getpgrp()) {
        signal(SIGTTIN, SIG_IGN);       /* reading fails */
        return;
    }
    terminal.raw = terminal.saved;
    make_raw(&terminal.raw);
    /* [TERMINAL] pairs with terminal_restore_sigsafe(). */
    __atomic_store_n(&terminal.active, true, __ATOMIC_RELEASE);
    atexit(terminal_restore_sigsafe);
    error_set_farewell(terminal_restore_sigsafe);
    for (unsigned i = 0; i < sizeof(fatal_signals) / sizeof(*fatal_signals); i++) {
        struct sigaction sa;
        if (!sigaction(fatal_signals[i], NULL, &sa) && sa.sa_handler == SIG_DFL) {
            sa = (struct sigaction){ .sa_handler = error_die_of_signal_sigsafe, .sa_flags = SA_ONSTACK };
            sigaction(fatal_signals[i], &sa, NULL);
        }
    }
    terminal_continue();
}
