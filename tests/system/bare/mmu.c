/* Address translation in the machine: tables that change, fences, pages that end in the middle of things. */
#include "bare.h"

void (*hart_main)(u64);

enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };
#define SV39 (UINT64_C(8) << 60)
#define SUM (1 << 18)
#define MXR (1 << 19)
#define MPRV (1 << 17)

typedef u64 Table[512] __attribute__((aligned(4096)));
static Table root, middle, last;
static char pages[8][4096] __attribute__((aligned(4096)));

/* Virtual: 0x40000000 + 4096 * i is last[i]; memory itself is where it is, for S-mode. */
#define VA(i) (UINT64_C(0x40000000) + 4096 * (u64)(i))

CODE(load_a0, "1: ld a0, 0(a0)\necall");
CODE(load_byte, "1: lbu a0, 0(a0)\necall");
CODE(store_a0, "1: sd a1, 0(a0)\necall");
CODE(jump_a0, "1: jr a0");
CODE(fence_load, "sfence.vma a0, zero\n1: ld a0, 0(a0)\necall");

static u64 pte(const void *page, u64 bits) { return (u64)page >> 12 << 10 | bits; }

static void fence_all(void) { asm volatile("sfence.vma" ::: "memory"); }
static void set_satp(u64 asid)
{
    csr_write(satp, SV39 | asid << 44 | (u64)root >> 12);
}
static void map(unsigned i, const void *page, u64 bits)
{
    last[i] = pte(page, bits);
    fence_all();
}

static void fill_pages(void)
{
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned k = 0; k < 512; k++) {
            ((u64 *)pages[i])[k] = i * 1000 + k;
        }
    }
}

static void set_up(void)
{
    root[1] = pte(middle, V);
    middle[0] = pte(last, V);
    root[2] = (UINT64_C(0x80000000) >> 12 << 10) | V | R | W | X | A | D | G;
    root[0] = V | R | W | A | D | G;    /* devices */
    set_satp(1);
    fence_all();
    fill_pages();
}

static void expect(int line, const Area *r, u64 cause, u64 tval)
{
    if (r->cause != cause) {
        check_failed(line, "mcause", r->cause, cause);
    }
    if (r->tval != tval) {
        check_failed(line, "mtval", r->tval, tval);
    }
}
#define EXPECT(mode, fn, a0, cause) \
    expect(__LINE__, run_in(mode, fn, (u64)(a0), 7), cause, (cause) == 8 || (cause) == 9 ? 0 : (u64)(a0))

static void test_user_pages(void)
{
    map(0, pages[0], V | R | W | U | A | D);
    map(1, pages[1], V | R | W | A | D);
    map(2, jump_a0, V | X | U | A);
    CHECK(run_in(MODE_S, load_a0, VA(1), 0)->a0, 1000);
    EXPECT(MODE_S, load_a0, VA(0), 13);
    EXPECT(MODE_S, store_a0, VA(0), 15);
    csr_set(mstatus, SUM);
    CHECK(run_in(MODE_S, load_a0, VA(0) + 8, 0)->a0, 1);
    csr_clear(mstatus, SUM);
    EXPECT(MODE_S, load_a0, VA(0), 13);
    /* U-mode sees no code of ours: the first fetch faults. */
    const Area *r = run_in(MODE_U, load_a0, VA(0), 0);
    CHECK(r->cause, 12);
    CHECK(r->epc, (u64)load_a0);
    CHECK(r->tval, (u64)load_a0);
    /* MXR, MPRV */
    map(3, pages[3], V | X | A);
    EXPECT(MODE_S, load_a0, VA(3), 13);
    csr_set(mstatus, MXR);
    CHECK(run_in(MODE_S, load_a0, VA(3), 0)->a0, 3000);
    csr_clear(mstatus, MXR);
    EXPECT(MODE_S, load_a0, VA(3), 13);
    u64 v;
    csr_clear(mstatus, 3 << 11);
    asm volatile("csrs mstatus, %1\n ld %0, 0(%2)\n csrc mstatus, %1"
                 : "=&r"(v) : "r"((u64)MPRV), "r"(VA(0) + 16) : "memory");
    CHECK(v, 2);    /* MPP = U */
}

