#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a manual page with the parameters of tbl/param.h in place of @PARAMETERS@."""
import re
import sys

STRINGS = r'("[^"]*"(?:\s*"[^"]*")*)'
ROW = re.compile(r'^PARAM\(\s*(\w+),\s*(\d+),\s*(\d+),\s*(\d+),\s*' + STRINGS + r',\s*([01]),\s*' + STRINGS + r'\)$', re.M)


def table_row(match):
    name, _, _, default, unit, live, text = match.groups()
    # Adjacent strings are one.
    unit, text = (''.join(re.findall(r'"([^"]*)"', s)) for s in (unit, text))
    meaning = text.replace("\\", "\\e").replace("-", "\\-")
    return f"{name};{default};{'yes' if live == '1' else 'no'};T{{\n{meaning} ({unit})\nT}}"


def main(table, page, output):
    with open(table, encoding="ascii") as source:
        text = source.read()
    rows = [table_row(match) for match in ROW.finditer(text)]
    if len(rows) != len(re.findall(r"^PARAM\(", text, re.M)):
        sys.exit(f"{table}: {len(rows)} rows understood, there are more")
    with open(page, encoding="ascii") as source:
        text = source.read().replace("@PARAMETERS@", "\n".join(rows))
    with open(output, "w", encoding="ascii") as target:
        target.write(text)


main(*sys.argv[1:])
