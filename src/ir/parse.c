/*
 * The parser: reads what the printer writes, and what people write in tests.
 *
 * A value's number in the text is a name.  The parser gives a value the index that its
 * name says as long as it can, filling up with NOPs, and puts constants, which have no
 * place in the text, into those gaps; so what was printed, read and printed again is the
 * same text. A name that cannot have its index gets the next one.
 *
 * Whatever the text, it ends with a sentence or with a unit fit to be printed; whether
 * the unit is right is for the verifier to say.  All memory comes from the arena.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "ir/append.h"
#include "ir/text.h"

#define MAX_NAME (1u << 16)
#define MAX_GAP 4096
#define MAX_LIST 255

typedef struct Parser {
    IRFunc *f;
    const char *p;          /* next character */
    unsigned line;
    char *err;
    size_t err_size;
    bool failed;
    IRRef *names;           /* MAX_NAME: value of each name */
    uint32_t block;         /* blocks opened */
    IRRef *gaps;            /* NOPs of the open block that a constant may take */
    uint32_t ngaps, gaps_cap;
    IRRef *consts;          /* constants of the open block */
    uint32_t nconsts, consts_cap;
} Parser;

static bool fail(Parser *ps, const char *fmt, ...) attr_printf(2, 3);
static bool fail(Parser *ps, const char *fmt, ...)
{
    if (!ps->failed && ps->err_size) {
        int n = snprintf(ps->err, ps->err_size, "line %u: ", ps->line);
        va_list ap;
        va_start(ap, fmt);
        if ((size_t)n < ps->err_size) {
            vsnprintf(ps->err + n, ps->err_size - (size_t)n, fmt, ap);
        }
        va_end(ap);
    }
    ps->failed = true;
    return false;
}

/* ---- characters and words ---- */

static void skip_spaces(Parser *ps)
{
    while (*ps->p == ' ' || *ps->p == '\t' || *ps->p == '\r') {
        ps->p++;
    }
}

static bool accept(Parser *ps, const char *s)
{
    skip_spaces(ps);
    size_t n = strlen(s);
    if (strncmp(ps->p, s, n) != 0) {
        return false;
    }
    ps->p += n;
    return true;
}

static bool expect(Parser *ps, const char *s)
{
    return accept(ps, s) || fail(ps, "expected '%s'", s);
}

/* Letters, digits, '_' and '-'; "" if there are none. */
static bool word(Parser *ps, char *buf, size_t size)
{
    size_t n = 0;
    skip_spaces(ps);
    for (; isalnum((unsigned char)*ps->p) || *ps->p == '_'; ps->p++) {
        if (n + 1 < size) {
            buf[n++] = *ps->p;
        }
    }
    buf[n] = 0;
    return n != 0;
}

static bool number(Parser *ps, uint64_t *v)
{
    char *end;
    skip_spaces(ps);
    bool negative = *ps->p == '-';
    const char *digits = ps->p + negative;
    if (!isdigit((unsigned char)*digits)) {
        return fail(ps, "expected a number");
    }
    *v = strtoull(digits, &end, 0);
    *v = negative ? -*v : *v;
    ps->p = end;
    return true;
}

static bool end_of_line(Parser *ps)
{
    skip_spaces(ps);
    if (*ps->p == '#' || *ps->p == ';') {
        while (*ps->p && *ps->p != '\n') {
            ps->p++;
        }
    }
    return *ps->p == '\n' || *ps->p == 0;
}

static bool type_word(Parser *ps, IRType *t)
{
    char buf[16];
    if (word(ps, buf, sizeof buf)) {
        for (unsigned i = IR_I8; i < IR_NTYPES; i++) {
            if (strcmp(buf, ir_type_name[i]) == 0) {
                *t = (IRType)i;
                return true;
            }
        }
    }
    return fail(ps, "expected a type");
}

static bool reg_word(Parser *ps, uint64_t *reg)
{
    char buf[32];
    word(ps, buf, sizeof buf);
    for (unsigned i = 0; i < ps->f->guest->nregs; i++) {
        if (strcmp(buf, ps->f->guest->regs[i].name) == 0) {
            *reg = i;
            return true;
        }
    }
    return fail(ps, "unknown register '%s'", buf);
}

/* ---- constants and gaps ---- */

static void push(Parser *ps, IRRef **list, uint32_t *n, uint32_t *cap, IRRef r)
{
    if (*n == *cap) {
        *list = ir_grow_array(ps->f->arena, *list, cap, *n + 1, sizeof **list);
    }
    (*list)[(*n)++] = r;
}

