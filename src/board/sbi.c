/*
 * The built-in SBI.
 *
 * A call runs on the thread of the hart that makes it; it has no state of its own beyond the harts'.  Extensions
 * are a table of (id, function); a function gets the call's arguments and returns error and value.
 * Section names below are those of the RISC-V SBI specification 2.0.
 */
#include "board/sbi.h"

#include "board/board.h"
#include "board/sbi-pmu.h"
#include "exec/exec.h"
#include "exec/tlb.h"
#include "mem/memory.h"
#include "util/compiler.h"
#include "util/log.h"

#define SBI_VERSION (2u << 24)
#define SBI_IMPLEMENTATION 0xb4a1du     /* none of the registered ones */
#define CONSOLE_MAX 4096u

typedef struct SBICall {
    Hart *h;
    const uint64_t *arg;        /* a0 ... a5 */
    uint64_t function;          /* a6 */
    int64_t value;              /* for a1 */
    bool no_return;             /* a0 and a1 are not the answer's: the hart goes on elsewhere */
} SBICall;

typedef int64_t SBIHandler(SBICall *c);

typedef struct SBIExtension {
    uint64_t id;
    SBIHandler *handler;
} SBIExtension;

static struct SBIContext {
    Chardev *console;           /* constant after sbi_init() */
    UART *uart;
} sbi;

void sbi_init(Chardev *console, UART *uart)
{
    sbi.console = console;
    sbi.uart = uart;
}

static const SBIExtension *find_extension(uint64_t id);

/* ---- "Base Extension" ---- */

static int64_t read_id_csr(SBICall *c, unsigned csr)
{
    uint64_t value = 0;
    riscv_csr_read_debug(c->h->cpu, csr, &value);
    c->value = (int64_t)value;
    return SBI_SUCCESS;
}

static int64_t call_base(SBICall *c)
{
    enum { MVENDORID = 0xf11, MARCHID = 0xf12, MIMPID = 0xf13 };
    switch (c->function) {
    case 0:
        c->value = SBI_VERSION;
        return SBI_SUCCESS;
    case 1:
        c->value = SBI_IMPLEMENTATION;
        return SBI_SUCCESS;
    case 2:
        c->value = 1;
        return SBI_SUCCESS;
    case 3:
        c->value = find_extension(c->arg[0]) != NULL;
        return SBI_SUCCESS;
    case 4:
        return read_id_csr(c, MVENDORID);
    case 5:
        return read_id_csr(c, MARCHID);
    case 6:
        return read_id_csr(c, MIMPID);
    }
    return SBI_ERR_NOT_SUPPORTED;
}

/* ---- "Timer Extension" ---- */

static int64_t call_time(SBICall *c)
{
    if (c->function != 0) {
        return SBI_ERR_NOT_SUPPORTED;
    }
    sbi_pmu_count(c->h, SBI_EVENT_SET_TIMER);
    riscv_set_timer(c->h->cpu, c->arg[0]);
    return SBI_SUCCESS;
}

/* ---- Hart masks ---- */

/* The harts that (mask, base) names, in list[]; -1 if it names one that does not exist. */
static int64_t select_harts(uint64_t mask, uint64_t base, Hart **list, unsigned *n)
{
    *n = 0;
    if (base == ~0ull) {
        for (unsigned i = 0; i < hart_ctx.nharts; i++) {
            list[(*n)++] = &hart_ctx.harts[i];
        }
        return SBI_SUCCESS;
    }
    for (unsigned bit = 0; mask >> bit && bit < 64; bit++) {
        if (!(mask >> bit & 1)) {
            continue;
        }
        if (base + bit >= hart_ctx.nharts || base + bit < base) {
            return SBI_ERR_INVALID_PARAM;
        }
        list[(*n)++] = &hart_ctx.harts[base + bit];
    }
    return SBI_SUCCESS;
}

/* ---- "IPI Extension" ---- */

