#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_options.py PROGRAM PAGE [VERB...]: the options (and verbs) of --help and of the manual page are the same."""
import re
import subprocess
import sys

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")


def help_text(program, *verb):
    run = subprocess.run([program, *verb, "--help"], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"{program} {' '.join(verb)} --help: exit status {run.returncode}")
    return run.stdout


def main(program, page, *verbs):
    with open(page, encoding="ascii") as source:
        man = re.sub(r"\\f[PRBI]|\\c", "", source.read().replace("\\-", "-"))
    section = man.split(".SH OPTIONS", 1)[1].split(".SH ", 1)[0]
    told = set(OPTION.findall(help_text(program)))
    errors = [f"{o}: in --help, not in {page}" for o in sorted(told - set(OPTION.findall(section)))]
    errors += [f"{o}: in {page}, not in --help" for o in sorted(set(OPTION.findall(section)) - told)]
    listed = re.findall(r"^  ([a-z]+)\b", help_text(program).split("Options:")[0], re.M) if verbs else []
    if verbs and set(listed) != set(verbs):
        errors.append(f"commands in --help: {listed}; the test knows {list(verbs)}")
    for verb in verbs:
        if not re.search(rf"^\.(TP\n\.)?B\w? \"?{verb}\b", man, re.M):
            errors.append(f"command {verb}: not in {page}")
        errors += [f"{verb} --help: {o} not in --help" for o in sorted(set(OPTION.findall(help_text(program, verb))) - told)]
    if errors:
        sys.exit("\n".join(errors))


main(*sys.argv[1:])
