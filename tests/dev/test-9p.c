/*
 * The 9P2000.L server by its messages, without a transport: that what a guest sends cannot lead out of the folder,
 * that every message gets an answer, and what the messages do (as the protocol's description in diod has it,
 * and Linux's client expects).
 */
#include "device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "board/p9/p9.h"

enum { LOPEN = 12, LCREATE = 14, SYMLINK = 16, MKNOD = 18, RENAME = 20, READLINK = 22, GETATTR = 24, SETATTR = 26,
       XATTRWALK = 30, XATTRCREATE = 32, READDIR = 40, LINK = 70, MKDIR = 72, RENAMEAT = 74, UNLINKAT = 76, VERSION = 100,
       ATTACH = 104, FLUSH = 108, WALK = 110, READ = 116, WRITE = 118, CLUNK = 120 };
enum { HEADER = 7, RLERROR = 7, ROOT = 0 };
enum { W_CREAT = 0100, W_EXCL = 0200, W_TRUNC = 01000 };

static char base[] = "/tmp/braid-test-9p-XXXXXX";
static P9Server *server, *readonly;
static uint8_t out[P9_MAX_SIZE], in[P9_MAX_SIZE];
static size_t out_n, in_n, in_at;

/* ---- Messages ---- */

static void begin(uint8_t type)
{
    out_n = HEADER;
    out[4] = type;
    out[5] = 0x34;
    out[6] = 0x12;
}

static void put(uint64_t v, unsigned n)
{
    memcpy(out + out_n, &v, n);
    out_n += n;
}

static void put_bytes(const void *p, size_t n)
{
    memcpy(out + out_n, p, n);
    out_n += n;
}

static void put_text(const char *s)
{
    put(strlen(s), 2);
    put_bytes(s, strlen(s));
}

static uint64_t get(unsigned n)
{
    uint64_t v = 0;
    assert_true(in_at + n <= in_n);
    memcpy(&v, in + in_at, n);
    in_at += n;
    return v;
}

/* The errno of the answer, 0 if it is none. */
static int send_to(P9Server *s, size_t room)
{
    uint8_t type = out[4];
    memcpy(out, &(uint32_t){ (uint32_t)out_n }, 4);
    in_n = p9_answer(s, out, out_n, in, room);
    assert_true(in_n >= HEADER && in_n <= room);
    in_at = 0;
    assert_int_equal(get(4), in_n);
    uint8_t answer = (uint8_t)get(1);
    assert_int_equal(get(2), 0x1234);
    if (answer == RLERROR) {
        int r = (int)get(4);
        assert_true(r > 0 && r < 200);
        return r;
    }
    assert_int_equal(answer, type + 1);
    return 0;
}

static int finish(void) { return send_to(server, sizeof(in)); }

static void mount_on(P9Server *s)
{
    begin(VERSION);
    put(65536, 4);
    put_text("9P2000.L");
    assert_int_equal(send_to(s, sizeof(in)), 0);
    assert_int_equal(get(4), 65536);
    begin(ATTACH);
    put(ROOT, 4);
    put(0xffffffff, 4);
    put_text("user");
    put_text("");
    put(0, 4);
    assert_int_equal(send_to(s, sizeof(in)), 0);
    assert_int_equal(get(1), 0x80);
}

static int walk(uint32_t from, uint32_t to, unsigned n, const char *const *names)
{
    begin(WALK);
    put(from, 4);
    put(to, 4);
    put(n, 2);
    for (unsigned i = 0; i < n; i++) {
        put_text(names[i]);
    }
    return finish();
}

static int walk1(uint32_t from, uint32_t to, const char *name)
{
    return walk(from, to, 1, &name);
}

static int clunk(uint32_t fid)
{
    begin(CLUNK);
    put(fid, 4);
    return finish();
}

static int lopen(uint32_t fid, uint32_t flags)
{
    begin(LOPEN);
    put(fid, 4);
    put(flags, 4);
    return finish();
}

