#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builds the Debian packages, and installs, uses and removes them in a fresh root made by debootstrap (minbase). As root,
# with network or a mirror; takes several minutes. Needs dpkg-dev, debhelper, lintian and debootstrap. Ends with "packages: ok".
#
#	sh tests/package.sh [DIRECTORY]
#
# DIRECTORY  keeps the packages (default: a temporary one, removed at the end)
# SUITE      Debian release of the root (that of this machine)
# MIRROR     where debootstrap fetches it from (http://deb.debian.org/debian)
# ROOT       a directory with such a root, copied instead of calling debootstrap
# BUILT      a directory with packages, and `source` beside them, where they were built before: instead of building
set -eu
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }
die() { printf 'tests/package.sh: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || die "only root can make a root to install into"
for tool in dpkg-buildpackage dh lintian debootstrap; do
	command -v "$tool" >/dev/null || die "there is no $tool: apt-get install dpkg-dev debhelper lintian debootstrap"
done
[ -c /dev/userfaultfd ] || die "there is no /dev/userfaultfd for the installed pagerd"
SUITE=${SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
MIRROR=${MIRROR:-http://deb.debian.org/debian}

tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/pagerd-package.XXXXXX")
daemon=
finish() {
	[ -z "$daemon" ] || kill -KILL "$daemon" 2>/dev/null || true
	for place in dev/userfaultfd proc; do
		if mountpoint -q "$tmp/root/$place"; then
			umount "$tmp/root/$place" || return
		fi
	done
	rm -rf --one-file-system "$tmp"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
kept=${1:-$tmp/packages}
mkdir -p "$kept"
kept=$(cd "$kept" && pwd)

if [ -n "${BUILT:-}" ]; then
	built=$(cd "$BUILT" && pwd)
else
	say "building"
	built=$tmp/built
	mkdir -p "$built/source"
	# What is in the tree, without builds.
	git ls-files -z | xargs -0 tar -c --no-recursion | tar -x -C "$built/source"
	(cd "$built/source" && dpkg-buildpackage -us -uc -b) >"$tmp/build.log" 2>&1 ||
		{ tail -40 "$tmp/build.log"; die "dpkg-buildpackage failed"; }
fi
cp "$built"/*.deb "$built"/*.changes "$built"/*.buildinfo "$kept"
for package in pagerd libpager1 libpager-dev; do
	set -- "$kept/${package}"_*.deb
	[ -f "$1" ] || die "no package $package was built"
	echo "${1##*/}"
done

say "lintian"
lintian --allow-root --fail-on error --suppress-tags bad-distribution-in-changes-file "$kept"/*.changes ||
	die "lintian finds errors"

say "a root"
if [ -n "${ROOT:-}" ]; then
	cp -a "$ROOT" "$tmp/root"
else
	debootstrap --variant=minbase "$SUITE" "$tmp/root" "$MIRROR" >"$tmp/root.log" 2>&1 ||
		{ tail -20 "$tmp/root.log"; die "debootstrap failed"; }
fi
root=$tmp/root
cp /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"
# An exec, so that in the background it is the program itself that has the process id.
in_root() { (exec_in_root "$@"); }
exec_in_root() { exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$root" "$@"; }
# What there is, without what apt and dpkg write down of themselves, and logs.
files() {
	(cd "$root" && find . -xdev \( -path ./proc -o -path ./tmp -o -path ./var/lib/dpkg -o -path ./var/lib/apt \
		-o -path ./var/cache -o -path ./var/log -o -path ./etc/ld.so.cache \) -prune -o -print | LC_ALL=C sort)
	for table in passwd group; do sed "s/^/$table: /" "$root/etc/$table"; done
}
in_root apt-get update -q >"$tmp/apt.log" 2>&1 || { tail "$tmp/apt.log"; die "no packages can be fetched"; }

say "installing"
mkdir "$root/tmp/packages"
for package in pagerd libpager1 libpager-dev; do
	cp "$kept/${package}"_*.deb "$root/tmp/packages"
done
# What they depend on comes first, so that it is not taken for theirs.
depends=$(for deb in "$root"/tmp/packages/*.deb; do dpkg-deb -f "$deb" Depends; done | tr ',' '\n' | sed 's/[|(].*//; s/ //g' |
	grep -v '^libpager1$' | sort -u)
# shellcheck disable=SC2086
in_root apt-get install -y -q --no-install-recommends $depends >>"$tmp/apt.log" 2>&1 ||
	{ tail "$tmp/apt.log"; die "what the packages depend on cannot be installed"; }
files >"$tmp/before"
in_root sh -c 'apt-get install -y -q --no-install-recommends /tmp/packages/*.deb' >"$tmp/install.log" 2>&1 ||
	{ tail -20 "$tmp/install.log"; die "the packages cannot be installed"; }
in_root getent group pagerd >/dev/null || die "there is no group pagerd"
for program in pagerd pagerctl pagersim pagerbench; do
	in_root "$program" --version
done

say "hello, with the installed pagerd and libpager"
# Its run path names the build folder, which the root does not have.
cp "$built"/source/obj-*/libclient/hello "$root/tmp/hello"
: >"$root/dev/userfaultfd"
mount --bind /dev/userfaultfd "$root/dev/userfaultfd"
exec_in_root pagerd --memory 16M --socket /tmp/pagerd.sock --swap-dir /var/lib/pagerd >"$tmp/daemon.log" 2>&1 &
daemon=$!
until grep -q 'ready on' "$tmp/daemon.log"; do
	kill -0 "$daemon" 2>/dev/null || { cat "$tmp/daemon.log"; die "the installed pagerd does not start"; }
	sleep 0.1
done
in_root env PAGERD_SOCKET=/tmp/pagerd.sock /tmp/hello 64
in_root pagerctl --socket /tmp/pagerd.sock check
kill -TERM "$daemon"
wait "$daemon" || die "the installed pagerd ended with status $?"
daemon=
umount "$root/dev/userfaultfd"
rm "$root/dev/userfaultfd"

say "removing"
in_root apt-get purge -y -q pagerd libpager1 libpager-dev >"$tmp/purge.log" 2>&1 ||
	{ tail -20 "$tmp/purge.log"; die "the packages cannot be removed"; }
files >"$tmp/after"
diff "$tmp/before" "$tmp/after" >"$tmp/left" || { cat "$tmp/left"; die "this differs from before (<) the installation"; }
say "packages: ok"
