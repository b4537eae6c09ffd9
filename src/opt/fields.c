/*
 * CPU fields: what is known of them while walking forward.
 *
 * A load of a field whose value is known becomes that value, a store of the value it
 * holds becomes nothing, and so does a store that another one overwrites before anything
 * could see it: whatever may leave the unit hands the fields over, a helper may read and
 * write all. Fields belong to the thread that runs the unit (those that others write are
 * not read by LDENV), so nothing else comes between.
 */
#include "opt/passes.h"

static bool overlaps(const OptField *a, int64_t offset, IRType type)
{
    return a->offset < offset + (int64_t)ir_type_size(type) &&
           offset < a->offset + (int64_t)ir_type_size(a->type);
}

static OptField *find(OptFields *s, int64_t offset, IRType type)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (s->field[i].offset == offset && s->field[i].type == type) {
            return &s->field[i];
        }
    }
    return NULL;
}

static void add(OptFields *s, OptField field)
{
    if (s->n < OPT_FIELDS) {
        s->field[s->n++] = field;
    } else {
        s->field[s->next++ % OPT_FIELDS] = field;
    }
}

static bool visit_load(OptFields *s, IRFunc *f, IRRef at)
{
    IRIns *ins = &f->ins[at];
    IRType type = (IRType)ins->type;
    OptField *known = find(s, ins->imm, type);
    if (known) {
        opt_make_copy(f, at, known->val);
        return true;
    }
    for (unsigned i = 0; i < s->n; i++) {
        if (overlaps(&s->field[i], ins->imm, type)) {
            s->field[i].store = IR_NONE;
        }
    }
    add(s, (OptField){ .offset = ins->imm, .type = type, .val = at });
    return false;
}

static bool visit_store(OptFields *s, IRFunc *f, IRRef at)
{
    IRIns *ins = &f->ins[at];
    IRType type = ir_ref_type(f, ins->arg[0]);
    int64_t offset = ins->imm;
    OptField *known = find(s, offset, type);
    if (known && known->val == ins->arg[0]) {
        opt_make_nop(f, at);
        return true;
    }
    if (known && known->store) {
        opt_make_nop(f, known->store);
    }
    OptField field = { .offset = offset, .type = type, .val = ins->arg[0], .store = at };
    for (unsigned i = 0; i < s->n;) {
        if (overlaps(&s->field[i], offset, type)) {
            s->field[i] = s->field[--s->n];
        } else {
            i++;
        }
    }
    add(s, field);
    return false;
}

bool opt_fields_visit(OptFields *s, IRFunc *f, IRRef at)
{
    const IRIns *ins = &f->ins[at];
    if (ins->op == IR_LDENV) {
        return visit_load(s, f, at);
    }
    if (ins->op == IR_STENV) {
        return visit_store(s, f, at);
    }
    if (ins->op == IR_CALL) {
        if (opt_call_has_effects(f, ins)) {
            s->n = 0;
        }
        return false;
    }
    for (unsigned i = 0; i < s->n; i++) {
        s->field[i].store = IR_NONE;
    }
    return false;
}
