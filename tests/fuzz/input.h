/* Numbers from an input; 0 when it is at its end. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include "fuzz.h"

typedef struct FuzzInput {
    const uint8_t *at, *end;
} FuzzInput;

static inline uint64_t fuzz_take(FuzzInput *in, unsigned nbytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < nbytes && in->at < in->end; i++) {
        v |= (uint64_t)*in->at++ << 8 * i;
    }
    return v;
}

#endif
