/*
 * Building a unit front to back: appending instructions, the map from guest registers to
 * values, snapshots.
 *
 * A translation context owns its builder and its IRFunc; nothing here is shared.  All
 * arrays live in the arena of the IRFunc and double when full, so references are indices,
 * never pointers kept across an append.
 *
 * The invariant of the register map: cur[r] is IR_NONE as long as the register holds its
 * value at entry, otherwise the bit of r in `dirty` is set and cur[r] is its value.
 * Snapshots are made of the dirty registers alone, so that putting back the value of
 * entry makes a register cost nothing again.  A snapshot of the same map shares the
 * entries of the one before, and of the same pc is the same snapshot.
 *
 * A register whose bit in `raw` is set is dirty, and its value is cur[r] made canonical
 * as canon[r] says.
 */
#include "ir/append.h"
#include "ir/fold.h"
#include "ir/gen.h"
#include "util/error.h"

#define FIRST_INS 512
#define FIRST_SNAPS 128
#define FIRST_ENTRIES 1024
#define FIRST_ARGS 16
#define FIRST_BLOCKS 4

attr_cold void *ir_grow_array(Arena *a, void *p, uint32_t *cap, uint32_t need,
                              size_t item)
{
    size_t old = *cap * item;
    while (*cap < need) {
        *cap *= 2;
    }
    return arena_grow(a, p, old, *cap * item);
}

void ir_func_init(IRFunc *f, const IRGuest *guest, Arena *arena, uint64_t pc)
{
    memset(f, 0, sizeof *f);
    f->guest = guest;
    f->arena = arena;
    f->pc = pc;
    f->ins_cap = FIRST_INS;
    f->ins = arena_alloc(arena, FIRST_INS * sizeof *f->ins);
    f->snaps_cap = FIRST_SNAPS;
    f->snaps = arena_alloc(arena, FIRST_SNAPS * sizeof *f->snaps);
    f->snap_entries_cap = FIRST_ENTRIES;
    f->snap_entries = arena_alloc(arena, FIRST_ENTRIES * sizeof *f->snap_entries);
    f->args_cap = FIRST_ARGS;
    f->args = arena_alloc(arena, FIRST_ARGS * sizeof *f->args);
    f->blocks_cap = FIRST_BLOCKS;
    f->blocks = arena_alloc(arena, FIRST_BLOCKS * sizeof *f->blocks);
    f->ins[0] = (IRIns){ .op = IR_NOP };
    f->nins = 1;
    f->snaps[0] = (IRSnap){ 0 };
    f->nsnaps = 1;
    f->blocks[0] = (IRBlock){ .first = 1 };
    f->nblocks = 1;
}

void ir_builder_init(IRBuilder *b, IRFunc *f)
{
    memset(b, 0, sizeof *b);
    b->f = f;
    braid_debug_assert(f->guest->nregs <= IR_MAX_REGS);
}

static inline const IRBlock *open_block(const IRFunc *f)
{
    return &f->blocks[f->nblocks - 1];
}

IRRef ir_const(IRBuilder *b, IRType type, uint64_t value)
{
    IRFunc *f = b->f;
    int64_t imm = ir_const_bits(type, value);
    uint64_t h = ((uint64_t)imm + type) * UINT64_C(0x9e3779b97f4a7c15);
    IRRef *slot = &b->consts[h >> 58];
    const IRIns *old = &f->ins[*slot];
    /* One made in another block than the entry need not dominate this one. */
    if (old->op == IR_CONST && old->imm == imm && old->type == type &&
        (f->nblocks == 1 || *slot < f->blocks[0].end || *slot >= open_block(f)->first)) {
        return *slot;
    }
    IRIns ins = { .op = IR_CONST, .type = (uint8_t)type, .imm = imm };
    return *slot = ir_append(f, &ins);
}
_Static_assert(IR_CONST_CACHE == 64, "six bits of the hash");

IRRef ir_emit_snap(IRBuilder *b, uint32_t snap, IROp op, IRType type, unsigned aux,
                   IRRef x, IRRef y, IRRef z, int64_t imm)
{
    IRIns ins = { .op = (uint8_t)op, .type = (uint8_t)type, .aux = (uint8_t)aux,
                  .snap = snap, .arg = { x, y, z }, .imm = imm };
    if (unlikely(b->no_fold)) {
        return ir_append(b->f, &ins);
    }
    IRRef r = ir_fold(b->f, b, &ins);
    if (r != IR_NONE || ins.op == IR_NOP) {
        return r;
    }
    if (ins.op == IR_CONST) {
        return ir_const(b, (IRType)ins.type, (uint64_t)ins.imm);
    }
    return ir_append(b->f, &ins);
}

