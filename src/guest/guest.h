/*
 * What a guest must provide.  Everything above (exec/, debug/, main/) reaches a guest
 * through one Guest descriptor; nothing outside guest/<name>/ knows more of it, except that
 * linux-user/<name>/ knows its Linux ABI.
 */
#ifndef BRAID_GUEST_H
#define BRAID_GUEST_H

#include "ir/ir.h"

typedef struct CPUState CPUState;   /* exec/cpu.h; a guest's own CPU struct begins with it */
typedef uint64_t vaddr;             /* guest virtual address */
typedef uint64_t hwaddr;            /* guest physical address; equals vaddr in user mode */

/*
 * Options of one translation, part of a TranslationBlock's key beside pc and flags.
 */
enum TBCflags {
    CF_PARALLEL = 1,        /* other threads exist: atomics and barriers are real */
    CF_SINGLE_INSN = 2,     /* -one-insn-per-tb, and stepping over what needs the exclusive section */
    CF_NO_CHAIN = 4,        /* direct exits are not linked (-d nochain) */
    CF_STRICT_LLSC = 8,     /* LR/SC free of ABA; only once other threads exist */
    CF_LOOKUP_EXITS = 16,   /* every exit goes back to the run loop (lockstep, -d exec) */
};

#define LLSC_TAGS 65536u

/*
 * How the translator reads guest code.  Bytes come through `fetch`, which also notes the
 * pages a unit covers and takes their locks; it fails when the page cannot be executed.
 */
typedef struct TranslateContext {
    IRBuilder *b;
    CPUState *cpu;
    vaddr pc_first;         /* entry of the unit */
    uint32_t flags;         /* the guest's, from get_tb_state() */
    uint32_t cflags;        /* TBCflags */
    unsigned max_insns;
    bool system_mode;
    /*
     * CF_STRICT_LLSC: a table of LLSC_TAGS 64-bit words, zero at first, and behind it a
     * counter, as a guest address (wherever it really is).  The guest's translator alone
     * gives it a meaning.
     */
    vaddr llsc_tags;
    /* The code of the vDSO, which may use an instruction that programs have not (none: both 0). */
    vaddr vdso_start, vdso_end;
    /*
     * Read `size` (2 or 4) bytes of code at pc, little endian as stored.  Returns false if they
     * lie in a third page, or cannot be fetched; then *fault says which (a unit may cover two pages).
     */
    bool (*fetch)(struct TranslateContext *tc, vaddr pc, unsigned size, uint32_t *insn, bool *fault);
    /* A unit for `pc` under these flags exists already: a superblock may end here and be chained. */
    bool (*exists)(struct TranslateContext *tc, vaddr pc);
    /* Results */
    unsigned ninsns;        /* guest instructions translated */
    unsigned nbytes;        /* guest bytes, all segments together */
} TranslateContext;

/* Synchronous events that end a run of generated code; negative or guest-defined numbers beyond. */
typedef enum ExitReason {
    EXIT_REASON_SYSCALL = 1,
    EXIT_REASON_BREAKPOINT,     /* the guest's breakpoint instruction */
    EXIT_REASON_ILLEGAL,        /* illegal instruction; pc is its address */
    EXIT_REASON_FETCH_FAULT,    /* the instruction at pc cannot be fetched (fault_addr: the byte) */
    EXIT_REASON_MISALIGNED,     /* misaligned atomic; fault_addr */
    EXIT_REASON_FENCE_I,        /* instruction stream must be made coherent; pc is the next instruction */
    EXIT_REASON_EXCLUSIVE,      /* run the instruction at pc alone, in an exclusive section, by the interpreter */
    EXIT_REASON_YIELD,          /* pause hint: other threads should run */
    EXIT_REASON_MEMORY_FAULT,   /* load, store or AMO at pc faulted (fault_addr, fault_is_store) */
    EXIT_REASON_MISALIGNED_JUMP, /* the jump at pc has no aligned target (fault_addr) */
    EXIT_REASON_GUEST = 64,     /* first number a guest may define for itself */
} ExitReason;

typedef struct Guest {
    const char *name;           /* "riscv64" */
    uint16_t elf_machine;
    IRGuest ir;                 /* registers and helpers */
    size_t cpu_size;            /* sizeof the guest's CPU struct */
    unsigned min_insn_size;
    /* Parse `-cpu` text (NULL: default) into process-wide features; on error a sentence in err, false. */
    bool (*configure)(const char *cpu_option, char *err, size_t err_size);
    void (*cpu_reset)(CPUState *cpu);
    /* pc and the state that translations depend on (rounding mode, privilege, ...). */
    void (*get_tb_state)(const CPUState *cpu, vaddr *pc, uint32_t *flags);
    /* Build IR for a superblock from tc->pc_first.  Always produces a complete unit. */
    void (*translate)(TranslateContext *tc);
    /* Disassemble one instruction; returns its length in bytes. */
    unsigned (*disas)(vaddr pc, const uint8_t *bytes, size_t avail, char *buf, size_t size);
    void (*dump_state)(const CPUState *cpu, FILE *out);
    /*
     * The address that the instruction whose bytes are `insn` (as stored, up to four) accesses with the
     * CPU's registers as they are.  False: it accesses no memory.  Owner thread; async-signal-safe.
     */
    bool (*access_address)(const CPUState *cpu, uint32_t insn, vaddr *addr, bool *is_store);
    /* Copy registers for a new thread. */
    void (*cpu_clone)(CPUState *to, const CPUState *from);
} Guest;

#endif
