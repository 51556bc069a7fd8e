/* SPDX-License-Identifier: MIT
 *
 * A program that does not know of pagerd, with memory that is not to be managed, or only in part.
 * It prints what it has found in it. It is built as others are, statically, and with a sanitizer.
 *
 * usage: run_odd plain|huge|executable|shared|pieces|watched
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#define MIB  (1ul << 20)
#define PAGE 4096ul

static char *
map(size_t size, int protection, int flags)
{
	return mmap(NULL, size, protection, MAP_ANONYMOUS | flags, -1, 0);
}

/* => a number that depends on each page, which has one of its own */
static unsigned
used(char *at, size_t size)
{
	unsigned sum = 0;

	for (size_t i = 0; i < size; i += PAGE)
		at[i] = (char)(i / PAGE * 5 + 1);
	for (int turn = 0; turn < 2; turn++)
		for (size_t i = 0; i < size; i += PAGE)
			sum = sum * 31 + (unsigned char)at[i];
	return sum;
}

/* More than the daemon has. */
static void
plain(void)
{
	char *at = map(12 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE), *heap = malloc(4 * MIB);

	printf("%u %u\n", used(at, 12 * MIB), used(heap, 4 * MIB));
	free(heap);
	munmap(at, 12 * MIB);
}

static void
huge(void)
{
	char *at = map(12 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	char *pages = map(2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_HUGETLB);

	printf("advice %d\n", madvise(at, 12 * MIB, MADV_HUGEPAGE));
	printf("%u\n", used(at, 12 * MIB));
	printf("collapse %s\n",
	    madvise(at, 4 * MIB, MADV_NOHUGEPAGE) == 0 && used(at, 12 * MIB) != 0 ? "no" : "?");
	/* Most machines have none. */
	if (pages == MAP_FAILED)
		printf("none: %s\n", strerror(errno));
	else
		printf("%u\n", used(pages, 2 * MIB));
}

/* "mov $value, %eax; ret" */
static void
code_write(char *at, int value)
{
	at[0] = (char)0xb8;
	memcpy(at + 1, &value, sizeof(value));
	at[5] = (char)0xc3;
}

static int
code_call(char *at)
{
	int (*function)(void);

	memcpy(&function, &at, sizeof(function));
	return function();
}

/* Memory that is writable and executable, and memory that is first the one and then the other. */
static void
executable(void)
{
	char *both = map(2 * MIB, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE);
	char *then = map(12 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int sum = 0;

	for (size_t i = 0; i < 2 * MIB; i += PAGE) {
		code_write(both + i, (int)i);
		sum += code_call(both + i) / (int)PAGE;
	}
	for (size_t i = 0; i < 12 * MIB; i += PAGE)
		code_write(then + i, (int)i + 1);
	printf("%d %d\n", sum, mprotect(then, 12 * MIB, PROT_READ | PROT_EXEC));
	for (size_t i = 0; i < 12 * MIB; i += PAGE)
		sum += code_call(then + i) / (int)PAGE;
	printf("%d %d\n", sum, mprotect(then, 12 * MIB, PROT_READ | PROT_WRITE));
	code_write(then, 77);
	printf("%d\n", mprotect(then, PAGE, PROT_READ | PROT_EXEC) == 0 ? code_call(then) : -1);
}

static void
shared(void)
{
	char *at = map(4 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED);
	char *own = map(12 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	unsigned sum = used(own, 12 * MIB);
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		at[MIB] = 3;
		own[0] = 99;
		_exit(used(own + MIB, MIB) != 0 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	printf("%d %d %d %u\n", status, at[MIB], own[0], sum);
}

/* As V8 has its heap: each page of it is a reservation by itself, cut to size and then committed.
 */
static void
pieces(void)
{
	unsigned sum = 0;
	char *at[48];
	int status = 0;
	pid_t pid;

	for (unsigned i = 0; i < 48; i++) {
		at[i] = map(508 * 1024, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);
		madvise(at[i], 508 * 1024, MADV_DONTFORK);
		munmap(at[i] + 256 * 1024, 252 * 1024);
		mprotect(at[i], 256 * 1024, PROT_READ | PROT_WRITE);
		used(at[i], 256 * 1024);
	}
	pid = fork();
	if (pid == 0) {
		/* It has none of them, and there is room for others. */
		for (unsigned i = 0; i < 48; i++)
			sum += mprotect(at[i], PAGE, PROT_READ | PROT_WRITE) < 0;
		_exit((int)sum);
	}
	waitpid(pid, &status, 0);
	for (unsigned i = 0; i < 48; i++) {
		sum += (unsigned char)at[i][PAGE];
		munmap(at[i], 256 * 1024);
	}
	printf("%d %u\n", WEXITSTATUS(status), sum);
}

/* A userfaultfd of the program's own, over a part of its memory: pages that it takes away are
 * missing, and it fills them. */
static void
watched(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	char *at = map(12 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE), page[PAGE];
	struct uffdio_copy copy = { .len = PAGE };

	printf("%u\n", used(at, 12 * MIB));
	reg.range.start = (uintptr_t)at + 4 * MIB;
	reg.range.len = 2 * MIB;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0 || ioctl(fd, UFFDIO_REGISTER, &reg) < 0) {
		printf("not watched: %s\n", strerror(errno));
		return;
	}
	memset(page, 42, sizeof(page));
	madvise(at + 5 * MIB, PAGE, MADV_DONTNEED);
	copy.dst = (uintptr_t)at + 5 * MIB;
	copy.src = (uintptr_t)page;
	printf("%d", ioctl(fd, UFFDIO_COPY, &copy));
	printf(" %d %d %d\n", at[5 * MIB], at[4 * MIB], at[6 * MIB]);
	close(fd);
	printf("%u\n", used(at, 12 * MIB));
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} kinds[] = {
		{ "plain", plain },
		{ "huge", huge },
		{ "executable", executable },
		{ "shared", shared },
		{ "pieces", pieces },
		{ "watched", watched },
	};

	for (size_t i = 0; argc > 1 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(argv[1], kinds[i].name) == 0) {
			kinds[i].run();
			return 0;
		}
	return 2;
}
