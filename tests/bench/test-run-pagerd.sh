#!/bin/sh
# SPDX-License-Identifier: MIT
# Each scenario for a moment on a private pagerd: no page is bad, the daemon's invariants hold at the end (and a broken one is
# reported), it ends cleanly, and no file is left.
. "$(dirname "$0")/functions.sh"
bench=$1
requires_pagerd "$bench"

dir=$(mktemp -d -p "${TMPDIR:-/var/tmp}") || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

for scenario in $("$bench" list | awk 'NR > 1 { print $1 }'); do
	"$bench" run "$scenario" --memory 16M --threads 2 --seconds 0.5 --timeout 600 --dir "$dir" --json \
		>"$dir.out" 2>"$dir.err" || fail "$scenario: status $?: $(cat "$dir.err" "$dir.out")"
	grep -q '"bad_pages": 0' "$dir.out" || fail "$scenario: $(cat "$dir.out")"
	grep -q '"check_failures": 0' "$dir.out" || fail "$scenario: $(cat "$dir.out")"
	[ ! -s "$dir.err" ] || fail "$scenario: it said: $(cat "$dir.err")"
	[ -z "$(ls -A "$dir")" ] || fail "$scenario: left behind: $(ls -A "$dir")"
done
# Beside plain memory: each side has its own counts, and while everything fits, no touch is a fault of pagerd.
"$bench" run fits --beside-plain --memory 16M --seconds 0.5 --timeout 600 --dir "$dir" --json >"$dir.out" 2>"$dir.err" ||
	fail "beside plain: status $?: $(cat "$dir.err" "$dir.out")"
python3 - "$dir.out" <<'END' || fail "beside plain: $(cat "$dir.out")"
import json, sys
own = json.load(open(sys.argv[1]))
plain = own['beside']
assert (own['backend'], plain['backend']) == ('pagerd', 'plain')
assert all(own[key] == plain[key] for key in ('scenario', 'working_set_bytes', 'threads', 'seed', 'write_percent', 'data'))
for side in own, plain:
    assert side['touches'] > 0 and side['bad_pages'] == 0 and side['faults']['faults'] == 0, side
assert own['check_failures'] == 0 and 'check_failures' not in plain and plain['daemon_private_bytes'] == 0
END
[ -z "$(ls -A "$dir")" ] || fail "beside plain: left behind: $(ls -A "$dir")"
# A policy whose check fails, in a daemon without other faults.
lazy=$(realpath "$(dirname "$bench")/../tests/live/policy_lazy.so")
[ -f "$lazy" ] || fail "no $lazy"
printf '#!/bin/sh\nexec "%s" --policy "%s:broken" "$@"\n' "$(realpath "$PAGERD")" "$lazy" >"$dir.daemon"
chmod 700 "$dir.daemon"
"$bench" run scan --memory 16M --seconds 0.2 --timeout 600 --dir "$dir" --daemon "$dir.daemon" --json \
	>"$dir.out" 2>"$dir.err"
[ $? = 1 ] || fail "broken invariants: status $?"
grep -q '"check_failures": 1' "$dir.out" || fail "broken invariants: $(cat "$dir.out")"
grep -q 'broken as was asked' "$dir.err" || fail "broken invariants: it said: $(cat "$dir.err")"
[ -z "$(ls -A "$dir")" ] || fail "broken invariants: left behind: $(ls -A "$dir")"
rm -f "$dir.daemon" "$dir.out" "$dir.err"
exit 0
