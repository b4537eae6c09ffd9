/*
 * The 9P2000.L server: fids, and a function for each message.
 *
 * A fid is a file by its descriptor (O_PATH), and when it is open a second descriptor for reading and writing; or an
 * extended attribute, whole in memory.  A message's function returns an errno, and has written the answer's
 * body if that is 0.  Messages are served one after the other, so Tflush finds nothing to cancel.
 */
#include "board/p9/p9.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "board/p9/files.h"
#include "board/p9/message.h"
#include "util/error.h"
#include "util/log.h"
#include "util/strutil.h"

#define FID_BUCKETS 1024u
#define MAX_FIDS 65536u
#define MAX_XATTR 65536u
#define MAX_WALK 16u
#define NO_FID 0xffffffffu
enum { R_ERROR = 7 };
enum { P9_CREATE = 0100, P9_EXCL = 0200, P9_TRUNC = 01000, P9_APPEND = 02000, P9_DSYNC = 010000,
       P9_DIRECTORY = 0200000, P9_SYNC = 04000000 };
enum { SET_MODE = 1, SET_UID = 2, SET_GID = 4, SET_SIZE = 8, SET_ATIME = 0x10, SET_MTIME = 0x20, SET_ATIME_TO = 0x80,
       SET_MTIME_TO = 0x100 };
enum { AT_REMOVE_DIRECTORY = 0x200 };
enum { XATTR_NONE, XATTR_READ, XATTR_WRITE };

typedef struct Fid {
    struct Fid *next;
    uint32_t number;
    int file;                   /* O_PATH */
    int open;                   /* for reading and writing; -1: not open */
    bool writable;
    /* an extended attribute of the file */
    int xattr;                  /* XATTR_... */
    uint8_t *value;
    size_t size;
    char *name;
    int flags;
} Fid;

struct P9Server {
    P9Options options;          /* constant */
    int root;                   /* constant */
    unsigned max_fids;          /* constant */
    uint32_t max_size;          /* of a message, as agreed on */
    Fid *fids[FID_BUCKETS];
    unsigned nfids;
    uint64_t changes;
};

/* ---- Fids ---- */

static Fid **fid_slot(P9Server *s, uint32_t number)
{
    Fid **f = &s->fids[number % FID_BUCKETS];
    while (*f && (*f)->number != number) {
        f = &(*f)->next;
    }
    return f;
}

static Fid *fid_find(P9Server *s, P9Reader *in)
{
    return *fid_slot(s, p9_get32(in));
}

/* Takes over the descriptor, also when it fails. */
static int fid_add(P9Server *s, uint32_t number, int file)
{
    Fid **slot = fid_slot(s, number);
    if (number == NO_FID || *slot || s->nfids >= s->max_fids) {
        close(file);
        return number == NO_FID || *slot ? EINVAL : ENFILE;
    }
    *slot = xcalloc(1, sizeof(Fid));
    **slot = (Fid){ .number = number, .file = file, .open = -1 };
    s->nfids++;
    s->changes++;
    return 0;
}

/* Returns what setting an extended attribute came to. */
static int fid_remove(P9Server *s, Fid **slot)
{
    Fid *f = *slot;
    int r = f->xattr == XATTR_WRITE ? file_set_xattr(f->file, f->name, f->value, f->size, f->flags) : 0;
    *slot = f->next;
    close(f->file);
    if (f->open >= 0) {
        close(f->open);
    }
    free(f->value);
    free(f->name);
    free(f);
    s->nfids--;
    s->changes++;
    return r;
}

void p9_reset(P9Server *s)
{
    for (unsigned i = 0; i < FID_BUCKETS; i++) {
        while (s->fids[i]) {
            s->fids[i]->xattr = XATTR_NONE;
            fid_remove(s, &s->fids[i]);
        }
    }
    s->max_size = P9_MAX_SIZE;
}

uint64_t p9_stamp(const P9Server *s)
{
    return s->nfids ? (uint64_t)(uint32_t)getpid() << 32 ^ s->changes : 0;
}

/* ---- Pieces of messages ---- */

