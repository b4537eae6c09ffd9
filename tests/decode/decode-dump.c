/* SPDX-License-Identifier: MIT
 *
 * Reads little-endian instructions of one width from standard input and prints, for
 * each, its disassembly; pc is the byte offset in the input.  For every instruction the
 * decoder runs too, with trans functions that only record their name: that it accepts
 * exactly what disassembles, and calls the function of the row that was printed, is
 * asserted here and so holds for all inputs of the tests.
 *
 *   decode-dump 16|32 [-EXT...]       all extensions on, but those named
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "riscv-insn.gen.h"
#include "guest/riscv/disas.h"
#include "guest/riscv/extensions.h"

struct DisasContext {
    const char *called;
};

#define TRANS(name, set)                                                                 \
    bool trans_##name(DisasContext *ctx, arg_##set *a)                                   \
    {                                                                                    \
        ctx->called = #name;                                                             \
        return true;                                                                     \
    }
RISCV_FOR_EACH_TRANS(TRANS)

static uint64_t ext_by_name(const char *text)
{
#define EXT(name, NAME, needs, hwprobe)                                                  \
    if (!strcmp(text, #name)) {                                                          \
        return RISCV_EXT_##NAME;                                                         \
    }
#include "guest/riscv/extensions.def"
#undef EXT
    fprintf(stderr, "no extension %s\n", text);
    exit(2);
}

static void check_decoder(uint32_t insn, int width, uint64_t ext)
{
    DisasContext ctx = {NULL};
    const DisasRow *row = width == 16 ? riscv_find16(insn, ext) : riscv_find32(insn, ext);
    bool ok =
        width == 16 ? riscv_decode16(&ctx, ext, insn) : riscv_decode32(&ctx, ext, insn);
    if (ok != (row != NULL) || (row && strcmp(row->name, ctx.called))) {
        fprintf(stderr, "%08" PRIx32 ": decoder says %s, disassembler %s\n", insn,
                ok ? ctx.called : "illegal", row ? row->name : "illegal");
        exit(1);
    }
    if (row && (insn & row->mask) != row->bits) {
        fprintf(stderr, "%08" PRIx32 ": is not of the form of %s\n", insn, row->name);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    int width = argc > 1 ? atoi(argv[1]) : 32;
    uint64_t ext = ~UINT64_C(0), pc = 0;
    uint32_t insn = 0;
    char buf[128];
    for (int i = 2; i < argc; i++) {
        ext &= ~ext_by_name(argv[i] + 1);
    }
    while (fread(&insn, width / 8, 1, stdin) == 1) {
        check_decoder(insn, width, ext);
        if ((width == 16) == ((insn & 3) == 3)) {
            puts(""); /* not an instruction of this width */
        } else {
            riscv_disas(insn, pc, ext, buf, sizeof(buf));
            puts(buf);
        }
        pc += width / 8;
    }
    return 0;
}
