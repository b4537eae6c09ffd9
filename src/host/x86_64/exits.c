/*
 * Leaving a unit: chained exits, indirect jumps, the loop back to the head.
 *
 * A chained exit is a jump (or jcc, or call) whose rel32 field is 4-byte aligned, so that
 * one store retargets it while other threads run it.  Until it is linked it leads to a
 * stub that says which exit of which unit it is and leaves.  A conditional exit with
 * nothing to bring home is that jcc itself; otherwise the jcc leads to out-of-line moves
 * that end in a jump.
 *
 * The return stack (rsp) holds pairs: guest return pc, host address of the landing pad. A
 * guest return compares its target with the top pc and, if equal, is a host `ret`.  When
 * the stack overflows into its guard page, the fault handler empties it and restarts the
 * push or call; a lost pair only means that a later return misses.
 */
#include "host/x86_64/compile.h"

Cold *cold_new(Ctx *c, void (*emit)(Ctx *, Cold *))
{
    Cold *cold = arena_zalloc(c->arena, sizeof *cold);
    cold->emit = emit;
    *c->cold_last = cold;
    c->cold_last = &cold->next;
    return cold;
}

void emit_jcc_cold(Ctx *c, enum HostCC cc, Cold *cold)
{
    uint8_t *field = ins_jcc_forward(&c->e, cc);
    if (!cold->field[0]) {
        cold->field[0] = field;
    } else {
        assert(!cold->field[1]);
        cold->field[1] = field;
    }
}

/* ---- stubs ---- */

static void emit_store_pc(Ctx *c, uint64_t pc)
{
    if (fits_signed((int64_t)pc, 32)) {
        ins_store_imm32(&c->e, RM_ENV(pc), (int32_t)pc);
    } else {
        ins_mov_imm(&c->e, RAX, (int64_t)pc);
        ins_store(&c->e, RM_ENV(pc), RAX);
    }
}

/* rax = unit, rdx = LINK | exit << 32; edx holds the exit. */
static void emit_tail(Ctx *c, Cold *cold)
{
    ins_shift_imm(&c->e, SH_SHL, OPW, RDX, 32);
    ins_mov_imm(&c->e, RAX, (int64_t)c->out->unit);
    ins_jmp(&c->e, host_ctx.leave);
    (void)cold;
}
_Static_assert(HOST_EXIT_LINK == 0, "emit_tail() leaves kind at 0");

static void emit_link_stub(Ctx *c, uint32_t exit)
{
    HostCodeExit *x = &c->out->exits[exit];
    x->stub_offset = (uint32_t)(c->e.p - c->e.start);
    bind_rel32(c->e.start + x->patch_offset, c->e.p);
    emit_store_pc(c, x->pc);
    ins_mov_imm(&c->e, RDX, exit);
    ins_jmp(&c->e, c->tail->resume);
}

static uint32_t new_exit(Ctx *c, uint64_t pc, IRExit kind, uint8_t *field)
{
    if (!c->tail) {
        c->tail = cold_new(c, NULL); /* emitted first, see emit_unit_tail() */
    }
    uint32_t n = c->out->nexits++;
    c->out->exits[n] = (HostCodeExit){ .pc = pc,
                                       .kind = (uint8_t)kind,
                                       .patch_offset = (uint32_t)(field - c->e.start) };
    return n;
}

void emit_unit_tail(Ctx *c)
{
    if (c->tail) {
        c->tail->resume = c->e.p;
        emit_tail(c, c->tail);
    }
}

static void emit_cold_link(Ctx *c, Cold *cold) { emit_link_stub(c, cold->exit); }

static void add_link_stub(Ctx *c, uint32_t exit)
{
    cold_new(c, emit_cold_link)->exit = exit;
}

/* `jmp` or `call` with an aligned field; returns the field. */
static uint8_t *emit_aligned_branch(Ctx *c, unsigned opcode)
{
    emit_nop(&c->e, -(unsigned)(uintptr_t)(c->e.p + 1) & 3);
    emit_u8(&c->e, opcode);
    emit_u32(&c->e, 0);
    return c->e.p - 4;
}

