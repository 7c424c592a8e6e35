package special

import (
	"math"
	"sync"

	"gonum.org/v1/gonum/integrate/quad"
)

// rule is a quadrature rule: nodes in increasing order and weights.
type rule struct{ x, w []float64 }

// Rules by their number of nodes; a rule is computed when first asked for.
var legendreRules, hermiteRules sync.Map // int -> rule

// GaussLegendre returns the n-point Gauss-Legendre rule on [-1, 1]: nodes in
// increasing order, symmetric about 0, and weights that sum to 2. The slices
// are shared and must not be changed.
func GaussLegendre(n int) (x, w []float64) {
	return cached(&legendreRules, n, func() rule {
		r := rule{make([]float64, n), make([]float64, n)}
		quad.Legendre{}.FixedLocations(r.x, r.w, -1, 1) // decreasing
		for i := range (n + 1) / 2 {
			r.x[i], r.x[n-1-i] = -r.x[i], r.x[i]
			r.w[n-1-i] = r.w[i]
		}
		if n%2 == 1 {
			r.x[n/2] = 0
		}
		return r
	})
}

// GaussHermite returns the n-point Gauss rule for the standard normal weight:
// nodes in increasing order, symmetric about 0, and weights that sum to 1. The
// slices are shared and must not be changed.
//
// Two Newton steps on p_n = He_n/sqrt(n!), p_n' = sqrt(n) p_{n-1}, put right
// the tabulated nodes; the weights are 1/(n p_{n-1}^2).
func GaussHermite(n int) (x, w []float64) {
	return cached(&hermiteRules, n, func() rule {
		r := rule{make([]float64, n), make([]float64, n)}
		quad.Hermite{}.FixedLocations(r.x, r.w, math.Inf(-1), math.Inf(1))
		root := math.Sqrt(float64(n))
		for i := range (n + 1) / 2 {
			x := math.Abs(r.x[i]) * math.Sqrt2
			for range 2 {
				below, p := hermiteAt(n, x)
				x -= p / (root * below)
			}
			if 2*i+1 == n {
				x = 0
			}
			below, _ := hermiteAt(n, x)
			w := 1 / (root * below)
			w /= root * below
			r.x[i], r.x[n-1-i] = -x, x
			r.w[i], r.w[n-1-i] = w, w
		}
		return r
	})
}

// hermiteAt returns p_{n-1} and p_n at x, n >= 1.
func hermiteAt(n int, x float64) (below, p float64) {
	h := Hermite{a: x, p: 1}
	for range n {
		below = h.Next()
	}
	return below, h.p
}

func cached(rules *sync.Map, n int, compute func() rule) (x, w []float64) {
	v, ok := rules.Load(n)
	if !ok {
		v, _ = rules.LoadOrStore(n, compute())
	}
	r := v.(rule)
	return r.x, r.w
}