IRRef ir_emit(IRBuilder *b, IROp op, IRType type, unsigned aux, IRRef x, IRRef y, IRRef z,
              int64_t imm)
{
    return ir_emit_snap(b, 0, op, type, aux, x, y, z, imm);
}

static IRRef read_entry(IRBuilder *b, unsigned reg)
{
    IRIns ins = { .op = IR_GETREG,
                  .type = (uint8_t)b->f->guest->regs[reg].type,
                  .imm = reg };
    return b->entry[reg] = ir_append(b->f, &ins);
}

IRRef ir_get_reg_raw(IRBuilder *b, unsigned reg)
{
    braid_debug_assert(reg < b->f->guest->nregs);
    if (b->cur[reg] != IR_NONE) {
        return b->cur[reg];
    }
    if (b->entry[reg] != IR_NONE) {
        return b->entry[reg];
    }
    return read_entry(b, reg);
}

static IRRef gen_canonical(IRBuilder *b, IRRef raw, IRCanon kind)
{
    return kind == IR_CANON_F64
               ? ir_gen_canon(b, raw)
               : ir_gen_box32(b, ir_gen_canon(b, ir_gen_unbox32(b, raw)));
}

static void settle_reg(IRBuilder *b, unsigned reg)
{
    ir_put_reg(b, reg, gen_canonical(b, b->cur[reg], (IRCanon)b->canon[reg]));
}

static bool nan_shows(const IRFunc *f, IRRef of, IRRef in, unsigned depth)
{
    const IRIns *ins = &f->ins[in];
    if (of == in) {
        return true;
    }
    if (in < of || depth == 0) {
        return false;
    }
    switch (ins->op) {
    case IR_FADD: case IR_FSUB: case IR_FMUL: case IR_FDIV: case IR_FSQRT: case IR_FMA:
        for (unsigned i = 0; i < ir_op_info[ins->op].nargs; i++) {
            if (nan_shows(f, of, ins->arg[i], depth - 1)) {
                return true;
            }
        }
        return false;
    case IR_MOV: case IR_FCVT: case IR_CANON: case IR_FNEG: case IR_FABS: case IR_FSGNJ:
    case IR_FSGNJN: case IR_FSGNJX:
        return nan_shows(f, of, ins->arg[0], depth - 1);
    default: return false;
    }
}

static IRRef unboxed(const IRFunc *f, IRRef r)
{
    return f->ins[r].op == IR_BOX32 ? f->ins[r].arg[0] : r;
}

bool ir_nan_shows(const IRFunc *f, IRRef of, IRRef in)
{
    return nan_shows(f, unboxed(f, of), unboxed(f, in), 6);
}

/*
 * Registers whose NaNs show in this one are made canonical at the same place, and one
 * more: a back end that checks some of them together can do so for the price of one.
 */
static void settle_with_others(IRBuilder *b, unsigned reg)
{
    unsigned others = 0;
    for (unsigned w = 0; w < sizeof b->raw / sizeof b->raw[0]; w++) {
        for (uint64_t bits = b->raw[w]; bits; bits &= bits - 1) {
            unsigned r = w * 64 + (unsigned)__builtin_ctzll(bits);
            if (r != reg && (ir_nan_shows(b->f, b->cur[r], b->cur[reg]) ||
                             (b->canon[r] == b->canon[reg] && others++ == 0))) {
                settle_reg(b, r);
            }
        }
    }
    settle_reg(b, reg);
}

IRRef ir_get_reg(IRBuilder *b, unsigned reg)
{
    braid_debug_assert(reg < b->f->guest->nregs);
    if (b->canon[reg]) {
        settle_with_others(b, reg);
    }
    return ir_get_reg_raw(b, reg);
}

void ir_settle(IRBuilder *b)
{
    for (unsigned w = 0; w < sizeof b->raw / sizeof b->raw[0]; w++) {
        while (b->raw[w]) {
            settle_reg(b, w * 64 + (unsigned)__builtin_ctzll(b->raw[w]));
        }
    }
}

static void set_canon(IRBuilder *b, unsigned reg, IRCanon kind)
{
    uint64_t bit = UINT64_C(1) << (reg & 63);
    if (b->canon[reg] != kind) {
        b->canon[reg] = (uint8_t)kind;
        b->raw[reg >> 6] = kind ? b->raw[reg >> 6] | bit : b->raw[reg >> 6] & ~bit;
        b->map_changed = true;
    }
}