/* The same for jcc.  The compare before it moves along, so that the pair stays fused. */
static uint8_t *emit_aligned_jcc(Ctx *c, enum HostCC cc, uint8_t *cmp_start)
{
    unsigned pad = -(unsigned)(uintptr_t)(c->e.p + 2) & 3;
    if (pad && cmp_start) {
        size_t len = (size_t)(c->e.p - cmp_start);
        memmove(cmp_start + pad, cmp_start, len);
        c->e.p = cmp_start;
        emit_nop(&c->e, pad);
        c->e.p += len;
    } else {
        emit_nop(&c->e, pad);
    }
    return ins_jcc_forward(&c->e, cc);
}

static void emit_leave(Ctx *c, HostExitKind kind, uint32_t exit)
{
    ins_xor_zero(&c->e, RAX);
    ins_mov_imm(&c->e, RDX, (int64_t)((uint64_t)exit << 32 | kind));
    ins_jmp(&c->e, host_ctx.leave);
}

/* ---- side exits ---- */

/* Give back what COUNT charged for instructions that are not executed. */
static void emit_give_back(Ctx *c, uint32_t snap)
{
    unsigned owed = c->f->snaps[snap].owed;
    if (owed) {
        ins_alu_imm(&c->e, ALU_ADD, OPW, RM_ENV(insns_left), (int32_t)owed);
    }
}

/* Make the state of the cold path's snapshot. */
static void emit_cold_state(Ctx *c, Cold *cold)
{
    emit_give_back(c, cold->snap);
    emit_moves(c, cold->moves, cold->nmoves, NULL);
}

static Cold *cold_new_with(Ctx *c, void (*emit)(Ctx *, Cold *), uint32_t snap, const SnapMove *moves,
                           unsigned nmoves)
{
    Cold *cold = cold_new(c, emit);
    cold->moves = moves;
    cold->nmoves = nmoves;
    cold->snap = snap;
    cold->pc = c->f->snaps[snap].pc;
    return cold;
}

Cold *cold_new_leaving(Ctx *c, void (*emit)(Ctx *, Cold *), uint32_t snap)
{
    unsigned n;
    const SnapMove *moves = collect_moves(c, snap, &n);
    return cold_new_with(c, emit, snap, moves, n);
}

static void emit_cold_side_exit(Ctx *c, Cold *cold)
{
    emit_cold_state(c, cold);
    uint8_t *field = emit_aligned_branch(c, 0xe9);
    c->out->exits[cold->exit].patch_offset = (uint32_t)(field - c->e.start);
    emit_link_stub(c, cold->exit);
}

static void emit_moves_home(Ctx *c, uint32_t snap, const Move *extra)
{
    SnapMove none[1];
    unsigned n;
    const SnapMove *moves = collect_moves(c, snap, &n);
    emit_moves(c, moves ? moves : none, n, extra);
}

/*
 * System mode: what another page is may change without this unit's doing, so jumps there are looked up
 * in the jump cache each time, which is emptied when a mapping changes.
 */
static bool crosses_page(const Ctx *c, uint64_t pc)
{
    /* An instruction in the last two bytes of a page may end in the next: such a block is not linked to, either. */
    return c->f->soft_mmu && ((pc ^ c->f->pc) | ((pc + 2) ^ c->f->pc)) >> HOST_PAGE_BITS;
}

static void emit_cold_probe_miss(Ctx *c, Cold *cold)
{
    emit_count_jump(c, HOST_STAT_JUMP_CACHE_MISSES);
    ins_store(&c->e, RM_ENV(pc), cold->r[0]);
    ins_jmp(&c->e, host_ctx.lookup);
}

/* rdx = code for pc; all guest registers are at home.  Leaves if the jump cache has none. */
static void emit_find_page_jump(Ctx *c, uint64_t pc)
{
    int32_t line = (int32_t)(jump_cache_system_index(pc) * sizeof(JumpCacheEntry));
    Cold *miss = cold_new(c, emit_cold_probe_miss);
    miss->r[0] = RCX;
    ins_load(&c->e, RDX, RM_ENV(jump_lines));
    ins_mov_imm(&c->e, RCX, (int64_t)pc);
    ins_alu(&c->e, ALU_CMP, OPW, RCX, rm_mem(RDX, line));
    emit_jcc_cold(c, CC_NE, miss);
    ins_load(&c->e, RDX, rm_mem(RDX, line + (int32_t)offsetof(JumpCacheEntry, code)));
}

