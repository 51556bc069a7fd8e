#!/bin/sh
# SPDX-License-Identifier: MIT
#
# One client cannot starve the rest: it allocates without end under a limit of 64 MiB, a quarter of pagerd's memory, among
# nine quiet ones. Their p99 of a touch with it is at most 1.5 times that without it, in the same run, and all that they have
# is verified. Exit status 0: so it is. On a machine that does other work the first figure says little, the ratio more.
#
#	sh bench/show_greedy.sh [options of pagerbench greedy]
#
# BUILD     the build folder (build), which is set up and built if need be
set -eu
cd "$(dirname "$0")/.."
. bench/show_build.sh

show_build bench/pagerbench
exec "$BUILD/bench/pagerbench" greedy --strict "$@"
