#!/bin/sh
# SPDX-License-Identifier: MIT
# Swap, zram, page-cluster and cgroups are as before when the program has ended, also by SIGINT and SIGTERM, and soon after a
# SIGKILL at any moment.
. "$(dirname "$0")/functions.sh"
bench=$1
requires_root
requires_no_swap
requires_memory_cgroup
requires_free_zram
requires_pagerd "$bench"

dir=$(mktemp -d) || exit 1
seed=${SEED:-$$}
echo "seed $seed"
trap 'rm -rf "$dir" "$dir.err"' EXIT
trap 'exit 1' INT TERM

before=$(kernel_state "$dir")
set_up=0
for round in 1 2 3; do
	for signal in INT TERM KILL; do
		"$bench" compare random-write scan --dir "$dir" --memory 16M --seconds 0.5 --pairs 20 \
			>/dev/null 2>"$dir.err" &
		pid=$!
		seed=$(((seed * 1103515245 + 12345) % 2147483648))
		# At any moment; when swap is on; and at any moment after swap was on.
		if [ $round != 1 ]; then
			while [ "$(wc -l </proc/swaps)" -le 1 ]; do
				! grep -q '^State:.Z' /proc/$pid/status || fail "it ended by itself: $(cat "$dir.err")"
				sleep 0.01
			done
		fi
		[ $round = 2 ] || sleep $((seed / 65536 % 2)).$((seed / 131072 % 10))$((seed / 2097152 % 10))
		[ "$(wc -l </proc/swaps)" -le 1 ] || set_up=$((set_up + 1))
		kill -$signal $pid || fail "it ended by itself: $(cat "$dir.err")"
		wait $pid
		status=$?
		[ $signal = KILL ] || [ "$(kernel_state "$dir")" = "$before" ] ||
			fail "$signal (status $status): not as before: $(kernel_state "$dir")"
		tries=0
		while [ "$(kernel_state "$dir")" != "$before" ]; do
			tries=$((tries + 1))
			[ $tries -lt 2000 ] || fail "$signal: not as before after 200 s: $(kernel_state "$dir")"
			sleep 0.1
		done
	done
done
echo "$set_up of 9 signals came while swap was on"
[ $set_up -gt 0 ] || fail "no signal came at a moment that matters"
exit 0
