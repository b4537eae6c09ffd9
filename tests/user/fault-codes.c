/*
 * Data faults: SIGSEGV with SEGV_MAPERR or SEGV_ACCERR and SIGBUS past the end of a
 * file, with the exact address, for reads and writes of every width; a misaligned
 * access that runs into the next page reports that page and writes nothing there;
 * the handler can repair the mapping and the access is repeated.
 *
 * test-native: yes
 */
#include <setjmp.h>
#include "test.h"

static sigjmp_buf back;
static siginfo_t seen;
static _Atomic int repairs;
static char *repair_page;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    seen = *info;
    siglongjmp(back, 1);
}

static void on_repairable(int sig, siginfo_t *info, void *context)
{
    CHECK(info->si_code == SEGV_ACCERR && info->si_addr == repair_page + 24, "at %p",
          info->si_addr);
    repairs++;
    CHECK_ERRNO(mprotect(repair_page, PAGE, PROT_READ | PROT_WRITE) == 0);
}

/* The access is a real one for the compiler, too: through inline assembly. */
static void touch(char *address, int width, bool write)
{
    uint64_t value = 0x1122334455667788;

    __asm__ volatile("" : "+r"(address), "+r"(value));
    if (write) {
        switch (width) {
        case 1: *(volatile uint8_t *)address = (uint8_t)value; break;
        case 2: *(volatile uint16_t *)address = (uint16_t)value; break;
        case 4: *(volatile uint32_t *)address = (uint32_t)value; break;
        default: *(volatile uint64_t *)address = value; break;
        }
    } else {
        switch (width) {
        case 1: (void)*(volatile uint8_t *)address; break;
        case 2: (void)*(volatile uint16_t *)address; break;
        case 4: (void)*(volatile uint32_t *)address; break;
        default: (void)*(volatile uint64_t *)address; break;
        }
    }
}

static void expect(char *address, int width, bool write, int sig, int code, void *where)
{
    memset(&seen, 0, sizeof(seen));
    if (sigsetjmp(back, 1) == 0) {
        touch(address, width, write);
        CHECK(0, "no fault at %p, width %d, write %d", (void *)address, width, write);
    }
    CHECK(seen.si_signo == sig && seen.si_code == code,
          "signal %d code %d, not %d %d (%p)", seen.si_signo, seen.si_code, sig, code,
          (void *)address);
    CHECK(seen.si_addr == where, "si_addr %p, not %p", seen.si_addr, where);
}

int main(void)
{
    char *pages = map_pages(4, PROT_READ | PROT_WRITE), *file,
         name[] = "/tmp/braid-XXXXXX";
    int fd = mkstemp(name);

    set_handler(SIGSEGV, on_fault, 0);
    set_handler(SIGBUS, on_fault, 0);
    CHECK_ERRNO(mprotect(pages + PAGE, PAGE, PROT_NONE) == 0);
    CHECK_ERRNO(mprotect(pages + 2 * PAGE, PAGE, PROT_READ) == 0);
    CHECK_ERRNO(munmap(pages + 3 * PAGE, PAGE) == 0);
    CHECK_ERRNO(fd >= 0 && unlink(name) == 0 && ftruncate(fd, PAGE) == 0);
    file = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK_ERRNO(file != MAP_FAILED);
    for (int width = 1; width <= 8; width *= 2) {
        char *none = pages + PAGE + 64, *constant = pages + 2 * PAGE + 128;
        char *hole = pages + 3 * PAGE + 256, *beyond = file + PAGE + 32;

        for (int write = 0; write < 2; write++) {
            expect(none, width, write, SIGSEGV, SEGV_ACCERR, none);
            expect(hole, width, write, SIGSEGV, SEGV_MAPERR, hole);
            expect(beyond, width, write, SIGBUS, BUS_ADRERR, beyond);
            expect((char *)8, width, write, SIGSEGV, SEGV_MAPERR, (char *)8);
        }
        expect(constant, width, true, SIGSEGV, SEGV_ACCERR, constant);
        if (width > 1) {
            char *edge = pages + 3 * PAGE - 1;

            expect(edge, width, false, SIGSEGV, SEGV_MAPERR, pages + 3 * PAGE);
            memset(pages + PAGE - 8, 0x55, 8);
            expect(pages + PAGE - 1, width, true, SIGSEGV, SEGV_ACCERR, pages + PAGE);
        }
    }
    touch(file + PAGE - 8, 8, true);
    CHECK_ERRNO(ftruncate(fd, 0) == 0);
    expect(file + 16, 4, false, SIGBUS, BUS_ADRERR, file + 16);

    set_handler(SIGSEGV, on_repairable, 0);
    repair_page = pages;
    for (int i = 1; i <= 100; i++) {
        CHECK_ERRNO(mprotect(pages, PAGE, PROT_NONE) == 0);
        touch(pages + 24, 8, i % 2);
        CHECK(repairs == i, "%d repairs after %d faults", (int)repairs, i);
        CHECK(*(uint64_t *)(pages + 24) == 0x1122334455667788,
              "the repeated store was lost");
    }
    return 0;
}
