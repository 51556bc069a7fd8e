#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs tests/run.sh several times beside processes that each keep a processor busy: no test may depend on the order in
# which threads run. Prints the last line of each run and what failed in it; the exit status is 0 if nothing has failed in any.
#
#	sh tests/busy.sh [-n RUNS] [-l LOOPS] [ARGUMENT OF tests/run.sh]...
#
# -n RUNS   how often (3)
# -l LOOPS  busy processes (number of CPUs)
# BUILD     as for tests/run.sh; what each run printed is left in $BUILD/busy-N.log
set -u
cd "$(dirname "$0")/.." || exit 1

BUILD=${BUILD:-build-tests}
runs=3
loops=$(nproc)

die() { printf 'tests/busy.sh: %s\n' "$*" >&2; exit 2; }
is_count() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }

while getopts n:l: option; do
	case $option in
	n) runs=$OPTARG ;;
	l) loops=$OPTARG ;;
	*) die 'usage: sh tests/busy.sh [-n RUNS] [-l LOOPS] [ARGUMENT OF tests/run.sh]...' ;;
	esac
done
shift $((OPTIND - 1))
is_count "$runs" || die "-n $runs: how many runs?"
[ "$runs" -gt 0 ] || die "-n $runs: how many runs?"
is_count "$loops" || die "-l $loops: how many loops?"

# Also ends by itself, in case this script is killed.
busy_loop() {
	while kill -0 $$ 2>/dev/null; do
		i=0
		while [ $i -lt 100000 ]; do
			i=$((i + 1))
		done
	done
}

pids=
run=
end() {
	trap '' INT TERM HUP
	# The run is a process group of its own; meson ends its tests.
	[ -z "$run" ] || kill -TERM -- "-$run" 2>/dev/null
	# shellcheck disable=SC2086
	[ -z "$pids" ] || kill $pids 2>/dev/null
	wait
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

mkdir -p "$BUILD" || exit 1
n=0
while [ $n -lt "$loops" ]; do
	busy_loop &
	pids="$pids $!"
	n=$((n + 1))
done
echo "$runs runs beside $loops busy loops"

failed=0
n=0
while [ $n -lt "$runs" ]; do
	n=$((n + 1))
	log=$BUILD/busy-$n.log
	start=$(date +%s)
	# In the background, so that a signal is handled at once.
	setsid sh tests/run.sh "$@" >"$log" 2>&1 &
	run=$!
	wait "$run"
	status=$?
	run=
	[ $status = 0 ] || failed=$((failed + 1))
	echo "run $n, $(($(date +%s) - start)) s: $(tail -n 1 "$log")"
	sed -n 's/^== FAILED /	/p' "$log"
done
if [ $failed = 0 ]; then
	echo "no run failed"
else
	echo "$failed of $runs runs failed: $BUILD/busy-*.log"
	exit 1
fi
