#!/bin/sh
# SPDX-License-Identifier: MIT
# Without rights, or with a zram device in use, nothing is changed and the reason is printed.
. "$(dirname "$0")/functions.sh"
bench=$1
requires_root
requires_no_swap
requires_memory_cgroup
requires_free_zram

dir=$(mktemp -d) || exit 1
chmod 777 "$dir"
cp "$bench" "$dir/pagerbench"
trap 'echo 1 >/sys/block/zram0/reset; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/pagerbench" compare scan --dir "$dir" 2>"$dir/err" &&
	fail "runs as nobody"
grep -q 'needs root' "$dir/err" || fail "does not say that it needs root: $(cat "$dir/err")"

echo 16M >/sys/block/zram0/disksize
"$bench" compare scan --dir "$dir" 2>"$dir/err" && fail "runs with zram in use"
grep -q 'zram device is in use' "$dir/err" || fail "does not say that zram is in use: $(cat "$dir/err")"
[ "$(cat /sys/block/zram0/disksize)" = 16777216 ] || fail "changed a zram device that was in use"

mkswap /dev/zram0 >/dev/null && swapon /dev/zram0 || fail "swapon"
"$bench" compare scan --dir "$dir" 2>"$dir/err"
status=$?
swapoff /dev/zram0
[ $status != 0 ] || fail "runs with swap on"
grep -q 'swap is already on' "$dir/err" || fail "does not say that swap is on: $(cat "$dir/err")"
exit 0
