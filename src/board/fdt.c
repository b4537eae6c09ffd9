/*
 * The device tree of the virt machine, made with libfdt.
 *
 * Node names and properties follow the device tree bindings of Linux and, where those leave a choice,
 * what QEMU's machine shows.  Runs once on the first thread.
 */
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#include "board/dev/aclint.h"
#include "board/dev/aplic.h"
#include "board/dev/imsic.h"
#include "board/dev/plic.h"
#include "board/random.h"
#include "board/virt.h"
#include "guest/riscv/extensions.h"
#include "guest/riscv/system.h"
#include "util/compiler.h"
#include "util/error.h"
#include "util/strutil.h"

/* The interrupt controller of devices, what else has a number, */
enum { PHANDLE_IRQ = 1, PHANDLE_TEST, PHANDLE_IMSIC_S, PHANDLE_IMSIC_M, PHANDLE_APLIC_M, PHANDLE_CPU };
/* and two for each hart: the CPU, its interrupts. */

#define MAX_CELLS (4 * BOARD_MAX_HARTS)
#define ROOM 65536

static void check(int r)
{
    braid_assert_msg(r >= 0, "device tree: %s", fdt_strerror(r));
}

static int add_node(void *t, int parent, const char *name)
{
    int r = fdt_add_subnode(t, parent, name);
    check(r);
    return r;
}

static int add_node_at(void *t, int parent, const char *name, uint64_t address)
{
    char *full = str_format("%s@%llx", name, (unsigned long long)address);
    int r = add_node(t, parent, full);
    free(full);
    return r;
}

static void set_cell(void *t, int node, const char *name, uint32_t value)
{
    check(fdt_setprop_u32(t, node, name, value));
}

static void set_cells(void *t, int node, const char *name, const uint32_t *cells, unsigned n)
{
    fdt32_t out[MAX_CELLS];
    braid_assert(n <= MAX_CELLS);
    for (unsigned i = 0; i < n; i++) {
        out[i] = cpu_to_fdt32(cells[i]);
    }
    check(fdt_setprop(t, node, name, out, (int)(n * sizeof(*out))));
}

static void set_string(void *t, int node, const char *name, const char *value)
{
    check(fdt_setprop_string(t, node, name, value));
}

static void set_empty(void *t, int node, const char *name)
{
    check(fdt_setprop(t, node, name, NULL, 0));
}

static void set_reg(void *t, int node, uint64_t base, uint64_t size)
{
    uint32_t cells[] = { (uint32_t)(base >> 32), (uint32_t)base, (uint32_t)(size >> 32), (uint32_t)size };
    set_cells(t, node, "reg", cells, 4);
}

enum { LEVEL_HIGH = 4 };        /* the second cell of an APLIC's interrupt; a PLIC's has one */

static void set_irq(void *t, int node, const FdtParameters *p, uint32_t irq)
{
    set_cell(t, node, "interrupt-parent", PHANDLE_IRQ);
    set_cells(t, node, "interrupts", (uint32_t[]){ irq, LEVEL_HIGH }, p->aia ? 2 : 1);
}

static uint32_t cpu_phandle(unsigned hart) { return PHANDLE_CPU + 2 * hart; }
static uint32_t intc_phandle(unsigned hart) { return PHANDLE_CPU + 2 * hart + 1; }

/*
 * "rv64imafdc_zicsr_..." in both forms that there are: riscv,isa, and the list of extensions.  `sm` and `s` are the
 * privileged architecture's presence, which neither binding names.
 */
