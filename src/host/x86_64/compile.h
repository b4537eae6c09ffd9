/*
 * What the files of the x86-64 back end share: the context of one compilation, the values
 * and where they are, and the process-wide HostContext.
 *
 *   analysis.c   one pass forward, one backward: aliases, last uses, hints, fused
 * compares regalloc.c   where each value is; registers on demand while the lowering runs
 * forward moves.c      parallel moves between a snapshot's state and the homes lower-*.c
 * IR op -> instructions exits.c      exits, stubs, jumps that can be patched recover.c
 * the recovery table, signals' ucontext  soft-tlb.c  guest accesses in system mode  thunks.c     entry, exit and call thunks,
 * constants, host_init()
 *
 * Fixed registers in generated code:
 *   rbp  &env->reg[16], so that reg[0..31] are one byte of displacement away
 *   rsp  the return stack
 *   rax, xmm0  scratch of the lowering, never hold a value across instructions
 *   rcx rdx, xmm1 xmm2  never a home
 * All others are homes (gpr_homes, xmm_homes in thunks.c).
 *
 * A value is an SSA value or the entry value of a guest register ("E value").  It is in
 * at most one register and at most one memory place; constants are nowhere until needed.
 *
 * Threads: a Ctx belongs to one host_compile() call; host_ctx is constant after
 * host_init().
 */
#ifndef HOST_X86_64_COMPILE_H
#define HOST_X86_64_COMPILE_H

#include "host/host.h"
#include "host/x86_64/encode.h"
#include "util/arena.h"

#define N_GPR 16
#define ENV_BIAS 128 /* rbp - env */
#define ENV_DISP(field) ((int32_t)offsetof(HostEnv, field) - ENV_BIAS)
#define CALL_SLOTS 6 /* the last spill slots carry helper arguments */
#define N_SPILLS (HOST_SPILLS - CALL_SLOTS)
#define GPR_ALLOC 0x0000ffceu /* all but rax, rsp, rbp */
#define XMM_ALLOC 0xfffe0000u /* all but xmm0 */
#define TEMP_MASK (1u << RCX | 1u << RDX | 1u << XMM1 | 1u << XMM2)
_Static_assert((GPR_ALLOC & (1u << RAX | 1u << RSP | 1u << RBP)) == 0, "fixed registers");

enum HostFeature {
    FEAT_BMI = 1,
    FEAT_BMI2 = 2,
    FEAT_LZCNT = 4,
    FEAT_AVX = 8,
    FEAT_FMA = 16,
    FEAT_CLMUL = 32,
};

/* Constants that generated code addresses relative to rip; 16-byte aligned for SSE
 * operands. */
typedef struct HostConsts {
    uint64_t f64_sign[2], f64_abs[2];
    uint64_t f32_sign[2], f32_abs[2];
    uint64_t box[2]; /* high half of the low quadword */
    uint64_t ones[2];
    uint64_t zero[2];
    uint64_t f64_nan[2]; /* default NaNs; the f32 one is boxed */
    uint64_t f32_nan[2];
    double f64_two31, f64_two32, f64_two63, f64_two64, f64_minus1;
    float f32_two31, f32_two32, f32_two63, f32_two64, f32_minus1;
    double f64_half;
    uint64_t f64_inf2, f32_inf2; /* infinity shifted left by one: above are NaNs */
    uint8_t flags_to_ir[64]; /* MXCSR flags -> FPGET's */
    uint32_t flags_from_ir[32];
} HostConsts;

uint32_t host_cpu_features(uint32_t disabled);

/*
 * A place: a host register, or memory at rbp + disp.  As an integer, so that comparing is
 * easy.
 */
typedef int32_t Loc;
#define LOC_NONE (-1)
#define LOC_CONST (-2)
#define LOC_MEM_BIAS 0x10000
static inline bool loc_is_reg(Loc l) { return l >= 0 && l < N_HOST_REGS; }
static inline bool loc_is_mem(Loc l) { return l >= 0x1000; }
static inline Loc loc_mem(int32_t disp) { return disp + LOC_MEM_BIAS; }
static inline int32_t loc_disp(Loc l) { return l - LOC_MEM_BIAS; }
static inline Loc loc_slot(unsigned guest_reg)
{
    return loc_mem((int32_t)guest_reg * 8 - ENV_BIAS);
}
static inline Loc loc_spill(unsigned n)
{
    return loc_mem(ENV_DISP(spill) + (int32_t)n * 8);
}
enum ValueFlags {
    V_CONST = 1,      /* imm is its value */
    V_FP = 2,         /* lives in vector registers */
    V_Z32 = 4,        /* i32 whose register has zeros in the upper half */
    V_BOXED = 8,      /* f32 whose register has ones in the upper half */
    V_FUSED = 16,     /* compare, computed by its consumer */
    V_DEAD = 32,      /* nobody uses it and it has no effect */
    V_QUIET = 128,    /* FCMP that may raise no flag: those before it are in value imm */
    V_WEAK_HINT = 64, /* the hint is that of the value made of it: worth no move */
};

