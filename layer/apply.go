package layer

import (
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/activation"
)

// ApplyTo applies the rule to every column of x, (n, B): dst[i,j] = g_i(x[i,j]).
// dst may be x, but must not overlap it otherwise.
func (e *Elementwise) ApplyTo(dst, x blas64.General) {
	if x.Rows != e.inputs[0] || dst.Rows != x.Rows || dst.Cols != x.Cols {
		panic(badShape)
	}
	if x.Cols == 0 {
		return
	}
	n := x.Rows * x.Cols
	if len(e.acts) == 1 && x.Stride == x.Cols && dst.Stride == x.Cols {
		activation.ApplyTo(e.acts[0], dst.Data[:n], x.Data[:n])
		return
	}
	for i := range x.Rows {
		activation.ApplyTo(e.Activation(i), row(dst, i), row(x, i))
	}
}