static IRRef constant(Parser *ps, IRType type, uint64_t value)
{
    IRFunc *f = ps->f;
    IRIns ins = { .op = IR_CONST,
                  .type = (uint8_t)type,
                  .imm = ir_const_bits(type, value) };
    for (uint32_t i = ps->nconsts; i-- > 0;) {
        const IRIns *old = &f->ins[ps->consts[i]];
        if (old->imm == ins.imm && old->type == ins.type) {
            return ps->consts[i];
        }
    }
    IRRef r;
    if (ps->ngaps) {
        r = ps->gaps[--ps->ngaps];
        f->ins[r] = ins;
    } else {
        r = ir_append(f, &ins);
    }
    push(ps, &ps->consts, &ps->nconsts, &ps->consts_cap, r);
    return r;
}

static void add_gap(Parser *ps)
{
    IRIns nop = { .op = IR_NOP };
    push(ps, &ps->gaps, &ps->ngaps, &ps->gaps_cap, ir_append(ps->f, &nop));
}

/* Make `name` the next index if that is near ahead. */
static void advance_to(Parser *ps, uint32_t name)
{
    IRFunc *f = ps->f;
    IRBlock *b = &f->blocks[f->nblocks - 1];
    if (name <= f->nins || name - f->nins > MAX_GAP) {
        return;
    }
    if (f->nins == b->first && f->nblocks > 1) {
        /* The gap belongs to the block before, in front of its terminator. */
        IRIns term = f->ins[--f->nins];
        IRIns nop = { .op = IR_NOP };
        while (f->nins + 1 < name) {
            ir_append(f, &nop);
        }
        b[-1].end = b->first = ir_append(f, &term) + 1;
        return;
    }
    while (f->nins < name) {
        add_gap(ps);
    }
}

/* ---- operands ---- */

/* `type`: what a bare number is, IR_VOID if it must say. */
static bool operand(Parser *ps, IRType type, IRRef *r)
{
    uint64_t v;
    if (accept(ps, "%")) {
        if (!number(ps, &v)) {
            return false;
        }
        if (v >= MAX_NAME || ps->names[v] == IR_NONE) {
            return fail(ps, "%%%" PRIu64 " is not defined", v);
        }
        *r = ps->names[v];
        return true;
    }
    if (!number(ps, &v)) {
        return false;
    }
    if (*ps->p == ':') {
        ps->p++;
        if (!type_word(ps, &type)) {
            return false;
        }
    }
    if (type == IR_VOID) {
        return fail(ps, "this constant needs a type, as in 1:i64");
    }
    *r = constant(ps, type, v);
    return true;
}

static bool address(Parser *ps, IRIns *ins)
{
    uint64_t disp;
    if (!expect(ps, "[") || !operand(ps, IR_I64, &ins->arg[0])) {
        return false;
    }
    bool minus = accept(ps, "-");
    if (minus || accept(ps, "+")) {
        if (!number(ps, &disp)) {
            return false;
        }
        if (ins->op != IR_LD && ins->op != IR_ST) {
            return fail(ps, "no displacement here");
        }
        ins->imm = (int64_t)(minus ? -disp : disp);
    }
    return expect(ps, "]");
}

/* "(a, b, ...)" appended to list[*n]. */
static bool operand_list(Parser *ps, IRRef *list, unsigned *n)
{
    if (!expect(ps, "(")) {
        return false;
    }
    for (bool first = true; !accept(ps, ")"); first = false) {
        if (!first && !expect(ps, ",")) {
            return false;
        }
        if (*n == MAX_LIST) {
            return fail(ps, "too many arguments");
        }
        if (!operand(ps, IR_VOID, &list[(*n)++])) {
            return false;
        }
    }
    return true;
}

static bool finish_list(Parser *ps, IRIns *ins, const IRRef *list, unsigned n)
{
    ins->nvar = (uint8_t)n;
    ins->arg[2] = ir_append_args(ps->f, n, list);
    return true;
}

static bool target(Parser *ps, uint32_t *block, IRRef *list, unsigned *n)
{
    uint64_t v;
    if (!expect(ps, "@") || !number(ps, &v)) {
        return false;
    }
    *block = (uint32_t)v;
    return operand_list(ps, list, n);
}

static bool helper_call(Parser *ps, IRIns *ins)
{
    char name[64];
    IRRef list[MAX_LIST];
    unsigned n = 0;
    word(ps, name, sizeof name);
    const IRGuest *g = ps->f->guest;
    for (unsigned i = 0; i < g->nhelpers; i++) {
        if (strcmp(name, g->helpers[i].name) == 0) {
            ins->imm = i;
            return operand_list(ps, list, &n) && finish_list(ps, ins, list, n);
        }
    }
    return fail(ps, "unknown helper '%s'", name);
}

