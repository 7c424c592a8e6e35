package layer

import (
	"context"
	"fmt"
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
)

// Affine is y = W x + b along one axis: x is seen as (Outer, In, Inner), y as
// (Outer, Out, Inner), and y[o,:,i] = W x[o,:,i] + b. It is exact:
// E y = A E x + b and Cov(y) = A Cov(x) A' with A the Kronecker product of
// I_Outer, W and I_Inner.
type Affine struct {
	w            blas64.General // (out, in)
	bias         []float64      // (out), or nil
	outer, inner int
	inputs       [1]int
	narrow       func() matrix[float32] // w rounded to float32, once
}

// NewAffine returns the affine rule with the weights w, (out, in) row by row,
// and the bias, of length out or nil. The slices are kept, not copied.
func NewAffine(w, bias []float64, out, in, outer, inner int) (*Affine, error) {
	if out < 1 || in < 1 || outer < 1 || inner < 1 {
		return nil, fmt.Errorf("an affine map of size %d x %d, repeated %d x %d times, is empty", out, in, outer, inner)
	}
	if len(w) != out*in {
		return nil, fmt.Errorf("weights have %d values, but %d x %d needs %d", len(w), out, in, out*in)
	}
	if bias != nil && len(bias) != out {
		return nil, fmt.Errorf("bias has %d values, want %d", len(bias), out)
	}
	if err := checkFinite("weight", w); err != nil {
		return nil, err
	}
	if err := checkFinite("bias", bias); err != nil {
		return nil, err
	}
	return &Affine{
		w:     blas64.General{Rows: out, Cols: in, Stride: in, Data: w},
		bias:  bias,
		outer: outer, inner: inner,
		inputs: [1]int{outer * in * inner},
		narrow: sync.OnceValue(func() matrix[float32] {
			x := make([]float32, len(w))
			for i, v := range w {
				x[i] = float32(v)
			}
			return dense(out, in, x)
		}),
	}, nil
}

// Weights returns the map that is applied to every fibre of x, (outer, in, inner),
// along its second axis: w, (out, in), and the bias, of length out or nil. They must
// not be changed.
func (a *Affine) Weights() (w blas64.General, bias []float64, outer, inner int) {
	return a.w, a.bias, a.outer, a.inner
}

// Name implements Rule.
func (a *Affine) Name() string { return "affine" }

// Inputs implements Rule.
func (a *Affine) Inputs() []int { return a.inputs[:] }

// OutputLen implements Rule.
func (a *Affine) OutputLen() int { return a.outer * a.w.Rows * a.inner }

// Exactness implements Rule.
func (a *Affine) Exactness() covprop.Accuracy { return covprop.Accuracy{} }

// Matrix implements Linear.
func (a *Affine) Matrix(int) Matrix { return a }

// manyVectors is the number of vectors from which one product with all of them
// is faster than one with each.
const manyVectors = 8

// Forward implements Rule.
func (a *Affine) Forward(dst []float64, x ...[]float64) {
	out, in, inner := a.w.Rows, a.w.Cols, a.inner
	// Without a context that ends the products return no error.
	ctx := context.Background()
	switch {
	case inner > 1:
		for o := range a.outer {
			_ = kernel.MulTo(ctx, 1, packed(out, inner, dst[o*out*inner:]), a.w, packed(in, inner, x[0][o*in*inner:]), false)
		}
	case a.outer >= manyVectors:
		_ = kernel.MulTransTo(ctx, 1, packed(a.outer, out, dst), packed(a.outer, in, x[0]), a.w, false)
	default:
		for o := range a.outer {
			blas64.Gemv(blas.NoTrans, 1, a.w, blas64.Vector{N: in, Inc: 1, Data: x[0][o*in:][:in]}, 0,
				blas64.Vector{N: out, Inc: 1, Data: dst[o*out:][:out]})
		}
	}
	if a.bias == nil {
		return
	}
	for o := range a.outer {
		for r, b := range a.bias {
			y := dst[(o*out+r)*inner:][:inner]
			for i := range y {
				y[i] += b
			}
		}
	}
}

// MulTo implements Gain.
func (a *Affine) MulTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	return affineMulTo(ctx, threads, of64(dst), of64(src), of64(a.w), a.outer, a.inner, add)
}

// MulTo32 implements Gain32.
func (a *Affine) MulTo32(ctx context.Context, threads int, dst, src blas32.General, add bool) error {
	return affineMulTo(ctx, threads, of32(dst), of32(src), a.narrow(), a.outer, a.inner, add)
}

func affineMulTo[T real](ctx context.Context, threads int, dst, src, w matrix[T], outer, inner int, add bool) error {
	out, in := w.Rows, w.Cols
	if inner == 1 {
		for o := range outer {
			if err := mulTo(ctx, threads, dst.rows(o*out, out), w, src.rows(o*in, in), add); err != nil {
				return err
			}
		}
		return nil
	}
	// Rows (in, inner) of src that share their inner index i lie inner rows
	// apart: a matrix (in, cols) with a longer stride.
	for o := range outer {
		for i := range inner {
			d, s := dst.every(o*out*inner+i, inner, out), src.every(o*in*inner+i, inner, in)
			if err := mulTo(ctx, threads, d, w, s, add); err != nil {
				return err
			}
		}
	}
	return nil
}

