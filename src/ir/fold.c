#include "ir/fold.h"
IRRef ir_fold(IRFunc *f, IRBuilder *b, IRIns *ins)
{
    return IR_NONE;
}
