/*
 * What src/util must do around fork(), in one place: the log's and the statistics' locks
 * are taken before and given back on both sides, so that neither is caught in the middle.
 * Call util_fork_prepare() after the locks of lower rank, and the other two before giving
 * those back. Tables (Qht) and locks of other owners are theirs: mutex_reinit(),
 * spin_reinit(), qht_fork_child().
 */
#ifndef UTIL_FORK_H
#define UTIL_FORK_H

void util_fork_prepare(void);
void util_fork_parent(void);
/* Also zeroes the child's statistics: they count what this process does. */
void util_fork_child(void);

#endif