static void test_fetch(void)
{
    /* An instruction across two pages: its second half is not there, then is, then is another. */
    static const u32 insns[2] = {0x00150513 /* addi a0, a0, 1 */, 0x00000073 /* ecall */};
    char *p = pages[4] + 4096 - 2;
    const char *code = (const char *)insns;
    p[0] = code[0];
    p[1] = code[1];
    for (int i = 0; i < 6; i++) {
        pages[5][i] = code[2 + i];
        pages[6][i] = code[2 + i];
    }
    pages[6][0] = 0x25;     /* bits 16-23: addi a0, a0, 2 */
    asm volatile("fence.i" ::: "memory");
    map(4, pages[4], V | X | R | A);
    map(5, pages[5], 0);
    const Area *r = run_in(MODE_S, (void *)(VA(5) - 2), 100, 0);
    CHECK(r->cause, 12);
    CHECK(r->epc, VA(5) - 2);
    CHECK(r->tval, VA(5));
    map(5, pages[5], V | X | A);
    CHECK(run_in(MODE_S, (void *)(VA(5) - 2), 100, 0)->a0, 101);
    map(5, pages[6], V | X | A);
    CHECK(run_in(MODE_S, (void *)(VA(5) - 2), 100, 0)->a0, 102);
    map(5, pages[5], V | X | A);
    CHECK(run_in(MODE_S, (void *)(VA(5) - 2), 100, 0)->a0, 101);
    map(5, pages[5], V | R | A);
    r = run_in(MODE_S, (void *)(VA(5) - 2), 100, 0);
    CHECK(r->cause, 12);
    CHECK(r->tval, VA(5));
    r = run_in(MODE_S, jump_a0, VA(5), 0);
    CHECK(r->cause, 12);
    CHECK(r->epc, VA(5));
}

/* Data across two pages. */
static void test_crossing(void)
{
    map(0, pages[0], V | R | W | A | D);
    map(1, pages[2], V | R | W | A | D);
    u64 at = VA(1) - 4;
    CHECK(run_in(MODE_S, load_a0, at, 0)->a0, UINT64_C(2000) << 32 | 511 >> 31);
    *(u32 *)(pages[0] + 4092) = 0xaaaa5555;
    CHECK(run_in(MODE_S, load_a0, at, 0)->a0, UINT64_C(2000) << 32 | 0xaaaa5555);
    EXPECT(MODE_S, store_a0, at, 9);
    CHECK(*(u32 *)(pages[0] + 4092), 7);
    CHECK(*(u32 *)pages[2], 0);
    map(1, pages[2], V | R | A);
    const Area *r = run_in(MODE_S, store_a0, at, 0x1111111122222222);
    CHECK(r->cause, 15);
    CHECK(r->tval, VA(1));      /* the part that faults */
    CHECK(r->epc, (u64)store_a0_at);
    CHECK(*(u32 *)pages[2], 0);
    CHECK(*(u32 *)(pages[0] + 4092), 7);    /* nothing of it was done */
    map(0, pages[0], 0);
    r = run_in(MODE_S, load_a0, at, 0);
    CHECK(r->cause, 13);
    CHECK(r->tval, at);
}

static void test_marks(void)
{
    map(0, pages[0], V | R | W);
    CHECK(run_in(MODE_S, load_a0, VA(0) + 8, 0)->a0, 1);
    CHECK(last[0], pte(pages[0], V | R | W | A));
    EXPECT(MODE_S, store_a0, VA(0), 9);
    CHECK(last[0], pte(pages[0], V | R | W | A | D));
    map(0, pages[0], V | R | W | A);    /* clean again: the next store must mark it again */
    EXPECT(MODE_S, store_a0, VA(0), 9);
    CHECK(last[0], pte(pages[0], V | R | W | A | D));
    map(0, pages[0], V | R);
    EXPECT(MODE_S, store_a0, VA(0), 15);
    CHECK(last[0], pte(pages[0], V | R));
}

