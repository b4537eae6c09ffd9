/*
 * option.h and strutil.h: every kind of option, both numbers of dashes, the environment,
 * the stop at the guest program, sub-option lists, and the sentences for mistakes.
 */
#include "unit.h"

#include "util/error.h"
#include "util/option.h"
#include "util/strutil.h"

typedef struct Config {
    bool one_insn;
    bool stats;
    const char *cpu;
    int64_t smp;
    uint64_t tb_size;
    char env[100];
    int verbose;
} Config;

static bool add_env(void *config, const char *value, char **err)
{
    Config *c = config;
    if (!strchr(value, '=')) {
        *err = str_format("-E takes NAME=VALUE, not '%s'", value);
        return false;
    }
    strncat(c->env, value, sizeof(c->env) - strlen(c->env) - 2);
    strcat(c->env, ";");
    return true;
}

static bool be_verbose(void *config, const char *value, char **err)
{
    ((Config *)config)->verbose += value ? 10 : 1;
    return true;
}

static const OptionDef defs[] = {
    OPTION_HEADING("Guest:"),
    OPTION_DEF_STRING("cpu", "model", Config, cpu, "BT_CPU", "the processor"),
    OPTION_DEF_CALL("E", "name=value", add_env, NULL, "a variable of the guest"),
    OPTION_DEF_INT("smp", "n", Config, smp, 1, 512, "BT_SMP", "number of processors"),
    OPTION_HEADING("Translation:"),
    OPTION_DEF_FLAG("one-insn-per-tb", Config, one_insn, "BT_ONE", "short blocks"),
    OPTION_DEF_SIZE("tb-size", "bytes", Config, tb_size, 65536, 1 << 30, NULL,
                    "code buffer"),
    OPTION_DEF_FLAG("stats", Config, stats, NULL, "counters at exit"),
    OPTION_DEF_CALL_FLAG("v", be_verbose, "BT_VERBOSE", "more words"),
    OPTION_DEF_STRING("an-option-with-a-very-long-name", "x", Config, cpu, NULL, "long"),
};
static const OptionTable table = { defs, sizeof(defs) / sizeof(defs[0]),
                                   "[options] program", "The end." };

/* Parses up to 8 words; returns the error or NULL. */
static char *parse(Config *c, int *first, const char *const *words)
{
    char *argv[10] = { "braid" };
    int argc = 1;
    while (words[argc - 1]) {
        argv[argc] = (char *)words[argc - 1];
        argc++;
    }
    char *err = NULL;
    OptionResult r = option_parse_words(&table, c, argc, argv, first, &err);
    if (r == OPTION_HELP) {
        return strdup("HELP");
    }
    assert_int_equal(r == OPTION_OK, err == NULL);
    return err;
}

#define PARSE(c, first, ...) parse((c), (first), (const char *const[]){__VA_ARGS__, NULL})

static void test_kinds(void **state)
{
    Config c = { .smp = 7 };
    int first;
    assert_null(PARSE(&c, &first, "-cpu", "max", "--stats", "-E", "A=1", "-E", "B=2",
                      "prog", "-smp"));
    assert_string_equal(c.cpu, "max");
    assert_string_equal(c.env, "A=1;B=2;");
    assert_true(c.stats && !c.one_insn);
    assert_int_equal(c.smp, 7);
    assert_int_equal(first, 8);

    assert_null(PARSE(&c, &first, "--smp=0x10", "-tb-size", "2M", "-one-insn-per-tb",
                      "-v", "-v"));
    assert_int_equal(c.smp, 16);
    assert_true(c.tb_size == 2 << 20 && c.one_insn);
    assert_int_equal(c.verbose, 2);
    assert_int_equal(first, 7);

    assert_null(PARSE(&c, &first, "-one-insn-per-tb=off", "--", "-cpu", "x"));
    assert_false(c.one_insn);
    assert_int_equal(first, 3);
    assert_null(PARSE(&c, &first, "-", "-cpu"));
    assert_int_equal(first, 1);
    assert_null(PARSE(&c, &first, "-cpu", "-odd", "--"));
    assert_string_equal(c.cpu, "-odd");
    assert_int_equal(first, 4);
    assert_null(parse(&c, &first, (const char *const[]){ NULL }));
    assert_int_equal(first, 1);
}

#define CHECK_ERROR(text, ...)                                                           \
    do {                                                                                 \
        Config cfg = { 0 };                                                              \
        int at;                                                                          \
        char *e = PARSE(&cfg, &at, __VA_ARGS__);                                         \
        assert_non_null(e);                                                              \
        assert_string_equal(e, (text));                                                  \
        free(e);                                                                         \
    } while (0)