static void set_isa(void *t, int cpu)
{
    char isa[1024], list[1024], text[1024];
    size_t nlist = 0;
    riscv_isa_string(isa, sizeof(isa));
    char *save = NULL, *word = strtok_r(isa, "_", &save);
    size_t ntext = (size_t)snprintf(text, sizeof(text), "%s", word);
    for (const char *c = word + 4; *c; c++) {
        list[nlist++] = *c;
        list[nlist++] = 0;
    }
    while ((word = strtok_r(NULL, "_", &save))) {
        if (!strcmp(word, "sm") || !strcmp(word, "s")) {
            continue;
        }
        ntext += (size_t)snprintf(text + ntext, sizeof(text) - ntext, "_%s", word);
        nlist += (size_t)snprintf(list + nlist, sizeof(list) - nlist, "%s", word) + 1;
    }
    braid_assert(ntext < sizeof(text) && nlist <= sizeof(list));
    set_string(t, cpu, "riscv,isa", text);
    set_string(t, cpu, "riscv,isa-base", "rv64i");
    check(fdt_setprop(t, cpu, "riscv,isa-extensions", list, (int)nlist));
    static const struct {
        uint64_t extension;
        const char *name;
    } blocks[] = {
        { RISCV_EXT_ZICBOZ, "riscv,cboz-block-size" },
        { RISCV_EXT_ZICBOM, "riscv,cbom-block-size" },
        { RISCV_EXT_ZICBOP, "riscv,cbop-block-size" },
    };
    for (unsigned i = 0; i < array_size(blocks); i++) {
        if (riscv_extensions() & blocks[i].extension) {
            set_cell(t, cpu, blocks[i].name, RISCV_CBO_BLOCK_SIZE);
        }
    }
}

static void add_cpus(void *t, unsigned nharts)
{
    int cpus = add_node(t, 0, "cpus");
    set_cell(t, cpus, "#address-cells", 1);
    set_cell(t, cpus, "#size-cells", 0);
    set_cell(t, cpus, "timebase-frequency", ACLINT_TIME_FREQUENCY);
    int map = add_node(t, cpus, "cpu-map");
    int cluster = add_node(t, map, "cluster0");
    for (unsigned i = nharts; i-- > 0;) {   /* libfdt puts a new node first */
        char *core_name = str_format("core%u", i);
        set_cell(t, add_node(t, cluster, core_name), "cpu", cpu_phandle(i));
        free(core_name);
    }
    cpus = fdt_path_offset(t, "/cpus");
    for (unsigned i = nharts; i-- > 0;) {
        int cpu = add_node_at(t, cpus, "cpu", i);
        set_string(t, cpu, "device_type", "cpu");
        set_cell(t, cpu, "reg", i);
        set_string(t, cpu, "status", "okay");
        set_string(t, cpu, "compatible", "riscv");
        set_string(t, cpu, "mmu-type", "riscv,sv57");
        set_isa(t, cpu);
        set_cell(t, cpu, "phandle", cpu_phandle(i));
        int intc = add_node(t, cpu, "interrupt-controller");
        set_cell(t, intc, "#interrupt-cells", 1);
        set_empty(t, intc, "interrupt-controller");
        set_string(t, intc, "compatible", "riscv,cpu-intc");
        set_cell(t, intc, "phandle", intc_phandle(i));
    }
}

/* For a firmware: which of the harts' counters can count general events 1 (cycles) and 2 (instructions). */
static void add_pmu(void *t)
{
    const uint32_t hpm = (1u << RISCV_COUNTERS) - 1 - 7;
    int n = add_node(t, 0, "pmu");
    set_string(t, n, "compatible", "riscv,pmu");
    set_cells(t, n, "riscv,event-to-mhpmcounters", (uint32_t[]){ 1, 1, hpm | 1, 2, 2, hpm | 4 }, 6);
}

/* The interrupts `a` and `b` of every hart, in the order in which the device numbers them. */
static void set_hart_irqs(void *t, int node, unsigned nharts, uint32_t a, uint32_t b)
{
    uint32_t cells[MAX_CELLS];
    for (unsigned i = 0; i < nharts; i++) {
        cells[4 * i] = cells[4 * i + 2] = intc_phandle(i);
        cells[4 * i + 1] = a;
        cells[4 * i + 3] = b;
    }
    set_cells(t, node, "interrupts-extended", cells, 4 * nharts);
}

