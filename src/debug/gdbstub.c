/*
 * The remote protocol's commands, and who stops and goes on when (all-stop mode).
 *
 * vCPU threads hand a GdbStop to the stub's thread through a list, and sleep on it or park.  The stub's thread
 * takes one at a time: it stops the guest, answers gdb until gdb resumes it,
 * sets what each vCPU shall do, and lets it go on.  What else happened meanwhile is in the list and
 * stops the guest again, unless it was a breakpoint or watchpoint that gdb has removed since.
 */
#include "debug/gdbstub.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "debug/gdb-catch.h"
#include "debug/gdb-file.h"
#include "debug/gdb-packet.h"
#include "debug/gdb-signal.h"
#include "exec/debug.h"
#include "exec/tb.h"
#include "util/error.h"
#include "util/futex.h"
#include "util/own-fd.h"
#include "util/strutil.h"

/* On the stack of the vCPU thread that waits, or from malloc() if none does. */
typedef struct GdbStop {
    CPUState *cpu;
    int sig;                    /* a signal on its way to the guest, or 0: cpu->debug says what */
    bool at_start;              /* of the guest */
    const char *call;           /* gdb's name of the event: entry into system call `nr`, or return; NULL: neither */
    uint64_t nr;
    bool posted;                /* nobody waits */
    int deliver;                /* set before `done` */
    uint32_t done;              /* atomic, futex [GDB-DONE] */
    struct GdbStop *next;       /* guarded by gdb.lock */
} GdbStop;

typedef struct Reply {
    size_t n;
    char text[GDB_PACKET_SIZE + 1];
} Reply;

static struct GdbStub {
    /* constant after gdb_start() or the first gdb_listen() */
    GdbTarget target;
    int wake_fd;                /* eventfd: something is in the list, or the listener has changed */
    pthread_t thread_handle;
    GdbLink link;               /* constant while connected */
    int listener;               /* gdb_listen(): atomic; -1: none */
    uint32_t connected;         /* atomic; changed under lock */
    uint64_t pass_signals;      /* atomic: bit n-1: signal n does not concern gdb */

    Mutex lock;                 /* rank DEBUG */
    /* guarded by lock */
    GdbStop *first, **last;

    /* owned by the stub's thread */
    bool stopped;               /* it owns an exclusive section */
    bool owes_reply;            /* gdb has resumed the guest and waits for a stop */
    bool knows_swbreak;
    bool physical;              /* addresses of memory are physical */
    GdbStop *current;           /* what stopped the machine; NULL: gdb did */
    uint64_t thread;            /* what g, m, ... mean: Hg, or who stopped */
    uint64_t step_thread;       /* what s means: Hc; 0: the same */
    char stop_reply[128];
    Reply reply;
} gdb = { .wake_fd = -1, .listener = -1, .lock = MUTEX_INIT(DEBUG), .last = &gdb.first };

/* ---- replies ---- */

static void attr_printf(1, 2) add(const char *fmt, ...)
{
    Reply *r = &gdb.reply;
    va_list ap;
    va_start(ap, fmt);
    int k = vsnprintf(r->text + r->n, sizeof(r->text) - r->n, fmt, ap);
    va_end(ap);
    r->n += k > 0 ? (size_t)k : 0;
    r->n = r->n < GDB_PACKET_SIZE ? r->n : GDB_PACKET_SIZE;
}

static void add_hex(const void *data, size_t n)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++) {
        add("%02x", p[i]);
    }
}

/* As many bytes as there are pairs of digits, at most max. */
static size_t parse_hex(const char *s, uint8_t *out, size_t max)
{
    size_t n = 0;
    for (; n < max && str_hex_digit((uint8_t)s[0]) >= 0 && str_hex_digit((uint8_t)s[1]) >= 0; s += 2) {
        out[n++] = (uint8_t)(str_hex_digit((uint8_t)s[0]) << 4 | str_hex_digit((uint8_t)s[1]));
    }
    return n;
}

/* ---- threads ---- */

static uint64_t thread_id(CPUState *cpu)
{
    return gdb.target.thread_id(cpu);
}

