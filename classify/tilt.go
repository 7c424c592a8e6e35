package classify

import (
	"math"

	"gonum.org/v1/gonum/floats"

	"github.com/covprop/covprop/internal/special"
)

// The tilt of Botev (2017, DOI 10.1111/rssb.12162) is the saddle point
// min_mu max_x of
//
//	psi(x; mu) = sum_k mu_k^2/2 - mu_k x_k + log( Phi(upper_k(x) - mu_k) - Phi(lower_k(x) - mu_k) ),
//
// where x_k is the mean of z_k and, with a_k = phi(upper_k - mu_k)/e_k,
// b_k = phi(lower_k - mu_k)/e_k and the coefficients c of the rows that are the
// limits,
//
//	x_k = mu_k - a_k + b_k,   mu_q = -sum_{k>q} a_k c^upper_kq + b_k c^lower_kq.
//
// A damped fixed-point iteration gets close enough: the estimate is unbiased
// for any mu, only its variance depends on it. That of a mu which is no saddle
// point may be so large that no point shows it; where the iteration does not
// converge, or x is not within the limits, mu is 0.

const (
	tiltRounds = 300
	tiltStep   = 0.5  // at first; halved when the changes do not fall
	tiltDone   = 1e-2 // distance of mu from its next value that no longer matters
	// tiltMost limits mu while it is sought: a class that needs as much has a
	// probability that underflows.
	tiltMost = 40
)

// tilt returns mu.
func (o *orthant) tilt() []float64 {
	mu, x, next := make([]float64, len(o.steps)), make([]float64, len(o.steps)), make([]float64, len(o.steps))
	last := len(o.steps) - 1
	step, before := tiltStep, math.Inf(1)
	for range tiltRounds {
		clear(next)
		open := true
		for k, s := range o.steps {
			hi, lo := s.limits(x[:k])
			open = open && lo.at < hi.at
			a, b := 0., 0.
			if hi.row != nil {
				a = ratio(hi.at-mu[k], lo.at-mu[k])
			}
			if lo.row != nil {
				b = ratio(-(lo.at - mu[k]), -(hi.at - mu[k]))
			}
			x[k] = mu[k] - a + b
			if hi.row != nil {
				floats.AddScaled(next[:k], -a, hi.row)
			}
			if lo.row != nil {
				floats.AddScaled(next[:k], -b, lo.row)
			}
		}
		next[last] = 0
		change := 0.
		for k := range mu {
			d := max(-tiltMost, min(tiltMost, next[k])) - mu[k]
			mu[k] += step * d
			change = math.Max(change, math.Abs(d))
		}
		if change > before {
			step /= 2
		}
		before = change
		if math.IsNaN(change) {
			break
		}
		if change < tiltDone {
			if !open || floats.Norm(mu, math.Inf(1)) > tiltMost-1 {
				break
			}
			return mu
		}
	}
	clear(mu)
	return mu
}

// ratio returns phi(h)/(Phi(h) - Phi(l)), l < h.
func ratio(h, l float64) float64 {
	if l < -40 {
		return 1 / special.Mills(-h)
	}
	e, _, _ := interval(l, h)
	return special.Density(h) / e
}

// A limit of z_k and the coefficients of the row that sets it, nil if none.
type limit struct {
	at  float64
	row []float64
}

// limits returns the limits of z_k given x = (z_0, ..., z_{k-1}).
func (s *step) limits(x []float64) (hi, lo limit) {
	hi.at, lo.at = math.Inf(1), math.Inf(-1)
	for _, r := range s.rows {
		switch t := r.limit - floats.Dot(r.coef, x); {
		case r.sign > 0 && t < hi.at:
			hi = limit{t, r.coef}
		case r.sign < 0 && -t > lo.at:
			lo = limit{-t, r.coef}
		}
	}
	return hi, lo
}
