/*
 * The QEMU Machine Protocol: JSON objects from a program, one answer to each, and events between them.
 *
 * Input comes on the chardev's reader thread, which runs the commands and writes the answers.  Events come from the
 * thread that they happen on, mostly the board's, which must not wait for a slow client: what it has to say goes
 * out at once, or waits in `late` while an answer is under way, or is dropped when the client does not read.
 */
#include "board/monitor.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "board/board.h"
#include "board/commands.h"
#include "board/hart.h"
#include "util/compiler.h"
#include "util/error.h"
#include "util/lock.h"
#include "util/strutil.h"

#define MAX_INPUT (1u << 20)
#define MAX_LATE (1u << 16)

typedef struct QMP {
    Chardev *chardev;           /* constant */
    struct QMP *next;           /* constant once it is in the list */
    /* owned by the reader's thread */
    char *text;                 /* of the object so far */
    size_t n, room;
    unsigned depth;             /* of brackets */
    bool in_string, escaped, overlong;

    Mutex lock;                 /* rank DEVICE */
    /* guarded by lock */
    bool negotiated;            /* qmp_capabilities was called: other commands and events may come */
    bool busy;                  /* an answer is being written */
    char *late;                 /* events meanwhile */
    size_t nlate;
} QMP;

static struct QMPContext {
    QMP *first;                 /* changed by the first thread, before the machine runs */
} qmps;

/* What a command is called with, and answers. */
typedef struct Call {
    QMP *q;
    json_t *args;               /* an object; handlers take what they know with arg_string() */
    json_t *result;             /* NULL: {} */
    char *error;                /* a sentence, or NULL; from malloc */
    void (*after)(void);        /* when the answer is out */
} Call;

/* ---- writing ---- */

/* An answer: waits for the client to read.  The reader's thread. */
static void write_answer(QMP *q, json_t *answer)
{
    char *text = json_dumps(answer, 0);
    json_decref(answer);
    mutex_lock(&q->lock);
    q->busy = true;
    mutex_unlock(&q->lock);
    chardev_print(q->chardev, "%s\r\n", text);
    free(text);
    mutex_lock(&q->lock);
    q->busy = false;
    if (q->nlate) {
        chardev_write_whole(q->chardev, q->late, q->nlate);
        q->nlate = 0;
    }
    mutex_unlock(&q->lock);
}

static void write_event_locked(QMP *q, const char *text, size_t n)
{
    if (!q->negotiated) {
        return;
    }
    if (!q->busy) {
        chardev_write_whole(q->chardev, text, n);
    } else if (q->nlate + n <= MAX_LATE) {
        q->late = xrealloc(q->late, q->nlate + n);
        memcpy(q->late + q->nlate, text, n);
        q->nlate += n;
    }
}

static void event(const char *name, json_t *data)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    json_t *e = json_pack("{s:{s:I,s:I},s:s,s:o*}", "timestamp", "seconds", (json_int_t)ts.tv_sec, "microseconds",
                          (json_int_t)ts.tv_nsec / 1000, "event", name, "data", data);
    char *json = json_dumps(e, 0), *text = str_format("%s\r\n", json);
    for (QMP *q = qmps.first; q; q = q->next) {
        mutex_lock(&q->lock);
        write_event_locked(q, text, strlen(text));
        mutex_unlock(&q->lock);
    }
    json_decref(e);
    free(json);
    free(text);
}

static void board_event(BoardEvent e, bool by_guest, const char *reason)
{
    static const char *const names[] = {
        [BOARD_EVENT_STOP] = "STOP", [BOARD_EVENT_RESUME] = "RESUME",
        [BOARD_EVENT_RESET] = "RESET", [BOARD_EVENT_SHUTDOWN] = "SHUTDOWN",
    };
    bool why = e == BOARD_EVENT_RESET || e == BOARD_EVENT_SHUTDOWN;
    event(names[e], why ? json_pack("{s:b,s:s}", "guest", by_guest, "reason", reason) : NULL);
}

/* ---- commands ---- */

/* Takes a string out of the arguments; NULL, with an error, if it is missing or no string. */
static char *arg_string(Call *c, const char *name)
{
    json_t *v = json_object_get(c->args, name);
    if (!json_is_string(v)) {
        c->error = str_format(v ? "Invalid parameter type for '%s', expected: string" : "Parameter '%s' is missing",
                              name);
        return NULL;
    }
    char *text = xstrdup(json_string_value(v));
    json_object_del(c->args, name);
    return text;
}

