/*
 * The life of a machine: one thread (the first) carries out what others ask for.
 *
 * Requests are bits in an atomic word that is also a futex [BOARD-REQUEST]; any thread sets them, board_run()
 * takes them all.  Whether the machine runs is known to board_run()'s
 * thread; others may read it as a hint.  A reset, a stop and the monitor's look
 * inside park all harts first.
 *
 * Signals: SIGTERM, SIGINT, SIGHUP and SIGCONT are blocked in all threads before any is created, and a thread of
 * their own waits for them.
 */
#include "board/board.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "board/device.h"
#include "board/hart.h"
#include "board/monitor.h"
#include "board/savevm.h"
#include "board/terminal.h"
#include "board/timer.h"
#include "board/virt.h"
#include "exec/exec.h"
#include "util/error.h"
#include "util/futex.h"
#include "util/lock.h"

enum {
    REQUEST_POWER_OFF = 1,
    REQUEST_RESET = 2,
    REQUEST_STOP = 4,
    REQUEST_CONTINUE = 8,
    REQUEST_QUIT = 16,
    REQUEST_CALL = 32,
    REQUEST_GUEST_RESET = 64,   /* REQUEST_RESET, asked for by the guest */
    REQUEST_SIGNAL = 128,       /* REQUEST_QUIT, by a signal */
};

#define QUIT_TIMEOUT_MS 5000

static struct BoardContext {
    /* constant after board_create() */
    BoardOptions options;
    BoardEntry entry;

    uint32_t requests;          /* atomic, futex [BOARD-REQUEST] */
    int exit_code;              /* atomic */
    bool running;               /* written by board_run()'s thread, atomic */
    bool has_run;               /* likewise */
    BoardListener *listener;    /* constant before the machine runs */
    BoardDebugger debugger;     /* constant before the machine runs */

    Mutex call_lock;            /* rank BOARD: one call at a time */
    Cond call_done;
    void (*call_fn)(void *);    /* guarded by call_lock */
    void *call_opaque;
} board = { .call_lock = MUTEX_INIT(BOARD), .call_done = COND_INIT };

static void request(uint32_t bits)
{
    round_robin_hold();
    /* [BOARD-REQUEST] pairs with take_requests(). */
    __atomic_fetch_or(&board.requests, bits, __ATOMIC_RELEASE);
    futex_wake(&board.requests, 1);
}

