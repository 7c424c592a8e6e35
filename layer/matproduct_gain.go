package layer

import (
	"context"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/kernel"
)

// matGainA is E dY/dA of a MatProduct: A -> A B for the mean b of B.
type matGainA struct {
	p *MatProduct
	b []float64
}

// MulTo implements Gain: for each batch element and row i of A,
// dst[i,:] = B' src[i,:].
func (g matGainA) MulTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	p := g.p
	return kernel.Parallel(ctx, threads, p.batch*p.m, func(t int) error {
		y, x := rows(dst, t*p.n, p.n), rows(src, t*p.k, p.k)
		return mulTransLeft(y, p.b(g.b, t/p.m), x, add)
	})
}

// MulTransTo implements Gain: every row of src is a batch of matrices A, to be
// multiplied by B.
func (g matGainA) MulTransTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	p := g.p
	return kernel.Parallel(ctx, threads, src.Rows, func(r int) error {
		for e := range p.batch {
			y := packed(p.m, p.n, row(dst, r)[e*p.m*p.n:][:p.m*p.n])
			if err := kernel.MulTo(ctx, 1, y, p.a(row(src, r), e), p.b(g.b, e), add); err != nil {
				return err
			}
		}
		return nil
	})
}

// mulTransLeft computes dst = b' src, or dst += b' src if add is set.
func mulTransLeft(dst, b, src blas64.General, add bool) error {
	for j := range dst.Rows {
		d := row(dst, j)
		if !add {
			clear(d)
		}
		for k := range src.Rows {
			f := b.Data[k*b.Stride+j]
			for c, v := range row(src, k) {
				d[c] += f * v
			}
		}
	}
	return nil
}

// matGainB is E dY/dB of a MatProduct: B -> A B for the mean a of A.
type matGainB struct {
	p *MatProduct
	a []float64
}

// MulTo implements Gain. Rows (k, n) of src that share the column j of B lie n
// rows apart.
func (g matGainB) MulTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	p := g.p
	return kernel.Parallel(ctx, threads, p.batch*p.n, func(t int) error {
		e, j := t/p.n, t%p.n
		y, x := every(dst, e*p.m*p.n+j, p.n, p.m), every(src, e*p.k*p.n+j, p.n, p.k)
		return kernel.MulTo(ctx, 1, y, p.a(g.a, e), x, add)
	})
}

// MulTransTo implements Gain: every row of src is a batch of matrices B, to be
// multiplied by A from the left.
func (g matGainB) MulTransTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	p := g.p
	return kernel.Parallel(ctx, threads, src.Rows, func(r int) error {
		for e := range p.batch {
			y := packed(p.m, p.n, row(dst, r)[e*p.m*p.n:][:p.m*p.n])
			if err := kernel.MulTo(ctx, 1, y, p.a(g.a, e), p.b(row(src, r), e), add); err != nil {
				return err
			}
		}
		return nil
	})
}
