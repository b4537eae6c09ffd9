/*
 * The fake guest: its translator, its model, and the world its programs live in.
 */
#include "fake-guest.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "mem/memory.h"
#include "torture.h"
#include "util/arena.h"

FakeWorld world;

void world_init(void)
{
    world.arena = mmap(NULL, ARENA_PAGES * 4096, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(world.arena != MAP_FAILED, "no memory");
    for (unsigned i = 0; i < ARENA_PAGES; i++) {
        world.page_flags[i] = PAGE_VALID | PAGE_READ | PAGE_EXEC;
    }
}

void world_init_system(void)
{
    memory_add_ram("ram", RAM_PA, ARENA_PAGES * 4096, false);
    world.arena = memory_ram_host(RAM_PA, ARENA_PAGES * 4096);
    world.system = true;
}

unsigned world_page_flags(vaddr addr)
{
    uint64_t page = (addr - (uintptr_t)world.arena) / 4096;
    chaos();
    return page < ARENA_PAGES ? __atomic_load_n(&world.page_flags[page], __ATOMIC_RELAXED)
                              : 0;
}

/* ---- translation ---- */

static void emit(TranslateContext *tc, HostOp op, uint64_t arg, vaddr pc)
{
    IRFunc *f = tc->b->f;
    check(f->nins < f->ins_cap, "unit too long");
    f->ins[f->nins++] = (IRIns){
        .op = op == H_LOOP_ELSE || op == H_SPIN ? IR_LOOP : IR_NOP,
        .aux = op, .imm = (int64_t)arg, .arg = { (IRRef)pc, (IRRef)(pc >> 32) },
    };
    f->blocks[0].end = f->nins;
}

/* A direct way out; where every exit is to be looked up, not chained. */
static void emit_jump(TranslateContext *tc, vaddr to)
{
    emit(tc, tc->cflags & (CF_LOOKUP_EXITS | CF_NO_CHAIN) ? H_LOOKUP : H_EXIT, 0, to);
}

/* Translates one word at *pc and moves on; false: the unit ends here. */
static bool translate_word(TranslateContext *tc, uint32_t word, vaddr *pc)
{
    uint32_t arg = WORD_ARG(word);
    vaddr next = *pc + 4, target = word_pc(arg % ARENA_WORDS);
    *pc = next;
    switch (WORD_OP(word)) {
    case G_WORK: emit(tc, H_WORK, arg, 0); return true;
    case G_GEN: emit(tc, H_GEN, arg, 0); return true;
    case G_VER: emit(tc, H_VER, arg, 0); return true;
    case G_PUSH: emit(tc, H_PUSH, 0, target); return true;
    case G_PATCH: emit(tc, H_PATCH, 0, 0); return true;
    case G_PATCHED: emit(tc, H_PATCHED, 0, 0); return true;
    case G_JUMP:
        break;
    case G_GOTO:
        if (tc->exists(tc, target) && (arg & 1)) {
            break;
        }
        *pc = target;
        return true;
    case G_BRANCH:
        emit(tc, H_EXIT_IF, 0, target);
        return true;
    case G_LOOP:
        if (target == tc->pc_first) {
            emit(tc, H_LOOP_ELSE, 0, next);
        } else {
            emit(tc, H_EXIT_IF, 1, target);
            emit_jump(tc, next);
        }
        return false;
    case G_SPIN:
        if (next - 4 == tc->pc_first) {
            emit(tc, H_SPIN, 0, 0);
        } else {
            emit_jump(tc, next - 4);
        }
        return false;
    case G_CALL:
        emit(tc, H_CALL, next, target);
        emit(tc, H_LAND, 0, next);
        return false;
    case G_CALL_INDIRECT:
        emit(tc, H_CALL_INDIRECT, arg, next);
        emit(tc, H_LAND, 0, next);
        return false;
    case G_RET: emit(tc, H_RET, 0, 0); return false;
    case G_INDIRECT: emit(tc, H_INDIRECT, arg, 0); return false;
    case G_INDIRECT64: emit(tc, H_INDIRECT64, arg, 0); return false;
    case G_FENCEI: emit(tc, H_REASON, EXIT_REASON_FENCE_I, next); return false;
    case G_SYSCALL: emit(tc, H_REASON, EXIT_REASON_SYSCALL, next); return false;
    case G_EXCLUSIVE:
        if (tc->cflags & CF_PARALLEL) {
            emit(tc, H_REASON, EXIT_REASON_EXCLUSIVE, next - 4);
        } else {
            emit(tc, H_COUNT, 0, 0);
            emit_jump(tc, next);
        }
        return false;
    default:
        emit(tc, H_REASON, EXIT_REASON_ILLEGAL, next - 4);
        return false;
    }
    emit_jump(tc, target);
    return false;
}

static void fake_translate(TranslateContext *tc)
{
    vaddr pc = tc->pc_first;
    emit(tc, H_ENTRY, 0, pc);
    emit(tc, H_POLL, 0, pc);
    for (;;) {
        uint32_t word;
        bool fault = false;
        chaos();
        if (tc->ninsns == tc->max_insns || !tc->fetch(tc, pc, 4, &word, &fault)) {
            emit_jump(tc, pc);
            return;
        }
        tc->ninsns++;
        if (!translate_word(tc, word, &pc)) {
            return;
        }
    }
}

/* ---- the model ---- */

vaddr model_run(FakeState *s, vaddr pc)
{
    for (unsigned n = 0; n < 10000000; n++) {
        uint32_t w = (pc - (uintptr_t)world.arena) / 4;
        check(w < ARENA_WORDS, "the model left the arena");
        uint32_t word = arena_load(w), arg = WORD_ARG(word);
        vaddr next = pc + 4, target = word_pc(arg % ARENA_WORDS);
        pc = next;
        switch (WORD_OP(word)) {
        case G_WORK: s->acc = fake_mix(s->acc, arg); break;
        case G_JUMP: case G_GOTO: pc = target; break;
        case G_BRANCH: pc = fake_random(&s->rng) & 1 ? target : next; break;
        case G_LOOP: pc = fake_random(&s->rng) & 3 ? target : next; break;
        case G_CALL: state_push(s, next); pc = target; break;
        case G_PUSH: state_push(s, target); break;
        case G_RET: pc = state_pop(s); break;
        case G_INDIRECT: pc = state_indirect(s, arg, 4); break;
        case G_INDIRECT64: pc = state_indirect(s, arg, 64); break;
        case G_CALL_INDIRECT:
            pc = state_indirect(s, arg, 4);
            state_push(s, next);
            break;
        case G_FENCEI: case G_EXCLUSIVE: break;
        case G_SYSCALL: return pc;
        default: fail("the model met word %#x at %u", word, w);
        }
    }
    fail("the model met no system call");
}

/* ---- the descriptor ---- */

static void fake_reset(CPUState *cpu)
{
    FakeCPU *c = (FakeCPU *)cpu;
    c->s.rng = 0x123456789abcdefull + (uintptr_t)cpu;
    cpu->env.pc = word_pc(0);
}

static void fake_get_tb_state(const CPUState *cpu, vaddr *pc, uint32_t *flags)
{
    *pc = cpu->env.pc;
    *flags = ((const FakeCPU *)cpu)->flags;
}

/* ---- with an MMU ---- */

static unsigned fake_mmu_index(const CPUState *cpu, MMUAccess access)
{
    return 0;
}

static bool fake_mmu_translate(CPUState *cpu, vaddr va, MMUAccess access, unsigned mmu_idx, MMUResult *out)
{
    uint64_t offset = va - (uintptr_t)world.arena;
    chaos();
    if (va - ALIAS_VA < ARENA_PAGES * 4096) {
        offset = va - ALIAS_VA;
    } else if (va - DATA_VA < DATA_PAGES * 4096) {
        /* As a walk of tables that somebody else changes. */
        uint32_t page = __atomic_load_n(&world.mapped[(va - DATA_VA) / 4096], __ATOMIC_ACQUIRE);
        offset = page * 4096 + va % 4096;
    }
    check(offset < ARENA_PAGES * 4096, "an access to %#llx", (unsigned long long)va);
    chaos();
    *out = (MMUResult){ .pa = RAM_PA + offset, .prot = MMU_PROT_READ | MMU_PROT_WRITE | MMU_PROT_EXEC, .page_bits = 12,
                        .global = opt.seed % 4 > 1 };
    return true;
}

static void fake_access_fault(CPUState *cpu, vaddr va, MMUAccess access)
{
    fail("an access fault at %#llx", (unsigned long long)va);
}

static bool fake_handle_exit(CPUState *cpu, int reason)
{
    return world.on_exit(cpu, reason);
}

static bool fake_handle_interrupt(CPUState *cpu)
{
    return !stopping();
}

static unsigned fake_disas(vaddr pc, const uint8_t *bytes, size_t avail, char *buf,
                           size_t size)
{
    buf[0] = '\0';
    return 4;
}

static void fake_dump(const CPUState *cpu, FILE *out)
{
}

#define FAKE_GUEST                                                                       \
    .cpu_size = sizeof(FakeCPU), .min_insn_size = 4, .cpu_reset = fake_reset,            \
    .get_tb_state = fake_get_tb_state, .translate = fake_translate, .disas = fake_disas, \
    .dump_state = fake_dump

const Guest fake_guest = { .name = "fake", FAKE_GUEST };

Guest fake_system_guest = {
    .name = "fake with an MMU",
    FAKE_GUEST,
    .mmu_index = fake_mmu_index,
    .mmu_translate = fake_mmu_translate,
    .raise_access_fault = fake_access_fault,
    .handle_exit = fake_handle_exit,
    .handle_interrupt = fake_handle_interrupt,
};
