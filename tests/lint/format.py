# SPDX-License-Identifier: MIT
"""format.py ROOT: clang-format would change no source. Skipped (exit status 77) without the clang-format whose layout the
tree has: releases differ in details."""
import re
import shutil
import subprocess
import sys

import tree

RELEASE = 14


def main(root):
    program = shutil.which(f'clang-format-{RELEASE}') or shutil.which('clang-format')
    version = subprocess.run([program, '--version'], capture_output=True, text=True, check=True).stdout if program else ''
    release = re.search(r'version (\d+)\.', version)
    if not release or int(release.group(1)) != RELEASE:
        print(f'there is no clang-format {RELEASE} here')
        raise SystemExit(77)
    paths = list(tree.sources(root, '.c', '.h'))
    result = subprocess.run([program, '--dry-run', '-Werror', *paths], cwd=root, capture_output=True, text=True, check=False)
    errors = re.findall(r'^(\S+:\d+):\d+: error', result.stderr, re.M)
    print(f'{len(paths)} files')
    tree.end([f'{place}: clang-format -i would change it' for place in errors])


main(*sys.argv[1:])
