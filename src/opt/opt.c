/*
 * The pipeline, and what its passes share.
 *
 *     builder's folding -> forward walk -> backward walk -> copies skipped
 *
 * Each walk is linear in instructions and snapshot entries.
 */
#include "opt/passes.h"

void opt_make_nop(IRFunc *f, IRRef at)
{
    f->ins[at] = (IRIns){ .op = IR_NOP };
}

void opt_make_copy(IRFunc *f, IRRef at, IRRef r)
{
    f->ins[at] = (IRIns){ .op = IR_MOV, .type = f->ins[at].type, .arg = { r } };
}

static inline bool skip_copy(const IRFunc *f, IRRef *r)
{
    const IRIns *ins = &f->ins[*r];
    if (ins->op != IR_MOV) {
        return false;
    }
    *r = ins->arg[0];
    return true;
}

bool opt_skip_copies(IRFunc *f, IRIns *ins)
{
    unsigned nargs = ir_op_info[ins->op].nargs;
    bool any = false;
    for (unsigned i = 0; i < nargs; i++) {
        any |= skip_copy(f, &ins->arg[i]);
    }
    for (unsigned i = 0; i < ins->nvar; i++) {
        any |= skip_copy(f, &f->args[ins->arg[2] + i]);
    }
    return any;
}

void opt_skip_copies_in_snapshots(IRFunc *f)
{
    for (uint32_t i = 0; i < f->nsnap_entries; i++) {
        skip_copy(f, &f->snap_entries[i].val);
    }
}

bool opt_call_has_effects(const IRFunc *f, const IRIns *ins)
{
    return !(f->guest->helpers[ins->imm].flags & IRH_PURE);
}

void opt_run(IRFunc *f, unsigned level)
{
    if (level == 0) {
        return;
    }
    opt_forward(f);
    opt_backward(f);
}