static int lcreate(uint32_t fid, const char *name, uint32_t flags)
{
    begin(LCREATE);
    put(fid, 4);
    put_text(name);
    put(flags, 4);
    put(0644, 4);
    put(0, 4);
    return finish();
}

static int read_file(uint32_t fid, uint64_t offset, uint32_t n)
{
    begin(READ);
    put(fid, 4);
    put(offset, 8);
    put(n, 4);
    return finish();
}

static int write_file(uint32_t fid, uint64_t offset, const char *text)
{
    begin(WRITE);
    put(fid, 4);
    put(offset, 8);
    put(strlen(text), 4);
    put_bytes(text, strlen(text));
    return finish();
}

/* Messages of a fid, a name, and 12 bytes of numbers behind them. */
static int change(uint8_t type, uint32_t fid, const char *name, uint32_t a)
{
    begin(type);
    put(fid, 4);
    put_text(name);
    put(a, 4);
    put(0, 4);
    put(0, 4);
    put(0, 4);
    return finish();
}

static int rename_file(uint32_t from_fid, const char *from, uint32_t to_fid, const char *to)
{
    begin(RENAMEAT);
    put(from_fid, 4);
    put_text(from);
    put(to_fid, 4);
    put_text(to);
    return finish();
}

/* ---- The folder ---- */

static const char *path(const char *name)
{
    static char text[2][256];
    static unsigned which;
    which ^= 1;
    snprintf(text[which], sizeof(text[which]), "%s/%s", base, name);
    return text[which];
}

