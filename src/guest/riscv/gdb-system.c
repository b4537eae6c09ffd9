/*
 * The registers of a hart of a whole machine for gdb: those of user mode, then the CSRs
 * (org.gnu.gdb.riscv.csr) in the order of csrs.def, then `priv` (org.gnu.gdb.riscv.virtual).
 *
 * CSRs are read and written as M-mode would; those that this machine has not are unavailable.
 */
#include "guest/riscv/gdb.h"

#include <string.h>

#include "guest/riscv/hart.h"

/* Of several registers in one row only those that people look for; fflags, frm and fcsr are among the first. */
#define PMP(X)                                                                              \
    X(0x3a0, pmpcfg0) X(0x3a2, pmpcfg2) X(0x3b0, pmpaddr0) X(0x3b1, pmpaddr1) X(0x3b2, pmpaddr2) \
    X(0x3b3, pmpaddr3) X(0x3b4, pmpaddr4) X(0x3b5, pmpaddr5) X(0x3b6, pmpaddr6) X(0x3b7, pmpaddr7)
#define CSR_PLAIN(num, id, ext, effects, mask) ROW(num, id)
#define CSR_FUNC(num, id, ext, effects) FUNC_##ext(num, id)
#define CSR_READ(num, id, ext) ROW(num, id)
#define CSR_ZERO(num, id, ext, n) ZERO_##n(num, id)
#define CSR_RUN(num, id, ext, effects, n)
#define FUNC_F(num, id)
#define FUNC_S(num, id) ROW(num, id)
#define FUNC_SM(num, id) ROW(num, id)
#define FUNC_SSTC(num, id) ROW(num, id)
#define FUNC_SMAIA(num, id) ROW(num, id)
#define FUNC_SSAIA(num, id) ROW(num, id)
#define FUNC_ZKR(num, id) ROW(num, id)
#define ZERO_1(num, id) ROW(num, id)
#define ZERO_3(num, id)
#define ZERO_29(num, id)

#define ROW(num, id) "<reg name=\"" #id "\" bitsize=\"64\" type=\"int\" group=\"csr\"/>"
const char riscv_gdb_system_xml[] =
    RISCV_GDB_XML
    "<feature name=\"org.gnu.gdb.riscv.csr\">"
#include "guest/riscv/csrs.def"
    PMP(ROW)
    "</feature><feature name=\"org.gnu.gdb.riscv.virtual\">"
    "<reg name=\"priv\" bitsize=\"64\" type=\"int\"/>"
    "</feature></target>";
#undef ROW

#define ROW(num, id) num,
static const uint16_t csr_numbers[] = {
#include "guest/riscv/csrs.def"
    PMP(ROW)
};
#undef ROW

enum { NCSRS = sizeof(csr_numbers) / sizeof(csr_numbers[0]), GDB_PRIV = RISCV_GDB_NREGS + NCSRS };

unsigned riscv_gdb_read_system_reg(CPUState *cpu, unsigned n, uint8_t *buf)
{
    uint64_t value = riscv_hart(cpu)->priv;
    if (n < RISCV_GDB_NREGS) {
        return riscv_gdb_read_reg(cpu, n, buf);
    }
    if (n > GDB_PRIV || (n < GDB_PRIV && !riscv_csr_read_debug(cpu, csr_numbers[n - RISCV_GDB_NREGS], &value))) {
        return 0;
    }
    memcpy(buf, &value, 8);
    return 8;
}

unsigned riscv_gdb_write_system_reg(CPUState *cpu, unsigned n, const uint8_t *buf)
{
    RISCVHart *h = riscv_hart(cpu);
    uint64_t value;
    if (n < RISCV_GDB_NREGS) {
        unsigned size = riscv_gdb_write_reg(cpu, n, buf);
        riscv_hart_changed(h);          /* frm */
        return size;
    }
    memcpy(&value, buf, 8);
    if (n < GDB_PRIV) {
        return riscv_csr_write_debug(cpu, csr_numbers[n - RISCV_GDB_NREGS], value) ? 8 : 0;
    }
    if (n > GDB_PRIV || value > RISCV_PRIV_M || value == 2) {
        return 0;
    }
    h->priv = (uint8_t)value;
    riscv_hart_changed(h);
    return 8;
}
