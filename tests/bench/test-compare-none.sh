#!/bin/sh
# SPDX-License-Identifier: MIT
# The whole table for a moment, without the kernel as a peer: each row ends, the documented keys are there, the picture shows
# the rows that have a ratio; --working-set replaces the ratios.
. "$(dirname "$0")/functions.sh"
bench=$1
requires_pagerd "$bench"

dir=$(mktemp -d -p "${TMPDIR:-/var/tmp}") || exit 1
trap 'rm -rf "$dir" "$dir".*' EXIT
trap 'exit 1' INT TERM

plot=
if command -v gnuplot >/dev/null; then
	plot="--plot $dir.svg"
else
	echo "no gnuplot: no picture"
fi
# shellcheck disable=SC2086
"$bench" compare --json --peer none --pairs 1 --memory 16M --seconds 0.2 --dir "$dir" $plot >"$dir.out" 2>"$dir.err" ||
	fail "status $?: $(cat "$dir.err")"
[ -z "$(ls -A "$dir")" ] || fail "left behind: $(ls -A "$dir")"
"$bench" compare scan fits --json --peer none --pairs 1 --memory 16M --working-set 24M --seconds 0.2 --dir "$dir" \
	>"$dir.set" 2>"$dir.err" || fail "--working-set: status $?: $(cat "$dir.err")"
python3 - "$dir.out" "$dir.set" ${plot:+"$dir.svg"} <<'END' || exit 1
import json, sys, xml.dom.minidom
bad = []
def expect(what, got, want):
    if got != want:
        bad.append(f'{what}: expected {want!r}, got {got!r}')
rows = json.load(open(sys.argv[1]))
expect('rows', sorted((r['scenario'], r['threads']) for r in rows),
       sorted([('random-read', 1), ('random-write', 1), ('random-read', 2), ('zipf', 1), ('scan', 1), ('first-touch', 1),
               ('fits', 1), ('stall', 1), ('soft-fault', 1), ('swap-in', 1), ('swap-out', 1),
               ('fill-to-disk', 1), ('file-scan', 1), ('file-random', 1), ('file-random-default', 1), ('file-write', 1)]))
KEYS = {'scenario', 'threads', 'pairs', 'against', 'working_set_ratio', 'memory_bytes', 'pagerd_memory_bytes', 'page_size',
        'compression_ratio', 'bad_pages', 'check_failures', 'oom_kills', 'finished', 'ratio', 'peer', 'pagerd', 'targets', 'floors'}
FLOORS = {'userfaultfd_echo_p50_ns', 'disk_read_4k_p50_ns', 'disk_write_256k_bytes_per_s', 'lz4_compress_page_ns', 'lz4_compress_page_all_ns',
          'lz4_decompress_page_ns', 'plain_touch_ns', 'plain_first_touch_ns'}
AGAINST = {'fits': 'plain', 'soft-fault': 'floor', 'swap-in': 'floor', 'swap-out': 'floor', 'fill-to-disk': 'floor'}
drawn = []
for r in rows:
    name = r['scenario']
    expect(name + ' keys', set(r) - {'doubt'}, KEYS)
    expect(name + ' floors', set(r['floors']), FLOORS)
    expect(name, (r['pairs'], r['bad_pages'], r['check_failures'], r['oom_kills'], r['finished'], r['memory_bytes'], r['page_size']),
           (1, 0, 0, 0, True, 16 << 20, '4K'))
    expect(name + ' against', r['against'], AGAINST.get(name, 'none'))
    expect(name + ' has ratios', bool(r['ratio']), name in AGAINST)
    for t in r['targets']:
        expect(name + ' target', set(t) - {'or_ns'}, {'figure', 'at_most', 'met'})
        if t['figure'] in r['ratio']:
            drawn.append(f"{name}, {r['threads']}: {t['figure']}")
    for sides in (r['ratio'], r['peer'], r['pagerd']):
        for figure, spread in sides.items():
            expect(f'{name} {figure}', set(spread), {'min', 'median', 'max'})
    if not r['pagerd'].get('per_page_ns', {}).get('median', 0) > 0:
        bad.append(f'{name}: no time a page')
for r in json.load(open(sys.argv[2])):
    expect('working set of ' + r['scenario'], (r['working_set_ratio'], r['targets']), (1.5, []))
if len(sys.argv) > 3:
    document = xml.dom.minidom.parse(sys.argv[3])
    expect('svg', document.documentElement.tagName, 'svg')
    texts = {''.join(n.data for n in t.childNodes if n.nodeType == n.TEXT_NODE).strip()
             for t in document.getElementsByTagName('text')}
    expect('not in the picture', [d for d in drawn if d not in texts], [])
    expect('drawn', len(drawn) >= 2, True)
print(*bad, f'{len(bad)} complaints', sep='\n')
sys.exit(bool(bad))
END
exit 0