static void put_qid(P9Writer *out, const struct stat *st)
{
    uint32_t version = (uint32_t)st->st_mtim.tv_sec ^ (uint32_t)st->st_mtim.tv_nsec ^ (uint32_t)(st->st_size << 8);
    p9_put_qid(out, st->st_mode, st->st_ino, st->st_dev, version);
}

static int put_qid_of(P9Writer *out, int file)
{
    struct stat st;
    int r = file_stat(file, &st);
    if (!r) {
        put_qid(out, &st);
    }
    return r;
}

/* A fid and a name in it for something new, or to go.  0: both are good, and may be changed. */
static int get_place(P9Server *s, P9Reader *in, Fid **folder, char name[P9_NAME_MAX + 1])
{
    *folder = fid_find(s, in);
    p9_get_string(in, name, P9_NAME_MAX + 1);
    if (in->bad || !file_name_is_good(name)) {
        return EINVAL;
    }
    return !*folder ? EBADF : s->options.readonly ? EROFS : 0;
}

static int host_flags(uint32_t flags)
{
    return (int)(flags & O_ACCMODE) | (flags & P9_TRUNC ? O_TRUNC : 0) | (flags & P9_APPEND ? O_APPEND : 0) |
           (flags & P9_DSYNC ? O_DSYNC : 0) | ((flags & P9_SYNC) == P9_SYNC ? O_SYNC : 0) |
           (flags & P9_DIRECTORY ? O_DIRECTORY : 0);
}

static bool wants_write(uint32_t flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || (flags & P9_TRUNC);
}

/* ---- Sessions ---- */

static int do_version(P9Server *s, P9Reader *in, P9Writer *out)
{
    char version[32];
    uint32_t size = p9_get32(in);
    p9_get_string(in, version, sizeof(version));
    bool known = !in->bad && !strcmp(version, "9P2000.L");
    if (size < P9_MIN_SIZE) {
        return EINVAL;
    }
    p9_reset(s);
    s->max_size = size < P9_MAX_SIZE ? size : P9_MAX_SIZE;
    p9_put32(out, s->max_size);
    p9_put_string(out, known ? "9P2000.L" : "unknown", known ? 8 : 7);
    in->bad = false;            /* an unknown version may be of any length */
    return 0;
}

static int do_attach(P9Server *s, P9Reader *in, P9Writer *out)
{
    char user[P9_NAME_MAX + 1], tree[P9_TEXT_MAX + 1];
    uint32_t fid = p9_get32(in);
    p9_get32(in);               /* no authentication */
    p9_get_string(in, user, sizeof(user));
    p9_get_string(in, tree, sizeof(tree));
    p9_get32(in);
    if (in->bad) {
        return EINVAL;
    }
    if (*tree && strcmp(tree, "/")) {
        return ENOENT;
    }
    int fd = fcntl(s->root, F_DUPFD_CLOEXEC, 0);
    int r = fd < 0 ? errno : fid_add(s, fid, fd);
    return r ? r : put_qid_of(out, s->root);
}

static int do_auth(P9Server *s, P9Reader *in, P9Writer *out)
{
    return EOPNOTSUPP;
}

static int do_flush(P9Server *s, P9Reader *in, P9Writer *out)
{
    p9_get16(in);
    return 0;
}

static int do_clunk(P9Server *s, P9Reader *in, P9Writer *out)
{
    Fid **slot = fid_slot(s, p9_get32(in));
    return *slot ? fid_remove(s, slot) : EBADF;
}

/* Removing by fid, which would need the name: renameat and unlinkat are there.  It closes the fid all the same. */
static int do_remove(P9Server *s, P9Reader *in, P9Writer *out)
{
    Fid **slot = fid_slot(s, p9_get32(in));
    if (!*slot) {
        return EBADF;
    }
    fid_remove(s, slot);
    return EOPNOTSUPP;
}

