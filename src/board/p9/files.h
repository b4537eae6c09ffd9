/*
 * The host's side of a shared folder: every file is reached from the folder's descriptor by single names.
 *
 * What keeps a guest inside: a file is a descriptor opened with O_PATH; from a folder's descriptor one name at a time is
 * followed, never a link (O_NOFOLLOW), never a '/', and ".." only while it leads to the shared folder again. Links
 * are the guest's to follow: it gets their text. Nobody can put a link in the place of a name between a check and a
 * use, for there is no second look-up of a name. Only regular files and folders are opened for reading and
 * writing: a device node or FIFO in the folder is something to look at.
 *
 * All functions return 0 or an errno.
 */
#ifndef BRAID_BOARD_P9_FILES_H
#define BRAID_BOARD_P9_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* A name that can stand in a folder: not empty, no '/', neither "." nor "..". */
bool file_name_is_good(const char *name);

/* The file of this name, or "." or ".."; `root` is the shared folder. */
int file_walk(int root, int folder, const char *name, int *out);
int file_stat(int file, struct stat *st);
/* For reading and writing, with the flags of open() among O_ACCMODE, O_TRUNC, O_APPEND, O_DSYNC, O_SYNC, O_DIRECTORY. */
int file_open(int file, int flags, int *out);
/* The same for a name that may be new.  *file is the file as O_PATH. */
int file_create(int folder, const char *name, int flags, mode_t mode, bool exclusive, int *out, int *file);
/* Give the file of this name, just made, the mode it was asked to have, whatever the umask. */
int file_fix_mode(int folder, const char *name, mode_t mode, struct stat *st);
int file_chmod(int file, mode_t mode);
int file_truncate(int file, uint64_t size);
int file_set_times(int file, const struct timespec times[2]);
int file_link(int file, int folder, const char *name);
/* Extended attributes of the name space "user.", and the list of them; *n is the room, then the length. */
int file_get_xattr(int file, const char *name, void *value, size_t *n);
int file_list_xattr(int file, char *names, size_t *n);
int file_set_xattr(int file, const char *name, const void *value, size_t n, int flags);

#endif
