/* The 16550A against its data sheet: what an 8250 driver looks at, and output and input through a chardev. */
#include "device.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "board/dev/uart.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static const MMIOOps *ops = &uart_ops;
static TestLine line;
static UART *dev;
static int peer;                /* the other end of the wire */

static void connect_peer(void)
{
    char path[64], spec[128], *err = NULL;
    snprintf(path, sizeof(path), "/tmp/braid-test-uart-%d", (int)getpid());
    snprintf(spec, sizeof(spec), "unix:%s,server=on,wait=off", path);
    Chardev *c = chardev_open(spec, &err);
    assert_non_null(c);
    dev = uart_create(test_line(&line, 0), c);
    uart_reset(dev);
    chardev_start_all();
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    strcpy(a.sun_path, path);
    peer = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(peer, (void *)&a, sizeof(a)), 0);
    unlink(path);
    /* Output counts from when the server has taken the connection. */
    for (int i = 0; i < 1000; i++) {
        WR(1, DATA, 'x');
        char got;
        if (recv(peer, &got, 1, MSG_DONTWAIT) == 1) {
            break;
        }
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    char rest[2048];
    while (recv(peer, rest, sizeof(rest), MSG_DONTWAIT) > 0) {
    }
}

static int setup(void **state)
{
    uart_reset(dev);
    return 0;
}

static bool wait_data(void)
{
    for (int i = 0; i < 5000 && !(RD(1, LSR) & 1); i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    return RD(1, LSR) & 1;
}

static void test_probe(void **state)
{
    /* What Linux's autoconfig does: scratch, FIFO bits, loopback. */
    WR(1, SCR, 0xa5);
    assert_int_equal(RD(1, SCR), 0xa5);
    WR(1, IIR, 1);
    assert_int_equal(RD(1, IIR) & 0xc0, 0xc0);
    WR(1, MCR, 0x10 | 0x0a);
    assert_int_equal(RD(1, MSR) & 0xf0, 0x90);
    WR(1, MCR, 0);
    assert_int_equal(RD(1, MSR) & 0xf0, 0xb0);
    WR(1, LCR, 0x83);
    WR(1, DATA, 1);
    WR(1, IER, 2);
    assert_int_equal(RD(1, DATA), 1);
    assert_int_equal(RD(1, IER), 2);
    WR(1, LCR, 3);
    assert_int_equal(RD(1, IER), 0);
    assert_int_equal(RD(1, LSR), 0x60);
    assert_int_equal(RD(1, IIR) & 0x0f, 1);
}

static void test_output(void **state)
{
    char got[8] = "";
    for (const char *s = "hello"; *s; s++) {
        assert_int_equal(RD(1, LSR) & 0x20, 0x20);
        WR(1, DATA, (uint8_t)*s);
    }
    assert_int_equal(recv(peer, got, 5, MSG_WAITALL), 5);
    assert_string_equal(got, "hello");
}

static void test_thr_interrupt(void **state)
{
    WR(1, IER, 2);
    assert_true(line_level(&line));     /* enabled while empty */
    assert_int_equal(RD(1, IIR) & 0x0f, 2);
    assert_false(line_level(&line));    /* reading IIR clears it */
    assert_int_equal(RD(1, IIR) & 0x0f, 1);
    WR(1, DATA, 'y');
    assert_true(line_level(&line));     /* empty again */
    WR(1, IER, 0);
    assert_false(line_level(&line));
    char got;
    assert_int_equal(recv(peer, &got, 1, MSG_WAITALL), 1);
}

static void test_input(void **state)
{
    WR(1, IIR, 0x81);                   /* FIFO, trigger at 8 */
    WR(1, IER, 1);
    assert_int_equal(send(peer, "abc", 3, 0), 3);
    assert_true(wait_level(&line, true));
    assert_int_equal(RD(1, IIR) & 0x0f, 0x0c);  /* below the trigger: time-out */
    for (const char *s = "abc"; *s; s++) {
        assert_true(wait_data());
        assert_int_equal(RD(1, DATA), *s);
    }
    assert_false(line_level(&line));
    assert_int_equal(RD(1, LSR) & 1, 0);
}

static void test_flow(void **state)
{
    /* More than the FIFO holds: nothing is lost, because the reader waits. */
    char text[1000];
    WR(1, IIR, 1);
    for (unsigned i = 0; i < sizeof(text); i++) {
        text[i] = (char)('a' + i % 26);
    }
    assert_int_equal(send(peer, text, sizeof(text), 0), (int)sizeof(text));
    for (unsigned i = 0; i < sizeof(text); i++) {
        assert_true(wait_data());
        assert_int_equal(RD(1, LSR) & 2, 0);
        assert_int_equal(RD(1, DATA), text[i]);
    }
}

static void test_loop(void **state)
{
    WR(1, MCR, 0x10);
    WR(1, IIR, 1);
    WR(1, DATA, 'L');
    assert_int_equal(RD(1, LSR) & 1, 1);
    assert_int_equal(RD(1, DATA), 'L');
    for (int i = 0; i < 17; i++) {
        WR(1, DATA, 'm');
    }
    assert_int_equal(RD(1, LSR) & 2, 2);        /* overrun at the 17th, and reading clears it */
    assert_int_equal(RD(1, LSR) & 2, 0);
    WR(1, IIR, 3);                              /* clear the receive FIFO */
    assert_int_equal(RD(1, LSR) & 1, 0);
    WR(1, MCR, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_probe, setup), cmocka_unit_test_setup(test_output, setup),
        cmocka_unit_test_setup(test_thr_interrupt, setup), cmocka_unit_test_setup(test_input, setup),
        cmocka_unit_test_setup(test_flow, setup), cmocka_unit_test_setup(test_loop, setup),
    };
    connect_peer();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
