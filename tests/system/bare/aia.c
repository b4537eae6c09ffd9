/*
 * The advanced interrupt architecture (RISC-V AIA 1.0): interrupt files, their CSRs, messages as stores, and the APLIC
 * that makes messages of wires.  For a machine with aia=aplic-imsic.
 */
#include "bare.h"

void (*hart_main)(u64);

#define IMSIC_M UINT64_C(0x24000000)
#define IMSIC_S UINT64_C(0x28000000)
#define APLIC_M UINT64_C(0xc000000)
#define APLIC_S UINT64_C(0xd000000)
#define BIT(n) (UINT64_C(1) << (n))
enum { SEI = 9, MSI = 3, MEI = 11 };
enum { DELIVERY = 0x70, THRESHOLD = 0x72, EIP = 0x80, EIE = 0xc0 };
enum { DOMAINCFG = 0, SOURCECFG = 0, MMSIADDRCFG = 0x1bc0, SETIP = 0x1c00, SETIPNUM = 0x1cdc, IN_CLRIP = 0x1d00,
       CLRIPNUM = 0x1ddc, SETIE = 0x1e00, SETIENUM = 0x1edc, CLRIENUM = 0x1fdc, SETIPNUM_LE = 0x2000, GENMSI = 0x3000,
       TARGET = 0x3000 };
enum { UART_IRQ = 10, DETACHED = 1, LEVEL1 = 6, LEVEL0 = 7, DELEGATED = 0x400 };

static volatile u32 *word(u64 a) { return (volatile u32 *)a; }
/* By number: the assembler need not know them. */
#define miselect 0x350
#define mireg 0x351
#define mtopei 0x35c
#define mtopi 0xfb0
#define siselect 0x150
#define sireg 0x151
#define stopei 0x15c
#define stopi 0xdb0
#define READ(n) csr_read_number(n)
#define csr_read_number(n)                                                               \
    ({                                                                                   \
        u64 v_;                                                                          \
        asm volatile("csrr %0, %1" : "=r"(v_) : "i"(n) : "memory");                      \
        v_;                                                                              \
    })
#define WRITE(n, v) asm volatile("csrw %0, %1" ::"i"(n), "r"((u64)(v)) : "memory")
#define SET(n, v) asm volatile("csrs %0, %1" ::"i"(n), "r"((u64)(v)) : "memory")
#define SWAP(n, v)                                                                       \
    ({                                                                                   \
        u64 v_;                                                                          \
        asm volatile("csrrw %0, %1, %2" : "=r"(v_) : "i"(n), "r"((u64)(v)) : "memory");  \
        v_;                                                                              \
    })

static u64 m_reg(u64 n)
{
    WRITE(miselect, n);
    return READ(mireg);
}
static void set_m_reg(u64 n, u64 v)
{
    WRITE(miselect, n);
    WRITE(mireg, v);
}
static u64 s_reg(u64 n)
{
    WRITE(siselect, n);
    return READ(sireg);
}
static void set_s_reg(u64 n, u64 v)
{
    WRITE(siselect, n);
    WRITE(sireg, v);
}
static u64 top(u64 id) { return id << 16 | id; }
static bool m_external(void) { return csr_read(mip) >> MEI & 1; }
static bool s_external(void) { return csr_read(mip) >> SEI & 1; }

