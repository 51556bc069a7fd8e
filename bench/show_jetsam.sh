#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Memory runs out, and processes are ended in a stated order: ten clients with bands want three times as much as a pagerd
# with 64 MiB of memory and 64 MiB of swap can hold. They are ended from the lowest band up, within a band the one that has
# been in it longest; `pagerctl events --json` explains each; and those that are left have lost nothing. The test suite has
# the same with the daemon's own function as the prophet (live-jetsam-order).
#
#	sh bench/show_jetsam.sh
#
# BUILD     the build folder (build), which is set up and built if need be
# LIVE_DIR  where the socket and the swap files lie (/var/tmp)
set -eu
cd "$(dirname "$0")/.."
. bench/show_build.sh

show_build bench/hold
tmp=$(mktemp -d "${LIVE_DIR:-/var/tmp}/show_jetsam.XXXXXX")
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

"$PAGERD" --socket "$PAGERD_SOCKET" --memory 64M --swap-dir "$tmp" --swap-max 64M \
	--param swap_file_bytes=16777216 --param jetsam_aging_seconds=0 >"$tmp/log" 2>&1 &
pagerd=$!
await "$tmp/log" ready

# NAME BAND MIB, in the order in which they are given their bands.
while read -r name band mib; do
	"$BUILD/bench/hold" "$mib" "$name" >"$tmp/$name" 2>&1 &
	pids="$pids $!"
	await "$tmp/$name" ready
	"$PAGERCTL" priority "$!" "$band" >/dev/null
	echo "$! $name $band $mib" >>"$tmp/clients"
done <<END
important important 28
back-1 background 44
idle-1 idle 44
critical critical 28
support ui-support 44
back-2 background 44
phone phone 44
idle-2 idle 44
front foreground 28
mail mail 44
END

# shellcheck disable=SC2086
kill -USR1 $pids
# Those that are left have filled their memory, or have been ended.
while read -r pid name _; do
	while kill -0 "$pid" 2>/dev/null && ! grep -q filled "$tmp/$name"; do sleep 0.1; done
done <"$tmp/clients"
"$PAGERCTL" events --json >"$tmp/events"
"$PAGERCTL" check
# shellcheck disable=SC2086
kill $pids 2>/dev/null || :
for pid in $pids; do wait "$pid" 2>/dev/null || :; done
pids=

python3 - "$tmp" <<'END'
import json
import sys
tmp = sys.argv[1]
clients = [line.split() for line in open(tmp + '/clients')]
events = json.load(open(tmp + '/events'))
bad = []

def rank(p):
    """Lowest band first, then the one that has been in it longest; in `foreground` the largest."""
    return p['band'], (-p['footprint'] if p['band'] == 100 else p['moved'])

print(f'{"ENDED":>7} {"NAME":10} {"BAND":>5} {"FOOTPRINT":>10}  {"CAUSE":30} AVAILABLE')
for e in events:
    print(f'{e["pid"]:7} {e["name"]:10} {e["band"]:5} {e["footprint"] >> 20:7} MiB  {e["cause"]:30} '
          f'{e["available_permille"] / 10:.1f} %{", and nothing could leave" if e["squeezed"] else ""}')
    could = [p for p in e['processes'] if p['could_be_ended'] and not p['dying']]
    best = min(could, key=rank)
    if best['pid'] != e['pid'] or not best['chosen']:
        bad.append(f'event {e["number"]}: its snapshot says process {best["pid"]}')
bands = {'idle': 0, 'background': 30, 'mail': 40, 'phone': 50, 'ui-support': 80, 'foreground': 100, 'important': 180, 'critical': 190}
order = [int(c[0]) for _, c in sorted(enumerate(clients), key=lambda ic: (bands[ic[1][2]], ic[0]))]
if [e['pid'] for e in events] != order[:len(events)]:
    bad.append(f'predicted {order[:len(events)]}')
ended = {e['pid'] for e in events}
left = [c for c in clients if int(c[0]) not in ended]
for pid, name, band, mib in left:
    if 'intact' not in open(f'{tmp}/{name}').read():
        bad.append(f'{name} ({pid}): {open(f"{tmp}/{name}").read()!r}')
if not events or not left:
    bad.append(f'{len(events)} were ended, {len(left)} are left')
print('\n'.join(bad) if bad else f'{len(events)} were ended in the predicted order, each as its snapshot explains; '
      f'{", ".join(c[1] for c in left)} are left with all of their {sum(int(c[3]) for c in left)} MiB')
sys.exit(bool(bad))
END
