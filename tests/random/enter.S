/* SPDX-License-Identifier: MIT
 *
 * Into a fragment and back.  Offsets from M are those of Context in harness.c.
 * A fragment is entered with x31 = M; its prologue moves that to the base register it uses and loads
 * x30 and x31.  Its epilogue stores these two and comes to `common` with x31 = M.
 */
#include "../freestanding/guest.S"

    /* void enter(unsigned long m (a0), unsigned long entry (a1)) */
    .globl enter
enter:
    push_callee_saved
    mv      x31, a0
    mv      x30, a1
    sd      sp, -1528(x31)
    load_state x=-2048, f=-1792, fcsr=-1536
    jr      x30

    .globl common
common:
    sd      x29, -2048 + 8 * 29(x31)
    store_state x=-2048, f=-1792, fcsr=-1536
    ld      sp, -1528(x31)
    pop_callee_saved
    ret
