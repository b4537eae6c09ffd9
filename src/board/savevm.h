/*
 * The state of the whole machine in a file: harts, RAM, devices, and what was written to disks with snapshot=on.
 *
 * Disk images themselves are not part of it: a state remembers when each was last written to, and is
 * refused once somebody has.
 */
#ifndef BRAID_BOARD_SAVEVM_H
#define BRAID_BOARD_SAVEVM_H

#include <stdbool.h>

/* Once, before any device is added. */
void savevm_init(void);

/*
 * On the board's thread with all harts parked, under no lock.  False: *err is a sentence, freed by the caller.
 * A file that is there already is replaced only when the new one is complete.
 */
bool savevm_save(const char *file, char **err);
/* After false the machine is as it was. */
bool savevm_load(const char *file, char **err);

#endif
