/*
 * Forced to the front of every source of exec/ and util/ that the torture tests compile
 * (-include): each atomic builtin may first give the processor away.  So threads change
 * places between any two accesses that matter, also inside locks, which a scheduler left
 * alone does once in a million times.
 *
 * A macro is not expanded again inside itself, so the builtins keep their names.
 */
#ifndef TESTS_EXEC_CHAOS_H
#define TESTS_EXEC_CHAOS_H

void chaos(void);

#define __atomic_load_n(p, order) (chaos(), __atomic_load_n(p, order))
#define __atomic_store_n(p, v, order) (chaos(), __atomic_store_n(p, v, order))
#define __atomic_exchange_n(p, v, order) (chaos(), __atomic_exchange_n(p, v, order))
#define __atomic_compare_exchange_n(p, e, v, weak, ok, fail) \
    (chaos(), __atomic_compare_exchange_n(p, e, v, weak, ok, fail))
#define __atomic_fetch_add(p, v, order) (chaos(), __atomic_fetch_add(p, v, order))
#define __atomic_fetch_sub(p, v, order) (chaos(), __atomic_fetch_sub(p, v, order))
#define __atomic_fetch_or(p, v, order) (chaos(), __atomic_fetch_or(p, v, order))
#define __atomic_fetch_and(p, v, order) (chaos(), __atomic_fetch_and(p, v, order))
#define __atomic_thread_fence(order) (chaos(), __atomic_thread_fence(order))

#endif