/* The thread with the lowest id above `id`, NULL: there is none.  No vCPU comes or goes meanwhile. */
static CPUState *next_thread(uint64_t id)
{
    CPUState *best = NULL;
    for (CPUState *cpu = exec_ctx.cpus; cpu; cpu = cpu->next_cpu) {
        if (thread_id(cpu) > id && (!best || thread_id(cpu) < thread_id(best))) {
            best = cpu;
        }
    }
    return best;
}

/* 0 and -1: any. */
static CPUState *find_thread(uint64_t id)
{
    if (id == 0 || id == UINT64_MAX) {
        return next_thread(0);
    }
    CPUState *cpu = next_thread(id - 1);
    return cpu && thread_id(cpu) == id ? cpu : NULL;
}

static CPUState *current_thread(void)
{
    CPUState *cpu = find_thread(gdb.thread);
    return cpu ? cpu : find_thread(0);
}

static uint64_t parse_thread(const char *s)
{
    return *s == '-' ? UINT64_MAX : strtoull(s, NULL, 16);
}

/* ---- stopping and going on ---- */

static void finish(GdbStop *stop, int deliver)
{
    if (stop->posted) {
        free(stop);
        return;
    }
    stop->deliver = deliver;
    /* [GDB-DONE] pairs with the load in wait_for_gdb(). */
    __atomic_store_n(&stop->done, 1, __ATOMIC_RELEASE);
    futex_wake_all(&stop->done);
}

static const char *watch_name(unsigned kind)
{
    return kind == WATCH_WRITE ? "watch" : kind == WATCH_READ ? "rwatch" : "awatch";
}

static void describe_stop(const GdbStop *stop, int sig)
{
    char *p = gdb.stop_reply, *end = p + sizeof(gdb.stop_reply);
    p += snprintf(p, (size_t)(end - p), "T%02x", gdb_signal_from_linux(sig));
    if (stop && stop->call) {
        p += snprintf(p, (size_t)(end - p), "%s:%" PRIx64 ";", stop->call, stop->nr);
    } else if (stop && !stop->sig && !stop->at_start) {
        const CPUDebug *d = &stop->cpu->debug;
        if (d->event == DEBUG_EVENT_WATCH) {
            p += snprintf(p, (size_t)(end - p), "%s:%" PRIx64 ";", watch_name(d->watch_kind),
                          d->watch_addr);
        } else if (d->event == DEBUG_EVENT_BREAKPOINT && gdb.knows_swbreak) {
            p += snprintf(p, (size_t)(end - p), "swbreak:;");
        }
    }
    snprintf(p, (size_t)(end - p), "thread:%" PRIx64 ";", gdb.thread);
}

static void take_machine(void)
{
    if (gdb.stopped) {
        return;
    }
    if (gdb.target.take) {
        gdb.target.take();
    } else {
        start_exclusive(NULL);
    }
    gdb.stopped = true;
}

/* The machine stands still because of `stop`, or because gdb asked for it (NULL). */
static void report(GdbStop *stop, int sig)
{
    gdb.current = stop;
    CPUState *cpu = stop ? stop->cpu : current_thread();
    gdb.thread = cpu ? thread_id(cpu) : 0;
    gdb.step_thread = 0;
    describe_stop(stop, sig);
    if (gdb.owes_reply) {
        gdb.owes_reply = false;
        gdb_packet_send(&gdb.link, gdb.stop_reply, strlen(gdb.stop_reply));
    }
}

static void release_machine(bool start)
{
    if (gdb.target.release) {
        start_exclusive(NULL);
    }
    debug_commit();
    gdb.stopped = false;
    end_exclusive(NULL);
    if (gdb.target.release) {
        gdb.target.release(start);
    }
}

/* Go on; whoever stopped gets this signal. */
static void resume(int deliver)
{
    GdbStop *stop = gdb.current;
    gdb.current = NULL;
    gdb.owes_reply = true;
    if (stop) {
        finish(stop, deliver);
    }
    release_machine(true);
}

static GdbStop *take_stop(void)
{
    mutex_lock(&gdb.lock);
    GdbStop *stop = gdb.first;
    if (stop) {
        gdb.first = stop->next;
        if (!gdb.first) {
            gdb.last = &gdb.first;
        }
    }
    mutex_unlock(&gdb.lock);
    return stop;
}

