#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The daemon may die: 50 kills of the worker of a pagerd with a keeper, under two threads that read and write at random in four
# times its memory. No page is wrong, nobody waits for ever, and a touch waits at a kill for 0.5 s in the middle and 2 s at most.
# Then upgrades under load, there and back, and a client in Python.
#
#	sh bench/show_takeover.sh
#
# BUILD     the build folder (build), which is set up and built if need be
# MEMORY    of the daemon (1G)
set -eu
cd "$(dirname "$0")/.."
. bench/show_build.sh

show_build bench/pagerbench libclient/libpager.so.1.0.0 tests/live/e_upgrade tests/live/e_ctypes
"$BUILD/bench/pagerbench" takeover --memory "${MEMORY:-1G}" --kills 50 --strict
for name in back swap refused fails; do
	LIVE_SCALE=500 "$BUILD/tests/live/e_upgrade" $name
	echo "upgrade, $name: as it must be"
done
"$BUILD/tests/live/e_ctypes" kills "$(command -v python3)" tests/live/ctypes_client.py "$BUILD/libclient/libpager.so.1.0.0" 20
echo "a client in Python: as it must be"
