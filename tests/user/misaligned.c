/*
 * Misaligned loads and stores of every width at every offset, across cache lines
 * and across pages, give the bytes that single-byte accesses give.
 *
 * test-native: yes
 */
#include "test.h"

static char *bytes;

#define TRY(type, at)                                                            \
    do {                                                                         \
        type value_ = (type)0x8182838485868788u, got_;                           \
        char *p_ = (at);                                                         \
        __asm__ volatile("" : "+r"(p_) : : "memory");                            \
        memset(bytes + PAGE - 80, 0x33, 160);                                    \
        *(type *)p_ = value_;                                                    \
        __asm__ volatile("" : "+r"(p_) : : "memory");                            \
        for (size_t i_ = 0; i_ < sizeof(type); i_++) {                           \
            CHECK((uint8_t)p_[i_] == (uint8_t)((uint64_t)value_ >> (8 * i_)),    \
                  #type " at offset %ld", (long)(p_ - bytes));                   \
        }                                                                        \
        CHECK(p_[-1] == 0x33 && p_[sizeof(type)] == 0x33, #type " wrote beside"); \
        for (size_t i_ = 0; i_ < sizeof(type); i_++) {                           \
            p_[i_] = (char)(i_ * 17 + 130);                                      \
        }                                                                        \
        __asm__ volatile("" : "+r"(p_) : : "memory");                            \
        got_ = *(type *)p_;                                                      \
        for (size_t i_ = 0; i_ < sizeof(type); i_++) {                           \
            CHECK((uint8_t)((uint64_t)got_ >> (8 * i_)) == (uint8_t)(i_ * 17 + 130), \
                  #type " read at offset %ld", (long)(p_ - bytes));              \
        }                                                                        \
    } while (0)

static void try_double(char *at)
{
    double value = -1.25e-5, got;
    float single = 3.5f, got_single;

    __asm__ volatile("" : "+r"(at));
    *(double *)at = value;
    __asm__ volatile("" : "+r"(at) : : "memory");
    got = *(double *)at;
    CHECK(got == value, "double at %p", (void *)at);
    *(float *)at = single;
    __asm__ volatile("" : "+r"(at) : : "memory");
    got_single = *(float *)at;
    CHECK(got_single == single, "float at %p", (void *)at);
}

int main(void)
{
    bytes = map_pages(2, PROT_READ | PROT_WRITE);
    for (unsigned long round = 0; round < scaled(20); round++) {
        for (long offset = -72; offset <= 64; offset++) {
            char *at = bytes + PAGE + offset;

            TRY(uint16_t, at);
            TRY(int16_t, at);
            TRY(uint32_t, at);
            TRY(int32_t, at);
            TRY(uint64_t, at);
            try_double(at);
        }
    }
    return 0;
}
