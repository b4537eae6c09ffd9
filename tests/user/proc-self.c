/*
 * /proc/self as the guest must see it: exe is the guest program, cmdline its
 * arguments, maps contains its code, its stack and what it maps, with the right
 * permissions.
 *
 * test-native: yes
 */
#include <fcntl.h>
#include <limits.h>
#include "test.h"

/* Permissions of the mapping that contains `address`, or "none". */
static const char *permissions(const void *address, char out[5])
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[1000];

    CHECK_ERRNO(maps);
    strcpy(out, "none");
    while (fgets(line, sizeof(line), maps)) {
        unsigned long from, to;
        char perm[5];

        CHECK(sscanf(line, "%lx-%lx %4s", &from, &to, perm) == 3, "maps line: %s", line);
        if ((unsigned long)address >= from && (unsigned long)address < to) {
            memcpy(out, perm, 5);
        }
    }
    fclose(maps);
    return out;
}

int main(int argc, char **argv)
{
    char exe[PATH_MAX] = { 0 }, line[PATH_MAX] = { 0 }, p[5];
    char *mapped = map_pages(3, PROT_READ | PROT_WRITE);
    void *code;
    int (*fn)(int, char **) = main;
    int fd;

    CHECK_ERRNO(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
    CHECK(strstr(exe, "proc-self"), "exe is %s", exe);
    fd = open("/proc/self/cmdline", O_RDONLY);
    CHECK_ERRNO(fd >= 0 && read(fd, line, sizeof(line) - 1) > 0);
    CHECK(!strcmp(line, argv[0]), "cmdline %s, argv[0] %s", line, argv[0]);
    memcpy(&code, &fn, sizeof(code));
    CHECK(!strcmp(permissions(code, p), "r-xp"), "code is %s", p);
    CHECK(!strncmp(permissions(&argc, p), "rw", 2), "stack is %s", p);
    CHECK_ERRNO(mprotect(mapped + PAGE, PAGE, PROT_READ) == 0);
    CHECK_ERRNO(munmap(mapped + 2 * PAGE, PAGE) == 0);
    CHECK(!strcmp(permissions(mapped, p), "rw-p"), "first page is %s", p);
    CHECK(!strcmp(permissions(mapped + PAGE, p), "r--p"), "second page is %s", p);
    return 0;
}
