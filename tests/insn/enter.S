/* SPDX-License-Identifier: MIT
 *
 * Into a test stub and back, with every register but x31 as the test wants it.
 * Offsets are those of Context in harness.c.
 */
#include "../freestanding/guest.S"

    /* void enter(Context *ctx (a0), uint64_t stub (a1)) */
    .globl enter
enter:
    push_callee_saved
    mv      x31, a0
    mv      x30, a1
    sd      sp, 568(x31)
    load_state x=576, f=832, fcsr=1088
    jr      x30             /* the stub loads x30 itself */

    /* Where the signal handler continues a test that was interrupted for good. */
    .globl fault_stub
fault_stub:
    sd      x30, 240(x31)
    sd      x29, 232(x31)
    li      x30, 3

    /* Stubs end here: x29 and x30 are saved, x30 is the outcome. */
    .globl common
common:
    store_state x=0, f=256, fcsr=512
    sd      x30, 520(x31)
    ld      sp, 568(x31)
    pop_callee_saved
    ret
