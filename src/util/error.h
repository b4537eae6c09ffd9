/*
 * The kinds of error that end a program, each with its own function: the user's command
 * line (fatal_usage), the host ran out of something without which nothing can go on
 * (fatal), and a bug of ours (braid_assert, unreachable). Errors of the guest never come
 * here: they become exceptions or errno values for the guest.
 *
 * All functions may be called from any thread. A failing assertion calls the dump hooks
 * in the failing thread, once; an assertion that fails inside a hook aborts at once.
 */
#ifndef UTIL_ERROR_H
#define UTIL_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "util/compiler.h"

/* The prefix of every message; argv0 must live for ever, its directory part is skipped.
 * */
void error_set_program_name(const char *argv0);
const char *error_program_name(void);

/* "prog: message\n" on stderr, then exit(2) for fatal_usage(), exit(1) for fatal(). */
attr_noreturn attr_cold void fatal_usage(const char *fmt, ...) attr_printf(1, 2);
attr_noreturn attr_cold void fatal(const char *fmt, ...) attr_printf(1, 2);
/* "prog: warning: message\n" on stderr; errno is kept. */
attr_cold void warn(const char *fmt, ...) attr_printf(1, 2);

/*
 * A dump hook prints what its subsystem knows of the failing thread (block, IR, guest
 * registers) to @out. It runs with unknown locks held: it must take none. At most
 * ERROR_MAX_HOOKS hooks; they run in the order in which they were added. Removal takes
 * the same pair.
 */
#define ERROR_MAX_HOOKS 8
typedef void ErrorDumpHook(FILE *out, void *opaque);
void error_add_dump_hook(ErrorDumpHook *hook, void *opaque);
void error_remove_dump_hook(ErrorDumpHook *hook, void *opaque);

/*
 * What must be put right before the program dies by a signal or an assertion (the terminal): @fn is async-signal-safe
 * and may be called more than once. One at a time; NULL takes it back.
 */
void error_set_farewell(void (*fn)(void));
/* For the handler of a fatal signal: calls the farewell; when the handler returns, the signal takes its
 * default action. */
attr_cold void error_die_of_signal_sigsafe(int sig);

/* Says that braid is at fault, runs the hooks, and dies by SIGABRT with its default
 * action. */
attr_noreturn attr_cold void error_bug(const char *file, int line, const char *func,
                                       const char *fmt, ...) attr_printf(4, 5);

/* Checked in every build: for what must not go wrong silently. */
#define braid_assert(cond)                                                               \
    (likely(cond)                                                                        \
         ? (void)0                                                                       \
         : error_bug(__FILE__, __LINE__, __func__, "assertion failed: %s", #cond))
/* The same with words: braid_assert_msg(n < max, "unit has %u ops", n). */
#define braid_assert_msg(cond, ...)                                                      \
    (likely(cond) ? (void)0 : error_bug(__FILE__, __LINE__, __func__, __VA_ARGS__))

/* Checked in debug builds only (those without NDEBUG): for hot paths. */
#ifdef NDEBUG
#define braid_debug_assert(cond) ((void)sizeof(!(cond)))
#else
#define braid_debug_assert(cond) braid_assert(cond)
#endif

/* A place that control flow cannot reach. Aborts with a message if it does. */
#ifndef unreachable
#define unreachable()                                                                    \
    error_bug(__FILE__, __LINE__, __func__, "unreachable code was reached")
#endif

/* Allocation that cannot fail: memory from malloc's heap, or fatal(). Zero size gives a
 * pointer that can be freed. */
void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);

#endif
