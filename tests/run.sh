#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs what is missing, builds four times, runs the tests, and ends with "N passed, N failed[, N skipped]".
#
#	sh tests/run.sh [--no-install] [release|asan|tsan|clang]...
#
# release  gcc, optimised: every suite (unit, lint, bench, live)
# asan     gcc, AddressSanitizer and UndefinedBehaviorSanitizer, debug_level 2: every suite but lint and bench
# tsan     gcc, ThreadSanitizer, debug_level 1: the tests named in $TSAN_TESTS
# clang    must compile without a warning; nothing is run
#
# BUILD       where the build folders go (build-tests)
# TSAN_TESTS  extended regular expression over test names
# ASAN_SCALE, TSAN_SCALE  how much of their work live tests do there, percent (25)
# JOBS        tests at a time (number of CPUs); those of the bench suite run alone
# ASAN_LEAVE  extended regular expression over the names of live tests that asan leaves out (none)
# TIMES       factor by which time-outs are longer than on a quiet machine (10): a test hangs after 30 s times this, and
#             twice that under sanitizers
# SECONDS_MAX after this long nothing more is run; what was cut off is named, and is a failure where it is of the release (4800)
# TAIL        lines of a failed test's log that are printed (40)
set -u
cd "$(dirname "$0")/.." || exit 1

BUILD=${BUILD:-build-tests}
TSAN_TESTS=${TSAN_TESTS:-'live-(oracle-(4k|16k)-both|copy-oracle-4k-4|file-oracle-4k-4|port-oracle-4k-4|submap-random-4k-4)|trap-9-woken-4k|stress|torture|hammer|thread|(^|[-_])race|client-killed|held|^c_(watch|jobs|dispatch)$|direct-(threads|nonblock|killed)|^b_caway$|^b_swapio$|^b_swapfault$|^d_pager(_life)?$'}
ASAN_LEAVE=${ASAN_LEAVE-}
ASAN_SCALE=${ASAN_SCALE:-25}
TSAN_SCALE=${TSAN_SCALE:-25}
JOBS=${JOBS:-$(nproc)}
TIMES=${TIMES:-10}
SECONDS_MAX=${SECONDS_MAX:-4800}
TAIL=${TAIL:-40}
PACKAGES='meson ninja-build pkg-config gcc clang libc6-dev liburing-dev liblz4-dev libuv1-dev libxxhash-dev
	libjson-c-dev libmicrohttpd-dev libncurses-dev libnbd-dev libssl-dev nbdkit libcmocka-dev zlib1g-dev libzstd-dev liblzma-dev gnuplot-nox python3 clang-format-14 util-linux mount man-db tmux'
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0:exitcode=99}
UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=0:exitcode=66:second_deadlock_stack=1}
export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS
unset CFLAGS LDFLAGS CPPFLAGS
# No terminal and no colours, because the output is also read in CI logs.
exec </dev/null

say() { printf '\n== %s\n' "$*"; }
die() { printf 'tests/run.sh: %s\n' "$*" >&2; exit 1; }
now() { date +%s; }

install_packages() {
	command -v dpkg-query >/dev/null || { say "not Debian: no package is installed"; return 0; }
	missing=
	for package in $PACKAGES; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	[ "$(id -u)" = 0 ] || die "these packages are missing, and only root can install them:$missing"
	say "installing$missing"
	DEBIAN_FRONTEND=noninteractive
	export DEBIAN_FRONTEND
	mkdir -p "$BUILD"
	{
		apt-get update -q &&
			# shellcheck disable=SC2086
			apt-get install -y -q --no-install-recommends $missing
	} >"$BUILD/apt.log" 2>&1 || { tail -20 "$BUILD/apt.log"; die "cannot install$missing"; }
}

stage_failures=0

# build NAME CC OPTION...: => whether $BUILD/NAME is built. The sanitizers' builds share no folder.
build() {
	name=$1 compiler=$2
	shift 2
	log=$BUILD/$name.log
	start=$(now)
	again=
	[ ! -f "$BUILD/$name/build.ninja" ] || again=--reconfigure
	# shellcheck disable=SC2086
	if CC=$compiler meson setup $again "$BUILD/$name" "$@" >"$log" 2>&1 && ninja -C "$BUILD/$name" >>"$log" 2>&1; then
		echo "built with $compiler in $(($(now) - start)) s, $(grep -c 'warning:' "$log") warnings"
		return 0
	fi
	tail -n "$TAIL" "$log"
	echo "$name: the build failed ($log)"
	stage_failures=$((stage_failures + 1))
	return 1
}

# cut_off WHAT: there is no time left for it.
cut_off() {
	echo "not run to its end, for want of time: $1"
	cut="$cut $1"
	case $1 in release*) stage_failures=$((stage_failures + 1)) ;; esac
}

# run NAME LOGBASE SECONDS MESON-TEST-ARGUMENT...: results go to $BUILD/NAME/meson-logs/LOGBASE-contain.json. A test is ended after
# SECONDS (tests/contain.c); meson's own time-outs are off.
run() {
	name=$1 logbase=$2 limit=$3
	shift 3
	left=$((begin + SECONDS_MAX - $(now)))
	if [ "$left" -le 0 ]; then
		cut_off "$name/$logbase"
		return 0
	fi
	rm -f "$BUILD/$name/meson-logs/$logbase"-contain.json
	# Prints a line for each test; the summary is made from the logs at the end.
	{
		# shellcheck disable=SC2086
		timeout -k 30 "$left" $fixed meson test -C "$BUILD/$name" --no-rebuild --logbase "$logbase" --timeout-multiplier 0 \
			--wrapper "$(cd "$BUILD" && pwd)/$name/tests/contain $limit" "$@" 2>&1
		echo $? >"$BUILD/$name.status"
	} | grep --line-buffered -E '^ *[0-9]+/[0-9]+ |^ERROR|Traceback'
	# 124: the time is over.
	if [ "$(cat "$BUILD/$name.status")" = 124 ]; then
		cut_off "$name/$logbase"
	fi
	return 0
}

