/*
 * The printer.  One instruction a line, constants where they are used, snapshots with the
 * guest's register names:
 *
 *     %4 = add i64 %3, 16
 *     %7 = ld.s32 i64 [%4 - 8]  [pc=0x1007a a0=%4 a1=5]
 *     exitif.ltu %7, %4  [pc=0x10090 a0=%4 a1=%7]
 *
 * A value's number is its index, so that a unit can be followed through passes that work
 * in place.  In units of several blocks the constants of the entry block have lines of
 * their own, and other blocks name them by number: so it is clear in the text where each
 * one is.  It prints units that the verifier rejects, too: that is when one wants to see
 * them. Pure but for the FILE.
 */
#include <inttypes.h>

#include "ir/text.h"

static void print_const(FILE *out, IRType type, int64_t imm)
{
    if (!ir_type_is_float(type) && imm >= -4096 && imm <= 4096) {
        fprintf(out, "%" PRId64, imm);
        return;
    }
    unsigned up = 64 - 8 * ir_type_size(type);
    fprintf(out, "0x%" PRIx64, up < 64 ? (uint64_t)imm << up >> up : (uint64_t)imm);
}

typedef struct Printer {
    FILE *out;
    const IRFunc *f;
    uint32_t block;
} Printer;

static bool is_inline_const(const Printer *p, IRRef r)
{
    const IRFunc *f = p->f;
    if (r == IR_NONE || r >= f->nins || !ir_is_const(f, r) ||
        f->ins[r].type >= IR_NTYPES) {
        return false;
    }
    return p->block == 0 || r >= f->blocks[p->block].first;
}

/* `expected`: the type a constant has by the signature, IR_VOID if it must be said. */
static void print_ref(const Printer *p, IRRef r, IRType expected)
{
    FILE *out = p->out;
    const IRFunc *f = p->f;
    if (!is_inline_const(p, r)) {
        fprintf(out, "%%%u", r);
        return;
    }
    IRType type = ir_ref_type(f, r);
    print_const(out, type, f->ins[r].imm);
    if (expected != type) {
        fprintf(out, ":%s", ir_type_name[type]);
    }
}

static void print_suffixes(FILE *out, const IRSuffix *s, uint64_t bits)
{
    for (; s && s->text; s++) {
        if ((bits & s->mask) == s->value) {
            fprintf(out, ".%s", s->text);
        }
    }
}

static void print_snapshot(const Printer *p, uint32_t snap)
{
    FILE *out = p->out;
    const IRFunc *f = p->f;
    const IRSnap *s = &f->snaps[snap];
    fprintf(out, "  [pc=0x%" PRIx64, s->pc);
    if (s->owed) {
        fprintf(out, " owed=%u", s->owed);
    }
    for (uint32_t i = 0; i < s->count; i++) {
        const IRSnapEntry *e = &f->snap_entries[s->first + i];
        bool known = e->reg < f->guest->nregs;
        fprintf(out, " %s=%s", known ? f->guest->regs[e->reg].name : "?",
                e->canon < IR_NCANONS ? ir_canon_text[e->canon] : "? ");
        print_ref(p, e->val, known ? f->guest->regs[e->reg].type : IR_VOID);
    }
    fputc(']', out);
}

static void print_address(const Printer *p, const IRIns *ins)
{
    FILE *out = p->out;
    int64_t disp = ins->op == IR_LD || ins->op == IR_ST ? ins->imm : 0;
    fputs(" [", out);
    print_ref(p, ins->arg[0], IR_I64);
    if (disp) {
        fprintf(out, disp < 0 ? " - %" PRIu64 : " + %" PRIu64,
                disp < 0 ? -(uint64_t)disp : (uint64_t)disp);
    }
    fputc(']', out);
}

static void print_list(const Printer *p, uint32_t first, unsigned n)
{
    FILE *out = p->out;
    const IRFunc *f = p->f;
    fputc('(', out);
    for (unsigned i = 0; i < n; i++) {
        fputs(i ? ", " : "", out);
        print_ref(p, first + i < f->nargs ? f->args[first + i] : IR_NONE, IR_VOID);
    }
    fputc(')', out);
}

