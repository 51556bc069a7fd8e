/* SPDX-License-Identifier: MIT
 *
 * userfaultfd. Runs on: fault servers, workers, jobs. The errors are those of uffd.h. Allocates
 * nothing.
 */
#include "pmap/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "atomics.h"
#include "check.h"
#include "failpt.h"
#include "lock.h"
#include "log.h"
#include "pager/uffd_compat.h"
#include "pmap/standing.h"
#include "core/watch.h"

#define HW_PAGE 4096u
/* How often a call is made at most, while it answers EAGAIN. */
#define EAGAIN_TRIES 64
/* What a patient call waits before it is made again: at first, and at most. */
#define PAUSE_NS     10000
#define PAUSE_MAX_NS 1000000
/* Messages that one read takes at most. */
#define MESSAGES_MAX 32u
/* How often a punch is made at most, while it is interrupted or finds the file immutable. */
#define PUNCH_TRIES 8
/* EVENT_REMAP: a range that its owner moves with mremap(2) stays registered. At its new address,
 * which no map knows, a page that is away is SIGBUS. Without the feature it would read as zeroes.
 */
#define FEATURES                                                                                   \
	(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM |  \
	    UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_THREAD_ID |                             \
	    UFFD_FEATURE_EXACT_ADDRESS | UFFD_FEATURE_POISON | UFFD_FEATURE_EVENT_REMAP)

static atomic_ullong retries;

static void
range_assert(uint64_t address, uint64_t bytes)
{
	CHECK(bytes > 0 && (address | bytes) % HW_PAGE == 0);
}

uint64_t
uffd_retries(void)
{
	return load_relaxed(&retries);
}

/* After EAGAIN. => false: the call has been made often enough */
static bool
try_again(unsigned *tries)
{
	CHECK(*tries < EAGAIN_TRIES);
	fetch_add_relaxed(&retries, 1);
	return ++*tries < EAGAIN_TRIES;
}

uint64_t
uffd_features(void)
{
	return FEATURES;
}

/* The line "API:" of a userfaultfd's fdinfo shows the features that UFFDIO_API was asked for, and
 * this bit of the kernel's own once it has been asked. */
#define FEATURE_INITIALIZED (1ull << 31)