static int64_t call_ipi(SBICall *c)
{
    Hart *list[BOARD_MAX_HARTS];
    unsigned n;
    if (c->function != 0) {
        return SBI_ERR_NOT_SUPPORTED;
    }
    int64_t r = select_harts(c->arg[0], c->arg[1], list, &n);
    for (unsigned i = 0; r == SBI_SUCCESS && i < n; i++) {
        sbi_pmu_count(c->h, SBI_EVENT_IPI_SENT);
        sbi_pmu_count(list[i], SBI_EVENT_IPI_RECEIVED);
        riscv_set_irq(list[i]->cpu, RISCV_IRQ_SSI, true);
    }
    return r;
}

/* ---- "RFENCE Extension" ---- */

/* An ASID names an address space in each translation mode.  Work is done in order, so only the last one is waited for. */
static void fence_asid(CPUState *src, CPUState *const *cpus, unsigned n, TLBFlush what, uint64_t asid)
{
    uint64_t spaces[RISCV_MAX_SPACES];
    unsigned nspaces = riscv_spaces_of_asid(asid, spaces);
    if (what.all) {
        what.all = false;
        what.size = ~0ull;
    }
    for (unsigned i = 0; n && i < nspaces; i++) {
        what.space = spaces[i];
        for (unsigned k = 0; i + 1 < nspaces && k < n; k++) {
            tlb_flush_async(cpus[k], what);
        }
        if (i + 1 == nspaces) {
            tlb_flush_synced(src, cpus, n, what);
        }
    }
}

static int64_t call_rfence(SBICall *c)
{
    enum { FENCE_I, SFENCE_VMA, SFENCE_VMA_ASID };
    Hart *list[BOARD_MAX_HARTS];
    CPUState *cpus[BOARD_MAX_HARTS];
    unsigned n, ncpus = 0;
    if (c->function > SFENCE_VMA_ASID) {
        return SBI_ERR_NOT_SUPPORTED;       /* no hypervisor extension */
    }
    int64_t r = select_harts(c->arg[0], c->arg[1], list, &n);
    if (r != SBI_SUCCESS) {
        return r;
    }
    /* For each kind two events: sent, received. */
    unsigned sent = SBI_EVENT_FENCE_I_SENT + 2 * (unsigned)c->function;
    for (unsigned i = 0; i < n; i++) {
        sbi_pmu_count(c->h, sent);
        sbi_pmu_count(list[i], sent + 1);
    }
    for (unsigned i = 0; i < n; i++) {
        /* A hart that is stopped starts with an empty TLB. */
        if (c->function == FENCE_I || __atomic_load_n(&list[i]->state, __ATOMIC_RELAXED) != HART_STOPPED) {
            cpus[ncpus++] = list[i]->cpu;
        }
    }
    if (c->function == FENCE_I) {
        tlb_fence_i_synced(c->h->cpu, cpus, ncpus);
        return SBI_SUCCESS;
    }
    uint64_t start = c->arg[2], size = c->arg[3];
    TLBFlush what = { .start = start, .size = size, .space = TLB_ALL_SPACES };
    what.all = (start == 0 && size == 0) || size == ~0ull || start + size < start;
    if (c->function == SFENCE_VMA_ASID) {
        fence_asid(c->h->cpu, cpus, ncpus, what, c->arg[4]);
    } else if (ncpus) {
        tlb_flush_synced(c->h->cpu, cpus, ncpus, what);
    }
    return SBI_SUCCESS;
}

/* ---- "Hart State Management Extension" ---- */

/* The call returns when the hart wakes up; not at all if the state is not retained. */
static int64_t suspend(SBICall *c, bool retentive, uint64_t resume_addr, uint64_t opaque)
{
    hart_suspend(c->h, retentive, resume_addr, opaque);
    c->no_return = !retentive;
    return SBI_SUCCESS;
}

static int64_t call_hart_start(const uint64_t *arg)
{
    if (arg[0] >= hart_ctx.nharts) {
        return SBI_ERR_INVALID_PARAM;
    }
    if (!memory_ram_host(arg[1], 2)) {
        return SBI_ERR_INVALID_ADDRESS;
    }
    return hart_start(&hart_ctx.harts[arg[0]], arg[1], arg[2], RISCV_PRIV_S) ? SBI_SUCCESS
                                                                            : SBI_ERR_ALREADY_AVAILABLE;
}

