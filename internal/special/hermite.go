package special

import "math"

// A Hermite yields the normalised Hermite functions He_k(a) phi(a)/sqrt(k!)
// one after the other, from k = 0, with He_k the probabilists' Hermite
// polynomials, by
//
//	p_{k+1} = (a p_k - sqrt(k) p_{k-1}) / sqrt(k+1),   p_0 = phi(a).
//
// Below k = a^2/4 the terms grow and the recurrence is stable because p is its
// dominant solution; above, they oscillate within about exp(-a^2/4) k^(-1/4),
// and the error is relative to that. phi(a) underflows long before all the
// others do: beyond |a| = 37 the recurrence runs on 2^1240 p, and beyond
// |a| = 55 every value is below the smallest denormal number.
type Hermite struct {
	a       float64
	prev, p float64 // p_{k-1}, p_k, both times 2^shift
	k       float64
	root    float64 // sqrt(k)
	shift   int
}

// NewHermite returns the sequence for a.
func NewHermite(a float64) Hermite {
	switch abs := math.Abs(a); {
	case abs > 55:
		return Hermite{}
	case !(abs > 37):
		return Hermite{a: a, p: Density(a)}
	}
	// 2^shift phi(a) is at least 2^-944 and the largest value 2^747.
	const shift, ln2Hi, ln2Lo = 1240, 6.93147180369123816490e-01, 1.90821492927058770002e-10
	y := 0.5 * a
	h := y * a
	l := math.FMA(y, a, -h)
	e := math.Exp(shift*ln2Hi - h) // the difference is exact
	return Hermite{a: a, p: invSqrt2Pi * (e + e*(shift*ln2Lo-l)), shift: shift}
}

// Next returns the next value.
func (h *Hermite) Next() float64 {
	p := h.p
	h.k++
	next := math.Sqrt(h.k)
	h.prev, h.p = p, (h.a*p-h.root*h.prev)*(1/next)
	h.root = next
	if h.shift != 0 {
		return math.Ldexp(p, -h.shift)
	}
	return p
}

// ScaledHermite writes the normalised Hermite functions
// dst[k] = He_k(a) phi(a)/sqrt(k!) for k = 0 .. len(dst)-1; see [Hermite].
func ScaledHermite(dst []float64, a float64) {
	h := NewHermite(a)
	for k := range dst {
		dst[k] = h.Next()
	}
}
