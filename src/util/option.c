/*
 * The command-line parser and its help text. One thread, at start-up.
 *
 * The environment is applied first, then the words, so that a word wins over its
 * variable.
 */
#include "util/option.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"
#include "util/strutil.h"

static bool takes_value(const OptionDef *d)
{
    return d->kind != OPTION_FLAG && d->kind != OPTION_CALL_FLAG;
}

static const char *name_at(const void *ctx, size_t i)
{
    const OptionTable *t = ctx;
    return i < t->n_defs ? t->defs[i].name : "help";
}

static const OptionDef *find_option(const OptionTable *t, const char *name, size_t len)
{
    for (size_t i = 0; i < t->n_defs; i++) {
        const char *n = t->defs[i].name;
        if (n && strlen(n) == len && memcmp(n, name, len) == 0) {
            return &t->defs[i];
        }
    }
    return NULL;
}

static bool in_limits(const OptionDef *d, const char *value, bool below, bool above,
                      char **err)
{
    if ((d->min || d->max) && (below || above)) {
        *err = str_format("-%s takes a number from %" PRId64 " to %" PRId64 ", not '%s'",
                          d->name, d->min, d->max, value);
        return false;
    }
    return true;
}

static bool set_number(const OptionDef *d, void *dest, const char *value, char **err)
{
    if (d->kind == OPTION_INT) {
        int64_t v;
        if (!str_parse_i64(value, strlen(value), &v)) {
            *err = str_format("-%s takes a number, not '%s'", d->name, value);
            return false;
        }
        *(int64_t *)dest = v;
        return in_limits(d, value, v < d->min, v > d->max, err);
    }
    uint64_t v;
    if (!str_parse_size(value, strlen(value), &v)) {
        *err = str_format("-%s takes a size like 65536, 64K or 2G, not '%s'", d->name,
                          value);
        return false;
    }
    *(uint64_t *)dest = v;
    return in_limits(d, value, v < (uint64_t)d->min, v > (uint64_t)d->max, err);
}

/* @value is NULL for a flag that stands alone. */
static bool set_flag(const OptionDef *d, void *config, const char *value, char **err)
{
    bool on = true;
    if (value && !str_parse_bool(value, strlen(value), &on)) {
        *err = str_format("-%s is on or off, not '%s'", d->name, value);
        return false;
    }
    if (d->kind == OPTION_FLAG) {
        *(bool *)((char *)config + d->offset) = on;
        return true;
    }
    return !on || d->call(config, value ? "1" : NULL, err);
}

static bool set_option(const OptionDef *d, void *config, const char *value, char **err)
{
    void *dest = (char *)config + d->offset;
    switch (d->kind) {
    case OPTION_FLAG:
    case OPTION_CALL_FLAG:
        return set_flag(d, config, value, err);
    case OPTION_STRING:
        *(const char **)dest = value;
        return true;
    case OPTION_INT:
    case OPTION_SIZE:
        return set_number(d, dest, value, err);
    case OPTION_CALL:
        return d->call(config, value, err);
    }
    unreachable();
}

/* Variables of flags: any text but off, no, false, 0 switches on, as users of QEMU
 * expect. */
static bool apply_environment(const OptionTable *t, void *config, char **err)
{
    for (size_t i = 0; i < t->n_defs; i++) {
        const OptionDef *d = &t->defs[i];
        const char *value = d->name && d->env ? secure_getenv(d->env) : NULL;
        if (!value) {
            continue;
        }
        bool on;
        if (!takes_value(d) && !str_parse_bool(value, strlen(value), &on)) {
            value = "1";
        }
        char *why = NULL;
        if (!set_option(d, config, value, &why)) {
            *err = str_format("in the environment variable %s: %s", d->env, why);
            free(why);
            return false;
        }
    }
    return true;
}

static char *unknown_option(const OptionTable *t, const char *word, const char *name,
                            size_t len)
{
    const char *near = str_nearest(name, len, name_at, t, t->n_defs + 1);
    int shown = (int)(name - word + (ptrdiff_t)len);
    return near ? str_format("unknown option '%.*s'; did you mean '-%s'?", shown, word,
                             near)
                : str_format("unknown option '%.*s'; '-help' lists them", shown, word);
}

/* One option word; *i moves on if it takes the next word. */
static OptionResult parse_word(const OptionTable *t, void *config, int argc, char **argv,
                               int *i, char **err)
{
    const char *word = argv[*i];
    const char *name = word + (word[1] == '-' ? 2 : 1);
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const OptionDef *d = find_option(t, name, len);
    if (!d) {
        if (!equals && (strcmp(name, "h") == 0 || strcmp(name, "help") == 0)) {
            return OPTION_HELP;
        }
        *err = unknown_option(t, word, name, len);
        return OPTION_ERROR;
    }
    const char *value = equals ? equals + 1 : NULL;
    if (takes_value(d) && !value) {
        if (*i + 1 >= argc) {
            *err = str_format("option '-%s' needs an argument (%s)", d->name,
                              d->arg_name ? d->arg_name : "value");
            return OPTION_ERROR;
        }
        value = argv[++*i];
    }
    return set_option(d, config, value, err) ? OPTION_OK : OPTION_ERROR;
}

OptionResult option_parse_words(const OptionTable *table, void *config, int argc,
                                char **argv, int *first, char **err)
{
    if (!apply_environment(table, config, err)) {
        return OPTION_ERROR;
    }
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        OptionResult r = parse_word(table, config, argc, argv, &i, err);
        if (r != OPTION_OK) {
            return r;
        }
    }
    *first = i < argc ? i : argc;
    return OPTION_OK;
}

int option_parse(const OptionTable *table, void *config, int argc, char **argv)
{
    int first = 0;
    char *err = NULL;
    switch (option_parse_words(table, config, argc, argv, &first, &err)) {
    case OPTION_OK:
        return first;
    case OPTION_HELP:
        option_print_help(table, stdout);
        exit(0);
    case OPTION_ERROR:
        fatal_usage("%s", err ? err : "bad option");
    }
    unreachable();
}

void option_print_help(const OptionTable *table, FILE *out)
{
    fprintf(out, "usage: %s %s\n", error_program_name(), table->usage);
    for (size_t i = 0; i < table->n_defs; i++) {
        const OptionDef *d = &table->defs[i];
        if (!d->name) {
            fprintf(out, "\n%s\n", d->help);
            continue;
        }
        char *head = str_format("-%s%s%s", d->name, d->arg_name ? " " : "",
                                d->arg_name ? d->arg_name : "");
        /* A long head gets a line of its own. */
        fprintf(out, "  %-24s%s", head, strlen(head) > 24 ? "\n" : "");
        fprintf(out, "%*s %s", strlen(head) > 24 ? 26 : 0, "", d->help);
        if (d->env) {
            fprintf(out, " [%s]", d->env);
        }
        fputc('\n', out);
        free(head);
    }
    if (table->footer) {
        fprintf(out, "\n%s\n", table->footer);
    }
}
