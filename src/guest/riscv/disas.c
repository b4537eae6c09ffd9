/* SPDX-License-Identifier: MIT
 *
 * Disassembler text for RISC-V: expands the assembly templates of the generated row
 * table.  No state; every function may be called from any thread, signal handlers too
 * (only memcpy-like code and snprintf of integers).
 *
 * The text is what objdump -M no-aliases prints, with branch targets as plain addresses.
 */
#include "guest/riscv/disas.h"

#include <stdio.h>
#include <string.h>

static const char *const xreg_names[32] = {
    "zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
    "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
    "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};

static const char *const freg_names[32] = {
    "ft0", "ft1", "ft2", "ft3", "ft4",  "ft5",  "ft6", "ft7", "fs0",  "fs1",  "fa0",
    "fa1", "fa2", "fa3", "fa4", "fa5",  "fa6",  "fa7", "fs2", "fs3",  "fs4",  "fs5",
    "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
};

/* FLI constants in the order of the Zfa chapter's table. */
static const char *const fli_names[32] = {
    "-1.0", "min",    "0x1p-16", "0x1p-15", "0x1p-8", "0x1p-7", "0.0625", "0.125",
    "0.25", "0.3125", "0.375",   "0.4375",  "0.5",    "0.625",  "0.75",   "0.875",
    "1.0",  "1.25",   "1.5",     "1.75",    "2.0",    "2.5",    "3.0",    "4.0",
    "8.0",  "16.0",   "128.0",   "256.0",   "0x1p15", "0x1p16", "inf",    "nan",
};

const char *riscv_xreg_name(unsigned reg) { return xreg_names[reg & 31]; }

const char *riscv_freg_name(unsigned reg) { return freg_names[reg & 31]; }

static const struct {
    uint16_t number;
    const char *name;
} csr_names[] = {
    {0x001, "fflags"},        {0x002, "frm"},        {0x003, "fcsr"},
    {0xc00, "cycle"},         {0xc01, "time"},       {0xc02, "instret"},
    {0x008, "vstart"},        {0x009, "vxsat"},      {0x00a, "vxrm"},
    {0x00f, "vcsr"},          {0xc20, "vl"},         {0xc21, "vtype"},
    {0xc22, "vlenb"},         {0x015, "seed"},       {0x150, "siselect"},
    {0x151, "sireg"},         {0x15c, "stopei"},     {0xdb0, "stopi"},
    {0x308, "mvien"},         {0x309, "mvip"},       {0x350, "miselect"},
    {0x351, "mireg"},         {0x35c, "mtopei"},     {0xfb0, "mtopi"},
    {0x100, "sstatus"},       {0x104, "sie"},        {0x105, "stvec"},
    {0x106, "scounteren"},    {0x10a, "senvcfg"},    {0x140, "sscratch"},
    {0x141, "sepc"},          {0x142, "scause"},     {0x143, "stval"},
    {0x144, "sip"},           {0x14d, "stimecmp"},   {0x180, "satp"},
    {0x5a8, "scontext"},      {0xda0, "scountovf"},  {0xf11, "mvendorid"},
    {0xf12, "marchid"},       {0xf13, "mimpid"},     {0xf14, "mhartid"},
    {0xf15, "mconfigptr"},    {0x300, "mstatus"},    {0x301, "misa"},
    {0x302, "medeleg"},       {0x303, "mideleg"},    {0x304, "mie"},
    {0x305, "mtvec"},         {0x306, "mcounteren"}, {0x30a, "menvcfg"},
    {0x320, "mcountinhibit"}, {0x340, "mscratch"},   {0x341, "mepc"},
    {0x342, "mcause"},        {0x343, "mtval"},      {0x344, "mip"},
    {0x34a, "mtinst"},        {0x34b, "mtval2"},     {0x747, "mseccfg"},
    {0xb00, "mcycle"},        {0xb02, "minstret"},   {0x7a0, "tselect"},
    {0x7a1, "tdata1"},        {0x7a2, "tdata2"},     {0x7a3, "tdata3"},
    {0x7a4, "tinfo"},         {0x7a5, "tcontrol"},   {0x7a8, "mcontext"},
    {0x7b0, "dcsr"},          {0x7b1, "dpc"},        {0x7b2, "dscratch0"},
    {0x7b3, "dscratch1"},
};

/* CSRs that come in numbered runs; `low` is the number of the first name. */
static const struct {
    uint16_t first, count, low;
    const char *name;
} csr_runs[] = {
    {0xc03, 29, 3, "hpmcounter"}, {0xb03, 29, 3, "mhpmcounter"},
    {0x323, 29, 3, "mhpmevent"},  {0x3a0, 16, 0, "pmpcfg"},
    {0x3b0, 64, 0, "pmpaddr"},    {0x10c, 4, 0, "sstateen"},
    {0x30c, 4, 0, "mstateen"},
};

const char *riscv_csr_name(unsigned csr, char *buf)
{
    for (size_t i = 0; i < sizeof(csr_names) / sizeof(csr_names[0]); i++) {
        if (csr_names[i].number == csr) {
            return csr_names[i].name;
        }
    }
    for (size_t i = 0; i < sizeof(csr_runs) / sizeof(csr_runs[0]); i++) {
        unsigned n = csr - csr_runs[i].first;
        if (n < csr_runs[i].count) {
            snprintf(buf, 20, "%s%u", csr_runs[i].name, csr_runs[i].low + n);
            return buf;
        }
    }
    return NULL;
}

typedef struct {
    char *p, *end;
} Text;

static void text_add(Text *t, const char *s)
{
    while (*s && t->p < t->end) {
        *t->p++ = *s++;
    }
    *t->p = '\0';
}

static void add_fence_set(Text *t, int32_t set)
{
    static const char *const name[16] = {
        "unknown", "w",  "r",  "rw",  "o",  "ow",  "or",  "orw",
        "i",       "iw", "ir", "irw", "io", "iow", "ior", "iorw",
    };
    text_add(t, name[set & 15]);
}

/* The mode that goes without saying is frm, and RNE for an exact conversion. */
static void add_rounding_mode(Text *t, int32_t rm, int32_t silent)
{
    static const char *const name[8] = {
        ",rne", ",rtz", ",rdn", ",rup", ",rmm", ",unknown", ",unknown", ",dyn",
    };
    if (rm != silent) {
        text_add(t, name[rm & 7]);
    }
}

static void add_operand(Text *t, char kind, int32_t v, uint64_t pc)
{
    static const char *const order[4] = {"", ".rl", ".aq", ".aqrl"};
    char buf[24];
    const char *s = buf;
    switch (kind) {
    case 'x': s = riscv_xreg_name(v); break;
    case 'f': s = riscv_freg_name(v); break;
    case 'o': s = order[v & 3]; break;
    case 'l': s = fli_names[v & 31]; break;
    case 's': add_fence_set(t, v); return;
    case 'r': add_rounding_mode(t, v, 7); return;
    case 'e': add_rounding_mode(t, v, 0); return;
    case 'h': snprintf(buf, sizeof(buf), "0x%x", (unsigned)v); break;
    case 'u': snprintf(buf, sizeof(buf), "0x%x", (uint32_t)v >> 12); break;
    case 'p':
        snprintf(buf, sizeof(buf), "0x%llx", (unsigned long long)(pc + (int64_t)v));
        break;
    case 'c':
        s = riscv_csr_name(v, buf);
        if (!s) {
            snprintf(buf, sizeof(buf), "0x%x", (unsigned)v);
            s = buf;
        }
        break;
    default: snprintf(buf, sizeof(buf), "%d", v); break;
    }
    text_add(t, s);
}

static const DisasRow *find_row(uint32_t insn, uint64_t ext)
{
    return riscv_insn_bytes(insn) == 2 ? riscv_find16(insn & 0xffff, ext)
                                       : riscv_find32(insn, ext);
}

static bool starts_with(const char *s, const char *start)
{
    return !strncmp(s, start, strlen(start));
}

/* By the last letter of the name: lbu, c.ldsp, fsw, amocas.q. */
static unsigned access_size(const char *name)
{
    size_t n = strlen(name);
    if (n > 2 && !strcmp(name + n - 2, "sp")) {
        n -= 2;
    }
    if (name[n - 1] == 'u') {
        n--;
    }
    switch (name[n - 1]) {
    case 'b': return 1;
    case 'h': return 2;
    case 'w': return 4;
    case 'q': return 16;
    default: return 8;
    }
}

/* Templates write memory operands as "{dK}({xN})" or "({xN})", last. */
bool riscv_find_access(uint32_t insn, uint64_t ext, RiscvAccess *access)
{
    const DisasRow *row = find_row(insn, ext);
    const char *paren = row ? strstr(row->text, "({x") : NULL;
    if (!paren || starts_with(row->name, "jal")) {
        return false;
    }
    int32_t v[DISAS_MAX_VALUES];
    row->values(v, insn);
    bool has_disp = paren - row->text >= 4 && paren[-1] == '}' && paren[-3] == 'd';
    *access = (RiscvAccess){
        .rs1 = (unsigned)v[paren[3] - '0'],
        .disp = has_disp ? v[paren[-2] - '0'] : 0,
        .is_store = row->name[0] == 's' || starts_with(row->name, "fs") ||
                    starts_with(row->name, "amo") || !strcmp(row->name, "cbo_zero"),
        .is_block = starts_with(row->name, "cbo"),
    };
    access->size = access->is_block ? 64 : access_size(row->name);
    return true;
}

int riscv_disas(uint32_t insn, uint64_t pc, uint64_t ext, char *buf, size_t size)
{
    int bytes = riscv_insn_bytes(insn);
    if (bytes == 2) {
        insn &= 0xffff;
    }
    const DisasRow *row = find_row(insn, ext);
    if (!row) {
        snprintf(buf, size, ".%dbyte\t0x%x", bytes, insn);
        return bytes;
    }
    int32_t v[DISAS_MAX_VALUES];
    row->values(v, insn);
    Text t = {buf, buf + size - 1};
    for (const char *s = row->text; *s; s++) {
        if (*s == '{') {
            add_operand(&t, s[1], v[s[2] - '0'], pc);
            s += 3;
        } else {
            text_add(&t, (char[2]){*s, '\0'});
        }
    }
    return bytes;
}
