/* SPDX-License-Identifier: MIT
 *
 * Physical memory protection (Privileged ISA, "Physical Memory Protection"), granularity 4
 * bytes, 16 entries.  The registers as written are kept apart from the list of ranges that
 * they mean, which is what look-ups walk.  The hart's own thread.
 */
#include "guest/riscv/hart.h"

static bool make_range(const RISCVHart *h, unsigned i, PMPRange *r)
{
    uint64_t addr = h->pmpaddr[i], start, last;
    r->cfg = h->pmpcfg[i];
    switch (r->cfg >> PMP_A_SHIFT & 3) {
    case PMP_A_TOR:
        start = i ? h->pmpaddr[i - 1] << 2 : 0;
        if (addr << 2 <= start) {
            return false;
        }
        last = (addr << 2) - 1;
        break;
    case PMP_A_NA4:
        start = addr << 2;
        last = start + 3;
        break;
    case PMP_A_NAPOT: {
        uint64_t ones = addr ^ (addr + 1); /* the trailing ones and the zero above */
        start = (addr & ~ones) << 2;
        last = start + (ones << 2 | 3);
        break;
    }
    default: return false;
    }
    r->start = start;
    r->last = last;
    return true;
}

void riscv_pmp_changed(RISCVHart *h)
{
    h->npmp = 0;
    for (unsigned i = 0; i < PMP_ENTRIES; i++) {
        if (make_range(h, i, &h->pmp[h->npmp])) {
            h->npmp++;
        }
    }
}

/* Lower *page_bits until the piece around pa lies wholly inside or outside of r. */
static void narrow(const PMPRange *r, hwaddr pa, bool inside, uint8_t *page_bits)
{
    while (*page_bits > 2) {
        uint64_t mask = (UINT64_C(1) << *page_bits) - 1;
        hwaddr first = pa & ~mask, last = pa | mask;
        bool fits = inside ? first >= r->start && last <= r->last
                           : last < r->start || first > r->last;
        if (fits) {
            break;
        }
        --*page_bits;
    }
}

unsigned riscv_pmp_check(const RISCVHart *h, hwaddr pa, unsigned priv, uint8_t *page_bits)
{
    for (unsigned i = 0; i < h->npmp; i++) {
        const PMPRange *r = &h->pmp[i];
        bool inside = pa >= r->start && pa <= r->last;
        narrow(r, pa, inside, page_bits);
        if (inside) {
            if (priv == RISCV_PRIV_M && !(r->cfg & PMP_LOCK)) {
                break;
            }
            return (r->cfg & PMP_R ? MMU_PROT_READ : 0) | (r->cfg & PMP_W ? MMU_PROT_WRITE : 0) |
                   (r->cfg & PMP_X ? MMU_PROT_EXEC : 0);
        }
    }
    return priv == RISCV_PRIV_M ? MMU_PROT_READ | MMU_PROT_WRITE | MMU_PROT_EXEC : 0;
}