static int64_t call_hsm(SBICall *c)
{
    enum { START, STOP, GET_STATUS, SUSPEND };
    enum { RETENTIVE = 0, NON_RETENTIVE = 0x80000000u };
    switch (c->function) {
    case START:
        return call_hart_start(c->arg);
    case STOP:
        hart_stop(c->h);
        c->no_return = true;
        return SBI_SUCCESS;
    case GET_STATUS:
        if (c->arg[0] >= hart_ctx.nharts) {
            return SBI_ERR_INVALID_PARAM;
        }
        c->value = __atomic_load_n(&hart_ctx.harts[c->arg[0]].state, __ATOMIC_RELAXED);
        return SBI_SUCCESS;
    case SUSPEND:
        if ((uint32_t)c->arg[0] != RETENTIVE && (uint32_t)c->arg[0] != NON_RETENTIVE) {
            return SBI_ERR_INVALID_PARAM;
        }
        if ((uint32_t)c->arg[0] == NON_RETENTIVE && !memory_ram_host(c->arg[1], 2)) {
            return SBI_ERR_INVALID_ADDRESS;
        }
        return suspend(c, (uint32_t)c->arg[0] == RETENTIVE, c->arg[1], c->arg[2]);
    }
    return SBI_ERR_NOT_SUPPORTED;
}

/* ---- "System Suspend Extension" ---- */

static int64_t call_system_suspend(SBICall *c)
{
    if (c->function != 0) {
        return SBI_ERR_NOT_SUPPORTED;
    }
    if ((uint32_t)c->arg[0] != 0) {         /* only suspend to RAM */
        return SBI_ERR_INVALID_PARAM;
    }
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        if (i != c->h->index &&
            __atomic_load_n(&hart_ctx.harts[i].state, __ATOMIC_RELAXED) != HART_STOPPED) {
            return SBI_ERR_DENIED;
        }
    }
    if (!memory_ram_host(c->arg[1], 2)) {
        return SBI_ERR_INVALID_ADDRESS;
    }
    return suspend(c, false, c->arg[1], c->arg[2]);
}

/* ---- "System Reset Extension" ---- */

static int64_t call_reset(SBICall *c)
{
    enum { SHUTDOWN, COLD_REBOOT, WARM_REBOOT };
    if (c->function != 0) {
        return SBI_ERR_NOT_SUPPORTED;
    }
    switch ((uint32_t)c->arg[0]) {
    case SHUTDOWN:
        board_power_off(0);
        break;
    case COLD_REBOOT:
    case WARM_REBOOT:
        board_reset(true);
        break;
    default:
        return SBI_ERR_INVALID_PARAM;
    }
    hart_stop(c->h);            /* the call does not return: wait for what was asked */
    c->no_return = true;
    return SBI_SUCCESS;
}

/* ---- "Performance Monitoring Unit Extension" ---- */

static int64_t call_pmu(SBICall *c)
{
    return sbi_pmu_call(c->h, c->function, c->arg, &c->value);
}

/* ---- "Debug Console Extension" ---- */

static int64_t console_write(SBICall *c)
{
    uint8_t buf[CONSOLE_MAX];
    uint64_t n = c->arg[0] < CONSOLE_MAX ? c->arg[0] : CONSOLE_MAX;
    if (c->arg[2] != 0 || !memory_read(c->arg[1], buf, n)) {
        return SBI_ERR_INVALID_PARAM;
    }
    c->value = (int64_t)chardev_write(sbi.console, buf, n);
    return SBI_SUCCESS;
}

static int64_t console_read(SBICall *c)
{
    uint8_t buf[CONSOLE_MAX];
    uint64_t n = 0, max = c->arg[0] < CONSOLE_MAX ? c->arg[0] : CONSOLE_MAX;
    if (c->arg[2] != 0 || (max && !memory_ram_host(c->arg[1], max))) {
        return SBI_ERR_INVALID_PARAM;
    }
    for (int byte; n < max && (byte = uart_take_byte(sbi.uart)) >= 0; n++) {
        buf[n] = (uint8_t)byte;
    }
    c->value = (int64_t)n;
    return memory_write(c->arg[1], buf, n) ? SBI_SUCCESS : SBI_ERR_INVALID_PARAM;
}

