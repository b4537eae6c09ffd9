/*
 * Arguments, environment and auxiliary vector reach the program: it runs itself
 * with arguments that are empty, long or contain any byte, and looks at the
 * values of auxv that C libraries rely on.
 *
 * test-native: yes
 * test-link: static dynamic
 */
#include <elf.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include "test.h"

enum { LONG = 100000 };

extern char **environ;

static int child(int argc, char **argv)
{
    char *name = getenv("ONLY_VARIABLE");

    CHECK(argc == 6, "argc is %d", argc);
    CHECK(!strcmp(argv[1], "child"), "%s", argv[1]);
    CHECK(argv[2][0] == 0, "empty argument lost");
    CHECK(!strcmp(argv[3], " *\n\x01\xff\"'"), "special characters changed");
    CHECK(strlen(argv[4]) == LONG && argv[4][LONG - 1] == 'x', "long argument cut");
    CHECK(!strcmp(argv[5], "-one-insn-per-tb"),
          "an option of ours was taken from the guest");
    CHECK(argv[6] == NULL, "argv is not terminated");
    CHECK(name && !strcmp(name, "a=b"), "environment: %s", name ? name : "(unset)");
    return 0;
}

static void check_auxv(void)
{
    const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
    const Elf64_Phdr *phdr = (const Elf64_Phdr *)getauxval(AT_PHDR);
    const char *execfn = (const char *)getauxval(AT_EXECFN);
    unsigned long phnum = getauxval(AT_PHNUM), loads = 0;
    unsigned bits = 0;

    CHECK(getauxval(AT_PAGESZ) == PAGE, "AT_PAGESZ %lu", getauxval(AT_PAGESZ));
    CHECK(getauxval(AT_CLKTCK) == 100, "AT_CLKTCK %lu", getauxval(AT_CLKTCK));
    CHECK(getauxval(AT_UID) == getuid() && getauxval(AT_EGID) == getegid(), "AT_UID");
    CHECK(getauxval(AT_SECURE) == 0, "AT_SECURE");
    CHECK(getauxval(AT_PHENT) == sizeof(Elf64_Phdr), "AT_PHENT %lu", getauxval(AT_PHENT));
    CHECK(phdr && phnum > 2 && phnum < 64, "AT_PHDR %p AT_PHNUM %lu", (void *)phdr,
          phnum);
    for (unsigned long i = 0; i < phnum; i++) {
        loads += phdr[i].p_type == PT_LOAD;
    }
    CHECK(loads >= 2, "AT_PHDR does not point at our program headers");
    CHECK(getauxval(AT_ENTRY) != 0, "AT_ENTRY");
    CHECK(random, "no AT_RANDOM");
    for (int i = 0; i < 16; i++) {
        bits |= random[i];
    }
    CHECK(bits, "AT_RANDOM is all zero");
    CHECK(execfn && strstr(execfn, "arguments"), "AT_EXECFN %s",
          execfn ? execfn : "(none)");
#ifdef __riscv
    {
        /* Linux: bit n stands for the extension of that letter. */
        unsigned long want = 1ul << ('i' - 'a') | 1ul << ('m' - 'a') | 1ul << 0 |
                             1ul << ('f' - 'a') | 1ul << ('d' - 'a') | 1ul << ('c' - 'a');

        CHECK((getauxval(AT_HWCAP) & want) == want, "AT_HWCAP %#lx", getauxval(AT_HWCAP));
    }
#endif
}

int main(int argc, char **argv)
{
    static char long_argument[LONG + 1];
    char *args[] = { argv[0], "child", "", " *\n\x01\xff\"'", long_argument,
                     "-one-insn-per-tb", NULL };
    char *environment[] = { "ONLY_VARIABLE=a=b", NULL };
    int status;
    pid_t pid;

    if (argc > 1) {
        return child(argc, argv);
    }
    CHECK((uintptr_t)environ % 8 == 0 && environ == argv + argc + 1,
          "environ after argv");
    check_auxv();
    memset(long_argument, 'x', LONG);
    pid = fork();
    CHECK_ERRNO(pid >= 0);
    if (pid == 0) {
        execve("/proc/self/exe", args, environment);
        CHECK_ERRNO(0);
    }
    CHECK_ERRNO(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child status %#x", status);
    return 0;
}
