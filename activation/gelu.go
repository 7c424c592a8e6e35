package activation

import (
	"math"

	"github.com/covprop/covprop/internal/special"
)

// GELU returns the Gaussian error linear unit x Phi(x) (Hendrycks & Gimpel
// 2016), named "gelu".
//
// With d = sqrt(1 + sigma^2), alpha = sigma/d and u = mu/d its coefficients
// are, by X Phi(X) = (mu + sigma Z) Phi(X),
//
//	h_0 = d [ u Phi(u) + alpha^2 phi(u) ]
//	h_1 = sigma [ Phi(u) + u phi(u)/d^2 ]
//	h_k = sigma alpha^(k-1) (-1)^k [ He_{k-2}(u) - He_k(u)/d^2 ] phi(u) / sqrt(k!),   k >= 2.
func GELU() Activation { return gelu{} }

type gelu struct{}

func (gelu) Name() string     { return "gelu" }
func (gelu) Kinks() []float64 { return nil }

func (gelu) Apply(x float64) float64 {
	if x < -geluLimit {
		return 0
	}
	return x * special.CDF(x)
}

func (gelu) Derivative(x float64) float64 {
	switch {
	case x < -geluLimit:
		return 0
	case x > geluLimit:
		return 1
	}
	return special.CDF(x) + x*special.Density(x)
}

// geluLimit is where x phi(x) is 0 in float64; it keeps -Inf * 0 away.
const geluLimit = 40

func (gelu) Coefficients(h []float64, mu, sigma float64) {
	d := math.Hypot(1, sigma)
	alpha, u := sigma/d, mu/d
	special.ScaledHermite(h, u) // p_k = He_k(u) phi(u) / sqrt(k!)
	power := -sigma
	var p1, p2 float64 // p_{k-1}, p_{k-2}
	for k, p := range h {
		switch k {
		case 0:
			h[0] = d * (u*special.CDF(u) + alpha*alpha*p)
		case 1:
			h[1] = geluSlope(mu, sigma)
		default:
			power *= -alpha
			h[k] = power * (p2/math.Sqrt(float64(k)*float64(k-1)) - p/(d*d))
		}
		p1, p2 = p, p1
	}
}

// geluSlope returns h_1.
func geluSlope(mu, sigma float64) float64 {
	d := math.Hypot(1, sigma)
	u := mu / d
	return sigma * (special.CDF(u) + u/(d*d)*special.Density(u))
}

func (gelu) Variance(mu, sigma float64) float64 {
	return geluCovariance(Pair{mu, sigma, mu, sigma, 1})
}

func (gelu) pairCovariance(b Activation, p Pair, _, _ float64) (cov, bound float64, ok bool) {
	if b != GELU() {
		return 0, 0, false
	}
	return geluCovariance(p), 0, true
}

// geluCovariance returns Cov(g(X1), g(X2)). Two steps of Taylor's formula in
// the correlation give
//
//	Cov = rho h_1 h_1' + sigma1^2 sigma2^2 int_0^rho (rho - s) E_s[g2(X1) g2(X2)] ds
//
// with g2(x) = (2 - x^2) phi(x), the second derivative. phi(x) phi(y) times the
// density of (X1, X2) is phi2(u1, u2; r)/(d1 d2) times the density of the
// Gaussian with means m_i and, s being the correlation of X1 and X2,
//
//	l_i = 1/(d_i^2 cos^2 t),   m1 = (u1 - r u2)/(d1 cos^2 t),   m2 likewise,
//	variances 1 - l_i,         covariance S = r/(d1 d2 cos^2 t),   r = sin t = s alpha1 alpha2,
//
// so that E_s[g2 g2] = phi2(u1, u2; r)/(d1 d2) [ (1+l1-m1^2)(1+l2-m2^2) + 4 m1 m2 S + 2 S^2 ].
// g2 is even: rho < 0 is the case of -X2.
func geluCovariance(p Pair) float64 {
	linear := p.Rho * geluSlope(p.Mu1, p.Sigma1) * geluSlope(p.Mu2, p.Sigma2)
	if p.Rho < 0 {
		p.Mu2, p.Rho = -p.Mu2, -p.Rho
	}
	a := newArc(1, 1, p)
	rest := a.integral(func(x, sin, cos float64) float64 {
		c2 := cos * cos
		l1, l2 := 1/(a.d1*a.d1*c2), 1/(a.d2*a.d2*c2)
		// u1 - r u2 = (u1 - u2) + u2 cos^2 t/(1 + r)
		m1 := ((a.u1-a.u2)/c2 + a.u2/(1+sin)) / a.d1
		m2 := ((a.u2-a.u1)/c2 + a.u1/(1+sin)) / a.d2
		s := sin / (a.d1 * a.d2 * c2)
		// sin T - sin t, t = T - x
		lag := 2 * math.Sin(0.5*x) * math.Sin(a.gap+0.5*x)
		return lag * ((1+l1-m1*m1)*(1+l2-m2*m2) + 4*m1*m2*s + 2*s*s)
	})
	return linear + a.d1*a.d2*rest
}