static bool jump_targets(Parser *ps, IRIns *ins)
{
    IRRef list[MAX_LIST];
    unsigned n = 0;
    uint32_t yes, no = 0;
    if ((ins->op == IR_BR && !expect(ps, ",")) || !target(ps, &yes, list, &n)) {
        return false;
    }
    if (ins->op == IR_BR && (!expect(ps, ",") || !target(ps, &no, list, &n))) {
        return false;
    }
    ins->imm = (int64_t)((uint64_t)no << 32 | yes);
    return finish_list(ps, ins, list, n);
}

/* What the printer's print_imm() writes. */
static bool immediate(Parser *ps, IRIns *ins, bool comma)
{
    uint64_t v = 0;
    switch (ins->op) {
    case IR_CONST: case IR_PARAM:
        if (!number(ps, &v)) {
            return false;
        }
        ins->imm = ins->op == IR_CONST ? ir_const_bits((IRType)ins->type, v) : (int64_t)v;
        return true;
    case IR_GETREG:
        if (!reg_word(ps, &v)) {
            return false;
        }
        break;
    case IR_LDENV: case IR_STENV:
        if ((comma && !expect(ps, ",")) || !expect(ps, "env+") || !number(ps, &v)) {
            return false;
        }
        break;
    case IR_COUNT:
        if (!number(ps, &v)) {
            return false;
        }
        break;
    case IR_CALL: return helper_call(ps, ins);
    case IR_JUMP: case IR_BR: return jump_targets(ps, ins);
    case IR_EXIT: case IR_EXITIND:
        if (ins->aux != IR_EXIT_CALL && ins->aux != IR_EXIT_REASON) {
            return true;
        }
        if ((comma && !expect(ps, ",")) || !number(ps, &v)) {
            return false;
        }
        break;
    default: return true;
    }
    ins->imm = (int64_t)v;
    return true;
}

static int compare_entries(const void *a, const void *b)
{
    return ((const IRSnapEntry *)a)->reg - ((const IRSnapEntry *)b)->reg;
}

static bool snapshot(Parser *ps, IRIns *ins)
{
    IRFunc *f = ps->f;
    IRSnapEntry entries[IR_MAX_REGS];
    uint32_t n = 0;
    uint64_t pc, reg, owed = 0;
    if (!number(ps, &pc) || (accept(ps, "owed=") && (!number(ps, &owed) || owed > UINT16_MAX))) {
        return fail(ps, "bad snapshot");
    }
    while (!accept(ps, "]")) {
        if (n == IR_MAX_REGS || !reg_word(ps, &reg) || !expect(ps, "=")) {
            return fail(ps, "bad snapshot");
        }
        unsigned canon = IR_NCANONS - 1;
        while (canon && !accept(ps, ir_canon_text[canon])) {
            canon--;
        }
        entries[n].canon = (uint16_t)canon;
        if (!operand(ps, f->guest->regs[reg].type, &entries[n].val)) {
            return fail(ps, "bad snapshot");
        }
        entries[n++].reg = (uint16_t)reg;
    }
    qsort(entries, n, sizeof entries[0], compare_entries);
    const IRSnap *last = &f->snaps[f->nsnaps - 1];
    if (f->nsnaps > 1 && last->pc == pc && last->count == n && last->owed == owed &&
        memcmp(f->snap_entries + last->first, entries, n * sizeof entries[0]) == 0) {
        ins->snap = f->nsnaps - 1;
    } else {
        ins->snap = ir_append_snap(f, pc, n, entries);
        f->snaps[ins->snap].owed = (uint16_t)owed;
    }
    return true;
}

/* ---- lines ---- */

static bool apply_suffix(const IRSuffix *s, const char *text, uint64_t *bits)
{
    for (; s && s->text; s++) {
        if (strcmp(s->text, text) == 0) {
            *bits = (*bits & ~(uint64_t)s->mask) | s->value;
            return true;
        }
    }
    return false;
}

static bool operation(Parser *ps, IRIns *ins)
{
    char buf[32];
    word(ps, buf, sizeof buf);
    unsigned op = 0;
    while (op < IR_NOPS && strcmp(buf, ir_op_info[op].name) != 0) {
        op++;
    }
    if (op == IR_NOPS) {
        return fail(ps, "unknown op '%s'", buf);
    }
    ins->op = (uint8_t)op;
    uint64_t aux = 0, imm = 0;
    while (*ps->p == '.') {
        ps->p++;
        word(ps, buf, sizeof buf);
        if (!apply_suffix(ir_imm_suffixes((IROp)op), buf, &imm) &&
            !apply_suffix(ir_aux_suffixes((IROp)op), buf, &aux)) {
            return fail(ps, "%s has no suffix '.%s'", ir_op_info[op].name, buf);
        }
    }
    ins->aux = (uint8_t)aux;
    ins->imm = (int64_t)imm;
    return true;
}

