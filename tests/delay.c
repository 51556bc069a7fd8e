/* SPDX-License-Identifier: MIT
 *
 * Delays: a library for LD_PRELOAD (tests/delays.sh) that lets a thread sleep for a random time
 * after it has released a mutex, woken somebody, or come back from a call that others see. Threads
 * then run in orders that a quiet machine hardly ever shows. Some threads are slow for a while, as
 * on a processor with much else to do. A sleeping thread needs no processor, so many tests can run
 * at a time. The environment's PAGERD_DELAYS is the seed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Of so many chances one is taken, and of so many delays one is long. */
#define ONE_IN      24u
#define SLOW_ONE_IN 3u
#define LONG_ONE_IN 48u
/* Microseconds. */
#define SHORT_MOST 300u
#define LONG_MOST  15000u
/* A thread's mood lasts for this many chances; one mood of MOODS is slow. */
#define MOOD_CHANCES 512u
#define MOODS        6u

static __thread uint64_t state;
static __thread uint32_t chances;
static __thread bool is_slow;
static uint64_t seed;

__attribute__((constructor)) static void
start(void)
{
	const char *text = getenv("PAGERD_DELAYS");

	seed = text ? strtoull(text, NULL, 10) : 1;
}

static uint64_t
draw(void)
{
	if (state == 0)
		state = (seed + 1) * 0x9e3779b97f4a7c15u ^ ((uint64_t)syscall(SYS_gettid) << 20);
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 11;
}

/* errno stays. */
static void
delay(void)
{
	int error = errno;
	uint64_t us;

	if (chances++ % MOOD_CHANCES == 0)
		is_slow = draw() % MOODS == 0;
	if (draw() % (is_slow ? SLOW_ONE_IN : ONE_IN) == 0) {
		us = draw() % (draw() % LONG_ONE_IN == 0 ? LONG_MOST : SHORT_MOST);
		nanosleep(&(struct timespec){ 0, (long)us * 1000 }, NULL);
	}
	errno = error;
}

/* The library's function below ours, looked up once a thread that asks first. */
#define BELOW(name)                                                                                \
	static __typeof__(&name) below;                                                            \
	__typeof__(&name) f = __atomic_load_n(&below, __ATOMIC_RELAXED);                           \
	if (!f) {                                                                                  \
		f = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                    \
		__atomic_store_n(&below, f, __ATOMIC_RELAXED);                                     \
	}

int
pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	BELOW(pthread_mutex_unlock)
	int error = f(mutex);

	delay();
	return error;
}

int
pthread_cond_signal(pthread_cond_t *cond)
{
	BELOW(pthread_cond_signal)
	int error = f(cond);

	delay();
	return error;
}

int
pthread_cond_broadcast(pthread_cond_t *cond)
{
	BELOW(pthread_cond_broadcast)
	int error = f(cond);

	delay();
	return error;
}

/* Before as well: what was decided is done late. */
int
ioctl(int fd, unsigned long request, ...)
{
	BELOW(ioctl)
	va_list list;
	void *argument;
	int r;

	va_start(list, request);
	argument = va_arg(list, void *);
	va_end(list);
	delay();
	r = f(fd, request, argument);
	delay();
	return r;
}

int
epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
	BELOW(epoll_wait)
	int n = f(fd, events, most, timeout);

	delay();
	return n;
}

ssize_t
read(int fd, void *to, size_t bytes)
{
	BELOW(read)
	ssize_t n = f(fd, to, bytes);

	delay();
	return n;
}

ssize_t
write(int fd, const void *from, size_t bytes)
{
	BELOW(write)
	ssize_t n = f(fd, from, bytes);

	delay();
	return n;
}

ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
	BELOW(sendmsg)
	ssize_t n = f(fd, message, flags);

	delay();
	return n;
}

ssize_t
recvmsg(int fd, struct msghdr *message, int flags)
{
	BELOW(recvmsg)
	ssize_t n;

	delay();
	n = f(fd, message, flags);
	return n;
}
