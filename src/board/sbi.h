/* The firmware that is built in: RISC-V's Supervisor Binary Interface 2.0, for machines without -bios. */
#ifndef BRAID_BOARD_SBI_H
#define BRAID_BOARD_SBI_H

#include "board/chardev.h"
#include "board/dev/uart.h"
#include "board/hart.h"

/* "Binary Encoding": what a call returns in a0 */
enum {
    SBI_SUCCESS = 0,
    SBI_ERR_FAILED = -1,
    SBI_ERR_NOT_SUPPORTED = -2,
    SBI_ERR_INVALID_PARAM = -3,
    SBI_ERR_DENIED = -4,
    SBI_ERR_INVALID_ADDRESS = -5,
    SBI_ERR_ALREADY_AVAILABLE = -6,
    SBI_ERR_ALREADY_STARTED = -7,
    SBI_ERR_ALREADY_STOPPED = -8,
    SBI_ERR_NO_SHMEM = -9,
};

/* The console of the debug console and legacy extensions. */
void sbi_init(Chardev *console, UART *uart);
/* Carry out the call whose arguments are in a0-a7, answer in a0 and a1.  The hart's own thread, outside
   of guest code, no locks held. */
void sbi_call(Hart *h);

#endif