static void test_file(void)
{
    for (u64 r = 0; r < 8; r += 2) {
        set_m_reg(EIE + r, ~UINT64_C(0));
        set_s_reg(EIE + r, ~UINT64_C(0));
    }
    CHECK(m_reg(EIE), ~UINT64_C(1));            /* there is no identity 0 */
#ifndef QEMU_7_2                                /* where there are no registers for those */
    CHECK(m_reg(EIE + 8), 0);                   /* nor any above 255 */
#endif
    *word(IMSIC_M) = 5;
    CHECK(m_reg(EIP), BIT(5));
    CHECK(READ(mtopei), top(5));
    CHECK(m_external(), false);                 /* delivery is off */
    set_m_reg(DELIVERY, 1);
    CHECK(m_reg(DELIVERY), 1);
    CHECK(m_external(), true);
    CHECK(s_external(), false);
    CHECK(SWAP(mtopei, 0), top(5));
    CHECK(m_external(), false);
    CHECK(SWAP(mtopei, 0), 0);
    /* The lowest number first; a word's end is no end. */
    *word(IMSIC_M) = 200;
    *word(IMSIC_M) = 64;
    *word(IMSIC_M) = 63;
    *word(IMSIC_M) = 255;
    *word(IMSIC_M) = 0;
    *word(IMSIC_M) = 256;
    set_m_reg(THRESHOLD, 200);
    CHECK(SWAP(mtopei, 0), top(63));
    CHECK(SWAP(mtopei, 0), top(64));
    CHECK(READ(mtopei), 0);                     /* 200 and above do not pass */
    CHECK(m_external(), false);
    set_m_reg(THRESHOLD, 0);
    CHECK(m_external(), true);
    CHECK(SWAP(mtopei, 0), top(200));
    WRITE(miselect, EIE + 6);
    asm volatile("csrc %0, %1" ::"i"(mireg), "r"(BIT(63)) : "memory");
    CHECK(READ(mtopei), 0);                     /* 255 is pending and not enabled */
    CHECK(m_reg(EIP + 6), BIT(63));
    WRITE(miselect, EIE + 6);
    SET(mireg, BIT(63));
    CHECK(SWAP(mtopei, 0), top(255));
    /* By software, too. */
    WRITE(miselect, EIP);
    SET(mireg, BIT(7));
    CHECK(SWAP(mtopei, 0), top(7));
    /* The supervisor's file is another. */
    set_s_reg(DELIVERY, 1);
    *word(IMSIC_S) = 33;
    CHECK(s_external(), true);
    CHECK(m_external(), false);
    CHECK(s_reg(EIP), BIT(33));
    CHECK(SWAP(stopei, 0), top(33));
    CHECK(s_external(), false);
}

static void test_top(void)
{
    csr_write(mideleg, BIT(SEI));
    csr_write(mie, BIT(MEI) | BIT(MSI) | BIT(SEI));
    CHECK(READ(mtopi), 0);
    *word(IMSIC_S) = 1;
    CHECK(READ(mtopi), 0);
    CHECK(READ(stopi) >> 16, SEI);
    *msip(0) = 1;
    CHECK(READ(mtopi) >> 16, MSI);
    *word(IMSIC_M) = 1;
    CHECK(READ(mtopi) >> 16, MEI);
    csr_write(mie, BIT(MSI));
    CHECK(READ(mtopi) >> 16, MSI);
    CHECK(READ(stopi), 0);
    *msip(0) = 0;
    CHECK(READ(mtopi), 0);
    csr_write(mie, 0);
    SWAP(mtopei, 0);
    SWAP(stopei, 0);
    csr_write(mideleg, 0);
}

CODE(read_mireg, "1: csrr a0, 0x351\necall");
CODE(read_sireg, "1: csrr a0, 0x151\necall");
CODE(wait_external, "csrsi sstatus, 2\n1: addi a0, a0, 1\nj 1b");
CODE(read_mtopei, "1: csrr a0, 0x35c\necall");

/* Numbers behind which there is nothing, and who may ask. */
static void test_illegal(void)
{
    static const u64 none[] = { 0, 0x2f, 0x31, 0x40, 0x71, 0x73, 0x7f, 0x81, 0xff, 0x100 };
    for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        WRITE(miselect, none[i]);
        CHECK(run_in(MODE_M, read_mireg, 0, 0)->cause, 2);
        WRITE(siselect, none[i]);
        CHECK(run_in(MODE_S, read_sireg, 0, 0)->cause, 2);
    }
    WRITE(miselect, 0x30);
    CHECK(run_in(MODE_M, read_mireg, 0, 0)->cause, 11);     /* the ECALL behind it */
    CHECK(run_in(MODE_S, read_mireg, 0, 0)->cause, 2);
    CHECK(run_in(MODE_S, read_mtopei, 0, 0)->cause, 2);
    WRITE(siselect, EIP);
    CHECK(run_in(MODE_S, read_sireg, 0, 0)->cause, 9);
    CHECK(run_in(MODE_U, read_sireg, 0, 0)->cause, 2);
}

/* An interrupt by message, taken in S-mode. */
static void test_taken(void)
{
    csr_write(mideleg, BIT(SEI));
    csr_write(mie, BIT(SEI));
    csr_write(stvec, (u64)s_vector_numbered + 1);
    *word(IMSIC_S) = 77;
    const Area *r = run_in(MODE_S, wait_external, 5, 99);
    CHECK(r->cause, 9);                         /* the handler's ECALL */
    CHECK(r->a1, SEI);
    CHECK(csr_read(scause), INTERRUPT | SEI);
    CHECK(SWAP(stopei, 0), top(77));
    csr_write(mie, 0);
    csr_write(mideleg, 0);
}

