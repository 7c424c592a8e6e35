package activation

import (
	"math"

	"github.com/covprop/covprop/internal/special"
)

// The covariance of two smooth activations is an integral over the correlation
// (Price 1958; Plackett 1954): with c = rho sigma1 sigma2,
//
//	d^n/dc^n Cov(f(X1), g(X2)) = E[ f^(n)(X1) g^(n)(X2) ],   n >= 1.
//
// For Phi(s x) the first derivative, for x Phi(x) the second one is elementary:
// a polynomial times the density of two variables with correlation r
// proportional to rho. r = sin t removes the root from that density,
//
//	phi2(u1, u2; r) dr = exp(-E(t)) dt / (2 pi),
//	E(t) = (u1^2 - 2 u1 u2 sin t + u2^2) / (2 cos^2 t)
//	     = (u1 - u2)^2 / (2 cos^2 t) + u1 u2 / (1 + sin t).
//
// By Cauchy-Schwarz the integrand is nowhere larger than the geometric mean of
// the two integrands that give the variances, which are positive: the sum
// cancels at most relative to the product of the two standard deviations, and
// in a variance not at all.

// An arc is the range of that integral, t in [0, T], for a pair of variables
// Phi(s1 X1), Phi(s2 X2) of correlation rho >= 0.
type arc struct {
	u1, u2 float64 // u_i = s_i mu_i / d_i
	d1, d2 float64 // d_i = sqrt(1 + s_i^2 sigma_i^2)
	end    float64 // T, where sin T = rho s1 s2 sigma1 sigma2 / (d1 d2)
	gap    float64 // pi/2 - T, to full relative accuracy
}

// newArc returns the arc of p, rho >= 0.
func newArc(s1, s2 float64, p Pair) arc {
	a1, a2 := s1*p.Sigma1, s2*p.Sigma2
	d1, d2 := math.Hypot(1, a1), math.Hypot(1, a2)
	b1, b2 := a1/d1, a2/d2
	sin := p.Rho * b1 * b2
	// d1^2 d2^2 - rho^2 a1^2 a2^2 as a sum of positive terms.
	cos := math.Sqrt(1/(d1*d1*d2*d2) + b1*b1/(d2*d2) + b2*b2/(d1*d1) + b1*b1*b2*b2*(1-p.Rho)*(1+p.Rho))
	return arc{s1 * p.Mu1 / d1, s2 * p.Mu2 / d2, d1, d2, math.Atan2(sin, cos), math.Atan2(cos, sin)}
}

// exponent returns E.
func (a *arc) exponent(sin, cos float64) float64 {
	z := (a.u1 - a.u2) / cos
	return 0.5*z*z + a.u1*a.u2/(1+sin)
}

// at returns sin t and cos t at t = T - x.
func (a *arc) at(x float64) (sin, cos float64) { return math.Sin(a.end - x), math.Sin(a.gap + x) }

// Accuracy of the composite rule: panels whose integrand is below
// exp(-arcDrop) = 3e-20 of the largest are left out, and no panel spans more
// than exp(arcSpan), which 16 nodes integrate to rounding.
const (
	arcNodes = 16
	arcDrop  = 45
	arcSpan  = 10
	// expLimit is where exp(-expLimit) is 0 in float64, whatever finite
	// factor stands before it.
	expLimit = 1500
	// leastGap stands in where standard deviations above 1e154 make the gap
	// underflow.
	leastGap = 0x1p-512
)

// integral returns (1/2 pi) int_0^T f(x, sin t, cos t) exp(-E(t)) dt with
// x = T - t. The rounding error is that of the exponent, E times 1e-16.
//
// The integrand's scale is the distance to t = pi/2, so the panels double from
// gap on. E has one minimum, at sin t = min(u1/u2, u2/u1); with a break there
// it is monotone on every panel.
func (a *arc) integral(f func(x, sin, cos float64) float64) float64 {
	least := min(a.exponent(a.at(0)), a.exponent(a.at(a.end)))
	turn := a.end
	if a.u1*a.u2 > 0 {
		r := min(a.u1/a.u2, a.u2/a.u1)
		if t := math.Asin(r); t < a.end {
			turn = a.end - t
			least = a.exponent(a.at(turn))
		}
	}
	switch {
	case math.IsNaN(a.end):
		return a.end
	case least > expLimit:
		return 0
	}
	sum := 0.0
	for lo, width := 0.0, max(a.gap, leastGap); lo < a.end; width *= 2 {
		hi := min(lo+width, a.end)
		if lo < turn && turn < hi {
			sum += a.panel(lo, turn, least, f)
			lo = turn
		}
		sum += a.panel(lo, hi, least, f)
		lo = hi
	}
	return sum / (2 * math.Pi)
}

// panel integrates over x in [lo, hi], halving while the integrand spans too
// much. least is the minimum of E on the arc.
func (a *arc) panel(lo, hi, least float64, f func(x, sin, cos float64) float64) float64 {
	el, eh := a.exponent(a.at(lo)), a.exponent(a.at(hi))
	if min(el, eh) > least+arcDrop {
		return 0
	}
	if mid := 0.5 * (lo + hi); math.Abs(el-eh) > arcSpan && lo < mid && mid < hi {
		return a.panel(lo, mid, least, f) + a.panel(mid, hi, least, f)
	}
	nodes, weights := special.GaussLegendre(arcNodes)
	sum := 0.0
	for i, w := range weights {
		x := 0.5 * ((hi-lo)*nodes[i] + (lo + hi))
		sin, cos := a.at(x)
		sum += w * f(x, sin, cos) * math.Exp(-a.exponent(sin, cos))
	}
	return 0.5 * (hi - lo) * sum
}
