/*
 * Disassembly of host code for logs and tests, by Capstone if it was there at build time;
 * else bytes.  Any thread; a handle per call.
 */
#include "host/host.h"

#ifdef HAVE_CAPSTONE
#include <capstone/capstone.h>

/*
 * Capstone's core refers to every architecture it knows, and their tables are full of
 * pointers: in a static PIE that is 1.4 MB of memory to relocate at each start, twice the time of all
 * else.  Definitions of our own for the entry points of the others keep them out of the
 * program; only cs_open() for such an architecture would ever call one.
 */
#define CAPSTONE_WITHOUT(arch)                                                              \
    cs_err arch##_global_init(void *handle);                                                \
    cs_err arch##_option(void *handle, cs_opt_type type, size_t value);                     \
    cs_err arch##_global_init(void *handle) { return CS_ERR_ARCH; }                         \
    cs_err arch##_option(void *handle, cs_opt_type type, size_t value) { return CS_ERR_ARCH; }
CAPSTONE_WITHOUT(AArch64)
CAPSTONE_WITHOUT(ARM)
CAPSTONE_WITHOUT(EVM)
CAPSTONE_WITHOUT(M680X)
CAPSTONE_WITHOUT(M68K)
CAPSTONE_WITHOUT(Mips)
CAPSTONE_WITHOUT(PPC)
CAPSTONE_WITHOUT(Sparc)
CAPSTONE_WITHOUT(SystemZ)
CAPSTONE_WITHOUT(TMS320C64x)
CAPSTONE_WITHOUT(XCore)
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
