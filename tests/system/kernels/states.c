/* Harts in all states, for whoever ends the machine (../shutdown.py); with argument FINISH hart 0 does after a while. */
#include "busy.h"

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(0);
    return 0;
}

void main(uint64_t hart, uint64_t arg)
{
    if (hart) {
        be_busy(hart);
        return;
    }
    put("up\n");
    for (uint64_t end = MTIME + MTIME % 300000; MTIME < end;) {
    }
#ifdef FINISH
    finish(3);
#endif
    spin();
}
