package layer

import (
	"context"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/kernel"
)

// real is the type of a covariance's entries.
type real interface{ float32 | float64 }

// A matrix is a blas64.General or a blas32.General with the type of its entries
// as parameter.
type matrix[T real] struct {
	Rows, Cols, Stride int
	Data               []T
}

func of64(g blas64.General) matrix[float64] {
	return matrix[float64]{g.Rows, g.Cols, g.Stride, g.Data}
}

func of32(g blas32.General) matrix[float32] {
	return matrix[float32]{g.Rows, g.Cols, g.Stride, g.Data}
}

// general64 returns a, which must be of float64.
func general64[T real](a matrix[T]) blas64.General {
	m := any(a).(matrix[float64])
	return blas64.General{Rows: m.Rows, Cols: m.Cols, Stride: m.Stride, Data: m.Data}
}

// general32 returns a, which must be of float32.
func general32[T real](a matrix[T]) blas32.General {
	m := any(a).(matrix[float32])
	return blas32.General{Rows: m.Rows, Cols: m.Cols, Stride: m.Stride, Data: m.Data}
}

// wide reports whether T is float64.
func wide[T real]() bool {
	_, ok := any(T(0)).(float64)
	return ok
}

// row returns row i.
func (a matrix[T]) row(i int) []T { return a.Data[i*a.Stride:][:a.Cols] }

// rows returns rows i to i+n-1.
func (a matrix[T]) rows(i, n int) matrix[T] { return a.every(i, 1, n) }

// every returns rows i, i+step, ..., n of them.
func (a matrix[T]) every(i, step, n int) matrix[T] {
	return matrix[T]{Rows: n, Cols: a.Cols, Stride: step * a.Stride, Data: a.Data[i*a.Stride:]}
}

// cols returns columns j to j+n-1.
func (a matrix[T]) cols(j, n int) matrix[T] {
	b := matrix[T]{Rows: a.Rows, Cols: n, Stride: a.Stride}
	if a.Rows > 0 {
		b.Data = a.Data[j:]
	}
	return b
}

// dense returns data as an r x c matrix.
func dense[T real](r, c int, data []T) matrix[T] {
	return matrix[T]{Rows: r, Cols: c, Stride: c, Data: data}
}

// same reports whether a and b are the same matrix in memory.
func same[T real](a, b matrix[T]) bool {
	return len(a.Data) > 0 && len(b.Data) > 0 && &a.Data[0] == &b.Data[0] && a.Stride == b.Stride
}

// mulTo is kernel.MulTo.
func mulTo[T real](ctx context.Context, threads int, dst, a, b matrix[T], add bool) error {
	if wide[T]() {
		return kernel.MulTo(ctx, threads, general64(dst), general64(a), general64(b), add)
	}
	return kernel.MulTo(ctx, threads, general32(dst), general32(a), general32(b), add)
}

// mulTransTo is kernel.MulTransTo.
func mulTransTo[T real](ctx context.Context, threads int, dst, a, b matrix[T], add bool) error {
	if wide[T]() {
		return kernel.MulTransTo(ctx, threads, general64(dst), general64(a), general64(b), add)
	}
	return kernel.MulTransTo(ctx, threads, general32(dst), general32(a), general32(b), add)
}

// mulLowerTo is kernel.MulLowerTo.
func mulLowerTo[T real](ctx context.Context, threads int, dst, a, b matrix[T]) error {
	if wide[T]() {
		return kernel.MulLowerTo(ctx, threads, general64(dst), general64(a), general64(b))
	}
	return kernel.MulLowerTo(ctx, threads, general32(dst), general32(a), general32(b))
}
