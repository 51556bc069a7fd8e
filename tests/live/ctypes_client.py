#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ctypes_client.py LIBPAGER SOCKET BYTES NOTES: a client that has never been compiled. It writes and checks pages at random
through libpager's shared library. NOTES is a file of 16 bytes: the rounds so far, and a word that is not 0 when it is to
end. Exit status 0: no page was ever wrong."""
import ctypes
import mmap
import random
import struct
import sys

PAGE = 4096


def main(library, socket, size, notes):
    pager = ctypes.c_void_p()
    base = ctypes.c_void_p()
    lib = ctypes.CDLL(library)
    lib.pager_allocate.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint, ctypes.POINTER(ctypes.c_void_p)]
    lib.pager_disconnect.argtypes = [ctypes.c_void_p]
    lib.pager_disconnect.restype = None
    error = lib.pager_connect(socket.encode(), None, ctypes.byref(pager))
    if not error:
        error = lib.pager_allocate(pager, size, 0, ctypes.byref(base))
    if error:
        sys.exit(f'libpager says {error}')
    memory = memoryview((ctypes.c_ubyte * size).from_address(base.value)).cast('B')
    generations = [0] * (size // PAGE)
    rng = random.Random(1)
    with open(notes, 'r+b') as f, mmap.mmap(f.fileno(), 16) as words:
        while struct.unpack_from('<Q', words, 8)[0] == 0:
            page = rng.randrange(len(generations))
            generation = generations[page]
            expected = struct.pack('<QQ', page, generation) * (PAGE // 16) if generation else bytes(PAGE)
            here = slice(page * PAGE, (page + 1) * PAGE)
            if memory[here] != expected:
                sys.exit(f'page {page} is not what generation {generation} has')
            generations[page] = generation + 1
            memory[here] = struct.pack('<QQ', page, generation + 1) * (PAGE // 16)
            struct.pack_into('<Q', words, 0, struct.unpack_from('<Q', words, 0)[0] + 1)
    for page, generation in enumerate(generations):
        expected = struct.pack('<QQ', page, generation) * (PAGE // 16) if generation else bytes(PAGE)
        if memory[page * PAGE:(page + 1) * PAGE] != expected:
            sys.exit(f'page {page} is not what generation {generation} has, at the end')
    memory.release()
    lib.pager_disconnect(pager)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