// MulTransTo implements Gain.
func (a *Affine) MulTransTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	return affineMulTransTo(ctx, threads, of64(dst), of64(src), of64(a.w), a.outer, a.inner, add)
}

// MulTransTo32 implements Gain32.
func (a *Affine) MulTransTo32(ctx context.Context, threads int, dst, src blas32.General, add bool) error {
	return affineMulTransTo(ctx, threads, of32(dst), of32(src), a.narrow(), a.outer, a.inner, add)
}

func affineMulTransTo[T real](ctx context.Context, threads int, dst, src, w matrix[T], outer, inner int, add bool) error {
	out, in := w.Rows, w.Cols
	if inner == 1 {
		for o := range outer {
			if err := mulTransTo(ctx, threads, dst.cols(o*out, out), src.cols(o*in, in), w, add); err != nil {
				return err
			}
		}
		return nil
	}
	// Row r of src is (outer, in, inner): each (in, inner) part is multiplied
	// by W from the left.
	for r := range src.Rows {
		s, d := src.row(r), dst.row(r)
		for o := range outer {
			err := mulTo(ctx, threads, dense(out, inner, d[o*out*inner:][:out*inner]), w,
				dense(in, inner, s[o*in*inner:][:in*inner]), add)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// SandwichTo implements Matrix.
func (a *Affine) SandwichTo(ctx context.Context, threads int, dst, src blas64.General) error {
	return affineSandwichTo(ctx, threads, of64(dst), of64(src), of64(a.w), a.outer, a.inner)
}

// SandwichTo32 implements Matrix32.
func (a *Affine) SandwichTo32(ctx context.Context, threads int, dst, src blas32.General) error {
	return affineSandwichTo(ctx, threads, of32(dst), of32(src), a.narrow(), a.outer, a.inner)
}

func affineSandwichTo[T real](ctx context.Context, threads int, dst, src, w matrix[T], outer, inner int) error {
	if outer == 1 && inner == 1 {
		return mulLowerTo(ctx, threads, dst, src, w)
	}
	return affineMulTransTo(ctx, threads, dst, src, w, outer, inner, false)
}

// IsSmall implements Congruence.
func (a *Affine) IsSmall() bool {
	return a.outer == 1 && a.inner == 1 && max(a.w.Rows, a.w.Cols) <= kernel.CongruenceSize
}

// CongruenceTo implements Congruence.
func (a *Affine) CongruenceTo(dst, src blas64.General) { kernel.CongruenceTo(dst, a.w, src) }

// MulDiagTo implements Matrix.
func (a *Affine) MulDiagTo(dst blas64.General, v []float64) {
	out, in, inner := a.w.Rows, a.w.Cols, a.inner
	for r := range dst.Rows {
		d := row(dst, r)
		clear(d)
		o, w, i := r/(out*inner), row(a.w, r/inner%out), r%inner
		for c, x := range w {
			k := (o*in+c)*inner + i
			d[k] = x * v[k]
		}
	}
}

// SquareMulTo implements Matrix.
func (a *Affine) SquareMulTo(dst, v []float64, add bool) {
	out, in, inner := a.w.Rows, a.w.Cols, a.inner
	for r := range dst {
		o, w, i := r/(out*inner), row(a.w, r/inner%out), r%inner
		s := 0.
		for c, x := range w {
			s += x * x * v[(o*in+c)*inner+i]
		}
		if add {
			s += dst[r]
		}
		dst[r] = s
	}
}

// KeepsDiagonal implements Matrix.
func (a *Affine) KeepsDiagonal() bool { return a.w.Rows == 1 && a.w.Cols == 1 }

// InPlace implements Matrix.
func (a *Affine) InPlace() bool { return false }

// packed returns data as an r x c matrix.
func packed(r, c int, data []float64) blas64.General {
	return blas64.General{Rows: r, Cols: c, Stride: c, Data: data}
}

// rows returns rows i to i+n-1 of a.
func rows(a blas64.General, i, n int) blas64.General {
	return blas64.General{Rows: n, Cols: a.Cols, Stride: a.Stride, Data: a.Data[i*a.Stride:]}
}

// cols returns columns j to j+n-1 of a.
func cols(a blas64.General, j, n int) blas64.General {
	b := blas64.General{Rows: a.Rows, Cols: n, Stride: a.Stride}
	if a.Rows > 0 {
		b.Data = a.Data[j:]
	}
	return b
}

// every returns rows i, i+step, ..., n of them, of a.
func every(a blas64.General, i, step, n int) blas64.General {
	return blas64.General{Rows: n, Cols: a.Cols, Stride: step * a.Stride, Data: a.Data[i*a.Stride:]}
}
