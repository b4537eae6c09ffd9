/*
 * --lockstep: each unit is run by the interpreter as well, and the first difference ends the
 * program with both states.
 */
#ifndef BRAID_LOCKSTEP_H
#define BRAID_LOCKSTEP_H

#include "exec/tb.h"

HostExit lockstep_enter(CPUState *cpu, TranslationBlock *tb);

#endif
