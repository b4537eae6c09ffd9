/* State tables: what is saved comes back, and bytes that make no sense do not. */
#include "unit.h"

#include "util/state.h"

typedef struct Part {
    uint16_t a;
    bool b;
} Part;

typedef struct Thing {
    uint32_t number;
    uint8_t bytes[5];
    bool flag;
    unsigned index;             /* below 10 */
    Part part[3];
    Part *list;
    unsigned nlist;
    uint64_t secret;            /* through get and set */
    int kind;
    uint16_t only_of_kind_1;
    unsigned loads;             /* not state */
} Thing;

static uint64_t get_secret(const void *t) { return ~((const Thing *)t)->secret; }
static void set_secret(void *t, uint64_t v) { ((Thing *)t)->secret = ~v; }
static uint64_t get_constant(const void *t) { return 4711; }

static const StateField none[] = { STATE_END };
static const StateField kind_1[] = { STATE(Thing, only_of_kind_1), STATE_END };
static const StateField *more(const void *t) { return ((const Thing *)t)->kind == 1 ? kind_1 : none; }

static const StateField part_fields[] = { STATE(Part, a), STATE(Part, b), STATE_END };
static const StateField thing_fields[] = {
    STATE(Thing, number), STATE(Thing, bytes), STATE(Thing, flag), STATE_BELOW(Thing, index, 10),
    STATE_OBJECTS(Thing, part, part_fields), STATE_POINTED(Thing, list, nlist, part_fields),
    STATE_CALL("secret", get_secret, set_secret), STATE_CALL("constant", get_constant, NULL), STATE_MORE(more), STATE_END
};
static bool loaded(void *t)
{
    ((Thing *)t)->loads++;
    return ((Thing *)t)->number != 13;
}
static const StateTable table = { thing_fields, loaded };

static Part list[2] = { { 7, true }, { 8, false } };
static Thing example(void)
{
    return (Thing){ .number = 0x12345678, .bytes = { 1, 2, 3, 4, 5 }, .flag = true, .index = 9,
                    .part = { { 10, true }, { 11, false }, { 12, true } }, .list = list, .nlist = 2, .secret = 99,
                    .kind = 1, .only_of_kind_1 = 0xabcd };
}

static void test_round_trip(void **state)
{
    Part other[2] = { { 0 } };
    Thing a = example(), b = { .list = other, .nlist = 2, .kind = 1, .loads = 5 };
    StateBuffer buf = { 0 };
    state_save(&table, &a, &buf);
    /* 4 + 5 + 1 + 4, three parts and two of three bytes, the secret, the constant, 2 */
    assert_int_equal(buf.n, 14 + 5 * 3 + 8 + 8 + 2);
    assert_true(state_load(&table, &b, &buf));
    assert_int_equal(b.number, a.number);
    assert_memory_equal(b.bytes, a.bytes, 5);
    assert_true(b.flag);
    assert_int_equal(b.index, 9);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(b.part[i].a, a.part[i].a);
        assert_int_equal(b.part[i].b, a.part[i].b);
    }
    assert_int_equal(other[0].a, 7);
    assert_true(other[0].b);
    assert_int_equal(other[1].a, 8);
    assert_int_equal(b.secret, 99);
    assert_int_equal(b.only_of_kind_1, 0xabcd);
    assert_int_equal(b.loads, 6);
    state_buffer_free(&buf);
}

static void test_nonsense(void **state)
{
    Thing a = example();
    StateBuffer buf = { 0 };
    state_save(&table, &a, &buf);
    /* each byte that has a limit: flag at 9, index at 10, the first part's bool at 16, constant at 37 */
    static const struct { size_t at; uint8_t value; } wrong[] = { { 9, 2 }, { 10, 10 }, { 13, 1 }, { 16, 0xff }, { 37, 0 } };
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        StateBuffer copy = { 0 };
        state_put(&copy, buf.data, buf.n);
        copy.data[wrong[i].at] = wrong[i].value;
        assert_false(state_load(&table, &a, &copy));
        state_buffer_free(&copy);
    }
    /* too short by any number of bytes, too long */
    for (size_t n = 0; n < buf.n; n++) {
        StateBuffer part = { .data = buf.data, .n = n };
        assert_false(state_load(&table, &a, &part));
    }
    state_put(&buf, "", 1);
    assert_false(state_load(&table, &a, &buf));
    state_buffer_free(&buf);
    /* what `loaded` refuses */
    a = example();
    a.number = 13;
    state_save(&table, &a, &buf);
    assert_false(state_load(&table, &a, &buf));
    state_buffer_free(&buf);
}

static void test_layout(void **state)
{
    static const StateField renamed[] = { STATE_CALL("secret2", get_secret, set_secret), STATE_END };
    static const StateField same[] = { STATE_CALL("secret", get_secret, set_secret), STATE_END };
    static const StateField wider[] = { { .name = "secret", .kind = STATE_KIND_BYTES, .size = 4 }, STATE_END };
    Thing a = example(), b = example();
    assert_int_equal(state_layout(&table, &a), state_layout(&table, &b));
    b.kind = 2;
    assert_int_not_equal(state_layout(&table, &a), state_layout(&table, &b));
    b = a;
    b.nlist = 1;
    assert_int_not_equal(state_layout(&table, &a), state_layout(&table, &b));
    uint32_t l = state_layout(&(StateTable){ same, NULL }, &a);
    assert_int_not_equal(l, state_layout(&(StateTable){ renamed, NULL }, &a));
    assert_int_not_equal(l, state_layout(&(StateTable){ wider, NULL }, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_nonsense), cmocka_unit_test(test_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
