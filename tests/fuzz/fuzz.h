/*
 * A fuzz harness: libFuzzer's two functions, and a good input for what makes inputs itself.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* The n-th good input, at most `size` bytes, into `to`; its length, 0 if there are no more. */
size_t fuzz_seed(unsigned n, uint8_t *to, size_t size);

#endif
