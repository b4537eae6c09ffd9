/* Memory as text.  RAM and ROM only: to read a device's register may change it. */
#include "board/memory-dump.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "exec/tlb.h"
#include "guest/riscv/system.h"
#include "mem/memory.h"

#define MAX_COUNT 65536u

typedef struct Format {
    unsigned count, size;
    char how;                   /* x d u o c i */
} Format;

/* "/4xw 0x1000": false if that makes no sense. */
static bool parse(const char *s, Format *f, uint64_t *addr)
{
    *f = (Format){ .count = 1, .size = 4, .how = 'x' };
    if (*s == '/') {
        s++;
        if (*s >= '0' && *s <= '9') {
            f->count = (unsigned)strtoul(s, (char **)&s, 10);
        }
        for (; *s && *s != ' '; s++) {
            static const char sizes[] = "bhwg";
            const char *size = strchr(sizes, *s);
            if (size) {
                f->size = 1u << (size - sizes);
            } else if (strchr("xduoci", *s)) {
                f->how = *s;
                f->size = *s == 'c' ? 1 : f->size;
            } else {
                return false;
            }
        }
    }
    char *end;
    s += strspn(s, " ");
    *addr = strtoull(s, &end, 0);
    return end != s && !*end && f->count && f->count <= MAX_COUNT;
}

static bool read_bytes(CPUState *cpu, uint64_t addr, void *buf, size_t n)
{
    return cpu ? cpu_memory_debug(cpu, addr, buf, n, false) : memory_read(addr, buf, n);
}

static void cannot_read(uint64_t addr, FILE *out)
{
    fprintf(out, "cannot read memory at 0x%" PRIx64 "\n", addr);
}

static void dump_instructions(CPUState *cpu, uint64_t addr, unsigned count, FILE *out)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t bytes[4];
        char text[128];
        size_t n = read_bytes(cpu, addr, bytes, 4) ? 4 : read_bytes(cpu, addr, bytes, 2) ? 2 : 0;
        if (!n) {
            cannot_read(addr, out);
            return;
        }
        unsigned length = riscv64_system_guest.disas(addr, bytes, n, text, sizeof(text));
        fprintf(out, "0x%016" PRIx64 ":  %s\n", addr, text);
        addr += length;
    }
}

static void print_value(const Format *f, uint64_t v, FILE *out)
{
    unsigned up = 64 - 8 * f->size;
    switch (f->how) {
    case 'x': fprintf(out, " 0x%0*" PRIx64, (int)f->size * 2, v); break;
    case 'o': fprintf(out, " 0%" PRIo64, v); break;
    case 'u': fprintf(out, " %" PRIu64, v); break;
    case 'd': fprintf(out, " %" PRId64, (int64_t)(v << up) >> up); break;
    case 'c': fprintf(out, v >= ' ' && v < 127 ? " '%c'" : " '\\x%02x'", (int)v); break;
    }
}

void memory_dump(const char *text, CPUState *cpu, FILE *out)
{
    Format f;
    uint64_t addr;
    if (!parse(text, &f, &addr)) {
        fprintf(out, "'%s' is not like '/8xw 0x80000000'\n", text);
        return;
    }
    if (f.how == 'i') {
        dump_instructions(cpu, addr, f.count, out);
        return;
    }
    unsigned in_line = f.size == 8 ? 2 : f.size == 4 ? 4 : 8;
    for (unsigned i = 0; i < f.count; i++, addr += f.size) {
        uint64_t v = 0;
        if (!read_bytes(cpu, addr, &v, f.size)) {
            fprintf(out, i % in_line ? "\n" : "");
            cannot_read(addr, out);
            return;
        }
        if (i % in_line == 0) {
            fprintf(out, "0x%016" PRIx64 ":", addr);
        }
        print_value(&f, v, out);
        fprintf(out, i % in_line == in_line - 1 || i == f.count - 1 ? "\n" : "");
    }
}
