# SPDX-License-Identifier: MIT
"""headers_alone.py ROOT COMPILER...: each header compiles alone, twice, with its folder's include paths."""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

import tree

# Rows of macros, like include/tbl: they say themselves which macro must be defined.
TABLES = ('include/tbl/', 'tools/options.h', 'tools/top_columns.h')
FLAGS = ['-std=gnu11', '-D_GNU_SOURCE', '-DDEBUG_LEVEL=2', '-DFAIL_POINTS=1', '-DPAGERD_VERSION="0"', '-Wall', '-Wextra',
         '-Wno-unused-parameter', '-Wno-unused-function', '-Werror', '-fsyntax-only', '-x', 'c', '-']


def compile_one(root, compiler, path):
    paths = tree.INCLUDE_PATHS[tree.folder_of(path)]
    include = f'#include "{root / path}"\n'
    run = subprocess.run(
        [*compiler, *(f'-I{root / p}' for p in [os.path.dirname(path), *paths]), *FLAGS],
        input=include * 2, capture_output=True, text=True, check=False)
    return f'{path}: does not compile alone\n{run.stderr}' if run.returncode else None


def main(root, *compiler):
    root = pathlib.Path(root)
    headers = [p for p in tree.sources(root, '.h') if not p.startswith(TABLES)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = list(pool.map(lambda path: compile_one(root, compiler, path), headers))
    print(f'{len(headers)} headers')
    tree.end([e for e in errors if e])


main(*sys.argv[1:])
