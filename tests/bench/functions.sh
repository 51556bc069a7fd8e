# SPDX-License-Identifier: MIT
# Sourced by the tests of this folder. $1 of each test is pagerbench; $2 is wordindex.

skip() { echo "SKIP: $*"; exit 77; }
fail() { echo "FAIL: $*"; exit 1; }

requires_root() { [ "$(id -u)" = 0 ] || skip "needs root"; }
requires_no_swap() { [ "$(wc -l </proc/swaps)" -le 1 ] || skip "swap is on"; }
requires_memory_cgroup() {
	grep -Eq '^[^ ]+ [^ ]+ cgroup [^ ]*(,|^)memory' /proc/mounts ||
		grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null || skip "no memory cgroup"
}
requires_free_zram() {
	[ "$(cat /sys/block/zram0/disksize 2>/dev/null)" = 0 ] || skip "no free zram device"
	grep -qw 'lz4' /sys/block/zram0/comp_algorithm || skip "zram without lz4"
}
# The daemon for the other side: the built one, or the one that $PAGERD names.
requires_pagerd() {
	if [ -z "$PAGERD" ]; then
		PAGERD=$(dirname "$1")/../daemon/pagerd
		[ -x "$PAGERD" ] || skip "no pagerd"
		export PAGERD
	fi
	[ -c /dev/userfaultfd ] || skip "no /dev/userfaultfd"
}

# Prints the state that `compare` changes.
kernel_state() {
	cat /proc/swaps /sys/block/zram*/disksize /sys/block/zram*/comp_algorithm /proc/sys/vm/page-cluster 2>/dev/null
	find /sys/fs/cgroup -maxdepth 2 -name 'pagerbench*' 2>/dev/null
	cat /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null
	find "$1" -mindepth 1 2>/dev/null
	return 0
}
