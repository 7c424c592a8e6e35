package kernel

import (
	"context"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// Tiles of the product: tileRows x tileCols of the result, tileDepth of the
// inner dimension at a time, so that a panel of b stays in the second-level
// cache. They are below the size from which gonum starts threads of its own.
const (
	tileRows  = 64
	tileCols  = 192
	tileDepth = 256

	// serialFlops is the work below which threads cost more than they save.
	serialFlops = 1 << 21
)

const badShape = "kernel: matrix shapes do not agree"

// MulTo computes dst = a b, or dst += a b if add is set, where a is (m, k),
// b is (k, n) and dst (m, n) overlaps neither.
func MulTo(ctx context.Context, threads int, dst, a, b blas64.General, add bool) error {
	if a.Cols != b.Rows {
		panic(badShape)
	}
	return product{dst: dst, a: a, b: b, add: add, depth: a.Cols}.run(ctx, threads, a.Rows, b.Cols)
}

// MulTransTo computes dst = a b', or dst += a b' if add is set, where a is
// (m, k), b is (n, k) and dst (m, n) overlaps neither.
func MulTransTo(ctx context.Context, threads int, dst, a, b blas64.General, add bool) error {
	if a.Cols != b.Cols {
		panic(badShape)
	}
	return product{dst: dst, a: a, b: b, trans: blas.Trans, add: add, depth: a.Cols}.run(ctx, threads, a.Rows, b.Rows)
}

// MulSymTo computes dst = a b', which the caller knows to be symmetric, as in
// W Sigma W' = (W Sigma) W': the tiles on and below the diagonal are computed
// and mirrored. a and b are (m, k) and dst (m, m) overlaps neither.
func MulSymTo(ctx context.Context, threads int, dst, a, b blas64.General) error {
	if a.Cols != b.Cols || a.Rows != b.Rows {
		panic(badShape)
	}
	err := product{dst: dst, a: a, b: b, trans: blas.Trans, lower: true, depth: a.Cols}.run(ctx, threads, a.Rows, b.Rows)
	if err == nil {
		Mirror(dst)
	}
	return err
}

// Mirror copies the strict lower triangle of the square matrix a to the upper.
func Mirror(a blas64.General) {
	const block = 32
	for i0 := 0; i0 < a.Rows; i0 += block {
		for j0 := 0; j0 <= i0; j0 += block {
			for i := i0; i < min(i0+block, a.Rows); i++ {
				for j := j0; j < min(j0+block, i); j++ {
					a.Data[j*a.Stride+i] = a.Data[i*a.Stride+j]
				}
			}
		}
	}
}

// A product is dst = a op(b), cut into tiles.
type product struct {
	dst, a, b blas64.General
	trans     blas.Transpose // of b; zero means none
	add       bool
	lower     bool // only tiles that meet the lower triangle
	depth     int
}

func (p product) run(ctx context.Context, threads, rows, cols int) error {
	if p.dst.Rows != rows || p.dst.Cols != cols {
		panic(badShape)
	}
	if rows == 0 || cols == 0 {
		return nil
	}
	if p.trans == 0 {
		p.trans = blas.NoTrans
	}
	tr, tc := (rows+tileRows-1)/tileRows, (cols+tileCols-1)/tileCols
	if tr*tc == 1 {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.tile(0, 0)
		return nil
	}
	if rows*cols < serialFlops/2/max(p.depth, 1) {
		threads = 1
	}
	return Parallel(ctx, threads, tr*tc, func(t int) error {
		p.tile(t/tc*tileRows, t%tc*tileCols)
		return nil
	})
}

// tile computes the tile of dst whose first entry is (i, j).
func (p *product) tile(i, j int) {
	m, n := min(tileRows, p.dst.Rows-i), min(tileCols, p.dst.Cols-j)
	if p.lower && j > i+m-1 {
		return
	}
	impl := blas64.Implementation()
	c := p.dst.Data[i*p.dst.Stride+j:]
	beta := 0.
	if p.add {
		beta = 1
	}
	if p.depth == 0 && !p.add {
		for r := range m {
			clear(c[r*p.dst.Stride:][:n])
		}
		return
	}
	for k := 0; k < p.depth; k += tileDepth {
		d := min(tileDepth, p.depth-k)
		b := k*p.b.Stride + j
		if p.trans == blas.Trans {
			b = j*p.b.Stride + k
		}
		impl.Dgemm(blas.NoTrans, p.trans, m, n, d, 1, p.a.Data[i*p.a.Stride+k:], p.a.Stride,
			p.b.Data[b:], p.b.Stride, beta, c, p.dst.Stride)
		beta = 1
	}
}
