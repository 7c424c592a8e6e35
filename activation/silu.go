package activation

import "math"

// SiLU returns x/(1 + e^{-x}) (swish), named "silu".
func SiLU() Activation { return numeric{silu{}} }

// QuickGELU returns x/(1 + e^{-beta x}), named "quick_gelu_" and beta, which is
// 1.702 in the approximation of GELU. beta must be finite.
func QuickGELU(beta float64) Activation { return numeric{quickGELU{beta}} }

type silu struct{}

func (silu) Name() string                                   { return "silu" }
func (silu) Apply(x float64) float64                        { return swish(x, 1) }
func (silu) Kinks() []float64                               { return nil }
func (silu) breaks() []float64                              { return origin }
func (silu) strip() float64                                 { return math.Pi }
func (silu) Derivative(x float64) float64                   { return swishDerivative(x, 1) }
func (silu) difference(mu, delta float64) (d, size float64) { return swishDifference(mu, delta, 1) }

type quickGELU struct{ beta float64 }

func (g quickGELU) Name() string {
	return "quick_gelu_" + formatNumber(g.beta)
}
func (g quickGELU) Apply(x float64) float64      { return swish(x, g.beta) }
func (quickGELU) Kinks() []float64               { return nil }
func (quickGELU) breaks() []float64              { return origin }
func (g quickGELU) strip() float64               { return math.Pi / math.Abs(g.beta) }
func (g quickGELU) Derivative(x float64) float64 { return swishDerivative(x, g.beta) }
func (g quickGELU) difference(mu, delta float64) (d, size float64) {
	return swishDifference(mu, delta, g.beta)
}

// swish returns x logistic(beta x).
func swish(x, beta float64) float64 {
	s := logistic(beta * x)
	if s == 0 {
		return math.Copysign(0, x) // also at infinity
	}
	return x * s
}

// swishDerivative returns s + beta x s (1 - s), s = logistic(beta x).
func swishDerivative(x, beta float64) float64 {
	s, t := logistic(beta*x), logistic(-beta*x)
	if s == 0 || t == 0 {
		return s // also at infinity
	}
	return s * (1 + beta*x*t)
}

// swishDifference returns swish(mu+delta) - swish(mu).
func swishDifference(mu, delta, beta float64) (d, size float64) {
	b := mu + delta
	d, size = productDifference(mu, delta, logistic(beta*mu), logistic(beta*b), logisticDifference(beta*mu, beta*b, beta*delta))
	return d, size * exponentCondition(beta*mu, beta*b)
}

// productDifference returns b s - a s0 with b = a + delta, given s0 = s(a),
// s = s(b) and ds = s(b) - s(a): either so or as
//
//	delta s + a ds,
//
// whichever has the smaller parts; the second where b is near a. It cancels
// only near a minimum of x s(x). size is what the parts were.
func productDifference(a, delta, s0, s, ds float64) (d, size float64) {
	p, q := delta*s, a*ds
	size = math.Abs(p) + math.Abs(q)
	if g, g0 := (a+delta)*s, a*s0; math.Abs(g)+math.Abs(g0) < size {
		return g - g0, math.Abs(g) + math.Abs(g0)
	}
	return p + q, size
}
