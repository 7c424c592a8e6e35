"""Writes piecewise_moments.csv and piecewise_pairs.csv: moments of piecewise
polynomial activations by mpmath, 25 digits.

Marginal moments are sums of incomplete normal moments with 400 digits, which no
cancellation exhausts. Covariances are composite Gauss-Legendre quadrature with
40 digits over the first variable, the conditional mean of the second being a
sum of incomplete moments. Parameters are exact float64 numbers. Needs mpmath;
takes a few minutes.
"""
import csv
import random

import mpmath as mp

F = mp.mpf
INF = mp.inf


def clip(lo, hi):
    return [(-INF, lo, (F(lo),)), (lo, hi, (0, F(1))), (hi, INF, (F(hi),))]


def hard_sigmoid(a, b):
    a, b = F(a), F(b)
    lo, hi = -b / a, (1 - b) / a
    if a > 0:
        return [(-INF, lo, (0,)), (lo, hi, (b, a)), (hi, INF, (1,))]
    return [(-INF, hi, (1,)), (hi, lo, (b, a)), (lo, INF, (0,))]


# Pieces (from, to, coefficients in ascending powers of x).
def activations():
    return {
        "identity": [(-INF, INF, (0, F(1)))],
        "heaviside": [(-INF, 0, (0,)), (0, INF, (1,))],
        "sign": [(-INF, 0, (-1,)), (0, INF, (1,))],
        "relu": [(-INF, 0, (0,)), (0, INF, (0, F(1)))],
        "leaky_relu_0.01": [(-INF, 0, (0, F(0.01))), (0, INF, (0, F(1)))],
        "leaky_relu_-0.5": [(-INF, 0, (0, F(-0.5))), (0, INF, (0, F(1)))],
        "thresholded_relu_1": [(-INF, 1, (0,)), (1, INF, (0, F(1)))],
        "abs": [(-INF, 0, (0, F(-1))), (0, INF, (0, F(1)))],
        "clip_-1_1": clip(-1, 1),
        "clip_-Inf_2": [(-INF, 2, (0, F(1))), (2, INF, (F(2),))],
        "clip_0.5_+Inf": [(-INF, F(0.5), (F(0.5),)), (F(0.5), INF, (0, F(1)))],
        "relu6": clip(0, 6),
        "hard_sigmoid_0.2_0.5": hard_sigmoid(0.2, 0.5),
        "hard_sigmoid_-3_1": hard_sigmoid(-3.0, 1.0),
        "hard_swish": [(-INF, -3, (0,)), (-3, 3, (0, F(1) / 2, F(1) / 6)), (3, INF, (0, F(1)))],
    }


def incomplete(a, n):
    """E[Z^k 1{Z > a}], k = 0 .. n."""
    if a == INF:
        return [F(0)] * (n + 1)
    if a == -INF:
        m = [F(1), F(0)]
        for k in range(2, n + 1):
            m.append((k - 1) * m[k - 2])
        return m[: n + 1]
    phi = mp.exp(-a * a / 2) / mp.sqrt(2 * mp.pi)
    m = [mp.erfc(a / mp.sqrt(2)) / 2, phi]
    for k in range(2, n + 1):
        m.append(a ** (k - 1) * phi + (k - 1) * m[k - 2])
    return m[: n + 1]


def local(pieces, mu, sigma, centre):
    """Pieces in z, polynomials in z, minus the constant centre."""
    out = []
    for lo, hi, c in pieces:
        c = list(c) + [0] * (3 - len(c))
        p = [c[0] + c[1] * mu + c[2] * mu * mu - centre, sigma * (c[1] + 2 * c[2] * mu), c[2] * sigma * sigma]
        out.append(((lo - mu) / sigma, (hi - mu) / sigma, p))
    return out


def value(pieces, x):
    for lo, hi, c in pieces:
        if lo <= x <= hi:
            return sum(ck * x**k for k, ck in enumerate(c))


def expect(loc, weight):
    """E[g weight(Z)], weight a polynomial given by its coefficients."""
    total = F(0)
    for lo, hi, p in loc:
        prod = [F(0)] * (len(p) + len(weight) - 1)
        for i, a in enumerate(p):
            for j, b in enumerate(weight):
                prod[i + j] += a * b
        m, k = incomplete(lo, len(prod)), incomplete(hi, len(prod))
        total += sum(c * (m[i] - k[i]) for i, c in enumerate(prod))
    return total


