/*
 * Disassembly of host code for logs and tests, by Capstone if it was there at build time;
 * else bytes.  Any thread; a handle per call.
 */
#include "host/host.h"

#ifdef HAVE_CAPSTONE
#include <capstone/capstone.h>
#endif

static size_t print_bytes(FILE *out, const uint8_t *code, size_t size)
{
    size_t n = size < 16 ? size : 16;
    fprintf(out, "%p: ", (const void *)code);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, " %02x", code[i]);
    }
    fputc('\n', out);
    return n;
}

void host_disas(FILE *out, const uint8_t *code, size_t size)
{
#ifdef HAVE_CAPSTONE
    csh handle;
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) == CS_ERR_OK) {
        cs_insn *insn = cs_malloc(handle);
        uint64_t addr = (uint64_t)(uintptr_t)code;
        while (size) {
            if (cs_disasm_iter(handle, &code, &size, &addr, insn)) {
                fprintf(out, "0x%llx:  %-8s %s\n", (unsigned long long)insn->address,
                        insn->mnemonic, insn->op_str);
            } else {
                print_bytes(out, code, 1);
                code++;
                addr++;
                size--;
            }
        }
        cs_free(insn, 1);
        cs_close(&handle);
        return;
    }
#endif
    while (size) {
        size_t n = print_bytes(out, code, size);
        code += n;
        size -= n;
    }
}
