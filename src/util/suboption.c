/*
 * Sub-option lists: name,key=value,flag=on. One thread, at start-up.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "util/option.h"
#include "util/strutil.h"

/* The item at *text with ",," made ","; moves *text behind it. False at the end of the
 * list. */
static bool next_item(const char **text, char *buf)
{
    const char *s = *text;
    if (!s) {
        return false;
    }
    for (;; s++) {
        if (*s == ',' && s[1] == ',') {
            *buf++ = *s++;
        } else if (*s == ',' || *s == '\0') {
            break;
        } else {
            *buf++ = *s;
        }
    }
    *buf = '\0';
    *text = *s ? s + 1 : NULL;
    return true;
}

bool suboption_foreach(const char *text, char **name, SubOptionVisit *fn, void *opaque,
                       char **err)
{
    char *item = xmalloc(strlen(text) + 1);
    bool ok = true;
    *name = NULL;
    for (bool is_first = true; ok && next_item(&text, item); is_first = false) {
        char *equals = strchr(item, '=');
        if (is_first && !equals) {
            *name = *item ? xstrdup(item) : NULL;
            continue;
        }
        if (!*item || equals == item) {
            *err = str_format("an item without a name: '%s'", item);
            ok = false;
            continue;
        }
        if (equals) {
            *equals = '\0';
        }
        ok = fn(opaque, item, equals ? equals + 1 : NULL, err);
    }
    free(item);
    if (!ok) {
        free(*name);
        *name = NULL;
    }
    return ok;
}

typedef struct SubOptionParse {
    const char *what;
    const SubOptionDef *defs;
    size_t n_defs;
    void *config;
} SubOptionParse;

static const char *sub_name_at(const void *ctx, size_t i)
{
    return ((const SubOptionParse *)ctx)->defs[i].name;
}

/* The next of the words in "a|b|c", its length in *len; NULL at the end. */
static const char *next_choice(const char *choices, const char *prev, size_t *len)
{
    const char *s = prev ? prev + strcspn(prev, "|") : choices;
    if (prev && *s++ == '\0') {
        return NULL;
    }
    *len = strcspn(s, "|");
    return s;
}

static bool set_choice(const SubOptionParse *p, const SubOptionDef *d, const char *value,
                       int *dest, char **err)
{
    size_t len;
    int index = 0;
    for (const char *c = next_choice(d->choices, NULL, &len); c;
         c = next_choice(d->choices, c, &len), index++) {
        if (strlen(value) == len && memcmp(c, value, len) == 0) {
            *dest = index;
            return true;
        }
    }
    *err =
        str_format("%s: %s is one of %s, not '%s'", p->what, d->name, d->choices, value);
    return false;
}

static bool set_sub_number(const SubOptionParse *p, const SubOptionDef *d,
                           const char *value, void *dest, char **err)
{
    bool limited = d->min || d->max;
    size_t len = strlen(value);
    if (d->kind == SUBOPTION_INT) {
        int64_t v;
        if (str_parse_i64(value, len, &v) && (!limited || (v >= d->min && v <= d->max))) {
            *(int64_t *)dest = v;
            return true;
        }
    } else {
        uint64_t v;
        if (str_parse_size(value, len, &v) &&
            (!limited || (v >= (uint64_t)d->min && v <= (uint64_t)d->max))) {
            *(uint64_t *)dest = v;
            return true;
        }
    }
    const char *kind = d->kind == SUBOPTION_INT ? "number" : "size";
    *err = limited
               ? str_format("%s: %s is a %s from %" PRId64 " to %" PRId64 ", not '%s'",
                            p->what, d->name, kind, d->min, d->max, value)
               : str_format("%s: %s is a %s, not '%s'", p->what, d->name, kind, value);
    return false;
}

static bool set_suboption(void *opaque, const char *key, const char *value, char **err)
{
    const SubOptionParse *p = opaque;
    const SubOptionDef *d = NULL;
    for (size_t i = 0; i < p->n_defs && !d; i++) {
        d = strcmp(p->defs[i].name, key) == 0 ? &p->defs[i] : NULL;
    }
    if (!d) {
        const char *near = str_nearest(key, strlen(key), sub_name_at, p, p->n_defs);
        *err = near ? str_format("%s: unknown property '%s'; did you mean '%s'?", p->what,
                                 key, near)
                    : str_format("%s: unknown property '%s'", p->what, key);
        return false;
    }
    void *dest = (char *)p->config + d->offset;
    if (d->kind == SUBOPTION_BOOL) {
        value = value ? value : "on";
        if (!str_parse_bool(value, strlen(value), dest)) {
            *err = str_format("%s: %s is on or off, not '%s'", p->what, key, value);
            return false;
        }
        return true;
    }
    if (!value) {
        *err = str_format("%s: %s needs a value", p->what, key);
        return false;
    }
    switch (d->kind) {
    case SUBOPTION_STRING:
        *(char **)dest = xstrdup(value);
        return true;
    case SUBOPTION_ENUM:
        return set_choice(p, d, value, dest, err);
    default:
        return set_sub_number(p, d, value, dest, err);
    }
}

bool suboption_parse(const char *what, const char *text, const SubOptionDef *defs,
                     size_t n_defs, void *config, char **name, char **err)
{
    SubOptionParse p = { what, defs, n_defs, config };
    return suboption_foreach(text, name, set_suboption, &p, err);
}