typedef struct Value {
    uint32_t root;     /* the value it shares its place with: itself, or what it copies */
    uint32_t last_use; /* last position that needs it, snapshots included; 0: none */
    uint32_t last_arg; /* the same for operands alone */
    Loc mem;           /* valid copy in memory, or LOC_NONE */
    int16_t hint;      /* guest register it becomes, or -1 */
    uint8_t reg;       /* host register, or NO_REG */
    uint8_t flags;
    uint32_t mark; /* for whoever needs a set of values */
    int64_t imm;
} Value;
_Static_assert(sizeof(Value) == 32, "two values a cache line");

typedef struct HostContext {
    HostConfig config;
    uint32_t features;
    uint8_t home[IR_MAX_REGS];      /* host register, or NO_REG: HostEnv.reg[] */
    Loc home_loc[IR_MAX_REGS];  /* the same as a Loc */
    uint8_t in_slot[IR_MAX_REGS];   /* the guest registers without a host register */
    unsigned nin_slot;
    uint64_t all_regs[(IR_MAX_REGS + 63) / 64]; /* the set of all guest registers */
    Value entry_values[IR_MAX_REGS]; /* at entry to a unit, but for `root` and uses */
    int8_t home_guest[N_HOST_REGS]; /* guest register at home in a host register, or -1 */
    bool gs;
    const HostConsts *consts;
    const uint8_t *enter, *leave, *leave_tail, *lookup, *ras_miss, *afresh;
    const uint8_t *call, *call_pure, *call_nofp, *call_fma, *soft_access;
    const uint8_t *soft_probe[HOST_TLB_MODES][2][4]; /* by MMU index, store or load, size */
    const uint8_t *soft_fill[2][4]; /* of HOST_PROGRAM_MMU, by store or load, size; keeps the page */
} HostContext;
extern HostContext host_ctx;

static inline bool host_has(uint32_t feature) { return host_ctx.features & feature; }

/* Where guest register r is at unit entry and exit. */
static inline Loc loc_home(unsigned r)
{
    return host_ctx.home_loc[r];
}

/* Guest register `reg` belongs in its home and is at `src`, which may be there. */
typedef struct SnapMove {
    uint16_t reg;
    uint8_t canon; /* IRCanon: to be done at home, after all moves */
    bool quiet;    /* then: it is no signaling NaN */
    Loc src;
    int64_t imm; /* LOC_CONST */
} SnapMove;

typedef struct Move {
    Loc dst, src;
    int64_t imm;
} Move;

typedef struct Ctx Ctx;

/* Code that is rarely run, emitted behind the unit. */
typedef struct Cold Cold;
struct Cold {
    Cold *next;
    void (*emit)(Ctx *c, Cold *cold);
    uint8_t *field[2]; /* rel32 fields that lead here, NULL: none */
    uint8_t *resume;   /* where to go back to */
    uint8_t *hit;      /* soft-tlb.c: the same, before the access */
    uint8_t slot;      /* soft-tlb.c: slot of HostEnv.page_addend to clear, or HOST_PAGE_SLOTS */
    uint8_t temp;      /* soft-tlb.c: a register that is free there, or NO_REG */
    uint8_t last_page; /* soft-tlb.c: line of HostEnv.last_page[][] */
    int32_t range[2];  /* soft-tlb.c: the group's first and last byte, relative to r[0] */
    uint8_t r[4];      /* registers, as the emitter wants them */
    uint32_t op;
    uint32_t exit; /* index in HostCode.exits */
    uint32_t snap; /* the state to leave in; its pc and moves below */
    int32_t charge;
    int64_t imm;
    uint64_t pc;
    const SnapMove *moves;
    unsigned nmoves;
};

#define MAX_NANS 16

