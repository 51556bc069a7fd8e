#!/bin/sh
# SPDX-License-Identifier: MIT
# Each scenario for a moment on a pagerd of one's own: no bad page, the daemon ends cleanly, nothing is left behind.
. "$(dirname "$0")/functions.sh"
bench=$1
requires_pagerd "$bench"

dir=$(mktemp -d -p "${TMPDIR:-/var/tmp}") || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

for scenario in $("$bench" list | awk 'NR > 1 { print $1 }'); do
	"$bench" run "$scenario" --memory 16M --threads 2 --seconds 0.5 --timeout 60 --dir "$dir" --json \
		>"$dir.out" 2>"$dir.err" || fail "$scenario: status $?: $(cat "$dir.err" "$dir.out")"
	grep -q '"bad_pages": 0' "$dir.out" || fail "$scenario: $(cat "$dir.out")"
	[ ! -s "$dir.err" ] || fail "$scenario: it said: $(cat "$dir.err")"
	[ -z "$(ls -A "$dir")" ] || fail "$scenario: left behind: $(ls -A "$dir")"
done
rm -f "$dir.out" "$dir.err"
exit 0
