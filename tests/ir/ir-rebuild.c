/* Emits a unit again through the builder.  Snapshots are carried over entry by entry. */
#include "ir-rebuild.h"

#include "ir/append.h"

static uint32_t map_snapshot(IRFunc *to, const IRFunc *from, uint32_t snap,
                             const IRRef *map)
{
    IRSnapEntry entries[IR_MAX_REGS];
    const IRSnap *s = &from->snaps[snap];
    for (uint32_t i = 0; i < s->count; i++) {
        entries[i] = from->snap_entries[s->first + i];
        entries[i].val = map[entries[i].val];
    }
    uint32_t n = ir_append_snap(to, s->pc, s->count, entries);
    to->snaps[n].owed = s->owed;
    return n;
}

static IRRef copy_ins(IRBuilder *b, const IRFunc *from, IRRef at, const IRRef *map)
{
    IRIns ins = from->ins[at];
    const IROpInfo *info = &ir_op_info[ins.op];
    ins.snap = ins.snap ? map_snapshot(b->f, from, ins.snap, map) : 0;
    for (unsigned i = 0; i < info->nargs; i++) {
        ins.arg[i] = map[ins.arg[i]];
    }
    if (ins.op == IR_CONST) {
        return ir_const(b, (IRType)ins.type, (uint64_t)ins.imm);
    }
    if (ins.op == IR_PARAM) {
        return ir_param(b, (IRType)ins.type);
    }
    if (info->variadic || ins.op == IR_GETREG) {
        uint32_t first = b->f->nargs;
        for (unsigned i = 0; i < ins.nvar; i++) {
            IRRef a = map[from->args[ins.arg[2] + i]];
            ir_append_args(b->f, 1, &a);
        }
        ins.arg[2] = info->variadic ? first : 0;
        return ir_append(b->f, &ins);
    }
    return ir_emit_snap(b, ins.snap, (IROp)ins.op, (IRType)ins.type, ins.aux, ins.arg[0],
                        ins.arg[1], ins.arg[2], ins.imm);
}

void ir_rebuild(IRFunc *f)
{
    IRFunc from = *f;
    IRBuilder b;
    IRRef *map = arena_array(f->arena, IRRef, from.nins);
    ir_func_init(f, from.guest, from.arena, from.pc);
    ir_builder_init(&b, f);
    for (uint32_t n = 0; n < from.nblocks; n++) {
        if (n) {
            ir_append_block(f);
        }
        for (IRRef at = from.blocks[n].first; at < from.blocks[n].end; at++) {
            if (from.ins[at].op != IR_NOP) {
                map[at] = copy_ins(&b, &from, at, map);
            }
        }
    }
    ir_func_finish(&b);
}
