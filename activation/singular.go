package activation

import (
	"math"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/special"
)

// A singular is a function with singular points or ends of its domain on the
// real line, where its moments under a Gaussian may not exist: 1/X has none.
type singular interface {
	Name() string
	Apply(x float64) float64
	Kinks() []float64
	Derivative(x float64) float64
	// room returns the distances from x to the nearest singular points, or
	// ends of the domain, below and above it. Where x is at or beyond one,
	// one of them is not positive, or NaN.
	room(x float64) (below, above float64)
	// difference is that of formula, within the room of mu.
	difference(mu, delta float64) (d, size float64)
}

// guarded is a singular function with the moments of a harmless one.
//
// With every singular point more than safeDistance standard deviations from
// the mean, the function is taken on the range in between, half-way to a
// singular point and at least safeDistance, and as constant beyond: a change
// on a set whose probability is below 2 Phi(-8) = 1.25e-15. The moments are
// then as in numeric. Closer to a singular point, or where the function has
// grown so much at the end of the range that even so rare a value counts, it
// is its tangent at the mean,
//
//	h_0 = g(mu),   h_1 = sigma g'(mu),   h_k = 0 for k > 1,   Var = h_1^2.
//
// At a singular point, or outside the domain, there are no moments: NaN.
type guarded struct{ singular }

const (
	safeDistance = 8
	// mostLeftOut is the largest part of the variance that the values beyond
	// the range may have.
	mostLeftOut = 1e-6

	leftOutReason = "quadrature short of a singular point"
)

// Coefficients implements Activation.
func (g guarded) Coefficients(h []float64, mu, sigma float64) { g.marginal(h, mu, sigma, 0) }

// Variance implements Activation.
func (g guarded) Variance(mu, sigma float64) float64 {
	v, _ := g.marginal(nil, mu, sigma, 0)
	return v
}

func (guarded) exactness() covprop.Accuracy {
	return covprop.ApproximatedBy(math.Inf(1), quadratureReason)
}

func (g guarded) marginal(h []float64, mu, sigma, _ float64) (variance float64, acc covprop.Accuracy) {
	if sigma == 0 {
		clear(h)
		if len(h) > 0 {
			h[0] = g.Apply(mu)
		}
		return 0, covprop.Accuracy{}
	}
	f := g.within(mu, sigma)
	if f == nil {
		return g.tangent(h, mu, sigma), covprop.ApproximatedBy(math.Inf(1), Linearized)
	}
	m := quadrature(f, h, mu, sigma)
	if f.leftOut > 0 {
		return m.variance, covprop.ApproximatedBy(m.estimate+f.leftOut, leftOutReason)
	}
	return m.variance, covprop.ApproximatedBy(m.estimate, quadratureReason)
}

// tangent writes the coefficients of the tangent and returns their variance.
func (g guarded) tangent(h []float64, mu, sigma float64) (variance float64) {
	clear(h)
	if len(h) > 0 {
		h[0] = g.Apply(mu)
	}
	slope := sigma * g.Derivative(mu)
	if below, above := g.room(mu); !(min(below, above) > 0) {
		slope = math.NaN()
	}
	if len(h) > 1 {
		h[1] = slope
	}
	return slope * slope
}

// linear reports whether the function is its tangent for N(mu, sigma^2).
func (g guarded) linear(mu, sigma float64) bool { return sigma != 0 && g.within(mu, sigma) == nil }

// pairCovariance implements pairer: with one of the two linear, the Hermite
// series has one term,
//
//	Cov(f(X1), g(X2)) = rho h_1(f) h_1(g).
func (g guarded) pairCovariance(b Activation, p Pair, _, _ float64) (cov, bound float64, ok bool) {
	other, is := b.(guarded)
	if !g.linear(p.Mu1, p.Sigma1) && !(is && other.linear(p.Mu2, p.Sigma2)) {
		return 0, 0, false
	}
	var f, h [2]float64
	Marginal(g, f[:], p.Mu1, p.Sigma1, 0)
	Marginal(b, h[:], p.Mu2, p.Sigma2, 0)
	return p.Rho * f[1] * h[1], 0, true
}

// within returns the function on the range around mu, nil where it is its
// tangent.
func (g guarded) within(mu, sigma float64) *clamped {
	below, above := g.room(mu)
	near := min(below, above)
	if !(near > safeDistance*sigma) {
		return nil
	}
	c := &clamped{singular: g.singular, near: near, lo: math.Inf(-1), hi: math.Inf(1)}
	if !math.IsInf(below, 1) {
		c.lo = mu - max(safeDistance*sigma, 0.5*below)
		c.limit(c.lo, mu, sigma)
	}
	if !math.IsInf(above, 1) {
		c.hi = mu + max(safeDistance*sigma, 0.5*above)
		c.limit(c.hi, mu, sigma)
	}
	if !(c.leftOut <= mostLeftOut) {
		return nil
	}
	return c
}

// clamped is a singular function on [lo, hi], constant beyond: a formula.
type clamped struct {
	singular
	near    float64 // distance from the mean to the nearest singular point
	lo, hi  float64
	n       int
	ends    [2]float64 // n of them: those of lo and hi that are finite
	leftOut float64    // part of the variance that comes from beyond the ends
}

// limit adds an end. What is beyond it has its probability times the square of
// the difference there, relative to the variance of the tangent.
func (c *clamped) limit(end, mu, sigma float64) {
	c.ends[c.n] = end
	c.n++
	if p := special.CDF(-math.Abs(end-mu) / sigma); p > 0 {
		d, _ := c.singular.difference(mu, end-mu)
		d /= sigma * c.Derivative(mu)
		c.leftOut += p * d * d
	}
}

func (c *clamped) breaks() []float64 { return c.ends[:c.n] }

// strip is the distance to the true singularity: what clamping adds is as rare
// as what it takes away.
func (c *clamped) strip() float64 { return c.near }

func (c *clamped) difference(mu, delta float64) (d, size float64) {
	b := mu + delta
	if c.lo <= mu && mu <= c.hi && c.lo <= b && b <= c.hi {
		return c.singular.difference(mu, delta)
	}
	a := min(max(mu, c.lo), c.hi)
	return c.singular.difference(a, min(max(b, c.lo), c.hi)-a)
}