/* Address spaces: what one knows is not what another sees. */
static void test_asids(void)
{
    static Table root2, middle2, last2;
    fill_pages();
    map(0, pages[1], V | R | A);
    root2[1] = pte(middle2, V);
    root2[2] = root[2];
    middle2[0] = pte(last2, V);
    last2[0] = pte(pages[2], V | R | A);
    u64 space1 = SV39 | UINT64_C(1) << 44 | (u64)root >> 12;
    u64 space2 = SV39 | UINT64_C(2) << 44 | (u64)root2 >> 12;
    for (int i = 0; i < 3; i++) {
        csr_write(satp, space1);
        CHECK(run_in(MODE_S, load_byte, VA(0), 0)->a0, 1000 & 255);
        csr_write(satp, space2);
        CHECK(run_in(MODE_S, load_byte, VA(0), 0)->a0, 2000 & 255);
        csr_write(satp, 0);
        CHECK(run_in(MODE_S, load_byte, (u64)pages[3], 0)->a0, 3000 & 255);
    }
    /* A change in the other space, fenced for that space and page alone. */
    csr_write(satp, space1);
    last2[0] = pte(pages[4], V | R | A);
    asm volatile("sfence.vma %0, %1" ::"r"(VA(0)), "r"(2L) : "memory");
    csr_write(satp, space2);
    CHECK(run_in(MODE_S, load_byte, VA(0), 0)->a0, 4000 & 255);
    csr_write(satp, space1);
    last[0] = pte(pages[3], V | R | A);
    asm volatile("sfence.vma zero, %0" ::"r"(1L) : "memory");
    CHECK(run_in(MODE_S, load_byte, VA(0), 0)->a0, 3000 & 255);
    last[0] = pte(pages[1], V | R | A);
    CHECK(run_in(MODE_S, fence_load, VA(0), 0)->a0, 1000);
}

/* Large pages are fenced as a whole by any address in them. */
static void test_superpages(void)
{
    middle[1] = (u64)root >> 21 << 19 | V | R | A;
    fence_all();
    u64 base = 0x40200000, phys = (u64)root >> 21 << 21;
    CHECK(run_in(MODE_S, load_a0, base + ((u64)pages[1] - phys), 0)->a0, 1000);
    CHECK(run_in(MODE_S, load_a0, base + ((u64)pages[2] - phys), 0)->a0, 2000);
    middle[1] = 0;
    asm volatile("sfence.vma %0, zero" ::"r"(base) : "memory");
    EXPECT(MODE_S, load_a0, base + ((u64)pages[1] - phys), 13);
    EXPECT(MODE_S, load_a0, base + ((u64)pages[2] - phys), 13);
    middle[1] = (((u64)root >> 21 << 19) + (1 << 10)) | V | R | A;
    fence_all();
    EXPECT(MODE_S, load_a0, base, 13);
    middle[1] = 0;
    fence_all();
    EXPECT(MODE_S, load_a0, UINT64_C(0x8000000000), 13);    /* not canonical */
    EXPECT(MODE_S, store_a0, UINT64_C(0x4000000000), 15);
}

/* Code in a page that gets another page: the same address, other instructions. */
static void test_code_remap(void)
{
    u32 one[3] = {0x00150513, 0x00008067};  /* addi a0, a0, 1; ret */
    u32 two[3] = {0x00250513, 0x00008067};
    for (int i = 0; i < 2; i++) {
        ((u32 *)pages[6])[i] = one[i];
        ((u32 *)pages[7])[i] = two[i];
    }
    asm volatile("fence.i" ::: "memory");
    for (int i = 0; i < 100; i++) {
        map(6, pages[6 + i % 2], V | X | A);
        CHECK(run_in(MODE_S, (void *)VA(6), 10, 0)->a0, 11 + i % 2);
    }
    /* Two addresses of one page: AUIPC tells them apart. */
    ((u32 *)pages[6])[0] = 0x00000517;      /* auipc a0, 0 */
    asm volatile("fence.i" ::: "memory");
    map(6, pages[6], V | X | A);
    map(7, pages[6], V | X | A);
    for (int i = 0; i < 3; i++) {
        CHECK(run_in(MODE_S, (void *)VA(6), 0, 0)->a0, VA(6));
        CHECK(run_in(MODE_S, (void *)VA(7), 0, 0)->a0, VA(7));
        CHECK(run_in(MODE_M, pages[6], 0, 0)->a0, (u64)pages[6]);
    }
}

/* Copies of the code behind `fn` in pages[6] and pages[7], at an offset; where they load a0 with 1 the second has 2. */
static void make_twins(const void *fn, unsigned offset, unsigned nwords)
{
    for (int k = 6; k < 8; k++) {
        u32 *to = (u32 *)(pages[k] + offset);
        for (unsigned i = 0; i < nwords; i++) {
            u32 insn = ((const u32 *)fn)[i];
            to[i] = insn == 0x00100513 && k == 7 ? 0x00200513 : insn;
        }
    }
    asm volatile("fence.i" ::: "memory");
}

