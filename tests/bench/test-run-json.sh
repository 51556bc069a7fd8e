#!/bin/sh
# SPDX-License-Identifier: MIT
# The documented keys are there.
. "$(dirname "$0")/functions.sh"
bench=$1

out=$("$bench" run random-write --backend plain --memory 4M --ratio 2 --threads 2 --seconds 0.1 --json) || fail "run"
for key in scenario bad_pages mean_ns p50_ns p99_ns p999_ns max_ns per_page_ns cpu_client_s cpu_daemon_s faults \
	compression_ratio bytes_written; do
	echo "$out" | grep -q "\"$key\": " || fail "no $key"
done
echo "$out" | grep -q '"bad_pages": 0' || fail "bad pages"
exit 0
