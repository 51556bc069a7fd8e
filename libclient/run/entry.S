/* SPDX-License-Identifier: MIT
 *
 * syscall(2), by number. Calls about memory go on in C; all others are made here as libc makes them,
 * without a frame: some of them return twice.
 */
#include <sys/syscall.h>

#define CLONE_VM 0x100 /* linux/sched.h, which is no assembler */

	.text
	.globl	run_syscall
	.hidden	run_syscall
	.hidden	run_syscall_replaced
	.hidden	run_syscall_failed
	.type	run_syscall, @function
run_syscall:
	.cfi_startproc
	endbr64
	cmpq	$SYS_mmap, %rdi
	je	1f
	cmpq	$SYS_mprotect, %rdi
	je	1f
	cmpq	$SYS_pkey_mprotect, %rdi
	je	1f
	cmpq	$SYS_munmap, %rdi
	je	1f
	cmpq	$SYS_brk, %rdi
	je	1f
	cmpq	$SYS_mremap, %rdi
	je	1f
	cmpq	$SYS_madvise, %rdi
	je	1f
	cmpq	$SYS_mlock, %rdi
	je	1f
	cmpq	$SYS_munlock, %rdi
	je	1f
	cmpq	$SYS_mlockall, %rdi
	je	1f
	cmpq	$SYS_munlockall, %rdi
	je	1f
	cmpq	$SYS_mlock2, %rdi
	je	1f
	cmpq	$SYS_execve, %rdi
	je	1f
	cmpq	$SYS_ioctl, %rdi
	je	1f
	cmpq	$SYS_fork, %rdi
	je	1f
	/* With CLONE_VM the child has this address space: nothing is to be done, and it returns here. */
	cmpq	$SYS_clone, %rdi
	jne	3f
	testq	$CLONE_VM, %rsi
	jz	1f
3:	cmpq	$SYS_clone3, %rdi
	jne	4f
	testq	%rsi, %rsi
	jz	4f
	testq	$CLONE_VM, (%rsi)
	jz	1f
4:
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %r10
	movq	%r9, %r8
	movq	8(%rsp), %r9
	syscall
	cmpq	$-4095, %rax
	jae	2f
	ret
1:	jmp	run_syscall_replaced
2:	movq	%rax, %rdi
	jmp	run_syscall_failed
	.cfi_endproc
	.size	run_syscall, .-run_syscall
	.section .note.GNU-stack, "", @progbits
