#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `pagerctl export` is what Prometheus reads: of a pagerd with clients that are compressed, swapped, limited and in bands,
# checked by Prometheus's own `promtool check metrics` (Debian's package prometheus), which must find nothing.
#
#	sh bench/show_export.sh
#
# BUILD     the build folder (build), which is set up and built if need be
# LIVE_DIR  where the socket and the swap files lie (/var/tmp)
set -eu
cd "$(dirname "$0")/.."
. bench/show_build.sh

command -v promtool >/dev/null || { echo "there is no promtool: apt-get install prometheus" >&2; exit 1; }
show_build bench/hold
tmp=$(mktemp -d "${LIVE_DIR:-/var/tmp}/show_export.XXXXXX")
export PAGERD_SOCKET="$tmp/socket"
pids=
clean_up() {
	trap - EXIT INT TERM HUP
	# shellcheck disable=SC2086
	[ -z "$pids" ] || kill -KILL $pids 2>/dev/null || :
	[ -z "${pagerd:-}" ] || { kill "$pagerd" 2>/dev/null; wait "$pagerd" 2>/dev/null || :; }
	rm -rf "$tmp"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT TERM HUP

# Waits until a file has a line; the daemon must not end meanwhile.
await() {
	until grep -q "$2" "$1" 2>/dev/null; do
		kill -0 "$pagerd" || { cat "$tmp/log"; exit 1; }
		sleep 0.1
	done
}

"$PAGERD" --socket "$PAGERD_SOCKET" --memory 32M --swap-dir "$tmp" --swap-max 256M --param swap_file_bytes=16777216 \
	>"$tmp/log" 2>&1 &
pagerd=$!
await "$tmp/log" ready
# A name may have any character.
for name in plain 'a "quoted" name' limited; do
	"$BUILD/bench/hold" 32 "$name" >"$tmp/$name" 2>&1 &
	pids="$pids $!"
	await "$tmp/$name" ready
	kill -USR1 $!
	await "$tmp/$name" filled
done
"$PAGERCTL" limit "$!" 8M >/dev/null
"$PAGERCTL" priority "$!" background >/dev/null
"$PAGERCTL" export >"$tmp/metrics"
promtool check metrics <"$tmp/metrics"
echo "promtool finds nothing in $(grep -c '^# TYPE' "$tmp/metrics") families of $(grep -vc '^#' "$tmp/metrics") samples, for example:"
grep '^pagerd_client_phys_footprint' "$tmp/metrics"
"$PAGERCTL" check
