/* SPDX-License-Identifier: MIT
 *
 * Each program prints what depends on all that it has computed, and prints the same each time: no
 * addresses, no times, no order of a hash table with a random seed.
 */
#include "table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "rng.h"

#define SORT_LINES     10000000.0
#define PYTHON_KEYS    1200000.0
#define PERL_KEYS      1200000.0
#define SQLITE_ROWS    1500000.0
#define CXX_CLASSES    40.0
#define XZ_BYTES       (40.0 * (1 << 20))
#define REDIS_KEYS     1500000.0
#define NODE_OBJECTS   1500000.0
#define JAVA_OBJECTS   2500000.0
#define XZ_WORDS       20000
#define WORD_BYTES_MAX 12

/* The system's own come before what a user's PATH puts in front: those may be scripts that find the
 * program. */
static bool
find_in_path(const char *file, char *ret, size_t ret_size)
{
	const char *path = getenv("PATH");
	char *all, *rest, *at;
	bool found = false;

	if (asprintf(&all, "/usr/bin:/bin:%s", path ? path : "") < 0)
		return false;
	for (at = strtok_r(all, ":", &rest); at && !found; at = strtok_r(NULL, ":", &rest))
		found = (size_t)snprintf(ret, ret_size, "%s/%s", at, file) < ret_size &&
			access(ret, X_OK) == 0;
	free(all);
	return found;
}

static void
argument(struct program_plan *p, const char *text)
{
	unsigned n = 0;

	while (p->argv[n])
		n++;
	CHECK(n < PROGRAM_ARGS);
	p->argv[n] = text;
}

static void
argument_number(struct program_plan *p, double full)
{
	char *text = p->text[p->texts++];

	CHECK(p->texts <= PROGRAM_ARGS);
	snprintf(text, sizeof(p->text[0]), "%.0f", full * p->scale);
	argument(p, text);
}

/* An argument that names a file of the plan's directory. */
static const char *
argument_file(struct program_plan *p, const char *name)
{
	char *text = p->text[p->texts++];

	CHECK(p->texts <= PROGRAM_ARGS);
	snprintf(text, sizeof(p->text[0]), "%.3800s/%s", p->directory, name);
	argument(p, text);
	return text;
}

static FILE *
input_open(const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f)
		fprintf(stderr, "pagerbench: cannot write %s: %s\n", path, strerror(errno));
	return f;
}

/* => 0 or -errno, printed */
static int
input_close(FILE *f, const char *path)
{
	bool failed = ferror(f) != 0;
	int error = fclose(f) || failed ? errno ? -errno : -EIO : 0;

	if (error)
		fprintf(stderr, "pagerbench: cannot write %s: %s\n", path, strerror(-error));
	return error;
}

/* --- sort --- */

static int
sort_prepare(struct program_plan *p)
{
	struct rng rng = { p->seed };
	const char *path;
	FILE *f;

	argument(p, "-T");
	argument(p, p->directory);
	path = argument_file(p, "lines");
	f = input_open(path);
	if (!f)
		return -EIO;
	for (uint64_t n = (uint64_t)(SORT_LINES * p->scale); n > 0; n--)
		fprintf(f, "%016llx\n", (unsigned long long)rng_next(&rng));
	return input_close(f, path);
}

/* --- python3, perl, sqlite3 --- */

static const char python_text[] = "import sys\n"
				  "n = int(sys.argv[1])\n"
				  "d = {}\n"
				  "for i in range(n):\n"
				  "    d['key %d' % (i * 7919 % n)] = [i, 'value %d' % i]\n"
				  "s = 0\n"
				  "for k in range(0, n, 3):\n"
				  "    v = d.get('key %d' % (k * 104729 % n))\n"
				  "    s += v[0] if v else 1\n"
				  "for k in range(0, n, 5):\n"
				  "    d.pop('key %d' % k, None)\n"
				  "e = {v[1]: k for k, v in d.items()}\n"
				  "print(n, len(d), len(e), s)\n"
				  "for i, k in enumerate(sorted(e)):\n"
				  "    if i % 1000 == 0:\n"
				  "        print(k, e[k])\n";

static int
python_prepare(struct program_plan *p)
{
	argument(p, "-S");
	argument(p, "-c");
	argument(p, python_text);
	argument_number(p, PYTHON_KEYS);
	return 0;
}

