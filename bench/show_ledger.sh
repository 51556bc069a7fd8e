#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Ledgers that add up, and limits that hold: every door by which pages come onto a bill, with three page sizes and the
# difference 0 in each row; then clients at soft and fatal limits on the footprint and on resident memory, one of them seen
# from outside by `pagerctl footprint -i 0.1`: at most a batch beyond its limit, and ended with cause per-process-limit.
#
#	sh bench/show_ledger.sh
#
# BUILD     the build folder (build), which is set up and built if need be
set -eu
cd "$(dirname "$0")/.."
. bench/show_build.sh

show_build bench/pagerbench tests/live/e_jetsam
for size in 4K 16K 64K; do
	"$BUILD/bench/pagerbench" ledger --page-size $size
done
for name in limits resident shown; do
	"$BUILD/tests/live/e_jetsam" $name
	echo "$name: as it must be"
done
