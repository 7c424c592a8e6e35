package covprop

import (
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// A Func is a deterministic function from vectors to vectors: what the
// baselines sample and differentiate. A network is one; so is a user's own
// simulator. Methods must be safe for concurrent use.
type Func interface {
	InputDim() int
	OutputDim() int
	// EvalTo writes f(x) to dst. dst has length OutputDim and does not
	// overlap x, which has length InputDim and must not be changed.
	EvalTo(dst, x []float64) error
}

// A BatchFunc is a Func that evaluates many points together, which is faster:
// a matrix product in place of many products with vectors.
type BatchFunc interface {
	Func
	// EvalBatchTo writes f of column j of x to column j of dst, for every j.
	// dst is OutputDim x B and x InputDim x B; they do not overlap, and x must
	// not be changed.
	EvalBatchTo(dst, x blas64.General) error
}

// A Differentiable is a Func with an exact Jacobian. Where a function has a
// kink the derivative is the mean of the one-sided limits.
type Differentiable interface {
	Func
	// JacobianTo writes df/dx at x to dst, which is OutputDim x InputDim.
	JacobianTo(dst *mat.Dense, x []float64) error
}

// An OutputNamer is a Func that knows how its output vector is made up; the
// results of the baselines carry its Outputs.
type OutputNamer interface {
	Outputs() []Output
}