CODE(remap_self, ".option push\n.option norvc\nsd a1, 0(a0)\nsfence.vma\n1: li a0, 1\necall\n.option pop");
CODE(remap_next, ".option push\n.option norvc\nsd a1, 0(a0)\n1: sfence.vma\n.option pop");
CODE(answer, ".option push\n.option norvc\n1: li a0, 1\necall\n.option pop");
CODE(remap_sret, "sd a1, 0(a0)\nli t0, 0x40006000\ncsrw sepc, t0\nli t0, 0x100\ncsrs sstatus, t0\n"
                 "sfence.vma t0, zero\nsfence.vma\n1: sret");
CODE(switch_space, ".option push\n.option norvc\ncsrw satp, a0\n1: li a0, 1\necall\n.option pop");

/* A page that changes under the program counter: what is executed after the fence is the new one. */
static void test_own_page(void)
{
#ifndef QEMU_7_2    /* goes on in the old page */
    make_twins(remap_self, 0, 4);
    for (int i = 0; i < 60; i++) {
        map(6, pages[6 + i % 2], V | X | A);
        CHECK(run_in(MODE_S, (void *)VA(6), (u64)&last[6], pte(pages[7 - i % 2], V | X | A))->a0, 2 - i % 2);
    }
#endif
    /* The next page changes; the block before it ends there, or does not. */
    make_twins(answer, 0, 2);
    for (int i = 0; i < 2; i++) {
        ((u32 *)(pages[4] + 4096))[i - 2] = ((const u32 *)remap_next)[i];
    }
    asm volatile("fence.i" ::: "memory");
    map(5, pages[4], V | X | A);
    for (int i = 0; i < 60; i++) {
        map(6, pages[6 + i % 2], V | X | A);
        CHECK(run_in(MODE_S, (void *)(VA(6) - 8), (u64)&last[6], pte(pages[7 - i % 2], V | X | A))->a0, 2 - i % 2);
    }
    for (int i = 0; i < 60; i++) {
        map(6, pages[6 + i % 2], V | X | A);
        CHECK(run_in(MODE_S, remap_sret, (u64)&last[6], pte(pages[7 - i % 2], V | X | A))->a0, 2 - i % 2);
    }
}

/* Another address space, and nothing is fenced: the next instruction is that of the new one. */
static void test_space_switch(void)
{
    static Table root2, middle2, last2;
    make_twins(switch_space, 0, 3);
    map(6, pages[6], V | X | A);
    root2[1] = pte(middle2, V);
    root2[2] = root[2];
    middle2[0] = pte(last2, V);
    last2[6] = pte(pages[7], V | X | A);
    fence_all();
    u64 spaces[2] = {SV39 | UINT64_C(1) << 44 | (u64)root >> 12, SV39 | UINT64_C(2) << 44 | (u64)root2 >> 12};
    for (int i = 0; i < 60; i++) {
        csr_write(satp, spaces[i & 1]);
        CHECK(run_in(MODE_S, (void *)VA(6), spaces[~i & 1], 0)->a0, 2 - (i & 1));
    }
    /* One ASID, two tables, no fence: either is right. */
    spaces[1] = SV39 | UINT64_C(1) << 44 | (u64)root2 >> 12;
    for (int i = 0; i < 60; i++) {
        csr_write(satp, spaces[i & 1]);
        const Area *r = run_in(MODE_S, (void *)VA(6), spaces[~i & 1], 0);
        CHECK(r->cause, 9);
        CHECK(r->a0 == 1 || r->a0 == 2, 1);
    }
    /* ASIDs that are given out again, each time after a fence of theirs. */
    for (u64 i = 0; i < 400; i++) {
        u64 asid = 1 + i % 7, table = (u64)(i % 3 ? root : root2) >> 12;
        asm volatile("sfence.vma zero, %0" ::"r"(asid) : "memory");
        csr_write(satp, SV39 | asid << 44 | table);
        CHECK(run_in(MODE_S, (void *)VA(6), SV39 | asid << 44 | table, 0)->a0, i % 3 ? 1 : 2);
    }
    set_satp(1);
    fence_all();
}