def hermite(k):
    a, b = [F(1)], [F(0), F(1)]
    if k == 0:
        return a
    for i in range(1, k):
        nxt = [F(0)] + b
        for j, c in enumerate(a):
            nxt[j] -= i * c
        a, b = b, nxt
    return b


ORDERS = [1, 2, 3, 4, 7, 16, 40, 121]


def marginal(pieces, mu, sigma):
    mu, sigma = F(mu), F(sigma)
    g0 = value(pieces, mu)
    loc = local(pieces, mu, sigma, g0)
    mean = expect(loc, [F(1)])
    second = F(0)
    for lo, hi, p in loc:
        second += expect([(lo, hi, p)], p)
    h = [expect(loc, hermite(k)) / mp.sqrt(mp.factorial(k)) for k in ORDERS]
    return [g0 + mean, second - mean * mean] + h


def gauss_legendre(n):
    xs, ws = [], []
    for i in range(n):
        x = mp.cos(mp.pi * (i + F(3) / 4) / (n + F(1) / 2))
        for _ in range(60):
            a, b = F(1), x
            for k in range(2, n + 1):
                a, b = b, ((2 * k - 1) * x * b - (k - 1) * a) / k
            d = n * (x * b - a) / (x * x - 1)
            step = b / d
            x -= step
            if abs(step) < F(10) ** -36:
                break
        xs.append(x)
        ws.append(2 / ((1 - x * x) * d * d))
    return xs, ws


def mean(pieces, mu, sigma, centre):
    if sigma == 0:
        return value(pieces, mu) - centre
    return expect(local(pieces, mu, sigma, centre), [F(1)])


def covariance(f, g, mu1, s1, mu2, s2, rho):
    mu1, s1, mu2, s2, rho = map(F, (mu1, s1, mu2, s2, rho))
    f0, g0 = value(f, mu1), value(g, mu2)
    mf, mg = mean(f, mu1, s1, f0), mean(g, mu2, s2, g0)
    q = mp.sqrt(1 - rho * rho)
    cuts = {F(k) for k in range(-42, 43)}
    for lo, _, _ in f[1:]:
        cuts.add((lo - mu1) / s1)
    for lo, _, _ in g[1:]:
        z = (lo - mu2) / s2 / rho
        for d in [-16, -12, -9, -7, -5.5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5.5, 7, 9, 12, 16]:
            cuts.add(z + F(d) * q / abs(rho))
    cuts = sorted(c for c in cuts if abs(c) <= 42)
    total = F(0)
    for a, b in zip(cuts[:-1], cuts[1:]):
        for x, w in zip(XS, WS):
            z = (a + b) / 2 + (b - a) / 2 * x
            x1 = mu1 + s1 * z
            total += (b - a) / 2 * w * mp.exp(-z * z / 2) * (value(f, x1) - f0 - mf) * (
                mean(g, mu2 + s2 * rho * z, s2 * q, g0) - mg)
    return total / mp.sqrt(2 * mp.pi)


def write(path, header, rows):
    with open(path, "w", newline="") as out:
        w = csv.writer(out)
        w.writerow(header)
        for r in rows:
            w.writerow([v if isinstance(v, str) else repr(v) if isinstance(v, float) else mp.nstr(v, 25) for v in r])


def moments():
    mp.mp.dps = 400
    acts, rows = activations(), []
    # Saturated, dead, far tails, kinks at the mean, clips narrow against sigma.
    general = [(0.0, 1.0), (0.3, 2.0), (-4.0, 1.0), (-1.2, 0.3), (5.0, 0.7), (-10.0, 1.0), (20.0, 1.0), (-37.0, 1.0), (30.0, 1.5),
               (-3.0, 0.1), (3.0, 1.0), (0.1, 1e-3), (1.0, 0.01), (0.2, 10.0), (-30.0, 25.0), (0.7, 1e3), (-5e6, 1e6), (2e6, 1e6)]
    special = {
        "clip_-1_1": [(-1.2, 0.3), (-4.0, 0.3), (-8.0, 0.2), (8.4, 0.2), (-1.0, 0.05), (0.0, 0.03), (-11.0, 2.5)],
        "relu6": [(-3.5, 0.1), (9.0, 0.1), (6.0, 0.5), (3.0, 0.15), (-200.0, 40.0)],
        "hard_swish": [(-3.3, 0.01), (-1.5, 0.01), (3.2, 0.01), (-6.7, 0.1), (6.6, 0.1), (-3.0, 1e-3), (-120.0, 30.0), (0.0, 2.9)],
        "hard_sigmoid_0.2_0.5": [(-4.0, 0.1), (4.5, 0.06), (-40.0, 6.0)],
        "thresholded_relu_1": [(0.0, 0.03), (1.0, 1e-3), (2.0, 0.03)],
        "sign": [(-37.0, 1.0), (12.0, 0.4)],
    }
    for name, pieces in acts.items():
        for mu, sigma in general + special.get(name, []):
            rows.append([name, mu, sigma] + marginal(pieces, mu, sigma))
    write("piecewise_moments.csv", ["f", "mu", "sigma", "mean", "variance"] + ["h%d" % k for k in ORDERS], rows)


