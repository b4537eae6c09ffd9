/*
 * Putting the machine together: memory map, devices, interrupt wiring, and what is loaded where.
 *
 * All of it happens on the first thread before a hart runs; afterwards everything here is constant.
 *
 * How a machine begins:
 *   no -bios        the built-in SBI: hart 0 enters the kernel in S-mode with a0 = hart id and a1 = device
 *                   tree; the others are stopped until SBI HSM starts them.
 *   -bios FILE      all harts begin in the boot ROM in M-mode, which loads a0 = hart id, a1 = device tree,
 *                   a2 = OpenSBI's fw_dynamic_info (where the kernel is) and jumps to the firmware.
 *   -bios none      the same, into the kernel.
 */
#include "board/virt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/dev/aclint.h"
#include "board/dev/aplic.h"
#include "board/dev/goldfish-rtc.h"
#include "board/dev/imsic.h"
#include "board/dev/plic.h"
#include "board/dev/sifive-test.h"
#include "board/dev/uart.h"
#include "board/hart.h"
#include "board/loader.h"
#include "board/monitor.h"
#include "board/pci/pci.h"
#include "board/random.h"
#include "board/round-robin.h"
#include "board/savevm.h"
#include "board/sbi.h"
#include "board/slots.h"
#include "mem/memory.h"
#include "util/error.h"
#include "util/strutil.h"

#define MIB (1ull << 20)
#define KERNEL_OFFSET (2 * MIB)     /* of a kernel behind firmware: a large page of its own */
#define FDT_MAX (2 * MIB)
#define FDT_LIMIT (VIRT_DRAM + 3072 * MIB)  /* kernels map it early: keep it low */

static struct VirtContext {
    ACLINT *aclint;
    /* the interrupt controller: a PLIC, or an APLIC and the harts' interrupt files for S- and M-mode */
    PLIC *plic;
    APLIC *aplic;
    IMSIC *imsic[2];
    UART *uart;
    GoldfishRTC *rtc;
    SiFiveTest test;
    PCIBus *pci;
    IRQLine virtio_irqs[VIRT_VIRTIO_SLOTS];
} virt;

/* ---- Time ---- */

static uint64_t board_time(void)
{
    return aclint_time(virt.aclint);
}

uint64_t board_time_to_ns(uint64_t ticks)
{
    return aclint_time_to_ns(virt.aclint, ticks);
}

/* ---- Devices ---- */

static void test_power_off(void *opaque, int exit_code)
{
    board_power_off(exit_code);
}

static void test_reset(void *opaque)
{
    board_reset(true);
}

/* ---- Interrupts ---- */

static IRQLine irq_input(unsigned n)
{
    return virt.plic ? plic_input(virt.plic, n) : aplic_input(virt.aplic, n);
}

static IRQLine *hart_lines(unsigned nharts, unsigned irq)
{
    IRQLine *lines = xcalloc(nharts, sizeof(*lines));
    for (unsigned i = 0; i < nharts; i++) {
        lines[i] = hart_irq(i, irq);
    }
    return lines;
}

static void create_timers(unsigned nharts)
{
    IRQLine *msip = hart_lines(nharts, RISCV_IRQ_MSI), *mtip = hart_lines(nharts, RISCV_IRQ_MTI);
    virt.aclint = aclint_create(msip, mtip, nharts);
    aclint_on_time_set(virt.aclint, harts_time_set);
    memory_add_mmio("clint", VIRT_CLINT, VIRT_CLINT_SIZE, &aclint_ops, virt.aclint);
    device_add("clint", &aclint_class, virt.aclint);
    free(msip);
    free(mtip);
}

static void create_plic(unsigned nharts)
{
    IRQLine *contexts = xcalloc(2 * nharts, sizeof(*contexts));
    for (unsigned i = 0; i < nharts; i++) {
        contexts[2 * i] = hart_irq(i, RISCV_IRQ_MEI);
        contexts[2 * i + 1] = hart_irq(i, RISCV_IRQ_SEI);
    }
    virt.plic = plic_create(contexts, 2 * nharts);
    memory_add_mmio("plic", VIRT_PLIC, VIRT_PLIC_SIZE, &plic_ops, virt.plic);
    device_add("plic", &plic_class, virt.plic);
    free(contexts);
}

static bool access_file(CPUState *cpu, bool machine, unsigned reg, uint64_t mask, uint64_t value, uint64_t *old)
{
    return imsic_access(virt.imsic[machine], hart_of(cpu)->index, reg, mask, value, old);
}

