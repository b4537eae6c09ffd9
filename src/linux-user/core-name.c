/*
 * What a core file is to be called: /proc/sys/kernel/core_pattern, as core(5) explains it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "linux-user/core-dump.h"
#include "linux-user/process.h"

typedef struct NameWriter {
    char *out;
    size_t len, size;
    bool has_pid;
} NameWriter;

static void put(NameWriter *w, const char *s, char replace_slash)
{
    for (; *s && w->len + 1 < w->size; s++) {
        w->out[w->len++] = *s == '/' && replace_slash ? replace_slash : *s;
    }
    w->out[w->len] = 0;
}

static void put_number(NameWriter *w, unsigned long long n)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", n);
    put(w, text, 0);
}

static void put_item(NameWriter *w, char item, int sig, uint64_t limit)
{
    char comm[17] = { 0 };
    struct utsname u;
    switch (item) {
    case '%': put(w, "%", 0); break;
    case 'p': case 'P':
        put_number(w, (unsigned)getpid());
        w->has_pid = true;
        break;
    case 'i': case 'I': put_number(w, (unsigned)gettid()); break;
    case 'u': put_number(w, getuid()); break;
    case 'g': put_number(w, getgid()); break;
    case 'd': put_number(w, 1); break;      /* dumpable, or there would be no file */
    case 's': put_number(w, (unsigned)sig); break;
    case 't': put_number(w, (unsigned long long)time(NULL)); break;
    case 'c': put_number(w, limit); break;
    case 'h': put(w, uname(&u) ? "" : u.nodename, 0); break;
    case 'e': case 'f':
        prctl(PR_GET_NAME, comm);
        put(w, comm, '!');
        break;
    case 'E': put(w, user_process.exe_path ? user_process.exe_path : "", '!'); break;
    default: break;                         /* unknown ones vanish */
    }
}

static bool read_line(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(out, (int)size, f);
    if (f) {
        fclose(f);
    }
    if (ok) {
        out[strcspn(out, "\n")] = 0;
    }
    return ok;
}

bool core_name(char *out, size_t size, int sig, uint64_t limit)
{
    char pattern[256] = "core", uses_pid[8] = "0";
    NameWriter w = { .out = out, .size = size };
    read_line("/proc/sys/kernel/core_pattern", pattern, sizeof(pattern));
    read_line("/proc/sys/kernel/core_uses_pid", uses_pid, sizeof(uses_pid));
    if (pattern[0] == '|' || pattern[0] == '@' || !pattern[0]) {
        return false;
    }
    out[0] = 0;
    for (const char *p = pattern; *p; p++) {
        if (*p == '%' && p[1]) {
            put_item(&w, *++p, sig, limit);
        } else if (*p != '%') {
            char c[2] = { *p, 0 };
            put(&w, c, 0);
        }
    }
    if (!w.has_pid && strcmp(uses_pid, "0")) {
        put(&w, ".", 0);
        put_number(&w, (unsigned)getpid());
    }
    return w.len + 1 < size;
}
