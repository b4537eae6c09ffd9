/* See harness.h. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* An odd pc that random units do not jump to (they do jump to odd ones, such as 1). */
#define NO_PC UINT64_C(0x5a2b3c4d5e6f7081)

HostEnv *env;
uint8_t *code_buffer;
size_t thunk_size;
uint8_t *ras_base;

const Variant variants[] = {
    { "all", { 0 } },
    { "no pinning", { .no_pinning = true } },
    { "no bmi2", { .disabled_features = HOST_NO_BMI2 } },
    { "no lzcnt", { .disabled_features = HOST_NO_LZCNT } },
    { "no fma", { .disabled_features = HOST_NO_FMA } },
    { "no avx", { .disabled_features = HOST_NO_AVX } },
    { "none",
      { .disabled_features = ~0u, .no_ras = true, .no_inline_jump_cache = true } },
};
const unsigned n_variants = sizeof variants / sizeof variants[0];

static void *map(size_t size, int prot)
{
    void *p = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return p;
}

void harness_init(void)
{
    code_buffer = map(CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
    uint8_t *p = map(RAS_SIZE + 2 * 4096, PROT_NONE);
    ras_base = p + 4096;
    /* the sentinel words lie in the last page of the three */
    if (mprotect(ras_base, RAS_SIZE + 4096, PROT_READ | PROT_WRITE)) {
        perror("mprotect");
        exit(1);
    }
    env = map((sizeof *env + 4095) & ~(size_t)4095, PROT_READ | PROT_WRITE);
    uint64_t *top = (uint64_t *)(void *)(ras_base + RAS_SIZE);
    top[0] = top[1] = NO_PC;
    env->ras_top = top;
    for (unsigned i = 0; i < JUMP_CACHE_SIZE; i++) {
        env->jump_cache[i].pc = NO_PC;
    }
}

void harness_host_init(HostConfig config)
{
    config.misaligned_reason = MISALIGNED_REASON;
    thunk_size = host_init(&config, code_buffer, CODE_SIZE);
    if (!thunk_size) {
        puts("host_init: no space");
        exit(1);
    }
    host_thread_init(env);
}

HostResult harness_try_compile(const IRFunc *f, size_t offset, HostCode *out)
{
    size_t at = (thunk_size + offset + 15) & ~(size_t)15;
    *out = (HostCode){ .code = code_buffer + at,
                       .capacity = CODE_SIZE - at,
                       .unit = UNIT_ID };
    return host_compile(f, out);
}

HostCode harness_compile(const IRFunc *f, size_t offset)
{
    HostCode code;
    HostResult r = harness_try_compile(f, offset, &code);
    if (r != HOST_OK) {
        printf("host_compile: %d\n", r);
        ir_print(stdout, f);
        exit(1);
    }
    return code;
}