static uint32_t top_of_file(CPUState *cpu, bool machine, bool claim)
{
    return imsic_top(virt.imsic[machine], hart_of(cpu)->index, claim);
}

static const RISCVInterruptFiles interrupt_files = { access_file, top_of_file };

/* A device's message: to a hart's interrupt file, or to nobody. */
static bool send_message(void *opaque, hwaddr address, uint32_t data)
{
    static const hwaddr bases[2] = { VIRT_IMSIC_S, VIRT_IMSIC_M };
    for (unsigned i = 0; i < 2; i++) {
        if (virt.imsic[i] && address >= bases[i] && address - bases[i] < hart_ctx.nharts * IMSIC_PAGE &&
            address % 4 == 0) {
            imsic_ops.write(virt.imsic[i], address - bases[i], data, 4);
            return true;
        }
    }
    return false;
}

static void create_imsic(bool machine, unsigned nharts)
{
    IRQLine *lines = hart_lines(nharts, machine ? RISCV_IRQ_MEI : RISCV_IRQ_SEI);
    const char *name = machine ? "imsic-m" : "imsic-s";
    IMSIC *s = virt.imsic[machine] = imsic_create(lines, nharts);
    memory_add_mmio(name, machine ? VIRT_IMSIC_M : VIRT_IMSIC_S, (uint64_t)nharts * IMSIC_PAGE, &imsic_ops, s);
    device_add(name, &imsic_class, s);
    free(lines);
}

static void create_aia(unsigned nharts)
{
    APLICConfig c = { .message = send_message, .handed_over = board_entry()->sbi, .machine_files = VIRT_IMSIC_M,
                      .supervisor_files = VIRT_IMSIC_S };
    create_imsic(false, nharts);
    create_imsic(true, nharts);
    virt.aplic = aplic_create(&c);
    memory_add_mmio("aplic-m", VIRT_APLIC_M, APLIC_SIZE, &aplic_ops, aplic_domain(virt.aplic, true));
    memory_add_mmio("aplic-s", VIRT_APLIC_S, APLIC_SIZE, &aplic_ops, aplic_domain(virt.aplic, false));
    device_add("aplic", &aplic_class, virt.aplic);
}

/* ---- Devices ---- */

/* What no BAR claims, in the bridge's windows, reads as all ones. */
static uint64_t read_nothing(void *opaque, hwaddr offset, unsigned size)
{
    return ~0ull;
}

static void write_nothing(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
}

static void create_pci(uint64_t ram_size)
{
    static const MMIOOps nothing = { read_nothing, write_nothing, 1, 8 };
    hwaddr high = virt_pci_high(ram_size);
    PCIBusConfig c = { .window = { { VIRT_PCI_MMIO, VIRT_PCI_MMIO_SIZE }, { high, VIRT_PCI_HIGH_SIZE } },
                       .message = send_message };
    for (unsigned i = 0; i < 4; i++) {
        c.irq[i] = irq_input(VIRT_IRQ_PCI + i);
    }
    virt.pci = pci_bus_create(&c);
    memory_add_mmio("pci-ecam", VIRT_PCI_ECAM, VIRT_PCI_ECAM_SIZE, &pci_ecam_ops, virt.pci);
    memory_add_mmio("pci-io", VIRT_PCI_IO, VIRT_PCI_IO_SIZE, &nothing, NULL);
    memory_add_mmio("pci-mmio", VIRT_PCI_MMIO, VIRT_PCI_MMIO_SIZE, &nothing, NULL);
    memory_add_mmio("pci-mmio-high", high, VIRT_PCI_HIGH_SIZE, &nothing, NULL);
}

