/*
 * The vDSO: a small shared object that every program finds in its memory (AT_SYSINFO_EHDR).
 */
#ifndef LINUX_USER_VDSO_H
#define LINUX_USER_VDSO_H

#include <stdint.h>

/* One function of the vDSO; `offset` bytes into its code. */
typedef struct VdsoFunction {
    const char *name;
    uint32_t offset, size;
} VdsoFunction;

/* What a guest architecture says of its vDSO; constant. */
typedef struct VdsoCode {
    const char *version;            /* of all its symbols */
    const uint32_t *words;
    uint32_t size;                  /* in bytes */
    uint32_t sigreturn;             /* offset of the signal trampoline */
    /* Bytes [0, unwind_size) are functions that keep the stack pointer and the return address. */
    uint32_t unwind_size;
    uint8_t dwarf_sp, dwarf_ra;     /* DWARF numbers of those two registers */
    const VdsoFunction *functions;
    unsigned n_functions;
} VdsoCode;

/*
 * Map it, and fill in user_process.vdso_addr and sigreturn_addr.  While the program is loaded; ends the
 * process if there is no room.
 */
void vdso_map(void);

#endif