static bool is_stale(const GdbStop *stop)
{
    const CPUDebug *d = &stop->cpu->debug;
    if (stop->sig || stop->at_start) {
        return false;
    }
    if (stop->call) {
        return !gdb_catch_wants(stop->nr);
    }
    return (d->event == DEBUG_EVENT_BREAKPOINT && !debug_breakpoint_at(stop->cpu->env.pc)) ||
           (d->event == DEBUG_EVENT_WATCH && !debug_watchpoint_is_set(d->watch_addr, d->watch_kind));
}

/* Report what is in the list, if the machine runs. */
static void handle_stops(void)
{
    GdbStop *stop;
    while (!gdb.stopped && (stop = take_stop())) {
        take_machine();
        if (is_stale(stop)) {
            finish(stop, 0);
            release_machine(false);
        } else {
            report(stop, stop->sig ? stop->sig : SIGTRAP);
        }
    }
}

static void close_own(int fd)
{
    own_fd_remove(fd);
    close(fd);
}

/* gdb leaves: nothing of it remains in the guest. */
static void disconnect(void)
{
    gdb_file_close_all();
    mutex_lock(&gdb.lock);
    /* Under the lock: who still finds it set is in the list, and let go below. */
    __atomic_store_n(&gdb.connected, 0, __ATOMIC_RELAXED);
    mutex_unlock(&gdb.lock);
    take_machine();
    debug_clear();
    gdb_catch_set(NULL);
    resume(gdb.current ? gdb.current->sig : 0);
    gdb.owes_reply = gdb.physical = false;
    for (GdbStop *stop; (stop = take_stop());) {
        finish(stop, stop->sig);
    }
    close_own(gdb.link.fd);
}

/* ---- registers and memory ---- */

static void cmd_read_regs(CPUState *cpu)
{
    uint8_t buf[16];
    for (unsigned n = 0; n < gdb.target.guest->gdb_nregs; n++) {
        add_hex(buf, gdb.target.guest->gdb_read_reg(cpu, n, buf));
    }
}

static void cmd_write_regs(CPUState *cpu, const char *hex)
{
    uint8_t buf[16];
    for (unsigned n = 0; n < gdb.target.guest->gdb_nregs; n++) {
        unsigned size = gdb.target.guest->gdb_read_reg(cpu, n, buf);
        if (parse_hex(hex, buf, size) < size) {
            add("E16");
            return;
        }
        gdb.target.guest->gdb_write_reg(cpu, n, buf);
        hex += 2 * size;
    }
    add("OK");
}

/* p N, P N=VALUE */
static void cmd_one_reg(CPUState *cpu, char *args, bool write)
{
    uint8_t buf[16] = { 0 };
    char *end;
    unsigned n = (unsigned)strtoul(args, &end, 16);
    if (write && *end == '=') {
        unsigned size = gdb.target.guest->gdb_read_reg(cpu, n, buf);
        bool good = size && parse_hex(end + 1, buf, size) == size &&
                    gdb.target.guest->gdb_write_reg(cpu, n, buf);
        add(good ? "OK" : "E16");
        return;
    }
    unsigned size = write ? 0 : gdb.target.guest->gdb_read_reg(cpu, n, buf);
    if (size) {
        add_hex(buf, size);
    } else {
        add("E16");
    }
}

static bool parse_range(char **args, uint64_t *addr, uint64_t *len)
{
    *addr = strtoull(*args, args, 16);
    if (**args != ',') {
        return false;
    }
    *len = strtoull(*args + 1, args, 16);
    return true;
}

static bool read_memory(CPUState *cpu, uint64_t addr, void *buf, size_t n)
{
    return gdb.physical ? gdb.target.read_physical(addr, buf, n) : gdb.target.read_memory(cpu, addr, buf, n);
}

static bool write_memory(CPUState *cpu, uint64_t addr, const void *buf, size_t n)
{
    return gdb.physical ? gdb.target.write_physical(addr, buf, n) : gdb.target.write_memory(cpu, addr, buf, n);
}

/* m ADDR,LEN: as much as can be read. */
static void cmd_read_memory(CPUState *cpu, char *args)
{
    static uint8_t buf[GDB_PACKET_SIZE / 2];    /* owned by the stub's thread */
    uint64_t addr, len;
    if (!parse_range(&args, &addr, &len)) {
        add("E16");
        return;
    }
    len = len < sizeof(buf) ? len : sizeof(buf);
    if (!read_memory(cpu, addr, buf, len)) {
        uint64_t in_page = GUEST_PAGE_SIZE - (addr & ~GUEST_PAGE_MASK);
        len = len > in_page ? in_page : 0;
        if (!len || !read_memory(cpu, addr, buf, len)) {
            add("E0e");
            return;
        }
    }
    add_hex(buf, len);
}

