#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_protocol.py TABLE DOCUMENT: each message has its row in the document, with the same number and access."""
import re
import sys

ROW = re.compile(r"^MSG\((\d+), (\w+), \w+, (\d), (\w+),", re.M)


def main(table, document):
    with open(table, encoding="ascii") as source:
        rows = ROW.findall(source.read())
    with open(document, encoding="utf-8") as source:
        text = source.read()
    missing = [row for row in rows if not re.search(r"^\| %s \| %s \| %s \|" % (row[0], row[1], row[3]), text, re.M)]
    if missing or not rows:
        sys.exit(f"{document} lacks, or has otherwise: {missing}")


main(*sys.argv[1:])
