#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs tests with delays (tests/delay.c): each thread of a test, its clients and its daemon sleeps now and then for a random time.
# What fails depends on who runs first. Says which tests failed and with which seed; the exit status is 0 if none did.
#
#	sh tests/delays.sh [-b BUILD] [-n TIMES] [-j JOBS] [-s SEED] PATTERN...
#
# -b BUILD  a folder that is built, without sanitizers (build)
# -n TIMES  how often each test runs, each time with another seed (10)
# -j JOBS   tests at a time (8): sleeping needs no processor
# -s SEED   the first seed (1)
# PATTERN   extended regular expression over the names of tests
set -u
cd "$(dirname "$0")/.." || exit 1

BUILD=build
# A sanitizer's program does not start below another library.
LEAVE='^live-run-odd-sanitizer$'
times=10
jobs=8
seed=1

die() { printf 'tests/delays.sh: %s\n' "$*" >&2; exit 2; }
is_count() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }

while getopts b:n:j:s: option; do
	case $option in
	b) BUILD=$OPTARG ;;
	n) times=$OPTARG ;;
	j) jobs=$OPTARG ;;
	s) seed=$OPTARG ;;
	*) die 'usage: sh tests/delays.sh [-b BUILD] [-n TIMES] [-j JOBS] [-s SEED] PATTERN...' ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || die 'which tests? Name them by regular expressions.'
is_count "$times" || die "-n $times: how often?"
is_count "$jobs" || die "-j $jobs: how many at a time?"
is_count "$seed" || die "-s $seed: a seed is a number"
BUILD=$(realpath "$BUILD") || exit 1
library=$BUILD/tests/libdelay.so
[ -f "$library" ] || die "there is no $library: build it first (ninja -C $BUILD)"

names=
for pattern in "$@"; do
	found=$(meson test -C "$BUILD" --no-rebuild --list 2>/dev/null | sed -n 's,^[^ ]* / ,,p' | grep -E -- "$pattern" |
		grep -v -e "$LEAVE")
	[ -n "$found" ] || die "$pattern: no test has such a name"
	names="$names $found"
done
failed=0
last=$((seed + times))
while [ "$seed" -lt "$last" ]; do
	# shellcheck disable=SC2086
	meson test -C "$BUILD" --no-rebuild --logbase "delays-$seed" --timeout-multiplier 0 --num-processes "$jobs" \
		--wrapper "$BUILD/tests/contain 600 env LIVE_TIMEOUT=500 LD_PRELOAD=$library PAGERD_DELAYS=$seed" $names |
		grep -E ' (FAIL|TIMEOUT|ERROR) ' | sed "s/^/seed $seed: /" >"$BUILD/delays-failed"
	cat "$BUILD/delays-failed"
	failed=$((failed + $(wc -l <"$BUILD/delays-failed")))
	seed=$((seed + 1))
done
echo "$times times, $failed failed: logs are in $BUILD/meson-logs/delays-SEED-*"
[ "$failed" = 0 ]