static void create_devices(const BoardOptions *o)
{
    slots_parse_chardevs(o);
    Chardev *serial = slots_find_chardev("-serial", o->serial ? o->serial : "mon:stdio");
    virt.uart = uart_create(irq_input(VIRT_IRQ_UART), serial);
    memory_add_mmio("serial", VIRT_UART, VIRT_UART_SIZE, &uart_ops, virt.uart);
    device_add("serial", &uart_class, virt.uart);
    sbi_init(serial, virt.uart);

    virt.rtc = goldfish_rtc_create(irq_input(VIRT_IRQ_RTC));
    memory_add_mmio("rtc", VIRT_RTC, VIRT_RTC_SIZE, &goldfish_rtc_ops, virt.rtc);
    device_add("rtc", &goldfish_rtc_class, virt.rtc);

    virt.test = (SiFiveTest){ test_power_off, test_reset, NULL };
    memory_add_mmio("test", VIRT_TEST, VIRT_TEST_SIZE, &sifive_test_ops, &virt.test);
    device_add("test", &sifive_test_class, &virt.test);

    for (unsigned i = 0; i < VIRT_VIRTIO_SLOTS; i++) {
        virt.virtio_irqs[i] = irq_input(VIRT_IRQ_VIRTIO + i);
    }
    create_pci(o->ram_size);
    slots_create(o, virt.virtio_irqs, virt.pci);

    if (chardev_is_mux(serial)) {
        monitor_create(serial, true);
    }
    if (o->monitor && strcmp(o->monitor, "none")) {
        Chardev *c = slots_find_chardev("-monitor", o->monitor);
        if (c != serial) {
            monitor_create(c, false);
        }
    }
    if (o->qmp) {
        monitor_create_qmp(slots_find_chardev("-qmp", o->qmp));
    }
}

/* ---- Loading ---- */

static hwaddr align_up(hwaddr a, uint64_t to) { return (a + to - 1) & ~(to - 1); }

/* The initrd behind the kernel, where neither the kernel's growth nor the device tree is in its way. */
static void place_initrd(const BoardOptions *o, hwaddr kernel_end, hwaddr fdt_at, FdtParameters *p)
{
    size_t size;
    void *bytes = loader_read_file(o->initrd, "initrd", &size);
    uint64_t half = o->ram_size / 2 < 128 * MIB ? o->ram_size / 2 : 128 * MIB;
    hwaddr at = align_up(VIRT_DRAM + half > kernel_end ? VIRT_DRAM + half : kernel_end, 4096);
    if (at + size > fdt_at) {
        at = align_up(kernel_end, 4096);
    }
    if (at + size > fdt_at) {
        fatal_usage("initrd '%s' (%llu MiB) does not fit into RAM behind the kernel; -m gives more", o->initrd,
                    (unsigned long long)(size / MIB));
    }
    loader_add(at, bytes, size, o->initrd);
    p->initrd_start = at;
    p->initrd_size = size;
}

static void *make_fdt(const BoardOptions *o, const FdtParameters *p, size_t *size)
{
    if (!o->dtb) {
        return fdt_make(p, size);
    }
    size_t file_size;
    void *tree = loader_read_file(o->dtb, "device tree", &file_size);
    return fdt_amend(tree, file_size, o->dtb, p, size);
}

static void dump_fdt(const char *file, const void *fdt, size_t size)
{
    FILE *f = fopen(file, "wb");
    if (!f || fwrite(fdt, 1, size, f) != size || fclose(f)) {
        fatal_usage("dumpdtb: cannot write '%s': %s", file, strerror(errno));
    }
    fprintf(stderr, "%s: device tree written to '%s'\n", error_program_name(), file);
    exit(0);
}

/*
 * The code at VIRT_BOOT_ROM and what it loads, in the format of OpenSBI's fw_dynamic_info, version 2
 * (OpenSBI, docs/firmware/fw_dynamic.md).
 */
static void make_boot_rom(hwaddr jump_to, hwaddr fdt_at, hwaddr next)
{
    enum { S_MODE = 1, OSBI_MAGIC = 0x4942534f };
    struct BootROM {
        uint32_t code[6];
        uint64_t jump_to, fdt;
        uint64_t magic, version, next, next_mode, options, boot_hart;
    } *rom = xcalloc(1, sizeof(*rom));
    static const uint32_t code[6] = {
        0x00000297,             /* 0:  auipc t0, 0 */
        0x02828613,             /* 4:  addi a2, t0, 40: magic */
        0xf1402573,             /* 8:  csrr a0, mhartid */
        0x0202b583,             /* 12: ld a1, 32(t0) */
        0x0182b283,             /* 16: ld t0, 24(t0) */
        0x00028067,             /* 20: jr t0 */
    };
    _Static_assert(offsetof(struct BootROM, jump_to) == 24 && offsetof(struct BootROM, fdt) == 32 &&
                   offsetof(struct BootROM, magic) == 40, "offsets in the code");
    memcpy(rom->code, code, sizeof(code));
    rom->jump_to = jump_to;
    rom->fdt = fdt_at;
    rom->magic = OSBI_MAGIC;
    rom->version = 2;
    rom->next = next;
    rom->next_mode = S_MODE;
    rom->boot_hart = ~0ull;     /* any */
    loader_add_rom(VIRT_BOOT_ROM, rom, sizeof(*rom));
}

