/* SPDX-License-Identifier: MIT
 *
 * Devices: memory that is there at once and never leaves; who may map it; that it is billed when it
 * is mapped, by whichever door it is touched; and what pagerd says of devices that do not fit.
 *
 * usage: e_device rights|doors|start [4K|16K|64K]
 */
#include <fcntl.h>
#include <setjmp.h>
#include <sys/wait.h>

#include "device.h"

static const char *page_size = "4K";

static sigjmp_buf caught;

static void
on_fault(int signal)
{
	siglongjmp(caught, signal);
}

/* => the signal that a store at the address gets, or 0 */
static int
store(volatile unsigned char *at)
{
	int signal = sigsetjmp(caught, 1);

	if (signal == 0)
		*at = 0x5a;
	return signal;
}

/* --- rights --- */

static void
root_maps(struct live *d, void *argument)
{
	struct common *c = argument;
	struct pager *p = client_connect(d);
	unsigned char *open, *read_only;

	open = device_map(p, "open", DEVICE_BYTES, PROT_READ | PROT_WRITE);
	read_only = device_map(p, "readable", DEVICE_BYTES, PROT_READ | PROT_WRITE);
	pattern_write(d, open, DEVICE_BYTES, 1);
	pattern_write(d, read_only, DEVICE_BYTES, 77);
	/* Root may do all. */
	device_map(p, "closed", DEVICE_BYTES, PROT_READ | PROT_WRITE);
	stage_meet(d, &c->stage[0], 1);
	/* The other one has written. */
	pattern_verify(d, open, DEVICE_BYTES, 9);
	pattern_verify(d, read_only, DEVICE_BYTES, 77);
	OK(pager_disconnect(p));
}

static void
nobody_is_refused(struct live *d, struct pager *p)
{
	char longer[64] = { 0 };
	void *base;

	EQ(pager_map_device(p, "none", 0, DEVICE_BYTES, PROT_READ, 0, &base), -ENODEV);
	EQ(pager_map_device(p, "ope", 0, DEVICE_BYTES, PROT_READ, 0, &base), -ENODEV);
	EQ(pager_map_device(p, "closed", 0, DEVICE_BYTES, PROT_READ, 0, &base), -EACCES);
	EQ(pager_map_device(p, "readable", 0, DEVICE_BYTES, PROT_READ | PROT_WRITE, 0, &base),
	    -EACCES);
	EQ(pager_map_device(p, "open", 0, DEVICE_BYTES + d->page_bytes, PROT_READ, 0, &base),
	    -EINVAL);
	EQ(pager_map_device(p, "open", DEVICE_BYTES, d->page_bytes, PROT_READ, 0, &base), -EINVAL);
	EQ(pager_map_device(p, "open", 1, d->page_bytes, PROT_READ, 0, &base), -EINVAL);
	EQ(pager_map_device(p, "open", 0, DEVICE_BYTES, PROT_WRITE, 0, &base), -EINVAL);
	EQ(pager_map_device(p, "open", 0, DEVICE_BYTES, PROT_EXEC, 0, &base), -EINVAL);
	EQ(pager_map_device(p, "", 0, DEVICE_BYTES, PROT_READ, 0, &base), -EINVAL);
	memset(longer, 'x', sizeof(longer) - 1);
	EQ(pager_map_device(p, longer, 0, DEVICE_BYTES, PROT_READ, 0, &base), -EINVAL);
	EQ(pager_map_device(p, NULL, 0, DEVICE_BYTES, PROT_READ, 0, &base), -EINVAL);
}

