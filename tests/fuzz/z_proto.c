/* SPDX-License-Identifier: MIT
 *
 * The control socket under bad messages: random, truncated, oversized, out of order, with wrong,
 * missing and surplus descriptors, in every state of a session; requests of the right form with
 * wild values. A well-behaved client beside it must notice nothing, and the daemon ends no session
 * but the offender's. Seeded and bounded.
 *
 * usage: z_proto messages|check|descriptors|liar|attributes|hangup
 */
#include "harness.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "honest.h"
#include "pager/uffd_compat.h"
#include "raw.h"
#include "wild.h"

/* --- one bad peer --- */

/* One answer, or the end of the connection. Any descriptor in it is closed. => bytes, 0 at the end
 */
static ssize_t
receive(int fd, void *bytes, size_t size)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 8)];
	} control;
	struct iovec iov = { bytes, size };
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);

	if (n < 0)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		int received[8];
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		memcpy(received, CMSG_DATA(c), count * sizeof(int));
		for (size_t i = 0; i < count; i++)
			close(received[i]);
	}
	return n;
}

static size_t
hello(void *to, uint32_t role, uint64_t sequence)
{
	struct {
		struct pager_msg_header header;
		struct pager_req_hello body;
	} m = { { sizeof(m), PAGER_MSG_HELLO, 0, sequence, 0, 0 },
		{ PAGER_PROTO_VERSION, PAGER_PROTO_VERSION, role, 0, 0, "fuzz" } };

	memcpy(to, &m, sizeof(m));
	return sizeof(m);
}

static const uint16_t types[] = {
#define MSG(number, NAME, name, fds, access, runs, text) number,
#include "tbl/msg.h"
};

/* A message that is right in form, or nearly. Requests that would disturb the test's own use of
 * the daemon are left out. */
static size_t
make_message(unsigned char *to, uint64_t *rng)
{
	uint16_t type = types[rng_below(rng, sizeof(types) / sizeof(types[0]))];
	struct pager_msg_header header = { .type = type, .sequence = rng_next(rng) };
	size_t body, size;

	if (type == PAGER_MSG_DEBUG || type == PAGER_MSG_LIMIT || type == PAGER_MSG_POLICY ||
	    type == PAGER_MSG_TRACE || type == PAGER_MSG_PARAM)
		type = header.type = PAGER_MSG_REGION;
	body = pager_msg_request_bytes(type);
	for (size_t i = 0; i + 8 <= body; i += 8) {
		uint64_t value = wild(rng);

		memcpy(to + sizeof(header) + i, &value, 8);
	}
	/* Some find the device. */
	if (type == PAGER_MSG_MAP_DEVICE && rng_below(rng, 2))
		strcpy((char *)to + sizeof(header) + offsetof(struct pager_req_map_device, name),
		    "fuzz");
	size = sizeof(header) + body;
	header.length = (uint32_t)size;
	switch (rng_below(rng, 12)) {
	case 0: /* truncated */
		size = rng_below(rng, size);
		break;
	case 1:
		header.length = (uint32_t)wild(rng);
		break;
	case 2:
		header.type = (uint16_t)rng_next(rng);
		break;
	case 3:
		header.reserved = (uint16_t)rng_next(rng);
		break;
	case 4:
		header.error = (int32_t)rng_next(rng);
		break;
	case 5: /* too long by a little, or a lot */
		size += 1 + rng_below(rng, rng_below(rng, 2) ? 64 : 40000);
		header.length = (uint32_t)size;
		break;
	case 6:
		for (size_t i = 0; i < size; i++)
			to[i] = (unsigned char)rng_next(rng);
		return size;
	default:
		break;
	}
	memcpy(to, &header, sizeof(header));
	return size;
}

/* 0 to 3 descriptors of the wrong kind. */
static unsigned
make_fds(int *fds, uint64_t *rng, const int *pool, unsigned pool_count)
{
	unsigned count =
	    rng_below(rng, 5) ? (unsigned)rng_below(rng, 4) % 3 : (unsigned)rng_below(rng, 20);

	for (unsigned i = 0; i < count; i++)
		fds[i] = pool[rng_below(rng, pool_count)];
	return count;
}