struct Ctx {
    const IRFunc *f;
    const IRGuest *guest;
    Arena *arena;
    HostCode *out;
    Emit e;
    HostResult result; /* sticky: first trouble */
    uint32_t pos;      /* instruction being lowered */
    Value *v;          /* f->nins values, then nregs E values per epoch */
    uint32_t nvalues;
    uint32_t epoch; /* id of E value 0 now */
    uint32_t mark;

    /* registers */
    uint32_t owner[N_HOST_REGS]; /* value id, 0 = none */
    uint32_t dies[N_HOST_REGS];  /* its last_use */
    uint32_t lock_ops;           /* operands of this instruction */
    uint32_t lock_temps;         /* its temporaries */
    /* memory */
    uint32_t slot_dies[IR_MAX_REGS];
    uint32_t spill_dies[N_SPILLS];
    uint64_t displaced[(IR_MAX_REGS + 63) / 64]; /* E values that may not be at home */
    uint8_t place[IR_MAX_REGS]; /* where this unit would like a guest register: home or
                                   borrowed */

    /* the head of a unit that loops */
    bool loops;
    uint8_t *loop_label;
    bool loop_closed;      /* the last side exit jumped back already */
    Loc head[IR_MAX_REGS]; /* where each guest register is at the loop label */

    /* flags of the last arithmetic instruction: of value flags_val, if p is still flags_p
     */
    uint32_t flags_val;
    uint8_t *flags_p, *flags_start;

    IRRef nans[MAX_NANS]; /* CANONs whose check waits for that of the next one */
    unsigned n_nans;

    Cold *cold_first, **cold_last;
    Cold *tail; /* common end of all link stubs, NULL while unused */

    /* recovery table under construction */
    uint8_t *rec;
    size_t rec_size, rec_cap;
    uint32_t rec_last_offset;
    uint64_t rec_last_pc;
    SnapMove *snap_moves; /* of the current faulting instruction */
    unsigned nsnap_moves;

    struct SoftGroups *groups; /* units with soft_mmu: soft-groups.c */
    unsigned last_page;        /* the next line of HostEnv.last_page[][] to be used */
};
typedef struct SoftGroups SoftGroups;

static inline const IRIns *ctx_ins(const Ctx *c, IRRef r) { return &c->f->ins[r]; }
static inline Value *ctx_val(const Ctx *c, IRRef r) { return &c->v[c->v[r].root]; }
static inline uint32_t ctx_id(const Ctx *c, IRRef r) { return c->v[r].root; }
static inline IRType ctx_type(const Ctx *c, IRRef r) { return (IRType)c->f->ins[r].type; }
static inline bool ctx_is_const(const Ctx *c, IRRef r)
{
    return ctx_val(c, r)->flags & V_CONST;
}
static inline int64_t ctx_imm(const Ctx *c, IRRef r) { return ctx_val(c, r)->imm; }
static inline uint32_t type_w(IRType t) { return t == IR_I64 || t == IR_F64 ? OPW : 0; }
static inline unsigned type_bits(IRType t) { return ir_type_size(t) * 8; }
static inline Rm rm_env(int32_t disp) { return rm_mem(RBP, disp); }
#define RM_ENV(field) rm_env(ENV_DISP(field))
static inline void ctx_fail(Ctx *c, HostResult r)
{
    if (c->result == HOST_OK) {
        c->result = r;
    }
}
/* The rip-relative operand of a constant. */
#define RM_CONST(field) rm_rip(&host_ctx.consts->field)

/* ---- analysis.c ---- */
bool analyse(Ctx *c);

/* ---- regalloc.c ---- */
void ra_init(Ctx *c);
/* A register that holds the value, until the end of this instruction. */
unsigned ra_use(Ctx *c, IRRef ref);
/* The same as register or memory operand, whichever is cheaper; constants get a register.
 */
Rm ra_use_rm(Ctx *c, IRRef ref);
/* A register for the instruction's result; may be that of an operand that ends here,
   `prefer` for one (NO_REG: no preference). */
unsigned ra_def(Ctx *c, IRRef ref, unsigned prefer);
/* A register to use freely until the end of the instruction. */
unsigned ra_temp(Ctx *c, bool fp);
/* A general register that holds nothing before this instruction, NO_REG if there is none. */
unsigned ra_free(const Ctx *c);
/* That very register, emptied. */
void ra_take(Ctx *c, unsigned reg);
void ra_end_ins(Ctx *c);
/* Is the value's register free after this instruction? */
bool ra_dies(Ctx *c, IRRef ref);
/* Free a register / save a value to a spill slot, whatever else it has. */
void ra_evict(Ctx *c, unsigned reg);
void ra_spill(Ctx *c, uint32_t id);
void ra_set_owner(Ctx *c, unsigned reg, uint32_t id);
void emit_load_const(Ctx *c, unsigned reg, int64_t imm, bool keep_flags);
void emit_move_reg(Ctx *c, unsigned dst, unsigned src);
void emit_load(Ctx *c, unsigned dst, Loc src);
void emit_store(Ctx *c, Loc dst, unsigned src);

