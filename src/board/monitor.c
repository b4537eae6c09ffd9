/*
 * The monitor for people: a line editor in front of the commands.
 *
 * Input comes on the chardev's reader thread, and commands run right there; so each Monitor belongs to that one
 * thread, and has no lock.
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
