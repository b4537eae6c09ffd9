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
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "debug/gdb-catch.h"
#include "debug/gdb-file.h"
#include "debug/gdb-fork.h"
#include "debug/gdb-memory.h"
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
    uint64_t child;             /* the thread has forked this process, which waits for `decider`; 0: not so */
    int decider;                /* gdb-fork.h; -1: gdb has decided */
    bool leaves;                /* the thread executes another program, which gets the connection */
    uint32_t back;              /* atomic, futex [GDB-DONE]: it has failed */
    bool posted;                /* nobody waits */
    int deliver;                /* set before `done` */
    uint32_t done;              /* atomic, futex [GDB-DONE] */
    struct GdbStop *next;       /* guarded by gdb.lock */
} GdbStop;

static struct GdbStub {
    /* constant after gdb_start() or the first gdb_listen() */
    GdbTarget target;
    int wake_fd;                /* eventfd: something is in the list, or the listener has changed */
    pthread_t thread_handle;
    GdbLink link;               /* constant while connected */
    int listener;               /* gdb_listen(): atomic; -1: none */
    uint32_t connected;         /* atomic; changed under lock */
    uint32_t fork_events;       /* atomic: gdb wants to hear of forks */
    uint32_t exec_events;       /* atomic: and of programs that are executed */

    Mutex lock;                 /* rank DEBUG */
    /* guarded by lock */
    GdbStop *first, **last;

    /* owned by the stub's thread */
    bool stopped;               /* it owns an exclusive section */
    bool owes_reply;            /* gdb has resumed the guest and waits for a stop */
    bool knows_swbreak;
    bool physical;              /* addresses of memory are physical */
    bool processes;             /* atomic: threads are named with their process, the multiprocess extension */
    bool means_child;           /* Hg has named the process that current->child is */
    GdbStop *current;           /* what stopped the machine; NULL: gdb did */
    uint64_t thread;            /* what g, m, ... mean: Hg, or who stopped */
    uint64_t step_thread;       /* what s means: Hc; 0: the same */
    bool executed;              /* the program has just taken another one's place, and the connection over */
    char stop_reply[2 * PATH_MAX + 128];
    int stop_sig;               /* the signal in it */
    GdbReply reply;
} gdb = { .wake_fd = -1, .listener = -1, .lock = MUTEX_INIT(DEBUG), .last = &gdb.first };

#define add(...) gdb_reply_add(&gdb.reply, __VA_ARGS__)

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

/* TID, or pPID.TID, or pPID for all its threads; *pid may be NULL, and becomes 0 if none is named. */
static uint64_t parse_thread(const char *s, uint64_t *pid)
{
    uint64_t process = 0;
    if (*s == 'p') {
        char *end;
        process = strtoull(s + 1, &end, 16);
        s = *end == '.' ? end + 1 : "-1";
    }
    if (pid) {
        *pid = process;
    }
    return *s == '-' ? UINT64_MAX : strtoull(s, NULL, 16);
}

typedef struct ThreadName {
    char text[40];
} ThreadName;

static ThreadName thread_name_in(uint64_t pid, uint64_t id)
{
    ThreadName name;
    snprintf(name.text, sizeof(name.text), gdb.processes ? "p%" PRIx64 ".%" PRIx64 : "%.0" PRIx64 "%" PRIx64,
             gdb.processes ? pid : 0, id);
    return name;
}

static ThreadName thread_name(uint64_t id)
{
    return thread_name_in(gdb.target.pid, id);
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
    } else if (stop && stop->child) {
        p += snprintf(p, (size_t)(end - p), "fork:%s;", thread_name_in(stop->child, stop->child).text);
    } else if (stop && stop->at_start && gdb.executed) {
        gdb.executed = false;
        p += snprintf(p, (size_t)(end - p), "exec:");
        for (const char *c = gdb.target.exec_file; *c; c++) {
            p += snprintf(p, (size_t)(end - p), "%02x", (uint8_t)*c);
        }
        p += snprintf(p, (size_t)(end - p), ";");
    } else if (stop && !stop->sig && !stop->at_start) {
        const CPUDebug *d = &stop->cpu->debug;
        if (d->event == DEBUG_EVENT_WATCH) {
            p += snprintf(p, (size_t)(end - p), "%s:%" PRIx64 ";", watch_name(d->watch_kind),
                          d->watch_addr);
        } else if (d->event == DEBUG_EVENT_BREAKPOINT && gdb.knows_swbreak) {
            p += snprintf(p, (size_t)(end - p), "swbreak:;");
        }
    }
    snprintf(p, (size_t)(end - p), "thread:%s;", thread_name(gdb.thread).text);
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
    gdb.stop_sig = sig;
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

