/*
 * host_compile(): analysis, then one walk forward over the unit that allocates registers
 * and emits, then the out-of-line code.
 *
 *   entry: [lend homes]  head: instructions ... terminator | stubs and cold paths
 *
 * Any number of threads compile at once; nothing here is shared but host_ctx.
 */
#include "host/x86_64/soft-tlb.h"

typedef void (*Lowering)(Ctx *c, IRRef i);

static void lower_nothing(Ctx *c, IRRef i)
{
    (void)c;
    (void)i;
}

/* By ranges of opcodes.def, whose sections these are. */
static const Lowering lowering[IR_NOPS] = {
    [IR_NOP ... IR_MOV] = lower_nothing,
    [IR_ADD ... IR_SELECT] = lower_int,
    [IR_LDENV ... IR_FENCE] = lower_mem,
    [IR_FADD ... IR_FSGNJX] = lower_fp,
    [IR_FCVT ... IR_FPSET] = lower_fp_convert,
    [IR_CALL] = lower_call,
    [IR_POLL] = lower_poll,
    [IR_COUNT] = lower_count,
    [IR_EXITIF] = lower_exitif,
    [IR_EXIT] = lower_exit,
    [IR_EXITIND] = lower_exitind,
    [IR_LOOP] = lower_loop,
};

static bool has_space(Ctx *c)
{
    if (c->e.end - c->e.p < EMIT_MARGIN) {
        ctx_fail(c, HOST_NO_SPACE);
        return false;
    }
    return true;
}

/* A unit that loops may hold some registers elsewhere than at home: swap them in. */
static void emit_head(Ctx *c)
{
    Move m[IR_MAX_REGS];
    unsigned n = 0;
    for (unsigned r = 0; r < c->guest->nregs; r++) {
        if (c->head[r] != loc_home(r)) {
            m[n++] = (Move){ .dst = c->head[r], .src = loc_home(r) };
        }
    }
    emit_parallel(c, m, n);
    c->loop_label = c->e.p;
}

static void lower_body(Ctx *c)
{
    for (IRRef i = 1; i < c->f->nins && c->result == HOST_OK; i++) {
        const Value *v = &c->v[i];
        if (v->root != i || (v->flags & (V_DEAD | V_FUSED | V_CONST)) || !has_space(c)) {
            continue;
        }
        c->pos = i;
        lowering[ctx_ins(c, i)->op](c, i);
        ra_end_ins(c);
    }
}

static void emit_cold_code(Ctx *c)
{
    for (Cold *cold = c->cold_first; cold && has_space(c); cold = cold->next) {
        for (unsigned k = 0; k < 2; k++) {
            if (cold->field[k]) {
                bind_rel32(cold->field[k], c->e.p);
            }
        }
        if (cold == c->tail) {
            emit_unit_tail(c);
        } else {
            cold->emit(c, cold);
        }
    }
}

static unsigned count_exits(const IRFunc *f)
{
    unsigned n = 2;
    for (IRRef i = 1; i < f->nins; i++) {
        n += f->ins[i].op == IR_EXITIF ? 2 : 0;
    }
    return n;
}

HostResult host_compile(const IRFunc *f, HostCode *out)
{
    Ctx c;
    memset(&c, 0, sizeof c);
    c.f = f;
    c.guest = f->guest;
    c.arena = f->arena;
    c.out = out;
    c.e = (Emit){ .p = out->code, .start = out->code, .end = out->code + out->capacity };
    c.cold_last = &c.cold_first;
    c.epoch = f->nins;
    out->nexits = 0;
    if (!has_space(&c)) {
        return HOST_NO_SPACE;
    }
    if (!analyse(&c)) {
        return HOST_TOO_COMPLEX;
    }
    if (f->soft_mmu) {
        soft_groups_find(&c);
    }
    out->exits = arena_alloc(c.arena, count_exits(f) * sizeof *out->exits);
    ra_init(&c);
    emit_count_entry(&c);
    if (c.loops) {
        emit_head(&c);
    }
    lower_body(&c);
    if (c.result == HOST_OK) {
        emit_cold_code(&c);
    }
    out->size = (size_t)(c.e.p - c.e.start);
    out->recovery = c.rec;
    out->recovery_size = c.rec_size;
    return c.result;
}
