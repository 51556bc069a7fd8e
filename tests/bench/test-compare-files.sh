#!/bin/sh
# SPDX-License-Identifier: MIT
# Mapped files, against mmap(2) in a memory cgroup: no zram and no swap is used for them, the rows have their figures and
# verify every page, and nothing is left, also by SIGKILL while the cgroup is there.
. "$(dirname "$0")/functions.sh"
bench=$1
requires_root
requires_no_swap
requires_memory_cgroup
requires_pagerd "$bench"

dir=$(mktemp -d -p "${TMPDIR:-/var/tmp}") || exit 1
trap 'rm -rf "$dir" "$dir".*' EXIT
trap 'exit 1' INT TERM

before=$(kernel_state "$dir")
# Several times what a disk may read ahead (read_ahead_kb; 8 MiB were seen): pages that are still to come cannot be reclaimed,
# and the OOM killer would end the kernel's run.
"$bench" compare file-scan file-random file-write --json --pairs 1 --memory 32M --working-set 128M --seconds 0.2 --dir "$dir" \
	>"$dir.out" 2>"$dir.err" || fail "status $?: $(cat "$dir.err")"
[ "$(kernel_state "$dir")" = "$before" ] || fail "not as before: $(kernel_state "$dir")"
python3 - "$dir.out" <<'END' || exit 1
import json, sys
bad = []
def expect(what, got, want):
    if got != want:
        bad.append(f'{what}: expected {want!r}, got {got!r}')
rows = json.load(open(sys.argv[1]))
expect('rows', [r['scenario'] for r in rows], ['file-scan', 'file-random', 'file-random-default', 'file-write'])
for r in rows:
    name = r['scenario']
    expect(name, (r['against'], r['bad_pages'], r['check_failures'], r['finished'], r['memory_bytes'], r['pagerd_memory_bytes']),
           ('mmap', 0, 0, True, 32 << 20, 32 << 20))
    expect(name + ' compresses', r['compression_ratio'] < 1.01, True)
    expect(name + ' has targets', len(r['targets']) > 0, True)
    expect(name + ' is in the page cache', r.get('doubt'), None)
    for side in ('peer', 'pagerd', 'ratio'):
        expect(f'{name} {side}', r[side]['per_page_ns']['median'] > 0, True)
print(*bad, f'{len(bad)} complaints', sep='\n')
sys.exit(bool(bad))
END

"$bench" compare file-random --dir "$dir" --memory 32M --working-set 128M --seconds 0.5 --pairs 50 >/dev/null 2>"$dir.err" &
pid=$!
while [ "$(kernel_state "$dir" | grep -c '/sys/fs/cgroup/')" = 0 ]; do
	! grep -q '^State:.Z' /proc/$pid/status || fail "it ended by itself: $(cat "$dir.err")"
	sleep 0.01
done
kill -KILL $pid || fail "it ended by itself: $(cat "$dir.err")"
wait $pid
tries=0
while [ "$(kernel_state "$dir")" != "$before" ]; do
	tries=$((tries + 1))
	[ $tries -lt 2000 ] || fail "not as before after 200 s: $(kernel_state "$dir")"
	sleep 0.1
done
exit 0
