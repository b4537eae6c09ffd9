/*
 * A guest small enough to be wrong in one way only: words of 32 bits in an arena of
 * ordinary memory, an operation in the upper byte and an argument of 24 bits below it.
 * Word index w lies at guest address arena + 4w; guest addresses are host addresses.
 *
 * Data races on the arena are the guest's own and meant: mutators store words atomically,
 * exec/ copies them like any guest memory.
 */
#ifndef TESTS_EXEC_FAKE_GUEST_H
#define TESTS_EXEC_FAKE_GUEST_H

#include "exec/exec.h"

#define ARENA_PAGES 64u
#define PAGE_WORDS 1024u
#define ARENA_WORDS (ARENA_PAGES * PAGE_WORDS)
#define MAX_SLOTS 64u
#define MAX_DEPTH 8u
#define DATA_PAGES 16u

/*
 * What the guest can do.  "Slots" are pieces of code that are rewritten while they are
 * executed: VER carries the number of its slot's version, GEN reads which version is
 * complete.  A thread that read GEN and then meets a VER that is older has executed what
 * it must not.
 */
typedef enum GuestOp {
    G_ILLEGAL,
    G_WORK,   /* acc = mix(acc, arg) */
    G_GEN,    /* seen[slot] = completed[slot] */
    G_VER,    /* slot << 18 | version */
    G_JUMP,   /* to word arg; its own unit */
    G_GOTO,   /* to word arg; the unit goes on there */
    G_BRANCH, /* to word arg half of the time */
    G_LOOP,   /* to word arg three times in four; inside the unit if that is its head */
    G_SPIN,   /* to itself */
    G_CALL,   /* to word arg, pushing the next pc; a plain jump when the stack is full */
    G_PUSH,   /* push word arg as a return address that no call made */
    G_RET,    /* pop; to word 0 when the stack is empty */
    G_INDIRECT,   /* to the word named by one of 4 data words at arg */
    G_INDIRECT64, /* by one of 64 */
    G_CALL_INDIRECT,
    G_FENCEI,
    G_SYSCALL,
    G_EXCLUSIVE, /* count where nobody else runs */
    G_PATCH,     /* store the next version to the thread's own slot */
    G_PATCHED,   /* after a fence.i: seen[own] = what was stored */
    N_GUEST_OPS
} GuestOp;

#define WORD(op, arg) ((uint32_t)(op) << 24 | ((uint32_t)(arg) & 0xffffff))
#define WORD_OP(w) ((GuestOp)((w) >> 24))
#define WORD_ARG(w) ((w) & 0xffffffu)
#define VER_ARG(slot, version) ((uint32_t)(slot) << 18 | ((uint32_t)(version) & 0x3ffff))
#define VER_SLOT(arg) ((arg) >> 18)
#define VER_VERSION(arg) ((arg) & 0x3ffffu)

/* Guest state that the model of the guest must arrive at too. */
typedef struct FakeState {
    uint64_t acc, rng;
    uint32_t depth;
    vaddr stack[MAX_DEPTH];
} FakeState;

typedef struct FakeCPU {
    CPUState parent;
    FakeState s;
    uint32_t flags;                 /* part of a block's key */
    uint64_t steps;                 /* atomic: host instructions executed */
    uint64_t counted;               /* EXCLUSIVE operations done */
    uint32_t own_slot, own_version;
    uint32_t own_stored;
    uint32_t seen[MAX_SLOTS];
} FakeCPU;

typedef struct FakeWorld {
    uint32_t *arena;
    uint8_t page_flags[ARENA_PAGES];    /* atomic: PageFlags */
    uint32_t completed[MAX_SLOTS];      /* atomic: version whose publication is over */
    uint32_t slot_word[MAX_SLOTS];      /* constant: where PATCH stores */
    uint64_t counter;                   /* only touched with everybody else stopped */
    uint32_t inside;                    /* atomic: threads in generated code */
    uint32_t stop;                      /* atomic */

    /* ---- with an MMU ---- */
    bool system;                        /* constant */
    uint32_t mapped[DATA_PAGES];        /* atomic: which page of the arena a data page shows */
    bool (*on_exit)(CPUState *cpu, int reason); /* of handle_exit(); constant */
} FakeWorld;
extern FakeWorld world;
extern const Guest fake_guest;

/*
 * The same guest with an MMU.  Memory is one piece of RAM, the arena.  What can be seen of it: the arena where it is for
 * the host; all of it again at ALIAS_VA; and pages that are mapped now here, now there, at DATA_VA.
 */
extern Guest fake_system_guest;   /* constant once the threads run */
#define RAM_PA 0x80000000ull
#define ALIAS_VA 0x10000000ull
#define DATA_VA 0x20000000ull

static inline vaddr word_pc(uint32_t w)
{
    return (uintptr_t)(world.arena + w);
}

static inline uint32_t arena_load(uint32_t w)
{
    return __atomic_load_n(&world.arena[w], __ATOMIC_RELAXED);
}

static inline void arena_store(uint32_t w, uint32_t word)
{
    __atomic_store_n(&world.arena[w], word, __ATOMIC_RELAXED);
}

static inline uint32_t fake_random(uint64_t *rng)
{
    *rng ^= *rng << 13;
    *rng ^= *rng >> 7;
    *rng ^= *rng << 17;
    return (uint32_t)(*rng >> 32);
}

static inline uint64_t fake_mix(uint64_t acc, uint64_t arg)
{
    return (acc ^ arg) * 0x9e3779b97f4a7c15ull + 1;
}

static inline bool state_push(FakeState *s, vaddr pc)
{
    if (s->depth == MAX_DEPTH) {
        return false;
    }
    s->stack[s->depth++] = pc;
    return true;
}

static inline vaddr state_pop(FakeState *s)
{
    return s->depth ? s->stack[--s->depth] : word_pc(0);
}

static inline vaddr state_indirect(FakeState *s, uint32_t base, uint32_t n)
{
    return word_pc(arena_load(base + fake_random(&s->rng) % n));
}

void world_init(void);
/* With an MMU. */
void world_init_system(void);
unsigned world_page_flags(vaddr addr);

/*
 * Run the guest's code from pc by reading the arena, up to and including the next
 * SYSCALL; returns the pc behind it.  For code that nobody changes.
 */
vaddr model_run(FakeState *s, vaddr pc);

/* ---- between fake guest and fake host: a unit is an IRFunc of these ---- */
typedef enum HostOp {
    H_END, /* filler behind a unit */
    H_ENTRY,
    H_POLL,
    H_WORK,
    H_GEN,
    H_VER,
    H_EXIT,
    H_EXIT_IF,
    H_LOOP_ELSE,
    H_SPIN,
    H_CALL,
    H_LAND,
    H_PUSH,
    H_RET,
    H_INDIRECT,
    H_INDIRECT64,
    H_CALL_INDIRECT,
    H_REASON,
    H_LOOKUP,
    H_COUNT,
    H_PATCH,
    H_PATCHED,
    H_STUB,
} HostOp;

#endif
