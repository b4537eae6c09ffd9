/*
 * The board as the program and its own parts see it: what the user asked for, the machine that
 * came of it, and its life: running, stopped, reset, switched off.
 */
#ifndef BRAID_BOARD_BOARD_H
#define BRAID_BOARD_BOARD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "board/chardev.h"
#include "board/round-robin.h"
#include "guest/guest.h"

#define BOARD_MAX_HARTS 128u
#define BOARD_MAX_ITEMS 32u

/* The command line, as text where its parts are the board's business.  Strings live for ever. */
typedef struct BoardOptions {
    unsigned nharts;
    uint64_t ram_size;
    const char *kernel, *initrd, *append, *bios, *dtb, *dumpdtb;
    const char *drives[BOARD_MAX_ITEMS], *devices[BOARD_MAX_ITEMS], *netdevs[BOARD_MAX_ITEMS];
    const char *chardevs[BOARD_MAX_ITEMS], *fsdevs[BOARD_MAX_ITEMS], *virtfs[BOARD_MAX_ITEMS];
    unsigned ndrives, ndevices, nnetdevs, nchardevs, nfsdevs, nvirtfs;
    const char *serial, *monitor, *qmp;
    const char *loadvm;         /* begin with this state; NULL: none */
    bool start_stopped;         /* -S */
    bool no_reboot, no_shutdown;
    bool aia;                   /* aia=aplic-imsic */
    bool one_thread;            /* thread=single: one host thread runs all harts in turn */
    CountOptions count;         /* -icount; with one_thread */
} BoardOptions;

/* Builds the machine; fatal_usage() if the options make no sense.  exec_init() was called. */
void board_create(const BoardOptions *options);
/* Runs it until it is switched off; returns the exit code.  The first thread. */
int board_run(void);

/* ---- what may happen to a machine; any thread, under any lock; done by board_run()'s thread ---- */
void board_power_off(int exit_code);
void board_reset(bool by_guest);
/* Stop all harts and the clock; let them go on.  These return before it is done. */
void board_stop(void);
void board_continue(void);
bool board_is_running(void);
/* "running", "paused", "prelaunch" (-S, nothing has run so far), "debug" (gdb looks at it). */
const char *board_status(void);
/* Ends braid: Ctrl-A x, the monitor's quit, SIGTERM. */
void board_quit(void);

/* What has happened, told by the thread that it happened on, without locks.  Reset and shutdown: by the guest or
   from outside, and why in QMP's words. */
typedef enum BoardEvent { BOARD_EVENT_STOP, BOARD_EVENT_RESUME, BOARD_EVENT_RESET, BOARD_EVENT_SHUTDOWN } BoardEvent;
typedef void BoardListener(BoardEvent e, bool by_guest, const char *reason);
/* Before the machine runs; one. */
void board_set_listener(BoardListener *fn);

/*
 * What a debugger is to the board.  All may be NULL.
 *   stop    a hart's thread, outside of guest code: CPUState.debug says what happened.  It tells the debugger,
 *           and asks all harts to park, this one too.
 *   listen  wait for gdb at this chardev from now on ("none": no longer); false: *err is a sentence for the caller.
 *   exit    the machine ends.
 */
typedef struct BoardDebugger {
    void (*stop)(CPUState *cpu);
    bool (*listen)(const char *where, char **err);
    void (*exit)(int code);
} BoardDebugger;
void board_set_debugger(const BoardDebugger *d);
const BoardDebugger *board_debugger(void);
void board_debug_stop(CPUState *cpu);
/* For it: all harts stand still from one to the other.  Any thread but harts'. */
void board_debug_take(void);
void board_debug_release(void);
/* Harts park soon.  Any thread, any lock. */
void board_debug_ask(void);

/*
 * For the monitor: run fn with all harts outside of guest code, whether the machine runs or not.
 * Not on a hart's thread, no locks held.
 */
void board_run_paused(void (*fn)(void *opaque), void *opaque);

/* hartid, a0 and a1 of the first hart, set by the loader. */
typedef struct BoardEntry {
    uint64_t pc, a0, a1;
    unsigned privilege;
    bool all_harts;             /* else the others wait for SBI HSM */
    bool sbi;                   /* built-in firmware */
} BoardEntry;

/* When the harts' time reaches `ticks`, as a time of clock_ns(). */
uint64_t board_time_to_ns(uint64_t ticks);

void board_set_entry(const BoardEntry *e);
const BoardEntry *board_entry(void);

#endif