static void make_file(const char *name, const char *text)
{
    int fd = open(path(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int setup_all(void **state)
{
    char *err;
    assert_non_null(mkdtemp(base));
    assert_int_equal(mkdir(path("share"), 0755) | mkdir(path("share/sub"), 0755) | mkdir(path("share/sub/deep"), 0755), 0);
    assert_int_equal(mkdir(path("elsewhere"), 0755), 0);
    make_file("secret", "secret");
    make_file("share/file", "0123456789");
    assert_int_equal(symlink("..", path("share/up")), 0);
    assert_int_equal(symlink("../secret", path("share/out")), 0);
    assert_int_equal(symlink(base, path("share/absolute")), 0);
    assert_int_equal(mkfifo(path("share/fifo"), 0644), 0);
    server = p9_create(&(P9Options){ path("share"), false, false }, &err);
    readonly = p9_create(&(P9Options){ path("share"), true, false }, &err);
    assert_non_null(server);
    assert_null(p9_create(&(P9Options){ path("secret"), false, false }, &err));
    free(err);
    return 0;
}

static int remove_all(void **state)
{
    char command[100];
    snprintf(command, sizeof(command), "rm -rf %s", base);
    return system(command);
}

static int fresh(void **state)
{
    mount_on(server);
    return 0;
}

/* ---- Tests ---- */

static void test_stay_inside(void **state)
{
    static const char *const up[] = { "..", "..", "..", "secret" };
    static const char *const bad[] = { "", "/", "../secret", "sub/..", "sub/../../secret", "/etc/passwd", "./file" };
    struct stat st, root;
    /* The shared folder is its own parent. */
    assert_int_equal(stat(path("share"), &root), 0);
    assert_int_equal(walk(ROOT, 1, 4, up), 0);
    assert_int_equal(get(2), 3);                        /* "secret" is not there */
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(get(1), 0x80);
        get(4);
        assert_int_equal(get(8) & 0xffffffff, (root.st_ino ^ root.st_dev >> 16) & 0xffffffff);
    }
    assert_int_equal(clunk(1), EBADF);                  /* a walk that stops makes no fid */
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_not_equal(walk1(ROOT, 1, bad[i]), 0);
        assert_int_not_equal(lcreate(ROOT, bad[i], 1), 0);
        assert_int_equal(change(MKDIR, ROOT, bad[i], 0755), EINVAL);
        assert_int_equal(change(UNLINKAT, ROOT, bad[i], 0), EINVAL);
        assert_int_equal(rename_file(ROOT, bad[i], ROOT, "x"), EINVAL);
        assert_int_equal(rename_file(ROOT, "file", ROOT, bad[i]), EINVAL);
    }
    assert_int_equal(change(UNLINKAT, ROOT, "..", 0x200), EINVAL);
    assert_int_equal(rename_file(ROOT, "file", ROOT, ".."), EINVAL);
    /* Links are not followed, by whatever they are used for. */
    static const char *const links[] = { "up", "out", "absolute" };
    for (unsigned i = 0; i < 3; i++) {
        const char *through[] = { links[i], "secret" };
        assert_int_equal(walk1(ROOT, 1, links[i]), 0);
        assert_int_equal(get(2), 1);
        assert_int_equal(get(1), 2);
        assert_int_equal(lopen(1, 0), ELOOP);
        assert_int_equal(walk1(1, 2, "secret"), ENOTDIR);
        assert_int_equal(walk1(1, 2, ".."), ENOTDIR);
        assert_int_not_equal(lcreate(1, "new", 1), 0);
        assert_int_not_equal(change(MKDIR, 1, "new", 0755), 0);
        begin(SETATTR);
        put(1, 4);
        put(0x1b9, 4);                                  /* mode, size, both times */
        put(0777, 4);
        put(0, 8);
        for (unsigned k = 0; k < 5; k++) {
            put(0, 8);
        }
        assert_int_not_equal(finish(), 0);
        assert_int_equal(clunk(1), 0);
        assert_int_equal(walk(ROOT, 1, 2, through), 0);
        assert_int_equal(get(2), 1);
        assert_int_not_equal(lcreate(ROOT, links[i], 1), 0);
        mount_on(server);
    }
    assert_int_equal(stat(path("secret"), &st), 0);
    assert_int_equal(st.st_size, 6);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_true(st.st_mtime > 0);
    assert_int_equal(access(path("new"), F_OK) | access(path("share/new"), F_OK), -1);
}

/* A folder that the host moves away while the guest is in it. */
static void test_moved_away(void **state)
{
    static const char *const down[] = { "sub", "deep" };
    assert_int_equal(walk(ROOT, 1, 2, down), 0);
    assert_int_equal(walk1(1, 2, ".."), 0);
    assert_int_equal(rename(path("share/sub"), path("elsewhere/sub")), 0);
    assert_int_equal(walk1(1, 3, ".."), ENOENT);
    assert_int_equal(walk1(2, 4, ".."), ENOENT);
    assert_int_equal(rename(path("elsewhere/sub"), path("share/sub")), 0);
    assert_int_equal(walk1(1, 3, ".."), 0);
}

static bool racing = true;
static void *swap_names(void *arg)
{
    char folder[100], link[100], name[100];
    snprintf(folder, 100, "%s/share/aside", base);
    snprintf(link, 100, "%s/share/link", base);
    snprintf(name, 100, "%s/share/race", base);
    while (__atomic_load_n(&racing, __ATOMIC_RELAXED)) {
        assert_int_equal(rename(name, folder) | rename(link, name), 0);
        assert_int_equal(rename(name, link) | rename(folder, name), 0);
    }
    return NULL;
}

/* A name that is a folder and a link to the outside by turns. */
static void test_race(void **state)
{
    static const char *const way[] = { "race", "secret" };
    pthread_t thread;
    unsigned folders = 0;
    assert_int_equal(mkdir(path("share/race"), 0755) | symlink(base, path("share/link")), 0);
    assert_int_equal(pthread_create(&thread, NULL, swap_names, NULL), 0);
    for (unsigned i = 0; i < 20000; i++) {
        if (walk(ROOT, 1, 2, way) == 0) {
            assert_int_not_equal(get(2), 2);
        }
        if (walk1(ROOT, 1, "race") == 0) {
            get(2);
            folders += get(1) == 0x80;
            lcreate(1, "planted", 1 | W_TRUNC);
            clunk(1);
        }
        if (walk1(ROOT, 1, "race") == 0) {
            change(UNLINKAT, 1, "planted", 0);
            change(MKDIR, 1, "dir", 0755);
            change(UNLINKAT, 1, "dir", 0x200);
            clunk(1);
        }
    }
    __atomic_store_n(&racing, false, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    assert_true(folders > 0);
    assert_int_equal(access(path("planted"), F_OK), -1);
    assert_int_equal(access(path("secret"), F_OK), 0);
    assert_int_equal(unlink(path("share/link")), 0);
}

static void test_special_files(void **state)
{
    assert_int_equal(walk1(ROOT, 1, "fifo"), 0);
    assert_int_equal(lopen(1, 0), ENXIO);               /* would wait for a writer */
    assert_int_equal(lcreate(ROOT, "fifo", 1), ENXIO);
    assert_int_equal(change(MKNOD, ROOT, "device", S_IFBLK | 0666), EPERM);
    assert_int_equal(change(MKNOD, ROOT, "device", S_IFCHR | 0666), EPERM);
    assert_int_equal(change(MKNOD, ROOT, "pipe", S_IFIFO | 0622), 0);
    struct stat st;
    assert_int_equal(stat(path("share/pipe"), &st), 0);
    assert_int_equal(st.st_mode, S_IFIFO | 0622);
}

static void test_files(void **state)
{
    assert_int_equal(walk1(ROOT, 1, "file"), 0);
    assert_int_equal(read_file(1, 0, 4), EBADF);        /* not open */
    assert_int_equal(lopen(1, 0), 0);
    assert_int_equal(lopen(1, 0), EINVAL);              /* twice */
    assert_int_equal(read_file(1, 3, 4), 0);
    assert_int_equal(get(4), 4);
    assert_memory_equal(in + in_at, "3456", 4);
    assert_int_equal(read_file(1, 8, 0xffffffff), 0);
    assert_int_equal(get(4), 2);
    assert_int_equal(read_file(1, 100, 10), 0);
    assert_int_equal(get(4), 0);
    assert_int_equal(write_file(1, 0, "x"), EBADF);     /* open for reading */
    assert_int_equal(walk(ROOT, 2, 0, NULL), 0);
    assert_int_equal(lcreate(2, "new", 2 | W_EXCL), 0);
    assert_int_equal(write_file(2, 2, "abc"), 0);
    assert_int_equal(get(4), 3);
    assert_int_equal(read_file(2, 0, 10), 0);
    assert_int_equal(get(4), 5);
    assert_memory_equal(in + in_at, "\0\0abc", 5);
    assert_int_equal(walk(ROOT, 3, 0, NULL), 0);
    assert_int_equal(lcreate(3, "new", 2 | W_EXCL), EEXIST);
    assert_int_equal(lcreate(3, "new", 2), 0);          /* it is there, and may be */
    assert_int_equal(rename_file(ROOT, "new", ROOT, "newer"), 0);
    begin(LINK);
    put(ROOT, 4);
    put(2, 4);
    put_text("linked");
    assert_int_equal(finish(), 0);
    struct stat st;
    assert_int_equal(stat(path("share/newer"), &st), 0);
    assert_int_equal(st.st_nlink, 2);
    assert_int_equal(change(UNLINKAT, ROOT, "newer", 0), 0);
    assert_int_equal(change(UNLINKAT, ROOT, "newer", 0), ENOENT);
    assert_int_equal(read_file(2, 2, 3), 0);            /* open files live on */
    begin(GETATTR);
    put(2, 4);
    put(0x7ff, 8);
    assert_int_equal(finish(), 0);
    in_at += 8 + 13;
    assert_int_equal(get(4), S_IFREG | 0644);
    in_at += 8;
    assert_int_equal(get(8), 1);
    in_at += 8;
    assert_int_equal(get(8), 5);
}

static void test_readdir(void **state)
{
    unsigned seen = 0;
    uint64_t offset = 0;
    assert_int_equal(mkdir(path("share/many"), 0755), 0);
    for (unsigned i = 0; i < 500; i++) {
        char name[64];
        snprintf(name, sizeof(name), "share/many/%03u", i);
        make_file(name, "");
    }
    static bool names[500];
    assert_int_equal(walk1(ROOT, 1, "many"), 0);
    assert_int_equal(lopen(1, 0), 0);
    for (;;) {
        begin(READDIR);
        put(1, 4);
        put(offset, 8);
        put(300, 4);
        assert_int_equal(finish(), 0);
        uint32_t n = (uint32_t)get(4);
        assert_true(n <= 300 && in_n == in_at + n);
        if (!n) {
            break;
        }
        while (in_at < in_n) {
            get(1), get(4), get(8);
            offset = get(8);
            get(1);
            unsigned length = (unsigned)get(2);
            if (length == 3) {
                unsigned i = (unsigned)strtoul((char[]){ (char)get(1), (char)get(1), (char)get(1), 0 }, NULL, 10);
                assert_false(names[i]);
                names[i] = true;
                seen++;
            } else {
                in_at += length;
            }
        }
    }
    assert_int_equal(seen, 500);
    begin(READDIR);
    put(1, 4);
    put(0, 8);
    put(10, 4);                                         /* no room for one */
    assert_int_equal(finish(), EINVAL);
}

static void test_xattr(void **state)
{
    if (setxattr(path("share/file"), "user.there", "v", 1, 0)) {
        return;                                         /* not on this file system */
    }
    assert_int_equal(walk1(ROOT, 1, "file"), 0);
    begin(XATTRCREATE);
    put(1, 4);
    put_text("user.new");
    put(4, 8);
    put(0, 4);
    assert_int_equal(finish(), 0);
    assert_int_equal(write_file(1, 0, "valu"), 0);
    assert_int_equal(write_file(1, 4, "e"), ENOSPC);
    assert_int_equal(write_file(1, ~0ull, "e"), ENOSPC);
    assert_int_equal(clunk(1), 0);
    char value[16];
    assert_int_equal(getxattr(path("share/file"), "user.new", value, sizeof(value)), 4);
    assert_memory_equal(value, "valu", 4);
    assert_int_equal(walk1(ROOT, 1, "file"), 0);
    begin(XATTRWALK);
    put(1, 4);
    put(2, 4);
    put_text("user.there");
    assert_int_equal(finish(), 0);
    assert_int_equal(get(8), 1);
    assert_int_equal(read_file(2, 0, 100), 0);
    assert_int_equal(get(4), 1);
    assert_int_equal(read_file(2, ~0ull, 100), 0);
    assert_int_equal(get(4), 0);
    begin(XATTRWALK);
    put(1, 4);
    put(3, 4);
    put_text("security.capability");
    assert_int_equal(finish(), EOPNOTSUPP);
}

static void test_readonly(void **state)
{
    P9Server *other = server;
    server = readonly;
    mount_on(server);
    assert_int_equal(lcreate(ROOT, "no", 1), EROFS);
    assert_int_equal(change(MKDIR, ROOT, "no", 0755), EROFS);
    assert_int_equal(change(UNLINKAT, ROOT, "file", 0), EROFS);
    assert_int_equal(rename_file(ROOT, "file", ROOT, "no"), EROFS);
    assert_int_equal(walk1(ROOT, 1, "file"), 0);
    assert_int_equal(lopen(1, 1), EROFS);
    assert_int_equal(lopen(1, W_TRUNC), EROFS);
    assert_int_equal(lopen(1, 0), 0);
    assert_int_equal(read_file(1, 0, 100), 0);
    assert_int_equal(get(4), 10);
    p9_reset(server);
    server = other;
}

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d)) {
        n++;
    }
    closedir(d);
    return n;
}

