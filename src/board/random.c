/*
 * Randomness for the guest: the host's, or with -icount always the same sequence (splitmix64, by Steele, Lea
 * and Flood), so that two runs are equal.
 */
#include "board/random.h"

#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "board/device.h"
#include "board/timer.h"
#include "util/lock.h"

static struct RandomContext {
    Mutex lock;                 /* rank LEAF */
    uint64_t state;             /* guarded by lock */
} random_ctx = { .lock = MUTEX_INIT(LEAF) };

void board_random_init(void)
{
    static const StateField fields[] = { STATE(struct RandomContext, state), STATE_END };
    static const StateTable table = { fields, NULL };
    static const DeviceClass c = { .name = "random", .state = &table };
    device_add("random", &c, &random_ctx);
}

static uint64_t next_locked(void)
{
    uint64_t z = random_ctx.state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

bool board_random(void *buf, size_t n)
{
    uint8_t *p = buf;
    if (!clock_is_counted()) {
        return getrandom(buf, n, 0) == (ssize_t)n;
    }
    mutex_lock(&random_ctx.lock);
    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = next_locked();
        memcpy(p + i, &v, n - i < 8 ? n - i : 8);
    }
    mutex_unlock(&random_ctx.lock);
    return true;
}