static void test_errors(void **state)
{
    CHECK_ERROR("unknown option '-one-insn-per-tbs'; did you mean '-one-insn-per-tb'?",
                "-one-insn-per-tbs");
    CHECK_ERROR("unknown option '--stat'; did you mean '-stats'?", "--stat");
    CHECK_ERROR("unknown option '-tbsize'; did you mean '-tb-size'?", "-tbsize=4");
    CHECK_ERROR("unknown option '-cup'; did you mean '-cpu'?", "-cup", "x");
    CHECK_ERROR("unknown option '-hlep'; did you mean '-help'?", "-hlep");
    CHECK_ERROR("unknown option '-qqqqqqqqq'; '-help' lists them", "-qqqqqqqqq");
    CHECK_ERROR("option '-cpu' needs an argument (model)", "-stats", "-cpu");
    CHECK_ERROR("-smp takes a number from 1 to 512, not '0'", "-smp", "0");
    CHECK_ERROR("-smp takes a number from 1 to 512, not '513'", "-smp", "513");
    CHECK_ERROR("-smp takes a number, not 'four'", "-smp", "four");
    CHECK_ERROR("-tb-size takes a size like 65536, 64K or 2G, not '1X'", "-tb-size",
                "1X");
    CHECK_ERROR("-E takes NAME=VALUE, not 'A'", "-E", "A");
    CHECK_ERROR("-stats is on or off, not 'maybe'", "-stats=maybe");
    CHECK_ERROR("HELP", "-stats", "-h");
    CHECK_ERROR("HELP", "--help");
}

static void test_environment(void **state)
{
    Config c = { 0 };
    int first;
    setenv("BT_CPU", "from-env", 1);
    setenv("BT_ONE", "", 1);
    setenv("BT_SMP", "3", 1);
    setenv("BT_VERBOSE", "off", 1);
    assert_null(PARSE(&c, &first, "prog"));
    assert_string_equal(c.cpu, "from-env");
    assert_true(c.one_insn);
    assert_int_equal(c.smp, 3);
    assert_int_equal(c.verbose, 0);
    setenv("BT_ONE", "no", 1);
    setenv("BT_VERBOSE", "please", 1);
    c = (Config){ 0 };
    assert_null(PARSE(&c, &first, "-cpu", "word", "prog"));
    assert_string_equal(c.cpu, "word");
    assert_false(c.one_insn);
    assert_int_equal(c.verbose, 10);
    setenv("BT_SMP", "many", 1);
    CHECK_ERROR("in the environment variable BT_SMP: -smp takes a number, not 'many'",
                "prog");
    unsetenv("BT_CPU");
    unsetenv("BT_ONE");
    unsetenv("BT_SMP");
    unsetenv("BT_VERBOSE");
}

static void parse_bad(void *arg)
{
    Config c = { 0 };
    char *argv[] = { "braid", "-cpuu", NULL };
    error_set_program_name("braid");
    option_parse(&table, &c, 2, argv);
}

static void parse_help(void *arg)
{
    Config c = { 0 };
    char *argv[] = { "braid", "-help", NULL };
    error_set_program_name("braid");
    dup2(STDERR_FILENO, STDOUT_FILENO);
    option_parse(&table, &c, 2, argv);
}

static void test_exit(void **state)
{
    ChildResult r = run_child(parse_bad, NULL);
    assert_exit(r, 2);
    assert_string_equal(r.text, "braid: unknown option '-cpuu'; did you mean '-cpu'?\n");
    r = run_child(parse_help, NULL);
    assert_exit(r, 0);
    assert_contains(r.text, "usage: braid [options] program\n\nGuest:\n");
    assert_contains(r.text, "  -cpu model               the processor [BT_CPU]\n");
    assert_contains(r.text, "  -one-insn-per-tb         short blocks [BT_ONE]\n");
    assert_contains(
        r.text,
        "  -an-option-with-a-very-long-name x\n                           long\n");
    assert_contains(r.text, "\nThe end.\n");
}

typedef struct Accel {
    bool split;
    char *thread;
    int64_t regions;
    uint64_t tb_size;
    int llsc;
} Accel;

static const SubOptionDef accel_defs[] = {
    {"split-wx", SUBOPTION_BOOL, offsetof(Accel, split), 0, 0, NULL, "two mappings"},
    {"thread", SUBOPTION_STRING, offsetof(Accel, thread), 0, 0, NULL, "single or multi"},
    {"regions", SUBOPTION_INT, offsetof(Accel, regions), 1, 64, NULL, "number"},
    {"tb-size", SUBOPTION_SIZE, offsetof(Accel, tb_size), 0, 0, NULL, "buffer"},
    {"llsc", SUBOPTION_ENUM, offsetof(Accel, llsc), 0, 0, "value|strict|none", "how"},
};

static char *parse_accel(const char *text, Accel *a, char **name)
{
    char *err = NULL;
    *name = NULL;
    bool ok = suboption_parse("-accel", text, accel_defs, 5, a, name, &err);
    assert_int_equal(ok, err == NULL);
    return err;
}

