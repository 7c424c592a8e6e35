package layer

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
)

// Concat joins tensors along an axis: y = (x_1, x_2, ...). It is exact:
// Cov(y) is the matrix of the blocks Cov(x_i, x_j).
type Concat struct {
	inputs []int
	parts  []placement
}

// NewConcat returns the rule that joins tensors x_i, seen as (outer,
// lens[i]), to y, (outer, sum of lens).
func NewConcat(outer int, lens []int) (*Concat, error) {
	if outer < 1 || len(lens) == 0 {
		return nil, fmt.Errorf("a concatenation of %d x %d tensors is empty", outer, len(lens))
	}
	total := 0
	for i, n := range lens {
		if n < 1 {
			return nil, fmt.Errorf("tensor %d of the concatenation is empty", i)
		}
		total += n
	}
	c := &Concat{inputs: make([]int, len(lens)), parts: make([]placement, len(lens))}
	before := 0
	for i, n := range lens {
		c.inputs[i] = outer * n
		c.parts[i] = placement{outer: outer, before: before, n: n, total: total}
		before += n
	}
	return c, nil
}

// Name implements Rule.
func (c *Concat) Name() string { return "concat" }

// Inputs implements Rule.
func (c *Concat) Inputs() []int { return c.inputs }

// OutputLen implements Rule.
func (c *Concat) OutputLen() int { return c.parts[0].outer * c.parts[0].total }

// Exactness implements Rule.
func (c *Concat) Exactness() covprop.Accuracy { return covprop.Accuracy{} }

// Matrix implements Linear.
func (c *Concat) Matrix(i int) Matrix { return &c.parts[i] }

// Forward implements Rule.
func (c *Concat) Forward(dst []float64, x ...[]float64) {
	for i := range c.parts {
		p := &c.parts[i]
		for o := range p.outer {
			copy(dst[o*p.total+p.before:][:p.n], x[i][o*p.n:])
		}
	}
}

// A placement is the matrix that puts a tensor, (outer, n), to its place in
// one of shape (outer, total), and zeros elsewhere.
type placement struct{ outer, before, n, total int }

// source returns the element that is put to i, or -1.
func (p *placement) source(i int) int {
	k := i%p.total - p.before
	if k < 0 || k >= p.n {
		return -1
	}
	return i/p.total*p.n + k
}

// MulTo implements Gain.
func (p *placement) MulTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	if src.Rows != p.outer*p.n || dst.Rows != p.outer*p.total || src.Cols != dst.Cols {
		panic(badShape)
	}
	return kernel.Parallel(ctx, threads, dst.Rows, func(i int) error {
		if k := p.source(i); k >= 0 {
			placeTo(row(dst, i), row(src, k), add)
		} else if !add {
			clear(row(dst, i))
		}
		return nil
	})
}

// MulTransTo implements Gain.
func (p *placement) MulTransTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	if src.Cols != p.outer*p.n || dst.Cols != p.outer*p.total || src.Rows != dst.Rows {
		panic(badShape)
	}
	return kernel.Parallel(ctx, threads, src.Rows, func(r int) error {
		d, s := row(dst, r), row(src, r)
		if !add {
			clear(d)
		}
		for o := range p.outer {
			placeTo(d[o*p.total+p.before:][:p.n], s[o*p.n:], add)
		}
		return nil
	})
}

// placeTo writes or adds x to y, which may be shorter.
func placeTo(y, x []float64, add bool) {
	if !add {
		copy(y, x)
		return
	}
	for i := range y {
		y[i] += x[i]
	}
}

// SandwichTo implements Matrix.
func (p *placement) SandwichTo(ctx context.Context, threads int, dst, src blas64.General) error {
	return p.MulTransTo(ctx, threads, dst, src, false)
}

// MulDiagTo implements Matrix.
func (p *placement) MulDiagTo(dst blas64.General, v []float64) {
	for i := range dst.Rows {
		d := row(dst, i)
		clear(d)
		if k := p.source(i); k >= 0 {
			d[k] = v[k]
		}
	}
}

// SquareMulTo implements Matrix.
func (p *placement) SquareMulTo(dst, v []float64, add bool) {
	for i := range dst {
		k := p.source(i)
		switch {
		case k >= 0 && add:
			dst[i] += v[k]
		case k >= 0:
			dst[i] = v[k]
		case !add:
			dst[i] = 0
		}
	}
}

// KeepsDiagonal implements Matrix.
func (p *placement) KeepsDiagonal() bool { return true }

// InPlace implements Matrix.
func (p *placement) InPlace() bool { return false }
