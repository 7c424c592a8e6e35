"""Writes smooth_tails.csv and smooth_pairs.csv: moments of the smooth activations
where float64 quadrature is not enough (tails, tiny and huge standard deviations,
correlations at and near 1), by composite Gauss-Legendre quadrature in 60-digit
arithmetic. Needs mpmath; takes about ten minutes.

smooth_tails.csv  mean, variance and h_k = E[g(mu + sigma Z) He_k(Z)]/sqrt(k!)
smooth_pairs.csv  the two variances and Cov(f(X1), g(X2)) = E[ f(X1) E[g(X2) | X1] ];
                  only the inner expectation is a closed form
"""
import csv, sys
from mpmath import mp, mpf, exp, expm1, erfc, sqrt, sin, cos, pi, nstr

mp.dps = 60
NODES = 30
ORDERS = [1, 2, 3, 5, 10, 30, 100, 300]


def gauss_legendre(n):
    out = []
    for i in range(n):
        x = mp.cos(pi * (i + mpf(3) / 4) / (n + mpf(1) / 2))
        for _ in range(8):
            p0, p1 = mpf(1), x
            for k in range(2, n + 1):
                p0, p1 = p1, ((2 * k - 1) * x * p1 - (k - 1) * p0) / k
            dp = n * (x * p1 - p0) / (x * x - 1)
            x -= p1 / dp
        out.append((x, 2 / ((1 - x * x) * dp * dp)))
    return out


GL = gauss_legendre(NODES)


def cdf(x):
    return erfc(-x / sqrt(2)) / 2


def pdf(x):
    return exp(-x * x / 2) / sqrt(2 * pi)


# Each family gives (g - c, c) with c constant, chosen so that g - c keeps its
# digits in the tail mu lies in.
def centred(name, mu):
    if name == 'normal_cdf':
        return (cdf, 0) if mu < 0 else (lambda x: -cdf(-x), 1)
    if name == 'erf':
        r = sqrt(mpf(2))
        return (lambda x: 2 * cdf(r * x), -1) if mu < 0 else (lambda x: -2 * cdf(-r * x), 1)
    if name == 'gelu':
        return (lambda x: x * cdf(x)), 0
    if name == 'sin':
        return sin, 0
    if name == 'cos':
        return cos, 0
    if name == 'exp':
        return exp, 0
    if name == 'square':
        return (lambda x: x * x), 0
    if name == 'cube':
        return (lambda x: x**3), 0
    if name == 'polynomial_1_-2_0.5_3':
        return (lambda x: 1 - 2 * x + x * x / 2 + 3 * x**3), 0
    alpha, beta, gamma = elu_parameters(name)
    if mu < 0:
        return (lambda x: gamma * (x + alpha if x > 0 else alpha * exp(beta * x))), -gamma * alpha
    return (lambda x: gamma * (x if x > 0 else alpha * expm1(beta * x))), 0


def elu_parameters(name):
    if name == 'selu':
        return mpf(1.6732632423543772), mpf(1), mpf(1.0507009873554805)
    kind, alpha = name.split('_')
    alpha = mpf(float(alpha))
    return alpha, (1 / alpha if kind == 'celu' else mpf(1)), mpf(1)


def nodes(name, mu, sigma):
    """Nodes and weights (density included) in z, split and refined at x = 0."""
    mu, sigma = mpf(mu), mpf(sigma)
    kink = -mu / sigma
    grows = name == 'exp' or 'lu' in name
    reach = 15 + max(abs(kink) if abs(kink) < 45 else 0, 2 * sigma if grows else 0)
    if name.startswith('celu'):
        reach = 15 + max(abs(kink) if abs(kink) < 45 else 0, 2 * sigma * elu_parameters(name)[1])
    if 'elu' in name and name != 'gelu' and kink > 0:
        reach = min(reach, kink + 15)
    reach = min(reach, 15 + 45) if name != 'exp' else reach
    edges = {-reach, reach}
    if abs(kink) < reach:
        edges.add(kink)
        rate = 1 / max(sigma * (elu_parameters(name)[1] if name.startswith('celu') else 1), mpf(1), abs(kink))
        d = rate
        while d < 2 * reach:
            for e in (kink - d, kink + d):
                if abs(e) < reach:
                    edges.add(e)
            d *= mpf(3) / 2
    edges = sorted(edges)
    z, w = [], []
    for lo, hi in zip(edges[:-1], edges[1:]):
        m = max(1, int(mp.ceil(hi - lo)))
        h = (hi - lo) / m
        for i in range(m):
            for x, g in GL:
                t = lo + h * (i + (1 + x) / 2)
                z.append(t)
                w.append(h / 2 * g * pdf(t))
    return z, w


