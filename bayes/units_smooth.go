package bayes

import (
	"math"
	"sync"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/internal/special"
)

// Units of smooth activations without closed forms, as tanh's: all that is needed are
// integrals over Z of d = g(mu + sigma Z) - g(mu) and of (d - E d)^2 times
// polynomials, here by the trapezoidal rule at nodes that all units share. It
// converges geometrically for analytic functions (Trefethen & Weideman 2014, DOI
// 10.1137/130932132): the error at a step is about the square of that at twice the
// step, whose nodes are every second one. The difference of the two is taken for the
// error all the same, and the step is halved until it is below the tolerance; so a
// function that is less smooth than it says is noticed. What does not converge, or
// has a deviation that the rounding of g is not small against, is left to package
// activation.

// smoothReach is where the nodes end: phi He_k/sqrt(k!) is below exp(-z^2/4) = 5e-19
// there, for all orders.
const smoothReach = 13

// smoothSteps are the steps. The first resolves He_64, whose waves have the length
// 2 pi/8.
var smoothSteps = [...]float64{1. / 4, 1. / 8, 1. / 16}

// smoothRule is the rule of a step.
type smoothRule struct {
	z, w    []float64 // (nodes) odd in number, the middle one 0: nodes and weights
	hermite []float64 // (nodes, pairOrder): row i has w He_k(z_i)/sqrt(k!), k = 1 to pairOrder
}

var smoothRules = sync.OnceValue(func() (rules [len(smoothSteps)]smoothRule) {
	for l, h := range smoothSteps {
		n := int(smoothReach / h)
		r := &rules[l]
		for i := -n; i <= n; i++ {
			z := float64(i) * h
			w := h * special.Density(z)
			r.z, r.w = append(r.z, z), append(r.w, w)
			// p_{k+1} = (z p_k - sqrt(k) p_{k-1})/sqrt(k+1), scaled by w from the start.
			before, p := 0., w
			for k := range pairOrder {
				before, p = p, (z*p-math.Sqrt(float64(k))*before)/math.Sqrt(float64(k+1))
				r.hermite = append(r.hermite, p)
			}
		}
	}
	return rules
})

// smoothScratch is scratch for the units of a batch.
type smoothScratch struct{ x, d, h []float64 }

// isSmooth reports whether the rule is for e.
func (e *elementwise) isSmooth() bool {
	return !e.linear && len(e.Kinks()) == 0 && activation.Exactness(e.Activation).Status != covprop.Exact
}

// smooth computes the units of the batch s, from number at on. Bit i of done is set
// for those it is good for. The coefficients, where pairs need them, go to h.
func (u *units) smooth(s *unitBatch, e *elementwise, at int, h []float64, ld int, tol float64) (done uint64, acc covprop.Accuracy) {
	n := len(s.Mu)
	rules := smoothRules()
	for l := range rules {
		r := &rules[l]
		nodes := len(r.z)
		s.smooth.x, s.smooth.d = resize(s.smooth.x, nodes), resize(s.smooth.d, n*nodes)
		var found uint64
		for i := range n {
			if done>>i&1 == 1 || !(s.Sigma[i] > 0) {
				continue
			}
			if estimate := u.smoothUnit(s, e, r, at, i, s.smooth.d[i*nodes:][:nodes]); estimate <= tol {
				acc = acc.And(covprop.ApproximatedBy(estimate, "quadrature"))
				s.noise[i] = exactNoise + 2*estimate*estimate
				found |= 1 << i
			}
		}
		if found != 0 && u.order == pairOrder {
			s.smoothCoefficients(r, n, found, u.order, h, ld)
		}
		if done |= found; done == 1<<n-1 {
			break
		}
	}
	return done, acc
}

// smoothUnit computes unit i by one rule, writes d to its argument, and returns an
// estimate of the largest error, relative to the output's deviation on the scale of
// sigma.
func (u *units) smoothUnit(s *unitBatch, e *elementwise, r *smoothRule, at, i int, d []float64) (estimate float64) {
	mu, sigma := s.Mu[i], s.Sigma[i]
	x := s.smooth.x
	for k, z := range r.z {
		x[k] = mu + sigma*z
	}
	activation.ApplyTo(e.Activation, d, x)
	middle := d[len(d)/2]
	// Sums over the nodes of the coarse rule, those of even distance from the middle,
	// and over the others: of d, d z, d (z^2-1) and d (z^3-3z).
	var sums [2][4]float64
	first := len(d) / 2 & 1 // whether the first node is one of the others
	for k, g := range d {
		z := r.z[k]
		g -= middle
		d[k] = g
		t, y := &sums[(k+first)&1], r.w[k]*g
		t[0] += y
		t[1] += y * z
		t[2] += y * (z*z - 1)
		t[3] += y * z * (z*z - 3)
	}
	mean := sums[0][0] + sums[1][0]
	var squares [2][3]float64 // of (d - E d)^2, times 1, z and z^2 - 1
	for k, g := range d {
		z := r.z[k]
		g -= mean
		t, y := &squares[(k+first)&1], r.w[k]*g*g
		t[0] += y
		t[1] += y * z
		t[2] += y * (z*z - 1)
	}
	variance := squares[0][0] + squares[1][0]
	sd := math.Sqrt(variance)
	// The fine rule is the sum of the two, and the coarse one twice the first.
	for m := range sums[0] {
		estimate = max(estimate, math.Abs(sums[1][m]-sums[0][m])/sd)
	}
	for m := range squares[0] {
		estimate = max(estimate, math.Abs(squares[1][m]-squares[0][m])/variance)
	}
	estimate += 0x1p-52 * (1 + math.Abs(middle)/sd)
	s.Mean[i], s.Variance[i], s.Deviation[i] = middle+mean, variance, sd
	inverse := 1 / sigma
	s.Gain[i] = (sums[0][1] + sums[1][1]) * inverse
	u.bend[at+i] = (sums[0][2] + sums[1][2]) * inverse * inverse
	u.third[at+i] = (sums[0][3] + sums[1][3]) * inverse * inverse * inverse
	u.varMu[at+i] = (squares[0][1] + squares[1][1]) * inverse
	u.varV[at+i] = 0.5 * (squares[0][2] + squares[1][2]) * inverse * inverse
	if estimate != estimate { // a constant, or not finite
		return math.Inf(1)
	}
	return estimate
}

// smoothCoefficients writes h_k over the deviation, k = 1 to order, for the units
// of found: one product of their d with the weights.
func (s *unitBatch) smoothCoefficients(r *smoothRule, n int, found uint64, order int, h []float64, ld int) {
	nodes := len(r.z)
	s.smooth.h = resize(s.smooth.h, n*order)
	for i := range n { // those of others may not be finite
		if found>>i&1 == 0 {
			clear(s.smooth.d[i*nodes:][:nodes])
		}
	}
	mulTo(matrix(s.smooth.h, n, order, order), matrix(s.smooth.d, n, nodes, nodes), matrix(r.hermite, nodes, order, pairOrder), false)
	for i := range n {
		if found>>i&1 == 0 {
			continue
		}
		for k, c := range s.smooth.h[i*order:][:order] {
			h[k*ld+i] = kernel.Significant(c / s.Deviation[i])
		}
	}
}
