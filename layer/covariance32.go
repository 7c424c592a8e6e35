package layer

import (
	"context"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
)

// CovarianceTo32 is CovarianceTo for covariances in float32. (Widened as a
// whole until the series has a float32 form.)
func CovarianceTo32(ctx context.Context, dst, c blas32.General, f, g *Moments, symmetric bool, o Options) (covprop.Accuracy, error) {
	n := blas64.General{Rows: c.Rows, Cols: c.Cols, Stride: c.Cols, Data: make([]float64, c.Rows*c.Cols)}
	for i := range c.Rows {
		for j := range c.Cols {
			n.Data[i*n.Stride+j] = float64(c.Data[i*c.Stride+j])
		}
	}
	acc, err := CovarianceTo(ctx, n, n, f, g, symmetric, o)
	for i := range c.Rows {
		for j := range c.Cols {
			dst.Data[i*dst.Stride+j] = float32(n.Data[i*n.Stride+j])
		}
	}
	return acc, err
}
