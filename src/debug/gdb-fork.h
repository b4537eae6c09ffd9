/*
 * Between parent and child of a fork that gdb is told of: the child waits until gdb has said whom it follows.
 */
#ifndef BRAID_DEBUG_GDB_FORK_H
#define BRAID_DEBUG_GDB_FORK_H

#include <stdbool.h>

/* Before the fork, by the forking thread; false: there are no descriptors for it. */
bool gdb_fork_open(void);
/* In the parent, by the same thread: the end by which the child learns the decision. */
int gdb_fork_decider(void);
/* Any thread of the parent, once.  With `follow` the child takes over the connection. */
void gdb_fork_decide(int decider, bool follow);
/* In the child.  False also if the parent ended without a decision. */
bool gdb_fork_wait(void);

#endif
