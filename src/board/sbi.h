/* The firmware that is built in: RISC-V's Supervisor Binary Interface 2.0, for machines without -bios. */
#ifndef BRAID_BOARD_SBI_H
#define BRAID_BOARD_SBI_H

#include "board/chardev.h"
#include "board/dev/uart.h"
#include "board/hart.h"

/* The console of the debug console and legacy extensions. */
void sbi_init(Chardev *console, UART *uart);
/* Carry out the call whose arguments are in a0-a7, answer in a0 and a1.  The hart's own thread, outside
   of guest code, no locks held. */
void sbi_call(Hart *h);

#endif