static volatile u32 *uart(unsigned n) { return (volatile u32 *)(UINT64_C(0x10000000) + n); }
static void uart_line(bool level) { *(volatile unsigned char *)uart(1) = level ? 2 : 0; }   /* "transmitter empty" */

__attribute__((unused)) static void test_wires(void)
{
    *word(APLIC_M + MMSIADDRCFG) = IMSIC_M >> 12;
    *word(APLIC_M + MMSIADDRCFG + 4) = 0;
    *word(APLIC_M + MMSIADDRCFG + 8) = IMSIC_S >> 12;
    *word(APLIC_M + MMSIADDRCFG + 12) = 0;
    *word(APLIC_M + DOMAINCFG) = 0x104;
    *word(APLIC_S + DOMAINCFG) = 0x104;
    CHECK(*word(APLIC_M + DOMAINCFG), 0x80000104);
    /* A source of software's own. */
    *word(APLIC_M + TARGET + 4 * 20) = 42;
    CHECK(*word(APLIC_M + TARGET + 4 * 20), 0); /* inactive: nothing to set */
    *word(APLIC_M + SOURCECFG + 4 * 20) = DETACHED;
    *word(APLIC_M + TARGET + 4 * 20) = 42;
    CHECK(*word(APLIC_M + TARGET + 4 * 20), 42);
    *word(APLIC_M + SETIPNUM) = 20;
    CHECK(*word(APLIC_M + SETIP), BIT(20));     /* waits for being enabled */
    CHECK(READ(mtopei), 0);
    *word(APLIC_M + SETIENUM) = 20;
    CHECK(READ(mtopei), top(42));
    CHECK(*word(APLIC_M + SETIP), 0);           /* it has been sent */
    CHECK(SWAP(mtopei, 0), top(42));
    *word(APLIC_M + DOMAINCFG) = 4;
    *word(APLIC_M + SETIPNUM) = 20;
    CHECK(READ(mtopei), 0);
    *word(APLIC_M + CLRIPNUM) = 20;
    *word(APLIC_M + DOMAINCFG) = 0x104;
    CHECK(READ(mtopei), 0);
    *word(APLIC_M + GENMSI) = 17;
    CHECK(SWAP(mtopei, 0), top(17));

    /* A wire, delegated: the machine's domain sees no more of it. */
    *word(APLIC_S + SOURCECFG + 4 * UART_IRQ) = LEVEL1;
    CHECK(*word(APLIC_S + SOURCECFG + 4 * UART_IRQ), 0);
    *word(APLIC_M + SOURCECFG + 4 * UART_IRQ) = DELEGATED;
    CHECK(*word(APLIC_M + SOURCECFG + 4 * UART_IRQ), DELEGATED);
    *word(APLIC_S + SOURCECFG + 4 * UART_IRQ) = LEVEL1;
    CHECK(*word(APLIC_S + SOURCECFG + 4 * UART_IRQ), LEVEL1);
    *word(APLIC_S + TARGET + 4 * UART_IRQ) = 99;
    *word(APLIC_S + SETIENUM) = UART_IRQ;
    *word(APLIC_M + SETIENUM) = UART_IRQ;
    CHECK(*word(APLIC_M + SETIE), BIT(20));
    uart_line(true);
    CHECK(*word(APLIC_S + IN_CLRIP), BIT(UART_IRQ));
    CHECK(SWAP(stopei, 0), top(99));
    CHECK(READ(stopei), 0);                     /* once for each rise of the level */
    *word(APLIC_S + SETIPNUM_LE) = UART_IRQ;    /* unless it is asked for: the level still is high */
    CHECK(SWAP(stopei, 0), top(99));
    uart_line(false);
    *word(APLIC_S + SETIPNUM_LE) = UART_IRQ;
    CHECK(READ(stopei), 0);
    uart_line(true);
    CHECK(SWAP(stopei, 0), top(99));
    *word(APLIC_S + CLRIENUM) = UART_IRQ;
    uart_line(false);
    uart_line(true);
    CHECK(*word(APLIC_S + SETIP), BIT(UART_IRQ));
    uart_line(false);
    CHECK(*word(APLIC_S + SETIP), 0);           /* the level fell before it was sent */
    *word(APLIC_M + SOURCECFG + 4 * UART_IRQ) = 0;
    CHECK(*word(APLIC_S + SOURCECFG + 4 * UART_IRQ), 0);
}

int main(void)
{
    open_memory();
    test_file();
    test_top();
    test_illegal();
    test_taken();
#ifndef QEMU_7_2                                /* whose APLIC begins with random bits */
    test_wires();
#endif
    print("ok\n");
    return 0;
}
