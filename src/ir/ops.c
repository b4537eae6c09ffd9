/*
 * The table of ops, expanded from opcodes.def, and the algebra of conditions.  Constant
 * data and pure functions.
 */
#include "ir/ir.h"

enum {
    PURE = IRF_PURE,
    COMM = IRF_COMM,
    LOAD = IRF_LOAD,
    STORE = IRF_STORE,
    ENVRD = IRF_ENVRD,
    ENVWR = IRF_ENVWR,
    FAULT = IRF_FAULT,
    EXIT = IRF_EXIT,
    TERM = IRF_TERM,
    FPSTAT = IRF_FPSTAT,
    BARRIER = IRF_BARRIER,
};

#define VARIADIC(op) ((op) == IR_CALL || (op) == IR_JUMP || (op) == IR_BR)

const IROpInfo ir_op_info[IR_NOPS] = {
#define OP(en, text, signature, fl, what)                                                \
    [IR_##en] = { .name = text, .sig = signature, .flags = fl,                           \
                  .nargs = sizeof(signature) - 2 - VARIADIC(IR_##en),                    \
                  .variadic = VARIADIC(IR_##en), .doc = what },
#include "ir/opcodes.def"
#undef OP
};

IRCond ir_cond_swap(IRCond c)
{
    static const uint8_t swapped[IR_NCONDS] = {
        [IR_EQ] = IR_EQ,   [IR_NE] = IR_NE,   [IR_LT] = IR_GT,   [IR_GE] = IR_LE,
        [IR_LTU] = IR_GTU, [IR_GEU] = IR_LEU, [IR_LE] = IR_GE,   [IR_GT] = IR_LT,
        [IR_LEU] = IR_GEU, [IR_GTU] = IR_LTU,
    };
    return (IRCond)swapped[c];
}

bool ir_cond_eval(IRCond c, uint64_t a, uint64_t b, IRType type)
{
    unsigned up = 64 - 8 * ir_type_size(type);
    uint64_t ua = a << up, ub = b << up;
    int64_t sa = (int64_t)ua, sb = (int64_t)ub;
    switch (c) {
    case IR_EQ: return ua == ub;
    case IR_NE: return ua != ub;
    case IR_LT: return sa < sb;
    case IR_GE: return sa >= sb;
    case IR_LTU: return ua < ub;
    case IR_GEU: return ua >= ub;
    case IR_LE: return sa <= sb;
    case IR_GT: return sa > sb;
    case IR_LEU: return ua <= ub;
    case IR_GTU: return ua > ub;
    default: return false;
    }
}