static int do_walk(P9Server *s, P9Reader *in, P9Writer *out)
{
    char name[P9_NAME_MAX + 1];
    Fid *from = fid_find(s, in);
    uint32_t to = p9_get32(in);
    unsigned n = p9_get16(in), done = 0;
    int r = 0;
    if (in->bad || !from || n > MAX_WALK || from->xattr ||
        (from->number != to && *fid_slot(s, to))) {
        return in->bad || from ? EINVAL : EBADF;
    }
    int file = fcntl(from->file, F_DUPFD_CLOEXEC, 0);
    if (file < 0) {
        return errno;
    }
    uint8_t *count = p9_room(out, 2);
    for (int next; done < n; done++, file = next) {
        p9_get_string(in, name, sizeof(name));
        r = in->bad ? EINVAL : file_walk(s->root, file, name, &next);
        if (r) {
            break;
        }
        close(file);
        put_qid_of(out, next);
    }
    if (count) {
        memcpy(count, &(uint16_t){ (uint16_t)done }, 2);
    }
    if (done < n || in->bad) {
        close(file);
        return done ? 0 : r;    /* some of the way: the names that were found, and no new fid */
    }
    if (from->number == to) {
        fid_remove(s, fid_slot(s, to));
    }
    return fid_add(s, to, file);
}

/* ---- Attributes ---- */

static int do_statfs(P9Server *s, P9Reader *in, P9Writer *out)
{
    struct statfs st;
    Fid *f = fid_find(s, in);
    if (!f || fstatfs(f->file, &st)) {
        return f ? errno : EBADF;
    }
    p9_put32(out, (uint32_t)st.f_type);
    p9_put32(out, (uint32_t)st.f_bsize);
    p9_put64(out, st.f_blocks);
    p9_put64(out, st.f_bfree);
    p9_put64(out, st.f_bavail);
    p9_put64(out, st.f_files);
    p9_put64(out, st.f_ffree);
    p9_put64(out, (uint32_t)st.f_fsid.__val[0] | (uint64_t)(uint32_t)st.f_fsid.__val[1] << 32);
    p9_put32(out, (uint32_t)st.f_namelen);
    return 0;
}

static void put_time(P9Writer *out, const struct timespec *t)
{
    p9_put64(out, (uint64_t)t->tv_sec);
    p9_put64(out, (uint64_t)t->tv_nsec);
}

static int do_getattr(P9Server *s, P9Reader *in, P9Writer *out)
{
    enum { BASIC = 0x7ff };     /* mode to blocks; neither birth time nor generation */
    static const struct timespec unknown;
    struct stat st;
    Fid *f = fid_find(s, in);
    p9_get64(in);
    int r = f ? file_stat(f->file, &st) : EBADF;
    if (r) {
        return r;
    }
    p9_put64(out, BASIC);
    put_qid(out, &st);
    p9_put32(out, st.st_mode);
    p9_put32(out, st.st_uid);
    p9_put32(out, st.st_gid);
    p9_put64(out, st.st_nlink);
    p9_put64(out, st.st_rdev);
    p9_put64(out, (uint64_t)st.st_size);
    p9_put64(out, (uint64_t)st.st_blksize);
    p9_put64(out, (uint64_t)st.st_blocks);
    put_time(out, &st.st_atim);
    put_time(out, &st.st_mtim);
    put_time(out, &st.st_ctim);
    put_time(out, &unknown);
    p9_put64(out, 0);
    p9_put64(out, 0);
    return 0;
}

static struct timespec get_time(P9Reader *in, uint32_t valid, uint32_t set, uint32_t set_to)
{
    struct timespec t;
    t.tv_sec = (time_t)p9_get64(in);
    t.tv_nsec = (long)p9_get64(in);
    if (!(valid & set)) {
        t.tv_nsec = UTIME_OMIT;
    } else if (!(valid & set_to)) {
        t.tv_nsec = UTIME_NOW;
    } else if (t.tv_nsec < 0 || t.tv_nsec > 999999999) {
        in->bad = true;
    }
    return t;
}

