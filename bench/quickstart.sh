#!/bin/sh
# SPDX-License-Identifier: MIT
#
# From a fresh clone to a result: installs what is missing, builds, and indexes the words of this machine's own files
# twice: on plain memory, and on memory from a pagerd that holds a quarter of it, through which large files are mapped as
# well. Both must give the same answer.
#
#	sh bench/quickstart.sh [--no-install]
#
# QUICKSTART_BYTES  how much is read (256 MiB)
# QUICKSTART_DIRS   which directories are read (/usr/include /usr/share /usr/lib/gcc /usr/bin)
# BUILD             the build folder (build)
set -u
cd "$(dirname "$0")/.." || exit 1

BUILD=${BUILD:-build}
BYTES=${QUICKSTART_BYTES:-268435456}
DIRS=${QUICKSTART_DIRS:-/usr/include /usr/share /usr/lib/gcc /usr/bin}
PACKAGES='meson ninja-build pkg-config gcc libc6-dev liburing-dev liblz4-dev libuv1-dev libxxhash-dev libjson-c-dev
	libmicrohttpd-dev libncurses-dev libnbd-dev libssl-dev libcmocka-dev gnuplot-nox zlib1g-dev libzstd-dev liblzma-dev'

say() { printf '\n== %s\n' "$*"; }
die() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

tmp=
pagerd_pid=
job_pid=
# Ends the processes that this script has started, by process id, and no others.
clean_up() {
	trap - EXIT INT TERM HUP
	exec 4>&-
	[ -z "$job_pid" ] || kill "$job_pid" 2>/dev/null
	if [ -n "$pagerd_pid" ]; then
		kill "$pagerd_pid" 2>/dev/null
		wait "$pagerd_pid" 2>/dev/null
	fi
	[ -z "$job_pid" ] || wait "$job_pid" 2>/dev/null
	[ -z "$tmp" ] || rm -rf "$tmp"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT
trap 'clean_up; exit 143' TERM HUP

install_packages() {
	missing=
	for package in $PACKAGES; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
			missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	say "installing$missing"
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends $missing >"$tmp/apt" 2>&1 && return 0
	$sudo apt-get update -q >>"$tmp/apt" 2>&1
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends $missing >>"$tmp/apt" 2>&1 ||
		{ tail -20 "$tmp/apt"; die "cannot install$missing"; }
}

build() {
	say "building in $BUILD"
	if [ ! -f "$BUILD/build.ninja" ]; then
		meson setup "$BUILD" --buildtype=release >"$tmp/meson" 2>&1 || { tail -20 "$tmp/meson"; die "meson failed"; }
	fi
	ninja -C "$BUILD" >"$tmp/ninja" 2>&1 || { tail -40 "$tmp/ninja"; die "the build failed"; }
	tail -1 "$tmp/ninja"
}

# seconds FROM TO: between two times of `date +%s.%N`
seconds() { awk -v from="$1" -v to="$2" 'BEGIN { printf "%.1f", to - from }'; }

# wait_for FILE PATTERN PID: waits until a line matches. Fails if the process has ended.
wait_for() {
	until grep -q "$2" "$1" 2>/dev/null; do
		kill -0 "$3" 2>/dev/null || return 1
		sleep 0.1
	done
}

tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/pagerd-quickstart.XXXXXX") || exit 1
[ "${1:-}" = --no-install ] || install_packages
build

existing=
for dir in $DIRS; do
	[ ! -d "$dir" ] || existing="$existing $dir"
done

say "word index of$existing on plain memory"
begin=$(date +%s.%N)
# shellcheck disable=SC2086
"$BUILD/bench/wordindex" --malloc --limit-bytes "$BYTES" $existing >"$tmp/plain" || die "wordindex failed"
plain_seconds=$(seconds "$begin" "$(date +%s.%N)")
used=$(awk '$1 == "memory" { print $2 }' "$tmp/plain")
quarter=$((used / 4 / 65536 * 65536))
cat "$tmp/plain"

say "pagerd with $((quarter >> 20)) MiB, a quarter of the $((used >> 20)) MiB that the job uses"
"$BUILD/daemon/pagerd" --socket "$tmp/socket" --memory "$quarter" --swap-dir "$tmp/swap" >"$tmp/pagerd" 2>&1 &
pagerd_pid=$!
wait_for "$tmp/pagerd" 'pagerd: ready on' $pagerd_pid || { cat "$tmp/pagerd"; die "pagerd did not start"; }
cat "$tmp/pagerd"

say "the same word index on memory from pagerd"
mkfifo "$tmp/hold" || exit 1
# Opened for reading and writing, so that neither open waits for the other side; the job gets a descriptor of its own, for reading.
exec 4<>"$tmp/hold"
begin=$(date +%s.%N)
# shellcheck disable=SC2086
"$BUILD/bench/wordindex" --pager --socket "$tmp/socket" --limit-bytes "$BYTES" --hold 3 $existing \
	>"$tmp/paged" 3<"$tmp/hold" 4>&- &
job_pid=$!
wait_for "$tmp/paged" '^digest' $job_pid || die "wordindex failed on memory from pagerd: $(tail -5 "$tmp/pagerd")"

paged_seconds=$(seconds "$begin" "$(date +%s.%N)")

say "the answers"
if cmp -s "$tmp/plain" "$tmp/paged"; then
	echo "equal: $(awk '$1 == "words" { w = $2 } $1 == "postings" { p = $2 } $1 == "digest" { d = $2 }
		END { printf "%d words, %d postings, digest %s", w, p, d }' "$tmp/paged")"
	status=0
else
	diff "$tmp/plain" "$tmp/paged"
	echo "DIFFERENT"
	status=1
fi

say "the times"
echo "$plain_seconds s on plain memory, $paged_seconds s in a quarter of it"
"$BUILD/tools/pagerctl" --socket "$tmp/socket" stat | awk '$1 == "decompressions" { d = $2 } $1 == "swapins" { s = $2 }
	END { printf "It takes longer because the index is read and written all over, and three quarters of it are away:\n" \
		"%d times a page had to be decompressed, and %d pages came from disk.\n", d, s }'

say "pagerctl stat, while the index is still there"
"$BUILD/tools/pagerctl" --socket "$tmp/socket" stat || status=1
say "pagerctl map $job_pid"
"$BUILD/tools/pagerctl" --socket "$tmp/socket" map "$job_pid" || status=1

# The job ends when the other end of the pipe is closed.
exec 4>&-
wait "$job_pid" || { echo "wordindex ended with status $?"; status=1; }
job_pid=
say "pagerctl check, after the job"
"$BUILD/tools/pagerctl" --socket "$tmp/socket" check || status=1
kill "$pagerd_pid"
wait "$pagerd_pid" || { echo "pagerd ended with status $?"; tail -5 "$tmp/pagerd"; status=1; }
pagerd_pid=
[ $status = 0 ] && say "done: same answer with a quarter of the memory"
exit $status