static void
nobody_maps(struct live *d, void *argument)
{
	struct common *c = argument;
	struct sigaction action = { .sa_handler = on_fault };
	struct pager *p = client_connect(d);
	unsigned char *open, *read_only;
	int name, i;
	void *other;

	sigaction(SIGSEGV, &action, NULL);
	nobody_is_refused(d, p);
	open = device_map(p, "open", DEVICE_BYTES, PROT_READ | PROT_WRITE);
	pattern_verify(d, open, DEVICE_BYTES, 1);
	pattern_write(d, open, DEVICE_BYTES, 9);
	read_only = device_map(p, "readable", DEVICE_BYTES, PROT_READ);
	pattern_verify(d, read_only, DEVICE_BYTES, 77);
	EQ(store(read_only), SIGSEGV);
	EQ(pager_protect(p, read_only, d->page_bytes, PROT_READ | PROT_WRITE), -EACCES);
	REQUIRE(mprotect(read_only, d->page_bytes, PROT_READ | PROT_WRITE) < 0 && errno == EACCES);
	EQ(pager_make_entry(p, read_only, DEVICE_BYTES, PROT_READ | PROT_WRITE, 0, &name), -EACCES);
	OK(pager_make_entry(p, read_only, DEVICE_BYTES, PROT_READ, 0, &name));
	EQ(pager_map_entry(p, name, 0, d->page_bytes, PROT_READ | PROT_WRITE, 0, &other), -EACCES);
	close(name);
	/* Its own, and its group's. */
	other = device_map(p, "mine", DEVICE_BYTES, PROT_READ | PROT_WRITE);
	pattern_write(d, other, DEVICE_BYTES, 3);
	other = device_map(p, "group", DEVICE_BYTES, PROT_READ);
	EQ(*(unsigned char *)other, 0);
	EQ(pager_map_device(p, "group", 0, DEVICE_BYTES, PROT_READ | PROT_WRITE, 0, &other),
	    -EACCES);
	EQ(statistics(p).iokit_mapped, 4 * DEVICE_BYTES);
	EQ(statistics(p).phys_footprint, 4 * DEVICE_BYTES);
	for (i = 1; i < 3; i++)
		stage_meet(d, &c->stage[1], (unsigned)i);
	OK(pager_disconnect(p));
}

static void
run_rights(void)
{
	struct live d;
	struct common *c;
	char text[8192];
	pid_t root, nobody;

	live_start(&d, "64M", "--page-size", page_size, "--device", "open=2M,mode=0666", "--device",
	    "readable=2M,mode=0644", "--device", "closed=2M,mode=0600", "--device",
	    "mine=2M,mode=0600,uid=65534", "--device", "group=2M,mode=0640,gid=65534", NULL);
	EQ(live_stat(&d, "device"), 5 * DEVICE_BYTES / (int64_t)d.page_bytes);
	c = common_make(&d);
	root = client_start(&d, root_maps, c);
	stage_wait(&d, &c->stage[0], 1);
	nobody = client_start_as(&d, READER_UID, nobody_maps, c);
	stage_wait(&d, &c->stage[1], 1);
	EQ(live_pagerctl(&d, text, sizeof(text), "devices", "--json", NULL), 0);
	REQUIRE(strstr(text, "\"name\": \"readable\"") || strstr(text, "\"name\":\"readable\""),
	    "%s", text);
	live_check(&d);
	stage_allow(&c->stage[0], 1);
	client_join(&d, root, false);
	live_check(&d);
	stage_allow(&c->stage[1], 2);
	client_join(&d, nobody, false);
	EQ(live_stat(&d, "device"), 5 * DEVICE_BYTES / (int64_t)d.page_bytes);
	live_stop(&d);
}

/* --- doors --- */

static void
footprint_is(struct pager *p, uint64_t mapped, const char *door)
{
	struct pager_statistics s = statistics(p);

	REQUIRE(s.iokit_mapped == mapped &&
		    s.phys_footprint == mapped + s.internal + s.internal_compressed,
	    "%s: %llu, %llu", door, (unsigned long long)s.iokit_mapped,
	    (unsigned long long)s.phys_footprint);
	EQ(s.wired_mem, 0);
	printf("%-32s footprint %8llu, iokit_mapped %8llu\n", door,
	    (unsigned long long)s.phys_footprint, (unsigned long long)s.iokit_mapped);
}