static const char perl_text[] = "my $n = shift;\n"
				"my %h;\n"
				"for my $i (0 .. $n - 1) {\n"
				"    $h{'key ' . ($i * 7919 % $n)} = 'value ' . $i;\n"
				"}\n"
				"my @s = sort { $h{$a} cmp $h{$b} } keys %h;\n"
				"print scalar(@s), \"\\n\";\n"
				"for (my $i = 0; $i < @s; $i += 1000) {\n"
				"    print \"$s[$i] $h{$s[$i]}\\n\";\n"
				"}\n";

static int
perl_prepare(struct program_plan *p)
{
	argument(p, "-e");
	argument(p, perl_text);
	argument_number(p, PERL_KEYS);
	return 0;
}

static const char sqlite_text[] =
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c INTEGER, d TEXT);"
    "INSERT INTO t WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < %.0f)"
    " SELECT x, printf('%%016x row %%d of the table', x * 2654435761 %% 4294967291, x),"
    " x * 7919 %% 1000003,"
    " printf('%%d-%%016x-%%016x-%%s', x, x * 40503, x * 2246822519, 'some text that repeats')"
    " FROM n;"
    "CREATE INDEX i ON t(b);"
    "SELECT count(*), sum(c), max(b) FROM t;"
    "SELECT c %% 100, count(*), sum(length(d)) FROM t GROUP BY 1 ORDER BY 1;"
    "SELECT a, b, d FROM t WHERE a %% 1000 = 7 ORDER BY b;"
    "SELECT count(*), sum(t2.c) FROM t JOIN t AS t2 ON t2.a = t.a * 7919 %% %.0f + 1"
    " WHERE t.a %% 4 = 0;";

static int
sqlite_prepare(struct program_plan *p)
{
	char *text = p->text[p->texts++];
	double rows = SQLITE_ROWS * p->scale;

	snprintf(text, sizeof(p->text[0]), sqlite_text, rows, rows > 1 ? rows : 1);
	argument(p, ":memory:");
	argument(p, text);
	return 0;
}

/* --- cc1plus --- */

static void
class_write(FILE *f, unsigned i)
{
	fprintf(f,
	    "template <typename T> struct Holder%u {\n"
	    "\tstd::map<std::string, std::vector<T>> all;\n"
	    "\tvoid put(const std::string &key, const T &value) { all[key].push_back(value); }\n"
	    "\tT sum() const {\n"
	    "\t\tT s{};\n"
	    "\t\tfor (auto &pair : all)\n"
	    "\t\t\tfor (auto &v : pair.second)\n"
	    "\t\t\t\ts = s + v;\n"
	    "\t\treturn s;\n"
	    "\t}\n"
	    "};\n"
	    "struct Kind%u { int a; Kind%u operator+(const Kind%u &o) const "
	    "{ return {a + o.a * %u}; } };\n"
	    "std::string work%u(const std::vector<std::string> &words) {\n"
	    "\tHolder%u<Kind%u> kinds; Holder%u<double> numbers; Holder%u<std::string> texts;\n"
	    "\tstd::unordered_map<std::string, Kind%u> seen;\n"
	    "\tfor (auto &w : words) {\n"
	    "\t\tkinds.put(w, Kind%u{(int)w.size()}); numbers.put(w, %u.5); texts.put(w, w);\n"
	    "\t\tseen.emplace(w, Kind%u{%u});\n"
	    "\t}\n"
	    "\tstd::vector<std::pair<std::string, int>> sorted;\n"
	    "\tfor (auto &s : seen) sorted.emplace_back(s.first, s.second.a);\n"
	    "\tstd::sort(sorted.begin(), sorted.end());\n"
	    "\tstd::ostringstream out;\n"
	    "\tout << kinds.sum().a << numbers.sum() << texts.sum() << sorted.size();\n"
	    "\treturn out.str();\n"
	    "}\n",
	    i, i, i, i, i + 3, i, i, i, i, i, i, i, i, i, i);
}

static int
cxx_prepare(struct program_plan *p)
{
	unsigned classes = (unsigned)(CXX_CLASSES * p->scale) + 1;
	const char *path;
	FILE *f;

	argument(p, "-quiet");
	argument(p, "-O1");
	argument(p, "-std=c++17");
	argument(p, "-imultiarch");
	argument(p, "x86_64-linux-gnu");
	argument(p, "-D_GNU_SOURCE");
	path = argument_file(p, "source.cc");
	argument(p, "-o");
	argument(p, "/dev/stdout");
	f = input_open(path);
	if (!f)
		return -EIO;
	fputs("#include <algorithm>\n#include <map>\n#include <sstream>\n#include <string>\n"
	      "#include <unordered_map>\n#include <vector>\n",
	    f);
	for (unsigned i = 0; i < classes; i++)
		class_write(f, i);
	return input_close(f, path);
}

