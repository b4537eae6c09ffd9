/*
 * Handlers that never return: 100,000 times out of a handler by siglongjmp, after a
 * synchronous fault and after a signal that was sent; neither stack grows.
 *
 * test-native: yes
 * test-time: 60
 */
#include <setjmp.h>
#include "test.h"

static sigjmp_buf back;
static char *address;
static unsigned long i, faults, sent; /* static: siglongjmp may lose changed locals */

static void leave(int sig, siginfo_t *info, void *context)
{
    siglongjmp(back, sig);
}

int main(void)
{
    const unsigned long rounds = scaled(100000);
    char *const page = map_pages(1, PROT_NONE);

    set_handler(SIGSEGV, leave, 0);
    set_handler(SIGUSR1, leave, 0);
    for (i = 0; i < rounds; i++) {
        int sig = sigsetjmp(back, 1);

        if (sig == SIGSEGV) {
            faults++;
        } else if (sig == SIGUSR1) {
            sent++;
        } else if (i % 4) {
            address = page + i % PAGE;
            *(volatile char *)address = 1;
            CHECK(0, "no fault");
        } else {
            raise(SIGUSR1);
            CHECK(0, "no signal");
        }
    }
    CHECK(sent == (rounds + 3) / 4 && faults == rounds - sent, "%lu faults, %lu sent",
          faults, sent);
    return 0;
}
