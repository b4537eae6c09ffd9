/*
 * Results of arithmetic are the default NaN wherever somebody can tell: in memory,
 * in integer registers, after sign injection and classification, in the next
 * iteration of a loop, behind a side exit, and in the registers that a signal
 * handler sees.  NaNs that no arithmetic made keep their payload.
 *
 * test-native: no
 */
#include <math.h>
#include <ucontext.h>
#include "test.h"

#define DEFAULT64 0x7ff8000000000000UL
#define DEFAULT32 0xffffffff7fc00000UL
#define PAYLOAD64 0xfff8000000000123UL /* quiet, negative, with a payload */
#define PAYLOAD32 0xffffffffffc00123UL

static uint64_t as_seen[4];
static char *bad_page;

/* fa0 - fa3 as the handler finds them; the access is skipped. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    for (int i = 0; i < 4; i++) {
        as_seen[i] = uc->uc_mcontext.__fpregs.__d.__f[10 + i];
    }
    uc->uc_mcontext.__gregs[0] += 4;
}

#define CLOBBERS "ft0", "ft1", "fa0", "fa1", "fa2", "fa3", "t0", "t1", "t2", "memory"

/* fa0 is a double NaN from arithmetic, fa1 a single one, fa2 and fa3 bits as loaded. */
#define MAKE                           \
    "fmv.d.x ft0, %[d]\n"              \
    "fmv.d.x ft1, %[s]\n"              \
    "fadd.d fa0, ft0, ft0\n"           \
    "fadd.s fa1, ft1, ft1\n"           \
    "fmv.d.x fa2, %[d]\n"              \
    "fmv.d.x fa3, %[s]\n"
#define IN [d] "r"(PAYLOAD64), [s] "r"(PAYLOAD32)

static void check(const char *where, uint64_t got, uint64_t expected)
{
    CHECK(got == expected, "%s: %#lx, not %#lx", where, got, expected);
}

static void check_four(const char *where, const uint64_t *got)
{
    check(where, got[0], DEFAULT64);
    check(where, got[1], DEFAULT32);
    check(where, got[2], PAYLOAD64);
    check(where, got[3], PAYLOAD32);
}

#define STORE "fsd fa0, 0(%[m])\nfsd fa1, 8(%[m])\nfsd fa2, 16(%[m])\nfsd fa3, 24(%[m])\n"

static __attribute__((noinline)) void stores(void)
{
    uint64_t m[4];
    uint32_t w[2];
    __asm__ volatile(MAKE STORE "fsw fa1, 0(%[w])\nfsw fa0, 4(%[w])\n"
                     : : IN, [m] "r"(m), [w] "r"(w) : CLOBBERS);
    check_four("stored", m);
    check("fsw", w[0], (uint32_t)DEFAULT32);
    check("fsw of a double", w[1], (uint32_t)DEFAULT64);
}