/* No NaN, or the default one. */
static bool is_canonical(const IRFunc *f, IRRef r, IRCanon kind)
{
    const IRIns *ins = &f->ins[r];
    if (ins->op == IR_CONST) {
        return ir_canonical(kind, (uint64_t)ins->imm) == (uint64_t)ins->imm;
    }
    if (kind == IR_CANON_BOXED_F32) {
        if (ins->op != IR_BOX32) {
            return false;
        }
        ins = &f->ins[ins->arg[0]];
    }
    return ins->op == IR_CANON || ins->op == IR_ITOF || ins->op == IR_FMIN ||
           ins->op == IR_FMAX;
}

void ir_put_reg_raw(IRBuilder *b, unsigned reg, IRRef raw, IRCanon kind)
{
    if (kind == IR_CANON_NONE || is_canonical(b->f, raw, kind)) {
        ir_put_reg(b, reg, raw);
    } else if (raw == b->entry[reg]) { /* snapshots do not list what is as at entry */
        ir_put_reg(b, reg, gen_canonical(b, raw, kind));
    } else {
        ir_put_reg(b, reg, raw);
        set_canon(b, reg, kind);
    }
}

void ir_put_reg(IRBuilder *b, unsigned reg, IRRef val)
{
    braid_debug_assert(reg < b->f->guest->nregs);
    braid_debug_assert(ir_ref_type(b->f, val) == b->f->guest->regs[reg].type);
    uint64_t bit = UINT64_C(1) << (reg & 63);
    set_canon(b, reg, IR_CANON_NONE);
    if (val == b->entry[reg]) {
        if (b->cur[reg] != IR_NONE) {
            b->cur[reg] = IR_NONE;
            b->dirty[reg >> 6] &= ~bit;
            b->map_changed = true;
        }
    } else if (val != b->cur[reg]) {
        b->cur[reg] = val;
        b->dirty[reg >> 6] |= bit;
        b->map_changed = true;
    }
}

/* Write the entries of the map as it is; returns how many. */
static uint32_t add_entries(IRBuilder *b)
{
    IRFunc *f = b->f;
    IR_RESERVE(f, snap_entries, f->nsnap_entries + IR_MAX_REGS, snap_entries_cap);
    IRSnapEntry *e = f->snap_entries + f->nsnap_entries, *start = e;
    for (unsigned w = 0; w < sizeof b->dirty / sizeof b->dirty[0]; w++) {
        for (uint64_t bits = b->dirty[w]; bits; bits &= bits - 1) {
            unsigned reg = w * 64 + (unsigned)__builtin_ctzll(bits);
            *e++ = (IRSnapEntry){
                .reg = (uint16_t)reg, .canon = b->canon[reg], .val = b->cur[reg]
            };
        }
    }
    f->nsnap_entries += (uint32_t)(e - start);
    return (uint32_t)(e - start);
}

/* Until the unit is complete `owed` says how many instructions are done. */
static uint32_t snapshot(IRBuilder *b, uint64_t pc, uint16_t ndone)
{
    IRFunc *f = b->f;
    IRSnap s = { .pc = pc, .owed = ndone };
    if (b->last_snap && !b->map_changed) {
        IRSnap last = f->snaps[b->last_snap];
        if (last.pc == pc && last.owed == ndone) {
            return b->last_snap;
        }
        s.first = last.first;
        s.count = last.count;
    } else {
        s.first = f->nsnap_entries;
        s.count = (uint16_t)add_entries(b);
    }
    IR_RESERVE(f, snaps, f->nsnaps + 1, snaps_cap);
    f->snaps[f->nsnaps] = s;
    b->map_changed = false;
    return b->last_snap = f->nsnaps++;
}

uint32_t ir_snapshot(IRBuilder *b, uint64_t pc) { return snapshot(b, pc, b->ndone); }

uint32_t ir_snapshot_before(IRBuilder *b, uint64_t pc)
{
    return snapshot(b, pc, b->count == IR_NONE ? 0 : b->ndone - 1);
}

void ir_count_unit(IRBuilder *b)
{
    braid_debug_assert(b->f->nins == 1);
    b->count = ir_emit_snap(b, ir_snapshot(b, b->f->pc), IR_COUNT, IR_VOID, 0, 0, 0, 0, 0);
    b->last_snap = 0;   /* COUNT's own owes nothing, whatever its number says */
}

/* Now it is known how many instructions there are. */
static void settle_count(IRBuilder *b)
{
    IRFunc *f = b->f;
    f->ins[b->count].imm = b->ndone;
    for (uint32_t i = f->ins[b->count].snap + 1; i < f->nsnaps; i++) {
        f->snaps[i].owed = b->ndone - f->snaps[i].owed;
    }
}

