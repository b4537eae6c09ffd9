/*
 * How the kernel's binfmt_misc hands a program to its interpreter, which is this one.
 */
#ifndef MAIN_HANDOVER_H
#define MAIN_HANDOVER_H

#include <stdbool.h>

typedef struct Handover {
    bool from_kernel;       /* the rest holds only then */
    int fd;                 /* AT_EXECFD: the program, opened by the kernel; -1: none */
    const char *argv0;      /* the program's argv[0] */
    int first;              /* argv[first] is the program's path; the rest are its arguments */
} Handover;

/*
 * Was this process started by binfmt_misc?  There are no options on such a command line,
 * even if it looks so.  `argv` is edited: the program's path moves to just before its
 * arguments.
 */
Handover handover_detect(int argc, char **argv);

#endif