static void add_plic(void *t, int soc, unsigned nharts)
{
    static const char compatible[] = "sifive,plic-1.0.0\0riscv,plic0";
    int n = add_node_at(t, soc, "plic", VIRT_PLIC);
    check(fdt_setprop(t, n, "compatible", compatible, sizeof(compatible)));
    set_cell(t, n, "#address-cells", 0);
    set_cell(t, n, "#interrupt-cells", 1);
    set_empty(t, n, "interrupt-controller");
    set_reg(t, n, VIRT_PLIC, VIRT_PLIC_SIZE);
    set_hart_irqs(t, n, nharts, RISCV_IRQ_MEI, RISCV_IRQ_SEI);
    set_cell(t, n, "riscv,ndev", PLIC_SOURCES);
    set_cell(t, n, "phandle", PHANDLE_IRQ);
}

/* The interrupt files of one level, a page for each hart: riscv,imsics. */
static void add_imsic(void *t, int soc, unsigned nharts, uint64_t base, uint32_t irq, uint32_t phandle)
{
    uint32_t cells[2 * BOARD_MAX_HARTS];
    int n = add_node_at(t, soc, "imsics", base);
    for (unsigned i = 0; i < nharts; i++) {
        cells[2 * i] = intc_phandle(i);
        cells[2 * i + 1] = irq;
    }
    set_string(t, n, "compatible", "riscv,imsics");
    set_cell(t, n, "#interrupt-cells", 0);
    set_empty(t, n, "interrupt-controller");
    set_empty(t, n, "msi-controller");
    set_cell(t, n, "#msi-cells", 0);
    set_cells(t, n, "interrupts-extended", cells, 2 * nharts);
    set_reg(t, n, base, (uint64_t)nharts * IMSIC_PAGE);
    set_cell(t, n, "riscv,num-ids", IMSIC_IDS);
    set_cell(t, n, "phandle", phandle);
}

/* riscv,aplic */
static int add_aplic(void *t, int soc, uint64_t base, uint32_t files, uint32_t phandle)
{
    int n = add_node_at(t, soc, "aplic", base);
    set_string(t, n, "compatible", "riscv,aplic");
    set_cell(t, n, "#address-cells", 0);
    set_cell(t, n, "#interrupt-cells", 2);
    set_empty(t, n, "interrupt-controller");
    set_reg(t, n, base, APLIC_SIZE);
    set_cell(t, n, "msi-parent", files);
    set_cell(t, n, "riscv,num-sources", APLIC_SOURCES);
    set_cell(t, n, "phandle", phandle);
    return n;
}

/* What M-mode has is shown to firmware only: a kernel over the built-in SBI could not use it. */
static void add_aia(void *t, int soc, const FdtParameters *p)
{
    add_aplic(t, soc, VIRT_APLIC_S, PHANDLE_IMSIC_S, PHANDLE_IRQ);
    if (p->firmware) {
        const uint32_t delegation[] = { PHANDLE_IRQ, 1, APLIC_SOURCES };
        int n = add_aplic(t, soc, VIRT_APLIC_M, PHANDLE_IMSIC_M, PHANDLE_APLIC_M);
        set_cell(t, n, "riscv,children", PHANDLE_IRQ);
        /* the binding's name, and the one that firmware knew before it */
        set_cells(t, n, "riscv,delegation", delegation, 3);
        set_cells(t, n, "riscv,delegate", delegation, 3);
        add_imsic(t, soc, p->nharts, VIRT_IMSIC_M, RISCV_IRQ_MEI, PHANDLE_IMSIC_M);
    }
    add_imsic(t, soc, p->nharts, VIRT_IMSIC_S, RISCV_IRQ_SEI, PHANDLE_IMSIC_S);
}

static void add_clint(void *t, int soc, unsigned nharts)
{
    static const char compatible[] = "sifive,clint0\0riscv,clint0";
    int n = add_node_at(t, soc, "clint", VIRT_CLINT);
    check(fdt_setprop(t, n, "compatible", compatible, sizeof(compatible)));
    set_reg(t, n, VIRT_CLINT, VIRT_CLINT_SIZE);
    set_hart_irqs(t, n, nharts, RISCV_IRQ_MSI, RISCV_IRQ_MTI);
}