static bool operands(Parser *ps, IRIns *ins)
{
    const IROpInfo *info = &ir_op_info[ins->op];
    IRType previous = IR_VOID;
    bool memory = info->flags & (IRF_LOAD | IRF_STORE) && info->nargs;
    for (unsigned i = 0; i < info->nargs; i++) {
        if (i && !expect(ps, ",")) {
            return false;
        }
        if (memory && i == 0) {
            if (!address(ps, ins)) {
                return false;
            }
        } else if (!operand(ps, ir_arg_type(info, i, (IRType)ins->type, previous),
                            &ins->arg[i])) {
            return false;
        }
        previous = ir_ref_type(ps->f, ins->arg[i]);
    }
    return immediate(ps, ins, info->nargs != 0);
}

static bool instruction(Parser *ps)
{
    IRFunc *f = ps->f;
    IRIns ins = { 0 };
    uint64_t name = 0;
    IRType type = IR_VOID;
    if (!ps->block) {
        return fail(ps, "expected 'block 0:'");
    }
    if (accept(ps, "%")) {
        if (!number(ps, &name) || !expect(ps, "=")) {
            return false;
        }
        if (name == 0 || name >= MAX_NAME || ps->names[name] != IR_NONE) {
            return fail(ps, "bad or repeated name %%%" PRIu64, name);
        }
        advance_to(ps, (uint32_t)name);
    }
    if (!operation(ps, &ins) || (name && !type_word(ps, &type))) {
        return false;
    }
    ins.type = (uint8_t)type;
    if (!operands(ps, &ins) || (accept(ps, "[pc=") && !snapshot(ps, &ins))) {
        return false;
    }
    IRRef r = ir_append(f, &ins);
    if (name) {
        ps->names[name] = r;
        if (ins.op == IR_CONST) {
            push(ps, &ps->consts, &ps->nconsts, &ps->consts_cap, r);
        }
        if (ins.op == IR_PARAM) {
            f->blocks[f->nblocks - 1].nparams++;
        }
    }
    return true;
}

static bool block_header(Parser *ps)
{
    IRFunc *f = ps->f;
    uint64_t n;
    if (!number(ps, &n) || !expect(ps, ":")) {
        return false;
    }
    if (n != ps->block) {
        return fail(ps, "expected block %u", ps->block);
    }
    if (ps->block++) {
        if (f->nins == f->blocks[f->nblocks - 1].first) {
            return fail(ps, "block %u is empty", ps->block - 2);
        }
        ir_append_block(f);
        ps->ngaps = 0;
        ps->nconsts = 0;
    }
    return true;
}

static bool parse_line(Parser *ps)
{
    uint64_t pc;
    if (end_of_line(ps)) {
        return true;
    }
    if (accept(ps, "unit ")) {
        if (!number(ps, &pc)) {
            return false;
        }
        ps->f->pc = pc;
        if (accept(ps, "mmu ")) {
            if (!number(ps, &pc)) {
                return false;
            }
            if (pc >= IR_MMU_MODES) {
                return fail(ps, "there are %d MMU indices", IR_MMU_MODES);
            }
            ps->f->soft_mmu = (uint8_t)(1 + pc);
        }
    } else if (accept(ps, "block ")) {
        if (!block_header(ps)) {
            return false;
        }
    } else if (!instruction(ps)) {
        return false;
    }
    return end_of_line(ps) || fail(ps, "unexpected text at the end of the line");
}

bool ir_parse(IRFunc *f, const IRGuest *guest, Arena *arena, const char *text, char *err,
              size_t err_size)
{
    ir_func_init(f, guest, arena, 0);
    Parser ps = { .f = f, .p = text, .line = 1, .err = err, .err_size = err_size,
                  .gaps_cap = 16, .consts_cap = 16 };
    ps.names = arena_array(arena, IRRef, MAX_NAME);
    ps.gaps = arena_array(arena, IRRef, ps.gaps_cap);
    ps.consts = arena_array(arena, IRRef, ps.consts_cap);
    while (*ps.p) {
        if (!parse_line(&ps)) {
            return false;
        }
        if (*ps.p == '\n') {
            ps.p++;
            ps.line++;
        }
    }
    if (f->nins == f->blocks[f->nblocks - 1].first) {
        return fail(&ps, "the last block is empty");
    }
    f->blocks[f->nblocks - 1].end = f->nins;
    return true;
}