static json_t *version(void)
{
    return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "major", 0, "minor", 1, "micro", 0, "package", "braid");
}

static void qmp_capabilities(Call *c)
{
    json_object_del(c->args, "enable");     /* there are none to enable */
    mutex_lock(&c->q->lock);
    c->q->negotiated = true;
    mutex_unlock(&c->q->lock);
}

static void query_version(Call *c) { c->result = version(); }
static void query_name(Call *c) { c->result = json_object(); }

static void query_status(Call *c)
{
    c->result = json_pack("{s:s,s:b,s:b}", "status", board_status(), "singlestep", false, "running", board_is_running());
}

static void query_cpus_fast(Call *c)
{
    c->result = json_array();
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        const Hart *h = &hart_ctx.harts[i];
        json_array_append_new(c->result, json_pack("{s:i,s:I,s:s,s:s}", "cpu-index", (int)i, "thread-id",
                                                   (json_int_t)hart_thread_id(h), "target", "riscv64", "qom-path",
                                                   h->qom_path));
    }
}

static void query_commands(Call *c);

/* stop and cont have been carried out when they return. */
static void nothing(void *opaque) { }

static void do_stop(Call *c)
{
    board_stop();
    board_run_paused(nothing, NULL);
}

static void do_continue(Call *c)
{
    board_continue();
    board_run_paused(nothing, NULL);
}

static void reset(void) { board_reset(false); }
static void do_reset(Call *c) { c->after = reset; }
static void do_quit(Call *c) { c->after = board_quit; }

static void do_power_down(Call *c)
{
    c->error = xstrdup("this machine has no power button: a guest switches it off by itself");
}

static void human_monitor_command(Call *c)
{
    char *line = arg_string(c, "command-line"), *text = NULL;
    size_t size;
    if (!line) {
        return;
    }
    json_object_del(c->args, "cpu-index");
    FILE *f = open_memstream(&text, &size);
    command_run(line, f);
    fclose(f);
    c->result = json_stringn_nocheck(text, size);
    free(text);
    free(line);
}

static const struct QMPCommand {
    const char *name;
    void (*run)(Call *c);
} commands[] = {
    { "cont", do_continue },
    { "human-monitor-command", human_monitor_command },
    { "qmp_capabilities", qmp_capabilities },
    { "query-commands", query_commands },
    { "query-cpus-fast", query_cpus_fast },
    { "query-name", query_name },
    { "query-status", query_status },
    { "query-version", query_version },
    { "quit", do_quit },
    { "stop", do_stop },
    { "system_powerdown", do_power_down },
    { "system_reset", do_reset },
};

static void query_commands(Call *c)
{
    c->result = json_array();
    for (unsigned i = 0; i < array_size(commands); i++) {
        json_array_append_new(c->result, json_pack("{s:s}", "name", commands[i].name));
    }
}

/* ---- one object ---- */

/* Steals desc, borrows id. */
static json_t *error_answer(const char *class, char *desc, json_t *id)
{
    json_t *e = json_pack("{s:{s:s,s:s},s:O*}", "error", "class", class, "desc", desc, "id", id);
    free(desc);
    return e;
}

static const struct QMPCommand *find_command(const char *name)
{
    for (unsigned i = 0; i < array_size(commands); i++) {
        if (!strcmp(commands[i].name, name)) {
            return &commands[i];
        }
    }
    return NULL;
}

/* The arguments are right so far; runs the command.  Returns the answer. */
static json_t *run_command(QMP *q, const struct QMPCommand *k, json_t *args, json_t *id, void (**after)(void))
{
    Call c = { .q = q, .args = args ? json_deep_copy(args) : json_object() };
    k->run(&c);
    const char *more = json_object_iter_key(json_object_iter(c.args));
    if (!c.error && more) {
        c.error = str_format("Parameter '%s' is unexpected", more);
        c.after = NULL;
    }
    json_t *answer = c.error ? error_answer("GenericError", c.error, id)
                             : json_pack("{s:o,s:O*}", "return", c.result ? c.result : json_object(), "id", id);
    if (c.error && c.result) {
        json_decref(c.result);
    }
    json_decref(c.args);
    *after = c.after;
    return answer;
}

