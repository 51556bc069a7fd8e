# SPDX-License-Identifier: MIT
"""doc_names.py ROOT: names in backticks in the documents exist: files and folders of the tree, and words with an
underscore somewhere in its sources."""
import pathlib
import re
import sys

import tree

DOCUMENTS = ['README.md', 'doc/HACKING.md', 'doc/design.md', 'doc/locking.md', 'doc/performance.md', 'doc/dependencies.md',
             'doc/policies.md']
# Placeholders of recipes and names of other programs.
KNOWN = {'handle_x', 'pager_req_x', 'pager_rep_x', 'STAT_X', 'FAIL_NAME', 'noun_verb', 'build_tests', 'apt_get', 'is_job'}


def main(root):
    root = pathlib.Path(root)
    sources = {p: (root / p).read_text() for p in tree.sources(root, '.c', '.h', '.py', '.sh', '.build', '.tbl')}
    words = set(re.findall(r'\w+', '\n'.join(sources.values())))
    words |= set(re.findall(r'\w+', (root / 'meson_options.txt').read_text()))
    names = {pathlib.PurePosixPath(p).name for p in sources}
    errors = []
    for document in DOCUMENTS:
        text = (root / document).read_text()
        spans = re.findall(r'`([^`\n]+)`', text)
        for span in spans:
            for word in re.findall(r'\b[A-Za-z]\w*_\w*[A-Za-z0-9]\b', span):
                if '/' not in span and word not in words and word not in KNOWN:
                    errors.append(f'{document}: there is no {word}')
        for path in re.findall(r'(?<![\w/.$-])((?:[a-z]\w*/)+[\w.]*\w)', '\n'.join(spans + re.findall(r'\S+/\S+\.[ch]\b', text))):
            places = [path, 'include/' + path, 'daemon/' + path]
            if '.' in path and path != 'bench/results.md' and not any((root / p).exists() for p in places) and not path.startswith(('sys/', 'linux/')):
                errors.append(f'{document}: there is no {path}')
        for name in re.findall(r'\b(\w+\.[ch])\b', text):
            if name not in names and name not in ('program.c', 'a.out') and not re.search(r'[<`/]%s' % name, text):
                errors.append(f'{document}: there is no {name}')
    default = re.search(r'#define POLICY_DEFAULT[\s\\]+"(.*)"', sources['daemon/vm/page_policy.h']).group(1)
    for document in ['doc/man/pagerd.8.in', 'doc/man/pagerctl.1', 'doc/policies.md']:
        if default not in (root / document).read_text():
            errors.append(f'{document}: the default policy {default} is not there')
    tree.end(sorted(set(errors)))


main(*sys.argv[1:])
