package layer

import (
	"math"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/special"
)

// A guard is how a function keeps its division from 0 other than by epsilon:
// it divides by the root plus added, or by floor where the root is below that.
type guard struct{ floor, added float64 }

const addedReason = "a small number is added to the root"

// WithGuard returns the rule for a function that divides by the root plus
// added, or by floor where the root is below that. The rule itself divides by
// the root alone (epsilon takes the place of what keeps it from 0); how much
// that may matter is part of the accuracy it returns.
func (r *Norm) WithGuard(floor, added float64) *Norm {
	f := *r
	f.guard = guard{floor, added}
	return &f
}

// guarded says what is lost by dividing by the root alone, once the moments of
// the group are known.
func (s *groupMoments) guarded(in *Joint, group int) (acc covprop.Accuracy) {
	g := s.norm.guard
	if g == (guard{}) {
		return acc
	}
	mean, variance := s.norm.elements(in, group)
	if p := g.belowFloor(mean, variance); p > normRounding {
		acc = acc.And(covprop.ApproximatedBy(p, "a vector may be shorter than the smallest length to divide by"))
	}
	if e := g.addedToRoot(mean, variance, s); e > normRounding {
		acc = acc.And(covprop.ApproximatedBy(e, addedReason))
	}
	return acc
}

// elements returns the means and variances of the elements of a group, centred
// if the rule centres.
func (r *Norm) elements(in *Joint, group int) (mean, variance []float64) {
	n, at, c := r.n, group*r.n, in.Between(0, 0)
	mean, variance = make([]float64, n), make([]float64, n)
	r.centreTo(mean, in.Mean[0][at:at+n])
	shared, all := make([]float64, n), 0. // Cov(x_i, mean) and Var(mean)
	for i := range n {
		variance[i] = c.At(at+i, at+i)
		for j := range n {
			shared[i] += c.At(at+i, at+j) / float64(n)
		}
		all += shared[i] / float64(n)
	}
	if r.center {
		for i, s := range shared {
			variance[i] = max(0, variance[i]-2*s+all) // rounding only
		}
	}
	return mean, variance
}

// belowFloor bounds the probability that the root is below the floor: that the
// norm is below f = floor sqrt(n), and then every element,
//
//	P(|x_i| < f) <= 2 f density(f - |m_i|) for |m_i| > f, 2 f density(0) otherwise.
//
// A vector that is 0 for certain is so divided by anything.
func (g guard) belowFloor(mean, variance []float64) float64 {
	f, p, zero := g.floor*math.Sqrt(float64(len(mean))), 1., true
	for i, v := range variance {
		m, sd := max(0, math.Abs(mean[i])-f), math.Sqrt(v)
		switch {
		case sd > 0:
			p = min(p, 2*f/sd*special.Density(m/sd))
		case m > 0:
			p = 0
		}
		zero = zero && sd == 0 && mean[i] == 0
	}
	if zero || g.floor == 0 {
		return 0
	}
	return p
}

// addedToRoot estimates the error of 1/root in place of 1/(root + added): y is
// off by the part added/root of itself, with the root mean square of the root
// for the root, and that is measured in standard deviations of y.
func (g guard) addedToRoot(mean, variance []float64, y *groupMoments) (worst float64) {
	square := 0.
	for i, v := range variance {
		square += (mean[i]*mean[i] + v) / float64(len(mean))
	}
	if square == 0 || g.added == 0 {
		return 0
	}
	for i, m := range y.mean {
		if v := y.cov.Data[i*y.cov.Stride+i]; v > 0 {
			worst = max(worst, math.Hypot(m, math.Sqrt(v))/math.Sqrt(v))
		} else if m != 0 {
			worst = max(worst, 1)
		}
	}
	return worst * g.added / math.Sqrt(square)
}
