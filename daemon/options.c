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
#include "keeper/manager.h"
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
    "  --swap-device PATH     a block device that swap may have, all of it\n"
    "  --swap-nbd URI         an export of an NBD server, as nbd://host/name or nbds:// with TLS\n"
    "                         Each of these three may be repeated, and ,priority=N stand behind "
    "it:\n"
    "                         the highest is used first (default: in the order given)\n"
    "  --swap-encrypt WHAT    yes or no (default: yes for --swap-nbd only); one place: "
    ",encrypt=yes\n"
    "  --swap-key FILE        a key for that (default: a new one is drawn at each start)\n"
    "  --swap-max SIZE        most space that swap files may take (default no limit)\n"
    "  --no-swap              compress only\n"
    "  --profiles DIR         where profiles of programs are kept (see the manual)\n"
    "  --strict-files         others' reads of a mapped file wait for stores to be written (root)\n"
    "  --host-pressure        give memory back while the machine is short of it\n"
    "  --host-files DIR       where --host-pressure reads meminfo and pressure/memory (/proc)\n"
    "  --keeper               a second process has what clients need, and makes another worker "
    "when\n"
    "                         this one is killed\n"
    "  --no-keeper            the same without a second process, if the service manager has a "
    "store for\n"
    "                         descriptors (FileDescriptorStoreMax= of systemd)\n"
    "  --arenas               prints what a program that is to take over must have in common, and "
    "ends\n"
    "  --worker FD            for the keeper: goes on with what this descriptor names\n"
    "  --private              ends its clients when it ends, and removes its socket's directory\n"
    "  --jetsam               end processes, the least important first, when memory runs out\n"
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

/* --- swap: its places, in the order in which they are given ------------------------------- */

enum said { SAID_NOTHING, SAID_NO, SAID_YES };

static enum said all_encrypted, encrypted[SWAP_BACKENDS_MAX];

static enum said
said(const char *option, const char *text)
{
	bool yes = strcmp(text, "yes") == 0;

	if (!yes && strcmp(text, "no") != 0)
		die(2, "%s is yes or no, not \"%s\"", option, text);
	return yes ? SAID_YES : SAID_NO;
}

/* Of PATH[,priority=N][,encrypt=yes|no]: takes the last word, before which the text ends then. =>
 * whether there is one */
static bool
word_take(const char *option, char *text, int *priority, enum said *encrypt)
{
	char *word = strrchr(text, ','), *end;
	long number;

	if (word && strncmp(word, ",encrypt=", 9) == 0) {
		*encrypt = said("encrypt=", word + 9);
		*word = '\0';
		return true;
	}
	if (!word || strncmp(word, ",priority=", 10) != 0)
		return false;
	number = strtol(word + 10, &end, 10);
	if (end == word + 10 || *end || number < -32768 || number > 32767)
		die(2, "%s: a priority is a number from -32768 to 32767, not \"%s\"", option,
		    word + 10);
	*word = '\0';
	*priority = (int)number;
	return true;
}

static void
options_swap(struct options *o, enum swap_kind kind, char *argument)
{
	static const char *const options[] = { [SWAP_DIRECTORY] = "--swap-dir",
		[SWAP_DEVICE] = "--swap-device",
		[SWAP_NBD] = "--swap-nbd" };
	static const char *const wants[] = {
		[SWAP_DIRECTORY] = ("a directory, not \"\" (leave it out for the default, or say "
				    "--no-swap)"),
		[SWAP_DEVICE] = "a block device such as /dev/sdb2, not \"\"",
		[SWAP_NBD] = "a URI such as nbd://host/export, not \"\"",
	};
	struct swap_backend_config *b = &o->swap_backends[o->swap_backend_count];

	if (o->swap_backend_count == SWAP_BACKENDS_MAX)
		die(2, "%s %s: there can be at most %u places for swap", options[kind], argument,
		    SWAP_BACKENDS_MAX);
	/* As swapon(8) does it: what is named first is used first. */
	*b = (struct swap_backend_config){
		.kind = kind, .where = argument, .priority = -(int)o->swap_backend_count
	};
	while (word_take(options[kind], argument, &b->priority, &encrypted[o->swap_backend_count]))
		continue;
	if (argument[0] == '\0')
		die(2, "%s wants %s", options[kind], wants[kind]);
	for (unsigned i = 0; i < o->swap_backend_count; i++)
		if (strcmp(o->swap_backends[i].where, argument) == 0)
			die(2, "%s %s is given twice", options[kind], argument);
	o->swap_backend_count++;
}

static void
options_swap_encrypt(const char *argument)
{
	all_encrypted = said("--swap-encrypt", argument);
}

static void
options_swap_finish(struct options *o)
{
	bool any = false;

	for (unsigned i = 0; i < o->swap_backend_count; i++) {
		struct swap_backend_config *b = &o->swap_backends[i];
		enum said says = encrypted[i] ? encrypted[i] : all_encrypted;

		/* What leaves the machine is encrypted unless it is said that it need not be. */
		b->encrypt = says ? says == SAID_YES : b->kind == SWAP_NBD;
		any |= b->encrypt;
	}
	if (o->swap_key_file && !any)
		die(2, "--swap-key is given, but no swap is encrypted (say --swap-encrypt yes, or "
		       "leave it out)");
}

/* --- all of them ---------------------------------------------------------------------------- */