static void
door_region(struct live *d, struct pager *p, unsigned char *base)
{
	struct pager_region_query query = { .size = sizeof(query) };
	struct pager_region_info info;
	unsigned disposition;

	OK(pager_region(p, base, &info));
	REQUIRE(info.addr == base);
	EQ(info.size_bytes, DEVICE_BYTES);
	EQ(info.cache_mode, PAGER_CACHE_WRITE_COMBINED);
	EQ(info.pages_resident, DEVICE_BYTES / d->page_bytes);
	EQ(info.pages_wired, DEVICE_BYTES / d->page_bytes);
	OK(pager_region_query(p, base, PAGER_REGION_EXTENDED, &query));
	EQ(query.external_pager, 1);
	EQ(query.info.cache_mode, PAGER_CACHE_WRITE_COMBINED);
	OK(pager_page_query(p, base, &disposition));
	EQ(disposition,
	    PAGER_PAGE_PRESENT | PAGER_PAGE_DIRTY | PAGER_PAGE_WIRED | PAGER_PAGE_REFERENCED);
}

static void
door_behavior(struct live *d, struct pager *p, unsigned char *base)
{
	EQ(pager_behavior(p, base, DEVICE_BYTES, PAGER_BEHAVIOR_PAGEOUT), -ENOTSUP);
	EQ(pager_behavior(p, base, d->page_bytes, PAGER_BEHAVIOR_FREE), -ENOTSUP);
	OK(pager_behavior(p, base, DEVICE_BYTES, PAGER_BEHAVIOR_DONTNEED));
	OK(pager_behavior(p, base, DEVICE_BYTES, PAGER_BEHAVIOR_WILLNEED));
	OK(pager_behavior(p, base, DEVICE_BYTES, PAGER_BEHAVIOR_SEQUENTIAL));
	OK(pager_behavior(p, base, DEVICE_BYTES, PAGER_BEHAVIOR_DEFAULT));
	OK(pager_tag(p, base, DEVICE_BYTES, 9));
	OK(pager_tag(p, base, DEVICE_BYTES, 0));
	OK(pager_inherit(p, base, DEVICE_BYTES, PAGER_INHERIT_NONE));
	OK(pager_protect(p, base, DEVICE_BYTES / 2, PROT_READ));
	EQ(store(base), SIGSEGV);
	EQ(store(base + DEVICE_BYTES / 2), 0);
	OK(pager_protect(p, base, DEVICE_BYTES / 2, PROT_READ | PROT_WRITE));
	EQ(store(base), 0);
}

