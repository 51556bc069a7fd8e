#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `pagerctl release` of a client with 512 MiB, two thirds of which fit into pagerd's memory, while two threads of the client store
# all the time and check each word that they stored before. Afterwards no mapping in its smaps is registered with a userfaultfd,
# the daemon is stopped, and the client runs on: each thread goes through all of its pages twice more.
#
#	sh bench/show_release.sh [MIB]
#
# MIB       what the client has (512)
# BUILD     the build folder (build), which is set up and built if need be
set -eu
cd "$(dirname "$0")/.."
. bench/show_build.sh
show_build tests/live/e_release
"$BUILD/tests/live/e_release" load "${1:-512}"
echo "released, with equal content; the client ran on without a daemon"
