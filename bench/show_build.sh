# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# Sourced by the shows, in the source tree's top folder: builds what they need.
#
# BUILD     the build folder (build), which is set up if need be; afterwards its absolute path

# TARGET...
show_build() {
	BUILD=${BUILD:-build}
	[ -f "$BUILD/build.ninja" ] || meson setup "$BUILD"
	ninja -C "$BUILD" daemon/pagerd tools/pagerctl "$@"
	BUILD=$(cd "$BUILD" && pwd)
	export PAGERD="$BUILD/daemon/pagerd" PAGERCTL="$BUILD/tools/pagerctl"
}
