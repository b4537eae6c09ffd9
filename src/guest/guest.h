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
    CF_PARALLEL = 1,        /* others may see the memory: atomics and barriers are real */
    CF_SINGLE_INSN = 2,     /* -one-insn-per-tb, and stepping over what needs the exclusive section */
    CF_NO_CHAIN = 4,        /* direct exits are not linked (-d nochain) */
    CF_STRICT_LLSC = 8,     /* LR/SC free of ABA; only once other threads exist */
    CF_COUNT = 32,          /* generated code counts how often it is entered and goes round */
    CF_LOOKUP_EXITS = 16,   /* every exit goes back to the run loop (lockstep, -d exec) */
    CF_ALONE = 64,          /* all other vCPUs are stopped: critical sections are plain code */
    CF_ICOUNT = 512,        /* -icount: units count their instructions, which must be exact wherever the
                               guest's time matters */
    CF_NO_BREAKPOINT = 256, /* exec's own: the instruction under a breakpoint, stepped over */
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
    /*
     * Critical sections (exec/section.c); both may be NULL.  section_end(): the end of the one that
     * begins at pc, 0 if none does.  note_store(): the code stores this constant, 8 bytes, just
     * before next_pc.
     */
    vaddr (*section_end)(vaddr pc);
    void (*note_store)(vaddr value, vaddr next_pc);
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
    EXIT_REASON_WAIT,           /* the same, until what was reserved (CPUState.llsc_addr) changes */
    EXIT_REASON_MEMORY_FAULT,   /* load, store or AMO at pc faulted (fault_addr, fault_is_store) */
    EXIT_REASON_MISALIGNED_JUMP, /* the jump at pc has no aligned target (fault_addr) */
    EXIT_REASON_EXCEPTION,      /* system mode: mmu_translate() or raise_access_fault() recorded one */
    EXIT_REASON_SECTION,        /* a critical section begins at pc: it runs alone (exec/section.c) */
    EXIT_REASON_IO,             /* -icount: the access at pc is a device's; run it as a unit of its own */
    EXIT_REASON_DEBUG,          /* a debugger's breakpoint, watchpoint or step: CPUState.debug */
    EXIT_REASON_GUEST = 64,     /* first number a guest may define for itself */
} ExitReason;

/* ---- system mode ---- */

typedef enum MMUAccess { MMU_LOAD, MMU_STORE, MMU_FETCH } MMUAccess;
enum MMUProt { MMU_PROT_READ = 1, MMU_PROT_WRITE = 2, MMU_PROT_EXEC = 4 };
#define MMU_MODES 8             /* MMU indices are below it */

/* What a walk of the guest's page tables says of one address. */
typedef struct MMUResult {
    hwaddr pa;                  /* of the very address that was asked for */
    /*
     * MMUProt: what may be done in this page in this mode without another walk (so no WRITE while
     * the page's dirty bit is clear).  The access that was asked for is among it.
     */
    uint8_t prot;
    uint8_t page_bits;          /* log2 of the size of the guest's mapping, 12 or more, of which the 4 KiB around
                                   pa are alike; less: good for this access only */
    bool global;                /* the same in all address spaces */
    uint32_t asid;              /* not used unless it differs from that of tlb_set_space() */
} MMUResult;

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
     * The address and the number of bytes that the instruction whose bytes are `insn` (as stored, up to
     * four) accesses with the CPU's registers as they are.  False: it accesses no memory.  Owner thread;
     * async-signal-safe.
     */
    bool (*access_address)(const CPUState *cpu, uint32_t insn, vaddr *addr, unsigned *size, bool *is_store);
    /*
     * For a debugger, while the vCPU does not run: the description of the registers in gdb's XML
     * (gdb manual, "Target Descriptions"), which numbers them from 0, and their values, little
     * endian.  Sizes are in bytes, at most 16; 0: no such register, or it cannot be written.
     */
    const char *gdb_target_xml;
    unsigned gdb_nregs;         /* those in a `g` packet */
    unsigned (*gdb_read_reg)(CPUState *cpu, unsigned n, uint8_t *buf);
    unsigned (*gdb_write_reg)(CPUState *cpu, unsigned n, const uint8_t *buf);
    /* Copy registers for a new thread. */
    void (*cpu_clone)(CPUState *to, const CPUState *from);

    /* ---- system mode; NULL in a guest that has none.  All on the vCPU's thread ---- */
    unsigned kernel_mmu_modes;  /* a bit for each MMU index with which pages are global as a rule */
    /*
     * The MMU index (below MMU_MODES; HOST_PROGRAM_MMU: programs') of an access in the CPU's present state.  For loads and
     * stores it must be a function of the flags of get_tb_state(): translations have it built in.
     */
    unsigned (*mmu_index)(const CPUState *cpu, MMUAccess access);
    /*
     * Walk the page tables for an access (a store sets the dirty bit, all set the accessed bit).
     * False: the guest's exception is recorded in the CPU, for handle_exit(EXCEPTION) to take.
     * env.pc and env.reg[] may be out of date: the pc of the exception is env.pc when
     * handle_exit() is called.
     */
    bool (*mmu_translate)(CPUState *cpu, vaddr va, MMUAccess access, unsigned mmu_idx, MMUResult *out);
    /* The same without exceptions and without touching any bit in memory: for debuggers. */
    bool (*mmu_probe)(CPUState *cpu, vaddr va, MMUResult *out);
    /* Record the exception of an access to a physical address where there is nothing. */
    void (*raise_access_fault)(CPUState *cpu, vaddr va, MMUAccess access);
    /*
     * Something ended generated code: any ExitReason that exec/ does not deal with itself (SYSCALL, ILLEGAL,
     * MISALIGNED, EXCEPTION, the guest's own ...), cpu->fault_addr and fault_is_store as in user mode.  env.pc and
     * env.reg[] are true.  True: go on at env.pc; false: cpu_exec() returns the reason.
     */
    bool (*handle_exit)(CPUState *cpu, int reason);
    /*
     * Asked each time before generated code is entered after a kick: take an interrupt if one is pending and
     * enabled (env.pc changes).  True: go on; false: cpu_exec() returns 0 (halted, stopped).
     */
    bool (*handle_interrupt)(CPUState *cpu);
} Guest;

#endif