static void load(const BoardOptions *o)
{
    bool none = o->bios && !strcmp(o->bios, "none");
    bool firmware = o->bios && !none && strcmp(o->bios, "default");
    LoadedImage kernel = { 0 }, bios = { 0 };
    FdtParameters p = { .nharts = o->nharts, .aia = o->aia, .firmware = firmware || none, .ram_size = o->ram_size, .bootargs = o->append };
    size_t fdt_size;

    if (firmware) {
        bios = loader_load_firmware(o->bios, VIRT_DRAM);
    }
    if (o->kernel) {
        hwaddr base = none ? VIRT_DRAM : align_up(bios.end > VIRT_DRAM ? bios.end : VIRT_DRAM + 1, KERNEL_OFFSET);
        kernel = loader_load_kernel(o->kernel, base);
        if (firmware && kernel.start < bios.end && bios.start < kernel.end) {
            fatal_usage("kernel '%s' and firmware '%s' want the same memory", o->kernel, o->bios);
        }
    }
    hwaddr ram_end = VIRT_DRAM + o->ram_size;
    hwaddr fdt_at = ((ram_end < FDT_LIMIT ? ram_end : FDT_LIMIT) - FDT_MAX) & ~(FDT_MAX - 1);
    hwaddr used = kernel.end > bios.end ? kernel.end : bios.end;
    if (used > fdt_at && used < fdt_at + FDT_MAX) {
        fatal_usage("no room is left in RAM for the device tree; -m gives more");
    }
    if (o->initrd) {
        place_initrd(o, used ? used : VIRT_DRAM, fdt_at, &p);
    }
    void *fdt = make_fdt(o, &p, &fdt_size);
    if (o->dumpdtb) {
        dump_fdt(o->dumpdtb, fdt, fdt_size);
    }
    if (fdt_size > FDT_MAX) {
        fatal_usage("the device tree is larger than 2 MiB");
    }
    loader_add(fdt_at, fdt, fdt_size, "the device tree");

    bool sbi = !firmware && !none;
    BoardEntry e = { .a0 = 0, .a1 = fdt_at, .sbi = sbi, .all_harts = !sbi };
    e.pc = sbi ? kernel.entry : VIRT_BOOT_ROM;
    e.privilege = sbi ? RISCV_PRIV_S : RISCV_PRIV_M;
    make_boot_rom(firmware ? bios.entry : kernel.entry, fdt_at, kernel.entry);
    board_set_entry(&e);
    device_add("loader", &loader_class, NULL);
}

static void check_options(const BoardOptions *o)
{
    bool none = o->bios && !strcmp(o->bios, "none");
    if (!o->kernel && (!o->bios || none || !strcmp(o->bios, "default")) && !o->dumpdtb && !o->loadvm) {
        fatal_usage("nothing to run: -kernel FILE or -bios FILE is needed");
    }
    if (!o->kernel && o->initrd) {
        fatal_usage("-initrd needs -kernel");
    }
    if (!o->kernel && o->append) {
        fatal_usage("-append needs -kernel");
    }
}

void virt_create(const BoardOptions *o)
{
    check_options(o);
    savevm_init();
    board_random_init();
    if (o->aia) {
        riscv_add_aia();
    }
    memory_add_ram("ram", VIRT_DRAM, o->ram_size, false);
    memory_add_ram("boot-rom", VIRT_BOOT_ROM, VIRT_BOOT_ROM_SIZE, true);
    loader_init(VIRT_DRAM, o->ram_size);
    load(o);
    bool sbi = board_entry()->sbi;
    RISCVSystemConfig config = {
        .time = board_time,
        .timer_changed = hart_timer_changed,
        .wake = o->one_thread ? round_robin_wake : NULL,
        .sbi = sbi,
        .files = o->aia ? &interrupt_files : NULL,
        .icount = o->count.on,
        .clock_ns = clock_ns,
        .set_alarm = hart_set_alarm,
    };
    riscv_system_init(&config);
    hart_create_all(o->nharts, o->one_thread);
    create_timers(o->nharts);
    if (o->aia) {
        create_aia(o->nharts);
    } else {
        create_plic(o->nharts);
    }
    harts_add_devices();
    create_devices(o);
}

void virt_finish(void)
{
    slots_finish();
}
