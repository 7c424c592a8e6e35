package activation

import (
	"math"

	"github.com/covprop/covprop/internal/special"
)

// The logistic function is within 2.11e-9 of a mixture of normal distribution
// functions sum_i p_i Phi(s_i x) (Monahan & Stefanski 1992, eight terms). By
// integration and multiplication by x that gives approximants of softplus
// (8.14e-9) and SiLU (3.60e-8). These are the maxima on a grid of step
// h = 1e-5 over |x| <= 60. Between two points of it an error e exceeds the
// larger of its values there by at most h^2 sup|d2e/dx2|/8 < 3e-11, as
// |d2e/dx2| < 2 for all three, and beyond 60 it is below 1e-14: the bounds
// below leave room for both.
//
// With u = s mu/d, d = sqrt(1 + s^2 sigma^2), alpha = s sigma/d the terms have
//
//	Phi(s x):    c_0 = Phi(u),  c_k = alpha^k (-1)^(k-1) He_{k-1}(u) phi(u)
//	x Phi(s x):  c_0 = mu Phi(u) + sigma alpha phi(u),  c_1 = sigma [Phi(u) + s mu/d^3 phi(u)],
//	             c_k = sigma alpha^(k-1) (-1)^k [He_{k-2}(u) - (1-alpha^2) He_k(u)] phi(u),  k >= 2.
//
// An approximant whose coefficients are all within err of the true ones
// (|E[(g - g~) He_k]|/sqrt(k!) <= sup|g - g~|) moves the standard deviation by
// err at most.
var mixture = [8]struct{ p, s float64 }{
	{.003246343272134, 1.365340806296348},
	{.051517477033972, 1.059523971016916},
	{.195077912673858, .830791313765644},
	{.315569823632818, .650732166639391},
	{.274149576158423, .508135425366489},
	{.131076880695470, .396313345166341},
	{.027912418727972, .308904252267995},
	{.001449567805354, .238212616409306},
}

const (
	sigmoidError  = 2.2e-9
	softplusError = 8.2e-9
	siluError     = 3.7e-8

	approximantReason = "approximant"
	approximantTerms  = 256
	// |He_k(u)| phi(u)/sqrt(k!) is below it for all k and u: Cramer's
	// 1.0865 exp(u^2/4), times phi(u).
	cramer = 0.4335
)

// approximated is a formula with an approximant.
type approximated interface {
	formula
	// approximant writes the coefficients of the approximant and returns a
	// bound on sum_{k >= len(h)} h_k^2. h has at least four elements.
	approximant(h []float64, mu, sigma float64) (tail float64)
	// approximantError bounds the distance to the approximant, and
	// deviationBound the standard deviation of the output.
	approximantError() float64
	deviationBound(sigma float64) float64
}

// approximate writes the approximant's coefficients if it meets tol. The bound
// is relative to the variance: with s the true standard deviation, err the
// approximant's error and T the truncated part of the sum of squares,
//
//	|Var - sum| <= 2 err s + err^2 + T.
func approximate(a approximated, h []float64, mu, sigma, tol float64) (variance, bound float64, ok bool) {
	err := a.approximantError()
	if !(2*err <= tol*a.deviationBound(sigma)) {
		return 0, 0, false
	}
	var buf [approximantTerms]float64
	for n := 32; n <= approximantTerms; n *= 2 {
		tail := a.approximant(buf[:n], mu, sigma)
		sum := 0.0
		for _, c := range buf[1:n] {
			sum += c * c
		}
		s := math.Sqrt(sum) - err
		bound = (2*err*s + err*err + tail) / (s * s)
		if !(s > 0) || !(2*err/s <= tol) {
			return 0, 0, false
		}
		if !(bound <= tol) {
			continue // also NaN: s^2 sigma^2 overflows
		}
		if len(h) > n {
			a.approximant(h, mu, sigma)
		} else {
			copy(h, buf[:n])
		}
		return sum, bound, true
	}
	return 0, 0, false
}

