/* SPDX-License-Identifier: MIT
 *
 * Floors: the time that the machine itself takes for the parts of a pager's work; no pager can be
 * faster. Each function measures for a fraction of a second, on one thread unless its comment says
 * otherwise. => 0 or -errno.
 */
#ifndef BENCH_FLOORS_H
#define BENCH_FLOORS_H

#include "pool.h"

struct floors {
	/* userfaultfd: touch, wake, read, UFFDIO_CONTINUE, wake; handler on the same CPU */
	double echo_p50_ns;
	double read_p50_ns;          /* 4 KiB O_DIRECT io_uring read at depth 1 */
	double write_bytes_per_s;    /* 256 KiB O_DIRECT io_uring writes in sequence, depth 4 */
	double compress_page_ns;     /* LZ4, 4 KiB, one core */
	double compress_page_all_ns; /* the same on all processors at once: they share caches */
	double decompress_page_ns;   /* LZ4, 4 KiB, one core */
	double plain_touch_ns;       /* random touch of plain memory, mean */
	double plain_first_touch_ns; /* first touch of a plain page, mean */
};

int floor_echo(double *ret_p50_ns);
/* A file is made in the directory and removed. */
int floor_read(const char *directory, double *ret_p50_ns);
int floor_write(const char *directory, double *ret_bytes_per_s);
int floor_lz4(const struct pool *pool, double *ret_compress_ns, double *ret_decompress_ns);
int floor_lz4_all(const struct pool *pool, double *ret_compress_ns);
int floor_plain(uint64_t bytes, double *ret_touch_ns, double *ret_first_touch_ns);

#endif
