# SPDX-License-Identifier: MIT
"""man_matches_help.py PAGE PROGRAM [COMMAND...]: long options of --help (of the program and of each command) and of the
manual page are the same."""
import os
import re
import subprocess
import sys

import tree

OPTION = re.compile(r'(?<![\w-])--[a-z][a-z-]*[a-z]')


def help_text(program, *command):
    run = subprocess.run([program, *command, '--help'], capture_output=True, text=True, check=False,
                         stdin=subprocess.DEVNULL)
    if run.returncode != 0:
        tree.end([f'{os.path.basename(program)} {" ".join(command)} --help: exit status {run.returncode}'])
    return run.stdout


def main(page, program, *commands):
    if not os.path.exists(page):
        print(f'no {page}')
        sys.exit(77)
    with open(page, encoding='utf-8') as source:
        man = re.sub(r'\\f[PRBI]|\\c', '', source.read().replace('\\-', '-'))
    told = set(OPTION.findall(help_text(program)))
    for command in commands:
        told |= set(OPTION.findall(help_text(program, command)))
    told -= {'--help', '--version'}
    shown = set(OPTION.findall(man))
    name = os.path.basename(page)
    errors = [f'{o}: in --help, not in {name}' for o in sorted(told - shown)]
    # A page also names options of other programs; those it explains are tagged paragraphs.
    explained = set(OPTION.findall('\n'.join(re.findall(r'^\.TP[^\n]*\n(.*)$', man, re.M))))
    errors += [f'{o}: in {name}, not in --help' for o in sorted(explained - told - {'--help', '--version'})]
    tree.end(errors)


main(*sys.argv[1:])
