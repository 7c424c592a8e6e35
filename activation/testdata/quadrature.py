"""Writes quadrature.csv: shift E g(X) - g(mu), variance and Hermite coefficients
h_1, h_2, h_7, h_30 of activations without closed forms for X ~ N(mu, sigma^2),
at awkward places: saturation, far tails, tiny and large sigma, minima.
Composite Gauss-Legendre in 200-digit arithmetic (mpmath), panels graded towards
the break at x = 0. Takes some minutes."""
import sys
from mpmath import mp, mpf, exp, log1p, atan, sqrt, pi, tanh, factorial
mp.dps = 200

def sig(x): return 1 / (1 + exp(-x))
def softplus(x): return log1p(exp(x)) if x < 0 else x + log1p(exp(-x))
def mish(x):
    e = exp(x); n = e * (e + 2)
    return x * n / (n + 2)
ACT = {
    'sigmoid': sig,
    'tanh': lambda x: 2 * sig(2 * x) - 1,
    'softplus': softplus,
    'silu': lambda x: x * sig(x),
    'quick_gelu_1.702': lambda x: x * sig(mpf(1.702) * x),
    'mish': mish,
    'gelu_tanh': lambda x: x * sig(2 * sqrt(2 / pi) * (x + mpf(0.044715) * x**3)),
    'softsign': lambda x: x / (1 + abs(x)),
    'arctan': atan,
}
POINTS = [(-30, 1), (20, 1), (-40, 1), (-300, 10), (300, 10), (0.3, 1e-3), (1, 1e-9), (-2, 1e-14),
          (-1.2784645427610738, 1e-6), (0, 1e-7), (7, 50), (-1500, 50), (0.1, 2000), (-0.2, 6)]
KS = (1, 2, 7, 30)

def legendre(n):
    """Nodes and weights on [-1, 1] by Newton's method."""
    out = []
    for i in range(n):
        x = mp.cos(pi * (i + mpf(3) / 4) / (n + mpf(1) / 2))
        for _ in range(8):
            p0, p1 = mpf(1), x
            for k in range(2, n + 1): p0, p1 = p1, ((2*k-1) * x * p1 - (k-1) * p0) / k
            d = n * (x * p1 - p0) / (x * x - 1)
            x -= p1 / d
        p0, p1 = mpf(1), x
        for k in range(2, n + 1): p0, p1 = p1, ((2*k-1) * x * p1 - (k-1) * p0) / k
        d = n * (x * p1 - p0) / (x * x - 1)
        out.append((x, 2 / ((1 - x * x) * d * d)))
    return out
GL = legendre(30)

def edges(mu, s):
    z0 = -mu / s
    e = {mpf(k) for k in range(-40, 41)}
    if abs(z0) < 40:
        e.add(z0)
        w = mpf(1)
        while w > 1 / (4 * s) and w > mpf(10)**-8:
            e.update((z0 - w, z0 + w)); w /= 2
        for k in range(1, 4): e.update((z0 - w * k / 2, z0 + w * k / 2))
    return sorted(x for x in e if abs(x) <= 40)

def main(path):
    with open(path, 'w') as f:
        f.write('name,mu,sigma,shift,variance,' + ','.join('h%d' % k for k in KS) + '\n')
        for name, g in ACT.items():
            for mu, s in POINTS:
                m, t = mpf(mu), mpf(s)
                g0 = g(m)
                z, w, d = [], [], []
                E = edges(m, t)
                for a, b in zip(E, E[1:]):
                    for x, y in GL:
                        q = (b - a) / 2 * x + (a + b) / 2
                        z.append(q); w.append((b - a) / 2 * y * exp(-q * q / 2) / sqrt(2 * pi)); d.append(g(m + t * q) - g0)
                shift = mp.fsum(a * b for a, b in zip(w, d))
                var = mp.fsum(a * (b - shift)**2 for a, b in zip(w, d))
                p0, p1 = [mpf(1)] * len(z), z[:]
                h = {1: p1}
                for k in range(2, max(KS) + 1):
                    p0, p1 = p1, [a * b - (k - 1) * c for a, b, c in zip(z, p1, p0)]
                    if k in KS: h[k] = p1
                hs = [mp.fsum(a * (b - shift) * c for a, b, c in zip(w, d, h[k])) / sqrt(factorial(k)) for k in KS]
                f.write(','.join([name, repr(float(mu)), repr(float(s))] + [mp.nstr(v, 17, min_fixed=0, max_fixed=0) for v in [shift, var] + hs]) + '\n')
                f.flush()
if __name__ == '__main__':
    main('quadrature.csv')
