/*
 * Strings for command lines and messages: formatted copies, numbers with units, and the
 * nearest known word to a misspelt one. Pure functions; results come from malloc.
 */
#ifndef UTIL_STRUTIL_H
#define UTIL_STRUTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/compiler.h"

/* A new string, freed by the caller; fatal() without memory. */
char *str_format(const char *fmt, ...) attr_printf(1, 2);
char *str_vformat(const char *fmt, va_list ap) attr_printf(1, 0);

/* The number of insertions, deletions, replacements and swaps of neighbours between two
 * words, letter case ignored; words longer than 63 bytes are cut. */
unsigned str_edit_distance(const char *a, size_t a_len, const char *b, size_t b_len);

/*
 * The nearest of @n words that name_at(ctx, i) gives (NULL ones are skipped), if it is
 * near enough to be what was meant, else NULL.
 */
typedef const char *StrNameAt(const void *ctx, size_t i);
const char *str_nearest(const char *word, size_t len, StrNameAt *name_at, const void *ctx,
                        size_t n);

/*
 * The whole of @len bytes as a number: decimal, 0x hexadecimal, 0 octal. str_parse_size
 * allows a suffix K M G T P (powers of 1024, any case, optionally followed by iB or B).
 * False if it is no number or does not fit.
 */
bool str_parse_u64(const char *s, size_t len, uint64_t *out);
bool str_parse_i64(const char *s, size_t len, int64_t *out);
bool str_parse_size(const char *s, size_t len, uint64_t *out);
/* Value of a hexadecimal digit, or -1. */
static inline int str_hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* on yes true 1 / off no false 0 */
bool str_parse_bool(const char *s, size_t len, bool *out);

#endif
