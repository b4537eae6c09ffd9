/*
 * fork() and the two subsystems of util that have state of their own. In rank order: the
 * log before the statistics.
 */
#include "util/fork.h"

#include "util/log.h"
#include "util/stats.h"

void util_fork_prepare(void)
{
    log_fork_prepare();
    stats_fork_prepare();
}

void util_fork_parent(void)
{
    stats_fork_parent();
    log_fork_parent();
}

void util_fork_child(void)
{
    stats_fork_child();
    log_fork_child();
}