static void add_small_devices(void *t, int soc, const FdtParameters *p)
{
    static const char test_compatible[] = "sifive,test1\0sifive,test0\0syscon";
    int n = add_node_at(t, soc, "test", VIRT_TEST);
    check(fdt_setprop(t, n, "compatible", test_compatible, sizeof(test_compatible)));
    set_reg(t, n, VIRT_TEST, VIRT_TEST_SIZE);
    set_cell(t, n, "phandle", PHANDLE_TEST);

    n = add_node_at(t, soc, "serial", VIRT_UART);
    set_string(t, n, "compatible", "ns16550a");
    set_reg(t, n, VIRT_UART, VIRT_UART_SIZE);
    set_cell(t, n, "clock-frequency", 3686400);
    set_irq(t, n, p, VIRT_IRQ_UART);

    n = add_node_at(t, soc, "rtc", VIRT_RTC);
    set_string(t, n, "compatible", "google,goldfish-rtc");
    set_reg(t, n, VIRT_RTC, VIRT_RTC_SIZE);
    set_irq(t, n, p, VIRT_IRQ_RTC);

    for (unsigned i = VIRT_VIRTIO_SLOTS; i-- > 0;) {
        uint64_t base = VIRT_VIRTIO + i * VIRT_VIRTIO_SIZE;
        n = add_node_at(t, soc, "virtio_mmio", base);
        set_string(t, n, "compatible", "virtio,mmio");
        set_reg(t, n, base, VIRT_VIRTIO_SIZE);
        set_irq(t, n, p, VIRT_IRQ_VIRTIO + i);
    }
}

/* The binding "host-generic-pci" and, for interrupt-map, the PCI bus binding of Open Firmware. */
static void add_pci(void *t, int soc, const FdtParameters *p)
{
    enum { IO = 0x01000000, MEMORY_32 = 0x02000000, MEMORY_64 = 0x03000000, SLOTS = 4, PINS = 4, MAX_ENTRY = 7 };
    unsigned entry_cells = p->aia ? MAX_ENTRY : MAX_ENTRY - 1;
    uint32_t map[SLOTS * PINS * MAX_ENTRY], *m = map;
    uint64_t high = virt_pci_high(p->ram_size);
    int n = add_node_at(t, soc, "pci", VIRT_PCI_ECAM);
    set_string(t, n, "compatible", "pci-host-ecam-generic");
    set_string(t, n, "device_type", "pci");
    set_cell(t, n, "#address-cells", 3);
    set_cell(t, n, "#size-cells", 2);
    set_cell(t, n, "#interrupt-cells", 1);
    set_cell(t, n, "linux,pci-domain", 0);
    set_cells(t, n, "bus-range", (uint32_t[]){ 0, VIRT_PCI_ECAM_SIZE / (1 << 20) - 1 }, 2);
    set_empty(t, n, "dma-coherent");
    set_reg(t, n, VIRT_PCI_ECAM, VIRT_PCI_ECAM_SIZE);
    /* kind, address on the bus, address of the CPU, size */
    const uint32_t ranges[] = {
        IO, 0, 0, 0, VIRT_PCI_IO, 0, VIRT_PCI_IO_SIZE,
        MEMORY_32, 0, VIRT_PCI_MMIO, 0, VIRT_PCI_MMIO, 0, VIRT_PCI_MMIO_SIZE,
        MEMORY_64, (uint32_t)(high >> 32), (uint32_t)high, (uint32_t)(high >> 32), (uint32_t)high,
        (uint32_t)(VIRT_PCI_HIGH_SIZE >> 32), (uint32_t)VIRT_PCI_HIGH_SIZE,
    };
    set_cells(t, n, "ranges", ranges, array_size(ranges));
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        for (uint32_t pin = 0; pin < PINS; pin++, m += entry_cells) {
            const uint32_t entry[MAX_ENTRY] = { slot << 11, 0, 0, pin + 1, PHANDLE_IRQ,
                                                VIRT_IRQ_PCI + (slot + pin) % PINS, LEVEL_HIGH };
            memcpy(m, entry, entry_cells * sizeof(*m));
        }
    }
    set_cells(t, n, "interrupt-map", map, (unsigned)(m - map));
    if (p->aia) {
        set_cell(t, n, "msi-parent", PHANDLE_IMSIC_S);
    }
    set_cells(t, n, "interrupt-map-mask", (uint32_t[]){ (SLOTS - 1) << 11, 0, 0, 7 }, 4);
}

