#!/bin/sh
# SPDX-License-Identifier: MIT
# For mach2q the live major faults are within 5 % of the prediction, and no policy has fewer than MIN.
. "$(dirname "$0")/functions.sh"
bench=$1
requires_pagerd "$bench"
[ -n "$PAGERSIM" ] || PAGERSIM=$(dirname "$bench")/../tools/pagersim/pagersim
[ -x "$PAGERSIM" ] || skip "no pagersim"
export PAGERSIM

dir=$(mktemp -d -p "${TMPDIR:-/var/tmp}") || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

plot=
! command -v gnuplot >/dev/null || plot="--plot $dir.svg"
# shellcheck disable=SC2086
"$bench" policies --working-set 2M --touches 4000 --repeat 1 --policies mach2q,arc \
	--workloads random,zipf,scan,loop,phase --fractions 75,25 --dir "$dir" --json --tsv "$dir.tsv" \
	--markdown "$dir.md" $plot >"$dir.out" 2>"$dir.err" || fail "status $?: $(cat "$dir.err")"
# gnuplot warns about a workload whose points coincide.
! grep -vq '^Warning: empty [xy] range\|^$' "$dir.err" || fail "it said: $(cat "$dir.err")"
[ -z "$(ls -A "$dir")" ] || fail "left behind: $(ls -A "$dir")"
python3 - "$dir.out" <<'END' || exit 1
import json, sys
rows = json.load(open(sys.argv[1]))['results']
bad = 0 if len(rows) == 5 * 2 * 2 else 1
for r in rows:
    if r['policy'] == 'mach2q' and abs(r['error']) > 0.05 or r['major'] < r['major_min'] or r['violations']:
        print('FAIL:', r)
        bad = 1
print('worst error %.2f %%' % (100 * max(abs(r['error']) for r in rows)), 'of', len(rows), 'rows')
sys.exit(bad)
END
if [ -n "$plot" ]; then
	python3 - "$dir.svg" <<'END' || exit 1
import sys, xml.dom.minidom
document = xml.dom.minidom.parse(sys.argv[1])
texts = {''.join(n.data for n in t.childNodes if n.nodeType == n.TEXT_NODE).strip()
         for t in document.getElementsByTagName('text')}
missing = [w for w in ('mach2q', 'arc', 'min', *(f'{l}: miss ratio, live' for l in ('random', 'zipf', 'scan', 'loop', 'phase')))
           if w not in texts]
if missing:
    print('FAIL: not in the picture:', missing)
sys.exit(bool(missing))
END
fi
# A header, the predictions with MIN, and a line for each run.
[ "$(wc -l <"$dir.tsv")" = $((1 + 5 * 2 * 3 + 5 * 2 * 3)) ] || fail "TSV: $(wc -l <"$dir.tsv") lines"
grep -q '^| mach2q | ' "$dir.md" || fail "no table of agreement"
"$bench" policies --policies nosuch --working-set 1M --dir "$dir" >/dev/null 2>"$dir.err" && fail "took a policy that is none"
grep -q nosuch "$dir.err" || fail "it said: $(cat "$dir.err")"
"$bench" policies --workloads nosuch 2>/dev/null && fail "took a workload that is none"
rm -f "$dir.out" "$dir.err" "$dir.tsv" "$dir.md" "$dir.svg"
exit 0
