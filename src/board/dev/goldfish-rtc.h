/* Goldfish RTC: the time of day in nanoseconds, and an alarm. */
#ifndef BRAID_BOARD_DEV_GOLDFISH_RTC_H
#define BRAID_BOARD_DEV_GOLDFISH_RTC_H

#include "board/device.h"
#include "board/irq.h"
#include "mem/memory.h"

typedef struct GoldfishRTC GoldfishRTC;

extern const MMIOOps goldfish_rtc_ops;  /* opaque: the GoldfishRTC */

GoldfishRTC *goldfish_rtc_create(IRQLine irq);
extern const DeviceClass goldfish_rtc_class;
void goldfish_rtc_reset(GoldfishRTC *r);

#endif