/*
 * GETREG lives in the entry block only.  Any later block may read any register, so the
 * entry block reads all before it ends; what nobody uses falls to dead code elimination.
 */
static void read_all_entries(IRBuilder *b)
{
    IRFunc *f = b->f;
    IRIns term = f->ins[--f->nins];
    for (unsigned reg = 0; reg < f->guest->nregs; reg++) {
        if (b->entry[reg] == IR_NONE) {
            read_entry(b, reg);
        }
    }
    ir_append(f, &term);
}

static bool block_is_closed(const IRFunc *f)
{
    return f->nins > open_block(f)->first &&
           (ir_op_info[f->ins[f->nins - 1].op].flags & IRF_TERM);
}

uint32_t ir_new_block(IRBuilder *b)
{
    IRFunc *f = b->f;
    braid_assert(block_is_closed(f));
    if (f->nblocks == 1) {
        read_all_entries(b);
    }
    f->blocks[f->nblocks - 1].end = f->nins;
    IR_RESERVE(f, blocks, f->nblocks + 1, blocks_cap);
    f->blocks[f->nblocks] = (IRBlock){ .first = f->nins };
    return f->nblocks++;
}

void ir_func_finish(IRBuilder *b)
{
    IRFunc *f = b->f;
    braid_assert(block_is_closed(f));
    f->blocks[f->nblocks - 1].end = f->nins;
    if (b->count != IR_NONE) {
        settle_count(b);
    }
}

IRRef ir_param(IRBuilder *b, IRType type)
{
    IRBlock *block = &b->f->blocks[b->f->nblocks - 1];
    braid_debug_assert(b->f->nins == block->first + block->nparams);
    IRIns ins = { .op = IR_PARAM, .type = (uint8_t)type, .imm = block->nparams++ };
    return ir_append(b->f, &ins);
}

/* Append `ins` with variadic arguments from two lists. */
static IRRef append_variadic(IRFunc *f, IRIns *ins, unsigned n1, const IRRef *args1,
                             unsigned n2, const IRRef *args2)
{
    braid_assert(n1 + n2 <= UINT8_MAX);
    IR_RESERVE(f, args, f->nargs + n1 + n2, args_cap);
    ins->nvar = (uint8_t)(n1 + n2);
    ins->arg[2] = f->nargs;
    for (unsigned i = 0; i < n1; i++) {
        f->args[f->nargs++] = args1[i];
    }
    for (unsigned i = 0; i < n2; i++) {
        f->args[f->nargs++] = args2[i];
    }
    return ir_append(f, ins);
}

void ir_jump(IRBuilder *b, uint32_t block, unsigned nargs, const IRRef *args)
{
    IRIns ins = { .op = IR_JUMP, .imm = block };
    append_variadic(b->f, &ins, nargs, args, 0, NULL);
}

void ir_br(IRBuilder *b, IRCond cond, IRRef x, IRRef y, uint32_t block_true,
           unsigned nargs_true, const IRRef *args_true, uint32_t block_false,
           unsigned nargs_false, const IRRef *args_false)
{
    IRIns ins = { .op = IR_BR, .aux = (uint8_t)cond, .arg = { x, y },
                  .imm = (int64_t)((uint64_t)block_false << 32 | block_true) };
    append_variadic(b->f, &ins, nargs_true, args_true, nargs_false, args_false);
}

/* The helper may have written any register: what was known of them is no longer. */
static void forget_registers(IRBuilder *b)
{
    memset(b->cur, 0, sizeof b->cur);
    memset(b->entry, 0, sizeof b->entry);
    memset(b->dirty, 0, sizeof b->dirty);
    memset(b->raw, 0, sizeof b->raw);
    memset(b->canon, 0, sizeof b->canon);
    b->map_changed = true;
}

IRRef ir_call(IRBuilder *b, unsigned helper, uint32_t snap, unsigned nargs,
              const IRRef *args)
{
    braid_debug_assert(helper < b->f->guest->nhelpers);
    const IRHelper *h = &b->f->guest->helpers[helper];
    braid_debug_assert(nargs == h->nargs && nargs <= IR_CALL_ARGS);
    braid_debug_assert(snap || !ir_helper_needs_snap(h));
    IRIns ins = { .op = IR_CALL, .type = (uint8_t)h->ret, .snap = snap, .imm = helper };
    IRRef r = append_variadic(b->f, &ins, nargs, args, 0, NULL);
    if (h->flags & IRH_REGS) {
        forget_registers(b);
    }
    return h->ret == IR_VOID ? IR_NONE : r;
}