/* Of `stop` and `continue` the last one counts. */
static void request_running(uint32_t bit)
{
    uint32_t old = __atomic_load_n(&board.requests, __ATOMIC_RELAXED);
    /* [BOARD-REQUEST] pairs with take_requests(). */
    while (!__atomic_compare_exchange_n(&board.requests, &old, (old & ~(REQUEST_STOP | REQUEST_CONTINUE)) | bit, true,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    }
    futex_wake(&board.requests, 1);
}

static uint32_t take_requests(void)
{
    for (;;) {
        /* [BOARD-REQUEST] pairs with request(). */
        uint32_t bits = __atomic_exchange_n(&board.requests, 0, __ATOMIC_ACQUIRE);
        if (bits) {
            return bits;
        }
        futex_wait(&board.requests, 0, NULL);
    }
}

/* The hart that asked shall not run on: it comes out of guest code at its next poll, and the request is done
   soon after. */
void board_power_off(int exit_code)
{
    __atomic_store_n(&board.exit_code, exit_code, __ATOMIC_RELAXED);
    request(REQUEST_POWER_OFF);
}

void board_reset(bool by_guest)
{
    uint32_t guest = by_guest ? REQUEST_GUEST_RESET : 0;
    request((board.options.no_reboot ? REQUEST_POWER_OFF : REQUEST_RESET) | guest);
}

void board_stop(void)
{
    request_running(REQUEST_STOP);
}

void board_continue(void)
{
    request_running(REQUEST_CONTINUE);
}

void board_quit(void)
{
    request(REQUEST_QUIT);
}

bool board_is_running(void)
{
    return __atomic_load_n(&board.running, __ATOMIC_RELAXED) && !(harts_parking() & PARK_DEBUGGER);
}

void board_run_paused(void (*fn)(void *opaque), void *opaque)
{
    mutex_lock(&board.call_lock);
    while (board.call_fn) {
        cond_wait(&board.call_done, &board.call_lock);
    }
    board.call_fn = fn;
    board.call_opaque = opaque;
    request(REQUEST_CALL);
    while (board.call_fn == fn && board.call_opaque == opaque) {
        cond_wait(&board.call_done, &board.call_lock);
    }
    mutex_unlock(&board.call_lock);
}

const char *board_status(void)
{
    if (harts_parking() & PARK_DEBUGGER) {
        return "debug";
    }
    return __atomic_load_n(&board.running, __ATOMIC_RELAXED)   ? "running"
           : __atomic_load_n(&board.has_run, __ATOMIC_RELAXED) ? "paused" : "prelaunch";
}

void board_set_listener(BoardListener *fn)
{
    board.listener = fn;
}

static void tell(BoardEvent e, bool by_guest, const char *reason)
{
    if (board.listener) {
        board.listener(e, by_guest, reason);
    }
}

void board_set_debugger(const BoardDebugger *d)
{
    board.debugger = *d;
}

const BoardDebugger *board_debugger(void)
{
    return &board.debugger;
}

void board_debug_stop(CPUState *cpu)
{
    if (board.debugger.stop) {
        board.debugger.stop(cpu);
    }
}

void board_debug_take(void)
{
    harts_park(PARK_DEBUGGER, 0);
    if (__atomic_load_n(&board.running, __ATOMIC_RELAXED)) {
        tell(BOARD_EVENT_STOP, false, NULL);
    }
}

void board_debug_release(void)
{
    harts_release(PARK_DEBUGGER);
    if (__atomic_load_n(&board.running, __ATOMIC_RELAXED)) {
        tell(BOARD_EVENT_RESUME, false, NULL);
    }
}

void board_debug_ask(void)
{
    harts_ask_park(PARK_DEBUGGER);
}

void board_set_entry(const BoardEntry *e)
{
    board.entry = *e;
}

const BoardEntry *board_entry(void)
{
    return &board.entry;
}

/* ---- board_run()'s thread ---- */

static void set_running(bool run)
{
    if (run == board.running) {
        return;
    }
    __atomic_store_n(&board.running, run, __ATOMIC_RELAXED);
    if (run) {
        __atomic_store_n(&board.has_run, true, __ATOMIC_RELAXED);
        harts_release(PARK_STOPPED);
    } else {
        harts_park(PARK_STOPPED, 0);
    }
    tell(run ? BOARD_EVENT_RESUME : BOARD_EVENT_STOP, false, NULL);
}

static void reset_all(void)
{
    devices_reset();
    for (unsigned i = 0; i < hart_ctx.nharts; i++) {
        hart_reset(&hart_ctx.harts[i]);
    }
}

static void do_reset(bool by_guest)
{
    harts_park(PARK_WORK, 0);
    reset_all();
    harts_release(PARK_WORK);
    tell(BOARD_EVENT_RESET, by_guest, by_guest ? "guest-reset" : "host-qmp-system-reset");
}

static void do_call(void)
{
    harts_park(PARK_WORK, 0);
    mutex_lock(&board.call_lock);
    void (*fn)(void *) = board.call_fn;
    void *opaque = board.call_opaque;
    mutex_unlock(&board.call_lock);
    if (fn) {
        fn(opaque);
    }
    mutex_lock(&board.call_lock);
    board.call_fn = NULL;
    mutex_unlock(&board.call_lock);
    cond_broadcast(&board.call_done);
    harts_release(PARK_WORK);
}

/* True: the machine is off for good. */
static bool carry_out(uint32_t bits)
{
    bool by_guest = bits & REQUEST_GUEST_RESET;
    if (bits & (REQUEST_POWER_OFF | REQUEST_QUIT)) {
        tell(BOARD_EVENT_SHUTDOWN, !(bits & REQUEST_QUIT),
             bits & REQUEST_SIGNAL ? "host-signal" : bits & REQUEST_QUIT ? "host-qmp-quit"
             : by_guest ? "guest-reset" : "guest-shutdown");
    }
    if (bits & REQUEST_POWER_OFF) {
        if (board.options.no_shutdown) {
            set_running(false);
        } else {
            bits |= REQUEST_QUIT;
        }
    }
    if (bits & REQUEST_QUIT) {
        return true;
    }
    if (bits & REQUEST_RESET) {
        do_reset(by_guest);
    }
    if (bits & REQUEST_STOP) {
        set_running(false);
    }
    if (bits & REQUEST_CONTINUE) {
        set_running(true);
    }
    if (bits & REQUEST_CALL) {
        do_call();              /* who waits for it has asked for the others before */
    }
    return false;
}

static void *signals_main(void *arg)
{
    sigset_t *set = arg;
    int sig, times = 0;
    pthread_setname_np(pthread_self(), "signals");
    while (!sigwait(set, &sig)) {
        if (sig == SIGCONT) {
            terminal_continue();
            continue;
        }
        if (times++ > 1) {
            exit(128 + sig);        /* asked three times: it hangs */
        }
        __atomic_store_n(&board.exit_code, 128 + sig, __ATOMIC_RELAXED);
        request(REQUEST_QUIT | REQUEST_SIGNAL);
    }
    return NULL;
}

static void catch_signals(void)
{
    static sigset_t set;
    pthread_t thread;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCONT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (pthread_create(&thread, NULL, signals_main, &set)) {
        fatal("cannot create a thread for signals");
    }
    pthread_detach(thread);
}

void board_create(const BoardOptions *options)
{
    board.options = *options;
    catch_signals();
    chardev_set_quit(board_quit);
    if (options->count.on) {
        round_robin_count(&options->count);
        chardev_let_output_wait();
    } else {
        timers_start();
    }
    clock_stop();
    virt_create(&board.options);
    reset_all();
}

static void load_first_state(const char *file)
{
    char *err = NULL;
    harts_park(PARK_WORK, 0);
    if (!savevm_load(file, &err)) {
        fatal_usage("-loadvm: %s", err);
    }
    harts_release(PARK_WORK);
}

int board_run(void)
{
    hart_start_threads();
    chardev_start_all();
    if (board.options.loadvm) {
        load_first_state(board.options.loadvm);
    }
    if (!board.options.start_stopped) {
        set_running(true);
    }
    while (!carry_out(take_requests())) {
    }
    if (!harts_park(PARK_STOPPED, QUIT_TIMEOUT_MS)) {
        warn("a hart does not come out of guest code");
    }
    virt_finish();
    if (board.debugger.exit) {
        board.debugger.exit(__atomic_load_n(&board.exit_code, __ATOMIC_RELAXED));
    }
    chardev_finish_all();
    return __atomic_load_n(&board.exit_code, __ATOMIC_RELAXED);
}
