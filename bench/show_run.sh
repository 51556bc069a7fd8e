#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Unmodified programs that check themselves, under `pagerctl run` with half of the memory that they have at their peak:
#
#	sh bench/show_run.sh [stress|python|redis]...
#
# stress  stress-ng --vm --verify with three times its memory (package stress-ng)
# python  CPython's tests of dictionaries, lists, the collector, fork, subprocesses (libpython3.11-testsuite)
# redis   a server with KEYS keys of 1 KiB saves by a forked child while redis-benchmark reads: time of fork, longest GET, and the
#         digest of the saved keys when a plain server has loaded them (redis-server, redis-tools)
#
# BUILD     the build folder (build), which is set up and built if need be
# STRESS_S  how long stress-ng runs (60)
# KEYS      (1000000)
# DIR       for their files (/var/tmp)
#
# One line for each; the exit status is 1 if one has failed. A program that is not installed is skipped.
set -eu
cd "$(dirname "$0")/.."
. bench/show_build.sh
DIR=${DIR:-/var/tmp}
KEYS=${KEYS:-1000000}

show_build libclient/run/libpagerrun.so >/dev/null
work=$(mktemp -d "$DIR/show_run.XXXXXX")
server=
trap '[ -z "$server" ] || kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work"
failed=0

there() { command -v "$1" >/dev/null || { echo "$1: not installed: skipped"; return 1; }; }
result() { if [ "$2" = 0 ]; then echo "$1: passed${3:+, $3}"; else echo "$1: FAILED, see below" && tail -20 log && failed=1; fi; }

# half COMMAND...: half of its footprint at its peak, where it has 4 GiB; at least 8 MiB
half() {
	"$PAGERCTL" run --memory 4G --report=report -- "$@" >/dev/null 2>&1 || true
	awk '/^footprint/ { n = $2; u = substr(n, length(n)); sub(/[A-Z]$/, "", n)
		n *= u == "G" ? 1048576 : u == "M" ? 1024 : u == "K" ? 1 : 1 / 1024
		n = int(n / 2); print (n < 8192 ? 8192 : n) "K" }' report
}

stress() {
	there stress-ng || return 0
	status=0
	"$PAGERCTL" run --memory 256M -- stress-ng --vm 2 --vm-bytes 768M --verify -t "${STRESS_S:-60}" >log 2>&1 || status=$?
	result stress-ng $status "768 MiB in 256"
}

python() {
	[ -d /usr/lib/python3.11/test ] || { echo "CPython's tests: not installed: skipped"; return 0; }
	for name in test_dict test_list test_gc test_fork1 test_subprocess test_multiprocessing_fork; do
		memory=$(half /usr/bin/python3.11 -m test "$name")
		status=0
		# A program that lists its own descriptors sees pagerd's.
		"$PAGERCTL" run --memory "$memory" -- /usr/bin/python3.11 -m test -i test_pass_fds_redirected "$name" >log 2>&1 || status=$?
		result "$name" $status "in $memory"
	done
}

client() { redis-cli -s "$work/socket" "$@" | tr -d '\r'; }
info() { client info "$1" | sed -n "s/^$2://p"; }

# start PREFIX...: a server below the prefix, which answers
start() {
	"$@" redis-server --port 0 --unixsocket "$work/socket" --save '' --dir "$work" --enable-debug-command yes --logfile "$work/log" &
	server=$!
	until client ping 2>/dev/null | grep -q PONG; do
		kill -0 $server || return 1
		sleep 0.1
	done
}

stop() {
	client shutdown nosave || true
	wait $server || true
	server=
}

redis() {
	there redis-server && there redis-benchmark || return 0
	# A key of 1 KiB takes about 1.2.
	start "$PAGERCTL" run --memory $((KEYS * 12 / 20))K --
	client debug populate "$KEYS" key 1024 >/dev/null
	before=$(client debug digest)
	client bgsave >/dev/null
	longest=$(redis-benchmark -s "$work/socket" -t get -n 100000 -r "$KEYS" -c 4 --csv 2>/dev/null | sed -n '$s/.*,"\([0-9.]*\)"$/\1/p')
	while [ "$(info persistence rdb_bgsave_in_progress)" = 1 ]; do
		sleep 0.1
	done
	ended=$(info persistence rdb_last_bgsave_status)
	forked=$(info stats latest_fork_usec)
	stop
	start env
	after=$(client debug digest)
	stop
	status=0
	[ "$ended" = ok ] && [ "$before" = "$after" ] || status=1
	result "redis, $KEYS keys of 1 KiB" $status "fork $forked us, longest GET $longest ms, digest equal"
}

for name in ${*:-stress python redis}; do
	case $name in
	stress | python | redis) $name ;;
	*) echo "usage: sh bench/show_run.sh [stress|python|redis]..." >&2; exit 2 ;;
	esac
done
exit $failed