static void test_bad_messages(void **state)
{
    static const uint8_t nothing[3] = { 3, 0, 0 };
    /* Shorter than a header; a size that is not the message's; types that are none. */
    assert_true(p9_answer(server, nothing, 3, in, sizeof(in)) == HEADER + 4);
    assert_int_equal(in[4], RLERROR);
    assert_true(p9_answer(server, nothing, 0, in, 10) == 0);
    begin(CLUNK);
    put(ROOT, 4);
    memcpy(out, &(uint32_t){ 0xffffffff }, 4);
    p9_answer(server, out, out_n, in, sizeof(in));
    assert_int_equal(in[4], RLERROR);
    begin(99);
    assert_int_equal(finish(), EOPNOTSUPP);
    begin(RENAME);
    assert_int_equal(finish(), EOPNOTSUPP);
    assert_int_equal(walk(77, 1, 0, NULL), EBADF);
    assert_int_equal(walk(ROOT, 0xffffffff, 0, NULL), EINVAL);
    assert_int_equal(walk(ROOT, 5, 0, NULL), 0);
    assert_int_equal(walk(ROOT, 5, 0, NULL), EINVAL);   /* a fid that is there */
    assert_int_equal(change(MKDIR, ROOT, (char[300]){ [0 ... 298] = 'x' }, 0755), EINVAL);
    begin(WRITE);                                       /* more data than there is */
    put(ROOT, 4);
    put(0, 8);
    put(0xfffffff0, 4);
    assert_int_equal(finish(), EINVAL);
    begin(MKDIR);                                       /* a 0 in a name */
    put(ROOT, 4);
    put(3, 2);
    put_bytes("a\0b", 3);
    put(0755, 8);
    assert_int_equal(finish(), EINVAL);
    begin(GETATTR);                                     /* no room for the answer */
    put(ROOT, 4);
    put(~0ull, 8);
    assert_int_equal(send_to(server, 40), EMSGSIZE);
    assert_int_equal(walk(ROOT, 9, 0, NULL), 0);        /* and it goes on */
    mount_on(server);
    assert_int_equal(clunk(9), EBADF);                  /* a new session has no fids */
}

