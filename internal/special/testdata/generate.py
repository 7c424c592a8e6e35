"""Writes reference values of the special functions with mpmath, 25 digits.

Arguments are exact float64 numbers, written with 17 digits. Columns:
function, up to three arguments, value. Needs mpmath; takes a minute or two.
"""
import csv
import mpmath as mp

mp.mp.dps = 60
ROWS = []


def put(name, args, value):
    ROWS.append([name] + [repr(float(a)) for a in args] + [""] * (3 - len(args)) + [mp.nstr(value, 25)])


def cdf(x):
    return mp.erfc(-mp.mpf(x) / mp.sqrt(2)) / 2


def pdf(x):
    return mp.exp(-mp.mpf(x) ** 2 / 2) / mp.sqrt(2 * mp.pi)


def erfcx(x):
    x = mp.mpf(x)
    if x < 1e4:
        return mp.exp(x * x) * mp.erfc(x)
    t = 1 / (2 * x * x)
    return (1 - t + 3 * t * t - 15 * t**3) / (x * mp.sqrt(mp.pi))


def phi2density(x, y, r):
    q = 1 - r * r
    return mp.exp(-(x * x - 2 * r * x * y + y * y) / (2 * q)) / (2 * mp.pi * mp.sqrt(q))


def excess(h, k, rho):
    """Phi2 - Phi Phi for rho > 0 by Plackett's integral, from the nearer end."""
    h, k, rho = mp.mpf(h), mp.mpf(k), mp.mpf(rho)
    if rho == 1:
        return cdf(min(h, k)) * cdf(-max(h, k))
    if rho < 0.92:
        f = lambda t: mp.exp(-((h - k) ** 2) / (2 * mp.cos(t) ** 2) - h * k / (1 + mp.sin(t)))
        return mp.quad(f, mp.linspace(0, mp.asin(rho), 33), method="gauss-legendre") / (2 * mp.pi)
    d, end = h - k, mp.acos(rho)
    f = lambda t: mp.exp(-d * d / (2 * mp.sin(t) ** 2) - h * k / (1 + mp.cos(t)))
    # Eight panels an octave, down to where exp(-d^2/(2 t^2)) < 1e-200.
    lo = min(end, abs(d) / 30)
    cuts = [mp.mpf(0) if d == 0 else lo]
    while d and cuts[-1] * mp.mpf(2) ** 0.125 < end:
        cuts.append(cuts[-1] * mp.mpf(2) ** 0.125)
    if d == 0:
        cuts = mp.linspace(0, end, 9)
    elif cuts[-1] < end:
        cuts.append(end)
    part = mp.quad(f, cuts, method="gauss-legendre") if len(cuts) > 1 else 0
    return cdf(min(h, k)) * cdf(-max(h, k)) - part / (2 * mp.pi)


