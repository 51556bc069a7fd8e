/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/un.h>
#include <unistd.h>

#include "process.h"
#include "zram.h"

int
peer_only_one(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "\0pagerbench-compare" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		fputs("pagerbench: another comparison is running (or restoring the system)\n",
		    stderr);
		close(fd);
		return -EBUSY;
	}
	return 0; /* the name is held until the process ends */
}

/* Finds a zram device that is not in use. => 0 or -errno. */
static int
zram_find(struct journal *j)
{
	char name[32], text[128];
	const char *from, *to;

	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "zram%d", i);
		if (zram_read(name, "disksize", text, sizeof(text)))
			return i ? -EBUSY : -ENODEV;
		if (strcmp(text, "0") != 0)
			continue;
		if (zram_read(name, "comp_algorithm", text, sizeof(text)))
			return -ENODEV;
		from = strchr(text, '[');
		to = from ? strchr(from, ']') : NULL;
		if (!strstr(text, "lz4") || !to || (size_t)(to - from) >= sizeof(j->zram_algorithm))
			return -EOPNOTSUPP;
		memcpy(j->zram_algorithm, from + 1, (size_t)(to - from - 1));
		j->zram_algorithm[to - from - 1] = '\0';
		snprintf(j->zram, sizeof(j->zram), "%s", name);
		return 0;
	}
	return -EBUSY;
}

static bool
swap_is_on(void)
{
	char line[256];
	FILE *f = fopen("/proc/swaps", "re");
	bool on = false;

	if (f) {
		on = fgets(line, sizeof(line), f) && fgets(line, sizeof(line), f);
		fclose(f);
	}
	return on;
}

/* Checks what this machine has, and prints what is missing. => 0 or -errno. */
static int
peer_probe(struct peer *p)
{
	struct journal *j = p->journal;
	int error;

	if (geteuid() != 0) {
		fputs("pagerbench: comparing with the kernel needs root (swap and cgroups are "
		      "changed); try sudo, or --peer none\n",
		    stderr);
		return -EPERM;
	}
	if (swap_is_on()) {
		fputs("pagerbench: swap is already on; it would affect both sides. "
		      "Turn it off first (swapoff -a), or use --peer none\n",
		    stderr);
		return -EBUSY;
	}
	error = cgroup_find("/proc/mounts", &j->root);
	if (error) {
		fputs("pagerbench: no cgroup hierarchy has the memory controller\n", stderr);
		return error;
	}
	error = p->swap && p->kind == PEER_ZRAM ? zram_find(j) : 0;
	if (error == -EBUSY)
		fputs("pagerbench: every zram device is in use (disksize is not 0)\n", stderr);
	else if (error == -EOPNOTSUPP)
		fputs("pagerbench: zram does not support lz4 here\n", stderr);
	else if (error)
		fputs("pagerbench: no zram device (modprobe zram), or use --peer kernel-swapfile\n",
		    stderr);
	if (!error)
		error = file_read(PAGE_CLUSTER_FILE, j->page_cluster, sizeof(j->page_cluster));
	return error;
}

int
peer_create(struct peer *p, enum peer_kind kind, bool swap, int page_cluster, const char *directory)
{
	struct journal *j =
	    mmap(NULL, sizeof(*j), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int error = 0;

	if (j == MAP_FAILED)
		return -ENOMEM;
	*p =
	    (struct peer){ .kind = kind, .swap = swap, .page_cluster = page_cluster, .journal = j };
	if (kind == PEER_ZRAM || kind == PEER_SWAPFILE)
		error = peer_probe(p);
	if (!error) {
		snprintf(j->directory, sizeof(j->directory), "%s/pagerbench.XXXXXX", directory);
		if (!mkdtemp(j->directory)) {
			error = -errno;
			fprintf(stderr, "pagerbench: cannot make a directory in %s: %s\n",
			    directory, strerror(-error));
		} else {
			j->directory_made = true;
		}
	}
	if (!error)
		error = guardian_start(&p->guardian, j);
	if (error) {
		journal_remove_directory(j);
		munmap(j, sizeof(*j));
		p->journal = NULL;
	}
	return error;
}

void
peer_destroy(struct peer *p)
{
	if (!p->journal)
		return;
	peer_end(p);
	journal_remove_directory(p->journal);
	guardian_stop(&p->guardian);
	munmap(p->journal, sizeof(*p->journal));
	p->journal = NULL;
}

/* Writes the same as mkswap: version 1, with the signature at the end of the first page. */
static int
swap_format(const char *path, uint64_t bytes)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	char *page = calloc(1, page_bytes);
	uint32_t head[3] = { 1, (uint32_t)(bytes / page_bytes - 1),
		0 }; /* version, last page, bad pages */
	int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;

	if (!page || fd < 0) {
		error = fd < 0 ? -errno : -ENOMEM;
		if (fd >= 0)
			close(fd);
		free(page);
		return error;
	}
	memcpy(page + 1024, head, sizeof(head));
	memcpy(page + page_bytes - 10, "SWAPSPACE2", 10);
	if (pwrite(fd, page, page_bytes, 0) != (ssize_t)page_bytes || fsync(fd))
		error = errno ? -errno : -EIO;
	close(fd);
	free(page);
	return error;
}

