/*
 * A timer of 1 kHz over loops whose registers obey an invariant, in assembly with
 * all temporary registers in use and in C with floating point: whatever moment the
 * handler runs at, it sees a state between two instructions, may use every register
 * itself, and the loop goes on exactly.
 *
 * test-native: yes
 */
#include <math.h>
#include <sys/time.h>
#include <ucontext.h>
#include "test.h"

static _Atomic unsigned long ticks, inside;
static _Atomic double handler_work;

#ifdef __riscv
extern char loop_start[], loop_end[];

/*
 * The loop keeps x6 = 2 * x5, x7 = x5 + 1000, f0 = x5 at its head; within an
 * iteration x5 leads by at most one.
 */
__asm__(".globl loop_start, loop_end, asm_loop\n"
        "asm_loop:\n"
        "  li t0, 0\n li t1, 0\n li t2, 1000\n fcvt.d.l ft0, zero\n"
        "  li t3, 1\n fcvt.d.l ft1, t3\n li t4, 0\n li t5, 0\n li t6, 0\n"
        "loop_start:\n"
        "  addi t0, t0, 1\n"
        "  addi t1, t1, 2\n"
        "  addi t2, t2, 1\n"
        "  fadd.d ft0, ft0, ft1\n"
        "  addi t4, t4, 3\n"
        "  addi t5, t5, 5\n"
        "  xor t6, t6, t0\n"
        "  bne t0, a0, loop_start\n"
        "loop_end:\n"
        "  fcvt.l.d a1, ft0\n"
        "  sub a0, t1, t0\n sub t2, t2, t0\n addi t2, t2, -1000\n add a0, a0, t2\n"
        "  sub a1, a1, t0\n add a0, a0, a1\n"
        "  sub t5, t5, t4\n sub t5, t5, t1\n add a0, a0, t5\n"
        "  ret\n");
long asm_loop(long n);

static void check_context(ucontext_t *uc)
{
    unsigned long *r = uc->uc_mcontext.__gregs, pc = r[0];
    unsigned long step = (pc - (unsigned long)loop_start);
    double f0;

    if (pc < (unsigned long)loop_start || pc >= (unsigned long)loop_end) {
        return;
    }
    inside++;
    memcpy(&f0, &uc->uc_mcontext.__fpregs.__d.__f[0], 8);
    /* Instruction addresses are known only through sizes; compare by what moved. */
    CHECK(r[5] * 2 - r[6] <= 2 && r[5] + 1000 - r[7] <= 1, "t0 %lu t1 %lu t2 %lu at +%lu",
          r[5], r[6], r[7], step);
    CHECK(r[7] - 1000 <= r[5] && r[6] <= 2 * r[5] && (double)r[5] - f0 <= 1 &&
          f0 <= (double)r[5], "ft0 %g, t0 %lu", f0, r[5]);
    if (step == 0) {
        CHECK(r[6] == 2 * r[5] && r[7] == r[5] + 1000 && f0 == (double)r[5] &&
              r[29] == 3 * r[5] && r[30] == 5 * r[5], "state at the head of the loop");
    }
}
#else
static long asm_loop(long n)
{
    return n;
}

static void check_context(ucontext_t *uc)
{
    inside++;
}
#endif

static void on_timer(int sig, siginfo_t *info, void *context)
{
    ticks++;
    check_context(context);
    /* Disturb registers and rounding flags. */
    handler_work = sqrt((double)ticks) / 3;
}

static double c_loop(unsigned long n)
{
    double a = 0, b = 1, c = 0.5, d = 2;
    uint64_t x = 88172645463325252u, y = 1;

    for (unsigned long i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        y = y * 6364136223846793005u + x;
        a += (double)(x >> 40);
        b = b * 0.999 + a * 1e-9;
        c = c * b - floor(c * b);
        d += c;
    }
    return a + b + c + d + (double)(y & 0xffff);
}

int main(void)
{
    struct itimerval every = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
    double expected = c_loop(100000), got;
    uint64_t until;

    set_handler(SIGALRM, on_timer, SA_RESTART);
    CHECK_ERRNO(setitimer(ITIMER_REAL, &every, NULL) == 0);
    until = now_ns() + scaled(3000) * 1000000u;
    do {        /* longer on a machine so busy that nothing has happened yet */
        long n = 200000;

        CHECK(asm_loop(n) == n, "the loop's result changed after %lu ticks",
              (unsigned long)ticks);
        got = c_loop(100000);
        CHECK(memcmp(&got, &expected, 8) == 0, "%.17g, not %.17g, after %lu ticks", got,
              expected, (unsigned long)ticks);
    } while (now_ns() < until || ticks <= 20 || !inside);
    setitimer(ITIMER_REAL, &never, NULL);
    return 0;
}
