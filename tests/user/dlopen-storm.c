/*
 * dlopen and dlclose in several threads: libraries come and go at reused addresses, and
 * the code that runs is always that of the library just opened.
 *
 * test-native: yes
 * test-link: dynamic
 * test-plugins: 6
 * test-time: 60
 */
#include <dlfcn.h>
#include <limits.h>
#include "test.h"

enum { THREADS = 8, PLUGINS = 6 };

static char prefix[PATH_MAX];

static void *body(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;

    for (unsigned long i = 0; i < scaled(150); i++) {
        int which = (int)((i * 5 + me) % PLUGINS), r;
        char path[PATH_MAX + 20];
        int (*fn)(int);
        void *library, *symbol;

        snprintf(path, sizeof(path), "%s.%d.so", prefix, which);
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        CHECK(library, "dlopen: %s", dlerror());
        symbol = dlsym(library, "plugin_value");
        CHECK(symbol, "dlsym: %s", dlerror());
        memcpy(&fn, &symbol, sizeof(fn));
        r = fn((int)i);
        CHECK(r == which * 1000 + (int)i, "library %d answered %d in round %lu", which, r,
              i);
        CHECK(dlclose(library) == 0, "dlclose: %s", dlerror());
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t ids[THREADS];

    CHECK_ERRNO(readlink("/proc/self/exe", prefix, sizeof(prefix) - 1) > 0);
    body((void *)0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        ids[i] = start_thread(body, (void *)i);
    }
    for (int i = 0; i < THREADS; i++) {
        join_thread(ids[i]);
    }
    return 0;
}
