/* SPDX-License-Identifier: MIT
 *
 * What is known of the CSRs of a machine before any of them is read: csrs.def as a table.
 * Constant.
 */
#include "guest/riscv/csr-info.h"

#include <stddef.h>

#include "guest/riscv/hart.h"

#define ROW(num, id, extension, fx, ...)                                                 \
    {.number = num, .name = #id, .ext = RISCV_EXT_##extension, .effects = fx, __VA_ARGS__}
#define CSR_PLAIN(num, id, extension, fx, bits)                                          \
    ROW(num, id, extension, fx, .kind = CSR_KIND_PLAIN, .count = 1,                      \
        .offset = offsetof(RISCVHart, id), .mask = bits),
#define CSR_FUNC(num, id, extension, fx)                                                 \
    ROW(num, id, extension, fx, .kind = CSR_KIND_FUNC, .count = 1),
#define CSR_READ(num, id, extension)                                                     \
    ROW(num, id, extension, 0, .kind = CSR_KIND_READ, .count = 1),
#define CSR_ZERO(num, id, extension, n)                                                  \
    ROW(num, id, extension, 0, .kind = CSR_KIND_ZERO, .count = n),
#define CSR_RUN(num, id, extension, fx, n)                                               \
    ROW(num, id, extension, fx, .kind = CSR_KIND_RUN, .count = n),

const CSRInfo riscv_csr_infos[] = {
#include "guest/riscv/csrs.def"
};
const unsigned riscv_csr_info_count = sizeof(riscv_csr_infos) / sizeof(riscv_csr_infos[0]);

/* Without C bit 1 of mepc and sepc is 0 as well ("Machine Exception Program Counter"). */
uint64_t riscv_csr_mask(const CSRInfo *c)
{
    bool epc = c->number == 0x141 || c->number == 0x341;
    return epc && !(riscv_extensions() & RISCV_EXT_C) ? c->mask & ~UINT64_C(2) : c->mask;
}

const CSRInfo *riscv_csr_info(unsigned number)
{
    unsigned low = 0, high = riscv_csr_info_count;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        const CSRInfo *c = &riscv_csr_infos[mid];
        if (number < c->number) {
            high = mid;
        } else if (number >= c->number + c->count) {
            low = mid + 1;
        } else {
            return c;
        }
    }
    return NULL;
}
