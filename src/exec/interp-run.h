/*
 * Running a block by the IR interpreter instead of its generated code: `-accel interp`, and
 * one half of lockstep.
 */
#ifndef BRAID_INTERP_RUN_H
#define BRAID_INTERP_RUN_H

#include "exec/tb.h"

/* A copy of f in one piece of malloc's heap, for free(); its arena is gone. */
IRFunc *ir_func_copy(const IRFunc *f);

/* Run tb->ir until it leaves; what host_enter() is for generated code. */
HostExit interp_enter(CPUState *cpu, TranslationBlock *tb);
/* This thread is inside the interpreter.  Async-signal-safe. */
bool interp_is_active(CPUState *cpu);
/* Recover the guest's state and return from interp_enter() with `how`; false if the fault
   was not at a guest access. */
bool interp_leave_sigsafe(CPUState *cpu, HostExit how);

#endif
