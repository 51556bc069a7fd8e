#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A client that maps a device is billed for its size, once, at the map, whichever door it is touched by afterwards: the list
# of doors with what the client's footprint is after each. The same for two page sizes; then who may map a device, and how
# it ends.
#
#	sh bench/show_devices.sh
#
# BUILD     the build folder (build), which is set up and built if need be
set -eu
cd "$(dirname "$0")/.."
. bench/show_build.sh

show_build tests/live/e_device tests/live/e_device_ends
for size in 4K 64K; do
	"$BUILD/tests/live/e_device" doors $size
done
"$BUILD/tests/live/e_device" rights 4K
"$BUILD/tests/live/e_device_ends" ends 4K
echo "rights, ends: as they must be"
