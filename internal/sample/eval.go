package sample

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
)

// A PointError says at which point an evaluation failed.
type PointError struct {
	Column int // of the matrix of points
	Err    error
}

func (e *PointError) Error() string { return fmt.Sprintf("point %d: %v", e.Column, e.Err) }

// Unwrap returns the cause.
func (e *PointError) Unwrap() error { return e.Err }

// Eval writes f of column j of x, (n, B), to column j of dst, (m, B):
// together if f is a covprop.BatchFunc, otherwise one by one, with a look at
// ctx before each. A failure at a point, or a value there that is not finite,
// is a *PointError for the first such column.
func Eval(ctx context.Context, f covprop.Func, dst, x blas64.General) error {
	if x.Rows != f.InputDim() || dst.Rows != f.OutputDim() || dst.Cols != x.Cols {
		panic(badShape)
	}
	if err := ctx.Err(); err != nil || x.Cols == 0 {
		return err
	}
	batch, ok := f.(covprop.BatchFunc)
	if !ok {
		return evalColumns(ctx, f, dst, x)
	}
	err := batch.EvalBatchTo(dst, x)
	if err == nil && finite(dst) {
		return nil
	}
	// Whose fault it was, the points tell one by one.
	if one := evalColumns(ctx, f, dst, x); one != nil {
		return one
	}
	if err == nil {
		err = errors.New("the function's values are not finite for all points together, but are for each alone")
	}
	return err
}

func evalColumns(ctx context.Context, f covprop.Func, dst, x blas64.General) error {
	in, out := make([]float64, x.Rows), make([]float64, dst.Rows)
	for j := range x.Cols {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range in {
			in[i] = x.Data[i*x.Stride+j]
		}
		if err := f.EvalTo(out, in); err != nil {
			return &PointError{j, err}
		}
		for i, y := range out {
			if math.IsNaN(y) || math.IsInf(y, 0) {
				return &PointError{j, fmt.Errorf("element %d of the function's value is %v", i, y)}
			}
			dst.Data[i*dst.Stride+j] = y
		}
	}
	return nil
}

// finite reports whether all entries of a are: 0 times one is 0.
func finite(a blas64.General) bool {
	sum := 0.0
	for i := range a.Rows {
		for _, x := range row(a, i) {
			sum += x * 0
		}
	}
	return sum == 0
}
