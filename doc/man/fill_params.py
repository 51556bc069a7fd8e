#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a manual page with the parameters of tbl/param.h in place of @PARAMETERS@."""
import re
import sys

ROW = re.compile(r'^PARAM\((\w+), (\d+), (\d+), (\d+), "([^"]*)", ([01]), "([^"]*)"\)$')


def table_row(match):
    name, _, _, default, unit, live, text = match.groups()
    meaning = text.replace("\\", "\\e").replace("-", "\\-")
    return f"{name};{default};{'yes' if live == '1' else 'no'};T{{\n{meaning} ({unit})\nT}}"


def main(table, page, output):
    rows = []
    with open(table, encoding="ascii") as lines:
        for line in lines:
            if not line.startswith("PARAM("):
                continue
            match = ROW.match(line.rstrip())
            if not match:
                sys.exit(f"{table}: not understood: {line}")
            rows.append(table_row(match))
    with open(page, encoding="ascii") as source:
        text = source.read().replace("@PARAMETERS@", "\n".join(rows))
    with open(output, "w", encoding="ascii") as target:
        target.write(text)


main(*sys.argv[1:])
