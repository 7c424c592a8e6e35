"""Writes directions.bin: the direction numbers of the first 4096 dimensions of
new-joe-kuo-6.21201, which scipy redistributes whole.

Usage: generate.py    (needs numpy and scipy; made with scipy 1.17.1)

The file is a sequence of little-endian uint16 without separators. Dimension 1
(van der Corput's) is left out. Every other dimension, in order, is

    p, m_1, ..., m_s

where p holds the coefficients of the primitive polynomial of degree s without
the constant one, which is 1: the binary digits of p are c_0 c_1 ... c_{s-1}
with c_0 = 1, so that s is the length of p in binary.
"""

import os

import numpy as np
import scipy

DIMENSIONS = 4096

table = np.load(os.path.join(os.path.dirname(scipy.__file__), "stats", "_sobol_direction_numbers.npz"))
words = []
for poly, m in zip(table["poly"][1:DIMENSIONS], table["vinit"][1:DIMENSIONS]):
    degree = int(poly).bit_length() - 1
    assert poly & 1 == 1 and all(x % 2 == 1 and x < 2 ** (i + 1) for i, x in enumerate(m[:degree]))
    words.append(int(poly) >> 1)
    words.extend(int(x) for x in m[:degree])
np.array(words, dtype="<u2").tofile("directions.bin")