def main():
    xs = [0.0, 1e-300, 1e-8, 0.1, 0.4999, 0.7, 0.99999, 1.0, 1.0000001, 1.3, 2.0, 2.7, 3.3, 5.1, 8.7, 12.9,
          16.97, 16.98, 20.3, 25.123456789, 30.7, 36.9, 37.4, 38.0]
    for x in sorted({s * x for x in xs for s in (-1, 1)}):
        put("density", [x], pdf(x))
        put("cdf", [x], cdf(x))
        put("logcdf", [x], mp.log1p(-cdf(-mp.mpf(x))) if x > 0 else mp.log(cdf(x)))
        put("mills", [x], cdf(-mp.mpf(x)) / pdf(x))
    for x in [-1e6, -300.5, -50.0]:
        put("logcdf", [x], mp.log(cdf(x)) if x > -400 else
            -mp.mpf(x) ** 2 / 2 - mp.log(mp.sqrt(2 * mp.pi)) + mp.log(1 / -mp.mpf(x) * (1 - 1 / mp.mpf(x) ** 2)))
    for x in [-26.0, -20.7, -9.3, -3.1, -1.0, -0.3, -1e-9, 0.0, 1e-9, 0.2, 0.9, 1.7, 3.9, 7.77, 11.99, 12.0, 12.01, 14.3,
              19.0, 26.0, 27.5, 100.3, 1e4, 1e8, 1e155, 1e300]:
        put("erfcx", [x], erfcx(x))
    for a in [0.0, 0.3, -1.7, 3.0, -6.5, 12.1, -20.0, 33.3, 36.99, -37.01, 38.6, -40.0, 44.4, 50.5, 54.0]:
        p = {}
        prev, cur = mp.mpf(0), pdf(a)
        for k in range(0, 601):
            p[k] = cur
            prev, cur = cur, (mp.mpf(a) * cur - mp.sqrt(k) * prev) / mp.sqrt(k + 1)
        for k in [0, 1, 2, 3, 5, 8, 16, 33, 64, 100, 170, 171, 200, 300, 400, 599, 600]:
            put("hermite", [a, k], p[k])
    pairs = [(0.0, 0.0), (0.3, -0.2), (1.0, 1.0), (-1.5, -1.5), (2.0, 2.001), (-3.0, -3.3), (-4.0, 4.0), (1.0, -1.2),
             (-6.0, -6.0), (-10.0, -10.5), (8.0, 8.0), (-20.0, -20.0), (-20.0, -20.3), (-35.0, -35.1), (5.0, -7.0),
             (0.5, 0.5000001), (-2.2, 1.9), (-1e-3, 1e-3), (-9.0, -2.0), (1e-9, 0.0)]
    rhos = [1e-6, 0.1, 0.5, 0.8, 0.9, 0.900001, 0.95, 0.99, 0.999, 0.99999, 1 - 1e-7, 1 - 1e-9, 1 - 1e-12, 1 - 2**-52, 1.0]
    for h, k in pairs:
        for r in rhos:
            put("excess", [h, k, r], excess(h, k, r))
            put("excess", [h, -k, -r], -excess(h, k, r))
            put("phi2", [h, k, r], excess(h, k, r) + cdf(h) * cdf(k))
            put("phi2", [h, -k, -r], cdf(h) * cdf(-mp.mpf(k)) - excess(h, k, r))
    for h, k, r in [(0.3, -1.2, 0.4), (5.0, 5.1, 0.99), (-8.0, 7.5, -0.9), (20.0, 20.0, 0.999)]:
        put("phi2density", [h, k, r], phi2density(mp.mpf(h), mp.mpf(k), mp.mpf(r)))
    with open("values.csv", "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["function", "x", "y", "z", "value"])
        w.writerows(ROWS)
    with open("rules.csv", "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["rule", "n", "i", "node", "weight"])
        for n in [1, 2, 3, 16, 20, 32, 64, 100, 101, 128]:
            for i in sorted({n // 2, n // 2 + n // 8, (3 * n) // 4, n - 1}):
                w.writerow(["legendre", n, i] + [mp.nstr(v, 25) for v in legendre(n, i)])
                w.writerow(["hermite", n, i] + [mp.nstr(v, 25) for v in hermite(n, i)])


def legendre(n, i):
    x = mp.cos(mp.pi * (n - i - mp.mpf(1) / 4) / (n + mp.mpf(1) / 2))
    for _ in range(50):
        p0, p1 = mp.mpf(1), x
        for k in range(2, n + 1):
            p0, p1 = p1, ((2 * k - 1) * x * p1 - (k - 1) * p0) / k
        d = n * (x * p1 - p0) / (x * x - 1)
        step = p1 / d
        x -= step
        if abs(step) < mp.mpf(10) ** -50:
            break
    return x, 2 / ((1 - x * x) * d * d)


def hermite(n, i):
    import numpy as np
    x = mp.mpf(float(np.polynomial.hermite_e.hermegauss(n)[0][i]))
    for _ in range(50):
        p0, p1 = mp.mpf(0), mp.mpf(1)
        for k in range(n):
            p0, p1 = p1, (x * p1 - mp.sqrt(k) * p0) / mp.sqrt(k + 1)
        step = p1 / (mp.sqrt(n) * p0)
        x -= step
        if abs(step) < mp.mpf(10) ** -50:
            break
    return x, 1 / (n * p0 * p0)


main()
