package graph

import (
	"math"

	"github.com/covprop/covprop/layer"
)

// Operations returns the multiply-adds of one forward pass, each element of an
// activation counting as one more (see layer.Operations).
func (n *Network) Operations() int64 {
	var c run
	c.dry = true
	for _, s := range n.steps {
		for _, k := range s.nodes {
			c.count(layer.Operations(n.nodes[k].Rule), 1)
		}
	}
	return c.operations
}

// PropagationOperations estimates the multiply-adds of one propagation with the
// network's options, for a diagonal or a dense covariance of the input.
//
// A linear node y = A x takes nnz(A) n_x for A Cov(x), nnz(A) n_y/2 for the lower
// triangle of A Cov(x) A' and nnz(A) n_u for the covariance with every tensor u
// that is still needed, an input that is kept among them; an activation
// layer.SeriesTerms, or Options.Order, for every covariance and for the moments
// of every unit; the other rules what layer.MomentsOperations estimates. What
// only copies or adds does not count. It is counted in a dry run, and is
// math.MaxInt64 if it is larger.
func (n *Network) PropagationOperations(diagonal bool) int64 {
	var ws Workspace
	r := run{Network: n, ws: &ws, ctx: background, dry: true}
	if r.run(nil, diagonal) != nil {
		return 0
	}
	return r.operations
}

// count adds, in a dry run, so many operations times so many.
func (r *run) count(operations int64, times int) {
	if !r.dry {
		return
	}
	if t := int64(times); operations == 0 || t <= (math.MaxInt64-r.operations)/operations {
		r.operations += operations * t
	} else {
		r.operations = math.MaxInt64
	}
}

// seriesTerms is the number of terms that counts for a covariance.
func (r *run) seriesTerms() int64 {
	if r.opts.Order > 0 {
		return int64(r.opts.Order)
	}
	return layer.SeriesTerms
}

// gainOperations is the number of multiply-adds of a product of g, (out, in),
// with a vector.
func gainOperations(g layer.Gain, out, in int) int64 {
	if c, ok := g.(layer.Counter); ok {
		return c.Operations()
	}
	return int64(out) * int64(in)
}

// A plannedGain stands for a gain in a dry run, which multiplies nothing.
type plannedGain struct {
	layer.Gain
	operations int64
}

// Operations implements layer.Counter.
func (g plannedGain) Operations() int64 { return g.operations }
