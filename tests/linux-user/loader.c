/*
 * The loader on bad files: for each way in which a file can be wrong, the exit status a shell
 * would give and a sentence that says what is wrong.  Images are made here, byte by byte.
 */
#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "linux-user/loader.h"

#define DATA_SIZE 0x3000

/* A good program of two segments, which each test then spoils. */
typedef struct Image {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[4];
    uint8_t data[DATA_SIZE];
} Image;

static char dir[] = "/tmp/braid-loader-XXXXXX";
static char path[64];

static Image good(void)
{
    Image im;
    memset(&im, 0, sizeof(im));
    memcpy(im.eh.e_ident, ELFMAG, SELFMAG);
    im.eh.e_ident[EI_CLASS] = ELFCLASS64;
    im.eh.e_ident[EI_DATA] = ELFDATA2LSB;
    im.eh.e_ident[EI_VERSION] = EV_CURRENT;
    im.eh.e_type = ET_EXEC;
    im.eh.e_machine = EM_RISCV;
    im.eh.e_version = EV_CURRENT;
    im.eh.e_entry = 0x10000;
    im.eh.e_phoff = offsetof(Image, ph);
    im.eh.e_phentsize = sizeof(Elf64_Phdr);
    im.eh.e_phnum = 2;
    im.ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0x10000,
                             .p_filesz = 0x1000, .p_memsz = 0x1000, .p_align = 0x1000 };
    im.ph[1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 0x1000,
                             .p_vaddr = 0x11000, .p_filesz = 0x800, .p_memsz = 0x1800,
                             .p_align = 0x1000 };
    return im;
}

static void write_bytes(const void *p, size_t n, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), n);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* elf_open() refuses what is at `name` with this status and a sentence that contains `words`. */
static void refused(const char *name, int status, const char *words)
{
    ElfFile f;
    char *err = NULL;
    assert_int_equal(elf_open(&f, -1, name, name, EM_RISCV, &err), status);
    assert_non_null(err);
    if (!strstr(err, words) || strchr(err, '\n')) {
        fail_msg("'%s' does not say '%s'", err, words);
    }
    free(err);
    elf_close(&f);
}

static void refused_image(const Image *im, const char *words)
{
    write_bytes(im, sizeof(*im), 0755);
    refused(path, 126, words);
}

static void test_good(void **state)
{
    Image im = good();
    ElfFile f;
    char *err = NULL;
    write_bytes(&im, sizeof(im), 0755);
    assert_int_equal(elf_open(&f, -1, path, path, EM_RISCV, &err), 0);
    assert_null(err);
    assert_int_equal(f.lo, 0x10000);
    assert_int_equal(f.hi, 0x13000);
    assert_null(f.interp);
    elf_close(&f);
}

static void test_not_files(void **state)
{
    refused("/nonexistent/program", 127, "No such file");
    refused("/etc/passwd/x", 127, "Not a directory");
    refused(dir, 126, "is a directory");
    refused("/dev/null", 126, "not a regular file");
}

static void test_permission(void **state)
{
    Image im = good();
    write_bytes(&im, sizeof(im), 0644);
    refused(path, 126, "no execute permission");
}

static void test_short_files(void **state)
{
    Image im = good();
    write_bytes("", 0, 0755);
    refused(path, 126, "empty");
    write_bytes("hello, world", 12, 0755);
    refused(path, 126, "neither an ELF program nor a script");
    write_bytes(&im, 20, 0755);
    refused(path, 126, "header is cut short");
    write_bytes(&im, 60, 0755);
    refused(path, 126, "header is cut short");
    write_bytes(&im, sizeof(im.eh) + 10, 0755);
    refused(path, 126, "ends inside its program headers");
    write_bytes(&im, 0x1400, 0755);
    refused(path, 126, "ends inside segment 1");
}

static void test_machines(void **state)
{
    Image im = good();
    im.eh.e_machine = EM_AARCH64;
    refused_image(&im, "is for aarch64, not riscv64");
    im.eh.e_machine = EM_X86_64;
    refused_image(&im, "is for x86-64, not riscv64");
    im = good();
    im.eh.e_ident[EI_CLASS] = ELFCLASS32;
    refused_image(&im, "is for riscv32, not riscv64");
    im = good();
    im.eh.e_ident[EI_DATA] = ELFDATA2MSB;
    refused_image(&im, "big-endian");
    im = good();
    im.eh.e_ident[EI_VERSION] = 9;
    refused_image(&im, "unknown kind");
}

static void test_types(void **state)
{
    Image im = good();
    im.eh.e_type = ET_REL;
    refused_image(&im, "an object file");
    im.eh.e_type = ET_CORE;
    refused_image(&im, "a core dump");
    im.eh.e_type = 77;
    refused_image(&im, "unknown type");
}

