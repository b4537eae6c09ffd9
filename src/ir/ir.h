/*
 * The intermediate representation of one translation unit.
 *
 * A unit is an array of instructions in SSA form: an instruction is its own value, named
 * by its index (IRRef).  Blocks are contiguous, ascending ranges of that array; block 0
 * is the entry.  A superblock is one block that side exits (EXITIF) leave and that may
 * come back to its own head (LOOP).  Regions of many blocks use JUMP and BR with block
 * parameters.
 *
 * Guest registers are not memory here.  GETREG names the value a register has at unit
 * entry (or, in a unit that LOOPs, at the head of this iteration); a write only changes
 * the builder's map from register to value.  Whatever can leave the unit carries a
 * snapshot: the guest pc, and the value of each register that differs from its value at
 * entry.  So no register is written back before a load that might fault: what is needed
 * to build the guest's state is on record, and paid for only when it is asked for.
 *
 * Threads: an IRFunc belongs to the one translation context that builds it.
 */
#ifndef BRAID_IR_H
#define BRAID_IR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct Arena Arena;

typedef enum IRType {
    IR_VOID, IR_I8, IR_I16, IR_I32, IR_I64, IR_F32, IR_F64, IR_V128, IR_NTYPES
} IRType;

static inline bool ir_type_is_int(IRType t) { return t >= IR_I8 && t <= IR_I64; }
static inline bool ir_type_is_float(IRType t) { return t == IR_F32 || t == IR_F64; }
/* Width in bytes. */
static inline unsigned ir_type_size(IRType t)
{
    static const uint8_t size[IR_NTYPES] = { 0, 1, 2, 4, 8, 4, 8, 16 };
    return size[t];
}

typedef enum IROp {
#define OP(en, name, sig, flags, doc) IR_##en,
#include "ir/opcodes.def"
#undef OP
    IR_NOPS
} IROp;

enum IROpFlags {
    IRF_PURE = 1, IRF_COMM = 2, IRF_LOAD = 4, IRF_STORE = 8, IRF_ENVRD = 16,
    IRF_ENVWR = 32, IRF_FAULT = 64, IRF_EXIT = 128, IRF_TERM = 256, IRF_FPSTAT = 512,
    IRF_BARRIER = 1024,
};

typedef struct IROpInfo {
    const char *name;
    const char *sig;    /* see opcodes.def */
    uint16_t flags;     /* IROpFlags */
    uint8_t nargs;      /* fixed arguments: 0..3 */
    bool variadic;      /* has arguments in IRFunc.args as well */
    const char *doc;
} IROpInfo;
extern const IROpInfo ir_op_info[IR_NOPS];

/* Integer conditions; cond ^ 1 is the opposite. */
typedef enum IRCond {
    IR_EQ, IR_NE, IR_LT, IR_GE, IR_LTU, IR_GEU, IR_LE, IR_GT, IR_LEU, IR_GTU, IR_NCONDS
} IRCond;
/* The condition that holds for (b, a) when `c` holds for (a, b). */
IRCond ir_cond_swap(IRCond c);
bool ir_cond_eval(IRCond c, uint64_t a, uint64_t b, IRType type);

typedef enum IRFCmp { IR_FEQ, IR_FLT, IR_FLE } IRFCmp;

/*
 * Rounding.  IR_RM_DYN: the mode the CPU is in, which is one of the four that follow; the
 * others name a mode whatever the CPU is in.  (Round-to-nearest-ties-away goes through
 * helpers: few hosts have it.)
 */
typedef enum IRRound { IR_RM_DYN, IR_RM_RNE, IR_RM_RTZ, IR_RM_RDN, IR_RM_RUP } IRRound;

/* Which pairs of accesses a FENCE keeps in order: first-then-second. */
enum IROrder {
    IR_ORD_RR = 1, IR_ORD_RW = 2, IR_ORD_WR = 4, IR_ORD_WW = 8, IR_ORD_ALL = 15
};

typedef enum IRAmo {
    IR_AMO_SWAP, IR_AMO_ADD, IR_AMO_AND, IR_AMO_OR, IR_AMO_XOR,
    IR_AMO_MIN, IR_AMO_MAX, IR_AMO_MINU, IR_AMO_MAXU, IR_NAMOS
} IRAmo;

