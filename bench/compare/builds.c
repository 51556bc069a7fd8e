/* SPDX-License-Identifier: MIT */
#include "builds.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base.h"

/* => whether directory/name is a file that may be executed. ret: its path without links and dots;
 * unchanged if it is none. */
static bool
program_find(const char *directory, const char *name, char ret[PATH_MAX])
{
	char path[PATH_MAX + 32], real[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (!realpath(path, real) || stat(real, &st) || !S_ISREG(st.st_mode) || access(real, X_OK))
		return false;
	snprintf(ret, PATH_MAX, "%s", real);
	return true;
}

/* Daemon and pagerbench within a directory; pagerbench relative to the daemon's directory. */
static const char *const in_directory[][2] = {
	{ "daemon/pagerd", "bench/pagerbench" },
	{ "sbin/pagerd", "bin/pagerbench" },
	{ "pagerd", "pagerbench" },
};
static const char *const beside_daemon[] = { "../bench/pagerbench", "../bin/pagerbench",
	"pagerbench" };

int
build_find(const char *path, struct build *ret)
{
	char real[PATH_MAX];
	struct build b = { .bench = "" };
	struct stat st;

	if (!realpath(path, real) || stat(real, &st)) {
		int error = -errno;

		fprintf(
		    stderr, "pagerbench: no build of pagerd in '%s': %s\n", path, strerror(-error));
		return error;
	}
	if (S_ISDIR(st.st_mode)) {
		for (size_t i = 0; i < ARRAY_LEN(in_directory); i++)
			if (program_find(real, in_directory[i][0], b.daemon)) {
				program_find(real, in_directory[i][1], b.bench);
				*ret = b;
				return 0;
			}
		fprintf(stderr,
		    "pagerbench: '%s' is neither a build directory of pagerd (it has no "
		    "daemon/pagerd) nor the prefix of an installation (no sbin/pagerd)\n",
		    path);
		return -ENOENT;
	}
	if (!S_ISREG(st.st_mode) || access(real, X_OK)) {
		fprintf(stderr, "pagerbench: '%s' is not a program\n", path);
		return -EACCES;
	}
	memcpy(b.daemon, real, sizeof(b.daemon));
	*strrchr(real, '/') = '\0';
	for (size_t i = 0; i < ARRAY_LEN(beside_daemon) && !b.bench[0]; i++)
		program_find(real, beside_daemon[i], b.bench);
	*ret = b;
	return 0;
}

enum build_run
build_order(unsigned round, unsigned k)
{
	static const unsigned char orders[][BUILD_RUNS] = {
		{ BUILD_OTHER, BUILD_THIS, BUILD_OTHER_AGAIN },
		{ BUILD_THIS, BUILD_OTHER_AGAIN, BUILD_OTHER },
		{ BUILD_OTHER_AGAIN, BUILD_OTHER, BUILD_THIS },
		{ BUILD_OTHER_AGAIN, BUILD_THIS, BUILD_OTHER },
		{ BUILD_OTHER, BUILD_OTHER_AGAIN, BUILD_THIS },
		{ BUILD_THIS, BUILD_OTHER, BUILD_OTHER_AGAIN },
	};

	return (enum build_run)orders[round % ARRAY_LEN(orders)][k];
}
