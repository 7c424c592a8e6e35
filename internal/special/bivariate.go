package special

import "math"

// The standard bivariate normal distribution with correlation rho, Phi2(h, k;
// rho). Both forms below rest on d Phi2/d rho = phi2 (Plackett 1954) and on
// r = sin t, which removes the root from the density:
//
//	phi2 dr = exp( -(h^2 - 2 h k sin t + k^2) / (2 cos^2 t) ) dt / (2 pi).
//
// Up to |rho| = .9 the integral runs from 0, the independent case; beyond, as
// in Genz (2004, DOI 10.1023/B:STCO.0000035304.20635.31), it runs down from
// rho = 1, where the distribution is degenerate and known in closed form.

// middleNodes Gauss-Legendre nodes in t serve |rho| <= directLimit.
const (
	directLimit = 0.9
	middleNodes = 32
)

// BivariateDensity returns the density phi2(x, y; rho), |rho| < 1.
func BivariateDensity(x, y, rho float64) float64 {
	q2 := (1 - rho) * (1 + rho)
	d := x - rho*y
	return Density(y) * Density(d/math.Sqrt(q2)) / math.Sqrt(q2)
}

// BivariateExcess returns Phi2(h, k; rho) - Phi(h) Phi(k), the covariance of
// the indicators of X <= h and Y <= k, for rho in [-1, 1]. It is never formed
// by that subtraction; its error is of the order of 1e-16 times
// sqrt(Phi(h) (1-Phi(h)) Phi(k) (1-Phi(k))), also at and near |rho| = 1.
func BivariateExcess(h, k, rho float64) float64 {
	if rho < 0 {
		return -BivariateExcess(h, -k, -rho)
	}
	if math.IsInf(h, 0) || math.IsInf(k, 0) {
		return 0
	}
	if rho <= directLimit {
		return plackett(h, k, rho)
	}
	return CDF(min(h, k))*CDFComplement(max(h, k)) - plackettBelowOne(h, k, rho)
}

// BivariateCDF returns Phi2(h, k; rho) = P(X <= h, Y <= k), rho in [-1, 1],
// to about 1e-16 absolute. No form subtracts nearly equal numbers, save that
// of a small result at -.9 <= rho < 0.
func BivariateCDF(h, k, rho float64) float64 {
	switch {
	case math.IsInf(h, -1) || math.IsInf(k, -1):
		return 0
	case math.IsInf(h, 1):
		return CDF(k)
	case math.IsInf(k, 1):
		return CDF(h)
	case rho > directLimit:
		return CDF(min(h, k)) - plackettBelowOne(h, k, rho)
	case rho < -directLimit:
		// P(X <= h) - P(X <= h, -Y <= -k)
		return max(0, cdfDifference(-k, h)) + plackettBelowOne(h, -k, -rho)
	case rho < 0:
		return CDF(h)*CDF(k) - plackett(h, -k, -rho)
	}
	return CDF(h)*CDF(k) + plackett(h, k, rho)
}

// cdfDifference returns Phi(b) - Phi(a), from the tail in which both are
// small.
func cdfDifference(a, b float64) float64 {
	if a > 0 && b > 0 {
		a, b = -b, -a
	}
	return CDF(b) - CDF(a)
}

// plackett returns the integral of phi2(h, k; r) over r in [0, rho], rho in
// [0, .9].
func plackett(h, k, rho float64) float64 {
	if rho == 0 {
		return 0
	}
	x, w := GaussLegendre(middleNodes)
	end := math.Asin(rho)
	sum, d := 0.0, h-k
	for i := range x {
		sin, cos := math.Sincos(0.5 * end * (1 + x[i]))
		// h^2 - 2 h k sin t + k^2 = (h-k)^2 + 2 h k (1 - sin t)
		sum += w[i] * math.Exp(-d*d/(2*cos*cos)-h*k/(1+sin))
	}
	return invTwoPi * 0.5 * end * sum
}

// plackettBelowOne returns the integral of phi2(h, k; r) over r in [rho, 1],
// rho in [.9, 1]. With t = pi/2 - theta it is
//
//	1/(2 pi) int_0^{acos rho} exp( -(h-k)^2/(2 sin^2 theta) - h k/(1 + cos theta) ) dtheta,
//
// whose first factor switches on at theta = |h-k|. Panels that halve towards 0
// resolve that at any scale; they end where the rest is negligible. For h k > 0
// the factor exp(-h k/2) is taken out and formed without the rounding error of
// its exponent, which leaves -(h k/2) tan^2(theta/2) inside.
func plackettBelowOne(h, k, rho float64) float64 {
	hi := 2 * math.Asin(math.Sqrt(0.5*(1-rho))) // acos rho, also near 1
	d, p, lead := h-k, 0.5*h*k, 1.0
	if p > 0 {
		e := math.Exp(-p)
		lead = e - e*math.FMA(0.5*h, k, -p)
	}
	x, w := GaussLegendre(16)
	panel := func(lo, hi float64) float64 {
		sum := 0.0
		for i := range x {
			sin, cos := math.Sincos(0.5 * ((hi-lo)*x[i] + hi + lo))
			z, u := d/sin, sin/(1+cos)
			if p > 0 {
				sum += w[i] * math.Exp(-0.5*z*z-p*u*u)
			} else {
				sum += w[i] * math.Exp(-0.5*z*z-h*k/(1+cos))
			}
		}
		return 0.5 * (hi - lo) * sum
	}
	if d == 0 {
		return invTwoPi * lead * panel(0, hi)
	}
	total := 0.0
	for range 60 {
		part := panel(0.5*hi, hi)
		total += part
		hi *= 0.5
		if part <= 1e-17*total {
			break
		}
	}
	return invTwoPi * lead * total
}
