/* A serial port: National Semiconductor's 16550A. */
#ifndef BRAID_BOARD_DEV_UART_H
#define BRAID_BOARD_DEV_UART_H

#include "board/chardev.h"
#include "board/device.h"
#include "board/irq.h"
#include "mem/memory.h"

typedef struct UART UART;

extern const MMIOOps uart_ops;  /* opaque: the UART */

/* Attaches itself to the chardev. */
UART *uart_create(IRQLine irq, Chardev *chardev);
extern const DeviceClass uart_class;
void uart_reset(UART *u);
/* A byte that was received, -1 if there is none: for the firmware's console. */
int uart_take_byte(UART *u);

#endif
