#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""completion.py OUTPUT PROGRAM: writes bash completion for a program, from what its --help lists, so that its own
table of commands and options is the only one."""
import os
import re
import subprocess
import sys

OPTION = re.compile(r'(?<![\w-])(--[a-z][a-z-]*[a-z]|-[a-zA-Z](?=,| |$))')
# A path follows these: files are offered.
PATHS = ('PATH', 'FILE', 'DIR')


def help_of(program, *command):
    run = subprocess.run([program, *command, '--help'], capture_output=True, text=True, check=False)
    if run.returncode != 0 and command:
        return ''  # a command without options
    if run.returncode != 0:
        sys.exit(f'{program} --help: exit status {run.returncode}')
    return run.stdout


def options_of(text):
    """Options at the beginnings of lines: (those without a path, those with one)."""
    words, paths = [], []
    for line in text.split('\n'):
        head = re.match(r'\s+(-.*?)(?:\s{2,}|$)', line)
        if not head:
            continue
        found = OPTION.findall(head.group(1))
        words += found
        if head.group(1).split()[-1].split('=')[-1] in PATHS:
            paths += found
    return list(dict.fromkeys(words)), list(dict.fromkeys(paths))


def commands_of(name, text):
    """Names at the beginnings of lines below "Commands:" or "usage: NAME COMMAND", or of "usage: NAME command" lines."""
    listed = re.search(r'^(?:Commands:|usage: \S+ COMMAND\b.*)\n((?:  \S.+\n)+)', text, re.M)
    if listed:
        return dict.fromkeys(re.findall(r'^  ([a-z][a-z-]*)\b', listed.group(1), re.M))
    return dict.fromkeys(re.findall(rf'^(?:usage:| +) *{name} ([a-z][a-z-]*)\b', text, re.M))


def main(output, program):
    name = os.path.basename(program)
    text = help_of(program)
    commands = commands_of(name, text)
    common, paths = options_of(text)
    lines = [f'# Made by packaging/completion.py from `{name} --help`.',
             f'_{name}()', '{', '\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command= i',
             '\tfor ((i = 1; i < COMP_CWORD; i++)); do', '\t\tcase ${COMP_WORDS[i]} in']
    if commands:
        lines.append(f'\t\t{" | ".join(commands)}) command=${{COMP_WORDS[i]}}; break ;;')
    lines += ['\t\tesac', '\tdone']
    if paths:
        lines += ['\tcase $before in', f'\t{" | ".join(paths)})', '\t\tcompopt -o filenames',
                  '\t\tmapfile -t COMPREPLY < <(compgen -f -- "$word")', '\t\treturn', '\t\t;;', '\tesac']
    lines.append('\tcase $command in')
    for command in commands:
        words = options_of(help_of(program, command))[0]
        arguments = re.search(rf'^  {command} (\S.*?)(?:\s{{2,}}|$)', text, re.M)
        # Words that may stand there as they are: "[list|get NAME|set NAME VALUE]", "SIZE|none".
        plain = re.findall(r'(?<![\w-])[a-z][a-z-]+\b(?![:=])', arguments.group(1)) if arguments else []
        lines += [f'\t{command})', f'\t\tmapfile -t COMPREPLY < <(compgen -W "{" ".join(plain + words)}" -- "$word")',
                  '\t\t;;']
    lines += ['\t*)', f'\t\tmapfile -t COMPREPLY < <(compgen -W "{" ".join([*commands, *common])}" -- "$word")', '\t\t;;',
              '\tesac', '}', f'complete -o default -F _{name} {name}', '']
    with open(output, 'w', encoding='ascii') as out:
        out.write('\n'.join(lines))


main(*sys.argv[1:])