static int change_owner(const P9Server *s, const Fid *f, uint32_t valid, uid_t uid, gid_t gid)
{
    uid = valid & SET_UID ? uid : (uid_t)-1;
    gid = valid & SET_GID ? gid : (gid_t)-1;
    bool good = !fchownat(f->file, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
    return good || !s->options.strict_owner ? 0 : errno;
}

static int do_setattr(P9Server *s, P9Reader *in, P9Writer *out)
{
    Fid *f = fid_find(s, in);
    uint32_t valid = p9_get32(in), mode = p9_get32(in), uid = p9_get32(in), gid = p9_get32(in);
    uint64_t size = p9_get64(in);
    struct timespec times[2] = { get_time(in, valid, SET_ATIME, SET_ATIME_TO) };
    times[1] = get_time(in, valid, SET_MTIME, SET_MTIME_TO);
    int r = 0;
    if (in->bad || !f || s->options.readonly) {
        return in->bad ? EINVAL : !f ? EBADF : EROFS;
    }
    if (valid & (SET_UID | SET_GID)) {
        r = change_owner(s, f, valid, uid, gid);
    }
    if (!r && (valid & SET_MODE)) {
        r = file_chmod(f->file, mode);      /* after the owner, whose change may take bits away */
    }
    if (!r && (valid & SET_SIZE)) {
        r = file_truncate(f->file, size);
    }
    if (!r && (valid & (SET_ATIME | SET_MTIME))) {
        r = file_set_times(f->file, times);
    }
    return r;
}

static int do_readlink(P9Server *s, P9Reader *in, P9Writer *out)
{
    char text[P9_TEXT_MAX + 1];
    Fid *f = fid_find(s, in);
    ssize_t n = f ? readlinkat(f->file, "", text, sizeof(text)) : 0;
    if (!f || n < 0) {
        return f ? (errno == ENOENT ? EINVAL : errno) : EBADF;
    }
    p9_put_string(out, text, (size_t)n);
    return 0;
}

/* ---- Opening, reading and writing ---- */

static int do_lopen(P9Server *s, P9Reader *in, P9Writer *out)
{
    Fid *f = fid_find(s, in);
    uint32_t flags = p9_get32(in);
    if (in->bad || !f || f->open >= 0 || f->xattr) {
        return in->bad || f ? EINVAL : EBADF;
    }
    if (s->options.readonly && wants_write(flags)) {
        return EROFS;
    }
    int r = file_open(f->file, host_flags(flags), &f->open);
    if (r) {
        f->open = -1;
        return r;
    }
    f->writable = (flags & O_ACCMODE) != O_RDONLY;
    s->changes++;
    r = put_qid_of(out, f->file);
    p9_put32(out, 0);           /* as much at once as a message holds */
    return r;
}

static int do_lcreate(P9Server *s, P9Reader *in, P9Writer *out)
{
    char name[P9_NAME_MAX + 1];
    Fid *f;
    int open, file, r = get_place(s, in, &f, name);
    uint32_t flags = p9_get32(in), mode = p9_get32(in);
    p9_get32(in);
    if (r || in->bad || f->open >= 0 || f->xattr) {
        return r ? r : EINVAL;
    }
    r = file_create(f->file, name, host_flags(flags), mode, flags & P9_EXCL, &open, &file);
    if (r) {
        return r;
    }
    close(f->file);
    f->file = file;
    f->open = open;
    f->writable = (flags & O_ACCMODE) != O_RDONLY;
    s->changes++;
    r = put_qid_of(out, f->file);
    p9_put32(out, 0);
    return r;
}

/* Room for the data of an answer, behind its length: at most `count` and what the answer can hold. */
static uint8_t *data_room(P9Writer *out, uint32_t *count)
{
    size_t left = out->room - out->n;
    if (left < 4) {
        out->full = true;
        return NULL;
    }
    *count = *count < left - 4 ? *count : (uint32_t)(left - 4);
    return out->start + out->n + 4;
}

static void put_data(P9Writer *out, size_t n)
{
    p9_put32(out, (uint32_t)n);
    p9_room(out, n);
}

static int do_read(P9Server *s, P9Reader *in, P9Writer *out)
{
    Fid *f = fid_find(s, in);
    uint64_t offset = p9_get64(in);
    uint32_t count = p9_get32(in);
    uint8_t *to = data_room(out, &count);
    if (in->bad || !f || !to) {
        return in->bad || f ? EINVAL : EBADF;
    }
    if (f->xattr == XATTR_READ) {
        size_t n = offset < f->size ? f->size - offset : 0;
        n = n < count ? n : count;
        if (n) {
            memcpy(to, f->value + offset, n);
        }
        put_data(out, n);
        return 0;
    }
    ssize_t n = f->open >= 0 ? pread(f->open, to, count, (off_t)offset) : -1;
    if (n < 0) {
        return f->open >= 0 ? errno : EBADF;
    }
    put_data(out, (size_t)n);
    return 0;
}

static int write_xattr(Fid *f, uint64_t offset, const uint8_t *data, uint32_t count)
{
    if (offset > f->size || count > f->size - offset) {
        return ENOSPC;
    }
    if (count) {
        memcpy(f->value + offset, data, count);
    }
    return 0;
}

static int do_write(P9Server *s, P9Reader *in, P9Writer *out)
{
    Fid *f = fid_find(s, in);
    uint64_t offset = p9_get64(in);
    uint32_t count = p9_get32(in);
    const uint8_t *data = p9_take(in, count);
    if (in->bad || !f) {
        return in->bad ? EINVAL : EBADF;
    }
    if (f->xattr == XATTR_WRITE) {
        p9_put32(out, count);
        return write_xattr(f, offset, data, count);
    }
    if (f->open < 0 || !f->writable) {
        return EBADF;
    }
    ssize_t n = pwrite(f->open, data, count, (off_t)offset);
    p9_put32(out, (uint32_t)n);
    return n < 0 ? errno : 0;
}

static int do_fsync(P9Server *s, P9Reader *in, P9Writer *out)
{
    Fid *f = fid_find(s, in);
    uint32_t data_only = p9_get32(in);
    if (!f || f->open < 0) {
        return EBADF;
    }
    return (data_only ? fdatasync(f->open) : fsync(f->open)) ? errno : 0;
}

/* ---- Folders ---- */

/* False: no room for this entry. */
static bool put_entry(P9Writer *out, const struct dirent64 *e, dev_t device)
{
    size_t n = strlen(e->d_name);
    if (P9_QID_SIZE + 8 + 1 + 2 + n > out->room - out->n) {
        return false;
    }
    p9_put_qid(out, DTTOIF(e->d_type), e->d_ino, device, 0);
    p9_put64(out, (uint64_t)e->d_off);
    p9_put8(out, e->d_type);
    p9_put_string(out, e->d_name, n);
    return true;
}

static int do_readdir(P9Server *s, P9Reader *in, P9Writer *out)
{
    Fid *f = fid_find(s, in);
    uint64_t offset = p9_get64(in);
    uint32_t count = p9_get32(in);
    struct stat st;
    _Alignas(struct dirent64) char raw[8192];
    if (in->bad || !f || f->open < 0 || !data_room(out, &count)) {
        return in->bad ? EINVAL : EBADF;
    }
    if (fstat(f->open, &st) || lseek(f->open, (off_t)offset, SEEK_SET) < 0) {
        return errno;
    }
    P9Writer entries = { out->start + out->n + 4, 0, count, false };
    bool full = false;
    for (ssize_t n = 1; n && !full;) {
        n = getdents64(f->open, raw, sizeof(raw));
        if (n < 0) {
            return errno;
        }
        for (ssize_t at = 0; !full && at < n;) {
            const struct dirent64 *e = (const struct dirent64 *)(raw + at);
            full = !put_entry(&entries, e, st.st_dev);
            at += e->d_reclen;
        }
    }
    if (full && !entries.n) {
        return EINVAL;          /* an empty answer would be the end of the folder */
    }
    put_data(out, entries.n);
    return 0;
}

/* A folder, or what mknod makes: FIFOs, sockets and empty files.  A guest makes no device nodes on the host. */
static int make_node(P9Server *s, P9Reader *in, P9Writer *out, bool is_folder)
{
    char name[P9_NAME_MAX + 1];
    struct stat st = { 0 };
    Fid *f;
    int r = get_place(s, in, &f, name);
    uint32_t mode = p9_get32(in);
    if (!is_folder) {
        p9_get32(in);           /* device numbers */
        p9_get32(in);
    }
    p9_get32(in);               /* a group */
    if (r || in->bad) {
        return r ? r : EINVAL;
    }
    if (!is_folder && !S_ISFIFO(mode) && !S_ISSOCK(mode) && !S_ISREG(mode)) {
        return EPERM;
    }
    if (is_folder ? mkdirat(f->file, name, mode & 07777) : mknodat(f->file, name, mode & (S_IFMT | 07777), 0)) {
        return errno;
    }
    r = file_fix_mode(f->file, name, mode, &st);
    put_qid(out, &st);
    return r;
}

static int do_mkdir(P9Server *s, P9Reader *in, P9Writer *out)
{
    return make_node(s, in, out, true);
}

static int do_mknod(P9Server *s, P9Reader *in, P9Writer *out)
{
    return make_node(s, in, out, false);
}

static int do_symlink(P9Server *s, P9Reader *in, P9Writer *out)
{
    char name[P9_NAME_MAX + 1], text[P9_TEXT_MAX + 1];
    struct stat st;
    Fid *f;
    int r = get_place(s, in, &f, name);
    p9_get_string(in, text, sizeof(text));
    p9_get32(in);
    if (r || in->bad) {
        return r ? r : EINVAL;
    }
    if (symlinkat(text, f->file, name)) {
        return errno;
    }
    if (fstatat(f->file, name, &st, AT_SYMLINK_NOFOLLOW)) {
        return errno;
    }
    put_qid(out, &st);
    return 0;
}

static int do_link(P9Server *s, P9Reader *in, P9Writer *out)
{
    char name[P9_NAME_MAX + 1];
    Fid *folder = fid_find(s, in), *f = fid_find(s, in);
    p9_get_string(in, name, sizeof(name));
    if (in->bad || !file_name_is_good(name)) {
        return EINVAL;
    }
    return !folder || !f ? EBADF : s->options.readonly ? EROFS : file_link(f->file, folder->file, name);
}

static int do_renameat(P9Server *s, P9Reader *in, P9Writer *out)
{
    char from[P9_NAME_MAX + 1], to[P9_NAME_MAX + 1];
    Fid *a, *b;
    int r = get_place(s, in, &a, from);
    r = r ? r : get_place(s, in, &b, to);
    if (r) {
        return r;
    }
    return renameat(a->file, from, b->file, to) ? errno : 0;
}

static int do_unlinkat(P9Server *s, P9Reader *in, P9Writer *out)
{
    char name[P9_NAME_MAX + 1];
    Fid *f;
    int r = get_place(s, in, &f, name);
    uint32_t flags = p9_get32(in);
    if (r || in->bad) {
        return r ? r : EINVAL;
    }
    return unlinkat(f->file, name, flags & AT_REMOVE_DIRECTORY ? AT_REMOVEDIR : 0) ? errno : 0;
}

/* ---- Locks: the guest's own are enough for one guest ---- */

static int do_lock(P9Server *s, P9Reader *in, P9Writer *out)
{
    if (!fid_find(s, in)) {
        return EBADF;
    }
    p9_put8(out, 0);            /* granted */
    return 0;
}

static int do_getlock(P9Server *s, P9Reader *in, P9Writer *out)
{
    char client[P9_NAME_MAX + 1];
    Fid *f = fid_find(s, in);
    p9_get8(in);
    uint64_t start = p9_get64(in), length = p9_get64(in);
    uint32_t process = p9_get32(in);
    p9_get_string(in, client, sizeof(client));
    if (in->bad || !f) {
        return in->bad ? EINVAL : EBADF;
    }
    p9_put8(out, F_UNLCK);
    p9_put64(out, start);
    p9_put64(out, length);
    p9_put32(out, process);
    p9_put_string(out, client, strlen(client));
    return 0;
}

/* ---- Extended attributes ---- */

static int do_xattrwalk(P9Server *s, P9Reader *in, P9Writer *out)
{
    char name[P9_NAME_MAX + 1];
    Fid *f = fid_find(s, in);
    uint32_t to = p9_get32(in);
    size_t n = MAX_XATTR;
    p9_get_string(in, name, sizeof(name));
    if (in->bad || !f) {
        return in->bad ? EINVAL : EBADF;
    }
    uint8_t *value = xcalloc(1, MAX_XATTR);
    int r = *name ? file_get_xattr(f->file, name, value, &n) : file_list_xattr(f->file, (char *)value, &n);
    int file = r ? -1 : fcntl(f->file, F_DUPFD_CLOEXEC, 0);
    r = r ? r : file < 0 ? errno : fid_add(s, to, file);
    if (r) {
        free(value);
        return r;
    }
    Fid *x = *fid_slot(s, to);
    x->xattr = XATTR_READ;
    x->value = value;
    x->size = n;
    p9_put64(out, n);
    return 0;
}

/* The value comes by Twrite, and is set by Tclunk. */
static int do_xattrcreate(P9Server *s, P9Reader *in, P9Writer *out)
{
    char name[P9_NAME_MAX + 1];
    Fid *f = fid_find(s, in);
    p9_get_string(in, name, sizeof(name));
    uint64_t size = p9_get64(in);
    uint32_t flags = p9_get32(in);
    if (in->bad || !f || f->open >= 0 || f->xattr || (flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))) {
        return in->bad || f ? EINVAL : EBADF;
    }
    if (s->options.readonly || size > MAX_XATTR) {
        return s->options.readonly ? EROFS : E2BIG;
    }
    f->xattr = XATTR_WRITE;
    f->value = xcalloc(1, size + 1);
    f->size = size;
    f->name = xstrdup(name);
    f->flags = (int)flags;
    s->changes++;
    return 0;
}

