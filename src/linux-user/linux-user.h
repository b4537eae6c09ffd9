/*
 * User mode's entry point: load a Linux program and run it to its end.
 */
#ifndef LINUX_USER_LINUX_USER_H
#define LINUX_USER_LINUX_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "exec/exec.h"

/* One -E name=value (value != NULL) or -U name, in the order of the command line. */
typedef struct EnvEdit {
    const char *name;       /* "NAME=value" for a setting, "NAME" for a removal */
    bool unset;
} EnvEdit;

/* What a debugger wants to know, by the guest thread that it is about, outside cpu_exec() and without locks. */
typedef struct UserDebugger {
    /* The program is loaded; or cpu_exec() returned EXIT_REASON_DEBUG. */
    void (*stop)(CPUState *cpu);
    /* The guest is about to get the signal: which shall it get? 0: none. */
    int (*signal)(CPUState *cpu, int sig);
    /* The guest is about to make a system call, or has made it; registers may be changed. */
    void (*syscall)(CPUState *cpu, uint64_t nr, bool returned);
    /* The process ends. */
    void (*exit)(int status, int sig);
    /* Before fork(): true if fork_parent() shall be called behind it. */
    bool (*fork_begin)(void);
    void (*fork_parent)(CPUState *cpu, int64_t child);  /* -1: it has failed */
    void (*fork_child)(CPUState *cpu, bool begun);
    /* Before braid is executed for another program: its -g, freed by the caller, or NULL; exec_failed() behind it if there is one. */
    char *(*exec_begin)(CPUState *cpu);
    void (*exec_failed)(void);
} UserDebugger;

typedef struct LinuxUserOptions {
    const Guest *guest;
    ExecConfig exec;            /* guest, guest_base and page_flags are filled in here */
    const char *sysroot;        /* -L; NULL: none */
    const char *argv0;          /* -0; NULL: the program's path */
    int64_t exec_fd;            /* -execfd: descriptor of the program, taken over; -1: open its path */
    bool from_kernel;           /* binfmt_misc has started braid, and given the process its name */
    uint64_t stack_size;        /* -s; 0: the soft limit RLIMIT_STACK */
    const char *uname_release;  /* -r; NULL: the host's */
    const EnvEdit *env_edits;
    unsigned n_env_edits;
    uint64_t guest_base;        /* -B; 0: chosen here */
    uint64_t reserved_va;       /* -R: size of the guest's address space; 0: chosen here */
    /*
     * braid's own options to repeat when the guest executes another guest program (without
     * -L, which is added, -0, -E, -U and what belongs to this program only), NULL-terminated; NULL: none.
     */
    char *const *reexec_options;
    /* Called once when the guest process ends in an orderly way (--stats); may be NULL. */
    void (*at_exit)(void);
    const UserDebugger *debugger;   /* NULL: none */
} LinuxUserOptions;

/*
 * Load argv[0] with arguments argv[1..argc) and environment envp (edited as the options say)
 * and run it.  Returns only when the program cannot be run: 127 if there is none, 126 otherwise,
 * after a message. The guest's exit ends the process. util's logs are set up by the caller.
 */
int linux_user_main(const LinuxUserOptions *opt, int argc, char **argv, char **envp);

/* The run loop of a guest thread; it ends with the thread. */
void cpu_loop(CPUState *cpu);

#endif
