"""Writes bend_pairs.csv: covariances of pairs of bends near |rho| = 1, by mpmath.

For X1 = mu1 + Z1, X2 = mu2 + Z2 of correlation rho the columns are mu1, mu2,
1 - |rho| and the sign of rho (rho is the float64 nearest to it), the standard
deviations of X+ and (-X)+ for both, and the correlations of

    X1+ and X2+, X1+ and (-X2)+, (-X1)+ and X2+, (-X1)+ and (-X2)+,

from which come those of any two functions that are linear on either side of 0.
With a = -mu1, b = -mu2, q = sqrt(1 - rho^2), H(x) = phi(x) - x Phi(-x),

    E (Z1 - a)+ (Z2 - b)+ = int_a^oo (z - a) phi(z) q H((b - rho z)/q) dz.

Takes some minutes.
"""

import csv
import hashlib
import random

from mpmath import erfc, exp, mp, mpf, pi, quad, sqrt

mp.dps = 40


def phi(x):
    return exp(-x * x / 2) / sqrt(2 * pi)


def upper(x):
    return erfc(x / sqrt(mpf(2))) / 2


def first(a):  # E (Z - a)+
    return phi(a) - a * upper(a)


def second(a):  # E (Z - a)+^2
    return (1 + a * a) * upper(a) - a * phi(a)


def product(a, b, rho):
    """E (Z1 - a)+ (Z2 - b)+."""
    if abs(rho) == 1:
        if rho > 0:
            m = max(a, b)
            return second(m) + abs(a - b) * first(m)
        return mpf(0) if -b <= a else second_between(a, -b)
    q = sqrt(1 - rho * rho)
    unit = 1 / max(mpf(1), abs(a))
    end = max(a, 0) + 14
    breaks = {a, end}
    breaks |= {a + k * unit for k in (0.25, 1, 2, 4, 8, 16, 32, 64)}
    breaks |= {(b + k * q) / rho for k in (-16, -11, -8, -5, -3, -1, 0, 1, 3, 5, 8, 11, 16)}
    breaks = sorted(z for z in breaks if a <= z <= end)
    scale = sqrt(second(a) * second(b))  # quad stops at an absolute error
    f = lambda z: (z - a) * phi(z) * q * first((b - rho * z) / q) / scale
    value, error = quad(f, breaks, error=True, maxdegree=7)
    assert error < mpf(10) ** -20, (a, b, rho, error)
    return value * scale


def second_between(a, c):
    """E (Z - a)+ (c - Z)+, a < c."""
    return quad(lambda z: (z - a) * (c - z) * phi(z), [a, (a + c) / 2, c])


def covariance(a, b, rho):
    return product(a, b, rho) - first(a) * first(b)


def variance(a):
    return second(a) - first(a) ** 2


def cases():
    rng = random.Random(4)
    rests = [0.3, 0.1, 0.03, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-14, 1e-15, 0.0]
    for a in [0.0, 0.2, 1.0, 2.5, 5.0, 9.0, 16.0, 25.0, 33.0, 37.0, 38.0]:
        others = [a, a + 1e-9, a + 1e-4, a + 0.02, a + 0.3, 0.9 * a, a / 2, -a, rng.uniform(-3, 3)]
        for b in others:
            for rest in rng.sample(rests, 3):
                yield rng.choice([-1, 1]) * a, rng.choice([-1, 1]) * b, rest, rng.choice([-1, 1])


with open("bend_pairs.csv", "w", newline="") as file:
    out = csv.writer(file, lineterminator="\n")
    out.writerow("mu1,mu2,rest,sign,s1p,s1m,s2p,s2m,pp,pm,mp,mm".split(","))
    for mu1, mu2, rest, sign in cases():
        rho = mpf(sign * (1.0 - rest))
        a, b = mpf(-mu1), mpf(-mu2)
        deviations = [[sqrt(variance(s * x)) for s in (1, -1)] for x in (a, b)]
        values = deviations[0] + deviations[1]
        for s, d1 in zip((1, -1), deviations[0]):
            for t, d2 in zip((1, -1), deviations[1]):
                values.append(covariance(s * a, t * b, s * t * rho) / (d1 * d2))
        out.writerow([repr(mu1), repr(mu2), repr(rest), sign] + [mp.nstr(v, 20) for v in values])
        file.flush()
digest = hashlib.sha256(open("bend_pairs.csv", "rb").read()).hexdigest()
print(digest + "  bend_pairs.csv")