def marginal(name, mu, sigma, orders=()):
    g, c = centred(name, mu)
    z, w = nodes(name, mu, sigma)
    f = [g(mpf(mu) + mpf(sigma) * t) for t in z]
    m = sum(a * b for a, b in zip(w, f))
    v = sum(a * (b - m)**2 for a, b in zip(w, f))
    prev, cur = [mpf(0)] * len(z), [a * (b - m) for a, b in zip(w, f)]
    h = {}
    for k in range(1, max(orders, default=0) + 1):
        r, q = sqrt(mpf(k)), sqrt(mpf(k - 1))
        prev, cur = cur, [(t * y - q * x) / r for t, x, y in zip(z, prev, cur)]
        if k in orders:
            h[k] = sum(cur)
    return m + c, v, h


def conditional(name, m, s):
    """E g(N(m, s^2)) up to the constant of centred()."""
    if name == 'normal_cdf':
        return cdf(m / sqrt(1 + s * s))
    if name == 'erf':
        return 2 * cdf(sqrt(mpf(2)) * m / sqrt(1 + 2 * s * s))
    if name == 'gelu':
        d = sqrt(1 + s * s)
        return m * cdf(m / d) + s * s / d * pdf(m / d)
    if name == 'sin':
        return sin(m) * exp(-s * s / 2)
    if name == 'cos':
        return cos(m) * exp(-s * s / 2)
    if name == 'exp':
        return exp(m + s * s / 2)
    if name == 'square':
        return m * m + s * s
    if name == 'cube':
        return m**3 + 3 * m * s * s
    if name == 'polynomial_1_-2_0.5_3':
        return 1 - 2 * m + (m * m + s * s) / 2 + 3 * (m**3 + 3 * m * s * s)
    raise ValueError(name)


def covariance(f, g, mu1, s1, mu2, s2, rho):
    fun, _ = centred(f, mu1)
    z, w = nodes(f, mu1, s1)
    q = mpf(s2) * sqrt((1 - mpf(rho)) * (1 + mpf(rho)))
    y = [fun(mpf(mu1) + mpf(s1) * t) for t in z]
    mean = sum(a * b for a, b in zip(w, y))
    inner = [conditional(g, mpf(mu2) + mpf(rho) * mpf(s2) * t, q) for t in z]
    centre = sum(a * b for a, b in zip(w, inner))
    return sum(a * (b - mean) * (x - centre) for a, b, x in zip(w, y, inner))


COMMON = [(0.0, 1.0), (0.3, 1e-3), (-0.3, 1e-8), (1.7, 0.5), (-2.5, 0.8), (1.0, 5.0), (-3.0, 10.0), (2.0, 50.0)]
ELU = [(1e-9, 1e-8), (0.3, 1e-8), (-8.0, 1.0), (-40.0, 1.0), (-40.0, 0.01), (-300.0, 2.0), (-340.0, 0.5), (-5.0, 3.0), (-20.0, 5.0),
       (-9.0, 4.5), (-25.0, 5.0), (-24.0, 5.0), (2.0, 6.0), (40.0, 1.0), (0.0, 30.0), (-200.0, 8.0), (-400.0, 20.0), (-500.0, 20.0), (12.0, 3.0), (-0.1, 2.1)]
