#!/bin/sh
# SPDX-License-Identifier: MIT
# Another build as the peer: each row has ratios and noise; each build is driven by its own pagerbench; --limit decides the exit
# status; a path that is no build, and a build that cannot be compared, are reported before anything is measured.
. "$(dirname "$0")/functions.sh"
bench=$(realpath "$1")
requires_pagerd "$bench"

dir=$(mktemp -d -p "${TMPDIR:-/var/tmp}") || exit 1
trap 'rm -rf "$dir" "$dir".*' EXIT
trap 'exit 1' INT TERM

# A row of each kind.
"$bench" compare random-read fits soft-fault swap-out fill-to-disk --json --peer "pagerd=$PAGERD" --pairs 1 --memory 8M \
	--seconds 0.1 --dir "$dir" >"$dir.out" 2>"$dir.err" ||
	fail "status $?: $(cat "$dir.err")"
[ -z "$(ls -A "$dir")" ] || fail "left behind: $(ls -A "$dir")"
python3 - "$dir.out" <<'END' || exit 1
import json, sys
rows = json.load(open(sys.argv[1]))
bad = [] if len(rows) == 6 else [f'{len(rows)} rows']
ABOUT = {'soft-fault': 'p50_ns', 'swap-out': 'per_page_ns', 'fill-to-disk': 'per_page_ns'}
for r in rows:
    if (r['against'], r['pairs'], r['bad_pages'], r['check_failures'], r['finished'], r['targets']) != ('pagerd', 1, 0, 0, True, []):
        bad.append(r)
    if r['beside_plain'] != (r['scenario'] == 'fits') or 'floors' in r:
        bad.append(r)
    for part in 'ratio', 'noise', 'peer', 'pagerd':
        if not r[part].get(ABOUT.get(r['scenario'], 'mean_ns'), {}).get('median', 0) > 0:
            bad.append((part, r))
print(*bad, f'{len(bad)} complaints', sep='\n')
sys.exit(bool(bad))
END

# A build whose pagerbench reports other figures than it measures, different enough for a busy machine.
mkdir "$dir.build" "$dir.build/daemon" "$dir.build/bench"
ln -s "$(realpath "$PAGERD")" "$dir.build/daemon/pagerd"
cat >"$dir.build/bench/pagerbench" <<END
#!/usr/bin/env python3
import json, os, subprocess, sys
assert os.path.samefile(sys.argv[sys.argv.index('--daemon') + 1], '$dir.build/daemon/pagerd'), sys.argv
done = subprocess.run(['$bench', *sys.argv[1:]], stdout=subprocess.PIPE, close_fds=False)
figures = json.loads(done.stdout)
for name in figures:
    if name.endswith('_ns') or name == 'cpu_s':
        figures[name] *= float(open('$dir.factor').read())
print(json.dumps(figures))
sys.exit(done.returncode)
END
chmod 755 "$dir.build/bench/pagerbench"
builds() {
	"$bench" compare scan --peer "pagerd=$dir.build" --pairs 2 --memory 16M --seconds 0.1 --dir "$dir" "$@" \
		>"$dir.out" 2>"$dir.err"
}
echo 10000 >"$dir.factor"
builds --limit 1.03 || fail "the other is slower: status $?: $(cat "$dir.out" "$dir.err")"
grep -q 'per_page_ns .* 1.03 met' "$dir.out" || fail "the other is slower: $(cat "$dir.out")"
[ "$(grep -c '^    A/A' "$dir.out")" = "$(grep -c '^  [a-z].*_\(ns\|s/1M\) ' "$dir.out")" ] || fail "A/A lines: $(cat "$dir.out")"
grep -q "the other build is .*, driven by $dir.build/bench/pagerbench" "$dir.err" || fail "it said: $(cat "$dir.err")"
echo 0.0001 >"$dir.factor"
builds --limit 1.03
[ $? = 1 ] || fail "the other is faster, with a limit: no status 1: $(cat "$dir.out" "$dir.err")"
grep -q 'per_page_ns .* 1.03 MISSED$' "$dir.out" || fail "the other is faster: $(cat "$dir.out")"
builds --json --limit 1.03 && fail "the other is faster, with a limit and --json: status 0"
python3 - "$dir.out" <<'END' || fail "the other is faster, JSON: $(cat "$dir.out")"
import json, sys
row, = json.load(open(sys.argv[1]))
target, = row['targets']
assert (target['figure'], target['at_most'], target['met'], target['within_noise']) == ('per_page_ns', 1.03, False, False), target
assert row['ratio']['per_page_ns']['min'] > 100 > row['noise']['per_page_ns']['max'], row
END
builds || fail "the other is faster, without a limit: status $?: $(cat "$dir.out" "$dir.err")"

# A build that does not know the options of this one.
printf '#!/bin/sh\necho "what is $1?" >&2\nexit 2\n' >"$dir.build/bench/pagerbench"
builds && fail "a build that does not fit: status 0"
grep -q 'the other build cannot be measured' "$dir.err" || fail "a build that does not fit: $(cat "$dir.err")"
[ -z "$(ls -A "$dir")" ] || fail "left behind: $(ls -A "$dir")"

refused() { # STATUS SAID OPTION...
	status=$1
	said=$2
	shift 2
	"$bench" compare scan --pairs 1 --memory 16M --seconds 0.1 --dir "$dir" "$@" >/dev/null 2>"$dir.err"
	[ $? = "$status" ] || fail "$*: not status $status: $(cat "$dir.err")"
	grep -q -- "$said" "$dir.err" || fail "$*: it said: $(cat "$dir.err")"
}
refused 2 "peer cannot be 'pagerd='" --peer pagerd=
refused 2 'No such file' --peer "pagerd=$dir/nowhere"
refused 2 'neither a build directory' --peer "pagerd=$dir"
refused 2 'is not a program' --peer "pagerd=$dir.out"
refused 2 'limit is for two builds' --limit 1.03 --peer none
refused 2 'no row has a target' --plot "$dir/x.svg" --peer "pagerd=$dir.build"
exit 0
