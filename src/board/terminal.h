/*
 * The terminal on standard input: raw while a guest has it, as it was before when braid ends, however it
 * ends (exit(), a fatal signal, an abort); only SIGKILL cannot be helped.
 */
#ifndef BRAID_BOARD_TERMINAL_H
#define BRAID_BOARD_TERMINAL_H

/* Once, from the first thread.  Does nothing if standard input is no terminal, or one that is in
   another process group's hands. */
void terminal_set_raw(void);
/* The process was stopped and goes on: raw again. Any thread. */
void terminal_continue(void);
/* Async-signal-safe; any number of times. */
void terminal_restore_sigsafe(void);

#endif