static json_t *answer_object(QMP *q, json_t *o, void (**after)(void))
{
    json_t *id = json_object_get(o, "id"), *name = json_object_get(o, "execute");
    json_t *args = json_object_get(o, "arguments");
    const char *key;
    json_t *value;
    json_object_foreach(o, key, value) {
        if (strcmp(key, "id") && strcmp(key, "execute") && strcmp(key, "arguments")) {
            return error_answer("GenericError", str_format("QMP input member '%s' is unexpected", key), id);
        }
    }
    if (!json_is_string(name)) {
        return error_answer("GenericError", xstrdup(name ? "QMP input member 'execute' must be a string"
                                                         : "QMP input lacks member 'execute'"), id);
    }
    if (args && !json_is_object(args)) {
        return error_answer("GenericError", xstrdup("QMP input member 'arguments' must be an object"), id);
    }
    const struct QMPCommand *k = find_command(json_string_value(name));
    bool first = k && k->run == qmp_capabilities;
    if (q->negotiated == first) {       /* only this thread changes it */
        return error_answer("CommandNotFound",
                            xstrdup(first ? "Capabilities negotiation is already complete, command ignored"
                                          : "Expecting capabilities negotiation with 'qmp_capabilities'"), id);
    }
    if (!k) {
        return error_answer("CommandNotFound", str_format("The command %s has not been found", json_string_value(name)),
                            id);
    }
    return run_command(q, k, args, id, after);
}

static void take_text(QMP *q)
{
    void (*after)(void) = NULL;
    json_error_t e;
    json_t *o = q->overlong ? NULL : json_loadb(q->text, q->n, JSON_REJECT_DUPLICATES, &e);
    json_t *answer;
    if (!o) {
        answer = error_answer("GenericError", q->overlong ? xstrdup("JSON input is too long")
                                                          : str_format("Invalid JSON syntax: %s", e.text), NULL);
    } else if (!json_is_object(o)) {
        answer = error_answer("GenericError", xstrdup("QMP input must be a JSON object"), NULL);
    } else {
        answer = answer_object(q, o, &after);
    }
    write_answer(q, answer);
    json_decref(o);
    if (after) {
        after();
    }
    q->n = q->depth = 0;
    q->in_string = q->escaped = q->overlong = false;
}

/* ---- input ---- */

/* True: the byte ends an object, or a line of something that is none. */
static bool ends_text(QMP *q, char byte)
{
    if (q->in_string) {
        q->in_string = q->escaped || byte != '"';
        q->escaped = !q->escaped && byte == '\\';
        return false;
    }
    switch (byte) {
    case '"':
        q->in_string = true;
        return false;
    case '{': case '[':
        q->depth++;
        return false;
    case '}': case ']':
        return q->depth <= 1 || --q->depth == 0;
    }
    return byte == '\n' && q->depth == 0;
}

static size_t receive(void *opaque, const uint8_t *bytes, size_t n)
{
    QMP *q = opaque;
    for (size_t i = 0; i < n; i++) {
        char byte = (char)bytes[i];
        if (q->n == 0 && strchr(" \t\r\n", byte) && byte) {
            continue;
        }
        if (q->n < MAX_INPUT) {
            if (q->n == q->room) {
                q->room = q->room ? 2 * q->room : 256;
                q->text = xrealloc(q->text, q->room);
            }
            q->text[q->n++] = byte;
        } else {
            q->overlong = true;
        }
        if (ends_text(q, byte)) {
            take_text(q);
        }
    }
    return n;
}

static void connected(void *opaque, bool open)
{
    QMP *q = opaque;
    q->n = q->depth = 0;
    q->in_string = q->escaped = q->overlong = false;
    mutex_lock(&q->lock);
    q->negotiated = false;
    q->nlate = 0;
    mutex_unlock(&q->lock);
    if (open) {
        write_answer(q, json_pack("{s:{s:o,s:[]}}", "QMP", "version", version(), "capabilities"));
    }
}

void monitor_create_qmp(Chardev *c)
{
    static const CharFrontend frontend = { receive, NULL, connected };
    QMP *q = xcalloc(1, sizeof(*q));
    q->chardev = c;
    mutex_init(&q->lock, LOCK_RANK_DEVICE);
    if (!qmps.first) {
        board_set_listener(board_event);
    }
    q->next = qmps.first;
    qmps.first = q;
    chardev_attach(c, &frontend, q);
}
