#!/bin/sh
# SPDX-License-Identifier: MIT
# check_pages.sh PAGE...: groff has nothing to say against them.
command -v man >/dev/null && command -v tbl >/dev/null || exit 77
status=0
for page; do
	target=$(sed -n 's/^\.so man[0-9]\///p' "$page")
	if [ -n "$target" ]; then
		[ -f "$(dirname "$page")/$target" ] || { echo "$page: no $target"; status=1; }
		continue
	fi
	said=$(LC_ALL=C.UTF-8 MANWIDTH=100 man --warnings -E UTF-8 -l "$page" 2>&1 >/dev/null)
	[ -z "$said" ] || { echo "$page: $said"; status=1; }
done
exit $status
