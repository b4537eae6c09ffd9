/*
 * Tables of the IR's text form.  Constant data and pure functions.
 */
#include "ir/text.h"

const char *const ir_canon_text[IR_NCANONS] = {
    [IR_CANON_NONE] = "",
    [IR_CANON_F64] = "canon ",
    [IR_CANON_BOXED_F32] = "canon32 ",
};

const char *const ir_type_name[IR_NTYPES] = {
    [IR_VOID] = "void", [IR_I8] = "i8",   [IR_I16] = "i16", [IR_I32] = "i32",
    [IR_I64] = "i64",   [IR_F32] = "f32", [IR_F64] = "f64", [IR_V128] = "v128",
};

IRAuxKind ir_aux_kind(IROp op)
{
    switch (op) {
    case IR_SETCC: case IR_EXITIF: case IR_BR: return IR_AUX_COND;
    case IR_FADD: case IR_FSUB: case IR_FMUL: case IR_FDIV: case IR_FSQRT: case IR_FMA:
    case IR_FCVT: case IR_FTOI: case IR_ITOF: return IR_AUX_ROUND;
    case IR_FCMP: return IR_AUX_FCMP;
    case IR_LD: case IR_ST: case IR_AMO: case IR_CAS: return IR_AUX_MEMOP;
    case IR_FENCE: return IR_AUX_ORDER;
    case IR_EXIT: case IR_EXITIND: return IR_AUX_EXIT;
    default: return IR_AUX_NONE;
    }
}

#define ALL 255

static const IRSuffix cond_suffixes[] = {
    { "eq", ALL, IR_EQ },
    { "ne", ALL, IR_NE },
    { "lt", ALL, IR_LT },
    { "ge", ALL, IR_GE },
    { "ltu", ALL, IR_LTU },
    { "geu", ALL, IR_GEU },
    { "le", ALL, IR_LE },
    { "gt", ALL, IR_GT },
    { "leu", ALL, IR_LEU },
    { "gtu", ALL, IR_GTU },
    { 0 },
};

/* The CPU's own mode goes without saying. */
static const IRSuffix round_suffixes[] = {
    { "rne", ALL, IR_RM_RNE }, { "rtz", ALL, IR_RM_RTZ }, { "rdn", ALL, IR_RM_RDN },
    { "rup", ALL, IR_RM_RUP }, { 0 },
};

static const IRSuffix fcmp_suffixes[] = {
    { "eq", ALL, IR_FEQ }, { "lt", ALL, IR_FLT }, { "le", ALL, IR_FLE }, { 0 },
};

#define SIZE_SIGN (MO_SIZE | MO_SIGN)
static const IRSuffix memop_suffixes[] = {
    { "u8", SIZE_SIGN, MO_8 },            { "u16", SIZE_SIGN, MO_16 },
    { "u32", SIZE_SIGN, MO_32 },          { "u64", SIZE_SIGN, MO_64 },
    { "u128", SIZE_SIGN, MO_128 },        { "s8", SIZE_SIGN, MO_8 | MO_SIGN },
    { "s16", SIZE_SIGN, MO_16 | MO_SIGN }, { "s32", SIZE_SIGN, MO_32 | MO_SIGN },
    { "s64", SIZE_SIGN, MO_64 | MO_SIGN }, { "align", MO_ALIGN, MO_ALIGN },
    { "plain", MO_PLAIN, MO_PLAIN },      { "backoff", MO_BACKOFF, MO_BACKOFF },
    { 0 },
};

static const IRSuffix order_suffixes[] = {
    { "rr", IR_ORD_RR, IR_ORD_RR }, { "rw", IR_ORD_RW, IR_ORD_RW },
    { "wr", IR_ORD_WR, IR_ORD_WR }, { "ww", IR_ORD_WW, IR_ORD_WW }, { 0 },
};

static const IRSuffix exit_suffixes[] = {
    { "jump", ALL, IR_EXIT_JUMP },     { "call", ALL, IR_EXIT_CALL },
    { "ret", ALL, IR_EXIT_RET },       { "reason", ALL, IR_EXIT_REASON },
    { "lookup", ALL, IR_EXIT_LOOKUP }, { 0 },
};

static const IRSuffix amo_suffixes[] = {
    { "swap", ALL, IR_AMO_SWAP }, { "add", ALL, IR_AMO_ADD },
    { "and", ALL, IR_AMO_AND },   { "or", ALL, IR_AMO_OR },
    { "xor", ALL, IR_AMO_XOR },   { "min", ALL, IR_AMO_MIN },
    { "max", ALL, IR_AMO_MAX },   { "minu", ALL, IR_AMO_MINU },
    { "maxu", ALL, IR_AMO_MAXU }, { 0 },
};

static const IRSuffix fma_suffixes[] = { { "negp", 1, 1 }, { "negc", 2, 2 }, { 0 } };
static const IRSuffix unsigned_suffixes[] = { { "u", 1, 1 }, { 0 } };

const IRSuffix *ir_aux_suffixes(IROp op)
{
    static const IRSuffix *const table[] = {
        [IR_AUX_COND] = cond_suffixes,   [IR_AUX_ROUND] = round_suffixes,
        [IR_AUX_FCMP] = fcmp_suffixes,   [IR_AUX_MEMOP] = memop_suffixes,
        [IR_AUX_ORDER] = order_suffixes, [IR_AUX_EXIT] = exit_suffixes,
    };
    return table[ir_aux_kind(op)];
}

const IRSuffix *ir_imm_suffixes(IROp op)
{
    switch (op) {
    case IR_AMO: return amo_suffixes;
    case IR_FMA: return fma_suffixes;
    case IR_FTOI: case IR_ITOF: return unsigned_suffixes;
    default: return NULL;
    }
}

IRType ir_arg_type(const IROpInfo *info, unsigned i, IRType own, IRType previous)
{
    switch (i < info->nargs ? info->sig[1 + i] : '*') {
    case 'T': case 'F': case 'X': return own;
    case 'L': return IR_I64;
    case 'W': return IR_I32;
    case '=': return previous;
    default: return IR_VOID;
    }
}
