/*
 * What follows -drive, -device and their like: lists of sub-options, by a table with all kinds of values, and the
 * parsing of words.  A list is refused with a sentence, or accepted without one.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/compiler.h"
#include "util/error.h"
#include "util/option.h"

typedef struct Values {
    char *text, *other;
    bool flag;
    int64_t number, limited;
    uint64_t size;
    int choice;
} Values;

static const SubOptionDef sub_defs[] = {
    { "file", SUBOPTION_STRING, offsetof(Values, text), 0, 0, NULL, "" },
    { "id", SUBOPTION_STRING, offsetof(Values, other), 0, 0, NULL, "" },
    { "readonly", SUBOPTION_BOOL, offsetof(Values, flag), 0, 0, NULL, "" },
    { "n", SUBOPTION_INT, offsetof(Values, number), 0, 0, NULL, "" },
    { "port", SUBOPTION_INT, offsetof(Values, limited), 1, 65535, NULL, "" },
    { "size", SUBOPTION_SIZE, offsetof(Values, size), 0, 0, NULL, "" },
    { "if", SUBOPTION_ENUM, offsetof(Values, choice), 0, 0, "none|virtio|scsi", "" },
};

static const OptionDef defs[] = {
    OPTION_DEF_STRING("drive", "X", Values, text, NULL, ""),
    OPTION_DEF_STRING("device", "X", Values, other, NULL, ""),
    OPTION_DEF_FLAG("S", Values, flag, NULL, ""),
    OPTION_DEF_INT("smp", "N", Values, limited, 1, 128, NULL, ""),
    OPTION_DEF_SIZE("m", "SIZE", Values, size, 0, 0, NULL, ""),
};
static const OptionTable table = { defs, array_size(defs), "", NULL };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    return 0;
}

static void check(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void parse_list(const char *text)
{
    Values v = { 0 };
    char *name = NULL, *err = NULL;
    bool good = suboption_parse("-drive", text, sub_defs, array_size(sub_defs), &v, &name, &err);
    check(good == !err);
    check(!err || (*err && !strchr(err, '\n')) || strchr(text, '\n'));
    check(v.choice >= 0 && v.choice < 3 && (v.limited == 0 || (v.limited >= 1 && v.limited <= 65535)));
    free(name);
    free(err);
}

static void parse_words(char *text)
{
    char *argv[16] = { (char *)"braid" };
    int argc = 1, first = 0;
    char *err = NULL, *save;
    for (char *w = strtok_r(text, "\n", &save); w && argc < 15; w = strtok_r(NULL, "\n", &save)) {
        argv[argc++] = w;
    }
    Values v = { 0 };
    OptionResult r = option_parse_words(&table, &v, argc, argv, &first, &err);
    check((r == OPTION_ERROR) == (err != NULL));
    check(r != OPTION_OK || (first >= 1 && first <= argc));
    check(r != OPTION_OK || v.limited == 0 || (v.limited >= 1 && v.limited <= 128));
    free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1);
    check(text);
    memcpy(text, bytes, size);
    text[size] = 0;
    parse_list(text);
    parse_words(text);
    free(text);
    return 0;
}