static __attribute__((noinline)) void moves(void)
{
    uint64_t d, s, t, x, e;
    __asm__ volatile(MAKE "fmv.x.d %[a], fa0\nfmv.x.w %[b], fa1\nfmv.x.d %[c], fa1\n"
                     : [a] "=&r"(d), [b] "=&r"(s), [c] "=&r"(t) : IN : CLOBBERS);
    check("fmv.x.d", d, DEFAULT64);
    check("fmv.x.w", s, 0x7fc00000);
    check("fmv.x.d of a single", t, DEFAULT32);
    /* copies, not looked at before; then the original changes */
    __asm__ volatile(MAKE "fmv.d fa2, fa0\nfmv.s fa3, fa1\nfadd.d fa0, fa0, fa0\n"
                     "fmv.d fa1, fa3\nfmv.x.d %[a], fa2\nfmv.x.d %[b], fa3\n"
                     "fmv.x.d %[c], fa1\n"
                     : [a] "=&r"(d), [b] "=&r"(s), [c] "=&r"(t) : IN : CLOBBERS);
    check("fmv.d", d, DEFAULT64);
    check("fmv.s", s, DEFAULT32);
    check("fmv.d of fmv.s", t, DEFAULT32);
    __asm__ volatile(MAKE "fneg.d fa2, fa0\nfneg.s fa3, fa1\nfabs.d fa0, fa0\n"
                     "fsgnj.s fa1, ft1, fa1\nfmv.x.d %[a], fa2\nfmv.x.d %[b], fa3\n"
                     "fmv.x.d %[c], fa0\nfmv.x.d %[x], fa1\n"
                     : [a] "=&r"(d), [b] "=&r"(s), [c] "=&r"(t), [x] "=&r"(x)
                     : IN : CLOBBERS);
    check("fneg.d", d, 0xfff8000000000000);
    check("fneg.s", s, 0xffffffffffc00000);
    check("fabs.d", t, DEFAULT64);
    check("fsgnj.s takes the default NaN's sign", x, 0xffffffff7fc00123);
    __asm__ volatile(MAKE "fclass.d %[a], fa0\nfclass.s %[b], fa1\n"
                     "feq.d %[c], fa0, fa0\nfcvt.w.s %[x], fa1, rtz\n"
                     "fcvt.l.d %[e], fa0, rtz\n"
                     : [a] "=&r"(d), [b] "=&r"(s), [c] "=&r"(t), [x] "=&r"(x),
                       [e] "=&r"(e) : IN : CLOBBERS);
    check("fclass.d", d, 1 << 9);
    check("fclass.s", s, 1 << 9);
    check("feq.d", t, 0);
    check("fcvt.w.s", x, 0x7fffffff);
    check("fcvt.l.d", e, 0x7fffffffffffffff);
    __asm__ volatile(MAKE "fmv.s fa2, fa0\nfmv.d fa3, fa1\n"
                     "fmv.x.d %[a], fa2\nfmv.x.d %[b], fa3\n"
                     : [a] "=&r"(d), [b] "=&r"(s) : IN : CLOBBERS);
    check("fmv.s of a double", d, DEFAULT32);
    check("fmv.d of a single", s, DEFAULT32);
    /* a NaN whose upper half looks like a box until it is canonical */
    __asm__ volatile("fmv.d.x ft0, %[s]\nfadd.d fa0, ft0, ft0\nfmv.s fa1, fa0\n"
                     "fmv.x.d %[a], fa1\n" : [a] "=&r"(d) : IN : CLOBBERS);
    check("fmv.s of a NaN that looks boxed", d, DEFAULT32);
    /* a single where a double is wanted, and a double where a single is */
    __asm__ volatile(MAKE "fadd.d fa2, fa1, fa1\nfadd.s fa3, fa0, fa0\n"
                     "fmv.d.x ft0, %[s]\nfadd.d ft0, ft0, ft0\nfadd.s fa0, ft0, ft0\n"
                     "fmin.d fa1, fa1, fa2\n"
                     "fmv.x.d %[a], fa2\nfmv.x.d %[b], fa3\nfmv.x.d %[c], fa0\n"
                     "fmv.x.d %[x], fa1\n"
                     : [a] "=&r"(d), [b] "=&r"(s), [c] "=&r"(t), [x] "=&r"(x)
                     : IN : CLOBBERS);
    check("fadd.d of singles", d, DEFAULT64);
    check("fadd.s of doubles", s, DEFAULT32);
    check("fadd.s of a NaN that looked boxed before it was canonical", t, DEFAULT32);
    check("fmin.d", x, DEFAULT64);
}

/* Conversions and each operation, in a chain. */
static __attribute__((noinline)) void chain(void)
{
    uint64_t d, s;
    __asm__ volatile(MAKE "fmul.d fa0, fa0, ft0\nfsub.d fa0, ft0, fa0\n"
                     "fdiv.d fa0, fa0, ft0\nfsqrt.d fa0, fa0\nfmadd.d fa0, fa0, ft0, ft0\n"
                     "fcvt.s.d fa1, fa0\nfnmsub.s fa1, fa1, fa1, fa1\nfcvt.d.s fa0, fa1\n"
                     "fmv.x.d %[a], fa0\nfmv.x.d %[b], fa1\n"
                     : [a] "=&r"(d), [b] "=&r"(s) : IN : CLOBBERS);
    check("double chain", d, DEFAULT64);
    check("single chain", s, DEFAULT32);
}

