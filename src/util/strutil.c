/*
 * Strings for command lines and messages. Pure functions.
 */
#include "util/strutil.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/error.h"

#define MAX_WORD 63

char *str_vformat(const char *fmt, va_list ap)
{
    char *s;
    if (vasprintf(&s, fmt, ap) < 0) {
        fatal("out of memory: a message");
    }
    return s;
}

char *str_format(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = str_vformat(fmt, ap);
    va_end(ap);
    return s;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* Damerau's distance in the restricted form (no edit inside a swapped pair), three rows.
 * */
unsigned str_edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][MAX_WORD + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    a_len = a_len < MAX_WORD ? a_len : MAX_WORD;
    b_len = b_len < MAX_WORD ? b_len : MAX_WORD;
    for (unsigned j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned *t = before;
        before = above;
        above = row;
        row = t;
        row[0] = i;
        int ca = tolower((unsigned char)a[i - 1]);
        for (unsigned j = 1; j <= b_len; j++) {
            int cb = tolower((unsigned char)b[j - 1]);
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                cb == tolower((unsigned char)a[i - 2]) && before[j - 2] + 1 < row[j]) {
                row[j] = before[j - 2] + 1;
            }
        }
    }
    return row[b_len];
}

const char *str_nearest(const char *word, size_t len, StrNameAt *name_at, const void *ctx,
                        size_t n)
{
    const char *best = NULL;
    /* One slip in three letters is still the same word; "x" is near to nothing. */
    unsigned limit = len < 3 ? (unsigned)len : (unsigned)(len / 3 + 2);
    for (size_t i = 0; i < n; i++) {
        const char *name = name_at(ctx, i);
        if (!name) {
            continue;
        }
        unsigned d = str_edit_distance(word, len, name, strlen(name));
        if (d < limit) {
            limit = d;
            best = name;
        }
    }
    return best;
}

bool str_parse_u64(const char *s, size_t len, uint64_t *out)
{
    char buf[80];
    if (len == 0 || len >= sizeof(buf) || !isdigit((unsigned char)s[0])) {
        return false;
    }
    memcpy(buf, s, len);
    buf[len] = '\0';
    int saved = errno;
    char *end;
    errno = 0;
    unsigned long long v = strtoull(buf, &end, 0);
    bool ok = errno == 0 && end == buf + len;
    errno = saved;
    if (ok) {
        *out = v;
    }
    return ok;
}

bool str_parse_i64(const char *s, size_t len, int64_t *out)
{
    bool negative = len && s[0] == '-';
    uint64_t v;
    if (!str_parse_u64(s + negative, len - negative, &v) ||
        v > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *out = (int64_t)(negative ? -v : v);
    return true;
}

bool str_parse_size(const char *s, size_t len, uint64_t *out)
{
    static const char units[] = "kmgtp";
    unsigned shift = 0;
    size_t n = len;
    if (n > 1 && tolower((unsigned char)s[n - 1]) == 'b' &&
        !isxdigit((unsigned char)s[n - 2])) {
        n--;
        if (n > 2 && s[n - 1] == 'i') {
            n--;
        }
    }
    bool had_suffix = n != len;
    const char *unit = n ? strchr(units, tolower((unsigned char)s[n - 1])) : NULL;
    if (unit && *unit) {
        shift = 10 * (unsigned)(unit - units + 1);
        n--;
    } else if (had_suffix) {
        return false;
    }
    uint64_t v;
    if (!str_parse_u64(s, n, &v) || v > UINT64_MAX >> shift) {
        return false;
    }
    *out = v << shift;
    return true;
}

bool str_parse_bool(const char *s, size_t len, bool *out)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = { { "on", true },   { "off", false },   { "yes", true }, { "no", false },
                  { "true", true }, { "false", false }, { "1", true },   { "0", false } };
    for (size_t i = 0; i < array_size(words); i++) {
        if (strlen(words[i].word) == len && strncasecmp(words[i].word, s, len) == 0) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}
