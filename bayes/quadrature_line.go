package bayes

import (
	"math"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/special"
)

// An integrand is a function of one output and its first two derivatives.
type integrand interface {
	at(x float64) (f, df, d2f float64)
}

const (
	lineReach = 8.5  // phi is 8e-17 beyond it
	lineDrop  = 25   // exp(-lineDrop) = 1e-11 is the error aimed at
	lineNodes = 4096 // on either side, at most
)

// expect returns the means of f and of its two derivatives for X ~ N(mean, variance) by the trapezoidal
// rule, which converges geometrically where f is analytic (Trefethen & Weideman
// 2014, DOI 10.1137/130932132): with the nearest singularity at the distance
// strip from the real line, y = strip/sigma, and the step h the error is about
//
//	exp(-2 pi y/h + y^2/2),   y = 5 standing for anything larger.
//
// The accuracy is that as an estimate, relative to the scale on which f varies.
func expect[F integrand](g F, mean, variance, strip float64) (f, df, d2f float64, acc covprop.Accuracy) {
	if variance == 0 {
		f, df, d2f = g.at(mean)
		return f, df, d2f, acc
	}
	sigma := math.Sqrt(variance)
	y := min(strip/sigma, 5)
	h := max(2*math.Pi*y/(lineDrop+0.5*y*y), lineReach/lineNodes)
	n := int(math.Ceil(lineReach / h))
	for i := -n; i <= n; i++ {
		z := float64(i) * h
		w := h * special.Density(z)
		a, b, c := g.at(mean + sigma*z)
		f, df, d2f = f+w*a, df+w*b, d2f+w*c
	}
	return f, df, d2f, covprop.ApproximatedBy(math.Exp(0.5*y*y-2*math.Pi*y/h), "quadrature")
}
