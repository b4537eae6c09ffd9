/*
 * Two front ends of the monitor's commands: a line editor for people, and QMP.
 *
 * Input comes on the chardev's reader thread, and commands run right there; so each Monitor belongs to that one
 * thread, and has no lock.  QMP is as much of the protocol as scripts for QEMU begin with:
 * the greeting, qmp_capabilities, query-status, query-version, stop, cont, system_reset, quit, and
 * human-monitor-command for everything else.
 */
#include "board/monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board/board.h"
#include "board/commands.h"
#include "util/error.h"

#define LINE_MAX_BYTES 4096u
#define PROMPT "(braid) "

typedef struct Monitor {
    Chardev *chardev;
    bool shared;
    char line[LINE_MAX_BYTES];
    unsigned n;
} Monitor;

/* ---- For people ---- */

/* With \r\n at the ends of lines: the terminal is raw. */
static void print_lines(Chardev *c, const char *text)
{
    for (const char *end; *text; text = end) {
        end = strchr(text, '\n');
        int n = (int)(end ? end - text : (long)strlen(text));
        chardev_print(c, "%.*s%s", n, text, end ? "\r\n" : "");
        end = end ? end + 1 : text + n;
    }
}

static void run_line(Monitor *m)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    m->line[m->n] = 0;
    m->n = 0;
    command_run(m->line, out);
    fclose(out);
    print_lines(m->chardev, text);
    free(text);
    chardev_print(m->chardev, PROMPT);
}

static void take_byte(Monitor *m, uint8_t byte)
{
    enum { BACKSPACE = 8, DELETE = 127, CTRL_U = 21 };
    if (byte == '\r' || byte == '\n') {
        chardev_print(m->chardev, "\r\n");
        run_line(m);
    } else if (byte == BACKSPACE || byte == DELETE) {
        if (m->n) {
            m->n--;
            chardev_print(m->chardev, "\b \b");
        }
    } else if (byte == CTRL_U) {
        m->n = 0;
        chardev_print(m->chardev, "\r\x1b[K" PROMPT);
    } else if (byte >= ' ' && m->n < LINE_MAX_BYTES - 1) {
        m->line[m->n++] = (char)byte;
        chardev_print(m->chardev, "%c", byte);
    }
}

static size_t receive(void *opaque, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        take_byte(opaque, bytes[i]);
    }
    return n;
}

static void connected(void *opaque, bool open)
{
    Monitor *m = opaque;
    m->n = 0;
    chardev_print(m->chardev, open ? "\r\nbraid's monitor; 'help' lists the commands\r\n" PROMPT
                                   : m->shared ? "\r\n" : "");
}

void monitor_create(Chardev *c, bool shared)
{
    static const CharFrontend frontend = { receive, NULL, connected };
    Monitor *m = xcalloc(1, sizeof(*m));
    m->chardev = c;
    m->shared = shared;
    chardev_attach(c, &frontend, m);
}

/* ---- QMP ---- */

/* The string value of "key" in a JSON object, unescaped as far as commands need it; false: there is none. */
static bool json_string(const char *json, const char *key, char *out, size_t room)
{
    char quoted[64];
    snprintf(quoted, sizeof(quoted), "\"%s\"", key);
    const char *s = strstr(json, quoted);
    s = s ? strchr(s + strlen(quoted), ':') : NULL;
    s = s ? strchr(s, '"') : NULL;
    if (!s) {
        return false;
    }
    size_t n = 0;
    for (s++; *s && *s != '"' && n < room - 1; s++) {
        if (*s == '\\' && s[1]) {
            s++;
        }
        out[n++] = *s;
    }
    out[n] = 0;
    return *s == '"';
}

/* The value of "id", which is echoed as it is: a number or a string.  "" if there is none. */
static void json_id(const char *json, char *out, size_t room)
{
    const char *s = strstr(json, "\"id\"");
    *out = 0;
    if (!s || !(s = strchr(s, ':'))) {
        return;
    }
    s += 1 + strspn(s + 1, " ");
    size_t n = *s == '"' ? strcspn(s + 1, "\"") + 2 : strspn(s, "0123456789-");
    if (n && n < room) {
        memcpy(out, s, n);
        out[n] = 0;
    }
}

static void print_json_string(FILE *out, const char *s)
{
    fputc('"', out);
    for (; *s; s++) {
        switch (*s) {
        case '"': case '\\':
            fprintf(out, "\\%c", *s);
            break;
        case '\n':
            fprintf(out, "\\r\\n");
            break;
        default:
            fprintf(out, (uint8_t)*s < ' ' ? "\\u%04x" : "%c", (uint8_t)*s);
        }
    }
    fputc('"', out);
}

/* What a command returns, as JSON; false: there is no such command. */
static bool qmp_execute(const char *name, const char *json, FILE *out)
{
    char line[512] = "";
    if (!strcmp(name, "query-status")) {
        bool run = board_is_running();
        fprintf(out, "{\"status\": \"%s\", \"singlestep\": false, \"running\": %s}", run ? "running" : "paused",
                run ? "true" : "false");
    } else if (!strcmp(name, "query-version")) {
        fprintf(out, "{\"qemu\": {\"major\": 0, \"minor\": 1, \"micro\": 0}, \"package\": \"braid\"}");
    } else if (!strcmp(name, "human-monitor-command")) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);
        bool given = json_string(json, "command-line", line, sizeof(line));
        if (given) {
            command_run(line, f);
        }
        fclose(f);
        print_json_string(out, text);
        free(text);
    } else if (!strcmp(name, "qmp_capabilities")) {
        fprintf(out, "{}");
    } else if (!strcmp(name, "stop") || !strcmp(name, "cont") || !strcmp(name, "system_reset") ||
               !strcmp(name, "quit")) {
        command_run(name, out);
        fprintf(out, "{}");
    } else {
        return false;
    }
    return true;
}

static void qmp_line(Monitor *m)
{
    char name[128] = "", id[128], *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    m->line[m->n] = 0;
    m->n = 0;
    json_id(m->line, id, sizeof(id));
    fprintf(out, "{\"return\": ");
    if (!json_string(m->line, "execute", name, sizeof(name)) || !qmp_execute(name, m->line, out)) {
        rewind(out);
        fprintf(out, "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": ");
        print_json_string(out, *name ? name : "no command");
        fprintf(out, "}");
    }
    if (*id) {
        fprintf(out, ", \"id\": %s", id);
    }
    fprintf(out, "}\r\n");
    fclose(out);
    chardev_print(m->chardev, "%s", text);
    free(text);
}

static size_t qmp_receive(void *opaque, const uint8_t *bytes, size_t n)
{
    Monitor *m = opaque;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n' && m->n) {
            qmp_line(m);
        } else if (bytes[i] != '\n' && m->n < LINE_MAX_BYTES - 1) {
            m->line[m->n++] = (char)bytes[i];
        }
    }
    return n;
}

static void qmp_connected(void *opaque, bool open)
{
    Monitor *m = opaque;
    m->n = 0;
    if (open) {
        chardev_print(m->chardev, "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 0, \"minor\": 1, \"micro\": 0}, "
                      "\"package\": \"braid\"}, \"capabilities\": []}}\r\n");
    }
}

void monitor_create_qmp(Chardev *c)
{
    static const CharFrontend frontend = { qmp_receive, NULL, qmp_connected };
    Monitor *m = xcalloc(1, sizeof(*m));
    m->chardev = c;
    chardev_attach(c, &frontend, m);
}
