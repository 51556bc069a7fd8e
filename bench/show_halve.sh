#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Memory is halved live, under the load of three clients that have twice as much as it holds: the blocks of pagerd's memfds,
# seen from outside, follow within 5 seconds, and back; every page is verified. Exit status 0: so it is.
#
#	sh bench/show_halve.sh [options of pagerbench halve]
#
# BUILD     the build folder (build), which is set up and built if need be
set -eu
cd "$(dirname "$0")/.."
. bench/show_build.sh

show_build bench/pagerbench
exec "$BUILD/bench/pagerbench" halve --strict "$@"