/* Registers, offsets, targets: whatever of imm is not a suffix or part of an address. */
static void print_imm(const Printer *p, const IRIns *ins, const char *comma)
{
    FILE *out = p->out;
    const IRFunc *f = p->f;
    uint32_t yes = (uint32_t)ins->imm, no = (uint32_t)((uint64_t)ins->imm >> 32);
    unsigned nyes = yes < f->nblocks ? f->blocks[yes].nparams : 0;
    nyes = nyes > ins->nvar ? ins->nvar : nyes;
    switch (ins->op) {
    case IR_CONST:
        fputc(' ', out);
        print_const(out, (IRType)ins->type, ins->imm);
        break;
    case IR_PARAM:
        fprintf(out, " %" PRId64, ins->imm);
        break;
    case IR_GETREG:
        fprintf(out, " %s",
                (uint64_t)ins->imm < f->guest->nregs ? f->guest->regs[ins->imm].name
                                                     : "?");
        break;
    case IR_LDENV: case IR_STENV:
        fprintf(out, "%s env+%" PRId64, comma, ins->imm);
        break;
    case IR_COUNT:
        fprintf(out, " %" PRId64, ins->imm);
        break;
    case IR_CALL:
        fprintf(out, " %s",
                (uint64_t)ins->imm < f->guest->nhelpers ? f->guest->helpers[ins->imm].name
                                                        : "?");
        print_list(p, ins->arg[2], ins->nvar);
        break;
    case IR_JUMP:
        fprintf(out, " @%u", yes);
        print_list(p, ins->arg[2], ins->nvar);
        break;
    case IR_BR:
        fprintf(out, ", @%u", yes);
        print_list(p, ins->arg[2], nyes);
        fprintf(out, ", @%u", no);
        print_list(p, ins->arg[2] + nyes, ins->nvar - nyes);
        break;
    case IR_EXIT: case IR_EXITIND:
        if (ins->aux == IR_EXIT_CALL) {
            fprintf(out, "%s 0x%" PRIx64, comma, (uint64_t)ins->imm);
        } else if (ins->aux == IR_EXIT_REASON) {
            fprintf(out, "%s %" PRId64, comma, ins->imm);
        }
        break;
    default:
        break;
    }
}

static void print_ins(const Printer *p, IRRef r)
{
    FILE *out = p->out;
    const IRFunc *f = p->f;
    const IRIns *ins = &f->ins[r];
    if (ins->op >= IR_NOPS || ins->type >= IR_NTYPES) {
        fprintf(out, "    ? op %u type %u\n", ins->op, ins->type);
        return;
    }
    const IROpInfo *info = &ir_op_info[ins->op];
    IRType own = (IRType)ins->type, previous = IR_VOID;
    fputs("    ", out);
    if (own != IR_VOID) {
        fprintf(out, "%%%u = ", r);
    }
    fputs(info->name, out);
    print_suffixes(out, ir_imm_suffixes((IROp)ins->op), (uint64_t)ins->imm);
    print_suffixes(out, ir_aux_suffixes((IROp)ins->op), ins->aux);
    if (own != IR_VOID) {
        fprintf(out, " %s", ir_type_name[own]);
    }
    const char *comma = "";
    bool memory = info->flags & (IRF_LOAD | IRF_STORE) && info->nargs;
    for (unsigned i = 0; i < info->nargs; i++) {
        if (memory && i == 0) {
            print_address(p, ins);
        } else {
            fprintf(out, "%s ", comma);
            print_ref(p, ins->arg[i], ir_arg_type(info, i, own, previous));
        }
        previous = ins->arg[i] < f->nins ? ir_ref_type(f, ins->arg[i]) : IR_VOID;
        comma = ",";
    }
    print_imm(p, ins, comma);
    if (ins->snap && ins->snap < f->nsnaps) {
        print_snapshot(p, ins->snap);
    }
    fputc('\n', out);
}

void ir_print(FILE *out, const IRFunc *f)
{
    Printer p = { .out = out, .f = f };
    fprintf(out, "unit 0x%" PRIx64, f->pc);
    if (f->soft_mmu) {
        fprintf(out, " mmu %d", f->soft_mmu - 1);
    }
    fputc('\n', out);
    for (p.block = 0; p.block < f->nblocks; p.block++) {
        const IRBlock *b = &f->blocks[p.block];
        IRRef end = b->end ? b->end : f->nins; /* still open */
        fprintf(out, "block %u:\n", p.block);
        for (IRRef r = b->first; r < end; r++) {
            unsigned op = f->ins[r].op;
            bool shared = op == IR_CONST && p.block == 0 && f->nblocks > 1;
            if (shared || (op != IR_NOP && op != IR_CONST)) {
                print_ins(&p, r);
            }
        }
    }
}