static void test_suboptions(void **state)
{
    Accel a = { .llsc = -1 };
    char *name;
    assert_null(parse_accel("tcg,thread=a,,b=c,split-wx,regions=5,tb-size=1g,llsc=strict",
                            &a, &name));
    assert_string_equal(name, "tcg");
    assert_string_equal(a.thread, "a,b=c");
    assert_true(a.split && a.regions == 5 && a.tb_size == 1 << 30);
    assert_int_equal(a.llsc, 1);
    free(name);
    free(a.thread);
    a = (Accel){ .split = true };
    assert_null(parse_accel("split-wx=off,thread=", &a, &name));
    assert_null(name);
    assert_false(a.split);
    assert_string_equal(a.thread, "");
    free(a.thread);
    assert_null(parse_accel("", &a, &name));
    assert_null(name);
    assert_null(parse_accel("tcg", &a, &name));
    assert_string_equal(name, "tcg");
    free(name);

    static const struct { const char *text, *error; } cases[] = {
        { "tcg,thred=x", "-accel: unknown property 'thred'; did you mean 'thread'?" },
        { "tcg,qqqqqqqq", "-accel: unknown property 'qqqqqqqq'" },
        { "tcg,llsc=strictly",
          "-accel: llsc is one of value|strict|none, not 'strictly'" },
        { "tcg,llsc=val", "-accel: llsc is one of value|strict|none, not 'val'" },
        { "tcg,regions=65", "-accel: regions is a number from 1 to 64, not '65'" },
        { "tcg,tb-size=-1", "-accel: tb-size is a size, not '-1'" },
        { "tcg,split-wx=2", "-accel: split-wx is on or off, not '2'" },
        { "tcg,thread", "-accel: thread needs a value" },
        { "tcg,=x", "an item without a name: '=x'" },
        { "tcg,", "an item without a name: ''" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *err = parse_accel(cases[i].text, &a, &name);
        assert_non_null(err);
        assert_string_equal(err, cases[i].error);
        assert_null(name);
        free(err);
    }
}

static void test_distance(void **state)
{
    static const struct { const char *a, *b; unsigned d;
    } cases[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"kitten", "sitting", 3},
        {"flaw", "lawn", 2},
        {"cpu", "cup", 1},
        {"CPU", "cpu", 0},
        {"ab", "ba", 1},
        {"abcd", "badc", 2},
        {"strace", "trace", 1},
        {"saturday", "sunday", 3},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *a = cases[i].a, *b = cases[i].b;
        assert_int_equal(str_edit_distance(a, strlen(a), b, strlen(b)), cases[i].d);
        assert_int_equal(str_edit_distance(b, strlen(b), a, strlen(a)), cases[i].d);
    }
    char word[200];
    memset(word, 'a', 199);
    word[199] = '\0';
    assert_int_equal(str_edit_distance(word, 199, "", 0), 63);
    assert_int_equal(str_edit_distance(word, 199, word, 199), 0);
}

static void test_numbers(void **state)
{
    uint64_t u;
    int64_t s;
    assert_true(str_parse_u64("18446744073709551615", 20, &u) && u == UINT64_MAX);
    assert_false(str_parse_u64("18446744073709551616", 20, &u));
    assert_true(str_parse_u64("0xfF", 4, &u) && u == 255);
    assert_true(str_parse_u64("010", 3, &u) && u == 8);
    assert_true(str_parse_u64("123", 2, &u) && u == 12); /* the length counts */
    const char *bad[] = { "", "-1", "+1", " 1", "1 ", "0x", "1x", "x" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(str_parse_u64(bad[i], strlen(bad[i]), &u));
    }
    assert_true(str_parse_i64("-9223372036854775808", 20, &s) && s == INT64_MIN);
    assert_false(str_parse_i64("-9223372036854775809", 20, &s));
    assert_false(str_parse_i64("9223372036854775808", 19, &s));
    assert_true(str_parse_i64("9223372036854775807", 19, &s) && s == INT64_MAX);
    static const struct { const char *text; uint64_t value;
    } sizes[] = {
        {"0", 0},
        {"512", 512},
        {"64k", 65536},
        {"2G", UINT64_C(2) << 30},
        {"3MiB", 3 << 20},
        {"3mb", 3 << 20},
        {"0x10K", 16384},
        {"1T", UINT64_C(1) << 40},
        {"16383P", UINT64_C(16383) << 50},
        {"0x1b", 0x1b},
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_true(str_parse_size(sizes[i].text, strlen(sizes[i].text), &u));
        assert_true(u == sizes[i].value);
    }
    const char *bad_sizes[] = {"",    "K",   "1Q", "1KK", "16384P",
                               "-1K", "1iB", "B",  "iB",  "1.5G"};
    for (size_t i = 0; i < sizeof(bad_sizes) / sizeof(bad_sizes[0]); i++) {
        assert_false(str_parse_size(bad_sizes[i], strlen(bad_sizes[i]), &u));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),       cmocka_unit_test(test_errors),
        cmocka_unit_test(test_environment), cmocka_unit_test(test_exit),
        cmocka_unit_test(test_suboptions),  cmocka_unit_test(test_distance),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
