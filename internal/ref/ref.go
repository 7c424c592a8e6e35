// Package ref computes moments of scalar functions of Gaussian variables by
// brute force: composite Gauss-Legendre quadrature on panels that meet at the
// kinks. It is slow, obvious and frozen, and independent of everything it is
// meant to check; only tests use it.
//
// Results are good to about 1e-13 of their natural scale: for a mean the
// larger of its size and the standard deviation, for a variance itself, for a
// covariance the product of the standard deviations. It is not for functions
// that outgrow the normal density or that have structure finer than a twentieth
// of a standard deviation away from the kinks.
package ref

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/integrate/quad"
)

const (
	reach    = 13.0 // the rule covers at least |z| <= reach, exp(-reach^2/2) = 2e-37
	farthest = 37.0 // kinks beyond it are out of reach of float64
	beyond   = 6.0  // the rule goes this far beyond the outermost kink
	panel    = 0.5  // largest width of a panel
	nodes    = 24   // per panel
)

// A point is a node and its weight, which includes the normal density.
type point struct{ z, w float64 }

// rule returns a rule for the standard normal weight that splits at the given
// points.
func rule(splits []float64) []point {
	end := reach
	for _, s := range splits {
		if math.Abs(s) < farthest {
			end = max(end, math.Abs(s)+beyond)
		}
	}
	edges := []float64{-end, end}
	for _, s := range splits {
		if math.Abs(s) < end {
			edges = append(edges, s)
		}
	}
	slices.Sort(edges)
	x, w := make([]float64, nodes), make([]float64, nodes)
	quad.Legendre{}.FixedLocations(x, w, -1, 1)
	var points []point
	for i, lo := range edges[:len(edges)-1] {
		hi := edges[i+1]
		n := math.Ceil((hi - lo) / panel)
		for j := range int(n) {
			a, b := lo+(hi-lo)*float64(j)/n, lo+(hi-lo)*float64(j+1)/n
			for k := range x {
				z := (a+b)/2 + (b-a)/2*x[k]
				points = append(points, point{z, (b - a) / 2 * w[k] * math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)})
			}
		}
	}
	return points
}

// standardise returns (kink - mu)/sigma for every kink.
func standardise(kinks []float64, mu, sigma float64) []float64 {
	z := make([]float64, len(kinks))
	for i, k := range kinks {
		z[i] = (k - mu) / sigma
	}
	return z
}

// Mean returns E f(X), X ~ N(mu, sigma^2). kinks are the points where f is not
// smooth.
func Mean(f func(float64) float64, mu, sigma float64, kinks []float64) float64 {
	if sigma == 0 {
		return f(mu)
	}
	sum := 0.0
	for _, p := range rule(standardise(kinks, mu, sigma)) {
		sum += p.w * f(mu+sigma*p.z)
	}
	return sum
}

// Variance returns Var f(X), X ~ N(mu, sigma^2).
func Variance(f func(float64) float64, mu, sigma float64, kinks []float64) float64 {
	if sigma == 0 {
		return 0
	}
	mean, sum := Mean(f, mu, sigma, kinks), 0.0
	for _, p := range rule(standardise(kinks, mu, sigma)) {
		d := f(mu+sigma*p.z) - mean
		sum += p.w * d * d
	}
	return sum
}

// Coefficient returns E[f(mu + sigma Z) He_k(Z)]/sqrt(k!), for k up to about
// 40.
func Coefficient(f func(float64) float64, k int, mu, sigma float64, kinks []float64) float64 {
	if sigma == 0 {
		if k == 0 {
			return f(mu)
		}
		return 0
	}
	centre := 0.0 // He_k is orthogonal to constants
	if k > 0 {
		centre = Mean(f, mu, sigma, kinks)
	}
	sum := 0.0
	for _, p := range rule(standardise(kinks, mu, sigma)) {
		sum += p.w * (f(mu+sigma*p.z) - centre) * hermite(k, p.z)
	}
	return sum
}

// hermite returns He_k(z)/sqrt(k!).
func hermite(k int, z float64) float64 {
	below, h := 0.0, 1.0
	for i := range k {
		below, h = h, (z*h-math.Sqrt(float64(i))*below)/math.Sqrt(float64(i+1))
	}
	return h
}

// Covariance returns Cov(f(X1), g(X2)) for X1 ~ N(mu1, sigma1^2) and
// X2 ~ N(mu2, sigma2^2) with correlation rho, by conditioning on X1. fk and gk
// are the kinks of f and g. The outer panels also meet around the points where
// the conditional mean of X2 crosses a kink of g, on the scale on which the
// conditional deviation blurs it.
func Covariance(f func(float64) float64, fk []float64, g func(float64) float64, gk []float64,
	mu1, sigma1, mu2, sigma2, rho float64,
) float64 {
	if sigma1 == 0 || sigma2 == 0 || rho == 0 {
		return 0
	}
	meanF, meanG := Mean(f, mu1, sigma1, fk), Mean(g, mu2, sigma2, gk)
	q := math.Sqrt((1 - rho) * (1 + rho))
	splits := standardise(fk, mu1, sigma1)
	for _, z := range standardise(gk, mu2, sigma2) {
		for _, d := range []float64{-6, -4, -2, -1, 0, 1, 2, 4, 6} {
			splits = append(splits, z/rho+d*q/math.Abs(rho))
		}
	}
	sum := 0.0
	for _, p := range rule(splits) {
		x1, m := mu1+sigma1*p.z, mu2+sigma2*rho*p.z
		centred := func(x float64) float64 { return g(x) - meanG }
		sum += p.w * (f(x1) - meanF) * Mean(centred, m, sigma2*q, gk)
	}
	return sum
}