/* Shall gdb follow the child that the stop is about, if there is one and nobody has said so far? */
static void decide_fork(GdbStop *stop, bool follow)
{
    if (stop && stop->child && stop->decider >= 0) {
        gdb_fork_decide(stop->decider, follow);
        stop->decider = -1;
    }
    gdb.means_child = false;
}

/* Go on; whoever stopped gets this signal. */
static void resume(int deliver)
{
    GdbStop *stop = gdb.current;
    decide_fork(stop, false);
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
    if (stop->sig || stop->at_start || stop->child) {
        return false;
    }
    if (stop->call) {
        return !gdb_catch_wants(stop->nr);
    }
    return (d->event == DEBUG_EVENT_BREAKPOINT && !debug_breakpoint_at(stop->cpu->env.pc)) ||
           (d->event == DEBUG_EVENT_WATCH && !debug_watchpoint_is_set(d->watch_addr, d->watch_kind));
}

/* While a thread executes another program gdb is not listened to. */
static void wait_for_exec(GdbStop *stop)
{
    finish(stop, 0);
    /* [GDB-DONE] pairs with gdb_exec_failed(). */
    while (!__atomic_load_n(&stop->back, __ATOMIC_ACQUIRE)) {
        futex_wait(&stop->back, 0, NULL);
    }
}

