# SPDX-License-Identifier: MIT
"""layers.py ROOT: every #include follows the arrows between folders, foreign headers stay behind their doors, and a
folder's private headers stay in it."""
import pathlib
import re
import sys

import tree

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)
# Words that would show that a folder knows what it must not; looked for in names, not in comments.
STRANGERS = {
    'compressor': r'client|session|uffd|userfault|swap_slot|vm_object',
    'swap': r'client|session|uffd|userfault|cseg|cref|vm_page|vm_object',
    'policy': r'session|uffd|userfault|vm_page|vm_object|pthread|cref',
}


def resolve(root, path, name):
    """The file that `name` means in `path`, relative to root, or None for a foreign header."""
    places = [str(pathlib.Path(path).parent)] + tree.INCLUDE_PATHS[tree.folder_of(path)]
    places += [p for paths in tree.INCLUDE_PATHS.values() for p in paths]
    for place in places:
        if (root / place / name).is_file():
            return str(pathlib.PurePosixPath(place) / name)
    return None


def allowed(path, target):
    own, other = tree.folder_of(path), tree.folder_of(target)
    return own == other or any(target == arrow or target.startswith(arrow + '/') and not other.startswith(arrow + '/')
                               for arrow in tree.ARROWS[own])


def check_file(root, path):
    text = (root / path).read_text()
    for _, name in INCLUDE.findall(text):
        doors = tree.DOORS.get(name)
        if doors and not any(path == d or d.endswith('/') and path.startswith(d) for d in doors):
            yield f'{path}: includes {name}, which only {", ".join(doors)} may'
        target = resolve(root, path, name)
        if target is None:
            continue
        if not allowed(path, target):
            yield f'{path}: includes {target}, against the arrows of {tree.folder_of(path)}'
        elif name.endswith('_priv.h') and tree.folder_of(path) not in (tree.folder_of(target), 'tests'):
            yield f'{path}: includes {target}, which is private to its folder'
    stranger = STRANGERS.get(tree.folder_of(path))
    if stranger:
        code = re.sub(r'"[^"\n]*"', '""', tree.without_comments(text))
        for number, line in enumerate(code.split('\n'), 1):
            word = re.search(r'\b\w*(%s)\w*\b' % stranger, line)
            if word:
                yield f'{path}:{number}: "{word.group(0)}" is a stranger here'


def main(root):
    root = pathlib.Path(root)
    errors = [e for path in tree.sources(root, '.c', '.h') for e in check_file(root, path)]
    tree.end(errors)


main(*sys.argv[1:])
