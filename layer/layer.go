// Package layer holds the rules by which the steps of a network map the first
// two moments of their Gaussian input to those of their output, one rule a
// file.
//
// A rule is [Linear], and then exact, or [*Elementwise], a nonlinear
// activation of every element, or else [Nonlinear], such as a product, a
// maximum or a normalisation. All act on a covariance through their gain
// G = E[df/dx]: Cov(f(X), U) = G Cov(X, U) for every U jointly Gaussian with X
// (Stein 1981), so a step needs no knowledge of the tensors beside it.
// Covariances are blas64.General blocks, row by row, rows for the tensor named
// first.
//
// The package knows no graph, no files and no names of tensors.
package layer

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
)

// A Rule is one step y = f(x_1, ..., x_m) of a network. Rules are immutable
// and safe for concurrent use.
type Rule interface {
	// Name is the rule's name, such as "affine".
	Name() string
	// Inputs returns the lengths of the inputs. The caller must not change
	// the slice.
	Inputs() []int
	// OutputLen returns the length of the output.
	OutputLen() int
	// Forward writes f(x) to dst, of length OutputLen. x[i] has length
	// Inputs()[i]. dst overlaps none of them.
	Forward(dst []float64, x ...[]float64)
	// Exactness states how exact the rule is at best, before any input is
	// known.
	Exactness() covprop.Accuracy
}

// A Gain is a matrix G, (out, in), that acts on blocks of a covariance. The
// destinations overlap no argument unless a method says so.
type Gain interface {
	// MulTo computes dst = G src, or dst += G src if add is set.
	MulTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error
	// MulTransTo computes dst = src G', or dst += src G' if add is set.
	MulTransTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error
}

// A Linear rule is y = sum_i A_i x_i + b with constant A_i and b.
type Linear interface {
	Rule
	// Matrix returns A_i.
	Matrix(i int) Matrix
}

// A Matrix is the constant matrix A, (out, in), of a linear rule.
type Matrix interface {
	Gain
	// SandwichTo computes the lower triangle of dst = src A', which the caller
	// knows to be symmetric, as when src = A Sigma. What is above the diagonal
	// is undefined afterwards.
	SandwichTo(ctx context.Context, threads int, dst, src blas64.General) error
	// MulDiagTo computes dst = A diag(v).
	MulDiagTo(dst blas64.General, v []float64)
	// SquareMulTo computes dst = (A o A) v, or dst += (A o A) v if add is set:
	// the variances of A x for independent x.
	SquareMulTo(dst, v []float64, add bool)
	// KeepsDiagonal reports whether A diag(v) A' is diagonal for every v.
	KeepsDiagonal() bool
	// InPlace reports whether dst may be src in MulTo, MulTransTo and
	// SandwichTo.
	InPlace() bool
}

// A Congruence is a Matrix that computes A Sigma A' without A Sigma.
type Congruence interface {
	Matrix
	// IsSmall reports whether CongruenceTo can be used.
	IsSmall() bool
	// CongruenceTo computes the lower triangle of dst = A src A' for a covariance
	// src. What is above the diagonal is undefined afterwards.
	CongruenceTo(dst, src blas64.General)
}

// checkFinite returns an error that names the first value of what that is NaN
// or infinite.
func checkFinite(what string, x []float64) error {
	for i, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%s %d is %v; it must be finite", what, i, v)
		}
	}
	return nil
}

const badShape = "layer: shapes do not agree"

// row returns row i of a.
func row(a blas64.General, i int) []float64 {
	return a.Data[i*a.Stride:][:a.Cols]
}
