/*
 * Without C a jump or branch to an address that is no multiple of four raises SIGBUS at
 * the jump: BUS_ADRALN, si_addr the jump's own pc (Linux reports epc), no register
 * written.  A branch that is not taken does not.
 *
 * Freestanding and compiled without C, for `-cpu rv64,c=off`; exit status 0, or the
 * number of the case that went wrong.
 */
typedef unsigned long u64;

enum { RT_SIGACTION = 134, EXIT_GROUP = 94, SIGBUS = 7, SIGILL = 4, BUS_ADRALN = 1, SA_SIGINFO = 4 };
enum { PC_IN_UCONTEXT = 176 }; /* uc_mcontext.gregs[0] */

static u64 seen_signal, seen_code, seen_addr, seen_pc, seen_ra;

static long call(long n, u64 a, u64 b, u64 c, u64 d)
{
    register long a7 __asm__("a7") = n;
    register u64 a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c,
                 a3 __asm__("a3") = d;

    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3) : "memory");
    return (long)a0;
}

static void handler(int sig, const char *info, char *uc)
{
    u64 *regs = (u64 *)(uc + PC_IN_UCONTEXT);

    seen_signal = (u64)sig;
    seen_code = (u64) * (const int *)(info + 8);
    seen_addr = *(const u64 *)(info + 16);
    seen_pc = regs[0];
    seen_ra = regs[1];
    regs[0] = regs[18]; /* s2: where to go on */
}

/* Run `insn` at a known address with ra = 5; t0 is its misaligned target. */
#define TRY(insn)                                                                        \
    ({                                                                                   \
        u64 at_;                                                                         \
        seen_signal = 0;                                                                 \
        __asm__ volatile("li ra, 5\n la s2, 2f\n la %0, 1f\n la t0, 2f+2\n li t1, 1\n"   \
                         "1: " insn "\n2:"                                               \
                         : "=r"(at_)                                                     \
                         :                                                               \
                         : "ra", "s2", "t0", "t1", "memory");                            \
        at_;                                                                             \
    })

static int bad(u64 at)
{
    return seen_signal != SIGBUS || seen_code != BUS_ADRALN || seen_addr != at ||
           seen_pc != at || seen_ra != 5;
}

__asm__(".option norelax\n.globl _start\n_start:\n andi sp, sp, -16\n call run\n"
        " li a7, 94\n ecall\n");

int run(void)
{
    struct {
        void (*handler)(int, const char *, char *);
        u64 flags, mask;
    } action = { handler, SA_SIGINFO, 0 };

    call(RT_SIGACTION, SIGBUS, (u64)&action, 0, 8);
    call(RT_SIGACTION, SIGILL, (u64)&action, 0, 8);
    for (int i = 0; i < 3; i++) {
        if (bad(TRY(".4byte 0x0060006f"))) { /* j .+6 */
            return 1;
        }
        if (bad(TRY(".4byte 0x006000ef"))) { /* jal .+6 */
            return 2;
        }
        if (bad(TRY("jalr x0, 0(t0)")) || bad(TRY("jalr ra, 1(t0)"))) {
            return 3;
        }
        if (bad(TRY(".4byte 0x00031363"))) { /* bnez t1, .+6 */
            return 4;
        }
        TRY(".4byte 0x00030363"); /* beqz t1, .+6 */
        if (seen_signal) {
            return 5;
        }
        if (bad(TRY("jalr ra, 2(s2)"))) { /* a target that the translator knows */
            return 6;
        }
        TRY(".2byte 0x0001, 0x0001"); /* c.nop */
        if (seen_signal != SIGILL) {
            return 7;
        }
    }
    return 0;
}