int
uffd_check(int uffd)
{
	char path[64], text[1024], *at;
	unsigned long long features;
	ssize_t length;
	int fd;

	CHECK(uffd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", uffd);
	length = readlink(path, text, sizeof(text) - 1);
	if (length < 0)
		return -errno;
	text[length] = '\0';
	if (strcmp(text, "anon_inode:[userfaultfd]") != 0)
		return -EBADF;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", uffd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length > 0 ? length : 0] = '\0';
	at = strstr(text, "API:");
	if (!at || sscanf(at, "API: %*x:%llx:", &features) != 1)
		return -EINVAL;
	return features == (FEATURES | FEATURE_INITIALIZED) ? 0 : -EINVAL;
}

static int
probe_register(int uffd, int memfd, char *message, size_t message_size)
{
	struct uffdio_api api = { .api = UFFD_API, .features = FEATURES };
	struct uffdio_register reg;
	void *memory;
	int error;

	CHECK(uffd >= 0 && memfd >= 0);
	error = ioctl(uffd, UFFDIO_API, &api) < 0 ? -errno : uffd_check(uffd);
	if (error) {
		snprintf(message, message_size,
		    "this kernel's userfaultfd lacks a feature that pagerd needs (write protection "
		    "and minor faults "
		    "on shared memory, poison, thread ids): Linux 6.6 or newer is required");
		return error;
	}
	memory = mmap(NULL, HW_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (memory == MAP_FAILED) {
		snprintf(message, message_size, "cannot map a memfd: %s", strerror(errno));
		return -ENOMEM;
	}
	reg = (struct uffdio_register){
		.range = { (uint64_t)(uintptr_t)memory, HW_PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR |
			UFFDIO_REGISTER_MODE_WP,
	};
	error = ioctl(uffd, UFFDIO_REGISTER, &reg) < 0 ? -errno : 0;
	munmap(memory, HW_PAGE);
	if (error)
		snprintf(message, message_size,
		    "userfaultfd cannot watch shared memory for missing, minor and write-protect "
		    "faults "
		    "together (%s): Linux 6.6 or newer is required",
		    strerror(-error));
	return error;
}

int
uffd_probe(int *ret_device, char *message, size_t message_size)
{
	int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	int uffd, memfd, error;

	if (device < 0) {
		error = -errno;
		if (error == -ENOENT)
			snprintf(message, message_size,
			    "/dev/userfaultfd does not exist: the kernel must be built with "
			    "CONFIG_USERFAULTFD "
			    "(Linux 6.6 or newer); in a container, pass the device in");
		else
			snprintf(message, message_size,
			    "cannot open /dev/userfaultfd: %s. Allow it with `setfacl -m u:%u:rw "
			    "/dev/userfaultfd`, or "
			    "start pagerd as root",
			    strerror(-error), (unsigned)geteuid());
		return error;
	}
	uffd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0) {
		error = -errno;
		snprintf(message, message_size, "/dev/userfaultfd makes no userfaultfd: %s",
		    strerror(-error));
		close(device);
		return error;
	}
	memfd = memfd_create("pagerd-probe", MFD_CLOEXEC);
	error = memfd < 0 || ftruncate(memfd, HW_PAGE) < 0 ? -errno : 0;
	if (error)
		snprintf(message, message_size, "cannot make a memfd: %s", strerror(-error));
	else
		error = probe_register(uffd, memfd, message, message_size);
	close(uffd);
	if (memfd >= 0)
		close(memfd);
	if (error)
		close(device);
	else
		*ret_device = device;
	return error;
}

/* The top of the address space, where nothing is registered. The kernel looks for the space first.
 */
#define NOWHERE 0x7fffffffe000ull

bool
uffd_space_lives(int uffd)
{
	struct uffdio_zeropage zero = { .range = { NOWHERE, HW_PAGE } };

	CHECK(uffd >= 0);
	return ioctl(uffd, UFFDIO_ZEROPAGE, &zero) == 0 || errno != ESRCH;
}

int
uffd_never_wait(int uffd)
{
	CHECK(uffd >= 0);
	return fcntl(uffd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

int
uffd_may_wait(int uffd)
{
	CHECK(uffd >= 0);
	return fcntl(uffd, F_SETFL, 0) < 0 ? -errno : 0;
}

/* => how many of the messages are faults, or tell of memory that was moved */
static int
messages_to_faults(const struct uffd_msg *messages, size_t bytes, struct uffd_fault *ret)
{
	int count = 0;

	CHECK(bytes <= MESSAGES_MAX * sizeof(messages[0]));
	for (size_t i = 0; i < bytes / sizeof(messages[0]); i++) {
		const struct uffd_msg *m = &messages[i];
		uint64_t flags = m->arg.pagefault.flags;

		if (m->event == UFFD_EVENT_REMAP)
			ret[count++] = (struct uffd_fault){ .address = m->arg.remap.to,
				.flags = UFFD_FAULT_MOVED };
		if (m->event != UFFD_EVENT_PAGEFAULT)
			continue;
		ret[count].address = m->arg.pagefault.address;
		ret[count].thread = m->arg.pagefault.feat.ptid;
		ret[count].flags = (flags & UFFD_PAGEFAULT_FLAG_WRITE ? UFFD_FAULT_WRITE : 0u) |
				   (flags & UFFD_PAGEFAULT_FLAG_WP ? UFFD_FAULT_WP : 0u) |
				   (flags & UFFD_PAGEFAULT_FLAG_MINOR ? UFFD_FAULT_MINOR : 0u);
		count++;
	}
	return count;
}

int
uffd_read_wait(int uffd, struct uffd_fault *ret)
{
	struct uffd_msg message;
	ssize_t got;

	locks_assert_none();
	got = read(uffd, &message, sizeof(message));
	return got < 0 ? -errno : messages_to_faults(&message, (size_t)got, ret);
}

int
uffd_read(int uffd, struct uffd_fault *ret, unsigned max, bool *ret_more)
{
	struct uffd_msg messages[MESSAGES_MAX];
	size_t bytes = min_u64(max, MESSAGES_MAX) * sizeof(messages[0]);
	ssize_t got;

	CHECK(max > 0);
	/* The client has the same open file and may have cleared O_NONBLOCK. A server must not
	 * sleep even then. */
	got = preadv2(uffd, &(struct iovec){ messages, bytes }, 1, -1, RWF_NOWAIT);
	if (got < 0 && errno == EOPNOTSUPP) /* Linux before 6.10 */
		got = read(uffd, messages, bytes);
	/* A read that was interrupted may have stopped early. */
	*ret_more = got < 0 ? errno == EINTR : (size_t)got == bytes;
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return messages_to_faults(messages, (size_t)got, ret);
}

/* A call that waits for the lock of the client's address space. A patient one waits on while the
 * owner moves memory, which is until it lets go of that lock and its fault server has read that it
 * has moved it; the kernel wakes nobody then. The watcher sees one wait. => 0 or -errno */
static int
call(int uffd, unsigned long request, void *argument, int mode)
{
	struct timespec pause = { .tv_nsec = PAUSE_NS };
	/* The range; of a copy the source is between its address and size. */
	const uint64_t *words = argument;
	int error;

	locks_assert_none();
	standing_woken(uffd, words[0], request == UFFDIO_COPY ? words[2] : words[1]);
	watch_enter(WATCH_ADDRESS_SPACE, -1);
	while ((error = ioctl(uffd, request, argument) < 0 ? -errno : 0) == -EAGAIN &&
	       mode & UFFD_MODE_PATIENT) {
		fetch_add_relaxed(&retries, 1);
		nanosleep(&pause, NULL);
		pause.tv_nsec = pause.tv_nsec < PAUSE_MAX_NS / 2 ? 2 * pause.tv_nsec : PAUSE_MAX_NS;
	}
	watch_leave();
	return error;
}

/* Makes a call whose argument has a result field, and adds the bytes done to *done. The call
 * reports an error there or in errno. => 0 or -errno */
static int
progress(int uffd, unsigned long request, void *argument, int mode, const int64_t *result_field,
    size_t *done)
{
	int64_t result;
	int error;

	CHECK(*result_field == 0);
	error = call(uffd, request, argument, mode);
	result = *result_field;
	if (result > 0) {
		*done += (size_t)result;
		return error;
	}
	if (result < 0 && result > -4096)
		return (int)result;
	return error;
}

int
uffd_copy(int uffd, uint64_t address, const void *source, size_t bytes, int mode, size_t *ret_done)
{
	unsigned tries = 0;
	size_t done = 0;
	int error = 0;

	range_assert(address, bytes);
	locks_assert_none();
	while (done < bytes) {
		struct uffdio_copy copy = {
			.dst = address + done,
			.src = (uint64_t)(uintptr_t)source + done,
			.len = bytes - done,
			.mode = (mode & UFFD_MODE_WP ? UFFDIO_COPY_MODE_WP : 0u) |
				(mode & UFFD_MODE_DONTWAKE ? UFFDIO_COPY_MODE_DONTWAKE : 0u),
		};

		error = failpt_hit(FAIL_UFFD_COPY_EAGAIN);
		if (!error)
			error = failpt_hit(FAIL_UFFD_COPY_EEXIST);
		if (!error)
			error = progress(uffd, UFFDIO_COPY, &copy, 0, (int64_t *)&copy.copy, &done);
		if (error && (error != -EAGAIN || !try_again(&tries)))
			break;
	}
	*ret_done = done;
	return done == bytes ? 0 : error;
}

int
uffd_zeropage(int uffd, uint64_t address, size_t bytes, int mode, size_t *ret_done)
{
	unsigned tries = 0;
	size_t done = 0;
	int error = 0;

	range_assert(address, bytes);
	/* Of several, some may be in place when a call answers EAGAIN. */
	CHECK(mode == 0 || (mode == UFFD_MODE_PATIENT && bytes == HW_PAGE));
	locks_assert_none();
	while (done < bytes) {
		struct uffdio_zeropage zero = { .range = { address + done, bytes - done } };

		error =
		    progress(uffd, UFFDIO_ZEROPAGE, &zero, mode, (int64_t *)&zero.zeropage, &done);
		if (error && (error != -EAGAIN || !try_again(&tries)))
			break;
	}
	*ret_done = done;
	return done == bytes ? 0 : error;
}

/* => as uffd_continue, for a range of one mapping */
static int
continue_range(int uffd, uint64_t address, size_t bytes, int mode)
{
	unsigned tries = 0;
	size_t done = 0;
	bool passed = false;

	range_assert(address, bytes);
	locks_assert_none();
	while (done < bytes) {
		struct uffdio_continue more = {
			.range = { address + done, bytes - done },
			.mode = (mode & UFFD_MODE_WP ? UFFDIO_CONTINUE_MODE_WP : 0u) |
				(mode & UFFD_MODE_DONTWAKE ? UFFDIO_CONTINUE_MODE_DONTWAKE : 0u),
		};
		int error = failpt_hit(FAIL_UFFD_CONTINUE_EAGAIN);

		if (!error)
			error = progress(
			    uffd, UFFDIO_CONTINUE, &more, 0, (int64_t *)&more.mapped, &done);
		if (error == -EEXIST) {
			/* For a page that is mapped already the kernel wakes no thread. */
			done += HW_PAGE;
			passed = true;
		} else if (error && (error != -EAGAIN || !try_again(&tries))) {
			return error;
		}
	}
	if (passed && !(mode & UFFD_MODE_DONTWAKE))
		uffd_wake(uffd, address, bytes);
	return 0;
}

int
uffd_continue(int uffd, uint64_t address, size_t bytes, int mode)
{
	int error = continue_range(uffd, address, bytes, mode);
	bool any = false;

	if (error != -ENOENT || bytes == HW_PAGE)
		return error;
	/* The kernel wants a range of one mapping. This one has several, or parts without one. */
	for (size_t at = 0; at < bytes; at += HW_PAGE) {
		error = continue_range(uffd, address + at, HW_PAGE, mode);
		if (error && error != -ENOENT)
			return error;
		any |= !error;
	}
	return any ? 0 : -ENOENT;
}

/* wp_mode: the kernel's */
static int
write_protect(int uffd, uint64_t address, size_t bytes, uint64_t wp_mode, int mode)
{
	unsigned tries = 0;

	range_assert(address, bytes);
	CHECK((mode & ~UFFD_MODE_PATIENT) == 0);
	locks_assert_none();
	for (;;) {
		struct uffdio_writeprotect wp = { .range = { address, bytes }, .mode = wp_mode };
		int error = failpt_hit(FAIL_UFFD_WRITEPROTECT_EAGAIN);

		if (!error)
			error = call(uffd, UFFDIO_WRITEPROTECT, &wp, mode);
		/* A patient call is told so by the fail point only. */
		if (error != -EAGAIN || (!(mode & UFFD_MODE_PATIENT) && !try_again(&tries)))
			return error;
	}
}

static int
write_protect_parts(int uffd, uint64_t address, size_t bytes, uint64_t wp_mode, int mode)
{
	int error = write_protect(uffd, address, bytes, wp_mode, mode);

	if (error != -ENOENT)
		return error;
	/* The kernel stops at the first part that is not registered (most likely the client is
	 * giving it back) and leaves the pages behind it as they were. */
	for (size_t at = 0; at < bytes; at += HW_PAGE) {
		error = write_protect(uffd, address + at, HW_PAGE, wp_mode, mode);
		if (error && error != -ENOENT)
			return error;
	}
	return 0;
}

int
uffd_protect(int uffd, uint64_t address, size_t bytes, int mode)
{
	return write_protect_parts(uffd, address, bytes, UFFDIO_WRITEPROTECT_MODE_WP, mode);
}

int
uffd_unprotect(int uffd, uint64_t address, size_t bytes)
{
	return write_protect_parts(uffd, address, bytes, 0, 0);
}

void
uffd_send_back(int uffd, uint64_t address, size_t bytes)
{
	struct uffdio_range range = { address, bytes };

	range_assert(address, bytes);
	/* ESRCH or EINVAL: there is no thread to be woken. */
	ioctl(uffd, UFFDIO_WAKE, &range);
}

void
uffd_wake(int uffd, uint64_t address, size_t bytes)
{
	standing_woken(uffd, address, bytes);
	uffd_send_back(uffd, address, bytes);
}

/* Poisons one hardware page. Its page-table entry may hold a write-protection marker, left by the
 * laundering that took the page away, and poison does not fit until the marker has gone. A page
 * that is mapped looks the same from here; only the caller can tell them apart (UFFD_MODE_HELD). */
static int
poison_hw(int uffd, uint64_t address, int mode)
{
	bool cleared = !(mode & UFFD_MODE_HELD);
	unsigned tries = 0;

	CHECK((mode & ~UFFD_MODE_HELD) == 0);
	for (;;) {
		struct uffdio_poison poison = { .range = { address, HW_PAGE } };
		size_t done = 0;
		int error =
		    progress(uffd, UFFDIO_POISON, &poison, 0, (int64_t *)&poison.updated, &done);

		if (error == -EEXIST && !cleared) {
			cleared = true;
			uffd_unprotect(uffd, address, HW_PAGE);
		} else if (error != -EAGAIN || !try_again(&tries)) {
			/* What is still in the way is a mapped page, which can be read as it is. */
			return error == -EEXIST ? 0 : error;
		}
	}
}

int
uffd_poison(int uffd, uint64_t address, size_t bytes, int mode)
{
	int error = 0;

	range_assert(address, bytes);
	locks_assert_none();
	for (size_t done = 0; done < bytes && (!error || error == -ENOENT); done += HW_PAGE)
		error = poison_hw(uffd, address + done, mode);
	/* After an error too: a thread that waits faults again, and its fault is judged anew. */
	uffd_wake(uffd, address, bytes);
	return error;
}

/* Root may make any file immutable, also a memfd that the daemon has handed to it. => whether the
 * file was immutable and is so no more */
static bool
make_mutable(int memfd)
{
	const int stuck = FS_IMMUTABLE_FL | FS_APPEND_FL;
	int flags;

	CHECK(memfd >= 0);
	if (ioctl(memfd, FS_IOC_GETFLAGS, &flags) < 0 || !(flags & stuck))
		return false;
	flags &= ~stuck;
	return ioctl(memfd, FS_IOC_SETFLAGS, &flags) == 0;
}

int
uffd_punch(int memfd, uint64_t offset, uint64_t bytes)
{
	int error = 0;

	range_assert(offset, bytes);
	locks_assert_none();
	watch_enter(WATCH_MEMFD, memfd);
	for (unsigned tries = 0; tries < PUNCH_TRIES; tries++) {
		error = fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			    (off_t)bytes) < 0
			    ? -errno
			    : 0;
		if (error == 0 || (error != -EINTR && (error != -EPERM || !make_mutable(memfd))))
			break;
	}
	watch_leave();
	if (error)
		log_warning_limited("pages of a client could not be taken out of its memory: %s. "
				    "They stay with it, beyond what is "
				    "counted, until it ends",
		    strerror(-error));
	return error;
}

int
uffd_allocate(int memfd, uint64_t offset, uint64_t bytes)
{
	int error = -EINTR;

	locks_assert_none();
	watch_enter(WATCH_MEMFD, memfd);
	for (unsigned tries = 0; tries < PUNCH_TRIES && error == -EINTR; tries++)
		error = fallocate(memfd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes) < 0
			    ? -errno
			    : 0;
	watch_leave();
	return error;
}

bool
uffd_write(int memfd, uint64_t offset, const void *page, size_t bytes)
{
	ssize_t written;

	range_assert(offset, bytes);
	locks_assert_none();
	watch_enter(WATCH_MEMFD, memfd);
	written = pwrite(memfd, page, bytes, (off_t)offset);
	watch_leave();
	return written == (ssize_t)bytes;
}