// mixtureSigmoid writes the coefficients of sum_i p_i Phi(s_i x).
func mixtureSigmoid(h []float64, mu, sigma float64) (tail float64) {
	he := make([]float64, len(h))
	clear(h)
	for _, m := range mixture {
		d := math.Hypot(1, m.s*sigma)
		alpha, u := m.s*sigma/d, m.s*mu/d
		special.ScaledHermite(he, u)
		h[0] += m.p * special.CDF(u)
		power := -m.p // p alpha^k (-1)^(k-1)
		for k := 1; k < len(h); k++ {
			power *= -alpha
			h[k] += power * he[k-1] / math.Sqrt(float64(k))
		}
	}
	n, s := float64(len(h)), mixture[0].s*sigma
	alpha2 := s * s / (1 + s*s)
	return cramer * cramer * math.Pow(alpha2, n) / n * (1 + s*s) // 1/(1-alpha^2) = 1 + s^2
}

func (sigmoid) approximant(h []float64, mu, sigma float64) (tail float64) {
	return mixtureSigmoid(h, mu, sigma)
}
func (sigmoid) approximantError() float64            { return sigmoidError }
func (sigmoid) deviationBound(sigma float64) float64 { return min(0.5, sigma/4) }

// tanh(x) = 2 sigmoid(2x) - 1.
func (tanh) approximant(h []float64, mu, sigma float64) (tail float64) {
	tail = mixtureSigmoid(h, 2*mu, 2*sigma)
	for k := range h {
		h[k] *= 2
	}
	h[0]--
	return 4 * tail
}
func (tanh) approximantError() float64            { return 2 * sigmoidError }
func (tanh) deviationBound(sigma float64) float64 { return min(1, sigma) }

// The derivative of softplus is the sigmoid: c_k = sigma c_{k-1}(sigmoid).
func (softplus) approximant(h []float64, mu, sigma float64) (tail float64) {
	n := len(h)
	tail = mixtureSigmoid(h[:n-1], mu, sigma) * sigma * sigma / float64(n)
	for k := n - 1; k >= 1; k-- {
		h[k] = sigma * h[k-1] / math.Sqrt(float64(k))
	}
	h[0] = 0
	for _, m := range mixture {
		d := math.Hypot(1, m.s*sigma)
		u := m.s * mu / d
		h[0] += m.p * (mu*special.CDF(u) + d/m.s*special.Density(u))
	}
	return tail
}
func (softplus) approximantError() float64            { return softplusError }
func (softplus) deviationBound(sigma float64) float64 { return sigma }

func (silu) approximant(h []float64, mu, sigma float64) (tail float64) {
	return mixtureSwish(h, mu, sigma, 1)
}
func (silu) approximantError() float64            { return siluError }
func (silu) deviationBound(sigma float64) float64 { return 1.1 * sigma }

func (g quickGELU) approximant(h []float64, mu, sigma float64) (tail float64) {
	return mixtureSwish(h, mu, sigma, g.beta)
}
func (g quickGELU) approximantError() float64            { return siluError / math.Abs(g.beta) }
func (g quickGELU) deviationBound(sigma float64) float64 { return 1.1 * sigma }

// mixtureSwish writes the coefficients of sum_i p_i x Phi(s_i beta x).
func mixtureSwish(h []float64, mu, sigma, beta float64) (tail float64) {
	he := make([]float64, len(h)+1)
	clear(h)
	for _, m := range mixture {
		s := m.s * beta
		d := math.Hypot(1, s*sigma)
		alpha, u := s*sigma/d, s*mu/d
		special.ScaledHermite(he, u)
		cdf, phi := special.CDF(u), he[0]
		h[0] += m.p * (mu*cdf + sigma*alpha*phi)
		h[1] += m.p * sigma * (cdf + s*mu/(d*d*d)*phi)
		power := -m.p * sigma // p sigma alpha^(k-1) (-1)^k
		for k := 2; k < len(h); k++ {
			power *= -alpha
			// He_{k-2}/sqrt(k!) and He_k/sqrt(k!)
			h[k] += power * (he[k-2]/math.Sqrt(float64(k)*float64(k-1)) - he[k]/(d*d))
		}
	}
	n, s := float64(len(h)), mixture[0].s*beta*sigma
	alpha2 := s * s / (1 + s*s)
	return 4 * sigma * sigma * cramer * cramer * math.Pow(alpha2, n-1) * (1 + s*s)
}
