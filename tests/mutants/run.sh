#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sh tests/mutants/run.sh [MUTANT]...: takes one guard out of a copy of the tree at a time (mutants.py) and says how the
# tests catch it: by an assertion, by something else, or not at all. Exit status 0: all by an assertion.
exec python3 "$(dirname "$0")/mutants.py" "$@"
