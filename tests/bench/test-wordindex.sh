#!/bin/sh
# SPDX-License-Identifier: MIT
# The word index is the same on plain memory and on a pagerd with a quarter of that memory.
. "$(dirname "$0")/functions.sh"
bench=$1
wordindex=$2
requires_pagerd "$bench"
[ -d /usr/include ] || skip "no /usr/include"

dir=$(mktemp -d -p "${TMPDIR:-/var/tmp}") || exit 1
pid=
trap '[ -z "$pid" ] || kill "$pid"; wait; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

"$wordindex" --malloc --limit-bytes 16777216 /usr/include >"$dir/plain" || fail "plain"
used=$(awk '$1 == "memory" { print $2 }' "$dir/plain")
"$PAGERD" --socket "$dir/socket" --memory $((used / 4 / 65536 * 65536)) --swap-dir "$dir/swap" >"$dir/log" 2>&1 &
pid=$!
until grep -q 'pagerd: ready on' "$dir/log"; do
	kill -0 $pid || fail "pagerd: $(cat "$dir/log")"
	sleep 0.05
done
timeout 1000 "$wordindex" --pager --socket "$dir/socket" --limit-bytes 16777216 /usr/include >"$dir/paged" ||
	fail "paged: status $?: $(cat "$dir/log")"
diff "$dir/plain" "$dir/paged" || fail "the answers differ"
exit 0
