"""Writes quantiles.csv: u, an odd multiple of 2^-53, and Phi^-1(u), by mpmath
1.3 to 40 digits; sobol.csv: Sobol points without scrambling, by scipy 1.17.1;
philox.csv: words of Philox4x64-10, by numpy 2.4.

Usage: generate.py    (in this directory)
"""

import numpy as np
from mpmath import mp, mpf, erfinv, sqrt
from scipy.stats import qmc

mp.dps = 40
rng = np.random.default_rng(1)
ks = {0, 1, 2, 1000, 2**51 - 1, 2**51 - 2, 2**51 - 2**20}
for e in range(0, 52):
    ks.update(int(k) for k in rng.integers(2**e, 2 ** (e + 1), 4) if k < 2**51)
ks.update(int(k) for k in rng.integers(0, 2**51, 200))
# Around the seams |q| = 0.425 and p = exp(-25).
for seam in (mpf("0.075"), mp.exp(-25)):
    ks.update(int(seam * 2**52) + d for d in (-2, -1, 0, 1, 2))
with open("quantiles.csv", "w") as f:
    for k in sorted(ks):
        u = (mpf(k) + mpf(1) / 2) / 2**52
        z = sqrt(2) * erfinv(2 * u - 1) if k > 2**40 else mp.findroot(
            lambda x: mp.log(mp.erfc(-x / sqrt(2)) / 2) - mp.log(u), -sqrt(-2 * mp.log(u)))
        f.write(f"{k},{mp.nstr(z, 20)}\n")

# Dimensions at the ends of the table and of the degrees of polynomials, and
# points from the start and from far on..
dims = [0, 1, 2, 3, 4, 7, 13, 36, 99, 1110, 4094, 4095]
with open("sobol.csv", "w") as f:
    f.write("point," + ",".join(map(str, dims)) + "\n")
    s = qmc.Sobol(4096, scramble=False, bits=30)
    points = {i: p for i, p in enumerate(s.random(64))}
    s.fast_forward(1000003 - 64)
    points |= {1000003 + i: p for i, p in enumerate(s.random(3))}
    for i, p in points.items():
        f.write(f"{i}," + ",".join(repr(float(p[d])) for d in dims) + "\n")

with open("philox.csv", "w") as f:
    for key in ([0, 0], [1, 0], [1, 1], [2**64 - 1, 12345]):
        for counter in ([0, 0, 0, 0], [7, 3, 1, 0], [2**63, 2**64 - 2, 5, 6]):
            # numpy increments the counter before it uses it.
            c = sum(x << (64 * i) for i, x in enumerate(counter)) - 1
            c %= 2**256
            before = [c >> (64 * i) & (2**64 - 1) for i in range(4)]
            g = np.random.Philox(key=np.array(key, dtype=np.uint64), counter=np.array(before, dtype=np.uint64))
            f.write(",".join(str(int(x)) for x in key + counter + list(g.random_raw(4))) + "\n")
