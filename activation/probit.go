package activation

import (
	"math"

	"github.com/covprop/covprop/internal/special"
)

// NormalCDF returns the standard normal distribution function Phi, named
// "normal_cdf".
func NormalCDF() Activation { return normalCDF{} }

// Erf returns the error function erf(x) = 2 Phi(sqrt(2) x) - 1, named "erf".
func Erf() Activation { return erf{} }

// A probit is gain Phi(scale x) + constant.
type probit interface {
	probit() (gain, scale float64)
}

type normalCDF struct{}

func (normalCDF) probit() (gain, scale float64) { return 1, 1 }

func (normalCDF) Name() string                 { return "normal_cdf" }
func (normalCDF) Apply(x float64) float64      { return special.CDF(x) }
func (normalCDF) Kinks() []float64             { return nil }
func (normalCDF) Derivative(x float64) float64 { return special.Density(x) }

func (g normalCDF) Coefficients(h []float64, mu, sigma float64) {
	probitCoefficients(g, h, mu, sigma)
	if len(h) > 0 {
		h[0] = special.CDF(mu / math.Hypot(1, sigma))
	}
}

func (g normalCDF) Variance(mu, sigma float64) float64 {
	return probitCovariance(g, g, Pair{mu, sigma, mu, sigma, 1})
}

func (g normalCDF) pairCovariance(b Activation, p Pair, _, _ float64) (cov, bound float64, ok bool) {
	return probitPair(g, b, p)
}

type erf struct{}

func (erf) probit() (gain, scale float64) { return 2, math.Sqrt2 }

func (erf) Name() string                 { return "erf" }
func (erf) Apply(x float64) float64      { return math.Erf(x) }
func (erf) Kinks() []float64             { return nil }
func (erf) Derivative(x float64) float64 { return 2 / math.SqrtPi * math.Exp(-x*x) }

func (g erf) Coefficients(h []float64, mu, sigma float64) {
	probitCoefficients(g, h, mu, sigma)
	if len(h) > 0 {
		h[0] = math.Erf(mu / math.Hypot(1, math.Sqrt2*sigma))
	}
}

func (g erf) Variance(mu, sigma float64) float64 {
	return probitCovariance(g, g, Pair{mu, sigma, mu, sigma, 1})
}

func (g erf) pairCovariance(b Activation, p Pair, _, _ float64) (cov, bound float64, ok bool) {
	return probitPair(g, b, p)
}

// probitCoefficients writes h_k, k >= 1, of gain Phi(s x): with
// d = sqrt(1 + s^2 sigma^2), alpha = s sigma/d, u = s mu/d,
//
//	h_k = gain alpha^k (-1)^(k-1) He_{k-1}(u) phi(u) / sqrt(k!),
//
// the derivatives of E Phi(s X) = Phi(u) with respect to mu.
func probitCoefficients(g probit, h []float64, mu, sigma float64) {
	gain, s := g.probit()
	d := math.Hypot(1, s*sigma)
	alpha := s * sigma / d
	special.ScaledHermite(h, s*mu/d) // He_k(u) phi(u) / sqrt(k!)
	power := gain * alpha
	below := 0.0 // He_{k-1}(u) phi(u) / sqrt((k-1)!)
	for k, p := range h {
		if k > 0 {
			h[k] = power * below / math.Sqrt(float64(k))
			power *= -alpha
		}
		below = p
	}
}

// probitPair is probitCovariance as an exact pair form.
func probitPair(g probit, b Activation, p Pair) (cov, bound float64, ok bool) {
	if b, is := b.(probit); is {
		return probitCovariance(g, b, p), 0, true
	}
	return 0, 0, false
}

// probitCovariance returns Cov(g(X1), b(X2)) = sign(rho) gain1 gain2
// [ Phi2(u1, u2; r) - Phi(u1) Phi(u2) ], the integral of phi2(u1, u2) over the
// correlation from 0 to r; for rho < 0 that of the pair (X1, -X2).
func probitCovariance(g, b probit, p Pair) float64 {
	g1, s1 := g.probit()
	g2, s2 := b.probit()
	gain := g1 * g2
	if p.Rho < 0 {
		gain, p.Mu2, p.Rho = -gain, -p.Mu2, -p.Rho
	}
	a := newArc(s1, s2, p)
	return gain * a.integral(func(_, _, _ float64) float64 { return 1 })
}
