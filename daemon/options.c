/* SPDX-License-Identifier: MIT
 *
 * What the command line says, checked; whatever is wrong ends the program with a message. Runs on:
 * the main thread, before there are others.
 */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "failpt.h"
#include "size.h"
#include "standard.h"

static const char usage_text[] =
    "usage: pagerd [options]\n"
    "  --socket PATH          where clients connect (default $XDG_RUNTIME_DIR/pagerd.sock, root: "
    "/run/pagerd/pagerd.sock)\n"
    "  --socket-mode MODE     who may connect, octal (default 0660 as root with a group pagerd, "
    "else 0600)\n"
    "  --memory SIZE          memory to hold, as 64M or 2G (default a quarter of RAM)\n"
    "  --device NAME=SIZE     memory of a device, wired and kept for it; behind it may stand\n"
    "                         ,mode=0660 ,uid=UID ,gid=GID ,cache=MODE; may be repeated\n"
    "  --swap-dir DIR         where swap files are made (default /var/lib/pagerd, or under the "
    "user's state directory)\n"
    "  --swap-max SIZE        most space that swap files may take (default no limit)\n"
    "  --no-swap              compress only\n"
    "  --page-size SIZE       4K (default), 16K or 64K\n"
    "  --policy NAME[:params] page-out policy or default (mach2q, its inactive target adapting)\n"
    "  --config FILE          parameters, `name = value` lines (see pagerctl param list)\n"
    "  --param NAME=VALUE     one parameter; may be repeated\n"
    "  --log-level LEVEL      error, warning, notice (default), info or debug\n"
    "  --fail SPEC            arm fail points, for tests: NAME:after[:times][,...]\n"
    "  --version, --help\n";

#define SOCKET_MODE_DEFAULT ((mode_t)-1) /* nobody has said anything */

void
die(int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("pagerd: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(status);
}

static uint64_t
size_option(const char *name, const char *text)
{
	uint64_t bytes;
	int error = size_parse(text, &bytes);

	if (error)
		die(2, "%s wants a size such as 64M or 2G, not \"%s\"%s", name, text,
		    error == -ERANGE ? " (which no machine has)" : "");
	return bytes;
}

static mode_t
mode_option(const char *text)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (!isdigit((unsigned char)text[0]) || *end || mode > 0777)
		die(2, "--socket-mode wants an octal mode such as 0660, not \"%s\"", text);
	return (mode_t)mode;
}

static char *
path_option(const char *name, char *text)
{
	if (text[0] == '\0')
		die(2, "%s wants a path, not \"\"", name);
	return text;
}

static char *
default_path(const char *root_path, const char *variable, const char *fallback, const char *name)
{
	const char *base = getenv(variable), *home = getenv("HOME");
	char path[PATH_MAX];

	if (geteuid() == 0)
		return strdup(root_path);
	if (base)
		snprintf(path, sizeof(path), "%s/%s", base, name);
	else
		snprintf(path, sizeof(path), "%s%s/%s", home ? home : "/tmp", fallback, name);
	return strdup(path);
}

static void
set_param(struct daemon *d, char *text)
{
	char *value = strchr(text, '=');
	int error;

	if (!value)
		die(2, "--param wants NAME=VALUE, not \"%s\"", text);
	*value++ = '\0';
	error = param_set(&d->params, text, value);
	if (error)
		die(2, "--param %s=%s: %s (pagerctl param list shows all)", text, value,
		    error == -ENOENT   ? "no such parameter"
		    : error == -ERANGE ? "out of range"
				       : "not a number");
}

/* => the number, or an end with a message */
static uint64_t
device_number(const char *device, const char *key, const char *text, int base, uint64_t most)
{
	char *end;
	unsigned long long number = strtoull(text, &end, base);

	if (!isdigit((unsigned char)text[0]) || *end || number > most)
		die(2, "--device %s: %s cannot be \"%s\"", device, key, text);
	return number;
}

