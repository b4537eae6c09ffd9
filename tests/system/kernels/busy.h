/* What busy harts do, for those who stop or reset them: spin, use devices, make code, fence, sleep. */
#include "kernel.h"

static uint64_t spin_word;
static uint32_t made_code[1024] __attribute__((aligned(4096)));

static void spin(void)
{
    for (;;) {
        uint64_t t, fail;
        asm volatile("lr.d %0, (%2)\naddi %0, %0, 1\nsc.d %1, %0, (%2)" : "=&r"(t), "=&r"(fail) : "r"(&spin_word) : "memory");
    }
}

static void use_devices(void)
{
    for (uint32_t i = 0;; i++) {
        UART[7] = (uint8_t)i;
        (void)MTIME;
        MTIMECMP[csr_read(mhartid)] = MTIME + 100;
    }
}

static void make_code(void)
{
    for (uint32_t i = 0;; i = (i + 1) % 1000) {
        made_code[i] = 0x00000513u | i << 20;
        made_code[i + 1] = 0x00008067;
        fence_i();
        check(((uint64_t (*)(void))&made_code[i])() == i);
    }
}

static void fence_all_the_time(void)
{
    for (;;) {
        asm volatile("sfence.vma" ::: "memory");
        fence_i();
    }
}

/* Does not return, but for those that shall sleep. */
static inline void be_busy(uint64_t hart)
{
    switch (hart % 5) {
    case 0:
        return;
    case 1:
        spin();
        break;
    case 2:
        use_devices();
        break;
    case 3:
        make_code();
        break;
    case 4:
        fence_all_the_time();
        break;
    }
}
