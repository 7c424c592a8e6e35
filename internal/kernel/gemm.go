package kernel

import (
	"context"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
)

// General is a matrix of float64 or float32, row by row.
type General interface {
	blas64.General | blas32.General
}

// serialWork is the number of multiplications below which threads cost more
// than they save.
const serialWork = 1 << 22

const badShape = "kernel: matrix shapes do not agree"

// MulTo computes dst = a b, or dst += a b if add is set, where a is (m, k),
// b is (k, n) and dst (m, n) overlaps neither. NaN and Inf propagate as in the
// plain sums: 0 times Inf is NaN.
func MulTo[M General](ctx context.Context, threads int, dst, a, b M, add bool) error {
	return multiply(ctx, threads, dst, a, b, shape{add: add})
}

// MulTransTo computes dst = a b', or dst += a b' if add is set, where a is
// (m, k), b is (n, k) and dst (m, n) overlaps neither. a may be b.
func MulTransTo[M General](ctx context.Context, threads int, dst, a, b M, add bool) error {
	return multiply(ctx, threads, dst, a, b, shape{trans: true, add: add})
}

// MulSymTo computes dst = a b', which the caller knows to be symmetric, as in
// W Sigma W' = (W Sigma) W': the part on and below the diagonal is computed
// and mirrored. a and b are (m, k) and dst (m, m) overlaps neither.
func MulSymTo[M General](ctx context.Context, threads int, dst, a, b M) error {
	return multiply(ctx, threads, dst, a, b, shape{trans: true, lower: true, mirror: true})
}

// MulLowerTo is MulSymTo without the mirroring: what is above the diagonal of
// dst is undefined afterwards.
func MulLowerTo[M General](ctx context.Context, threads int, dst, a, b M) error {
	return multiply(ctx, threads, dst, a, b, shape{trans: true, lower: true})
}

// Mirror copies the strict lower triangle of the square matrix a to the upper.
func Mirror[M General](a M) {
	switch a := any(a).(type) {
	case blas64.General:
		mirror(of64(a), 0, a.Rows)
	case blas32.General:
		mirror(of32(a), 0, a.Rows)
	}
}

// A shape is a kind of product dst = a op(b).
type shape struct {
	trans  bool // op is the transposition
	add    bool // dst += a op(b)
	lower  bool // dst is symmetric, and the lower triangle enough
	mirror bool // it is copied to the upper one
}

// multiply gives the work to the implementation of the type of the entries.
func multiply[M General](ctx context.Context, threads int, dst, a, b M, s shape) error {
	switch d := any(dst).(type) {
	case blas64.General:
		a, b := any(a).(blas64.General), any(b).(blas64.General)
		p := product[float64]{shape: s, dst: of64(d), a: of64(a), b: of64(b)}
		return p.checked(ctx, threads)
	case blas32.General:
		a, b := any(a).(blas32.General), any(b).(blas32.General)
		p := product[float32]{shape: s, dst: of32(d), a: of32(a), b: of32(b)}
		return p.checked(ctx, threads)
	}
	panic("unreachable")
}

type float interface{ float64 | float32 }

// A matrix is a General with the type of its entries as parameter.
type matrix[T float] struct {
	rows, cols, stride int
	data               []T
}

func of64(g blas64.General) matrix[float64] {
	return matrix[float64]{g.Rows, g.Cols, g.Stride, g.Data}
}

func of32(g blas32.General) matrix[float32] {
	return matrix[float32]{g.Rows, g.Cols, g.Stride, g.Data}
}

// row returns the entries [j0, j1) of row i.
func (m *matrix[T]) row(i, j0, j1 int) []T {
	return m.data[i*m.stride+j0 : i*m.stride+j1]
}

// at returns the address of entry (i, j).
func (m *matrix[T]) at(i, j int) *T { return &m.data[i*m.stride+j] }

// part returns rows [i0, i1), columns [j0, j1).
func (m *matrix[T]) part(i0, i1, j0, j1 int) matrix[T] {
	p := matrix[T]{rows: i1 - i0, cols: j1 - j0, stride: m.stride}
	if p.rows > 0 && p.cols > 0 {
		p.data = m.data[i0*m.stride+j0 : (i1-1)*m.stride+j1]
	}
	return p
}

// A product is dst = a op(b) or dst += a op(b).
type product[T float] struct {
	shape
	dst, a, b matrix[T]
}

// checked panics if the shapes do not agree, settles what is empty and hands
// the rest to run.
func (p *product[T]) checked(ctx context.Context, threads int) error {
	k, n := p.b.rows, p.b.cols
	if p.trans {
		k, n = n, k
	}
	if p.a.cols != k || p.dst.rows != p.a.rows || p.dst.cols != n || p.lower && p.dst.rows != n {
		panic(badShape)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.dst.rows == 0 || n == 0 {
		return nil
	}
	if k == 0 {
		for i := 0; i < p.dst.rows && !p.add; i++ {
			clear(p.dst.row(i, 0, n))
		}
		return nil
	}
	if p.dst.rows*n < serialWork/k {
		threads = 1
	}
	return p.run(ctx, threads)
}
