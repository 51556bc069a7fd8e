#!/bin/sh
# SPDX-License-Identifier: MIT
# make_archive.sh INSIDE.a OUT.a DIR: joins all objects into one and hides what is not part of the API, so that a
# program which links it statically may call its own functions chan_open or agent_start.
set -e
mkdir -p "$3"
${LD:-ld} -r --whole-archive -o "$3/pager.o" "$1"
${OBJCOPY:-objcopy} --localize-hidden "$3/pager.o"
rm -f "$2"
${AR:-ar} rcs "$2" "$3/pager.o"