/* What the kernel writes there. */
static void
door_kernel(unsigned char *base)
{
	char path[] = "/var/tmp/e_device.XXXXXX", bytes[4096];
	int fd = mkstemp(path);

	REQUIRE(fd >= 0, "%s", strerror(errno));
	unlink(path);
	memset(bytes, 0xc3, sizeof(bytes));
	EQ(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	EQ(pread(fd, base + 4096, sizeof(bytes), 0), sizeof(bytes));
	EQ(memcmp(base + 4096, bytes, sizeof(bytes)), 0);
	close(fd);
}

/* What devices write and read there: real DMA, past the page cache, and memory descriptors. */
static void
door_dma(struct live *d, struct pager *p, unsigned char *base)
{
	const enum pager_direction both[] = { PAGER_DIRECTION_IN, PAGER_DIRECTION_OUT };
	char path[] = "/var/tmp/e_device.XXXXXX", *bytes = aligned_alloc(4096, 4096);
	struct pager_memory_descriptor *md;
	const struct pager_memory_piece *pieces;
	size_t count;
	int fd = mkstemp(path), direct;

	REQUIRE(fd >= 0 && bytes, "%s", strerror(errno));
	memset(bytes, 0x3c, 4096);
	EQ(write(fd, bytes, 4096), 4096);
	direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	unlink(path);
	close(fd);
	for (unsigned i = 0; i < 2; i++) {
		OK(pager_memory_descriptor_create(p, base, DEVICE_BYTES, both[i], &md));
		OK(pager_memory_descriptor_prepare(md, &pieces, &count));
		footprint_is(p, DEVICE_BYTES, "prepared");
		/* Not every file system takes O_DIRECT. */
		if (direct >= 0 && both[i] == PAGER_DIRECTION_IN) {
			EQ(pread(direct, base + 8192, 4096, 0), 4096);
			EQ(memcmp(base + 8192, bytes, 4096), 0);
		} else if (direct >= 0) {
			EQ(pwrite(direct, base + 8192, 4096, 0), 4096);
		}
		footprint_is(p, DEVICE_BYTES, "a device is at work");
		OK(pager_memory_descriptor_complete(md));
		OK(pager_memory_descriptor_release(md));
	}
	footprint_is(p, DEVICE_BYTES, "completed");
	if (direct >= 0)
		close(direct);
	free(bytes);
	(void)d;
}

static void
door_parts(struct live *d, struct pager *p, unsigned char *base)
{
	size_t third = DEVICE_BYTES / 4;

	/* A hole in the middle, then the ends. */
	OK(pager_deallocate(p, base + third, third));
	footprint_is(p, DEVICE_BYTES - third, "the middle is given back");
	EQ(pager_deallocate(p, base, DEVICE_BYTES), -EINVAL);
	OK(pager_deallocate(p, base, third));
	base[2 * third] = 1;
	base[DEVICE_BYTES - 1] = 1;
	footprint_is(p, DEVICE_BYTES - 2 * third, "the front is given back");
	OK(pager_deallocate(p, base + 2 * third, DEVICE_BYTES - 2 * third));
	footprint_is(p, 0, "all is given back");
	(void)d;
}

static void
doors_client(struct live *d, void *argument)
{
	struct sigaction action = { .sa_handler = on_fault };
	const int both = PROT_READ | PROT_WRITE;
	struct pager *p = client_connect(d);
	struct common *c = argument;
	unsigned char *base, *again, *plain;
	struct pager_upl *list;
	int64_t faults;
	int name;

	sigaction(SIGSEGV, &action, NULL);
	footprint_is(p, 0, "nothing is mapped");
	base = device_map(p, "frame-buffer", DEVICE_BYTES, both);
	footprint_is(p, DEVICE_BYTES, "mapped");
	live_rest(d);
	faults = live_stat(d, "faults");
	EQ(base[0], 0);
	footprint_is(p, DEVICE_BYTES, "read fault");
	pattern_write(d, base, DEVICE_BYTES, 5);
	footprint_is(p, DEVICE_BYTES, "write fault");
	OK(pager_wire(p, base, DEVICE_BYTES));
	footprint_is(p, DEVICE_BYTES, "wired");
	OK(pager_unwire(p, base, DEVICE_BYTES));
	EQ(pager_unwire(p, base, DEVICE_BYTES), -EINVAL);
	footprint_is(p, DEVICE_BYTES, "unwired");
	door_kernel(base);
	footprint_is(p, DEVICE_BYTES, "the kernel has written");
	door_dma(d, p, base);
	REQUIRE(madvise(base, DEVICE_BYTES, 23 /* MADV_POPULATE_WRITE */) == 0);
	footprint_is(p, DEVICE_BYTES, "prefaulted");
	door_region(d, p, base);
	door_behavior(d, p, base);
	footprint_is(p, DEVICE_BYTES, "advised");
	EQ(pager_upl_create(p, base, DEVICE_BYTES, PAGER_UPL_COPYOUT_FROM, &list), -ENOTSUP);
	EQ(pager_upl_create(p, base, DEVICE_BYTES, PAGER_UPL_SET_IO_WIRE, &list), -ENOTSUP);
	footprint_is(p, DEVICE_BYTES, "a page list is refused");
	/* XNU bills each mapping. */
	again = device_map(p, "frame-buffer", DEVICE_BYTES, PROT_READ);
	footprint_is(p, 2 * DEVICE_BYTES, "mapped twice");
	OK(pager_make_entry(p, base, DEVICE_BYTES, both, 0, &name));
	footprint_is(p, 2 * DEVICE_BYTES, "named");
	OK(pager_deallocate(p, again, DEVICE_BYTES));
	again = share_map(
	    d, &(struct common){ .count = DEVICE_BYTES / (uint32_t)d->page_bytes }, p, name, both);
	footprint_is(p, 2 * DEVICE_BYTES, "mapped by its name");
	again[17] = 0x77;
	EQ(base[17], 0x77);
	close(name);
	OK(pager_deallocate(p, again, DEVICE_BYTES));
	/* None of this was a fault for the daemon. */
	live_rest(d);
	EQ(live_stat(d, "faults"), faults);
	plain = client_allocate(p, DEVICE_BYTES);
	pattern_write(d, plain, DEVICE_BYTES, 1);
	/* What is billed is read entry by entry. */
	live_rest(d);
	footprint_is(p, DEVICE_BYTES, "beside memory of another kind");
	EQ(pager_behavior(p, plain, DEVICE_BYTES, PAGER_BEHAVIOR_PAGEOUT), 0);
	stage_meet(d, &c->stage[0], 1);
	door_parts(d, p, base);
	OK(pager_disconnect(p));
}

/* A child has nothing of it: nobody would be billed. */
static void
forker(struct live *d, void *argument)
{
	struct sigaction action = { .sa_handler = on_fault };
	struct pager *p = client_connect(d);
	unsigned char *base = device_map(p, "frame-buffer", DEVICE_BYTES, PROT_READ | PROT_WRITE);
	int status;
	pid_t pid;

	(void)argument;
	sigaction(SIGSEGV, &action, NULL);
	pid = fork();
	if (pid == 0)
		_exit(store(base) == SIGSEGV ? 0 : 1);
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0, "%x", status);
	/* Where the program has unmapped it, or has mapped something else, that is left alone. */
	REQUIRE(munmap(base, 4 * d->page_bytes) == 0);
	REQUIRE(mmap(base, d->page_bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == base);
	base[0] = 42;
	OK(pager_deallocate(p, base, DEVICE_BYTES));
	EQ(base[0], 42);
	EQ(statistics(p).iokit_mapped, 0);
	OK(pager_disconnect(p));
	EQ(base[0], 42);
}

static void
run_doors(void)
{
	struct live d;
	struct common *c;
	pid_t pid;

	live_start(&d, "32M", "--page-size", page_size, "--device",
	    "frame-buffer=2M,mode=0600,cache=write-combined", NULL);
	c = common_make(&d);
	pid = client_start(&d, doors_client, c);
	stage_wait(&d, &c->stage[0], 1);
	live_check(&d);
	stage_allow(&c->stage[0], 1);
	client_join(&d, pid, false);
	client_join(&d, client_start(&d, forker, NULL), false);
	live_stop(&d);
}

/* --- start: what pagerd says of a device that does not fit --- */

static void
start_refused(const char *arguments, int status, const char *expected)
{
	char command[1024], text[4096] = "";
	size_t used;
	FILE *f;
	int r;

	snprintf(command, sizeof(command), "%s --socket /var/tmp/e_device.none --no-swap %s 2>&1",
	    getenv("PAGERD"), arguments);
	f = popen(command, "r");
	REQUIRE(f != NULL);
	used = fread(text, 1, sizeof(text) - 1, f);
	text[used] = '\0';
	r = pclose(f);
	REQUIRE(WIFEXITED(r) && WEXITSTATUS(r) == status, "%s: %s", arguments, text);
	REQUIRE(strstr(text, expected), "%s: %s", arguments, text);
}

static void
run_start(void)
{
	start_refused("--memory 32M --device big=31M", 1,
	    "--device big=31M does not fit: the devices take 31M up to it, and of --memory 32M at "
	    "most 19.2M may be wired");
	start_refused("--memory 32M --device a=10M --device b=10M", 1, "the devices take 20M");
	start_refused("--device =1M", 2, "wants NAME=SIZE");
	start_refused("--device a", 2, "wants NAME=SIZE");
	start_refused("--device a=0", 2, "no size");
	start_refused("--device a=1M,mode=9", 2, "mode cannot be \"9\"");
	start_refused("--device a=1M,uid=-1", 2, "uid cannot be \"-1\"");
	start_refused("--device a=1M,color=2", 2, "is none of");
	start_refused("--device a=1M,cache=warm", 2, "not \"warm\"");
	start_refused("--device a/b=1M", 2, "not \"a/b\"");
	start_refused("--device a=1M --device a=2M", 2, "given twice");
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "rights", run_rights }, { "doors", run_doors },
		{ "start", run_start } };

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
