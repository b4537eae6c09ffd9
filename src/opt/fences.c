/*
 * Fences: neighbours with no access to memory between them become one, the first, with
 * the orderings of both; next to an atomic access that orders everything they are not
 * needed.
 *
 * A fence may move up past an exit (the path that leaves gets an ordering more), never
 * down past one: so what an atomic access that follows gives replaces a fence only if
 * nothing can leave between.
 */
#include "opt/passes.h"

static bool visit_fence(OptFences *s, IRFunc *f, IRRef at)
{
    if (s->after_atomic) {
        opt_make_nop(f, at);
        return true;
    }
    if (s->fence) {
        f->ins[s->fence].aux |= f->ins[at].aux;
        opt_make_nop(f, at);
        return true;
    }
    s->fence = at;
    s->exit_since = false;
    return false;
}

bool opt_fences_visit(OptFences *s, IRFunc *f, IRRef at)
{
    const IRIns *ins = &f->ins[at];
    switch (ins->op) {
    case IR_FENCE:
        return visit_fence(s, f, at);
    case IR_AMO: case IR_CAS:
        if (!(ins->aux & MO_PLAIN)) {
            if (s->fence && !s->exit_since) {
                opt_make_nop(f, s->fence);
            }
            *s = (OptFences){ .after_atomic = true };
            return false;
        }
        break;
    case IR_LD: case IR_ST:
        break;
    case IR_CALL:
        if (!opt_call_has_effects(f, ins)) {
            return false;
        }
        break;
    default:
        s->exit_since |= (ir_op_info[ins->op].flags & IRF_EXIT) != 0;
        return false;
    }
    *s = (OptFences){ 0 };
    return false;
}