static void
fuzzer(struct live *d, void *argument)
{
	static unsigned char message[65536], reply[65536];
	uint64_t rng = mix64(live_seed * 77), sent = 0, ended = 0, answered = 0;
	int pool[7], pair[2];

	(void)argument;
	REQUIRE(pipe2(pair, O_CLOEXEC) == 0);
	pool[0] = pair[0];
	pool[1] = pair[1];
	pool[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	pool[3] = eventfd(0, EFD_CLOEXEC);
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	pool[4] = pair[0];
	pool[5] = memfd_create("fuzz", MFD_CLOEXEC);
	/* This one is right for MAKE_DEVICE. */
	pool[6] = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	REQUIRE(fchmod(pool[6], 0600) == 0 && ftruncate(pool[6], 1 << 20) == 0 &&
		fcntl(pool[6], F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	for (uint64_t n = 0; n < live_scaled(1500); n++) {
		unsigned state = (unsigned)rng_below(&rng, 4);
		struct raw r = { .uffd = -1 };
		int fd, own = -1;

		if (state == 3) { /* attached */
			raw_connect(d, &r);
			fd = r.chan.fd;
		} else {
			fd = own = raw_socket(d->socket);
		}
		if (state == 1 || state == 2) {
			size_t size =
			    hello(message, state == 1 ? PAGER_ROLE_TOOL : PAGER_ROLE_CLIENT, 1);

			REQUIRE(raw_send(fd, message, size, NULL, 0));
			REQUIRE(receive(fd, reply, sizeof(reply)) > 0);
		}
		/* Until the daemon ends the session, at most 20 messages; sometimes without
		 * waiting for an answer. */
		for (unsigned i = 0; i < 20; i++) {
			int fds[32];
			size_t size = make_message(message, &rng);
			unsigned count = rng_below(&rng, 3) ? 0 : make_fds(fds, &rng, pool, 7);
			ssize_t got;

			if (!raw_send(fd, message, size, fds, count)) {
				ended++;
				break;
			}
			sent++;
			if (rng_below(&rng, 8) == 0)
				continue;
			got = receive(fd, reply, sizeof(reply));
			if (got <= 0) {
				ended++;
				break;
			}
			answered++;
		}
		if (own >= 0)
			close(own);
		else
			raw_close(&r);
	}
	printf("%llu bad messages, %llu answers, %llu sessions ended by the daemon\n",
	    (unsigned long long)sent, (unsigned long long)answered, (unsigned long long)ended);
}

/* --- descriptors of the right kind in the wrong place --- */

static void
descriptors(struct live *d, void *argument)
{
	int pipes[2], other;
	struct raw r, second;
	char *probe, *others;

	(void)argument;
	REQUIRE(pipe2(pipes, O_CLOEXEC) == 0);
	raw_hello(d, &r);
	probe = raw_probe(r.uffd);
	/* A pipe for a userfaultfd: refused, the session goes on. */
	EQ(raw_attach(&r, pipes[0], probe), -EBADF);
	EQ(raw_attach(&r, r.device, probe), -EBADF);
	/* One that its owner has set up for something else. */
	other = raw_uffd(&r, 0);
	others = raw_probe(other);
	EQ(raw_attach(&r, other, others), -EINVAL);
	/* Closing it ends the watch only when the daemon's closers have closed their copy. */
	REQUIRE(ioctl(other, UFFDIO_UNREGISTER,
		    &(struct uffdio_range){ (uintptr_t)others, PAGER_PROBE_PAGES * 4096 }) == 0,
	    "%s", strerror(errno));
	close(other);
	/* A range that is no longer watched, that is no valid range, or that has pages. */
	EQ(raw_attach(&r, r.uffd, others), -ENOENT);
	EQ(raw_attach(&r, r.uffd, probe + 1), -EINVAL);
	EQ(raw_attach(&r, r.uffd, NULL), -EINVAL);
	REQUIRE(ioctl(r.uffd, UFFDIO_ZEROPAGE,
		    &(struct uffdio_zeropage){ .range = { (uintptr_t)probe, 4096 } }) == 0);
	if (geteuid() == 0)
		EQ(raw_attach(&r, r.uffd, probe), -EPERM);
	REQUIRE(madvise(probe, PAGER_PROBE_PAGES * 4096, MADV_DONTNEED) == 0);
	OK(raw_attach(&r, r.uffd, probe));
	EQ(raw_attach(&r, r.uffd, probe), -EALREADY);
	/* A second session of the same process, with one of its own. */
	raw_hello(d, &second);
	OK(raw_attach(&second, second.uffd, raw_probe(second.uffd)));
	/* A client that may read the statistics cannot write them. */
	{
		struct pager_req_stat_segment request = { 0 };
		struct pager_rep_stat_segment reply;
		int fd, again;
		struct chan_call call = { CHAN_CALL(STAT_SEGMENT, &request, &reply),
			.ret_fd = &fd };
		char path[64];

		OK(chan_exchange(&r.chan, &call));
		REQUIRE(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
		REQUIRE(pwrite(fd, "x", 1, 0) < 0);
		REQUIRE(ftruncate(fd, 0) < 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		again = open(path, O_RDWR | O_CLOEXEC);
		if (again >= 0) {
			REQUIRE(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) ==
				MAP_FAILED);
			REQUIRE(pwrite(again, "x", 1, 0) < 0);
			close(again);
		}
		close(fd);
	}
	raw_close(&r);
	raw_close(&second);
}

/* --- a client that is attached, and lies --- */

static void
touch_in_time(struct live *d, struct raw *r)
{
	/* The session still answers, after all that the client did. */
	struct pager_req_statistics request = { 0 };
	struct pager_rep_statistics reply;
	struct chan_call call = { CHAN_CALL(STATISTICS, &request, &reply) };

	(void)d;
	OK(chan_exchange(&r->chan, &call));
}

static void
liar(struct live *d, void *argument)
{
	enum { PAGES = 64 };
	size_t bytes = PAGES * 4096;
	unsigned char *base = raw_reserve(bytes);
	struct uffdio_zeropage zero;
	uint64_t offset;
	struct raw r;
	int memfd;

	(void)argument;
	raw_connect(d, &r);
	OK(raw_allocate(&r, (uintptr_t)base, bytes, &memfd, &offset));
	/* Private memory in the object's place, with every second page present: when the daemon
	 * fills neighbours it gets EEXIST, and punching the object does not help. */
	REQUIRE(mmap(base, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		    -1, 0) == base);
	{
		struct uffdio_register reg = { .range = { (uintptr_t)base, bytes },
			.mode = UFFDIO_REGISTER_MODE_MISSING };

		REQUIRE(ioctl(r.uffd, UFFDIO_REGISTER, &reg) == 0, "%s", strerror(errno));
	}
	for (unsigned i = 1; i < PAGES; i += 2) {
		zero = (struct uffdio_zeropage){ .range = { (uintptr_t)base + i * 4096, 4096 } };
		REQUIRE(ioctl(r.uffd, UFFDIO_ZEROPAGE, &zero) == 0, "%s", strerror(errno));
	}
	{
		struct pager_req_behavior request = { (uintptr_t)base, bytes,
			PAGER_BEHAVIOR_SEQUENTIAL, 0 };
		struct pager_rep_behavior reply;
		struct chan_call call = { CHAN_CALL(BEHAVIOR, &request, &reply) };

		OK(chan_exchange(&r.chan, &call));
	}
	/* A server that reads without O_NONBLOCK a message that another one has taken would
	 * never return. */
	REQUIRE(fcntl(r.uffd, F_SETFL, 0) == 0);
	for (unsigned i = 0; i < PAGES; i += 2)
		base[i * 4096] = 1;
	touch_in_time(d, &r);
	for (unsigned i = 0; i < PAGES; i += 2)
		EQ(base[i * 4096], 1);
	/* The same object mapped a second time, without any watch: written while the daemon takes
	 * it away. */
	{
		unsigned char *right, *wrong;

		right = raw_memory(&r, bytes, &memfd, &offset);
		wrong = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, (off_t)offset);
		REQUIRE(wrong != MAP_FAILED);
		for (unsigned round = 0; round < 50; round++) {
			struct pager_req_behavior request = { (uintptr_t)right, bytes,
				round % 4 == 3   ? PAGER_BEHAVIOR_FREE
				: round % 4 == 2 ? PAGER_BEHAVIOR_PAGEOUT
						 : PAGER_BEHAVIOR_DONTNEED,
				0 };
			struct pager_rep_behavior reply;
			struct chan_call call = { CHAN_CALL(BEHAVIOR, &request, &reply) };

			for (unsigned i = 0; i < PAGES; i++)
				wrong[i * 4096] = (unsigned char)round;
			OK(chan_exchange(&r.chan, &call));
			for (unsigned i = 0; i < PAGES; i++)
				(void)*(volatile unsigned char *)(right + i * 4096);
		}
		munmap(wrong, bytes);
	}
	touch_in_time(d, &r);
	/* An agent that never reads. */
	for (unsigned i = 0; i < 2000; i++) {
		struct pager_req_behavior request = { (uintptr_t)base, bytes,
			PAGER_BEHAVIOR_DONTNEED, 0 };
		struct pager_rep_behavior reply;
		struct chan_call call = { CHAN_CALL(BEHAVIOR, &request, &reply) };

		OK(chan_exchange(&r.chan, &call));
	}
	raw_close(&r);
}

/* --- attributes with wild values, of which the client's mappings hear nothing --- */

/* => 0 or -errno */
static int
attribute(struct raw *r, uint64_t address, uint64_t size, uint64_t *rng)
{
	/* The three bodies are alike. */
	struct pager_req_protect request = { .address = address,
		.size = size,
		.protection = (uint32_t)(rng_below(rng, 4) ? rng_below(rng, 4) : wild(rng)),
		.reserved = rng_below(rng, 16) ? 0 : (uint32_t)wild(rng) };
	struct pager_rep_protect reply;
	struct chan_call call = { CHAN_CALL(PROTECT, &request, &reply) };

	switch (rng_below(rng, 3)) {
	case 0:
		call.type = PAGER_MSG_INHERIT;
		break;
	case 1:
		call.type = PAGER_MSG_TAG;
		break;
	default:
		break;
	}
	return chan_exchange(&r->chan, &call);
}

/* Whatever was asked, each region is one that the rules allow, and they cover the range. */
static void
regions_verify(struct raw *r, uint64_t address, uint64_t end)
{
	while (address < end) {
		struct pager_req_region request = { .address = address };
		struct pager_rep_region reply;
		struct chan_call call = { CHAN_CALL(REGION, &request, &reply) };
		const struct pager_wire_region *region = &reply.region;

		OK(chan_exchange(&r->chan, &call));
		EQ(region->address, address);
		EQ(region->protection & ~region->max_protection, 0);
		EQ(region->max_protection & ~(uint32_t)(PROT_READ | PROT_WRITE), 0);
		REQUIRE(region->inheritance <= PAGER_INHERIT_NONE && region->tag <= PAGER_TAG_MAX);
		address += region->size;
	}
	EQ(address, end);
}

static void
attributes(struct live *d, void *argument)
{
	enum { PAGES = 64 };
	uint64_t rng = mix64(live_seed * 99), granted = 0, offset;
	const size_t bytes = PAGES * d->page_bytes;
	unsigned char *base;
	struct raw r;
	int memfd;

	(void)argument;
	raw_connect(d, &r);
	base = raw_memory(&r, bytes, &memfd, &offset);
	for (uint64_t n = 0; n < live_scaled(4000); n++) {
		uint64_t first = rng_below(&rng, PAGES), count = 1 + rng_below(&rng, PAGES);
		uint64_t address = (uintptr_t)base + first * d->page_bytes,
			 size = count * d->page_bytes;

		if (rng_below(&rng, 8) == 0)
			address = wild(&rng);
		if (rng_below(&rng, 8) == 0)
			size = wild(&rng);
		granted += attribute(&r, address, size, &rng) == 0;
		/* The mapping is as it was: the books are not asked. */
		base[rng_below(&rng, PAGES) * d->page_bytes] = (unsigned char)n;
		if (n % 64 == 0)
			regions_verify(&r, (uintptr_t)base, (uintptr_t)base + bytes);
	}
	REQUIRE(granted > 0);
	raw_close(&r);
	close(memfd);
}

/* --- one request at a time, also from a client that sends two and hangs up --- */

static void
request_send(int fd, uint16_t type, const void *body, size_t body_bytes)
{
	_Alignas(8) unsigned char message[256];

	REQUIRE(raw_send(fd, message, raw_message(message, type, body, body_bytes), NULL, 0));
}

static void
hangup(struct live *d, void *argument)
{
	(void)argument;
	for (unsigned round = 0; round < 20; round++) {
		const size_t bytes = 1000 * d->page_bytes;
		unsigned char *base;
		struct pager_req_behavior release = { .size = bytes,
			.behavior = PAGER_BEHAVIOR_FREE };
		struct pager_req_allocate more = { .size = d->page_bytes };
		_Alignas(8) unsigned char answer[4096];
		struct pager_msg_header *header = (void *)answer;
		uint64_t offset;
		struct raw r;
		int memfd;

		raw_connect(d, &r);
		base = raw_memory(&r, bytes, &memfd, &offset);
		for (size_t i = 0; i < bytes; i += d->page_bytes)
			base[i] = 1;
		release.address = (uintptr_t)base;
		more.address = (uintptr_t)base + (1u << 30);
		/* A long one, and one that could be answered at once. */
		request_send(r.chan.fd, PAGER_MSG_BEHAVIOR, &release, sizeof(release));
		request_send(r.chan.fd, PAGER_MSG_ALLOCATE, &more, sizeof(more));
		REQUIRE(shutdown(r.chan.fd, SHUT_WR) == 0);
		if (receive(r.chan.fd, answer, sizeof(answer)) > 0)
			EQ(header->type, PAGER_MSG_BEHAVIOR);
		raw_close(&r);
		close(memfd);
	}
}

/* --- the form check by itself --- */

static void
test_check(void)
{
	static _Alignas(8) unsigned char message[65536];
	uint64_t rng = mix64(live_seed), good = 0;

	for (uint64_t n = 0; n < live_scaled(2000000); n++) {
		size_t size = make_message(message, &rng);
		unsigned fds = (unsigned)rng_below(&rng, 3);
		const struct pager_msg_header *header = (const void *)message;
		const char *wrong = pager_msg_request_check(message, size, fds);

		if (wrong)
			continue;
		good++;
		REQUIRE(size == sizeof(*header) + pager_msg_request_bytes(header->type) &&
			header->length == size);
		REQUIRE(header->reserved == 0 && header->reserved2 == 0 && header->error == 0);
		REQUIRE(pager_msg_request_bytes(header->type) > 0);
	}
	printf("%llu of the right form\n", (unsigned long long)good);
	REQUIRE(good > 0);
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	struct honest *honest;
	client_body *body;
	struct live d;

	live_init(argc, argv);
	if (strcmp(name, "check") == 0) {
		test_check();
		return 0;
	}
	body = strcmp(name, "messages") == 0      ? fuzzer
	       : strcmp(name, "descriptors") == 0 ? descriptors
	       : strcmp(name, "liar") == 0        ? liar
	       : strcmp(name, "attributes") == 0  ? attributes
	       : strcmp(name, "hangup") == 0      ? hangup
						  : NULL;
	REQUIRE(body, "no such test: \"%s\"", name);
	live_start(&d, "8M", "--log-level", "error", "--device", "fuzz=256K,mode=0666", NULL);
	honest = honest_start(&d);
	client_join(&d, client_start(&d, body, NULL), true);
	/* The client beside it is served as before. */
	honest_wait(&d, honest, 500);
	if (body == fuzzer)
		REQUIRE(live_stat(&d, "protocol_errors") > 0);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 1);
	honest_stop(&d, honest);
	live_stop(&d);
	return 0;
}