/* ---- Messages ---- */

typedef int Handler(P9Server *s, P9Reader *in, P9Writer *out);
static Handler *const handlers[128] = {
    [8] = do_statfs, [12] = do_lopen, [14] = do_lcreate, [16] = do_symlink, [18] = do_mknod, [22] = do_readlink,
    [24] = do_getattr, [26] = do_setattr, [30] = do_xattrwalk, [32] = do_xattrcreate, [40] = do_readdir,
    [50] = do_fsync, [52] = do_lock, [54] = do_getlock, [70] = do_link, [72] = do_mkdir, [74] = do_renameat,
    [76] = do_unlinkat, [100] = do_version, [102] = do_auth, [104] = do_attach, [108] = do_flush, [110] = do_walk,
    [116] = do_read, [118] = do_write, [120] = do_clunk, [122] = do_remove,
};

static size_t finish(P9Writer *out, uint8_t type, uint16_t tag)
{
    uint32_t n = (uint32_t)out->n;
    memcpy(out->start, &n, 4);
    out->start[4] = type;
    memcpy(out->start + 5, &tag, 2);
    return n;
}

size_t p9_answer(P9Server *s, const uint8_t *message, size_t n, uint8_t *out, size_t room)
{
    P9Reader in = { message, n, false };
    uint32_t size = p9_get32(&in);
    uint8_t type = p9_get8(&in);
    uint16_t tag = p9_get16(&in);
    size_t limit = room < s->max_size ? room : s->max_size;
    P9Writer w = { out, P9_HEADER, limit, false };
    int r = EINVAL;
    if (room < P9_HEADER + 4) {
        return 0;
    }
    if (!in.bad && size == n && n <= s->max_size) {
        Handler *handle = type < 128 ? handlers[type] : NULL;
        r = handle ? handle(s, &in, &w) : EOPNOTSUPP;
        r = r ? r : in.bad ? EINVAL : w.full ? EMSGSIZE : 0;
    }
    if (!r) {
        return finish(&w, (uint8_t)(type + 1), tag);
    }
    log_item(LOG_GUEST_ERRORS, "9p: message %u: %s\n", type, strerror(r));
    w = (P9Writer){ out, P9_HEADER, room, false };
    p9_put32(&w, (uint32_t)r);
    return finish(&w, R_ERROR, tag);
}

/* Each fid holds a descriptor or two, and a guest holds a fid for each file that it remembers. */
static unsigned raise_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r)) {
        return 256;
    }
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    getrlimit(RLIMIT_NOFILE, &r);
    return r.rlim_cur / 4 < MAX_FIDS ? (unsigned)(r.rlim_cur / 4) : MAX_FIDS;
}

P9Server *p9_create(const P9Options *o, char **err)
{
    int root = open(o->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        *err = str_format("folder '%s' cannot be shared: %s", o->path, strerror(errno));
        return NULL;
    }
    P9Server *s = xcalloc(1, sizeof(*s));
    s->options = *o;
    s->root = root;
    s->max_fids = raise_limit();
    s->max_size = P9_MAX_SIZE;
    return s;
}