/* A supervisor's pages that are not global: each space has its own, whoever ran before. */
static void test_supervisor_pages(void)
{
    static Table root2, middle2, last2;
    root2[0] = root[0];
    root2[1] = pte(middle2, V);
    root2[2] = root[2];
    middle2[0] = pte(last2, V);
    fill_pages();
    map(1, pages[1], V | R | W | A | D);
    map(3, pages[3], V | R | W | A | D | G);
    last2[1] = pte(pages[2], V | R | W | A | D);
    last2[3] = last[3];
    u64 spaces[2] = {SV39 | UINT64_C(1) << 44 | (u64)root >> 12, SV39 | UINT64_C(2) << 44 | (u64)root2 >> 12};
    fence_all();
    for (u64 i = 0; i < 60; i++) {
        csr_write(satp, spaces[i & 1]);
        CHECK(run_in(MODE_S, load_a0, VA(3), 0)->a0, 3000);
        CHECK(run_in(MODE_S, load_a0, VA(1), 0)->a0, i & 1 ? 2000 : 1000);
        if (i % 7 == 3) {
            asm volatile("sfence.vma zero, %0" ::"r"(1 + (i & 1)) : "memory");
            CHECK(run_in(MODE_S, load_a0, VA(1), 0)->a0, i & 1 ? 2000 : 1000);
        }
    }
    /* Gone from one, after a fence for that one's ASID, which is the current one or not. */
    for (unsigned i = 0; i < 2; i++) {
        csr_write(satp, spaces[1]);
        CHECK(run_in(MODE_S, load_a0, VA(1), 0)->a0, 2000);
        csr_write(satp, spaces[i]);
        last2[1] = 0;
        asm volatile("sfence.vma %0, %1" ::"r"(VA(1)), "r"(2L) : "memory");
        csr_write(satp, spaces[1]);
        EXPECT(MODE_S, load_a0, VA(1), 13);
        last2[1] = pte(pages[2], V | R | W | A | D);
        fence_all();
    }
    set_satp(1);
    fence_all();
}

/* Svvptc: what was not valid and becomes so needs no fence, at least not for long. */
static void test_made_valid(void)
{
    fill_pages();
    for (unsigned i = 0; i < 40; i++) {
        map(i, NULL, 0);
        EXPECT(MODE_S, load_a0, VA(i), 13);
        EXPECT(MODE_S, store_a0, VA(i), 15);
        last[i] = pte(pages[i % 8], V | R | W | A | D);
        const Area *r;
        do {
            r = run_in(MODE_S, load_a0, VA(i), 0);
        } while (r->cause == 13);
        CHECK(r->a0, i % 8 * 1000);
        CHECK(run_in(MODE_S, store_a0, VA(i), i % 8 * 1000)->cause, 9);
    }
}

CODE(sum_loop, "li t1, 300\nli t2, 0x40000\n2: csrs sstatus, t2\nld a1, 0(a0)\ncsrc sstatus, t2\naddi t1, t1, -1\n"
               "bnez t1, 2b\n1: ld a0, 8(a0)\necall");

/* What the TLB learnt with MPRV or SUM is not for those without. */
static void test_borrowed_rights(void)
{
    map(0, pages[0], V | R | W | U | A | D);
    fill_pages();
    for (int i = 0; i < 3; i++) {
        const Area *r = run_in(MODE_S, sum_loop, VA(0), 0);
        CHECK(r->cause, 13);
        CHECK(r->epc, (u64)sum_loop_at);
        CHECK(r->tval, VA(0) + 8);
        CHECK(r->a1, 0);
    }
    /* 0xc0000000: nothing, or the start of memory for S-mode. */
    root[3] = root[2];
    fence_all();
    u64 at = (u64)pages[2] + 0x40000000, v;
    for (int i = 0; i < 20; i++) {
        csr_clear(mstatus, 3 << 11);
        csr_set(mstatus, 1 << 11);
        asm volatile("csrs mstatus, %1\n ld %0, 0(%2)\n csrc mstatus, %1"
                     : "=&r"(v) : "r"((u64)MPRV), "r"(at) : "memory");
        CHECK(v, 2000);
        CHECK(run_in(MODE_M, load_a0, at, 0)->cause, 5);
#ifndef QEMU_7_2    /* keeps MPRV */
        csr_set(mstatus, MPRV);             /* MRET to a lower mode takes it away */
        CHECK(run_in(MODE_S, load_a0, VA(1), 0)->status & MPRV, 0);
        CHECK(run_in(MODE_M, load_a0, at, 0)->cause, 5);
#endif
    }
    root[3] = 0;
    fence_all();
}

