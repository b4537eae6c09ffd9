/*
 * The words of the IR's text form, shared by printer, parser and verifier.
 */
#ifndef BRAID_IR_TEXT_H
#define BRAID_IR_TEXT_H

#include "ir/ir.h"

/* What `aux` means for an op. */
typedef enum IRAuxKind {
    IR_AUX_NONE, IR_AUX_COND, IR_AUX_ROUND, IR_AUX_FCMP, IR_AUX_MEMOP, IR_AUX_ORDER,
    IR_AUX_EXIT
} IRAuxKind;
IRAuxKind ir_aux_kind(IROp op);

/*
 * A suffix after an op's name: with `mask` bits of `aux` (or of imm) equal to `value` it
 * is printed, and reading it sets them.  Tables end with a NULL text.
 */
typedef struct IRSuffix {
    const char *text;
    uint8_t mask, value;
} IRSuffix;
/* NULL if the op has none. */
const IRSuffix *ir_aux_suffixes(IROp op);
const IRSuffix *ir_imm_suffixes(IROp op);

extern const char *const ir_type_name[IR_NTYPES];
/* What stands before a snapshot's value, with the space behind it. */
extern const char *const ir_canon_text[IR_NCANONS];

/* The type that a constant has as argument `i` (after `info->nargs`: variadic) by the
 * signature alone, or IR_VOID if the text has to say it. */
IRType ir_arg_type(const IROpInfo *info, unsigned i, IRType own, IRType previous);

#endif