/* --- xz --- */

/* Text of made-up words, some of which are frequent, as words are. */
static int
xz_prepare(struct program_plan *p)
{
	static char words[XZ_WORDS][WORD_BYTES_MAX + 1];
	uint64_t bytes = (uint64_t)(XZ_BYTES * p->scale), at = 0;
	struct rng rng = { p->seed };
	const char *path;
	struct zipf zipf;
	FILE *f;

	argument(p, "-8");
	argument(p, "-T1");
	argument(p, "-c");
	path = argument_file(p, "text");
	f = input_open(path);
	if (!f)
		return -EIO;
	for (unsigned i = 0; i < XZ_WORDS; i++) {
		unsigned length = 2 + (unsigned)rng_below(&rng, WORD_BYTES_MAX - 2);

		for (unsigned k = 0; k < length; k++)
			words[i][k] = (char)('a' + rng_below(&rng, 26));
	}
	zipf_init(&zipf, XZ_WORDS, 0.9);
	while (at < bytes) {
		const char *word = words[zipf_next(&zipf, &rng)];

		fputs(word, f);
		at += strlen(word) + 1;
		putc(rng_below(&rng, 12) == 0 ? '\n' : ' ', f);
	}
	return input_close(f, path);
}

/* --- redis-server --- */

/* A server on a socket of its own, and a client of it, as one command: the client's end is the
 * end. The commands take less than a second each, because a server that is busy with a script for
 * longer says so. */
static const char redis_text[] =
    "server=$1; n=$2; dir=$3\n"
    "command -v redis-cli >/dev/null || exit 1\n"
    "\"$server\" --port 0 --unixsocket \"$dir/redis\" --save '' --appendonly no --dir \"$dir\" "
    "--enable-debug-command yes --daemonize no --logfile \"$dir/redis.log\" &\n"
    "pid=$!\n"
    "until redis-cli -s \"$dir/redis\" ping >/dev/null 2>&1; do\n"
    "    kill -0 $pid 2>/dev/null || exit 1\n"
    "    sleep 0.05\n"
    "done\n"
    "k=0\n"
    "while [ $k -lt 20 ]; do\n"
    "    redis-cli -s \"$dir/redis\" eval \"\n"
    "        for i = ARGV[1], ARGV[2] - 1 do\n"
    "            redis.call('SET', 'key:' .. (i * 7919 % ARGV[3]), 'value ' .. i .. ' of a key')\n"
    "            if i % 8 == 0 then redis.call('RPUSH', 'list:' .. (i % 997), i) end\n"
    "        end\n"
    "        return redis.call('DBSIZE')\" 0 $((n * k / 20)) $((n * (k + 1) / 20)) $n\n"
    "    k=$((k + 1))\n"
    "done\n"
    "k=0\n"
    "while [ $k -lt 20 ]; do\n"
    "    redis-cli -s \"$dir/redis\" eval \"\n"
    "        local sum = 0\n"
    "        for i = ARGV[1], ARGV[2] - 1, 3 do\n"
    "            local v = redis.call('GET', 'key:' .. (i * 104729 % ARGV[3]))\n"
    "            if v then sum = sum + #v + tonumber(string.match(v, '%d+')) end\n"
    "        end\n"
    "        return tostring(sum)\" 0 $((n * k / 20)) $((n * (k + 1) / 20)) $n\n"
    "    k=$((k + 1))\n"
    "done\n"
    "redis-cli -s \"$dir/redis\" debug digest\n"
    "redis-cli -s \"$dir/redis\" shutdown nosave\n"
    "wait $pid\n";

static int
redis_prepare(struct program_plan *p)
{
	p->argv[0] = "/bin/sh";
	argument(p, "-c");
	argument(p, redis_text);
	argument(p, "sh");
	argument(p, p->path);
	argument_number(p, REDIS_KEYS);
	argument(p, p->directory);
	return 0;
}

/* --- node, java --- */

static const char node_text[] =
    "const n = parseInt(process.argv[1]);\n"
    "const all = new Map();\n"
    "for (let i = 0; i < n; i++)\n"
    "    all.set('key ' + (i * 7919 % n), { number: i, text: 'value ' + i });\n"
    "let sum = 0;\n"
    "for (let i = 0; i < n; i += 3) {\n"
    "    const v = all.get('key ' + (i * 104729 % n));\n"
    "    sum += v ? v.number : 1;\n"
    "}\n"
    "const sorted = Array.from(all.values()).sort((a, b) => a.text < b.text ? -1 : 1);\n"
    "console.log(n, all.size, sum);\n"
    "for (let i = 0; i < sorted.length; i += 1000)\n"
    "    console.log(sorted[i].text, sorted[i].number);\n";