POLY = [(3.0, 1e-8), (1000.0, 2.0), (-5.0, 40.0)]
MARGINALS = {
    'normal_cdf': COMMON + [(-10.0, 1.0), (-40.0, 1.0), (-40.0, 2.0), (-20.0, 0.1), (-26.0, 0.01), (26.0, 0.01), (-100.0, 3.0), (-350.0, 10.0), (100.0, 3.0)],
    'erf': COMMON + [(-10.0, 1.0), (-30.0, 1.0), (-18.0, 0.01), (18.0, 0.01), (-100.0, 3.0), (-350.0, 10.0), (100.0, 3.0)],
    'gelu': COMMON + [(-10.0, 1.0), (-40.0, 1.0), (-40.0, 2.0), (-20.0, 0.1), (-26.0, 0.01), (-100.0, 3.0), (-350.0, 10.0), (200.0, 10.0), (-0.7517916, 0.01)],
    'elu_1': COMMON + ELU,
    'selu': COMMON + ELU[:8],
    'celu_2': COMMON + ELU[:8],
    'celu_0.1': COMMON[:7] + [(-1.0, 0.1), (-30.0, 1.0), (0.5, 0.3)],
    'elu_-0.5': COMMON + [(-8.0, 1.0), (-40.0, 1.0)],
    'sin': COMMON[:6] + [(100.0, 10.0), (1.5707963267948966, 1e-6), (1.0, 30.0)],
    'cos': COMMON[:6] + [(100.0, 10.0), (0.0, 1e-5), (1.0, 30.0)],
    'exp': COMMON[:7] + [(-300.0, 3.0), (1.0, 1e-8), (100.0, 5.0), (-200.0, 12.0)],
    'square': COMMON + POLY,
    'cube': COMMON + POLY,
    'polynomial_1_-2_0.5_3': COMMON + POLY,
}
NEAR = 1 - 1e-12
PAIRS = [(m1, s1, m2, s2, r) for (m1, s1, m2, s2) in
         [(0.0, 1.0, 0.0, 1.0), (0.4, 2.0, -0.7, 0.5), (-3.0, 1.5, -2.0, 1.0), (0.5, 20.0, 0.5, 20.0), (1.0, 1e-4, -0.2, 1e-6), (0.3, 8.0, -0.5, 9.0)]
         for r in (1.0, -1.0, NEAR, -NEAR, 0.999, -0.6, 1e-9)]
TAILS = [(-20.0, 1.0, -20.0, 1.0, 0.99), (-20.0, 1.0, -15.0, 1.0, 0.9), (-20.0, 1.0, -15.0, 1.0, -0.9), (-20.0, 1.0, -20.0, 1.0, 1.0),
         (-30.0, 3.0, -25.0, 2.0, NEAR), (-30.0, 3.0, -60.0, 2.0, 0.5), (-12.0, 0.3, 5.0, 2.0, 0.7), (12.0, 0.3, -12.0, 0.3, -0.95), (-150.0, 6.0, -150.0, 6.0, NEAR)]
SMALL = [p for p in PAIRS if p[1] < 10]
COUPLES = [('normal_cdf', 'normal_cdf', PAIRS + TAILS), ('erf', 'erf', PAIRS[:28] + TAILS[:5]), ('erf', 'normal_cdf', PAIRS[:14] + TAILS[:5]),
           ('gelu', 'gelu', PAIRS + TAILS), ('sin', 'sin', PAIRS), ('cos', 'cos', PAIRS), ('sin', 'cos', PAIRS[:35]), ('cos', 'sin', PAIRS[:14]),
           ('exp', 'exp', SMALL[:28] + [(-100.0, 3.0, 20.0, 2.0, 0.3)]), ('square', 'cube', PAIRS[:28]), ('cube', 'cube', PAIRS[:14]),
           ('polynomial_1_-2_0.5_3', 'polynomial_1_-2_0.5_3', PAIRS[:21])]


def number(x):
    return nstr(x, 20, min_fixed=-1, max_fixed=1)


def main():
    with open('smooth_tails.csv', 'w', newline='') as out:
        w = csv.writer(out, lineterminator='\n')
        w.writerow(['f', 'mu', 'sigma', 'mean', 'variance'] + ['h%d' % k for k in ORDERS])
        for name, points in MARGINALS.items():
            for mu, sigma in points:
                m, v, h = marginal(name, mu, sigma, ORDERS)
                w.writerow([name, repr(mu), repr(sigma), number(m), number(v)] + [number(h[k]) for k in ORDERS])
            out.flush()
            print(name, file=sys.stderr)
    memo = {}

    def variance(*key):
        if key not in memo:
            memo[key] = marginal(*key)[1]
        return memo[key]

    with open('smooth_pairs.csv', 'w', newline='') as out:
        w = csv.writer(out, lineterminator='\n')
        w.writerow('f,g,mu1,sigma1,mu2,sigma2,rho,var_f,var_g,cov'.split(','))
        for f, g, points in COUPLES:
            for p in points:
                v1, v2 = variance(f, p[0], p[1]), variance(g, p[2], p[3])
                w.writerow([f, g] + [repr(x) for x in p] + [number(v1), number(v2), number(covariance(f, g, *p))])
            out.flush()
            print(f, g, file=sys.stderr)


if __name__ == '__main__':
    main()