static void add_syscon(void *t, const char *name, const char *compatible, uint32_t value)
{
    int n = add_node(t, 0, name);
    set_string(t, n, "compatible", compatible);
    set_cell(t, n, "regmap", PHANDLE_TEST);
    set_cell(t, n, "offset", 0);
    set_cell(t, n, "value", value);
}

static void set_chosen(void *t, int chosen, const FdtParameters *p)
{
    if (p->bootargs) {
        set_string(t, chosen, "bootargs", p->bootargs);
    }
    if (p->initrd_size) {
        check(fdt_setprop_u64(t, chosen, "linux,initrd-start", p->initrd_start));
        check(fdt_setprop_u64(t, chosen, "linux,initrd-end", p->initrd_start + p->initrd_size));
    }
}

static void add_chosen(void *t, const FdtParameters *p)
{
    uint8_t seed[32];
    int n = add_node(t, 0, "chosen");
    set_chosen(t, n, p);
    char *path = str_format("/soc/serial@%x", VIRT_UART);
    set_string(t, n, "stdout-path", path);
    free(path);
    if (board_random(seed, sizeof(seed))) {
        check(fdt_setprop(t, n, "rng-seed", seed, sizeof(seed)));
    }
}

static void *pack(void *t, size_t *size)
{
    check(fdt_pack(t));
    *size = fdt_totalsize(t);
    return t;
}

void *fdt_make(const FdtParameters *p, size_t *size)
{
    size_t room = ROOM + p->nharts * 2048 + (p->bootargs ? strlen(p->bootargs) : 0);
    void *t = xcalloc(1, room);
    check(fdt_create_empty_tree(t, (int)room));
    set_cell(t, 0, "#address-cells", 2);
    set_cell(t, 0, "#size-cells", 2);
    set_string(t, 0, "compatible", "riscv-virtio");
    set_string(t, 0, "model", "riscv-virtio,braid");
    add_chosen(t, p);
    add_syscon(t, "poweroff", "syscon-poweroff", 0x5555);
    add_syscon(t, "reboot", "syscon-reboot", 0x7777);
    int soc = add_node(t, 0, "soc");
    set_cell(t, soc, "#address-cells", 2);
    set_cell(t, soc, "#size-cells", 2);
    set_string(t, soc, "compatible", "simple-bus");
    set_empty(t, soc, "ranges");
    add_small_devices(t, soc, p);
    add_pci(t, soc, p);
    add_clint(t, soc, p->nharts);
    if (p->aia) {
        add_aia(t, soc, p);
    } else {
        add_plic(t, soc, p->nharts);
    }
    add_cpus(t, p->nharts);
    add_pmu(t);
    int memory = add_node_at(t, 0, "memory", VIRT_DRAM);
    set_string(t, memory, "device_type", "memory");
    set_reg(t, memory, VIRT_DRAM, p->ram_size);
    return pack(t, size);
}

void *fdt_amend(void *tree, size_t file_size, const char *file, const FdtParameters *p, size_t *size)
{
    int r = -FDT_ERR_TRUNCATED;
    if (file_size >= sizeof(struct fdt_header)) {
        /* Of trees before version 16, which nobody has any more, fdt_check_full() may not survive a damaged one. */
        r = fdt_magic(tree) == FDT_MAGIC && fdt_version(tree) < 16 ? -FDT_ERR_BADVERSION
                                                                    : fdt_check_full(tree, file_size);
    }
    if (r) {
        fatal_usage("'%s' is no device tree: %s", file, fdt_strerror(r));
    }
    size_t room = fdt_totalsize(tree) + 4096 + (p->bootargs ? strlen(p->bootargs) : 0);
    void *t = xcalloc(1, room);
    check(fdt_open_into(tree, t, (int)room));
    free(tree);
    int chosen = fdt_path_offset(t, "/chosen");
    if (chosen < 0) {
        chosen = fdt_add_subnode(t, 0, "chosen");
    }
    if (chosen < 0) {
        fatal_usage("'%s' is no device tree: %s", file, fdt_strerror(chosen));
    }
    set_chosen(t, chosen, p);
    return pack(t, size);
}
