/*
 * Guest signals: from the host's handler to the guest's frame.
 */
#ifndef LINUX_USER_USER_SIGNAL_H
#define LINUX_USER_USER_SIGNAL_H

#include "linux-user/thread.h"

/* Take over the dispositions and the mask that the process was started with. */
void signal_init(GuestThread *main_thread);
/* The calling thread gets its alternate stack of the host's: HOST_ALTSTACK_SIZE bytes at `altstack`; NULL: a mapping of its own. */
void signal_thread_init(GuestThread *t, void *altstack);
/* The calling thread, all of whose signals are blocked, needs its alternate stack no more. */
void signal_thread_end(GuestThread *t);

/* The thread is dead without having called that. */
void signal_thread_gone(GuestThread *t);

/* Another process has the same dispositions, or a copy that is its own. */
SigHand *sighand_share(SigHand *sh);
SigHand *sighand_copy(SigHand *from);
void sighand_drop(SigHand *sh);
/*
 * From now on signals whose default action ends the process end it between two guest instructions, when
 * it holds no lock, and not wherever it is.
 */
void signal_catch_deadly(GuestThread *t);

/* Make the host's disposition of `sig` the guest's again, after somebody else has changed it. */
void signal_reinstall(GuestThread *t, int sig);

/* Deliver what is pending; may not return (fatal signals).  pc and registers are the guest's. */
void signal_deliver_pending(GuestThread *t);
/* SIGSTOP, SIGSEGV or SIGBUS is to be delivered as soon as the mask allows. */
void signal_hold(GuestThread *t, const siginfo_t *info);
/* ptrace_call has been set, all signals being blocked in the host. */
void signal_note_call(GuestThread *t);
/* A signal caused by the instruction at pc. */
void signal_deliver_fault(GuestThread *t, int sig, int code, uint64_t addr);
/* The same with all that siginfo_t can say: it cannot be blocked or ignored. */
void signal_deliver_forced(GuestThread *t, const siginfo_t *info);
/* Would the pending signal run a handler, and does it want the call restarted?  For the end of a call. */
bool signal_pending_wants_eintr(GuestThread *t);

/* The guest's mask is now `mask`, in the host too. */
void signal_set_mask(GuestThread *t, SigSet mask);
/* Until the call returns the guest's mask is *guest_set (for ppoll and the like); ends in
   signal_mask_end(t, result). */
void signal_mask_begin(GuestThread *t, SigSet set);
void signal_mask_end(GuestThread *t, int64_t result);
/* Block every signal in the host, for moments when the thread is not itself. */
void signal_block_all(SigSet *old);
void signal_restore_host(SigSet old);
/* What the host blocks when the guest blocks `set`. */
SigSet signal_host_mask(SigSet set);

/* Where a frame of `size` bytes goes: on the alternate stack if the action says so. */
uint64_t signal_frame_address(GuestThread *t, const GuestSigaction *act, uint64_t sp,
                              uint64_t size);
/* The guest's stack_t as saved in a frame, and back. */
GuestStack signal_get_altstack(GuestThread *t, uint64_t sp);
int64_t signal_set_altstack(GuestThread *t, const GuestStack *ss, uint64_t sp);
void signal_autodisarm(GuestThread *t);
bool signal_on_altstack(const GuestThread *t, uint64_t sp);

/* Die as if by this signal, with its default action.  info: what it came with, if that action is to dump
   core; else NULL. */
_Noreturn void signal_die(GuestThread *t, int sig, const siginfo_t *info);

/* CLONE_CLEAR_SIGHAND: all handlers become the default action. */
void signal_reset_for_clear_sighand(GuestThread *t);

#endif
