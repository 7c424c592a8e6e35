package layer

import (
	"math"

	"github.com/covprop/covprop/classify/lattice"
)

// A Counter states how many multiply-adds it takes: a rule those of Forward, a
// gain those of a product with one vector.
type Counter interface {
	Operations() int64
}

// Operations returns the multiply-adds of r.Forward, those with weights in the
// padding of a convolution or the gaps of a sparse map left out. For a rule
// that is no [Counter] it is the number of elements that it computes.
func Operations(r Rule) int64 {
	if c, ok := r.(Counter); ok {
		return c.Operations()
	}
	return int64(r.OutputLen())
}

// Operations implements Counter.
func (a *Affine) Operations() int64 {
	return int64(a.outer) * int64(a.inner) * int64(len(a.w.Data))
}

// Operations implements Counter.
func (c *Conv) Operations() int64 {
	return int64(c.batch*c.groups) * int64(c.outC*c.inC) * int64(c.met)
}

// Operations implements Counter.
func (s *Sparse) Operations() int64 {
	return int64(s.outer) * int64(s.inner) * int64(len(s.weight))
}

// Operations implements Counter.
func (s *Sum) Operations() int64 { return int64(len(s.coef)) * int64(s.inputs[0]) }

// Operations implements Counter.
func (g *diagonal) Operations() int64 { return int64(g.n) }

// Operations implements Counter: another shape costs nothing.
func (r *Reshape) Operations() int64 { return 0 }

// Operations implements Counter.
func (p *placement) Operations() int64 { return int64(p.outer) * int64(p.n) }

// Operations implements Counter.
func (s *Select) Operations() int64 { return int64(len(s.index)) }

// Operations implements Counter.
func (p *MatProduct) Operations() int64 {
	return int64(p.batch) * int64(p.m) * int64(p.k) * int64(p.n)
}

// GainOperations returns the multiply-adds of a product of r's gain for an input
// with a vector: the number of its entries that may differ from zero.
func GainOperations(r Nonlinear, input int) int64 {
	out := int64(r.OutputLen())
	switch r := r.(type) {
	case *Product:
		return out
	case *Max:
		return 2 * out
	case *MatProduct:
		return r.Operations()
	case *Norm:
		return out * int64(r.n)
	case *Softmax:
		return out * int64(r.n)
	case *ArgMax:
		return out * int64(r.n)
	}
	return out * int64(r.Inputs()[input])
}

// SeriesTerms is what counts as the number of terms of the series of an
// activation, for a covariance or the moments of a unit, where it is not fixed.
const SeriesTerms = 16

// MomentsOperations estimates the multiply-adds of r.MomentsTo for a dense
// covariance of the input, of the slower method where the input decides between
// two. diagonal says that only variances are asked for. More than an int64 holds
// are math.MaxInt64.
func MomentsOperations(r Nonlinear, diagonal bool) int64 {
	ops := momentsOperations(r, diagonal)
	if ops >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(ops)
}

func momentsOperations(r Nonlinear, diagonal bool) float64 {
	out, work := float64(r.OutputLen()), float64(r.WorkFloats(diagonal))
	entries := out
	if !diagonal {
		entries = out * (out + 1) / 2
	}
	switch r := r.(type) {
	case *Product:
		return 6 * entries
	case *MatProduct: // every entry is a sum over k and l
		return 2 * float64(r.k) * float64(r.k) * entries
	case *Norm:
		return 2*float64(r.n)*entries + work
	case *Softmax:
		return groupOperations(r.groups, r.n, entries)
	case *ArgMax:
		return groupOperations(r.groups, r.n, entries)
	case *Linearized: // G Cov(x) G'
		in := 0.
		for _, n := range r.inputs {
			in += float64(n)
		}
		return out*in*in + in*entries
	}
	return SeriesTerms*entries + work
}

// groupOperations is momentsOperations for groups of n elements, which are
// sampled if there are more than two: the root of a group's covariance times
// half of the points, and the covariance of what comes of it. Between groups
// G_s C G_t' has 2 n for an entry.
func groupOperations(groups, n int, entries float64) float64 {
	if n <= 2 {
		return SeriesTerms * entries
	}
	const points = 2 * latticePoints * lattice.Shifts
	return float64(groups)*points*float64(n)*float64(n)*3/2 + 2*float64(n)*entries
}
