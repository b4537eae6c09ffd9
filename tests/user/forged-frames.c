/*
 * Signal frames that no kernel has made: rt_sigreturn loads pc, all registers and fcsr from whatever
 * lies at the stack pointer, aligned or not; where nothing lies, SIGSEGV.  Frames that are delivered are
 * aligned to 16 bytes, however the stack pointer is; a handler may send the thread elsewhere, pc and
 * stack and all, ten thousand times.
 *
 * test-native: no
 */
#include <setjmp.h>
#include <sys/wait.h>
#include <ucontext.h>
#include "rv-code.h"

typedef struct { siginfo_t info; ucontext_t uc; } Frame;

/* Read and written by assembly: not static. */
struct {
    uint64_t x[32], fcsr, f9;
    uint64_t stack;         /* a good one, for what comes behind */
} landed;
static jmp_buf back;
static _Atomic int count;

/* a0 is &landed.  It notes all registers and goes back to C. */
extern char landing[], return_from_signal[];
__asm__(".text\n"
        ".balign 4\n"
        ".option push\n.option norvc\n"
        ".globl landing\n"
        "landing:\n"
        " sd x1, 8(a0)\n sd x2, 16(a0)\n sd x3, 24(a0)\n sd x4, 32(a0)\n sd x5, 40(a0)\n sd x6, 48(a0)\n"
        " sd x7, 56(a0)\n sd x8, 64(a0)\n sd x9, 72(a0)\n sd x10, 80(a0)\n sd x11, 88(a0)\n sd x12, 96(a0)\n"
        " sd x13, 104(a0)\n sd x14, 112(a0)\n sd x15, 120(a0)\n sd x16, 128(a0)\n sd x17, 136(a0)\n"
        " sd x18, 144(a0)\n sd x19, 152(a0)\n sd x20, 160(a0)\n sd x21, 168(a0)\n sd x22, 176(a0)\n"
        " sd x23, 184(a0)\n sd x24, 192(a0)\n sd x25, 200(a0)\n sd x26, 208(a0)\n sd x27, 216(a0)\n"
        " sd x28, 224(a0)\n sd x29, 232(a0)\n sd x30, 240(a0)\n sd x31, 248(a0)\n"
        " frcsr t0\n sd t0, 256(a0)\n fsd f9, 264(a0)\n"
        " ld sp, 272(a0)\n"
        " j go_back\n"
        ".globl return_from_signal\n"
        "return_from_signal:\n mv sp, a0\n li a7, 139\n ecall\n"
        ".option pop\n");

__attribute__((used)) static void go_back(void)
{
    longjmp(back, 1);
}

static void sigreturn_at(void *frame)
{
    void (*fn)(void *);
    char *code = return_from_signal;

    memcpy(&fn, &code, sizeof(fn));
    fn(frame);
}

/* gp and tp keep their values: longjmp() and thread-local variables need them. */
static void make_frame(Frame *f, uint64_t sp, uint64_t pc)
{
    memset(f, 0, sizeof(*f));
    __asm__("mv %0, gp\n mv %1, tp" : "=r"(f->uc.uc_mcontext.__gregs[3]), "=r"(f->uc.uc_mcontext.__gregs[4]));
    for (int i = 1; i < 32; i++) {
        if (i != 3 && i != 4) {
            f->uc.uc_mcontext.__gregs[i] = 0x1111111111111111 * (unsigned)(i % 15) + (unsigned)i;
        }
    }
    f->uc.uc_mcontext.__gregs[0] = pc;
    f->uc.uc_mcontext.__gregs[2] = sp;
    f->uc.uc_mcontext.__gregs[10] = (uintptr_t)&landed;
    f->uc.uc_mcontext.__fpregs.__d.__f[9] = 0x123456789abcdef0;
    f->uc.uc_mcontext.__fpregs.__d.__fcsr = 0x75;
}

