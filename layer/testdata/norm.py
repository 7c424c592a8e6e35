"""Writes norm.csv: moments of y = x / sqrt(x'x/n + eps), x centred first or not,
for x ~ N(m, root root'), in 90-digit arithmetic (mpmath). From the tilted
Gaussian, s = x'x + n eps, g = 1/(1 + 2 t lambda) in the eigenbasis of the covariance,

    Z = E exp(-t s),   E x s^-1/2 = pi^-1/2 int t^-1/2 Z (m o g) dt,
    E x x'/s = int Z [(m o g)(m o g)' + diag(lambda o g)] dt,
    E dy/dx = sqrt(n/pi) int t^-1/2 Z [diag g - 2 t (m o g)(m o g)'] dt,

by the trapezoidal rule in log t with step 1/25, whose error is below 1e-100; the
covariance is the plain difference, of which 40 digits and more are left. One line a
case: name, n, rank, centred, eps, m, root, then E y, Cov(y) and Cov(y, x), row by
row. All inputs are dyadic, so that float64 holds them and their products exactly.
Takes some minutes."""
import random
import sys
from mpmath import mp, mpf, matrix, exp, log, sqrt, pi, eigsy
mp.dps = 90

def moments(n, centred, eps, m, root):
    m, root = matrix(m), matrix(root)
    sigma = root * root.T
    h = matrix(n, n)
    for i in range(n):
        for j in range(n):
            h[i, j] = (1 if i == j else 0) - (mpf(1) / n if centred else 0)
    mc, sc = h * m, h * sigma * h
    lam, q = eigsy(sc)
    top = max(lam)
    lam = [l if l > top * mpf(10)**-70 else mpf(0) for l in lam]
    z = q.T * mc
    z = [v if abs(v) > mpf(10)**-70 else mpf(0) for v in z]
    e = n * mpf(eps)
    s0 = sum(lam) + sum(v * v for v in z) + e
    lam = [l / s0 for l in lam]; z = [v / sqrt(s0) for v in z]; e /= s0
    mean = [mpf(0)] * n
    sec = matrix(n, n); gain = matrix(n, n)
    step = mpf(1) / 25
    for k in range(-6250, 6251):
        t = exp(k * step)
        g = [1 / (1 + 2 * t * l) for l in lam]
        a = -sum(log(1 + 2 * t * l) for l in lam) / 2 - t * sum(v * v * w for v, w in zip(z, g)) - t * e
        if a < -300: break
        w = step * exp(a) * t
        r = w / sqrt(t * pi)
        mg = [v * x for v, x in zip(z, g)]
        for i in range(n):
            mean[i] += r * mg[i]
            sec[i, i] += w * lam[i] * g[i]
            gain[i, i] += r * g[i]
            for j in range(n):
                p = mg[i] * mg[j]
                sec[i, j] += w * p
                gain[i, j] -= 2 * t * r * p
    cov = matrix(n, n)
    for i in range(n):
        for j in range(n):
            cov[i, j] = n * (sec[i, j] - mean[i] * mean[j])
            gain[i, j] *= sqrt(mpf(n) / s0)
    y = q * matrix(mean) * sqrt(mpf(n))
    gl = matrix(n, n)
    for i in range(n):
        for j in range(n): gl[i, j] = gain[i, j] if lam[j] > 0 else 0
    return y, q * cov * q.T, q * gl * q.T * h * sigma

def case(out, rng, name, n, rank, centred, eps, scale, mean=None, root=None, size=8):
    m = mean or [rng.randint(-12, 12) / 8 for _ in range(n)]
    r = root or [[rng.randint(-size, size) for _ in range(rank)] for _ in range(n)]
    r = [[v * 2.0**(scale - 3) for v in row] for row in r]
    y, cov, cross = moments(n, centred, eps, [mpf(v) for v in m], [[mpf(v) for v in row] for row in r])
    print(name, file=sys.stderr)
    num = lambda v: mp.nstr(v, 20, min_fixed=0, max_fixed=0) if abs(v) > mpf(10)**-75 else '0'
    cells = [name, n, len(r[0]), int(centred), repr(eps)] + [repr(v) for v in m] + [repr(v) for row in r for v in row]
    cells += [num(v) for v in y] + [num(v) for v in cov] + [num(v) for v in cross]
    out.write(','.join(map(str, cells)) + '\n')

def main():
    rng = random.Random(1)
    with open('norm.csv', 'w') as out:
        for s in (2, 0, -3, -7, -12, -20, -40):
            case(out, rng, f'rms n=2 noise 2^{s}', 2, 2, False, 0.0, s)
            case(out, rng, f'layer n=2 noise 2^{s}', 2, 2, True, 2.0**-17, s)
            case(out, rng, f'layer n=3 noise 2^{s}', 3, 3, True, 2.0**-17, s)
            case(out, rng, f'rms n=6 noise 2^{s}', 6, 6, False, 2.0**-17, s)
            case(out, rng, f'layer n=6 rank 2 noise 2^{s}', 6, 2, True, 2.0**-17, s)
            case(out, rng, f'layer n=5 rank 1 noise 2^{s}', 5, 1, True, 0.0, s)
            case(out, rng, f'layer n=9 noise 2^{s}', 9, 9, True, 0.0, s)
            case(out, rng, f'rms n=3 one element noise 2^{s}', 3, 3, False, 0.0, s, mean=[1.0, 0.0, 0.0])
            case(out, rng, f'rms n=4 along the mean noise 2^{s}', 4, 1, False, 2.0**-17, s, mean=[.5, -1.0, 2.0, .25], root=[[2], [-4], [8], [1]])
            case(out, rng, f'rms n=1 noise 2^{s}', 1, 1, False, 2.0**-10, s, mean=[.75], root=[[8]])
        case(out, rng, 'rms n=4 mean 0', 4, 4, False, 0.0, 0, mean=[0.0] * 4)
        case(out, rng, 'layer n=3 tiny epsilon', 3, 3, True, 2.0**-100, 1)
        case(out, rng, 'rms n=2 narrow', 2, 2, False, 0.0, 0, mean=[.25, 0.0], root=[[8, 0], [0, 2.0**-18]])
        case(out, rng, 'rms n=5 certain elements', 5, 2, False, 2.0**-17, -1, root=[[3, 1], [0, 0], [5, -2], [0, 0], [1, 1]])

main()
