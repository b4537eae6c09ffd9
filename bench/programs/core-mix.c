/*
 * The everyday mix of embedded code: a linked list that is sorted, searched
 * and reversed, small integer matrices, a state machine that scans numbers in
 * text, and a CRC that ties the results together.
 *
 * bench-class: integer
 * bench-args: 25000
 * bench-quick: 2500
 */
#include "bench.h"

enum { LIST_LEN = 200, MAT_N = 16, TEXT_LEN = 512 };

typedef struct Node Node;
struct Node {
    Node *next;
    int16_t key;
    uint16_t index;
};

static Node nodes[LIST_LEN];
static int16_t mat_a[MAT_N][MAT_N], mat_b[MAT_N][MAT_N];
static int32_t mat_c[MAT_N][MAT_N];
static char text[TEXT_LEN];

static uint16_t crc16(uint16_t crc, uint32_t value, int bits)
{
    for (int i = 0; i < bits; i++) {
        int carry = (crc ^ value) & 1;

        crc >>= 1;
        value >>= 1;
        if (carry) {
            crc ^= 0xa001;
        }
    }
    return crc;
}

static Node *list_build(uint64_t *rng)
{
    for (int i = 0; i < LIST_LEN; i++) {
        nodes[i].key = (int16_t)bench_random(rng);
        nodes[i].index = (uint16_t)i;
        nodes[i].next = i + 1 < LIST_LEN ? &nodes[i + 1] : NULL;
    }
    return nodes;
}

static Node *list_reverse(Node *head)
{
    Node *done = NULL;

    while (head) {
        Node *next = head->next;

        head->next = done;
        done = head;
        head = next;
    }
    return done;
}

static Node *list_merge(Node *a, Node *b, int (*compare)(const Node *, const Node *))
{
    Node head, *tail = &head;

    while (a && b) {
        Node **from = compare(a, b) <= 0 ? &a : &b;

        tail->next = *from;
        tail = *from;
        *from = (*from)->next;
    }
    tail->next = a ? a : b;
    return head.next;
}

static Node *list_sort(Node *head, int (*compare)(const Node *, const Node *))
{
    Node *slow = head, *fast, *second;

    if (!head || !head->next) {
        return head;
    }
    fast = head->next;
    while (fast && fast->next) {
        slow = slow->next;
        fast = fast->next->next;
    }
    second = slow->next;
    slow->next = NULL;
    return list_merge(list_sort(head, compare), list_sort(second, compare), compare);
}

static int by_key(const Node *a, const Node *b)
{
    return a->key - b->key;
}

static int by_index(const Node *a, const Node *b)
{
    return a->index - b->index;
}

static uint16_t list_work(uint64_t *rng, uint16_t crc)
{
    Node *head = list_sort(list_build(rng), by_key);
    int16_t wanted = (int16_t)bench_random(rng);
    int position = 0;

    for (Node *n = head; n && n->key < wanted; n = n->next) {
        position++;
    }
    crc = crc16(crc, (uint32_t)position, 16);
    head = list_reverse(list_sort(list_reverse(head), by_index));
    for (Node *n = head; n; n = n->next) {
        crc = (uint16_t)((crc << 1 | crc >> 15) ^ (uint16_t)n->key);
    }
    return crc;
}

static uint16_t matrix_work(uint16_t crc)
{
    for (int i = 0; i < MAT_N; i++) {
        for (int j = 0; j < MAT_N; j++) {
            mat_a[i][j] = (int16_t)(crc + i * 3 - j);
            mat_b[i][j] = (int16_t)(crc ^ (i - j * 5));
        }
    }
    for (int i = 0; i < MAT_N; i++) {
        for (int j = 0; j < MAT_N; j++) {
            int32_t sum = 0;

            for (int k = 0; k < MAT_N; k++) {
                sum += (int32_t)((uint32_t)mat_a[i][k] * (uint32_t)mat_b[k][j]) >> 3;
            }
            mat_c[i][j] = sum;
        }
    }
    for (int i = 0; i < MAT_N; i++) {
        crc = crc16(crc, (uint32_t)mat_c[i][(i * 7) % MAT_N], 32);
    }
    return crc;
}

typedef enum { START, SIGN, DIGITS, POINT, FRACTION, EXPONENT, BAD, STATES } State;

static State state_next(State state, char c)
{
    int digit = c >= '0' && c <= '9';

    switch (state) {
    case START:
        return digit ? DIGITS : c == '+' || c == '-' ? SIGN : c == '.' ? POINT : BAD;
    case SIGN:
        return digit ? DIGITS : c == '.' ? POINT : BAD;
    case DIGITS:
        return digit ? DIGITS : c == '.' ? FRACTION : c == 'e' ? EXPONENT : BAD;
    case POINT:
        return digit ? FRACTION : BAD;
    case FRACTION:
        return digit ? FRACTION : c == 'e' ? EXPONENT : BAD;
    case EXPONENT:
        return digit || c == '-' ? EXPONENT : BAD;
    default:
        return BAD;
    }
}

static uint16_t state_work(uint64_t *rng, uint16_t crc)
{
    static const char alphabet[] = "0123456789012345+-.e,,xz";
    uint32_t final[STATES] = { 0 }, transitions = 0;
    State state = START;

    for (int i = 0; i < TEXT_LEN; i++) {
        text[i] = alphabet[bench_random(rng) % (sizeof(alphabet) - 1)];
    }
    for (int i = 0; i < TEXT_LEN; i++) {
        State next;

        if (text[i] == ',') {
            final[state]++;
            state = START;
            continue;
        }
        next = state_next(state, text[i]);
        transitions += next != state;
        state = next;
    }
    for (int i = 0; i < STATES; i++) {
        crc = crc16(crc, final[i], 16);
    }
    return crc16(crc, transitions, 16);
}

int main(int argc, char **argv)
{
    uint64_t iterations = bench_arg(argc, argv, 1, 900);
    uint64_t rng = 88172645463325252u, sum = 0;
    uint16_t crc = 0xffff;

    for (uint64_t i = 0; i < iterations; i++) {
        crc = list_work(&rng, crc);
        crc = matrix_work(crc);
        crc = state_work(&rng, crc);
        sum = bench_mix(sum, crc);
    }
    return bench_report("core-mix", sum);
}
