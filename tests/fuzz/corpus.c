/* Good inputs that lie in files: those of the directory FUZZ_CORPUS, in the order of their names. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static int is_input(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

size_t fuzz_seed(unsigned n, uint8_t *to, size_t size)
{
    static struct dirent **names;
    static int nnames = -1;
    char path[4096];
    if (nnames < 0) {
        nnames = scandir(FUZZ_CORPUS, &names, is_input, alphasort);
        if (nnames <= 0) {
            perror(FUZZ_CORPUS);
            exit(1);
        }
    }
    if (n >= (unsigned)nnames) {
        return 0;
    }
    snprintf(path, sizeof(path), "%s/%s", FUZZ_CORPUS, names[n]->d_name);
    FILE *f = fopen(path, "rb");
    size_t got = f ? fread(to, 1, size, f) : 0;
    if (f) {
        fclose(f);
    }
    return got;
}
