package special

import "math"

// ScaledHermite writes the normalised Hermite functions
//
//	dst[k] = He_k(a) phi(a) / sqrt(k!)
//
// for k = 0 .. len(dst)-1, with He_k the probabilists' Hermite polynomials, by
//
//	p_{k+1} = (a p_k - sqrt(k) p_{k-1}) / sqrt(k+1),   p_0 = phi(a).
//
// Below k = a^2/4 the terms grow and the recurrence is stable because p is its
// dominant solution; above, they oscillate within about exp(-a^2/4) k^(-1/4),
// and the error is relative to that. phi(a) underflows long before all the
// others do: beyond |a| = 37 the recurrence runs on 2^shift p, and beyond
// |a| = 55 every value is below the smallest denormal number.
func ScaledHermite(dst []float64, a float64) {
	switch abs := math.Abs(a); {
	case abs <= 37:
		hermite(dst, a, Density(a))
	case abs <= 55:
		// 2^shift phi(a) is at least 2^-944 and the largest value 2^747.
		const shift, ln2Hi, ln2Lo = 1240, 6.93147180369123816490e-01, 1.90821492927058770002e-10
		y := 0.5 * a
		h := y * a
		l := math.FMA(y, a, -h)
		e := math.Exp(shift*ln2Hi - h) // the difference is exact
		hermite(dst, a, invSqrt2Pi*(e+e*(shift*ln2Lo-l)))
		for k, p := range dst {
			dst[k] = math.Ldexp(p, -shift)
		}
	case math.IsNaN(a):
		for k := range dst {
			dst[k] = a
		}
	default:
		clear(dst)
	}
}

// hermite writes p_0 He_k(a)/sqrt(k!).
func hermite(dst []float64, a, p0 float64) {
	prev, p, root := 0.0, p0, 0.0 // p_{k-1}, p_k, sqrt(k)
	for k := range dst {
		dst[k] = p
		next := math.Sqrt(float64(k + 1))
		prev, p = p, (a*p-root*prev)*(1/next)
		root = next
	}
}