static void check_landing(char *memory, unsigned skew, uint64_t sp, unsigned pc_bits)
{
    Frame f;

    make_frame(&f, sp, (uintptr_t)landing | pc_bits);
    memcpy(memory + skew, &f, sizeof(f));
    memset(&landed, 0, sizeof(landed));
    landed.stack = ((uintptr_t)__builtin_frame_address(0) - 4096) & ~15ul;
    if (!setjmp(back)) {
        sigreturn_at(memory + skew);
    }
    for (int i = 1; i < 32; i++) {
        if (i != 3 && i != 4) {
            CHECK(landed.x[i] == f.uc.uc_mcontext.__gregs[i], "skew %u: x%d is %#lx", skew, i, (long)landed.x[i]);
        }
    }
    CHECK(landed.fcsr == 0x75 && landed.f9 == 0x123456789abcdef0, "fcsr %#lx f9 %#lx", (long)landed.fcsr,
          (long)landed.f9);
    __asm__ volatile("fscsr zero");
}

static void on_bad_frame(int sig, siginfo_t *info, void *context)
{
    _exit(info->si_code == SI_KERNEL ? 5 : 6);
}

static void check_bad_frame(void *where, bool caught)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (caught) {
            stack_t ss = { .ss_sp = map_pages(16, PROT_READ | PROT_WRITE), .ss_size = 16 * PAGE };
            sigaltstack(&ss, NULL);
            set_handler(SIGSEGV, on_bad_frame, SA_ONSTACK);
        }
        sigreturn_at(where);
        _exit(9);
    }
    CHECK_ERRNO(waitpid(pid, &status, 0) == pid);
    CHECK(caught ? WIFEXITED(status) && WEXITSTATUS(status) == 5 : WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV,
          "a frame at %p: status %#x", where, status);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    CHECK(((uintptr_t)info & 15) == 0 && ((uintptr_t)__builtin_frame_address(0) & 15) == 0, "frame at %p", (void *)info);
    count++;
    uc->uc_mcontext.__gregs[0] += 4;
}

static void check_alignment(void)
{
    set_handler(SIGSEGV, on_fault, 0);
    for (unsigned skew = 0; skew < 32; skew++) {
        __asm__ volatile(".option push\n.option norvc\n"
                         "mv s2, sp\n sub sp, sp, %0\n addi sp, sp, -512\n sd zero, 0(zero)\n mv sp, s2\n"
                         ".option pop" : : "r"((uint64_t)skew) : "s2", "memory");
    }
    CHECK(count == 32, "%d faults", count);
}

static void elsewhere(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    uc->uc_mcontext.__gregs[0] = (uintptr_t)landing;
    uc->uc_mcontext.__gregs[2] = landed.stack - 64;
    uc->uc_mcontext.__gregs[10] = (uintptr_t)&landed;
}

static void check_elsewhere(void)
{
    set_handler(SIGUSR1, elsewhere, 0);
    landed.stack = ((uintptr_t)__builtin_frame_address(0) - 8192) & ~15ul;
    for (volatile unsigned long i = 0; i < scaled(10000); i++) {
        if (!setjmp(back)) {
            raise(SIGUSR1);
            CHECK(false, "it came back");
        }
    }
}

int main(void)
{
    char *memory = map_pages(3, PROT_READ | PROT_WRITE);

    for (unsigned skew = 0; skew < 17; skew++) {
        check_landing(memory, skew, (uintptr_t)memory + 2 * PAGE, 0);
    }
    check_landing(memory, 0, 0xfffffffffffffff7, 0);    /* a stack pointer that leads nowhere */
    check_landing(memory, 0, 0, 1);                     /* sepc has no bit 0 */
    for (int caught = 0; caught < 2; caught++) {
        check_bad_frame(NULL, caught);
        check_bad_frame((void *)-4096ul, caught);
        CHECK_ERRNO(mprotect(memory + PAGE, PAGE, PROT_NONE) == 0);
        check_bad_frame(memory + PAGE - 64, caught);
    }
    check_alignment();
    check_elsewhere();
    return 0;
}