/* M ADDR,LEN:HEX and X ADDR,LEN:BYTES, of which n are there */
static void cmd_write_memory(CPUState *cpu, char *args, size_t n, bool binary)
{
    char *p = args;
    uint64_t addr, len;
    bool good = parse_range(&p, &addr, &len) && *p++ == ':';
    if (good && !binary) {
        good = parse_hex(p, (uint8_t *)p, n / 2) == len;    /* in place: the result is shorter */
    } else {
        good = good && n - (size_t)(p - args) == len;
    }
    add(!good ? "E16" : !len || write_memory(cpu, addr, p, len) ? "OK" : "E0e");
}

/* Z TYPE,ADDR,KIND and z: for watchpoints the kind is their length */
static void cmd_breakpoint(char *args, bool insert)
{
    static const WatchKind watch[] = { [2] = WATCH_WRITE, [3] = WATCH_READ, [4] = WATCH_ACCESS };
    unsigned type = (unsigned)strtoul(args, &args, 16);
    uint64_t addr, kind;
    if (type > 4) {
        return;                 /* an empty reply: not supported */
    }
    if (*args++ != ',' || !parse_range(&args, &addr, &kind)) {
        add("E16");
        return;
    }
    if (type < 2 && insert) {
        debug_insert_breakpoint(addr);
    } else if (type < 2) {
        debug_remove_breakpoint(addr);
    } else if (insert) {
        debug_insert_watchpoint(addr, kind, watch[type]);
    } else {
        debug_remove_watchpoint(addr, kind, watch[type]);
    }
    add("OK");
}

/* ---- resuming ---- */

static void set_all(DebugResume how)
{
    for (CPUState *cpu = exec_ctx.cpus; cpu; cpu = cpu->next_cpu) {
        debug_set_resume(cpu, how);
    }
}

/* One action of vCont: c, s, C SIG or S SIG, then perhaps :THREAD.  False: not understood. */
static bool apply_action(char *action, int *deliver)
{
    char what = *action++;
    int sig = what == 'C' || what == 'S' ? gdb_signal_to_linux((int)strtoul(action, &action, 16)) : 0;
    DebugResume how = what == 's' || what == 'S' ? DEBUG_STEP : DEBUG_RUN;
    uint64_t id = *action == ':' ? parse_thread(action + 1) : UINT64_MAX;
    CPUState *stopper = gdb.current ? gdb.current->cpu : NULL;
    if (!strchr("csCS", what)) {
        return false;
    }
    for (CPUState *cpu = exec_ctx.cpus; cpu; cpu = cpu->next_cpu) {
        if (id == UINT64_MAX || thread_id(cpu) == id) {
            debug_set_resume(cpu, how);
            *deliver = cpu == stopper ? sig : *deliver;
        }
    }
    return true;
}

/* vCont;ACTION;...: the first that names a thread counts, so from the last to the first. */
static void cmd_vcont(char *actions)
{
    int deliver = 0;
    set_all(DEBUG_HOLD);
    for (char *last; (last = strrchr(actions, ';'));) {
        *last = '\0';
        if (!apply_action(last + 1, &deliver)) {
            set_all(DEBUG_RUN);
            add("E16");
            return;
        }
    }
    resume(deliver);
}

/* The old commands c, s, C SIG, S SIG: all run, one of them may step. */
static void cmd_resume(char what, char *args)
{
    int sig = what == 'C' || what == 'S' ? gdb_signal_to_linux((int)strtoul(args, NULL, 16)) : 0;
    set_all(DEBUG_RUN);
    if (what == 's' || what == 'S') {
        CPUState *cpu = gdb.step_thread ? find_thread(gdb.step_thread) : current_thread();
        if (cpu) {
            debug_set_resume(cpu, DEBUG_STEP);
        }
    }
    resume(sig);
}

/* ---- queries ---- */

