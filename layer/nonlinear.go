package layer

import (
	"context"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
)

// A Nonlinear rule is one that is neither linear nor elementwise: a product, a
// maximum, a normalisation. It computes the moments of its output from the
// joint moments of its inputs.
type Nonlinear interface {
	Rule
	// MomentsTo writes the moments of f(X) to dst for jointly Gaussian X =
	// (x_1, ..., x_m) with the moments in. At a zero covariance they are the
	// value of f and, as gains, its derivatives: at a kink the mean of the
	// one-sided limits. The accuracy is relative to the output's standard
	// deviations, and covers nothing but this rule given a Gaussian input.
	MomentsTo(ctx context.Context, dst *Response, in *Joint, o Options) (covprop.Accuracy, error)
	// WorkFloats is the length of Response.Work that MomentsTo needs, of
	// which the gains may be views. diagonal says that neither covariances
	// nor gains are asked for. MomentsTo allocates nothing else that grows with the square
	// of a tensor's length.
	WorkFloats(diagonal bool) int
}

// A Joint is the joint Gaussian of the inputs of a rule.
type Joint struct {
	Mean [][]float64 // by input
	// Cov[i][j], j <= i, is the covariance between inputs i and j.
	Cov [][]Block
}

// Between returns the covariance between inputs i and j, rows for i.
func (g *Joint) Between(i, j int) Block {
	if i >= j {
		return g.Cov[i][j]
	}
	return g.Cov[j][i].T()
}

// A Block is the covariance between two tensors: diagonal, dense, or zero if
// it has neither. The zero value is zero.
type Block struct {
	Diag  []float64      // not nil if diagonal
	Dense blas64.General // with Rows > 0 if dense
	Trans bool           // Dense is stored the other way round
}

// Zero reports whether the block is zero.
func (b Block) Zero() bool { return b.Diag == nil && b.Dense.Rows == 0 }

// T returns the transpose, which shares b's memory.
func (b Block) T() Block {
	b.Trans = !b.Trans
	return b
}

// At returns entry (i, j).
func (b Block) At(i, j int) float64 {
	switch {
	case b.Diag != nil:
		if i != j {
			return 0
		}
		return b.Diag[i]
	case b.Dense.Rows == 0:
		return 0
	case b.Trans:
		i, j = j, i
	}
	return b.Dense.Data[i*b.Dense.Stride+j]
}

// A Response is what a Nonlinear rule computes.
type Response struct {
	Mean []float64 // (n) E f(X)
	// Variance, (n), is Var f(X). It is set if, and only if, Cov is empty.
	Variance []float64
	// Cov, (n, n), is Cov f(X), both triangles, if all covariances are asked
	// for; then it has n rows. It overlaps none of the inputs.
	Cov blas64.General
	// Gain[i] is E[df/dx_i], (n, n_i). The slice has one entry for every
	// input, for MomentsTo to set, or is nil if the gains are not asked for.
	Gain []Gain
	// Work is scratch of WorkFloats elements, of undefined contents.
	Work []float64
}

// Diagonal reports whether only variances are asked for.
func (r *Response) Diagonal() bool { return r.Cov.Rows == 0 }
