/* What the monitor can do, for its two front ends. */
#ifndef BRAID_BOARD_COMMANDS_H
#define BRAID_BOARD_COMMANDS_H

#include <stdio.h>

/* Carries out one line ("info cpus", "stop"); what it says goes to `out`.  Not on a hart's thread, no locks held. */
void command_run(const char *line, FILE *out);

#endif
