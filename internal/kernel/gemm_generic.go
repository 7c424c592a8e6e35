package kernel

import (
	"context"

	"gonum.org/v1/gonum/blas"
)

// runGeneric computes the product tile by tile with gonum's, or with that of a
// library chosen by a build tag.
func (p *product[T]) runGeneric(ctx context.Context, threads int) error {
	tr, tc := ceil(p.dst.rows, genericRows), ceil(p.dst.cols, genericCols)
	if threads > 1 && tr*tc > 1 {
		return p.spreadGeneric(ctx, threads, tr*tc, tc)
	}
	for t := range tr * tc {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.tile(t/tc*genericRows, t%tc*genericCols)
	}
	return nil
}

func (p product[T]) spreadGeneric(ctx context.Context, threads, tiles, tc int) error {
	return Parallel(ctx, threads, tiles, func(t int) error {
		p.tile(t/tc*genericRows, t%tc*genericCols)
		return nil
	})
}

// tile computes the tile of dst whose first entry is (i, j), and its mirror
// image.
func (p *product[T]) tile(i, j int) {
	i1, j1 := min(i+genericRows, p.dst.rows), min(j+genericCols, p.dst.cols)
	if p.lower {
		j1 = min(j1, i1)
		if j >= j1 {
			return
		}
	}
	c, add := p.dst.part(i, i1, j, j1), p.add
	for k := 0; k < p.a.cols; k += genericDepth {
		k1 := min(k+genericDepth, p.a.cols)
		a := p.a.part(i, i1, k, k1)
		switch {
		case p.trans:
			gonum(c, a, p.b.part(j, j1, k, k1), blas.Trans, add)
		case p.b.finite(k, k1, j, j1):
			gonum(c, a, p.b.part(k, k1, j, j1), blas.NoTrans, add)
		default:
			plain(c, a, p.b.part(k, k1, j, j1), add)
		}
		add = true
	}
	if p.mirror {
		mirrorPart(p.dst, i, i1, j, min(i, j1))
		if j1 == i1 {
			mirror(p.dst, i, i1)
		}
	}
}

// finite says whether neither NaN nor Inf is among the rows [i0, i1), columns
// [j0, j1).
func (m *matrix[T]) finite(i0, i1, j0, j1 int) bool {
	for i := i0; i < i1; i++ {
		var s T
		for _, v := range m.row(i, j0, j1) {
			s += v - v
		}
		if s != 0 {
			return false
		}
	}
	return true
}

// gonum computes c = a op(b) or c += a op(b). Where op is not the
// transposition it skips the entries 0 of a, as if 0 times Inf were 0.
func gonum[T float](c, a, b matrix[T], op blas.Transpose, add bool) {
	beta := T(0)
	if add {
		beta = 1
	}
	switch c := any(c).(type) {
	case matrix[float64]:
		a, b := any(a).(matrix[float64]), any(b).(matrix[float64])
		implementation64().Dgemm(blas.NoTrans, op, c.rows, c.cols, a.cols, 1,
			a.data, a.stride, b.data, b.stride, float64(beta), c.data, c.stride)
	case matrix[float32]:
		a, b := any(a).(matrix[float32]), any(b).(matrix[float32])
		implementation32().Sgemm(blas.NoTrans, op, c.rows, c.cols, a.cols, 1,
			a.data, a.stride, b.data, b.stride, float32(beta), c.data, c.stride)
	}
}

// plain is the definition of c = a b and c += a b.
func plain[T float](c, a, b matrix[T], add bool) {
	for i := range c.rows {
		ci := c.row(i, 0, c.cols)
		if !add {
			clear(ci)
		}
		for l, v := range a.row(i, 0, a.cols) {
			for j, w := range b.row(l, 0, b.cols) {
				ci[j] += v * w
			}
		}
	}
}

func ceil(n, d int) int { return (n + d - 1) / d }
