/*
 * The log: what -d item,… asks for, to stderr or to the file of -D.
 *
 * Any thread writes. A message or a section between log_lock() and log_unlock() reaches
 * the file in one piece: the sections are serialised by a lock of rank LOG, and each ends
 * with a flush. Not for host signal handlers. Settings change while no other thread runs,
 * or at least while it does not matter which threads see it when: items are read relaxed.
 *
 * The descriptor is the log's own (close-on-exec, with a high number), so that a guest
 * that closes or replaces descriptor 2 neither loses the log nor receives it. After
 * fork() the child keeps logging: see log_fork_child().
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "util/compiler.h"

enum LogItemIndex {
#define LOG_ITEM(id, name, help) LOG_INDEX_##id,
#include "util/log-items.def"
#undef LOG_ITEM
    LOG_N_ITEMS
};

/* One bit per item: LOG_IN_ASM, LOG_OP, … */
enum LogItem {
#define LOG_ITEM(id, name, help) LOG_##id = 1u << LOG_INDEX_##id,
#include "util/log-items.def"
#undef LOG_ITEM
    LOG_ALL = (uint32_t)((UINT64_C(1) << LOG_N_ITEMS) - 1)
};

/* Read by the inline functions below; written by log.c only. */
typedef struct LogFlags {
    uint32_t items;      /* atomic: mask of LogItem */
    uint32_t has_filter; /* atomic: 0 = log_filter_match() accepts all */
} LogFlags;
extern LogFlags log_flags;

/* True if any of the items in the mask is on: one relaxed load and a predicted branch. */
static inline bool log_enabled(uint32_t items)
{
    return unlikely(__atomic_load_n(&log_flags.items, __ATOMIC_RELAXED) & items);
}

bool log_filter_match_slow(uint64_t addr);

/* True if @addr lies in one of the ranges of -dfilter, or there is no -dfilter. */
static inline bool log_filter_match(uint64_t addr)
{
    return likely(!__atomic_load_n(&log_flags.has_filter, __ATOMIC_RELAXED)) ||
           log_filter_match_slow(addr);
}

/* Writes one message, newline included by the caller. Does not test any item. */
void log_printf(const char *fmt, ...) attr_printf(1, 2);
void log_vprintf(const char *fmt, va_list ap) attr_printf(1, 0);

/* log_item(LOG_UNIMP, "csr %03x\n", n): arguments are evaluated only if the item is on.
 * */
#define log_item(items, ...)                                                             \
    do {                                                                                 \
        if (log_enabled(items)) {                                                        \
            log_printf(__VA_ARGS__);                                                     \
        }                                                                                \
    } while (0)

/*
 * A section of several lines. Nests in one thread, and log_printf() may be called inside.
 * The stream is valid until the matching log_unlock() and must not be closed.
 */
FILE *log_lock(void);
void log_unlock(void);

/*
 * Settings. On failure they return false, change nothing, and set *err to a sentence that
 * the caller frees.
 * log_set_items: "in_asm,op_opt" replaces the set of items; "" is none, "all" is every
 * one but nochain.
 * log_set_filter: "start+size,start-size,start..end" in any base of strtoull; '-' means
 * the @size bytes that end at start, both ends of '..' are included. "" or NULL removes
 * it. log_set_file: %d in the path becomes the process id. The file is truncated unless
 * @append (for a braid that another one has exec'ed). NULL goes back to stderr.
 */
bool log_set_items(const char *list, char **err);
void log_set_mask(uint32_t items);
uint32_t log_get_mask(void);
bool log_set_filter(const char *list, char **err);
/* Somebody else wants this descriptor: if it is the log's, it goes elsewhere. False if it is not, or cannot. */
bool log_move_fd(int fd);
bool log_set_file(const char *path, bool append, char **err);

/* The items and their help texts, for -d help. */
void log_print_items(FILE *out);

/* The descriptor that the log writes to, or -1 if it has none yet. */
int log_get_fd(void);

/*
 * Around fork(), called by util/fork.h: prepare takes the lock and empties the buffer,
 * parent and child give it back. The child of a log with %d in its name opens a file of
 * its own.
 */
void log_fork_prepare(void);
void log_fork_parent(void);
void log_fork_child(void);

#endif