static int
node_prepare(struct program_plan *p)
{
	argument(p, "--max-old-space-size=2048");
	argument(p, "-e");
	argument(p, node_text);
	argument(p, "--");
	argument_number(p, NODE_OBJECTS);
	return 0;
}

static const char java_text[] =
    "import java.util.*;\n"
    "public class Work {\n"
    "    record Item(int number, String text) {}\n"
    "    public static void main(String[] arguments) {\n"
    "        int n = Integer.parseInt(arguments[0]);\n"
    "        Map<String, Item> all = new HashMap<>();\n"
    "        for (int i = 0; i < n; i++)\n"
    "            all.put(\"key \" + (int)((long)i * 7919 % n), new Item(i, \"value \" + i));\n"
    "        long sum = 0;\n"
    "        for (int i = 0; i < n; i += 3) {\n"
    "            Item v = all.get(\"key \" + (int)((long)i * 104729 % n));\n"
    "            sum += v == null ? 1 : v.number();\n"
    "        }\n"
    "        List<Item> sorted = new ArrayList<>(all.values());\n"
    "        sorted.sort(Comparator.comparing(Item::text));\n"
    "        System.out.println(n + \" \" + all.size() + \" \" + sum);\n"
    "        for (int i = 0; i < sorted.size(); i += 1000)\n"
    "            System.out.println(sorted.get(i).text() + \" \" + sorted.get(i).number());\n"
    "    }\n"
    "}\n";

/* The program is compiled by the JVM that runs it. */
static int
java_prepare(struct program_plan *p)
{
	const char *path;
	FILE *f;

	argument(p, "-XX:+UseSerialGC");
	argument(p, "-XX:-UsePerfData");
	argument(p, "-Xmx1g");
	path = argument_file(p, "Work.java");
	argument_number(p, JAVA_OBJECTS);
	f = input_open(path);
	if (!f)
		return -EIO;
	fputs(java_text, f);
	return input_close(f, path);
}

const struct program programs[] = {
	{ "sort", "sort", "coreutils", "sorts 10 million lines", 25, sort_prepare },
	{ "python3", "python3", "python3", "dictionaries of 1.2 million keys", 50, python_prepare },
	{ "perl", "perl", "perl", "a hash of 1.2 million keys, sorted", 50, perl_prepare },
	{ "sqlite3", "sqlite3", "sqlite3", "a database of 300 MiB in memory", 50, sqlite_prepare },
	{ "cc1plus", "cc1plus", "g++", "compiles 40 classes with -O1", 25, cxx_prepare },
	{ "xz", "xz", "xz-utils", "compresses 40 MiB with -8", 50, xz_prepare },
	{ "redis", "redis-server", "redis-server", "1.5 million keys set and read", 50,
	    redis_prepare },
	{ "node", "node", "nodejs", "a map of 1.5 million objects, sorted", 50, node_prepare },
	{ "java", "java", "default-jdk-headless", "a map of 2.5 million objects, sorted", 50,
	    java_prepare },
	{ NULL, NULL, NULL, NULL, 0, NULL },
};

const struct program *
program_named(const char *name)
{
	for (const struct program *p = programs; p->name; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

/* The compiler proper lies where its driver says. */
static bool
find_inside_of_gcc(const char *file, char *ret, size_t ret_size)
{
	char command[64];
	FILE *answer;
	bool found;

	snprintf(command, sizeof(command), "g++ -print-prog-name=%s 2>/dev/null", file);
	answer = popen(command, "re");
	if (!answer)
		return false;
	found = fgets(ret, (int)ret_size, answer) != NULL;
	pclose(answer);
	if (found)
		ret[strcspn(ret, "\n")] = '\0';
	return found && ret[0] == '/' && access(ret, X_OK) == 0;
}

int
program_prepare(const struct program *p, struct program_plan *ret)
{
	ret->program = p;
	ret->texts = 0;
	memset(ret->argv, 0, sizeof(ret->argv));
	if (!find_in_path(p->file, ret->path, sizeof(ret->path)) &&
	    !find_inside_of_gcc(p->file, ret->path, sizeof(ret->path)))
		return -ENOENT;
	ret->argv[0] = ret->path;
	return p->prepare(ret);
}