/* qXfer:OBJECT:read:ANNEX:OFFSET,LENGTH: the part that is asked for, `m`ore or the `l`ast. */
static void xfer_reply(const void *data, size_t size, char *range)
{
    uint64_t offset, len;
    if (!parse_range(&range, &offset, &len)) {
        add("E16");
        return;
    }
    offset = offset < size ? offset : size;
    len = len < GDB_PACKET_SIZE / 2 ? len : GDB_PACKET_SIZE / 2;
    uint64_t n = len < size - offset ? len : size - offset;
    add("%c", offset + n < size ? 'm' : 'l');
    memcpy(gdb.reply.text + gdb.reply.n, (const char *)data + offset, n);
    gdb.reply.n += n;
}

static void xfer_threads(char *range)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) {
        fatal("out of memory");
    }
    fprintf(f, "<?xml version=\"1.0\"?><threads>");
    for (CPUState *cpu = next_thread(0); cpu; cpu = next_thread(thread_id(cpu))) {
        char name[128];
        gdb.target.describe_thread(cpu, name, sizeof(name));
        name[strcspn(name, "<>&")] = '\0';
        fprintf(f, "<thread id=\"%" PRIx64 "\">%s</thread>", thread_id(cpu), name);
    }
    fprintf(f, "</threads>");
    fclose(f);
    xfer_reply(text, size, range);
    free(text);
}

static bool starts_with(char *s, const char *start, char **rest)
{
    size_t n = strlen(start);
    *rest = s + n;
    return !strncmp(s, start, n);
}

static void cmd_xfer(char *args)
{
    char *rest;
    if (starts_with(args, "features:read:target.xml:", &rest)) {
        xfer_reply(gdb.target.guest->gdb_target_xml, strlen(gdb.target.guest->gdb_target_xml), rest);
    } else if (starts_with(args, "auxv:read::", &rest) && gdb.target.read_auxv) {
        uint8_t auxv[1024];
        xfer_reply(auxv, gdb.target.read_auxv(0, auxv, sizeof(auxv)), rest);
    } else if (starts_with(args, "exec-file:read:", &rest) && gdb.target.exec_file) {
        char *range = strchr(rest, ':');
        xfer_reply(gdb.target.exec_file, strlen(gdb.target.exec_file), range ? range + 1 : rest);
    } else if (starts_with(args, "threads:read::", &rest)) {
        xfer_threads(rest);
    }
}

static void cmd_supported(const char *args)
{
    gdb.knows_swbreak = strstr(args, "swbreak+");
    add("PacketSize=%x;QStartNoAckMode+;QPassSignals+;swbreak+;vContSupported+;"
        "qXfer:features:read+;qXfer:threads:read+", GDB_PACKET_SIZE);
    add("%s%s", gdb.target.read_auxv ? ";qXfer:auxv:read+" : "",
        gdb.target.exec_file ? ";qXfer:exec-file:read+" : "");
    add("%s", gdb.target.system_calls ? ";QCatchSyscalls+" : "");
}

static void cmd_thread_list(void)
{
    add("m");
    for (CPUState *cpu = next_thread(0); cpu; cpu = next_thread(thread_id(cpu))) {
        add("%s%" PRIx64, gdb.reply.n > 1 ? "," : "", thread_id(cpu));
    }
}

/* QPassSignals:N;N;...: those of which gdb wants to hear nothing */
static void cmd_pass_signals(char *list)
{
    uint64_t set = 0;
    for (char *s = list; *s; s += *s == ';') {
        int sig = gdb_signal_to_linux((int)strtoul(s, &s, 16));
        set |= sig ? 1ull << (sig - 1) : 0;
        if (*s && *s != ';') {
            break;
        }
    }
    __atomic_store_n(&gdb.pass_signals, set, __ATOMIC_RELAXED);
    add("OK");
}

/* qRcmd,HEX: what the monitor prints goes to gdb's console as it comes, in pieces. */
static void cmd_monitor(const char *hex)
{
    char command[1024], *text = NULL;
    size_t size, n = parse_hex(hex, (uint8_t *)command, sizeof(command) - 1);
    FILE *f = open_memstream(&text, &size);
    if (!f) {
        fatal("out of memory");
    }
    command[n] = '\0';
    gdb.target.monitor(command, f);
    fclose(f);
    for (size_t at = 0; at < size;) {
        size_t piece = size - at < GDB_PACKET_SIZE / 4 ? size - at : GDB_PACKET_SIZE / 4;
        gdb.reply.n = 0;
        add("O");
        add_hex(text + at, piece);
        gdb_packet_send(&gdb.link, gdb.reply.text, gdb.reply.n);
        at += piece;
    }
    free(text);
    gdb.reply.n = 0;
    add("OK");
}

