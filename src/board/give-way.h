/* PAUSE and WRS: harts that wait for other harts, and leave them the processors. */
#ifndef BRAID_BOARD_GIVE_WAY_H
#define BRAID_BOARD_GIVE_WAY_H

#include "board/hart.h"

/* Before the harts' threads start, which count as awake then. */
void give_way_init(unsigned nharts);
/* The hart's thread sleeps until something is asked of it, and after that. */
void give_way_asleep(void);
void give_way_awake(void);

/* The hart has executed PAUSE or (reserved) WRS.  Its own thread, outside cpu_exec(), without locks. */
void give_way(Hart *h, bool reserved);

#endif