static __attribute__((noinline)) void faults(void)
{
    for (int i = 0; i < 4; i++) {
        memset(as_seen, 0, sizeof as_seen);
        __asm__ volatile(".option push\n.option norvc\n" MAKE
                         "lb t0, 0(%[m])\n"
                         ".option pop\n" : : IN, [m] "r"(bad_page) : CLOBBERS);
        check_four("seen at a load that faults", as_seen);
        __asm__ volatile(".option push\n.option norvc\n" MAKE
                         "fadd.d fa0, fa0, fa0\nfadd.s fa1, fa1, fa1\n"
                         "fsd ft0, 0(%[m])\n"
                         ".option pop\n" : : IN, [m] "r"(bad_page) : CLOBBERS);
        check_four("seen at a store that faults", as_seen);
    }
}

/* A side exit every third time, the loop's own end otherwise. */
static __attribute__((noinline)) void side_exits(int n)
{
    uint64_t m[4];
    for (int i = 0; i < n; i++) {
        memset(m, 0, sizeof m);
        __asm__ volatile(MAKE "li t0, 3\nremw t0, %[i], t0\nbeqz t0, 1f\n"
                         "fadd.d fa0, fa0, ft0\nfmul.s fa1, fa1, ft1\n"
                         "j 2f\n1: nop\n2:" STORE
                         : : IN, [m] "r"(m), [i] "r"(i) : CLOBBERS);
        check_four("behind a branch", m);
    }
}

/*
 * The NaNs appear in some iteration: before it, numbers.  Each iteration looks at
 * what the one before left, before it makes new ones, or faults there.
 */
static __attribute__((noinline)) void loops(long n, long bad)
{
    uint64_t m[4];
    __asm__ volatile("fmv.d.x fa0, zero\nfmv.w.x fa1, zero\nfmv.d.x fa2, %[d]\n"
                     "fmv.d.x fa3, %[s]\nmv t0, %[n]\n"
                     "fmv.d.x ft0, %[d]\nfmv.d.x ft1, %[s]\n"
                     "1: fmv.x.d t1, fa0\nfmv.x.d t2, fa1\n"
                     "bne t0, %[bad], 2f\n"
                     "fadd.d fa0, fa0, ft0\nfadd.s fa1, fa1, ft1\n"
                     "2: fadd.d fa0, fa0, fa0\nfadd.s fa1, fa1, fa1\n"
                     "addi t0, t0, -1\nbnez t0, 1b\n"
                     "sd t1, 0(%[m])\nsd t2, 8(%[m])\n"
                     "fsd fa2, 16(%[m])\nfsd fa3, 24(%[m])\n"
                     : : IN, [m] "r"(m), [n] "r"(n), [bad] "r"(bad) : CLOBBERS);
    check_four("left by the iteration before", m);
    memset(as_seen, 0, sizeof as_seen);
    /* from the second iteration on the load faults at the head of the loop */
    __asm__ volatile(".option push\n.option norvc\n"
                     "fmv.d.x fa0, zero\nfmv.w.x fa1, zero\nfmv.d.x fa2, %[d]\n"
                     "fmv.d.x fa3, %[s]\nmv t0, %[n]\nmv t1, %[good]\n"
                     "fmv.d.x ft0, %[d]\nfmv.d.x ft1, %[s]\n"
                     "1: lb t2, 0(t1)\n"
                     "fadd.d fa0, ft0, ft0\nfadd.s fa1, ft1, ft1\n"
                     "addi t0, t0, -1\nbgtz t0, 1b\n"
                     "mv t1, %[m]\nbeqz t0, 1b\n"
                     ".option pop\n"
                     : : IN, [m] "r"(bad_page), [good] "r"(m), [n] "r"(n) : CLOBBERS);
    check_four("seen at the head of a loop", as_seen);
}

int main(void)
{
    bad_page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_ERRNO(bad_page != MAP_FAILED);
    struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    CHECK_ERRNO(sigaction(SIGSEGV, &sa, NULL) == 0);
    for (int round = 0; round < 3; round++) {
        stores();
        moves();
        chain();
        faults();
        side_exits(30);
        loops(2, 2);
        loops(1000, 7);
        loops(100000, 99990);
    }
    return 0;
}