static int64_t call_console(SBICall *c)
{
    uint8_t byte = (uint8_t)c->arg[0];
    switch (c->function) {
    case 0:
        return console_write(c);
    case 1:
        return console_read(c);
    case 2:
        return chardev_write(sbi.console, &byte, 1) ? SBI_SUCCESS : SBI_ERR_FAILED;
    }
    return SBI_ERR_NOT_SUPPORTED;
}

/* ---- "Legacy Extensions": the answer is in a0 alone, and a1 stays ---- */

static int64_t legacy_set_timer(SBICall *c)
{
    return call_time(&(SBICall){ .h = c->h, .arg = c->arg });
}

static int64_t legacy_putchar(SBICall *c)
{
    uint8_t byte = (uint8_t)c->arg[0];
    chardev_write(sbi.console, &byte, 1);
    return 0;
}

static int64_t legacy_getchar(SBICall *c)
{
    return uart_take_byte(sbi.uart);
}

static int64_t legacy_clear_ipi(SBICall *c)
{
    riscv_set_irq(c->h->cpu, RISCV_IRQ_SSI, false);
    return 0;
}

/*
 * 4 to 7 take the address of a mask of harts in the caller's memory, 0 for all; then what their successors take
 * behind (mask, base).
 */
static int64_t with_mask(SBICall *c, SBIHandler *handler, uint64_t function)
{
    uint64_t args[6] = { ~0ull, c->arg[0] ? 0 : ~0ull, c->arg[1], c->arg[2], c->arg[3], 0 };
    if (c->arg[0] && !cpu_memory_debug(c->h->cpu, c->arg[0], &args[0], 8, false)) {
        return SBI_ERR_FAILED;
    }
    SBICall call = { .h = c->h, .arg = args, .function = function };
    return handler(&call);
}

static int64_t legacy_send_ipi(SBICall *c) { return with_mask(c, call_ipi, 0); }
static int64_t legacy_fence_i(SBICall *c) { return with_mask(c, call_rfence, 0); }
static int64_t legacy_sfence_vma(SBICall *c) { return with_mask(c, call_rfence, 1); }
static int64_t legacy_sfence_vma_asid(SBICall *c) { return with_mask(c, call_rfence, 2); }

static int64_t legacy_shutdown(SBICall *c)
{
    board_power_off(0);
    hart_stop(c->h);
    c->no_return = true;
    return 0;
}

static const SBIExtension extensions[] = {
    { 0x00, legacy_set_timer },
    { 0x01, legacy_putchar },
    { 0x02, legacy_getchar },
    { 0x03, legacy_clear_ipi },
    { 0x04, legacy_send_ipi },
    { 0x05, legacy_fence_i },
    { 0x06, legacy_sfence_vma },
    { 0x07, legacy_sfence_vma_asid },
    { 0x08, legacy_shutdown },
    { 0x10, call_base },
    { 0x54494d45, call_time },
    { 0x735049, call_ipi },
    { 0x52464e43, call_rfence },
    { 0x48534d, call_hsm },
    { 0x53525354, call_reset },
    { 0x4442434e, call_console },
    { 0x53555350, call_system_suspend },
    { 0x504d55, call_pmu },
};

static const SBIExtension *find_extension(uint64_t id)
{
    for (unsigned i = 0; i < array_size(extensions); i++) {
        if (extensions[i].id == id) {
            return &extensions[i];
        }
    }
    return NULL;
}

void sbi_call(Hart *h)
{
    uint64_t *a = &h->cpu->env.reg[RISCV_A0];
    SBICall c = { .h = h, .arg = a, .function = a[6] };
    uint64_t id = a[7];
    const SBIExtension *e = find_extension(id);
    int64_t error = e ? e->handler(&c) : SBI_ERR_NOT_SUPPORTED;
    if (!e || error == SBI_ERR_NOT_SUPPORTED) {
        log_item(LOG_UNIMP, "sbi: extension 0x%llx, function %llu\n", (unsigned long long)id,
                 (unsigned long long)c.function);
    }
    if (c.no_return) {
        return;
    }
    a[0] = (uint64_t)error;
    if (id > 0x0f) {
        a[1] = (uint64_t)c.value;
    }
}