/* ---- moves.c ---- */
/* What differs from the homes in the state of snapshot `snap`.  At most IR_MAX_REGS, in
 * the arena. */
const SnapMove *collect_moves(Ctx *c, uint32_t snap, unsigned *n);
/* The same against the head of the loop. */
const SnapMove *collect_head_moves(Ctx *c, uint32_t snap, unsigned *n);
void emit_head_moves(Ctx *c, const SnapMove *moves, unsigned n);
/* Do all moves at once; `extra`: NULL or one move more. */
void emit_moves(Ctx *c, const SnapMove *moves, unsigned n, const Move *extra);
void emit_parallel(Ctx *c, Move *moves, unsigned n);
/* ids[r]: the value of guest register r in the state of snapshot `snap`. */
void snap_values(Ctx *c, uint32_t snap, uint32_t *ids);

/* ---- exits.c ---- */
void lower_exit(Ctx *c, IRRef i);
void lower_exitind(Ctx *c, IRRef i);
void lower_loop(Ctx *c, IRRef i);
void lower_poll(Ctx *c, IRRef i);
void lower_count(Ctx *c, IRRef i);
/* A chainable side exit taken if cc; cmp_start: where the compare before it began. */
void emit_side_exit(Ctx *c, IRRef i, enum HostCC cc, uint8_t *cmp_start);
void emit_unit_tail(Ctx *c);
/* What HostCode.countdown asks for at the entry, and HostConfig.count_jumps anywhere (it
   changes the flags). */
void emit_count_entry(Ctx *c);
void emit_count_jump(Ctx *c, HostStat stat);
/* rax = twice the number of target's jump cache line: jump_cache_index(), or jump_cache_system_index(). */
void emit_jump_index(Ctx *c, unsigned target, bool system);
Cold *cold_new(Ctx *c, void (*emit)(Ctx *, Cold *));
/* One that leaves in the state of a snapshot, as it is to be had now. */
Cold *cold_new_leaving(Ctx *c, void (*emit)(Ctx *, Cold *), uint32_t snap);
void emit_jcc_cold(Ctx *c, enum HostCC cc, Cold *cold);
/* Leave with HOST_EXIT_REASON in a cold path; the guest address of the access is in r[0].
 */
void emit_cold_misaligned(Ctx *c, Cold *cold);

/* ---- recover.c ---- */
/* Note the state of snapshot `snap` now, for mark_fault() calls that follow. */
void recovery_prepare(Ctx *c, uint32_t snap);
/* The next instruction may fault (or: the last one was a call). */
void recovery_mark(Ctx *c, uint32_t snap);

/* ---- lower-*.c ---- */
void lower_int(Ctx *c, IRRef i);
void lower_exitif(Ctx *c, IRRef i);
/* Operand extended to at least 32 bits in a register. */
unsigned use_extended(Ctx *c, IRRef ref, bool sign);
void lower_mem(Ctx *c, IRRef i);
void lower_fp(Ctx *c, IRRef i);
void lower_fp_convert(Ctx *c, IRRef i);
/* Set the flags for an FCMP; *parity: the condition also needs NP (FEQ). */
enum HostCC emit_fcmp(Ctx *c, IRRef i, bool *parity);
void lower_call(Ctx *c, IRRef i);
/* True if the value cannot be a signaling NaN, so that ucomis raises nothing. */
bool never_signaling(const Ctx *c, IRRef ref);
/* True if an op gives no NaN but the default one. */
bool is_canonical(const IRIns *ins);
/* Make guest registers canonical that are at home, as their moves say. */
void emit_canonical_homes(Ctx *c, const SnapMove *moves, unsigned n);
/* result = fn(env, a, b, c), a C function without effect. */
void emit_pure_call(Ctx *c, const uint8_t *thunk, const void *fn, const IRRef *args,
                    unsigned nargs, IRRef result);
void emit_sse(Ctx *c, uint32_t op, unsigned reg, unsigned vvvv, Rm rm);

#endif
