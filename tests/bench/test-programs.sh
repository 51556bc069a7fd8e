#!/bin/sh
# SPDX-License-Identifier: MIT
# A small program under `pagerctl run` with enough and too little memory prints what it prints as it is; the JSON has its keys;
# a program that is not installed is skipped with the name of its package; nothing is left.
. "$(dirname "$0")/functions.sh"
bench=$1
requires_pagerd "$bench"

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
out=$("$bench" programs sort true --peer none --scale 0.02 --pairs 1 --fractions 100,60 --dir "$dir" --json) || fail "status $?: $out"
for key in scale program package plain_s peak_bytes managed_bytes ordinary_bytes coverage output_bytes level memory_bytes \
	cpu_program_s cpu_daemon_s ratio_plain plain_mean run_adds_ms targets at_most; do
	echo "$out" | grep -q "\"$key\": *" || fail "no $key in $out"
done
[ "$(echo "$out" | grep -c '"output_equal": *true')" = 2 ] || fail "not two equal outputs: $out"
[ "$(echo "$out" | grep -c '"check_failures": *0')" = 2 ] || fail "checks: $out"
echo "$out" | grep -q '"output_bytes": *3400000' || fail "200,000 lines of 17 bytes: $out"
# More than nine tenths of what sort has is managed.
echo "$out" | grep -Eq '"coverage": *(0\.9|1)' || fail "coverage: $out"
[ -z "$(ls -A "$dir")" ] || fail "left in $dir: $(ls "$dir")"
"$bench" programs nosuch --peer none 2>"$dir/err" && fail "a program that there is not"
grep -q "no program 'nosuch'; there are sort" "$dir/err" || fail "$(cat "$dir/err")"
[ -x /usr/bin/redis-server ] ||
	PATH=/nowhere "$bench" programs redis --peer none --dir "$dir" 2>&1 | grep -q 'Debian: redis-server' || fail "no reason"
exit 0
