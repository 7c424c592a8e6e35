package bayes

import (
	"math"

	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/special"
)

// linearPairSlopes is pairSlopes for an activation with linear pieces,
//
//	f(x) = s x + sum_t [ J_t 1{x > t} + D_t (x - t)_+ ] + constant,
//
// in closed form but for E_tu = P(X1 > t, X2 > u) - P(X1 > t) P(X2 > u), an integral.
// With a = (mu1 - t)/sigma1, b = (mu2 - u)/sigma2, q = sqrt(1 - rho^2), A_i = E f'(X_i)
// without the jumps, and G and g1 of pairSlopes at X1 = t,
//
//	dC/dmu1 = sum_t D_t Cov(1{X1 > t}, f(X2)) + J_t phi(a)/sigma1 G
//	dC/dv1  = sum_t [ D_t G - J_t (a G + rho sigma2 g1)/sigma1 ] phi(a)/(2 sigma1)
//	dC/dc   = A_1 A_2 + sum_tu D_t D_u E_tu + sum_t J_t phi(a)/sigma1 g1
//	          + sum_u J_u phi(b)/sigma2 [ s + sum_t D_t Phi((a - rho b)/q) ],
//	Cov(1{X1 > t}, (X2-u)_+) = sigma2 { b E_tu + phi(b) [Phi((a - rho b)/q) - Phi(a)] + rho phi(a) Phi((b - rho a)/q) }.
func linearPairSlopes(e *elementwise, p activation.Pair, mean2 float64) (dmu, dv, dc float64) {
	l := &e.pieces
	q := math.Sqrt((1 - p.Rho) * (1 + p.Rho))
	slope, rest := p.Rho*p.Sigma2, q*p.Sigma2
	s := l.Slope[0]
	a1, a2 := s, s
	for t := range l.Knots {
		jump, bend := knotOf(l, t)
		x := l.At[t]
		a := (p.Mu1 - x) / p.Sigma1
		ph := special.Density(a)
		a1 += bend * special.CDF(a)
		b := (p.Mu2 - x) / p.Sigma2
		a2 += bend * special.CDF(b)

		g, g1 := conditionalMean(e.Activation, p.Mu2-slope*a, rest)
		g -= mean2
		density := ph / p.Sigma1
		dmu += jump * density * g
		dv += (bend*g - jump*(a*g+slope*g1)/p.Sigma1) * density
		dc += jump * density * g1

		inner, behind := s*slope*ph, s // Cov(1{X1 > t}, f(X2)); s + sum D Phi
		if bend != 0 {
			inner += covariancesWith(l, &p, a, q, bend, &dc)
			dmu += bend * inner
		}
		if jump != 0 { // the knot as one of X2
			phb := special.Density(b) / p.Sigma2
			for u := range l.Knots {
				_, d := knotOf(l, u)
				behind += d * above((p.Mu1-l.At[u])/p.Sigma1-p.Rho*b, q)
			}
			dc += jump * phb * behind
		}
	}
	return dmu, 0.5 * dv, dc + a1*a2
}

// covariancesWith returns Cov(1{X1 > t}, f(X2)), but for the part of s, of the knot
// with the given a and D, and adds sum_u D D_u E_tu to dc.
func covariancesWith(l *activation.LinearPieces, p *activation.Pair, a, q, bend float64, dc *float64) (sum float64) {
	for u := range l.Knots {
		jump, d := knotOf(l, u)
		b := (p.Mu2 - l.At[u]) / p.Sigma2
		excess := special.BivariateExcess(a, b, p.Rho)
		sum += jump * excess
		*dc += bend * d * excess
		if d != 0 {
			sum += d * p.Sigma2 * (b*excess + special.Density(b)*(above(a-p.Rho*b, q)-special.CDF(a)) + p.Rho*special.Density(a)*above(b-p.Rho*a, q))
		}
	}
	return sum
}

// knotOf returns J and D of knot t.
func knotOf(l *activation.LinearPieces, t int) (jump, bend float64) {
	bend = l.Slope[t+1] - l.Slope[t]
	return l.Value[t+1] - l.Value[t] + bend*l.At[t], bend
}

// above returns Phi(x/q), at q = 0 its limit.
func above(x, q float64) float64 {
	if q == 0 && x == 0 {
		return 0.5
	}
	return special.CDF(x / q)
}

// conditionalMean returns E f(X) and E f'(X) for X ~ N(mu, sigma^2).
func conditionalMean(f activation.Activation, mu, sigma float64) (mean, slope float64) {
	if sigma == 0 {
		return f.Apply(mu), f.Derivative(mu)
	}
	var h [2]float64
	f.Coefficients(h[:], mu, sigma)
	return h[0], h[1] / sigma
}
