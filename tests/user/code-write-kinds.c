/*
 * Every way of writing over code is noticed: bytes to doubles, floating-point stores,
 * a misaligned store over the border of two code pages, atomics, sc, memcpy, and the
 * kernel's own writes (read, recv, getrandom's kind) into a page that holds translated
 * code.
 *
 * test-native: no
 */
#include <sys/socket.h>
#include <sys/uio.h>
#include "rv-code.h"

static char *pages;

static void write_bytes(char *at, const char *code)
{
    for (int i = 0; i < 8; i++) {
        __atomic_store_n(at + i, code[i], __ATOMIC_RELAXED);
    }
}

static void write_halves(char *at, const char *code)
{
    for (int i = 0; i < 8; i += 2) {
        __atomic_store_n((uint16_t *)(at + i), *(const uint16_t *)(code + i),
                         __ATOMIC_RELAXED);
    }
}

static void write_double(char *at, const char *code)
{
    uint64_t value = *(const uint64_t *)code;

    __asm__ volatile("sd %0, 0(%1)" : : "r"(value), "r"(at) : "memory");
}

static void write_fp(char *at, const char *code)
{
    double value;

    memcpy(&value, code, 8);
    __asm__ volatile("fsd %0, 0(%1)" : : "f"(value), "r"(at) : "memory");
}

static void write_swap(char *at, const char *code)
{
    uint64_t value = *(const uint64_t *)code;

    __asm__ volatile("amoswap.d zero, %0, (%1)" : : "r"(value), "r"(at) : "memory");
}

static void write_amo_word(char *at, const char *code)
{
    uint32_t value = *(const uint32_t *)code ^ *(uint32_t *)at;

    __asm__ volatile("amoxor.w.aqrl zero, %0, (%1)" : : "r"(value), "r"(at) : "memory");
}

static void write_sc(char *at, const char *code)
{
    uint64_t value = *(const uint64_t *)code, old, failed;

    do {
        __asm__ volatile("lr.d %0, (%3)\n sc.d %1, %2, (%3)"
                         : "=&r"(old), "=&r"(failed) : "r"(value), "r"(at) : "memory");
    } while (failed);
}

static void write_read(char *at, const char *code)
{
    int fds[2];

    CHECK_ERRNO(pipe(fds) == 0 && write(fds[1], code, 8) == 8);
    CHECK_ERRNO(read(fds[0], at, 8) == 8);
    close(fds[0]);
    close(fds[1]);
}

static void write_recv(char *at, const char *code)
{
    int fds[2];

    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0 &&
                send(fds[1], code, 8, 0) == 8);
    CHECK_ERRNO(recv(fds[0], at, 8, MSG_WAITALL) == 8);
    close(fds[0]);
    close(fds[1]);
}

static void write_readv(char *at, const char *code)
{
    struct iovec parts[2] = { { at, 4 }, { at + 4, 4 } };
    int fds[2];

    CHECK_ERRNO(pipe(fds) == 0 && write(fds[1], code, 8) == 8);
    CHECK_ERRNO(readv(fds[0], parts, 2) == 8);
    close(fds[0]);
    close(fds[1]);
}

static void write_clock(char *at, const char *code)
{
    /* The kernel stores a structure beside the code: data in a code page. */
    CHECK_ERRNO(clock_gettime(CLOCK_MONOTONIC, (struct timespec *)(at + 64)) == 0);
    CHECK_ERRNO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, at + 80) == 0);
    CHECK(((struct timespec *)(at + 80))->tv_nsec < 1000000000, "clock");
    memcpy(at, code, 8);
}

static void (*const writers[])(char *, const char *) = {
    write_bytes, write_halves, write_double, write_fp,    write_swap,  write_amo_word,
    write_sc,    write_read,   write_recv,   write_readv, write_clock,
};

static void check_writer(size_t which, char *at)
{
    for (int i = 0; i < 50; i++) {
        _Alignas(8) char code[8];
        int value = (int)which * 100 + i;
        long r;

        rv_put_return(code, value);
        writers[which](at, code);
        fence_i();
        r = call_code(at);
        CHECK(r == value, "writer %zu at %#lx: %ld, not %d", which,
              (unsigned long)(at - pages), r, value);
    }
}

/* Two functions, the first at the very end of page 0, the second at the start of page 1.
 */
static void check_border(void)
{
    char *border = pages + PAGE;

    for (int i = 0; i < 200; i++) {
        uint32_t both[2] = { RV_RET, rv_addi(A0, ZERO, i) };
        uint64_t value;
        long first, second;

        rv_put(border - 8, rv_addi(A0, ZERO, 7));
        rv_put(border - 4, RV_RET);
        rv_put(border, rv_addi(A0, ZERO, 2000));
        rv_put(border + 4, RV_RET);
        fence_i();
        CHECK(call_code(border - 8) == 7 && call_code(border) == 2000, "before");
        memcpy(&value, both, 8);
        /* Bytes border-4 … border+3 in one store. */
        __asm__ volatile("sd %0, 0(%1)" : : "r"(value), "r"(border - 4) : "memory");
        fence_i();
        first = call_code(border - 8);
        second = call_code(border);
        CHECK(first == 7 && second == i, "over the border: %ld %ld, round %d", first,
              second, i);
        /* Odd address: the last byte of page 0 and seven of page 1. */
        rv_put(border, rv_addi(A0, ZERO, 1));
        memcpy(&value, border - 1, 8);
        value +=
            1ull << (20 +
                     8); /* the immediate of addi plus one, seen from one byte before */
        __asm__ volatile("sd %0, 0(%1)" : : "r"(value), "r"(border - 1) : "memory");
        fence_i();
        second = call_code(border);
        CHECK(second == 2 && call_code(border - 8) == 7, "from an odd address: %ld",
              second);
    }
}

int main(void)
{
    pages = map_pages(2, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (size_t i = 0; i < sizeof(writers) / sizeof(*writers); i++) {
        check_writer(i, pages + 512);
        check_writer(i, pages + PAGE - 256);
    }
    check_border();
    return 0;
}
