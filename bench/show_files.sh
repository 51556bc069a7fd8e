#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Files as they are meant to be used, at full size: two clients map the same file of 512 MiB through a pagerd with 64 MiB
# of memory. One writes a pattern and msyncs, and is killed in the midst of it; another one goes on. What msync had
# confirmed must be there, the other client and read(2) must see every byte, the file's sha256 must be the pattern's, and
# `pagerctl check` must find nothing. The test suite has the same with 32 MiB (live-file-oracle-show).
#
#	sh bench/show_files.sh [page=4K|16K|64K] [memory=SIZE] [ratio=N]
#
# BUILD     the build folder (build), which is set up and built if need be
# LIVE_DIR  where the file lies, with room for twice its size (/var/tmp)
set -eu
cd "$(dirname "$0")/.."
. bench/show_build.sh

show_build tests/live/e_file_oracle
exec "$BUILD/tests/live/e_file_oracle" show memory=64M ratio=8 "$@"