# names BUILD [MESON-TEST-ARGUMENT...]: the names of its tests, in their order
names() {
	of=$1
	shift
	meson test -C "$BUILD/$of" --no-rebuild --list "$@" 2>/dev/null | sed -n 's,^.* / ,,p'
}

stage_release() {
	say "release: gcc, every suite"
	build release gcc --buildtype=release || return
	run release parallel $hang --no-suite live --no-suite bench --num-processes "$JOBS"
	run release bench $((3 * hang)) --suite bench --num-processes 1
	run release live $hang --suite live --num-processes "$JOBS"
}

stage_asan() {
	say "asan: AddressSanitizer, UndefinedBehaviorSanitizer, debug_level 2"
	build asan gcc --buildtype=debugoptimized -Db_sanitize=address,undefined -Ddebug_level=2 || return
	run asan parallel $((2 * hang)) --no-suite live --no-suite bench --no-suite lint --num-processes "$JOBS"
	# shellcheck disable=SC2046
	LIVE_SCALE=$ASAN_SCALE run asan live $((2 * hang)) --num-processes "$JOBS" \
		$(names asan --suite live | grep -vE "${ASAN_LEAVE:-^$}")
}

stage_tsan() {
	say "tsan: ThreadSanitizer, the concurrent tests"
	bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)
	if [ "$bits" -gt 28 ]; then
		if setarch -R true 2>/dev/null; then
			fixed='setarch -R'
		else
			echo "vm.mmap_rnd_bits is $bits and setarch -R is refused: gcc 12's ThreadSanitizer cannot start here"
			tsan_refused=1
			return
		fi
	fi
	build tsan gcc --buildtype=debugoptimized -Db_sanitize=thread -Ddebug_level=1 || return
	selected=$(names tsan | grep -E "$TSAN_TESTS" | sort -u)
	[ -n "$selected" ] || { echo "no test matches TSAN_TESTS"; return; }
	# shellcheck disable=SC2086
	LIVE_SCALE=$TSAN_SCALE run tsan chosen $((2 * hang)) --num-processes "$JOBS" $selected
	fixed=
}

stage_clang() {
	say "clang: no warnings"
	build clang clang --buildtype=plain -Dwerror=true
}

# Counts the results of all runs, shows the failures' logs, prints the last line. => status of the whole
summary() {
	python3 - "$BUILD" "$stage_failures" "$TAIL" <<-'END'
	import glob, json, sys
	build, stage_failures, tail = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
	good = {'OK', 'EXPECTEDFAIL'}
	passed, failed, skipped, failures, skips = 0, stage_failures, 0, [], []
	for path in sorted(glob.glob(build + '/*/meson-logs/*-contain.json')):
	    run = path.split('/')[-3] + '/' + path.split('/')[-1][:-len('-contain.json')]
	    for line in open(path):
	        row = json.loads(line)
	        if row['result'] in good:
	            passed += 1
	        elif row['result'] == 'INTERRUPT':
	            pass  # cut off, which is counted already
	        elif row['result'] == 'SKIP':
	            skipped += 1
	            skips.append((run, row))
	        else:
	            failed += 1
	            failures.append((run, row))
	def text(row):
	    return ((row.get('stdout') or '') + (row.get('stderr') or '')).rstrip().split('\n')
	if skips:
	    print('\n== skipped')
	for run, row in skips:
	    print(run + ': ' + row['name'] + ': ' + text(row)[-1][:100])
	for run, row in failures:
	    print('\n== FAILED %s: %s (%s, %.1f s)' % (run, row['name'], row['result'], row['duration']))
	    lines = text(row)
	    # Why it failed stands above the states of the daemon's threads.
	    causes = [l for l in lines[:-tail] if l.startswith('FAILED (') or 'panic:' in l or '[  ERROR' in l]
	    print('\n'.join(causes[:5] + lines[-tail:]))
	if stage_failures:
	    print('\n%d builds failed or suites were cut off, counted as failed tests' % stage_failures)
	sys.stdout.write('\n%d passed, %d failed' % (passed, failed))
	print(', %d skipped' % skipped if skipped else '')
	sys.exit(1 if failed or not passed else 0)
	END
}

stages=
for argument in "$@"; do
	case $argument in
	--no-install) PACKAGES= ;;
	release | asan | tsan | clang) stages="$stages $argument" ;;
	*) die "usage: sh tests/run.sh [--no-install] [release|asan|tsan|clang]..." ;;
	esac
done
stages=${stages:-release clang asan tsan}

begin=$(now)
hang=$((30 * TIMES))
fixed= # what `meson test` is started with
cut=   # what was not run to its end
tsan_refused=0
install_packages
mkdir -p "$BUILD" || exit 1
rm -f "$BUILD"/*/meson-logs/*.json
[ -c /dev/userfaultfd ] || echo "no /dev/userfaultfd: live tests will be skipped"
for stage in $stages; do
	# A build takes minutes.
	if [ $((begin + SECONDS_MAX - $(now))) -gt 240 ]; then
		"stage_$stage"
	else
		cut_off "$stage"
	fi
done
say "summary, after $(($(now) - begin)) s"
[ -z "$cut" ] || echo "not run to their ends, for want of time:$cut"
[ "$tsan_refused" = 0 ] || echo "ThreadSanitizer was not run"
summary
