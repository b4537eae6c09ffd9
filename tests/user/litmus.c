/*
 * The memory model (RVWMO, unprivileged manual chapter 17): small programs for two to
 * four threads, each run many times, with the outcomes that the model forbids counted.
 * Fences, acquire and release bits, dependencies, coherence, and accesses of mixed
 * size.  Shapes whose relaxed outcome is allowed are run as well, and their count is
 * printed: on a host with total store order, SB's should be seen.
 *
 * test-native: no
 * test-time: 90
 * test-alone: yes
 */
#include "rv-code.h"

enum { BATCH = 500, MAX_THREADS = 4 };

typedef struct {
    _Alignas(64) int64_t x;
    _Alignas(64) int64_t y;
    _Alignas(64) int64_t r[4];
} Cell;

typedef void Body(Cell *c);
typedef bool Outcome(const Cell *c);

typedef struct {
    const char *name;
    bool forbidden;        /* else the outcome is only counted */
    int threads;
    Outcome *outcome;
    Body *bodies[MAX_THREADS];
} Shape;

#define STORE(where, value) \
    __asm__ volatile("sd %0, 0(%1)" : : "r"((int64_t)(value)), "r"(&c->where) : "memory")
#define LOAD(n, where) \
    int64_t v##n; \
    __asm__ volatile("ld %0, 0(%1)" : "=r"(v##n) : "r"(&c->where) : "memory")
#define KEEP(n) c->r[n] = v##n
#define FENCE(kind) __asm__ volatile("fence " kind : : : "memory")
#define FENCE_TSO() __asm__ volatile("fence.tso" : : : "memory")
#define NONE ((void)0)
#define SWAP(bits, where, value)                                                     \
    __asm__ volatile("amoswap.d" bits " zero, %0, (%1)" : : "r"((int64_t)(value)),   \
                     "r"(&c->where) : "memory")
#define LOAD_AMO(bits, n, where)                                                         \
    int64_t v##n;                                                                        \
    __asm__ volatile("amoor.d" bits " %0, zero, (%1)"                                    \
                     : "=r"(v##n)                                                        \
                     : "r"(&c->where)                                                    \
                     : "memory")

/* Store buffering: x=1; r0=y | y=1; r1=x; the outcome 0, 0. */
#define SB(suffix, order)                                                            \
    static void sb0_##suffix(Cell *c) { STORE(x, 1); order; LOAD(0, y); KEEP(0); }   \
    static void sb1_##suffix(Cell *c) { STORE(y, 1); order; LOAD(1, x); KEEP(1); }
SB(plain, NONE)
SB(rwrw, FENCE("rw, rw"))
SB(wr, FENCE("w, r"))
SB(tso, FENCE_TSO())
static void sb0_amo(Cell *c) { SWAP(".aqrl", x, 1); LOAD(0, y); KEEP(0); }
static void sb1_amo(Cell *c) { SWAP(".aqrl", y, 1); LOAD(1, x); KEEP(1); }
static bool both_zero(const Cell *c) { return c->r[0] == 0 && c->r[1] == 0; }

/* Message passing: x=1; y=1 | r0=y; r1=x; the outcome 1, 0. */
#define MP_WRITE(suffix, order) \
    static void mpw_##suffix(Cell *c) { STORE(x, 1); order; STORE(y, 1); }
#define MP_READ(suffix, order) \
    static void mpr_##suffix(Cell *c) { LOAD(0, y); order; LOAD(1, x); KEEP(0); KEEP(1); }
MP_WRITE(plain, NONE)
MP_READ(plain, NONE)
MP_WRITE(ww, FENCE("w, w"))
MP_READ(rr, FENCE("r, r"))
MP_WRITE(tso, FENCE_TSO())
MP_READ(tso, FENCE_TSO())
static void mpw_rl(Cell *c) { STORE(x, 1); SWAP(".rl", y, 1); }
static void mpr_aq(Cell *c) { LOAD_AMO(".aq", 0, y); LOAD(1, x); KEEP(0); KEEP(1); }

/* The second load's address depends on the first one's value. */
static void mpr_addr(Cell *c)
{
    int64_t v0, v1, *at = &c->x;

    __asm__ volatile("ld %0, 0(%2)\n xor t0, %0, %0\n add t0, t0, %3\n ld %1, 0(t0)"
                     : "=&r"(v0), "=&r"(v1) : "r"(&c->y), "r"(at) : "t0", "memory");
    KEEP(0);
    KEEP(1);
}

static void mpr_lr(Cell *c)
{
    int64_t v0, v1;

    __asm__ volatile("lr.d.aq %0, (%1)" : "=r"(v0) : "r"(&c->y) : "memory");
    __asm__ volatile("ld %0, 0(%1)" : "=r"(v1) : "r"(&c->x) : "memory");
    KEEP(0);
    KEEP(1);
}

static bool one_zero(const Cell *c) { return c->r[0] == 1 && c->r[1] == 0; }

/* Load buffering: r0=x; y=1 | r1=y; x=1; the outcome 1, 1. */
#define LB(suffix, order)                                                            \
    static void lb0_##suffix(Cell *c) { LOAD(0, x); order; STORE(y, 1); KEEP(0); }   \
    static void lb1_##suffix(Cell *c) { LOAD(1, y); order; STORE(x, 1); KEEP(1); }
LB(plain, NONE)
LB(rw, FENCE("r, w"))
static bool both_one(const Cell *c) { return c->r[0] == 1 && c->r[1] == 1; }

/* Coherence: two reads of one location never go backwards. */
static void write_x(Cell *c) { STORE(x, 1); }
static void write_y(Cell *c) { STORE(y, 1); }
static void read_x_twice(Cell *c) { LOAD(0, x); LOAD(1, x); KEEP(0); KEEP(1); }

/* A read after the own write of the same location, and the write order agrees. */
static void coww0(Cell *c) { STORE(x, 1); STORE(x, 2); }
static void coww1(Cell *c) { LOAD(0, x); LOAD(1, x); KEEP(0); KEEP(1); }
static bool went_back(const Cell *c) { return c->r[0] > c->r[1]; }

/* Independent reads of independent writes: all agree on one order. */
static void iriw2(Cell *c) { LOAD(0, x); FENCE("rw, rw"); LOAD(1, y); KEEP(0); KEEP(1); }
static void iriw3(Cell *c) { LOAD(2, y); FENCE("rw, rw"); LOAD(3, x); KEEP(2); KEEP(3); }
static bool disagree(const Cell *c)
{
    return c->r[0] == 1 && c->r[1] == 0 && c->r[2] == 1 && c->r[3] == 0;
}

/* 2+2W: x=1; y=2 | y=1; x=2; the outcome x == 1 and y == 1. */
static void ww0(Cell *c) { STORE(x, 1); FENCE("w, w"); STORE(y, 2); }
static void ww1(Cell *c) { STORE(y, 1); FENCE("w, w"); STORE(x, 2); }
static bool both_first(const Cell *c) { return c->x == 1 && c->y == 1; }

/* S: x=2; y=1 | r0=y; x=1; the outcome r0 == 1 and x == 2. */
static void s0(Cell *c) { STORE(x, 2); FENCE("w, w"); STORE(y, 1); }
static void s1(Cell *c) { LOAD(0, y); FENCE("r, w"); STORE(x, 1); KEEP(0); }
static bool s_outcome(const Cell *c) { return c->r[0] == 1 && c->x == 2; }

/* R: x=1; y=1 | y=2; r0=x; the outcome y == 2 and r0 == 0. */
static void r0(Cell *c) { STORE(x, 1); FENCE("w, w"); STORE(y, 1); }
static void r1(Cell *c) { STORE(y, 2); FENCE("rw, rw"); LOAD(0, x); KEEP(0); }
static bool r_outcome(const Cell *c) { return c->y == 2 && c->r[0] == 0; }

/* Bytes written in order, read as one double word. */
static void bytes_write(Cell *c)
{
    __asm__ volatile("sb %0, 7(%1)\n fence w, w\n sb %0, 0(%1)" : : "r"(1), "r"(&c->x)
                     : "memory");
}
static void wide_read(Cell *c) { LOAD(0, x); KEEP(0); }
static bool low_without_high(const Cell *c)
{
    return (c->r[0] & 0xff) && !((uint64_t)c->r[0] >> 56);
}

/* One double word written, its halves read in order. */
static void wide_write(Cell *c) { STORE(x, -1); }
static void halves_read(Cell *c)
{
    int64_t v0, v1;

    __asm__ volatile("lw %0, 4(%2)\n fence r, r\n lw %1, 0(%2)" : "=&r"(v0), "=&r"(v1)
                     : "r"(&c->x) : "memory");
    KEEP(0);
    KEEP(1);
}
static bool torn(const Cell *c) { return c->r[0] == -1 && c->r[1] != -1; }
static bool torn_whole(const Cell *c) { return c->r[0] != 0 && c->r[0] != -1; }

/* A floating-point load and store are as indivisible as integer ones. */
static void fp_write(Cell *c)
{
    double value;
    int64_t bits = -1;

    memcpy(&value, &bits, 8);
    __asm__ volatile("fsd %0, 0(%1)" : : "f"(value), "r"(&c->x) : "memory");
}

static const Shape shapes[] = {
    {"SB", false, 2, both_zero, {sb0_plain, sb1_plain}},
    {"SB+fence.tso", false, 2, both_zero, {sb0_tso, sb1_tso}},
    {"SB+fence rw,rw", true, 2, both_zero, {sb0_rwrw, sb1_rwrw}},
    {"SB+fence w,r", true, 2, both_zero, {sb0_wr, sb1_wr}},
    {"SB+amoswap.aqrl", true, 2, both_zero, {sb0_amo, sb1_amo}},
    {"SB+fence rw,rw+amoswap.aqrl", true, 2, both_zero, {sb0_rwrw, sb1_amo}},
    {"MP", false, 2, one_zero, {mpw_plain, mpr_plain}},
    {"MP+fence w,w+fence r,r", true, 2, one_zero, {mpw_ww, mpr_rr}},
    {"MP+fence.tso", true, 2, one_zero, {mpw_tso, mpr_tso}},
    {"MP+rl+aq", true, 2, one_zero, {mpw_rl, mpr_aq}},
    {"MP+rl+lr.aq", true, 2, one_zero, {mpw_rl, mpr_lr}},
    {"MP+fence w,w+address", true, 2, one_zero, {mpw_ww, mpr_addr}},
    {"LB", false, 2, both_one, {lb0_plain, lb1_plain}},
    {"LB+fence r,w", true, 2, both_one, {lb0_rw, lb1_rw}},
    {"CoRR", true, 2, one_zero, {write_x, read_x_twice}},
    {"CoWW", true, 2, went_back, {coww0, coww1}},
    {"IRIW+fence rw,rw", true, 4, disagree, {write_x, write_y, iriw2, iriw3}},
    {"2+2W+fence w,w", true, 2, both_first, {ww0, ww1}},
    {"S+fence w,w+fence r,w", true, 2, s_outcome, {s0, s1}},
    {"R+fence w,w+fence rw,rw", true, 2, r_outcome, {r0, r1}},
    {"mixed size: bytes, double", true, 2, low_without_high, {bytes_write, wide_read}},
    {"mixed size: double, words", true, 2, torn, {wide_write, halves_read}},
    {"mixed size: whole", true, 2, torn_whole, {wide_write, wide_read}},
    {"floating-point store", true, 2, torn_whole, {fp_write, wide_read}},
};

static Cell cells[BATCH];
static const Shape *shape;
static Meeting begin, end;
static unsigned long batches, seen, runs;
static uint64_t deadline;
static bool late; /* written between end and begin, read after begin */

/*
 * Each thread tells how far it is and waits for the others, before every single run:
 * only threads that leave this loop within a few dozen nanoseconds of each other can
 * see each other's store buffers.
 */
typedef struct {
    _Alignas(64) _Atomic unsigned long at;
} Progress;

static Progress progress[MAX_THREADS];

static void line_up(int me, unsigned long at, unsigned *random)
{
    atomic_store_explicit(&progress[me].at, at, memory_order_release);
    for (int other = 0; other < shape->threads; other++) {
        for (unsigned n = 1;
             atomic_load_explicit(&progress[other].at, memory_order_acquire) < at; n++) {
            if (n % 500 == 0) {
                sched_yield();
            }
        }
    }
    *random = *random * 1103515245 + 12345;
    for (unsigned n = *random >> 16 & 15; n; n--) {
        __asm__ volatile("");
    }
}

static void *run_thread(void *arg)
{
    int me = (int)(intptr_t)arg;
    unsigned random = (unsigned)me + 1;

    for (unsigned long b = 0; b < batches; b++) {
        meet(&begin);
        if (late) {
            break;
        }
        for (int i = 0; i < BATCH; i++) {
            line_up(me, b * BATCH + (unsigned)i + 1, &random);
            shape->bodies[me](&cells[i]);
        }
        meet(&end);
        if (me == 0) {
            for (int i = 0; i < BATCH; i++) {
                seen += shape->outcome(&cells[i]);
            }
            memset(cells, 0, sizeof(cells));
            runs += BATCH;
            late = now_ns() > deadline;
        }
    }
    return NULL;
}

int main(void)
{
    batches = scaled(300);
    for (size_t s = 0; s < sizeof(shapes) / sizeof(*shapes); s++) {
        pthread_t ids[MAX_THREADS];

        shape = &shapes[s];
        seen = runs = 0;
        late = false;
        deadline = now_ns() + 2000000000u; /* on a busy machine, less often */
        begin = end = (Meeting){ .threads = (unsigned)shape->threads };
        memset(cells, 0, sizeof(cells));
        memset(progress, 0, sizeof(progress));
        for (intptr_t i = 0; i < shape->threads; i++) {
            ids[i] = start_thread(run_thread, (void *)i);
        }
        for (int i = 0; i < shape->threads; i++) {
            join_thread(ids[i]);
        }
        printf("%s: %lu of %lu%s\n", shape->name, seen, runs,
               shape->forbidden ? " (forbidden)" : "");
        CHECK(!shape->forbidden || seen == 0,
              "%s: the forbidden outcome came %lu times of %lu", shape->name, seen, runs);
    }
    return 0;
}
