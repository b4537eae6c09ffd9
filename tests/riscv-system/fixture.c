#include "fixture.h"

#include "exec/debug.h"
#include "exec/exec.h"
#include "exec/tlb.h"
#include "mem/memory.h"

Fixture fx;

/* ---- doubles ---- */

void tlb_flush(CPUState *cpu) { fx.flushes++; }
void tlb_flush_space(CPUState *cpu, uint64_t space) { fx.flushes++; }
void tlb_flush_range(CPUState *cpu, vaddr start, uint64_t size, uint64_t space)
{
    fx.flushes++;
}
void tlb_set_space(CPUState *cpu, uint64_t space) { fx.space = space; }
void tlb_select_flags(CPUState *cpu, uint32_t flags, uint32_t cflags, bool global) {}
bool cpu_load(CPUState *cpu, vaddr va, unsigned size, uint64_t *value) { return false; }
bool cpu_memory_debug(CPUState *cpu, vaddr va, void *buf, size_t n, bool write)
{
    return false;
}
DebugContext debug_ctx;         /* nobody debugs */
uint64_t exec_vdso_call(CPUState *cpu, uint64_t nr, uint64_t a0, uint64_t a1) { abort(); }
void cpu_kick(CPUState *cpu) { fx.kicks++; }
int cpu_exec(CPUState *cpu) { return 0; }
_Noreturn void cpu_leave_from_helper(CPUState *cpu, int reason) { abort(); }

MemoryPlace memory_find(hwaddr pa)
{
    MemoryPlace p = {0};
    if (pa < RAM_BASE || pa >= RAM_BASE + RAM_SIZE) {
        return p;
    }
    p.host = (char *)fx.ram + (pa - RAM_BASE);
    p.readonly = fx.readonly_from && pa >= fx.readonly_from;
    if (fx.race_countdown && pa == fx.race_at && --fx.race_countdown == 0) {
        *ram_at(pa) = fx.race_value;
    }
    return p;
}

/* ---- the hart ---- */

static uint64_t read_clock(void) { return fx.time; }
static uint64_t read_ns(void) { return fx.ns; }
static void note_alarm(CPUState *cpu, uint64_t counts)
{
    fx.alarm = counts;
    fx.alarms++;
}
static void count_wake(CPUState *cpu) { fx.wakes++; }
static void count_timer(CPUState *cpu) { fx.timer_changes++; }

/* FP state has the host's format, so the back end must be there. */
static void init_host(void)
{
    static uint8_t *code;
    if (!code) {
        HostConfig config = {.guest = &riscv64_system_guest.ir};
        code = aligned_alloc(4096, 65536);
        assert_true(host_init(&config, code, 65536) > 0);
    }
}

int setup_hart(void **state)
{
    char err[200];
    init_host();
    memset(&fx, 0, sizeof(fx));
    fx.ram = calloc(1, RAM_SIZE);
    fx.h = aligned_alloc(64, (sizeof(RISCVHart) + 63) & ~(size_t)63);
    memset(fx.h, 0, sizeof(*fx.h));
    fx.cpu = &fx.h->rv.cs;
    assert_true(riscv64_system_guest.configure(NULL, err, sizeof(err)));
    RISCVSystemConfig config = {.time = read_clock, .clock_ns = read_ns, .wake = count_wake,
                                .timer_changed = count_timer, .set_alarm = note_alarm};
    riscv_system_init(&config);
    riscv_set_hartid(fx.cpu, 3);
    riscv_reset_counters(fx.cpu);
    riscv_reset_hart(fx.cpu, 0x1000, 0, 0, RISCV_PRIV_M);
    assert_true(csr_write(0x3b0, ~UINT64_C(0)));
    assert_true(csr_write(0x3a0, 0x1f));    /* NAPOT, rwx */
    return 0;
}

int teardown_hart(void **state)
{
    free(fx.ram);
    free(fx.h);
    return 0;
}

static bool access_csr(unsigned number, bool writes, uint64_t mask, uint64_t v, uint64_t *old)
{
    return riscv_csr_access(fx.h, number, writes, mask, v, old) == CSR_OK;
}

bool csr_write(unsigned number, uint64_t v)
{
    uint64_t old;
    return access_csr(number, true, ~UINT64_C(0), v, &old);
}
bool csr_set(unsigned number, uint64_t bits)
{
    uint64_t old;
    return access_csr(number, true, bits, ~UINT64_C(0), &old);
}
bool csr_clear(unsigned number, uint64_t bits)
{
    uint64_t old;
    return access_csr(number, true, bits, 0, &old);
}
uint64_t csr_read(unsigned number)
{
    uint64_t old = 0;
    assert_true(access_csr(number, false, 0, 0, &old));
    return old;
}
bool csr_is_legal(unsigned number)
{
    uint64_t old;
    return access_csr(number, false, 0, 0, &old);
}

void set_mode(unsigned priv)
{
    fx.h->priv = (uint8_t)priv;
    riscv_hart_changed(fx.h);
}
