# SPDX-License-Identifier: MIT
"""doc_names.py ROOT: what documents and comments name exists. Documents: names in backticks are files and folders of the
tree, and words with an underscore somewhere in its sources. Comments of sources: every word with an underscore is a word
of the code (calls into the system are written with their section, as in statx(2)), every file is in the tree, seen
from the root, from the comment's folder, or from a folder that its includes may name."""
import pathlib
import re
import sys

import tree

DOCUMENTS = ['README.md', 'doc/HACKING.md', 'doc/design.md', 'doc/locking.md', 'doc/performance.md', 'doc/dependencies.md',
             'doc/policies.md', 'doc/protocol.md', 'bench/README.md']
# Placeholders of recipes and names of other programs.
KNOWN = {'handle_x', 'pager_req_x', 'pager_rep_x', 'STAT_X', 'FAIL_NAME', 'noun_verb', 'build_tests', 'apt_get', 'mem_used_max'}
# Names of the kernel and of libraries that comments explain and no code uses.
FOREIGN = {'EVENT_REMAP', 'LZ4_compress_fast_extState_fastReset', 'MADV_REMOVE', 'PF_IO_WORKER', 'SINGLE_ISSUER', 'mm_tlb_flush_nested'}
WORD = re.compile(r'(?<![\w/.$*-])[A-Za-z]\w*_\w*[A-Za-z0-9]\b(?!\*|\(\d)')
FILE = re.compile(r'(?<![\w/.<-])(?:[\w.-]+/)*[\w-]+\.(?:[ch]|md|py|sh)\b')


def comments_and_code(path, text):
    """The comments of a file, and the file without them."""
    if path.endswith(('.c', '.h')):
        return re.findall(r'/\*.*?\*/', text, re.S), tree.without_comments(text)
    return re.findall(r'(?:^|(?<=\s))#[^\n]*|"""[^"]*"""', text, re.M), text


def comment_errors(path, comments, words, foreign, exists):
    folders = ['', path.rpartition('/')[0] + '/'] + [f + '/' for f in tree.INCLUDE_PATHS.get(tree.folder_of(path), [])]
    for comment in comments:
        for word in WORD.findall(comment):
            if word not in words and word not in FOREIGN:
                yield f'{path}: there is no {word}'
        for name in FILE.findall(comment):
            if name not in foreign and not exists(name, folders):
                yield f'{path}: there is no {name}'


def document_errors(root, document, words, names):
    text = (root / document).read_text()
    spans = re.findall(r'`([^`\n]+)`', text)
    for span in spans:
        for word in re.findall(r'\b[A-Za-z]\w*_\w*[A-Za-z0-9]\b', span):
            if '/' not in span and word not in words and word not in KNOWN:
                yield f'{document}: there is no {word}'
    for path in re.findall(r'(?<![\w/.$-])((?:[a-z]\w*/)+[\w.]*\w)', '\n'.join(spans + re.findall(r'\S+/\S+\.[ch]\b', text))):
        places = [path, 'include/' + path, 'daemon/' + path, document.rpartition('/')[0] + '/' + path]
        if '.' in path and path != 'bench/results.md' and not any((root / p).exists() for p in places) and not path.startswith(('sys/', 'linux/')):
            yield f'{document}: there is no {path}'
    for name in re.findall(r'\b(\w+\.[ch])\b', text):
        if name not in names and name not in ('program.c', 'a.out') and not re.search(r'[<`/]%s' % name, text):
            yield f'{document}: there is no {name}'


def main(root):
    root = pathlib.Path(root)
    sources = {p: (root / p).read_text() for p in tree.sources(root, '.c', '.h', '.py', '.sh', '.build', '.tbl')}
    parts = {p: comments_and_code(p, text) for p, text in sources.items()}
    code = '\n'.join(code for _, code in parts.values())
    options = re.findall(r'\w+', (root / 'meson_options.txt').read_text())
    words = {*re.findall(r'\w+', code), *options, *('D' + option for option in options)}
    foreign = {name.rpartition('/')[2] for name in re.findall(r'#\s*include <([^>]+)>', code)}
    names = {pathlib.PurePosixPath(p).name for p in sources}

    def exists(name, folders):
        # A bare name may be any file's; one with a folder must be where it says.
        if '/' not in name and name in names:
            return True
        return any((root / (folder + name)).is_file() for folder in folders + ['daemon/', 'doc/'])

    errors = [e for document in DOCUMENTS for e in document_errors(root, document, words, names)]
    errors += [e for p, (comments, _) in parts.items() for e in comment_errors(p, comments, words, foreign, exists)]
    default = re.search(r'#define POLICY_DEFAULT[\s\\]+"(.*)"', sources['policy/policy.h']).group(1)
    for document in ['doc/man/pagerd.8.in', 'doc/man/pagerctl.1', 'doc/policies.md']:
        if default not in (root / document).read_text():
            errors.append(f'{document}: the default policy {default} is not there')
    if sources['policy/example/sweep.c'] not in (root / 'doc/policies.md').read_text():
        errors.append('doc/policies.md: the whole of policy/example/sweep.c is not there')
    tree.end(sorted(set(errors)))


main(*sys.argv[1:])