static void cmd_query(char *p)
{
    char *rest;
    if (gdb.target.monitor && starts_with(p, "qRcmd,", &rest)) {
        cmd_monitor(rest);
    } else if (gdb.target.read_physical && !strcmp(p, "qqemu.PhyMemMode")) {
        add("%d", gdb.physical);
    } else if (gdb.target.read_physical && starts_with(p, "Qqemu.PhyMemMode:", &rest)) {
        gdb.physical = *rest == '1';
        add("OK");
    } else if (starts_with(p, "qSupported", &rest)) {
        cmd_supported(rest);
    } else if (starts_with(p, "qXfer:", &rest)) {
        cmd_xfer(rest);
    } else if (!strcmp(p, "qfThreadInfo")) {
        cmd_thread_list();
    } else if (!strcmp(p, "qsThreadInfo")) {
        add("l");
    } else if (!strcmp(p, "qC")) {
        add("QC%" PRIx64, gdb.thread);
    } else if (starts_with(p, "qAttached", &rest)) {
        add("1");               /* `quit` leaves the guest running */
    } else if (starts_with(p, "qThreadExtraInfo,", &rest)) {
        CPUState *cpu = find_thread(parse_thread(rest));
        char text[128] = "gone";
        if (cpu) {
            gdb.target.describe_thread(cpu, text, sizeof(text));
        }
        add_hex(text, strlen(text));
    } else if (!strcmp(p, "QStartNoAckMode")) {
        add("OK");
    } else if (starts_with(p, "QPassSignals:", &rest)) {
        cmd_pass_signals(rest);
    } else if (gdb.target.system_calls && starts_with(p, "QCatchSyscalls:", &rest)) {
        add(gdb_catch_set(rest) ? "OK" : "E16");
    }
}

/* ---- the commands ---- */

static void cmd_v(char *p)
{
    char *rest;
    if (!strcmp(p, "vCont?")) {
        add("vCont;c;C;s;S");
    } else if (starts_with(p, "vCont;", &rest)) {
        cmd_vcont(rest - 1);
    } else if (gdb.target.find_file && starts_with(p, "vFile:", &rest)) {
        gdb.reply.n = gdb_file_command(rest, gdb.reply.text, GDB_PACKET_SIZE, gdb.target.find_file);
    } else if (starts_with(p, "vKill", &rest)) {
        add("OK");
        gdb_packet_send(&gdb.link, gdb.reply.text, gdb.reply.n);
        gdb.target.kill();
    }
}

static void cmd_set_thread(char *args)
{
    uint64_t id = parse_thread(args + 1);
    if (*args == 'c') {
        gdb.step_thread = id == UINT64_MAX ? 0 : id;
        add("OK");
    } else if (find_thread(id)) {
        gdb.thread = thread_id(id && id != UINT64_MAX ? find_thread(id) : current_thread());
        add("OK");
    } else {
        add("E16");
    }
}

/* False: the connection is over. */
static bool handle_packet(char *p, size_t n)
{
    CPUState *cpu = current_thread();
    gdb.reply.n = 0;
    switch (*p) {
    case '?': add("%s", gdb.stop_reply); break;
    case 'H': cmd_set_thread(p + 1); break;
    case 'T': add(find_thread(parse_thread(p + 1)) ? "OK" : "E16"); break;
    case 'q':
    case 'Q': cmd_query(p); break;
    case 'v': cmd_v(p); break;
    case 'Z':
    case 'z': cmd_breakpoint(p + 1, *p == 'Z'); break;
    case 'c':
    case 's':
    case 'C':
    case 'S': cmd_resume(*p, p + 1); break;
    case 'k': gdb.target.kill(); break;
    case 'D':
        gdb_packet_send(&gdb.link, "OK", 2);
        return false;
    default:
        if (!cpu) {
            add("E16");
            break;
        }
        switch (*p) {
        case 'g': cmd_read_regs(cpu); break;
        case 'G': cmd_write_regs(cpu, p + 1); break;
        case 'p':
        case 'P': cmd_one_reg(cpu, p + 1, *p == 'P'); break;
        case 'm': cmd_read_memory(cpu, p + 1); break;
        case 'M':
        case 'X': cmd_write_memory(cpu, p + 1, n - 1, *p == 'X'); break;
        }
    }
    if (!gdb.owes_reply) {
        gdb_packet_send(&gdb.link, gdb.reply.text, gdb.reply.n);
    }
    if (!strcmp(p, "QStartNoAckMode")) {
        __atomic_store_n(&gdb.link.no_ack, true, __ATOMIC_RELAXED);
    }
    return true;
}