static int
swap_file_make(struct journal *j, uint64_t bytes)
{
	int fd, error = 0;

	snprintf(j->swap, sizeof(j->swap), "%.250s/swapfile", j->directory);
	j->swap_file_made = true;
	fd = open(j->swap, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	error = -posix_fallocate(fd, 0, (off_t)bytes);
	close(fd);
	return error;
}

static int
zram_make(struct journal *j, uint64_t bytes)
{
	char size[32];
	int error;

	snprintf(size, sizeof(size), "%llu", (unsigned long long)bytes);
	snprintf(j->swap, sizeof(j->swap), "/dev/%s", j->zram);
	j->zram_changed = true;
	error = zram_reset(j->zram);
	if (!error)
		error = zram_write(j->zram, "comp_algorithm", "lz4");
	if (!error)
		error = zram_write(j->zram, "disksize", size);
	return error;
}

static int
swap_begin(struct peer *p, uint64_t swap_bytes)
{
	struct journal *j = p->journal;
	char value[16];
	int error = p->kind == PEER_ZRAM ? zram_make(j, swap_bytes) : swap_file_make(j, swap_bytes);

	if (!error)
		error = swap_format(j->swap, swap_bytes);
	if (error)
		return error;
	j->swap_on = true;
	if (swapon(j->swap, 0))
		return -errno;
	if (p->page_cluster >= 0) {
		snprintf(value, sizeof(value), "%d", p->page_cluster);
		j->page_cluster_set = true;
		error = file_write(PAGE_CLUSTER_FILE, value);
	}
	return error;
}

static int
peer_begin_steps(struct peer *p, uint64_t swap_bytes)
{
	struct journal *j = p->journal;
	int error = swap_bytes ? swap_begin(p, swap_bytes) : 0;

	if (error)
		return error;
	if (cgroup_needs_subtree(&j->root)) {
		j->subtree_set = true;
		error = cgroup_set_subtree(&j->root, true);
		if (error)
			return error;
	}
	snprintf(j->cgroup, sizeof(j->cgroup), "%.250s/pagerbench.%d", j->root.path, (int)getpid());
	j->cgroup_made = true;
	return cgroup_make(j->cgroup);
}

int
peer_begin(struct peer *p, uint64_t swap_bytes)
{
	int error = peer_begin_steps(p, swap_bytes & ~(uint64_t)4095);

	if (error) {
		fprintf(stderr, "pagerbench: cannot set up the cgroup or its swap: %s\n",
		    strerror(-error));
		peer_end(p);
	}
	return error;
}

int
peer_end(struct peer *p)
{
	int error = journal_undo(p->journal);

	if (error)
		fprintf(
		    stderr, "pagerbench: cannot restore swap and cgroup: %s\n", strerror(-error));
	return error;
}

static bool
zram_mm_stat(const struct peer *p, unsigned long long ret[5])
{
	char text[256];

	return p->kind == PEER_ZRAM &&
	       !zram_read(p->journal->zram, "mm_stat", text, sizeof(text)) &&
	       sscanf(text, "%llu %llu %llu %llu %llu", &ret[0], &ret[1], &ret[2], &ret[3],
		   &ret[4]) == 5;
}

uint64_t
peer_pool_max_bytes(const struct peer *p)
{
	unsigned long long v[5];

	return p->journal->zram_changed && zram_mm_stat(p, v) ? v[4] : 0;
}

double
peer_pool_ratio(const struct peer *p)
{
	unsigned long long v[5];

	return p->journal->zram_changed && zram_mm_stat(p, v) && v[1] ? (double)v[0] / (double)v[1]
								      : 0.0;
}