static void test_headers(void **state)
{
    Image im = good();
    im.eh.e_phnum = 0;
    refused_image(&im, "no usable program headers");
    im = good();
    im.eh.e_phentsize = 32;
    refused_image(&im, "no usable program headers");
    im = good();
    im.eh.e_phoff = UINT64_MAX - 8;
    refused_image(&im, "ends inside its program headers");
    im = good();
    im.ph[0].p_type = im.ph[1].p_type = PT_NOTE;
    refused_image(&im, "nothing to load");
}

static void test_segments(void **state)
{
    Image im = good();
    im.ph[1].p_vaddr = 0x10800;
    im.ph[1].p_offset = 0x800;
    refused_image(&im, "overlaps");
    im = good();
    im.ph[1].p_vaddr = 0x9000;
    refused_image(&im, "overlaps");
    im = good();
    im.ph[1].p_vaddr = UINT64_MAX - 0xfff;
    refused_image(&im, "outside the address space");
    im = good();
    im.ph[1].p_memsz = UINT64_MAX;
    refused_image(&im, "outside the address space");
    im = good();
    im.ph[1].p_memsz = 0x100;
    refused_image(&im, "larger in the file than in memory");
    im = good();
    im.ph[1].p_offset = 0x1010;
    refused_image(&im, "not aligned");
    im = good();
    im.ph[1].p_offset = UINT64_MAX - 0xfff;
    refused_image(&im, "ends inside segment 1");
}

static void test_interp(void **state)
{
    Image im = good();
    im.eh.e_phnum = 3;
    im.ph[2] = (Elf64_Phdr){ .p_type = PT_INTERP, .p_offset = offsetof(Image, data),
                             .p_filesz = 8, .p_memsz = 8 };
    memcpy(im.data, "/lib/ld", 8);
    ElfFile f;
    char *err = NULL;
    write_bytes(&im, sizeof(im), 0755);
    assert_int_equal(elf_open(&f, -1, path, path, EM_RISCV, &err), 0);
    assert_string_equal(f.interp, "/lib/ld");
    elf_close(&f);
    im.data[7] = 'x';       /* no end */
    refused_image(&im, "interpreter");
    im.data[0] = 0;
    im.data[7] = 0;
    refused_image(&im, "interpreter");
    im.ph[2].p_filesz = 1 << 20;
    refused_image(&im, "interpreter");
}

/* Any byte of the headers may be anything: no crash, and a sentence whenever it is refused. */
static void test_random_damage(void **state)
{
    uint64_t seed = 12345;
    for (int round = 0; round < 3000; round++) {
        Image im = good();
        for (int k = 0; k < 3; k++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            ((uint8_t *)&im)[(seed >> 33) % offsetof(Image, data)] = (uint8_t)(seed >> 25);
        }
        ElfFile f;
        char *err = NULL;
        write_bytes(&im, sizeof(im), 0755);
        int status = elf_open(&f, -1, path, path, EM_RISCV, &err);
        assert_int_equal(status != 0, err != NULL);
        assert_true(status == 0 || status == 126);
        free(err);
        elf_close(&f);
    }
}

static void check_script(const char *text, bool ok, const char *interp, const char *arg)
{
    char *i = NULL, *a = NULL;
    write_bytes(text, strlen(text), 0755);
    int fd = open(path, O_RDONLY);
    assert_int_equal(script_parse(fd, &i, &a), ok);
    close(fd);
    if (ok) {
        assert_string_equal(i, interp);
        if (arg) {
            assert_string_equal(a, arg);
        } else {
            assert_null(a);
        }
        free(i);
        free(a);
    }
}

/* execve(2), "Interpreter scripts": one argument, with its inner blanks. */
static void test_scripts(void **state)
{
    check_script("#!/bin/sh\necho\n", true, "/bin/sh", NULL);
    check_script("#! /bin/sh -e -u \t\n", true, "/bin/sh", "-e -u");
    check_script("#!/usr/bin/env python3", true, "/usr/bin/env", "python3");
    check_script("#!\n", false, NULL, NULL);
    check_script("#!   \nx", false, NULL, NULL);
    check_script("# !/bin/sh\n", false, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),      cmocka_unit_test(test_not_files),
        cmocka_unit_test(test_permission), cmocka_unit_test(test_short_files),
        cmocka_unit_test(test_machines),  cmocka_unit_test(test_types),
        cmocka_unit_test(test_headers),   cmocka_unit_test(test_segments),
        cmocka_unit_test(test_interp),    cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_scripts),
    };
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/program", dir);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(dir);
    return failed;
}
