/*
 * A pipe for each fork.  Its ends are the forking thread's until gdb_fork_decider() has given one away; a child has
 * the same thread-local variables as its parent's thread.
 */
#include "debug/gdb-fork.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/own-fd.h"

static _Thread_local int ends[2];

static void close_own(int fd)
{
    own_fd_remove(fd);
    close(fd);
}

bool gdb_fork_open(void)
{
    if (pipe2(ends, O_CLOEXEC)) {
        return false;
    }
    ends[0] = own_fd_add(ends[0]);
    ends[1] = own_fd_add(ends[1]);
    return true;
}

int gdb_fork_decider(void)
{
    close_own(ends[0]);
    return ends[1];
}

void gdb_fork_decide(int decider, bool follow)
{
    char c = follow ? 'f' : 'd';
    /* Should it fail, the child is gone. */
    (void)!write(decider, &c, 1);
    close_own(decider);
}

bool gdb_fork_wait(void)
{
    char c = 'd';
    close_own(ends[1]);
    while (read(ends[0], &c, 1) < 0 && errno == EINTR) {
    }
    close_own(ends[0]);
    return c == 'f';
}
