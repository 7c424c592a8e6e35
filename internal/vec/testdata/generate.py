"""Writes values.csv: reference values by mpmath, 25 digits, and SHA256SUMS.

Arguments are exact float64 numbers in hexadecimal. Columns: function,
argument, value. Values below a quarter of the smallest denormal float64 are
written as 0. Takes a few seconds.
"""
import csv
import hashlib
import math
import random

import mpmath as mp

mp.mp.dps = 50


def cdf(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def density(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


# The function and the arguments between which it is neither constant nor
# beyond float64.
FUNCTIONS = {
    "exp": (mp.exp, -746, 709.7827),
    "erf": (mp.erf, -6, 6),
    "erfc": (mp.erfc, -6, 27.3),
    "cdf": (cdf, -38.6, 8.5),
    "density": (density, -38.7, 38.7),
}
STRUCTURED = {
    "exp": [-745.1332191019411, -745.13321910194122, -708.3964185322641, -708.39641853226408, 709.782712893384],
    "erf": [0.84375, 0.5, 0.25, 1.25, 2.857142857142857, 5.93, 5.9215],
    "erfc": [26.5, 26.543258, 27.226017, 0.477, 0.84375, -0.5],
    "cdf": [-38.0, -37.5193793471445, -38.4674056, -1.0, 1.0, 0.6744897501960817, -12.0, 1.96],
    "density": [38.0, 37.6, 38.5, 12.0, 1.0, -38.4],
}


def arguments(name, low, high):
    rng = random.Random(name)
    x = [0.0, 5e-324, -5e-324, 2.3e-308, -1e-300, 1e-30, -1e-16, 2.0**-53, 1e-9, -1e-9, 1e-5, 0.001, -0.01, 0.1]
    x += [float(k) for k in range(-9, 10) if low < k < high] + STRUCTURED[name]
    x += [rng.uniform(low, high) for _ in range(80)] + [rng.gauss(0, 1) for _ in range(40)]
    x += [math.ldexp(rng.uniform(-2, 2), -rng.randrange(60)) for _ in range(20)]
    return sorted(set(x))


def main():
    with open("values.csv", "w", newline="") as out:
        w = csv.writer(out, lineterminator="\n")
        w.writerow(["function", "x", "value"])
        for name, (f, low, high) in FUNCTIONS.items():
            for x in arguments(name, low, high):
                v = f(mp.mpf(x))
                w.writerow([name, x.hex(), mp.nstr(v, 25) if abs(v) > mp.mpf(2) ** -1076 else "0"])
    with open("values.csv", "rb") as values, open("SHA256SUMS", "w") as out:
        out.write(hashlib.sha256(values.read()).hexdigest() + "  values.csv\n")


main()
