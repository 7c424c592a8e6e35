// Package baseline holds the general-purpose methods that moment propagation
// is compared with: Monte Carlo, first-order linearisation, the unscented
// transform and the cubature rule. Each is a covprop.Propagator over any
// covprop.Func, a network or a user's own simulator:
//
//	m, C  ~  E f(X), Cov f(X)   for X ~ N(mu, Sigma)
//
// None of them is exact except for affine functions, and each says so in its
// Result's Accuracy. Only [MonteCarlo] converges to the truth, and it states
// its own standard errors. Sigma may be singular; a covprop.Diagonal Sigma
// never becomes an n x n matrix. The result's covariance is always dense.
//
// The package is not for rare-event probabilities: a sampled covariance says
// nothing about tails that were not sampled.
package baseline

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
)

// prepare checks that f can be applied to in and returns the description of
// f's output vector.
func prepare(f covprop.Func, in covprop.Gaussian) ([]covprop.Output, error) {
	if f == nil {
		return nil, errors.New("baseline: no function was given")
	}
	if err := in.Check(); err != nil {
		return nil, err
	}
	if n := f.InputDim(); n != in.Dim() {
		return nil, &covprop.InputError{What: "mean", Err: fmt.Errorf("has %d elements, but the function takes %d", in.Dim(), n)}
	}
	m := f.OutputDim()
	if m < 1 {
		return nil, fmt.Errorf("baseline: the function's output dimension is %d", m)
	}
	namer, ok := f.(covprop.OutputNamer)
	if !ok {
		return []covprop.Output{{Name: "output", Shape: []int{m}, Len: m}}, nil
	}
	outputs, end := namer.Outputs(), 0
	for _, o := range outputs {
		if o.Offset != end || o.Len < 0 {
			return nil, fmt.Errorf("baseline: output %q has elements %d to %d, but the ones before it end at %d", o.Name, o.Offset, o.Offset+o.Len, end)
		}
		end += o.Len
	}
	if end != m {
		return nil, fmt.Errorf("baseline: the outputs have %d elements, but the function's output dimension is %d", end, m)
	}
	return outputs, nil
}

// eval writes f(x) to dst and refuses outputs that are not finite. where
// names the point in errors.
func eval(ctx context.Context, f covprop.Func, dst, x []float64, where func() string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := f.EvalTo(dst, x); err != nil {
		return fmt.Errorf("%s: %w", where(), err)
	}
	for i, y := range dst {
		if math.IsNaN(y) || math.IsInf(y, 0) {
			return fmt.Errorf("%s: element %d of the function's value is %v", where(), i, y)
		}
	}
	return nil
}

// newGeneral returns a zero (r, c) matrix.
func newGeneral(r, c int) blas64.General {
	return blas64.General{Rows: r, Cols: c, Stride: c, Data: make([]float64, r*c)}
}

// row returns row i of a.
func row(a blas64.General, i int) []float64 { return a.Data[i*a.Stride : i*a.Stride+a.Cols] }

// upper views the square matrix a as the symmetric matrix of its upper
// triangle.
func upper(a blas64.General) blas64.Symmetric {
	return blas64.Symmetric{N: a.Rows, Stride: a.Stride, Data: a.Data, Uplo: blas.Upper}
}

// mirror copies the upper triangle of a to the lower one.
func mirror(a blas64.General) {
	for i := range a.Rows {
		for j := range i {
			a.Data[i*a.Stride+j] = a.Data[j*a.Stride+i]
		}
	}
}
