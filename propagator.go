package covprop

import (
	"context"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// A Propagator maps a Gaussian input to the first two moments of an output.
// The analytic network and every baseline are Propagators.
type Propagator interface {
	// Propagate returns when ctx is cancelled, with ctx's error.
	Propagate(ctx context.Context, in Gaussian) (Result, error)
}

// A Result holds the moments of a function's output and says how exact they
// are.
type Result struct {
	// Gaussian has the joint moments of all outputs, concatenated in the
	// order of Outputs.
	Gaussian
	// Outputs says which part of the vector is which output. It is never
	// empty.
	Outputs []Output
	// Accuracy is the overall accuracy: that of the worst node, and
	// approximate ("Gaussian closure") as soon as a nonlinear node lies
	// downstream of another.
	Accuracy Accuracy
	// Nodes has the accuracy of every node, in the order of execution. It is
	// empty for methods that do not work node by node.
	Nodes []NodeAccuracy
	// StandardErrors is set by sampling methods only.
	StandardErrors *StandardErrors
	// InputCov, (outputs, inputs), is the covariance Cov(y, x) between the
	// outputs and the input vector; nil unless it was asked for.
	InputCov *mat.Dense
	// Mixture is the distribution whose moments these are; nil for methods that
	// do not make one.
	Mixture *Mixture
	// Audit compares the moments with samples; nil unless the result was
	// audited.
	Audit *Audit
}

// An Output names elements Offset to Offset+Len-1 of the result's vector.
type Output struct {
	Name        string
	Shape       []int
	Offset, Len int
}

// NodeAccuracy is the accuracy of one node given its Gaussian input.
type NodeAccuracy struct {
	Name string // the node's name in the model
	Op   string // the model's operator, such as "Gemm"
	Rule string // the rule that propagated it, such as "affine"
	Accuracy
}

// StandardErrors are the standard errors of a sampling method's estimates.
type StandardErrors struct {
	Samples int       // the number of evaluations
	Mean    []float64 // (n)
	Cov     *Dense    // (n, n): entry (i, j) belongs to covariance (i, j)
}

// Output returns the moments of output i of r.Outputs. They share r's memory.
func (r *Result) Output(i int) Gaussian {
	o := r.Outputs[i]
	g := Gaussian{Mean: r.Mean[o.Offset : o.Offset+o.Len]}
	switch c := r.Cov.(type) {
	case Diagonal:
		g.Cov = c[o.Offset : o.Offset+o.Len]
	case *Dense:
		g.Cov = DenseOf(sub(c.raw, o.Offset, o.Offset, o.Len, o.Len))
	}
	return g
}

// Cross returns the (Len_i, Len_j) covariance between outputs i and j as a
// view of r's memory; ok is false if the result has no covariances.
func (r *Result) Cross(i, j int) (cov blas64.General, ok bool) {
	c, ok := r.Cov.(*Dense)
	if !ok {
		return blas64.General{}, false
	}
	a, b := r.Outputs[i], r.Outputs[j]
	return sub(c.raw, a.Offset, b.Offset, a.Len, b.Len), true
}

// sub returns the r x c block of a whose first entry is (i, j).
func sub(a blas64.General, i, j, r, c int) blas64.General {
	b := blas64.General{Rows: r, Cols: c, Stride: a.Stride}
	if r > 0 && c > 0 {
		b.Data = a.Data[i*a.Stride+j : (i+r-1)*a.Stride+j+c]
	}
	return b
}
