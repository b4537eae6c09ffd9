/*
 * Code that was executed while nobody could write to it, and then is made writable without
 * ceasing to be executable: what is written there is what runs after fence.i.  Both for
 * anonymous memory and for a private mapping of a file.
 *
 * test-native: no
 */
#include "rv-code.h"

static void change_and_run(char *code, const char *what)
{
    CHECK_ERRNO(mprotect(code, PAGE, PROT_READ | PROT_EXEC) == 0);
    CHECK(call_code(code) == 1, "%s: before", what);
    for (int round = 2; round < 50; round++) {
        CHECK_ERRNO(mprotect(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
        rv_put_return(code, round);
        fence_i();
        long r = call_code(code);

        CHECK(r == round, "%s, writable: %ld, not %d", what, r, round);
        CHECK_ERRNO(mprotect(code, PAGE, PROT_READ | PROT_EXEC) == 0);
        r = call_code(code);
        CHECK(r == round, "%s, no longer writable: %ld, not %d", what, r, round);
    }
}

int main(void)
{
    char *code = map_pages(1, PROT_READ | PROT_WRITE);

    rv_put_return(code, 1);
    change_and_run(code, "anonymous");

    int fd = (int)syscall(SYS_memfd_create, "code", 0);

    CHECK_ERRNO(fd >= 0);
    char page[PAGE] = { 0 };

    rv_put_return(page, 1);
    CHECK_ERRNO(write(fd, page, PAGE) == PAGE);
    code = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    CHECK_ERRNO(code != MAP_FAILED);
    change_and_run(code, "private file");
    return 0;
}