static void emit_page_jump(Ctx *c, uint64_t pc)
{
    if (host_ctx.config.no_inline_jump_cache) {
        emit_store_pc(c, pc);
        ins_jmp(&c->e, host_ctx.lookup);
        return;
    }
    emit_find_page_jump(c, pc);
    emit_op(&c->e, OP_GROUP5, 4, rm_reg(RDX), 0);
}

static void emit_cold_page_exit(Ctx *c, Cold *cold)
{
    emit_cold_state(c, cold);
    emit_page_jump(c, cold->pc);
}

static void emit_chained_jump(Ctx *c, uint64_t pc)
{
    if (crosses_page(c, pc)) {
        emit_page_jump(c, pc);
        return;
    }
    uint8_t *field = emit_aligned_branch(c, 0xe9);
    add_link_stub(c, new_exit(c, pc, IR_EXIT_JUMP, field));
}

/* The exit is followed by LOOP, which has nothing to move: jump back unless cc, and fall
 * out. */
static bool close_loop(Ctx *c, IRRef i, enum HostCC cc)
{
    const IRIns *next = ctx_ins(c, i + 1);
    unsigned n;
    if (i + 1 >= c->f->nins || next->op != IR_LOOP || c->out->countdown ||
        collect_head_moves(c, next->snap, &n)) {
        return false;
    }
    bind_rel32(ins_jcc_forward(&c->e, (enum HostCC)(cc ^ 1)), c->loop_label);
    uint32_t snap = ctx_ins(c, i)->snap;
    emit_give_back(c, snap);
    emit_moves_home(c, snap, NULL);
    emit_chained_jump(c, c->f->snaps[snap].pc);
    c->loop_closed = true;
    return true;
}

void emit_side_exit(Ctx *c, IRRef i, enum HostCC cc, uint8_t *cmp_start)
{
    const IRIns *ins = ctx_ins(c, i);
    uint64_t pc = c->f->snaps[ins->snap].pc;
    if (cmp_start && close_loop(c, i, cc)) {
        return;
    }
    unsigned n;
    const SnapMove *moves = collect_moves(c, ins->snap, &n);
    if (crosses_page(c, pc)) {
        emit_jcc_cold(c, cc, cold_new_with(c, emit_cold_page_exit, ins->snap, moves, n));
        return;
    }
    if (n == 0 && !c->f->snaps[ins->snap].owed) {
        uint8_t *field = emit_aligned_jcc(c, cc, cmp_start);
        add_link_stub(c, new_exit(c, pc, IR_EXIT_JUMP, field));
        return;
    }
    uint32_t exit = new_exit(c, pc, IR_EXIT_JUMP, c->e.p);
    Cold *cold = cold_new_with(c, emit_cold_side_exit, ins->snap, moves, n);
    cold->exit = exit;
    emit_jcc_cold(c, cc, cold);
}

static void emit_cold_poll(Ctx *c, Cold *cold)
{
    emit_cold_state(c, cold);
    emit_store_pc(c, cold->pc);
    emit_leave(c, HOST_EXIT_POLL, 0);
}

void lower_poll(Ctx *c, IRRef i)
{
    Cold *cold = cold_new_leaving(c, emit_cold_poll, ctx_ins(c, i)->snap);
    ins_alu_imm(&c->e, ALU_CMP, 0, RM_ENV(exit_request), 0);
    emit_jcc_cold(c, CC_NE, cold);
}

static void emit_cold_count(Ctx *c, Cold *cold)
{
    ins_alu_imm(&c->e, ALU_ADD, OPW, RM_ENV(insns_left), cold->charge);
    emit_cold_poll(c, cold);
}

void lower_count(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    Cold *cold = cold_new_leaving(c, emit_cold_count, ins->snap);
    cold->charge = (int32_t)ins->imm;
    ins_alu_imm(&c->e, ALU_SUB, OPW, RM_ENV(insns_left), cold->charge);
    emit_jcc_cold(c, CC_L, cold);
}

/* ---- counting ---- */

static void emit_cold_hot(Ctx *c, Cold *cold)
{
    emit_moves(c, cold->moves, cold->nmoves, NULL);
    emit_store_pc(c, c->f->pc);
    ins_mov_imm(&c->e, RAX, (int64_t)c->out->unit);
    ins_mov_imm(&c->e, RDX, HOST_EXIT_HOT);
    ins_jmp(&c->e, host_ctx.leave);
}