static uint64_t seed;
static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Random messages of all types: an answer to each, nothing outside is touched, no descriptor is left. */
static void test_random(void **state)
{
    static const char *const names[] = { "file", "sub", "..", ".", "up", "out", "absolute", "a", "b", "", "x/y" };
    printf("SEED=%llu\n", (unsigned long long)seed);
    p9_reset(server);
    unsigned before = open_descriptors();
    for (unsigned i = 0; i < 100000; i++) {
        if (i % 500 == 0) {
            mount_on(server);
        }
        uint8_t type = (uint8_t)(next() % 16 ? next() % 62 * 2 + 8 : next());
        begin(type == VERSION ? FLUSH : type);
        for (unsigned fields = (unsigned)(next() % 8); fields; fields--) {
            switch (next() % 5) {
            case 0:
                put_text(names[next() % (sizeof(names) / sizeof(names[0]))]);
                break;
            case 1:
                put(next() % 6, 4);
                break;
            case 2:
                put(next() % 3, 2);
                break;
            case 3:
                put(next() >> next() % 64, 8);
                break;
            case 4:
                put(next() % 6, 4);
                put_text(names[next() % (sizeof(names) / sizeof(names[0]))]);
                break;
            }
        }
        send_to(server, next() % 8 ? sizeof(in) : HEADER + 4 + next() % 64);
    }
    p9_reset(server);
    assert_int_equal(p9_stamp(server), 0);
    assert_int_equal(open_descriptors(), before);
    struct stat st;
    assert_int_equal(stat(path("secret"), &st), 0);
    assert_int_equal(st.st_size, 6);
    unsigned n = 0;
    DIR *d = opendir(base);
    while (readdir(d)) {
        n++;
    }
    closedir(d);
    assert_int_equal(n, 2 + 3);                         /* ".", "..", elsewhere, secret, share */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_stay_inside, fresh), cmocka_unit_test_setup(test_moved_away, fresh),
        cmocka_unit_test_setup(test_race, fresh), cmocka_unit_test_setup(test_special_files, fresh),
        cmocka_unit_test_setup(test_files, fresh), cmocka_unit_test_setup(test_readdir, fresh),
        cmocka_unit_test_setup(test_xattr, fresh), cmocka_unit_test_setup(test_readonly, fresh),
        cmocka_unit_test_setup(test_bad_messages, fresh), cmocka_unit_test_setup(test_random, fresh),
    };
    const char *given = getenv("SEED");
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + (uint64_t)getpid();
    umask(022);
    return cmocka_run_group_tests(tests, setup_all, remove_all);
}
