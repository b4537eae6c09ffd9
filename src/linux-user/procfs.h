/*
 * Files below /proc that speak of the calling process, as the guest expects them.
 */
#ifndef LINUX_USER_PROCFS_H
#define LINUX_USER_PROCFS_H

#include <stdbool.h>
#include <stdint.h>

/* One line of the guest's /proc/self/maps. */
typedef struct GuestMap {
    uint64_t start, end, offset;
    unsigned flags;         /* PageFlags */
    bool shared;
    unsigned long inode;    /* 0: no file */
    const char *dev, *name; /* name: empty if none */
} GuestMap;
typedef void GuestMapVisit(const GuestMap *map, void *opaque);
/* All of them, ascending, under mmap_lock.  False if the host's list cannot be read. */
bool procfs_maps_foreach(GuestMapVisit *visit, void *opaque);

/*
 * Have the host show the guest's arguments, environment, auxiliary vector and addresses in /proc/PID of this process, to
 * all that may read them.  Once the first stack is there, before there is a second thread.
 */
void procfs_publish(void);

/*
 * If `path` is one of the emulated files: a descriptor with its contents, or -errno.  -ENOSYS: it
 * is not.  flags are open(2)'s.
 */
int64_t procfs_open(const char *path, int flags);
/*
 * Where the link to the program of this or another guest process leads to, to be freed; NULL: the path is none, or it is
 * for the host to say.  The host's link would lead to braid.
 */
char *procfs_read_exe(const char *path);

/* True for an entry of /proc/self/fd or /dev/fd that is one of braid's own descriptors. */
bool procfs_hides(const char *path);
/*
 * `n` bytes of directory entries that were read from fd into guest memory at `addr`: take out what
 * procfs_hides().  Returns how many bytes are left, or -errno.
 */
int64_t procfs_filter_entries(int fd, uint64_t addr, int64_t n);

#endif
