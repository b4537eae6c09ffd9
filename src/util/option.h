/*
 * Command lines in QEMU's style from a table: long names behind one dash (two are
 * accepted), the argument in the next word or behind '=', parsing up to the first word
 * that is no option (the guest program). And sub-option lists: name,key=value,flag=on.
 *
 * Used by one thread at start-up. Values go into the caller's config structure through
 * offsets, so that tables are constant and nothing is global.
 */
#ifndef UTIL_OPTION_H
#define UTIL_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/compiler.h"

typedef enum OptionKind {
    OPTION_FLAG,     /* bool, set to true; "-x=off" sets it to false */
    OPTION_STRING,   /* const char *, points into argv or the environment */
    OPTION_INT,      /* int64_t between min and max (both 0: no limits) */
    OPTION_SIZE,     /* uint64_t bytes, with K M G…; limits as above */
    OPTION_CALL,     /* function with argument */
    OPTION_CALL_FLAG /* function without argument: value is NULL, or "1" from -x=1, env */
} OptionKind;

/*
 * For what the other kinds cannot do, e.g. options that may be repeated. @value lives as
 * long as argv. On failure set *err to a sentence (freed by the parser) and return false.
 */
typedef bool OptionCall(void *config, const char *value, char **err);

typedef struct OptionDef {
    const char *name;     /* without dashes; NULL: @help is a heading of the help text */
    OptionKind kind;
    const char *arg_name; /* for the help text; NULL for flags */
    const char *env;      /* read if the option is not on the command line, or NULL */
    size_t offset;        /* of the value in the config */
    int64_t min, max;
    OptionCall *call;
    const char *help;
} OptionDef;

#define OPTION_HEADING(text) { .name = NULL, .help = (text) }
#define OPTION_DEF_FLAG(nm, type, field, envname, text)                                  \
    { .name = (nm), .kind = OPTION_FLAG, .env = (envname),                               \
      .offset = offsetof(type, field), .help = (text) }
#define OPTION_DEF_STRING(nm, argname, type, field, envname, text)                       \
    { .name = (nm), .kind = OPTION_STRING, .arg_name = (argname), .env = (envname),      \
      .offset = offsetof(type, field), .help = (text) }
#define OPTION_DEF_INT(nm, argname, type, field, lo, hi, envname, text)                  \
    { .name = (nm), .kind = OPTION_INT, .arg_name = (argname), .env = (envname),         \
      .offset = offsetof(type, field), .min = (lo), .max = (hi), .help = (text) }
#define OPTION_DEF_SIZE(nm, argname, type, field, lo, hi, envname, text)                 \
    { .name = (nm), .kind = OPTION_SIZE, .arg_name = (argname), .env = (envname),        \
      .offset = offsetof(type, field), .min = (lo), .max = (hi), .help = (text) }
#define OPTION_DEF_CALL(nm, argname, fn, envname, text)                                  \
    { .name = (nm), .kind = OPTION_CALL, .arg_name = (argname), .env = (envname),        \
      .call = (fn), .help = (text) }
#define OPTION_DEF_CALL_FLAG(nm, fn, envname, text)                                      \
    { .name = (nm), .kind = OPTION_CALL_FLAG, .env = (envname), .call = (fn),            \
      .help = (text) }

typedef struct OptionTable {
    const OptionDef *defs;
    size_t n_defs;
    const char *usage;  /* "[options] program [arguments…]", after the program's name */
    const char *footer; /* printed at the end of the help text, or NULL */
} OptionTable;

/* What option_parse_words() found. */
typedef enum OptionResult { OPTION_OK, OPTION_HELP, OPTION_ERROR } OptionResult;

/*
 * Sets the config's defaults-to-be first, then the environment, then argv[1…]. -h, -help
 * and --help (unless the table has them) print the help text and exit 0; an error is one
 * sentence and exit 2. Returns the index of the first word that is no option, or argc.
 * "--" ends the options and is skipped; "-" is no option.
 */
int option_parse(const OptionTable *table, void *config, int argc, char **argv);

/* The same without leaving the program; on OPTION_ERROR *err is a sentence for the caller
 * to free. *first is set on OPTION_OK. A process with more rights than whoever started it
 * (AT_SECURE) does not look into the environment. */
OptionResult option_parse_words(const OptionTable *table, void *config, int argc,
                                char **argv, int *first, char **err);

void option_print_help(const OptionTable *table, FILE *out);

/*
 * Sub-option lists. Items are parted by commas, ",," is a comma inside a value. The first
 * item is the name if it has no '=' (otherwise name is NULL). Later ones are key=value,
 * or a bare key, whose value is then NULL.
 */
typedef bool SubOptionVisit(void *opaque, const char *key, const char *value, char **err);

/* Calls @fn for each item but the name; strings live during the call. *name is for the
 * caller to free. False, with a sentence in *err, if the list is malformed or @fn says
 * so. */
bool suboption_foreach(const char *text, char **name, SubOptionVisit *fn, void *opaque,
                       char **err);

typedef enum SubOptionKind {
    SUBOPTION_BOOL,   /* bool: on/off/yes/no/true/false/1/0; bare key = on */
    SUBOPTION_STRING, /* char *, from malloc, the config's; an old one is not freed */
    SUBOPTION_INT,    /* int64_t */
    SUBOPTION_SIZE,   /* uint64_t bytes */
    SUBOPTION_ENUM    /* int: index in choices */
} SubOptionKind;

typedef struct SubOptionDef {
    const char *name;
    SubOptionKind kind;
    size_t offset;
    int64_t min, max;     /* of INT and SIZE; both 0: no limits */
    const char *choices;  /* of ENUM: "loose|strict" */
    const char *help;
} SubOptionDef;

/*
 * Parses a list by a table into @config. @what names the option in messages ("-accel").
 * An unknown key, bad value or malformed list gives false and a sentence with the nearest
 * name.
 */
bool suboption_parse(const char *what, const char *text, const SubOptionDef *defs,
                     size_t n_defs, void *config, char **name, char **err);

#endif