/* Count an entry or a round; when the countdown has run out, do `moves` and leave. */
static void emit_countdown(Ctx *c, const SnapMove *moves, unsigned nmoves)
{
    Cold *cold = cold_new(c, emit_cold_hot);
    cold->moves = moves;
    cold->nmoves = nmoves;
    ins_alu_imm(&c->e, ALU_SUB, 0, rm_rip(c->out->countdown), 1);
    emit_jcc_cold(c, CC_LE, cold);
}

void emit_count_entry(Ctx *c)
{
    if (c->out->countdown) {
        emit_countdown(c, NULL, 0);
    }
}

void emit_count_jump(Ctx *c, HostStat stat)
{
    if (host_ctx.config.count_jumps) {
        ins_alu_imm(&c->e, ALU_ADD, OPW, rm_env(ENV_DISP(stats) + (int32_t)stat * 8), 1);
    }
}

void emit_cold_misaligned(Ctx *c, Cold *cold)
{
    ins_store(&c->e, RM_ENV(exit_addr), cold->r[0]);
    emit_cold_state(c, cold);
    emit_store_pc(c, cold->pc);
    emit_leave(c, HOST_EXIT_REASON, host_ctx.config.misaligned_reason);
}

/* ---- the end of a unit ---- */

static void emit_push_pc(Ctx *c, uint64_t pc)
{
    if (fits_signed((int64_t)pc, 32)) {
        emit_u8(&c->e, 0x68);
        emit_u32(&c->e, (uint32_t)pc);
    } else {
        ins_mov_imm(&c->e, RAX, (int64_t)pc);
        emit_u8(&c->e, 0x50 | RAX);
    }
}

/* Behind a call: drop the pair's pc and go to the unit at the return pc. */
static void emit_landing_pad(Ctx *c, uint64_t ret_pc)
{
    ins_lea(&c->e, OPW, RSP, rm_mem(RSP, 8));
    emit_chained_jump(c, ret_pc);
}

void lower_exit(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    uint64_t pc = c->f->snaps[ins->snap].pc;
    emit_give_back(c, ins->snap);
    emit_moves_home(c, ins->snap, NULL);
    switch ((IRExit)ins->aux) {
    case IR_EXIT_CALL:
        if (!host_ctx.config.no_ras && crosses_page(c, pc)) {
            if (host_ctx.config.no_inline_jump_cache) {
                emit_page_jump(c, pc);
                return;
            }
            emit_find_page_jump(c, pc);
            emit_push_pc(c, (uint64_t)ins->imm);
            emit_op(&c->e, OP_GROUP5, 2, rm_reg(RDX), 0);
            emit_landing_pad(c, (uint64_t)ins->imm);
            return;
        }
        if (!host_ctx.config.no_ras) {
            emit_push_pc(c, (uint64_t)ins->imm);
            uint8_t *field = emit_aligned_branch(c, 0xe8);
            add_link_stub(c, new_exit(c, pc, IR_EXIT_CALL, field));
            emit_landing_pad(c, (uint64_t)ins->imm);
            return;
        }
        /* fall through */
    case IR_EXIT_JUMP: emit_chained_jump(c, pc); return;
    case IR_EXIT_REASON:
        emit_store_pc(c, pc);
        emit_leave(c, HOST_EXIT_REASON, (uint32_t)ins->imm);
        return;
    default: emit_store_pc(c, pc); emit_leave(c, HOST_EXIT_LOOKUP, 0);
    }
}

static Rm rm_probe_line(const Ctx *c, int32_t field)
{
    return c->f->soft_mmu ? rm_mem(RAX, field)
                          : rm_index(RBP, RAX, 3, ENV_DISP(jump_cache) + field);
}

static Rm rm_probe_code(const Ctx *c)
{
    return rm_probe_line(c, (int32_t)offsetof(JumpCacheEntry, code));
}

void emit_jump_index(Ctx *c, unsigned target, bool system)
{
    ins_mov_rr(&c->e, system ? OPW : 0, RAX, target);
    if (system) {
        ins_shift_imm(&c->e, SH_SHR, OPW, RAX, 11);
        ins_alu(&c->e, ALU_XOR, OPW, RAX, rm_reg(target));
    }
    ins_alu_imm(&c->e, ALU_AND, 0, rm_reg(RAX), ((system ? SYSTEM_JUMP_CACHE_SIZE : JUMP_CACHE_SIZE) - 1) * 2);
}

/* rax = offset of target's jump cache line (system mode: its address); falls through if the line is
   for target. */
