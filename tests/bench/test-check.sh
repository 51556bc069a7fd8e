#!/bin/sh
# SPDX-License-Identifier: MIT
# Each scenario runs on plain memory and finds no bad page; wrong command lines are refused.
. "$(dirname "$0")/functions.sh"
bench=$1

"$bench" --check || fail "--check"
"$bench" list | grep -q random-write || fail "list"
for arguments in "" "frobnicate" "run" "run no-such-scenario" "run scan --memory 12Q" "run scan --threads 0" \
	"compare no-such-scenario" "run scan --page-size 5K" "run first-touch --beside-plain"; do
	# shellcheck disable=SC2086
	"$bench" $arguments >/dev/null 2>&1
	[ $? = 2 ] || fail "'$arguments' should be refused with status 2"
done
exit 0