enum {
	SOCKET = 256,
	SOCKET_MODE,
	MEMORY,
	DEVICE,
	SWAP_DIR,
	SWAP_ON_DEVICE,
	SWAP_ON_NBD,
	SWAP_ENCRYPT,
	SWAP_KEY,
	SWAP_MAX,
	NO_SWAP,
	HOST_PRESSURE,
	HOST_FILES,
	KEEPER,
	NO_KEEPER,
	ARENAS,
	WORKER,
	PRIVATE,
	JETSAM,
	PROFILES,
	STRICT_FILES,
	PAGE_SIZE,
	POLICY,
	CONFIG,
	PARAMETER,
	LOG_LEVEL,
	FAIL,
	VERSION,
	HELP
};

static bool is_private;

bool
options_are_private(void)
{
	return is_private;
}

/* => whether it is an option that only has to be said */
static bool
parse_flag(struct options *o, int option)
{
	bool *flag = option == NO_SWAP         ? &o->no_swap
		     : option == STRICT_FILES  ? &o->strict_files
		     : option == HOST_PRESSURE ? &o->host_pressure
		     : option == KEEPER        ? &o->keeper
		     : option == NO_KEEPER     ? &o->no_keeper
		     : option == ARENAS        ? &o->tell_arenas
		     : option == PRIVATE       ? &is_private
					       : NULL;

	if (flag)
		*flag = true;
	return flag != NULL;
}

/* => whether it is about swap */
static bool
parse_swap(struct options *o, int option, char *argument)
{
	switch (option) {
	case SWAP_DIR:
		options_swap(o, SWAP_DIRECTORY, argument);
		return true;
	case SWAP_ON_DEVICE:
		options_swap(o, SWAP_DEVICE, argument);
		return true;
	case SWAP_ON_NBD:
		options_swap(o, SWAP_NBD, argument);
		return true;
	case SWAP_ENCRYPT:
		options_swap_encrypt(argument);
		return true;
	case SWAP_KEY:
		o->swap_key_file = path_option("--swap-key", argument);
		return true;
	case SWAP_MAX:
		o->swap_max_bytes = size_option("--swap-max", argument);
		if (o->swap_max_bytes == 0)
			die(2, "--swap-max 0 leaves no room for a swap file (say --no-swap for no "
			       "swap, or leave it out for no limit)");
		return true;
	default:
		return false;
	}
}

static void
parse_one(struct daemon *d, int option, char *argument)
{
	struct options *o = &d->options;
	char message[512];
	int error;

	if (parse_flag(o, option) || parse_swap(o, option, argument))
		return;
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
	case PROFILES:
		o->profile_directory = path_option("--profiles", argument);
		break;
	case HOST_FILES:
		o->host_directory = path_option("--host-files", argument);
		break;
	case JETSAM:
		store_relaxed(&d->params.jetsam, 2);
		break;
	case WORKER:
		o->worker_table = (int)strtol(argument, NULL, 10);
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

/* What a worker cannot leave to another one yet is refused. */
static void
check_keeper(struct daemon *d)
{
	struct options *o = &d->options;

	if (o->keeper && o->no_keeper)
		die(2, "--keeper and --no-keeper exclude each other");
	o->is_stored = o->no_keeper && manager_is_there();
	if (!o->keeper && !o->is_stored) {
		if (o->tell_arenas || o->worker_table >= 0)
			die(2, "--arenas and --worker go with --keeper");
		return;
	}
	if (is_private)
		die(2, "--private ends its clients with the daemon, and --keeper lets them outlive "
		       "it: leave one of them out");
	if (o->strict_files || o->host_pressure || d->devices)
		die(2, "--keeper does not keep files, devices and changes of the memory's size "
		       "yet: leave out "
		       "--strict-files, --host-pressure and --device, or --keeper");
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
		{ "swap-device", required_argument, NULL, SWAP_ON_DEVICE },
		{ "swap-nbd", required_argument, NULL, SWAP_ON_NBD },
		{ "swap-encrypt", required_argument, NULL, SWAP_ENCRYPT },
		{ "swap-key", required_argument, NULL, SWAP_KEY },
		{ "swap-max", required_argument, NULL, SWAP_MAX },
		{ "no-swap", no_argument, NULL, NO_SWAP },
		{ "strict-files", no_argument, NULL, STRICT_FILES },
		{ "host-pressure", no_argument, NULL, HOST_PRESSURE },
		{ "keeper", no_argument, NULL, KEEPER },
		{ "no-keeper", no_argument, NULL, NO_KEEPER },
		{ "arenas", no_argument, NULL, ARENAS },
		{ "worker", required_argument, NULL, WORKER },
		{ "private", no_argument, NULL, PRIVATE },
		{ "host-files", required_argument, NULL, HOST_FILES },
		{ "jetsam", no_argument, NULL, JETSAM },
		{ "profiles", required_argument, NULL, PROFILES },
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
	o->worker_table = -1;
	o->socket_mode = SOCKET_MODE_DEFAULT;
	o->page_bytes = 4096;
	o->host_directory = (char *)(uintptr_t) "/proc";
	o->policy = (char *)(uintptr_t) "default";
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		parse_one(d, option, optarg);
	if (optind < argc)
		die(2, "unexpected argument \"%s\" (try --help)", argv[optind]);
	if (!o->socket_path)
		o->socket_path =
		    default_path(PAGER_SOCKET_SYSTEM, "XDG_RUNTIME_DIR", "", PAGER_SOCKET_USER);
	if (o->swap_backend_count == 0 && !o->no_swap)
		options_swap(o, SWAP_DIRECTORY,
		    default_path("/var/lib/pagerd", "XDG_STATE_HOME", "/.local/state", "pagerd"));
	options_swap_finish(o);
	check_memory(o);
	check_keeper(d);
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
