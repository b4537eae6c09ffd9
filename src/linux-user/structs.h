/*
 * Structures of asm-generic Linux that the host lays out in its own way.  Everything that is not
 * here has the same layout on both sides; tests/linux-user/ holds both to the kernel's headers.
 */
#ifndef LINUX_USER_STRUCTS_H
#define LINUX_USER_STRUCTS_H

#include <stdint.h>

/* The guest's struct sigaction without its size: no guest of ours has a restorer. */
typedef struct GuestSigaction {
    uint64_t handler;       /* or 0 (SIG_DFL), 1 (SIG_IGN) */
    uint64_t flags;
    uint64_t mask;
} GuestSigaction;

/* The guest's alternate stack, as sigaltstack(2) has it. */
typedef struct GuestStack {
    uint64_t sp;
    int32_t flags;
    int32_t pad;
    uint64_t size;
} GuestStack;

/* asm-generic's struct stat. */
typedef struct GuestStat {
    uint64_t dev, ino;
    uint32_t mode, nlink, uid, gid;
    uint64_t rdev, pad1;
    int64_t size;
    int32_t blksize, pad2;
    int64_t blocks;
    int64_t atime;
    uint64_t atime_nsec;
    int64_t mtime;
    uint64_t mtime_nsec;
    int64_t ctime;
    uint64_t ctime_nsec;
    uint32_t unused[2];
} GuestStat;
_Static_assert(sizeof(GuestStat) == 128, "asm-generic/stat.h");

/* struct epoll_event, which the host packs. */
typedef struct GuestEpollEvent {
    uint32_t events, pad;
    uint64_t data;
} GuestEpollEvent;

/* asm-generic's struct semid64_ds; ipc64_perm is the same on both sides. */
typedef struct GuestSemid {
    uint8_t perm[48];
    int64_t otime, ctime;
    uint64_t nsems, unused[2];
} GuestSemid;

#endif
