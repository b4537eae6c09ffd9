/*
 * Code that somebody outside changes while no hart executes FENCE.I: each hart stores what two instructions
 * `li a0, N` say, one in a function that it calls, one in a loop of its own, and counts its rounds.
 */
#include "kernel.h"

volatile uint64_t called[HARTS], looped[HARTS], rounds[HARTS], stop_now;

uint64_t value(void);
void loop(volatile uint64_t *to, uint64_t n);

asm(".option push\n.option norvc\n"
    ".balign 64\n"
    "value: li a0, 1\n"
    "  ret\n"
    ".balign 64\n"
    "loop:\n"
    "in_loop: li a2, 1\n"
    "  sd a2, 0(a0)\n"
    "  addi a1, a1, -1\n"
    "  bnez a1, in_loop\n"
    "  ret\n"
    ".option pop\n");

uint64_t on_trap(uint64_t cause, uint64_t epc, uint64_t tval)
{
    check(!"a trap");
    return 0;
}

void main(uint64_t hart, uint64_t arg)
{
    while (!stop_now) {
        called[hart] = value();
        loop(&looped[hart], 100);
        rounds[hart]++;
    }
    if (hart == 0) {
        put("patched\n");
        finish(0);
    }
}
