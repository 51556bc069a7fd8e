/* SPDX-License-Identifier: MIT
 *
 * clone, and fork, clone and clone3 by syscall(2). A child that shares this address space is made
 * as before. Any other one is a fork: it gets its managed memory, on the stack that it has in
 * common with its parent, and only then goes on where the caller says. What the kernel would write
 * meanwhile to memory that may be managed is written here when that can be touched: it would wait
 * for the fork, and the fork for it.
 *
 * Runs on: the thread that forks; the child's one thread.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

/* As far as this file knows them: all up to Linux 5.7. */
struct clone3_arguments {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
	    set_tid_size, cgroup;
};
#define CLONE3_BYTES_MIN 64 /* of Linux 5.3 */
#define SET_TID_MAX      32

/* A child to be made. */
struct cloning {
	struct clone3_arguments wanted; /* as the caller has said */
	struct clone3_arguments given;  /* as the kernel is told */
	bool is_clone3;                 /* else the kernel is asked by clone, which needs no more */
	int pidfd;
	int32_t set_tid[SET_TID_MAX];
};

static void *
pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

static pid_t
kernel_clone(void *context)
{
	struct cloning *c = context;
	const struct clone3_arguments *a = &c->given;
	long r;

	if (c->is_clone3)
		r = raw_call(SYS_clone3, (uintptr_t)a, sizeof(*a), 0, 0, 0, 0);
	else
		r = raw_call(SYS_clone, a->flags | a->exit_signal, 0, a->pidfd, a->child_tid, 0, 0);
	if (!raw_failed(r))
		return (pid_t)r;
	errno = (int)-r;
	return -1;
}

/* What is told to the kernel. => 0 or -errno: the kernel would not do it */
static long
given_make(struct cloning *c)
{
	struct clone3_arguments *g = &c->given;

	*g = c->wanted;
	/* On this stack, and with this thread's own variables, until its memory is there. */
	g->stack = g->stack_size = g->tls = g->parent_tid = 0;
	g->flags &=
	    ~(uint64_t)(CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_VFORK);
	g->pidfd = g->flags & CLONE_PIDFD ? (uintptr_t)&c->pidfd : 0;
	if (g->set_tid_size > SET_TID_MAX)
		return -EINVAL;
	if (g->set_tid_size > 0 && g->set_tid) {
		memcpy(c->set_tid, pointer(g->set_tid), g->set_tid_size * sizeof(c->set_tid[0]));
		g->set_tid = (uintptr_t)c->set_tid;
	}
	return 0;
}

/* With CLONE_VFORK the parent waits until the child goes on to another program or ends: then the
 * last end of a pipe is closed. */
static void
child_await(int ends[2])
{
	char byte;

	if (ends[1] < 0)
		return;
	close(ends[1]);
	while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
		continue;
	close(ends[0]);
}

static void
pipe_make(const struct cloning *c, int ends[2])
{
	/* In a table of descriptors that both have it would not close. */
	if (!(c->wanted.flags & CLONE_VFORK) || (c->wanted.flags & CLONE_FILES) ||
	    pipe2(ends, O_CLOEXEC) < 0)
		ends[0] = ends[1] = -1;
}

/* => as the system call; in the child its stack is still this one */
static long
fork_like(struct cloning *c)
{
	uint64_t flags = c->wanted.flags;
	int saved = errno, ends[2];
	long r = given_make(c);
	pid_t pid;

	if (r < 0)
		return r;
	pipe_make(c, ends);
	pid = fork_by(kernel_clone, c, (flags & CLONE_FILES) != 0);
	r = pid < 0 ? -errno : pid;
	if (pid != 0)
		child_await(ends);
	else if (ends[0] >= 0)
		close(ends[0]);
	if (pid > 0 && (flags & CLONE_PARENT_SETTID))
		*(pid_t *)pointer(c->wanted.parent_tid) = pid;
	if (pid > 0 && (flags & CLONE_PIDFD))
		*(int *)pointer(c->is_clone3 ? c->wanted.pidfd : c->wanted.parent_tid) = c->pidfd;
	if (pid == 0 && (flags & CLONE_CHILD_SETTID))
		*(pid_t *)pointer(c->wanted.child_tid) =
		    (pid_t)raw_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
	errno = saved;
	return r;
}