/*
 * MemOp, in aux of LD ST AMO CAS: log2 of the size in bytes (bits 0-2), sign extension of
 * integer loads (3), the access must be aligned or raises the guest's misaligned
 * exception (4), plain: no other thread exists, so no atomic instruction is needed (5);
 * CAS only, backoff: whoever finds another value lost a race and had better wait a moment (6).
 * Aligned accesses up to 8 bytes are single-copy atomic always.  All accesses have at
 * least the ordering of the host's plain loads and stores; AMO and CAS not MO_PLAIN are
 * sequentially consistent and order all accesses before them with all after them, as a
 * FENCE of IR_ORD_ALL does, a CAS that fails too.
 */
enum MemOp {
    MO_8 = 0, MO_16 = 1, MO_32 = 2, MO_64 = 3, MO_128 = 4, MO_SIZE = 7,
    MO_SIGN = 8, MO_ALIGN = 16, MO_PLAIN = 32, MO_BACKOFF = 64,
};

/*
 * How a unit is left (aux of EXIT and EXITIND).
 *   JUMP   EXIT: to the snapshot's pc, chained to that unit once it exists.
 *          EXITIND: to the pc in the argument, by way of the jump cache.
 *   CALL   the same, and the guest means to come back: `imm` is the return pc, pushed on
 *          the return stack with the address of code that leads there.
 *   RET    EXITIND only: a guest return; predicted by the return stack.
 *   REASON EXIT only: to the run loop with `imm` (an ExitReason of the guest: system
 *          call, breakpoint, illegal instruction, ...); pc as in the snapshot.
 *   LOOKUP EXIT: to the run loop to look pc up afresh (code may have changed).
 *          EXITIND: behind a helper that has chosen another jump cache (the guest's mode has changed): the
 *          return stack starts over, and the pc is looked up there unless the vCPU was asked to leave.
 */
typedef enum IRExit {
    IR_EXIT_JUMP, IR_EXIT_CALL, IR_EXIT_RET, IR_EXIT_REASON, IR_EXIT_LOOKUP
} IRExit;

typedef uint32_t IRRef;     /* index in IRFunc.ins */
#define IR_NONE 0u          /* instruction 0 is a NOP */
#define IR_CALL_ARGS 6

typedef struct IRIns {
    uint8_t op;         /* IROp */
    uint8_t type;       /* IRType of the result */
    uint8_t aux;        /* IRCond, IRFCmp, IRRound, MemOp, IROrder or IRExit */
    uint8_t nvar;       /* variadic arguments, at IRFunc.args[arg[2]] */
    uint32_t snap;      /* index in IRFunc.snaps; 0 = none */
    IRRef arg[3];
    uint32_t scratch;   /* free for the pass that runs */
    int64_t imm;
} IRIns;
_Static_assert(sizeof(IRIns) == 32, "two instructions a cache line");

/*
 * How a value becomes that of its register when a snapshot is applied.  Arithmetic gives
 * any NaN, and most NaNs that it gives are never looked at: so the default NaN is put in
 * their place where the guest's state is made.
 *   F64        val, or the default NaN if it is a NaN
 *   BOXED_F32  val is a boxed f32 (BOX32): the boxed default NaN if that is a NaN
 */
typedef enum IRCanon {
    IR_CANON_NONE, IR_CANON_F64, IR_CANON_BOXED_F32, IR_NCANONS
} IRCanon;

typedef struct IRSnapEntry {
    uint16_t reg;
    uint16_t canon; /* IRCanon; NONE in those of terminators and of IRH_REGS helpers */
    IRRef val;
} IRSnapEntry;

