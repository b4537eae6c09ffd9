/*
 * The perf map: one line a block, "start size name", appended as blocks are published.
 * Lines are written whole with one write() each, so threads need no lock.
 */
#include "debug/perfmap.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "exec/tb.h"
#include "util/own-fd.h"

static struct {
    int fd;     /* constant after perfmap_open() */
} perfmap = { -1 };

bool perfmap_open(void)
{
    char path[64];
    snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) {
        return false;
    }
    perfmap.fd = own_fd_add(fd);
    return true;
}

void perfmap_add(const TranslationBlock *tb)
{
    char line[80];
    int n = snprintf(line, sizeof(line), "%" PRIxPTR " %x guest-%" PRIx64 "\n", (uintptr_t)tb->code,
                     tb->code_size, tb->pc);
    if (write(perfmap.fd, line, n) != n) {
        return;     /* a full disk costs names in a profile, nothing else */
    }
}