static void emit_probe(Ctx *c, unsigned target)
{
    Cold *miss = cold_new(c, emit_cold_probe_miss);
    miss->r[0] = (uint8_t)target;
    emit_jump_index(c, target, c->f->soft_mmu);
    if (c->f->soft_mmu) {
        ins_shift_imm(&c->e, SH_SHL, 0, RAX, 3);
        ins_alu(&c->e, ALU_ADD, OPW, RAX, RM_ENV(jump_lines));
    }
    ins_alu(&c->e, ALU_CMP, OPW, target, rm_probe_line(c, 0));
    emit_jcc_cold(c, CC_NE, miss);
    emit_count_jump(c, HOST_STAT_JUMP_CACHE_HITS);
}
_Static_assert(sizeof(JumpCacheEntry) == 16 && offsetof(JumpCacheEntry, pc) == 0,
               "probe");


/* A return that the stack did not predict: the thunk empties the stack and probes for
 * rcx. */
static void emit_cold_ras_miss(Ctx *c, Cold *cold)
{
    if (cold->r[0] != RCX) {
        ins_mov_rr(&c->e, OPW, RCX, cold->r[0]);
    }
    ins_jmp(&c->e, host_ctx.ras_miss);
}

void lower_exitind(Ctx *c, IRRef i)
{
    const IRIns *ins = ctx_ins(c, i);
    const Value *v = ctx_val(c, ins->arg[0]);
    Move extra = { .dst = RCX,
                   .src = v->reg != NO_REG     ? (Loc)v->reg
                          : v->flags & V_CONST ? LOC_CONST
                                               : v->mem,
                   .imm = v->imm };
    unsigned n, target = RCX;
    emit_give_back(c, ins->snap);
    const SnapMove *moves = collect_moves(c, ins->snap, &n);
    bool stays = v->reg != NO_REG;
    for (unsigned k = 0; stays && k < n; k++) {
        stays = loc_home(moves[k].reg) != (Loc)v->reg;
    }
    if (stays) {
        target = v->reg;
    }
    emit_moves(c, moves, n, stays ? NULL : &extra);

    IRExit kind = (IRExit)ins->aux;
    if (host_ctx.config.no_inline_jump_cache) {
        ins_store(&c->e, RM_ENV(pc), target);
        ins_jmp(&c->e, host_ctx.lookup);
        return;
    }
    if (kind == IR_EXIT_LOOKUP) {
        if (target != RCX) {
            ins_mov_rr(&c->e, OPW, RCX, target);
        }
        ins_jmp(&c->e, host_ctx.afresh);
        return;
    }
    if (kind == IR_EXIT_RET && !host_ctx.config.no_ras) {
        Cold *miss = cold_new(c, emit_cold_ras_miss);
        miss->r[0] = (uint8_t)target;
        ins_alu(&c->e, ALU_CMP, OPW, target, rm_mem(RSP, 8));
        emit_jcc_cold(c, CC_NE, miss);
        emit_count_jump(c, HOST_STAT_RETURN_HITS);
        emit_u8(&c->e, 0xc3);
        return;
    }
    emit_probe(c, target);
    if (kind == IR_EXIT_CALL && !host_ctx.config.no_ras) {
        Rm code = rm_probe_code(c);
        if (fits_signed(ins->imm, 32)) {
            emit_push_pc(c, (uint64_t)ins->imm);
            emit_op(&c->e, OP_GROUP5, 2, code, 0);
        } else {
            ins_load(&c->e, RDX, code);
            emit_push_pc(c, (uint64_t)ins->imm);
            emit_op(&c->e, OP_GROUP5, 2, rm_reg(RDX), 0);
        }
        emit_landing_pad(c, (uint64_t)ins->imm);
        return;
    }
    emit_op(&c->e, OP_GROUP5, 4, rm_probe_code(c), 0);
}

void lower_loop(Ctx *c, IRRef i)
{
    unsigned n;
    if (c->loop_closed) {
        return;
    }
    if (c->out->countdown) {
        const SnapMove *home = collect_moves(c, ctx_ins(c, i)->snap, &n);
        emit_countdown(c, home, n);
    }
    const SnapMove *moves = collect_head_moves(c, ctx_ins(c, i)->snap, &n);
    emit_head_moves(c, moves, n);
    ins_jmp(&c->e, c->loop_label);
}
