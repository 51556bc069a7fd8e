# SPDX-License-Identifier: MIT
"""held.py ROOT: a function that is called with a lock held says so by assertion before it does anything.

It is such a function if its name ends in _locked, or if the contract (what follows => in the comment above its definition
or prototype) says "X held", where X is one or two locks: "O held", "PAGEQ and O held", "duty_lock held".
Its body must then begin, after the declarations, with lock_assert_held (or pageq_assert_held, ...) for each lock that the
contract names; other assertions may stand between. A function whose contract says "no lock held" begins with
locks_assert_none in the same way. A contract with a choice ("O held, or a hole around it", "a hint unless O is held") names no lock.

EXCEPTIONS lists today's functions without the assertion. The list only shrinks: a function that has it, or is gone, must
leave the list."""
import collections
import pathlib
import re
import sys

import tree

FOLDERS = ['base', 'bench', 'compressor', 'daemon', 'policy', 'swap', 'tools']
# The lock itself.
LEFT_OUT = {'base/lock.h', 'base/lock.c'}
# They are handed a part that knows neither the daemon nor its lock; vm_page_commit and frame.c, which call them, assert it.
OUT_OF_REACH = {'ledger_post', 'ledger_interval_begin', 'bill_post', 'stats_queues_begin'}
EXCEPTIONS = '''
    side_take
'''

# A definition or a prototype that begins at the left, with the comment that ends on the line above it.
HEAD = re.compile(r'(?:(/\*(?:(?!\*/).)*\*/)\n)?^((?:[A-Za-z_][\w \t*]*[ \t*\n])?([a-z_]\w*)\((?:[^(){};]|\([^(){};]*\))*\)'
                  r'[A-Z_ \t0-9(),]*)(;|\n\{\n)', re.M | re.S)
LOCK = r'(?:[A-Z]+|[a-z]+_lock|[Ll]ock|[a-z]+ lock)'
CONTRACT = re.compile(r'\b(?P<first>%s)(?: and (?P<second>%s))? held\b(?P<rest>[^.;]*)' % (LOCK, LOCK))
CHOICE = re.compile(r'\bor\b')
DECLARATION = re.compile(r'^(?!return\b|goto\b|else\b)(?:const |static |_Alignas\(\w+\) |_Atomic |unsigned |struct |enum |long )*'
                         r'(?:[A-Za-z_]\w*|\{\})[\s*]+\w+\s*(?:\[|=|,|$)')
ASSERTION = re.compile(r'^(?:CHECK|CHECKF|CHECK_OBJ|INVARIANT|INVARIANT_SLOW|\w+_assert\w*)\(')


def contract_locks(comment):
    """How many locks the contract of a comment names as held; -1 if it says that none is; 0 if it says nothing."""
    text = ' '.join(re.sub(r'^\s*/?\*+/?|\*/$', '', line) for line in (comment or '').split('\n'))
    _, arrow, contract = ' '.join(text.split()).partition('=>')
    found = CONTRACT.search(contract) if arrow else None
    if not found:
        return 0
    if re.search(r'\bno lock held', contract, re.I):
        return -1
    if CHOICE.search(found['rest']) or contract[:found.start()].rstrip().endswith((' or', ',or')):
        return 0
    return 2 if found['second'] else 1


def statements(body):
    """The statements of a body, without comments and without what stands in braces."""
    text, depth = '', 0
    for c in tree.without_comments(body):
        depth -= c == '}'
        if depth == 0:
            text += c
        depth += c == '{'
    return [' '.join(s.split()) for s in text.split(';')]


def asserted(body):
    """How many locks a body asserts before it does anything; -1 where it asserts that none is held."""
    count = 0
    for statement in statements(body):
        if re.match(r'\w+_assert_held\(', statement):
            count += 1
        elif statement.startswith('locks_assert_none('):
            return -1
        elif not DECLARATION.match(statement) and not ASSERTION.match(statement):
            break
    return count


def functions_of(root):
    """{(folder or path, name): (wanted, asserted, path)}: one of several files may have a static of the same name."""
    contracts, bodies = collections.defaultdict(int), {}
    for path in tree.sources(root, '.c', '.h'):
        if tree.folder_of(path).split('/')[0] not in FOLDERS or path in LEFT_OUT:
            continue
        text = (root / path).read_text()
        for m in HEAD.finditer(text):
            comment, head, name, end = m.groups()
            stem = str(pathlib.PurePosixPath(path).with_suffix(''))
            key = (stem if re.search(r'\bstatic\b', head) and path.endswith('.c') else '', name)
            wanted = contract_locks(comment) or (1 if name.endswith('_locked') else 0)
            contracts[key] = contracts[key] or wanted
            if end != ';':
                bodies[key] = path, text[m.end():text.index('\n}', m.end() - 1)]
    return {key: (contracts[key], asserted(body), path) for key, (path, body) in bodies.items()}


def main(root):
    root = pathlib.Path(root)
    wrong, count = {}, 0
    for (_, name), (wanted, has, path) in functions_of(root).items():
        if name in OUT_OF_REACH:
            continue
        count += wanted != 0
        if wanted < 0 and has >= 0:
            wrong[name] = f'{path}: is called with no lock held, and does not begin with locks_assert_none'
        elif wanted > max(has, 0):
            wrong[name] = f'{path}: is called with {wanted} locks held, and asserts {max(has, 0)}'
    listed = {line.strip() for line in EXCEPTIONS.strip().split('\n') if line.strip()}
    errors = [f'{row} of {wrong[row]}' for row in sorted(wrong.keys() - listed)]
    errors += [f'{row} is listed, but asserts or is gone: take it out of the list' for row in sorted(listed - wrong.keys())]
    for error in errors:
        print(error)
    print(f'{count} functions whose contract names a lock, {len(wrong)} do not assert it, {len(listed)} exceptions')
    raise SystemExit(1 if errors else 0)


main(*sys.argv[1:])