/* Report what is in the list, if the machine runs. */
static void handle_stops(void)
{
    GdbStop *stop;
    while (!gdb.stopped && (stop = take_stop())) {
        if (stop->leaves) {
            wait_for_exec(stop);
            continue;
        }
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
    __atomic_store_n(&gdb.processes, false, __ATOMIC_RELAXED);
    __atomic_store_n(&gdb.fork_events, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&gdb.exec_events, 0, __ATOMIC_RELAXED);
    for (GdbStop *stop; (stop = take_stop());) {
        decide_fork(stop, false);
        finish(stop, stop->sig);
    }
    close_own(gdb.link.fd);
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
    uint64_t id = *action == ':' ? parse_thread(action + 1, NULL) : UINT64_MAX;
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
    if (!gdb_parse_range(&range, &offset, &len)) {
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
        fprintf(f, "<thread id=\"%s\">%s</thread>", thread_name(thread_id(cpu)).text, name);
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
    if (gdb.target.system_calls) {
        bool processes = strstr(args, "multiprocess+"), forks = processes && strstr(args, ";fork-events+");
        __atomic_store_n(&gdb.processes, processes, __ATOMIC_RELAXED);
        bool execs = processes && strstr(args, ";exec-events+");
        __atomic_store_n(&gdb.fork_events, forks, __ATOMIC_RELAXED);
        __atomic_store_n(&gdb.exec_events, execs, __ATOMIC_RELAXED);
        add(";QCatchSyscalls+%s%s%s", processes ? ";multiprocess+" : "", forks ? ";fork-events+" : "",
            execs ? ";exec-events+" : "");
    }
}

static void cmd_thread_list(void)
{
    add("m");
    for (CPUState *cpu = next_thread(0); cpu; cpu = next_thread(thread_id(cpu))) {
        add("%s%s", gdb.reply.n > 1 ? "," : "", thread_name(thread_id(cpu)).text);
    }
}

/* qRcmd,HEX: what the monitor prints goes to gdb's console as it comes, in pieces. */
static void cmd_monitor(const char *hex)
{
    char command[1024], *text = NULL;
    size_t size, n = gdb_parse_hex(hex, (uint8_t *)command, sizeof(command) - 1);
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
        gdb_reply_add_hex(&gdb.reply, text + at, piece);
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
        add("QC%s", thread_name(gdb.thread).text);
    } else if (starts_with(p, "qAttached", &rest)) {
        add("1");               /* `quit` leaves the guest running */
    } else if (starts_with(p, "qThreadExtraInfo,", &rest)) {
        CPUState *cpu = find_thread(parse_thread(rest, NULL));
        char text[128] = "gone";
        if (cpu) {
            gdb.target.describe_thread(cpu, text, sizeof(text));
        }
        gdb_reply_add_hex(&gdb.reply, text, strlen(text));
    } else if (!strcmp(p, "QStartNoAckMode")) {
        add("OK");
    } else if (starts_with(p, "QPassSignals:", &rest)) {
        gdb_catch_set_passed(rest);
        add("OK");
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

/* The child of the fork that gdb has just been told of, and has not decided about. */
static bool is_forked_child(uint64_t pid)
{
    return pid && gdb.current && gdb.current->child == pid && gdb.current->decider >= 0;
}

/*
 * D, or D;PID: gdb leaves a process.  If that is the parent in a fork the child goes on with this connection; it has
 * no breakpoints any more.  False: the connection is over, here.
 */
static bool cmd_detach(const char *args)
{
    uint64_t pid = *args == ';' ? strtoull(args + 1, NULL, 16) : 0;
    gdb_packet_send(&gdb.link, "OK", 2);
    if (is_forked_child(pid)) {
        decide_fork(gdb.current, false);
        return true;
    }
    decide_fork(gdb.current, gdb.processes);
    return false;
}

static void cmd_set_thread(char *args)
{
    uint64_t pid, id = parse_thread(args + 1, &pid);
    gdb.means_child = *args == 'g' && is_forked_child(pid);
    if (gdb.means_child) {
        add("OK");
    } else if (*args == 'c') {
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
    GdbView view = { &gdb.reply, &gdb.target, gdb.physical }, *v = &view;
    gdb.reply.n = 0;
    switch (*p) {
    case '?':
        describe_stop(gdb.current, gdb.stop_sig);   /* again: gdb may have said meanwhile how it names threads */
        add("%s", gdb.stop_reply);
        break;
    case 'H': cmd_set_thread(p + 1); break;
    case 'T': add(find_thread(parse_thread(p + 1, NULL)) ? "OK" : "E16"); break;
    case 'q':
    case 'Q': cmd_query(p); break;
    case 'v': cmd_v(p); break;
    case 'Z':
    case 'z':
        if (gdb.means_child) {
            add("OK");          /* it has none */
        } else {
            gdb_breakpoint(&gdb.reply, p + 1, *p == 'Z');
        }
        break;
    case 'c':
    case 's':
    case 'C':
    case 'S': cmd_resume(*p, p + 1); break;
    case 'k': gdb.target.kill(); break;
    case 'D': return cmd_detach(p + 1);
    default:
        /* The child's memory is still what the parent's is; but it must not be changed here. */
        if (!cpu || (gdb.means_child && strchr("GPMX", *p))) {
            add("E16");
            break;
        }
        switch (*p) {
        case 'g': gdb_read_registers(v, cpu); break;
        case 'G': gdb_write_registers(v, cpu, p + 1); break;
        case 'p':
        case 'P': gdb_one_register(v, cpu, p + 1, *p == 'P'); break;
        case 'm': gdb_read_memory(v, cpu, p + 1); break;
        case 'M':
        case 'X': gdb_write_memory(v, cpu, p + 1, n - 1, *p == 'X'); break;
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

static bool start_thread(void *(*fn)(void *), void *arg, char **err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);   /* the guest's signals are not for this thread */
    int failed = pthread_create(&gdb.thread_handle, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failed) {
        *err = str_format("no thread for gdb: %s", strerror(failed));
    }
    return !failed;
}

/* ---- for vCPU threads ---- */

static bool is_connected(void)
{
    return unlikely(__atomic_load_n(&gdb.connected, __ATOMIC_RELAXED));
}

static int wait_until_done(GdbStop *stop)
{
    /* [GDB-DONE] pairs with finish(). */
    while (!__atomic_load_n(&stop->done, __ATOMIC_ACQUIRE)) {
        futex_wait(&stop->done, 0, NULL);
    }
    return stop->deliver;
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
    return wait_until_done(stop);
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
    if (!is_connected() || gdb_catch_passes(sig)) {
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
        char text[40];
        int n = sig ? snprintf(text, sizeof(text), "X%02x", gdb_signal_from_linux(sig))
                    : snprintf(text, sizeof(text), "W%02x", status & 0xff);
        if (__atomic_load_n(&gdb.processes, __ATOMIC_RELAXED)) {
            n += snprintf(text + n, sizeof(text) - (size_t)n, ";process:%" PRIx64, gdb.target.pid);
        }
        gdb_packet_send(&gdb.link, text, (size_t)n);
    }
}

bool gdb_fork_begin(void)
{
    return is_connected() && __atomic_load_n(&gdb.fork_events, __ATOMIC_RELAXED) && gdb_fork_open();
}

void gdb_fork_parent(CPUState *cpu, int64_t child)
{
    GdbStop stop = { .cpu = cpu, .child = child > 0 ? (uint64_t)child : 0, .decider = gdb_fork_decider() };
    if (child > 0 && is_connected()) {
        wait_for_gdb(&stop);
    }
    if (stop.decider >= 0) {
        gdb_fork_decide(stop.decider, false);   /* there is no child, or no gdb any more */
    }
}

static void forget_gdb(void)
{
    gdb.connected = 0;
    close_own(gdb.link.fd);
    close_own(gdb.wake_fd);
}

/* gdb follows this process. */
static void *followed_main(void *opaque)
{
    take_machine();
    report(opaque, SIGTRAP);
    serve(true);
    return NULL;
}

void gdb_fork_child(CPUState *cpu, bool begun)
{
    bool followed = begun && gdb_fork_wait();
    if (!is_connected()) {
        return;
    }
    gdb.first = NULL;
    gdb.last = &gdb.first;
    mutex_reinit(&gdb.lock);
    mutex_reinit(&gdb.link.send_lock);
    start_exclusive(cpu);
    debug_clear();
    debug_commit();
    end_exclusive(cpu);
    int wake_fd = followed ? eventfd(0, EFD_CLOEXEC) : -1;
    if (wake_fd < 0) {
        forget_gdb();
        return;
    }
    close_own(gdb.wake_fd);
    gdb.wake_fd = own_fd_add(wake_fd);
    gdb.link.n_in = 0;
    gdb.target.pid = (uint64_t)getpid();
    gdb.stopped = gdb.owes_reply = gdb.means_child = false;
    GdbStop stop = { .cpu = cpu, .at_start = true };
    char *err;
    if (!start_thread(followed_main, &stop, &err)) {
        warn("%s", err);
        free(err);
        forget_gdb();
        return;
    }
    wait_until_done(&stop);
}

/* ---- another program ---- */

enum { TAKES_NO_ACK = 1, TAKES_SWBREAK = 2, TAKES_PROCESSES = 4, TAKES_FORKS = 8 };

static _Thread_local GdbStop exec_stop;

char *gdb_exec_begin(CPUState *cpu)
{
    if (!is_connected() || !__atomic_load_n(&gdb.exec_events, __ATOMIC_RELAXED)) {
        return NULL;
    }
    exec_stop = (GdbStop){ .cpu = cpu, .leaves = true };
    wait_for_gdb(&exec_stop);
    if (!is_connected()) {
        return NULL;
    }
    fcntl(gdb.link.fd, F_SETFD, 0);
    return str_format("fd:%d,%d", gdb.link.fd,
                      (gdb.link.no_ack ? TAKES_NO_ACK : 0) | (gdb.knows_swbreak ? TAKES_SWBREAK : 0) |
                      (gdb.processes ? TAKES_PROCESSES : 0) | (gdb.fork_events ? TAKES_FORKS : 0));
}

void gdb_exec_failed(void)
{
    fcntl(gdb.link.fd, F_SETFD, FD_CLOEXEC);
    /* [GDB-DONE] pairs with wait_for_exec(). */
    __atomic_store_n(&exec_stop.back, 1, __ATOMIC_RELEASE);
    futex_wake_all(&exec_stop.back);
}

/* What gdb_exec_begin() of the program before has said.  The descriptor of the connection, or -1. */
static int take_over(const char *where)
{
    int fd, takes, type;
    socklen_t size = sizeof(type);
    if (sscanf(where, "fd:%d,%d", &fd, &takes) != 2 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size)) {
        return -1;
    }
    gdb_link_init(&gdb.link, own_fd_add(fd));
    gdb.link.no_ack = takes & TAKES_NO_ACK;
    gdb.knows_swbreak = takes & TAKES_SWBREAK;
    gdb.processes = takes & TAKES_PROCESSES;
    gdb.fork_events = takes & TAKES_FORKS ? 1 : 0;
    gdb.exec_events = gdb.owes_reply = gdb.executed = true;
    return gdb.link.fd;
}

/* ---- start ---- */

static bool cannot_wait(const char *where, char **err)
{
    *err = str_format("cannot wait for gdb at '%s': %s", where, strerror(errno));
    return false;
}

bool gdb_start(const char *where, const GdbTarget *target, char **err)
{
    gdb.target = *target;
    if (take_over(where) < 0) {
        int listener = gdb_link_listen(where), fd = listener < 0 ? -1 : gdb_link_accept(listener);
        if (fd < 0) {
            return cannot_wait(where, err);
        }
        close(listener);
        gdb_link_init(&gdb.link, own_fd_add(fd));
    }
    gdb.wake_fd = own_fd_add(eventfd(0, EFD_CLOEXEC));
    if (gdb.wake_fd < 0) {
        return cannot_wait(where, err);
    }
    gdb.connected = 1;
    return start_thread(stub_main, NULL, err);
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
        return start_thread(server_main, NULL, err);
    }
    uint64_t one = 1;
    bool told = write(gdb.wake_fd, &one, sizeof(one)) > 0;
    if (old >= 0) {
        close(old);
    }
    return told || cannot_wait(where, err);
}
