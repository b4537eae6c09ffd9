/*
 * A server of gdb's remote protocol: every vCPU is a thread of the program or machine under gdb.
 *
 * A thread of its own talks to gdb.  While gdb looks at the guest that thread has stopped it: by an exclusive section
 * (a program: a vCPU that is in a system call stays there), or by GdbTarget.take() (a machine, whose harts then
 * are parked).  So no vCPU runs, and all registers are in HostEnv.  vCPU threads come in when something has
 * happened that gdb may want to know: with gdb_stop(), and sleep until gdb lets them go on, or
 * with gdb_post(), and park.
 */
#ifndef BRAID_DEBUG_GDBSTUB_H
#define BRAID_DEBUG_GDBSTUB_H

#include "debug/gdb-file.h"
#include "exec/exec.h"

/* What the program or machine is to the stub.  Called by the stub's thread while no vCPU runs. */
typedef struct GdbTarget {
    const Guest *guest;
    uint64_t pid;
    const char *exec_file;      /* absolute path, or NULL */
    /* Positive and unique; 0: not to be shown. */
    uint64_t (*thread_id)(CPUState *cpu);
    /* One line about the thread. */
    void (*describe_thread)(CPUState *cpu, char *buf, size_t size);
    /* All or nothing.  `cpu`: whose address space. Writing code is followed by an invalidation. */
    bool (*read_memory)(CPUState *cpu, vaddr addr, void *buf, size_t n);
    bool (*write_memory)(CPUState *cpu, vaddr addr, const void *buf, size_t n);
    /* Bytes of the auxiliary vector from offset on, at most n; NULL: there is none. */
    size_t (*read_auxv)(uint64_t offset, void *buf, size_t n);
    void (*kill)(void);
    GdbFindFile *find_file;     /* NULL: gdb reads its own files */
    bool system_calls;          /* gdb_syscall() is called */
    /* ---- a machine; NULL in a program ---- */
    /*
     * Stop all vCPUs outside of cpu_exec(), and let them go on; `start`: also a machine that was
     * stopped for other reasons.  The stub's thread.
     */
    void (*take)(void);
    void (*release)(bool start);
    /* Have all vCPUs stop soon.  Any thread, any lock. */
    void (*ask_stop)(void);
    /* As read_memory, but addr is physical. */
    bool (*read_physical)(uint64_t addr, void *buf, size_t n);
    bool (*write_physical)(uint64_t addr, const void *buf, size_t n);
    /* gdb's `monitor COMMAND`; what is printed appears in gdb. */
    void (*monitor)(const char *command, FILE *out);
} GdbTarget;

/*
 * A program: wait for gdb at `where`, as gdb_link_listen() has it.  Before any vCPU runs.  False: *err is a sentence, freed by the caller.
 */
bool gdb_start(const char *where, const GdbTarget *target, char **err);

/*
 * A machine: whoever connects at `where` stops it, one gdb at a time, again and again.  May be called again, for
 * another place; "none": for none.  False: *err is a sentence, freed by the caller.
 */
bool gdb_listen(const char *where, const GdbTarget *target, char **err);
/* cpu_exec() returned EXIT_REASON_DEBUG: tell gdb, and ask all vCPUs to stop.  The vCPU's thread, without locks;
   returns at once. */
void gdb_post(CPUState *cpu);

/* The signal numbers here are Linux's; 0: none. */

/* cpu_exec() returned EXIT_REASON_DEBUG, or the guest is about to start.  By the vCPU's thread, outside
   cpu_exec() and without locks; returns when gdb lets it go on. */
void gdb_stop(CPUState *cpu);
/* The guest is about to get this signal: which shall it get? Likewise. */
int gdb_signal(CPUState *cpu, int sig);
/* A guest thread is about to make a system call, or has made it. Likewise. */
void gdb_syscall(CPUState *cpu, uint64_t nr, bool returned);
/* The guest has ended with this status, or by this signal. */
void gdb_exit(int status, int sig);
/*
 * Around fork(), by the forking thread, without locks.  gdb_fork_begin() is false if gdb does not want to know; then
 * gdb_fork_parent() is left out, and gdb stays with the parent.  Both processes wait until gdb has decided which one it
 * stays with.
 */
bool gdb_fork_begin(void);
void gdb_fork_parent(CPUState *cpu, int64_t child);     /* -1: it has failed */
void gdb_fork_child(CPUState *cpu, bool begun);
/*
 * The thread is about to execute another program under braid, outside cpu_exec() and without locks.  Returns what that braid's -g
 * shall be, freed by the caller: it goes on with this connection, to which nobody listens any more; gdb_exec_failed() follows
 * if it comes to nothing.  NULL: gdb does not want that, and is gone with this program.
 */
char *gdb_exec_begin(CPUState *cpu);
void gdb_exec_failed(void);

#endif
