package layer

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
)

// Scale is y = s o x + t element by element with constants s and t: addition,
// subtraction, multiplication and division with a constant. It is exact:
// Cov(y)_ij = s_i s_j Cov(x)_ij.
type Scale struct {
	diagonal           // s
	shift    []float64 // (n), or nil for 0
	inputs   [1]int
}

// NewScale returns the rule y = scale o x + shift for vectors of length n.
// Each of scale and shift is nil (1 and 0), of length 1 (the same for all) or
// of length n.
func NewScale(scale, shift []float64, n int) (*Scale, error) {
	s, err := broadcast("scale", scale, n)
	if err != nil {
		return nil, err
	}
	t, err := broadcast("shift", shift, n)
	if err != nil {
		return nil, err
	}
	return &Scale{diagonal: diagonal{n: n, d: s}, shift: t, inputs: [1]int{n}}, nil
}

func broadcast(what string, x []float64, n int) ([]float64, error) {
	if n < 1 {
		return nil, fmt.Errorf("the tensor is empty")
	}
	if err := checkFinite(what, x); err != nil {
		return nil, err
	}
	switch len(x) {
	case 0:
		return nil, nil
	case n:
		return x, nil
	case 1:
		return repeat(x[0], n), nil
	}
	return nil, fmt.Errorf("%s has %d values, want 1 or %d", what, len(x), n)
}

// repeat returns n times v.
func repeat(v float64, n int) []float64 {
	y := make([]float64, n)
	for i := range y {
		y[i] = v
	}
	return y
}

// Name implements Rule.
func (s *Scale) Name() string {
	switch {
	case s.d == nil:
		return "shift"
	case s.shift == nil:
		return "scale"
	}
	return "scale and shift"
}

// Inputs implements Rule.
func (s *Scale) Inputs() []int { return s.inputs[:] }

// OutputLen implements Rule.
func (s *Scale) OutputLen() int { return s.n }

// Exactness implements Rule.
func (s *Scale) Exactness() covprop.Accuracy { return covprop.Accuracy{} }

// Matrix implements Linear.
func (s *Scale) Matrix(int) Matrix { return &s.diagonal }

// Forward implements Rule.
func (s *Scale) Forward(dst []float64, x ...[]float64) {
	copy(dst, x[0])
	if s.d != nil {
		for i, a := range s.d {
			dst[i] *= a
		}
	}
	for i, b := range s.shift {
		dst[i] += b
	}
}

// diagonal is the matrix diag(d), (n, n); a nil d is the identity.
type diagonal struct {
	n int
	d []float64
}

// DiagonalGain returns the gain diag(d). It shares d.
func DiagonalGain(d []float64) Gain { return &diagonal{n: len(d), d: d} }

// MulTo implements Gain. dst may be src.
func (g *diagonal) MulTo(ctx context.Context, _ int, dst, src blas64.General, add bool) error {
	return diagonalMulTo(ctx, g, of64(dst), of64(src), add)
}

// MulTo32 implements Gain32. dst may be src.
func (g *diagonal) MulTo32(ctx context.Context, _ int, dst, src blas32.General, add bool) error {
	return diagonalMulTo(ctx, g, of32(dst), of32(src), add)
}

func diagonalMulTo[T real](ctx context.Context, g *diagonal, dst, src matrix[T], add bool) error {
	if dst.Rows != g.n || src.Rows != g.n || dst.Cols != src.Cols {
		panic(badShape)
	}
	if g.d == nil && !add && same(dst, src) {
		return ctx.Err()
	}
	for i := range g.n {
		if err := ctx.Err(); err != nil {
			return err
		}
		f := 1.
		if g.d != nil {
			f = g.d[i]
		}
		d, s := dst.row(i), src.row(i)
		if add {
			for j, v := range s {
				d[j] += T(f * float64(v))
			}
		} else {
			for j, v := range s {
				d[j] = T(f * float64(v))
			}
		}
	}
	return nil
}

// MulTransTo implements Gain. dst may be src.
func (g *diagonal) MulTransTo(ctx context.Context, _ int, dst, src blas64.General, add bool) error {
	return diagonalMulTransTo(ctx, g, of64(dst), of64(src), add)
}

// MulTransTo32 implements Gain32. dst may be src.
func (g *diagonal) MulTransTo32(ctx context.Context, _ int, dst, src blas32.General, add bool) error {
	return diagonalMulTransTo(ctx, g, of32(dst), of32(src), add)
}

func diagonalMulTransTo[T real](ctx context.Context, g *diagonal, dst, src matrix[T], add bool) error {
	if dst.Cols != g.n || src.Cols != g.n || dst.Rows != src.Rows {
		panic(badShape)
	}
	if g.d == nil && !add && same(dst, src) {
		return ctx.Err()
	}
	for i := range src.Rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		diagonalRowTo(g, dst.row(i), src.row(i), add)
	}
	return nil
}

func diagonalRowTo[T real](g *diagonal, dst, src []T, add bool) {
	switch {
	case g.d == nil && add:
		for j, v := range src {
			dst[j] += v
		}
	case g.d == nil:
		copy(dst, src)
	case add:
		for j, v := range src {
			dst[j] += T(float64(v) * g.d[j])
		}
	default:
		for j, v := range src {
			dst[j] = T(float64(v) * g.d[j])
		}
	}
}

// SandwichTo implements Matrix. dst may be src.
func (g *diagonal) SandwichTo(ctx context.Context, threads int, dst, src blas64.General) error {
	return g.MulTransTo(ctx, threads, dst, src, false)
}

// SandwichTo32 implements Matrix32. dst may be src.
func (g *diagonal) SandwichTo32(ctx context.Context, threads int, dst, src blas32.General) error {
	return g.MulTransTo32(ctx, threads, dst, src, false)
}

// MulDiagTo implements Matrix.
func (g *diagonal) MulDiagTo(dst blas64.General, v []float64) {
	for i, x := range v {
		d := row(dst, i)
		clear(d)
		if d[i] = x; g.d != nil {
			d[i] *= g.d[i]
		}
	}
}

// SquareMulTo implements Matrix. dst may be v.
func (g *diagonal) SquareMulTo(dst, v []float64, add bool) {
	for i, x := range v {
		if g.d != nil {
			x *= g.d[i] * g.d[i]
		}
		if add {
			x += dst[i]
		}
		dst[i] = x
	}
}

// KeepsDiagonal implements Matrix.
func (g *diagonal) KeepsDiagonal() bool { return true }

// InPlace implements Matrix.
func (g *diagonal) InPlace() bool { return true }