static inline bool ir_snap_entry_equal(const IRSnapEntry *a, const IRSnapEntry *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/*
 * The guest's state at a point: pc, and the registers that differ from unit entry.  `owed`: how many of the
 * instructions that the unit's COUNT has charged for have not been executed here; whoever leaves the unit with this
 * snapshot gives them back.
 */
typedef struct IRSnap {
    uint64_t pc;
    uint32_t first;         /* in IRFunc.snap_entries, ascending by reg */
    uint16_t count, owed;
} IRSnap;

typedef struct IRBlock {
    IRRef first, end;   /* instructions [first, end); the last one is the terminator */
    uint16_t nparams;
} IRBlock;

/* A guest register that generated code knows by number: slot `number` of HostEnv.reg. */
typedef struct IRGuestReg {
    const char *name;
    IRType type;        /* IR_I64 or IR_F64 */
    uint8_t priority;   /* hotness: the hottest live in host registers; 0 = never */
} IRGuestReg;

/* A run-time helper that CALL names by number. */
typedef struct IRHelper {
    const char *name;
    void *fn;           /* uint64_t fn(void *cpu, uint64_t a, ...): floats as bits */
    IRType ret;
    uint8_t nargs;      /* without the cpu */
    uint8_t flags;      /* IRH_... */
} IRHelper;
enum IRHelperFlags {
    IRH_PURE = 1,       /* no effect at all; no snapshot needed */
    IRH_NOFAULT = 2,    /* never leaves by an exception */
    IRH_REGS = 4,       /* reads or writes guest registers in HostEnv.reg: all are written
                           back before, and every value read after it comes from there
                           (the builder forgets its map) */
    IRH_NOFP = 8,       /* neither computes with floating point nor looks at fp_state; with IRH_NOFAULT */
};

/* What the IR must know of the guest to print, check, run and compile a unit. */
typedef struct IRGuest {
    const IRGuestReg *regs;
    unsigned nregs;
    const IRHelper *helpers;
    unsigned nhelpers;
} IRGuest;

typedef struct IRFunc {
    const IRGuest *guest;
    Arena *arena;
    uint64_t pc;            /* guest pc of the entry */
    /*
     * 0: LD ST AMO CAS go to host memory at an offset.  Else 1 + the MMU index by which all of
     * them are translated; then jumps to other pages than that of `pc` are not chained.
     */
    uint8_t soft_mmu;
    IRIns *ins;             /* ins[0] is a NOP */
    uint32_t nins, ins_cap;
    IRBlock *blocks;
    uint32_t nblocks, blocks_cap;
    IRSnap *snaps;          /* snaps[0] is unused */
    uint32_t nsnaps, snaps_cap;
    IRSnapEntry *snap_entries;
    uint32_t nsnap_entries, snap_entries_cap;
    IRRef *args;
    uint32_t nargs, args_cap;
} IRFunc;

#define IR_MAX_REGS 96
#define IR_MMU_MODES 8

#define IR_CONST_CACHE 64

/* Builds a unit front to back.  One per translation context. */
typedef struct IRBuilder {
    IRFunc *f;
    IRRef cur[IR_MAX_REGS];     /* value of each guest register; IR_NONE: as at entry */
    IRRef entry[IR_MAX_REGS];   /* its GETREG, once read */
    uint64_t dirty[(IR_MAX_REGS + 63) / 64]; /* registers that differ from entry */
    uint64_t raw[(IR_MAX_REGS + 63) / 64];   /* those of which canon[] is not NONE */
    uint8_t canon[IR_MAX_REGS];              /* IRCanon: what cur[] still needs */
    uint32_t last_snap;         /* 0: none yet */
    IRRef count;                /* the unit's COUNT; IR_NONE: instructions are not counted */
    uint16_t ndone;             /* instructions begun so far, the present one among them */
    bool map_changed;           /* the register map differs from last_snap's */
    bool no_fold;               /* emit everything as it is asked for (tests, -d) */
    IRRef consts[IR_CONST_CACHE]; /* by hash; a collision forgets the older */
} IRBuilder;

/* ---- build.c ---- */
/* Start an empty unit, block 0 open; all memory comes from `arena` and dies with it. */
void ir_func_init(IRFunc *f, const IRGuest *guest, Arena *arena, uint64_t pc);
void ir_builder_init(IRBuilder *b, IRFunc *f);
/*
 * Append an instruction, or find that none is needed: local folding (fold.c) may return
 * an earlier value or a constant, or IR_NONE for an EXITIF that is never taken.
 * Arguments and types must obey the signature.  Not for ops with variadic arguments.
 */
IRRef ir_emit(IRBuilder *b, IROp op, IRType type, unsigned aux, IRRef x, IRRef y, IRRef z,
              int64_t imm);
/* The same for an op that may fault or exit, with the state to leave in. */
IRRef ir_emit_snap(IRBuilder *b, uint32_t snap, IROp op, IRType type, unsigned aux,
                   IRRef x, IRRef y, IRRef z, int64_t imm);
/* Integers are kept sign-extended from their width, f32 zero-extended. */
IRRef ir_const(IRBuilder *b, IRType type, uint64_t value);
/*
 * Current value of a guest register.  Outside the entry block it is there because leaving
 * the entry block reads every register.
 */
IRRef ir_get_reg(IRBuilder *b, unsigned reg);
void ir_put_reg(IRBuilder *b, unsigned reg, IRRef val);
/*
 * The register becomes `raw`, made canonical as `kind` says, but not before somebody
 * looks: ir_get_reg() and ir_settle() emit CANON, a snapshot leaves it to whoever applies
 * it.
 */
void ir_put_reg_raw(IRBuilder *b, unsigned reg, IRRef raw, IRCanon kind);
/* The register's value for ops that do not tell one quiet NaN from another. */
IRRef ir_get_reg_raw(IRBuilder *b, unsigned reg);
/* Make all registers canonical: before a terminator, and a CALL of an IRH_REGS helper. */
void ir_settle(IRBuilder *b);
/* The guest's state now, as if about to execute `pc`: behind the present instruction ... */
uint32_t ir_snapshot(IRBuilder *b, uint64_t pc);
/* ... and before it, of which nothing has been done. */
uint32_t ir_snapshot_before(IRBuilder *b, uint64_t pc);
/*
 * A unit that counts instructions: COUNT comes first of all; ir_count_insn() begins each instruction, and
 * ir_uncount_insn() takes that back if the unit ends without it.
 */
void ir_count_unit(IRBuilder *b);
static inline void ir_count_insn(IRBuilder *b) { b->ndone += b->count != IR_NONE; }
static inline void ir_uncount_insn(IRBuilder *b) { b->ndone -= b->count != IR_NONE; }
/*
 * Close the open block, which ends with its terminator, and start another; returns its
 * number: they count from 0 in order.  The register map is kept: the front end sees to it
 * that the values in it dominate the new block, and calls ir_settle() before a branch.
 */
uint32_t ir_new_block(IRBuilder *b);
/* The open block's next parameter; before anything else in the block. */
IRRef ir_param(IRBuilder *b, IRType type);
void ir_jump(IRBuilder *b, uint32_t block, unsigned nargs, const IRRef *args);
void ir_br(IRBuilder *b, IRCond cond, IRRef x, IRRef y, uint32_t block_true,
           unsigned nargs_true, const IRRef *args_true, uint32_t block_false,
           unsigned nargs_false, const IRRef *args_false);
/*
 * Call a helper of the guest.  snap may be 0 only if the helper is IRH_PURE, or
 * IRH_NOFAULT without IRH_REGS.  Returns its result, IR_NONE if it has none.
 */
IRRef ir_call(IRBuilder *b, unsigned helper, uint32_t snap, unsigned nargs,
              const IRRef *args);
/* Close the last block.  The unit is complete. */
void ir_func_finish(IRBuilder *b);

/* A constant's imm as ir_const() keeps it. */
static inline int64_t ir_const_bits(IRType type, uint64_t v)
{
    switch (type) {
    case IR_I8: return (int8_t)v;
    case IR_I16: return (int16_t)v;
    case IR_I32: return (int32_t)v;
    case IR_F32: return (uint32_t)v;
    default: return (int64_t)v;
    }
}
/* The register's value that a snapshot entry stands for. */
static inline uint64_t ir_canonical(IRCanon kind, uint64_t v)
{
    if (kind == IR_CANON_F64 && v << 1 > UINT64_C(0xffe0000000000000)) {
        return UINT64_C(0x7ff8000000000000);
    }
    if (kind == IR_CANON_BOXED_F32 && (uint32_t)v << 1 > UINT32_C(0xff000000)) {
        return UINT64_C(0xffffffff7fc00000);
    }
    return v;
}
/* True if a CALL of this helper may leave the unit or needs registers written back. */
static inline bool ir_helper_needs_snap(const IRHelper *h)
{
    return !(h->flags & IRH_PURE) && (!(h->flags & IRH_NOFAULT) || (h->flags & IRH_REGS));
}

static inline const IRIns *ir_ins(const IRFunc *f, IRRef r) { return &f->ins[r]; }
static inline bool ir_is_const(const IRFunc *f, IRRef r)
{
    return f->ins[r].op == IR_CONST;
}
static inline IRType ir_ref_type(const IRFunc *f, IRRef r)
{
    return (IRType)f->ins[r].type;
}

/*
 * True if `in` is a NaN whenever `of` is one, as far as a short look at how it is
 * computed tells: to find `in` no NaN is to find `of` none.
 */
bool ir_nan_shows(const IRFunc *f, IRRef of, IRRef in);

/*
 * ir_gen_<op>: the shapes a front end needs, typed by their arguments.  Defined in
 * ir/gen.h as static inlines over ir_emit().
 */

/* ---- print.c, parse.c, verify.c ---- */
void ir_print(FILE *out, const IRFunc *f);
/* Reads what ir_print() writes.  On error: false, a sentence in err ("line 3: ..."). */
bool ir_parse(IRFunc *f, const IRGuest *guest, Arena *arena, const char *text, char *err,
              size_t err_size);
/* Types, dominance, snapshots, block shape.  NULL, or a sentence, one per thread. */
const char *ir_verify(const IRFunc *f);

#endif
