/*
 * The host-specific instructions of linux-user: a system call that cannot sleep through a
 * signal, and copies that survive a fault.  The signal handlers (signal.c) compare the
 * interrupted pc with the labels below.
 *
 * safe_syscall_asm(pending, nr, a0 ... a5): *pending is set by the host signal handler when
 * a guest signal waits.  If it is set before the `syscall` instruction runs, the call is not
 * made.  A handler that finds the pc in [safe_syscall_start, safe_syscall_insn) moves it to
 * safe_syscall_not_started; one that finds it on the instruction itself, where the kernel puts it
 * when it wants a call restarted, moves it to safe_syscall_restart.  Past the
 * instruction the result is in rax and is left alone.
 */
    .text
    .globl safe_syscall_asm
    .type safe_syscall_asm, @function
    .hidden safe_syscall_asm
safe_syscall_asm:
    .cfi_startproc
    push %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    mov %rdi, %rbx
    mov %rsi, %rax
    mov %rdx, %rdi
    mov %rcx, %rsi
    mov %r8, %rdx
    mov %r9, %r10
    mov 16(%rsp), %r8
    mov 24(%rsp), %r9
    .globl safe_syscall_start, safe_syscall_insn, safe_syscall_not_started, safe_syscall_restart
    .hidden safe_syscall_start, safe_syscall_insn, safe_syscall_not_started
    .hidden safe_syscall_restart
safe_syscall_start:
    cmpl $0, (%rbx)
    jne safe_syscall_not_started
safe_syscall_insn:
    syscall
    pop %rbx
    .cfi_remember_state
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    ret
    .cfi_restore_state
safe_syscall_not_started:
    mov $-1024, %rax            /* -BRAID_NOT_STARTED */
    pop %rbx
    .cfi_remember_state
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    ret
    .cfi_restore_state
safe_syscall_restart:
    mov $-512, %rax             /* -BRAID_ERESTARTSYS */
    pop %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    ret
    .cfi_endproc
    .size safe_syscall_asm, . - safe_syscall_asm

/*
 * user_copy_asm(to, from, n): returns the number of bytes not copied.  A fault between
 * user_copy_start and user_copy_end continues at user_copy_end, with what is left in rcx.
 */
    .globl user_copy_asm, user_copy_start, user_copy_end
    .hidden user_copy_asm, user_copy_start, user_copy_end
    .type user_copy_asm, @function
user_copy_asm:
    .cfi_startproc
    mov %rdx, %rcx
user_copy_start:
    rep movsb
user_copy_end:
    mov %rcx, %rax
    ret
    .cfi_endproc
    .size user_copy_asm, . - user_copy_asm

/*
 * user_cmpxchg32_asm(p, old, new, &seen): 0, or 1 if *p cannot be written.  *seen is what was there.
 */
    .globl user_cmpxchg32_asm, user_cmpxchg32_start, user_cmpxchg32_end
    .hidden user_cmpxchg32_asm, user_cmpxchg32_start, user_cmpxchg32_end
    .type user_cmpxchg32_asm, @function
user_cmpxchg32_asm:
    .cfi_startproc
    mov %rcx, %r8
    mov %esi, %eax
    mov $1, %ecx
user_cmpxchg32_start:
    lock cmpxchg %edx, (%rdi)
    xor %ecx, %ecx
user_cmpxchg32_end:
    mov %eax, (%r8)
    mov %ecx, %eax
    ret
    .cfi_endproc
    .size user_cmpxchg32_asm, . - user_cmpxchg32_asm

/*
 * clone3_asm(args, size, fn, arg): the parent gets the kernel's result; the child, on the stack that args
 * names, calls fn(arg) and ends its thread with what that returns.
 */
    .globl clone3_asm
    .hidden clone3_asm
    .type clone3_asm, @function
clone3_asm:
    .cfi_startproc
    mov %rcx, %r8
    mov $435, %eax
    syscall
    test %rax, %rax
    jz clone3_child
    ret
clone3_child:
    .cfi_undefined rip
    xor %ebp, %ebp
    mov %r8, %rdi
    call *%rdx
    mov %eax, %edi
    mov $60, %eax               /* exit */
    syscall
    hlt
    .cfi_endproc
    .size clone3_asm, . - clone3_asm

/* Where the host's signal handlers return to. */
    .globl host_sigreturn_asm
    .hidden host_sigreturn_asm
    .type host_sigreturn_asm, @function
host_sigreturn_asm:
    mov $15, %eax               /* rt_sigreturn */
    syscall
    .size host_sigreturn_asm, . - host_sigreturn_asm

    .section .note.GNU-stack, "", @progbits