/* All that has been received.  False: gdb is gone. */
static bool handle_input(void)
{
    static char data[GDB_PACKET_SIZE + 8];      /* owned by the stub's thread */
    size_t n;
    for (;;) {
        switch (gdb_link_next(&gdb.link, data, &n)) {
        case GDB_INPUT_NONE:
            return true;
        case GDB_INPUT_INTERRUPT:
            if (!gdb.stopped) {
                take_machine();
                report(NULL, SIGINT);
            }
            break;
        case GDB_INPUT_PACKET:
            /* gdb sends none while the guest runs; if it does, it means the guest as it is now. */
            if (!gdb.stopped) {
                take_machine();
                report(NULL, SIGINT);
            }
            if (!handle_packet(data, n)) {
                return false;
            }
            handle_stops();
            break;
        }
    }
}

/* Until gdb leaves.  `answers_at_once`: else nothing is answered before the first stop. */
static void serve(bool answers_at_once)
{
    struct pollfd fds[2] = { { gdb.wake_fd, POLLIN, 0 }, { gdb.link.fd, POLLIN, 0 } };
    for (nfds_t n = answers_at_once ? 2 : 1;; n = 2) {
        uint64_t count;
        if (poll(fds, n, -1) < 0) {
            continue;
        }
        if (fds[0].revents && read(gdb.wake_fd, &count, sizeof(count)) > 0) {
            handle_stops();
        }
        if (n == 2 && fds[1].revents && (!gdb_link_receive(&gdb.link) || !handle_input())) {
            break;
        }
    }
    disconnect();
}

/* A program's. */
static void *stub_main(void *opaque)
{
    serve(false);
    return NULL;
}

/* A machine's: one gdb after the other. */
static void *server_main(void *opaque)
{
    pthread_setname_np(pthread_self(), "gdb");
    for (;;) {
        int listener = __atomic_load_n(&gdb.listener, __ATOMIC_RELAXED);
        struct pollfd fds[2] = { { gdb.wake_fd, POLLIN, 0 }, { listener, POLLIN, 0 } };
        uint64_t count;
        if (poll(fds, listener < 0 ? 1 : 2, -1) < 0) {
            continue;
        }
        if (fds[0].revents && read(gdb.wake_fd, &count, sizeof(count)) > 0) {
            continue;
        }
        int fd = gdb_link_accept(listener);
        if (fd < 0) {
            continue;           /* who knocked is gone, or the listener is */
        }
        gdb_link_init(&gdb.link, own_fd_add(fd));
        mutex_lock(&gdb.lock);
        __atomic_store_n(&gdb.connected, 1, __ATOMIC_RELAXED);
        mutex_unlock(&gdb.lock);
        take_machine();
        report(NULL, SIGTRAP);
        serve(true);
    }
    return NULL;
}

/* ---- for vCPU threads ---- */

static bool is_connected(void)
{
    return unlikely(__atomic_load_n(&gdb.connected, __ATOMIC_RELAXED));
}

static int wait_for_gdb(GdbStop *stop)
{
    uint64_t one = 1;
    mutex_lock(&gdb.lock);
    bool alone = !is_connected();
    if (!alone) {
        *gdb.last = stop;
        gdb.last = &stop->next;
    }
    mutex_unlock(&gdb.lock);
    if (alone || write(gdb.wake_fd, &one, sizeof(one)) < 0) {
        return stop->sig;
    }
    /* [GDB-DONE] pairs with finish(). */
    while (!__atomic_load_n(&stop->done, __ATOMIC_ACQUIRE)) {
        futex_wait(&stop->done, 0, NULL);
    }
    return stop->deliver;
}