/* PMP's pieces do not change what a fence of one address means for a large page. */
static void test_superpage_and_pmp(void)
{
    csr_write(pmpaddr1, ~UINT64_C(0));
    csr_write(pmpaddr0, ((u64)pages[7] >> 2) | 0x1ff);
    csr_write(pmpcfg0, 0x1f00 | 0x19);    /* pages[7]: read-only */
    fence_all();
    fill_pages();
    u64 base = 0x40200000, phys = (u64)root >> 21 << 21;
    middle[1] = phys >> 12 << 10 | V | R | A;
    fence_all();
    CHECK(run_in(MODE_S, load_a0, base + ((u64)pages[1] - phys), 0)->a0, 1000);
    CHECK(run_in(MODE_S, load_a0, base + ((u64)pages[7] - phys), 0)->a0, 7000);
    middle[1] = 0;
    asm volatile("sfence.vma %0, zero" ::"r"(base + ((u64)pages[3] - phys)) : "memory");
    EXPECT(MODE_S, load_a0, base + ((u64)pages[1] - phys), 13);
    EXPECT(MODE_S, load_a0, base + ((u64)pages[7] - phys), 13);
    open_memory();
    fence_all();
}

CODE(store_word_pmp, "1: sw a1, 0(a0)\necall");
CODE(load_double_pmp, "1: ld a1, 0(a0)\necall");
CODE(store_double_pmp, "1: sd a1, 0(a0)\necall");

/* The entry that matches a byte of an aligned access must match them all, or it fails, whatever the entries allow. */
static void test_pmp_straddle(void)
{
    u64 at = (u64)pages[0] + 8, satp = csr_read(satp);
    csr_write(satp, 0);
    csr_write(pmpaddr1, ~UINT64_C(0));
    csr_write(pmpaddr0, at >> 2);                   /* NA4: 8 to 11 */
    csr_write(pmpcfg0, 0x1f00 | 0x17);              /* both allow everything */
    CHECK(run_in(MODE_S, store_word_pmp, at, 0)->cause, 9);
    CHECK(run_in(MODE_S, store_word_pmp, at + 4, 0)->cause, 9);
    CHECK(run_in(MODE_S, store_double_pmp, at, 0)->cause, 7);
    CHECK(run_in(MODE_S, load_double_pmp, at, 0)->cause, 5);
    CHECK(run_in(MODE_S, store_double_pmp, at - 8, 0)->cause, 9);
    CHECK(run_in(MODE_S, store_double_pmp, at + 8, 0)->cause, 9);
    CHECK(run_in(MODE_M, store_double_pmp, at, 0)->cause, 7);
    CHECK(run_in(MODE_M, store_word_pmp, at, 0)->cause, 11);
    csr_write(pmpcfg0, 0x1f00 | 0x11);              /* the word cannot be written: nor by what begins before it */
#ifndef QEMU_7_2    /* looks at the first byte alone */
    CHECK(run_in(MODE_S, store_double_pmp, at - 3, 0)->cause, 7);
#endif
    CHECK(run_in(MODE_S, store_double_pmp, at - 8, 0)->cause, 9);
    csr_write(pmpcfg0, 0x1f00);
    csr_write(satp, satp);
}

static void test_pmp(void)
{
    map(0, pages[0], V | R | W | A | D);
    EXPECT(MODE_S, store_a0, VA(0), 9);
    csr_write(pmpaddr1, ~UINT64_C(0));
    csr_write(pmpaddr0, ((u64)pages[0] >> 2) + 2);  /* NA4 at offset 8 */
    csr_write(pmpcfg0, 0x1f00 | 0x11);
    EXPECT(MODE_S, store_a0, VA(0), 9);
    EXPECT(MODE_S, load_byte, VA(0) + 8, 9);
    expect(__LINE__, run_in(MODE_S, store_a0, VA(0) + 8, 0), 7, VA(0) + 8);
    EXPECT(MODE_S, store_a0, VA(0) + 16, 9);
    csr_write(pmpcfg0, 0x1f00 | 0x91);              /* locked: M-mode too */
    expect(__LINE__, run_in(MODE_M, store_a0, (u64)pages[0] + 8, 0), 7, (u64)pages[0] + 8);
    CHECK(run_in(MODE_M, load_byte, (u64)pages[0] + 8, 0)->cause, 11);
}

int main(void)
{
    open_memory();
    set_up();
    test_user_pages();
    test_fetch();
    test_crossing();
    test_marks();
    test_asids();
    test_superpages();
    test_code_remap();
    test_own_page();
    test_space_switch();
    test_supervisor_pages();
    test_made_valid();
    test_borrowed_rights();
    test_superpage_and_pmp();
    test_pmp_straddle();
    test_pmp();
    print("ok\n");
    return 0;
}
