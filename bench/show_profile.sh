#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a profile is worth: cc1plus -O1 of a large file in half of the memory that it has at its peak, under `pagerctl run`.
#
#	sh bench/show_profile.sh
#
# without     a first run, without a profile: its threads wait for so many pages to come back
# with        the next run: it must wait for at least 30 % fewer, and at most one of two pages that were brought in may be in vain
# other       PAIRS runs with the profile of another source beside as many without one, alternating: the medians of their times
#             may differ by 2 %, and as many more of the refills (a figure from a machine on which something else runs means little)
#
# BUILD     the build folder (build), which is set up and built if need be
# CLASSES   the size of the source (40; 20 take 300 MB)
# PAIRS     (3; 0: not tried)
# RUN_S     longest time of a run (300)
# DIR       for its files (/var/tmp)
#
# Outputs must be equal, byte for byte. The exit status is 1 if anything is not as it must be, 77 without g++.
set -eu
cd "$(dirname "$0")/.."
. bench/show_build.sh
DIR=${DIR:-/var/tmp} CLASSES=${CLASSES:-40} PAIRS=${PAIRS:-3} RUN_S=${RUN_S:-300}

cc1plus=$(g++ -print-prog-name=cc1plus 2>/dev/null) || { echo "there is no g++"; exit 77; }
show_build libclient/run/libpagerrun.so >/dev/null
work=$(mktemp -d "$DIR/show_profile.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work"
failed=0

# source NUMBER SEED: as bench/programs has it, and another text for another seed
source_write() {
	awk -v n="$1" -v seed="$2" 'BEGIN {
	print "#include <algorithm>\n#include <map>\n#include <sstream>\n#include <string>\n#include <unordered_map>\n#include <vector>"
	if (seed) print "#include <deque>\n#include <set>"
	for (i = 0; i < n; i++) {
		box = seed ? (i % 3 ? "deque" : "vector") : "vector"
		printf "template <typename T> struct Holder%d {\n\tstd::map<std::string, std::%s<T>> all;\n", i, box
		print "\tvoid put(const std::string &key, const T &value) { all[key].push_back(value); }"
		print "\tT sum() const {\n\t\tT s{};\n\t\tfor (auto &pair : all)\n\t\t\tfor (auto &v : pair.second)\n\t\t\t\ts = s + v;\n\t\treturn s;\n\t}\n};"
		printf "struct Kind%d { int a; Kind%d operator+(const Kind%d &o) const { return {a + o.a * %d}; } };\n", i, i, i, i + 3
		printf "std::string work%d(const std::vector<std::string> &words) {\n", i
		printf "\tHolder%d<Kind%d> kinds; Holder%d<double> numbers; Holder%d<std::string> texts;\n", i, i, i, i
		if (seed) print "\tstd::set<std::string> once(words.begin(), words.end());"
		printf "\tstd::unordered_map<std::string, Kind%d> seen;\n\tfor (auto &w : words) {\n", i
		printf "\t\tkinds.put(w, Kind%d{(int)w.size()}); numbers.put(w, %d.5); texts.put(w, w);\n", i, i
		printf "\t\tseen.emplace(w, Kind%d{%d});\n\t}\n\tstd::vector<std::pair<std::string, int>> sorted;\n", i, i
		print "\tfor (auto &s : seen) sorted.emplace_back(s.first, s.second.a);\n\tstd::sort(sorted.begin(), sorted.end());"
		print "\tstd::ostringstream out;\n\tout << kinds.sum().a << numbers.sum() << texts.sum() << sorted.size();"
		print "\treturn out.str();\n}"
	} }'
}

# run MEMORY SOURCE OUTPUT [OPTION...]: leaves its report in the file `report`
run() {
	memory=$1 source=$2 output=$3
	shift 3
	timeout "$RUN_S" "$PAGERCTL" run --json --report=report --memory "$memory" "$@" -- \
		"$cc1plus" -quiet -O1 -std=c++17 -imultiarch x86_64-linux-gnu -D_GNU_SOURCE "$source" -o "$output"
}

# number NAME: the first of that name in the report, of the profile's where there is one
number() { sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p" report | tail -1; }

# result WHAT CONDITION TEXT
result() {
	verdict=ok
	[ "$2" = 1 ] || { verdict=FAILED failed=1; }
	printf '%-8s %s: %s\n' "$1" "$verdict" "$3"
}

median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }

source_write "$CLASSES" 0 >source.cc
source_write "$CLASSES" 1 >other.cc
run 2G source.cc plenty.s
half=$(($(number phys_footprint_peak) / 2048))K
echo "cc1plus -O1, $CLASSES classes, in $half"

run "$half" source.cc first.s --profiles "$work/profiles"
before=$(number refills)
cmp -s plenty.s first.s || result without 0 "the output differs"
result without 1 "$before refills, $(number seconds) s, stalled $(number fill) ns"
[ "$PAIRS" = 0 ] || cp -r profiles kept
run "$half" source.cc second.s --profiles "$work/profiles"
cmp -s plenty.s second.s || result with 0 "the output differs"
after=$(number refills) hits=$(number hits) wasted=$(number wasted)
result with $((after * 100 <= before * 70 && wasted <= hits)) \
	"$after refills ($((100 - after * 100 / before)) % fewer), $(number foreseen) pages brought in, $hits touched, $wasted in vain, $(number seconds) s"

: >without : >with
i=0
while [ $i -lt "$PAIRS" ]; do
	i=$((i + 1))
	run "$half" other.cc other.s
	number seconds >>without
	number decompressions >>without.refills
	rm -rf profiles
	cp -r kept profiles
	run "$half" other.cc other2.s --profiles "$work/profiles"
	number seconds >>with
	number decompressions >>with.refills
	cmp -s other.s other2.s || result other 0 "the output differs"
done
if [ "$PAIRS" != 0 ]; then
	a=$(median <without) b=$(median <with) c=$(median <without.refills) d=$(median <with.refills)
	result other "$(awk -v a="$a" -v b="$b" 'BEGIN { print b <= a * 1.02 }')" \
		"$a s and $c refills without, $b s and $d refills with the profile of another input, which $(sed -n 's/.*"state": *"\(.*\)".*/\1/p' report)"
fi
exit $failed
