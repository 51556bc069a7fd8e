# SPDX-License-Identifier: MIT
"""man_matches_help.py [exact] PAGE PROGRAM [COMMAND...]: long options of --help (of the program and of each command) and
of the manual page are the same. exact: so are those of the page's section OPTIONS and of the program's --help, to which
commands add none; and the commands are those that --help lists, each explained in the page."""
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


def compare(told, shown, name):
    return ([f'{o}: in --help, not in {name}' for o in sorted(told - shown)]
            + [f'{o}: in {name}, not in --help' for o in sorted(shown - told)])


def options_errors(man, name, program, commands):
    told = set(OPTION.findall(help_text(program)))
    for command in commands:
        told |= set(OPTION.findall(help_text(program, command)))
    told -= {'--help', '--version'}
    # A page also names options of other programs; those it explains are tagged paragraphs.
    explained = set(OPTION.findall('\n'.join(re.findall(r'^\.TP[^\n]*\n(.*)$', man, re.M)))) - {'--help', '--version'}
    return compare(told, (set(OPTION.findall(man)) & told) | explained, name)


def exact_errors(man, name, program, commands):
    text = help_text(program)
    told = set(OPTION.findall(text))
    errors = compare(told, set(OPTION.findall(man.split('.SH OPTIONS', 1)[1].split('.SH ', 1)[0])), name)
    listed = re.findall(r'^  ([a-z]+)\b', text.split('Options:')[0], re.M) if commands else []
    if set(listed) != set(commands):
        errors.append(f'commands in --help: {listed}; the test knows {list(commands)}')
    for command in commands:
        if not re.search(rf'^\.(TP\n\.)?B\w? "?{command}\b', man, re.M):
            errors.append(f'command {command}: not in {name}')
        errors += [f'{command} --help: {o} not in --help'
                   for o in sorted(set(OPTION.findall(help_text(program, command))) - told)]
    return errors


def main(*arguments):
    is_exact = arguments[0] == 'exact'
    page, program, *commands = arguments[is_exact:]
    if not os.path.exists(page):
        print(f'no {page}')
        sys.exit(77)
    with open(page, encoding='utf-8') as source:
        man = re.sub(r'\\f[PRBI]|\\c', '', source.read().replace('\\-', '-'))
    tree.end((exact_errors if is_exact else options_errors)(man, os.path.basename(page), program, commands))


main(*sys.argv[1:])
