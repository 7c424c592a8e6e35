package activation

import (
	"math"
	"slices"
	"sync"

	"github.com/covprop/covprop"
)

// A formula is a function whose moments have no closed form.
type formula interface {
	Name() string
	Apply(x float64) float64
	Kinks() []float64
	Derivative(x float64) float64
	// breaks returns the points at which the panels of a quadrature are to
	// meet: the kinks, and the middle of a transition that may be short
	// against sigma.
	breaks() []float64
	// strip is the distance from the real line to the nearest singularity of
	// the function, 0 if it is not analytic.
	strip() float64
	// difference returns g(mu+delta) - g(mu), and the size of the numbers that
	// it was formed from: its rounding error is about epsilon times size.
	difference(mu, delta float64) (d, size float64)
}

// numeric is a formula with moments by quadrature.
//
// With d(z) = g(mu + sigma z) - g(mu) and its mean D = E d(Z),
//
//	h_0 = g(mu) + D,   h_k = E[ (d(Z) - D) He_k(Z) ] / sqrt(k!),   Var g(X) = E[ (d(Z) - D)^2 ],
//
// on a grid (see [grid]) or over adaptive panels that meet at the breaks of g. Where d is formed without
// cancellation all but h_0 keep their relative accuracy for every sigma and far
// into the tails.
type numeric struct{ formula }

const quadratureReason = "quadrature"

// Coefficients implements Activation.
func (n numeric) Coefficients(h []float64, mu, sigma float64) { n.marginal(h, mu, sigma, 0) }

// Variance implements Activation.
func (n numeric) Variance(mu, sigma float64) float64 {
	v, _ := n.marginal(nil, mu, sigma, 0)
	return v
}

func (n numeric) exactness() covprop.Accuracy {
	return covprop.ApproximatedBy(math.Inf(1), quadratureReason)
}

func (n numeric) marginal(h []float64, mu, sigma, tol float64) (variance float64, acc covprop.Accuracy) {
	if sigma == 0 {
		clear(h)
		if len(h) > 0 {
			h[0] = n.Apply(mu)
		}
		return 0, covprop.Accuracy{}
	}
	if a, ok := n.formula.(approximated); ok {
		if v, bound, ok := approximate(a, h, mu, sigma, tol); ok {
			return v, covprop.CertifiedBy(bound, approximantReason)
		}
	}
	m := quadrature(n.formula, h, mu, sigma)
	return m.variance, covprop.ApproximatedBy(m.estimate, quadratureReason)
}

// moments are what quadrature finds besides the coefficients.
type moments struct {
	shift    float64 // D = E g(X) - g(mu)
	variance float64
	estimate float64 // of the error relative to the standard deviation
}

var panelPool = sync.Pool{New: func() any { return new(panels) }}

// quadrature writes the Hermite coefficients of f for N(mu, sigma^2) to h,
// which may be empty. Moments that are not finite come with an infinite
// estimate.
func quadrature(f formula, h []float64, mu, sigma float64) moments {
	m := integrateMarginal(f, h, mu, sigma)
	if u, ok := f.(*function); ok && m.estimate > slopeThreshold {
		// Rounding of g(x) - g(mu) dominates: sigma is tiny.
		if s := (slopes{u}); s.suits(mu, sigma) {
			other := make([]float64, len(h))
			if o := integrateMarginal(s, other, mu, sigma); o.estimate < m.estimate {
				copy(h, other)
				return o
			}
		}
	}
	return m
}

func integrateMarginal(f formula, h []float64, mu, sigma float64) moments {
	if math.IsNaN(mu) || math.IsInf(mu, 0) || !(sigma > 0) || math.IsInf(sigma, 0) {
		for k := range h {
			h[k] = math.NaN()
		}
		return moments{math.NaN(), math.NaN(), math.Inf(1)}
	}
	if s, ok := f.(sweeper); ok {
		if m, ok := onGrid(s, h, mu, sigma); ok {
			return m
		}
	}
	return onPanels(f, h, mu, sigma)
}