def pairs():
    global XS, WS
    mp.mp.dps = 40
    XS, WS = gauss_legendre(30)
    acts, rows = activations(), []
    rng = random.Random(7)
    names = list(acts)
    rhos = [1.0, -1.0, 1 - 1e-12, -1 + 1e-9, 1 - 1e-6, 0.9999, -0.999, 0.99, -0.95, 0.9, 0.5, -0.3, 1e-5]
    cases = []
    # Every activation with itself and with others, over all correlations.
    for i, f in enumerate(names):
        for j, rho in enumerate(rhos):
            g = f if j % 3 == 0 else names[(i + 1 + 4 * j) % len(names)]
            s1, s2 = [float("%.3g" % mp.exp(rng.uniform(-1.5, 1.2))) for _ in range(2)]
            m1, m2 = [float("%.3g" % (s * rng.gauss(0, 1.5) + rng.gauss(0, 0.7))) for s in (s1, s2)]
            cases.append((f, g, m1, s1, m2, s2, rho))
    # Nearly the same variable, where the integrands are sharpest.
    for rho in [1.0, 1 - 2.0**-50, 1 - 1e-10, 1 - 1e-7, 0.99999, 0.999]:
        for f, g in [("relu", "relu"), ("heaviside", "heaviside"), ("relu", "heaviside"), ("hard_swish", "relu"), ("hard_swish", "heaviside"),
                     ("hard_swish", "hard_swish")]:
            cases.append((f, g, 0.3, 1.0, 0.3, 1.0, rho))
            cases.append((f, g, 0.3, 1.0, 0.3001, 1.0, rho))
            cases.append((f, g, -0.5, 0.7, 0.1, 1.1, -rho))
    # Both far in the tails.
    for t in [6.0, 12.0, 20.0, 30.0]:
        for rho in [1.0, 1 - 1e-9, 0.9999, 0.99, 0.9, -0.9]:
            cases.append(("relu", "relu", -t, 1.0, -t - 0.2, 1.0, rho))
            cases.append(("relu", "heaviside", -t, 1.0, -t + 0.1, 1.0, rho))
            cases.append(("heaviside", "heaviside", -t, 1.0, -t + 0.1, 1.0, rho))
            cases.append(("hard_swish", "hard_swish", -3 - 0.1 * t, 0.1, -3 - 0.11 * t, 0.1, rho))
            cases.append(("clip_-1_1", "clip_-1_1", -1 - 0.1 * t, 0.1, 1 + 0.1 * t, 0.1, -rho))
            cases.append(("hard_swish", "heaviside", -3 - 0.1 * t, 0.1, -t, 1.0, rho))
    for f, g, m1, s1, m2, s2, rho in cases:
        cov = covariance(acts[f], acts[g], m1, s1, m2, s2, rho)
        v1, v2 = [marginal_variance(acts[n], m, s) for n, m, s in ((f, m1, s1), (g, m2, s2))]
        rows.append([f, g, m1, s1, m2, s2, rho, v1, v2, cov])
    write("piecewise_pairs.csv", "f,g,mu1,sigma1,mu2,sigma2,rho,var_f,var_g,cov".split(","), rows)


def marginal_variance(pieces, mu, sigma):
    with mp.workdps(400):
        mu, sigma = F(mu), F(sigma)
        loc = local(pieces, mu, sigma, value(pieces, mu))
        m = expect(loc, [F(1)])
        return sum(expect([(lo, hi, p)], p) for lo, hi, p in loc) - m * m


if __name__ == "__main__":
    moments()
    pairs()