static uint32_t
device_cache(const char *device, const char *text)
{
	static const char *const names[] = { "default", "write-combined", "uncached",
		"write-through", "copy-back" };

	for (uint32_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], text) == 0)
			return i;
	die(2,
	    "--device %s: cache is default, write-combined, uncached, write-through or "
	    "copy-back, not \"%s\"",
	    device, text);
}

/* One of the words behind the size. */
static void
device_attribute(struct device *v, char *word)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = '\0';
	if (value && strcmp(word, "mode") == 0)
		v->mode = (mode_t)device_number(v->name, word, value, 8, 0777);
	else if (value && strcmp(word, "uid") == 0)
		v->uid = (uid_t)device_number(v->name, word, value, 10, UINT32_MAX - 1);
	else if (value && strcmp(word, "gid") == 0)
		v->gid = (gid_t)device_number(v->name, word, value, 10, UINT32_MAX - 1);
	else if (value && strcmp(word, "cache") == 0)
		v->cache_mode = device_cache(v->name, value);
	else
		die(2, "--device %s: \"%s\" is none of mode=, uid=, gid= and cache=", v->name,
		    word);
}

/* NAME=SIZE[,KEY=VALUE]... */
static void
device_option(struct daemon *d, char *argument)
{
	struct device *v = calloc(1, sizeof(*v)), **last = &d->devices;
	char *size = strchr(argument, '='), *word, *rest = NULL;

	if (!v)
		die(1, "no memory");
	if (!size || size == argument)
		die(2, "--device wants NAME=SIZE, not \"%s\"", argument);
	*size++ = '\0';
	if (strlen(argument) >= sizeof(v->name) ||
	    strspn(argument, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
		strlen(argument))
		die(2,
		    "--device: a name is up to 31 letters, digits, dots, lines and dashes, not "
		    "\"%s\"",
		    argument);
	snprintf(v->name, sizeof(v->name), "%s", argument);
	v->mode = 0660;
	v->uid = geteuid();
	v->gid = getegid();
	word = strtok_r(size, ",", &rest);
	v->bytes = size_option("--device", word ? word : "");
	if (v->bytes == 0)
		die(2, "--device %s has no size", v->name);
	while ((word = strtok_r(NULL, ",", &rest)) != NULL)
		device_attribute(v, word);
	for (; *last; last = &(*last)->next)
		if (strcmp((*last)->name, v->name) == 0)
			die(2, "--device %s is given twice", v->name);
	*last = v;
}

enum {
	SOCKET = 256,
	SOCKET_MODE,
	MEMORY,
	DEVICE,
	SWAP_DIR,
	SWAP_MAX,
	NO_SWAP,
	PAGE_SIZE,
	POLICY,
	CONFIG,
	PARAMETER,
	LOG_LEVEL,
	FAIL,
	VERSION,
	HELP
};

static void
parse_one(struct daemon *d, int option, char *argument)
{
	struct options *o = &d->options;
	char message[512];
	int error;

	switch (option) {
	case SOCKET:
		o->socket_path = path_option("--socket", argument);
		break;
	case SOCKET_MODE:
		o->socket_mode = mode_option(argument);
		break;
	case MEMORY:
		o->memory_bytes = size_option("--memory", argument);
		break;
	case DEVICE:
		device_option(d, argument);
		break;
	case SWAP_DIR:
		if (argument[0] == '\0')
			die(2, "--swap-dir wants a directory, not \"\" (leave it out for the "
			       "default, or say --no-swap)");
		o->swap_directory = argument;
		break;
	case SWAP_MAX:
		o->swap_max_bytes = size_option("--swap-max", argument);
		if (o->swap_max_bytes == 0)
			die(2, "--swap-max 0 leaves no room for a swap file (say --no-swap for no "
			       "swap, or leave it out for no limit)");
		break;
	case NO_SWAP:
		o->no_swap = true;
		break;
	case PAGE_SIZE:
		o->page_bytes = size_option("--page-size", argument);
		if (o->page_bytes != 4096 && o->page_bytes != 16384 && o->page_bytes != 65536)
			die(2, "--page-size is 4K, 16K or 64K, not \"%s\"", argument);
		break;
	case POLICY:
		o->policy = argument;
		break;
	case CONFIG:
		error = params_load(&d->params, argument, message, sizeof(message));
		if (error)
			die(2, "%s", message);
		break;
	case PARAMETER:
		set_param(d, argument);
		break;
	case LOG_LEVEL:
		if (log_level_parse(argument, &o->log_level) != 0)
			die(2, "--log-level is error, warning, notice, info or debug, not \"%s\"",
			    argument);
		break;
	case FAIL:
		if (failpt_arm(argument) != 0)
			die(2, "--fail %s: no such fail point, or not NAME:after[:times]",
			    argument);
		break;
	case VERSION:
		puts("pagerd " PAGERD_VERSION);
		exit(standard_finish("pagerd", 0));
	case HELP:
		fputs(usage_text, stdout);
		exit(standard_finish("pagerd", 0));
	default:
		fputs(usage_text, stderr);
		exit(2);
	}
}

static void
check_memory(struct options *o)
{
	uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	char given[32], there[32];

	if (!o->memory_bytes)
		o->memory_bytes = ram / 4;
	if (o->memory_bytes / o->page_bytes < 512)
		die(2, "--memory must be at least 512 pages (%s)",
		    size_format(o->page_bytes * 512, there, sizeof(there)));
	if (o->memory_bytes > ram)
		die(2,
		    "--memory %s is more than this machine has (%s): pages that do not fit go to "
		    "swap by themselves",
		    size_format(o->memory_bytes, given, sizeof(given)),
		    size_format(ram, there, sizeof(there)));
}

void
options_parse(struct daemon *d, int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, SOCKET },
		{ "socket-mode", required_argument, NULL, SOCKET_MODE },
		{ "memory", required_argument, NULL, MEMORY },
		{ "device", required_argument, NULL, DEVICE },
		{ "swap-dir", required_argument, NULL, SWAP_DIR },
		{ "swap-max", required_argument, NULL, SWAP_MAX },
		{ "no-swap", no_argument, NULL, NO_SWAP },
		{ "page-size", required_argument, NULL, PAGE_SIZE },
		{ "policy", required_argument, NULL, POLICY },
		{ "config", required_argument, NULL, CONFIG },
		{ "param", required_argument, NULL, PARAMETER },
		{ "log-level", required_argument, NULL, LOG_LEVEL },
		{ "fail", required_argument, NULL, FAIL },
		{ "version", no_argument, NULL, VERSION },
		{ "help", no_argument, NULL, HELP },
		{ 0 },
	};
	struct options *o = &d->options;
	int option;

	o->log_level = LOG_NOTICE;
	o->socket_mode = SOCKET_MODE_DEFAULT;
	o->page_bytes = 4096;
	o->policy = (char *)(uintptr_t) "default";
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		parse_one(d, option, optarg);
	if (optind < argc)
		die(2, "unexpected argument \"%s\" (try --help)", argv[optind]);
	if (!o->socket_path)
		o->socket_path =
		    default_path(PAGER_SOCKET_SYSTEM, "XDG_RUNTIME_DIR", "", PAGER_SOCKET_USER);
	if (!o->swap_directory && !o->no_swap)
		o->swap_directory =
		    default_path("/var/lib/pagerd", "XDG_STATE_HOME", "/.local/state", "pagerd");
	check_memory(o);
}

bool
options_choose_access(struct options *o)
{
	const struct group *group = geteuid() == 0 ? getgrnam(OPTIONS_GROUP) : NULL;
	bool chosen = o->socket_mode != SOCKET_MODE_DEFAULT;

	o->socket_group = group ? group->gr_gid : (gid_t)-1;
	if (!chosen)
		o->socket_mode = group ? 0660 : 0600;
	return geteuid() == 0 && !group && !chosen;
}