/* The last things before the child goes on: no function that looks at thread's variables may be
 * called afterwards. */
static inline void
child_variables(const struct cloning *c)
{
	if (c->wanted.flags & CLONE_SETTLS)
		raw_call(SYS_arch_prctl, ARCH_SET_FS, c->wanted.tls, 0, 0, 0, 0);
}

typedef int child_function(void *);
static child_function *(*clone_original)(child_function *, void *, int, void *, ...);

static _Noreturn void
child_call(const struct cloning *c, child_function *function, void *argument)
{
	uint64_t stack = c->wanted.stack & ~(uint64_t)15;

	child_variables(c);
	__asm__ volatile("movq %%rcx, %%rsp\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "callq *%%rax\n\t"
			 "movl %%eax, %%edi\n\t"
			 "movl %3, %%eax\n\t"
			 "syscall\n\t"
			 "hlt"
			 :
			 : "c"(stack), "a"(function), "D"(argument), "i"(SYS_exit)
			 : "memory");
	__builtin_unreachable();
}

int
run_clone(child_function *function, void *stack, int flags, void *argument, ...)
{
	struct cloning c = { .wanted = { .flags = (uint64_t)(unsigned)flags & ~(uint64_t)CSIGNAL,
				 .exit_signal = (uint64_t)(flags & CSIGNAL),
				 .stack = (uintptr_t)stack } };
	va_list more;
	long r;

	va_start(more, argument);
	c.wanted.parent_tid = (uintptr_t)va_arg(more, void *);
	c.wanted.tls = (uintptr_t)va_arg(more, void *);
	c.wanted.child_tid = (uintptr_t)va_arg(more, void *);
	va_end(more);
	if ((flags & CLONE_VM) || !function || !stack)
		return (int)(intptr_t)clone_original(function, stack, flags, argument,
		    pointer(c.wanted.parent_tid), pointer(c.wanted.tls),
		    pointer(c.wanted.child_tid));
	r = fork_like(&c);
	if (r == 0)
		child_call(&c, function, argument);
	return r < 0 ? (int)run_syscall_failed(r) : (int)r;
}

/* In the child, syscall(2) returns on the stack that it was given. */
static _Noreturn void
child_return(const struct cloning *c)
{
	uint64_t stack = c->wanted.stack + c->wanted.stack_size;

	child_variables(c);
	__asm__ volatile("movq %%rcx, %%rsp\n\t"
			 "xorl %%eax, %%eax\n\t"
			 "retq"
			 :
			 : "c"(stack)
			 : "memory");
	__builtin_unreachable();
}

static long
number_made(struct cloning *c)
{
	long r = fork_like(c);

	if (r == 0 && c->wanted.stack)
		child_return(c);
	if (r == 0)
		child_variables(c);
	return r < 0 ? run_syscall_failed(r) : r;
}

long
run_clone_call(
    uint64_t flags, uint64_t stack, uint64_t parent_tid, uint64_t child_tid, uint64_t tls)
{
	struct cloning c = { .wanted = { .flags = flags & 0xffffffff & ~(uint64_t)CSIGNAL,
				 .exit_signal = flags & CSIGNAL,
				 .stack = stack,
				 .parent_tid = parent_tid,
				 .child_tid = child_tid,
				 .tls = tls } };

	return number_made(&c);
}

long
run_clone3_call(const void *arguments, size_t bytes)
{
	struct cloning c = { .is_clone3 = true };

	/* What this library does not know is for the kernel to refuse, or to do: the child has no
	 * managed memory then. */
	if (bytes < CLONE3_BYTES_MIN || bytes > sizeof(c.wanted)) {
		long r = raw_call(SYS_clone3, (uintptr_t)arguments, bytes, 0, 0, 0, 0);

		return raw_failed(r) ? run_syscall_failed(r) : r;
	}
	memcpy(&c.wanted, arguments, bytes);
	return number_made(&c);
}

bool
run_clone_replace(void)
{
	patch_function *function = libc_function("clone", PATCH_OVER_BYTES), *original = NULL;

	if (!function || patch(function, (patch_function *)(uintptr_t)run_clone, &original) < 0)
		return false;
	clone_original =
	    (child_function * (*)(child_function *, void *, int, void *, ...))(uintptr_t)original;
	return true;
}