void gdb_stop(CPUState *cpu)
{
    static bool started;        /* owned by the first thread, until there are others */
    GdbStop stop = { .cpu = cpu, .at_start = !started };
    started = true;
    wait_for_gdb(&stop);
}

void gdb_post(CPUState *cpu)
{
    uint64_t one = 1;
    mutex_lock(&gdb.lock);
    bool there = is_connected();
    if (there) {
        GdbStop *stop = xcalloc(1, sizeof(*stop));
        stop->cpu = cpu;
        stop->posted = true;
        *gdb.last = stop;
        gdb.last = &stop->next;
        /* Under the lock: once gdb is seen to be gone, nobody asks any more. */
        gdb.target.ask_stop();
    }
    mutex_unlock(&gdb.lock);
    if (there && write(gdb.wake_fd, &one, sizeof(one)) < 0) {
        warn("cannot tell gdb of a stop: %s", strerror(errno));
    }
}

int gdb_signal(CPUState *cpu, int sig)
{
    uint64_t passed = __atomic_load_n(&gdb.pass_signals, __ATOMIC_RELAXED);
    if (!is_connected() || passed >> (sig - 1) & 1) {
        return sig;
    }
    GdbStop stop = { .cpu = cpu, .sig = sig };
    return wait_for_gdb(&stop);
}

void gdb_syscall(CPUState *cpu, uint64_t nr, bool returned)
{
    if (is_connected() && gdb_catch_wants(nr)) {
        GdbStop stop = { .cpu = cpu, .call = returned ? "syscall_return" : "syscall_entry", .nr = nr };
        wait_for_gdb(&stop);
    }
}

void gdb_exit(int status, int sig)
{
    if (is_connected()) {
        char text[8];
        int n = sig ? snprintf(text, sizeof(text), "X%02x", gdb_signal_from_linux(sig))
                    : snprintf(text, sizeof(text), "W%02x", status & 0xff);
        gdb_packet_send(&gdb.link, text, (size_t)n);
    }
}

void gdb_fork_child(CPUState *cpu)
{
    if (!is_connected()) {
        return;
    }
    gdb.connected = 0;
    gdb.first = NULL;
    gdb.last = &gdb.first;
    mutex_reinit(&gdb.lock);
    close_own(gdb.link.fd);
    close_own(gdb.wake_fd);
    start_exclusive(cpu);
    debug_clear();
    debug_commit();
    end_exclusive(cpu);
}

/* ---- start ---- */

static bool cannot_wait(const char *where, char **err)
{
    *err = str_format("cannot wait for gdb at '%s': %s", where, strerror(errno));
    return false;
}

static bool start_thread(void *(*fn)(void *), char **err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);   /* the guest's signals are not for this thread */
    int failed = pthread_create(&gdb.thread_handle, NULL, fn, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failed) {
        *err = str_format("no thread for gdb: %s", strerror(failed));
    }
    return !failed;
}

bool gdb_start(const char *where, const GdbTarget *target, char **err)
{
    gdb.target = *target;
    int listener = gdb_link_listen(where), fd = listener < 0 ? -1 : gdb_link_accept(listener);
    gdb.wake_fd = fd < 0 ? -1 : own_fd_add(eventfd(0, EFD_CLOEXEC));
    if (gdb.wake_fd < 0) {
        return cannot_wait(where, err);
    }
    close(listener);
    gdb_link_init(&gdb.link, own_fd_add(fd));
    gdb.connected = 1;
    return start_thread(stub_main, err);
}

bool gdb_listen(const char *where, const GdbTarget *target, char **err)
{
    bool none = !strcmp(where, "none"), first = gdb.wake_fd < 0;
    int listener = none ? -1 : gdb_link_listen(where);
    if (!none && listener < 0) {
        return cannot_wait(where, err);
    }
    if (first && (gdb.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
        return cannot_wait(where, err);
    }
    int old = __atomic_exchange_n(&gdb.listener, listener, __ATOMIC_RELAXED);
    if (first) {
        gdb.target = *target;
        return start_thread(server_main, err);
    }
    uint64_t one = 1;
    bool told = write(gdb.wake_fd, &one, sizeof(one)) > 0;
    if (old >= 0) {
        close(old);
    }
    return told || cannot_wait(where, err);
}