// onPanels is integrateMarginal by adaptive panels.
func onPanels(f formula, h []float64, mu, sigma float64) moments {
	r := panelPool.Get().(*panels)
	defer panelPool.Put(r)
	r.marginal = shifted{f, mu, sigma}
	r.f, r.square = &r.marginal, true
	r.breaks = r.breaks[:0]
	r.addBreaks(f.breaks(), f.strip(), mu, sigma)
	r.build(r.breaks, coefficientReach, min(panelWidth, waves/math.Sqrt(float64(len(h)+1))))

	mean, variance := r.moments()
	missing := r.coefficients(h, mean)
	for k := range h {
		h[k] *= r.unit
	}
	m := moments{shift: mean * r.unit, variance: variance * r.unit * r.unit}
	if len(h) > 0 {
		h[0] = f.Apply(mu) + m.shift
	}
	m.estimate = r.estimate() + missing
	if r.scale == 0 {
		// Every difference is 0: exactly so where it was formed from nothing,
		// a function that is flat or underflows; otherwise by rounding.
		m.estimate = 0
		if slices.Max(r.size) > smallestNormal {
			m.estimate = math.Inf(1)
		}
	}
	r.marginal = shifted{}
	return m
}

// shifted is d(z) = g(mu + sigma z) - g(mu).
type shifted struct {
	formula
	mu, sigma float64
}

// at adds to the size what the rounding of a subnormal number amounts to.
func (s *shifted) at(z float64) (d, size float64) {
	d, size = s.difference(s.mu, s.sigma*z)
	return d, size + smallestNormal
}

const smallestNormal = 0x1p-1022

const (
	// coefficientReach is the range in which every h_k is resolved if g does
	// not grow: exp(-z^2/4) is 4e-19 beyond it.
	coefficientReach = 13
	// waves keeps the panels short against the wavelength 2 pi/sqrt(k) of
	// He_k: about three of them in a panel.
	waves = 18
)

// coefficients writes h_k = E[(d - mean) He_k]/sqrt(k!) for k >= 1 by the
// recurrence of the normalised polynomials
//
//	p_{k+1} = (z p_k - sqrt(k) p_{k-1})/sqrt(k+1),   p_0 = w (d - mean),
//
// run at all nodes at once. It returns an estimate of the error of the last
// two, which oscillate most, relative to the scale.
func (r *panels) coefficients(h []float64, mean float64) (missing float64) {
	if len(h) < 2 {
		return 0
	}
	n := len(r.d)
	r.p, r.q = slices.Grow(r.p[:0], n)[:n], slices.Grow(r.q[:0], n)[:n]
	z, p, q := r.z[:n], r.p, r.q // p_k and p_{k-1}
	for i, d := range r.d {
		p[i], q[i] = r.w[i]*(d-mean), 0
	}
	root := 0.0
	for k := 1; k < len(h); k++ {
		next := math.Sqrt(float64(k))
		inv := 1 / next
		s0, s1 := 0.0, 0.0
		i := 0
		for ; i+1 < n; i += 2 {
			t0 := (z[i]*p[i] - root*q[i]) * inv
			t1 := (z[i+1]*p[i+1] - root*q[i+1]) * inv
			q[i], q[i+1] = t0, t1
			s0 += t0
			s1 += t1
		}
		if i < n {
			q[i] = (z[i]*p[i] - root*q[i]) * inv
			s0 += q[i]
		}
		h[k] = s0 + s1
		p, q = q, p
		root = next
	}
	for _, p := range [][]float64{p, q} {
		diff := 0.0
		for i, t := range p {
			j := i % kronrodNodes
			diff += t * (1 - gaussW[j]/kronrodW[j])
		}
		missing = max(missing, kronrodError(diff/r.scale))
	}
	return missing
}
