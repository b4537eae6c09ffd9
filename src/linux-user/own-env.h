/*
 * What one braid tells the next in the environment when it executes it for another guest program.  The guest never sees
 * these entries, and cannot set them.
 */
#ifndef LINUX_USER_OWN_ENV_H
#define LINUX_USER_OWN_ENV_H

#include <stdbool.h>

/* As what the guest executed it, which is the process's name: a script, /proc/self/exe. */
#define NAME_VARIABLE "BRAID_NAME"

/* "NAME=value" is an entry of braid's own. */
bool own_env_has(const char *entry);
/* The environment is somebody else's: forget them.  While there is one thread. */
void own_env_clear(void);

#endif
